# SPDX-License-Identifier: BSD-3-Clause
"""Captures all of a host's interfaces into one pcapng: whole frames, the kernel's own nanosecond timestamps (so that a
packet's copy coming in precedes its copy going out), the direction flag, in time order. Runs inside the namespace:

    capture.py [--offload] OUT.pcapng INTERFACE...

Prints "ready" when it captures. SIGTERM ends it. A frame that the kernel dropped, cut or gave without its checksum is
an error; --offload takes frames without their checksums, and merged ones of nearly 32 KiB. The kernel copies each
frame into a ring (packet_mmap) as it passes: a frame taken from the socket later by recvmsg shares its bytes with the
forwarded one, and Linux writes the new TTL and MACs of forwarded fragments there."""
import mmap
import selectors
import signal
import socket
import struct
import sys
from collections import Counter

SOL_PACKET, PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION, ETH_P_ALL = 263, 5, 6, 10, 3
TPACKET_V2, TP_STATUS_USER, TP_STATUS_CSUMNOTREADY, PACKET_OUTGOING = 1, 1, 8, 4
RECEPTION = {0: 1, 2: 2, 1: 3, 3: 4}  # sll_pkttype (host, multicast, broadcast, other) -> epb_flags: unicast, …
BLOCK, BLOCKS, SLOT = 1 << 16, 512, 1 << 11  # bytes; a slot holds a frame, 16384 of them an interface
MERGED = 1 << 15  # a slot for merged ones


class Ring:
    def __init__(self, interface, offload):
        self.interface, self.offload, self.at = interface, offload, 0
        self.slot = MERGED if offload else SLOT
        self.slots = BLOCK * BLOCKS // self.slot
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        self.socket.setsockopt(SOL_PACKET, PACKET_RX_RING, struct.pack("@IIII", BLOCK, BLOCKS, self.slot, self.slots))
        self.memory = mmap.mmap(self.socket.fileno(), BLOCK * BLOCKS)
        self.socket.bind((interface, ETH_P_ALL))

    def frames(self):
        """All that wait: (time, outgoing, epb_flags, frame)."""
        while True:
            slot = self.at * self.slot
            status, length, present, start, _, seconds, ns = struct.unpack_from("@IIIHHII", self.memory, slot)
            if not status & TP_STATUS_USER:
                return
            if present < length or (status & TP_STATUS_CSUMNOTREADY and not self.offload):
                sys.exit(f"capture: {self.interface}: a frame of {length} bytes, {present} of them present, "
                         f"status {status:#x}: is an offload on?")
            kind = self.memory[slot + 32 + 10]  # sll_pkttype of the sockaddr_ll behind the header
            outgoing = kind == PACKET_OUTGOING
            yield (seconds * 10**9 + ns, outgoing, 2 if outgoing else 1 | RECEPTION[kind] << 2,
                   self.memory[slot + start:slot + start + present])
            struct.pack_into("@I", self.memory, slot, 0)
            self.at = (self.at + 1) % self.slots

    def dropped(self):
        """Frames that found no room in the ring."""
        return struct.unpack("@II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]


def option(code, value):
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(kind, body):
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def pcapng(interfaces, records, statistics):
    yield block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + option(4, b"fwdlab traces/lab") +
                option(0, b""))
    for name in interfaces:
        yield block(1, struct.pack("<HHI", 1, 0, 0) + option(2, name.encode()) + option(9, b"\x09") + option(0, b""))
    for time, _, index, flags, data, *cut in records:  # cut: how long the frame was, when it was longer
        yield block(6, struct.pack("<IIIII", index, time >> 32, time & 0xFFFFFFFF, len(data), *(cut or [len(data)])) +
                    data + bytes(-len(data) % 4) + option(2, struct.pack("<I", flags)) + option(0, b""))
    end = records[-1][0] if records else 0
    for index, (received, dropped) in enumerate(statistics):
        yield block(5, struct.pack("<III", index, end >> 32, end & 0xFFFFFFFF) +
                    option(4, struct.pack("<Q", received)) + option(5, struct.pack("<Q", dropped)) + option(0, b""))


def main(*arguments):
    offload = arguments[0] == "--offload"
    out, *interfaces = arguments[offload:]
    rings, records, stop = [Ring(i, offload) for i in interfaces], [], []
    wake, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    selector = selectors.DefaultSelector()
    for ring in rings:
        selector.register(ring.socket, selectors.EVENT_READ)
    selector.register(wake, selectors.EVENT_READ)
    print("ready", flush=True)
    while not stop:
        selector.select()
        for index, ring in enumerate(rings):
            records.extend((time, outgoing, index, flags, data) for time, outgoing, flags, data in ring.frames())
    counts = Counter(index for _, _, index, _, _ in records)
    statistics = [(counts[index], ring.dropped()) for index, ring in enumerate(rings)]
    records.sort(key=lambda r: r[:2])
    with open(out, "wb") as f:
        f.writelines(pcapng(interfaces, records, statistics))
    for name, (received, dropped) in zip(interfaces, statistics):
        print(f"{name}: {received} frames, {dropped} dropped", flush=True)
    if any(dropped for _, dropped in statistics):
        sys.exit("capture: the kernel dropped frames; the capture is incomplete")


if __name__ == "__main__":
    main(*sys.argv[1:])
