# SPDX-License-Identifier: BSD-3-Clause
"""`fwdlab bench` and paced replays: documents, and what happens when something goes wrong. No absolute times: on a busy
machine trials are not valid, which is an exit code of its own and said in the document."""
import json
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import time

import golden
from capture import PCAPNG_EPB, blocks, decompressed

S, T = golden.scenario('routed'), golden.trace('routed')
SHORT = ('--quick', '--no-huge', '--seconds', '0.1', '--trial', '0.02', '--rest', '0',
         '--max-pps', '200000', '--width', '0.2')
PACED = ('--no-huge', '--laps', '1', '--pace')
MIN_PPS = 1000  # what is tried at least
LOADS = ['0', '10', '50', '90']


class Bench:
    def __init__(self, tap, fwdlab, folder):
        self.tap, self.fwdlab, self.folder = tap, fwdlab, folder

    def run(self, *args, **more):
        return golden.run(self.fwdlab, *args, **more)

    def refused(self, name, words, *args, **more):
        golden.refused(self.tap, name, self.run(*args, **more), *words)

    def judged(self, p, valid, name):
        """Exit 0 for a valid result, 3 and a message for one that is not."""
        self.tap.check(p.returncode == (0 if valid else 3) and (valid or b'valid' in p.stderr), name, p.returncode,
                       p.stderr.decode())


def answered(doc):
    """As INTERFACE has it: a bound, and not more than half of the search's trials disturbed even so."""
    bounds = doc['pdr_pps']
    bound = bounds['lower'] > 0 or 0 < (bounds['upper'] or 0) <= MIN_PPS
    return bound and 2 * doc['trials']['doubtful'] <= doc['trials']['kept']


def staged(b):
    """Plain packets have one stage of their own; or, to see what each costs, all of them."""
    names = {}
    for flag in ([], ['--staged']):
        doc = json.loads(b.run('replay', S, '--trace', T, '--no-huge', '--laps', '2', *flag, '--json').stdout)
        names[bool(flag)] = [s['name'] for s in doc['cost']['stages']]
    b.tap.equal((names[False][0], names[False][1:]), ('express', names[True]), 'replay --staged: no express stage')


def one(b):
    out = b.folder / 'one.json'
    p = b.run('bench', S, '--trace', T, *SHORT, '-o', out)
    doc = json.loads(out.read_text())
    b.judged(p, answered(doc), 'bench: exit 0 with an answer, 3 without')
    b.tap.equal((doc['schema'], doc['name'], doc['topology'], len(doc['configurations'])),
                ('fwdlab.bench/1', 'routed', 'rings', 1), 'schema, name, topology')
    b.tap.equal({k: doc['workload'][k] for k in ('sizes', 'churn', 'workers', 'nat')},
                {'sizes': 'trace', 'churn': 0, 'workers': 1, 'nat': True}, 'the workload is told')
    b.tap.check('none' in doc['environment']['hugepages'], '--no-huge: the document says that there were none')
    cost = doc['cost']
    b.tap.check(len(cost['tsc_cycles']['samples']) >= 5 and cost['stages'][0]['name'] == 'express' and
                all(len(s['samples']) == len(cost['tsc_cycles']['samples']) for s in cost['stages']),
                'cost: samples as a whole and by stage')
    b.tap.check(abs(sum(s['samples'][0] for s in cost['stages']) - cost['tsc_cycles']['samples'][0]) < 1e-6,
                'the stages of a sample add up')
    for goal in doc['goals']:
        bounds = doc[f'{goal["name"]}_pps']
        b.tap.check((bounds['lower'], bounds['upper']) == (goal['lower'], goal['upper']) and
                    (bounds['upper'] is None or bounds['lower'] < bounds['upper']), f'{goal["name"]}: bounds', goal)
    trials = doc['trials']
    b.tap.check(trials['total'] >= len(trials['list']) > 5 and all(t['repeated'] <= 3 for t in trials['list']),
                'trials: all are counted, those that count are listed')
    faults = [t for t in trials['list'] if t['intended'] != t['sent'] + t['pushed_back'] or t['sent'] < t['received']]
    b.tap.check(not faults, 'every trial: intended = sent + pushed back, and no more comes than was sent', faults)
    for share in LOADS[:1] if doc['pdr_pps']['lower'] == 0 else LOADS:
        load = doc['load'][share]
        latency, trial = load['latency_ns'], load['trial']
        b.tap.check(latency['count'] == trial['received'] == sum(n for _, _, n in latency['histogram']) and
                    latency['min'] <= latency['p50'] <= latency['p99'] <= latency['p999'] <= latency['max'],
                    f'load {share}: latency of every packet that came through')
        hgrm = (b.folder / f'routed.load-{share}.hgrm').read_text()
        b.tap.check(f'Total count    = {latency["count"]:12}]' in hgrm and hgrm.lstrip().startswith('Value'),
                    f'load {share}: percentiles beside the document')


def several(b):
    folder = b.folder / 'split'
    p = b.run('bench', S, S, '--trace', T, *SHORT, '--sizes', '64;imix', '--sessions', '1k', '--routes', '2k',
              '--capture', folder, '--split', folder)
    docs = {d['name']: d for d in (json.loads(f.read_text()) for f in folder.glob('*.bench.json'))}
    names = [f'routed, 1k sessions, 2k routes, {w}' for w in ('64 B', 'imix', '64 B (2)', 'imix (2)')]
    b.tap.equal(sorted(docs), sorted(names), 'one document each, with names that tell what was varied')
    if sorted(docs) != sorted(names):
        b.tap.note(p.stderr.decode())
        return
    b.judged(p, all(map(answered, docs.values())), 'bench of four: exit code')
    small, mixed = docs[names[0]], docs[names[1]]
    b.tap.check(small['workload']['packet_bytes'] < mixed['workload']['packet_bytes'] < 600 and
                1000 <= small['workload']['sessions'] < 2500 and 2000 < small['workload']['routes'] < 2100,
                'sizes, sessions and routes are as asked', small['workload'], mixed['workload'])
    compared = small['comparison']
    b.tap.equal([(c['name'], c['base'], c['figure']) for c in compared],
                [(n, names[0], f) for n in names[1:] for f in ('cost', 'mrr')], 'all are compared with the first')
    b.tap.check(all(c['pairs'] >= 10 for c in compared if c['figure'] == 'mrr'), 'ten pairs of MRR trials and more')
    goals = {n: [t['goal'] for t in d['trials']['list']] for n, d in docs.items()}
    b.tap.check(all(g[0] == 'warm-up' and g.count('warm-up') == 1 for g in goals.values()),
                'the first trial is thrown away')
    captures = sorted(f.name for f in folder.glob('*.pcapng'))
    told = sorted(load['capture'] for d in docs.values() for load in d['load'].values())
    b.tap.check(captures == told and captures, 'the captures that the documents name are there', captures, told)


def rates(b):
    out = b.folder / 'rates.json'
    b.run('bench', S, '--trace', T, *SHORT, '--nat-rates', '--back-to-back', '-o', out)
    doc = json.loads(out.read_text())
    nat, bursts = doc['nat_rates'], doc['back_to_back']
    b.tap.check(nat['capacity'] == 65536 and nat['full'] and nat['teardown_per_s'] > 0 and
                nat['setup_per_s']['lower'] >= 0, 'RFC 9693: the whole table can be filled, and rates are told', nat)
    b.tap.check(len(bursts['tests']) == 3 and 0 <= bursts['corrected'] <= bursts['packets'] and
                abs(sum(bursts['tests']) / 3 - bursts['packets']) < 1, 'RFC 9004: mean of the tests', bursts)


def interrupted(b):
    out = b.folder / 'late.json'
    args = [str(b.fwdlab), 'bench', str(S), '--trace', str(T), '--no-huge', '--seconds', '1', '-o', str(out)]
    for wait in (8, 20, 60):  # a busy machine may have measured nothing so early
        p = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(wait)
        p.send_signal(signal.SIGINT)
        message = p.communicate(timeout=120)[1]
        if out.exists():
            break
    doc = json.loads(out.read_text()) if out.exists() else {}
    b.tap.check(p.returncode == 0 and doc.get('partial') is True and doc['cost']['tsc_cycles']['samples'],
                'Ctrl-C: exit 0, partial, with what was measured', p.returncode, message.decode())
    early = b.folder / 'early.json'
    args[-1], args[-3] = str(early), '60'
    p = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(0.05)
    p.send_signal(signal.SIGINT)
    message = p.communicate(timeout=120)[1]
    b.tap.check(p.returncode in (2, 130, -signal.SIGINT) and not early.exists(),
                'Ctrl-C before anything was measured: no document', p.returncode, message.decode())


def little_room():
    """Less than any output takes: the disk is full at the first one."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))


def only(frames, data):
    """The capture with these frames alone."""
    kept, number = b'', 0
    for kind, at, length in blocks(data):
        number += kind == PCAPNG_EPB
        if kind != PCAPNG_EPB or number in frames:
            kept += data[at - 8:at + length + 4]
    return kept


def failures(b):
    place = b.folder / 'failures'
    place.mkdir()
    data = decompressed(T)
    old = place / 'old.json'
    old.write_text('the old one')
    for command in (('bench', S, *SHORT), ('replay', S, *PACED, '100kpps', '--duration', '0.1')):
        b.refused(f'{command[0]}: a disk without room', [place, 'cannot write'], *command, '--trace', T, '-o', old,
                  preexec_fn=little_room)
        left = sorted(p.name for p in place.iterdir())
        b.tap.equal((old.read_text(), left), ('the old one', ['old.json']),
                    f'{command[0]}: after that the old document stands, and nothing lies beside it')
    b.refused('a folder that is missing', ['nowhere'], 'bench', S, '--trace', T, '--no-huge', '-o',
              place / 'nowhere/x.json')
    b.refused('a missing port', ['no-such-dev0'], 'bench', S, '--trace', T, *SHORT, '--in',
              'net_af_packet0,iface=no-such-dev0;net_af_packet1,iface=no-such-dev1', '--out',
              'net_af_packet2,iface=no-such-dev2;net_af_packet3,iface=no-such-dev3', '-o', place / 'port.json')
    b.refused('replay to a missing port', ['no-such-dev0'], 'replay', S, '--trace', T, *PACED, '100x', '--to',
              'net_af_packet0,iface=no-such-dev0', '-o', place / 'port.json')
    rows = b.folder / 'rows.csv'
    golden.must(b.fwdlab, 'analyze', S, T, '--packets', rows)
    expired = [f for f, r in golden.decisions(rows).items() if r['reason'] == 'ttl-expired']
    dropped = place / 'dropped.pcapng'
    dropped.write_bytes(only(expired, data))
    b.refused('a scenario that drops everything', ['routed', 'ttl-expired', len(expired)], 'bench', S, '--trace',
              dropped, *SHORT, '-o', place / 'dropped.json')
    b.tap.equal(sorted(p.name for p in place.glob('*.json')), ['old.json'], 'no refused run leaves a document')
    cut = place / 'cut.pcapng'
    cut.write_bytes(data[:len(data) // 2])
    for command in (('bench', S, *SHORT), ('replay', S, *PACED, '100x')):
        p = b.run(*command, '--trace', cut, '--json')
        doc = json.loads(p.stdout)
        b.tap.check(p.returncode in (0, 3) and doc.get('partial') is True and b'cut.pcapng' in p.stderr,
                    f'{command[0]}: a trace cut short is measured as far as it goes, and said', p.returncode,
                    p.stderr.decode())


def paced(b):
    for pace in ('50x', '100kpps', 'poisson:100kpps', 'bursts:32:100kpps'):
        more = [] if pace == '50x' else ['--duration', '0.2']
        p = b.run('replay', S, '--trace', T, *PACED, pace, *more, '--json')
        doc = json.loads(p.stdout)
        trial, packets = doc['trial'], doc['packets']
        b.judged(p, doc['generator']['valid'], f'replay --pace {pace}: exit code')
        b.tap.check(doc['generator']['pace'] == trial['pace'] == pace and
                    doc['latency_ns']['count'] == trial['received'] and
                    doc['fidelity']['reordered'] == trial['reordered'] == 0 and
                    doc['delay_variation']['pdv_ns']['p50'] >= 0,
                    f'replay --pace {pace}: latency, fidelity and delay variation', trial)
        if pace == '50x' and not trial['pushed_back']:
            b.tap.equal({k: trial[k] for k in ('intended', 'forwarded', 'delivered', 'dropped')},
                        {'intended': packets['injected'],
                         **{k: packets[k] for k in ('forwarded', 'delivered', 'dropped')}},
                        "the trace's own pace: every packet gets the verdict that it has without a pace")
    p = b.run('replay', S, '--trace', T, '--no-huge', '--pace', '100x', '--stream', '--json')
    doc = json.loads(p.stdout)
    b.judged(p, doc['generator']['valid'], 'replay --stream: exit code')
    b.tap.equal((doc['trial']['intended'], doc['packets'], doc['cost']), (packets['injected'], None, None),
                'replay --stream: the whole trace is sent, and nothing else is claimed')
    for word, args in (('--pace', ['--duration', '1']), ('quick', ['--pace', 'quick']),
                       ('--stream', ['--pace', 'trace', '--stream', '--packets', 'x']),
                       ('--to', ['--pace', 'trace', '--to', 'x', '--generators', '2'])):
        b.refused(f'replay {" ".join(args)}', [word], 'replay', S, '--trace', T, *args)


def usage(b):
    for word, args in (('63', ['--sizes', '64;63']), ('1x', ['--sessions', '1x']), ('NAME=RATIO', ['--loss', 'ndr']),
                       ('--no-fifo', ['--trial', '2']), ('--out', ['--in', 'a;b']),
                       ('TX;RX', ['--in', 'a', '--out', 'c;d']),
                       ('dir24-8', ['--lookup', 'x']), ('--generators', ['--generators', '0'])):
        b.refused(f'bench {" ".join(args)}', [word], 'bench', S, '--trace', T, *args)
    b.refused('bench without a scenario', ['scenario'], 'bench')


def main(fwdlab):
    tap = golden.Tap()
    if golden.run(fwdlab, 'bench', '--help').returncode:
        tap.skip('bench', 'built without DPDK')
        return tap.done()
    with tempfile.TemporaryDirectory() as folder:
        b = Bench(tap, fwdlab, pathlib.Path(folder))
        for part in (usage, staged, one, several, rates, paced, interrupted, failures):
            part(b)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
