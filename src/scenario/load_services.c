/* SPDX-License-Identifier: BSD-3-Clause */
/* From the merged tree to structs: NAT and DHCP of machines. Both are IPv4. */
#include "read.h"
#include <string.h>

#define NAT_ADDRESSES_MAX 1024
#define SESSIONS_MAX (1u << 24)
#define SECONDS_MAX (366u * 86400)

static void load_port_map(const struct reader *r, const struct tree_member *m, struct scenario_nat *nat) {
    static const char *const protos[] = {"tcp", "udp", NULL}, *const right =
                                                                  "an address and a port, such as \"10.0.2.2:80\"";
    const struct tree *t = m->value;
    struct scenario_port_map map = {.at = m->at, .name = m->key};
    unsigned proto = 0;
    uint32_t port = 0, to_port = 0;
    read_keys(r, t, KEYS("proto", "port", "to"));
    bool ok = read_choice(r, t, "proto", REQUIRED, protos, &proto);
    ok &= read_uint(r, t, "port", REQUIRED, 1, 65535, &port);
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

static void load_nat_ports(const struct reader *r, const struct tree *t, struct scenario_nat *nat) {
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

static void load_nat_addresses(const struct reader *r, const struct tree *t, struct scenario_nat *nat) {
    static const char *const right = "a list of outside addresses, such as [10.0.0.4]";
    const struct tree *list = read_list(r, t, "addresses", OPTIONAL, right);
    if (list && (!list->n || list->n > NAT_ADDRESSES_MAX)) {
        complain(r->c, list->at, SEVERITY_ERROR, "\"addresses\" has %zu of them", list->n);
        complain_hint(r->c, "1 to %u addresses", NAT_ADDRESSES_MAX);
        return;
    }
    for (size_t i = 0; list && i < list->n; i++) {
        struct ip addr;
        if (read_is(r, list->member[i].value, TREE_TEXT, "addresses", right) &&
            text_ip(r, list->member[i].value, "addresses", FAMILY_IPV4, &addr))
            vec_push(&nat->addresses, addr);
    }
    const struct scenario_nic *nic = nat->outside == INDEX_NONE ? NULL : &r->s->nics.v[nat->outside];
    if (!list && nic && nic->addr.family) {
        vec_push(&nat->addresses, nic->addr);
    } else if (!list && nic && nic->addr6.family) {
        complain(r->c, tree_get(t, "outside")->at, SEVERITY_ERROR, "NIC \"%s\", the NAT's outside, has no IPv4 address",
                 nic->name);
        complain_hint(r->c, "NAT is for IPv4: give the NIC an \"address\", or the NAT \"addresses\"");
    }
}

void load_nat(const struct reader *r, const struct tree *t, uint32_t machine) {
    static const char *const personalities[] = {"interface", "conntrack", NULL};
    struct scenario_nat nat = {.at = t->at, .machine = machine};
    unsigned personality = 0;
    read_keys(r, t, KEYS("outside", "personality", "addresses", "ports", "max_sessions", "timers", "port_maps"));
    nat.outside = read_nic(r, t, "outside", REQUIRED, machine);
    read_choice(r, t, "personality", REQUIRED, personalities, &personality);
    nat.conntrack = personality == 1;
    load_nat_addresses(r, t, &nat);
    load_nat_ports(r, t, &nat);
    read_uint(r, t, "max_sessions", OPTIONAL, 1, SESSIONS_MAX, &nat.max_sessions);
    load_timers(r, t, &nat);
    const struct tree *maps = read_map(r, t, "port_maps", OPTIONAL, "port maps by name");
    const struct tree_member *m;
    for (size_t i = 0; (m = next_element(r, maps, &i, "port map"));)
        load_port_map(r, m, &nat);
    r->s->machines.v[machine].nat = (uint32_t)r->s->nats.n;
    vec_push(&r->s->nats, nat);
}

void load_scope(const struct reader *r, const struct tree *t, uint32_t machine) {
    static const char *const right = "the first and the last address, such as 10.0.2.2-10.0.2.254";
    struct scenario_dhcp scope = {.at = t->at, .machine = machine};
    const char *first, *last;
    read_keys(r, t, KEYS("nic", "range", "router", "dns"));
    scope.nic = read_nic(r, t, "nic", REQUIRED, machine);
    const struct tree *range = read_text(r, t, "range", REQUIRED, right);
    if (range && (!text_range(r, range, &first, &last) || ip_parse(first, &scope.first) ||
                  ip_parse(last, &scope.last) || scope.first.family != FAMILY_IPV4 ||
                  scope.last.family != FAMILY_IPV4 || ip_compare(&scope.first, &scope.last) > 0)) {
        read_wrong(r, range, "range", right);
        scope.first = scope.last = (struct ip){0};
    }
    read_ip(r, t, "router", OPTIONAL, FAMILY_IPV4, &scope.router);
    const struct tree *dns = read_list(r, t, "dns", OPTIONAL, "a list of addresses, such as [168.63.129.16]");
    for (size_t i = 0; dns && i < dns->n; i++) {
        struct ip addr;
        if (read_is(r, dns->member[i].value, TREE_TEXT, "dns", "a list of addresses") &&
            text_ip(r, dns->member[i].value, "dns", FAMILY_IPV4, &addr))
            vec_push(&scope.dns, addr);
    }
    vec_push(&r->s->dhcps, scope);
}
