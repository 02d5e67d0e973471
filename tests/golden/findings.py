# SPDX-License-Identifier: BSD-3-Clause
"""What `analyze`, `check` and `explain` must say of the nested-VM host and its variants (rows N1-N5, N7, N11)."""
import ipaddress
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import golden
from capture import decompressed, reverse
from join import join

GUESTS, INSIDE, AZURE_VMS, ON_PREMISES = map(ipaddress.ip_network, (
    '10.0.2.0/24', '10.0.0.0/22', '10.0.3.0/24', '172.16.0.0/22'))
NAT_MACHINE, NIC1, NIC2, DNS = '10.0.0.10', '10.0.0.4', '10.0.1.4', '168.63.129.16'
ASYMMETRIC = ('asym_benign', 'asym_possible', 'asym_breaks', 'no_return_route', 'rpf_drop')
ROUTE_1 = ('10.0.0.0/24', '10.0.0.1', 'NIC1')
ROUTE_2 = ('10.0.0.0/22', '10.0.1.1', 'NIC2')
ON_PREMISES_ROUTE = ('172.16.0.0/22', '10.0.1.1', 'NIC2')
ICMP = 1


def within(address, *networks):
    return any(ipaddress.ip_address(address) in n for n in networks)


def internet(address):
    return not within(address, INSIDE, ON_PREMISES)


def way(route):
    return route and (route['prefix'], route['via'], route['dev'])


class Variant:
    """A variant's document, the core's decision on each packet, and the capture as the second reader has it."""

    def __init__(self, fwdlab, name, folder):
        self.name, rows = name, folder / f'{name}.csv'
        self.document = golden.analyze(fwdlab, golden.scenario(name), rows)
        self.decisions = golden.decisions(rows)
        self.findings = self.document['findings']
        self.entered, self.own, _ = join(decompressed(golden.trace(name)))
        self.platform = {k: c['packets'] for k, c in
                         json.loads((golden.kernel(name) / 'drops.json').read_text())['platform_drops'].items()}

    def model(self, *verdicts):
        return [f for f in self.findings if f['source'] == 'model' and f['verdict'] in verdicts]

    def arrived(self):
        """Each packet that arrived, with the core's decision."""
        return [(p.ip, self.decisions[p.frame.number]) for p in self.entered]


def involves(finding, *ends):
    """Is the finding about a flow between these ends (addresses or networks), either way?"""
    flow = [finding['flow']['src'], finding['flow']['dst']]
    return any(all(within(a, ipaddress.ip_network(e)) for a, e in zip(f, ends)) for f in (flow, flow[::-1]))


def counted(document, source):
    result = {}
    for f in document['findings']:
        if f['source'] == source:
            result[f['verdict']] = result.get(f['verdict'], 0) + f['count']
    return result


def sums(tap, fwdlab, v):
    p, flows = v.document['packets'], v.document['flows']
    tap.equal(p['read'], p['injected'] + p['copies'] + p['malformed'] + p['ignored']['total'],
              f'{v.name}: read = injected + copies + malformed + ignored')
    tap.equal(p['injected'], p['delivered'] + p['forwarded'] + p['dropped']['total'],
              f'{v.name}: injected = delivered + forwarded + dropped')
    for part in ('dropped', 'ignored', 'dropped_elsewhere'):
        tap.equal(p[part]['total'], sum(n for k, n in p[part].items() if k != 'total'),
                  f'{v.name}: {part} sums to its total')
    for part in ('model', 'observed'):
        tap.equal(sum(flows[part].values()), flows['total'], f'{v.name}: flows.{part} sums to the total')
        tap.equal(counted(v.document, part), {k: n for k, n in flows[part].items() if n and k != 'symmetric'},
                  f'{v.name}: every flow that is not symmetric is in a finding of source {part}')
    if v.name != 'dhcp':  # where two machines have one address: rows.py
        tap.equal(flows['drift'], 0, f'{v.name}: no drift')
    tap.equal(p['answers_unmatched'], 0, f'{v.name}: every answer behind NAT finds its session')
    one, two = ({k: x for k, x in d.items() if k != 'environment'}
                for d in (v.document, golden.analyze(fwdlab, golden.scenario(v.name))))
    tap.check(one == two, f'{v.name}: two runs differ in nothing but the environment')


def capinfos(tap, v, folder):
    if not shutil.which('capinfos'):
        return tap.skip(f'{v.name}: capinfos counts the same packets', 'capinfos is not installed')
    plain = folder / 'plain.pcapng'
    plain.write_bytes(decompressed(golden.trace(v.name)))
    out = subprocess.run(['capinfos', '-cIM', str(plain)], check=True, stdout=subprocess.PIPE, text=True).stdout
    told = dict(line.split(':', 1) for line in out.splitlines() if line.startswith('Number of'))
    return tap.equal((v.document['packets']['read'], len({p.frame.interface for p in v.entered})),
                     (int(told['Number of packets']), int(told['Number of interfaces in file'])),
                     f'{v.name}: capinfos counts the same packets and interfaces')


def benign_azure_vms(tap, v):
    """N4: azure-vms ↔ NIC1's address, which no route by destination mends."""
    found = [f for f in v.model(*ASYMMETRIC) if involves(f, AZURE_VMS, NIC1)]
    tap.check(found and all(way(f['cause']['route']) == ROUTE_2 and f['cause']['node'] == 'hyperv' for f in found),
              f'N4 {v.name}: azure-vms ↔ {NIC1} is asymmetric because of Route 2', *found)
    tap.check(found and all(f['mend'] and not f['mend']['proven'] and 'NAT' in (f['mend']['refused'] or '') and
                            f['mend']['route']['prefix'] == str(AZURE_VMS) for f in found),
              f'N4 {v.name}: its mend is refused, for it would send flows into NAT', *(f['mend'] for f in found))


def routed(tap, v):
    bad = [f for f in v.model(*ASYMMETRIC) if involves(f, NAT_MACHINE, '0.0.0.0/0')]
    tap.check(not bad and any(NAT_MACHINE in (ip.src, ip.dst) for ip, _ in v.arrived()),
              'N4 routed: no flow with the machine in nat is asymmetric', *bad)
    benign_azure_vms(tap, v)
    tap.equal([f['verdict'] for f in v.model(*ASYMMETRIC)], ['asym_benign'], 'N4 routed: no other asymmetry')
    lost = v.document['packets']['dropped_elsewhere']
    tap.equal(lost, {'total': 0}, 'N7 routed: the platform drops nothing of the host')
    tap.equal(v.document['hidden_routes'], [], 'N3 routed: no route is hidden')


def without_route_1(tap, v):
    found = [f for f in v.model(*ASYMMETRIC) if involves(f, NAT_MACHINE, '0.0.0.0/0')]
    answered = [f for f in found if f['verdict'] != 'no_return_route']
    tap.check(answered and all(way(f['cause']['route']) == ROUTE_2 and f['cause']['node'] == 'hyperv' and
                               f['cause']['route']['name'] == 'Route 2' for f in answered),
              'N4 without-route-1: flows with the machine in nat are asymmetric because of Route 2', *found)
    tap.check(found and all(f['mend']['change'] == 'add' and f['mend']['node'] == 'hyperv' and f['mend']['proven'] and
                            way(f['mend']['route']) == ROUTE_1 for f in found),
              'N4 without-route-1: Route 1 is the proven mend', *found)
    flows = {ip.tuple for ip, _ in v.arrived() if (ip.src, ip.dst) == (NAT_MACHINE, NIC1) and not
             (ip.is_error() or ip.offset)}
    tap.equal(sum(f['count'] for f in answered), len(flows), 'N4 without-route-1: as many as the second reader counts')
    benign_azure_vms(tap, v)


def connected(tap, fwdlab, v):
    hidden = [(h['node'], way(h['route']), h['route']['name'], way(h['hidden_by']), h['hidden_by']['origin'])
              for h in v.document['hidden_routes']]
    want = [('hyperv', ROUTE_1, 'Route 1', (ROUTE_1[0], None, 'NIC1'), 'connected')]
    tap.equal(hidden, want, 'N4 connected: the connected 10.0.0.0/24 hides Route 1')
    nodes = golden.document(fwdlab, 'check', golden.scenario('connected'))['nodes']
    routes = next(n['routes'] for n in nodes if n['name'] == 'hyperv')
    tap.equal([way(r) for r in routes if r['hidden_by']], [ROUTE_1], 'N3 connected: check says so too')
    bad = [f for f in v.model(*ASYMMETRIC) if involves(f, NAT_MACHINE, '0.0.0.0/0')]
    tap.equal(bad, [], 'N4 connected: the connected route does the work of Route 1')


def foreign(v, interface, address):
    """What left by an interface with a source not its own: of what had arrived, and of the host itself."""
    def count(left):
        return sum(frame.interface == interface and ip.src != address for frame, ip in left)
    return count(p.copy for p in v.entered if p.copy), count(v.own)


def dropped_by_platform(tap, v, interface, address):
    arrived, own = foreign(v, interface, address)
    tap.equal(v.document['packets']['dropped_elsewhere'], {'total': arrived, 'forwarding-off': arrived},
              f'N7 {v.name}: dropped elsewhere is what was forwarded out of {interface} with a foreign source')
    tap.equal(arrived + own, v.platform[f'hyperv-{interface}-sends-foreign-source'],
              f'N7 {v.name}: with the {own} packets that the host sent itself, that is the platform\'s own counter')


def without_onprem_route(tap, v):
    lost = v.model('asym_breaks')
    tap.check(lost and all(f['reason'] == 'forwarding-off' and way(f['mend']['route']) == ON_PREMISES_ROUTE and
                           f['mend']['proven'] and involves(f, ON_PREMISES, '0.0.0.0/0') for f in lost),
              'N5 without-onprem-route: answers to on-premises are lost, their own route by NIC2 is the proven mend',
              *lost)
    tap.check(all(way(f['cause']['route']) == ('0.0.0.0/0', '10.0.0.1', 'NIC1') for f in lost),
              'N5 without-onprem-route: the default route is the cause')
    answers = [(ip, d) for ip, d in v.arrived() if within(ip.src, GUESTS) and within(ip.dst, ON_PREMISES)
               and d['verdict'] == 'forward']
    tap.check(answers and any(d['src'] == ip.src and ip.proto == 6 for ip, d in answers) and
              all(d['out'] == 'NIC1' for _, d in answers), 'N5 without-onprem-route: answers leave NIC1')
    dropped_by_platform(tap, v, 'nic1', NIC1)


def by_interface(tap, fwdlab, v, folder):
    rows = folder / 'interface.csv'
    golden.analyze(fwdlab, golden.scenario('without-onprem-route-interface'), rows)
    decisions = golden.decisions(rows)
    began = {(p.ip.tuple[0], p.ip.src, p.ip.dst) for p in v.entered if within(p.ip.src, ON_PREMISES)}
    answers = [(p.ip, decisions[p.frame.number]) for p in v.entered
               if (p.ip.proto, p.ip.dst, p.ip.src) in began and within(p.ip.src, GUESTS)]
    forwarded = [(ip, d) for ip, d in answers if d['verdict'] == 'forward']
    tap.check(forwarded and all((d['out'], d['src']) == ('NIC1', NIC1) for _, d in forwarded),
              f'N5 without-onprem-route-interface: {len(forwarded)} answers to on-premises leave NIC1 translated',
              *[(ip.tuple, d) for ip, d in forwarded if (d['out'], d['src']) != ('NIC1', NIC1)][:5])


def forwarding_off(tap, v):
    lost = [f for f in v.model('dropped', 'asym_breaks') if f['reason'] == 'forwarding-off']
    tap.check(any(involves(f, GUESTS, AZURE_VMS) for f in lost) and all('NIC2 of hyperv' in f['text'] for f in lost),
              'N7 forwarding-off: NIC2 is named as the NIC whose IP forwarding is off', *(f['text'] for f in lost))
    dropped_by_platform(tap, v, 'nic2', NIC2)
    received = sum(p.frame.interface == 'nic2' and p.ip.dst != NIC2 for p in v.entered)
    tap.check(received == 0 and v.platform['hyperv-nic2-receives-foreign-destination'] > 0,
              'N7 forwarding-off: what the platform keeps from NIC2 never arrives')


def nat_only(tap, fwdlab, v):
    complaints = golden.document(fwdlab, 'check', golden.scenario('nat-only'))['complaints']
    conflict = [c for c in complaints if c['severity'] == 'warning' and 'guest1-web' in c['what'] and
                'guest2-web-too' in c['what']]
    tap.check(len(conflict) == 1 and conflict[0]['line'] > 0 and conflict[0]['file'].endswith('nat-only.yaml'),
              'N11 nat-only: check warns of the two guests that want one outside port', *complaints)
    out = [(ip, d) for ip, d in v.arrived() if within(ip.src, GUESTS) and not within(ip.dst, GUESTS)
           and d['verdict'] == 'forward']
    tap.check(out and all((d['out'], d['src']) == ('NIC1', NIC1) for _, d in out),
              'N11 nat-only: everything of the guests leaves NIC1 translated')
    to_guests = [(ip, d) for ip, d in v.arrived() if within(d['dst'], GUESTS) and d['verdict'] == 'forward']
    tap.check(to_guests and all(ip.dst == NIC1 for ip, _ in to_guests),
              'N11 nat-only: guests are reached through NAT alone')
    mapped = {d['dst'] for ip, d in v.arrived() if ip.tuple[0] == 6 and (ip.dst, ip.tuple[4]) == (NIC1, 8080)
              and d['verdict'] == 'forward'}
    tap.equal(mapped, {'10.0.2.2'}, 'N11 nat-only: the first of the two port maps wins')


def rows_n1_to_n3(tap, fwdlab, v):
    out = [(ip, d) for ip, d in v.arrived() if within(ip.src, GUESTS) and internet(ip.dst)
           and d['verdict'] == 'forward']
    tap.check(out and all((d['out'], d['src'], d['dst']) == ('NIC1', NIC1, ip.dst) for ip, d in out),
              f'N1 routed: {len(out)} packets of guests to the Internet leave NIC1 from {NIC1}')
    tap.check(any(ip.dst == DNS for ip, _ in out), 'N1 routed: DNS too')
    asked, back = {}, []
    for p in v.entered:
        frame, ip = p.copy or (None, None)
        if ip and frame.interface == 'nic1' and within(p.ip.src, GUESTS) and not (ip.offset or ip.is_error()):
            asked[ip.tuple] = p.ip
        elif internet(p.ip.src) and reverse(p.ip.tuple) in asked:
            back.append((asked[reverse(p.ip.tuple)], v.decisions[p.frame.number]))
    tap.check(back and all((d['out'], d['dst']) == ('switch', ip.src) and
                           d['tuple'][2 if ip.proto == ICMP else 4] == ip.tuple[2] for ip, d in back),
              f'N1 routed: {len(back)} answers come back to the guest that asked')
    mapped = {reverse(d['tuple']) for ip, d in v.arrived() if ip.dst == NIC1}
    lan = [(ip, d) for ip, d in v.arrived() if within(ip.src, GUESTS) and within(ip.dst, AZURE_VMS)
           and d['verdict'] == 'forward' and ip.tuple not in mapped]
    tap.check(lan and all((d['out'], d['tuple']) == ('NIC2', ip.tuple) for ip, d in lan),
              f'N2 routed: {len(lan)} packets of guests to azure-vms leave NIC2 as they are',
              *[(ip.tuple, d) for ip, d in lan if (d['out'], d['tuple']) != ('NIC2', ip.tuple)][:5])
    for to, name in (('nat-machine', 'Route 1'), ('azure-vm', 'Route 2'), ('onprem-pc', 'On-premises'),
                     ('web-server', 'default')):
        walk = golden.document(fwdlab, 'explain', golden.scenario('routed'), '--from', 'guest1', '--to', to)
        hop = next(h for h in walk['forward'] if h['node'] == 'hyperv')
        tap.equal((hop['route']['name'], hop['packet']['src']), (name, NIC1 if hop['out'] == 'NIC1' else '10.0.2.2'),
                  f'N3 routed: explain takes {name} to {to}')
        tap.equal(walk['verdict'], 'symmetric', f'N3 routed: and the answer of {to} comes back')


WALKS = (('N4', 'routed', 'nat-machine', 'hyperv/NIC1', 'symmetric'),
         ('N4', 'without-route-1', 'nat-machine', 'hyperv/NIC1', 'asym_benign'),
         ('N4', 'connected', 'nat-machine', 'hyperv/NIC1', 'symmetric'),
         ('N4', 'routed', 'azure-vm', 'hyperv/NIC1', 'asym_benign'),
         ('N5', 'without-onprem-route', 'onprem-pc', 'guest1', 'asym_breaks'),
         ('N7', 'forwarding-off', 'guest1', 'azure-vm', 'dropped'),
         ('N11', 'nat-only', 'onprem-pc', 'guest1', 'dropped'))


def walks(tap, fwdlab):
    for row, variant, start, end, verdict in WALKS:
        walk = golden.document(fwdlab, 'explain', golden.scenario(variant), '--from', start, '--to', end)
        tap.equal(walk['verdict'], verdict, f'{row} {variant}: explain {start} → {end}')


def drift(tap, fwdlab):
    """A scenario that is not what was captured: the model and the capture contradict each other, and it is said."""
    document = golden.analyze(fwdlab, golden.scenario('routed'), trace=golden.trace('without-route-1'))
    drifts = {(d['model'], d['observed']): d for d in document['drifts']}
    tap.check(document['flows']['drift'] > 0 and sum(d['count'] for d in document['drifts']) ==
              document['flows']['drift'], 'N4 drift: routed is not what without-route-1 captured', drifts)
    answered = drifts.get(('symmetric', 'iface_asym'))
    tap.check(answered and NAT_MACHINE in (answered['flow']['src'], answered['flow']['dst']),
              'N4 drift: the flows with the machine in nat went another way than the model says', drifts)
    text = golden.must(fwdlab, 'analyze', golden.scenario('routed'), golden.trace('without-route-1')).decode()
    tap.check('not what was captured' in text, 'N4 drift: the terminal says so')


def main(fwdlab):
    tap = golden.Tap()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        v = {name: Variant(fwdlab, name, folder) for name in golden.VARIANTS}
        for variant in v.values():
            sums(tap, fwdlab, variant)
            capinfos(tap, variant, folder)
        rows_n1_to_n3(tap, fwdlab, v['routed'])
        routed(tap, v['routed'])
        without_route_1(tap, v['without-route-1'])
        connected(tap, fwdlab, v['connected'])
        without_onprem_route(tap, v['without-onprem-route'])
        by_interface(tap, fwdlab, v['without-onprem-route'], folder)
        forwarding_off(tap, v['forwarding-off'])
        nat_only(tap, fwdlab, v['nat-only'])
        walks(tap, fwdlab)
        drift(tap, fwdlab)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
