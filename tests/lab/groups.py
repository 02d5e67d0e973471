# SPDX-License-Identifier: BSD-3-Clause
"""
Security groups of a random router: what the core is told (include/fwdlab/core/filter.h), and nftables that do the same:
a chain a port and direction, the flows that were let through in dynamic sets of the port, found again from either side.

Keys are written as the packet's far and near end see them: what arrives has its source far, what leaves its
destination. An ICMP query's key holds its identifier and, in the packet's mark, its request type and who asked. An
error is let through when what it quotes passed the other way before: of that, the addresses and what else tells
packets apart (IPv4: protocol and identification; IPv6: label, length and next header) are kept in the sets `passed`.
"""
IN, OUT = 'in', 'out'
WITH_PORTS = '{ 6, 17, 33, 132, 136 }'
QUERIES = {4: {8: 0, 13: 14, 15: 16, 17: 18}, 6: {128: 129}}
NEAR_ASKED, LATER = 256, 1000  # marks
PROTOCOLS = {4: (0, 0, 6, 6, 17, 17, 1, 132, 50), 6: (0, 0, 6, 6, 17, 17, 58, 132, 50), None: (0, 6, 17, 132)}
RANGES = ((0, 1023), (80, 80), (53, 443), (1024, 65535), (443, 8080), (40000, 65535), (22, 22))


def draw_rule(router):
    r = router.r
    family = r.choice((4, 4, 6, None) if router.ipv6 else (4, 4, None))
    rule = {'allow': r.random() < 0.6, 'proto': r.choice(PROTOCOLS[family])}
    for key in ('src', 'dst') if family else ():
        if r.random() < 0.6:
            rule[key] = str(r.choice(router.prefixes[family]) if r.random() < 0.7 else router.prefix(family))
    if rule['proto'] in (0, 6, 17, 132):
        for key in ('sport', 'dport'):
            if r.random() < 0.3:
                rule[key + '_min'], rule[key + '_max'] = r.choice(RANGES)
    return rule


def draw(router):
    """Groups, and which of them each port has."""
    r = router.r

    def rules():
        found = [draw_rule(router) for _ in range(r.randint(0, 6))]
        return found + ([{'allow': True, 'proto': 0}] if r.random() < 0.55 else [])
    groups = [{IN: rules(), OUT: rules()} for _ in range(r.randint(1, 4))]
    ports = [{key: r.randrange(len(groups)) for key in ('subnet', 'nic') if r.random() < 0.5} for _ in router.ports]
    return {'groups': groups, 'ports': ports}


def match(rule):
    words = []
    if rule['proto']:
        words.append(f'meta l4proto {rule["proto"]}')
    for key in ('src', 'dst'):
        if key in rule:
            words.append(f'{"ip6" if ":" in rule[key] else "ip"} {key[0]}addr {rule[key]}')
    for key in ('sport', 'dport'):
        if key + '_min' in rule:
            ports = f'{rule[key + "_min"]}-{rule[key + "_max"]}'
            words.append(f'meta mark != {LATER} meta l4proto {WITH_PORTS} th {key} {ports}')
    return ' '.join(words)


def chain(name, lines):
    return '\n'.join([f'chain {name} {{', *lines, '}'])


def dynamic_set(name, kind):
    return f'set {name} {{ {kind}; flags dynamic,timeout; timeout 240s; size 65535; }}'


class Family:
    """Keys of one family at one port."""
    def __init__(self, family, port):
        self.family, self.port = family, port
        self.ip, self.icmp, self.address = (('ip', 'icmp', 'ipv4_addr') if family == 4 else
                                            ('ip6', 'icmpv6', 'ipv6_addr'))
        self.raw = ('@nh,96,32', '@nh,128,32') if family == 4 else ('@nh,64,128', '@nh,192,128')
        self.part = 'ip saddr . ip daddr . ip protocol . ip id' if family == 4 else 'ip6 saddr . ip6 daddr . frag id'
        self.later, self.first = ('ip frag-off & 0x1fff != 0', 'ip frag-off & 0x3fff == 0x2000') if family == 4 else (
            'frag frag-off != 0', 'frag frag-off 0 frag more-fragments 1')
        self.errors = '{ 3, 4, 5, 11, 12 }' if family == 4 else '0-127'
        self.start = ' . '.join([*self.raw, *(('@nh,72,8', '@nh,32,16') if family == 4 else ('@nh,0,56',))])
        self.quoted = f'{self.raw[1]} . ' + ('@th,192,32 . @th,136,8 . @th,96,16' if family == 4 else
                                             '@th,256,128 . @th,64,56')

    def name(self, kind, direction=''):
        return f'{kind}{self.family}_p{self.port}{direction}'

    def sets(self):
        yield dynamic_set(self.name('ports'), f'type {self.address} . {self.address} . inet_proto . inet_service . '
                                              'inet_service')
        yield dynamic_set(self.name('icmp'), f'typeof {self.raw[0]} . {self.raw[1]} . @th,32,16 . meta mark')
        yield dynamic_set(self.name('other'), f'type {self.address} . {self.address} . inet_proto')
        for direction in (IN, OUT):
            yield dynamic_set(self.name('passed', direction), f'typeof {self.start}')
            yield dynamic_set(self.name('parts', direction), f'typeof {self.part}')

    def flows(self, direction):
        """Of what makes flows: (what it is, its key, the set)."""
        far, near = ('saddr', 'daddr') if direction == IN else ('daddr', 'saddr')
        ends = f'{self.ip} {far} . {self.ip} {near}'
        raw = ' . '.join(self.raw if direction == IN else self.raw[::-1])
        ports = 'th sport . th dport' if direction == IN else 'th dport . th sport'
        types = ', '.join(f'{a}, {b}' for a, b in QUERIES[self.family].items())
        yield f'meta l4proto {WITH_PORTS}', f'{ends} . meta l4proto . {ports}', self.name('ports')
        yield f'{self.icmp} type {{ {types} }}', f'{raw} . @th,32,16 . meta mark', self.name('icmp')
        yield f'meta l4proto != {{ 1, 6, 17, 33, 58, 132, 136 }}', f'{ends} . meta l4proto', self.name('other')

    def chains(self, direction):
        other = OUT if direction == IN else IN
        rules, passed = f'rules_p{self.port}{direction}', self.name('pass', direction)
        marks = {}
        for request, reply in QUERIES[self.family].items():
            marks[request] = request + (NEAR_ASKED if direction == OUT else 0)
            marks[reply] = request + (NEAR_ASKED if direction == IN else 0)
        flows, start = list(self.flows(direction)), self.name('passed', direction)
        yield chain(passed, [f'{what} add @{start} {{ {self.start} }}' for what, _, _ in flows] +
                    [f'{self.first} add @{self.name("parts", direction)} {{ {self.part} }}', 'accept'])
        yield chain(self.name('judge', direction), [
            f'{self.later} {self.part} @{self.name("parts", direction)} accept',
            f'{self.later} meta mark set {LATER}', f'meta mark {LATER} jump {rules}', f'meta mark {LATER} accept',
            f'{self.icmp} type {self.errors} {self.quoted} @{self.name("passed", other)} goto {passed}',
            f'meta mark set {self.icmp} type map {{ ' + ', '.join(f'{k} : {v}' for k, v in marks.items()) + ' }',
            *[f'{what} {key} @{known} goto {passed}' for what, key, known in flows],
            f'jump {rules}',
            *[f'{what} add @{known} {{ {key} }}' for what, key, known in flows],
            f'goto {passed}'])


def nft(groups, families):
    """The table: neighbour discovery is the link's own matter and passes."""
    parts, heads = [], {IN: [], OUT: []}
    for i, group in enumerate(groups['groups']):
        for d in (IN, OUT):
            parts.append(chain(f'group{i}{d}', [f'{match(rule)} {"return" if rule["allow"] else "drop"}'
                                                for rule in group[d]] + ['drop']))
    for i, port in enumerate(groups['ports']):
        for d in (IN, OUT) if port else ():
            order = ('subnet', 'nic') if d == IN else ('nic', 'subnet')
            parts.append(chain(f'rules_p{i}{d}', [f'jump group{port[key]}{d}' for key in order if key in port]))
            heads[d] += [f'{d[0]}ifname "p{i}" meta nfproto ipv{family} goto judge{family}_p{i}{d}'
                         for family in families]
        for family in families if port else ():
            keys = Family(family, i)
            parts = [*keys.sets(), *parts, *keys.chains(IN), *keys.chains(OUT)]
    link = 'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept'
    parts.append(chain('arrives', ['type filter hook prerouting priority -280', link, *heads[IN]]))
    parts.append(chain('leaves', ['type filter hook postrouting priority 200', link, *heads[OUT]]))
    return '\n'.join(['table inet filter {', *parts, '}', ''])
