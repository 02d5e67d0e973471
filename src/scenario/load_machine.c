/* SPDX-License-Identifier: BSD-3-Clause */
/* From the merged tree to structs: machines with their NICs, routes, NAT and DHCP. */
#include "read.h"
#include <string.h>

#define NAT_ADDRESSES_MAX 16
#define SESSIONS_MAX (1u << 24)
#define SECONDS_MAX (366u * 86400)

static uint32_t machine_nic(const struct reader *r, const struct tree *t, const char *key, uint32_t machine) {
    const struct scenario_machine *m = &r->s->machines.v[machine];
    const struct scenario_nic *nics = r->s->nics.v ? r->s->nics.v + m->first_nic : NULL;
    uint32_t i = read_element(r, t, key, REQUIRED, "NIC of this machine", nics, m->n_nics, sizeof *nics);
    return i == INDEX_NONE ? INDEX_NONE : m->first_nic + i;
}

/* What the NIC is plugged into: exactly one of three. */
static void load_nic_on(const struct reader *r, const struct tree *t, struct scenario_nic *nic) {
    const char *keys[] = {"subnet", "switch", "site"};
    unsigned n = 0;
    nic->on_index = INDEX_NONE;
    for (uint8_t i = 0; i < 3; i++)
        if (tree_get(t, keys[i]))
            nic->on = i, n++;
    if (n != 1) {
        complain(r->c, nic->at, SEVERITY_ERROR, "NIC \"%s\" is on %s", nic->name,
                 n ? "several of subnet, switch, site" : "nothing");
        complain_hint(r->c, "give it one of \"subnet: network/subnet\", \"switch: name\", \"site: name\"");
    } else if (nic->on == NIC_ON_SUBNET) {
        nic->on_index = read_subnet(r, t, "subnet", REQUIRED);
    } else if (nic->on == NIC_ON_SWITCH) {
        nic->on_index = read_ref(r, t, "switch", REQUIRED, "switch", r->s->switches);
    } else {
        nic->on_index = read_ref(r, t, "site", REQUIRED, "site", r->s->sites);
    }
}

static void load_nic_address(const struct reader *r, const struct tree *t, struct scenario_nic *nic) {
    static const char *const right = "an IPv4 address with the length of its network, such as 10.0.0.4/24";
    const struct tree *text = read_text(r, t, "address", REQUIRED, right);
    struct ip addr;
    uint8_t len;
    if (!text)
        return;
    if (!strchr(text->text, '/') || ip_parse_with_len(text->text, &addr, &len) || addr.family != FAMILY_IPV4 || !len) {
        read_wrong(r, text, "address", right);
        return;
    }
    nic->addr = addr;
    nic->len = len;
}

/* An address, or "none"; without the key the subnet's own gateway, or a site's router. */
static void load_nic_gateway(const struct reader *r, const struct tree *t, struct scenario_nic *nic) {
    const struct tree *text = read_text(r, t, "gateway", OPTIONAL, "an IPv4 address, or none");
    if (text && strcmp(text->text, "none") == 0)
        return;
    if (text) {
        nic->default_route = text_ip(r, text, "gateway", &nic->gateway);
    } else if (nic->on_index != INDEX_NONE) {
        nic->default_route = nic->on != NIC_ON_SWITCH;
        if (nic->on == NIC_ON_SUBNET)
            nic->gateway = r->s->subnets.v[nic->on_index].gateway;
    }
}

static void load_nic(const struct reader *r, const struct tree_member *m, uint32_t machine) {
    const struct tree *t = m->value;
    struct scenario_nic nic = {.at = m->at, .name = m->key, .machine = machine, .connected = true};
    uint32_t rp_filter = 0;
    read_keys(r, t,
              KEYS("subnet", "switch", "site", "address", "connected", "gateway", "mac", "ip_forwarding", "rp_filter",
                   "capture"));
    load_nic_on(r, t, &nic);
    load_nic_address(r, t, &nic);
    load_nic_gateway(r, t, &nic);
    read_bool(r, t, "connected", &nic.connected);
    read_bool(r, t, "ip_forwarding", &nic.ip_forwarding);
    read_uint(r, t, "rp_filter", 0, 2, &rp_filter);
    nic.rp_filter = (uint8_t)rp_filter;
    nic.has_mac = read_mac(r, t, "mac", &nic.mac);
    const struct tree *capture = read_text(r, t, "capture", OPTIONAL, "the name of an interface in the capture");
    if (capture && *capture->text)
        nic.capture = capture->text;
    else if (capture)
        read_wrong(r, capture, "capture", "the name of an interface in the capture");
    vec_push(&r->s->nics, nic);
}

static void load_route(const struct reader *r, const struct tree_member *m, uint32_t machine) {
    static const char *const kinds[] = {"unicast", "blackhole", "unreachable", "prohibit", NULL};
    const struct tree *t = m->value;
    struct scenario_static_route route = {.at = m->at, .name = m->key, .machine = machine, .nic = INDEX_NONE};
    unsigned kind = 0;
    read_keys(r, t, KEYS("prefix", "via", "nic", "metric", "kind"));
    bool ok = read_prefix(r, t, "prefix", REQUIRED, &route.prefix);
    read_uint(r, t, "metric", 0, UINT32_MAX, &route.metric);
    if (tree_get(t, "kind") && !read_choice(r, t, "kind", OPTIONAL, kinds, &kind))
        return;
    route.kind = (uint8_t)kind;
    if (kind == 0) {
        read_ip(r, t, "via", OPTIONAL, &route.via);
        route.nic = machine_nic(r, t, "nic", machine);
        ok = ok && route.nic != INDEX_NONE;
    } else if (tree_get(t, "via") || tree_get(t, "nic")) {
        complain(r->c, m->at, SEVERITY_ERROR, "a %s route leads nowhere, but has \"via\" or \"nic\"", kinds[kind]);
        complain_hint(r->c, "remove these, or \"kind\"");
    }
    if (ok)
        vec_push(&r->s->static_routes, route);
}

static void load_port_map(const struct reader *r, const struct tree_member *m, struct scenario_nat *nat) {
    static const char *const protos[] = {"tcp", "udp", NULL}, *const right =
                                                                  "an address and a port, such as \"10.0.2.2:80\"";
    const struct tree *t = m->value;
    struct scenario_port_map map = {.at = m->at, .name = m->key};
    unsigned proto = 0;
    uint32_t port = 0, to_port = 0;
    read_keys(r, t, KEYS("proto", "port", "to"));
    bool ok = read_choice(r, t, "proto", REQUIRED, protos, &proto);
    ok &= read_text(r, t, "port", REQUIRED, "the outside port, 1 to 65535") && read_uint(r, t, "port", 1, 65535, &port);
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

/* "first-last" of numbers or addresses: the two texts; false when there is no dash. */
static bool split_range(const struct reader *r, const struct tree *t, const char **first, const char **last) {
    const char *dash = strchr(t->text, '-');
    if (!dash)
        return false;
    *first = arena_printf(r->s->arena, "%.*s", (int)(dash - t->text), t->text);
    *last = dash + 1;
    return true;
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
    if (!split_range(r, text, &first, &last) || !number_parse(first, strlen(first), 1, 65535, &min) ||
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
        read_uint(r, map, keys[i], 1, SECONDS_MAX, timers[i]);
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
            text_ip(r, list->member[i].value, "addresses", &addr))
            vec_push(&nat->addresses, addr);
    }
    if (!list && nat->outside != INDEX_NONE && r->s->nics.v[nat->outside].addr.family)
        vec_push(&nat->addresses, r->s->nics.v[nat->outside].addr);
}

static void load_nat(const struct reader *r, const struct tree *t, uint32_t machine) {
    static const char *const personalities[] = {"interface", "conntrack", NULL};
    struct scenario_nat nat = {.at = t->at, .machine = machine};
    unsigned personality = 0;
    read_keys(r, t, KEYS("outside", "personality", "addresses", "ports", "max_sessions", "timers", "port_maps"));
    nat.outside = machine_nic(r, t, "outside", machine);
    read_choice(r, t, "personality", REQUIRED, personalities, &personality);
    nat.conntrack = personality == 1;
    load_nat_addresses(r, t, &nat);
    load_nat_ports(r, t, &nat);
    read_uint(r, t, "max_sessions", 1, SESSIONS_MAX, &nat.max_sessions);
    load_timers(r, t, &nat);
    const struct tree *maps = read_map(r, t, "port_maps", OPTIONAL, "port maps by name");
    const struct tree_member *m;
    for (size_t i = 0; (m = next_element(r, maps, &i, "port map"));)
        load_port_map(r, m, &nat);
    r->s->machines.v[machine].nat = (uint32_t)r->s->nats.n;
    vec_push(&r->s->nats, nat);
}

static void load_scope(const struct reader *r, const struct tree *t, uint32_t machine) {
    static const char *const right = "the first and the last address, such as 10.0.2.2-10.0.2.254";
    struct scenario_dhcp scope = {.at = t->at, .machine = machine};
    const char *first, *last;
    read_keys(r, t, KEYS("nic", "range", "router", "dns"));
    scope.nic = machine_nic(r, t, "nic", machine);
    const struct tree *range = read_text(r, t, "range", REQUIRED, right);
    if (range && (!split_range(r, range, &first, &last) || ip_parse(first, &scope.first) ||
                  ip_parse(last, &scope.last) || scope.first.family != FAMILY_IPV4 ||
                  scope.last.family != FAMILY_IPV4 || ip_compare(&scope.first, &scope.last) > 0)) {
        read_wrong(r, range, "range", right);
        scope.first = scope.last = (struct ip){0};
    }
    read_ip(r, t, "router", OPTIONAL, &scope.router);
    const struct tree *dns = read_list(r, t, "dns", OPTIONAL, "a list of addresses, such as [168.63.129.16]");
    for (size_t i = 0; dns && i < dns->n; i++) {
        struct ip addr;
        if (read_is(r, dns->member[i].value, TREE_TEXT, "dns", "a list of addresses") &&
            text_ip(r, dns->member[i].value, "dns", &addr))
            vec_push(&scope.dns, addr);
    }
    vec_push(&r->s->dhcps, scope);
}

static void load_machine(const struct reader *r, const struct tree_member *m) {
    const struct tree *t = m->value, *nat, *dhcp;
    const struct tree_member *e;
    uint32_t index = (uint32_t)r->s->machines.n;
    read_keys(r, t, KEYS("router", "nics", "routes", "nat", "dhcp"));
    vec_push(&r->s->machines, (struct scenario_machine){.at = m->at,
                                                        .name = m->key,
                                                        .nat = INDEX_NONE,
                                                        .first_nic = (uint32_t)r->s->nics.n,
                                                        .first_route = (uint32_t)r->s->static_routes.n});
    struct scenario_machine *machine = &r->s->machines.v[index];
    read_bool(r, t, "router", &machine->router);
    const struct tree *nics = read_map(r, t, "nics", REQUIRED, "NICs by name");
    for (size_t i = 0; (e = next_element(r, nics, &i, "NIC"));)
        load_nic(r, e, index);
    machine->n_nics = (uint32_t)r->s->nics.n - machine->first_nic;
    const struct tree *routes = read_map(r, t, "routes", OPTIONAL, "routes by name");
    for (size_t i = 0; (e = next_element(r, routes, &i, "route"));)
        load_route(r, e, index);
    machine->n_routes = (uint32_t)r->s->static_routes.n - machine->first_route;
    if ((nat = read_map(r, t, "nat", OPTIONAL, "a mapping")))
        load_nat(r, nat, index);
    dhcp = read_list(r, t, "dhcp", OPTIONAL, "a list of scopes");
    for (size_t i = 0; dhcp && i < dhcp->n; i++)
        if (read_is(r, dhcp->member[i].value, TREE_MAP, "dhcp", "a list of scopes, each with nic, range, router, dns"))
            load_scope(r, dhcp->member[i].value, index);
}

void load_machines(const struct reader *r, const struct tree *machines) {
    const struct tree_member *m;
    for (size_t i = 0; (m = next_element(r, machines, &i, "machine"));)
        load_machine(r, m);
}
