# SPDX-License-Identifier: BSD-3-Clause
"""One capture in many forms: over stdin, compressed, rotated, filtered, with little memory, interrupted, without room
for the results. The document is the same, or says what it is without."""
import csv
import gzip
import json
import lzma
import os
import pathlib
import pty
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading

import capture
import golden

VARIANT = 'routed'
S = golden.scenario(VARIANT)
ANYWHERE = ('inputs', 'environment')


def bare(doc, *without):
    """What a document says of the packets, wherever they came from."""
    if isinstance(doc, dict):
        return {k: bare(v, *without) for k, v in doc.items() if k not in ANYWHERE + without}
    return [bare(x, *without) for x in doc] if isinstance(doc, list) else doc


def pcap(packets):
    """Raw IP; packets: (ns, bytes)."""
    head = struct.pack('<IHHiIII', 0xa1b23c4d, 2, 4, 0, 0, 65535, 101)
    return head + b''.join(struct.pack('<IIII', *divmod(t, 10**9), len(p), len(p)) + p for t, p in packets)


def datagram(client, back=False, size=4):
    """One of so many clients' questions to a server, or the answer, of so many bytes."""
    ends = [struct.pack('>BBBB', 10, 1, 0, client >> 8), b'\x08\x08\x08\x08']
    ports = [1024 + (client & 0xff), 53]
    if back:
        ends.reverse()
        ports.reverse()
    udp = struct.pack('>HHHH', *ports, 8 + size, 0) + bytes(size)
    return struct.pack('>BBHHHBBH', 0x45, 0, 20 + len(udp), client & 0xffff, 0, 64, 17, 0) + ends[0] + ends[1] + udp


def conversations(n):
    """n clients, who ask once and are answered at once."""
    return pcap((10**18 + i * 20_000 + back * 5000, datagram(i, back)) for i in range(n) for back in (False, True))


class Case:
    def __init__(self, tap, fwdlab, folder):
        self.tap, self.fwdlab, self.folder = tap, fwdlab, folder
        self.data = capture.decompressed(golden.trace(VARIANT))
        self.plain = folder / 'plain.pcapng'
        self.plain.write_bytes(self.data)
        self.want = self.document(S, self.plain)

    def document(self, *args, **more):
        return json.loads(golden.run(self.fwdlab, 'analyze', *args, '--json', **more).stdout or '{}')

    def same(self, name, *args, without=(), **more):
        got, want = bare(self.document(S, *args, **more), *without), bare(self.want, *without)
        self.tap.check(got == want, name, *(f'{k}: {got.get(k)}\nnot {want[k]}' for k in want if got.get(k) != want[k]))

    def flows(self, *args):
        path = self.folder / 'flows.csv'
        golden.must(self.fwdlab, 'analyze', *args, '--flows', path, '-o', self.folder / 'flows.json')
        with open(path, newline='') as f:
            return json.loads((self.folder / 'flows.json').read_text()), list(csv.DictReader(f))


def forms(c):
    with open(c.plain, 'rb') as f:
        c.same('over stdin', '-', stdin=f)
    (c.folder / 'x.gz').write_bytes(gzip.compress(c.data))
    (c.folder / 'x.xz').write_bytes(lzma.compress(c.data))
    names = ['x.gz', 'x.xz']
    for tool in ('zstd', 'lz4'):
        if shutil.which(tool):
            with open(c.folder / f'x.{tool}', 'wb') as f:
                subprocess.run([tool, '-c', '-q', str(c.plain)], stdout=f, check=True)
            names.append(f'x.{tool}')
        else:
            c.tap.skip(tool, f'there is no {tool}')
    for name in names:
        c.same(name, c.folder / name)
    with open(c.folder / 'x.gz', 'rb') as f:
        c.same('compressed over stdin', '-', stdin=f)


def rotated(c):
    """In halves, in thirds, in any order on the command line; and one interface a file, whose times overlap."""
    blocks = [(kind, c.data[at - 8:at + length + 4], struct.unpack_from('<I', c.data, at)[0])
              for kind, at, length in capture.blocks(c.data)]
    head = b''.join(b for kind, b, _ in blocks if kind in (capture.PCAPNG_SHB, capture.PCAPNG_IDB))
    packets = [(b, interface) for kind, b, interface in blocks if kind == capture.PCAPNG_EPB]

    def write(name, some):
        path = c.folder / name
        path.write_bytes(head + b''.join(some))
        return path
    third = len(packets) // 3
    parts = [write(f'part{i}', [b for b, _ in packets[i * third:(i + 1) * third if i < 2 else None]]) for i in range(3)]
    unlike = ('frames', 'dropped') # file:frame; drop counts stand at the capture's end, which the parts do not have
    c.same('rotated', *parts, without=unlike)
    c.same('rotated, the last one first', *parts[::-1], without=unlike)
    sides = [write(f'side{i}', [b for b, k in packets if k == i]) for i in sorted({k for _, k in packets})]
    c.same('an interface a file', *sides, without=unlike)


def filtered(c):
    _, every = c.flows(S, c.plain)
    doc, some = c.flows(S, c.plain, '--filter', 'tcp')
    own = 'src sport dst dport packets_there packets_back bytes_there bytes_back first_ns tcp_state'.split()
    want = sorted([r[k] for k in own] for r in every if r['proto'] == 'tcp')
    c.tap.check(want and sorted([r[k] for k in own] for r in some) == want and doc['packets']['read'] ==
                sum(i['packets'] for i in doc['packets']['interfaces']), '--filter tcp: the flows of TCP, as before')
    p = golden.run(c.fwdlab, 'analyze', S, c.plain, '--filter', 'tcp port')
    golden.refused(c.tap, 'a filter that is none', p, 'tcp port')


def little_memory(c):
    n = 20_000
    trace = c.folder / 'many.pcap'
    trace.write_bytes(conversations(n))
    doc, rows = c.flows('--no-scenario', trace, '--memory', '2M')
    whole, _ = c.flows('--no-scenario', trace)
    flows = doc['flows']
    c.tap.check(flows['evicted'] > n // 2 and flows['total'] == n == len(rows) == sum(flows['observed'].values()) and
                sum(int(r['packets_there']) + int(r['packets_back']) for r in rows) == 2 * n and
                sorted(int(r['id']) for r in rows) == list(range(1, n + 1)),
                f'{n} flows in little memory: each is counted once', flows, len(rows))
    c.tap.check('evicted' not in whole['flows'] and whole['flows']['observed'] == flows['observed'] and
                whole['packets'] == doc['packets'], 'with room, none is evicted, and all verdicts are the same',
                whole['flows'], flows)
    returning(c)
    p = golden.run(c.fwdlab, 'analyze', '--no-scenario', trace, '--memory', '1k')
    golden.refused(c.tap, 'too little memory', p, '--memory')
    p = golden.run(c.fwdlab, 'analyze', '--no-scenario', trace, '--workers', '3')
    golden.refused(c.tap, 'too many workers', p, '--workers')


def returning(c):
    """Clients in a random order, who come again when they may be forgotten or about to be; each has datagrams of a size
    of its own, by which it shows that none was taken for another's."""
    rng = random.Random(6)
    clients = [rng.randrange(3000) for _ in range(40_000)]
    trace = c.folder / 'returning.pcap'
    trace.write_bytes(pcap((10**18 + i * 10_000, datagram(k, size=k)) for i, k in enumerate(clients)))
    doc, rows = c.flows('--no-scenario', trace, '--memory', '2M')
    wrong = [r for r in rows if int(r['bytes_there']) != int(r['packets_there']) * (28 + client_of(r))]
    c.tap.check(doc['flows']['evicted'] and not wrong and sum(int(r['packets_there']) for r in rows) == len(clients),
                'flows that come again: no packet is another one\'s', doc['flows'], len(wrong), *wrong[:3])


def client_of(row):
    return int(row['src'].split('.')[3]) << 8 | (int(row['sport']) - 1024)


def interrupted(c):
    """Ctrl-C while packets come, without an end."""
    data, out = conversations(2000), c.folder / 'interrupted.json'
    p = subprocess.Popen([str(c.fwdlab), 'analyze', '--no-scenario', '-', '-o', str(out)], stdin=subprocess.PIPE,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    timers = [threading.Timer(1, p.send_signal, [signal.SIGINT]), threading.Timer(60, p.kill)]
    for t in timers:
        t.start()
    try:
        p.stdin.write(data)
        while True:
            p.stdin.write(data[24:])
    except BrokenPipeError:
        pass
    try:
        p.communicate()
    except BrokenPipeError:
        p.wait()
    for t in timers:
        t.cancel()
    doc = json.loads(out.read_text()) if out.exists() else {}
    c.tap.check(p.returncode == 130 and doc.get('partial') is True and doc['packets']['read'] > 0,
                'Ctrl-C: what was found so far, as partial', p.returncode, doc.get('packets'))


def interrupted_idle(c):
    """Ctrl-C while nothing comes through stdin that stays open, plain and compressed, by one worker and two."""
    data = conversations(2000)
    for name, sent in (('plain', data), ('gz', gzip.compress(data))):
        for workers in '12':
            out = c.folder / f'idle-{name}-{workers}.json'
            command = [str(c.fwdlab), 'analyze', '--no-scenario', '--workers', workers, '-', '-o', str(out)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE) as p:
                p.stdin.write(sent)
                p.stdin.flush()
                timers = [threading.Timer(2, p.send_signal, [signal.SIGINT]), threading.Timer(60, p.kill)]
                for t in timers:
                    t.start()
                p.wait()
                for t in timers:
                    t.cancel()
            doc = json.loads(out.read_text()) if out.exists() else {}
            c.tap.check(p.returncode == 130 and doc.get('partial') is True and doc['packets']['read'] > 0,
                        f'Ctrl-C while stdin is idle, {name}, {workers} workers', p.returncode, doc.get('packets'))


def little_room():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def no_room(c):
    place = c.folder / 'room'
    place.mkdir()
    for option in ('-o', '--flows'):
        for name in ('old.csv', 'old.ipfix')[:1 + (option == '--flows')]:
            old = place / name
            old.write_text('the old one')
            p = golden.run(c.fwdlab, 'analyze', '--no-scenario', c.plain, option, old, preexec_fn=little_room)
            c.tap.check(p.returncode == 2 and name in p.stderr.decode() and old.read_text() == 'the old one' and
                        not [x for x in place.iterdir() if x.name.startswith(name + '.')],
                        f'{option} {name} where there is no room: the old one stands', p.returncode, p.stderr)


def terminal(c):
    """Progress with rate and time left on a terminal, and nowhere else."""
    trace = c.folder / 'long.pcap'
    trace.write_bytes(conversations(60_000))
    args = [str(c.fwdlab), 'analyze', '--no-scenario', str(trace), '-o', str(c.folder / 'long.json')]
    main, side = pty.openpty()
    p = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=side)
    os.close(side)
    said = b''
    while True:
        try:
            said += os.read(main, 4096)
        except OSError:
            break
    os.close(main)
    p.wait()
    last = said.decode().split('\r')[-1]
    c.tap.check(p.returncode == 0 and re.search(r'analyze: +\d+ %', said.decode()) and last == '\x1b[K',
                'progress on a terminal, wiped at the end', said)
    p = subprocess.run(args, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    c.tap.equal((p.returncode, p.stderr), (0, b''), 'none where there is no terminal')


def main(fwdlab):
    tap = golden.Tap()
    with tempfile.TemporaryDirectory() as folder:
        c = Case(tap, fwdlab, pathlib.Path(folder))
        for test in (forms, rotated, filtered, little_memory, interrupted, interrupted_idle, no_room, terminal):
            test(c)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
