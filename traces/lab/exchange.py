# SPDX-License-Identifier: BSD-3-Clause
"""Small conversations between machines, many at a time, by one program that holds the sockets of all namespaces: what
is not answered costs the patience of one."""
import select
import socket
import struct
import time

PATIENCE, PAUSE = 1.0, 0.02  # s
MRT_INIT, MRT_ADD_VIF, MRT_ADD_MFC, VIFF_USE_IFINDEX = 200, 202, 204, 8


def echo_request(identifier, sequence, data):
    def message(checksum):
        return struct.pack(">BBHHH", 8, 0, checksum, identifier, sequence) + data + bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(message(0)) // 2}H", message(0)))
    total = (total & 0xFFFF) + (total >> 16)
    return message(~(total + (total >> 16)) & 0xFFFF)


class Conversation:
    """A flow's two sockets. `flow`: proto, src, sport, dst, dport, due (is an answer due?)."""

    def __init__(self, sockets, flow, client, number):
        self.flow, self.number, self.server, self.answered = flow, number, None, 0
        kind = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0),
                "icmp": (socket.SOCK_RAW, socket.IPPROTO_ICMP)}[flow.proto]
        self.client = sockets.open(client, flow.src, flow.sport if flow.proto != "icmp" else 0, *kind)
        self.client.setblocking(False)
        if flow.proto == "udp":
            self.client.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
        if flow.proto == "tcp":
            self.client.connect_ex((flow.dst, flow.dport))

    def ask(self, turn, size):
        text = b"%08d%04d" % (self.number, turn) + bytes(i * 7 & 255 for i in range(size))
        to = (self.flow.dst, self.flow.dport)
        try:
            if self.flow.proto == "tcp":
                self.client.send(text)
            elif self.flow.proto == "udp":
                self.client.sendto(text, to)
            else:
                self.client.sendto(echo_request(self.flow.sport, turn, text), (to[0], 0))
        except OSError:  # not connected, and it never will be
            pass

    def hear(self):
        """Was that an answer?"""
        data = self.client.recv(1 << 17)
        if self.flow.proto != "icmp":
            return bool(data)
        return data[20] == 0 and struct.unpack_from(">H", data, 24)[0] == self.flow.sport


class Exchange:
    """Conversations, and servers on every address and port that they name. machines(address): who has it."""

    def __init__(self, sockets, flows, machines):
        self.udp, self.listeners = [], []
        for proto, address, port in dict.fromkeys((f.proto, f.dst, f.dport) for f in flows):
            for machine in machines(address):
                if proto == "udp":
                    self.udp.append(sockets.open(machine, address, port))
                elif proto == "tcp":
                    self.listeners.append(sockets.open(machine, address, port, socket.SOCK_STREAM))
                    self.listeners[-1].listen(1000)
        for s in (*self.udp, *self.listeners):
            s.setblocking(False)
        self.sockets, self.machines, self.all, self.accepted = sockets, machines, [], []

    def begin(self, flows):
        begun = [Conversation(self.sockets, f, self.machines(f.src)[0], len(self.all) + n) for n, f in enumerate(flows)]
        self.all += begun
        connecting = [c.client for c in begun if c.flow.proto == "tcp"]
        ends = time.monotonic() + PATIENCE
        while connecting and time.monotonic() < ends:
            _, ready, _ = select.select((), connecting, (), 0.05)
            connecting = [s for s in connecting if s not in ready]
        return begun

    def turn(self, talking, turn, size, answer):
        """A question of each, and the answers that are due: until all are there, or for as long as patience lasts."""
        for c in talking:
            c.ask(turn, size)
        asked = {c.client: c for c in talking if c.flow.due}
        ends = time.monotonic() + PATIENCE
        missing = set(asked)
        while missing and time.monotonic() < ends:
            for s, _ in self.poll((*missing, *self.accepted, *self.udp, *self.listeners)):
                try:
                    if s in asked:
                        if s in missing and asked[s].hear():
                            asked[s].answered += 1
                            missing.discard(s)
                    elif s in self.listeners:
                        self.accepted.append(s.accept()[0])
                    elif s in self.udp:
                        data, peer = s.recvfrom(1 << 16)
                        if self.all[int(data[:8])].flow.due:
                            s.sendto(data[:8] + bytes(answer), peer)
                    else:
                        self.serve(s, answer)
                except OSError:  # an ICMP error that an earlier packet caused
                    missing.discard(s)
        time.sleep(PAUSE)

    def serve(self, s, answer):
        data = s.recv(1 << 16)
        if not data:  # the client has ended
            self.accepted.remove(s)
            return
        self.all[int(data[:8])].server = s
        s.setblocking(True)
        s.sendall(data[:8] + bytes(answer))
        s.setblocking(False)

    @staticmethod
    def poll(sockets):
        by_fd = {s.fileno(): s for s in sockets if s.fileno() >= 0}
        poller = select.poll()
        for fd in by_fd:
            poller.register(fd, select.POLLIN)
        return [(by_fd[fd], event) for fd, event in poller.poll(50)]

    def end(self, some, abort=False):
        for c in some:
            for s in filter(None, (c.client, c.server)):
                if abort and c.flow.proto == "tcp":
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.close()
                time.sleep(0.0005)
            c.server = None
        time.sleep(PAUSE)

    def close(self):
        for s in (*self.udp, *self.listeners):
            s.close()


def route_multicast(sockets, machine, interfaces, routes):
    """Makes the machine a multicast router as long as the socket that is returned is open. interfaces: their indices;
    routes: (source, group, number of the interface in, out)."""
    s = sockets.open(machine, "", 0, socket.SOCK_RAW, socket.IPPROTO_IGMP)
    s.setsockopt(socket.IPPROTO_IP, MRT_INIT, 1)
    for number, index in enumerate(interfaces):
        s.setsockopt(socket.IPPROTO_IP, MRT_ADD_VIF, struct.pack("@HBBIi4x", number, VIFF_USE_IFINDEX, 1, 0, index))
    for source, group, into, out in routes:
        ttls = bytearray(32)
        ttls[out] = 1
        ends = socket.inet_aton(source) + socket.inet_aton(group)
        s.setsockopt(socket.IPPROTO_IP, MRT_ADD_MFC, struct.pack("@8sH32s18x", ends, into, bytes(ttls)))
    return s
