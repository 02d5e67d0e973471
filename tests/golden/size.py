# SPDX-License-Identifier: BSD-3-Clause
"""fwdlab size from end to end: made-up results of a known law, the example catalogue, what is refused and how."""
import json
import pathlib
import sys
import tempfile

import golden

HOSTS = pathlib.Path(__file__).resolve().parents[2] / 'traces' / 'hosts.yaml'
HZ, OVERHEAD = 2.8e9, 60


def configuration(sessions, routes, scenario='routed'):
    """100 cycles, 10 more a doubling of sessions, 5 of routes."""
    cycles = 100 + 10 * (len(str(sessions)) - 4) * 3.321928 + 5 * (len(str(routes)) - 2) * 3.321928
    ndr = HZ / (cycles + OVERHEAD)
    load = {key: {'pps': share * ndr if share else 1000, 'latency_ns': {'p99': p99}}
            for key, share, p99 in (('0', 0, 20000), ('10', .1, 20000), ('50', .5, 30000), ('90', .9, 90000))}
    return {'name': f'{scenario}, {sessions} sessions, {routes} routes', 'scenario': {'name': scenario},
            'workload': {'sessions': sessions, 'routes': routes, 'packet_bytes': 128, 'churn': 0, 'encrypted_share': 0,
                         'workers': 1, 'nat': True},
            'cost': {'tsc_cycles': {'median': cycles, 'samples': [cycles * (1 + .01 * (i % 5 - 2)) for i in range(40)]},
                     'mpps': HZ / cycles / 1e6},
            'ndr_pps': {'lower': ndr, 'upper': ndr * 1.005}, 'load': load}


def document(folder, name, configurations, **more):
    path = folder / name
    path.write_text(json.dumps({'schema': 'fwdlab.bench/1', 'environment': {'cpu': 'made up', 'tsc_hz': HZ},
                                **configurations[0], 'configurations': configurations, **more}))
    return path


def answers(tap, size):
    d = json.loads(size('--rate', '2Mpps', '--sessions', '10k', '--routes', '1000', '--json').stdout)
    terms = {t['name']: t['coefficient'] for t in d['model']['terms']}
    tap.check(d['schema'] == 'fwdlab.size/1' and set(terms) == {'constant', 'sessions', 'routes'} and
              abs(terms['sessions'] - 10) < .1 and abs(terms['routes'] - 5) < .1, 'the law is found again', terms)
    best = d['answers'][0]
    # rack-8 (190) has no cap; the clouds' caps want 6 x cloud-2 (420), 3 x cloud-4 (420), 2 x cloud-8 (560)
    tap.equal((d['best'], best['count'], best['price']), ('rack-8', 1, 190), 'the cheapest that fits')
    by = {a['host']: a for a in d['answers']}
    tap.equal([(n, by[n]['count'], by[n]['limit']) for n in ('cloud-2', 'cloud-4', 'cloud-8', 'cloud-16')],
              [('cloud-2', 6, 'packet rate'), ('cloud-4', 3, 'packet rate'), ('cloud-8', 2, 'packet rate'),
               ('cloud-16', 1, 'packet rate')], 'the packet-rate caps of the others')
    tap.check(any('workers' in x for x in best['extrapolates']) and any('clock' in x for x in best['extrapolates']),
              'more workers and another clock than measured are told', best['extrapolates'])
    tap.check(abs(d['knee']['load'] - .58) < .03 and d['knee']['p99_ns'] == 40000, 'the knee', d['knee'])
    d = json.loads(size('--rate', '2.048Gbps', '--packet-bytes', '128', '--sessions', '10k', '--routes', '1k',
                        '--json').stdout)
    tap.equal(d['question']['rate_pps'], 2e6, 'a bit rate of frames')
    text = size('--rate', '2Mpps', '--sessions', '10k', '--routes', '1000').stdout.decode()
    tap.check('rack-8' in text and 'cloud-2' in text, 'text', text)


def scenario(tap, size):
    """Sessions, routes and packet size of the committed capture; guests against the address plan."""
    d = json.loads(size('--rate', '200kpps', '--scenario', golden.scenario('routed'), '--guests', '--json').stdout)
    q, g = d['question'], d['guests']
    tap.check(q['sessions'] > 5 and q['routes'] > 3 and 60 < q['packet_bytes'] < 1600 and q['nat'] is True,
              'the scenario says what is asked', q)
    told = d['answers'][0]['extrapolates']
    tap.check(any('sessions' in x for x in told), 'fewer sessions than were measured are told', told)
    plan = golden.document(size.fwdlab, 'check', golden.scenario('routed'))['plan']['hosts']
    tap.check(g['by_addresses'] in [h['guests_max'] for h in plan] and g['asked'] in [h['guests'] for h in plan] and
              g['per_host'] == min(g['by_rate'], g['by_addresses']), 'guests of the address plan', g)
    tap.equal(d['model']['scenarios'], ['routed'], "only this scenario's results")


def refusals(tap, size, folder):
    ask = ['--rate', '2Mpps', '--sessions', '10k', '--routes', '1000']
    golden.refused(tap, 'no rate', size(), '--rate')
    golden.refused(tap, 'a rate without a unit that exists', size('--rate', '2mpps'), '`2mpps`', '2Mpps')
    golden.refused(tap, 'what the results differ in is left open', size('--rate', '2Mpps'), 'sessions', '--sessions')
    golden.refused(tap, 'no headroom left', size(*ask, '--headroom', '100%'), '--headroom')
    golden.refused(tap, 'guests without a scenario', size(*ask, '--guests'), '--scenario')
    golden.refused(tap, 'a scenario nobody measured', size(*ask, '--scenario', golden.scenario('two-hosts')), 'two-hosts')
    hosts = folder / 'hosts.yaml'
    hosts.write_text('price_unit: EUR\nhosts:\n  a:\n    cores: 4\n    clok_ghz: 2\n')
    golden.refused(tap, 'a catalogue with an unknown key', size(*ask, hosts=hosts), f'{hosts}:5', 'clok_ghz', 'clock_ghz')
    golden.refused(tap, 'no catalogue', size(*ask, hosts=folder / 'none.yaml'), 'none.yaml')
    old = configuration(1000, 100)
    del old['workload']
    old = document(folder, 'old.json', [old])
    golden.refused(tap, 'a result of an older version', size(*ask, results=[old]), 'old.json', 'measure again')
    other = document(folder, 'other.json', [configuration(1000, 100)], environment={'cpu': 'else', 'tsc_hz': 3e9})
    golden.refused(tap, 'results of two machines', size(*ask, results=[*size.results, other]), 'other.json', 'another machine')
    check = folder / 'check.json'
    golden.must(size.fwdlab, 'check', golden.scenario('routed'), '-o', check)
    golden.refused(tap, 'another document', size(*ask, results=[check]), 'check.json', 'fwdlab.check', 'bench')
    out = folder / 'no' / 'size.json'
    p = size(*ask, '-o', out)
    tap.check(p.returncode == 2 and not out.exists(), 'a document that cannot be written')
    out = folder / 'size.json'
    p = size(*ask, '-o', out)
    tap.check(p.returncode == 0 and not p.stdout and json.loads(out.read_text())['best'], 'a document in a file')


class Size:
    def __init__(self, fwdlab, results):
        self.fwdlab, self.results = fwdlab, results

    def __call__(self, *args, hosts=HOSTS, results=None):
        return golden.run(self.fwdlab, 'size', *(results or self.results), '--hosts', hosts, *args)


def main(fwdlab):
    tap = golden.Tap()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        grid = [configuration(10 ** s, 10 ** r) for s in (3, 4, 5) for r in (1, 2, 3, 4)]
        size = Size(fwdlab, [document(folder, 'a.json', grid[:5]), document(folder, 'b.json', grid[5:])])
        answers(tap, size)
        scenario(tap, size)
        refusals(tap, size, folder)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
