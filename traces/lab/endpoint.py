# SPDX-License-Identifier: BSD-3-Clause
"""Small servers and clients, run inside a machine's namespace. A client's exit status says whether the network did what
a working one does; it waits a second at most for each answer.

    endpoint.py serve [ADDRESS...]                   HTTP 80, TCP echo 7, TCP reset 81, UDP echo 7; says
                                                     "ready" when all listen
    endpoint.py chat HOST PORT ROUNDS [SOURCE-PORT]  a TCP session with data both ways
    endpoint.py abort HOST                           a TCP session that the client ends by RST
    endpoint.py reset HOST                           a TCP session that the server ends by RST
    endpoint.py refused HOST PORT                    a TCP connection to a closed port
    endpoint.py udp HOST PORT COUNT SIZE [SOURCE-PORT]  COUNT sockets, two echoed datagrams of SIZE bytes each
    endpoint.py unreachable HOST PORT                a UDP datagram to a closed port"""
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
serial = itertools.count(1)


def text(size):
    """Compresses well, and no two packets carry the same: numbered lines with the sender's own tag."""
    tag, lines, length = f"{os.getpid():x}-{next(serial):x}", [], 0
    while length < size:
        lines.append(f"{tag} line {len(lines):06d} of the text that this session carries\n")
        length += len(lines[-1])
    return "".join(lines).encode()[:size]


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64

    def server_bind(self):
        """Without the name lookup of the original: no packet here but the plan's."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address


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


def udp_echo(s):
    while True:
        try:
            data, peer = s.recvfrom(65536)
            s.sendto(data.upper(), peer)
        except OSError:  # an ICMP error that an echo caused
            pass


def serve(*addresses):
    """Bound to each address given, so that a host with several answers from the one that was asked."""
    for address in addresses or ("",):
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind((address, 7))
        for target, *arguments in (
                (Server((address, 80), Web).serve_forever,),
                (accept_all, socket.create_server((address, 7), backlog=64), echo_session),
                (accept_all, socket.create_server((address, 81), backlog=64), reset_session),
                (udp_echo, datagrams)):
            threading.Thread(target=target, args=arguments, daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


def connect(host, port, source_port=0):
    s = socket.socket()
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
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
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
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(PATIENCE)
    s.connect((host, int(port)))
    s.send(text(60))
    try:
        s.recv(65536)
    except ConnectionRefusedError:
        return True
    return False


def main(command, *arguments):
    commands = {f.__name__: f for f in (serve, chat, abort, reset, refused, udp, unreachable)}
    try:
        sys.exit(0 if commands[command](*arguments) else 1)
    except OSError as error:
        sys.exit(f"{command} {' '.join(arguments)}: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
