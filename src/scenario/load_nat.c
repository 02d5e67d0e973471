/* SPDX-License-Identifier: BSD-3-Clause */
/* From the merged tree to structs: NAT of machines, which is IPv4. */
#include "complaint.h"
#include "read.h"
#include "validate.h"
#include <string.h>

#define NAT_ADDRESSES_MAX 1024 /* as the core has it */
#define UNTRANSLATED_MAX 64    /* looked through for each new session */
#define RATE_MAX 1000000u
#define SESSIONS_MAX (1u << 24)
#define SECONDS_MAX (366u * 86400)

const char *const nat_behaviour_names[] = {"endpoint-independent", "address-dependent", "address-and-port-dependent",
                                           NULL};

static bool has_address(const struct scenario_nat *nat, const struct ip *addr) {
    for (size_t i = 0; i < nat->addresses.n; i++)
        if (ip_equal(&nat->addresses.v[i], addr))
            return true;
    return false;
}

/* May the NAT have this outside address? */
static bool check_address(const struct reader *r, struct place at, const struct scenario_nat *nat,
                          const struct ip *addr) {
    const unsigned top = ntohl(addr->v4) >> 24;
    char text[IP_TEXT];
    ip_format(addr, text);
    if (top == 0 || top == 127 || top >= 224) {
        complain(r->c, at, SEVERITY_ERROR, "\"addresses\" has %s, which no host can have", text);
        complain_hint(r->c, "addresses: unicast addresses");
        return false;
    }
    if (has_address(nat, addr)) {
        complain(r->c, at, SEVERITY_ERROR, "\"addresses\" has %s twice", text);
        complain_hint(r->c, "remove one of them");
        return false;
    }
    return true;
}

/* Addresses that the machine has a connected route to, by a NIC of the inside. */
static void check_inside(const struct reader *r, struct place at, const struct scenario_nat *nat,
                         const struct ip *first, const struct ip *last) {
    const struct scenario_machine *m = &r->s->machines.v[nat->machine];
    char text[IP_TEXT], net[PREFIX_TEXT];
    for (uint32_t i = m->first_nic; i < m->first_nic + m->n_nics; i++) {
        const struct scenario_nic *nic = &r->s->nics.v[i];
        const struct ip_prefix inside = nic_side(nic, FAMILY_IPV4).net;
        const struct ip end = prefix_last(&inside);
        if (i == nat->outside || !nic->addr.family || !nic->connected || ip_compare(first, &end) > 0 ||
            ip_compare(last, &inside.addr) < 0)
            continue;
        const struct ip *about = ip_compare(first, &inside.addr) < 0 ? &inside.addr : first;
        complain(r->c, at, SEVERITY_ERROR, "outside address %s belongs to %s, inside the NAT by NIC \"%s\"",
                 ip_format(about, text), prefix_format(&inside, net), nic->name);
        complain_fault_ip(r->c, FAULT_OVERLAP, about);
        complain_hint(r->c, "addresses: of the outside, which no other NIC of the machine has a route to");
        return;
    }
}

/* An address, "first-last" or a prefix, all of whose addresses count. */
static bool read_addresses(const struct reader *r, const struct tree *text, struct ip *first, struct ip *last) {
    struct ip_prefix prefix;
    const char *a, *b;
    if (strchr(text->text, '/')) {
        if (!text_prefix(r, text, "addresses", FAMILY_IPV4, &prefix))
            return false;
        *first = prefix.addr;
        *last = prefix_last(&prefix);
        return true;
    }
    if (!text_range(r, text, &a, &b)) {
        bool ok = text_ip(r, text, "addresses", FAMILY_IPV4, first);
        *last = *first;
        return ok;
    }
    if (!ip_parse(a, first) && !ip_parse(b, last) && first->family == FAMILY_IPV4 && last->family == FAMILY_IPV4 &&
        ip_compare(first, last) <= 0)
        return true;
    read_wrong(r, text, "addresses", "the first and the last address, such as 198.51.100.4-198.51.100.7");
    return false;
}

static void default_address(const struct reader *r, const struct tree *t, struct scenario_nat *nat) {
    const struct scenario_nic *nic = nat->outside == INDEX_NONE ? NULL : &r->s->nics.v[nat->outside];
    if (nic && nic->addr.family) {
        vec_push(&nat->addresses, nic->addr);
    } else if (nic && nic->addr6.family) {
        complain(r->c, tree_get(t, "outside")->at, SEVERITY_ERROR, "NIC \"%s\", the NAT's outside, has no IPv4 address",
                 nic->name);
        complain_hint(r->c, "NAT is for IPv4: give the NIC an \"address\", or the NAT \"addresses\"");
    }
}

static void load_addresses(const struct reader *r, const struct tree *t, struct scenario_nat *nat) {
    static const char *const right = "a list of outside addresses, such as [10.0.0.4, 10.0.0.8-10.0.0.15]";
    const struct tree *list = read_list(r, t, "addresses", OPTIONAL, right);
    uint64_t n = 0;
    if (!list)
        return tree_get(t, "addresses") ? (void)0 : default_address(r, t, nat);
    for (size_t i = 0; i < list->n; i++) {
        const struct tree *e = list->member[i].value;
        struct ip first, last;
        if (!read_is(r, e, TREE_TEXT, "addresses", right) || !read_addresses(r, e, &first, &last))
            return;
        check_inside(r, e->at, nat, &first, &last);
        const uint32_t low = ntohl(first.v4), high = ntohl(last.v4);
        n += high - low + 1ull;
        for (uint32_t a = 0; n <= NAT_ADDRESSES_MAX && a <= high - low; a++) {
            const struct ip addr = ip_v4(htonl(low + a));
            if (!check_address(r, e->at, nat, &addr))
                break;
            vec_push(&nat->addresses, addr);
        }
    }
    if (!n || n > NAT_ADDRESSES_MAX) {
        complain(r->c, list->at, SEVERITY_ERROR, "\"addresses\" has %llu of them", (unsigned long long)n);
        complain_hint(r->c, "1 to %u addresses", NAT_ADDRESSES_MAX);
    }
}

static void load_port_map(const struct reader *r, const struct tree_member *m, struct scenario_nat *nat) {
    static const char *const protos[] = {"tcp", "udp", NULL}, *const right =
                                                                  "an address and a port, such as \"10.0.2.2:80\"";
    const struct tree *t = m->value;
    struct scenario_port_map map = {.at = m->at, .name = m->key};
    unsigned proto = 0;
    uint32_t port = 0, to_port = 0;
    read_keys(r, t, KEYS("proto", "address", "port", "to"));
    bool ok = read_choice(r, t, "proto", REQUIRED, protos, &proto);
    ok &= read_uint(r, t, "port", REQUIRED, 1, 65535, &port);
    if (read_ip(r, t, "address", OPTIONAL, FAMILY_IPV4, &map.address) && !has_address(nat, &map.address)) {
        complain(r->c, tree_get(t, "address")->at, SEVERITY_ERROR, "\"address\" is \"%s\", no address of the NAT",
                 tree_get(t, "address")->text);
        complain_hint(r->c, "address: one of the NAT's \"addresses\", or none: the first of them");
    } else if (!map.address.family && nat->addresses.n) {
        map.address = nat->addresses.v[0];
    }
    const struct tree *to = read_text(r, t, "to", REQUIRED, right);
    const char *colon = to ? strrchr(to->text, ':') : NULL;
    if (!to)
        return;
    if (!colon || !number_parse(colon + 1, strlen(colon + 1), 1, 65535, &to_port) ||
        ip_parse(arena_printf(r->s->arena, "%.*s", (int)(colon - to->text), to->text), &map.to) ||
        map.to.family != FAMILY_IPV4) {
        read_wrong(r, to, "to", right);
        return;
    }
    map.proto = proto == 0 ? 6 : 17;
    map.port = (uint16_t)port;
    map.to_port = (uint16_t)to_port;
    if (ok)
        vec_push(&nat->port_maps, map);
}

static void load_ports(const struct reader *r, const struct tree *t, struct scenario_nat *nat) {
    static const char *const right = "the lowest and the highest outside port, such as 1024-65535";
    const struct tree *text = read_text(r, t, "ports", OPTIONAL, right);
    const char *first, *last;
    uint32_t min, max;
    nat->port_min = 1024;
    nat->port_max = 65535;
    if (!text)
        return;
    if (!text_range(r, text, &first, &last) || !number_parse(first, strlen(first), 1, 65535, &min) ||
        !number_parse(last, strlen(last), min, 65535, &max)) {
        read_wrong(r, text, "ports", right);
        return;
    }
    nat->port_min = (uint16_t)min;
    nat->port_max = (uint16_t)max;
}

static void load_timers(const struct reader *r, const struct tree *t, struct scenario_nat *nat) {
    static const char *const keys[] = {"tcp_established", "tcp_transitory", "tcp_closing", "udp",
                                       "udp_stream",      "icmp",           "other",       NULL};
    uint32_t *const timers[] = {
        &nat->timers.tcp_established, &nat->timers.tcp_transitory, &nat->timers.tcp_closing, &nat->timers.udp,
        &nat->timers.udp_stream,      &nat->timers.icmp,           &nat->timers.other};
    const struct tree *map = read_map(r, t, "timers", OPTIONAL, "seconds by the timer's name");
    if (!map)
        return;
    read_keys(r, map, keys);
    for (size_t i = 0; keys[i]; i++)
        read_uint(r, map, keys[i], OPTIONAL, 1, SECONDS_MAX, timers[i]);
}

/* What a block of ports cannot be, or is not good for (RFC 6888, 7422). */
static void check_blocks(const struct reader *r, const struct tree *t, const struct scenario_nat *nat) {
    const uint32_t ports = nat->port_max - nat->port_min + 1u, block = nat->port_block;
    if (!block) {
        if (!tree_get(t, "blocks_per_client"))
            return;
        complain(r->c, tree_get(t, "blocks_per_client")->at, SEVERITY_ERROR, "\"blocks_per_client\" without blocks");
        complain_hint(r->c, "add \"port_block\", the ports of a block, or remove it");
        return;
    }
    const struct place at = tree_get(t, "port_block")->at;
    if (ports % block) {
        uint32_t near = block < ports ? block : ports;
        while (ports % near)
            near--;
        complain(r->c, at, SEVERITY_ERROR, "blocks of %u do not divide the %u ports %u-%u", block, ports, nat->port_min,
                 nat->port_max);
        complain_hint(r->c, "port_block: a divisor of %u, such as %u", ports, near);
        return;
    }
    const uint64_t there = (uint64_t)ports / block * (nat->arbitrary_pooling ? nat->addresses.n : 1);
    if (nat->blocks_per_client > there && there) {
        complain(r->c, tree_get(t, "blocks_per_client")->at, SEVERITY_ERROR,
                 "%u blocks for a client, but %s has %llu", nat->blocks_per_client,
                 nat->arbitrary_pooling ? "the NAT" : "an outside address", (unsigned long long)there);
        complain_hint(r->c, "blocks_per_client: 1 to %llu, or a smaller \"port_block\"", (unsigned long long)there);
    }
    if (nat->parity && block == 1) {
        complain(r->c, at, SEVERITY_ERROR, "blocks of one port cannot keep \"parity\"");
        complain_hint(r->c, "port_block: 2 at least, or \"parity: false\"");
    }
    static const char *const keys[] = {"ports_per_client", "sessions_per_client"};
    const uint32_t limits[] = {nat->ports_per_client, nat->sessions_per_client};
    for (unsigned i = 0; i < 2; i++) {
        if (!limits[i] || limits[i] >= block)
            continue;
        complain(r->c, tree_get(t, keys[i])->at, SEVERITY_WARNING, "\"%s\" is %u, less than a block of %u ports",
                 keys[i], limits[i], block);
        complain_hint(r->c, "the rest of each block is nobody's: a smaller \"port_block\", or a higher limit");
    }
}

static void load_untranslated(const struct reader *r, const struct tree *t, struct scenario_nat *nat) {
    const struct tree *list = read_list(r, t, "untranslated", OPTIONAL, "a list of prefixes, such as [10.8.0.0/16]");
    struct ip_prefix prefix;
    for (size_t i = 0; list && next_prefix(r, list, &i, "untranslated", &prefix);) {
        if (prefix.addr.family == FAMILY_IPV4) {
            vec_push(&nat->untranslated, prefix);
            continue;
        }
        complain(r->c, list->at, SEVERITY_ERROR, "\"untranslated\" has an IPv6 prefix");
        complain_hint(r->c, "NAT is for IPv4: what is IPv6 is never translated");
    }
    if (nat->untranslated.n > UNTRANSLATED_MAX) {
        complain(r->c, list->at, SEVERITY_ERROR, "\"untranslated\" has %zu prefixes", nat->untranslated.n);
        complain_hint(r->c, "%u at most: shorter prefixes, that hold several", UNTRANSLATED_MAX);
    }
}

/* What subscribers may have (RFC 6888), and what is not translated for them. */
static void load_limits(const struct reader *r, const struct tree *t, struct scenario_nat *nat) {
    read_uint(r, t, "port_block", OPTIONAL, 1, 65535, &nat->port_block);
    read_uint(r, t, "blocks_per_client", OPTIONAL, 1, 65535, &nat->blocks_per_client);
    read_uint(r, t, "sessions_per_client", OPTIONAL, 1, SESSIONS_MAX, &nat->sessions_per_client);
    read_uint(r, t, "ports_per_client", OPTIONAL, 1, 65535, &nat->ports_per_client);
    read_uint(r, t, "session_rate_per_client", OPTIONAL, 1, RATE_MAX, &nat->session_rate_per_client);
    read_uint(r, t, "port_rest", OPTIONAL, 1, SECONDS_MAX, &nat->port_rest);
    load_untranslated(r, t, nat);
    check_blocks(r, t, nat);
    if (nat->port_block && !nat->blocks_per_client)
        nat->blocks_per_client = 1;
}

/* Behaviours that only NAT by interface has: Linux' connection tracking does not choose. */
static void load_behaviours(const struct reader *r, const struct tree *t, struct scenario_nat *nat) {
    static const char *const keys[] = {"mapping", "filtering", "port_choice", "parity", "pooling", "refresh",
                                       "port_block", "blocks_per_client", "sessions_per_client", "ports_per_client",
                                       "session_rate_per_client", "port_rest", "hold_syns", "untranslated"};
    static const char *const ports[] = {"preserved", "random", NULL}, *const pooling[] = {"paired", "arbitrary", NULL},
                      *const refresh[] = {"both", "outbound", NULL};
    unsigned mapping = 0, filtering = 0, port = 0, pool = 0, refreshed = 0;
    for (size_t i = 0; nat->conntrack && i < sizeof keys / sizeof *keys; i++) {
        if (!tree_get(t, keys[i]))
            continue;
        complain(r->c, tree_get(t, keys[i])->at, SEVERITY_ERROR, "\"%s\" is not for \"personality: conntrack\"",
                 keys[i]);
        complain_hint(r->c, "remove it (null in a variant), or choose \"personality: interface\"");
    }
    if (nat->conntrack)
        return;
    read_choice(r, t, "mapping", OPTIONAL, nat_behaviour_names, &mapping);
    read_choice(r, t, "filtering", OPTIONAL, nat_behaviour_names, &filtering);
    read_choice(r, t, "port_choice", OPTIONAL, ports, &port);
    read_choice(r, t, "pooling", OPTIONAL, pooling, &pool);
    read_choice(r, t, "refresh", OPTIONAL, refresh, &refreshed);
    read_bool(r, t, "parity", &nat->parity);
    read_bool(r, t, "hold_syns", &nat->hold_syns);
    nat->mapping = (uint8_t)mapping;
    nat->filtering = (uint8_t)filtering;
    nat->random_ports = port;
    nat->arbitrary_pooling = pool;
    nat->outbound_refresh_only = refreshed;
    load_limits(r, t, nat);
}

void load_nat(const struct reader *r, const struct tree *t, uint32_t machine) {
    static const char *const personalities[] = {"interface", "conntrack", NULL};
    struct scenario_nat nat = {.at = t->at, .machine = machine};
    unsigned personality = 0;
    read_keys(r, t, KEYS("outside", "personality", "addresses", "ports", "max_sessions", "timers", "port_maps",
                         "mapping", "filtering", "port_choice", "parity", "pooling", "hairpin", "hold_fragments",
                         "refresh", "port_block", "blocks_per_client", "sessions_per_client", "ports_per_client",
                         "session_rate_per_client", "port_rest", "hold_syns", "untranslated"));
    nat.outside = read_nic(r, t, "outside", REQUIRED, machine);
    bool known = read_choice(r, t, "personality", REQUIRED, personalities, &personality);
    nat.conntrack = personality == 1;
    nat.hairpin = nat.hold_fragments = !nat.conntrack;
    read_bool(r, t, "hairpin", &nat.hairpin);
    read_bool(r, t, "hold_fragments", &nat.hold_fragments);
    load_addresses(r, t, &nat);
    load_ports(r, t, &nat);
    read_uint(r, t, "max_sessions", OPTIONAL, 1, SESSIONS_MAX, &nat.max_sessions);
    load_timers(r, t, &nat);
    if (known)
        load_behaviours(r, t, &nat);
    const struct tree *maps = read_map(r, t, "port_maps", OPTIONAL, "port maps by name");
    const struct tree_member *m;
    for (size_t i = 0; (m = next_element(r, maps, &i, "port map"));)
        load_port_map(r, m, &nat);
    r->s->machines.v[machine].nat = (uint32_t)r->s->nats.n;
    vec_push(&r->s->nats, nat);
}
