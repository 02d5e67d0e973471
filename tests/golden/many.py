# SPDX-License-Identifier: BSD-3-Clause
"""trace_many against Wireshark's tools and tcpdump: captures hold what capinfos counts, random parts of a capture come
together as mergecap puts them, filters pass what tcpdump passes. Skipped, and said so, where a tool or FWDLAB_SHARED is
missing."""
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

import golden

FILTERS = ('ip', 'ip6', 'arp', 'tcp', 'udp', 'icmp or icmp6', 'not ip', 'tcp port 80', 'udp port 53', 'port 443',
           'src net 192.168.0.0/16', 'dst host 255.255.255.255', 'tcp[tcpflags] & tcp-syn != 0', 'greater 500',
           'less 100', 'portrange 1024-65535', 'ip[8] < 64', 'vlan', 'ether broadcast', 'ip proto 50 or ip proto 47',
           'ip[6:2] & 0x3fff != 0', 'mpls', 'inbound')
FOREVER = 2 ** 64 - 1
OVERFLOWS = 'bug8.pcap',  # a record with 8,915,240 microseconds, which Wireshark reduces modulo 2^32 nanoseconds


def output(*args, **more):
    p = subprocess.run([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    return p.returncode, p.stdout.decode(errors='replace'), p.stderr.decode(errors='replace')


class Reading:
    """What `packets` says: rows of packets, of interfaces, the totals; `error` or None."""

    def __init__(self, tool, *args):
        code, text, self.error = output(tool, *args)
        rows = [line.split('\t') for line in text.split('\n')[:-1]]
        self.packets = [r[1:] for r in rows if r[0] == 'packet']
        self.interfaces = [r[1:] for r in rows if r[0] == 'interface']
        self.crashed = code not in (0, 2)
        if code == 0:
            self.error = None
            self.read, self.filtered, self.bytes, self.late, self.backwards = map(int, rows[-1][1:6])
            self.damage = rows[-1][6]


def in_time_order(packets):
    """(time, digest), those of one time sorted by their digests: which comes first, nobody promises."""
    return sorted((int(p[0]), p[7]) for p in packets)


def is_sorted(packets):
    times = [int(p[0]) for p in packets]
    return times == sorted(times)


# ---- capinfos ----

def capinfos(paths):
    """path → its lines, of those that capinfos reads."""
    _, text, _ = output('capinfos', '-M', *paths)
    found = {}
    for block in re.split(r'(?m)^(?=File name: )', text):
        if block.startswith('File name:') and 'Number of packets:' in block:
            found[re.match(r'File name: +(.*)', block).group(1)] = block
    return found


def number(block, name):
    return int(re.search(name + r': +(\d+)', block).group(1))


def differs(tool, path, block):
    """None, or how a file's counts differ from capinfos's."""
    r = Reading(tool, '-q', '-s', path)
    if r.error is not None:
        return r.error
    want = number(block, 'Number of packets'), number(block, 'Data size')
    if (r.read, r.bytes) != want:
        return f'packets and bytes {r.read}, {r.bytes}, not {want}; {r.damage}'
    each = [int(n) for n in re.findall(r'(?m)^ +Number of packets = (\d+)', block)]
    sections = max(1, len(re.findall(r'(?m)^Section \d+:', block)))
    if sections > 1:  # capinfos lists all of them once a section, and mistakes those of equal number for one
        each = each[:len(each) // sections]
        if len(each) == len(r.interfaces) and r.read == sum(int(i[1]) for i in r.interfaces):
            each = [int(i[1]) for i in r.interfaces]
    if [int(i[1]) for i in r.interfaces] != each:
        return f'interfaces have {[int(i[1]) for i in r.interfaces]}, not {each}'
    order = re.search(r'Strict time order: +(\w+)', block).group(1)
    known = order in ('True', 'False') and pathlib.Path(path).name not in OVERFLOWS
    if known and (r.backwards == 0) != (order == 'True'):
        return f'{r.backwards} packets go back in time, strict time order: {order}'
    return None


def check_counts(tap, tool, paths, work):
    for packed in sorted((golden_data() / 'large').glob('*.pcap.zst')):
        path = work / packed.stem
        subprocess.run(['zstd', '-dqf', packed, '-o', path], check=True)
        paths = [*paths, path]
    blocks = capinfos(paths)
    wrong = [(p, w) for p, w in ((p, differs(tool, p, b)) for p, b in blocks.items()) if w]
    refused = [f'{p}: {w}' for p, w in wrong if 'does not begin a capture' in w]  # a snoop and a text file
    wrong = [f'{p}: {w}' for p, w in wrong if 'does not begin a capture' not in w]
    tap.check(not wrong and len(refused) <= 2 and len(blocks) > 300,
              f'{len(blocks) - len(refused)} captures have packets, bytes and interfaces as capinfos says',
              *wrong, *refused)


# ---- mergecap ----

def split(rng, path, n, work):
    """Parts of a capture: consecutive ones, or packets dealt at random; some moved in time, some pcap."""
    parts = []
    count = rng.randint(2, 6)
    bounds = sorted(rng.sample(range(1, n), min(count - 1, n - 1)))
    rotated = rng.random() < 0.5
    owner = [sum(b <= i for b in bounds) if rotated else rng.randrange(count) for i in range(n)]
    for part in range(count):
        frames = [i + 1 for i in range(n) if owner[i] == part]
        if not frames:
            continue
        out = work / f'part-{part}'
        args = ['-t', f'{rng.uniform(-3, 3):.6f}'] if rng.random() < 0.3 else []
        kind = rng.choice(('pcap', 'pcapng', 'nsecpcap'))
        chunks = [frames[i:i + 500] for i in range(0, len(frames), 500)]  # editcap takes 512 selections
        if len(chunks) > 1:
            return None
        if output('editcap', *args, '-F', kind, '-r', path, out, *map(str, chunks[0]))[0]:
            return None
        parts.append(out)
    rng.shuffle(parts)
    return parts


def check_merge(tap, tool, blocks, work):
    seed = random.randrange(2 ** 32)
    rng = random.Random(seed)
    small = [p for p, b in blocks.items() if 2 < number(b, 'Number of packets') <= 500]
    rng.shuffle(small)
    done, wrong, late = 0, [], 0
    for path in small:
        parts = split(rng, path, number(blocks[path], 'Number of packets'), work)
        merged = work / 'merged'
        if not parts or output('mergecap', '-w', merged, *parts)[0]:
            continue
        want, got = Reading(tool, '-s', merged), Reading(tool, '-w', FOREVER, *parts)
        if want.error is not None or got.error is not None:
            wrong.append(f'{path}: {want.error} {got.error}')
            continue
        if in_time_order(got.packets) != in_time_order(want.packets):
            wrong.append(f'{path}: {len(got.packets)} packets, mergecap has {len(want.packets)}')
        if got.late or not is_sorted([p for p in got.packets if p[0] != '0']):
            wrong.append(f'{path}: not in order, {got.late} late')
        if [p for p in got.packets if int(p[5]) > int(p[6])]:
            wrong.append(f'{path}: more captured than there was')
        done += 1
        late += want.backwards > 0
        if done == 60:
            break
    tap.check(not wrong and done >= 30,
              f'{done} captures in random parts ({late} out of order) come together as mergecap puts them',
              f'seed {seed}', *wrong)


# ---- tcpdump ----

def check_filters(tap, tool, blocks, _work):
    by_type = {}
    for path, block in blocks.items():
        if len(re.findall(r'(?m)^Interface #', block)) == 1 and number(block, 'Number of packets') < 50000:
            name = re.search(r'File encapsulation: +(.*)', block).group(1)
            by_type.setdefault(name, []).append((number(block, 'Number of packets'), path))
    compared, refused, passed, wrong = 0, 0, 0, []
    for paths in by_type.values():
        for _, path in sorted(paths, reverse=True)[:3]:
            for expression in FILTERS:
                code, text, message = output('tcpdump', '--count', '-r', path, expression)
                counted = re.search(r'(\d+) packets?', text)
                r = Reading(tool, '-q', '-f', expression, path)
                if code and not counted:
                    refused += 1
                    if r.error is None:
                        wrong.append(f'{path}: {expression}: tcpdump says {message}')
                elif r.error is not None or r.read - r.filtered != int(counted.group(1)):
                    wrong.append(f'{path}: {expression}: {r.error or r.read - r.filtered}, tcpdump: {text}')
                else:
                    compared += 1
                    passed += int(counted.group(1)) > 0
    tap.check(not wrong and compared > 300 and passed > 100,
              f'{compared} filters over {len(by_type)} link types pass what tcpdump passes ({passed} pass something, '
              f'{refused} are refused by both)', *wrong)


# ---- the malformed ones ----

def check_malformed(tap, tool):
    files = sorted(p for p in (golden_data() / 'malformed').rglob('*') if p.is_file())
    wrong = []
    for path in files:
        for args in ([], ['-s'], ['-f', 'ip']):
            r = Reading(tool, '-q', *args, path)
            if r.crashed or (r.error and not re.search(r'byte \d+|link type \d+', r.error)):
                wrong.append(f'{path} {args}: {r.error}')
    together = Reading(tool, '-q', *files)
    if together.crashed or together.error is not None or not together.damage:
        wrong.append(f'all at once: {together.error}')
    tap.check(not wrong and len(files) > 200, f'{len(files)} malformed files end well, and all of them at once', *wrong)


def golden_data():
    return pathlib.Path(os.environ.get('FWDLAB_SHARED', '../shared')) / 'data'


def main(tool):
    tap = golden.Tap()
    paths = sorted(p for p in (golden_data() / 'pcap').rglob('*') if p.is_file())
    missing = [t for t in ('capinfos', 'mergecap', 'editcap', 'tcpdump', 'zstd') if not shutil.which(t)]
    if missing or not paths:
        tap.skip('many', f'missing: {missing or golden_data()}')
        return tap.done()
    blocks = capinfos(paths)
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        check_counts(tap, tool, paths, work)
        check_merge(tap, tool, blocks, work)
        check_filters(tap, tool, blocks, work)
    check_malformed(tap, tool)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
