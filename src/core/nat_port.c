/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Outside addresses and their ports: which are in use, and which one a session or a mapping gets. A port keeps its
 * number where it may (RFC 4787 REQ-3); Linux without a range lets any port keep it, also a low one.
 *
 * A port whose mapping is idle is free, although it may still stand in the bitmap: a search asks the index about such
 * ports as long as there may be any. So the port that is found does not depend on when timers are looked at.
 */
#include "nat_internal.h"

#include <errno.h>
#include <stdlib.h>

/* A search among tuples that found nothing in so many places gives up, as Linux does after some hundred. */
#define PROBES_MAX 512u
/* After so many ports that were asked about, all that is idle is freed, and then the bitmap is right. */
#define ASK_MAX 512u

int nat_ports_init(struct nat *n) {
    const struct nat_config *c = &n->config;
    const size_t sets = (size_t)c->n_addresses * 3;
    uint32_t slots = 4;
    while (slots < 4 * c->n_addresses)
        slots *= 2;
    n->address_mask = slots - 1;
    n->address_slots = calloc(slots, sizeof *n->address_slots);
    if (c->personality == NAT_INTERFACE)
        n->ports = calloc(sets, sizeof *n->ports);
    else
        n->port_users = calloc(sets << 16, sizeof *n->port_users);
    if (!n->address_slots || !(n->ports || n->port_users))
        return -ENOMEM;
    for (uint32_t i = 0; i < c->n_addresses; i++) {
        uint32_t at = nat_address_hash(c->addresses[i]);
        while (n->address_slots[at & n->address_mask])
            at++;
        n->address_slots[at & n->address_mask] = (uint16_t)(i + 1);
    }
    return 0;
}

void nat_ports_fini(struct nat *n) {
    free(n->address_slots);
    free(n->ports);
    free(n->port_users);
}

/* Which set a port is in; NAT_NONE: it is not translated. */
static uint32_t set_of(const struct nat *n, uint8_t proto, be32 outside) {
    const unsigned class = nat_port_class(proto);
    const uint32_t address = class < 3 ? nat_address_index(n, outside) : NAT_NONE;
    return address == NAT_NONE ? NAT_NONE : address * 3 + class;
}

static void port_set(struct nat_port_set *s, uint32_t port) {
    uint64_t *word = &s->used[port / 64];
    *word |= UINT64_C(1) << port % 64;
    if (!~*word)
        s->full[port / 64 / 64] |= UINT64_C(1) << port / 64 % 64;
}

static void port_clear(struct nat_port_set *s, uint32_t port) {
    s->used[port / 64] &= ~(UINT64_C(1) << port % 64);
    s->full[port / 64 / 64] &= ~(UINT64_C(1) << port / 64 % 64);
}

void nat_port_take(struct nat *n, uint8_t proto, be32 outside, be16 port) {
    const uint32_t set = set_of(n, proto, outside);
    if (set == NAT_NONE || (n->port_users && ++n->port_users[(size_t)set << 16 | ntohs(port)] > 1))
        return;
    if (n->ports)
        port_set(&n->ports[set], ntohs(port));
    if (++n->stats.ports_live > n->stats.ports_peak)
        n->stats.ports_peak = n->stats.ports_live;
}

void nat_port_give_back(struct nat *n, uint8_t proto, be32 outside, be16 port) {
    const uint32_t set = set_of(n, proto, outside);
    if (set == NAT_NONE || (n->port_users && --n->port_users[(size_t)set << 16 | ntohs(port)]))
        return;
    if (n->ports)
        port_clear(&n->ports[set], ntohs(port));
    n->stats.ports_live--;
}

/* Linux has classes when it was given no range. */
struct nat_range nat_port_range(const struct nat *n, uint8_t proto, uint16_t own) {
    if (n->any_port && proto == PROTO_ICMP && !n->config.port_block)
        return (struct nat_range){0, UINT16_MAX};
    if (n->any_port && n->config.personality == NAT_CONNTRACK && own < 1024)
        return own < 512 ? (struct nat_range){1, 511} : (struct nat_range){600, 1023};
    return (struct nat_range){n->config.port_min, n->config.port_max};
}

static bool in_range(struct nat_range r, uint32_t port) {
    return port >= r.low && port <= r.high;
}

static uint32_t common_divisor(uint32_t a, uint32_t b) {
    return b ? common_divisor(b, a % b) : a;
}

/* Ports are tried in an order of the flow's own, so that flows do not queue up behind one another. */
bool nat_port_for_session(struct nat *n, const struct packet *p, struct nat_tuple *reply, uint64_t now) {
    uint8_t proto = p->proto;
    be16 own = nat_packet_tuple(p).sport;
    bool moves = nat_moves_port(p, true);
    struct nat_range r = nat_port_range(n, proto, ntohs(own));
    reply->dport = own;
    if ((!moves || n->any_port || in_range(r, ntohs(own))) &&
        nat_find_live(n, proto, reply, now) == NAT_NONE)
        return true;
    if (!moves)
        return false;
    const struct nat_tuple flow = nat_packet_tuple(p);
    uint64_t hash = nat_hash(NAT_KEY_NOTHING, proto, &flow) >> 16;
    uint32_t size = r.high - r.low + 1, at = (uint32_t)(hash >> 24) % size, step = (uint32_t)(hash & 0xffffff) % size;
    while (common_divisor(step, size) != 1) /* then every port has its turn */
        step++;
    for (uint32_t i = 0; i < size && i < PROBES_MAX; i++, at = (at + step) % size) {
        reply->dport = htons((uint16_t)(r.low + at));
        if (nat_find_live(n, proto, reply, now) == NAT_NONE)
            return true;
    }
    return false;
}

/* The first word from w on that has a port left; after the last one when there is none. */
static uint32_t open_word(const struct nat_port_set *s, uint32_t w) {
    const uint32_t words = sizeof s->used / sizeof *s->used;
    uint64_t open = w < words ? ~s->full[w / 64] & ~UINT64_C(0) << w % 64 : 0;
    while (!open && (w = (w / 64 + 1) * 64) < words)
        open = ~s->full[w / 64];
    return open ? w / 64 * 64 + (uint32_t)__builtin_ctzll(open) : words;
}

/* The first port from `from` to `to` that is free, of those whose bits stand in `mask`; UINT32_MAX. */
static uint32_t first_free(const struct nat_port_set *s, uint64_t mask, uint32_t from, uint32_t to) {
    for (uint32_t w = open_word(s, from / 64); w <= to / 64; w = open_word(s, w + 1)) {
        const uint64_t after = w == from / 64 ? ~UINT64_C(0) << from % 64 : ~UINT64_C(0);
        const uint64_t open = ~s->used[w] & mask & after;
        if (!open)
            continue;
        const uint32_t port = w * 64 + (uint32_t)__builtin_ctzll(open);
        return port <= to ? port : UINT32_MAX;
    }
    return UINT32_MAX;
}

be16 nat_port_guess(const struct nat *n, uint8_t proto, be32 outside, be16 own) {
    const uint32_t set = set_of(n, proto, outside);
    if (set == NAT_NONE)
        return own;
    const uint32_t port = first_free(&n->ports[set], ~UINT64_C(0), ntohs(own), UINT16_MAX);
    return port == UINT32_MAX ? own : htons((uint16_t)port);
}

/* Is there a port among from..to, of those in `mask`? Those in use are asked about, in order, if they may be idle. */
static bool search(struct nat *n, uint8_t proto, struct nat_tuple *end, uint64_t mask, uint32_t from, uint32_t to,
                   uint32_t *asked, uint64_t now) {
    const struct nat_port_set *set = &n->ports[set_of(n, proto, end->dst)];
    uint32_t found = first_free(set, mask, from, to);
    for (uint32_t port = from; port <= to && port < found && !nat_is_settled(n, now); port++) {
        if (!(mask >> port % 64 & 1))
            continue;
        end->dport = htons((uint16_t)port);
        if (nat_mapping_outside(n, proto, end->dst, end->dport, now) == NAT_NONE)
            return true;
        if (++*asked == ASK_MAX) {
            nat_settle(n, now);
            found = first_free(set, mask, from, to);
        }
    }
    end->dport = htons((uint16_t)found);
    return found != UINT32_MAX;
}

bool nat_port_for_mapping(struct nat *n, uint8_t proto, struct nat_tuple *end, struct nat_range r, uint32_t wanted,
                          uint64_t now) {
    const uint32_t size = r.high - r.low + 1, from = in_range(r, wanted) ? wanted : r.low + wanted % size;
    const uint64_t even = UINT64_C(0x5555555555555555);
    const bool parity = n->config.parity && proto == PROTO_UDP;
    const uint64_t mask = !parity ? ~UINT64_C(0) : wanted & 1 ? even << 1 : even;
    uint32_t asked = 0;
    return search(n, proto, end, mask, from, r.high, &asked, now) ||
           (from > r.low && search(n, proto, end, mask, r.low, from - 1, &asked, now));
}
