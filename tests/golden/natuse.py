# SPDX-License-Identifier: BSD-3-Clause
"""
The NAT in use over time (nat.use) on the committed captures, against what --packets says of every packet: ports in use,
who was refused and since when, blocks, and a pool that runs out.
"""
import pathlib
import sys
import tempfile

import golden
from capture import decompressed, frames
from nat import FOLDER, HOME1, HOME2, POOL, UDP

TRACE = FOLDER / 'open.pcapng.zst'
PORT_MAP = 6881
TICK = 10000000  # ns, of the core's clock


class Run:
    def __init__(self, fwdlab, folder, scenario):
        path = folder / 'packets.csv'
        self.doc = golden.analyze(fwdlab, scenario, path, TRACE)
        self.rows, self.use = golden.decisions(path), self.doc['nat']['use']
        times = {f.number: f.time for f in frames(decompressed(TRACE))}
        first = min(times.values())
        self.at = {n: (t - first) // TICK * TICK for n, t in times.items()}

    def refused(self, reason):
        return sorted(n for n, r in self.rows.items() if r['reason'] == reason)

    def ends(self, proto):
        """Outside ends of what left; the capture is too short for any to be given back."""
        return {r['tuple'][1:3] for r in self.rows.values() if r['tuple'][0] == proto and r['verdict'] == 'forward' and
                r['tuple'][1] in POOL and r['tuple'][2] not in (0, PORT_MAP)}


def pools(use):
    return {p['name']: p for p in use['pools']}


def samples(tap, name, run):
    use, nat = run.use, run.doc['nat']
    n = len(use['sessions'])
    tap.check(0 < n <= 512 and n * use['interval_ns'] > max(run.at.values()) >= (n - 1) * use['interval_ns'] - 10 ** 7,
              f'{name}: samples from the first packet to the last', n, use['interval_ns'])
    tap.equal({len(s) for s in (use['ports'], *(p['used'] for p in use['pools']))}, {n}, f'{name}: as many of each')
    tap.equal((max(use['sessions']), max(use['ports'])), (nat['sessions_peak'], nat['ports_peak']),
              f'{name}: the peaks')
    tap.equal(sum(p['used'][-1] for p in use['pools'] if p['name'] != 'blocks'), use['ports'][-1],
              f'{name}: by protocol, in the end, as in total')


def cgn(tap, run):
    """Who has its share is refused, however much is left in the pool."""
    use = run.use
    samples(tap, 'cgn', run)
    tap.equal(pools(use)['udp']['peak'], len(run.ends(UDP)), 'cgn: UDP ports, as left')
    tap.equal((pools(use)['blocks']['peak'], pools(use)['blocks']['available']), (2, use['available'] // 16),
              'cgn: a block for each subscriber')
    refused = run.refused('nat-client-limit')
    tap.equal(use['refused'], {'port': 0, 'table': 0, 'client': len(refused)}, 'cgn: all that is refused')
    tap.equal(use['client_limits'], {'sessions': 40, 'ports': 16}, 'cgn: what a subscriber may have')
    clients = {c['client']: c for c in use['clients']}
    for who, sessions, ports in (HOME1, 40, None), (HOME2, None, 16):
        mine = [n for n in refused if run.rows[n]['tuple'][1] == who]
        c = clients[who]
        tap.equal((c['refused'], c['first_refused_ns']), (len(mine), run.at[mine[0]]),
                  f'cgn: {who} is refused since then')
        tap.check(sessions in (None, c['sessions_peak']) and ports in (None, c['ports_peak']),
                  f'cgn: {who} is at its limit', c)
    tap.check(use['runs_out'] is None and 'too short' in use['why'], 'cgn: two seconds foretell nothing', use['why'])


def runs_out(tap, fwdlab, folder):
    """Ten ports for everybody."""
    path = folder / 'few.yaml'
    path.write_text(f'fwdlab: 1\nbase: {FOLDER / "open.yaml"}\nname: few\n'
                    'machines: { router: { nat: { ports: 2000-2009 } } }\n')
    run = Run(fwdlab, folder, path)
    samples(tap, 'ten ports', run)
    refused, use = run.refused('nat-no-port'), run.use
    tap.check(len(refused) > 10, 'ten ports do not suffice', refused)
    tap.equal(use['refused']['port'], len(refused), 'ten ports: all that is refused')
    tap.equal((use['runs_out']['happened'], use['runs_out']['at_ns']), (True, run.at[refused[0]]),
              'ten ports: it has happened, since the first that was refused')
    tap.equal(pools(use)['udp']['peak'], 10, 'ten ports: all in use')


def conntrack(tap, fwdlab):
    use = golden.analyze(fwdlab, golden.scenario('routed'))['nat']['use']
    tap.check(use['runs_out'] is None and 'several remote ends' in use['why'], 'conntrack: ports have no end',
              use['why'])
    tap.equal({c['client'] for c in use['clients']}, {'10.0.2.2', '10.0.2.3'}, 'conntrack: both guests')
    none = golden.document(fwdlab, 'analyze', '--no-scenario', golden.trace('routed'))
    tap.equal(none['nat']['use'], None, 'without a scenario there is no NAT to look at')


def main(fwdlab):
    tap = golden.Tap()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        cgn(tap, Run(fwdlab, folder, FOLDER / 'cgn.yaml'))
        runs_out(tap, fwdlab, folder)
        conntrack(tap, fwdlab)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
