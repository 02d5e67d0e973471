# SPDX-License-Identifier: BSD-3-Clause
"""Who has which address, and what each variant changes: the facts of traces/nested-host/*.yaml."""
from dataclasses import dataclass, field

ADDRESS = {
    "guest1": "10.0.2.2", "guest2": "10.0.2.3", "hyperv-nic1": "10.0.0.4", "hyperv-nic2": "10.0.1.4",
    "switch": "10.0.2.1", "nat-machine": "10.0.0.10", "azure-vm": "10.0.3.4", "onprem-pc": "172.16.0.10",
    "web-server": "203.0.113.10", "echo-server": "198.51.100.20", "platform-dns": "168.63.129.16",
}
ADDRESS6 = {
    "guest1": "fd00:a:0:2::2", "guest2": "fd00:a:0:2::3", "hyperv-nic1": "fd00:a::4", "hyperv-nic2": "fd00:a:0:1::4",
    "switch": "fd00:a:0:2::1", "nat-machine": "fd00:a::10", "azure-vm": "fd00:a:0:3::4", "onprem-pc": "fd00:ac10::10",
    "web-server": "2001:db8:113::10", "echo-server": "2001:db8:51::20",
}
GATEWAY = {"nat": "10.0.0.1", "hyper-v-lan": "10.0.1.1", "azure-vms": "10.0.3.1"}  # the platform's end of each subnet
GATEWAY6 = {"nat": "fd00:a::1", "hyper-v-lan": "fd00:a:0:1::1", "azure-vms": "fd00:a:0:3::1"}
SPACE, SPACE6 = "10.0.0.0/22", "fd00:a::/48"
GHOSTED, GHOSTED6, GHOSTED_2, OUTSIDE = "10.0.2.0/24", "fd00:a:0:2::/64", "10.0.4.0/24", "192.168.50.0/24"
ONPREM, ONPREM6 = "172.16.0.0/22", "fd00:ac10::/48"
GATEWAY_SUBNET, VPN_GATEWAY, ONPREM_ROUTER = "10.0.255.0/27", "10.0.255.1", "172.16.0.1"
VPN_GATEWAY6, ONPREM_ROUTER6 = "fd00:a:0:ff::1", "fd00:ac10::1"
WEB_ROUTER, ECHO_ROUTER = "203.0.113.1", "198.51.100.1"
WEB_ROUTER6, ECHO_ROUTER6 = "2001:db8:113::1", "2001:db8:51::1"

ROUTE_1 = "10.0.0.0/24 via 10.0.0.1 dev nic1 metric 256"
ROUTE_2 = "10.0.0.0/22 via 10.0.1.1 dev nic2 metric 256"
ROUTE_ONPREM = "172.16.0.0/22 via 10.0.1.1 dev nic2 metric 256"
ROUTE_PEER = "10.0.4.0/24 via 10.0.1.1 dev nic2 metric 256"
ROUTES = (ROUTE_1, ROUTE_2, ROUTE_ONPREM)
ROUTES_OF_HYPERV2 = (*ROUTES, "10.0.2.0/24 via 10.0.1.1 dev nic2 metric 256")
DEFAULT6 = "default via fd00:a:0:1::1 dev nic2"
ROUTE_1_6 = "fd00:a::/64 via fd00:a::1 dev nic1 metric 256 onlink"
ROUTE_2_6 = "fd00:a::/48 via fd00:a:0:1::1 dev nic2 metric 256"
PORT_MAPS = ("tcp dport 8080 dnat to 10.0.2.2:80", "tcp dport 8081 dnat to 10.0.2.3:80",
             "udp dport 7007 dnat to 10.0.2.2:7")


@dataclass(frozen=True)
class Variant:
    """What a variant's YAML file changes."""
    connected: bool = False        # NIC1 keeps the connected route of its subnet
    nic2: bool = True
    forwarding: bool = True        # NIC2's ip_forwarding flag on the platform
    routes: tuple = ROUTES
    routes6: tuple = ()            # any: everything has IPv6 too
    port_maps: tuple = PORT_MAPS
    associated: tuple = ("azure-vm", "gateway")       # the platform's interfaces to subnets with the route table
    table: tuple = ((GHOSTED, "hyperv-nic2"),)        # the route table: prefix, NIC of the appliance
    space: tuple = (SPACE,)        # the network's, as far as sites and the platform route it
    more: dict = field(default_factory=dict)          # further machines and NICs, by name
    mtu: int = 1500                # of NIC2's link
    announced: tuple = ()          # what on-premises has static routes for, towards the gateway
    strangers: dict = field(default_factory=dict)     # MACs of machines on the switch that the file does not know
    plan: str = "common"           # who does what: plans.py

    def nics(self):
        there = {"nic1": True, "nic2": self.nic2, "switch": True, "switch-2": "switch-2" in self.more}
        return tuple(nic for nic, is_there in there.items() if is_there)

    def addresses(self):
        """By name; "NAME/6" is its IPv6 address."""
        six = {f"{name}/6": address for name, address in ADDRESS6.items()} if self.routes6 else {}
        return {**ADDRESS, **self.more, **six}

    def own(self):
        """The names of the host's addresses."""
        names = ("hyperv-nic1", "hyperv-nic2", "switch", "switch-2")
        return [name for base in names for name in (base, f"{base}/6")
                if name in self.addresses() and (self.nic2 or base != "hyperv-nic2")]

    def guests(self):
        """Of the host, on its switch: they ask for their addresses by DHCP."""
        return [name for name, address in self.addresses().items()
                if name != "switch" and address.startswith("10.0.2.")]


TWO_HOSTS = dict(
    space=(SPACE, GHOSTED_2), table=((GHOSTED, "hyperv-nic2"), (GHOSTED_2, "hyperv2-nic2")),
    associated=("azure-vm", "gateway", "hyperv-nic2", "hyperv2-nic2"), plan="two-hosts",
    more={"hyperv2-nic1": "10.0.0.5", "hyperv2-nic2": "10.0.1.5", "hyperv2-switch": "10.0.4.1", "guest3": "10.0.4.2"})
ONPREM_GATEWAY = dict(
    table=((GHOSTED, "hyperv-nic2"), (OUTSIDE, "hyperv-nic2")), plan="onprem-gateway",
    more={"switch-2": "192.168.50.1", "guest5": "192.168.50.2"})

VARIANTS = {
    "routed": Variant(),
    "without-route-1": Variant(routes=(ROUTE_2, ROUTE_ONPREM)),
    "connected": Variant(connected=True),
    "without-onprem-route": Variant(routes=(ROUTE_1, ROUTE_2)),
    "forwarding-off": Variant(forwarding=False),
    "nat-only": Variant(connected=True, nic2=False, routes=(), associated=(), table=(),
                        port_maps=PORT_MAPS + ("tcp dport 8080 dnat to 10.0.2.3:80",)),
    "without-route-table": Variant(associated=("gateway",)),
    "dhcp": Variant(plan="dhcp", more={"guest3": "10.0.2.4", "guest4": "10.0.2.5", "guest5": "10.0.2.7"},
                    strangers={"newcomer": "02:00:00:00:01:01", "squatter": "02:00:00:00:01:02"}),
    "two-hosts": Variant(routes=(*ROUTES, ROUTE_PEER), **TWO_HOSTS),
    "two-hosts-without-peer-route": Variant(**TWO_HOSTS),
    "onprem-gateway": Variant(announced=(OUTSIDE,), **ONPREM_GATEWAY),
    "onprem-gateway-without-static": Variant(**ONPREM_GATEWAY),
    "dual-stack": Variant(routes6=(DEFAULT6, ROUTE_1_6, ROUTE_2_6), plan="dual-stack"),
    "dual-stack-without-route-1-v6": Variant(routes6=(DEFAULT6, ROUTE_2_6), plan="dual-stack"),
    "small-mtu": Variant(mtu=1400, plan="small-mtu"),
}
