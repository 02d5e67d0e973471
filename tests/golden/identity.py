# SPDX-License-Identifier: BSD-3-Clause
"""
`replay` and `analyze` call one core: packet by packet they decide the same, in how many pieces it leaves and which ICMP
error is sent too, at any burst, by any lookup.
"""
import json
import pathlib
import sys
import tempfile

import golden

ASKED = (('urpf-strict', 'routed'), ('security-group', 'routed'), ('two-hosts-one-out', 'two-hosts'))
WAYS = ('--burst', '64'), ('--burst', '1'), ('--burst', '256'), ('--lookup', 'trie'), ('--lookup', 'rte_fib')


def difference(a, b):
    """The first lines that differ."""
    pairs = [(x, y) for x, y in zip(a.splitlines(), b.splitlines()) if x != y]
    return [f'analyze {x.decode()}   replay {y.decode()}' for x, y in pairs[:5]] + [f'{len(pairs)} lines differ']


def compare(tap, fwdlab, variant, captured, ways, folder):
    rows, replayed = folder / 'analyze.csv', folder / 'replay.csv'
    analyzed = golden.analyze(fwdlab, golden.scenario(variant), rows, golden.trace(captured))
    want = rows.read_bytes()
    for option in ways:
        replayed.unlink(missing_ok=True)
        p = golden.run(fwdlab, 'replay', golden.scenario(variant), '--trace', golden.trace(captured), '--laps', '1',
                       '--json', '--packets', replayed, *option)
        name = f'{variant}: replay {" ".join(option)}'
        if not tap.check(p.returncode == 0, f'{name} runs', p.stderr.decode()):
            continue
        got = replayed.read_bytes()
        tap.check(got == want, f'{name} decides on {want.count(10) - 1} packets as analyze does',
                  *difference(want, got))
        packets = json.loads(p.stdout)['packets']
        keys = ('injected', 'delivered', 'forwarded', 'dropped', 'icmp_errors', 'fragmented')
        tap.equal(*({k: p[k] for k in keys} for p in (packets, analyzed['packets'])), f'{name} counts as analyze does')


def main(fwdlab):
    tap = golden.Tap()
    probe = golden.run(fwdlab, 'replay', '--help')
    if probe.returncode:
        tap.skip('replay and analyze', 'this build has no replay (it needs libdpdk)')
        return tap.done()
    with tempfile.TemporaryDirectory() as name:
        for variant in golden.VARIANTS:
            compare(tap, fwdlab, variant, variant, WAYS, pathlib.Path(name))
        for variant, captured in ASKED:
            compare(tap, fwdlab, variant, captured, WAYS[:1], pathlib.Path(name))
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
