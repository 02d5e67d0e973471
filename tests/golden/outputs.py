# SPDX-License-Identifier: BSD-3-Clause
"""
What `analyze` writes beside its document says the same as the document: flow records, annotated captures, and the
flows of two capture points.
"""
import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter

import golden

COMMENT = re.compile(r'fwdlab: (\w+), flow (\d+), finding (\d+)')
PAIR = '02-nat/NAT_home_side.pcap', '02-nat/NAT_ISP_side.pcap'


def analyzed(fwdlab, *args, flows):
    doc = json.loads(golden.must(fwdlab, 'analyze', *args, '--flows', flows, '--json'))
    with open(flows, newline='') as f:
        return doc, list(csv.DictReader(f))


def records(tap, name, doc, rows):
    """A row a flow, its verdicts those that the document counts, its finding one of the document's."""
    flows = doc['flows']
    tap.equal(len(rows), flows['total'], f'{name}: a record a flow')
    tap.equal(len({r['id'] for r in rows}), len(rows), f'{name}: no id twice')
    for column in 'model', 'observed':
        told = Counter(r[column] for r in rows if r[column])
        want = {k: n for k, n in flows[column].items() if n}
        tap.equal(dict(told), want if told or column == 'observed' else {}, f'{name}: {column} verdicts')
    findings = {f['id']: f for f in doc['findings'] if 'id' in f}
    strange = [r['id'] for r in rows if r['finding'] and int(r['finding']) not in findings]
    tap.check(not strange, f'{name}: findings of the document', strange[:5])
    counts = Counter(int(r['finding']) for r in rows if r['finding'])
    wrong = [i for i, f in findings.items() if f['source'] == 'model' and counts[i] != f['count']]
    tap.check(not wrong, f'{name}: as many flows as their findings count', wrong[:5])
    inside = [r for r in rows if r['nat_src'] and not r['tunnel']]
    moved = [r for r in inside if (r['nat_src'], r['nat_sport'], r['nat_dst'], r['nat_dport']) !=
             (r['src'], r['sport'], r['dst'], r['dport'])]
    tap.equal(len(moved), len(inside), f'{name}: what is called otherwise outside is')


def comments(path):
    p = subprocess.run(['tshark', '-r', path, '-Y', 'frame.comment', '-T', 'fields', '-e', 'frame.number', '-e',
                        'frame.comment'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
    for line in p.stdout.splitlines():
        frame, text = line.split('\t', 1)
        found = COMMENT.search(text)
        yield int(frame), found and (found[1], found[2], int(found[3])), text


def annotated(tap, name, path, doc, rows):
    """Every packet's comment names its flow with that flow's finding, and the findings' frames have one."""
    said = {frame: what for frame, what, _ in comments(path)}
    findings = {f['id']: f for f in doc['findings'] if 'id' in f}
    of = {r['id']: r['finding'] for r in rows}
    wrong = [(frame, what) for frame, what in said.items()
             if not what or of.get(what[1]) != str(what[2]) or findings[what[2]]['verdict'] != what[0]]
    tap.check(not wrong, f'{name}: comments name flows with their findings', wrong[:5])
    named = {what[1] for what in said.values() if what}
    tap.equal(len(named), sum(1 for r in rows if r['finding']), f'{name}: every flow with a finding is told')
    silent = [frame for f in findings.values() for frame in f['frames'] if f['source'] == 'model' and frame not in said]
    tap.check(not silent, f'{name}: the frames of the findings are commented', silent[:5])


def workers(tap, name, fwdlab, scenario, work):
    """One worker and two say the same."""
    told = []
    for n in '1', '2':
        doc, rows = analyzed(fwdlab, scenario, '--workers', n, flows=work / 'flows.csv')
        del doc['environment']
        told.append((doc, rows))
    tap.equal(told[1], told[0], f'{name}: the same by two workers')


def two_points(tap, fwdlab, folder, work):
    home, isp = (folder / name for name in PAIR)
    doc, rows = analyzed(fwdlab, '--no-scenario', '--point', f'home={home}', '--point', f'isp={isp}',
                         flows=work / 'points.csv')
    points, pairs = doc['points'], doc['nat']['pairs']
    tap.equal((points['inside'], points['outside']), ('home', 'isp'), 'points: their names')
    tap.check(len(pairs) == len(points['pairs']) == 14 and sum(p['proved'] for p in pairs) == 85,
              'points: the mapping table, 85 packets proved', len(pairs))
    called = {(r['src'], r['sport'], r['nat_src'], r['nat_sport']) for r in rows if r['nat_src']}
    table = {tuple(p['inside'].rsplit(':', 1) + p['outside'].rsplit(':', 1)) for p in pairs}
    tap.equal(called, table, 'points: records have the outside of the table')
    tap.check(not any(r['nat'] for r in rows) and not any(doc['flows']['nat'].values()), 'points: nobody is accused')
    tap.equal([i['path'] for i in doc['inputs']], [str(home), str(isp)], 'points: both are inputs')
    for name, words, args in (
            ('one point', ['twice'], ['--point', f'home={home}']),
            ('a point without a name', ['NAME=FILE', 'inside=FILE'][1:], ['--point', str(home)]),
            ('points and a capture', ['in place of captures'], ['--point', f'a={home}', '--point', f'b={isp}', home]),
            ('a point that is not there', ['nowhere'], ['--point', f'a={home}', '--point', 'b=nowhere.pcap'])):
        golden.refused(tap, name, golden.run(fwdlab, 'analyze', '--no-scenario', *args), *words)


def main():
    tap, fwdlab = golden.Tap(), sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for variant in 'routed', 'without-route-1', 'dual-stack-without-route-1-v6', 'dhcp', 'security-group':
            scenario = golden.scenario(variant)
            out = work / f'{variant}.pcapng'
            doc, rows = analyzed(fwdlab, scenario, '--annotate', out, flows=work / 'flows.csv')
            records(tap, variant, doc, rows)
            workers(tap, variant, fwdlab, scenario, work)
            if shutil.which('tshark'):
                annotated(tap, variant, out, doc, rows)
            else:
                tap.skip(f'{variant}: comments', 'no tshark')
        captures = pathlib.Path(os.environ.get('FWDLAB_SHARED', '../shared')) / 'data' / 'pcap'
        if captures.is_dir():
            two_points(tap, fwdlab, captures, work)
        else:
            tap.skip('two points', f'there is no {captures}: set FWDLAB_SHARED')
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
