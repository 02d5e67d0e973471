# SPDX-License-Identifier: BSD-3-Clause
"""Damaged and hostile captures through `analyze` and `anonymize`: each ends with a document whose sums hold, or with
exit status 2 and a message that names the place; never by a signal, and nothing that a sanitizer complains about.
The files of ../shared/data/malformed (FWDLAB_SHARED), and captures changed at random, from a seed that is printed
(FWDLAB_SEED sets it; FWDLAB_CHANGED how many of each folder, else a few)."""
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import zlib

import golden

ROOT = golden.HOST.parents[1]
MIRROR = ROOT / 'bench' / 'mirror.yaml'
SMALL = 200_000 # bytes that are taken of a capture
COMPLAINT = re.compile(r'AddressSanitizer|LeakSanitizer|runtime error:')


def document_faults(doc):
    packets, flows = doc['packets'], doc['flows']
    if packets['read'] != packets['injected'] + packets['copies'] + packets['malformed'] + packets['ignored']['total']:
        return f'packets do not add up: {packets}'
    if sum(i['packets'] for i in packets['interfaces']) != packets['read']:
        return f'interfaces do not add up: {packets}'
    if any(sum(flows[judge].values()) != flows['total'] for judge in ('model', 'observed')):
        return f'flows do not add up: {flows}'
    return None if 'damage' not in doc or doc.get('partial') else 'damaged, but not partial'


def ends(p):
    """None, or what is wrong with how a command ended."""
    message = p.stderr.decode(errors='replace')
    if p.returncode not in (0, 2) or COMPLAINT.search(message):
        return f'exit {p.returncode}: {message[-3000:]}'
    if p.returncode == 2:
        return None if message.startswith('fwdlab: ') and not p.stdout else f'no message: {message[:500]}'
    return None


def analyzed(fwdlab, *args):
    p = golden.run(fwdlab, 'analyze', *args, '--json', timeout=300)
    return ends(p) or (document_faults(json.loads(p.stdout)) if p.returncode == 0 else None)


def anonymized(fwdlab, path):
    """What it wrote must be a capture without damage, of as many packets as it says."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / 'out.pcapng'
        p = golden.run(fwdlab, 'anonymize', path, '-o', out, '--json', timeout=300)
        if ends(p) or p.returncode:
            return ends(p)
        q = golden.run(fwdlab, 'analyze', '--no-scenario', out, '--json', timeout=300)
        if ends(q) or q.returncode:
            message = q.stderr.decode(errors='replace')
            return ends(q) or (None if 'link type' in message else f'its output: {message}')
        return 'its output is damaged' if 'damage' in json.loads(q.stdout) else None


def everything(fwdlab, path, scenario):
    return (analyzed(fwdlab, '--no-scenario', path) or analyzed(fwdlab, scenario, path) or
            anonymized(fwdlab, path))


def changed(rng, data):
    """Bytes, pieces or the end of it."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20, 100))):
        at, n = rng.randrange(len(data)), rng.choice((1, 1, 1, 2, 4, 8, 60))
        what = rng.random()
        if what < 0.4:
            data[at] = rng.choice((0, 1, 0x7f, 0x80, 0xff, rng.randrange(256)))
        elif what < 0.6:
            data[at] ^= 1 << rng.randrange(8)
        elif what < 0.7:
            data[at:at + n] = rng.randbytes(len(data[at:at + n]))
        elif what < 0.8:
            del data[at:at + n]
        elif what < 0.9:
            data[at:at] = data[at:at + n]
        elif what < 0.93:
            del data[max(at, 24):]
        if not data:
            return b'\0'
    return bytes(data)


def plain(path):
    """The first of its bytes, uncompressed where that is easy."""
    data = path.read_bytes()[:SMALL]
    if data[:2] == b'\x1f\x8b':
        return zlib.decompressobj(31).decompress(data, SMALL)
    if data[:4] == b'\x28\xb5\x2f\xfd' and shutil.which('zstd'):
        return subprocess.run(['zstd', '-dcq', path], stdout=subprocess.PIPE, check=True).stdout[:SMALL]
    return data


def mutations(tap, fwdlab, name, captures, count, rng):
    """captures: [(path, scenario)]."""
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / 'changed'
        for i in range(count):
            source, scenario = rng.choice(captures)
            path.write_bytes(changed(rng, plain(source)))
            fault = everything(fwdlab, path, scenario)
            if fault:
                wrong.append(f'{i}, of {source.name}: {fault}')
                keep = os.environ.get('FWDLAB_KEEP')
                if keep:
                    shutil.copy(path, pathlib.Path(keep) / f'{name}-{i}')
    tap.check(not wrong, f'{name}: {count} changed captures', *wrong[:5])


def main(fwdlab, *folders):
    tap = golden.Tap()
    seed = int(os.environ.get('FWDLAB_SEED', random.randrange(10**6)))
    count = int(os.environ.get('FWDLAB_CHANGED', 4))
    print(f'# FWDLAB_SEED={seed} FWDLAB_CHANGED={count}')
    rng = random.Random(seed)
    data = pathlib.Path(os.environ.get('FWDLAB_SHARED', '../shared')) / 'data'
    mutations(tap, fwdlab, 'nested-host', [(golden.trace(v), golden.scenario(v)) for v in golden.VARIANTS], 4 * count,
              rng)
    if not data.is_dir():
        tap.skip('malformed', f'there is no {data}: set FWDLAB_SHARED')
        return tap.done()
    for folder in folders or sorted(p.name for p in (data / 'pcap').iterdir()):
        files = sorted(p for p in (data / 'pcap' / folder).rglob('*') if p.is_file() and p.stat().st_size > 24)
        mutations(tap, fwdlab, folder, [(p, MIRROR) for p in files], count, rng)
    files = sorted(p for p in (data / 'malformed').rglob('*') if p.is_file())
    if count < 100: # corpus.py takes all, without a scenario
        files = rng.sample(files, 40)
    wrong = [f'{p.name}: {w}' for p, w in ((p, everything(fwdlab, p, MIRROR)) for p in files) if w]
    tap.check(not wrong, f'malformed: {len(files)} files', *wrong[:10])
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
