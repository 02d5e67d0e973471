/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Outside addresses and their ports: which are in use, and which one a session or a mapping gets. A port keeps its
 * number where it may (RFC 4787 REQ-3); Linux without a range lets any port keep it, also a low one.
 *
 * A port whose mapping is idle is free, although it may still stand in its cell: a search looks at such mappings as
 * long as there may be any. So the port that is found does not depend on when timers are looked at.
 *
 * A port may rest after its mapping (RFC 6888 REQ-8): it is free for nobody but who had it and asks for it, so that
 * nobody gets what is still on the way to another. The rest is counted from the end of the mapping's last session.
 *
 * A search looks at groups of ports first. One whose ports are all in use is counted as such; one where a search found
 * ports that rest and nothing else is passed over (struct nat_quiet) until the first of these rests is over or a port
 * is given back. So whole groups are looked at in vain no more often than mappings and their rests end, and what a
 * packet costs that is refused is a look at each group, and at the ports of those at both ends of a range.
 */
#include "nat_internal.h"

#include <errno.h>
#include <stdlib.h>

/* A search among tuples that found nothing in so many places gives up, as Linux does after some hundred. */
#define PROBES_MAX 512u
/* After so many ports that were asked about, all that is idle is freed, and then the cells are right. */
#define ASK_MAX 512u
/* So few ports for each session that huge pages of them would have no unused page. */
#define DENSE_SHIFT 9

int nat_ports_init(struct nat *n) {
    const struct nat_config *c = &n->config;
    const size_t sets = (size_t)c->n_addresses * 3;
    uint32_t slots = 4;
    while (slots < 4 * c->n_addresses)
        slots *= 2;
    n->address_mask = slots - 1;
    n->address_inverse = UINT64_MAX / c->n_addresses + 1;
    n->address_slots = calloc(slots, sizeof *n->address_slots);
    n->cells = calloc(sets << 16, sizeof *n->cells); /* costs nothing where it is not used */
    if (c->personality == NAT_INTERFACE)
        n->groups = calloc((sets << 16) / NAT_PORT_GROUP, sizeof *n->groups);
    if (c->port_rest && c->personality == NAT_INTERFACE) {
        n->rests = calloc(sets << 16, sizeof *n->rests);
        n->quiet = calloc((sets << 16) / NAT_PORT_GROUP, sizeof *n->quiet);
        if (!n->rests || !n->quiet)
            return -ENOMEM;
    }
    if (!n->address_slots || !n->cells || (c->personality == NAT_INTERFACE && !n->groups))
        return -ENOMEM;
    if (c->max_sessions >= sets << 16 >> DENSE_SHIFT)
        nat_huge_pages(n->cells, (sets << 16) * sizeof *n->cells);
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
    free(n->cells);
    free(n->groups);
    free(n->rests);
    free(n->quiet);
}

void nat_port_take(struct nat *n, uint32_t cell) {
    if (cell == NAT_NONE || (!n->groups && n->cells[cell]++))
        return;
    if (n->groups)
        n->groups[cell / NAT_PORT_GROUP]++;
    if (++n->stats.ports_live > n->stats.ports_peak)
        n->stats.ports_peak = n->stats.ports_live;
}

void nat_port_give_back(struct nat *n, uint32_t cell) {
    if (cell == NAT_NONE || (!n->groups && --n->cells[cell]))
        return;
    if (n->groups)
        n->groups[cell / NAT_PORT_GROUP]--;
    if (n->quiet)
        n->quiet[cell / NAT_PORT_GROUP] = (struct nat_quiet){0};
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

/* ---- rest ---- */

/* The tick as those of 64 bits are counted. */
static uint64_t whole_tick(const struct nat *n, uint32_t tick) {
    return (n->now >> NAT_TICK_SHIFT) + (uint64_t)(int32_t)(tick - nat_tick(n->now));
}

__attribute__((cold)) void nat_port_rest(struct nat *n, uint32_t node) {
    const struct nat_record *r = &n->records[node >> 1];
    const struct nat_tuple end = nat_node_outside(n, node);
    if (r->proto == PROTO_TCP)
        return;
    struct nat_rest *rest = &n->rests[nat_port_cell(n, r->proto, end.dst, end.dport)];
    const uint64_t until = whole_tick(n, r->last + n->idle[r->timer]) + (n->config.port_rest >> NAT_TICK_SHIFT) + 1;
    if (rest->epoch != n->rest_epoch || rest->until < until)
        rest->until = until;
    rest->epoch = n->rest_epoch;
    rest->inside = nat_node_outward(n, node)->src;
}

static uint64_t tick_now(const struct nat *n) {
    return n->now >> NAT_TICK_SHIFT;
}

/* inside: who may have it, although it was his; 0: nobody. */
static __attribute__((noinline)) bool rests(const struct nat *n, uint32_t cell, be32 inside) {
    const struct nat_rest *rest = &n->rests[cell];
    return rest->epoch == n->rest_epoch && rest->inside != inside && tick_now(n) <= rest->until;
}

/* ---- ports of mappings ---- */

static bool is_free(const struct nat *n, uint32_t cell, be32 inside) {
    return nat_cell_node(n, cell) == NAT_NONE && (!n->rests || !rests(n, cell, inside));
}

/* Ports of one address, `step` (1, 2) apart. */
struct ports {
    uint32_t first_cell, step;
};

static bool is_quiet(const struct nat *n, uint32_t group, unsigned parity) {
    const struct nat_quiet *q = &n->quiet[group];
    return q->epoch == n->rest_epoch && tick_now(n) < q->over[parity];
}

/* Its last ports were looked at in vain: are the others in use or resting as well? */
static __attribute__((noinline)) void note_quiet(struct nat *n, uint32_t group, uint32_t step, unsigned parity) {
    struct nat_quiet *q = &n->quiet[group];
    uint64_t over = UINT64_MAX;
    for (uint32_t k = parity; k < NAT_PORT_GROUP; k += step) {
        const uint32_t cell = group * NAT_PORT_GROUP + k;
        if (is_free(n, cell, 0))
            return;
        if (nat_cell_node(n, cell) == NAT_NONE && n->rests[cell].until + 1 < over)
            over = n->rests[cell].until + 1;
    }
    if (q->epoch != n->rest_epoch)
        *q = (struct nat_quiet){.epoch = n->rest_epoch};
    q->over[parity] = over;
}

/* The first port from `from` to `to` that is free for anybody; UINT32_MAX. */
static uint32_t first_free(struct nat *n, const struct ports *p, uint32_t from, uint32_t to) {
    for (uint32_t port = from; port <= to;) {
        const uint32_t next = (port / NAT_PORT_GROUP + 1) * NAT_PORT_GROUP, parity = port & (p->step - 1);
        const uint32_t group = (p->first_cell + port) / NAT_PORT_GROUP;
        if (n->groups[group] < NAT_PORT_GROUP && !(n->quiet && is_quiet(n, group, parity))) {
            for (; port < next && port <= to; port += p->step)
                if (is_free(n, p->first_cell + port, 0))
                    return port;
            if (n->quiet && port >= next)
                note_quiet(n, group, p->step, parity);
        }
        port = next + parity;
    }
    return UINT32_MAX;
}

/*
 * Is there a port among from..to? Those in use are asked about, in order, if they may be idle. own: the port that may
 * rest for end->src.
 */
static bool search(struct nat *n, const struct ports *p, struct nat_tuple *end, uint32_t own, uint32_t from,
                   uint32_t to, uint32_t *asked, uint64_t now) {
    const bool keeps = from == own && own <= to && is_free(n, p->first_cell + own, end->src);
    uint32_t found = keeps ? own : first_free(n, p, from, to);
    for (uint32_t port = from; port <= to && port < found && !nat_is_settled(n, now); port += p->step) {
        const uint32_t cell = p->first_cell + port;
        end->dport = htons((uint16_t)port);
        if (nat_mapping_at(n, cell, now) == NAT_NONE && is_free(n, cell, port == own ? end->src : 0))
            return true;
        if (++*asked == ASK_MAX) {
            nat_settle(n, now);
            found = first_free(n, p, from, to);
        }
    }
    end->dport = htons((uint16_t)found);
    return found != UINT32_MAX;
}

bool nat_port_for_mapping(struct nat *n, uint8_t proto, uint32_t address, struct nat_tuple *end, struct nat_range r,
                          uint32_t wanted, uint64_t now) {
    const uint32_t size = r.high - r.low + 1, from = in_range(r, wanted) ? wanted : r.low + wanted % size;
    const uint32_t step = n->config.parity && proto == PROTO_UDP ? 2 : 1, odd = (from ^ wanted) & (step - 1);
    const uint32_t low = r.low + ((r.low ^ wanted) & (step - 1)), own = from + odd;
    const struct ports p = {nat_port_cell_at(n, proto, address, 0), step};
    uint32_t asked = 0;
    return search(n, &p, end, own, own, r.high, &asked, now) ||
           (from > r.low && search(n, &p, end, own, low, from - 1, &asked, now));
}
