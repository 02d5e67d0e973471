# SPDX-License-Identifier: BSD-3-Clause
"""TCP of every connection, segment by segment, against tshark's own analysis: the captures of ../shared (each remaining
difference stands in tcp-differences.tsv with its reason), and connections made at random, from a seed that is printed
(FWDLAB_SEED sets it)."""
import collections
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile

import golden

EVENTS = ('retransmission', 'fast_retransmission', 'spurious_retransmission', 'out_of_order', 'lost_segment',
          'keep_alive', 'duplicate_ack', 'zero_window')
# A fragment is no segment, what an ICMP error quotes was not sent, and some protocols above TCP split connections.
OPTIONS = ('-n', '-o', 'tcp.analyze_sequence_numbers:TRUE', '-o', 'ip.defragment:FALSE', '-o', 'ipv6.defragment:FALSE',
           '--disable-protocol', 'icmp', '--disable-protocol', 'icmpv6', '-d', 'tcp.port==0-65535,data')
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
Segment = collections.namedtuple('Segment', 'stream events rtt')


def tshark(path):
    """frame → Segment; rtt is None where tshark shows none."""
    fields = ('frame.number', 'tcp.stream', *(f'tcp.analysis.{e}' for e in EVENTS), 'tcp.analysis.initial_rtt')
    out = subprocess.run(['tshark', '-r', path, *OPTIONS, '-Y', 'tcp.len', '-T', 'fields', '-E', 'occurrence=l',
                          *(a for f in fields for a in ('-e', f))],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    rows = (line.split('\t') for line in out.splitlines())
    return {int(frame): Segment(int(stream), frozenset(e for e, value in zip(EVENTS, flags) if value),
                                round(float(rtt) * 1e9) if rtt else None)
            for frame, stream, *flags, rtt in rows}


def ours(tcp_count, path):
    out = subprocess.run([tcp_count, path], stdout=subprocess.PIPE, text=True).stdout
    rows = (line.split(maxsplit=4)[:4] for line in out.splitlines())
    return {int(frame): Segment(int(stream), frozenset(e for i, e in enumerate(EVENTS) if int(events) >> i & 1),
                                int(rtt))
            for frame, stream, events, rtt in rows}


def compare(got, want):
    """[(frame, what differs)]. Streams may be numbered otherwise, but must be the same sets of frames."""
    wrong = [(f, 'missing' if f in want else 'not a segment for tshark') for f in sorted(got.keys() ^ want.keys())]
    there, back = {}, {}
    for f in sorted(got.keys() & want.keys()):
        g, w = got[f], want[f]
        if there.setdefault(g.stream, w.stream) != w.stream or back.setdefault(w.stream, g.stream) != g.stream:
            wrong.append((f, f'in connection {g.stream}: tshark has {w.stream}'))
        elif g.events != w.events:
            wrong.append((f, f'{"+".join(sorted(g.events)) or "-"}, not {"+".join(sorted(w.events)) or "-"}'))
        elif w.rtt is not None and g.rtt != w.rtt:
            wrong.append((f, f'round trip {g.rtt}, not {w.rtt}'))
    return wrong


class Connection:
    """One pair of ports and what might be captured of it: packets are lost, repeated, reordered, ports used again."""
    NAPS = (0, 10_000, 100_000, 2_999_000, 3_001_000, 19_000_000, 21_000_000, 300_000_000)

    def __init__(self, rng, port):
        self.rng, self.port, self.now, self.late = rng, port, 10**18 + rng.randrange(10**9), []
        self.window, self.sent, self.packets = [65535, 65535], [[], []], []
        self.next = [self.number(), self.number()]
        self.acks = list(self.next[::-1])
        self.step = rng.choice((10_000, 1_000_000, 30_000_000))

    def number(self):
        return self.rng.choice((self.rng.randrange(2**32), 2**32 - self.rng.randrange(1, 4000)))

    def put(self, way, seq, ack, flags, size=0, lost=0.03):
        self.now += self.rng.choice(self.NAPS) if self.rng.random() < 0.2 else self.rng.randrange(self.step)
        p = (self.now, way, seq % 2**32, ack % 2**32, flags, size, self.window[way])
        draw = self.rng.random()
        if draw < lost:
            return
        if draw < lost + 0.08:
            self.late.append((len(self.packets) + self.rng.randrange(1, 5), p))
            return
        self.packets.append(p)
        for due, p in [x for x in self.late if x[0] <= len(self.packets)]:
            self.late.remove((due, p))
            self.packets.append((self.now, *p[1:]))

    def send(self, way, flags, size=0):
        seq = self.next[way]
        self.sent[way] = (self.sent[way] + [(seq, flags, size)])[-8:]
        self.put(way, seq, self.acks[way] if flags & ACK else 0, flags, size)
        self.next[way] = (seq + size + bool(flags & (SYN | FIN))) % 2**32

    def handshake(self):
        whole = self.rng.random() < 0.8
        self.send(0, SYN)
        if whole:
            self.acks[1] = self.next[0]
            self.send(1, SYN | ACK)
            self.acks[0] = self.next[1]
            self.send(0, ACK)

    def act(self):
        rng, way = self.rng, self.rng.randrange(2)
        draw = rng.random()
        if draw < 0.35:
            self.send(way, ACK | PSH, rng.choice((1, 2, 100, 1448, 1448, 1448)))
        elif draw < 0.55:
            self.acks[way] = rng.choice((self.next[not way], self.acks[way], self.acks[way],
                                         *(seq for seq, _, _ in self.sent[not way])))
            self.put(way, self.next[way], self.acks[way], ACK)
        elif draw < 0.65:
            for _ in range(rng.randrange(1, 5)):
                self.put(way, self.next[way], self.acks[way], ACK)
        elif draw < 0.80 and self.sent[way]:
            seq, flags, size = rng.choice(self.sent[way])
            self.put(way, seq, self.acks[way] if flags & ACK else 0, flags, rng.choice((size, size, size // 2)))
        elif draw < 0.85: # fast
            for _ in range(rng.randrange(1, 4)):
                self.put(way, self.next[way], self.acks[way], ACK)
            self.put(not way, self.acks[way], self.acks[not way], ACK, rng.choice((1, 100, 1448)))
        elif draw < 0.89:
            self.put(way, self.next[way] - 1, self.acks[way], ACK, rng.randrange(3))
            self.put(not way, self.next[not way], self.acks[not way], ACK)
        elif draw < 0.93:
            self.window[way] = rng.choice((0, 0, 1000, 65535))
            self.put(way, self.next[way], self.acks[way], ACK)
            if not self.window[way]:
                self.put(not way, self.next[not way], self.acks[not way], ACK, 1)
                self.put(way, self.next[way], self.acks[way], ACK)
        elif draw < 0.96:
            self.next[way] = (self.next[way] + rng.choice((1, 2, 100, 1448))) % 2**32 # was not captured
        elif draw < 0.97:
            self.send(way, FIN | ACK, rng.choice((0, 0, 100)))
        elif draw < 0.98:
            self.put(way, self.next[way] + rng.randrange(3) * 100, self.acks[way], rng.choice((RST, RST | ACK)))
        elif draw < 0.99: # numbers of old
            seq, flags, size = (self.sent[way] or [(self.next[way], ACK, 0)])[0]
            self.put(way, seq, self.acks[way], rng.choice((SYN, SYN | ACK, FIN, FIN | ACK, ACK)), size)
        else:
            self.next[0] = self.number()
            self.sent = [[], []]
            if rng.random() < 0.5:
                self.next[1] = self.number()
            self.handshake()

    def play(self, n):
        if self.rng.random() < 0.8:
            self.handshake()
        while len(self.packets) < n:
            self.act()
        return self.packets


def write(path, rng, count):
    """So many connections, mixed in the order of time; raw IP, nanoseconds, both families."""
    packets = []
    for port in range(1, count + 1):
        packets += [(p[0], i, port, p) for i, p in enumerate(Connection(rng, port).play(rng.randrange(2, 60)))]
    with open(path, 'wb') as f:
        f.write(struct.pack('<IHHiIII', 0xa1b23c4d, 2, 4, 0, 0, 96, 101))
        for now, _, port, (_, way, seq, ack, flags, size, window) in sorted(packets):
            ports = (port, 443) if way == 0 else (443, port)
            tcp = struct.pack('!HHIIBBHHH', *ports, seq, ack, 0x50, flags, window, 0, 0)
            ends = (b'\xc0\0\2\1', b'\xc0\0\2\2') if port % 2 else (bytes(15) + b'\1', bytes(15) + b'\2')
            ends = ends[0] + ends[1] if way == 0 else ends[1] + ends[0]
            ip = (struct.pack('!BBHHHBBH', 0x45, 0, 40 + size, 0, 0, 64, 6, 0) if port % 2 else
                  struct.pack('!IHBB', 0x60000000, 20 + size, 6, 64)) + ends
            frame = ip + tcp
            f.write(struct.pack('<IIII', *divmod(now, 10**9), len(frame), len(frame) + size) + frame)


def random_connections(tap, tcp_count, folder, seed, count):
    path = folder / f'random-{seed}.pcap'
    write(path, random.Random(seed), count)
    got, want = ours(tcp_count, path), tshark(path)
    wrong = compare(got, want)
    said = collections.Counter(e for s in want.values() for e in s.events)
    streams = len({s.stream for s in want.values()}) # ports are used again
    tap.check(not wrong and streams > count and len(said) == len(EVENTS),
              f'{count} random connections of seed {seed}: {len(want)} segments, {sum(said.values())} events',
              f'{len(wrong)} differ', *(f'frame {f}: {w}' for f, w in wrong[:20]), said)


def known():
    """name → {frames}, or None for all: the differences that are explained."""
    table = pathlib.Path(__file__).parent / 'tcp-differences.tsv'
    rows = (line.split('\t') for line in table.read_text().splitlines() if line and not line.startswith('#'))
    return {name: None if frames == '*' else {int(f) for f in frames.split(',')} for name, frames, _ in rows}


def captures(tap, tcp_count, data, folders):
    explained = known()
    for folder in folders:
        files = sorted(p for p in (data / folder).rglob('*') if p.is_file()) if (data / folder).is_dir() else []
        if not files:
            tap.skip(folder, f'there is no {data / folder}: set FWDLAB_SHARED')
        for path in files:
            name = f'{folder}/{path.relative_to(data / folder)}'
            got, want = ours(tcp_count, path), tshark(path)
            wrong = compare(got, want)
            frames = explained.get(name, set())
            tap.check({f for f, _ in wrong} == frames if frames is not None else want and not got,
                      f'{name}: {len(want)} segments, {sum(len(s.events) for s in want.values())} events',
                      f'{len(wrong)} differ', *(f'frame {f}: {w}' for f, w in wrong[:20]))


def main(tcp_count, *folders):
    tap = golden.Tap()
    if not shutil.which('tshark'):
        tap.skip('tcp', 'there is no tshark')
        return tap.done()
    seed = int(os.environ.get('FWDLAB_SEED', random.randrange(10**6)))
    with tempfile.TemporaryDirectory() as folder:
        random_connections(tap, tcp_count, pathlib.Path(folder), seed, 300)
    data = pathlib.Path(os.environ.get('FWDLAB_SHARED', '../shared')) / 'data' / 'pcap'
    captures(tap, tcp_count, data, folders or ('15-tcp', '01-mix'))
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
