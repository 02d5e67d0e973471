# SPDX-License-Identifier: BSD-3-Clause
"""What entered the host and what left it, in a capture of its interfaces, put together by the second reader."""
from collections import defaultdict, deque

from capture import INBOUND, OUTBOUND, Ip, body, frames

STAY_NS = 5_000_000_000


class Packet:
    """
    One that entered the host. `copy`: as it left (or the first piece), `pieces`: in how many; None: the host put a
    datagram together and cut it anew. `error`: ICMP type, code, and the interface by which the host sent it;
    `limited`: not with Linux' default limit. `kind`, `tuple`, `out`: what the kernel did.
    """
    __slots__ = ('frame', 'ip', 'copy', 'pieces', 'kind', 'out', 'tuple', 'error', 'limited')

    def __init__(self, frame, ip):
        self.frame, self.ip, self.copy, self.pieces, self.error, self.limited = frame, ip, None, 0, None, False


def ip_of(frame):
    return Ip(frame.data[14:]) if frame.data[12:14] in (b'\x08\x00', b'\x86\xdd') else None


def may_be(p, frame, ip):
    """Can this have left because that entered?"""
    return p.ip.ttl == ip.ttl + 1 and 0 <= frame.time - p.frame.time < STAY_NS and \
        (p.ip.src == ip.src or p.ip.dst == ip.dst)


def together(parts):
    """A datagram of its fragments: what translation leaves alone; None: they are not all there."""
    l4 = b''
    for ip in sorted(parts, key=lambda ip: ip.offset):
        if ip.offset != len(l4):
            return None
        l4 += ip.l4
    return None if ip.more else (ip.proto, body(ip.proto, l4))


def join_pieces(entered, own):
    """What the host cut: a packet that it sent on in pieces, or a datagram's fragments, which it sent on as others."""
    left, arrived, found = defaultdict(list), defaultdict(list), []
    for frame, ip in own:
        if ip.is_fragment():
            left[ip.id, ip.proto, ip.src, ip.dst].append((frame, ip))
    for p in entered:
        if not p.copy:
            arrived[p.ip.id, p.ip.proto].append(p)
    for (number, proto, *_), pieces in left.items():
        parts = [p for p in arrived[number, proto] if may_be(p, *pieces[0])]
        whole = together(ip for _, ip in pieces)
        if whole and parts and whole == together(p.ip for p in parts):
            found += pieces
            for p in parts:
                p.copy, p.pieces = pieces[0], len(pieces) if len(parts) == 1 else None
    return found


def join(data):
    """
    The packets that entered, each with its copy if it has one; what left without having entered; and the pieces that
    left of what the host cut.
    """
    entered, own, waiting = [], [], defaultdict(deque)
    everything = [(f, ip_of(f)) for f in frames(data)]
    for frame, ip in sorted((x for x in everything if x[1]), key=lambda x: (x[0].time, x[0].number)):
        if ip.is_neighbour_discovery():
            continue
        key = ip.invariant()
        if frame.direction == INBOUND:
            p = Packet(frame, ip)
            entered.append(p)
            waiting[key].append(p)
        elif frame.direction == OUTBOUND:
            p = next((p for p in waiting[key] if may_be(p, frame, ip)), None)
            if p:
                p.copy, p.pieces = (frame, ip), 1
                waiting[key].remove(p)
            else:
                own.append((frame, ip))
        else:
            raise ValueError(f'frame {frame.number}: no direction')
    pieces = join_pieces(entered, own)
    return entered, [x for x in own if x not in pieces], pieces
