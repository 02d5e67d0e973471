# SPDX-License-Identifier: BSD-3-Clause
"""The command line's contract: exit codes, messages that say where and what would be right, whole documents or none."""
import json
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

import golden
from capture import decompressed

S, T = golden.scenario('routed'), golden.trace('routed')
COMMANDS = ('check', 'explain', 'analyze', 'replay', 'size', 'report', 'anonymize')

BAD_SCENARIO = '''fwdlab: 1
name: bad
networks:
  net:
    space: [10.0.0.0/22]
    subnets:
      a: { prefix: 10.1.0.0/24 }
      b: { prefix: 10.0.0.0/33 }
      c: { prefix: 10.0.1.0/24, route_tabel: x }
machines:
  m: { nics: { e: { subnet: net/zzz, address: 10.0.1.4/24 } } }
'''
COMPLAINTS = {7: '10.0.0.0/22', 8: '10.0.0.0/24', 9: 'route_table', 11: 'net/a'}  # line → part of what would be right


class Cli:
    def __init__(self, tap, fwdlab, folder):
        self.tap, self.fwdlab, self.folder = tap, fwdlab, folder

    def run(self, *args, **more):
        return golden.run(self.fwdlab, *args, **more)

    def refused(self, name, words, *args, **more):
        golden.refused(self.tap, name, self.run(*args, **more), *words)

    def document(self, *args, **more):
        p = self.run(*args, '--json', **more)
        try:
            return p.returncode, json.loads(p.stdout)
        except ValueError as e:
            self.tap.note(f'{args}: exit {p.returncode}: {e}', p.stderr.decode())
            return p.returncode, {}


def usage(c):
    available = [name for name in COMMANDS if c.run(name, '--help').returncode == 0]
    c.tap.check(set(COMMANDS) - {'replay'} <= set(available), 'every command has --help', available)
    for name in available:
        p = c.run(name, '--help')
        c.tap.check(f'usage: fwdlab {name}'.encode() in p.stdout and not p.stderr, f'{name} --help goes to stdout')
        c.refused(f'{name} without arguments', [name, '--help'], name)
        c.refused(f'{name} with an unknown option', ['--bogus'], name, '--bogus')
    for option in ('--help', '--version'):
        p = c.run(option)
        told = p.stdout.startswith((b'usage: fwdlab', b'fwdlab '))
        c.tap.check(p.returncode == 0 and told and not p.stderr, f'fwdlab {option}')
    c.refused('no command', ['usage: fwdlab'])
    c.refused('an unknown command', ['`analyse`'], 'analyse', S)
    c.refused('an unknown word of --fail-on', ['`asymetry`', 'asymmetry'], 'analyze', S, '--fail-on', 'asymetry')
    c.refused('a filter that is none', ['no such protocol'], 'analyze', S, T, '--filter', 'no such protocol')
    c.refused('a capture without a scenario', ['a capture', '--no-scenario'], 'analyze', T)
    c.refused('an unknown node', ['`nobody`', '--node'], 'analyze', S, '--node', 'nobody')
    c.refused('an unknown end', ['`nobody`', 'routed.yaml'], 'explain', S, '--from', 'guest1', '--to', 'nobody')
    c.refused('a port that is none', ['`70000`', '65535'], 'explain', S, '--from', 'guest1', '--to', 'guest2',
              '--dport', '70000')


def bad_files(c):
    c.refused('a scenario that is missing', ['missing.yaml'], 'analyze', 'missing.yaml')
    c.refused('a capture that is missing', ['missing.pcap'], 'analyze', S, 'missing.pcap')
    c.refused('a capture that is none', ['routed.yaml', 'byte 0', 'pcapng'], 'analyze', S, S)
    c.refused('a scenario that is none', [f'{T}:1'], 'check', T)
    bad = c.folder / 'bad.yaml'
    bad.write_text(BAD_SCENARIO)
    for args in (['check', bad], ['analyze', bad, T], ['explain', bad, '--from', 'm', '--to', 'm']):
        c.refused(f'{args[0]}: a bad scenario, all its {len(COMPLAINTS)} faults with line and remedy',
                  [f'{bad}:{line}: error' for line in COMPLAINTS] + list(COMPLAINTS.values()), *args)
    code, doc = c.document('check', bad)
    lines = [x['line'] for x in doc.get('complaints', []) if x['severity'] == 'error']
    c.tap.equal((code, lines), (2, list(COMPLAINTS)), 'check --json: the complaints of a bad scenario')
    strange = c.folder / 'strange.yaml'
    strange.write_text(f'fwdlab: 1\nbase: {S}\nname: strange\nmachines: {{ hyperv: {{ nics: {{\n'
                       '  NIC1: { capture: eth7 }, NIC2: { capture: eth8 }, switch: { capture: eth9 } } } }\n')
    c.refused('a capture of other interfaces', ['nic1, nic2, switch', 'hyperv', 'eth7', 'capture:'], 'analyze', strange,
              T)


def damaged(c):
    data = decompressed(T)
    cut = c.folder / 'cut.pcapng'
    cut.write_bytes(data[:len(data) // 2 + 1])
    code, doc = c.document('analyze', S, cut)
    read = doc.get('packets', {}).get('read', 0)
    c.tap.check(code == 0 and doc.get('partial') is True and 'byte ' in json.dumps(doc.get('damage')) and read > 1000,
                'a capture that is cut: exit 0, partial, and the document says where', code, read, doc.get('damage'))
    squeezed = c.folder / 'cut.pcapng.zst'
    squeezed.write_bytes(T.read_bytes()[:-5000])
    code, doc = c.document('analyze', S, squeezed)
    c.tap.check(code == 0 and doc.get('partial') is True, 'a compressed capture that is cut: exit 0, partial', code)
    code, doc = c.document('analyze', S, T)
    c.tap.check(code == 0 and not doc.get('partial'), 'a whole capture is not partial')


def fail_on(c):
    out = c.folder / 'fail.json'
    for words, code in (('asymmetry', 1), ('drift', 0), ('asym_breaks', 0), ('drift,drops', 1), ('asym_benign', 1)):
        out.unlink(missing_ok=True)
        p = c.run('analyze', S, T, '--fail-on', words, '-o', out)
        schema = json.loads(out.read_text())['schema']
        c.tap.check(p.returncode == code and schema == 'fwdlab.analyze/1' and not p.stdout,
                    f'--fail-on {words}: exit {code}, and the document is written', p.returncode, p.stderr.decode())


def little_room():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def output(c):
    place = c.folder / 'output'
    (place / 'taken').mkdir(parents=True)
    c.refused('-o into a folder that is missing', ['missing/x.json'], 'analyze', S, T, '-o', place / 'missing/x.json')
    c.refused('-o onto a folder', ['taken'], 'analyze', S, T, '-o', place / 'taken')
    c.refused('--packets into a folder that is missing', ['missing/x.csv'], 'analyze', S, T, '--packets',
              place / 'missing/x.csv')
    old = place / 'old.json'
    old.write_text('the old one')
    c.refused('-o where there is no room', ['old.json'], 'analyze', S, T, '-o', old, preexec_fn=little_room)
    c.tap.equal((old.read_text(), sorted(p.name for p in place.rglob('*'))), ('the old one', ['old.json', 'taken']),
                'after a failure the old document stands, and nothing lies beside it')
    with open('/dev/full', 'w') as full:
        p = c.run('analyze', S, T, '--json', stdout=full)
    c.tap.check(p.returncode == 2 and p.stderr, 'stdout without room is an error', p.returncode, p.stderr.decode())


def one_document(c):
    walk = ('explain', S, '--from', 'guest1', '--to', 'azure-vm')
    for args in (('check', S), walk, ('analyze', S, T), ('analyze', '--no-scenario', T)):
        p = c.run(*args, '--json')
        try:
            schema = json.loads(p.stdout)['schema']
        except ValueError as e:
            schema = str(e)
        c.tap.equal((p.returncode, schema, p.stderr), (0, f'fwdlab.{args[0]}/1', b''),
                    f'{" ".join(a for a in args[:2] if isinstance(a, str))} --json: one document, and silence')
        out = c.folder / 'same.json'
        p2 = c.run(*args, '-o', out)
        c.tap.check(p2.returncode == 0 and not p2.stdout and out.read_bytes() == p.stdout,
                    f'{args[0]} -o FILE: the same document')


def without(doc, *keys):
    return {k: v for k, v in doc.items() if k not in keys}


def carriers(c):
    plain = c.folder / 'plain.pcapng'
    plain.write_bytes(decompressed(T))
    want = without(c.document('analyze', S, T)[1], 'inputs')
    c.tap.check(want.get('packets', {}).get('read', 0) > 1000, 'the zstd capture is read')
    for name, command in (('plain', ['cat']), ('gz', ['gzip', '-1c']), ('xz', ['xz', '-0c']), ('lz4', ['lz4', '-qc'])):
        if not shutil.which(command[0]):
            c.tap.skip(f'{name}: the same document', f'{command[0]} is not installed')
            continue
        copy = c.folder / f'copy-{name}'  # told by its magic, not by its name
        with copy.open('wb') as f:
            subprocess.run([*command, str(plain)], check=True, stdout=f)
        code, doc = c.document('analyze', S, copy)
        c.tap.check(code == 0 and without(doc, 'inputs') == want, f'{name}: the same document')
    for name, source in (('plain', plain), ('zstd', T)):
        with source.open('rb') as f:
            code, doc = c.document('analyze', S, '-', stdin=f)
        c.tap.check(code == 0 and without(doc, 'inputs') == want, f'stdin, {name}: the same document')


def main(fwdlab):
    tap = golden.Tap()
    with tempfile.TemporaryDirectory() as folder:
        c = Cli(tap, fwdlab, pathlib.Path(folder))
        for part in (usage, bad_files, damaged, fail_on, output, one_document, carriers):
            part(c)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
