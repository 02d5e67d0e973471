# SPDX-License-Identifier: BSD-3-Clause
"""
Draws a random router: what it is (for the core), and the commands that make the kernel one (key `kernel`). The same
seed gives the same router. Table numbers of the description are 1, 2, ...; the kernel's are 100 more.
"""
import ipaddress
import random

import groups
import nat

V4, V6 = 4, 6
REFUSING = ('blackhole', 'unreachable', 'prohibit')

ERROR_LIMITS = (('net/ipv4/icmp_ratelimit', 1000), ('net/ipv6/icmp/ratelimit', 1000))  # ms; kernels differ
NO_ERROR_LIMITS = (('net/ipv4/icmp_ratemask', 0), ('net/ipv6/icmp/ratemask', '\n'))
BEFORE = (
    ('net/ipv4/ip_forward', 1), ('net/ipv6/conf/all/forwarding', 1),
    ('net/ipv4/conf/all/rp_filter', 0), ('net/ipv4/conf/default/rp_filter', 0),
    ('net/ipv4/conf/all/send_redirects', 0), ('net/ipv4/conf/default/send_redirects', 0),
    ('net/ipv6/auto_flowlabels', 0),
    ('net/ipv6/conf/default/accept_dad', 0), ('net/ipv6/conf/default/dad_transmits', 0),
    ('net/ipv6/conf/default/accept_ra', 0), ('net/ipv6/conf/default/router_solicitations', 0),
    # the core checks no L4 checksums and no TCP windows
    ('net/netfilter/nf_conntrack_checksum', 0), ('net/netfilter/nf_conntrack_tcp_be_liberal', 1),
)

# What the RFCs forbid and Linux does all the same, where nobody tells it: RFC 1812, 5.3.7 and RFC 6890 (martians), RFC
# 3927, 2.7 and RFC 4007 (link-local destinations), RFC 2644 (broadcasts of other links), RFC 4291, 2.5.2 and RFC 4038,
# 4.2; multicast, which the core has no memberships of; own addresses as sources also in IPv6; no errors to broadcasts.
FORBIDDEN = '''
table inet forbidden {
    chain arrives {
        type filter hook prerouting priority -290
        ip daddr { 0.0.0.0/8, 224.0.0.0-255.255.255.254 } drop
        iifname != lo ip saddr { 0.0.0.1-0.255.255.255, 127.0.0.0/8, 224.0.0.0/4, 240.0.0.0/4 } drop
        ip saddr 169.254.0.0/16 fib daddr type != { local, broadcast } drop
        ip daddr 169.254.0.0/16 fib daddr type != { local, broadcast } drop
        ip6 daddr { ::, ::ffff:0:0/96 } drop
        ip6 saddr ::ffff:0:0/96 drop
        ip6 saddr :: fib daddr type != { local, anycast, multicast } drop
        ip6 daddr fe80::/10 fib daddr . iif type != { local, anycast } drop
        ip6 saddr != { ::, fe80::/10 } fib saddr type local drop
    }
    chain output {
        type filter hook output priority 0
        icmp type { destination-unreachable, time-exceeded, parameter-problem } fib daddr type broadcast drop
    }
}
'''

# To be told first: of hooks of one priority the latest runs first, and conntrack confirms connections at this one, too.
DELIVERED = '''
table inet stack {
    chain output {
        type filter hook output priority 0
        icmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report } drop
        icmpv6 type { nd-router-solicit, nd-redirect } drop
    }
    chain input {
        type filter hook input priority 2147483647; policy drop
        iifname lo drop
        meta pkttype 5 drop
        icmpv6 type nd-neighbor-advert accept
        log group 1 snaplen 65535
    }
}
'''


class Router:
    limited = False  # ICMP errors

    def __init__(self, seed, nat_share=0.2):
        self.r = random.Random(seed)
        self.seed, self.used, self.prefixes = seed, set(), {V4: [], V6: []}
        self.nat = self.r.random() < nat_share
        self.filter = not self.nat and self.r.random() < 0.15
        self.ecmp = not self.nat and not self.filter and self.r.random() < 0.25
        self.ipv6 = self.r.random() < 0.6
        self.n_tables = self.r.choice((0, 0, 1, 2, 3))
        self.ports = [self.port(i) for i in range(self.r.randint(2, 5))]
        self.routes, self.rules = [], []
        for family in (V4, V6) if self.ipv6 else (V4,):
            for _ in range(self.r.choice((0, 5, 10, 30))):
                self.route(family, self.prefix(family), self.r.randint(0, self.n_tables))
            if self.r.random() < 0.6:
                self.route(family, self.network(family, 0, 0), 0)
            if self.n_tables and (family == V4 or not any(p['rpf'] for p in self.ports)):  # nft's fib knows no rules
                for _ in range(self.r.randint(1, 6)):
                    self.rule(family)

    def chance(self, share):
        return self.r.random() < share

    # ---- addresses ----

    def network(self, family, bits, length):
        size = 32 if family == V4 else 128
        keep = bits >> (size - length) << (size - length)
        return (ipaddress.IPv4Network if family == V4 else ipaddress.IPv6Network)((keep, length))

    def fresh_prefix(self, family, low, high):
        if family == V4:
            first = self.r.choice((10, 20, 100, 172, 192, 198, 203))
            return self.network(V4, first << 24 | self.r.getrandbits(24), self.r.randint(low, high))
        bits = 0x20010db8 << 96 | self.r.randrange(8) << 80 | self.r.getrandbits(80)
        return self.network(V6, bits, self.r.randint(low, high))

    def prefix(self, family):
        """A prefix of a route: anywhere, or around one that is there already."""
        known = self.prefixes[family]
        low, high = (4, 32) if family == V4 else (16, 128)
        if not known or self.chance(0.3):
            found = self.fresh_prefix(family, low, high)
        else:
            near = self.r.choice(known)
            length = min(max(near.prefixlen + self.r.choice((-8, -4, -1, 0, 0, 1, 2, 4, 8, 16)), low), high)
            size = 32 if family == V4 else 128
            host = self.r.getrandbits(size - near.prefixlen) if near.prefixlen < size else 0
            found = self.network(family, int(near.network_address) | host, length)
        self.prefixes[family].append(found)
        return found

    def host(self, net, but=None):
        """A host of a network."""
        size = net.max_prefixlen - net.prefixlen
        for _ in range(50):
            address = net[self.r.randrange(1 << min(size, 16))]
            if address == but or (size > 1 and address in (net[0], net[-1])):
                continue
            return address
        return None

    # ---- parts ----

    def port(self, i):
        for _ in range(100):
            net = self.fresh_prefix(V4, 9, 31)
            if net not in self.prefixes[V4]:
                break
        self.prefixes[V4].append(net)
        port = {'mac': '02:aa:00:00:00:%02x' % (i + 1), 'addr': f'{self.host(net)}/{net.prefixlen}', 'rpf': 0}
        if self.chance(0.3):
            port['rpf'] = self.r.choice((1, 2))
        port['mtu'] = 1500 if self.chance(0.4) else self.r.randint(1280, 1500)
        if self.ipv6 and self.chance(0.85):
            net6 = self.fresh_prefix(V6, 40, 127)
            while (0, net6, 256) in self.used:  # two links of one prefix are no router's
                net6 = self.fresh_prefix(V6, 40, 127)
            self.prefixes[V6].append(net6)
            self.used.add((0, net6, 256))  # the connected route
            port['addr6'] = f'{self.host(net6)}/{net6.prefixlen}'
        elif not self.ipv6 and self.chance(0.4):  # under 1280 a link is closed to IPv6
            port['mtu'] = self.r.choice((68, 100, 296, 576))
        return port

    def ports_of(self, family):
        return [i for i, p in enumerate(self.ports) if family == V4 or 'addr6' in p]

    def hop(self, family):
        """A next hop: (via or None, port)."""
        ports = self.ports_of(family)
        if not ports:
            return None
        i = self.r.choice(ports)
        own = ipaddress.ip_interface(self.ports[i]['addr' if family == V4 else 'addr6'])
        if self.chance(0.15):
            return None, i
        if family == V6 and self.chance(0.3):
            return f'fe80::{self.r.randint(1, 4)}', i
        via = self.host(own.network, own.ip)
        if not via or self.local(via) or (family == V6 and via == own.network[0]) or self.elsewhere(via, i):
            return None, i
        return str(via), i

    def elsewhere(self, via, port):
        """Does a route lead to it by another port? Then ip6_route_check_nh_onlink() refuses it as a next hop."""
        connected = [(p['addr6'], i) for i, p in enumerate(self.ports) if 'addr6' in p]
        return any(via in ipaddress.ip_interface(prefix).network and i != port for prefix, i in
                   connected + [(r['prefix'], r['port']) for r in self.routes
                                 if 'port' in r and r['prefix'][-2:] != '/0'])

    def local(self, address):
        return any(address == ipaddress.ip_interface(p[key]).ip for p in self.ports for key in ('addr', 'addr6')
                   if key in p)

    def route(self, family, prefix, table):
        metric = self.r.choice((1, 5, 256, 1024, 5000))
        if (table, prefix, metric) in self.used:
            return
        route = {'prefix': str(prefix), 'metric': metric, 'table': table, 'kind': 'unicast'}
        if self.chance(0.25):
            routes = [dict(route, kind=self.r.choice(REFUSING))]
        else:
            n = self.r.randint(2, 4) if self.ecmp and self.chance(0.4) else 1
            hops = {self.hop(family) for _ in range(n)} - {None}
            if len(hops) > 1 and family == V6:  # those on link make no sets
                hops = {h for h in hops if h[0]}
            routes = [dict(route, port=port, **({'via': via} if via else {})) for via, port in
                      sorted(hops, key=lambda h: (h[1], h[0] or ''))]
        if not routes:
            return
        self.used.add((table, prefix, metric))
        self.routes += routes

    def rule(self, family):
        rule = {'family': family, 'priority': self.r.randint(1, 40000), 'kind': 'unicast',
                'table': self.r.randint(1, self.n_tables)}
        if self.chance(0.2):
            rule.update(kind=self.r.choice(REFUSING), table=0)
        for key in ('from', 'to'):
            if self.chance(0.5):
                rule[key] = str(self.prefix(family))
        if self.chance(0.4) or not ('from' in rule or 'to' in rule):
            rule['port'] = self.r.randrange(len(self.ports))
        taken = [32766, 32767, *(other['priority'] for other in self.rules)]
        if rule['priority'] not in taken:
            self.rules.append(rule)

    def draw_nat(self):
        return nat.draw(self)

    # ---- the kernel's commands ----

    def target(self, routes):
        """What `ip route` is told of where routes of one prefix lead."""
        def hop(r):
            return f'via {r["via"]} dev p{r["port"]} onlink' if 'via' in r else f'dev p{r["port"]}'
        if len(routes) == 1:
            return hop(routes[0])
        return ' '.join(f'nexthop {hop(r)}' for r in routes)

    def ip_links(self):
        lines = ['link set lo up']
        for i, p in enumerate(self.ports):
            lines += [f'link set p{i} address {p["mac"]} mtu {p["mtu"]} up', f'addr add {p["addr"]} dev p{i}']
        return lines

    def ip_routes(self, family):
        lines, sets = [], {}
        for r in self.routes:
            if ipaddress.ip_network(r['prefix']).version == family:
                sets.setdefault((r['prefix'], r['metric'], r['table'], r['kind']), []).append(r)
        for (prefix, metric, table, kind), routes in sets.items():
            where = f'{prefix} metric {metric} table {100 + table if table else "main"}'
            if kind == 'unicast':
                lines.append(f'route add {where} {self.target(routes)}')
            else:
                lines.append(f'route add {kind} {where}')
        for r in self.rules:
            if r['family'] == family:
                words = [f'{key} {r[key]}' for key in ('from', 'to') if key in r]
                words += [f'iif p{r["port"]}'] if 'port' in r else []
                action = f'lookup {100 + r["table"]}' if r['kind'] == 'unicast' else r['kind']
                lines.append(f'rule add {" ".join(words)} priority {r["priority"]} {action}')
        return lines

    def nft_broadcasts(self):
        """A broadcast is taken from its own link only (RFC 2644)."""
        lines = [f'iifname "p{i}" ip daddr != {{ 255.255.255.255, {ipaddress.ip_interface(p["addr"]).network} }} '
                 'fib daddr type broadcast drop' for i, p in enumerate(self.ports)]
        head = ['table ip broadcasts {', 'chain arrives {', 'type filter hook prerouting priority -290']
        return '\n'.join([*head, *lines, '}', '}', ''])

    def nft_rpf6(self):
        """Linux has rp_filter for IPv4 alone; this is how it is done for IPv6."""
        lines = []
        for i, p in enumerate(self.ports):
            if p['rpf']:
                key = 'saddr . iif' if p['rpf'] == 1 else 'saddr'
                lines.append(f'iifname "p{i}" meta nfproto ipv6 icmpv6 type nd-neighbor-advert accept')
                lines.append(f'iifname "p{i}" meta nfproto ipv6 fib {key} oif 0 drop')
        if not lines:
            return ''
        head = ['table inet rpf {', 'chain pre {', 'type filter hook prerouting priority -250']
        return '\n'.join([*head, *lines, '}', '}'])

    def description(self):
        d = {'seed': self.seed, 'ipv6': self.ipv6, 'ecmp': self.ecmp, 'trie': self.chance(0.7), 'ports': self.ports,
             'routes': self.routes, 'rules': self.rules}
        nft, timers, limits = '', [], ERROR_LIMITS if self.limited else NO_ERROR_LIMITS
        if self.nat:
            d['nat'] = self.draw_nat()
            nft += nat.nft(self, d['nat']) + '\n'
            timers = nat.sysctls(d['nat']['timers'])
        if self.filter:
            d['filter'] = groups.draw(self)
            nft += groups.nft(d['filter'], (V4, V6) if self.ipv6 else (V4,))
        if self.ipv6:
            nft += self.nft_rpf6() + '\n'
        ip6 = [f'addr add {p["addr6"]} dev p{i} nodad' for i, p in enumerate(self.ports) if 'addr6' in p]
        off = [] if self.ipv6 else [('net/ipv6/conf/default/disable_ipv6', 1)]
        d['kernel'] = {
            'before': [[k, str(v)] for k, v in [*BEFORE, *timers, *off, *limits]],
            'ip': '\n'.join(self.ip_links() + self.ip_routes(V4)) + '\n',
            'after': [[f'net/ipv4/conf/p{i}/rp_filter', str(p['rpf'])] for i, p in enumerate(self.ports)],
            'ip6': '\n'.join(ip6 + self.ip_routes(V6)) + '\n' if self.ipv6 else '',
            'nft': DELIVERED + nft + self.nft_broadcasts() + FORBIDDEN,
        }
        return d


class Limited(Router):
    """
    Always the same one, whose errors are limited; `bursts` are what is sent to its first port (source,
    destination, TTL).
    Kernels differ in whether the limit of IPv6 depends on the prefix of the route back: here that is one address.
    """
    limited = True

    def __init__(self):
        self.r, self.seed, self.ipv6 = random.Random(1), 1, True
        self.nat = self.filter = self.ecmp = False
        self.ports = [{'mac': f'02:aa:00:00:00:0{i + 1}', 'addr': f'10.{i}.0.1/24', 'addr6': f'2001:db8:{i}::1/64',
                       'rpf': 0, 'mtu': 1500} for i in range(2)]
        self.rules, self.routes = [], [
            {'prefix': prefix, 'metric': 1024, 'table': 0, 'kind': kind, 'via': via, 'port': port}
            for prefix, kind, via, port in (
             ('172.16.0.0/12', 'unicast', '10.1.0.2', 1), ('2001:db8:f::/48', 'unicast', '2001:db8:1::2', 1),
             ('2001:db8:77::9/128', 'unicast', '2001:db8::2', 0), ('2001:db8:77::/64', 'unicast', '2001:db8::2', 0))]

    def description(self):
        far, far6 = '172.16.0.9', '2001:db8:f::9'
        return {**super().description(), 'icmp_interval_ms': 1000, 'bursts': [
            ['10.0.0.2', far, 1], ['10.0.0.3', '192.0.2.1', 64], ['10.0.0.4', far, 1],
            ['2001:db8:77::9', far6, 1], ['2001:db8:77::a', '3000::9', 64]]}


class Expiring(Router):
    """Always the same one, with NAT and short timers; key `expiry`: seconds after which all connections have ended."""

    def __init__(self):
        self.r, self.seed, self.ipv6 = random.Random(1), 1, False
        self.nat, self.filter, self.ecmp = True, False, False
        self.ports = [{'mac': f'02:aa:00:00:00:0{i + 1}', 'addr': f'10.{i}.0.1/24', 'rpf': 0, 'mtu': 1500}
                      for i in range(2)]
        self.rules, self.routes = [], []

    def draw_nat(self):
        return {'port': 1, 'maps': [], 'hairpin': False, 'hold': False, 'timers': nat.SHORT}

    def description(self):
        return {**super().description(), 'expiry': 7}


def draw(seed, nat_share):
    return Router(seed, nat_share).description()
