# SPDX-License-Identifier: BSD-3-Clause
"""
Captures of two points joined a second time, from tshark's fields: the same flows under the same two names, and as many
packets joined as both captures have, whose checksum tshark finds right in both proved. Skipped, and said so, without
FWDLAB_SHARED or tshark.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections import Counter, defaultdict, deque

import golden

FIELDS = ('ip.src', 'ip.dst', 'ip.proto', 'ip.id', 'tcp.srcport', 'tcp.dstport', 'tcp.seq_raw', 'tcp.ack_raw',
          'tcp.flags', 'tcp.len', 'tcp.payload', 'tcp.checksum.status', 'udp.srcport', 'udp.dstport', 'udp.payload',
          'udp.checksum.status', 'icmp.type', 'icmp.seq', 'icmp.ident', 'data.data', 'icmp.checksum.status',
          'frame.time_epoch')
GOOD = '1'
PROTO = {'6': 'tcp', '17': 'udp', '1': 'icmp'}
ERRORS = '3', '4', '5', '11', '12'
# inside, outside, is there a NAT between
PAIRS = (('02-nat/NAT_home_side.pcap', '02-nat/NAT_ISP_side.pcap', True),
         ('03-twopoint/3-8-tux34-eth0.pcapng', '03-twopoint/3-8-tux34-eth1.pcapng', False),
         ('03-twopoint/exp4.3.pcapng', '03-twopoint/tux4__exp4.3.pcapng', False),
         ('03-twopoint/mail_sender_client_1.pcapng', '03-twopoint/mail_sender_server_2.pcapng', False))
# what tcprewrite made of one capture: addresses and ports of one side, in no flow of both
REWRITTEN = (('test2.rewrite_pnat', 'ports stay', lambda a, b: a[1] == b[1] and a[0] != b[0]),
             ('test2.rewrite_portmap', 'addresses stay', lambda a, b: a[0] == b[0] and a[1] != b[1]))


class Packet:
    """Its flow, and what translation leaves alone. An ICMP error is of the flow that it quotes."""

    def __init__(self, f):
        proto = PROTO[f['ip.proto'][0]]
        error = proto == 'icmp' and f['icmp.type'][0] in ERRORS
        which = 1 if error else 0
        inner = PROTO[f['ip.proto'][which]]
        ports = (f[f'{inner}.srcport'][0], f[f'{inner}.dstport'][0]) if inner != 'icmp' else (f['icmp.ident'][0],) * 2
        self.ends = f['ip.src'][which], f['ip.dst'][which]
        self.flow = (inner, *(f'{end}:{port}' for end, port in zip(self.ends, ports)))
        self.good, self.time = f[f'{proto}.checksum.status'][0] == GOOD, float(f['frame.time_epoch'][0])
        if error:
            self.key = f['icmp.type'][0], f['ip.id'][1]
        elif proto == 'tcp':
            self.key = tuple(f[f'tcp.{k}'][0] for k in ('seq_raw', 'ack_raw', 'flags', 'len', 'payload'))
        elif proto == 'udp':
            self.key = f['ip.id'][0], f['udp.payload'][0]
        else:
            self.key = f['ip.id'][0], f['icmp.type'][0], f['icmp.seq'][0], f['data.data'][0]
        self.key = proto, error, *self.key


def packets(path):
    p = subprocess.run(['tshark', '-n', '-r', str(path), '-Y', 'ip && (tcp || udp || icmp)', '-o',
                        'tcp.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE', '-T', 'fields', '-E',
                        'occurrence=a', '-E', 'aggregator=|', *(x for f in FIELDS for x in ('-e', f))],
                       check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return [Packet({k: v.split('|') for k, v in zip(FIELDS, line.split('\t'))}) for line in p.stdout.splitlines()]


def join(inside, outside):
    """One to one and in order, what has an address in common."""
    waiting, found = defaultdict(deque), []
    for p in inside:
        waiting[p.key].append(p)
    for q in outside:
        p = next((p for p in waiting[q.key] if p.ends[0] == q.ends[0] or p.ends[1] == q.ends[1]), None)
        if p:
            waiting[q.key].remove(p)
            found.append((p, q))
    return found


def canonical(pair):
    """A pair of names, whichever end is named first."""
    (proto, a, b), (_, c, d) = pair
    return min((proto, a, b, c, d), (proto, b, a, d, c))


def named(pair):
    if pair['proto'] == 'icmp':
        number = pair['inside'].split(':')[1]
        remote = f'{pair["remote"]}:{number}'
    else:
        remote = pair['remote']
    return canonical(((pair['proto'], pair['inside'], remote), (pair['proto'], pair['outside'], remote)))


def run(tool, *args):
    return json.loads(subprocess.run([tool, *map(str, args)], check=True, stdout=subprocess.PIPE).stdout)


def compare(tap, tool, data, inside, outside, translated):
    name = pathlib.Path(inside).stem
    found = join(packets(data / inside), packets(data / outside))
    proved = Counter(canonical((p.flow, q.flow)) for p, q in found if p.good and q.good)
    for order in ((), ('--then',)):
        doc = run(tool, *order, data / inside, data / outside)
        mine = {named(p): p for p in doc['pairs']}
        how = f'{name}{" one after the other" if order else ""}'
        tap.equal({k: p['proved'] for k, p in mine.items() if p['proved']}, dict(proved),
                  f'{how}: {len(proved)} flows, {sum(proved.values())} packets proved')
        tap.equal(doc['joined'], len(found), f'{how}: {len(found)} packets joined')
        tap.check(all((p['inside'] != p['outside']) == translated for p in mine.values()),
                  f'{how}: {"all" if translated else "none"} translated')
        tap.equal(doc['findings'], [], f'{how}: nobody is accused')
        ahead = sorted(q.time - p.time for p, q in found)
        middle = ahead[len(ahead) // 2] * 1e9
        tap.check(abs(doc['offset_ns'] - middle) < 5e6, f'{how}: the clocks are {middle / 1e9:.4f} s apart',
                  f'said {doc["offset_ns"]}')


def main(tool):
    tap = golden.Tap()
    data = pathlib.Path(os.environ.get('FWDLAB_SHARED', '../shared')) / 'data' / 'pcap'
    if not data.is_dir() or not shutil.which('tshark'):
        tap.skip('two points', f'there is no {data} or no tshark')
        return tap.done()
    for inside, outside, translated in PAIRS:
        compare(tap, tool, data, inside, outside, translated)
    original = data / '02-nat' / 'test__test.pcap'
    for name, what, right in REWRITTEN:
        doc = run(tool, original, data / '02-nat' / name)
        changed = [(p['inside'].rsplit(':', 1), p['outside'].rsplit(':', 1)) for p in doc['pairs']
                   if p['inside'] != p['outside']]
        tap.check(changed and all(right(a, b) for a, b in changed), f'{name}: {len(changed)} flows rewritten, {what}',
                  changed)
        tap.check(not doc['only_inside'] and not doc['only_outside'], f'{name}: every packet joined', doc['joined'])
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
