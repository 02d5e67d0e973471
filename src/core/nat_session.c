/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions and mappings: records, their index, their timers. The timer wheel is lazy: a session stands in the slot of
 * the moment when it would have ended if it had not been used again, and is moved on when the hand comes by. So a
 * packet that uses a session touches no list.
 */
#include "nat_internal.h"

#include <errno.h>
#include <stdlib.h>

static void session_free(struct nat *n, uint32_t i);

static void ring_init(struct nat_link *ring, uint32_t i) {
    ring[i] = (struct nat_link){i, i};
}
static void ring_add(struct nat_link *ring, uint32_t head, uint32_t i) { /* at the end */
    uint32_t last = ring[head].prev;
    ring[i] = (struct nat_link){last, head};
    ring[last].next = ring[head].prev = i;
}
static void ring_remove(struct nat_link *ring, uint32_t i) {
    ring[ring[i].prev].next = ring[i].next;
    ring[ring[i].next].prev = ring[i].prev;
}

int nat_records_init(struct nat *n) {
    n->n_records = n->config.n_port_maps + n->config.max_sessions;
    n->records = nat_alloc(n->n_records * sizeof *n->records);
    n->cold = nat_alloc(n->n_records * sizeof *n->cold);
    n->timers = nat_alloc((n->n_records + NAT_WHEEL_SLOTS) * sizeof *n->timers);
    if (!n->records || !n->cold || !n->timers)
        return -ENOMEM;
    /* A session has two keys, and two more when it is alone in its mapping. */
    return nat_table_init(&n->table, (n->config.personality == NAT_INTERFACE ? 4 : 2) * n->n_records);
}

void nat_records_clear(struct nat *n) {
    nat_table_clear(&n->table);
    for (uint32_t i = 0; i < n->n_records; i++) {
        n->records[i].kind = NAT_FREE;
        n->cold[i].siblings.next = i + 1;
    }
    n->free = 0;
    for (uint32_t slot = 0; slot < NAT_WHEEL_SLOTS; slot++)
        ring_init(n->timers, n->n_records + slot);
}

static uint32_t record_take(struct nat *n) {
    const uint32_t i = n->free;
    assert(i < n->n_records);
    n->free = n->cold[i].siblings.next;
    return i;
}

/* ---- the index ---- */

static uint64_t hash_way(const struct nat_record *r, bool reply) {
    return nat_hash(NAT_KEY_SESSION, r->proto, &r->way[reply]);
}
static uint64_t hash_inside(const struct nat *n, const struct nat_record *r) {
    const struct nat_tuple end = nat_inside_end(n, nat_outward(r));
    return nat_hash(NAT_KEY_INSIDE, r->proto, &end);
}
static uint64_t hash_outside(const struct nat_record *r) {
    const struct nat_tuple end = nat_outside_end(r);
    return nat_hash(NAT_KEY_OUTSIDE, r->proto, &end);
}

/* Of an end with itself: packets look the same both ways. It has one key then, and they all count as original. */
static bool looks_same(const struct nat_record *r) {
    return nat_tuple_equal(&r->way[0], &r->way[1]);
}

uint32_t nat_find_live(struct nat *n, uint8_t proto, const struct nat_tuple *tuple, uint64_t now) {
    const uint32_t value = nat_find_value(n, proto, tuple);
    if (value == NAT_NONE || nat_session_fresh(n, &n->records[value >> 1], now))
        return value;
    session_free(n, value >> 1);
    return NAT_NONE;
}

/* ---- mappings ---- */

void nat_port_map_create(struct nat *n, uint8_t proto, const struct nat_tuple *inside, const struct nat_tuple *outside,
                         uint16_t flags) {
    const uint32_t i = record_take(n);
    n->records[i] = (struct nat_record){.way = {*inside, *outside}, .kind = NAT_PORT_MAP, .proto = proto, .flags = flags};
    /* whatever the mappings look at, a port map is for all ends */
    if (!(flags & NAT_OUTSIDE_ONLY))
        nat_table_insert(&n->table, nat_hash(NAT_KEY_INSIDE, proto, inside), nat_value(i, false));
    nat_table_insert(&n->table, hash_outside(&n->records[i]), nat_value(i, true));
    nat_port_take(n, proto, outside->dst, outside->dport);
}

/* The sessions of a mapping are a ring; `i` joins that of `head`. */
static void siblings_add(struct nat *n, uint32_t head, uint32_t i) {
    struct nat_cold *c = n->cold;
    const uint32_t last = c[head].siblings.prev;
    c[i].siblings = (struct nat_link){last, head};
    c[last].siblings.next = c[head].siblings.prev = i;
}

static void siblings_remove(struct nat *n, uint32_t i) {
    const struct nat_link at = n->cold[i].siblings;
    n->cold[at.prev].siblings.next = at.next;
    n->cold[at.next].siblings.prev = at.prev;
}

static void mapping_join(struct nat *n, uint32_t i, uint64_t now) {
    struct nat_record *r = &n->records[i];
    const struct nat_tuple end = nat_outside_end(r);
    const uint32_t other = nat_mapping_outside(n, r->proto, end.dst, end.dport, now);
    n->cold[i].siblings = (struct nat_link){i, i};
    r->flags |= NAT_MAPPED;
    if (other != NAT_NONE) {
        siblings_add(n, other, i);
        return;
    }
    r->flags |= NAT_HEAD;
    nat_table_insert(&n->table, hash_inside(n, r), nat_value(i, false));
    nat_table_insert(&n->table, hash_outside(r), nat_value(i, true));
    nat_port_take(n, r->proto, end.dst, end.dport);
}

/* The last one takes the mapping with it; a head's place is taken by the next. */
static void mapping_leave(struct nat *n, uint32_t i) {
    const struct nat_record *r = &n->records[i];
    const uint32_t next = n->cold[i].siblings.next;
    siblings_remove(n, i);
    if (!(r->flags & NAT_HEAD))
        return;
    if (next != i) {
        n->records[next].flags |= NAT_HEAD;
        nat_table_replace(&n->table, hash_inside(n, r), nat_value(i, false), nat_value(next, false));
        nat_table_replace(&n->table, hash_outside(r), nat_value(i, true), nat_value(next, true));
        return;
    }
    const struct nat_tuple end = nat_outside_end(r);
    nat_table_remove(&n->table, hash_inside(n, r), nat_value(i, false));
    nat_table_remove(&n->table, hash_outside(r), nat_value(i, true));
    nat_port_give_back(n, r->proto, end.dst, end.dport);
}

/* A mapping lives while one of its sessions does. Idle ones that stand before the first live one are freed. */
static uint32_t mapping_live(struct nat *n, uint32_t i, uint64_t now) {
    while (n->records[i].kind == NAT_SESSION && !nat_session_fresh(n, &n->records[i], now)) {
        const uint32_t next = n->cold[i].siblings.next;
        session_free(n, i);
        if (next == i)
            return NAT_NONE;
        i = next;
    }
    return i;
}

static bool has_inside_end(const struct nat *n, const struct nat_record *r, uint8_t proto, const struct nat_tuple *end) {
    const struct nat_tuple mine = r->kind == NAT_PORT_MAP ? r->way[0] : nat_inside_end(n, nat_outward(r));
    return r->proto == proto && (r->kind == NAT_PORT_MAP ? !(r->flags & NAT_OUTSIDE_ONLY) : r->flags & NAT_MAPPED) &&
           nat_tuple_equal(&mine, end);
}

static uint32_t find_inside(struct nat *n, uint8_t proto, const struct nat_tuple *end, uint64_t now) {
    struct nat_search s;
    uint32_t v = nat_search(&s, &n->table, nat_hash(NAT_KEY_INSIDE, proto, end));
    while (v != NAT_NONE && !has_inside_end(n, &n->records[v >> 1], proto, end))
        v = nat_search_on(&s, &n->table);
    return v == NAT_NONE ? NAT_NONE : mapping_live(n, v >> 1, now);
}

uint32_t nat_mapping_inside(struct nat *n, uint8_t proto, const struct nat_tuple *outward, uint64_t now) {
    const struct nat_tuple any = {.src = outward->src, .sport = outward->sport}, end = nat_inside_end(n, outward);
    const uint32_t i = find_inside(n, proto, &end, now);
    return i == NAT_NONE && n->config.n_port_maps && n->config.mapping ? find_inside(n, proto, &any, now) : i;
}

uint32_t nat_mapping_outside(struct nat *n, uint8_t proto, be32 addr, be16 port, uint64_t now) {
    const struct nat_tuple end = {.dst = addr, .dport = port};
    struct nat_search s;
    uint32_t v = nat_search(&s, &n->table, nat_hash(NAT_KEY_OUTSIDE, proto, &end));
    for (; v != NAT_NONE; v = nat_search_on(&s, &n->table)) {
        const struct nat_record *r = &n->records[v >> 1];
        const struct nat_tuple mine = nat_outside_end(r);
        if (r->proto == proto && (r->kind == NAT_PORT_MAP || r->flags & NAT_MAPPED) && nat_tuple_equal(&mine, &end))
            return mapping_live(n, v >> 1, now);
    }
    return NAT_NONE;
}

/* ---- sessions ---- */

/* With NAT_CONNTRACK each session uses an outside port of its own account. */
static bool uses_port(const struct nat *n, const struct nat_record *r) {
    return n->config.personality == NAT_CONNTRACK && r->way[1].dst != r->way[0].src;
}

static void session_free(struct nat *n, uint32_t i) {
    struct nat_record *r = &n->records[i];
    ring_remove(n->timers, i);
    if (r->flags & NAT_MAPPED)
        mapping_leave(n, i);
    if (uses_port(n, r))
        nat_port_give_back(n, r->proto, r->way[1].dst, r->way[1].dport);
    for (int reply = 0; reply < 2 - looks_same(r); reply++)
        nat_table_remove(&n->table, hash_way(r, reply), nat_value(i, reply));
    r->kind = NAT_FREE;
    n->cold[i].siblings.next = n->free;
    n->free = i;
    n->stats.expired++;
    n->stats.live--;
}

void nat_sessions_free(struct nat *n) {
    for (uint32_t i = 0; i < n->n_records && n->stats.live; i++)
        if (n->records[i].kind == NAT_SESSION)
            session_free(n, i);
}

/* Into the slot of the last tick in which it lives, as far as is known now. */
static void timer_set(struct nat *n, uint32_t i) {
    const struct nat_record *r = &n->records[i];
    const int32_t left = (int32_t)(r->last + n->idle[r->timer] - (uint32_t)n->hand);
    const uint32_t ahead = left < 0 ? 0 : left < (int32_t)NAT_WHEEL_SLOTS ? (uint32_t)left : NAT_WHEEL_SLOTS - 1;
    ring_add(n->timers, n->n_records + (n->hand + ahead) % NAT_WHEEL_SLOTS, i);
}

uint32_t nat_session_create(struct nat *n, const struct nat_new *new, uint64_t now) {
    const uint32_t i = record_take(n), tick = nat_tick(now);
    struct nat_record *r = &n->records[i];
    *r = (struct nat_record){.way = {new->way[0], new->way[1]}, .last = tick, .proto = new->proto,
                             .kind = NAT_SESSION, .timer = TIMER_OTHER, .flags = new->flags & ~NAT_MAPPED};
    n->cold[i] = (struct nat_cold){.first = tick, .client = new->client};
    nat_table_insert(&n->table, hash_way(r, false), nat_value(i, false));
    if (!looks_same(r))
        nat_table_insert(&n->table, hash_way(r, true), nat_value(i, true));
    if (new->flags & NAT_MAPPED)
        mapping_join(n, i, now);
    if (uses_port(n, r))
        nat_port_take(n, r->proto, r->way[1].dst, r->way[1].dport);
    n->stats.created++;
    if (n->stats.live == 0)
        n->hand = now >> NAT_TICK_SHIFT; /* an empty wheel is turned by hand */
    if (++n->stats.live > n->stats.peak)
        n->stats.peak = n->stats.live;
    timer_set(n, i);
    return i;
}

void nat_session_touch(struct nat *n, uint32_t i, enum nat_timer timer, uint64_t now) {
    struct nat_record *r = &n->records[i];
    const bool sooner = n->idle[timer] < n->idle[r->timer];
    r->last = nat_tick(now);
    r->timer = (uint8_t)timer & 7;
    if (sooner) {
        ring_remove(n->timers, i);
        timer_set(n, i);
    }
}

/* Turns the wheel: until now, or `budget` is used up, or `wanted` sessions were freed. */
static void wheel_turn(struct nat *n, uint64_t now, unsigned budget, unsigned wanted) {
    const uint64_t tick = now >> NAT_TICK_SHIFT;
    if (tick > n->hand + NAT_WHEEL_SLOTS)
        n->hand = tick - NAT_WHEEL_SLOTS; /* one turn passes every session */
    for (; n->hand < tick && budget && wanted; budget--) {
        uint32_t slot = n->n_records + n->hand % NAT_WHEEL_SLOTS, i = n->timers[slot].next;
        if (i == slot) {
            n->hand++;
        } else if (nat_session_fresh(n, &n->records[i], now)) {
            ring_remove(n->timers, i);
            timer_set(n, i);
        } else {
            session_free(n, i);
            wanted--;
        }
    }
}

void nat_expire(struct nat *n, uint64_t now, unsigned budget) {
    nat_clock(n, now);
    if (n->stats.live)
        wheel_turn(n, now, budget, UINT32_MAX);
}

void nat_settle(struct nat *n, uint64_t now) {
    wheel_turn(n, now, UINT32_MAX, UINT32_MAX);
}

bool nat_session_room(struct nat *n, uint64_t now) {
    if (n->stats.live == n->config.max_sessions)
        wheel_turn(n, now, UINT32_MAX, 1);
    return n->stats.live < n->config.max_sessions;
}
