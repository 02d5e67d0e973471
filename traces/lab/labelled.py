#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Captures whose truth is known: random routed networks round one router, small conversations across them, and of every
flow what the kernels' own lookups and connection tracking say. Needs root, ip, nft, conntrack and ethtool.

    labelled.py DIR [--seed N] [--flows N] [--only CLASS,...]

Writes DIR/<class>/, as README.md tells."""
import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.dont_write_bytecode = True
import spans
import truth
from classes import CLASSES
from dhcp import stop
from exchange import Exchange, route_multicast
from lab import Lab
from subscribers import Sockets
from truth import ROUTER, Flow

HERE = Path(__file__).resolve().parent
TURNS = 2
SAMPLED = 8  # flows at least for each frame in whose place one is captured: fewer do not show that there were more


def draw(case, rng, count):
    """Flows, each with a source port or ICMP identifier that no other one has."""
    for number, port in enumerate(rng.sample(range(10000, 32000), count)):
        src, proto = rng.choice(case.clients), rng.choice(case.kinds)
        if case.groups and number % 2:
            yield Flow("udp", src, port, rng.choice(case.groups), 5353, due=False)
        elif proto == "udp" and case.one_way:
            yield Flow(proto, src, port, rng.choice(case.servers), 514, due=False)
        else:
            dport = {"tcp": rng.choice((22, 80, 443)), "udp": rng.choice((53, 123, 7000)), "icmp": 8}[proto]
            yield Flow(proto, src, port, rng.choice(case.servers), dport)


def talk(case, lab, rng, flows):
    """The conversations. When the routes change in the middle, a third is over before, a third goes on, a third begins
    after it."""
    sockets = Sockets(lab)
    exchange = Exchange(sockets, flows, lambda address: truth.machines(case.network, address))

    def turns(some, n):
        for turn in range(n):
            exchange.turn(some, turn, rng.randrange(20, 400), case.bulk)

    def look(some):
        groups, others = ([f for f in some if f.to_group() == group] for group in (True, False))
        ways = truth.look(case.network, lab, others) + truth.look_at_groups(lab, groups)
        for flow, way in zip(others + groups, ways):
            flow.planned = flow.planned or way
            flow.ways.append(way)

    third = len(flows) // 3 if case.change else 0
    before, across = exchange.begin(flows[:third]), exchange.begin(flows[third:2 * third])
    if case.change:
        turns(before, TURNS)
        turns(across, 1)
        exchange.end(before)
        look(flows)
        for flow in flows[2 * third:]:
            flow.ways.clear()
        for machine, route in case.change:
            lab.ip(machine, f"route replace {route}")
    router = case.groups and multicast(case, lab, sockets)
    after = across + exchange.begin(flows[2 * third:])
    turns(after, TURNS)
    exchange.end(after[::2])
    exchange.end(after[1::2], abort=True)
    exchange.close()
    for conversation in exchange.all:
        conversation.flow.answered = conversation.answered
    truth.translations(lab, flows)
    look(flows[third:])
    if router:
        router.close()


def multicast(case, lab, sockets):
    """From the LAN to the servers' side."""
    links = {link["ifname"]: link["ifindex"] for link in json.loads(lab.run(ROUTER, "ip", "-j", "link"))}
    return route_multicast(sockets, ROUTER, [links["lan"], links[case.up]],
                           [(client, group, 0, 1) for client in case.clients for group in case.groups])


def offload(case, lab):
    """Hosts leave checksums to their NICs; to merge, segments are cut into frames where the router sends to the LAN,
    and nowhere before."""
    features = [word for feature in case.offload.split() for word in (feature, "on")]
    for name, node in case.network.nodes.items():
        for nic in node.nics if features and (case.merge or not node.router) else ():
            if (name, nic) != (ROUTER, "lan"):
                lab.run(name, "ethtool", "-K", nic, *features)


def write(case, directory, name, rng, whole, flows):
    interfaces, records = spans.read(whole)
    spans.write(directory / "capture.pcapng", interfaces, records, case.spans, case.snaplen,
                chosen=lambda: rng.randrange(case.sample) == 0)
    if case.modelled:
        (directory / "scenario.yaml").write_text(case.network.scenario(f"Labelled: {name}", ROUTER) + "\n")
    if case.points:
        for side, interface in ("inside", "lan"), ("outside", case.up):
            spans.write(directory / f"{side}.pcapng", interfaces, records, ((interface, "in"), (interface, "out")),
                        shift=rng.randrange(-5, 5) * 10**9 if side == "outside" else 0)
    packets = Counter(packet[2:] for packet in spans.packets(directory / "capture.pcapng"))
    (directory / "truth.json").write_text(json.dumps({
        "class": name, "by_design": case.by_design, "scenario": case.modelled, "points": case.points,
        "sampled": case.sample, "snaplen": case.snaplen, "spans": case.spans,
        "flows": [truth.describe(case, flow, packets) for flow in flows]}, indent=1) + "\n")


def make(name, directory, rng, count):
    case, lab = CLASSES[name](rng), Lab()
    flows = list(draw(case, rng, max(count, SAMPLED * case.sample) if case.sample > 1 else count))
    with tempfile.TemporaryDirectory(prefix="fwl-") as scratch:
        whole = Path(scratch) / "whole.pcapng"
        try:
            case.network.build(lab)
            offload(case, lab)
            capture = lab.start_ready(ROUTER, sys.executable, "-B", str(HERE / "capture.py"),
                                      *(["--offload"] if case.offload else []), str(whole), *case.interfaces)
            talk(case, lab, rng, flows)
            time.sleep(0.05)  # what is still on its way
            stop(capture)
        finally:
            lab.close()
        made = Path(scratch) / name
        made.mkdir()
        write(case, made, name, rng, whole, flows)
        directory.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, directory)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--flows", type=int, default=48, help="flows of each class")
    parser.add_argument("--only", default=",".join(CLASSES), help="classes, in place of all")
    arguments = parser.parse_args()
    if os.geteuid():
        sys.exit("labelled: needs root, to make network namespaces: run it with sudo")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    print(f"seed {arguments.seed}", flush=True)
    for name in arguments.only.split(","):
        make(name, arguments.directory / name, random.Random(f"{arguments.seed} {name}"), arguments.flows)


if __name__ == "__main__":
    main()
