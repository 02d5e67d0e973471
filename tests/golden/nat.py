# SPDX-License-Identifier: BSD-3-Clause
"""
One capture of subscribers behind a NAT, judged under four NATs (traces/subscribers): what an open one lets in and a
filtering one does not; who reaches whom by hairpinning; what blocks and limits refuse. The second reader finds the
packets.
"""
import pathlib
import sys
import tempfile

import golden
from capture import ICMP, INBOUND, TCP, UDP, Ip, decompressed, frames

FOLDER = golden.HOST.parent / 'subscribers'
VARIANTS = 'open', 'address-filtering', 'strict', 'cgn'
ROUTER, HOME1, HOME2, NEAR, FAR = '198.51.100.1', '100.64.0.2', '100.64.0.3', '203.0.113.10', '203.0.113.20'
POOL = {ROUTER, '198.51.100.4', '198.51.100.5', '198.51.100.6'}
REFUSED = ('drop', 'nat-filtered')
LIMITED = 'drop', 'nat-client-limit'
FORWARDED, DELIVERED = ('forward', ''), ('deliver', '')


class Trace:
    """Frames that arrived, by the tuple that they have on the wire; `sent` is by their number."""

    def __init__(self):
        self.arrived, self.sent = {}, {}
        for f in frames(decompressed(FOLDER / 'open.pcapng.zst')):
            if f.direction == INBOUND and f.data[12:14] == b'\x08\x00':
                ip = self.sent[f.number] = Ip(f.data[14:])
                self.arrived.setdefault(ip.tuple if not ip.is_error() else ('error', ip.quoted().tuple), []).append(
                    (f.number, ip))

    def numbers(self, *tuple_):
        return [n for n, _ in self.arrived[tuple_]]

    def flows(self, proto, src, dst, ports=range(65536)):
        """First frames of the flows from one end to another."""
        return {t: got[0][0] for t, got in self.arrived.items()
                if t[0] == proto and t[1] == src and t[3] == dst and (t[2] in ports or t[4] in ports)}


class Verdicts:
    def __init__(self, tap, fwdlab, trace, variant, folder):
        self.tap, self.trace, self.variant = tap, trace, variant
        path = folder / f'{variant}.csv'
        self.document = golden.analyze(fwdlab, FOLDER / f'{variant}.yaml', path)
        self.rows = golden.decisions(path)

    def of(self, number):
        row = self.rows[number]
        return row['verdict'], row['reason']

    def left(self, *tuple_):
        """How the first packet of a tuple left, None when it did not."""
        row = self.rows[self.trace.numbers(*tuple_)[0]]
        return row['tuple'] if row['verdict'] == 'forward' else None

    def expect(self, what, verdict, *tuple_):
        got = [self.of(n) for n in self.trace.numbers(*tuple_)]
        self.tap.equal(got, [verdict] * len(got), f'{self.variant}: {what}')

    def check(self, ok, what, *details):
        self.tap.check(ok, f'{self.variant}: {what}', *details)


UNASKED = UDP, FAR, 7000, ROUTER, 5000         # steps of traces/README.md
OTHER_PORT = UDP, NEAR, 7001, ROUTER, 5000
HAIRPIN = UDP, HOME2, 6000, ROUTER, 5000
SERVED, SERVED_BACK = (UDP, HOME2, 6001, ROUTER, 6881), (UDP, HOME1, 6881, ROUTER, 6001)
MAPPED = UDP, FAR, 7000, ROUTER, 6881


def everywhere(v):
    v.expect('a port map lets everybody in', FORWARDED, *MAPPED)
    v.check(v.left(*MAPPED) == (UDP, FAR, 7000, HOME1, 6881), 'a port map leads to its subscriber', v.left(*MAPPED))
    fragments = [n for n, ip in v.trace.sent.items() if ip.is_fragment()]
    v.check(len(fragments) == 6 and all(v.of(n) == FORWARDED for n in fragments), 'fragments pass both ways',
            [(n, v.of(n)) for n in fragments])
    for proto, what in (ICMP, 'queries'), (TCP, 'a TCP session'):
        numbers = [n for n, ip in v.trace.sent.items() if ip.proto == proto and not ip.is_error()]
        v.check(len(numbers) > 3 and all(v.of(n) == FORWARDED for n in numbers), f'{what} pass both ways',
                [(n, v.of(n)) for n in numbers if v.of(n) != FORWARDED])
    outside = {r['tuple'][1] for r in v.rows.values() if r['verdict'] == 'forward' and r['out'] == 'outside'}
    v.check(outside <= (POOL if v.variant == 'cgn' else {ROUTER}), 'what leaves has an outside address', outside)


def one_address(v):
    """The NATs that have the captured one's address."""
    near, far = v.left(UDP, HOME1, 5000, NEAR, 7000), v.left(UDP, HOME1, 5000, FAR, 7000)
    other = v.left(UDP, HOME2, 5000, NEAR, 7000)
    v.check(near == (UDP, ROUTER, 5000, NEAR, 7000), 'the port is kept (RFC 4787 REQ-3)', near)
    v.check(other and other[2] != 5000, 'two subscribers never share a port towards one end', other)
    v.check(far and (far[2] == near[2]) == (v.variant != 'strict'),
            'another port for another end' if v.variant == 'strict' else 'one port for all ends (RFC 4787 REQ-1)', far)
    v.expect('an end that was not asked', FORWARDED if v.variant == 'open' else REFUSED, *UNASKED)
    v.expect('another port of an end that was asked', REFUSED if v.variant == 'strict' else FORWARDED, *OTHER_PORT)
    if v.variant != 'strict':
        v.check(v.left(*OTHER_PORT) == (UDP, NEAR, 7001, HOME1, 5000), 'and it is led to the subscriber')


def hairpin(v):
    v.expect('hairpinning to a mapping', FORWARDED if v.variant == 'open' else REFUSED, *HAIRPIN)
    if v.variant == 'open':
        v.check(v.left(*HAIRPIN) == (UDP, ROUTER, 6000, HOME1, 5000), 'with an outside source (RFC 4787 REQ-9)',
                v.left(*HAIRPIN))
    v.check(v.left(*SERVED) == (UDP, ROUTER, 6001, HOME1, 6881), 'hairpinning to a port map', v.left(*SERVED))
    v.check(v.left(*SERVED_BACK) == (UDP, ROUTER, 6881, HOME2, 6001), 'and back', v.left(*SERVED_BACK))


def no_hairpin(v):
    v.expect('without hairpinning the router itself is meant', DELIVERED, *HAIRPIN)
    v.expect('also where a port map is', DELIVERED, *SERVED)


def cgn_hairpin(v):
    """From one subscriber's outside end to another's; the answer is fitted to the first one's port of this run."""
    there, back = v.left(*SERVED), v.left(*SERVED_BACK)
    v.check(there and there[1] in POOL and there[3:] == (HOME1, 6881), 'hairpinning to a port map', there)
    v.check(back == (UDP, ROUTER, 6881, HOME2, 6001), 'and back', back)


def blocks(v):
    """A block of 16 ports a subscriber, all from one outside address; who has none left is refused."""
    mine = {}
    for n, r in v.rows.items():
        ip = v.trace.sent[n]
        if r['verdict'] == 'forward' and r['out'] == 'outside' and ip.proto == UDP and not ip.offset and \
                ip.tuple[2] != 6881:
            mine.setdefault(ip.src, set()).add(r['tuple'][1:3])
    v.check(set(mine) == {HOME1, HOME2} and all(len({a for a, _ in ends}) == 1 for ends in mine.values()),
            'a subscriber has one outside address (RFC 4787 REQ-2, RFC 6888 REQ-2)', mine)
    v.check(all(len({(p - 1024) // 16 for _, p in ends}) == 1 for ends in mine.values()),
            'a subscriber has one block of ports (RFC 6888 REQ-14)', mine)
    kept = [(t, v.rows[n]['tuple']) for t, n in v.trace.flows(UDP, HOME2, NEAR).items() if v.of(n) == FORWARDED]
    v.check(kept and all(t[2] % 2 == left[2] % 2 for t, left in kept), 'parity is kept (RFC 4787 REQ-4)', kept)
    asked = v.trace.flows(UDP, HOME2, NEAR, range(6100, 6120))
    refused = [v.of(n) for n in asked.values() if v.of(n) != FORWARDED]
    v.check(len(asked) == 20 and refused == [LIMITED] * 6,  # it had two ports before
            'more ports than a subscriber may have are refused (RFC 6888 REQ-4)', refused)


def limits(v):
    """40 sessions a subscriber: the last ends that home1 asks are too many."""
    verdicts = [v.of(n) for n in v.trace.flows(UDP, HOME1, NEAR, range(9000, 9040)).values()]
    v.check(verdicts == [FORWARDED] * 34 + [LIMITED] * 6,  # it had six sessions before
            'more sessions than a subscriber may have are refused (RFC 6888 REQ-5)', verdicts)


def explained(tap, fwdlab):
    for variant in VARIANTS:
        doc = golden.document(fwdlab, 'explain', FOLDER / f'{variant}.yaml', '--from', 'home1', '--to', 'near')
        tap.check(doc['works'] and doc['translated'] and doc['verdict'] == 'symmetric' and
                  doc['reverse'][-1]['node'] == 'home1', f'{variant}: answers come back to the subscriber that asked',
                  doc)


def told(tap, fwdlab):
    """What `check` says of them."""
    nats = {}
    for variant in VARIANTS:
        nodes = golden.document(fwdlab, 'check', FOLDER / f'{variant}.yaml')['nodes']
        nats[variant] = next(n['nat'] for n in nodes if n['name'] == 'router')
        tap.check(all(n['nat'] is None for n in nodes if n['name'] != 'router'), f'{variant}: nobody else has NAT')
    tap.equal([nats[v]['filtering'] for v in VARIANTS],
              ['endpoint-independent', 'address-dependent', 'address-and-port-dependent', 'endpoint-independent'],
              'check tells how each filters')
    tap.equal(set(nats['cgn']['addresses']), POOL, 'cgn: check tells the outside addresses')
    tap.equal([nats['cgn'][k] for k in ('port_block', 'blocks_per_client', 'ports_per_client', 'sessions_per_client')],
              [16, 1, 16, 40], 'cgn: check tells the limits')
    tap.equal([nats[v]['hairpin'] for v in VARIANTS], [True, True, False, True], 'check tells who hairpins')
    text = golden.must(fwdlab, 'check', FOLDER / 'cgn.yaml').decode()
    tap.check('mapping endpoint-independent, filtering endpoint-independent' in text and
              "a client's blocks: 1, of 16 ports" in text, 'cgn: check prints it', text)


def main(fwdlab):
    tap = golden.Tap()
    trace = Trace()
    told(tap, fwdlab)
    explained(tap, fwdlab)
    with tempfile.TemporaryDirectory() as name:
        for variant in VARIANTS:
            v = Verdicts(tap, fwdlab, trace, variant, pathlib.Path(name))
            everywhere(v)
            if variant == 'cgn':
                cgn_hairpin(v)
                blocks(v)
                limits(v)
            else:
                one_address(v)
                (no_hairpin if variant == 'strict' else hairpin)(v)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
