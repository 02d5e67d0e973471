# SPDX-License-Identifier: BSD-3-Clause
"""What the golden tests share: checks printed as TAP, and the program run on a scenario."""
import csv
import json
import os
import pathlib
import subprocess
import sys

HOST = pathlib.Path(__file__).resolve().parents[2] / 'traces' / 'nested-host'
VARIANTS = ('routed', 'without-route-1', 'connected', 'without-onprem-route', 'forwarding-off', 'nat-only',
            'without-route-table', 'dhcp', 'two-hosts', 'two-hosts-without-peer-route', 'onprem-gateway',
            'onprem-gateway-without-static', 'dual-stack', 'dual-stack-without-route-1-v6', 'small-mtu')


class Tap:
    """Each check is a case of its own; the plan comes last."""

    def __init__(self):
        self.n = self.failed = 0

    def check(self, ok, name, *details):
        self.n += 1
        self.failed += not ok
        print(f'{"ok" if ok else "not ok"} {self.n} - {name}', flush=True)
        if not ok:
            self.note(*details)
        return ok

    def equal(self, got, want, name):
        return self.check(got == want, name, f'got  {got!r}', f'want {want!r}')

    def skip(self, name, why):
        self.n += 1
        print(f'ok {self.n} - {name} # SKIP {why}')

    def note(self, *lines):
        for line in lines:
            print('# ' + str(line).replace('\n', '\n# '))

    def done(self):
        print(f'1..{self.n}', flush=True)
        return 1 if self.failed else 0


def run(fwdlab, *args, **more):
    more.setdefault('stdout', subprocess.PIPE)
    sanitized = {**os.environ, 'ASAN_OPTIONS': 'detect_leaks=1'}
    return subprocess.run([str(fwdlab), *map(str, args)], stderr=subprocess.PIPE, env=sanitized, **more)


def refused(tap, name, p, *words):
    """Exit 2, nothing on stdout, and every word in the message."""
    message = p.stderr.decode()
    missing = [w for w in words if str(w) not in message]
    tap.check(p.returncode == 2 and not p.stdout and not missing, f'refused: {name}',
              f'exit {p.returncode}, stdout {p.stdout[:80]!r}, not said: {missing}', message)


def must(fwdlab, *args):
    p = run(fwdlab, *args)
    if p.returncode:
        print(f'Bail out! fwdlab {" ".join(map(str, args))}: exit {p.returncode}')
        sys.exit(p.stderr.decode())
    return p.stdout


def analyze(fwdlab, scenario, packets=None, trace=None):
    args = ['--packets', packets] if packets else []
    return json.loads(must(fwdlab, 'analyze', scenario, *([trace] if trace else []), '--json', *args))


def document(fwdlab, *args):
    return json.loads(must(fwdlab, *args, '--json'))


def decisions(path):
    """frame → row of --packets; the tuple as the packet left."""
    rows = {}
    with open(path, newline='') as f:
        for r in csv.DictReader(f):
            r['tuple'] = (int(r['proto']), r['src'], int(r['sport']), r['dst'], int(r['dport']))
            rows[int(r['frame'])] = r
    return rows


def scenario(variant):
    return HOST / f'{variant}.yaml'


def trace(variant):
    return HOST / f'{variant}.pcapng.zst'


def kernel(variant):
    return HOST / f'{variant}.kernel'
