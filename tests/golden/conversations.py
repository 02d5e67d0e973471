# SPDX-License-Identifier: BSD-3-Clause
"""`analyze --no-scenario` on every capture of ../shared (FWDLAB_SHARED): packets, bytes and interfaces are those of
capinfos; TCP and UDP conversations, inside of tunnels too, and their packets each way are those of `tshark -z conv`; in
15-tcp and 01-mix each connection's retransmissions, segments out of order and initial round trip are tshark's. What
differs all the same stands in conversations.tsv with its reason.

By design, a capture's second look at one packet is a copy and no packet of its conversation (packets.copies has them
all), a datagram's later fragments belong to its conversation, and packets are taken in the order of time."""
import collections
import concurrent.futures
import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import golden
import tcp

TCP_FOLDERS = ('15-tcp', '01-mix')
ROW = re.compile(r'(\S+):(\d+) +<-> (\S+):(\d+) +(\d+) [\d,]+ \S+ +(\d+) ')


def said(*command):
    p = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return p.stdout.decode(errors='replace')


def table(rows):
    """(proto, end, end) → [(packets from the lesser end, to it)] of (proto, from, to, packets there, back): each
    connection of TCP; UDP in one (tshark begins another one where a protocol above says so)."""
    found = collections.defaultdict(list)
    for proto, a, b, there, back in rows:
        found[proto, *sorted((a, b))].append((there, back) if a <= b else (back, there))
    return {k: sorted(v) if k[0] == 'tcp' else [tuple(map(sum, zip(*v)))] for k, v in found.items()}


def tshark_rows(text):
    for line in text.splitlines():
        if line.endswith(' Conversations'):
            proto = line.split()[0].lower()
        if m := ROW.match(line):
            a, aport, b, bport, back, there = m.groups()
            yield proto, (a, int(aport)), (b, int(bport)), int(there), int(back)


def our_rows(flows):
    for r in flows:
        if r['proto'] in ('tcp', 'udp'):
            yield (r['proto'], (r['src'], int(r['sport'])), (r['dst'], int(r['dport'])), int(r['packets_there']),
                   int(r['packets_back']))


def total(rows):
    return sum(map(sum, rows))


def conversations(flows, packets, text):
    """What differs."""
    got, want = table(our_rows(flows)), table(tshark_rows(text))
    pieces = {k: 0 for k in got}
    for r, (proto, a, b, _, _) in zip((r for r in flows if r['proto'] in ('tcp', 'udp')), our_rows(flows)):
        pieces[proto, *sorted((a, b))] += int(r['fragments'])
    wrong = [f'{k}: only {"here" if k in got else "tshark"}' for k in sorted(got.keys() ^ want.keys())]
    left = packets['copies'] - packets['own']
    for k in sorted(got.keys() & want.keys()):
        more = total(got[k]) - total(want[k])
        if got[k] != want[k] and not (-left <= more <= pieces[k] and len(got[k]) == len(want[k])):
            wrong.append(f'{k}: {got[k]}, not {want[k]}, {pieces[k]} fragments, {left} copies')
        left -= max(0, -more)
    return wrong


def counts(packets, text):
    """capinfos counts the interfaces of all sections, but gives packets of another section to the first one's."""
    want = {'read': int(re.search(r'Number of packets: +(\d+)', text)[1]),
            'bytes': int(re.search(r'Data size: +(\d+)', text)[1])}
    wrong = [f'{packets[name]} {name}, not {n}' for name, n in want.items() if packets[name] != n]
    each = [int(n) for n in re.findall(r'Number of packets = (\d+)', text)]
    sections = max(1, text.count('Section '))
    each = each[:len(each) // sections]
    got = [i['packets'] for i in packets['interfaces']]
    if got != each if sections == 1 else (len(got), sum(got)) != (len(each), sum(each)):
        wrong.append(f'packets by interface {got}, not {each}')
    return wrong


def connections(flows, doc, path):
    """TCP by connection: the same ones, whatever their order. tshark shows not every round trip that it knows."""
    streams = {}
    for s in tcp.tshark(path).values():
        retransmissions, late, rtt = streams.get(s.stream, (0, 0, 0))
        streams[s.stream] = (retransmissions + ('retransmission' in s.events), late + ('out_of_order' in s.events),
                             s.rtt or rtt)
    want = collections.Counter(streams.values())
    got = collections.Counter((int(r['retransmissions']), int(r['out_of_order']), int(r['rtt_ns'] or 0))
                              for r in flows if r['proto'] == 'tcp')
    more, less = got - want, want - got
    wrong = [f'no connection of {what}' for what in less if what[2]]
    untold = collections.Counter(what[:2] for what in less.elements()) - collections.Counter(
        what[:2] for what in more.elements())
    wrong += [f'{n} connections of {what} less' for what, n in untold.items()]
    sums = [sum(s[i] for s in streams.values()) for i in (0, 1)]
    if [doc['tcp'][x] for x in ('retransmissions', 'out_of_order')] != sums:
        wrong.append(f'{doc["tcp"]}, not {sums}')
    return wrong


def one(fwdlab, path, folder):
    """What differs from capinfos and tshark; None: neither they nor we can read it."""
    capinfos = said('capinfos', '-I', '-M', '-c', '-d', path)
    with tempfile.TemporaryDirectory() as out:
        csv_path = pathlib.Path(out) / 'flows.csv'
        p = golden.run(fwdlab, 'analyze', '--no-scenario', path, '--json', '--flows', csv_path, timeout=300)
        if p.returncode:
            message = p.stderr.decode(errors='replace').splitlines()
            return None if p.returncode == 2 and not capinfos else [f'exit {p.returncode}: {message[0]}']
        with open(csv_path, newline='') as f:
            flows = list(csv.DictReader(f))
        doc = json.loads(p.stdout)
        text = said('tshark', '-r', path, *tcp.OPTIONS, '-q', '-z', 'conv,tcp', '-z', 'conv,udp')
        wrong = counts(doc['packets'], capinfos) + conversations(flows, doc['packets'], text)
        if folder in TCP_FOLDERS:
            ordered = pathlib.Path(out) / 'ordered'
            said('reordercap', path, ordered)
            wrong += connections(flows, doc, ordered)
    return wrong


def explained():
    rows = (pathlib.Path(__file__).parent / 'conversations.tsv').read_text().splitlines()
    return {line.split('\t')[0]: line.split('\t')[1] for line in rows if line and not line.startswith('#')}


def main(fwdlab, *folders):
    tap = golden.Tap()
    data = pathlib.Path(os.environ.get('FWDLAB_SHARED', '../shared')) / 'data' / 'pcap'
    missing = [tool for tool in ('tshark', 'capinfos', 'reordercap') if not shutil.which(tool)]
    if missing or not data.is_dir():
        tap.skip('conversations', f'there is no {missing[0] if missing else f"{data}: set FWDLAB_SHARED"}')
        return tap.done()
    known = explained()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for folder in folders or sorted(p.name for p in data.iterdir()):
            files = sorted(p for p in (data / folder).rglob('*') if p.is_file())
            results = list(pool.map(lambda p: one(fwdlab, p, folder), files))
            read = sum(r is not None for r in results)
            wrong = []
            for path, result in zip(files, results):
                name = f'{folder}/{path.relative_to(data / folder)}'
                if bool(result) != (name in known):
                    wrong += [f'{name}: {w}' for w in (result or ['explained, but does not differ'])[:10]]
            tap.check(read and not wrong, f'{folder}: {read} captures', *wrong)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
