# SPDX-License-Identifier: BSD-3-Clause
"""Who does what: for each plan, each machine's list of programs. {NAME} is a machine's address, {NAME/6} its IPv6
address; a line that begins with "! " must fail in every variant. Where a variant's network does not carry a program, it
fails too (BROKEN)."""
MANY = "curl -sfZ --parallel-immediate --parallel-max 4 --connect-timeout 1 -m 6 -o /dev/null"
ONE = "curl -sf --connect-timeout 1 -m 6 -o /dev/null"
PING = "ping -nq -c 4 -i 0.2 -W 1"
TRACE = "traceroute -n -m 6 -q 2 -w 1"
DIG = "dig +tries=1 +time=1 +short @{platform-dns}"


def nobody(address):
    return f"! ping -nq -c 2 -W 1 {address}"


def guest(n):
    """Outward from a guest: to the Internet, the network's machines, on-premises and the host."""
    names = " ".join(f"host{i}.lab.test" for i in range(n, 21, 2))
    return [
        f"{DIG} {names}",
        f"{MANY} http://{{web-server}}/[{100 + n}-6000:200]",
        "endpoint chat {echo-server} 7 20 40000",  # the same source port at both guests
        "endpoint udp {echo-server} 7 6 200 41000",
        "ping -nq -e 4242 -c 4 -i 0.3 -W 1 {echo-server}",
        f"{ONE} http://{{web-server}}/{700000 + n}",
        f"{MANY} http://{{azure-vm}}/[{200 + n}-5000:250]",
        f"{ONE} http://{{azure-vm}}/{200000 + n}",
        f"{MANY} http://{{onprem-pc}}/[{300 + n}-4000:370]",
        f"{ONE} http://{{onprem-pc}}/{120000 + n}",
        f"{MANY} http://{{nat-machine}}/[{400 + n}-4000:400]",
        f"{ONE} http://{{nat-machine}}/{80000 + n}",
        *(f"{PING} {{{peer}}}" for peer in ("web-server", "azure-vm", "onprem-pc", "nat-machine", "switch",
                                             "hyperv-nic1", "hyperv-nic2")),
        f"{TRACE} {{web-server}}", f"{TRACE} -I {{web-server}}", f"{TRACE} {{azure-vm}}", f"{TRACE} -I {{azure-vm}}",
        *(f"endpoint chat {{{peer}}} 7 25" for peer in ("azure-vm", "onprem-pc", "nat-machine")),
        *(f"endpoint udp {{{peer}}} 7 8 {120 + 150 * n}" for peer in ("azure-vm", "onprem-pc", "nat-machine")),
        "endpoint udp {echo-server} 7 1 4000", "endpoint udp {azure-vm} 7 1 4000",  # fragments, there and back
        *(f"endpoint {end} {{{peer}}}" for end in ("abort", "reset") for peer in ("web-server", "azure-vm")),
        *(f"endpoint {end} {{{peer}}} 999" for end in ("refused", "unreachable")
          for peer in ("echo-server", "azure-vm")),
        f"{ONE} http://{{switch}}/3000", f"{ONE} http://{{hyperv-nic1}}/3000",
        f"{ONE} --data-binary @upload http://{{web-server}}/", f"{ONE} --data-binary @upload http://{{azure-vm}}/",
    ]


def inward(size):
    """From a machine of the network or of on-premises to the guests by their own addresses and to the host's NIC2."""
    return [
        *(f"{MANY} http://{{{peer}}}/[{size}-3000:300]" for peer in ("guest1", "guest2", "hyperv-nic2")),
        f"{ONE} http://{{guest1}}/{100000 + size}",
        *(f"{PING} {{{peer}}}" for peer in ("guest1", "guest2", "hyperv-nic2")), nobody("10.0.2.77"),
        *(f"endpoint chat {{{peer}}} 7 15" for peer in ("guest1", "guest2")),
        *(f"endpoint udp {{{peer}}} 7 5 {size}" for peer in ("guest1", "guest2")),
        "endpoint udp {guest1} 7 1 4000",
        "endpoint abort {guest1}", "endpoint reset {guest2}", "endpoint refused {guest1} 999",
        "endpoint unreachable {guest2} 999",
        f"{TRACE} {{guest1}}",
    ]


def outside(size):
    """From whoever reaches the host's NIC1: the host's own service and the port maps."""
    return [
        *(f"{MANY} http://{{hyperv-nic1}}{port}/[{size}-3000:400]" for port in ("", ":8080", ":8081")),
        f"{PING} {{hyperv-nic1}}",
        "endpoint udp {hyperv-nic1} 7007 5 300", "endpoint udp {hyperv-nic1} 7 2 100",
        "endpoint chat {hyperv-nic1} 7 10", "endpoint refused {hyperv-nic1} 999",
        "endpoint unreachable {hyperv-nic1} 999",
    ]


COMMON = {
    "guest1": guest(1),
    "guest2": guest(2),
    "azure-vm": inward(110) + outside(120),
    "onprem-pc": inward(130),
    "nat-machine": outside(140) + [f"{ONE} http://{{guest1}}/500", f"{PING} {{guest2}}"],
    "web-server": outside(150) + [f"{PING} {{guest1}}"],
    "hyperv": [
        f"{DIG} host1.lab.test host2.lab.test host3.lab.test",
        f"{MANY} http://{{web-server}}/[160-3000:500]", f"{MANY} http://{{azure-vm}}/[160-3000:500]",
        f"{PING} {{echo-server}}", f"{PING} {{nat-machine}}", f"{PING} {{guest1}}",
        "endpoint chat {echo-server} 7 10", f"{MANY} http://{{guest2}}/[160-3000:500]",
    ],
}


def talk(peer, size=500, trace=True):
    """Each kind of conversation with one peer."""
    host = f"[{{{peer}}}]" if peer.endswith("/6") else f"{{{peer}}}"
    return [
        f"{MANY} http://{host}/[{size}-4000:500]", f"{ONE} http://{host}/{60000 + size}", f"{PING} {{{peer}}}",
        f"endpoint chat {{{peer}}} 7 12", f"endpoint udp {{{peer}}} 7 4 {size}", f"endpoint udp {{{peer}}} 7 1 4000",
        f"endpoint abort {{{peer}}}", f"endpoint reset {{{peer}}}",
        f"endpoint refused {{{peer}}} 999", f"endpoint unreachable {{{peer}}} 999",
        *((f"{TRACE} {{{peer}}}", f"{TRACE} -I {{{peer}}}") if trace else ()),
    ]


def glance(*peers):
    """Enough to see that it works, or does not."""
    return [line for peer in peers for line in (
        f"{ONE} http://[{{{peer}}}]/4000" if peer.endswith("/6") else f"{ONE} http://{{{peer}}}/4000",
        f"ping -nq -c 2 -i 0.2 -W 1 {{{peer}}}")]


TWO_HOSTS = {
    "guest1": talk("guest3") + talk("azure-vm", 510) + glance("web-server", "onprem-pc", "hyperv2-nic1", "hyperv2-nic2")
    + [f"{MANY} http://{{hyperv2-nic1}}:8080/[300-3000:500]", nobody("10.0.4.77")],
    "guest2": talk("guest3", 520) + glance("web-server", "azure-vm", "nat-machine"),
    "guest3": talk("guest1", 530) + talk("guest2", 540, trace=False) + glance("web-server", "azure-vm", "hyperv-nic1")
    + [f"{MANY} http://{{hyperv-nic1}}:8080/[300-3000:500]", nobody("10.0.2.77")],
    "azure-vm": glance("guest1", "guest2", "guest3", "hyperv-nic2") + [f"{TRACE} {{guest3}}"],
    "onprem-pc": glance("guest1", "guest2", "guest3"),
    "nat-machine": glance("hyperv-nic1", "hyperv2-nic1"),
    "hyperv": glance("guest3", "hyperv2-nic1", "hyperv2-nic2"),
    "hyperv2": glance("guest1", "hyperv-nic1", "hyperv-nic2"),
}

ONPREM_GATEWAY = {
    "guest1": talk("onprem-pc") + glance("guest5", "web-server", "azure-vm"),
    "guest2": glance("onprem-pc", "guest5", "azure-vm", "web-server"),
    "guest5": talk("onprem-pc", 510) + talk("azure-vm", 520) + talk("web-server", 530, trace=False)
    + [f"{DIG} host1.lab.test host2.lab.test"] + glance("guest1", "nat-machine", "echo-server", "switch-2"),
    "onprem-pc": talk("guest5", 540) + talk("guest1", 550, trace=False) + glance("guest2", "hyperv-nic2"),
    "azure-vm": talk("guest5", 560) + glance("guest1", "hyperv-nic2"),
    "nat-machine": glance("hyperv-nic1"),
    "hyperv": glance("guest5", "onprem-pc"),
}

DUAL_STACK = {
    "guest1": [f"{DIG} host1.lab.test"] + talk("azure-vm/6") + talk("onprem-pc/6", 510) + [
        "endpoint options6 {azure-vm/6} 7", f"{ONE} --data-binary @upload http://[{{azure-vm/6}}]/",
        "endpoint chat {azure-vm/6} 7 10 42000", "endpoint chat {onprem-pc/6} 7 10 42000"]
    + glance("azure-vm", "web-server", "onprem-pc", "switch/6", "hyperv-nic1/6", "hyperv-nic2/6", "nat-machine",
             "nat-machine/6", "web-server/6"),
    "guest2": talk("azure-vm/6", 520, trace=False) + talk("azure-vm", 530, trace=False) + [
        "endpoint options6 {onprem-pc/6} 7"] + glance("onprem-pc/6", "web-server", "nat-machine/6", "echo-server/6"),
    "azure-vm": talk("guest1/6", 540) + talk("hyperv-nic2/6", 550, trace=False) + ["endpoint options6 {guest2/6} 7"]
    + glance("guest2/6", "hyperv-nic1/6", "guest1") + [nobody("fd00:a:0:2::77")],
    "onprem-pc": talk("guest2/6", 560) + glance("guest1/6", "hyperv-nic2/6", "guest2"),
    "nat-machine": talk("hyperv-nic1/6", 570, trace=False) + glance("hyperv-nic1") + glance("guest1/6"),
    "web-server": talk("hyperv-nic2/6", 580, trace=False) + glance("guest1/6"),
    "hyperv": glance("azure-vm/6", "web-server/6", "onprem-pc/6", "guest1/6", "web-server")
    + ["endpoint options6 {azure-vm/6} 7"],
}


def long_packets(peer):
    """Over NIC2's MTU and under the others': with DF clear they are fragmented, with DF set their sender is told."""
    ping = "ping -nq -c 2 -i 0.2 -W 1"
    return [
        f"{ping} -M dont -s 1450 {{{peer}}}", f"{ping} -M do -s 1372 {{{peer}}}",
        *(f"endpoint sized {{{peer}}} 8 2 {size}" for size in (1372, 1373, 1450, 4000)),
        f"endpoint toolong {{{peer}}} 8 1450", f"! {ping} -M do -s 1373 {{{peer}}}",
        f"{ONE} --data-binary @upload http://{{{peer}}}/", f"{ONE} http://{{{peer}}}/50000",
        f"endpoint chat {{{peer}}} 7 12",
    ]


SMALL_MTU = {
    # Nothing has told the guests of the MTU yet: guest1 hears of it by TCP, guest2 by UDP.
    "guest1": [f"{ONE} --data-binary @upload http://{{azure-vm}}/", *long_packets("azure-vm"),
               *glance("web-server", "nat-machine"), f"{ONE} --data-binary @upload http://{{web-server}}/",
               "endpoint sized {web-server} 8 2 1450"],
    "guest2": [*long_packets("onprem-pc"), *glance("web-server"), f"{ONE} --data-binary @upload http://{{azure-vm}}/"],
    "azure-vm": [f"{MANY} http://{{hyperv-nic1}}:8080/[300-6000:1500]", *talk("guest1", 510)],
    "onprem-pc": [f"{ONE} http://{{guest1}}/50000", *talk("guest1", 520)],
    "nat-machine": [f"{ONE} http://{{hyperv-nic1}}:8081/30000"],
    "hyperv": [*glance("azure-vm", "web-server"), f"{ONE} --data-binary @upload http://{{azure-vm}}/",
               "endpoint sized {azure-vm} 8 2 1450"],
}

PLANS = {"common": COMMON, "two-hosts": TWO_HOSTS, "onprem-gateway": ONPREM_GATEWAY, "dual-stack": DUAL_STACK,
         "small-mtu": SMALL_MTU}

GUESTS, NETWORK = ("guest1", "guest2"), ("azure-vm", "onprem-pc")
ALWAYS = [  # nobody there has a route to the guests, and without NAT no answer of theirs finds one
    (("nat-machine", "web-server"), (*GUESTS, "guest1/6")),
    (GUESTS, ("nat-machine/6", "web-server/6", "echo-server/6")),
]
BROKEN = {  # from whom to whom the network does not carry, there or back
    "without-route-1": [(GUESTS, ("nat-machine",))],
    "without-onprem-route": [(("onprem-pc",), (*GUESTS, "hyperv-nic2"))],
    "forwarding-off": [(GUESTS, NETWORK), (NETWORK, GUESTS), (("azure-vm",), ("hyperv-nic1",))],
    "nat-only": [(NETWORK, (*GUESTS, "hyperv-nic2")), (GUESTS, ("hyperv-nic2",))],
    "without-route-table": [(GUESTS, ("azure-vm",)), (("azure-vm",), GUESTS)],
    "two-hosts-without-peer-route": [((*GUESTS, "hyperv"), ("guest3",)), (("guest3",), GUESTS)],
    "onprem-gateway-without-static": [(("onprem-pc",), ("guest5",)), (("guest5",), ("onprem-pc",))],
}
