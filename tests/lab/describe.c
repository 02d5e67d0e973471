/* SPDX-License-Identifier: BSD-3-Clause */
/* From the description to the core's node: what Linux makes of addresses by itself (connected, local and broadcast
 * routes, anycast) is said here, the rest stands in the description. */
#include "lab.h"

#include <fwdlab/base/vec.h>
#include <fwdlab/core/icmp.h>
#include <stdlib.h>
#include <string.h>

#define ROUTES_MAX 1000
#define METRIC_CONNECTED6 256

static void refuse(const char *what, const char *name) {
    fprintf(stderr, "referee: the description is wrong: %s %s\n", what, name ? name : "");
    exit(2);
}

static const char *text(const json_t *o, const char *key) {
    return json_string_value(json_object_get(o, key));
}

static unsigned number(const json_t *o, const char *key, unsigned otherwise) {
    const json_t *v = json_object_get(o, key);
    return json_is_integer(v) ? (unsigned)json_integer_value(v) : otherwise;
}

static struct ip_prefix prefix_of_text(const char *s) {
    struct ip_prefix p = {0};
    if (s && prefix_parse(s, &p))
        refuse("no prefix:", s);
    return p;
}

static struct ip ip_of_text(const char *s) {
    struct ip ip = {0};
    if (s && ip_parse(s, &ip))
        refuse("no address:", s);
    return ip;
}

static uint8_t kind_of(const char *name) {
    for (unsigned kind = ROUTE_UNICAST; name && kind <= ROUTE_PROHIBIT; kind++)
        if (!strcmp(name, route_kind_name(kind)))
            return (uint8_t)kind;
    refuse("no kind of route:", name);
    return 0;
}

static void remember(struct lab *lab, const struct ip_prefix *prefix, uint16_t port) {
    lab->prefixes = xrealloc(lab->prefixes, lab->n_prefixes + 1, sizeof *lab->prefixes);
    lab->prefix_port = xrealloc(lab->prefix_port, lab->n_prefixes + 1, sizeof *lab->prefix_port);
    lab->prefixes[lab->n_prefixes] = *prefix;
    lab->prefix_port[lab->n_prefixes++] = port;
}

static void add(struct route_table *t, struct ip_prefix prefix, uint16_t port, uint8_t kind, uint32_t metric) {
    struct route r = {.prefix = prefix, .port = port, .kind = kind, .metric = metric};
    int code = route_add(t, &r);
    if (code && code != -17) /* two ports may have the same link-local or anycast prefix */
        refuse("a port's route is refused:", strerror(-code));
}

/* The interface identifier that Linux makes of a MAC address (RFC 4291, appendix A). */
static void link_local_of(const struct mac *mac, uint8_t addr[16]) {
    const uint8_t *m = mac->byte;
    memcpy(addr, (uint8_t[16]){0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]}, 16);
}

static struct ip ip_v6(const uint8_t addr[16]) {
    struct ip ip = {.family = FAMILY_IPV6};
    memcpy(ip.v6, addr, 16);
    return ip;
}

static void load_port4(struct lab *lab, uint16_t i, const char *address) {
    struct ip addr;
    struct port *port = &lab->node.ports[i];
    if (ip_parse_with_len(address, &addr, &port->len))
        refuse("no address:", address);
    port->addr = addr.v4;
    struct ip_prefix net = prefix_of(&addr, port->len);
    struct ip last = ip_v4(addr.v4 | ~ipv4_mask(port->len));
    add(lab->node.routes, prefix_of(&addr, 32), PORT_NONE, ROUTE_LOCAL, 0);
    add(lab->node.routes, net, i, ROUTE_UNICAST, 0);
    if (port->len < 31)
        add(lab->node.routes, prefix_of(&last, 32), PORT_NONE, ROUTE_BROADCAST, 0);
    remember(lab, &net, i);
}

/* RFC 4291, 2.6.1: a router takes what is addressed to a subnet's first address. */
static void load_port6(struct lab *lab, uint16_t i, const char *address) {
    struct ip addr;
    struct port *port = &lab->node.ports[i];
    if (ip_parse_with_len(address, &addr, &port->len6))
        refuse("no address:", address);
    memcpy(port->addr6, addr.v6, 16);
    link_local_of(&port->mac, lab->link_local[i]);
    struct ip local = ip_v6(lab->link_local[i]);
    struct ip_prefix net = prefix_of(&addr, port->len6);
    add(lab->node.routes6, prefix_of(&addr, 128), PORT_NONE, ROUTE_LOCAL, 0);
    add(lab->node.routes6, prefix_of(&local, 128), PORT_NONE, ROUTE_LOCAL, 0);
    if (port->len6 < 127)
        add(lab->node.routes6, prefix_of(&net.addr, 128), PORT_NONE, ROUTE_LOCAL, 0);
    add(lab->node.routes6, net, i, ROUTE_UNICAST, METRIC_CONNECTED6);
    remember(lab, &net, i);
}

static void load_ports(struct lab *lab) {
    const json_t *ports = json_object_get(lab->description, "ports"), *p;
    size_t i;
    lab->node.n_ports = (uint16_t)json_array_size(ports);
    lab->node.ports = xzalloc(lab->node.n_ports, sizeof *lab->node.ports);
    json_array_foreach(ports, i, p) {
        struct port *port = &lab->node.ports[i];
        if (mac_parse(text(p, "mac"), &port->mac))
            refuse("no MAC address:", text(p, "mac"));
        port->has_mac = true;
        port->rpf = (uint8_t)number(p, "rpf", 0);
        port->mtu = (uint16_t)number(p, "mtu", 1500);
        load_port4(lab, (uint16_t)i, text(p, "addr"));
        if (text(p, "addr6"))
            load_port6(lab, (uint16_t)i, text(p, "addr6"));
    }
}

/* Table `table` of a family; made with its rules when the first one asks for it. */
static struct route_table *table_get(struct lab *lab, uint8_t family, unsigned table) {
    bool six = family == FAMILY_IPV6;
    struct route_table *main = six ? lab->node.routes6 : lab->node.routes;
    struct route_rules **rules = six ? &lab->node.rules6 : &lab->node.rules;
    if (table == 0)
        return main;
    if (!*rules)
        *rules = route_rules_create(main);
    while (route_rules_tables(*rules) <= table)
        if (route_rules_table_add(*rules, route_table_create(route_table_backend(main), ROUTES_MAX)) < 0)
            refuse("too many tables", NULL);
    return route_rules_table(*rules, table);
}

static void load_routes(struct lab *lab) {
    const json_t *r;
    size_t i;
    json_array_foreach(json_object_get(lab->description, "routes"), i, r) {
        struct route route = {.prefix = prefix_of_text(text(r, "prefix")),
                              .via = ip_of_text(text(r, "via")),
                              .port = (uint16_t)number(r, "port", PORT_NONE),
                              .kind = kind_of(text(r, "kind")),
                              .metric = number(r, "metric", 0)};
        int code = route_add(table_get(lab, route.prefix.addr.family, number(r, "table", 0)), &route);
        if (code)
            refuse("a route is refused:", text(r, "prefix"));
        remember(lab, &route.prefix, route.port);
    }
}

static void load_rules(struct lab *lab) {
    const json_t *r;
    size_t i;
    json_array_foreach(json_object_get(lab->description, "rules"), i, r) {
        bool six = number(r, "family", 4) == FAMILY_IPV6;
        struct route_rule rule = {.priority = number(r, "priority", 0),
                                  .from = prefix_of_text(text(r, "from")),
                                  .to = prefix_of_text(text(r, "to")),
                                  .in_port = (uint16_t)number(r, "port", PORT_NONE),
                                  .kind = kind_of(text(r, "kind")),
                                  .table = (uint8_t)number(r, "table", 0)};
        table_get(lab, six ? FAMILY_IPV6 : FAMILY_IPV4, rule.table ? rule.table : 1);
        if (route_rules_add(six ? lab->node.rules6 : lab->node.rules, &rule))
            refuse("a rule is refused", NULL);
        if (rule.from.addr.family)
            remember(lab, &rule.from, rule.in_port);
        if (rule.to.addr.family)
            remember(lab, &rule.to, PORT_NONE);
    }
}

static uint64_t timer(const json_t *timers, const char *name) {
    return number(timers, name, 0) * NS_PER_S;
}

static void load_nat(struct lab *lab) {
    const json_t *nat = json_object_get(lab->description, "nat"), *m;
    size_t i;
    if (!nat)
        return;
    struct nat_config c = {.personality = NAT_CONNTRACK,
                           .outside_port = (uint16_t)number(nat, "port", 0),
                           .n_addresses = 1,
                           .port_min = (uint16_t)number(nat, "min", 0),
                           .port_max = (uint16_t)number(nat, "max", 0),
                           .hairpin = json_is_true(json_object_get(nat, "hairpin")),
                           .hold_fragments = json_is_true(json_object_get(nat, "hold"))};
    const json_t *maps = json_object_get(nat, "maps"), *times = json_object_get(nat, "timers");
    c.timers = (struct nat_timers){.tcp_established = timer(times, "tcp_established"),
                                   .tcp_transitory = timer(times, "tcp_transitory"),
                                   .tcp_closing = timer(times, "tcp_closing"),
                                   .udp = timer(times, "udp"),
                                   .udp_stream = timer(times, "udp_stream")};
    struct nat_port_map *map = xzalloc(json_array_size(maps) + 1, sizeof *map);
    c.addresses = &lab->node.ports[c.outside_port].addr;
    json_array_foreach(maps, i, m) {
        map[i] = (struct nat_port_map){.proto = (uint8_t)number(m, "proto", PROTO_TCP),
                                       .outside_port = htons((uint16_t)number(m, "port", 0)),
                                       .inside_addr = ip_of_text(text(m, "to")).v4,
                                       .inside_port = htons((uint16_t)number(m, "to_port", 0))};
    }
    c.n_port_maps = (uint32_t)json_array_size(maps);
    c.port_maps = map;
    lab->node.nat = nat_create(&c);
    free(map);
    if (!lab->node.nat)
        refuse("the NAT is refused", NULL);
}

static struct filter_rule *load_filter_rules(const json_t *list, uint32_t *n) {
    const json_t *r;
    size_t i;
    struct filter_rule *rules = xzalloc(json_array_size(list) + 1, sizeof *rules);
    json_array_foreach(list, i, r) {
        rules[i] = (struct filter_rule){.allow = json_is_true(json_object_get(r, "allow")),
                                        .proto = (uint8_t)number(r, "proto", 0),
                                        .src = prefix_of_text(text(r, "src")),
                                        .dst = prefix_of_text(text(r, "dst")),
                                        .sport_min = (uint16_t)number(r, "sport_min", 0),
                                        .sport_max = (uint16_t)number(r, "sport_max", UINT16_MAX),
                                        .dport_min = (uint16_t)number(r, "dport_min", 0),
                                        .dport_max = (uint16_t)number(r, "dport_max", UINT16_MAX)};
    }
    *n = (uint32_t)json_array_size(list);
    return rules;
}

static void load_filter(struct lab *lab) {
    const json_t *filter = json_object_get(lab->description, "filter"), *g;
    size_t i;
    if (!filter)
        return;
    struct filter_group groups[2 * LAB_PORTS_MAX] = {0};
    struct filter_port ports[LAB_PORTS_MAX];
    struct filter_config c = {.n_ports = lab->node.n_ports, .ports = ports, .groups = groups};
    json_array_foreach(json_object_get(filter, "groups"), i, g) {
        groups[i].rules[FILTER_IN] = load_filter_rules(json_object_get(g, "in"), &groups[i].n_rules[FILTER_IN]);
        groups[i].rules[FILTER_OUT] = load_filter_rules(json_object_get(g, "out"), &groups[i].n_rules[FILTER_OUT]);
        c.n_groups++;
    }
    json_array_foreach(json_object_get(filter, "ports"), i, g) ports[i] =
        (struct filter_port){(uint16_t)number(g, "subnet", FILTER_NONE), (uint16_t)number(g, "nic", FILTER_NONE)};
    lab->node.filter = filter_create(&c);
    for (i = 0; i < c.n_groups; i++) {
        free((void *)groups[i].rules[FILTER_IN]);
        free((void *)groups[i].rules[FILTER_OUT]);
    }
    if (!lab->node.filter)
        refuse("the filter is refused", NULL);
}

void lab_load(struct lab *lab, const char *path) {
    json_error_t error;
    memset(lab, 0, sizeof *lab);
    lab->description = json_load_file(path, 0, &error);
    if (!lab->description)
        refuse(path, error.text);
    bool trie = json_is_true(json_object_get(lab->description, "trie"));
    lab->ipv6 = json_is_true(json_object_get(lab->description, "ipv6"));
    lab->ecmp = json_is_true(json_object_get(lab->description, "ecmp"));
    lab->node.router = true;
    lab->node.hash_fixed = lab->ecmp;
    lab->node.routes = route_table_create(trie ? &route_trie : &route_linear, ROUTES_MAX);
    lab->node.routes6 = lab->ipv6 ? route_table_create(trie ? &route_trie6 : &route_linear6, ROUTES_MAX) : NULL;
    load_ports(lab);
    load_routes(lab);
    load_rules(lab);
    load_nat(lab);
    load_filter(lab);
    if (json_object_get(lab->description, "icmp_interval_ms")) {
        struct icmp_limits limits = {number(lab->description, "icmp_interval_ms", 0) * 1000000ull};
        lab->node.icmp = icmp_limiter_create(&limits);
    }
    node_prepare(&lab->node);
}

void lab_fini(struct lab *lab) {
    node_fini(&lab->node);
    vec_release(lab->prefixes);
    vec_release(lab->prefix_port);
    json_decref(lab->description);
}

/* 02:00 and the IPv4 address, or 06 and a digest of the IPv6 address. */
struct mac lab_neighbour(const struct ip *addr) {
    struct mac m = {{2, 0}};
    if (addr->family == FAMILY_IPV4) {
        memcpy(m.byte + 2, &addr->v4, 4);
        return m;
    }
    uint64_t h = 0xcbf29ce484222325ull;
    for (unsigned i = 0; i < 16; i++)
        h = (h ^ addr->v6[i]) * 0x100000001b3ull;
    m.byte[0] = 6;
    memcpy(m.byte + 1, &h, 5);
    return m;
}
