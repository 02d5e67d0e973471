# SPDX-License-Identifier: BSD-3-Clause
"""What a span, a sampler or a short snaplen would have left of a whole capture of capture.py."""
import socket
import struct
from collections import Counter

from capture import pcapng


def read(path):
    """(interfaces, records) of a file that capture.py wrote; a record as pcapng() takes them."""
    data, at, interfaces, records = path.read_bytes(), 0, [], []
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind == 1:
            size, = struct.unpack_from("<H", data, at + 18)  # if_name is the first option
            interfaces.append(data[at + 20:at + 20 + size].decode())
        elif kind == 6:
            index, high, low, present, _ = struct.unpack_from("<IIIII", data, at + 8)
            frame = data[at + 28:at + 28 + present]
            flags, = struct.unpack_from("<I", data, at + 28 + (present + 3) // 4 * 4 + 4)
            records.append((high << 32 | low, flags & 3 == 2, index, flags, frame))
        at += length
    return interfaces, records


def packets(path):
    """(interface, outgoing, protocol, (source, port), (destination, port)) of TCP, UDP and ICMP queries; of those the
    identifier is both ends' port."""
    interfaces, records = read(path)
    for _, outgoing, index, _, frame in records:
        ip, at = frame[14:], 14 + (frame[14] & 15) * 4
        proto = {1: "icmp", 6: "tcp", 17: "udp"}.get(ip[9])
        if frame[12:14] != b"\x08\x00" or not proto or proto == "icmp" and frame[at] not in (0, 8):
            continue
        ports = struct.unpack_from(">HH", frame, at)
        if proto == "icmp":
            ports = struct.unpack_from(">H", frame, at + 4) * 2
        addresses = socket.inet_ntoa(ip[12:16]), socket.inet_ntoa(ip[16:20])
        yield interfaces[index], outgoing, proto, *zip(addresses, ports)


def write(path, interfaces, records, spans=(), snaplen=0, shift=0, chosen=lambda: True):
    """spans: (interface, "in" or "out") of what is kept, none: all; chosen(): is a frame kept?; snaplen: bytes, 0: all;
    shift: of the clock, ns."""
    wanted = [i for i in interfaces if not spans or i in [name for name, _ in spans]]
    seen = [r for r in records if not spans or (interfaces[r[2]], "out" if r[1] else "in") in spans]
    kept = [(time + shift, out, wanted.index(interfaces[index]), flags, frame[:snaplen or None], len(frame))
            for time, out, index, flags, frame in seen if chosen()]
    counts = Counter(record[2] for record in kept)
    path.write_bytes(b"".join(pcapng(wanted, kept, [(counts[i], 0) for i in range(len(wanted))])))
