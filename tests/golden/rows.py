# SPDX-License-Identifier: BSD-3-Clause
"""
The rows N6, N8, N9, N10 and N12, IPv6, ICMP errors and MTU, filters, and `--force`: what `analyze`, `check` and
`explain` must say, with the second reader's counts beside it. And that each row N1-N12 has a test that names it.
"""
import ipaddress
import pathlib
import re
import sys
import tempfile

import golden
from capture import ICMP, ICMPV6, UDP, decompressed, frames, reverse
from findings import (ASYMMETRIC, AZURE_VMS, GUESTS, NIC1, ON_PREMISES, Variant, involves, way, within)
from join import ip_of

HOST_2_GUESTS, OUTSIDE = ipaddress.ip_network('10.0.4.0/24'), ipaddress.ip_network('192.168.50.0/24')
SPACE = ('10.0.0.0/22', '10.0.255.0/27')
SCOPE = [ipaddress.ip_address(a) for a in ('10.0.2.2', '10.0.2.254')]
DHCP_NAMES = {1: 'discover', 2: 'offer', 3: 'request', 4: 'decline', 5: 'ack', 6: 'nak', 7: 'release', 8: 'inform'}
VARIANTS = ('routed', 'without-route-table', 'dhcp', 'two-hosts', 'two-hosts-without-peer-route', 'onprem-gateway',
            'onprem-gateway-without-static', 'dual-stack', 'dual-stack-without-route-1-v6', 'small-mtu')

# Where each row is shown: the file, and words of a test's name.
ROWS = {'N1': ('findings.py', 'answers come back to the guest that asked'),
        'N2': ('findings.py', 'leave NIC2 as they are'),
        'N3': ('findings.py', 'explain takes'),
        'N4': ('findings.py', 'Route 1 is the proven mend'),
        'N5': ('findings.py', 'their own route by NIC2 is the proven mend'),
        'N6': ('rows.py', 'the missing association is the proven mend'),
        'N7': ('findings.py', 'NIC2 is named as the NIC whose IP forwarding is off'),
        'N8': ('rows.py', 'every lease is within the scope'),
        'N9': ('rows.py', 'the smaller plan limits'),
        'N10': ('rows.py', 'reach each other untranslated'),
        'N11': ('findings.py', 'the first of the two port maps wins'),
        'N12': ('rows.py', 'what the gateway announces')}


class Rows:
    """A shared analysis of each capture."""

    def __init__(self, tap, fwdlab, folder):
        self.tap, self.fwdlab, self.folder = tap, fwdlab, folder
        self.v = {name: Variant(fwdlab, name, folder) for name in VARIANTS}

    def explain(self, variant, start, end, *options):
        return golden.document(self.fwdlab, 'explain', golden.scenario(variant), '--from', start, '--to', end, *options)

    def routes(self, scenario, node, *options):
        nodes = golden.document(self.fwdlab, 'check', scenario, *options)['nodes']
        return next(n['routes'] for n in nodes if n['name'] == node)

    def write(self, name, text):
        path = self.folder / f'{name}.yaml'
        path.write_text(f'fwdlab: 1\nname: {name}\nbase: {golden.scenario("routed")}\n{text}')
        return path


def tuples(v, src, dst):
    """The untranslated flows from one network to another that the second reader finds among what arrived."""
    return {p.ip.tuple for p in v.entered if p.ip.version == src.version and within(p.ip.src, src) and
            within(p.ip.dst, dst) and not p.ip.is_error() and not p.ip.offset and
            (not p.copy or p.copy[1].tuple == p.ip.tuple)}


def last(walk):
    hops = walk['reverse'] or walk['forward']
    return hops[-1]['node'], hops[-1]['action'], hops[-1]['reason']


def without_route_table(r):
    v = r.v['without-route-table']
    lost = v.model('no_return_route')
    r.tap.check(lost and all(involves(f, GUESTS, AZURE_VMS) and f['cause']['node'] == 'nested-fun/azure-vms'
                             for f in lost),
                'N6 without-route-table: the answers of azure-vms are lost at its own gateway', *lost)
    r.tap.equal({(f['mend']['change'], f['mend']['node'], f['mend']['table'], f['mend']['proven']) for f in lost},
                {('associate', 'nested-fun/azure-vms', 'Routes-for-nested-VMs', True)},
                'N6 without-route-table: the missing association is the proven mend')
    r.tap.equal(sum(f['count'] for f in lost), len(tuples(v, GUESTS, AZURE_VMS)),
                'N6 without-route-table: as many flows as the second reader counts')
    r.tap.check(not any(within(p.ip.src, AZURE_VMS) and within(p.ip.dst, GUESTS) for p in v.entered) and
                v.platform['azure-vm-has-no-route-to-guests'] > 0,
                'N6 without-route-table: no answer ever arrived, the platform dropped them')
    walk = r.explain('without-route-table', 'guest1', 'azure-vm')
    r.tap.equal((walk['verdict'], last(walk)), ('no_return_route', ('nested-fun/azure-vms', 'drop', 'no-host')),
                'N6 without-route-table: explain shows the packet arrive and its answer end')


def messages(v):
    """(kind, DHCP message, IP packet) of each DHCP message in the capture, by the second reader."""
    for frame in frames(decompressed(golden.trace(v.name))):
        ip = ip_of(frame)
        if not ip or ip.proto != UDP or {ip.tuple[2], ip.tuple[4]} != {67, 68}:
            continue
        message, at = ip.l4[8:], 240
        while message[at] not in (53, 255):
            at += 2 + message[at + 1] if message[at] else 1
        yield DHCP_NAMES[message[at + 2]], message, ip


def dhcp(r):
    for v in r.v.values():
        told, kinds, granted = v.document['dhcp'], dict.fromkeys(DHCP_NAMES.values(), 0), set()
        for kind, message, _ in messages(v):
            kinds[kind] += 1
            if kind == 'ack' and any(message[16:20]):
                granted.add((str(ipaddress.ip_address(message[16:20])), message[28:34].hex(':')))
        r.tap.equal(told['messages'], kinds, f'N8 {v.name}: the DHCP messages are those of the second reader')
        r.tap.equal({(lease['address'], lease['mac']) for lease in told['leases']}, granted,
                    f'N8 {v.name}: the leases are those of the second reader')
        r.tap.check(granted and all(SCOPE[0] <= ipaddress.ip_address(a) <= SCOPE[1] for a, _ in granted),
                    f'N8 {v.name}: every lease is within the scope', granted)
        crossed = [d for p in v.entered if p.ip.proto == UDP and {p.ip.tuple[2], p.ip.tuple[4]} == {67, 68}
                   for d in [v.decisions[p.frame.number]] if d['verdict'] == 'forward' or p.copy]
        r.tap.check(not crossed and not told['forwarded'], f'N8 {v.name}: no DHCP message is forwarded', *crossed)
    doubled = {re.search(r'\d+\.\d+\.\d+\.\d+', f['text'])[0] for f in r.v['dhcp'].findings
               if f['source'] == 'dhcp' and f['verdict'] == 'duplicate_address'}
    r.tap.equal(doubled, duplicates(r.v['dhcp']), 'N8 dhcp: the duplicate addresses are those of the second reader')
    r.tap.equal([v.name for v in r.v.values() if v.document['dhcp']['duplicates']], ['dhcp'],
                'N8: no other capture has a duplicate')
    drifts = r.v['dhcp'].document['drifts']
    r.tap.check(drifts and all('10.0.2.5' in (d['flow']['src'], d['flow']['dst']) for d in drifts),
                'N8 dhcp: the flows whose answers go to another machine are those of a duplicate address', drifts)
    forced = golden.document(r.fwdlab, 'analyze', golden.scenario('dhcp-duplicate'), '--force')
    faults = [f for f in forced['findings'] if f['source'] == 'scenario']
    r.tap.equal(sorted(re.findall(r'address (\S+)', f['text'])[0] for f in faults),
                ['10.0.2.4', '10.0.2.5'], 'N8 dhcp-duplicate: what two machines of the scenario have is a finding too')
    refused = golden.run(r.fwdlab, 'check', golden.scenario('dhcp-duplicate'))
    r.tap.check(refused.returncode == 2 and b'guest3' in refused.stderr + refused.stdout,
                'N8 dhcp-duplicate: check refuses it, and names the machines')


def duplicates(v):
    """Addresses on the switch that two MACs have, by what they send or are granted; and the declined ones."""
    owners, declined = {}, set()
    for kind, message, _ in messages(v):
        if kind == 'ack' and any(message[16:20]):
            owners.setdefault(str(ipaddress.ip_address(message[16:20])), set()).add(message[28:34])
        elif kind == 'decline':
            at = message.index(b'\x32\x04', 240)
            declined.add(str(ipaddress.ip_address(message[at + 2:at + 6])))
    for p in v.entered:
        if p.frame.interface == 'switch' and within(p.ip.src, GUESTS):
            owners.setdefault(p.ip.src, set()).add(p.frame.data[6:12])
    return declined | {a for a, macs in owners.items() if len(macs) > 1}


def sizing(r):
    plan = golden.document(r.fwdlab, 'check', golden.scenario('routed'))['plan']
    room = {s['name'].split('/')[1]: s['usable'] for s in plan['subnets']}
    r.tap.equal([room[n] for n in ('ghosted', 'nat', 'hyper-v-lan')], [253, 251, 251],
                'N9 routed: 253 guests on the floating subnet, 251 hosts on each side')
    pair, = plan['pairs']
    r.tap.equal((pair['hosts_max'], pair['hosts_more'], plan['hosts'][0]['guests_max']), (251, 249, 253),
                'N9 routed: hosts in all and beside what is there, guests of the host')
    small = r.write('small-lan', 'networks: { nested-fun: { subnets: { hyper-v-lan: { prefix: 10.0.1.0/27 } } } }\n'
                    'machines: { hyperv: { nics: { NIC2: { address: 10.0.1.4/27 } } } }\n')
    pair, = golden.document(r.fwdlab, 'check', small)['plan']['pairs']
    r.tap.equal((pair['limit'], pair['hosts_max']), ('nested-fun/hyper-v-lan', 32 - 5),
                'N9 small-lan: the smaller plan limits')


def two_hosts(r):
    v = r.v['two-hosts']
    between = [(p.ip, v.decisions[p.frame.number]) for p in v.entered if
               (within(p.ip.src, GUESTS) and within(p.ip.dst, HOST_2_GUESTS)) or
               (within(p.ip.src, HOST_2_GUESTS) and within(p.ip.dst, GUESTS))]
    sent = [(ip, d) for ip, d in between if d['verdict'] == 'forward']
    r.tap.check(len(sent) > 100 and all((d['src'], d['dst']) == (ip.src, ip.dst) and
                d['out'] == ('NIC2' if within(ip.src, GUESTS) else 'switch') for ip, d in sent),
                f'N10 two-hosts: {len(sent)} packets between the guests of both leave as they are, by NIC2 or switch')
    walks = [r.explain('two-hosts', *ends) for ends in (('guest1', 'guest3'), ('guest3', 'guest2'))]
    r.tap.equal([(w['verdict'], w['translated']) for w in walks], [('symmetric', False)] * 2,
                'N10 two-hosts: the guests of both reach each other untranslated')
    v = r.v['two-hosts-without-peer-route']
    into = [f for f in v.findings if f['verdict'] == 'into_nat' and involves(f, GUESTS, HOST_2_GUESTS)]
    left = {p.ip.tuple for p in v.entered if within(p.ip.src, GUESTS) and within(p.ip.dst, HOST_2_GUESTS) and
            not (p.ip.is_error() or p.ip.offset) and
            (p.ip.ttl == 1 or (p.copy[0].interface, p.copy[1].src) == ('nic1', NIC1))}
    r.tap.check(len(into) == 1 and not into[0]['benign'] and '10.0.4.0/24' in into[0]['text'] and
                '0.0.0.0/0 via 10.0.0.1' in into[0]['text'] and into[0]['source'] == 'nat',
                'N10 two-hosts-without-peer-route: it goes into NAT by the default route, and that is said', *into)
    r.tap.equal(into[0]['count'] if into else 0, len(left),
                'N10 two-hosts-without-peer-route: as many flows as the capture shows leave NIC1 translated, or expire')
    lost = [f for f in v.model('asym_breaks') if involves(f, GUESTS, HOST_2_GUESTS)]
    r.tap.check(lost and all(way(f['mend']['route']) == ('10.0.4.0/24', '10.0.1.1', 'NIC2') and f['mend']['proven']
                             for f in lost),
                'N10 two-hosts-without-peer-route: the missing route is the proven mend', *lost)
    one_out(r)


def one_out(r):
    out = golden.document(r.fwdlab, 'analyze', golden.scenario('two-hosts-one-out'), golden.trace('two-hosts'))
    to = [f for f in out['findings'] if f['source'] == 'model' and within(f['flow']['dst'], HOST_2_GUESTS)]
    r.tap.check(to and all((f['verdict'], f['cause']['node'], f['reason']) ==
                           ('dropped', 'nested-fun/hyper-v-lan', 'no-host') for f in to),
                'N10 two-hosts-one-out: its guests are unroutable, at the network\'s gateway', *to)
    walks = [r.explain('two-hosts-one-out', start, '10.0.4.2') for start in ('guest1', 'azure-vm', 'onprem-pc')]
    r.tap.check(all(w['verdict'] == 'dropped' and w['forward'][-1]['reason'] in ('no-host', 'no-route') for w in walks),
                'N10 two-hosts-one-out: unroutable from everywhere', *(last(w) for w in walks))
    visits = [[h['node'] for h in w['forward']] for w in walks]
    r.tap.check('loop' not in str([out['findings'], out['packets'], walks]) and
                all(len(nodes) == len(set(nodes)) for nodes in visits), 'N10 two-hosts-one-out: nothing loops', *visits)


def on_premises(r):
    def origins(variant):
        return {(x['prefix'], x['origin']) for x in r.routes(golden.scenario(variant), 'on-premises')}
    r.tap.equal(origins('onprem-gateway'), {(str(ON_PREMISES), 'connected'), (str(OUTSIDE), 'static'),
                                            *((p, 'bgp') for p in SPACE)},
                'N12 onprem-gateway: what the gateway announces is there by BGP, the other range by a static route')
    r.tap.equal(origins('onprem-gateway') - origins('onprem-gateway-without-static'), {(str(OUTSIDE), 'static')},
                'N12 onprem-gateway-without-static: a range outside the network\'s space is not announced')
    v = r.v['onprem-gateway-without-static']
    lost = v.model('no_return_route')
    r.tap.check(lost and all(involves(f, OUTSIDE, ON_PREMISES) and f['cause']['node'] == 'on-premises' and
                             f['mend']['node'] == 'on-premises' and f['mend']['change'] == 'add' and f['mend']['proven']
                             and f['mend']['route']['prefix'] == str(OUTSIDE) for f in lost),
                'N12 onprem-gateway-without-static: no return route at on-premises, its static route is the mend',
                *lost)
    r.tap.equal(sum(f['count'] for f in lost), len(tuples(v, OUTSIDE, ON_PREMISES)),
                'N12 onprem-gateway-without-static: as many flows as the second reader counts')
    r.tap.check(not any(within(p.ip.src, ON_PREMISES) and within(p.ip.dst, OUTSIDE) for p in v.entered),
                'N12 onprem-gateway-without-static: the capture has no answer either')
    r.tap.equal(r.v['onprem-gateway'].model(*ASYMMETRIC), [], 'N12 onprem-gateway: no flow is asymmetric')
    walk = r.explain('onprem-gateway', 'onprem-pc', 'guest1')
    hop = next(h for h in walk['forward'] if h['node'] == 'nested-fun/GatewaySubnet')
    r.tap.equal((walk['verdict'], hop['route']['origin'], hop['route']['via']), ('symmetric', 'user', '10.0.1.4'),
                'N12 onprem-gateway: on-premises reaches the guests by the gateway subnet\'s route table')
    meet = r.write('meet', 'route_tables: { Routes-for-nested-VMs: {\n'
                   '  space: { prefix: 10.0.0.0/22, next_hop: 10.0.1.4 },\n'
                   '  on-premises: { prefix: 172.16.0.0/22, next_hop: 10.0.1.4 } } }\n'
                   'sites: { on-premises: { prefixes: [172.16.0.0/22, 0.0.0.0/0] } }\n')
    routes = r.routes(meet, 'nested-fun/azure-vms', '--force')  # what on-premises announces overlaps everything
    hidden = {(x['prefix'], x['origin'], x['hidden_by']['origin']) for x in routes if x['hidden_by']}
    r.tap.equal(hidden, {('10.0.0.0/22', 'system', 'user'), ('172.16.0.0/22', 'bgp', 'user'),
                         ('0.0.0.0/0', 'system', 'bgp')},
                'N12: user-defined before BGP before system, where prefixes are the same')


IPV6_ROUTES = {'azure-vm': 'Route 2 v6', 'nat-machine': 'Route 1 v6', 'onprem-pc': 'default'}


def ipv6(r):
    for to, name in IPV6_ROUTES.items():
        hop = next(h for h in r.explain('dual-stack', 'guest1', to, '--ipv6')['forward'] if h['node'] == 'hyperv')
        r.tap.equal(hop['route']['name'], name, f'IPv6 dual-stack: N3: explain takes {name} to {to}')
    pairs = {(x['from'], x['to']): x['works'] for x in r.v['dual-stack'].document['reachability_ipv6']}
    want = {(a, b): True for a in ('guest1', 'guest2') for b in ('azure-vm', 'onprem-pc')}
    r.tap.equal({k: pairs.get(k) for k in want}, want, 'IPv6 dual-stack: the guests reach the network and on-premises')
    v = r.v['dual-stack-without-route-1-v6']
    machine, nic1 = ipaddress.ip_network('fd00:a::10'), ipaddress.ip_network('fd00:a::4')
    found = [f for f in v.model(*ASYMMETRIC) if involves(f, machine, nic1)]
    r.tap.check(found and all(f['cause']['route']['name'] == 'Route 2 v6' and f['mend']['proven'] and
                              way(f['mend']['route']) == ('fd00:a::/64', 'fd00:a::1', 'NIC1') for f in found),
                'IPv6 dual-stack-without-route-1-v6: N4: Route 2 is the cause, Route 1 the proven mend', *found)
    r.tap.equal(sum(f['count'] for f in found), len(tuples(v, machine, nic1)),
                'IPv6 dual-stack-without-route-1-v6: N4: as many flows as the second reader counts')
    bad = [f for f in r.v['dual-stack'].model(*ASYMMETRIC) if involves(f, machine, nic1)]
    r.tap.equal(bad, [], 'IPv6 dual-stack: N4: with Route 1 none of them is asymmetric')
    untouched = [(p.ip, d) for p in v.entered if p.ip.version == 6 for d in [v.decisions[p.frame.number]]
                 if d['tuple'] != p.ip.tuple]
    r.tap.check(not untouched, 'IPv6 dual-stack-without-route-1-v6: no packet is translated', *untouched[:5])


def told_errors(r):
    """The host's own ICMP errors about what it dropped, by its captures, against those that the core made."""
    for name in ('small-mtu', 'dual-stack'):
        v = r.v[name]
        addresses = {ip.src for _, ip in v.own if not ip.is_error()} | {NIC1, '10.0.1.4', '10.0.2.1'}
        sent = sum(ip.is_error() and ip.src in addresses and kind in ((ICMP, 11, 0), (ICMP, 3, 4), (ICMPV6, 3, 0))
                   for _, ip in v.own for kind in [(ip.proto, *ip.l4[:2])])
        r.tap.equal(v.document['packets']['icmp_errors']['total'], sent,
                    f'ICMP {name}: the core tells senders of {sent} drops, as the host did')
    v = r.v['small-mtu']
    cut = [p for p in v.entered if p.pieces != 1 and p.copy and not p.ip.is_fragment()]
    r.tap.check(cut and all(int(v.decisions[p.frame.number]['fragments']) == p.pieces for p in cut),
                f'MTU small-mtu: {len(cut)} packets leave in as many pieces as the host made')
    walk = r.explain('small-mtu', 'guest1', 'azure-vm')
    r.tap.equal(walk['mtu']['forward'], 1400, 'MTU small-mtu: explain tells the path\'s')
    big = {d['reason'] for d in v.decisions.values() if d['error'] == '3/4'}
    packets = v.document['packets']
    r.tap.equal((big, packets['icmp_errors']['too-big']), ({'too-big'}, packets['dropped']['too-big']),
                'ICMP small-mtu: each packet that is too big and may not be cut is told the sender')


def filters(r):
    """Scenarios that ask what would be, of the capture of `routed`: the way back's check, and security groups."""
    rows, v = r.folder / 'filters.csv', r.v['routed']
    document = golden.analyze(r.fwdlab, golden.scenario('urpf-strict'), rows)
    decisions = golden.decisions(rows)
    refused = [p for p in v.entered if decisions[p.frame.number]['reason'] == 'rpf']
    astray = [p for p in v.entered if p.frame.interface == 'nic1' and within(p.ip.src, AZURE_VMS, ON_PREMISES, GUESTS)]
    r.tap.check(refused and refused == astray, f'uRPF urpf-strict: the {len(astray)} packets are dropped that came in '
                'by NIC1, where no route leads to their source', len(refused))
    r.tap.equal({(f['verdict'], f['cause']['node']) for f in document['findings'] if f['source'] == 'model' and
                 involves(f, AZURE_VMS, NIC1)}, {('rpf_drop', 'hyperv')}, 'uRPF urpf-strict: the findings say so')
    golden.analyze(r.fwdlab, golden.scenario('security-group'), rows)
    decisions = golden.decisions(rows)
    opened, wrong, denied = set(), [], 0
    for p in v.entered:  # NIC2's group: of on-premises only pings come in, and answers to what went out
        if p.frame.interface != 'nic2' and within(p.ip.dst, ON_PREMISES):
            opened.add(reverse(p.ip.tuple))
        if p.frame.interface == 'nic2' and within(p.ip.src, ON_PREMISES) and not (p.ip.is_error() or p.ip.offset):
            may = p.ip.proto == ICMP or p.ip.tuple in opened
            denied += not may
            if may == (decisions[p.frame.number]['reason'] == 'denied-in'):
                wrong.append((p.frame.number, p.ip.tuple, decisions[p.frame.number]))
    r.tap.check(denied and not wrong, f'filter security-group: {denied} packets of on-premises are denied, pings and '
                'answers are not', *wrong[:5])


FAULTS = {
    'overlap': 'networks: { copy: { space: [10.0.2.0/23], subnets: { a: { prefix: 10.0.3.0/24 } } } }',
    'outside': 'networks: { nested-fun: { subnets: { far: { prefix: 10.9.0.0/24 } } } }',
    'duplicate-address': 'machines: { twin: { nics: { e: { subnet: nested-fun/azure-vms, address: 10.0.3.4/24 } } } }',
    'reserved-address': 'machines: { odd: { nics: { e: { subnet: nested-fun/azure-vms, address: 10.0.3.2/24 } } } }',
    'same-subnet': 'machines: { hyperv: { nics: { NIC2: { subnet: nested-fun/nat, address: 10.0.0.6/24 } } } }',
    'next-hop': 'machines: { hyperv: { routes: { odd: { prefix: 10.8.0.0/16, via: 10.9.9.9, nic: NIC2 } } } }',
    'dhcp': 'machines: { hyperv: { dhcp: [{ nic: switch, range: 10.0.2.2-10.0.3.9, router: 10.0.2.1 }] } }',
    'route': 'machines: { hyperv: { routes: { x: { prefix: 10.0.0.0/24, via: 10.0.0.1, nic: NIC1, metric: 256 } } } }',
}


def force(r):
    for fault, text in FAULTS.items():
        path = r.write(fault, text + '\n')
        arguments = {'check': [], 'analyze': [golden.trace('dhcp')],
                     'explain': ['--from', 'guest1', '--to', 'azure-vm']}
        refused = {c: golden.run(r.fwdlab, c, path, *more) for c, more in arguments.items()}
        r.tap.check(all(p.returncode == 2 and re.search(rb'yaml:\d+: error', p.stderr) for p in refused.values()),
                    f'--force {fault}: without it every command refuses, and names the line',
                    *(f'{c} {p.returncode}: {p.stderr.decode()}' for c, p in refused.items()))
        forced = {c: golden.run(r.fwdlab, c, path, *more, '--force') for c, more in arguments.items()}
        r.tap.equal({c: p.returncode for c, p in forced.items()}, dict.fromkeys(arguments, 0),
                    f'--force {fault}: with it every command goes on')
        document = golden.document(r.fwdlab, 'analyze', path, golden.trace('dhcp'), '--force')
        found = {f['verdict'] for f in document['findings'] if f['source'] == 'scenario'}
        r.tap.check(fault in found and document['packets']['injected'] > 0,
                    f'--force {fault}: the packets are analysed, and the fault is a finding', found)
    path = r.write('unreadable', 'machines: { odd: { nics: { e: { subnet: nested-fun/azure-vms } } } }\n')
    r.tap.equal(golden.run(r.fwdlab, 'analyze', path, golden.trace('dhcp'), '--force').returncode, 2,
                '--force: what is no fault of the design is refused all the same')


def every_row(tap):
    tap.equal(list(ROWS), [f'N{i}' for i in range(1, 13)], 'the rows N1-N12 are all listed')
    folder = pathlib.Path(__file__).resolve().parent
    for row, (file, words) in ROWS.items():
        names = [name for name in re.findall(rf"f?'({row} (?:[^'\\]|\\.)*)'", (folder / file).read_text())]
        tap.check(any(words in name for name in names), f'{row} is shown: {file}: {words}', *names)


def main(fwdlab):
    tap = golden.Tap()
    with tempfile.TemporaryDirectory() as name:
        r = Rows(tap, fwdlab, pathlib.Path(name))
        for part in (without_route_table, dhcp, sizing, two_hosts, on_premises, ipv6, told_errors, filters, force):
            part(r)
    every_row(tap)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
