/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside addresses: the outside address that each is paired with (RFC 4787 REQ-2; RFC 7857, 4), its blocks of ports
 * (RFC 7422, 2), and what it may have (RFC 6888 REQ-4, REQ-5). An inside address has a record while it has sessions,
 * and only where the configuration asks for one of these.
 *
 * Counts include what is idle and not freed yet. Where that could change what happens, everything idle is freed first:
 * at a limit, at exhaustion, and when a client has something that it would not get anew (blocks, another address).
 */
#include "nat_client.h"

#include <errno.h>
#include <stdlib.h>

#define SECOND 1000000000ull

/* ---- records ---- */

static void block_free(struct nat *n, uint32_t b) {
    n->blocks[b].client = NAT_NONE;
    n->blocks_free[b / n->n_blocks]++;
}

int nat_clients_init(struct nat *n) {
    const struct nat_config *c = &n->config;
    const bool paired = c->n_addresses > 1 && !c->arbitrary_pooling;
    if (c->personality == NAT_CONNTRACK ||
        !(paired || c->port_block || c->client_sessions || c->client_ports || c->client_rate))
        return 0;
    const size_t most = (size_t)c->max_sessions * (c->hairpin ? 2 : 1); /* with one side of a session each */
    for (n->client_shift = 58; UINT64_C(2) << (64 - n->client_shift) <= c->max_sessions / 4;)
        n->client_shift--;
    n->client_heads = calloc(UINT64_C(1) << (64 - n->client_shift), sizeof *n->client_heads);
    n->clients = nat_alloc(most * sizeof *n->clients);
    if (!n->client_heads || !n->clients)
        return -ENOMEM;
    if (c->client_rate && !(n->paces = nat_alloc(most * sizeof *n->paces)))
        return -ENOMEM;
    if (c->port_block || c->client_ports) {
        n->shares = nat_alloc(most * sizeof *n->shares);
        if (!n->shares)
            return -ENOMEM;
    }
    if (c->port_block) {
        n->n_blocks = (c->port_max - c->port_min + 1u) / c->port_block;
        n->blocks = nat_alloc((size_t)c->n_addresses * n->n_blocks * sizeof *n->blocks);
        n->blocks_free = calloc(c->n_addresses, sizeof *n->blocks_free);
        if (!n->blocks || !n->blocks_free)
            return -ENOMEM;
        for (uint32_t b = 0; b < c->n_addresses * n->n_blocks; b++)
            block_free(n, b);
    }
    return 0;
}

void nat_clients_fini(struct nat *n) {
    free(n->client_heads);
    free(n->clients);
    free(n->paces);
    free(n->shares);
    free(n->blocks);
    free(n->blocks_free);
}

static uint32_t find_in(const struct nat *n, const uint32_t *list, be32 inside) {
    uint32_t i = list ? *list : 0;
    while (i && n->clients[i - 1].inside != inside)
        i = n->clients[i - 1].next;
    return i - 1;
}

uint32_t nat_client_find(const struct nat *n, be32 inside) {
    return find_in(n, nat_client_list(n, inside), inside);
}

static uint32_t client_make(struct nat *n, be32 inside) {
    uint32_t c = n->client_free - 1, *head = nat_client_list(n, inside);
    if (n->client_free)
        n->client_free = n->clients[c].next;
    else
        c = n->clients_used++;
    n->clients[c] = (struct nat_client){.inside = inside, .next = *head, .address = nat_home(n, inside)};
    if (n->shares)
        n->shares[c] = (struct nat_share){.block = NAT_NONE};
    if (n->paces)
        n->paces[c] = 0;
    *head = c + 1;
    return c;
}

static void client_free(struct nat *n, uint32_t c) {
    uint32_t *at = nat_client_list(n, n->clients[c].inside);
    while (*at != c + 1)
        at = &n->clients[*at - 1].next;
    *at = n->clients[c].next;
    for (uint32_t b = n->blocks ? n->shares[c].block : NAT_NONE; b != NAT_NONE; b = n->blocks[b].next)
        block_free(n, b);
    n->clients[c].next = n->client_free;
    n->client_free = c + 1;
}

/*
 * A second's worth of sessions at once, and then one each `interval`: a record that is made anew finds that much unused
 * (those that it has forgotten began a second ago at least).
 */
static uint64_t pace_interval(const struct nat *n) {
    return SECOND / n->config.client_rate;
}
static bool pace_permits(const struct nat *n, uint32_t c, uint64_t now) {
    return c == NAT_NONE || n->paces[c] + pace_interval(n) <= now + SECOND;
}
static __attribute__((noinline)) void pace_use(struct nat *n, uint32_t c) {
    n->paces[c] = (n->paces[c] > n->now ? n->paces[c] : n->now) + pace_interval(n);
}

uint32_t nat_client_take(struct nat *n, be32 inside, const struct nat_place *place) {
    uint32_t c = place ? place->client : NAT_NONE;
    if (c == NAT_NONE || !n->clients[c].sessions) /* what was in the way may have been its last one */
        c = nat_client_find(n, inside);
    const bool is_new = c == NAT_NONE;
    if (is_new)
        c = client_make(n, inside);
    if (n->paces)
        pace_use(n, c);
    if (place && (is_new || place->block != NAT_NONE))
        n->clients[c].address = place->address;
    if (place && place->block != NAT_NONE) {
        n->blocks[place->block] = (struct nat_block){c, n->shares[c].block};
        n->blocks_free[place->address]--;
        n->shares[c].block = place->block;
        n->shares[c].n_blocks++;
    }
    return c;
}

void nat_client_join(struct nat *n, uint32_t c) {
    if (c != NAT_NONE)
        n->clients[c].sessions++;
}

void nat_client_leave(struct nat *n, uint32_t c) {
    if (c != NAT_NONE && --n->clients[c].sessions == 0)
        client_free(n, c);
}

void nat_client_port(struct nat *n, uint32_t c, uint8_t proto, int change) {
    const unsigned class = nat_port_class(proto);
    if (n->shares && c != NAT_NONE && class < 3)
        n->shares[c].ports[class] += (uint32_t)change;
}

/* ---- limits ---- */

/* The client, when it has live sessions. */
static uint32_t settled_client(struct nat *n, be32 inside, uint64_t now) {
    nat_settle(n, now);
    return nat_client_find(n, inside);
}

static bool has_all_sessions(const struct nat *n, uint32_t c) {
    const uint32_t limit = n->config.client_sessions;
    return limit && c != NAT_NONE && n->clients[c].sessions >= limit;
}

static __attribute__((noinline)) bool is_within_limits(struct nat *n, be32 inside, uint64_t now) {
    const uint32_t c = nat_client_find(n, inside);
    if (n->paces && !pace_permits(n, c, now))
        return false;
    return !has_all_sessions(n, c) || !has_all_sessions(n, settled_client(n, inside, now));
}

bool nat_client_may_begin(struct nat *n, be32 inside, uint64_t now) {
    return !(n->config.client_sessions || n->config.client_rate) || is_within_limits(n, inside, now);
}

static bool has_all_ports(const struct nat *n, uint32_t c, uint8_t proto) {
    const uint32_t limit = n->config.client_ports;
    return limit && c != NAT_NONE && n->shares[c].ports[nat_port_class(proto)] >= limit;
}

/* ---- places ---- */

/* A port for what an inside end sends. */
struct want {
    const struct nat_want *of;
    uint32_t port; /* as nat_port_for_mapping wants it */
    uint64_t now;
};

static bool place_at(struct nat *n, const struct want *w, uint32_t address, struct nat_range r,
                     struct nat_place *place) {
    *place = (struct nat_place){.end = {.src = w->of->outward.src, .dst = n->config.addresses[address],
                                        .dport = htons((uint16_t)w->port)},
                                .address = address, .block = NAT_NONE, .client = NAT_NONE};
    if (!n->rests && w->port >= r.low && w->port <= r.high && /* most get what they want */
        nat_cell_node(n, nat_port_cell_at(n, w->of->proto, address, place->end.dport)) == NAT_NONE)
        return true;
    return nat_port_for_mapping(n, w->of->proto, address, &place->end, r, w->port, w->now);
}

/* Where a place is looked for first. */
static uint32_t first_address(const struct nat *n, uint32_t c, const struct nat_want *w) {
    return n->config.arbitrary_pooling || c == NAT_NONE ? w->home : n->clients[c].address;
}

uint32_t nat_first_address(const struct nat *n, const struct nat_tuple *outward) {
    if (!n->config.arbitrary_pooling)
        return nat_home(n, outward->src);
    const struct nat_tuple end = {.src = outward->src, .sport = outward->sport};
    return nat_home_hashed(n, nat_hash(NAT_KEY_NOTHING, 0, &end));
}

static bool place_in_block(struct nat *n, const struct want *w, uint32_t block, struct nat_place *place) {
    const uint32_t low = n->config.port_min + block % n->n_blocks * n->config.port_block;
    return place_at(n, w, block / n->n_blocks, (struct nat_range){low, low + n->config.port_block - 1}, place);
}

/* In one of its blocks, else in a new one: at its address while it has any (RFC 7857, 4), else at any address. */
static enum drop place_in_blocks(struct nat *n, const struct want *w, uint32_t c, struct nat_place *place) {
    const struct nat_config *config = &n->config;
    for (uint32_t b = c == NAT_NONE ? NAT_NONE : n->shares[c].block; b != NAT_NONE; b = n->blocks[b].next)
        if (place_in_block(n, w, b, place))
            return DROP_NONE;
    c = settled_client(n, w->of->outward.src, w->now);
    const uint32_t has = c == NAT_NONE ? 0 : n->shares[c].n_blocks, may = config->client_blocks;
    if (has >= (may ? may : 1))
        return DROP_NAT_CLIENT_LIMIT;
    const uint32_t first = first_address(n, c, w->of);
    const uint32_t shift = (uint32_t)nat_hash_client(w->of->outward.src) % n->n_blocks;
    for (uint32_t i = 0; i < config->n_addresses && (i == 0 || !has || config->arbitrary_pooling); i++) {
        const uint32_t address = (first + i) % config->n_addresses;
        for (uint32_t k = 0; n->blocks_free[address] && k < n->n_blocks; k++) {
            const uint32_t b = address * n->n_blocks + (shift + k) % n->n_blocks;
            if (n->blocks[b].client == NAT_NONE && place_in_block(n, w, b, place)) {
                place->block = b;
                return DROP_NONE;
            }
        }
    }
    return DROP_NAT_NO_PORT;
}

/* A client with sessions stays with its address, also when that has no more ports (RFC 4787 REQ-2; RFC 7857, 4). */
static bool may_move(struct nat *n, be32 inside, uint64_t now) {
    return n->config.n_addresses > 1 &&
           (n->config.arbitrary_pooling || settled_client(n, inside, now) == NAT_NONE);
}

/* Has it an address that it would not get anew? */
static bool has_moved(const struct nat *n, uint32_t c, const struct nat_want *of) {
    return n->clients[c].address != (n->config.arbitrary_pooling ? nat_home(n, of->outward.src) : of->home);
}

bool nat_place_natural(const struct nat *n, const struct nat_want *w, struct nat_place *place) {
    const uint32_t own = ntohs(w->outward.sport);
    if (!n->natural_first || w->proto == PROTO_ICMP || n->cells[w->natural] || own < n->config.port_min ||
        own > n->config.port_max)
        return false;
    const uint32_t c = find_in(n, w->client_list, w->outward.src);
    if (c != NAT_NONE && n->clients[c].address != w->home)
        return false;
    *place = (struct nat_place){.end = {.dst = n->config.addresses[w->home], .dport = w->outward.sport},
                                .address = w->home, .block = NAT_NONE, .client = c};
    return true;
}

enum drop nat_place_mapping(struct nat *n, const struct nat_want *of, struct nat_place *place, uint64_t now) {
    const struct nat_tuple *outward = &of->outward;
    const uint32_t own = ntohs(outward->sport);
    const struct nat_range range = nat_port_range(n, of->proto, (uint16_t)own);
    struct want w = {of, own, now};
    if (n->config.port_choice == NAT_PORT_RANDOM)
        w.port = range.low + random_below(&n->random, range.high - range.low + 1);
    if (n->config.parity)
        w.port = (w.port & ~1u) | (own & 1);
    uint32_t c = find_in(n, of->client_list, outward->src);
    if (c != NAT_NONE && !nat_is_settled(n, now) &&
        (n->blocks || has_all_ports(n, c, of->proto) || has_moved(n, c, of)))
        c = settled_client(n, outward->src, now);
    if (has_all_ports(n, c, of->proto))
        return DROP_NAT_CLIENT_LIMIT;
    if (n->blocks)
        return place_in_blocks(n, &w, c, place);
    const uint32_t first = first_address(n, c, of);
    const bool found = place_at(n, &w, first, range, place);
    place->client = c;
    if (found)
        return DROP_NONE;
    if (may_move(n, outward->src, now))
        for (uint32_t i = 1; i < n->config.n_addresses; i++)
            if (place_at(n, &w, (first + i) % n->config.n_addresses, range, place))
                return DROP_NONE;
    return DROP_NAT_NO_PORT;
}

bool nat_place_portless(struct nat *n, uint8_t proto, be32 inside, struct nat_tuple *reply, uint64_t now) {
    const struct nat_tuple outward = {.src = inside};
    uint32_t c = nat_client_find(n, inside);
    if (c != NAT_NONE && n->clients[c].address != nat_home(n, inside))
        c = settled_client(n, inside, now);
    const uint32_t first = n->config.arbitrary_pooling || c == NAT_NONE ? nat_first_address(n, &outward)
                                                                        : n->clients[c].address;
    for (uint32_t i = 0; i < n->config.n_addresses && (i == 0 || may_move(n, inside, now)); i++) {
        reply->dst = n->config.addresses[(first + i) % n->config.n_addresses];
        if (nat_find_live(n, proto, reply, now) == NAT_NONE)
            return true;
    }
    return false;
}
