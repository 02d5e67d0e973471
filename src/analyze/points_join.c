/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which packet inside is which outside. A packet that waits outside is decided when both points' clocks are past it, so
 * that all that could be taken for it is there: what is ambiguous between two flows joins none, unless one of them is
 * already known by this name outside.
 */
#include "points.h"

#define LOOKS_MAX 1024u             /* at packets that could be the same */
#define NEARER_NS (SECOND / 100)    /* what makes a later copy the better one */
#define AGREE 16u                   /* pairs that say the same offset before the end */

static uint64_t pair_hash(const struct flow_key *inside, const struct flow_key *outside) {
    return mix64(mix64(1, key_hash(inside)), key_hash(outside)); /* not 0 where the two are equal */
}

uint32_t pair_find(const struct points *p, const struct flow_key *inside, const struct flow_key *outside) {
    uint64_t hash = pair_hash(inside, outside);
    struct flow_key in = key_turned(inside), out = key_turned(outside);
    for (uint32_t i = NONE; (i = key_book_find(&p->pair_book, hash, i)) != NONE;) {
        const struct point_pair *q = &p->pairs[i];
        if ((key_equal(&q->inside, inside) && key_equal(&q->outside, outside)) ||
            (key_equal(&q->inside, &in) && key_equal(&q->outside, &out)))
            return i;
    }
    return NONE;
}

bool pair_translated(const struct point_pair *pair) {
    return !key_equal(&pair->inside, &pair->outside);
}

struct end pair_local(const struct points *p, uint32_t pair, unsigned point) {
    const struct flow_key *k = point == INSIDE ? &p->pairs[pair].inside : &p->pairs[pair].outside;
    return p->links[pair].way == INBOUND ? key_target(k) : key_source(k);
}

struct end pair_remote(const struct points *p, uint32_t pair) {
    const struct flow_key *k = &p->pairs[pair].outside;
    struct end e = p->links[pair].way == INBOUND ? key_source(k) : key_target(k);
    e.port = proto_is_icmp(e.proto) ? 0 : e.port;
    return e;
}

static uint64_t binding_hash(const struct end *e) {
    return mix_bytes(0, e, sizeof *e);
}

uint32_t binding_find(const struct points *p, const struct end *end) {
    for (uint32_t i = NONE; (i = key_book_find(&p->binding_book, binding_hash(end), i)) != NONE;)
        if (!end_compare(&p->bindings[i].end, end))
            return i;
    return NONE;
}

static void bind_end(struct points *p, uint32_t pair, uint64_t outside_ns) {
    struct end local = pair_local(p, pair, OUTSIDE);
    uint32_t i = binding_find(p, &local), before = p->binding_book.cap;
    if (i == NONE) {
        i = book_take(&p->binding_book, binding_hash(&local));
        if (p->binding_book.cap != before)
            p->bindings = xrealloc(p->bindings, p->binding_book.cap, sizeof *p->bindings);
    }
    p->bindings[i] = (struct binding){local, outside_ns, pair};
}

static uint32_t pair_make(struct points *p, const struct print *in, const struct print *out, bool forth, unsigned way) {
    uint32_t before = p->pair_book.cap, i = book_take(&p->pair_book, pair_hash(&in->key, &out->key));
    if (p->pair_book.cap != before) {
        p->pairs = xrealloc(p->pairs, p->pair_book.cap, sizeof *p->pairs);
        p->links = xrealloc(p->links, p->pair_book.cap, sizeof *p->links);
    }
    p->pairs[i] = (struct point_pair){.inside = forth ? in->key : key_turned(&in->key),
                                      .outside = forth ? out->key : key_turned(&out->key), .first_ns = in->time_ns,
                                      .frame_inside = in->frame, .frame_outside = out->frame};
    p->links[i] = (struct link){(uint8_t)(forth || !way ? way : OUTBOUND + INBOUND - way), NONE};
    return i;
}

/* An outside end that goes from one flow to another and back and forth again, without a pause, is shared by both. */
static void take_turn(struct points *p, struct sight *s, uint32_t pair, uint64_t inside_ns) {
    if (s->pair == pair)
        return;
    bool back = s->before == pair && inside_ns < p->pairs[pair].last_ns + MAPPING_LIVES;
    s->turns = back ? (uint8_t)(s->turns + (s->turns < UINT8_MAX)) : 0;
    s->before = s->pair;
    s->pair = pair;
    if (s->turns >= 2 && p->pairs[pair].proved && p->pairs[s->before].proved) {
        p->links[pair].shares = s->before;
        p->links[s->before].shares = pair;
    }
}

static void join(struct points *p, struct waiting *a, const struct print *out, enum print_match match) {
    const struct print *in = &a->print;
    unsigned way = print_way(in, out), back_in, back_out;
    uint32_t i = sight_find(p, INSIDE, &in->key, &back_in), o = sight_find(p, OUTSIDE, &out->key, &back_out);
    bool proved = match == PRINT_PROVED;
    a->joined = true;
    p->joined++;
    p->proved += proved;
    clock_add(&p->clock, in->time_ns, out->time_ns, way);
    if (i == NONE || o == NONE) /* forgotten meanwhile */
        return;
    p->sights[i].joined[in->kind][back_in]++;
    p->sights[o].joined[out->kind][back_out]++;
    uint32_t k = pair_find(p, &in->key, &out->key);
    if (k == NONE)
        k = pair_make(p, in, out, p->sights[o].sure && !p->sights[i].sure ? !back_out : !back_in, way);
    take_turn(p, &p->sights[o], k, in->time_ns);
    struct point_pair *pair = &p->pairs[k];
    pair->packets++;
    pair->proved += proved;
    pair->last_ns = in->time_ns;
    if (pair->proved && pair_translated(pair))
        bind_end(p, k, out->time_ns);
}

/* ---- what could be the same ---- */

struct choice {
    struct waiting *best;
    enum print_match match;
    uint64_t away;      /* ns between the two by the inside clock */
    unsigned which;     /* end that is the same */
    unsigned count;     /* packets that it could be */
    bool known;         /* the pair is proved already, or nothing was translated */
    bool ambiguous;
};

static uint64_t distance(const struct points *p, const struct print *in, const struct print *out) {
    int64_t d = (int64_t)in->time_ns - clock_inside(&p->clock, out->time_ns);
    return (uint64_t)(d < 0 ? -d : d);
}

static uint64_t window(const struct points *p) {
    return p->clock.known ? JOIN_WINDOW + p->clock.width_ns : UINT64_MAX / 4;
}

/* The TTL falls from the point where the packet was first; a bridge leaves it alone. */
static bool ttl_falls(const struct print *in, const struct print *out) {
    unsigned way = print_way(in, out);
    return way == OUTBOUND ? out->ttl <= in->ttl : way == INBOUND ? in->ttl <= out->ttl : true;
}

static void consider(const struct points *p, struct waiting *w, const struct print *out, unsigned which,
                     struct choice *c) {
    enum print_match match = print_compare(&w->print, out);
    uint64_t away = distance(p, &w->print, out);
    if (match == PRINT_OTHER || away > window(p) || !ttl_falls(&w->print, out))
        return;
    c->count++;
    uint32_t k = pair_find(p, &w->print.key, &out->key);
    bool known = key_equal(&w->print.key, &out->key) || (k != NONE && p->pairs[k].proved);
    if (c->best && c->known && !known)
        return;
    bool same = c->best && key_equal(&c->best->print.key, &w->print.key);
    bool nearer = p->clock.known && away + NEARER_NS + p->clock.width_ns < c->away;
    if (c->best && c->known == known && !same)
        c->ambiguous = !known;
    if (c->best && c->known == known && !nearer)
        return;
    *c = (struct choice){w, match, away, which, c->count, known, c->best && !known && c->ambiguous};
}

static struct choice choose(const struct points *p, const struct print *out) {
    const struct queue *q = &p->waiting[INSIDE];
    int64_t latest = clock_inside(&p->clock, out->time_ns) + (int64_t)window(p);
    struct choice c = {0};
    for (unsigned which = 0; which < 2; which++) {
        unsigned looks = 0;
        for (uint64_t n = queue_first(q, which, out->hash[which]); n && looks < LOOKS_MAX;) {
            struct waiting *w = queue_at(q, n);
            n = w->next[which];
            if (p->clock.known && (int64_t)w->print.time_ns > latest)
                break;
            if (w->print.hash[which] != out->hash[which] || w->joined || (which && w->print.hash[0] == out->hash[0]))
                continue;
            looks++;
            consider(p, w, out, which, &c);
        }
    }
    return c;
}

/* Does another packet wait outside that could be the same, one of another flow or (`any`) of the same? */
static bool rivalled(const struct points *p, const struct print *out, unsigned which, bool any) {
    const struct queue *q = &p->waiting[OUTSIDE];
    unsigned looks = 0;
    for (uint64_t n = queue_first(q, which, out->hash[which]); n && looks < LOOKS_MAX; looks++) {
        const struct waiting *w = queue_at(q, n);
        n = w->next[which];
        if (w->print.time_ns > out->time_ns + window(p))
            break;
        if (w->print.hash[which] == out->hash[which] && w->print.frame != out->frame &&
            (any || !key_equal(&w->print.key, &out->key)) && print_compare(&w->print, out) != PRINT_OTHER)
            return true;
    }
    return false;
}

/* Came to a live mapping, and the inside point, which was capturing then, has not seen it. */
static void refuse(struct points *p, const struct print *out) {
    unsigned back;
    int64_t from, to, at = clock_inside(&p->clock, out->time_ns);
    struct end target = key_target(&out->key);
    uint32_t b = binding_find(p, &target), i = sight_find(p, OUTSIDE, &out->key, &back);
    if (b == NONE || i == NONE || !points_overlap(p, &from, &to) || at < from || at > to ||
        out->time_ns > p->bindings[b].last_ns + MAPPING_LIVES)
        return;
    struct sight *s = &p->sights[i];
    if (!s->refused++) {
        s->refused_ns = (uint64_t)at;
        s->refused_frame = out->frame;
        s->refused_pair = p->bindings[b].pair;
    }
}

/* The packet at the front outside: joined or not, it goes. */
static bool settle(struct points *p) {
    const struct print out = queue_front(&p->waiting[OUTSIDE])->print;
    struct choice c = choose(p, &out);
    bool joined = c.best && !c.ambiguous && (c.known || !rivalled(p, &out, c.which, false));
    queue_pop(&p->waiting[OUTSIDE]);
    if (joined)
        join(p, c.best, &out, c.match);
    else if (!c.best && out.kind == PRINT_WHOLE)
        refuse(p, &out);
    return joined;
}

/* The offset from packets that can be nobody else's. */
static void learn_clock(struct points *p, size_t least) {
    const struct queue *q = &p->waiting[OUTSIDE];
    clock_fini(&p->clock);
    p->clock = (struct clock){0};
    for (uint64_t n = q->first; n < q->last; n++) {
        const struct print *out = &queue_at(q, n)->print;
        struct choice c = choose(p, out);
        if (c.count == 1 && !rivalled(p, out, c.which, true))
            clock_add(&p->clock, c.best->print.time_ns, out->time_ns, print_way(&c.best->print, out));
    }
    clock_fit(&p->clock, least);
}

static bool ripe(const struct points *p) {
    const struct print *out = &queue_front(&p->waiting[OUTSIDE])->print;
    uint64_t w = window(p);
    return out->time_ns + w < p->last_ns[OUTSIDE] &&
           clock_inside(&p->clock, out->time_ns) + (int64_t)w < (int64_t)p->last_ns[INSIDE];
}

/* Inside, what lies before all that is still to come outside waits for nothing. */
static void retire(struct points *p) {
    struct queue *in = &p->waiting[INSIDE], *out = &p->waiting[OUTSIDE];
    int64_t w = (int64_t)window(p), next = clock_inside(&p->clock, p->last_ns[OUTSIDE]) - w;
    if (!queue_empty(out))
        next = clock_inside(&p->clock, queue_front(out)->print.time_ns);
    while (!queue_empty(in) && (int64_t)queue_front(in)->print.time_ns + w < next)
        queue_pop(in);
}

void points_join(struct points *p, bool all) {
    struct queue *in = &p->waiting[INSIDE], *out = &p->waiting[OUTSIDE];
    uint64_t fewer = in->last - in->first < out->last - out->first ? in->last - in->first : out->last - out->first;
    if (!p->clock.known && (all || fewer >= p->next_try)) {
        p->next_try *= 2;
        learn_clock(p, all ? 1 : AGREE);
    }
    if (!p->clock.known && !all)
        return;
    while (!queue_empty(out) && (all || ripe(p)))
        settle(p);
    if (!all && p->packets[OUTSIDE])
        retire(p);
}

void points_crowd_out(struct points *p, unsigned point) {
    const struct waiting front = *queue_front(&p->waiting[point]);
    bool joined = front.joined;
    if (point == OUTSIDE)
        joined = settle(p);
    else
        queue_pop(&p->waiting[point]);
    if (joined)
        return;
    unsigned back;
    uint32_t i = sight_find(p, point, &front.print.key, &back);
    p->fell_out[point]++;
    p->fell_ns[point] = front.print.time_ns;
    if (i != NONE)
        p->sights[i].lost = true;
}
