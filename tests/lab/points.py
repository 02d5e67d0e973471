#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
The kernel's NAT between two captures, conntrack as the truth: `points.py POINTS [--seed N] [--keep DIR]`. A client, a
router and a server in network namespaces; the router translates by nftables to random ports of two addresses, maps a
port, lets one machine's flows bypass, has two ports for another one, and lets nobody in from elsewhere. Exit code 77:
there are no namespaces for us.
"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SKIP = 77
POOL = '203.0.113.1', '203.0.113.2'
NARROW = '203.0.113.3'       # the address with two ports
SERVERS = '198.51.100.2', '198.51.100.3', '198.51.100.4'
CLIENTS = [f'192.168.7.{i}' for i in range(2, 12)]
BYPASS, EXHAUSTED, SERVER_INSIDE = CLIENTS[-1], CLIENTS[-2], CLIENTS[-3]
FLOWS = 300

# Run in the namespaces: sockets only, ends by itself.
ECHO = r'''
import select, socket, sys, time
socks, end = [], time.monotonic() + float(sys.argv[1])
for a in sys.argv[2:]:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        for port in (53, 443):
            s = socket.socket(socket.AF_INET, kind)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((a, port))
            if kind == socket.SOCK_STREAM:
                s.listen(500)
            socks.append(s)
listening = set(socks)
print('ready', flush=True)
while time.monotonic() < end:
    for s in select.select(socks, [], [], .2)[0]:
        if s in listening and s.type == socket.SOCK_STREAM:
            socks.append(s.accept()[0])
        elif s.type == socket.SOCK_DGRAM:
            data, peer = s.recvfrom(2000)
            s.sendto(data[::-1], peer)
        else:
            try:
                data = s.recv(2000)
            except OSError:
                data = b''
            if data:
                s.sendall(data[::-1])
            else:
                socks.remove(s)
                s.close()
'''
TALK = r'''
import json, random, socket, sys
r = random.Random(int(sys.argv[1]))
for kind, source, target, port, rounds in json.loads(sys.argv[2]):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)
    s.settimeout(.3)
    try:
        s.bind((source, 0))
        s.connect((target, port))
        for _ in range(rounds):
            s.send(r.randbytes(r.randint(20, 400)))
            s.recv(2000)
    except OSError as e:
        print(source, target, port, e, file=sys.stderr)
    s.close()
'''
# Two flows hold the two ports there are; others come too late, while the two go on. All stay open: a closed one's own
# port could be the next one's, and two flows would be one.
EXHAUST = r'''
import socket, sys, time
def talk(s):
    s.send(b'%f' % time.time()); s.recv(2000)
source, target = sys.argv[1:3]
held, late = [], []
for _ in range(2):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10); s.bind((source, 0)); s.connect((target, 53))
    talk(s); held.append(s)
for _ in range(8):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((source, 0)); s.connect((target, 53))
    late.append(s)
    for _ in range(2):
        try:
            s.send(b'%f' % time.time())
        except OSError:
            pass
        talk(held[0]); talk(held[1])
        time.sleep(.02)
time.sleep(.3)
talk(held[0])
'''
# To a mapped outside end from elsewhere, while the mapping lives: until the input ends, or for 20 s.
STRANGER = r'''
import select, socket, sys, time
def talk(s):
    s.send(b'%f' % time.time()); s.recv(2000)
if sys.argv[1] == 'in':
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)
    s.bind((sys.argv[2], 0)); s.connect((sys.argv[3], 53))
    for i in range(200):
        talk(s)
        if not i:
            print('ready', flush=True)
        if select.select([sys.stdin], [], [], .1)[0]:
            break
    talk(s)
else:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[2], 7777))
    for i in range(5):
        s.sendto(b'stranger %d %f' % (i, time.time()), (sys.argv[3], int(sys.argv[4]))); time.sleep(.05)
'''


def sh(*words, **more):
    return subprocess.run([str(w) for w in words], check=True, stdout=subprocess.PIPE, text=True, **more).stdout


class Lab:
    def __init__(self, folder):
        self.folder, self.started = folder, []
        tag = f'pt{os.getpid()}'
        self.client, self.router, self.server = (f'{tag}{c}' for c in 'crs')
        self.names = self.client, self.router, self.server

    def __enter__(self):
        for n in self.names:
            sh('ip', 'netns', 'add', n)
            self.run(n, 'ip', 'link', 'set', 'lo', 'up')
        return self

    def __exit__(self, *_):
        for p in self.started:
            if p.poll() is None:
                p.send_signal(signal.SIGINT)
        for p in self.started:
            p.wait()
        for n in self.names:
            subprocess.run(['ip', 'netns', 'del', n], stderr=subprocess.DEVNULL)

    def run(self, name, *words, **more):
        return sh('ip', 'netns', 'exec', name, *words, **more)

    def python(self, name, code, *words, **more):
        return self.start(name, sys.executable, '-c', code, *words, **more)

    def start(self, name, *words, **more):
        p = subprocess.Popen(['ip', 'netns', 'exec', name, *[str(w) for w in words]], stderr=subprocess.PIPE,
                             **{'stdout': subprocess.PIPE, 'text': True, **more})
        self.started.append(p)
        return p

    def link(self, a, a_name, b, b_name):
        sh('ip', 'link', 'add', a_name, 'netns', a, 'type', 'veth', 'peer', 'name', b_name, 'netns', b)
        for n, device in ((a, a_name), (b, b_name)):
            self.run(n, 'ip', 'link', 'set', device, 'up')
            self.run(n, 'ethtool', '-K', device, 'tx', 'off', 'gro', 'off', 'gso', 'off', 'tso', 'off',
                     stderr=subprocess.DEVNULL)

    def build(self):
        c, r, s = self.names
        self.link(c, 'in0', r, 'lan')
        self.link(r, 'wan', s, 'out0')
        for a in CLIENTS:
            self.run(c, 'ip', 'address', 'add', f'{a}/24', 'dev', 'in0')
        self.run(r, 'ip', 'address', 'add', '192.168.7.1/24', 'dev', 'lan')
        for a in ('198.51.100.1/24', *(f'{a}/32' for a in (*POOL, NARROW))):
            self.run(r, 'ip', 'address', 'add', a, 'dev', 'wan')
        for a in SERVERS:
            self.run(s, 'ip', 'address', 'add', f'{a}/24', 'dev', 'out0')
        self.run(c, 'ip', 'route', 'add', 'default', 'via', '192.168.7.1')
        self.run(s, 'ip', 'route', 'add', 'default', 'via', '198.51.100.1')
        for key in ('net.ipv4.ip_forward', 'net.netfilter.nf_conntrack_acct'):
            self.run(r, 'sysctl', '-qw', f'{key}=1')
        self.run(r, 'nft', '-f', '-', input=f'''
            table ip nat {{
                chain pre {{
                    type nat hook prerouting priority dstnat
                    iifname "wan" ip daddr {POOL[0]} tcp dport 8443 dnat to {SERVER_INSIDE}:443
                }}
                chain post {{
                    type nat hook postrouting priority srcnat
                    oifname "wan" ip saddr {BYPASS} return
                    oifname "wan" ip saddr {EXHAUSTED} meta l4proto udp snat to {NARROW}:6000-6001
                    oifname "wan" meta l4proto {{ tcp, udp }} snat to {POOL[0]}-{POOL[1]}:20000-60000 random
                    oifname "wan" snat to {POOL[0]}
                }}
            }}
            table ip filter {{
                chain input {{
                    type filter hook input priority 0
                    iifname "wan" meta l4proto udp drop
                }}
            }}''')

    def capture(self, device, name):
        p = self.start(self.router, 'tcpdump', '-i', device, '-Z', 'root', '--immediate-mode', '-s', '4096',
                       '-B', '32768', '-w', self.folder / name)
        self.said(p, 'listening')
        return p

    def events(self, log):
        p = self.start(self.router, 'conntrack', '-E', '-e', 'NEW', '-b', '8388608', stdout=log)
        self.said(p, 'buffer size')
        return p

    def end_events(self, process):
        """When it has read what the kernel gave it, ten seconds later at most."""
        for _ in range(100):
            rows = [line.split() for line in self.run(self.router, 'cat', '/proc/net/netlink').splitlines()]
            if not any(int(row[4]) for row in rows if row[1] == '12'):  # bytes in sockets of netfilter
                break
            time.sleep(.1)
        process.send_signal(signal.SIGINT)
        process.communicate()

    @staticmethod
    def said(process, words):
        """Waits for a line with these words among a tool's messages."""
        while words not in (line := process.stderr.readline()):
            if not line:
                raise RuntimeError(f'{process.args} ended')
        return line

    def end_capture(self, process):
        """When it has written what the kernel gave it, ten seconds later at most; its last message."""
        for _ in range(100):
            process.send_signal(signal.SIGUSR1)
            captured, received = (int(n) for n in re.findall(r'(\d+) packets (?:captured|received)',
                                                             self.said(process, 'captured')))
            if captured == received:
                break
            time.sleep(.1)
        process.send_signal(signal.SIGINT)
        return process.communicate()[1]

    def wait(self, *processes):
        for p in processes:
            if p.wait(60):
                sys.exit(f'a part of the lab failed:\n{p.stderr.read()}')


def conntrack(text):
    """Every mapping: (proto, inside end, outside end, remote end), as the kernel made it."""
    found = set()
    for line in text.splitlines():
        m = re.search(r'\[NEW\]\s+(\w+).*?src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+).*?'
                      r'src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)', line)
        if m:
            proto, src, dst, sport, dport, rsrc, rdst, rsport, rdport = m.groups()
            if src in CLIENTS:
                found.add((proto, f'{src}:{sport}', f'{rdst}:{rdport}', f'{dst}:{dport}'))
            elif rsrc in CLIENTS:
                found.add((proto, f'{rsrc}:{rsport}', f'{dst}:{dport}', f'{src}:{sport}'))
    return found


def traffic(lab, seed):
    """The outside ends to which a stranger sent."""
    c, r, s = lab.names
    rand = random.Random(seed)
    servers = lab.python(s, ECHO, 40, *SERVERS)
    inside = lab.python(c, ECHO, 40, SERVER_INSIDE)
    for p in (servers, inside):
        p.stdout.readline()
    plain = CLIENTS[:-3]
    flows = [(rand.choice(('tcp', 'udp')), rand.choice(plain), rand.choice(SERVERS), rand.choice((53, 443)),
              rand.randint(1, 5)) for _ in range(FLOWS)]
    flows += [(rand.choice(('tcp', 'udp')), BYPASS, rand.choice(SERVERS), 443, 2) for _ in range(6)]
    rand.shuffle(flows)
    # answers of bypassing flows would need a route back: the server's side has it
    lab.run(s, 'ip', 'route', 'add', BYPASS, 'via', '198.51.100.1')
    lab.wait(lab.python(c, TALK, seed, json.dumps(flows[:FLOWS // 2])))
    lab.wait(lab.python(s, TALK, seed + 1, json.dumps([('tcp', a, POOL[0], 8443, 2) for a in SERVERS])))
    lab.wait(lab.python(c, EXHAUST, EXHAUSTED, SERVERS[0]))
    held = lab.python(c, STRANGER, 'in', plain[0], SERVERS[0], stdin=subprocess.PIPE)
    held.stdout.readline()
    listed = lab.run(r, 'conntrack', '-L', '-p', 'udp', '-s', plain[0], '-d', SERVERS[0], '--dport', '53',
                    stderr=subprocess.DEVNULL)
    ends = [re.findall(r'dst=(\S+) sport=53 dport=(\d+)', line)[-1] for line in listed.splitlines()][:4]
    for end in ends:
        lab.wait(lab.python(s, STRANGER, 'out', SERVERS[1], *end))
    held.stdin.close()
    lab.wait(held)
    lab.wait(lab.python(c, TALK, seed + 2, json.dumps(flows[FLOWS // 2:])))
    time.sleep(.5)  # what still comes back
    return ends


def shares(got, want):
    right = len(got & want)
    return right / len(got) if got else 1.0, right / len(want) if want else 1.0


def judge(points, folder, truth, ends, pool):
    args = [*pool] if pool else []
    doc = json.loads(sh(points, folder / 'lan.pcap', folder / 'wan.pcap', *args))
    pairs = {(p['proto'], p['inside'], p['outside'], p['remote']): p for p in doc['pairs']}
    translated = {k for k in truth if k[1].split(':')[0] != BYPASS}
    bad = []

    def score(name, got, want, least=0.99):
        precision, recall = shares(got, want)
        print(f'{name}: {len(want)} true, {len(got)} found, precision {precision:.4f}, recall {recall:.4f}')
        if precision < least or recall < least:
            bad.append(f'{name}: too many {sorted(got - want)[:5]}, missing {sorted(want - got)[:5]}')

    score('pairs', {k for k in pairs if k[0] in ('tcp', 'udp')}, truth)
    score('pairs proved', {k for k, p in pairs.items() if p['proved'] == p['packets']}, truth, 0.95)
    score('bypass', {k for k, p in pairs.items() if p['verdict'] == 'nat_bypass'}, truth - translated)
    findings = {}
    for f in doc['findings']:
        findings.setdefault(f['verdict'], []).append(f)
    refused = {(f['flow']['src'], f['flow']['dst'], str(f['flow']['dport'])) for f in findings.get('nat_filtered', [])}
    score('filtered', refused, {(SERVERS[1], a, p) for a, p in ends})
    lost = [f['count'] for f in findings.get('port_exhausted', [])]
    score('exhausted', set(enumerate(lost)), {(0, 8)})
    others = {v for v in findings if v not in ('nat_bypass', 'nat_filtered', 'port_exhausted')}
    score('other verdicts', others, set())
    print(f"joined {doc['joined']}, proved {doc['proved']}, only inside {doc['only_inside']}, only outside "
          f"{doc['only_outside']}, offset {doc['offset_ns']} ns +- {doc['offset_width_ns']}")
    if abs(doc['offset_ns']) > doc['offset_width_ns']:
        bad.append('the clocks are one, and the offset is not 0 within its width')
    return bad


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument('points')
    a.add_argument('--seed', type=int, default=time.time_ns() // 1000000)
    a.add_argument('--keep', type=pathlib.Path, help='leaves the captures there')
    o = a.parse_args()
    for tool in ('ip', 'nft', 'conntrack', 'tcpdump', 'ethtool'):
        if not shutil.which(tool):
            print(f'no {tool}')
            return SKIP
    try:
        sh('ip', 'netns', 'exec', _probe(), 'true')
    except (subprocess.CalledProcessError, PermissionError):
        print('no network namespaces')
        return SKIP
    print(f'seed {o.seed}', flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        with Lab(folder) as lab:
            lab.build()
            captures = lab.capture('lan', 'lan.pcap'), lab.capture('wan', 'wan.pcap')
            log = open(folder / 'events', 'w')
            events = lab.events(log)
            ends = traffic(lab, o.seed)
            for p in captures:
                said = lab.end_capture(p)
                if re.search(r'^[1-9]\d* packets dropped', said, re.M):
                    print('the machine was too slow for the capture:', said)
                    return SKIP
            lab.end_events(events)
            log.close()
        if o.keep:
            shutil.copytree(folder, o.keep, dirs_exist_ok=True)
        truth = conntrack((folder / 'events').read_text())
        bad = []
        for pool in ([], [f'{p}/32' for p in (*POOL, NARROW)]):
            print('with the pool given' if pool else 'with the pool learned')
            bad += judge(o.points, folder, truth, ends, pool)
    for line in bad:
        print('not so:', line)
    return 1 if bad else 0


def _probe():
    """A namespace of ours to try; it is there only while we are."""
    name = f'pt{os.getpid()}x'
    sh('ip', 'netns', 'add', name, stderr=subprocess.DEVNULL)
    import atexit
    atexit.register(subprocess.run, ['ip', 'netns', 'del', name])
    return name


if __name__ == '__main__':
    sys.exit(main())
