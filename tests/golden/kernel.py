# SPDX-License-Identifier: BSD-3-Clause
"""
The kernel as the referee. For every packet that entered the host in a committed capture, the core's decision is
compared with what the kernel did with it:

forward   the packet was seen again as it left, whole or in pieces: by which interface, with which addresses and ports,
          in how many. A port (or ICMP identifier) that the kernel's NAT chose may be another one in the core, then
          one-to-one for each remote end.
deliver   it was not, and its destination, as conntrack had it, is the host's own, a broadcast, or IPv6's anycast.
drop      neither; with the ICMP or ICMPv6 error that the host sent about it: its type, code, and by which interface.

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
from collections import Counter, defaultdict

import golden
from capture import ICMP, TCP, UDP, decompressed, reverse
from join import join

TABLE = pathlib.Path(__file__).resolve().parent / 'kernel-reasons.tsv'
NO_NEIGHBOUR, TIME_EXCEEDED = {4: (3, 1), 6: (1, 3)}, {4: (11, 0), 6: (3, 0)}
LIMIT, REFILL_NS = 6, 1_000_000_000  # Linux' default limit of ICMP errors to a destination: so many, and one a second


class Kernel:
    """Its tables: local addresses, and the tuples of its connections, both ways."""

    def __init__(self, folder):
        routes = (folder / 'routes.txt').read_text()
        self.addresses = set(re.findall(r'^local (\S+) dev', routes, re.M))
        self.local = self.addresses | {'255.255.255.255'} | \
            set(re.findall(r'^(?:broadcast|anycast) (\S+) dev', routes, re.M))
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


def quote_errors(entered, own, kernel):
    """The host's own ICMP errors belong to the packets that they quote."""
    by_id = defaultdict(list)
    for p in entered:
        by_id[p.ip.id, p.ip.proto, p.ip.length].append(p)
    for frame, ip in own:
        if ip.is_error() and ip.src in kernel.addresses:
            q = ip.quoted()
            for p in by_id[q.id, q.proto, q.length]:
                same = p.ip.l4[4:8] == q.l4[4:8] and p.ip.tuple == q.tuple
                if not p.error and not p.copy and same and p.frame.time <= frame.time:
                    p.error = (ip.l4[0], ip.l4[1], frame.interface)
                    break


def limit_errors(entered):
    """Which time-exceeded errors Linux' default limit would have kept back (the lab turns it off)."""
    buckets = {}
    for p in entered:
        if p.kind == 'drop' and p.error and p.error[:2] == TIME_EXCEEDED[p.ip.version]:
            tokens, last = buckets.get(p.ip.src, (LIMIT, p.frame.time))
            tokens = min(LIMIT, tokens + (p.frame.time - last) / REFILL_NS)
            p.limited = tokens < 1
            buckets[p.ip.src] = tokens - (not p.limited), p.frame.time


def referee(variant):
    """What the kernel did with each packet that entered."""
    kernel = Kernel(golden.kernel(variant))
    entered, own, pieces = join(decompressed(golden.trace(variant)))
    quote_errors(entered, own, kernel)
    for p in entered:
        p.out, p.tuple = '', p.ip.tuple
        if p.copy:
            p.kind, p.out, p.tuple = 'forward', p.copy[0].interface, p.copy[1].tuple
            if p.ip.offset:  # of a datagram that was cut anew: the first piece has ports, this one has none
                p.tuple = (*p.tuple[:2], 0, p.tuple[3], 0)
        else:
            p.kind = 'deliver' if kernel.destination(p.ip) in kernel.local else 'drop'
            p.tuple = (*p.tuple[:3], kernel.destination(p.ip), p.tuple[4])
    limit_errors(entered)
    return kernel, entered, own, pieces


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


def where(packet, core, ports):
    return packet.out == core['out'].lower() and ports.match(packet, core['tuple'])


def core_error(core):
    """As Packet.error. The wire tells no other reason."""
    return (*map(int, core['error'].split('/')), core['error_out'].lower()) if core['error'] else None


def agree(packet, core, ports):
    if packet.kind != core['verdict']:
        return False
    if packet.kind == 'forward':
        return packet.pieces == int(core['fragments']) and where(packet, core, ports)
    if packet.kind == 'deliver':
        return packet.tuple[3] == core['dst']
    return packet.kind == 'drop' and packet.error == core_error(core)


def pieces_of(ip, piece):
    """In how many pieces a packet leaves of which a piece, not the last one, is as long as it may be."""
    return -(-len(ip.l4) // len(piece.l4))


# name, reason, predicate(packet, the core's row, the ports so far)
RULES = (
    ('no-neighbour', 'nobody answers ARP for the next hop: the kernel drops what it had routed and tells the sender '
     '(host unreachable); the core at one node decides where to, and has no neighbours',
     lambda p, core, ports: p.kind == 'drop' and core['verdict'] == 'forward' and p.error and
     p.error[:2] == NO_NEIGHBOUR[p.ip.version]),
    ('rate-limited', 'the kernel tells the sender of every expired TTL, for the lab turns its limit off; the core has '
     'Linux\' default limit, 6 errors to a destination and one more each second',
     lambda p, core, ports: p.limited and core['reason'] == 'ttl-expired' and not core['error']),
    ('reassembled', 'connection tracking puts a datagram together, and the kernel cuts the whole anew for a smaller '
     'MTU; the core, as RFC 791 has routers do it, cuts each fragment that is too long for itself',
     lambda p, core, ports: p.kind == core['verdict'] == 'forward' and p.pieces is None and where(p, core, ports) and
     int(core['fragments']) == pieces_of(p.ip, p.copy[1])),
)


def rule_of(packet, core, ports):
    return next((name for name, _, fits in RULES if fits(packet, core, ports)), None)


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


def counters(version, entered, core, nstat):
    """What the core did with the packets of a version, as the kernel's own counters would count it."""
    of = [p for p in entered if p.ip.version == version and p.frame.number in core]
    rows = [core[p.frame.number] for p in of]
    verdicts, reasons, more = Counter(r['verdict'] for r in rows), Counter(r['reason'] for r in rows), surplus(of, core)
    forwarded, delivered = (verdicts[v] - more[v] for v in ('forward', 'deliver'))
    if version == 4:  # RFC 4293 counts what is too big as forwarded
        return {'IpInReceives': len(rows), 'IpForwDatagrams': forwarded + reasons['too-big'],
                'IpInDelivers': delivered, 'IpInHdrErrors': reasons['ttl-expired'], 'IpFragFails': reasons['too-big']}
    found = sum(nstat.get('Icmp6InNeighbor' + name, 0) for name in ('Solicits', 'Advertisements'))
    return {'Ip6OutForwDatagrams': verdicts['forward'], 'Ip6InDelivers': delivered + found,
            'Ip6InHdrErrors': reasons['ttl-expired']}


def compare_pieces(tap, variant, own, pieces):
    """Each but the last as long as the MTU lets it, in steps of 8 bytes (RFC 791, 3.2); the host told the MTU."""
    if pieces:
        told = {int.from_bytes(ip.l4[6:8], 'big') for _, ip in own if ip.is_error() and ip.l4[:2] == b'\3\4'}
        tap.equal({len(ip.l4) for _, ip in pieces if ip.more}, {(mtu - 20) // 8 * 8 for mtu in told},
                  f'{variant}: {len(pieces)} pieces left, each but the last as long as an MTU of {told} lets it')


def compare(tap, fwdlab, variant, folder):
    """Returns how many packets were compared, and the count of each rule."""
    kernel, entered, own, pieces = referee(variant)
    rows = folder / f'{variant}.csv'
    packets = golden.analyze(fwdlab, golden.scenario(variant), rows)['packets']
    core = golden.decisions(rows)
    tap.equal(sorted(core), sorted(p.frame.number for p in entered), f'{variant}: the core got what entered the host')
    joined = sum(p.pieces == 1 for p in entered) + len(pieces)
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
        rule = rule_of(p, row, ports)
        if rule:
            rules[rule] += 1
        else:
            unexplained.append(describe(p, row))
    tap.check(not unexplained, f'{variant}: {sum(compared.values())} packets compared, {sum(same.values())} agree, '
              f'{sum(rules.values())} differ with a reason', f'{len(unexplained)} without one', *unexplained[:10])
    tap.note(*(f'{variant}: {kind}: {compared[kind]} compared, {same[kind]} agree' for kind in sorted(compared)),
             f'{variant}: {len(ports.translated)} translated source ports, one-to-one; {ports.differ} packets left '
             'with another port than the kernel chose')
    compare_pieces(tap, variant, own, pieces)
    for version in {p.ip.version for p in entered}:
        mine = counters(version, entered, core, kernel.nstat)
        tap.equal(mine, {name: kernel.nstat.get(name, 0) for name in mine},
                  f'{variant}: the core counts the packets of IPv{version} that the kernel counted')
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
