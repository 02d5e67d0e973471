# SPDX-License-Identifier: BSD-3-Clause
"""What the machines do while the capture runs: each its own list of real programs, one after the other, all machines at
the same time. The same programs run in every variant; where the network does not carry them they fail, with short
timeouts. Each program's outcome is the end user's view of the variant."""
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from topology import ADDRESS

HERE = Path(__file__).parent
ENDPOINT = f"{sys.executable} {HERE / 'endpoint.py'}"
MANY = "curl -sfZ --parallel-immediate --parallel-max 4 --connect-timeout 1 -m 6 -o /dev/null"
ONE = "curl -sf --connect-timeout 1 -m 6 -o /dev/null"
NOBODY = "10.0.2.77"
PING = "ping -nq -c 4 -i 0.2 -W 1"
TRACE = "traceroute -n -m 6 -q 2 -w 1"
DIG = "dig +tries=1 +time=1 +short @{platform-dns}"


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
        *(f"{PING} {{{peer}}}" for peer in ("guest1", "guest2", "hyperv-nic2")), f"ping -nq -c 2 -W 1 {NOBODY}",
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


PLAN = {
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


def serve(lab, v):
    """The servers of all machines but the guests, whose addresses come by DHCP later."""
    zone = [f"--host-record=host{i}.lab.test,192.0.2.{i}" for i in range(1, 21)]
    lab.start("platform-dns", "dnsmasq", "-k", "-C", "/dev/null", "--no-hosts", "--no-resolv", "--user=root",
              "--pid-file=", "--bind-interfaces", "--interface=eth0", "--except-interface=lo", *zone,
              stderr=subprocess.DEVNULL)
    own = [ADDRESS[nic] for nic in ("hyperv-nic1", "hyperv-nic2", "switch") if v.nic2 or nic != "hyperv-nic2"]
    for machine, addresses in ("hyperv", own), *((m, ()) for m in (
            "web-server", "echo-server", "azure-vm", "onprem-pc", "nat-machine", "guest1", "guest2")):
        lab.start_ready(machine, *shlex.split(ENDPOINT), "serve", *addresses)


def upload():
    """What the guests post."""
    return "".join(f"line {n:06d} of what a guest sends\n" for n in range(4000)).encode()


def addressed(line):
    for name, address in ADDRESS.items():
        line = line.replace(f"{{{name}}}", address)
    return line


def argv(line, upload):
    """The program of a line of the plan."""
    words = shlex.split(addressed(line).replace("@upload", f"@{upload}"))
    return shlex.split(ENDPOINT) + words[1:] if words[0] == "endpoint" else words


def run(lab, upload):
    """All lists at once. Returns (start, seconds, machine, program, exit status), by start."""
    began = time.monotonic()

    def machine(name):
        outcomes = []
        for line in PLAN[name]:
            start = time.monotonic()
            status = lab.start(name, *argv(line, upload), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait()
            outcomes.append((start - began, time.monotonic() - start, name, addressed(line), status))
        return outcomes

    with ThreadPoolExecutor(len(PLAN)) as pool:
        try:
            return sorted(outcome for outcomes in pool.map(machine, PLAN) for outcome in outcomes)
        except BaseException:  # an interrupt too: or the pool would wait for all programs
            lab.close()
            raise


GUESTS, NETWORK = ("guest1", "guest2"), ("azure-vm", "onprem-pc")
BROKEN = {  # from whom to whom the network does not carry, there or back
    "routed": [],
    "connected": [],
    "without-route-1": [(GUESTS, ("nat-machine",))],
    "without-onprem-route": [(("onprem-pc",), (*GUESTS, "hyperv-nic2"))],
    "forwarding-off": [(GUESTS, NETWORK), (NETWORK, GUESTS), (("azure-vm",), ("hyperv-nic1",))],
    "nat-only": [(NETWORK, (*GUESTS, "hyperv-nic2")), (GUESTS, ("hyperv-nic2",))],
}
NO_ROUTE_TABLE = (("nat-machine", "web-server"), GUESTS)


def surprises(name, outcomes):
    """Programs that did not end as this variant must make them end: the capture would not show what it says."""
    pairs = {(source, ADDRESS[peer]) for sources, peers in (*BROKEN[name], NO_ROUTE_TABLE)
             for source in sources for peer in peers}
    pairs |= {(machine, NOBODY) for machine in PLAN}
    return [f"{machine}: exit status {status}: {line}" for _, _, machine, line, status in outcomes
            if not line.startswith("traceroute") and (status != 0) != any(
                machine == source and re.search(rf"\b{re.escape(address)}\b", line) for source, address in pairs)]
