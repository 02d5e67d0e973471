# SPDX-License-Identifier: BSD-3-Clause
"""A small run of the labelled bench: every class with a few flows, fresh each time. What the kernels' lookups say must
be what the frames show; and fwdlab must be right about every flow. Skipped (77) without network namespaces.

    labelled.py FWDLAB [SEED]"""
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'traces' / 'lab'))
import spans

FLOWS, SKIP = 8, 77


def possible():
    tools = all(map(shutil.which, ('ip', 'nft', 'conntrack', 'ethtool', 'sysctl')))
    name = f'fwl-{os.getpid()}-probe'
    if not tools or os.geteuid() or subprocess.run(['ip', 'netns', 'add', name], capture_output=True).returncode:
        return False
    subprocess.run(['ip', 'netns', 'del', name], check=True)
    return True


def seen(path):
    """{(protocol, end that sends, end that it goes to): ({interfaces in}, {out})}"""
    found = {}
    for interface, outgoing, *flow in spans.packets(path):
        found.setdefault(tuple(flow), (set(), set()))[outgoing].add(interface)
    return found


def contradictions(truth, frames):
    """Flows whose interfaces are others than the lookups told."""
    for flow in truth['flows']:
        to = flow['dst'], flow['sport'] if flow['proto'] == 'icmp' else flow['dport']
        ends = [(flow['src'], flow['sport']), *(tuple(end) for end in [flow['outside']] if end)]
        there, back = ([sorted(set().union(*(frames.get(key, ((), ()))[side] for key in keys))) for side in (0, 1)]
                       for keys in ([(flow['proto'], e, to) for e in ends], [(flow['proto'], to, e) for e in ends]))
        if (there, back) != (flow['there'], flow['back']):
            yield f'{flow}: the frames go {there} there and {back} back'


def main(fwdlab, seed=random.SystemRandom().randrange(1 << 32)):
    if not possible():
        print('labelled: skipped: no network namespaces, or ip, nft, conntrack, ethtool are missing')
        return SKIP
    with tempfile.TemporaryDirectory(prefix='fwl-') as work:
        captures = pathlib.Path(work) / 'labelled'
        subprocess.run([sys.executable, '-B', ROOT / 'traces' / 'lab' / 'labelled.py', captures, '--flows', str(FLOWS),
                        '--seed', str(seed)], check=True)
        bad = []
        for path in sorted(captures.glob('*/truth.json')):
            truth = json.loads(path.read_text())
            if not truth['spans'] and truth['sampled'] == 1:
                bad += (f'{truth["class"]}: {line}'
                        for line in contradictions(truth, seen(path.parent / 'capture.pcapng')))
        print(*bad, sep='\n')
        scored = subprocess.run([ROOT / 'bench' / 'labelled', '--captures', captures, '--fwdlab', fwdlab,
                                 '--no-others'])
    return 1 if bad else scored.returncode


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
