# SPDX-License-Identifier: BSD-3-Clause
"""NAT of a random router: source NAT to the outside port's address, port maps, hairpinning by these."""
import ipaddress

TCP, UDP = 6, 17

# Idle times in seconds. The core has one for each of these, Linux one for every state of its own.
TIMERS = {'tcp_transitory': 100, 'tcp_established': 1000, 'tcp_closing': 50, 'udp': 30, 'udp_stream': 120}
SHORT = {'tcp_transitory': 1, 'tcp_established': 4, 'tcp_closing': 2, 'udp': 1, 'udp_stream': 3}
SYSCTLS = {'tcp_transitory': ('tcp_timeout_syn_sent', 'tcp_timeout_syn_recv'),
           'tcp_established': ('tcp_timeout_established', 'tcp_timeout_max_retrans', 'tcp_timeout_unacknowledged'),
           'tcp_closing': ('tcp_timeout_fin_wait', 'tcp_timeout_close_wait', 'tcp_timeout_last_ack',
                           'tcp_timeout_time_wait'),
           'udp': ('udp_timeout',), 'udp_stream': ('udp_timeout_stream',)}
RESET = 10  # seconds after a reset, or tcp_closing if that is less


def sysctls(timers):
    """The kernel's settings for the core's timers."""
    found = [(f'net/netfilter/nf_conntrack_{name}', timers[key]) for key, names in SYSCTLS.items() for name in names]
    return [*found, ('net/netfilter/nf_conntrack_tcp_timeout_close', min(RESET, timers['tcp_closing']))]


def draw(router):
    r, ports = router.r, router.ports
    outside = r.randrange(len(ports))
    nat = {'port': outside, 'maps': [], 'hairpin': router.chance(0.5), 'hold': router.chance(0.7),
           'timers': TIMERS}
    if router.chance(0.3):
        low = r.randint(1024, 40000)
        nat.update(min=low, max=low + r.choice((10, 100, 20000)))
    for port in r.sample((22, 53, 80, 443, 8080), r.randint(0, 4)):
        inside = r.choice([i for i in range(len(ports)) if i != outside])
        own = ipaddress.ip_interface(ports[inside]['addr'])
        to = router.host(own.network, own.ip)
        if to and not router.local(to):
            nat['maps'].append({'proto': r.choice((TCP, UDP)), 'port': port, 'to': str(to),
                                'to_port': r.choice((port, 80, 7))})
    return nat


def nft(router, nat):
    """
    Source NAT and not masquerade, which ends a connection that leaves by another port (nf_nat_oif_changed). With
    hairpinning, port maps look at the destination alone, and what they send back inside gets the outside address, too.
    """
    address = ipaddress.ip_interface(router.ports[nat['port']]['addr']).ip
    outside = f'"p{nat["port"]}"'
    leaves = [f'oifname {outside}']
    if nat['hairpin']:
        leaves.append(f'ct status dnat iifname != {outside} oifname != {outside}')
    comes = '' if nat['hairpin'] else f'iifname {outside} '
    ports = f'{nat["min"]}-{nat["max"]}' if 'min' in nat else ''
    snat = [f'{way} meta l4proto {p} snat to {address}:{ports}' for way in leaves for p in ('tcp', 'udp', 'icmp')
            if ports] + [f'{way} snat to {address}' for way in leaves]
    maps = [f'{comes}ip daddr {address} {"tcp" if m["proto"] == TCP else "udp"} dport {m["port"]} '
            f'dnat to {m["to"]}:{m["to_port"]}' for m in nat['maps']]
    return '\n'.join(['table ip nat {', 'chain pre {', 'type nat hook prerouting priority dstnat', *maps, '}',
                      'chain post {', 'type nat hook postrouting priority srcnat', *snat, '}', '}'])
