# SPDX-License-Identifier: BSD-3-Clause
"""A routed network, told once: built in namespaces, written as a scenario, and asked of the kernels, hop by hop, where
they send a packet."""
import json
from collections import defaultdict
from dataclasses import dataclass, field

from kernel import route_get
from lab import mac


@dataclass
class Route:
    prefix: str
    hops: list  # (via, interface); several share the traffic
    metric: int = 0

    def __str__(self):
        hops = "".join(f" nexthop via {via} dev {nic}" for via, nic in self.hops)
        return f"{self.prefix} metric {self.metric}{hops}"


@dataclass
class Node:
    router: bool
    nics: dict                                  # interface: (segment, [addresses]); the first one names its MAC
    routes: list = field(default_factory=list)
    sysctls: dict = field(default_factory=dict)
    rules: str = ""                             # nftables
    nat: dict = None                            # the same as a scenario says it
    urpf: str = "off"                           # what its sysctls do, likewise

    def route(self, prefix, *hops, metric=0):
        self.routes.append(Route(prefix, list(hops), metric))


class Network:
    """Segments carry a /24 each. Hosts have one interface, and a default route."""

    def __init__(self):
        self.nodes = {}

    def add(self, name, router=True, **nics):
        self.nodes[name] = Node(router, nics)
        return self.nodes[name]

    def members(self, segment):
        return [(name, nic, addresses) for name, node in self.nodes.items()
                for nic, (where, addresses) in node.nics.items() if where == segment]

    def segments(self):
        return list(dict.fromkeys(segment for node in self.nodes.values() for segment, _ in node.nics.values()))

    def build(self, lab):
        for name, node in self.nodes.items():
            lab.add(name, forward=node.router)
            if node.sysctls:
                lab.sysctl(name, node.sysctls)
        for segment in self.segments():
            wire(lab, segment, self.members(segment))
        for name, node in self.nodes.items():
            lab.ip(name, *(f"addr add {address}/24 dev {nic}" for nic, (_, addresses) in node.nics.items()
                           for address in addresses), *(f"route add {route}" for route in node.routes))
            if node.rules:
                lab.nft(name, node.rules)

    def scenario(self, title, under_test):
        """JSON, which is YAML too. A host with several addresses is as many machines."""
        machines = {}
        for name, node in self.nodes.items():
            if node.router:
                machines[name] = router(node, name == under_test)
                continue
            (segment, addresses), = node.nics.values()
            for number, address in enumerate(addresses):
                machines[f"{name}-{number}"] = {"nics": {"eth0": {
                    "switch": segment, "address": f"{address}/24", "gateway": node.routes[0].hops[0][0]}}}
        return json.dumps({"fwdlab": 1, "name": "labelled", "title": title, "node": under_test,
                           "switches": {segment: {} for segment in self.segments()}, "machines": machines}, indent=1)


def router(node, captured):
    """A router of the scenario."""
    nics = {nic: {"switch": segment, "address": f"{addresses[0]}/24", "mac": mac(addresses[0]), "urpf": node.urpf,
                  **({"capture": nic} if captured else {})} for nic, (segment, addresses) in node.nics.items()}
    hops = [(route, via, nic) for route in node.routes for via, nic in route.hops]
    routes = {f"route {number}": {"prefix": route.prefix, "via": via, "nic": nic, "metric": route.metric}
              for number, (route, via, nic) in enumerate(hops, 1)}
    return {"router": True, "nics": nics, "routes": routes, **({"nat": node.nat} if node.nat else {})}


def wire(lab, segment, members):
    """A link between two machines, a bridge between more."""
    if len(members) == 2:
        lab.link(*(word for name, nic, addresses in members for word in (name, nic, mac(addresses[0]))))
        return
    bridge = f"sw-{segment}"
    lab.add(bridge)
    lab.ip(bridge, "link add name bridge type bridge forward_delay 0 mcast_snooping 0", "link set bridge up")
    for number, (name, nic, addresses) in enumerate(members):
        lab.link(bridge, f"port{number}", f"02:00:00:00:01:{number:02x}", name, nic, mac(addresses[0]))
        lab.ip(bridge, f"link set port{number} master bridge")


@dataclass
class Packet:
    """A packet on its way from the machine `at`. What `nat` names is translated there: the source after the lookup, an
    answer's destination before it."""
    proto: str
    src: tuple
    dst: tuple
    at: str
    nat: tuple = None                          # (machine, "src" or "dst", old, new)
    hops: list = field(default_factory=list)   # (machine, in, out, (machine, interface) of the neighbour)
    end: str = None                            # the machine that it is for
    lost: str = None                           # or what the kernel said

    def translate(self, side):
        if self.nat and self.nat[:2] == (self.at, side) and getattr(self, side) == self.nat[2]:
            setattr(self, side, self.nat[3])

    def question(self, iif):
        ports = "" if self.proto == "icmp" else f" sport {self.src[1]} dport {self.dst[1]}"
        return f"{self.dst[0]} from {self.src[0]}" + (f" iif {iif}" if iif else "") + f" ipproto {self.proto}{ports}"

    def follow(self, network, iif, answer):
        """What the kernel answered; returns the interface that it comes in by next, or None at its end."""
        if "error" in answer or answer.get("type") in ("local", "multicast"):
            self.lost = answer.get("error")
            self.end = None if self.lost else self.at
            self.hops.append((self.at, iif, None, None))
            return None
        segment = network.nodes[self.at].nics[answer["dev"]][0]
        target = answer.get("gateway", self.dst[0])
        neighbour = next(((name, nic) for name, nic, addresses in network.members(segment) if target in addresses),
                         None)
        self.hops.append((self.at, iif, answer["dev"], neighbour))
        if not neighbour:
            self.lost = "nobody has the next hop's address"
            return None
        self.translate("src")
        self.at, iif = neighbour
        return iif


def travel(lab, network, packets):
    """Sends all of them through the kernels' lookups, a hop of all at a time."""
    waiting = [(packet, None) for packet in packets]
    while waiting:
        at = defaultdict(list)
        for packet, iif in waiting:
            packet.translate("dst")
            at[packet.at].append((packet, iif))
        waiting = []
        for machine, some in at.items():
            answers = route_get(lab, machine, "-4", (packet.question(iif) for packet, iif in some))
            for (packet, iif), answer in zip(some, answers):
                if len(packet.hops) == 16:
                    packet.lost = "a loop"
                elif following := packet.follow(network, iif, answer):
                    waiting.append((packet, following))
