# SPDX-License-Identifier: BSD-3-Clause
"""
Wireshark as referee of what is found inside a frame (argument: link-layers): for every packet of FWDLAB_SHARED's
captures the IP headers from the outermost to the innermost are tshark's, but for what ICMP errors quote. ESP is opened
with the known key of one capture, and with random keys of every cipher on packets that Scapy makes.

Differences that are right stand in UNREAD, OTHER_LINKTYPE and DEEPER, and may be no more than that; tunnels that nobody
here follows are switched off in tshark.
"""
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import golden

NOT_FOLLOWED = ('gtp', 'teredo', 'wg', 'sflow', 'ipcomp')
FIELDS = ('frame.number', 'frame.protocols', 'ip.src', 'ip.dst', 'ip.proto', 'ipv6.src', 'ipv6.dst', 'ipv6.nxt')
UNREAD = {'solaris.snoop': 'the snoop format', '02-sunrise-key.txt': 'text, a file format to tshark'}
OTHER_LINKTYPE = {'80211http.pcap': 'radiotap', 'OSPF_multipoint_adjacencies.cap': 'frame relay',
                  'no-advertise_community.pcapng.cap': 'frame relay', 'nflog.pcap': 'NFLOG'}
# BIG TCP: the datagram's length is 0, at which tshark stops
DEEPER = {('bigtcp-ipv4-vxlan-ipv4.pcap', 1): ['10.25.132.11>10.25.132.13:17', '192.168.1.2>192.168.1.1:6']}


def referee(capture, sas=()):
    """{frame: its IP headers} as tshark says, or None where it reads nothing."""
    cmd = ['tshark', '-n', '-r', str(capture), '-T', 'fields', '-E', 'occurrence=a', '-E', 'aggregator=,',
           '-o', 'ip.defragment:FALSE', '-o', 'ipv6.defragment:FALSE', '-o', 'esp.enable_encryption_decode:TRUE']
    for field in FIELDS:
        cmd += ['-e', field]
    for name in NOT_FOLLOWED:
        cmd += ['--disable-protocol', name]
    for sa in sas:
        cmd += ['-o', 'uat:esp_sa:' + sa]
    p = subprocess.run(cmd, capture_output=True, text=True)
    frames = {}
    for line in p.stdout.splitlines():
        number, protocols, *columns = line.split('\t')
        columns = [c.split(',') if c else [] for c in columns]
        headers = {'ip': zip(*columns[:3]), 'ipv6': zip(*columns[3:])}
        found = []
        for name in protocols.split(':'):
            if name in ('icmp', 'icmpv6'):
                break
            header = next(headers[name], None) if name in headers else None
            if header:
                found.append('{}>{}:{}'.format(*header))
        frames[int(number)] = found
    return frames or None


def ours(link_layers, capture, keys=None):
    """{frame: (fault, layers, IP headers)}, and what was said on stderr."""
    p = subprocess.run([link_layers, str(capture), *([str(keys)] if keys else [])], capture_output=True, text=True)
    frames = {}
    for line in p.stdout.splitlines():
        number, fault, layers, *headers = line.split('\t')
        frames[int(number)] = fault, layers, headers
    return frames, p.stderr if p.returncode else ''


def compare(link_layers, capture, keys=None, sas=()):
    """How many frames, and what is wrong."""
    want = referee(capture, sas)
    got, message = ours(link_layers, capture, keys)
    if want is None or capture.name in UNREAD:
        return 0, [f'{capture.name}: {len(got)} packets, tshark none'] if got else []
    wrong = [f'{capture.name}: {message}'] if message else []
    for number, headers in want.items():
        fault, layers, mine = got.get(number, ('absent', '', []))
        if fault == 'linktype':
            good = capture.name in OTHER_LINKTYPE
        else:
            good = mine == DEEPER.get((capture.name, number), headers)
        if not good:
            wrong.append(f'{capture.name} frame {number}: {fault} {layers} {mine}, tshark {headers}')
    if capture.name in OTHER_LINKTYPE and any(fault != 'linktype' for fault, _, _ in got.values()):
        wrong.append(f'{capture.name}: its link type is known now, OTHER_LINKTYPE is out of date')
    return len(want), wrong


def captures(tap, link_layers, folder):
    files = sorted(p for p in folder.rglob('*') if p.is_file())
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = list(pool.map(lambda p: compare(link_layers, p), files))
    frames, wrong = sum(n for n, _ in answers), [w for _, ws in answers for w in ws]
    tap.check(frames and not wrong, f'{folder.name}: {len(files)} files, {frames} packets as tshark', *wrong[:20])


def known_key(tap, link_layers, folder, work):
    """FreeS/WAN's packets: 3DES, eight echo requests inside."""
    name, key = 'ESP of which the key is known', folder / '02-sunrise-key.txt'
    if not key.exists():
        return tap.skip(name, f'there is no {key}')
    sa = '"IPv4","*","192.1.2.45","0x12345678","TripleDES-CBC [RFC2451]","{}","{}",""'.format(
        key.read_text().strip().split(':')[1], 'ANY 96 bit authentication [no checking]')
    keys = work / 'known.keys'
    keys.write_text(f'# the format is esp_sa\n\n{sa}\n')
    n, wrong = compare(link_layers, folder / '02-sunrise-sunset-esp.pcap', keys, [sa])
    got, _ = ours(link_layers, folder / '02-sunrise-sunset-esp.pcap', keys)
    inside = ['192.1.2.23>192.1.2.45:50', '192.0.2.1>192.0.1.1:1']
    opened = [f for f in got.values() if f[1:] == ('esp:305419896', inside)]
    tap.check(n == len(opened) == 8 and not wrong, name, *wrong, f'opened {len(opened)} of {n}')


def scapy_python():
    """An interpreter that has Scapy: this one, or the system's."""
    for python in (sys.executable, shutil.which('python3', path=os.defpath)):
        if python and not subprocess.run([python, '-c', 'import cryptography, scapy.layers.ipsec'], capture_output=True).returncode:
            return python
    return None


def random_keys(tap, link_layers, work):
    """Each made association alone: its packets, wrong ones among them, against what Scapy put in and against tshark."""
    name, python = 'ESP with random keys', scapy_python()
    if not python:
        return tap.skip(name, 'Scapy, or the cryptography that it needs, is missing')
    script = pathlib.Path(__file__).with_name('esp.py')
    made = subprocess.run([python, '-B', script, work], capture_output=True, text=True)
    if made.returncode:
        return tap.check(False, name, made.stderr)
    for line in made.stdout.splitlines():
        case = json.loads(line)
        capture, keys = pathlib.Path(case['capture']), work / 'one.keys'
        keys.write_text(case['sa'] + '\n')
        got, message = ours(link_layers, capture, keys)
        found = [headers for _, _, headers in got.values()]
        wrong = [f'seed {case["seed"]}', f'got  {found}', f'want {case["want"]}', message]
        wrong = [] if found == case['want'] else wrong
        if case['tunnel']:
            wrong += compare(link_layers, pathlib.Path(case['good']), keys, [case['sa']])[1]
        tap.check(not wrong, f'ESP: {case["name"]}', *wrong)


def main(link_layers):
    if not shutil.which('tshark'):
        print('1..0 # SKIP there is no tshark')
        return 0
    tap = golden.Tap()
    data = pathlib.Path(os.environ.get('FWDLAB_SHARED', '../shared')) / 'data' / 'pcap'
    with tempfile.TemporaryDirectory() as work:
        folders = sorted(p for p in data.iterdir() if p.is_dir()) if data.is_dir() else []
        if not folders:
            tap.skip('captures', f'there is no {data}: set FWDLAB_SHARED')
        for folder in folders:
            captures(tap, link_layers, folder)
        known_key(tap, link_layers, data / '08-ipsec', pathlib.Path(work))
        random_keys(tap, link_layers, pathlib.Path(work))
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
