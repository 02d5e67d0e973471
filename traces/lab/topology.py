# SPDX-License-Identifier: BSD-3-Clause
"""The nested-VM host of traces/nested-host/*.yaml and all around it, in network namespaces of the Linux kernel."""
import json
import os
import subprocess
import threading
from dataclasses import dataclass

ADDRESS = {
    "guest1": "10.0.2.2", "guest2": "10.0.2.3", "hyperv-nic1": "10.0.0.4", "hyperv-nic2": "10.0.1.4",
    "switch": "10.0.2.1", "nat-machine": "10.0.0.10", "azure-vm": "10.0.3.4", "onprem-pc": "172.16.0.10",
    "web-server": "203.0.113.10", "echo-server": "198.51.100.20", "platform-dns": "168.63.129.16",
}
GATEWAY = {"nat": "10.0.0.1", "hyper-v-lan": "10.0.1.1", "azure-vms": "10.0.3.1"}  # the platform's end of each subnet
GHOSTED, ONPREM = "10.0.2.0/24", "172.16.0.0/22"
GATEWAY_SUBNET, VPN_GATEWAY, ONPREM_ROUTER = "10.0.255.0/27", "10.0.255.1", "172.16.0.1"
WEB_ROUTER, ECHO_ROUTER = "203.0.113.1", "198.51.100.1"

ROUTE_1 = "10.0.0.0/24 via 10.0.0.1 dev nic1 metric 256"
ROUTE_2 = "10.0.0.0/22 via 10.0.1.1 dev nic2 metric 256"
ROUTE_ONPREM = "172.16.0.0/22 via 10.0.1.1 dev nic2 metric 256"
PORT_MAPS = ("tcp dport 8080 dnat to 10.0.2.2:80", "tcp dport 8081 dnat to 10.0.2.3:80",
             "udp dport 7007 dnat to 10.0.2.2:7")

HOST_SYSCTLS = {  # beyond those of every namespace; nf_* exist once conntrack is in use
    "net.ipv4.ip_forward": 1,
    "net.netfilter.nf_conntrack_acct": 1,
    "net.netfilter.nf_conntrack_timestamp": 1,
}
SYSCTLS = {
    "net.ipv4.conf.all.rp_filter": 0, "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv6.conf.all.disable_ipv6": 1, "net.ipv6.conf.default.disable_ipv6": 1,
    "net.ipv4.icmp_ratelimit": 0,
    "net.bridge.bridge-nf-call-iptables": 0,
}


@dataclass(frozen=True)
class Variant:
    """What a variant's YAML file changes."""
    connected: bool = False        # NIC1 keeps the connected route of its subnet
    nic2: bool = True
    forwarding: bool = True        # NIC2's ip_forwarding flag on the platform
    routes: tuple = (ROUTE_1, ROUTE_2, ROUTE_ONPREM)
    port_maps: tuple = PORT_MAPS

    def nics(self):
        return ("nic1", "nic2", "switch") if self.nic2 else ("nic1", "switch")


VARIANTS = {
    "routed": Variant(),
    "without-route-1": Variant(routes=(ROUTE_2, ROUTE_ONPREM)),
    "connected": Variant(connected=True),
    "without-onprem-route": Variant(routes=(ROUTE_1, ROUTE_2)),
    "forwarding-off": Variant(forwarding=False),
    "nat-only": Variant(connected=True, nic2=False, routes=(),
                        port_maps=PORT_MAPS + ("tcp dport 8080 dnat to 10.0.2.3:80",)),
}


def mac(address):
    """10.0.1.4 -> 02:0a:00:01:00:04"""
    a, b, c, d = (int(x) for x in address.split("."))
    return f"02:{a:02x}:{b:02x}:{c:02x}:00:{d:02x}"


class Lab:
    """Namespaces fwl-<pid>-<name> and the processes in them; close() removes both, also after a failure half-way, and
    from then on nothing starts any more."""

    def __init__(self):
        self.names, self.processes, self.closed, self.lock = [], [], False, threading.Lock()

    def namespace(self, name):
        return f"fwl-{os.getpid()}-{name}"

    def add(self, name, forward=False):
        self.names.append(name)
        run("ip", "netns", "add", self.namespace(name))
        self.sysctl(name, {"net.ipv4.ip_forward": int(forward), **SYSCTLS})
        self.ip(name, "link set lo up")

    def sysctl(self, name, settings):
        self.run(name, "sysctl", "-qew", *(f"{key}={value}" for key, value in settings.items()))

    def ip(self, name, *lines):
        run("ip", "-n", self.namespace(name), "-b", "-", input="\n".join(lines) + "\n")

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


def build(lab, v):
    for name in "platform", "gateway", "onprem-router", "internet":
        lab.add(name, forward=True)
    for name in "guest1", "guest2", "hyperv", "nat-machine", "azure-vm", "onprem-pc", "web-server", "echo-server", \
            "platform-dns":
        lab.add(name)
    host(lab, v)
    platform(lab, v)
    sites(lab)
    if v.nic2:  # the host's routes need its gateways' links
        lab.ip("hyperv", "addr add 10.0.1.4/24 dev nic2", *(f"route add {route}" for route in v.routes))


def host(lab, v):
    """The machine under test, its internal switch and NIC1. Guests get their addresses by DHCP."""
    lab.ip("hyperv", "link add name switch type bridge forward_delay 0 mcast_snooping 0",
           f"link set switch address {mac(ADDRESS['switch'])}", "addr add 10.0.2.1/24 dev switch", "link set switch up")
    lab.plain("hyperv", "switch")
    for n in 1, 2:
        guest = mac(ADDRESS[f"guest{n}"])
        lab.link("hyperv", f"port{n}", "02:00:00:00:00:0%d" % n, f"guest{n}", "eth0", guest)
        lab.ip("hyperv", f"link set port{n} master switch")
    lab.link("hyperv", "nic1", mac(ADDRESS["hyperv-nic1"]), "platform", "hyperv-nic1", mac(GATEWAY["nat"]))
    if v.nic2:
        lab.link("hyperv", "nic2", mac(ADDRESS["hyperv-nic2"]), "platform", "hyperv-nic2", mac(GATEWAY["hyper-v-lan"]))
    if v.connected:
        lab.ip("hyperv", "addr add 10.0.0.4/24 dev nic1")
    else:
        lab.ip("hyperv", "addr add 10.0.0.4/24 dev nic1 noprefixroute", "route add 10.0.0.1/32 dev nic1 scope link")
    lab.ip("hyperv", "route add default via 10.0.0.1 dev nic1")
    maps = "\n".join(f"iifname nic1 ip daddr 10.0.0.4 {port_map}" for port_map in v.port_maps)
    lab.nft("hyperv", f"""table ip nat {{
        chain prerouting {{ type nat hook prerouting priority dstnat; policy accept;
            {maps}
        }}
        chain postrouting {{ type nat hook postrouting priority srcnat; policy accept; oifname nic1 masquerade; }}
    }}""")
    lab.sysctl("hyperv", host_sysctls(v))


def host_sysctls(v):
    return {**HOST_SYSCTLS, **{f"net.ipv4.conf.{nic}.rp_filter": 0 for nic in v.nics()}}


def platform(lab, v):
    """All subnets' gateways. A route table a subnet, chosen by the interface that a packet comes in on; proxy ARP, so
    that everything passes here; and at each NIC's edge what the platform does not let through, counted."""
    edges = {"hyperv-nic1": "nat", "nat-machine": "nat", "hyperv-nic2": "hyper-v-lan", "azure-vm": "azure-vms"}
    if not v.nic2:
        del edges["hyperv-nic2"]
    for machine in "nat-machine", "azure-vm":
        subnet = edges[machine]
        lab.link("platform", machine, mac(GATEWAY[subnet]), machine, "eth0", mac(ADDRESS[machine]))
        lab.ip(machine, f"addr add {ADDRESS[machine]}/24 dev eth0", f"route add default via {GATEWAY[subnet]}")
    lab.link("platform", "gateway", "02:0a:00:ff:00:02", "gateway", "platform", mac(VPN_GATEWAY))
    lab.link("platform", "internet", "02:0a:00:ff:00:03", "internet", "platform", mac(WEB_ROUTER))
    interfaces = [*edges, "gateway", "internet"]
    lab.sysctl("platform", {f"net.ipv4.conf.{i}.proxy_arp": 1 for i in interfaces})
    lab.sysctl("platform", {f"net.ipv4.neigh.{i}.proxy_delay": 0 for i in interfaces})

    system = [f"{ADDRESS[nic]} dev {nic}" for nic in edges]
    system += [f"{VPN_GATEWAY} dev gateway", f"{ONPREM} via {VPN_GATEWAY} dev gateway onlink",
               f"default via {WEB_ROUTER} dev internet onlink"]
    lines = [f"addr add {GATEWAY[subnet]}/32 dev {nic}" for nic, subnet in edges.items()]
    lines += [f"route add {route}" for route in system] + ["route add blackhole 10.0.0.0/22"]
    for number, interface in enumerate(interfaces, 100):
        lines += [f"rule add iif {interface} lookup {number}"]
        lines += [f"route add {route} table {number}" for route in system]
        lines += [f"route add blackhole 10.0.0.0/22 table {number}"]
        if v.nic2 and interface in ("azure-vm", "gateway"):  # Routes-for-nested-VMs
            lines += [f"route add {GHOSTED} via {ADDRESS['hyperv-nic2']} dev hyperv-nic2 onlink table {number}"]
    lab.ip("platform", *lines)
    lab.nft("platform", edge_rules(edges, v))


def edge_rules(edges, v):
    """N7 (a NIC with IP forwarding off sends and receives with its own address only) and N6 (a subnet without the route
    table does not reach the floating subnet)."""
    counters, before, after = [], [], []

    def drop(rules, match, counter):
        counters.append(counter)
        rules.append(f"{match} counter name {counter} drop")

    for nic in edges:
        if nic != "hyperv-nic2" or not v.forwarding:
            drop(before, f"iifname {nic} ip saddr != {ADDRESS[nic]}", f"{nic}-sends-foreign-source")
            drop(after, f"oifname {nic} ip daddr != {ADDRESS[nic]}", f"{nic}-receives-foreign-destination")
    for interface in [*edges, "gateway", "internet"]:
        if not v.nic2 or interface not in ("azure-vm", "gateway"):
            drop(before, f"iifname {interface} ip daddr {GHOSTED}", f"{interface}-has-no-route-to-guests")
    newline = "\n            "
    return f"""table ip edge {{
        {newline.join(f"counter {counter} {{ }}" for counter in counters)}
        chain before {{ type filter hook prerouting priority raw; policy accept;
            {newline.join(before)}
        }}
        chain after {{ type filter hook postrouting priority 0; policy accept;
            {newline.join(after)}
        }}
    }}"""


def sites(lab):
    """On-premises behind the VPN gateway, and the Internet; links between routers are unnumbered."""
    lab.link("gateway", "onprem", "02:0a:00:ff:00:04", "onprem-router", "gateway", "02:ac:10:00:00:02")
    lab.ip("gateway", f"addr add {VPN_GATEWAY}/32 dev platform",
           f"route add 10.0.0.0/22 via {GATEWAY['nat']} dev platform onlink",
           f"route add {ONPREM} via {ONPREM_ROUTER} dev onprem onlink")
    lab.link("onprem-router", "lan", mac(ONPREM_ROUTER), "onprem-pc", "eth0", mac(ADDRESS["onprem-pc"]))
    lab.ip("onprem-router", f"addr add {ONPREM_ROUTER}/22 dev lan",
           f"route add 10.0.0.0/22 via {VPN_GATEWAY} dev gateway onlink",
           f"route add {GATEWAY_SUBNET} via {VPN_GATEWAY} dev gateway onlink")
    lab.ip("onprem-pc", f"addr add {ADDRESS['onprem-pc']}/22 dev eth0", f"route add default via {ONPREM_ROUTER}")

    for machine, router, length in ("web-server", WEB_ROUTER, 24), ("echo-server", ECHO_ROUTER, 24), \
            ("platform-dns", WEB_ROUTER, 32):
        lab.link("internet", machine, mac(router), machine, "eth0", mac(ADDRESS[machine]))
        if length == 24:
            lab.ip("internet", f"addr add {router}/24 dev {machine}")
        else:
            lab.ip("internet", f"route add {ADDRESS[machine]} dev {machine} src {router}")
        lab.ip(machine, f"addr add {ADDRESS[machine]}/{length} dev eth0",
               f"route add default via {router} dev eth0 onlink")
    lab.ip("internet", f"route add 10.0.0.0/22 via {GATEWAY['nat']} dev platform onlink")


def guest_address(lab, guest):
    """The address that DHCP gave the guest, or None."""
    links = json.loads(lab.run(guest, "ip", "-j", "-4", "addr", "show", "dev", "eth0"))
    return next((a["local"] for link in links for a in link.get("addr_info", ())), None)
