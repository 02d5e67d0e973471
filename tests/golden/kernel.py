# SPDX-License-Identifier: BSD-3-Clause
"""
The kernel as the referee. For every packet that entered the host in a committed capture, the core's decision is
compared with what the kernel did with it:

forward   the packet was seen again as it left: by which interface, with which addresses and ports. A port (or ICMP
          identifier) that the kernel's NAT chose may be another one in the core, then one-to-one for each remote end.
deliver   it was not, and its destination, as conntrack had it, is the host's own or a broadcast.
drop      neither; a TTL that expired by the ICMP error that the host sent.

Its counters and its answers to `ip route get` must agree too.
Differences that have a reason are rules below, and their counts stand in kernel-reasons.tsv: a difference without a
rule, or a count that is not the table's, fails. After new captures: kernel.py FWDLAB --accept
"""
import ipaddress
import json
import pathlib
import re
import sys
import tempfile
from collections import Counter, defaultdict, deque

import golden
from capture import ICMP, INBOUND, OUTBOUND, TCP, UDP, Ip, decompressed, frames, reverse

TABLE = pathlib.Path(__file__).resolve().parent / 'kernel-reasons.tsv'
STAY_NS = 5_000_000_000


class Packet:
    """One that entered the host. `copy`: as it left; `kind`, `tuple`, `out`: what the kernel did."""
    __slots__ = ('frame', 'ip', 'copy', 'kind', 'out', 'tuple', 'error')

    def __init__(self, frame, ip):
        self.frame, self.ip, self.copy, self.error = frame, ip, None, None


class Kernel:
    """Its tables: local addresses, and the tuples of its connections, both ways."""

    def __init__(self, folder):
        routes = (folder / 'routes.txt').read_text()
        self.addresses = set(re.findall(r'^local (\S+) dev', routes, re.M))
        self.local = self.addresses | set(re.findall(r'^broadcast (\S+) dev', routes, re.M)) | {'255.255.255.255'}
        self.final = {}  # tuple as it arrives → destination after translation
        numbers = {'icmp': ICMP, 'tcp': TCP, 'udp': UDP}
        for line in decompressed(folder / 'conntrack.txt.zst').decode().splitlines():
            proto = re.search(r'\b(icmp|tcp|udp)\b', line)
            ends = re.findall(r'src=(\S+) dst=(\S+) (?:type=\d+ code=\d+ id=(\d+)|sport=(\d+) dport=(\d+))', line)
            if not proto or len(ends) != 2:
                continue
            there, back = ((numbers[proto[1]], src, int(i or s), dst, int(d or 0)) for src, dst, i, s, d in ends)
            self.final[there], self.final[back] = back[1], there[1]
        self.nstat = json.loads((folder / 'drops.json').read_text())['nstat']['hyperv']

    def destination(self, ip):
        if ip.is_error():
            return self.final.get(reverse(ip.quoted().tuple), ip.dst)
        return self.final.get(ip.tuple, ip.dst)


def ipv4_of(frame):
    return Ip(frame.data[14:]) if frame.data[12:14] == b'\x08\x00' else None


def join(data):
    """The packets that entered, each with its copy if it has one; and what left without having entered."""
    entered, own, waiting = [], [], defaultdict(deque)
    everything = [(f, ipv4_of(f)) for f in frames(data)]
    for frame, ip in sorted((x for x in everything if x[1]), key=lambda x: (x[0].time, x[0].number)):
        key = ip.invariant()
        if frame.direction == INBOUND:
            p = Packet(frame, ip)
            entered.append(p)
            waiting[key].append(p)
        elif frame.direction == OUTBOUND:
            for p in waiting[key]:
                if p.ip.ttl == ip.ttl + 1 and frame.time - p.frame.time < STAY_NS and \
                        (p.ip.src == ip.src or p.ip.dst == ip.dst):
                    p.copy = (frame, ip)
                    waiting[key].remove(p)
                    break
            else:
                own.append((frame, ip))
        else:
            raise ValueError(f'frame {frame.number}: no direction')
    return entered, own


def quote_errors(entered, own, kernel):
    """The host's own ICMP errors belong to the packets that they quote."""
    by_id = defaultdict(list)
    for p in entered:
        by_id[p.ip.id, p.ip.proto, p.ip.length].append(p)
    for frame, ip in own:
        if ip.is_error() and ip.src in kernel.addresses:
            q = ip.quoted()
            for p in by_id[q.id, q.proto, q.length]:
                same = p.ip.l4[4:8] == q.l4[4:8] and (p.ip.src, p.ip.dst) == (q.src, q.dst)
                if not p.error and not p.copy and same and p.frame.time <= frame.time:
                    p.error = (ip.l4[0], ip.l4[1])
                    break


def referee(variant):
    """What the kernel did with each packet that entered."""
    kernel = Kernel(golden.kernel(variant))
    entered, own = join(decompressed(golden.trace(variant)))
    quote_errors(entered, own, kernel)
    for p in entered:
        p.out, p.tuple = '', p.ip.tuple
        if p.copy:
            p.kind, p.out, p.tuple = 'forward', p.copy[0].interface, p.copy[1].tuple
        else:
            p.kind = 'deliver' if kernel.destination(p.ip) in kernel.local else 'drop'
            p.tuple = (*p.tuple[:3], kernel.destination(p.ip), p.tuple[4])
    return kernel, entered, own


class Ports:
    """Source ports as packets left: the kernel's and the core's, one-to-one for each address and remote endpoint."""

    def __init__(self):
        self.there, self.back, self.translated, self.differ = {}, {}, set(), 0

    def match(self, packet, core):
        proto, src, sport, dst, dport = packet.tuple
        if (core[0], core[1], core[3], core[4]) != (proto, src, dst, dport):
            return False
        translated = packet.ip.tuple[1:3] != (src, sport)
        if core[2] != sport and not translated:
            return False
        end = (proto, src, dst, dport)
        if translated:
            self.translated.add((end, sport))
            self.differ += core[2] != sport
        return self.there.setdefault((end, sport), core[2]) == core[2] and \
            self.back.setdefault((end, core[2]), sport) == sport


def agree(packet, core, ports):
    if packet.kind != core['verdict']:
        return False
    if packet.kind == 'forward':
        return packet.out == core['out'].lower() and ports.match(packet, core['tuple'])
    if packet.kind == 'deliver':
        return packet.tuple[3] == core['dst']
    if packet.kind == 'drop':  # the one reason that the wire tells: the host says so to the sender
        return (packet.error == (11, 0)) == (core['reason'] == 'ttl-expired')
    return False


# name, reason, predicate(packet, the core's row)
RULES = (
    ('no-neighbour', 'nobody answers ARP for the next hop: the kernel drops what it had routed and tells the sender '
     '(host unreachable); the core at one node decides where to, and has no neighbours',
     lambda p, core: p.kind == 'drop' and core['verdict'] == 'forward' and p.error == (3, 1)),
)


def rule_of(packet, core):
    return next((name for name, _, fits in RULES if fits(packet, core)), None)


def describe(packet, core):
    def flow(t):
        return '%u %s:%u → %s:%u' % t
    return (f'frame {packet.frame.number} on {packet.frame.interface}: {flow(packet.ip.tuple)} ttl {packet.ip.ttl} '
            f'id {packet.ip.id} {packet.ip.length} bytes\n'
            f'  kernel: {packet.kind} {packet.out} {flow(packet.tuple)} error {packet.error}\n'
            f'  core:   {core["verdict"]} {core["reason"]} {core["out"]} {flow(core["tuple"])}')


def surplus(entered, core):
    """Fragments that the kernel's counters count once a datagram, by the core's verdict."""
    datagrams, fragments = {}, Counter()
    for p in entered:
        if p.ip.is_fragment():
            verdict = core[p.frame.number]['verdict']
            fragments[verdict] += 1
            datagrams[p.ip.id, p.ip.src, p.ip.dst, p.ip.proto] = verdict
    return fragments - Counter(datagrams.values())


def compare(tap, fwdlab, variant, folder):
    """Returns how many packets were compared, and the count of each rule."""
    kernel, entered, own = referee(variant)
    rows = folder / f'{variant}.csv'
    packets = golden.analyze(fwdlab, golden.scenario(variant), rows)['packets']
    core = golden.decisions(rows)
    tap.equal(sorted(core), sorted(p.frame.number for p in entered), f'{variant}: the core got what entered the host')
    joined = sum(p.copy is not None for p in entered)
    tap.equal((packets['copies'] - packets['own'], packets['own']), (joined, len(own)),
              f'{variant}: joined copies, and what the host sent itself, are those of the second reader')
    ports, same, compared, rules, unexplained = Ports(), Counter(), Counter(), Counter(), []
    for p in entered:
        row = core.get(p.frame.number)
        if not row:
            continue
        compared[p.kind] += 1
        if agree(p, row, ports):
            same[p.kind] += 1
            continue
        rule = rule_of(p, row)
        if rule:
            rules[rule] += 1
        else:
            unexplained.append(describe(p, row))
    tap.check(not unexplained, f'{variant}: {sum(compared.values())} packets compared, {sum(same.values())} agree, '
              f'{sum(rules.values())} differ with a reason', f'{len(unexplained)} without one', *unexplained[:10])
    tap.note(*(f'{variant}: {kind}: {compared[kind]} compared, {same[kind]} agree' for kind in sorted(compared)),
             f'{variant}: {len(ports.translated)} translated source ports, one-to-one; {ports.differ} packets left '
             'with another port than the kernel chose')
    more = surplus(entered, core)
    counters = {'IpInReceives': packets['injected'], 'IpForwDatagrams': packets['forwarded'] - more['forward'],
                'IpInDelivers': packets['delivered'] - more['deliver'],
                'IpInHdrErrors': packets['dropped'].get('ttl-expired', 0)}
    tap.equal(counters, {name: kernel.nstat.get(name, 0) for name in counters},
              f'{variant}: the core counts what the kernel counted')
    return sum(compared.values()), rules


def lookup(routes, address):
    """The route that wins among a node's effective ones: longest prefix, then lowest metric."""
    fits = [r for r in routes if not r['hidden_by'] and address in ipaddress.ip_network(r['prefix'])]
    return min(fits, key=lambda r: (-ipaddress.ip_network(r['prefix']).prefixlen, r['metric']), default=None)


def compare_routes(tap, fwdlab, variant):
    """The kernel's answers to `ip route get` against the node's effective routes."""
    nodes = golden.document(fwdlab, 'check', golden.scenario(variant))['nodes']
    routes = next(n['routes'] for n in nodes if n['name'] == 'hyperv')
    asked = [json.loads(line) for line in (golden.kernel(variant) / 'lookups.json').read_text().splitlines()]
    wrong = []
    for q in asked:
        route = lookup(routes, ipaddress.ip_address(q['to'])) or {}
        if q.get('type') == 'local':
            same = route.get('kind') == 'local'
        else:
            dev = (route.get('dev') or '').lower()
            same = 'kind' not in route and (dev, route.get('via')) == (q['dev'], q.get('gateway'))
        if not same:
            wrong.append(f'kernel {q}\n  core {route}')
    tap.check(asked and not wrong, f'{variant}: the effective routes answer {len(asked)} lookups as the kernel does',
              *wrong[:5])


def read_table():
    lines = [line.split('\t') for line in TABLE.read_text().splitlines() if line and not line.startswith('#')]
    return {(variant, rule): (reason, int(count)) for variant, rule, reason, count in lines[1:]}


def write_table(found):
    reasons = {name: reason for name, reason, _ in RULES}
    with TABLE.open('w') as f:
        f.write('variant\trule\treason\tcount\n')
        for (variant, rule), count in found.items():
            f.write(f'{variant}\t{rule}\t{reasons[rule]}\t{count}\n')


def main(fwdlab, *options):
    tap, found, total = golden.Tap(), {}, 0
    with tempfile.TemporaryDirectory() as folder:
        for variant in golden.VARIANTS:
            compare_routes(tap, fwdlab, variant)
            n, rules = compare(tap, fwdlab, variant, pathlib.Path(folder))
            found.update({(variant, rule): count for rule, count in sorted(rules.items())})
            total += n
    tap.note(f'all variants: {total} packets compared, {sum(found.values())} differ with a reason')
    if '--accept' in options:
        write_table(found)
    table = read_table()
    for variant in golden.VARIANTS:
        tap.equal({rule: n for (v, rule), n in found.items() if v == variant},
                  {rule: n for (v, rule), (_, n) in table.items() if v == variant},
                  f'{variant}: the differences are those of kernel-reasons.tsv')
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
