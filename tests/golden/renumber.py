# SPDX-License-Identifier: BSD-3-Clause
"""
Nothing knows the documents' numbers: the scenarios and captures, renumbered to other addresses and renamed, give the
same results with the other addresses and names.
"""
import ipaddress
import json
import pathlib
import re
import struct
import sys
import tempfile

import golden
from capture import ICMP, ICMP_ERRORS, TCP, UDP, decompressed, frames

NETWORKS = {'10.0.0.0/22': '10.77.16.0/22', '10.0.255.0/27': '10.77.31.0/27', '172.16.0.0/22': '192.168.96.0/22',
            '203.0.113.0/24': '198.18.5.0/24', '198.51.100.0/24': '11.22.33.0/24',
            '168.63.129.16/32': '100.99.7.201/32'}
NAMES = {'NIC1': 'uplink', 'NIC2': 'lan0', 'nested-fun': 'village', 'hyper-v-lan': 'backyard', 'ghosted': 'attic',
         'azure-vms': 'neighbours', 'GatewaySubnet': 'gate', 'Routes-for-nested-VMs': 'signposts',
         'Nested-VMs': 'upstairs', 'nested-switch': 'hall', 'on-premises': 'town', 'On-premises': 'Townsfolk',
         'hyperv': 'house', 'guest1': 'anna', 'guest2': 'bert', 'guest1-web': 'anna-shop', 'guest2-web': 'bert-shop',
         'guest2-web-too': 'bert-stall', 'guest1-echo': 'anna-phone', 'Route 1': 'Path A', 'Route 2': 'Path B',
         'nat-machine': 'porter', 'azure-vm': 'carol', 'onprem-pc': 'dora', 'web-server': 'paper',
         'echo-server': 'wall', 'platform-dns': 'oracle'}
SUBNET_NAT = 'front'  # `nat` is a key of the format too


class Addresses:
    def __init__(self, networks):
        self.networks = [tuple(map(ipaddress.ip_network, pair)) for pair in networks.items()]
        self.known = {}

    def __getitem__(self, packed):
        if packed not in self.known:
            address = ipaddress.ip_address(packed)
            self.known[packed] = next((ipaddress.ip_address(int(new[0]) + int(address) - int(old[0])).packed
                                       for old, new in self.networks if address in old), packed)
        return self.known[packed]

    def in_text(self, text):
        return re.sub(r'\b\d+\.\d+\.\d+\.\d+\b',
                      lambda m: str(ipaddress.ip_address(self[ipaddress.ip_address(m[0]).packed])), text)


def rename(text, names):
    words = '|'.join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.sub(rf'(?<![\w-])(?:{words})(?![\w-])', lambda m: names[m[0]], text)


FORTH, BACK = Addresses(NETWORKS), Addresses({new: old for old, new in NETWORKS.items()})
OLD_NAMES = {new: old for old, new in {**NAMES, 'nat': SUBNET_NAT}.items()}


def original(value):
    """A part of a document of the renumbered run, in the documents' addresses and names."""
    return json.loads(BACK.in_text(rename(json.dumps(value), OLD_NAMES)))


def renumbered_scenario(text):
    text = re.sub(r'(?m)^(\s+)nat:(\s+\{ prefix:)', rf'\1{SUBNET_NAT}:\2', text)
    text = text.replace('nested-fun/nat', f'nested-fun/{SUBNET_NAT}').replace('.pcapng.zst', '.pcapng')
    return FORTH.in_text(rename(text, NAMES))


def complement(total):
    """Of a sum of 16-bit words, folded; a sum is never 0 (RFC 1624)."""
    return ~((total - 1) % 0xFFFF + 1) & 0xFFFF


def replace(data, at, new, *checksums):
    """Writes `new` (a multiple of two bytes) and updates the checksums at the offsets given (RFC 1624, equation 3)."""
    words = f'>{len(new) // 2}H'
    change = sum(struct.unpack(words, new)) - sum(struct.unpack_from(words, data, at))
    data[at:at + len(new)] = new
    for place in checksums:
        total = (~struct.unpack_from('>H', data, place)[0] & 0xFFFF) + change
        struct.pack_into('>H', data, place, complement(total))


def internet_checksum(data):
    data = bytes(data) + b'\0' * (len(data) % 2)
    return complement(sum(struct.unpack(f'>{len(data) // 2}H', data)))


def l4_checksum(data, ip, end):
    """Where the transport's checksum is that covers the addresses; None: there is none."""
    l4, proto = ip + (data[ip] & 15) * 4, data[ip + 9]
    at = l4 + {TCP: 16, UDP: 6}.get(proto, 1 << 16)
    later = struct.unpack_from('>H', data, ip + 6)[0] & 0x1FFF
    if later or at + 2 > end or (proto == UDP and data[at:at + 2] == b'\0\0'):
        return None
    return at


def renumber_ip(data, ip, end):
    sums = [ip + 10] + [x for x in [l4_checksum(data, ip, end)] if x]
    for at in (ip + 12, ip + 16):
        replace(data, at, FORTH[bytes(data[at:at + 4])], *sums)
    if data[ip + 9] == UDP and len(sums) == 2 and data[sums[1]:sums[1] + 2] == b'\0\0':
        data[sums[1]:sums[1] + 2] = b'\xff\xff'
    l4 = ip + (data[ip] & 15) * 4
    if data[ip + 9] == ICMP and data[l4] in ICMP_ERRORS and not struct.unpack_from('>H', data, ip + 6)[0] & 0x1FFF:
        renumber_ip(data, l4 + 8, end)
        data[l4 + 2:l4 + 4] = b'\0\0'
        struct.pack_into('>H', data, l4 + 2, internet_checksum(data[l4:end]))


def renumbered_capture(data):
    result = bytearray(data)
    for f in frames(data):
        ip = f.at + 14
        if f.data[12:14] == b'\x08\x00':
            renumber_ip(result, ip, ip + struct.unpack_from('>H', result, ip + 2)[0])
        elif f.data[12:14] == b'\x08\x06':
            for at in (ip + 14, ip + 24):
                result[at:at + 4] = FORTH[bytes(result[at:at + 4])]
    return bytes(result)


def verdicts(path, translate):
    """Of each packet, all but the port that a NAT may choose."""
    return translate([[frame] + [r[k] for k in ('verdict', 'reason', 'in', 'out', 'proto', 'src', 'dst')]
                      for frame, r in sorted(golden.decisions(path).items())])


def compare(tap, fwdlab, variant, folder):
    old, new = folder / 'old.csv', folder / 'new.csv'
    (folder / f'{variant}.pcapng').write_bytes(renumbered_capture(decompressed(golden.trace(variant))))
    was = golden.analyze(fwdlab, golden.scenario(variant), old)
    now = golden.analyze(fwdlab, folder / f'{variant}.yaml', new)
    now = json.loads(json.dumps(now).replace(str(folder), str(golden.HOST)))
    raw = json.dumps(now['findings'])
    tap.check(not any(FORTH.in_text(a) != a for a in re.findall(r'\d+\.\d+\.\d+\.\d+', raw)),
              f'{variant}: the renumbered findings hold none of the old addresses')
    tap.equal(len(now['findings']), len(was['findings']), f'{variant}: as many findings')
    for i, (a, b) in enumerate(zip(was['findings'], original(now['findings'])), 1):
        tap.equal(b, a, f'{variant}: finding {i} ({a["source"]} {a["verdict"]}, {a["count"]} flows) is the same')
    for key in sorted((was.keys() | now.keys()) - {'environment', 'inputs', 'findings', 'nat', 'scenario'}):
        tap.equal(original(now.get(key)), was.get(key), f'{variant}: {key} is the same')
    counts = [{k: n for k, n in d['nat'].items() if k != 'pairs'} for d in (now, was)]
    tap.equal(*counts, f'{variant}: NAT counts are the same')
    inside = [[(p['inside'], p['outside'].split(':')[0], p['first'], p['last']) for p in d['nat']['pairs']]
              for d in ({'nat': original(now['nat'])}, was)]
    tap.equal(*inside, f'{variant}: NAT pairs are the same')
    tap.check(verdicts(new, original) == verdicts(old, list), f'{variant}: the verdict of every packet is the same')


def main(fwdlab):
    tap = golden.Tap()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for file in golden.HOST.glob('*.yaml'):
            (folder / file.name).write_text(renumbered_scenario(file.read_text()))
        for variant in golden.VARIANTS:
            compare(tap, fwdlab, variant, folder)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
