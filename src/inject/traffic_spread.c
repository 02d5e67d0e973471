/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Responders spread over routes: which flows have one that is, and the address of each of their copies. Copies and
 * generations have ports of their own, so that any address will do; but the flows' first copies have the captured ones,
 * and two of them with the same initiator's end must not get the same address.
 */
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/random.h>
#include "traffic.h"

#define TRIES 64 /* to find a first copy's address; then it keeps the captured one */

/* Conversations of first copies, by a hash of both ends; open addressing, 0: free. */
struct used {
    uint64_t *slot;
    size_t mask;
};

/* False: it was there. */
static bool enter(struct used *u, uint64_t hash) {
    hash |= 1;
    size_t at = hash >> 1 & u->mask;
    for (; u->slot[at]; at = (at + 1) & u->mask)
        if (u->slot[at] == hash)
            return false;
    u->slot[at] = hash;
    return true;
}

static be32 address_at(const struct traffic_packet *p, unsigned offset) {
    be32 a;
    memcpy(&a, p->data + offset, sizeof a);
    return a;
}

/* The initiator of this packet, with this responder. */
static uint64_t conversation(const struct traffic_packet *p, const struct edit *c, be32 responder) {
    be16 port;
    memcpy(&port, p->data + c->port, sizeof port);
    return mix(mix(mix(p->proto, port), address_at(p, p->l3 + 12u)), responder);
}

/*
 * Is it reached by a default route, or by one of the routes to spread over, instead of which it would be? What is never
 * looked up is not: this network, loopback, multicast, broadcast (DHCP's).
 */
static bool behind_default(const struct traffic_options *o, be32 responder) {
    size_t n;
    uint32_t path, octet = ntohl(responder) >> 24;
    const struct route *routes = route_table_routes(o->table, &n);
    if (octet == 0 || octet == 127 || octet >= 224)
        return false;
    route_lookup(o->table, &responder, &path, 1);
    if (path == ROUTE_NONE)
        return false;
    const uint32_t route = route_path(o->table, path)->route;
    return !routes[route].prefix.len || route >= n - o->spread;
}

static be32 random_address(const struct traffic_options *o, struct random *r) {
    size_t n;
    const struct route *routes = route_table_routes(o->table, &n);
    const struct ip_prefix *p = &routes[n - o->spread + random_below(r, o->spread)].prefix;
    return p->addr.v4 | ((be32)random_u64(r) & ~ipv4_mask(p->len));
}

/* Of a flow whose initiator sent packet `i`: its copies' responders. */
static void spread_flow(struct traffic_plan *plan, uint32_t i, struct used *used, struct random *r) {
    const struct traffic *t = &plan->traffic;
    const struct traffic_packet *p = &t->packets[i];
    const struct edit *c = &plan->edits[i];
    be32 *copies = &plan->responders[(size_t)p->flow * t->copies];
    for (uint32_t k = 1; k < t->copies; k++)
        copies[k] = random_address(&t->options, r);
    for (unsigned tries = 0; tries < TRIES && !c->fixed && !copies[0]; tries++) {
        be32 to = random_address(&t->options, r);
        if (enter(used, conversation(p, c, to)))
            copies[0] = to;
    }
}

void traffic_spread(struct traffic_plan *plan) {
    const struct traffic *t = &plan->traffic;
    uint32_t *first = xalloc((t->n_flows + 1) * sizeof *first);
    size_t size = 1024;
    struct random r;
    while (size < 4 * (size_t)t->n_flows)
        size *= 2;
    struct used used = {.slot = xzalloc(size, sizeof *used.slot), .mask = size - 1};
    plan->responders = xzalloc(t->n_slots + 1, sizeof *plan->responders);
    random_seed(&r, t->options.seed);
    memset(first, 0xff, t->n_flows * sizeof *first);
    for (uint32_t i = 0; i < t->n; i++) {
        const struct traffic_packet *p = &t->packets[i];
        const struct edit *c = &plan->edits[i];
        if (!p->from_initiator || !c->responder || first[p->flow] != INJECT_NONE)
            continue;
        first[p->flow] = i;
        enter(&used, conversation(p, c, address_at(p, c->responder)));
    }
    for (uint32_t f = 0; f < t->n_flows; f++)
        if (first[f] != INJECT_NONE && behind_default(&t->options, address_at(&t->packets[first[f]],
                                                                              plan->edits[first[f]].responder)))
            spread_flow(plan, first[f], &used, &r);
    free(used.slot);
    free(first);
}
