# SPDX-License-Identifier: BSD-3-Clause
"""Small servers and clients, run inside a machine's namespace. A client's exit status says whether the network did what
a working one does; it waits a second at most for each answer.

    endpoint.py serve ADDRESS...                     HTTP 80, TCP echo 7, TCP reset 81, UDP echo 7, UDP length 8
                                                     (answers how long a datagram was); says "ready" when all listen
    endpoint.py chat HOST PORT ROUNDS [SOURCE-PORT]  a TCP session with data both ways
    endpoint.py abort HOST                           a TCP session that the client ends by RST
    endpoint.py reset HOST                           a TCP session that the server ends by RST
    endpoint.py refused HOST PORT                    a TCP connection to a closed port
    endpoint.py udp HOST PORT COUNT SIZE [SOURCE-PORT]  COUNT sockets, two echoed datagrams of SIZE bytes each
    endpoint.py unreachable HOST PORT                a UDP datagram to a closed port
    endpoint.py sized HOST PORT COUNT SIZE           COUNT datagrams of SIZE bytes with DF clear to a length server
    endpoint.py toolong HOST PORT SIZE               a datagram with DF set, until the network says that it is too long
    endpoint.py options6 HOST PORT                   echoed datagrams with IPv6 extension headers
    endpoint.py send HOST PORT COUNT                 COUNT datagrams, whoever answers
    endpoint.py broadcast HOST PORT                  two datagrams to a broadcast address
    endpoint.py inform                               DHCPINFORM, broadcast by a machine that has its address"""
import errno
import http.server
import itertools
import os
import socket
import socketserver
import struct
import sys
import threading
import time

PATIENCE = 1.0
IP_MTU_DISCOVER, PMTUDISC_DO, PMTUDISC_OMIT = 10, 2, 5
IPV6_HOPOPTS, IPV6_DSTOPTS = 54, 59
DHCP_SERVER, DHCP_CLIENT, DHCP_COOKIE, DHCPINFORM = 67, 68, 0x63825363, 8
serial = itertools.count(1)


def text(size):
    """Compresses well, and no two packets carry the same: numbered lines with the sender's own tag."""
    tag, lines, length = f"{os.getpid():x}-{next(serial):x}", [], 0
    while length < size:
        lines.append(f"{tag} line {len(lines):06d} of the text that this session carries\n")
        length += len(lines[-1])
    return "".join(lines).encode()[:size]


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def datagrams(host):
    """A UDP socket for this peer or own address."""
    s = socket.socket(family(host), socket.SOCK_DGRAM)
    if s.family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return s


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64

    def __init__(self, address):
        self.address_family = family(address)
        super().__init__((address, 80), Web)

    def server_bind(self):
        """Without the name lookup of the original: no packet here but the plan's."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


class Web(http.server.BaseHTTPRequestHandler):
    """GET /N answers with N bytes, POST takes what comes; a connection each (HTTP/1.0)."""

    def do_GET(self):
        body = text(int(self.path[1:]))
        self.answer(len(body))
        for at in range(0, len(body), 16384):
            self.wfile.write(body[at:at + 16384])
            time.sleep(0.002)

    def do_POST(self):
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 16384)))
        self.answer(0)

    def answer(self, length):
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_):
        pass


def closing_by_reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def echo_session(s):
    while data := s.recv(65536):
        time.sleep(0.005)
        s.sendall(data.upper())
    s.close()


def reset_session(s):
    s.recv(65536)
    closing_by_reset(s)


def accept_all(listener, session):
    def guarded(s):
        try:
            session(s)
        except OSError:  # the peer's reset
            s.close()
    while True:
        threading.Thread(target=guarded, args=(listener.accept()[0],), daemon=True).start()


def answer_all(s, answer):
    while True:
        try:
            data, peer = s.recvfrom(65536)
            s.sendto(answer(data), peer)
        except OSError:  # an ICMP error that an answer caused
            pass


def datagram_server(address, port):
    s = datagrams(address)
    s.bind((address, port))
    return s


def serve(*addresses):
    """Bound to each address given, so that a host with several answers from the one that was asked."""
    for address in addresses:
        def listen(port):
            return socket.create_server((address, port), family=family(address), backlog=64)
        for target, *arguments in (
                (Server(address).serve_forever,),
                (accept_all, listen(7), echo_session), (accept_all, listen(81), reset_session),
                (answer_all, datagram_server(address, 7), bytes.upper),
                (answer_all, datagram_server(address, 8), lambda data: b"%d" % len(data))):
            threading.Thread(target=target, args=arguments, daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


def connect(host, port, source_port=0):
    s = socket.socket(family(host))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.settimeout(PATIENCE)
    s.bind(("", int(source_port)))
    s.connect((host, int(port)))
    return s


def chat(host, port, rounds, source_port=0):
    s = connect(host, port, source_port)
    for n in range(int(rounds)):
        question, answer = text(40 + n * 997 % 3000), b""
        s.sendall(question)
        while len(answer) < len(question):
            if not (data := s.recv(65536)):
                return False
            answer += data
        if answer != question.upper():
            return False
        time.sleep(0.03)
    s.close()
    return True


def abort(host):
    s = connect(host, 7)
    s.sendall(text(700))
    s.recv(65536)
    closing_by_reset(s)
    return True


def reset(host):
    s = connect(host, 81)
    s.sendall(text(300))
    try:
        s.recv(65536)
    except ConnectionResetError:
        return True
    return False


def refused(host, port):
    try:
        connect(host, port)
    except ConnectionRefusedError:
        return True
    return False


def udp(host, port, count, size, source_port=0):
    for n in range(int(count)):
        s = datagrams(host)
        s.settimeout(PATIENCE / 2)
        s.bind(("", int(source_port) and int(source_port) + n))
        s.connect((host, int(port)))
        for _ in range(2):
            question = text(int(size))
            s.send(question)
            if s.recv(65536) != question.upper():
                return False
        s.close()
    return True


def unreachable(host, port):
    s = datagrams(host)
    s.settimeout(PATIENCE)
    s.connect((host, int(port)))
    s.send(text(60))
    try:
        s.recv(65536)
    except ConnectionRefusedError:
        return True
    return False


def sized(host, port, count, size):
    s = datagrams(host)
    s.settimeout(PATIENCE)
    s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_OMIT)  # DF clear, and no thought of the path's MTU
    s.connect((host, int(port)))
    for _ in range(int(count)):
        s.send(text(int(size)))
        if s.recv(100) != size.encode():
            return False
    return True


def toolong(host, port, size):
    s = datagrams(host)
    s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)
    s.connect((host, int(port)))
    for _ in range(3):
        try:
            s.send(text(int(size)))
            time.sleep(PATIENCE / 4)
        except OSError as error:
            return error.errno == errno.EMSGSIZE
    return False


def options6(host, port):
    """Hop-by-hop options, destination options and both; then both in fragments. Each holds a PadN alone."""
    padding = bytes((0, 0, 1, 4, 0, 0, 0, 0))  # next header (the kernel's), length, PadN of four bytes
    for options, size in ((IPV6_HOPOPTS,), 200), ((IPV6_DSTOPTS,), 300), ((IPV6_HOPOPTS, IPV6_DSTOPTS), 400), \
            ((IPV6_HOPOPTS, IPV6_DSTOPTS), 4000):
        s = datagrams(host)
        s.settimeout(PATIENCE)
        for option in options:
            s.setsockopt(socket.IPPROTO_IPV6, option, padding)
        s.connect((host, int(port)))
        question = text(size)
        s.send(question)
        if s.recv(65536) != question.upper():
            return False
    return True


def send(host, port, count):
    s = datagrams(host)
    for _ in range(int(count)):
        s.sendto(text(80), (host, int(port)))
        time.sleep(0.05)
    return True


def broadcast(host, port):
    s = datagrams(host)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    for _ in range(2):
        s.sendto(text(100), (host, int(port)))
    return True


def inform():
    """RFC 2131, 4.4.3: the server answers to the address that the client says it has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; says which address the default route gives
        own = socket.inet_aton(probe.getsockname()[0])
    with open("/sys/class/net/eth0/address") as f:
        hardware = bytes.fromhex(f.read().strip().replace(":", ""))
    s = datagrams("0.0.0.0")
    s.settimeout(PATIENCE)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.bind(("", DHCP_CLIENT))
    transaction = os.urandom(4)
    options = struct.pack(">I3B", DHCP_COOKIE, 53, 1, DHCPINFORM) + bytes((55, 2, 3, 6, 255))
    s.sendto((struct.pack(">4B4s4x4s12x", 1, 1, 6, 0, transaction, own) + hardware.ljust(208, b"\0") + options)
             .ljust(300, b"\0"), ("255.255.255.255", DHCP_SERVER))
    return s.recv(2000)[4:8] == transaction


def main(command, *arguments):
    commands = {f.__name__: f for f in (
        serve, chat, abort, reset, refused, udp, unreachable, sized, toolong, options6, send, broadcast, inform)}
    try:
        sys.exit(0 if commands[command](*arguments) else 1)
    except OSError as error:
        sys.exit(f"{command} {' '.join(arguments)}: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
