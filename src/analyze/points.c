/* SPDX-License-Identifier: BSD-3-Clause */
/* Two capture points: what each saw of a flow, the translations between, and what is counted to them at the end. */
#include <stdlib.h>
#include "points.h"

#define FLOWS_DEFAULT (1u << 20)
#define WAITING_MAX (1u << 19) /* packets of each point */
#define FIRST_TRY 32u

struct points *points_create(const struct points_options *o) {
    struct points *p = xzalloc(1, sizeof *p);
    size_t flows = o->max_flows ? o->max_flows : FLOWS_DEFAULT;
    struct ip_prefix *pool = xalloc((o->n_pool + 1) * sizeof *pool);
    for (size_t i = 0; i < o->n_pool; i++)
        pool[i] = o->pool[i];
    p->o = (struct points_options){xstrdup(o->inside), xstrdup(o->outside), pool, o->n_pool, flows};
    p->next_try = FIRST_TRY;
    key_book_init(&p->sight_book, flows * 2);
    key_book_init(&p->pair_book, flows);
    key_book_init(&p->binding_book, flows);
    for (unsigned i = 0; i < 2; i++) {
        queue_init(&p->waiting[i], WAITING_MAX);
        p->fragments[i] = xzalloc(FRAGMENTS, sizeof *p->fragments[i]);
    }
    return p;
}

void points_destroy(struct points *p) {
    if (!p)
        return;
    for (unsigned i = 0; i < 2; i++) {
        queue_fini(&p->waiting[i]);
        free(p->fragments[i]);
    }
    key_book_fini(&p->sight_book);
    key_book_fini(&p->pair_book);
    key_book_fini(&p->binding_book);
    clock_fini(&p->clock);
    vec_free(&p->findings);
    free(p->sights);
    free(p->pairs);
    free(p->links);
    free(p->bindings);
    free((char *)p->o.inside);
    free((char *)p->o.outside);
    free((struct ip_prefix *)p->o.pool);
    free(p);
}

uint32_t sight_find(const struct points *p, unsigned point, const struct flow_key *key, unsigned *back) {
    uint64_t hash = mix64(key_hash(key), point);
    struct flow_key turned = key_turned(key);
    for (uint32_t i = NONE; (i = key_book_find(&p->sight_book, hash, i)) != NONE;) {
        const struct sight *s = &p->sights[i];
        *back = !key_equal(&s->key, key);
        if (s->point == point && (!*back || key_equal(&s->key, &turned)))
            return i;
    }
    return NONE;
}

static struct sight *sight_make(struct points *p, unsigned point, const struct print *print, unsigned *back) {
    uint32_t before = p->sight_book.cap, i = book_take(&p->sight_book, mix64(key_hash(&print->key), point));
    if (p->sight_book.cap != before)
        p->sights = xrealloc(p->sights, p->sight_book.cap, sizeof *p->sights);
    *back = print->answer || print->kind == PRINT_ERROR;
    p->sights[i] = (struct sight){.key = *back ? key_turned(&print->key) : print->key, .point = (uint8_t)point,
                                  .sure = print->initial || print->answer, .first_ns = print->time_ns,
                                  .frame = print->frame, .pair = NONE, .before = NONE};
    return &p->sights[i];
}

static void sight_see(struct points *p, unsigned point, const struct print *print) {
    unsigned back;
    uint32_t i = sight_find(p, point, &print->key, &back);
    struct sight *s = i == NONE ? sight_make(p, point, print, &back) : &p->sights[i];
    s->last_ns = print->time_ns;
    s->seen[print->kind][back]++;
}

/* Where a datagram's fragments are looked up; IPv6 ones have no id at a fixed place, and are of no flow here. */
static struct fragment *fragment_at(const struct points *p, unsigned point, const struct point_packet *packet,
                                    be32 *id) {
    be16 number;
    memcpy(&number, packet->ip + 4, sizeof number);
    *id = number;
    uint64_t h = mix_bytes(mix64(number, packet->key.proto), packet->key.src, sizeof packet->key.src);
    return &p->fragments[point][mix_bytes(h, packet->key.dst, sizeof packet->key.dst) % FRAGMENTS];
}

/* A later fragment takes the name of the first one's flow, if that came before it. */
static bool name_fragment(const struct points *p, unsigned point, const struct point_packet *packet,
                          struct print *print) {
    be32 id;
    const struct fragment *f;
    if (packet->key.family != FAMILY_IPV4 || !(packet->flags & PACKET_FRAG_LATER) || packet->len < 20)
        return false;
    f = fragment_at(p, point, packet, &id);
    if (f->id != id || f->key.proto != packet->key.proto || memcmp(f->key.src, packet->key.src, sizeof f->key.src) ||
        memcmp(f->key.dst, packet->key.dst, sizeof f->key.dst))
        return false;
    print->key = f->key;
    print->kind = PRINT_FRAGMENT;
    return true;
}

void points_see(struct points *p, unsigned point, const struct point_packet *packet) {
    struct print print;
    be32 id;
    if (!p->packets[point]++)
        p->first_ns[point] = packet->time_ns;
    if (packet->time_ns > p->last_ns[point])
        p->last_ns[point] = packet->time_ns;
    if (!print_make(packet, &print) && !name_fragment(p, point, packet, &print)) {
        p->unnamed[point]++;
        return;
    }
    if (packet->flags & PACKET_FRAG_FIRST && packet->key.family == FAMILY_IPV4) {
        struct fragment *f = fragment_at(p, point, packet, &id);
        *f = (struct fragment){print.key, id};
    }
    sight_see(p, point, &print);
    if (!print.joinable)
        return;
    if (queue_full(&p->waiting[point]))
        points_crowd_out(p, point);
    queue_push(&p->waiting[point], &print);
    points_join(p, false);
}

/* What no checksum proves follows a pair that others proved: one for one, as many as both points saw. */
static void follow(struct points *p, struct point_pair *pair) {
    unsigned back[2];
    uint32_t i = sight_find(p, INSIDE, &pair->inside, &back[INSIDE]);
    uint32_t o = sight_find(p, OUTSIDE, &pair->outside, &back[OUTSIDE]);
    if (i == NONE || o == NONE || (!pair->proved && pair_translated(pair)))
        return;
    for (unsigned kind = 0; kind < PRINT_KINDS; kind++)
        for (unsigned way = 0; way < 2; way++) {
            unsigned in = way ^ back[INSIDE], out = way ^ back[OUTSIDE];
            struct sight *a = &p->sights[i], *b = &p->sights[o];
            uint32_t x = a->seen[kind][in] - a->joined[kind][in], y = b->seen[kind][out] - b->joined[kind][out];
            x = x < y ? x : y;
            a->joined[kind][in] += x;
            b->joined[kind][out] += x;
            pair->packets += x;
            p->joined += x;
        }
}

void points_finish(struct points *p) {
    points_join(p, true);
    for (uint32_t i = 0; i < p->pair_book.n; i++)
        follow(p, &p->pairs[i]);
    points_judge(p);
}

const struct point_pair *points_pairs(const struct points *p, size_t *n) {
    *n = p->pair_book.n;
    return p->pairs;
}

bool points_offset(const struct points *p, int64_t *offset_ns, uint64_t *width_ns) {
    *offset_ns = p->clock.ahead;
    *width_ns = p->clock.width_ns;
    return p->clock.known;
}
