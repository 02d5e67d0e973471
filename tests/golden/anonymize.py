# SPDX-License-Identifier: BSD-3-Clause
"""Captures that may leave the house: judged as the original is, by `analyze` and by tshark, and none of its
addresses is in them. On the example's captures and, with FWDLAB_SHARED, on some of each folder of others'."""
import ipaddress
import json
import os
import pathlib
import re
import shutil
import stat
import struct
import subprocess
import sys
import tempfile

import capture
import golden

ADDRESSES = '''eth.addr ip.addr ipv6.addr arp.src.proto_ipv4 arp.dst.proto_ipv4 arp.src.hw_mac arp.dst.hw_mac
sll.src.eth icmpv6.nd.ns.target_address icmpv6.nd.na.target_address icmpv6.opt.linkaddr icmpv6.opt.prefix
dhcp.ip.client dhcp.ip.your dhcp.ip.server dhcp.ip.relay dhcp.option.requested_ip_address dhcp.hw.mac_addr
dns.a dns.aaaa icmp.redir_gw'''.split()
STAYS = '''frame.number frame.time_epoch frame.len ip.len ip.id tcp.srcport tcp.dstport tcp.seq_raw tcp.flags
udp.srcport udp.dstport icmp.type icmpv6.type'''.split()
CHECKSUMS = [f'{p}.checksum.status' for p in ('ip', 'tcp', 'udp', 'icmp', 'icmpv6')]
UNVERIFIED = '2'  # of a packet that was cut
OPTIONS = '''-n -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE -o ip.defragment:FALSE
-o ipv6.defragment:FALSE -T fields'''.split()
EACH = 3  # captures of each folder
SMALL = 100_000
STRANGE = ('bug8.pcap',)  # a time with a fraction of seconds, which Wireshark cuts to 32 bits of nanoseconds


def tshark(path, fields):
    args = [x for f in fields for x in ('-e', f)]
    p = subprocess.run(['tshark', '-r', str(path), *OPTIONS, *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return [line.split('\t') for line in p.stdout.decode().splitlines()]


def packed(text):
    try:
        return ipaddress.ip_address(text).packed
    except ValueError:
        return bytes.fromhex(text.replace(':', '')) if re.fullmatch(r'(..:){5}..', text) else b''


def tells(a):
    """Is it one that must not be found? Special ranges stay; what is mostly zeros is found anywhere."""
    if b'\0\0' in a or not a:
        return False
    if len(a) == 4:
        return a[0] not in (0, 127) and a[0] < 224 and a[:2] != b'\xa9\xfe'
    return not a[0] & 1 if len(a) == 6 else a[0] != 0xff


def packets(path):
    data = path.read_bytes()
    for kind, at, _ in capture.blocks(data):
        if kind == capture.PCAPNG_EPB:
            yield data[at + 20:at + 20 + struct.unpack_from('<I', data, at + 12)[0]]


def judged(fwdlab, path):
    p = golden.run(fwdlab, 'analyze', '--no-scenario', path, '--json')
    doc = json.loads(p.stdout) if p.returncode == 0 else {}
    for i in doc.get('packets', {}).get('interfaces', []):
        del i['name'] # Windows' names tell the machine
    return p.returncode, {k: doc.get(k) for k in ('packets', 'flows', 'tcp')}


def same_field(name, was, now):
    if name not in CHECKSUMS or was == now:
        return was == now
    pairs = list(zip(was.split(','), now.split(',')))
    return was.count(',') == now.count(',') and all(b in (a, UNVERIFIED) for a, b in pairs)


def seen_alike(original, anonymous):
    """By tshark, with payload: what has to stay does, checksums are as right as they were."""
    names = STAYS + CHECKSUMS
    was, now = tshark(original, names), tshark(anonymous, names)
    if len(was) != len(now):
        return f'{len(now)} packets, not {len(was)}'
    for a, b in zip(was, now):
        closed = not any(b[3:])  # a link layer that is not known: only number, time and length are left
        for name, x, y in list(zip(names, a, b))[:3 if closed else None]:
            if name == 'frame.time_epoch' and (not x or len(x) > 20):
                continue  # without a time, or one beyond 64 bits of nanoseconds
            if not same_field(name, x, y):
                return f'frame {a[0]}: {name} is {y}, was {x}'
    return None


def one(fwdlab, key, path, folder):
    """None, or what is wrong."""
    want, out = judged(fwdlab, path), folder / 'out.pcapng'
    for payload in ([], ['--keep-payload']):
        p = golden.run(fwdlab, 'anonymize', path, '-o', out, '--key', key, *payload)
        if p.returncode:
            return None if want[0] == 2 and not want[1]['packets'] else p.stderr.decode()
        got = judged(fwdlab, out)
        if got != want:
            return f'{payload}: {got}, not {want}'
        if not shutil.which('tshark'):
            continue
        if payload:
            return seen_alike(path, out)
        texts = {t for row in tshark(path, ADDRESSES) for cell in row for t in cell.split(',')}
        apart = b'\xa5\x5a\xa5\x5a'.join(packets(out))
        found = sorted(a.hex() for a in map(packed, texts) if tells(a) and a in apart)
        if found:
            return f'addresses are still there: {found[:5]}'
    return None


def keys(tap, fwdlab, folder):
    key, trace = folder / 'key', golden.trace('routed')
    golden.must(fwdlab, 'anonymize', '--new-key', key)
    tap.equal(stat.S_IMODE(key.stat().st_mode), 0o600, 'a new key is its owner\'s alone')
    p = golden.run(fwdlab, 'anonymize', '--new-key', key)
    golden.refused(tap, 'a new key onto an old one', p, 'key', '--key')
    raw = folder / 'raw'
    raw.write_bytes(bytes.fromhex(key.read_text().strip()))
    for i, args in enumerate((['--key', key], ['--key', raw], [])):
        golden.must(fwdlab, 'anonymize', trace, '-o', folder / f'{i}.pcapng', *args)
    a, b, c = ((folder / f'{i}.pcapng').read_bytes() for i in range(3))
    tap.check(a == b and a != c, 'the same key gives the same file, in hex or not; no key gives another one each time')
    bad = folder / 'bad'
    bad.write_text('not a key')
    p = golden.run(fwdlab, 'anonymize', trace, '-o', folder / 'none.pcapng', '--key', bad)
    golden.refused(tap, 'what is no key', p, 'bad', '32 bytes', '--new-key')
    p = golden.run(fwdlab, 'anonymize', trace, '-o', folder / 'none.pcapng', '--filter', 'tcp prot 80')
    golden.refused(tap, 'a filter that is none', p, 'tcp prot 80')
    tap.check(not (folder / 'none.pcapng').exists(), 'after a failure there is no file')
    doc = golden.document(fwdlab, 'anonymize', trace, '-o', folder / 'tcp.pcapng', '--filter', 'tcp')
    n = doc['packets']
    tap.check(doc['schema'] == 'fwdlab.anonymize/1' and n['written'] and n['filtered'] and
              n['written'] == sum(1 for _ in packets(folder / 'tcp.pcapng')), '--filter and --json', doc)
    return key


def main(fwdlab):
    tap = golden.Tap()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        key = keys(tap, fwdlab, folder)
        for variant in ('routed', 'dhcp', 'dual-stack', 'small-mtu'):
            plain = folder / f'{variant}.pcapng'
            plain.write_bytes(capture.decompressed(golden.trace(variant)))
            wrong = one(fwdlab, key, plain, folder)
            tap.check(not wrong, f'{variant}: judged the same, and no address is left', wrong)
        data = pathlib.Path(os.environ.get('FWDLAB_SHARED', '../shared')) / 'data' / 'pcap'
        kinds = sorted(p for p in data.iterdir() if p.is_dir()) if data.is_dir() else []
        for kind in kinds:
            files = sorted(p for p in kind.rglob('*') if p.suffix in ('.pcap', '.cap', '.pcapng') and
                           p.stat().st_size < SMALL and p.name not in STRANGE)
            files = files[::max(1, len(files) // EACH)][:EACH]
            wrong = [f'{p.name}: {w}' for p, w in ((p, one(fwdlab, key, p, folder)) for p in files) if w]
            tap.check(not wrong, f'{kind.name}: {len(files)} captures', *wrong)
        if not kinds:
            tap.skip('captures of others', f'there is no {data}: set FWDLAB_SHARED')
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
