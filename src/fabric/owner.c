/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose an address is: the NIC's, NAT's or gateway's that has it, a site's, the Internet's. Of two owners the first has
 * it. */
#include "fabric.h"
#include <stdlib.h>

static int compare_owned(const void *a, const void *b) {
    const struct owned *x = a, *y = b;
    int order = ip_compare(&x->addr, &y->addr);
    if (!order)
        order = (x->nic > y->nic) - (x->nic < y->nic); /* NICs before gateways */
    return order ? order : (x->subnet > y->subnet) - (x->subnet < y->subnet);
}

static void own(struct fabric *f, const struct ip *addr, uint32_t nic, uint32_t subnet) {
    if (addr->family != FAMILY_NONE)
        vec_push(&f->owned, (struct owned){*addr, nic, subnet});
}

void owners_build(struct fabric *f) {
    const struct scenario *s = fabric_scenario(f);
    for (uint8_t family = FAMILY_IPV4; family <= FAMILY_IPV6; family += FAMILY_IPV6 - FAMILY_IPV4) {
        for (uint32_t i = 0; i < s->nics.n; i++)
            own(f, control_nic_addr(&s->nics.v[i], family), i, INDEX_NONE);
        for (uint32_t i = 0; i < s->subnets.n; i++)
            own(f, control_gateway_addr(&s->subnets.v[i], family), INDEX_NONE, i);
    }
    for (uint32_t i = 0; i < s->nats.n; i++) /* outside addresses beside the NIC's own */
        for (size_t k = 0; k < s->nats.v[i].addresses.n; k++)
            if (!ip_equal(&s->nats.v[i].addresses.v[k], &s->nics.v[s->nats.v[i].outside].addr))
                own(f, &s->nats.v[i].addresses.v[k], s->nats.v[i].outside, INDEX_NONE);
    if (f->owned.n)
        qsort(f->owned.v, f->owned.n, sizeof *f->owned.v, compare_owned);
}

/* The first owner of an address; the next ones, if any, follow it in the array. */
static const struct owned *find_owned(const struct fabric *f, const struct ip *addr) {
    size_t low = 0, high = f->owned.n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (ip_compare(&f->owned.v[mid].addr, addr) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < f->owned.n && ip_equal(&f->owned.v[low].addr, addr) ? &f->owned.v[low] : NULL;
}

/* The owner after `o` of the same address; NULL. */
static const struct owned *next_owned(const struct fabric *f, const struct owned *o) {
    return o + 1 < f->owned.v + f->owned.n && ip_equal(&o[1].addr, &o->addr) ? o + 1 : NULL;
}

uint32_t owner_on(const struct fabric *f, const struct ip *addr, enum nic_on on, uint32_t index) {
    const struct scenario *s = fabric_scenario(f);
    for (const struct owned *o = find_owned(f, addr); o; o = next_owned(f, o))
        if (o->nic != INDEX_NONE && s->nics.v[o->nic].on == on && s->nics.v[o->nic].on_index == index)
            return o->nic;
    return INDEX_NONE;
}

const struct owned *owner_in_network(const struct fabric *f, const struct ip *addr, uint32_t network) {
    const struct scenario *s = fabric_scenario(f);
    for (const struct owned *o = find_owned(f, addr); o; o = next_owned(f, o)) {
        uint32_t subnet = o->subnet;
        if (o->nic != INDEX_NONE)
            subnet = s->nics.v[o->nic].on == NIC_ON_SUBNET ? s->nics.v[o->nic].on_index : INDEX_NONE;
        if (subnet != INDEX_NONE && s->subnets.v[subnet].network == network)
            return o;
    }
    return NULL;
}

static bool in_site(const struct scenario_site *site, const struct ip *addr) {
    for (size_t i = 0; i < site->prefixes.n; i++)
        if (prefix_contains(&site->prefixes.v[i], addr))
            return true;
    return false;
}

/* Keeps the longest of the prefixes that hold an address; of equal ones the first. */
static void prefer(struct declared *best, const struct ip_prefix *p, const char *name, const struct ip *addr) {
    if (prefix_contains(p, addr) && (ip_is_none(&best->prefix.addr) || p->len > best->prefix.len))
        *best = (struct declared){*p, name};
}

/* A subnet before a site before a switch's network: the platform's own plan counts first. */
static struct declared declared_place(const struct fabric *f, const struct ip *addr) {
    const struct scenario *s = fabric_scenario(f);
    bool six = addr->family == FAMILY_IPV6;
    struct declared best = {0};
    for (size_t i = 0; i < s->subnets.n; i++)
        prefer(&best, six ? &s->subnets.v[i].prefix6 : &s->subnets.v[i].prefix, s->subnets.v[i].name, addr);
    for (size_t i = 0; i < s->sites.n && ip_is_none(&best.prefix.addr); i++)
        for (size_t k = 0; k < s->sites.v[i].prefixes.n && s->sites.v[i].gateway_subnet != INDEX_NONE; k++)
            prefer(&best, &s->sites.v[i].prefixes.v[k], s->sites.v[i].name, addr);
    if (!ip_is_none(&best.prefix.addr))
        return best;
    for (size_t i = 0; i < s->nics.n; i++) {
        const struct scenario_nic *nic = &s->nics.v[i];
        struct ip_prefix p = prefix_of(control_nic_addr(nic, addr->family), six ? nic->len6 : nic->len);
        if (nic->on == NIC_ON_SWITCH)
            prefer(&best, &p, s->switches.v[nic->on_index].name, addr);
    }
    return best;
}

struct declared declared_find(const struct fabric *f, const struct ip *addr) {
    const struct scenario *s = fabric_scenario(f);
    struct declared best = declared_place(f, addr);
    if (!ip_is_none(&best.prefix.addr))
        return best;
    for (size_t i = 0; i < s->user_routes.n; i++)
        if (s->user_routes.v[i].kind == NEXT_HOP_APPLIANCE && s->user_routes.v[i].prefix.len)
            prefer(&best, &s->user_routes.v[i].prefix, s->user_routes.v[i].name, addr);
    return best;
}

struct ip_prefix fabric_declared(const struct fabric *f, const struct ip *addr) {
    return declared_find(f, addr).prefix;
}

/* Addresses that anybody may have: neither private nor special (RFC 6890), global unicast (RFC 4291, 2.4). */
static bool is_global(const struct ip *addr) {
    uint32_t a = ntohl(addr->v4);
    if (addr->family == FAMILY_IPV6)
        return addr->v6[0] >> 5 == 1;
    return !(a >> 24 == 0 || a >> 24 == 10 || a >> 24 == 127 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 ||
             a >> 16 == 0xa9fe || a >= 0xe0000000);
}

bool may_be_internet(const struct fabric *f, const struct ip *addr) {
    struct declared place = declared_place(f, addr);
    return is_global(addr) && ip_is_none(&place.prefix.addr);
}

uint32_t fabric_owner(const struct fabric *f, const struct ip *addr) {
    const struct scenario *s = fabric_scenario(f);
    if (addr->family == FAMILY_NONE)
        return INDEX_NONE;
    const struct owned *o = find_owned(f, addr);
    if (o)
        return o->nic == INDEX_NONE ? control_gateway_node(f->control, o->subnet) : s->nics.v[o->nic].machine;
    for (uint32_t i = 0; i < s->sites.n; i++) {
        bool internet = s->sites.v[i].gateway_subnet == INDEX_NONE;
        if (internet ? may_be_internet(f, addr) : in_site(&s->sites.v[i], addr))
            return control_site_node(f->control, i);
    }
    return INDEX_NONE;
}
