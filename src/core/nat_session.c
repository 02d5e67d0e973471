/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions: records, their index, their timers. The timer wheel is lazy: a session stands in the slot of
 * the moment when it would have ended if it had not been used again, and is moved on when the hand comes by. So a
 * packet that uses a session touches no list.
 */
#include "nat_client.h"

#include <errno.h>
#include <stdlib.h>

#define EMPTY_TICKS 32u   /* without sessions, that cost as much as one */
#define ENDS_GROUP 8u     /* sessions whose memory is fetched together before they end */
#define EXPIRE_LEAST 32u  /* looked at once a burst: some 5 us */
#define ROOM_BATCH 16u    /* that are freed when one has no room */
#define LINKS_OF_LINE 8u  /* of the rings of timers */

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

/* ---- memory ---- */

int nat_records_init(struct nat *n) {
    const struct nat_config *c = &n->config;
    const bool mapped = c->personality == NAT_INTERFACE, hairpin = mapped && c->hairpin;
    const bool permits = mapped && c->filtering == NAT_ADDRESS_DEPENDENT;
    n->n_records = n->config.n_port_maps + n->config.max_sessions;
    n->records = nat_alloc(n->n_records * sizeof *n->records);
    n->cold = nat_alloc(n->n_records * sizeof *n->cold);
    n->timers = nat_alloc((n->n_records + NAT_WHEEL_SLOTS) * sizeof *n->timers);
    if (hairpin)
        n->far = nat_alloc(n->n_records * sizeof *n->far);
    if (permits)
        n->permits = nat_alloc((size_t)n->n_records * (hairpin ? 2 : 1) * sizeof *n->permits);
    if (!n->records || !n->cold || !n->timers || (hairpin && !n->far) || (permits && !n->permits))
        return -ENOMEM;
    /*
     * A session has two keys, and one for what it permits. A side that is alone in its mapping has one more, which half
     * of them do without where ports are preserved.
     */
    const bool preserved = mapped && c->port_choice == NAT_PORT_PRESERVED && !c->port_block;
    const uint32_t most = 2 + (mapped + permits) * (1 + hairpin);
    const size_t usual = (size_t)(2 + mapped + permits) * n->n_records - (preserved ? n->n_records / 2 : 0);
    return nat_table_init(&n->table, usual, (size_t)most * n->n_records);
}

void nat_records_fini(struct nat *n) {
    nat_table_fini(&n->table);
    free(n->records);
    free(n->cold);
    free(n->timers);
    free(n->far);
    free(n->permits);
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

uint32_t nat_record_take(struct nat *n) {
    const uint32_t i = n->free;
    assert(i < n->n_records);
    n->free = n->cold[i].siblings.next;
    if (n->free < n->n_records) { /* for the next one */
        nat_fetch(&n->records[n->free]);
        nat_fetch(&n->cold[n->free]);
    }
    return i;
}

/* ---- the index ---- */

static uint64_t hash_way(const struct nat_record *r, bool reply) {
    return nat_hash(NAT_KEY_SESSION, r->proto, &r->way[reply]);
}
/* Of an end with itself: packets look the same both ways. It has one key then, and they all count as original. */
static bool looks_same(const struct nat_record *r) {
    return nat_tuple_equal(&r->way[0], &r->way[1]);
}

/* ---- sessions ---- */

/* With NAT_CONNTRACK each session uses an outside port of its own account. */
static bool uses_port(const struct nat *n, const struct nat_record *r) {
    return n->config.personality == NAT_CONNTRACK && r->way[1].dst != r->way[0].src;
}

static uint32_t own_side(const struct nat *n, uint32_t i) {
    return nat_value(i, n->records[i].flags & NAT_FROM_OUTSIDE);
}

/* A session that may end, and where it is to be taken out. */
struct ending {
    uint64_t hash[2]; /* of its keys */
    uint32_t session;
    uint32_t cell;    /* of its mapping, if it has one, or of the port that it uses */
};
static inline struct ending ending_of(const struct nat *n, uint32_t i) {
    const struct nat_record *r = &n->records[i];
    struct ending e = {.hash = {hash_way(r, false), hash_way(r, true)}, .session = i, .cell = NAT_NONE};
    if (r->flags & NAT_MAPPED)
        e.cell = nat_node_cell(n, own_side(n, i));
    else if (uses_port(n, r))
        e.cell = nat_port_cell(n, r->proto, r->way[1].dst, r->way[1].dport);
    return e;
}

static inline void session_free(struct nat *n, const struct ending *e) {
    const uint32_t i = e->session;
    struct nat_record *r = &n->records[i];
    ring_remove(n->timers, i);
    if (r->flags & NAT_HAIRPIN)
        nat_side_leave(n, nat_value(i, true), nat_node_cell(n, nat_value(i, true)));
    nat_side_leave(n, own_side(n, i), e->cell);
    if (!(r->flags & NAT_MAPPED))
        nat_port_give_back(n, e->cell);
    nat_table_remove(&n->table, e->hash[0], nat_value(i, false));
    if (!looks_same(r))
        nat_table_remove(&n->table, e->hash[1], nat_value(i, true));
    r->kind = NAT_FREE;
    n->cold[i].siblings.next = n->free;
    n->free = i;
    n->stats.expired++;
    n->stats.live--;
}

void nat_session_free(struct nat *n, uint32_t i) {
    const struct ending e = ending_of(n, i);
    session_free(n, &e);
}

void nat_sessions_free(struct nat *n) {
    for (uint32_t i = 0; i < n->n_records && n->stats.live; i++)
        if (n->records[i].kind == NAT_SESSION)
            nat_session_free(n, i);
    n->rest_epoch++;
}

/* Into the slot of the last tick in which it lives, as far as is known now. */
static void timer_set(struct nat *n, uint32_t i) {
    const struct nat_record *r = &n->records[i];
    const int32_t left = (int32_t)(r->last + n->idle[r->timer] - (uint32_t)n->hand);
    const uint32_t ahead = left < 0 ? 0 : left < (int32_t)NAT_WHEEL_SLOTS ? (uint32_t)left : NAT_WHEEL_SLOTS - 1;
    ring_add(n->timers, n->n_records + (n->hand + ahead) % NAT_WHEEL_SLOTS, i);
}

uint32_t nat_session_create(struct nat *n, const struct nat_new *new, uint64_t now) {
    const uint32_t i = nat_record_take(n), tick = nat_tick(now);
    struct nat_record *r = &n->records[i];
    *r = (struct nat_record){.way = {new->way[0], new->way[1]}, .last = new->last, .proto = new->proto,
                             .kind = NAT_SESSION, .timer = nat_first_timer(new->proto) & 7, .flags = new->flags};
    n->cold[i] = (struct nat_cold){.first = tick, .client = new->client};
    nat_table_insert(&n->table, new->hash[0], nat_value(i, false));
    if (!looks_same(r))
        nat_table_insert(&n->table, new->hash[1], nat_value(i, true));
    if (new->cell != NAT_NONE)
        nat_side_begin(n, i, new);
    else
        nat_side_join(n, own_side(n, i), true, now);
    if (new->flags & NAT_HAIRPIN) {
        n->far[i] = (struct nat_far){.client = new->far_client, .flags = looks_same(r) ? 0 : new->far_flags};
        nat_side_join(n, nat_value(i, true), !(new->flags & NAT_UNCALLED), now);
    }
    if (uses_port(n, r))
        nat_port_take(n, nat_port_cell(n, r->proto, r->way[1].dst, r->way[1].dport));
    n->stats.created++;
    if (n->stats.live == 0) {
        n->hand = now >> NAT_TICK_SHIFT; /* an empty wheel is turned by hand */
        n->settled = now;
    }
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

static bool slot_is_empty(const struct nat *n, uint64_t tick) {
    const uint32_t slot = n->n_records + tick % NAT_WHEEL_SLOTS;
    return n->timers[slot].next == slot;
}

/* Ends a session that is idle; else it is to be looked at later. */
static inline bool timer_end(struct nat *n, const struct ending *e, uint64_t now) {
    const bool ends = !nat_session_fresh(n, &n->records[e->session], now);
    if (ends) {
        session_free(n, e);
    } else {
        ring_remove(n->timers, e->session);
        timer_set(n, e->session);
    }
    return ends;
}

/* What was made one after the other ends so, and stands in records next to one another: so do the links that follow. */
static void links_fetch(const struct nat *n, uint32_t at) {
    nat_fetch(&n->timers[at < LINKS_OF_LINE ? at : at - LINKS_OF_LINE]);
    nat_fetch(&n->timers[at + LINKS_OF_LINE]); /* slots follow the records */
}

/* The next sessions of a slot, from *at on. Fetches their records; and what their ends need. */
struct ends {
    struct ending of[ENDS_GROUP];
    unsigned n;
};
static inline void ends_fetch(const struct nat *n, struct ends *e, uint32_t slot, uint32_t *at) {
    for (e->n = 0; *at != slot && e->n < ENDS_GROUP; *at = n->timers[*at].next) {
        links_fetch(n, *at);
        nat_fetch(&n->records[*at]);
        nat_fetch(&n->cold[*at]);
        e->of[e->n++].session = *at;
    }
}
static inline void ends_fetch_more(const struct nat *n, struct ends *e) {
    for (unsigned k = 0; k < e->n; k++) {
        struct ending *of = &e->of[k];
        const uint32_t i = of->session, node = own_side(n, i);
        *of = ending_of(n, i);
        nat_fetch(nat_table_bucket(&n->table, of->hash[0]));
        nat_fetch(nat_table_bucket(&n->table, of->hash[1]));
        if (n->groups && of->cell != NAT_NONE)
            nat_fetch(&n->cells[of->cell]);
        if (n->records[i].flags & NAT_MOVED) {
            nat_fetch(nat_table_bucket(&n->table, nat_hash_inside(n, n->records[i].proto, nat_node_outward(n, node))));
            nat_fetch(&n->cells[nat_node_natural(n, node)]);
        }
        if (n->clients) {
            nat_client_fetch(n, n->cold[i].client);
            nat_fetch(nat_client_list(n, nat_node_outward(n, node)->src));
        }
    }
}

/*
 * Looks at `budget` sessions of a slot at most, until `wanted` were freed. What their ends need is fetched one group of
 * them ahead, their records two, also for the next burst, which is likely to go on here. How many it looked at.
 */
static unsigned slot_turn(struct nat *n, uint32_t slot, uint64_t now, unsigned budget, unsigned *wanted) {
    struct ends groups[3];
    uint32_t at = n->timers[slot].next;
    unsigned done = 0;
    ends_fetch(n, &groups[0], slot, &at);
    ends_fetch(n, &groups[1], slot, &at);
    ends_fetch_more(n, &groups[0]);
    for (unsigned g = 0; groups[g].n && done < budget && *wanted; g = (g + 1) % 3) {
        ends_fetch_more(n, &groups[(g + 1) % 3]);
        ends_fetch(n, &groups[(g + 2) % 3], slot, &at);
        for (unsigned i = 0; i < groups[g].n && done < budget && *wanted; i++, done++)
            *wanted -= timer_end(n, &groups[g].of[i], now);
    }
    return done;
}

/*
 * Turns the wheel: until now, or `budget` is used up, or `wanted` sessions were freed. However far it goes, a session
 * that it looks at is freed, which each is once, or was used since it was put into its slot, or has stood there for a
 * whole turn (9 minutes): what is done without a budget was paid for by the packets before, and empty slots are
 * NAT_WHEEL_SLOTS at most.
 */
static void wheel_turn(struct nat *n, uint64_t now, unsigned budget, unsigned wanted) {
    const uint64_t tick = now >> NAT_TICK_SHIFT;
    if (tick > n->hand + NAT_WHEEL_SLOTS)
        n->hand = tick - NAT_WHEEL_SLOTS; /* one turn passes every session */
    while (n->hand < tick && budget && wanted) {
        const unsigned done = slot_turn(n, n->n_records + n->hand % NAT_WHEEL_SLOTS, now, budget, &wanted);
        budget -= done ? done : 1;
        for (unsigned k = 0; k < EMPTY_TICKS && n->hand < tick && slot_is_empty(n, n->hand); k++)
            n->hand++;
    }
    if (n->hand >= tick)
        n->settled = now;
}

void nat_expire(struct nat *n, uint64_t now, unsigned budget) {
    nat_clock(n, now);
    if (n->stats.live)
        wheel_turn(n, now, budget, UINT32_MAX);
}

void nat_expire_once(struct nat *n, uint64_t now) {
    const uint64_t made = n->stats.created - n->created_before;
    n->created_before = n->stats.created;
    nat_expire(n, now, made > EXPIRE_LEAST ? (unsigned)made : EXPIRE_LEAST);
}

/* Without a budget: nothing is left to be done in the same tick. */
void nat_settle(struct nat *n, uint64_t now) {
    if (!nat_is_settled(n, now))
        wheel_turn(n, now, UINT32_MAX, UINT32_MAX);
}

bool nat_session_room(struct nat *n, uint64_t now) {
    if (n->stats.live == n->config.max_sessions)
        wheel_turn(n, now, UINT32_MAX, ROOM_BATCH); /* several cost little more than one */
    return n->stats.live < n->config.max_sessions;
}
