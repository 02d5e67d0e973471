# SPDX-License-Identifier: BSD-3-Clause
"""A second reader of captures, without a line in common with src/trace on purpose: pcapng and IPv4, no modules."""
import socket
import struct
import subprocess

PCAPNG_SHB, PCAPNG_IDB, PCAPNG_EPB = 0x0A0D0D0A, 1, 6
INBOUND, OUTBOUND = 1, 2
ICMP, TCP, UDP = 1, 6, 17
ICMP_QUERIES, ICMP_ERRORS = (0, 8, 13, 14, 15, 16, 17, 18), (3, 4, 5, 11, 12)


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
    return socket.inet_ntoa(address)


class Ip:
    """An IPv4 packet. `tuple`: (proto, src, sport, dst, dport); ICMP queries: identifier and 0; without ports: 0, 0."""
    __slots__ = ('ihl', 'length', 'id', 'more', 'offset', 'ttl', 'proto', 'src', 'dst', 'l4', 'tuple')

    def __init__(self, data, quoted=False):
        self.ihl = (data[0] & 15) * 4
        _, _, self.length, self.id, fragment, self.ttl, self.proto = struct.unpack_from('>BBHHHBB', data)
        self.more, self.offset = bool(fragment & 0x2000), (fragment & 0x1FFF) * 8
        self.src, self.dst = text(data[12:16]), text(data[16:20])
        self.l4 = data[self.ihl:] if quoted else data[self.ihl:self.length]
        sport = dport = 0
        if not self.offset and self.proto in (TCP, UDP):
            sport, dport = struct.unpack_from('>HH', self.l4)
        elif not self.offset and self.proto == ICMP and self.l4[0] in ICMP_QUERIES:
            sport, = struct.unpack_from('>H', self.l4, 4)
        self.tuple = (self.proto, self.src, sport, self.dst, dport)

    def is_fragment(self):
        return self.more or self.offset > 0

    def is_error(self):
        return self.proto == ICMP and not self.offset and self.l4[0] in ICMP_ERRORS

    def quoted(self):
        """The packet that an ICMP error is about."""
        return Ip(self.l4[8:], quoted=True)

    def invariant(self):
        """What routing and translation leave alone, except the TTL."""
        l4 = self.l4
        if self.offset:
            body = l4
        elif self.proto == TCP:
            body = l4[4:16] + l4[18:]
        elif self.proto == UDP:
            body = l4[4:6] + l4[8:]
        elif self.is_error():
            q = self.quoted()
            body = l4[:2] + struct.pack('>HHB', q.length, q.id, q.proto)
        elif self.proto == ICMP:
            body = l4[:2] + l4[6:]
        else:
            body = l4
        return self.proto, self.length, self.id, self.more, self.offset, body


def reverse(t):
    proto, src, sport, dst, dport = t
    return (proto, dst, sport, src, dport) if proto == ICMP else (proto, dst, dport, src, sport)
