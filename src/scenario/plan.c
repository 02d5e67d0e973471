/* SPDX-License-Identifier: BSD-3-Clause */
/* The address plan: counting, and finding the hosts. */
#include <fwdlab/scenario/plan.h>

#define RESERVED 5u      /* of an ordinary subnet: network, the next three, broadcast */
#define RESERVED_LINK 3u /* of a link without a platform: network, broadcast, the router's */

/* Addresses of a prefix beyond the reserved ones. */
static uint64_t room(const struct ip_prefix *p, uint64_t reserved) {
    uint64_t size = p->addr.family == FAMILY_IPV4 ? UINT64_C(1) << (32 - p->len) : 0;
    return size > reserved ? size - reserved : 0;
}

static uint64_t min(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* How many addresses of the prefix the scope hands out. */
static uint64_t leased_of(const struct scenario_dhcp *d, const struct ip_prefix *p) {
    uint64_t low = ntohl(p->addr.v4), high = low + (UINT64_C(1) << (32 - p->len)) - 1;
    uint64_t first = ntohl(d->first.v4), last = ntohl(d->last.v4);
    low = first > low ? first : low;
    high = min(high, last);
    return low <= high ? high - low + 1 : 0;
}

/* Who has an address of a floating subnet: guests, and one router that the subnet's room has left out. */
static uint64_t guests_in(const struct scenario *s, const struct ip_prefix *p) {
    uint64_t guests = 0, routers = 0;
    for (size_t i = 0; i < s->nics.n; i++)
        if (s->nics.v[i].on == NIC_ON_SWITCH && prefix_contains(p, &s->nics.v[i].addr))
            ++*(s->machines.v[s->nics.v[i].machine].router ? &routers : &guests);
    return guests + (routers > 1 ? routers - 1 : 0);
}

static struct plan_subnet count_subnet(const struct scenario *s, uint32_t index) {
    const struct scenario_subnet *subnet = &s->subnets.v[index];
    struct plan_subnet p = {.usable = room(&subnet->prefix, subnet->floating ? RESERVED_LINK : RESERVED)};
    if (subnet->floating)
        p.used = guests_in(s, &subnet->prefix);
    for (size_t i = 0; i < s->nics.n; i++)
        p.used += s->nics.v[i].on == NIC_ON_SUBNET && s->nics.v[i].on_index == index && s->nics.v[i].addr.family;
    for (size_t i = 0; i < s->dhcps.n; i++)
        p.leased += leased_of(&s->dhcps.v[i], &subnet->prefix);
    return p;
}

/* The network of a NIC on a switch; the floating subnet that carries its address when that is smaller. */
static struct ip_prefix guest_net(const struct scenario *s, const struct scenario_nic *nic) {
    struct ip_prefix net = prefix_of(&nic->addr, nic->len);
    for (size_t i = 0; i < s->subnets.n; i++) {
        const struct scenario_subnet *subnet = &s->subnets.v[i];
        if (subnet->floating && prefix_contains(&subnet->prefix, &nic->addr) && subnet->prefix.len > net.len)
            net = subnet->prefix;
    }
    return net;
}

/* Adds what a host's NIC on a switch has room for, and who is there. */
static void count_guests(const struct scenario *s, uint32_t index, struct plan_host *host) {
    const struct scenario_nic *nic = &s->nics.v[index];
    struct ip_prefix net = guest_net(s, nic);
    host->guests_max += room(&net, RESERVED_LINK);
    for (size_t i = 0; i < s->nics.n; i++) {
        const struct scenario_nic *x = &s->nics.v[i];
        host->guests +=
            x->on == NIC_ON_SWITCH && x->on_index == nic->on_index && x->machine != nic->machine && x->addr.family;
    }
    for (size_t i = 0; i < s->dhcps.n; i++)
        if (s->dhcps.v[i].nic == index)
            host->leased += leased_of(&s->dhcps.v[i], &net);
}

static bool in_a_subnet(const struct scenario_nic *nic) {
    return nic->on == NIC_ON_SUBNET && nic->addr.family;
}

/* The NIC towards the Internet: the NAT's, else the first with a default route, else the first in a subnet. */
static uint32_t find_nat_nic(const struct scenario *s, const struct scenario_machine *m) {
    uint32_t found = INDEX_NONE;
    if (m->nat != INDEX_NONE && in_a_subnet(&s->nics.v[s->nats.v[m->nat].outside]))
        return s->nats.v[m->nat].outside;
    for (uint32_t i = m->first_nic; i < m->first_nic + m->n_nics; i++) {
        if (!in_a_subnet(&s->nics.v[i]))
            continue;
        if (s->nics.v[i].default_route)
            return i;
        if (found == INDEX_NONE)
            found = i;
    }
    return found;
}

/* The first NIC in another subnet of the same network. */
static uint32_t find_lan_nic(const struct scenario *s, const struct scenario_machine *m, uint32_t nat_nic) {
    uint32_t subnet = s->nics.v[nat_nic].on_index;
    for (uint32_t i = m->first_nic; i < m->first_nic + m->n_nics; i++) {
        const struct scenario_nic *nic = &s->nics.v[i];
        if (in_a_subnet(nic) && nic->on_index != subnet &&
            s->subnets.v[nic->on_index].network == s->subnets.v[subnet].network)
            return i;
    }
    return INDEX_NONE;
}

/* The index of the pair of these two subnets, made when it is new. */
static uint32_t find_pair(struct plan *p, uint32_t nat, uint32_t lan) {
    const struct plan_subnet *a = &p->subnets.v[nat], *b = &p->subnets.v[lan];
    for (uint32_t i = 0; i < p->pairs.n; i++)
        if (p->pairs.v[i].nat_subnet == nat && p->pairs.v[i].lan_subnet == lan)
            return i;
    vec_push(&p->pairs, (struct plan_pair){.nat_subnet = nat,
                                           .lan_subnet = lan,
                                           .limit = b->usable < a->usable ? lan : nat,
                                           .hosts_max = min(a->usable, b->usable),
                                           .hosts_more = min(a->usable - min(a->usable, a->used),
                                                             b->usable - min(b->usable, b->used))});
    return (uint32_t)p->pairs.n - 1;
}

static void add_host(struct plan *p, const struct scenario *s, uint32_t machine) {
    const struct scenario_machine *m = &s->machines.v[machine];
    struct plan_host host = {.machine = machine, .nat_nic = find_nat_nic(s, m)};
    bool has_switch = false;
    if (!m->router || host.nat_nic == INDEX_NONE)
        return;
    host.lan_nic = find_lan_nic(s, m, host.nat_nic);
    for (uint32_t i = m->first_nic; i < m->first_nic + m->n_nics; i++) {
        if (s->nics.v[i].on != NIC_ON_SWITCH || !s->nics.v[i].addr.family)
            continue;
        has_switch = true;
        count_guests(s, i, &host);
    }
    if (host.lan_nic == INDEX_NONE || !has_switch)
        return;
    host.pair = find_pair(p, s->nics.v[host.nat_nic].on_index, s->nics.v[host.lan_nic].on_index);
    p->pairs.v[host.pair].hosts++;
    vec_push(&p->hosts, host);
}

void plan_init(struct plan *p, const struct scenario *s) {
    *p = (struct plan){0};
    for (uint32_t i = 0; i < s->subnets.n; i++)
        vec_push(&p->subnets, count_subnet(s, i));
    for (uint32_t i = 0; i < s->machines.n; i++)
        add_host(p, s, i);
}

void plan_fini(struct plan *p) {
    vec_free(&p->subnets);
    vec_free(&p->hosts);
    vec_free(&p->pairs);
}
