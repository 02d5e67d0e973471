#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes the capture of traces/subscribers again: two subscribers behind a NAT, two ends on the Internet, in network
namespaces of this machine's Linux kernel. Needs root, ip, nft, ethtool, ping and zstd.

One script holds the sockets of all namespaces, so that who sends when is the same in every run."""
import argparse
import ctypes
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
from dhcp import stop
from lab import Lab, mac
from topology import plug, switch

HERE = Path(__file__).resolve().parent
ROUTER, INSIDE, OUTSIDE, INTERNET = "router", "100.64.0.1", "198.51.100.1", "198.51.100.254"
HOMES = {"home1": "100.64.0.2", "home2": "100.64.0.3"}
NEAR, FAR = "203.0.113.10", "203.0.113.20"  # both ends are the Internet's own addresses
RULES = f"""table ip nat {{
    chain prerouting {{
        type nat hook prerouting priority -100
        ip daddr {OUTSIDE} udp dport 6881 dnat to {HOMES["home1"]}:6881
    }}
    chain postrouting {{
        type nat hook postrouting priority 100
        oifname outside masquerade
        ct status dnat ip saddr 100.64.0.0/24 oifname inside snat to {OUTSIDE}
    }}
}}"""
PAUSE = 0.02  # between steps, so that each is over when the next one begins


def build(lab):
    lab.add(ROUTER, forward=True)
    lab.add("internet", forward=True)
    switch(lab, ROUTER, "inside", INSIDE)
    for number, (name, address) in enumerate(HOMES.items(), 1):
        lab.add(name)
        plug(lab, ROUTER, "inside", number, name, mac(address))
        lab.ip(name, f"addr add {address}/24 dev eth0", f"route add default via {INSIDE}")
    lab.link(ROUTER, "outside", mac(OUTSIDE), "internet", "edge", mac(INTERNET))
    lab.ip(ROUTER, f"addr add {OUTSIDE}/24 dev outside", f"route add default via {INTERNET}")
    lab.ip("internet", f"addr add {INTERNET}/24 dev edge", *(f"addr add {end}/32 dev lo" for end in (NEAR, FAR)))
    lab.nft(ROUTER, RULES)


class Sockets:
    """Sockets of any namespace: one stays where it was made."""

    def __init__(self, lab):
        self.lab, self.libc, self.here = lab, ctypes.CDLL(None, use_errno=True), os.open("/proc/self/ns/net", 0)

    def enter(self, fd):
        if self.libc.setns(fd, 0x40000000):  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), "setns")

    def open(self, machine, address, port, kind=socket.SOCK_DGRAM, proto=0):
        fd = os.open(f"/run/netns/{self.lab.namespace(machine)}", 0)
        try:
            self.enter(fd)
            s = socket.socket(socket.AF_INET, kind, proto)
        finally:
            self.enter(self.here)
            os.close(fd)
        s.settimeout(3)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        return s

    def home(self, name, port, kind=socket.SOCK_DGRAM):
        return self.open(name, HOMES[name], port, kind)


def tell(a, to, b, text=b"question"):
    """A datagram that must arrive; whom the receiver sees."""
    a.sendto(text, to)
    got, seen = b.recvfrom(65535)
    if got != text:
        raise RuntimeError(f"{got[:40]!r} instead of {text[:40]!r}")
    time.sleep(PAUSE)
    return seen


def converse(a, to, b, text=b"question"):
    """And its answer."""
    seen = tell(a, to, b, text)
    tell(b, seen, a, text)
    return seen


def lost(a, to):
    a.sendto(b"unasked", to)
    time.sleep(PAUSE)


def story(lab):
    """Each step is told in traces/README.md by its number."""
    s = Sockets(lab)
    near, far = s.open("internet", NEAR, 7000), s.open("internet", FAR, 7000)
    near_too = s.open("internet", NEAR, 7001)
    home1, home2 = s.home("home1", 5000), s.home("home2", 5000)
    outside = converse(home1, (NEAR, 7000), near)                       # 1
    lost(far, outside)                                                  # 2
    lost(near_too, outside)                                             # 3
    converse(home1, (FAR, 7000), far)                                   # 4
    converse(home2, (NEAR, 7000), near)                                 # 5
    lost(s.home("home2", 6000), outside)                                # 6
    served, asking = s.home("home1", 6881), s.home("home2", 6001)
    converse(asking, (OUTSIDE, 6881), served)                           # 7
    converse(far, (OUTSIDE, 6881), served)                              # 8
    lab.run("home1", "ping", "-c", "2", "-i", "0.05", NEAR)             # 9
    converse(s.home("home1", 5001), (NEAR, 7000), near, bytes(4000))    # 10
    listening = s.open("internet", NEAR, 8080, socket.SOCK_STREAM)      # 11
    listening.listen()
    client = s.home("home1", 5002, socket.SOCK_STREAM)
    client.connect((NEAR, 8080))
    server, _ = listening.accept()
    for a, b in (client, server), (server, client):
        a.sendall(b"stream")
        b.recv(100)
        time.sleep(PAUSE)
    client.close()
    server.close()
    time.sleep(PAUSE)
    for port in range(6100, 6120):                                      # 12
        converse(s.home("home2", port), (NEAR, 7000), near)
    many = s.home("home1", 6200)
    for port in range(9000, 9040):                                      # 13
        lost(many, (NEAR, port))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=HERE.parent / "subscribers", help="folder to write into")
    arguments = parser.parse_args()
    if os.geteuid():
        sys.exit("subscribers: needs root, to make network namespaces: run it with sudo")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    lab = Lab()
    with tempfile.TemporaryDirectory(prefix="fwl-") as scratch:
        pcapng = Path(scratch) / "open.pcapng"
        try:
            build(lab)
            capture = lab.start_ready(ROUTER, sys.executable, str(HERE / "capture.py"), str(pcapng), "inside",
                                      "outside")
            story(lab)
            time.sleep(0.5)  # what is still on its way
            print(stop(capture), end="")
        finally:
            lab.close()
        arguments.out.mkdir(parents=True, exist_ok=True)
        subprocess.run(["zstd", "-q", "-f", "-19", str(pcapng), "-o", str(arguments.out / "open.pcapng.zst")],
                       check=True)


if __name__ == "__main__":
    main()
