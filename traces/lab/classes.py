# SPDX-License-Identifier: BSD-3-Clause
"""What each class of labelled captures does to a routed network round the router `r`:

              lan ── r ──┬─ up1 ─ u1 ──┬─ x ─┬─ srv1          addresses are drawn; `shared`: r, u1 and u2 are on one
                         └─ up2 ─ u2 ──┘     └─ srv2          segment; `dmz`: a fourth interface of r

Without more, all goes there and back by u1."""
from dataclasses import dataclass, field

from network import Network, Route

DEFAULT = "0.0.0.0/0"
CLASSES = {}  # name: function(rng) -> Case


@dataclass
class Case:
    network: Network
    places: dict                      # srv1, srv2, low and high (halves of the lan), ...: prefixes and addresses
    clients: list
    servers: list
    interfaces: list                  # of r, as they are captured
    kinds: tuple = ("tcp", "tcp", "tcp", "udp", "udp", "icmp")
    change: list = None               # (machine, route): what is replaced when half of the capture is over
    offload: str = ""                 # features that hosts have on
    merge: bool = False               # and r as well, where packets come in
    bulk: int = 600                   # bytes of an answer
    one_way: bool = False             # half of the UDP flows are never answered
    groups: list = field(default_factory=list)  # multicast
    spans: tuple = ()                 # (interface, "in" or "out"): all that is captured; (): everything
    sample: int = 1                   # 1 of so many frames is captured
    snaplen: int = 0
    up: str = "up1"                   # the interface to the servers
    modelled: bool = True             # can a scenario say it?
    fuzzy: bool = False               # the capture cannot tell all that was true
    hashed: bool = False              # the model cannot know which way the kernel's hash chose
    by_design: bool = False           # what is right here may not be accused, not once
    points: bool = False              # captures on either side of a NAT, for fwdlab to join


def labelled(name):
    def add(f):
        CLASSES[name] = f
        return f
    return add


def prefix24(rng, first):
    return f"{first}.{rng.randrange(1, 250)}.{rng.randrange(1, 250)}"


def base(rng, upstreams=2, shared=False, dmz=False):
    net = Network()
    lan, up1, up2, core1, core2, srv1, srv2 = (prefix24(rng, first) for first in (
        10, *(rng.sample(range(80, 100), 4)), *rng.sample(range(130, 150), 2)))
    clients = [f"{lan}.{n}" for n in (*rng.sample(range(10, 127), 3), *rng.sample(range(130, 250), 3))]
    here = {1: "up1", 2: "up1" if shared else "up2"}
    up2 = up1 if shared else up2
    via = {1: (f"{up1}.2", "up1"), 2: (f"{up2}.3", here[2])}
    nics = {"lan": ("lan", [f"{lan}.1"]), "up1": ("up1", [f"{up1}.1"])}
    if upstreams == 2 and not shared:
        nics["up2"] = ("up2", [f"{up2}.1"])
    if dmz:
        dmz_prefix = prefix24(rng, 150)
        nics["dmz"] = ("dmz", [f"{dmz_prefix}.1"])
        net.add("dmz", False, eth0=("dmz", [f"{dmz_prefix}.9"])).route(DEFAULT, (f"{dmz_prefix}.1", "eth0"))
    net.add("r", **nics).route(DEFAULT, via[1])
    x = net.add("x", s1=("srv1", [f"{srv1}.1"]), s2=("srv2", [f"{srv2}.1"]))
    for n, core in zip(range(1, upstreams + 1), (core1, core2)):
        near = f"{up1 if n == 1 else up2}.{n + 1}"
        u = net.add(f"u{n}", south=(here[n], [near]), north=(f"core{n}", [f"{core}.1"]))
        u.route(f"{lan}.0/24", (f"{up1 if n == 1 else up2}.1", "south"))
        for srv in srv1, srv2:
            u.route(f"{srv}.0/24", (f"{core}.2", "north"))
        x.nics[f"d{n}"] = (f"core{n}", [f"{core}.2"])
        if n == 1 or not shared:
            x.route(f"{up1 if n == 1 else up2}.0/24", (f"{core}.1", f"d{n}"))
    x.route(f"{lan}.0/24", (f"{core1}.1", "d1"))
    net.add("lan", False, eth0=("lan", clients)).route(DEFAULT, (f"{lan}.1", "eth0"))
    servers = []
    for name, srv in ("srv1", srv1), ("srv2", srv2):
        addresses = [f"{srv}.{n}" for n in rng.sample(range(10, 250), 3)]
        net.add(name, False, eth0=(name, addresses)).route(DEFAULT, (f"{srv}.1", "eth0"))
        servers += addresses
    places = {"lan": f"{lan}.0/24", "low": f"{lan}.0/25", "high": f"{lan}.128/25", "srv1": f"{srv1}.0/24",
              "srv2": f"{srv2}.0/24", "u1": via[1], "u2": via[2], "x1": (f"{core1}.1", "d1"),
              "x2": (f"{core2}.1", "d2"), "up1": up1}
    return Case(net, places, clients, servers + ([f"{dmz_prefix}.9"] if dmz else []), list(nics))


def user_route(rng, **options):
    """A static route takes some destinations, or the answers to some clients, by the other upstream."""
    case = base(rng, **options)
    p, nodes = case.places, case.network.nodes
    if rng.random() < 0.5:
        nodes["r"].route(p["srv2"], p["u2"])
    else:
        nodes["x"].route(rng.choice((p["high"], f"{case.clients[0]}/32", p["low"])), p["x2"])
    return case


@labelled("user-route")
def _(rng):
    return user_route(rng, dmz=rng.random() < 0.5)


@labelled("user-route-shared-link")
def _(rng):
    return user_route(rng, shared=True)


@labelled("metric")
def _(rng):
    """Which of two routes wins is their metrics' doing, the other way on the way back."""
    case = base(rng)
    p, nodes = case.places, case.network.nodes
    low, high = sorted(rng.sample(range(1, 500), 2))
    nodes["r"].route(p["srv1"], p["u1"], metric=low)
    nodes["r"].route(p["srv1"], p["u2"], metric=high)
    nodes["r"].route(p["srv2"], p["u1"], metric=high)
    nodes["r"].route(p["srv2"], p["u2"], metric=low)
    nodes["x"].routes = [r for r in nodes["x"].routes if r.prefix != p["lan"]]
    nodes["x"].route(p["lan"], p["x1"], metric=low)
    nodes["x"].route(p["lan"], p["x2"], metric=high)
    return case


@labelled("ecmp")
def _(rng):
    """Both share the traffic by the ports too, each with a seed of its own. Policy 3 (by the fields named, all five)
    and not 1: that takes the hash which the sender's socket left with a packet, and a veth keeps it."""
    case = base(rng)
    p, nodes = case.places, case.network.nodes
    for name in "r", "x":
        nodes[name].sysctls = {"net.ipv4.fib_multipath_hash_policy": 3, "net.ipv4.fib_multipath_hash_fields": 0x37,
                               "net.ipv4.fib_multipath_hash_seed": rng.randrange(1, 1 << 32)}
    nodes["r"].routes = [Route(DEFAULT, [p["u1"], p["u2"]])]
    nodes["x"].routes = [r for r in nodes["x"].routes if r.prefix != p["lan"]]
    nodes["x"].route(p["lan"], p["x1"], p["x2"])
    case.hashed = True
    return case


@labelled("failover")
def _(rng):
    """The way back fails over while connections are open."""
    case = base(rng)
    case.change = [("x", Route(case.places["lan"], [case.places["x2"]]))]
    return case


@labelled("failover-both-ways")
def _(rng):
    case = base(rng)
    case.change = [("r", Route(DEFAULT, [case.places["u2"]])), ("x", Route(case.places["lan"], [case.places["x2"]]))]
    case.by_design = True
    return case


@labelled("reverse-path-filter")
def _(rng):
    """What comes back by the other upstream is dropped (RFC 3704, strict)."""
    case = base(rng)
    r = case.network.nodes["r"]
    r.sysctls, r.urpf = {"net.ipv4.conf.all.rp_filter": 1}, "strict"
    case.network.nodes["x"].route(case.places["high"], case.places["x2"])
    return case


@labelled("no-return-route")
def _(rng):
    case = base(rng, upstreams=rng.choice((1, 2)))
    x = case.network.nodes["x"]
    x.routes = [r for r in x.routes if r.prefix != case.places["lan"]]
    x.route(case.places["low"], case.places["x1"])
    return case


def nat(rng, exceptions=lambda case: ("", ()), upstreams=1):
    """Source translation to the addresses of a pool. exceptions(case): rules that come first, and what x then needs."""
    case = base(rng, upstreams=upstreams, dmz=rng.random() < 0.5)
    p, nodes = case.places, case.network.nodes
    pool = [f"{p['up1']}.{n}" for n in rng.sample(range(10, 200), 2)]
    case.servers = [s for s in case.servers if s.rsplit(".", 1)[0] + ".0/24" in (p["srv1"], p["srv2"])]
    rules, prefixes = exceptions(case)
    by_client = ", ".join(f"{c} : {pool[i % 2]}" for i, c in enumerate(case.clients))
    nodes["r"].rules = f"""table ip nat {{
        chain postrouting {{
            type nat hook postrouting priority srcnat;
            {rules}
            oifname up1 snat to ip saddr map {{ {by_client} }}
        }}
    }}"""
    nodes["r"].nat = {"outside": "up1", "personality": "conntrack", "addresses": pool}
    for prefix in (*(f"{a}/32" for a in pool), *prefixes):
        nodes["u1"].route(prefix, (f"{p['up1']}.1", "south"))
    for prefix in prefixes:
        nodes["x"].route(prefix, p["x1"])
    case.points = True
    return case


@labelled("nat")
def _(rng):
    case = nat(rng)
    case.by_design = True
    return case


@labelled("nat-bypass")
def _(rng):
    """Some clients are let out untranslated; x knows a way back to them, or not."""
    lost = rng.random() < 0.5

    def exceptions(case):
        if lost:
            x = case.network.nodes["x"]
            x.routes = [r for r in x.routes if r.prefix != case.places["lan"]]
        return f"oifname up1 ip saddr {case.places['high']} ip daddr {case.places['srv2']} accept", ()
    return nat(rng, exceptions)


@labelled("wrong-nat")
def _(rng):
    """Some clients get an address that is not of the pool; it is routed back, or not."""
    wrong, routed = f"{prefix24(rng, 160)}.7", rng.random() < 0.5

    def exceptions(case):
        return f"oifname up1 ip saddr {case.clients[0]} snat to {wrong}", (f"{wrong}/32",) if routed else ()
    return nat(rng, exceptions)


@labelled("nat-user-route")
def _(rng):
    """A static route takes some destinations past the NAT, by the other upstream; answers come back by the first."""
    case = nat(rng, upstreams=2)
    case.network.nodes["r"].route(case.places["srv2"], case.places["u2"])
    case.points = False
    return case


def routed(rng, **changes):
    """Symmetric, without NAT, with two to four interfaces."""
    case = base(rng, upstreams=rng.choice((1, 2)), dmz=rng.random() < 0.5)
    p, nodes = case.places, case.network.nodes
    if "u2" in nodes and rng.random() < 0.5:  # all by u2, there and back
        nodes["r"].routes = [Route(DEFAULT, [p["u2"]])]
        nodes["x"].routes = [Route(r.prefix, [p["x2"]]) if r.prefix == p["lan"] else r for r in nodes["x"].routes]
        case.up = "up2"
    for key, value in changes.items():
        setattr(case, key, value)
    case.by_design = True
    return case


@labelled("one-way-capture")
def _(rng):
    """A span that sees one direction; of both interfaces, or of one."""
    case = routed(rng)
    case.servers = case.servers[:6]
    case.spans = rng.choice(((("lan", "in"),), (("lan", "out"),), ((case.up, "in"),),
                             (("lan", "in"), (case.up, "out")), ((case.up, "in"), ("lan", "out"))))
    return case


@labelled("sampled")
def _(rng):
    case = user_route(rng)
    case.sample, case.fuzzy, case.by_design = rng.choice((2, 3, 5, 10)), True, True
    return case


@labelled("truncated-64")
def _(rng):
    case = user_route(rng)
    case.snaplen, case.by_design = 64, True
    return case


@labelled("truncated-96")
def _(rng):
    case = user_route(rng)
    case.snaplen, case.by_design = 96, True
    return case


@labelled("offloaded-checksums")
def _(rng):
    case = user_route(rng)
    case.offload, case.by_design = "tx", True
    return case


@labelled("merged-segments")
def _(rng):
    """GSO and GRO: the router passes on segments of many frames, whole here, cut to frames there."""
    case = user_route(rng)
    case.offload, case.merge, case.bulk, case.by_design = "tx sg tso gso gro rx", True, 12000, True
    return case


@labelled("anycast")
def _(rng):
    """The same addresses behind u1 and behind u2: who is asked answers."""
    case = base(rng)
    p, net = case.places, case.network
    lan_routes = {n: net.nodes[f"u{n}"].routes[0] for n in (1, 2)}
    for n in 1, 2:
        prefix, u = p["srv1"][:-5], net.nodes[f"u{n}"]
        u.nics = {"south": u.nics["south"], "any": (f"any{n}", [f"{prefix}.1"])}
        u.routes = [lan_routes[n]]
        net.add(f"any{n}", False, eth0=(f"any{n}", case.servers[:3])).route(DEFAULT, (f"{prefix}.1", "eth0"))
    for name in "x", "srv1", "srv2":
        del net.nodes[name]
    net.nodes["r"].routes = [Route(DEFAULT, [p["u1"], p["u2"]])]
    net.nodes["r"].sysctls = {"net.ipv4.fib_multipath_hash_policy": rng.choice((0, 3))}
    case.servers, case.modelled, case.by_design = case.servers[:3], False, True
    return case


@labelled("multicast")
def _(rng):
    return routed(rng, groups=[f"239.{rng.randrange(256)}.{rng.randrange(256)}.{n}" for n in range(1, 6)])


@labelled("one-way-udp")
def _(rng):
    return routed(rng, one_way=True, kinds=("udp", "udp", "udp", "tcp", "icmp"))


@labelled("symmetric")
def _(rng):
    return routed(rng)
