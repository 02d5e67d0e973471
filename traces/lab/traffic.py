# SPDX-License-Identifier: BSD-3-Clause
"""What the machines do while the capture runs: each its own list of real programs (plans.py), one after the other, all
machines at the same time, with short timeouts. Each program's outcome is the end user's view of the variant."""
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from plans import ALWAYS, BROKEN, PLANS

ENDPOINT = f"{sys.executable} {Path(__file__).parent / 'endpoint.py'}"
SERVERS = ("web-server", "echo-server", "azure-vm", "onprem-pc", "nat-machine")


def serve(lab, v):
    """The servers of all machines. Guests get their addresses by DHCP later: they listen at any."""
    zone = [f"--host-record=host{i}.lab.test,192.0.2.{i}" for i in range(1, 21)]
    lab.start("platform-dns", "dnsmasq", "-k", "-C", "/dev/null", "--no-hosts", "--no-resolv", "--user=root",
              "--pid-file=", "--bind-interfaces", "--interface=eth0", "--except-interface=lo", *zone,
              stderr=subprocess.DEVNULL)
    anywhere = ("0.0.0.0", "::") if v.routes6 else ("0.0.0.0",)
    listening = {"hyperv": [v.addresses()[name] for name in v.own()],
                 "hyperv2": [address for name, address in v.more.items() if name.startswith("hyperv2-")],
                 **{name: anywhere for name in v.addresses() if name in SERVERS or re.match(r"guest\d$", name)}}
    for machine, addresses in listening.items():
        if addresses:
            lab.start_ready(machine, *shlex.split(ENDPOINT), "serve", *addresses)


def upload():
    """What the guests post."""
    return "".join(f"line {n:06d} of what a guest sends\n" for n in range(4000)).encode()


def addressed(line, v):
    return re.sub(r"\{([\w/-]+)\}", lambda m: v.addresses()[m[1]], line.removeprefix("! "))


def argv(line, upload):
    """The program of an addressed line."""
    words = shlex.split(line.replace("@upload", f"@{upload}"))
    return shlex.split(ENDPOINT) + words[1:] if words[0] == "endpoint" else words


def run(lab, v, upload, plan, began):
    """All lists at once. Returns (start, seconds, machine, program, exit status), by start; starts after `began`."""
    def machine(name):
        outcomes = []
        for line in (addressed(line, v) for line in plan[name]):
            start = time.monotonic()
            status = lab.start(name, *argv(line, upload), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait()
            outcomes.append((start - began, time.monotonic() - start, name, line, status))
        return outcomes

    with ThreadPoolExecutor(len(plan)) as pool:
        try:
            return sorted(outcome for outcomes in pool.map(machine, plan) for outcome in outcomes)
        except BaseException:  # an interrupt too: or the pool would wait for all programs
            lab.close()
            raise


def surprises(name, v, outcomes):
    """Programs that did not end as this variant must make them end: the capture would not show what it says."""
    addresses = v.addresses()
    broken = {(source, addresses[peer]) for sources, peers in (*BROKEN.get(name, ()), *ALWAYS)
              for source in sources for peer in peers if peer in addresses}
    must_fail = {(machine, addressed(line, v)) for machine, lines in PLANS.get(v.plan, {}).items() for line in lines
                 if line.startswith("! ")}

    def fails(machine, line):
        return (machine, line) in must_fail or any(
            machine == source and re.search(rf"\b{re.escape(address)}\b", line) for source, address in broken)

    return [f"{machine}: exit status {status}: {line}" for _, _, machine, line, status in outcomes
            if not line.startswith("traceroute") and (status != 0) != fails(machine, line)]
