/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions and mappings: records, their index, their timers. The timer wheel is lazy: a session stands in the slot of
 * the moment when it would have ended if it had not been used again, and is moved on when the hand comes by. So a
 * packet that uses a session touches no list.
 */
#include "nat_internal.h"

#include <errno.h>
#include <stdlib.h>

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
    if (n->config.personality == NAT_INTERFACE)
        n->n_records += n->config.max_sessions; /* each session may need a mapping of its own */
    n->records = nat_alloc(n->n_records * sizeof *n->records);
    n->timers = malloc((n->n_records + NAT_WHEEL_SLOTS) * sizeof *n->timers);
    if (!n->records || !n->timers)
        return -ENOMEM;
    return nat_table_init(&n->table, 2 * n->n_records);
}

void nat_records_clear(struct nat *n) {
    nat_table_clear(&n->table);
    for (uint32_t i = 0; i < n->n_records; i++)
        n->records[i] = (struct nat_record){.kind = NAT_FREE, .siblings.next = i + 1};
    n->free = 0;
    for (uint32_t slot = 0; slot < NAT_WHEEL_SLOTS; slot++)
        ring_init(n->timers, n->n_records + slot);
}

static struct nat_record *record_take(struct nat *n, uint32_t *index) {
    *index = n->free;
    assert(*index < n->n_records);
    struct nat_record *r = &n->records[*index];
    n->free = r->siblings.next;
    return r;
}

/* Of an end with itself: packets look the same both ways. It has one key then, and they all count as original. */
static bool looks_same(const struct nat_record *r) {
    return memcmp(&r->original, &r->reply, sizeof r->reply) == 0;
}

static void index_add(struct nat *n, uint32_t i, enum nat_key_kind kind, bool reply) {
    const struct nat_record *r = &n->records[i];
    struct nat_key key = nat_key(kind, r->proto, nat_before(r, reply));
    nat_table_insert(&n->table, &key, nat_value(i, reply));
}

static void record_free(struct nat *n, uint32_t i, enum nat_key_kind kind) {
    struct nat_record *r = &n->records[i];
    for (int reply = 0; reply < 2 - looks_same(r); reply++) {
        struct nat_key key = nat_key(kind, r->proto, nat_before(r, reply));
        nat_table_remove(&n->table, &key, nat_value(i, reply));
    }
    r->kind = NAT_FREE;
    r->siblings.next = n->free;
    n->free = i;
}

/* ---- mappings ---- */

/* The ring of a mapping's sessions goes through fields of the records themselves. */
static void siblings_add(struct nat *n, uint32_t mapping, uint32_t i) {
    struct nat_record *r = n->records;
    uint32_t last = r[mapping].siblings.prev;
    r[i].siblings = (struct nat_link){last, mapping};
    r[last].siblings.next = r[mapping].siblings.prev = i;
}

static void siblings_remove(struct nat *n, uint32_t i) {
    struct nat_record *r = n->records;
    struct nat_link at = r[i].siblings;
    r[at.prev].siblings.next = at.next;
    r[at.next].siblings.prev = at.prev;
}

uint32_t nat_mapping_create(struct nat *n, uint8_t proto, be32 inside, be16 inside_port, be32 outside,
                            be16 outside_port, uint8_t flags) {
    uint32_t i;
    struct nat_record *r = record_take(n, &i);
    *r = (struct nat_record){.original = {.src = inside, .sport = inside_port}, .kind = NAT_MAPPING, .proto = proto,
                             .reply = {.dst = outside, .dport = outside_port}, .flags = flags, .mapping = NAT_NONE,
                             .siblings = {i, i}};
    if (!(flags & NAT_OUTSIDE_ONLY))
        index_add(n, i, NAT_KEY_MAPPING, false);
    index_add(n, i, NAT_KEY_MAPPING, true);
    nat_port_take(n, proto, outside, outside_port);
    return i;
}

/* With NAT_CONNTRACK each session uses an outside port of its own account. */
static bool uses_port(const struct nat *n, const struct nat_record *r) {
    return n->config.personality == NAT_CONNTRACK && r->reply.dst != r->original.src;
}

static void session_free(struct nat *n, uint32_t i) {
    struct nat_record *r = &n->records[i], *m = r->mapping == NAT_NONE ? NULL : &n->records[r->mapping];
    ring_remove(n->timers, i);
    if (m)
        siblings_remove(n, i);
    if (uses_port(n, r))
        nat_port_give_back(n, r->proto, r->reply.dst, r->reply.dport);
    record_free(n, i, NAT_KEY_SESSION);
    n->stats.expired++;
    n->stats.live--;
    if (m && &n->records[m->siblings.next] == m && !(m->flags & NAT_STATIC)) {
        nat_port_give_back(n, m->proto, m->reply.dst, m->reply.dport);
        record_free(n, (uint32_t)(m - n->records), NAT_KEY_MAPPING);
    }
}

void nat_sessions_free(struct nat *n) {
    for (uint32_t i = 0; i < n->n_records && n->stats.live; i++)
        if (n->records[i].kind == NAT_SESSION)
            session_free(n, i);
}

/* A mapping lives while one of its sessions does. Idle ones that stand before the first live one are freed. */
static bool mapping_live(struct nat *n, uint32_t m, uint64_t now) {
    const struct nat_record *r = &n->records[m];
    if (r->flags & NAT_STATIC)
        return true;
    while (r->kind == NAT_MAPPING) {
        uint32_t i = r->siblings.next;
        if (nat_session_fresh(n, &n->records[i], now))
            return true;
        session_free(n, i); /* the last one takes the mapping with it */
    }
    return false;
}

uint32_t nat_find_live(struct nat *n, enum nat_key_kind kind, uint8_t proto, const struct nat_tuple *tuple,
                       uint64_t now) {
    struct nat_key key = nat_key(kind, proto, *tuple);
    uint32_t value = nat_table_find(&n->table, &key);
    if (value == NAT_NONE)
        return NAT_NONE;
    uint32_t i = value >> 1;
    if (n->records[i].kind == NAT_MAPPING)
        return mapping_live(n, i, now) ? value : NAT_NONE;
    if (nat_session_fresh(n, &n->records[i], now))
        return value;
    session_free(n, i);
    return NAT_NONE;
}

uint32_t nat_mapping_inside(struct nat *n, uint8_t proto, be32 addr, be16 port, uint64_t now) {
    struct nat_tuple end = {.src = addr, .sport = port};
    uint32_t value = nat_find_live(n, NAT_KEY_MAPPING, proto, &end, now);
    return value == NAT_NONE ? NAT_NONE : value >> 1;
}

uint32_t nat_mapping_outside(struct nat *n, uint8_t proto, be32 addr, be16 port, uint64_t now) {
    struct nat_tuple end = {.dst = addr, .dport = port};
    uint32_t value = nat_find_live(n, NAT_KEY_MAPPING, proto, &end, now);
    return value == NAT_NONE ? NAT_NONE : value >> 1;
}

/* ---- sessions ---- */

static void timer_set(struct nat *n, uint32_t i) {
    uint64_t tick = nat_last_tick(n, &n->records[i]), end = n->hand + NAT_WHEEL_SLOTS - 1;
    ring_add(n->timers, n->n_records + (tick < end ? tick : end) % NAT_WHEEL_SLOTS, i);
}

uint32_t nat_session_create(struct nat *n, uint8_t proto, const struct nat_tuple *original,
                            const struct nat_tuple *reply, uint32_t mapping, uint64_t now) {
    uint32_t i;
    struct nat_record *r = record_take(n, &i);
    *r = (struct nat_record){.original = *original, .reply = *reply, .kind = NAT_SESSION, .proto = proto,
                             .timer = TIMER_OTHER, .mapping = mapping, .first = now, .last = now};
    index_add(n, i, NAT_KEY_SESSION, false);
    if (!looks_same(r))
        index_add(n, i, NAT_KEY_SESSION, true);
    if (mapping != NAT_NONE)
        siblings_add(n, mapping, i);
    if (uses_port(n, r))
        nat_port_take(n, proto, reply->dst, reply->dport);
    n->stats.created++;
    if (n->stats.live == 0)
        n->hand = nat_tick(now); /* an empty wheel is turned by hand */
    if (++n->stats.live > n->stats.peak)
        n->stats.peak = n->stats.live;
    timer_set(n, i);
    return i;
}

void nat_session_touch(struct nat *n, uint32_t i, enum nat_timer timer, uint64_t now) {
    struct nat_record *r = &n->records[i];
    bool sooner = n->timeout[timer] < n->timeout[r->timer];
    r->last = now;
    r->timer = (uint8_t)timer;
    if (sooner) {
        ring_remove(n->timers, i);
        timer_set(n, i);
    }
}

/* Turns the wheel: until now, or `budget` is used up, or `wanted` sessions were freed. */
static void wheel_turn(struct nat *n, uint64_t now, unsigned budget, unsigned wanted) {
    uint64_t tick = nat_tick(now);
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
    n->now = now;
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
