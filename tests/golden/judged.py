# SPDX-License-Identifier: BSD-3-Clause
"""Captures of asymmetric routes, of two points and of NAT that nobody here made: each flow's verdict by the capture
alone is what expected/judged.tsv says. Skipped, and said so, without FWDLAB_SHARED."""
import csv
import fnmatch
import os
import pathlib
import sys
import tempfile

import golden

EXPECTED = pathlib.Path(__file__).resolve().parent / 'expected' / 'judged.tsv'
KEY = ('proto', 'src', 'sport', 'dst', 'dport')


def expectations():
    """{file or pattern: its lines}, in order."""
    lines = EXPECTED.read_text().splitlines()
    names = next(line for line in lines if line.startswith('#file'))[1:].split('\t')
    found = {}
    for row in csv.DictReader((line for line in lines if not line.startswith('#')), names, delimiter='\t'):
        found.setdefault(row['file'], []).append(row)
    return found


def matches(row, flow):
    """A flow may be named by either end where the capture does not show who began: midstream TCP."""
    names = [KEY] + [('proto', 'dst', 'dport', 'src', 'sport')] * (flow['proto'] == 'tcp')
    return any(all(row[key] in ('*', flow[name]) for key, name in zip(KEY, order)) for order in names)


def bounds(flows):
    """(at least, at most) of the column `flows`."""
    if flows == '*':
        return 0, float('inf')
    return 0 if flows.endswith('?') else int(flows), int(flows.rstrip('?'))


def wrong(rows, flows):
    """What differs, in words."""
    count = {id(row): 0 for row in rows}
    for flow in flows:
        name = '{proto} {src}:{sport} -> {dst}:{dport}'.format(**flow)
        row = next((row for row in rows if matches(row, flow)), None)
        if not row:
            yield f'{name}: no such flow is known'
            continue
        count[id(row)] += 1
        if flow['observed'] not in row['verdicts'].split('|'):
            yield f'{name}: {flow["observed"]}, not {row["verdicts"]}: {row["why"]}' + \
                (f' (frame {row["frame"]})' if row['frame'] else '')
    for row in rows:
        low, high = bounds(row['flows'])
        if not low <= count[id(row)] <= high:
            yield f'{count[id(row)]} flows, not {row["flows"]}, of: ' + ' '.join(row[key] for key in KEY)


def flows_of(fwdlab, path, work):
    golden.must(fwdlab, 'analyze', '--no-scenario', path, '--flows', f'{work}/flows.csv', '--json')
    with open(f'{work}/flows.csv', newline='') as f:
        return list(csv.DictReader(f))


def main(fwdlab):
    tap = golden.Tap()
    data = pathlib.Path(os.environ.get('FWDLAB_SHARED', '../shared')) / 'data' / 'pcap'
    if not data.is_dir():
        tap.skip('judged captures', f'there is no {data}: set FWDLAB_SHARED')
        return tap.done()
    files = sorted(str(p.relative_to(data)) for folder in ('02-nat', '03-twopoint', '04-asymmetric')
                   for p in (data / folder).rglob('*') if p.is_file() and p.suffix not in ('.conf', '.tsv'))
    expected = expectations()
    with tempfile.TemporaryDirectory() as work:
        for file in files:
            pattern = next((p for p in expected if fnmatch.fnmatch(file, p)), None)
            found = list(wrong(expected[pattern], flows_of(fwdlab, data / file, work))) if pattern else ['not judged']
            tap.check(not found, file, *found)
    missing = [p for p in expected if not any(fnmatch.fnmatch(file, p) for file in files)]
    tap.check(not missing, 'all captures that are judged are there', *missing)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
