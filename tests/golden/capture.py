# SPDX-License-Identifier: BSD-3-Clause
"""A second reader of captures, without a line in common with src/trace on purpose: pcapng, IPv4 and IPv6, no
modules."""
import socket
import struct
import subprocess

PCAPNG_SHB, PCAPNG_IDB, PCAPNG_EPB = 0x0A0D0D0A, 1, 6
INBOUND, OUTBOUND = 1, 2
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS = 0, 43, 44, 60
ICMP_ERRORS = 3, 4, 5, 11, 12
QUERIES = {ICMP: (0, 8, 13, 14, 15, 16, 17, 18), ICMPV6: (128, 129)}
ERRORS = {ICMP: ICMP_ERRORS, ICMPV6: range(128)}


def decompressed(path):
    return subprocess.run(['zstd', '-dcq', str(path)], check=True, stdout=subprocess.PIPE).stdout


def blocks(data):
    """(type, offset of the body, length of the body) of each block; little-endian only, as the lab writes them."""
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from('<II', data, at)
        if length < 12 or length % 4 or at + length > len(data):
            raise ValueError(f'byte {at}: a block of {length} bytes')
        yield kind, at + 8, length - 12
        at += length


def options(data, at, end):
    while at + 4 <= end:
        code, length = struct.unpack_from('<HH', data, at)
        if code == 0:
            return
        yield code, data[at + 4:at + 4 + length]
        at += 4 + (length + 3) // 4 * 4


class Frame:
    __slots__ = ('number', 'interface', 'time', 'direction', 'at', 'data')

    def __init__(self, number, interface, time, direction, at, data):
        self.number, self.interface, self.time = number, interface, time
        self.direction, self.at, self.data = direction, at, data


def frames(data):
    """Every packet of a pcapng file in its order, numbered from 1; `at` is where its bytes begin in the file."""
    names, number = [], 0
    for kind, at, length in blocks(data):
        if kind == PCAPNG_SHB:
            names = []
        elif kind == PCAPNG_IDB:
            names.append(next((v.decode() for c, v in options(data, at + 8, at + length) if c == 2), ''))
        elif kind == PCAPNG_EPB:
            interface, high, low, captured, wire = struct.unpack_from('<IIIII', data, at)
            if captured != wire:
                raise ValueError(f'byte {at}: a truncated packet')
            number += 1
            rest = at + 20 + (captured + 3) // 4 * 4
            direction = next((v[0] & 3 for c, v in options(data, rest, at + length) if c == 2), 0)
            at += 20
            yield Frame(number, names[interface], high << 32 | low, direction, at, data[at:at + captured])


def text(address):
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def body(proto, l4, is_error=False):
    """What translation leaves alone of a transport's header and data; of an ICMP error, which packet it is about."""
    if proto == TCP:
        return l4[4:16] + l4[18:]
    if proto == UDP:
        return l4[4:6] + l4[8:]
    if proto == ICMP and is_error:
        q = Ip(l4[8:], quoted=True)
        return l4[:2] + struct.pack('>HHB', q.length, q.id, q.proto)
    return l4[:2] + l4[6:] if proto == ICMP else l4


class Ip:
    """
    An IPv4 or IPv6 packet. `tuple`: (proto, src, sport, dst, dport); ICMP queries: identifier and 0; no ports: 0, 0.
    `extensions`: IPv6's headers before `l4`; `id`, `more`, `offset`: of a fragment, and IPv4's id of any packet.
    """
    __slots__ = ('version', 'length', 'id', 'more', 'offset', 'ttl', 'proto', 'src', 'dst', 'extensions', 'l4', 'tuple')

    def __init__(self, data, quoted=False):
        self.version = data[0] >> 4
        at = self.read_ipv4(data) if self.version == 4 else self.read_ipv6(data)
        self.l4 = data[at:] if quoted else data[at:self.length]
        sport = dport = 0
        if not self.offset and self.proto in (TCP, UDP):
            sport, dport = struct.unpack_from('>HH', self.l4)
        elif not self.offset and self.proto in QUERIES and self.l4[0] in QUERIES[self.proto]:
            sport, = struct.unpack_from('>H', self.l4, 4)
        self.tuple = (self.proto, self.src, sport, self.dst, dport)

    def read_ipv4(self, data):
        _, _, self.length, self.id, fragment, self.ttl, self.proto = struct.unpack_from('>BBHHHBB', data)
        self.more, self.offset, self.extensions = bool(fragment & 0x2000), (fragment & 0x1FFF) * 8, b''
        self.src, self.dst = text(data[12:16]), text(data[16:20])
        return (data[0] & 15) * 4

    def read_ipv6(self, data):
        length, self.proto, self.ttl = struct.unpack_from('>HBB', data, 4)
        self.length, self.id, self.more, self.offset, at = 40 + length, 0, False, 0, 40
        self.src, self.dst = text(data[8:24]), text(data[24:40])
        while self.proto in (HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS) and not self.offset:
            size = 8
            if self.proto == FRAGMENT:
                fragment, self.id = struct.unpack_from('>HI', data, at + 2)
                self.more, self.offset = bool(fragment & 1), fragment & 0xFFF8
            else:
                size += data[at + 1] * 8
            self.proto = data[at]
            at += size
        self.extensions = data[40:at]
        return at

    def is_fragment(self):
        return self.more or self.offset > 0

    def is_error(self):
        return self.proto in ERRORS and not self.offset and self.l4[0] in ERRORS[self.proto]

    def is_neighbour_discovery(self):
        """A link's own business, multicast listener reports too (RFC 4861, RFC 3810)."""
        return self.proto == ICMPV6 and not self.offset and \
            (self.l4[0] in (133, 134, 135, 136, 137) and self.ttl == 255 or
             self.l4[0] in (130, 131, 132, 143) and self.ttl == 1)

    def quoted(self):
        """The packet that an ICMP error is about."""
        return Ip(self.l4[8:], quoted=True)

    def invariant(self):
        """What routing and translation (of IPv4) leave alone, except the TTL."""
        fragment = self.length, self.id, self.more, self.offset
        if self.version == 6:
            return self.proto, self.src, self.dst, *fragment, self.extensions, self.l4
        return self.proto, *fragment, self.l4 if self.offset else body(self.proto, self.l4, self.is_error())


def reverse(t):
    proto, src, sport, dst, dport = t
    return (proto, dst, sport, src, dport) if proto in QUERIES else (proto, dst, dport, src, sport)
