# SPDX-License-Identifier: BSD-3-Clause
"""IPv6 on top of a lab that stands: the same links, routers and platform, without NAT. Machines of the network have
their address as a /128, so that everything passes the platform; links between routers have link-local addresses only,
fe80::1 towards the core of the network and fe80::2 away from it."""
import edge
from variants import (ADDRESS6, ECHO_ROUTER6, GATEWAY6, GHOSTED6, ONPREM6, ONPREM_ROUTER6, SPACE6, VPN_GATEWAY6,
                      WEB_ROUTER6)


def add(lab, v, edges):
    host(lab, v)
    platform(lab, v, edges)
    sites(lab)
    lab.ip6("hyperv", *(f"route add {route}" for route in v.routes6))


def host(lab, v):
    lab.ip6("hyperv", f"addr add {ADDRESS6['switch']}/64 dev switch",
            f"addr add {ADDRESS6['hyperv-nic1']}/64 dev nic1 noprefixroute",
            f"addr add {ADDRESS6['hyperv-nic2']}/64 dev nic2")
    for guest in v.guests():
        lab.ip6(guest, f"addr add {ADDRESS6[guest]}/64 dev eth0", f"route add default via {ADDRESS6['switch']}")


def platform(lab, v, edges):
    for machine in "nat-machine", "azure-vm":
        lab.ip6(machine, f"addr add {ADDRESS6[machine]}/128 dev eth0",
                f"route add default via {GATEWAY6[edges[machine]]} dev eth0 onlink")
    system = [f"{ADDRESS6[nic]} dev {nic}" for nic in edges]
    system += [f"{VPN_GATEWAY6} via fe80::2 dev gateway", f"{ONPREM6} via fe80::2 dev gateway",
               "default via fe80::2 dev internet", f"blackhole {SPACE6}"]
    lines = [f"addr add {GATEWAY6[subnet]}/128 dev {nic}" for nic, subnet in edges.items()]
    lines += [f"addr add fe80::1/64 dev {interface}" for interface in ("gateway", "internet")]
    lines += [f"route add {route}" for route in system]
    for number, interface in enumerate([*edges, "gateway", "internet"], 100):
        lines += [f"rule add iif {interface} lookup {number}"]
        lines += [f"route add {route} table {number}" for route in system]
        if interface in v.associated:  # Routes-for-nested-VMs
            lines += [f"route add {GHOSTED6} via {ADDRESS6['hyperv-nic2']} dev hyperv-nic2 onlink table {number}"]
    lab.ip6("platform", *lines)
    on_link = (", ::, fe80::/10", ", fe80::/10, ff00::/8")  # neighbour discovery
    lab.nft("platform", edge.rules(v, edges, ADDRESS6, [GHOSTED6], "ip6", on_link, "-6"))


def sites(lab):
    lab.ip6("gateway", "addr add fe80::2/64 dev platform", "addr add fe80::1/64 dev onprem",
            f"addr add {VPN_GATEWAY6}/128 dev platform", f"route add {SPACE6} via fe80::1 dev platform",
            f"route add {ONPREM6} via fe80::2 dev onprem")
    lab.ip6("onprem-router", "addr add fe80::2/64 dev gateway", f"addr add {ONPREM_ROUTER6}/48 dev lan",
            f"route add {SPACE6} via fe80::1 dev gateway")
    lab.ip6("onprem-pc", f"addr add {ADDRESS6['onprem-pc']}/48 dev eth0", f"route add default via {ONPREM_ROUTER6}")
    lab.ip6("internet", "addr add fe80::2/64 dev platform", f"route add {SPACE6} via fe80::1 dev platform")
    for machine, router in ("web-server", WEB_ROUTER6), ("echo-server", ECHO_ROUTER6):
        lab.ip6("internet", f"addr add {router}/64 dev {machine}")
        lab.ip6(machine, f"addr add {ADDRESS6[machine]}/64 dev eth0", f"route add default via {router}")
