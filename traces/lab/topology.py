# SPDX-License-Identifier: BSD-3-Clause
"""The nested-VM host of traces/nested-host/*.yaml and all around it, in network namespaces of the Linux kernel. IPv6
comes on top, when a variant has it (dual_stack.py)."""
import json

import dual_stack
import edge
from lab import mac
from variants import (ADDRESS, ECHO_ROUTER, GATEWAY, GATEWAY_SUBNET, GHOSTED, GHOSTED_2, ONPREM, ONPREM_ROUTER, OUTSIDE,
                      ROUTES_OF_HYPERV2, VPN_GATEWAY, WEB_ROUTER)

HOST_SYSCTLS = {  # beyond those of every namespace; nf_* exist once conntrack is in use
    "net.ipv4.ip_forward": 1,
    "net.netfilter.nf_conntrack_acct": 1,
    "net.netfilter.nf_conntrack_timestamp": 1,
}
MACHINES = ("hyperv", "nat-machine", "azure-vm", "onprem-pc", "web-server", "echo-server", "platform-dns")


def build(lab, v):
    for name in "platform", "gateway", "onprem-router", "internet":
        lab.add(name, forward=True)
    for name in *MACHINES, *v.guests(), *v.strangers:
        lab.add(name)
    host(lab, v, "hyperv", v.port_maps)
    guests(lab, v)
    if "hyperv2-nic1" in v.more:
        second_host(lab, v)
    platform(lab, v)
    sites(lab, v)
    if v.nic2:  # the host's routes need its gateways' links
        lab.ip("hyperv", "addr add 10.0.1.4/24 dev nic2", *(f"route add {route}" for route in v.routes))
    if "hyperv2-nic1" in v.more:
        lab.ip("hyperv2", "addr add 10.0.1.5/24 dev nic2", *(f"route add {route}" for route in ROUTES_OF_HYPERV2))
    if "switch-2" in v.more:
        outside_switch(lab, v)
    if v.routes6:
        dual_stack.add(lab, v, edges(v))


def switch(lab, name, bridge, address):
    lab.ip(name, f"link add name {bridge} type bridge forward_delay 0 mcast_snooping 0",
           f"link set {bridge} address {mac(address)}", f"addr add {address}/24 dev {bridge}", f"link set {bridge} up")
    lab.plain(name, bridge)


def plug(lab, name, bridge, number, guest, guest_mac):
    lab.link(name, f"port{number}", f"02:00:00:00:00:{number:02d}", guest, "eth0", guest_mac)
    lab.ip(name, f"link set port{number} master {bridge}")


def host(lab, v, name, port_maps):
    """A nested-VM host: its internal switch, its NICs and its NAT."""
    addresses = v.addresses()
    nic1, nic2 = (addresses[f"{name}-{nic}"] for nic in ("nic1", "nic2"))
    switch(lab, name, "switch", addresses["switch" if name == "hyperv" else f"{name}-switch"])
    lab.link(name, "nic1", mac(nic1), "platform", f"{name}-nic1", mac(GATEWAY["nat"]))
    if v.nic2:
        lab.link(name, "nic2", mac(nic2), "platform", f"{name}-nic2", mac(GATEWAY["hyper-v-lan"]))
        for end, interface in (name, "nic2"), ("platform", f"{name}-nic2"):
            lab.ip(end, f"link set {interface} mtu {v.mtu}")
    if v.connected:
        lab.ip(name, f"addr add {nic1}/24 dev nic1")
    else:
        lab.ip(name, f"addr add {nic1}/24 dev nic1 noprefixroute", "route add 10.0.0.1/32 dev nic1 scope link")
    lab.ip(name, "route add default via 10.0.0.1 dev nic1")
    maps = "\n".join(f"iifname nic1 ip daddr {nic1} {port_map}" for port_map in port_maps)
    lab.nft(name, f"""table ip nat {{
        chain prerouting {{ type nat hook prerouting priority dstnat; policy accept;
            {maps}
        }}
        chain postrouting {{ type nat hook postrouting priority srcnat; policy accept; oifname nic1 masquerade; }}
    }}""")
    lab.sysctl(name, host_sysctls(v))


def guests(lab, v):
    """On the host's switch; they get their addresses by DHCP."""
    macs = {**{guest: mac(v.addresses()[guest]) for guest in v.guests()}, **v.strangers}
    for number, (guest, guest_mac) in enumerate(macs.items(), 1):
        plug(lab, "hyperv", "switch", number, guest, guest_mac)


def fixed_guest(lab, name, bridge, guest, address, router):
    lab.add(guest)
    plug(lab, name, bridge, 99, guest, mac(address))
    lab.ip(guest, f"addr add {address}/24 dev eth0", f"route add default via {router}")


def second_host(lab, v):
    lab.add("hyperv2")
    host(lab, v, "hyperv2", (f"tcp dport 8080 dnat to {v.more['guest3']}:80",))
    fixed_guest(lab, "hyperv2", "switch", "guest3", v.more["guest3"], v.more["hyperv2-switch"])


def outside_switch(lab, v):
    """Guests outside the network's space. The VPN gateway knows them from the route table of its subnet."""
    switch(lab, "hyperv", "switch-2", v.more["switch-2"])
    fixed_guest(lab, "hyperv", "switch-2", "guest5", v.more["guest5"], v.more["switch-2"])
    lab.ip("gateway", f"route add {OUTSIDE} via {GATEWAY['nat']} dev platform onlink")


def host_sysctls(v):
    six = {"net.ipv6.conf.all.forwarding": 1} if v.routes6 else {}
    return {**HOST_SYSCTLS, **six, **{f"net.ipv4.conf.{nic}.rp_filter": 0 for nic in v.nics()}}


def edges(v):
    """The platform's interface to each NIC, and its subnet."""
    found = {"hyperv-nic1": "nat", "nat-machine": "nat", "hyperv-nic2": "hyper-v-lan", "azure-vm": "azure-vms",
             "hyperv2-nic1": "nat", "hyperv2-nic2": "hyper-v-lan"}
    return {nic: subnet for nic, subnet in found.items()
            if nic in v.addresses() and (v.nic2 or nic != "hyperv-nic2")}


def platform(lab, v):
    """All subnets' gateways. A route table a subnet, chosen by the interface that a packet comes in on; proxy ARP, so
    that everything passes here; and at each NIC's edge what the platform does not let through, counted."""
    nics, addresses = edges(v), v.addresses()
    floating = [prefix for prefix in (GHOSTED, GHOSTED_2) if prefix == GHOSTED or prefix in v.space]
    for machine in "nat-machine", "azure-vm":
        gateway = GATEWAY[nics[machine]]
        lab.link("platform", machine, mac(gateway), machine, "eth0", mac(ADDRESS[machine]))
        lab.ip(machine, f"addr add {ADDRESS[machine]}/24 dev eth0", f"route add default via {gateway}")
    lab.link("platform", "gateway", "02:0a:00:ff:00:02", "gateway", "platform", mac(VPN_GATEWAY))
    lab.link("platform", "internet", "02:0a:00:ff:00:03", "internet", "platform", mac(WEB_ROUTER))
    interfaces = [*nics, "gateway", "internet"]
    lab.sysctl("platform", {f"net.ipv4.conf.{i}.proxy_arp": 1 for i in interfaces})
    lab.sysctl("platform", {f"net.ipv4.neigh.{i}.proxy_delay": 0 for i in interfaces})

    system = [f"{addresses[nic]} dev {nic}" for nic in nics]
    system += [f"{VPN_GATEWAY} dev gateway", f"{ONPREM} via {VPN_GATEWAY} dev gateway onlink",
               f"default via {WEB_ROUTER} dev internet onlink", *(f"blackhole {prefix}" for prefix in v.space)]
    lines = [f"addr add {GATEWAY[subnet]}/32 dev {nic}" for nic, subnet in nics.items()]
    lines += [f"route add {route}" for route in system]
    for number, interface in enumerate(interfaces, 100):
        lines += [f"rule add iif {interface} lookup {number}"]
        lines += [f"route add {route} table {number}" for route in system]
        if interface in v.associated:  # Routes-for-nested-VMs
            lines += [f"route replace {prefix} via {addresses[nic]} dev {nic} onlink table {number}"
                      for prefix, nic in v.table]
    lab.ip("platform", *lines)
    lab.nft("platform", edge.rules(v, nics, addresses, floating))


def sites(lab, v):
    """On-premises behind the VPN gateway, and the Internet; links between routers are unnumbered."""
    lab.link("gateway", "onprem", "02:0a:00:ff:00:04", "onprem-router", "gateway", "02:ac:10:00:00:02")
    lab.ip("gateway", f"addr add {VPN_GATEWAY}/32 dev platform",
           *(f"route add {prefix} via {GATEWAY['nat']} dev platform onlink" for prefix in v.space),
           f"route add {ONPREM} via {ONPREM_ROUTER} dev onprem onlink")
    lab.link("onprem-router", "lan", mac(ONPREM_ROUTER), "onprem-pc", "eth0", mac(ADDRESS["onprem-pc"]))
    lab.ip("onprem-router", f"addr add {ONPREM_ROUTER}/22 dev lan",  # what the gateway announces, and static routes
           *(f"route add {prefix} via {VPN_GATEWAY} dev gateway onlink"
             for prefix in (*v.space, GATEWAY_SUBNET, *v.announced)))
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
    lab.ip("internet", *(f"route add {prefix} via {GATEWAY['nat']} dev platform onlink" for prefix in v.space))


def guest_address(lab, guest):
    """The address that DHCP gave the guest, or None."""
    links = json.loads(lab.run(guest, "ip", "-j", "-4", "addr", "show", "dev", "eth0"))
    return next((a["local"] for link in links for a in link.get("addr_info", ())), None)
