# SPDX-License-Identifier: BSD-3-Clause
"""fwdlab compare: exit codes, documents, JUnit and Markdown, histories; refusals name file and key."""
import json
import pathlib
import sys
import tempfile
import xml.etree.ElementTree as xml

import golden
from cli import Cli


def configuration(name, pair, cost, shift=0):
    """40 samples in 8 epochs, 1 % wide; `shift` turns their order, so that no two runs are the same."""
    samples = [cost * (0.995 + 0.01 * ((7 * i + shift) % 40) / 40) for i in range(40)]
    return {'schema': 'fwdlab.replay/1', 'environment': {'cpu': 'test', 'flags': [], 'commit': 'abc'}, 'inputs': [],
            'scenario': {'name': name},
            'cost': {'tsc_cycles': {'median': cost, 'samples': samples}, 'epochs': [5] * 8, 'pair': pair,
                     'stages': [{'name': 'parse', 'tsc_cycles': cost / 2, 'samples': [s / 2 for s in samples]}]}}


def write(c, name, doc):
    path = c.folder / name
    path.write_text(json.dumps(doc))
    return path


def calls(c):
    a = write(c, 'a.json', configuration('a', '1-2', 100))
    whole = configuration('a', '1-2', 100)
    whole['configurations'] = [whole.copy(), configuration('b', '1-2', 105, 3)]
    for name, args, want, verdict, method in (
            ('slower', [a, write(c, 'b.json', configuration('b', '1-2', 105, 3))], 1, 'worse', 'paired'),
            ('faster', [a, write(c, 'f.json', configuration('b', '1-2', 95, 3))], 0, 'better', 'paired'),
            ('equal', [a, write(c, 'e.json', configuration('b', '1-2', 100, 3))], 0, 'same', 'paired'),
            ('one document', [write(c, 'whole.json', whole)], 1, 'worse', 'paired'),
            ('within a tolerance', [a, c.folder / 'b.json', '--tolerance', '7%'], 0, 'same', 'paired'),
            ('another run', [a, write(c, 'o.json', configuration('a', '9-9', 105, 3))], 0, 'unclear', 'single'),
            ('unclear is not enough', [a, c.folder / 'o.json', '--fail-on', 'unclear'], 1, 'unclear', 'single'),
            ('never', [a, c.folder / 'b.json', '--fail-on', 'never'], 0, 'worse', 'paired'),
            ('runs in turn', [write(c, f'{s}{i}.json', configuration('a', f'{s}{i}', (100 + 20 * (i % 3)) * f, i))
                              for i in range(6) for s, f in (('base', 1), ('new', 1.05))], 1, 'worse', 'runs')):
        code, doc = c.document('compare', *args)
        got = [(f['verdict'], f['method']) for f in doc.get('figures', [])]
        c.tap.equal((code, got), (want, [(verdict, method)] * 2), f'{name}: {verdict}, exit {want}')
        c.tap.check(doc.get('schema') == 'fwdlab.compare/1' and doc.get('conclusion'), f'{name}: a document')


def written(c):
    junit, markdown, out = c.folder / 'junit.xml', c.folder / 'summary.md', c.folder / 'out.json'
    p = c.run('compare', c.folder / 'a.json', c.folder / 'b.json', '--junit', junit, '--markdown', markdown, '-o', out)
    suite = xml.parse(junit).getroot().find('testsuite')
    c.tap.equal((p.returncode, suite.get('tests'), suite.get('failures'), len(suite.findall('testcase/failure'))),
                (1, '2', '2', 2), 'JUnit: a test case a figure')
    c.tap.check('worse' in markdown.read_text() and json.loads(out.read_text())['regressions'] == 2 and not p.stdout,
                'Markdown and -o are written although it fails')
    p = c.run('compare', c.folder / 'a.json', c.folder / 'b.json')
    c.tap.check(b'cost: parse' in p.stdout and b'worse' in p.stdout, 'the terminal shows the figures',
                p.stdout.decode())
    c.refused('JUnit into a folder that is missing', ['missing/j.xml'], 'compare', c.folder / 'a.json',
              c.folder / 'f.json', '--json', '--junit', c.folder / 'missing/j.xml')


def history(c):
    path = c.folder / 'history.jsonl'
    for i, cost in enumerate((100, 101, 99, 100, 100, 101, 108, 107)):
        doc = write(c, 'run.json', configuration('a', str(i), cost))
        code, out = c.document('compare', '--history', path, '--append', doc, '--commit', f'c{i}')
        c.tap.equal(code, 1 if i == 7 else 0, f'history: exit after run {i}')
    c.tap.equal([(x['figure'], x['at'], x['commit']) for x in out['changes']],
                [('cost', 6, 'c6'), ('cost: parse', 6, 'c6')], 'history: where it changed')
    before = path.read_text()
    code, out = c.document('compare', '--history', path)
    c.tap.check(code == 1 and path.read_text() == before and len(before.splitlines()) == 8,
                'history: without --append it is only read')
    path.write_text(before + '{"date": "x"\n')
    c.refused('a history with a broken line', [f'{path}:9', 'not JSON'], 'compare', '--history', path)


def refusals(c):
    a, bad = c.folder / 'a.json', configuration('a', '1', 100)
    bad['cost']['tsc_cycles']['median'] = 'fast'
    c.refused('a cost that is none', ['bad.json', 'cost.tsc_cycles.median'], 'compare', a, write(c, 'bad.json', bad))
    c.refused('another kind of document', ['schema', 'fwdlab.analyze/1', 'foreign.json'], 'compare', a,
              write(c, 'foreign.json', {'schema': 'fwdlab.analyze/1'}))
    c.refused('what is no document', ['list.json', 'schema'], 'compare', a, write(c, 'list.json', [1]))
    c.refused('three documents', ['BASE.json NEW.json'], 'compare', a, a, a)
    c.refused('one configuration', ['one configuration'], 'compare', a)
    c.refused('a tolerance that is none', ['`much`', '2%'], 'compare', a, a, '--tolerance', 'much')
    c.refused('an unknown word', ['`wrose`', 'worse'], 'compare', a, a, '--fail-on', 'wrose')
    c.refused('--append without a history', ['--history'], 'compare', '--append', a)
    other = configuration('a', '1', 100)
    other['environment']['cpu'] = 'another'
    write(c, 'other.json', other)
    c.refused('--strict: another CPU', ['another CPU', 'other.json'], 'compare', a, c.folder / 'other.json', '--strict')
    p = c.run('compare', a, c.folder / 'other.json', '--json')
    c.tap.check(p.returncode == 0 and b'another CPU' in p.stderr and json.loads(p.stdout)['warnings'],
                'another CPU is a warning', p.stderr.decode())


def main(fwdlab):
    tap = golden.Tap()
    with tempfile.TemporaryDirectory() as folder:
        c = Cli(tap, fwdlab, pathlib.Path(folder))
        for part in (calls, written, history, refusals):
            part(c)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
