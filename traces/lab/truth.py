# SPDX-License-Identifier: BSD-3-Clause
"""What is true of each flow of a labelled capture: from the kernels' lookups for its 5-tuple at each machine, and from
connection tracking at the router."""
import re
from dataclasses import dataclass, field

from network import Packet, travel

ROUTER = "r"
ACCUSING = {"iface_asym", "nexthop_asym", "reverse_elsewhere"}
UNTOLD = ["one_way_capture", "unanswered", "unobservable"]  # of a flow that nobody need answer


@dataclass
class Flow:
    """ICMP queries: the identifier as sport, the type as dport."""
    proto: str
    src: str
    sport: int
    dst: str
    dport: int
    due: bool = True                             # is it answered when all is right?
    answered: int = 0
    outside: tuple = None                        # what the servers know its source as, when that is translated
    ways: list = field(default_factory=list)     # (there, back) as Packet, for each state of the routes it lived in
    planned: tuple = None                        # the same by the routes of the beginning, which the scenario has

    def to_group(self):
        return self.dst.startswith("239.")


def machines(network, address):
    """Hosts that have it."""
    return [name for name, node in network.nodes.items() if not node.router
            for _, addresses in node.nics.values() if address in addresses]


def translations(lab, flows):
    """Each flow's `outside`: the destination of its answers, as connection tracking has it."""
    found = {}
    for line in lab.run(ROUTER, "conntrack", "-L").splitlines():
        proto, words = line.split()[0], re.findall(r"(src|dst|sport|dport|id)=(\S+)", line)
        there, back = dict(words[:len(words) // 2]), dict(words[len(words) // 2:])
        asking, asked = ("id", "id") if proto == "icmp" else ("sport", "dport")
        found[proto, there["src"], int(there[asking]), there["dst"]] = back["dst"], int(back[asked])
    for flow in flows:
        outside = found.get((flow.proto, flow.src, flow.sport, flow.dst))
        flow.outside = outside if outside != (flow.src, flow.sport) else None


def look(network, lab, flows):
    """(there, back) of each flow, by the routes of now."""
    there = [Packet(f.proto, (f.src, f.sport), (f.dst, f.dport), machines(network, f.src)[0],
                    f.outside and (ROUTER, "src", (f.src, f.sport), f.outside)) for f in flows]
    travel(lab, network, there)
    back = [Packet(f.proto, p.dst, p.src, p.end, f.outside and (ROUTER, "dst", f.outside, (f.src, f.sport)))
            if p.end else None for f, p in zip(flows, there)]
    travel(lab, network, [p for p in back if p])
    return list(zip(there, back))


def look_at_groups(lab, flows):
    """(there, None) of each flow to a group: as the router's multicast routes have it."""
    routes = re.findall(r"\((\S+?),(\S+?)\)\s+Iif: (\S+)\s+Oifs: (\S+)", lab.run(ROUTER, "ip", "mroute"))
    hops = {(src, group): [("lan", None, "eth0", (ROUTER, into)), (ROUTER, into, out, None)]
            for src, group, into, out in routes}
    return [(Packet(f.proto, (f.src, f.sport), (f.dst, f.dport), ROUTER, hops=hops[f.src, f.dst]), None) for f in flows]


def passing(packet):
    """(in, out, from, to) at the router: interfaces and neighbours, None where it ended; None: it did not get there."""
    names = [hop[0] for hop in packet.hops] if packet else []
    if ROUTER not in names:
        return None
    at = names.index(ROUTER)
    _, into, out, neighbour = packet.hops[at]
    return into, out, names[at - 1], neighbour and neighbour[0]


def seen(there, back):
    """What the router's interfaces show of a flow that is to be answered."""
    a, b = passing(there), passing(back)
    if not b:
        return "unanswered"
    if b[0] != a[1] or b[1] not in (a[0], None):
        return "iface_asym"
    return "symmetric" if b[2] == a[3] else "nexthop_asym"


def modelled(case, flow):
    """What can be said of the scenario: the routes at the beginning, and NAT as the router is told to do it."""
    there, back = flow.planned
    if case.hashed:
        return ["symmetric", "asym_benign", "asym_possible"]
    if back.lost and not wrongly_translated(case, flow):
        return ["no_return_route"] if "unreachable" in back.lost else ["rpf_drop", "asym_breaks"]  # the source's check
    path = [hop[:3] for hop in there.hops[1:-1]]
    mirror = [(name, out, into) for name, into, out, _ in reversed(back.hops[1:-1])]
    return ["symmetric"] if path == mirror or wrongly_translated(case, flow) else ["asym_benign"]


def wrongly_translated(case, flow):
    """What leaves by the NAT's outside, and not by an address of its pool."""
    nat = case.network.nodes[ROUTER].nat
    if not nat or passing(flow.ways[0][0])[1] != nat["outside"] or flow.outside and flow.outside[0] in nat["addresses"]:
        return None
    return "wrong_nat" if flow.outside else "nat_bypass"


def expected(case, flow):
    """(which verdicts may be given, is an answer lost that is due?)"""
    if flow.to_group():
        return {"model": ["symmetric", "unmodelled"], "observed": UNTOLD}, False
    lost = flow.due and not flow.ways[-1][1].end
    if flow.due and lost == bool(flow.answered):
        raise RuntimeError(f"{flow}: an answer was {'' if flow.answered else 'not '}heard, against the lookups")
    observed = [max((seen(*way) for way in flow.ways), key=lambda word: word in ACCUSING)]
    if lost and observed == ["iface_asym"]:  # the answer came to the router, and no further
        observed.append("unanswered")
    if not flow.due:
        observed = UNTOLD
    if case.spans:
        observed = ["one_way_capture", "unobservable"]
    if case.fuzzy:
        observed = list(dict.fromkeys([*observed, "symmetric", *UNTOLD]))
    model = modelled(case, flow) + (["unmodelled"] if case.spans else [])
    return {"model": model, "observed": observed, "nat": wrongly_translated(case, flow)}, lost and not case.spans


def describe(case, flow, packets):
    """A flow of truth.json. packets: a Counter of (protocol, sender's end, receiver's end) in the capture."""
    far = flow.dst, flow.sport if flow.proto == "icmp" else flow.dport
    ends = [(flow.src, flow.sport)] + ([flow.outside] if flow.outside else [])
    verdicts, lost = expected(case, flow)
    wrong = lost or verdicts.get("nat") or any(back and seen(there, back) in ACCUSING for there, back in flow.ways)
    ways = [[sorted({p[side] for p in map(passing, way) if p and p[side]}) for side in (0, 1)]
            for way in zip(*flow.ways)]
    return {**{key: getattr(flow, key) for key in ("proto", "src", "sport", "dst", "dport", "due", "outside")},
            "there": ways[0], "back": ways[1] if flow.due else [[], []], "lost": lost,
            "packets": [sum(packets[key] for key in keys) for keys in (
                [(flow.proto, end, far) for end in ends], [(flow.proto, far, end) for end in ends])],
            "by_design": case.by_design and not wrong, "expected": verdicts}
