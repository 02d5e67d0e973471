# SPDX-License-Identifier: BSD-3-Clause
"""
`analyze A --what-if B` on A's capture, against `analyze B` on the same capture: each packet and each flow that both
judge changes exactly as the two runs by themselves differ; the other way round mended is broken; and what two variants
of the nested host are known to break.
"""
import collections
import csv
import ipaddress
import pathlib
import sys
import tempfile

import golden

PAIRS = (('routed', 'without-route-1'), ('without-route-1', 'routed'), ('routed', 'nat-only'), ('nat-only', 'routed'),
         ('routed', 'without-onprem-route'), ('connected', 'routed'), ('routed', 'forwarding-off'),
         ('routed', 'security-group'), ('two-hosts', 'two-hosts-without-peer-route'),
         ('dual-stack', 'dual-stack-without-route-1-v6'), ('onprem-gateway', 'routed'), ('small-mtu', 'routed'))


class Run:
    """An analysis of one capture under one scenario, with every packet and every flow."""

    def __init__(self, fwdlab, folder, variant, trace, *more):
        packets, flows = folder / 'packets.csv', folder / 'flows.csv'
        self.doc = golden.document(fwdlab, 'analyze', golden.scenario(variant), golden.trace(trace), '--packets',
                                   packets, '--flows', flows, *more)
        self.packets = golden.decisions(packets)
        with open(flows, newline='') as f:
            self.flows = {tuple(r[k] for k in ('proto', 'src', 'sport', 'dst', 'dport', 'first_ns')): r['model']
                          for r in csv.DictReader(f)}
        self.what_if = self.doc.get('what_if')


def way(row):
    """What INTERFACE.md's --packets say of where it went."""
    return row['verdict'], row['reason'] or None, row['out'] or None


def told(outcome):
    return outcome['verdict'], outcome['reason'], outcome['out']


def packets(tap, name, run, other):
    """The packets' changes: of those both saw by the two runs, of the others those whose NIC is missing."""
    want, ends = collections.Counter(), collections.Counter()
    for n in run.packets.keys() & other.packets.keys():
        a, b = run.packets[n], other.packets[n]
        if way(a) != way(b):
            want[way(a), way(b)] += 1
        elif a['verdict'] == 'forward' and (a['tuple'][1], a['tuple'][3]) != (b['tuple'][1], b['tuple'][3]):
            ends[way(a)] += 1
    for n in run.packets.keys() - other.packets.keys():
        want[way(run.packets[n]), ('no-such-nic', None, None)] += 1
    got, alike = collections.Counter(), collections.Counter()
    for c in run.what_if['packets']['changed']:
        a, b = c['from'], c['to']
        if told(a) != told(b):
            got[told(a), told(b)] += c['count']
        elif tap.check(c['readdressed'] or a['translated'] != b['translated'] or a['via'] != b['via'],
                       f'{name}: a change by the same NIC is one of address or neighbour', c):
            alike[told(a)] += c['count']
    tap.equal(got, want, f'{name}: packets change as the two runs differ')
    tap.check(all(alike[k] >= n for k, n in ends.items()), f'{name}: and those whose addresses change', alike, ends)
    tap.equal(run.what_if['packets']['same'] + sum(got.values()) + sum(alike.values()), run.doc['packets']['injected'],
              f'{name}: every packet is the same or changed')
    answers = ('answers_unmatched',) if run.packets.keys() == other.packets.keys() else ()
    for key in 'forwarded', 'delivered', 'dropped', *answers:
        tap.equal(run.what_if['packets'][key], other.doc['packets'][key], f"{name}: {key}, as the variant's own run")


def flows(tap, name, run, other):
    """The flows' changes of verdict, by the two runs' records; flows whose verdict stays may still go into NAT."""
    result = run.what_if['flows']
    if run.flows.keys() == other.flows.keys():
        want = collections.Counter((a, other.flows[k]) for k, a in run.flows.items() if a != other.flows[k])
        got = collections.Counter()
        for c in result['changed']:
            if c['from'] != c['to']:
                got[c['from'], c['to']] += c['count']
        tap.equal(got, want, f'{name}: flows change as the two runs differ')
        tap.equal(result['model'], other.doc['flows']['model'], f"{name}: verdicts as the variant's own run")
    else:
        tap.check(run.packets.keys() != other.packets.keys(), f'{name}: other flows only where other packets')
    total = run.doc['flows']['total']
    tap.equal(result['same'] + sum(c['count'] for c in result['changed']), total, f'{name}: every flow is counted')
    tap.equal(sum(result['model'].values()), total, f'{name}: and judged once')
    judged = [c for c in result['changed'] if 'unmodelled' not in (c['from'], c['to'])]
    for key, before in ('broken', True), ('mended', False):
        tap.equal(run.what_if[key],
                  sum(c['count'] for c in judged if c['works_before'] == before and c['works_after'] != before),
                  f'{name}: {key} flows are those that {"no longer " if before else ""}work')


def turned(tap, name, there, back):
    """The same capture, the two scenarios exchanged."""
    if there.flows.keys() != back.flows.keys():
        tap.check(there.packets.keys() != back.packets.keys(), f'{name}: other flows only where other packets')
        return
    tap.equal((there.what_if['mended'], there.what_if['broken']), (back.what_if['broken'], back.what_if['mended']),
              f'{name}: the other way round, mended is broken')
    counts = [collections.Counter(), collections.Counter()]
    for c in there.what_if['flows']['changed']:
        counts[0][c['from'], c['to'], c['works_before'], c['works_after']] += c['count']
    for c in back.what_if['flows']['changed']:
        counts[1][c['to'], c['from'], c['works_after'], c['works_before']] += c['count']
    tap.equal(*counts, f'{name}: the other way round, every change is turned')


def inside(address, prefix):
    return ipaddress.ip_address(address) in ipaddress.ip_network(prefix)


def without_route_1(tap, run):
    """Route 1 leads to the subnet nat by NIC1. Without it Route 2 does, by NIC2, past NAT: guests get no answers, since
    nobody there knows the guests' subnet; the flows that began outside and those of the host are only bent."""
    broken = [c for c in run.what_if['flows']['changed'] if c['works_before'] and not c['works_after']]
    tap.equal([(c['cause']['node'], c['cause']['route']['name'], c['cause']['route']['dev'], c['reason_after'])
               for c in broken], [('hyperv', 'Route 2', 'NIC2', 'no-host')], 'without Route 1, Route 2 breaks')
    nat, guests = '10.0.0.0/24', '10.0.2.0/24'
    want = {k for k in run.flows if inside(k[1], guests) and inside(k[3], nat) and k[3] != '10.0.0.4'}
    tap.equal(run.what_if['broken'], len(want), 'as many as guests began towards the subnet nat')
    f = broken[0]['flow']
    tap.check(inside(f['src'], guests) and inside(f['dst'], nat), 'the example is one of them', f)
    into = [c for c in run.what_if['packets']['changed'] if c['from']['translated'] and not c['to']['translated'] and
            c['from']['out'] == 'NIC1']
    tap.check(into and all(c['to']['out'] == 'NIC2' and c['to']['via'] == '10.0.1.1' for c in into),
              'their packets leave by NIC2, untranslated', into)


def forwarding_off(tap, run):
    """The platform refuses what NIC2 forwards; the host itself does as before, so no packet changes at it."""
    tap.equal(run.what_if['packets']['changed'], [], 'IP forwarding off: the host forwards all the same')
    tap.check(run.what_if['broken'] > 100 and run.what_if['mended'] == 0, 'and yet flows break', run.what_if['broken'])
    for c in run.what_if['flows']['changed']:
        tap.check(c['reason_after'] == 'forwarding-off' and 'NIC2 of hyperv' in c['text'], 'refused at NIC2', c['text'])
    by_nic2 = {n for n, r in run.packets.items() if 'NIC2' in (r['in'], r['out']) and r['verdict'] == 'forward'}
    told_frames = {f for c in run.what_if['flows']['changed'] for f in c['frames']}
    tap.check(told_frames & by_nic2, 'whose frames passed NIC2')


def exits(tap, fwdlab, folder):
    def code(*args):
        return golden.run(fwdlab, 'analyze', *args, '--json')

    routed, broken = golden.scenario('routed'), golden.scenario('without-route-1')
    tap.equal(code(routed, '--what-if', broken, '--fail-on', 'broken').returncode, 1, '--fail-on broken: it breaks')
    tap.equal(code(routed, '--what-if', routed, '--fail-on', 'broken').returncode, 0, '--fail-on broken: it does not')
    golden.refused(tap, 'what-if without a scenario',
                   code('--no-scenario', golden.trace('routed'), '--what-if', broken), '--what-if')
    golden.refused(tap, 'a variant that is not there', code(routed, '--what-if', folder / 'none.yaml'), 'none.yaml')
    subscribers = golden.HOST.parent / 'subscribers' / 'open.yaml'
    golden.refused(tap, 'a variant without the node', code(routed, '--what-if', subscribers), 'hyperv')


def main(fwdlab):
    tap = golden.Tap()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for a, b in PAIRS:
            run = Run(fwdlab, folder, a, a, '--what-if', golden.scenario(b))
            other = Run(fwdlab, folder, b, a, '--what-if', golden.scenario(a))
            packets(tap, f'{a} → {b}', run, other)
            flows(tap, f'{a} → {b}', run, other)
            turned(tap, f'{a} → {b}', run, other)
            tap.check(any(i['path'].endswith(f'{b}.yaml') for i in run.doc['inputs']), f'{a} → {b}: an input')
            if (a, b) == ('routed', 'without-route-1'):
                without_route_1(tap, run)
            if b == 'forwarding-off':
                forwarding_off(tap, run)
        nothing = Run(fwdlab, folder, 'routed', 'routed', '--what-if', golden.scenario('routed')).what_if
        tap.check(not nothing['packets']['changed'] and not nothing['flows']['changed'] and
                  not nothing['broken'] + nothing['mended'], 'the same scenario changes nothing', nothing)
        exits(tap, fwdlab, folder)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
