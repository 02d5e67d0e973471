# SPDX-License-Identifier: BSD-3-Clause
"""The host's DHCP server, clients on its switch, and what the variant `dhcp` tells with them."""
import signal
import subprocess
import time
from pathlib import Path

import traffic
from lab import mac
from plans import DIG, PLANS, glance
from topology import guest_address
from variants import ADDRESS

SCRIPT = Path(__file__).resolve().parent / "lease.sh"
RESERVED = ("guest1", "guest2")


def server(lab, directory, leases="leases"):
    """Hands out the lowest free addresses in order, without asking the network whether somebody has them."""
    hosts = [f"--dhcp-host={mac(ADDRESS[guest])},{ADDRESS[guest]}" for guest in RESERVED]
    return lab.start("hyperv", "dnsmasq", "-k", "-C", "/dev/null", "--port=0", "--no-ping", "--user=root",
                     "--pid-file=", "--interface=switch", "--bind-interfaces", "--except-interface=lo",
                     "--dhcp-authoritative",
                     "--dhcp-range=10.0.2.2,10.0.2.254,255.255.255.0,1h", "--dhcp-sequential-ip",
                     f"--dhcp-leasefile={directory / leases}", *hosts, "--dhcp-option=option:router,10.0.2.1",
                     "--dhcp-option=option:dns-server,168.63.129.16", stderr=subprocess.DEVNULL)


def wait_for(what, condition):
    for _ in range(100):
        if condition():
            return
        time.sleep(0.05)
    raise RuntimeError(f"{what}: nothing after 5 s")


def join(lab, guest, address, *options):
    """A client that must get this address."""
    client = lab.start(guest, "udhcpc", "-f", "-R", "-i", "eth0", "-s", str(SCRIPT), "-t", "5", "-T", "1", "-A", "1",
                       *options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(f"DHCP of {guest}", lambda: guest_address(lab, guest))
    if guest_address(lab, guest) != address:
        raise RuntimeError(f"DHCP of {guest}: got {guest_address(lab, guest)}, not {address}")
    return client


def renew(clients):
    for client in clients:
        client.send_signal(signal.SIGUSR1)
    time.sleep(0.3)


def stop(process, how=signal.SIGTERM):
    """A client releases its lease."""
    process.send_signal(how)
    output = process.communicate(timeout=30)[0]
    if process.returncode not in (0, -how):
        raise RuntimeError(f"{' '.join(process.args[4:])}: exit status {process.returncode}\n{output}")
    return output


def usual(lab, v, upload, began, *_):
    """Every variant but one: the guests have their reserved addresses, renew them and give them back."""
    clients = [join(lab, guest, ADDRESS[guest]) for guest in RESERVED]
    outcomes = traffic.run(lab, v, upload, PLANS[v.plan], began)
    renew(clients)
    for client in clients:
        stop(client)
    return outcomes


def told(lab, v, upload, began, directory, first):
    """N8. The squatter has 10.0.2.5 and 10.0.2.6 by itself. 10.0.2.4 goes to guest3. 10.0.2.5 goes to guest4, who does
    not look: used twice. guest5 looks, declines 10.0.2.6 and gets 10.0.2.7. guest4 releases; the server forgets its
    leases and gives 10.0.2.4 to the newcomer: handed out twice."""
    def all_at_once(**plan):
        return traffic.run(lab, v, upload, plan, began)

    lab.ip("squatter", "addr add 10.0.2.5/24 dev eth0", "addr add 10.0.2.6/24 dev eth0",
           "route add default via 10.0.2.1")
    clients = {guest: join(lab, guest, v.addresses()[guest]) for guest in (*RESERVED, "guest3", "guest4")}
    well = [DIG + " host1.lab.test", *glance("web-server", "azure-vm")]
    twice = ["endpoint send {web-server} 7 8", "endpoint send {azure-vm} 7 8"]
    shouts = [f"endpoint broadcast {address} {port}" for address in ("255.255.255.255", "10.0.2.255")
              for port in (7, 9999)]
    outcomes = all_at_once(guest1=well, guest2=well + shouts, guest3=[*well, *shouts, "endpoint inform"], guest4=twice,
                           squatter=twice, **{"azure-vm": glance("guest1", "guest3")})
    clients["guest5"] = join(lab, "guest5", v.addresses()["guest5"], "-a")
    renew(clients[guest] for guest in ("guest1", "guest3", "guest5"))
    outcomes += all_at_once(guest5=[*well, "endpoint inform"], guest3=glance("guest1", "web-server"), squatter=twice)
    stop(clients.pop("guest4"))
    stop(first)
    server(lab, directory, "forgotten")
    clients["newcomer"] = join(lab, "newcomer", v.addresses()["guest3"])
    outcomes += all_at_once(newcomer=twice, guest3=twice, guest1=well)
    for client in clients.values():
        stop(client)
    return outcomes


def story(v):
    return told if v.plan == "dhcp" else usual
