# SPDX-License-Identifier: BSD-3-Clause
"""Captures that nobody here made, through the whole of `analyze --no-scenario`: each ends with a document whose sums
hold, or with a message that names the offset or what is not read. Skipped, and said so, without FWDLAB_SHARED."""
import json
import os
import pathlib
import re
import sys

import golden


def one(fwdlab, path):
    """None, or what is wrong."""
    p = golden.run(fwdlab, 'analyze', '--no-scenario', path, '--json', timeout=120)
    message = p.stderr.decode(errors='replace')
    if p.returncode == 2:
        return None if re.search(r'byte \d+|link type \d+', message) else f'no offset in: {message}'
    if p.returncode:
        return f'exit {p.returncode}: {message[-2000:]}'
    doc = json.loads(p.stdout)
    packets, flows = doc['packets'], doc['flows']
    if packets['read'] != packets['injected'] + packets['copies'] + packets['malformed'] + packets['ignored']['total']:
        return f'packets do not add up: {packets}'
    if any(sum(flows[judge].values()) != flows['total'] for judge in ('model', 'observed')):
        return f'flows do not add up: {flows}'
    if 'damage' in doc and not (doc.get('partial') and re.search(r'byte \d+', doc['damage'])):
        return f'damage without its place: {doc["damage"]}'
    return None


def main(fwdlab):
    tap = golden.Tap()
    data = pathlib.Path(os.environ.get('FWDLAB_SHARED', '../shared')) / 'data'
    for folder in ('malformed', 'pcap'):
        files = sorted(p for p in (data / folder).rglob('*') if p.is_file()) if (data / folder).is_dir() else []
        if not files:
            tap.skip(folder, f'there is no {data / folder}: set FWDLAB_SHARED')
            continue
        wrong = [(p, w) for p, w in ((p, one(fwdlab, p)) for p in files) if w]
        tap.check(not wrong, f'{folder}: {len(files)} files end as they should', *(f'{p.name}: {w}' for p, w in wrong))
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
