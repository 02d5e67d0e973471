# SPDX-License-Identifier: BSD-3-Clause
"""Machines as network namespaces, links between them, and the processes in them."""
import os
import subprocess
import threading

SYSCTLS = {
    "net.ipv4.conf.all.rp_filter": 0, "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv6.conf.all.disable_ipv6": 1, "net.ipv6.conf.default.disable_ipv6": 1,
    "net.ipv4.icmp_ratelimit": 0,
    "net.bridge.bridge-nf-call-iptables": 0,
}
DUAL_STACK = {  # over those; addresses are given and of use at once
    "net.ipv6.conf.all.disable_ipv6": 0, "net.ipv6.conf.default.disable_ipv6": 0,
    "net.ipv6.conf.all.accept_dad": 0, "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.conf.all.accept_ra": 0, "net.ipv6.conf.default.accept_ra": 0,
    "net.ipv6.conf.default.router_solicitations": 0,
    "net.ipv6.icmp.ratelimit": 0,
}


def mac(address):
    """10.0.1.4 -> 02:0a:00:01:00:04"""
    a, b, c, d = (int(x) for x in address.split("."))
    return f"02:{a:02x}:{b:02x}:{c:02x}:00:{d:02x}"


class Lab:
    """Namespaces fwl-<pid>-<name> and the processes in them; close() removes both, also after a failure half-way, and
    from then on nothing starts any more."""

    def __init__(self, dual_stack=False):
        self.forwarding = ["net.ipv4.ip_forward", *(["net.ipv6.conf.all.forwarding"] if dual_stack else ())]
        self.sysctls = {**SYSCTLS, **(DUAL_STACK if dual_stack else {})}
        self.names, self.processes, self.closed, self.lock = [], [], False, threading.Lock()

    def namespace(self, name):
        return f"fwl-{os.getpid()}-{name}"

    def add(self, name, forward=False):
        self.names.append(name)
        run("ip", "netns", "add", self.namespace(name))
        self.sysctl(name, {**{key: int(forward) for key in self.forwarding}, **self.sysctls})
        self.ip(name, "link set lo up")

    def sysctl(self, name, settings):
        self.run(name, "sysctl", "-qew", *(f"{key}={value}" for key, value in settings.items()))

    def ip(self, name, *lines):
        run("ip", "-n", self.namespace(name), "-b", "-", input="\n".join(lines) + "\n")

    def ip6(self, name, *lines):
        run("ip", "-6", "-n", self.namespace(name), "-b", "-", input="\n".join(lines) + "\n")

    def nft(self, name, rules):
        self.run(name, "nft", "-f", "-", input=rules)

    def link(self, a, a_if, a_mac, b, b_if, b_mac):
        run("ip", "link", "add", "name", a_if, "netns", self.namespace(a), "address", a_mac, "type", "veth",
            "peer", "name", b_if, "netns", self.namespace(b), "address", b_mac)
        for name, interface in (a, a_if), (b, b_if):
            self.plain(name, interface)
            self.ip(name, f"link set {interface} up")

    def plain(self, name, interface):
        """No offload: every frame as on a wire, whole and with its real checksums."""
        self.run(name, "ethtool", "-K", interface, *(word for feature in (
            "rx", "tx", "sg", "tso", "gso", "gro", "lro") for word in (feature, "off")))

    def run(self, name, *argv, **options):
        return run("ip", "netns", "exec", self.namespace(name), *argv, **options)

    def start(self, name, *argv, **options):
        """ip netns exec becomes the program: its pid is the program's own."""
        with self.lock:
            if self.closed:
                raise RuntimeError("the lab is closed")
            process = subprocess.Popen(["ip", "netns", "exec", self.namespace(name), *argv],
                                       stdin=subprocess.DEVNULL, **options)
            self.processes.append(process)
        return process

    def start_ready(self, name, *argv):
        """A program that says "ready" when it is."""
        process = self.start(name, *argv, stdout=subprocess.PIPE, text=True)
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{' '.join(argv)}: did not start")
        return process

    def close(self):
        with self.lock:
            self.closed = True
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        while self.names:
            subprocess.run(["ip", "netns", "del", self.namespace(self.names.pop())])


def run(*argv, **options):
    done = subprocess.run(argv, text=True, capture_output=True, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stderr}{options.get('input', '')}")
    return done.stdout
