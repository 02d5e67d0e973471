/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports run out: from some time on new flows of a pool never leave, though older ones do, the NAT translates such flows
 * otherwise, and as many outside ends are in use as ever.
 */
#include <stdio.h>
#include <stdlib.h>
#include "points.h"

#define LEFT_LEAST 3u               /* flows that were left inside */
#define IN_USE_NS (120 * SECOND)    /* a mapping is held at least that long (RFC 4787, REQ-5) */

/* An outside end and the time of one of its pairs, with what it is held afterwards. */
struct use {
    struct end end;
    uint64_t from, to;
};
struct uses {
    VEC(struct use) list;
    uint64_t newest;   /* when the last end that was not used before came into use */
    size_t ends, peak; /* outside ends altogether, and at most at a time */
};

static int by_end_and_time(const void *a, const void *b) {
    const struct use *x = a, *y = b;
    int order = end_compare(&x->end, &y->end);
    return order ? order : x->from < y->from ? -1 : x->from > y->from;
}
static int by_time(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static size_t in_use(const struct uses *u, uint64_t at) {
    size_t n = 0;
    for (size_t i = 0; i < u->list.n; i++)
        n += u->list.v[i].from <= at && at <= u->list.v[i].to;
    return n;
}

/* Uses of one end that overlap become one; then as many are in use as have begun and not ended. */
static void merge(struct uses *u) {
    size_t n = 0, now = 0;
    qsort(u->list.v, u->list.n, sizeof *u->list.v, by_end_and_time);
    for (size_t i = 0; i < u->list.n; i++) {
        struct use *last = n ? &u->list.v[n - 1] : NULL, use = u->list.v[i];
        bool same = last && !end_compare(&last->end, &use.end);
        if (!same) {
            u->ends++;
            u->newest = use.from > u->newest ? use.from : u->newest;
        }
        if (same && use.from <= last->to)
            last->to = use.to > last->to ? use.to : last->to;
        else
            u->list.v[n++] = use;
    }
    u->list.n = n;
    uint64_t *from = xalloc((n + 1) * sizeof *from), *to = xalloc((n + 1) * sizeof *to);
    for (size_t i = 0; i < n; i++) {
        from[i] = u->list.v[i].from;
        to[i] = u->list.v[i].to;
    }
    qsort(from, n, sizeof *from, by_time);
    qsort(to, n, sizeof *to, by_time);
    for (size_t i = 0, k = 0; i < n; i++) {
        for (now++; to[k] < from[i]; k++)
            now--;
        u->peak = now > u->peak ? now : u->peak;
    }
    free(from);
    free(to);
}

/* ---- pools: outside addresses that one inside address uses, and all that share some with these ---- */

struct pools {
    struct ends outside;    /* addresses, sorted */
    uint32_t *above;        /* of each, one of the same pool; of the one that names the pool, itself */
    VEC(struct host { struct end inside; uint32_t outside; }) hosts; /* sorted */
};

static int by_host(const void *a, const void *b) {
    const struct host *x = a, *y = b;
    return end_compare(&x->inside, &y->inside);
}

static bool leaves(const struct points *p, uint32_t i, uint8_t proto) {
    const struct point_pair *q = &p->pairs[i];
    return q->inside.proto == proto && q->proved && pair_translated(q) && p->links[i].way == OUTBOUND;
}

static struct end address_of(struct end e) {
    e.proto = 0;
    e.port = 0;
    return e;
}

static uint32_t pool_named(struct pools *s, uint32_t i) {
    while (s->above[i] != i)
        i = s->above[i] = s->above[s->above[i]];
    return i;
}

static uint32_t pool_at(struct pools *s, struct end outside) {
    outside = address_of(outside);
    uint32_t low = 0, high = (uint32_t)s->outside.list.n;
    while (low + 1 < high) {
        uint32_t middle = (low + high) / 2;
        *(end_compare(&s->outside.list.v[middle], &outside) <= 0 ? &low : &high) = middle;
    }
    return pool_named(s, low);
}

static void pools_make(const struct points *p, uint8_t proto, struct pools *s) {
    for (uint32_t i = 0; i < p->pair_book.n; i++)
        if (leaves(p, i, proto)) {
            struct end out = address_of(pair_local(p, i, OUTSIDE));
            ends_add(&s->outside, &out);
        }
    ends_sort(&s->outside);
    s->above = xalloc((s->outside.list.n + 1) * sizeof *s->above);
    for (uint32_t i = 0; i < s->outside.list.n; i++)
        s->above[i] = i;
    for (uint32_t i = 0; i < p->pair_book.n; i++)
        if (leaves(p, i, proto))
            vec_push(&s->hosts, ((struct host){address_of(pair_local(p, i, INSIDE)),
                                               pool_at(s, pair_local(p, i, OUTSIDE))}));
    if (s->hosts.n)
        qsort(s->hosts.v, s->hosts.n, sizeof *s->hosts.v, by_host);
    for (size_t i = 1; i < s->hosts.n; i++)
        if (!by_host(&s->hosts.v[i - 1], &s->hosts.v[i]))
            s->above[pool_named(s, s->hosts.v[i].outside)] = pool_named(s, s->hosts.v[i - 1].outside);
}

/* The pool of an inside address; of one without flows outside the only pool there is. NONE: it cannot be told. */
static uint32_t pool_of(struct pools *s, struct end inside) {
    struct host key = {.inside = address_of(inside)}, *h = NULL;
    if (!s->hosts.n)
        return NONE;
    h = bsearch(&key, s->hosts.v, s->hosts.n, sizeof key, by_host);
    for (uint32_t i = 1; !h && i < s->outside.list.n; i++)
        if (pool_named(s, i) != pool_named(s, 0))
            return NONE;
    return pool_named(s, h ? h->outside : 0);
}

static void uses_make(const struct points *p, struct pools *s, uint32_t pool, uint8_t proto, struct uses *u) {
    for (uint32_t i = 0; i < p->pair_book.n; i++) {
        const struct point_pair *q = &p->pairs[i];
        if (leaves(p, i, proto) && pool_at(s, pair_local(p, i, OUTSIDE)) == pool)
            vec_push(&u->list, ((struct use){pair_local(p, i, OUTSIDE), q->first_ns, q->last_ns + IN_USE_NS}));
    }
    if (u->list.n)
        merge(u);
}

/* ---- flows that are left inside ---- */

/* A flow that began inside while both points captured, and of which nothing was seen outside, though the NAT serves
 * its source and its destination. */
static bool left_inside(const struct points *p, const struct served *s, const struct sight *f, uint8_t proto) {
    int64_t from, to;
    unsigned back;
    if (f->point != INSIDE || f->key.proto != proto || f->lost || !points_overlap(p, &from, &to) ||
        (int64_t)f->first_ns < from || (int64_t)f->last_ns > to || !f->seen[PRINT_WHOLE][0] ||
        (proto != PROTO_UDP && !f->sure))
        return false;
    for (unsigned kind = 0; kind < PRINT_KINDS; kind++)
        if (f->joined[kind][0] || f->joined[kind][1] || f->seen[kind][1])
            return false;
    struct end source = key_source(&f->key), target = key_target(&f->key), net = end_network(&target);
    struct ip address = end_ip(&target);
    be16 port = proto_is_icmp(proto) ? 0 : target.port;
    return served_source(s, &source) && sight_find(p, OUTSIDE, &f->key, &back) == NONE &&
           (ends_have(&s->targets, &net) || (address_global(&address) && s->services[proto != PROTO_TCP][port]));
}

struct left {
    uint32_t sight, pool;
    uint64_t first_ns;
};
static int by_pool(const void *a, const void *b) {
    const struct left *x = a, *y = b;
    if (x->pool != y->pool)
        return x->pool < y->pool ? -1 : 1;
    return x->first_ns < y->first_ns ? -1 : x->first_ns > y->first_ns;
}

/* Do flows of the pool that were there before go on, and are fewer new ones made than are left inside? */
static bool others_pass(const struct points *p, struct pools *s, uint8_t proto, const struct left *left, size_t n) {
    size_t on = 0, begun = 0;
    for (uint32_t i = 0; i < p->pair_book.n; i++) {
        const struct point_pair *q = &p->pairs[i];
        if (!leaves(p, i, proto) || pool_at(s, pair_local(p, i, OUTSIDE)) != left->pool)
            continue;
        on += q->first_ns < left->first_ns && q->last_ns >= left->first_ns;
        begun += q->first_ns >= left->first_ns && q->first_ns <= left[n - 1].first_ns;
    }
    return on && begun < n;
}

/* Flows of one pool, in the order of their beginning; those before its last new outside end say nothing. */
static void judge_pool(struct points *p, struct pools *s, uint8_t proto, const struct left *left, size_t n) {
    struct uses u = {0};
    uses_make(p, s, left->pool, proto, &u);
    for (; n && left->first_ns < u.newest; n--)
        left++;
    if (n >= LEFT_LEAST && in_use(&u, left->first_ns) == u.peak && others_pass(p, s, proto, left, n)) {
        struct end about = s->outside.list.v[left->pool];
        about.proto = proto;
        for (size_t i = 0; i < n; i++) {
            const struct sight *f = &p->sights[left[i].sight];
            struct nat_finding *g = finding_add(p, NAT_PORT_EXHAUSTED, &about, &f->key, f->first_ns);
            nat_finding_frames(g, f->frame, 0);
            snprintf(g->text, sizeof g->text, "new %s flows never leave, while others do: %zu outside %s are in use, "
                     "as many as ever", proto == PROTO_TCP ? "TCP" : proto == PROTO_UDP ? "UDP" : "ICMP", u.peak,
                     proto == PROTO_ICMP ? "identifiers" : "ports");
        }
    }
    vec_free(&u.list);
}

static void judge_protocol(struct points *p, const struct served *served, uint8_t proto) {
    struct pools s = {0};
    VEC(struct left) left = {0};
    pools_make(p, proto, &s);
    for (uint32_t i = 0; s.hosts.n && i < p->sight_book.n; i++) {
        const struct sight *f = &p->sights[i];
        uint32_t pool = left_inside(p, served, f, proto) ? pool_of(&s, key_source(&f->key)) : NONE;
        if (pool != NONE)
            vec_push(&left, ((struct left){i, pool, f->first_ns}));
    }
    if (left.n)
        qsort(left.v, left.n, sizeof *left.v, by_pool);
    for (size_t i = 0, n; i < left.n; i += n) {
        for (n = 1; i + n < left.n && left.v[i + n].pool == left.v[i].pool;)
            n++;
        judge_pool(p, &s, proto, &left.v[i], n);
    }
    vec_free(&s.outside.list);
    vec_free(&s.hosts);
    vec_free(&left);
    free(s.above);
}

void judge_exhaustion(struct points *p, const struct served *s) {
    judge_protocol(p, s, PROTO_TCP);
    judge_protocol(p, s, PROTO_UDP);
    judge_protocol(p, s, PROTO_ICMP);
}
