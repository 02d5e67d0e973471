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
from capture import ICMPV6, TCP, UDP, Ip, decompressed, frames

NETWORKS = {'10.0.0.0/22': '10.77.16.0/22', '10.0.255.0/27': '10.77.31.0/27', '172.16.0.0/22': '192.168.96.0/22',
            '203.0.113.0/24': '198.18.5.0/24', '198.51.100.0/24': '11.22.33.0/24',
            '168.63.129.16/32': '100.99.7.201/32', '10.0.4.0/24': '10.77.20.0/24',
            '192.168.50.0/24': '192.168.200.0/24', 'fd00:a::/48': 'fd77:4:b::/48', 'fd00:ac10::/48': 'fdac:0:9::/48',
            '2001:db8:113::/64': '3fff:5:6::/64', '2001:db8:51::/64': '3fff:2:1:9::/64'}
NAMES = {'NIC1': 'uplink', 'NIC2': 'lan0', 'nested-fun': 'village', 'hyper-v-lan': 'backyard', 'ghosted': 'attic',
         'azure-vms': 'neighbours', 'GatewaySubnet': 'gate', 'Routes-for-nested-VMs': 'signposts',
         'Nested-VMs': 'upstairs', 'nested-switch': 'hall', 'on-premises': 'town', 'On-premises': 'Townsfolk',
         'hyperv': 'house', 'guest1': 'anna', 'guest2': 'bert', 'guest1-web': 'anna-shop', 'guest2-web': 'bert-shop',
         'guest2-web-too': 'bert-stall', 'guest1-echo': 'anna-phone', 'Route 1': 'Path A', 'Route 2': 'Path B',
         'nat-machine': 'porter', 'azure-vm': 'carol', 'onprem-pc': 'dora', 'web-server': 'paper',
         'echo-server': 'wall', 'platform-dns': 'oracle', 'hyperv2': 'house-next-door', 'guest3': 'emil',
         'guest4': 'fred', 'guest5': 'greta', 'guest3-web': 'emil-shop', 'newcomer': 'hans', 'squatter': 'ivan',
         'ghosted-2': 'loft', 'nested-switch-2': 'corridor', 'outside-switch': 'barn', 'Nested-VMs-2': 'downstairs',
         'Nested-VMs-6': 'upstairs-6', 'Guests of hyperv': 'Path C', 'Guests of hyperv2': 'Path D',
         'Outside': 'Yonder', 'Outside guests': 'Path E', 'Route 1 v6': 'Path A6', 'Route 2 v6': 'Path B6'}
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
        def one(m):
            try:
                return str(ipaddress.ip_address(self[ipaddress.ip_address(m[0]).packed]))
            except ValueError:  # a MAC address, a file and its line
                return m[0]
        return re.sub(r'\b\d+\.\d+\.\d+\.\d+\b|(?<![\w:])[\da-f]+:[\da-f:]*:[\da-f]*', one, text)


def rename(text, names):
    words = '|'.join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.sub(rf'(?<![\w-])(?:{words})(?![\w-])', lambda m: names[m[0]], text)


FORTH, BACK = Addresses(NETWORKS), Addresses({new: old for old, new in NETWORKS.items()})
OLD_NAMES = {new: old for old, new in {**NAMES, 'nat': SUBNET_NAT}.items()}


def original(value):
    """A part of a document of the renumbered run, in the documents' addresses and names."""
    return json.loads(BACK.in_text(rename(json.dumps(value), OLD_NAMES)))


def renumbered_scenario(text):
    text = re.sub(r'(?m)^(\s+)nat:(\s+\{ prefix)', rf'\1{SUBNET_NAT}:\2', text)
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


def renumber_dhcp(data, at, end):
    """Of a DHCP message (RFC 2131; RFC 2132): its addresses, and the options that hold some."""
    places = [at + 12, at + 16, at + 20, at + 24]
    option = at + 240
    while option < end and data[option] != 255:
        size = data[option + 1] if data[option] else -1  # 0 is padding, one byte
        if data[option] in (1, 3, 6, 28, 50, 54):
            places += range(option + 2, option + 2 + size, 4)
        option += 2 + size
    for place in places:
        data[place:place + 4] = FORTH[bytes(data[place:place + 4])]


def l4_checksum(data, l4, proto, end):
    """Where the transport's checksum is that covers the addresses; None: there is none."""
    at = l4 + {TCP: 16, UDP: 6, ICMPV6: 2}.get(proto, 1 << 16)
    return None if at + 2 > end or (proto == UDP and data[at:at + 2] == b'\0\0') else at


def summed(data, l4, end, place, proto, pseudo):
    """Writes the transport's checksum anew; `pseudo`: where the addresses are that it covers, if it does."""
    data[place:place + 2] = b'\0\0'
    head = data[pseudo] + struct.pack('>II', end - l4, proto) if pseudo else b''
    struct.pack_into('>H', data, place, internet_checksum(head + data[l4:end]))


def renumber_ip(data, ip, end):
    old = Ip(bytes(data[ip:end]), quoted=True)
    size, addresses = (4, (ip + 12, ip + 16)) if old.version == 4 else (16, (ip + 8, ip + 24))
    l4 = end - len(old.l4)
    place = None if old.offset else l4_checksum(data, l4, old.proto, end)
    sums = [ip + 10] * (old.version == 4) + [place] * (place is not None)
    for at in addresses:
        replace(data, at, FORTH[bytes(data[at:at + size])], *sums)
    pseudo = slice(addresses[0], addresses[1] + size)
    if old.is_error():
        renumber_ip(data, l4 + 8, end)
        summed(data, l4, end, l4 + 2, old.proto, pseudo if old.version == 6 else None)
    elif old.proto == UDP and {old.tuple[2], old.tuple[4]} == {67, 68}:
        renumber_dhcp(data, l4 + 8, end)
        if place:
            summed(data, l4, end, place, UDP, pseudo)
    if old.proto == UDP and place and data[place:place + 2] == b'\0\0':
        data[place:place + 2] = b'\xff\xff'


def renumbered_capture(data):
    result = bytearray(data)
    for f in frames(data):
        ip = f.at + 14
        if f.data[12:14] in (b'\x08\x00', b'\x86\xdd'):
            renumber_ip(result, ip, ip + Ip(f.data[14:]).length)
        elif f.data[12:14] == b'\x08\x06':
            for at in (ip + 14, ip + 24):
                result[at:at + 4] = FORTH[bytes(result[at:at + 4])]
    return bytes(result)


SAME = ('verdict', 'reason', 'in', 'out', 'proto', 'src', 'dst', 'fragments', 'error', 'error_out')


def verdicts(path, translate):
    """Of each packet, all but the port that a NAT may choose."""
    return translate([[frame] + [r[k] for k in SAME] for frame, r in sorted(golden.decisions(path).items())])


def compare(tap, fwdlab, variant, folder):
    old, new = folder / 'old.csv', folder / 'new.csv'
    (folder / f'{variant}.pcapng').write_bytes(renumbered_capture(decompressed(golden.trace(variant))))
    was = golden.analyze(fwdlab, golden.scenario(variant), old)
    now = golden.analyze(fwdlab, folder / f'{variant}.yaml', new)
    now = json.loads(json.dumps(now).replace(str(folder), str(golden.HOST)))
    raw = json.dumps(now['findings'])
    tap.check(FORTH.in_text(raw) == raw,
              f'{variant}: the renumbered findings hold none of the old addresses')
    tap.equal(len(now['findings']), len(was['findings']), f'{variant}: as many findings')
    for i, (a, b) in enumerate(zip(was['findings'], original(now['findings'])), 1):
        tap.equal(b, a, f'{variant}: finding {i} ({a["source"]} {a["verdict"]}, {a["count"]} flows) is the same')
    for key in sorted((was.keys() | now.keys()) - {'environment', 'inputs', 'findings', 'nat', 'scenario'}):
        tap.equal(original(now.get(key)), was.get(key), f'{variant}: {key} is the same')
    counts = [{k: n for k, n in d['nat'].items() if k != 'pairs'} for d in (now, was)]
    tap.equal(original(counts[0]), counts[1], f'{variant}: NAT counts are the same')
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
