/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the NAT did wrong, by what it did for others. Only proved pairs accuse and are accused, and only within the time
 * that both points captured.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "points.h"

#define REFUSED_LEAST 3u
#define CHANCE 1e-3          /* that loss alone makes one such finding in the whole capture */
#define LEARNED_LEAST 100u   /* flows from which the pool is learned */
#define LEARNED_SHARE 0.99
#define FINDINGS_MAX 1000u   /* more flows count to the first of their verdict */
#define STEADY_LEAST 10u     /* inside ends that say the NAT is endpoint-independent (RFC 4787, 4.1) */

static struct end end_address(const struct end *e) {
    struct end a = {.family = e->family};
    memcpy(a.addr, e->addr, sizeof a.addr);
    return a;
}

static bool served_target(const struct served *s, const struct end *target) {
    struct end net = end_network(target);
    struct ip a = end_ip(target);
    return ends_have(&s->targets, &net) || (s->global && address_global(&a));
}

/* A flow from inside whose source was proved to be translated. */
static bool from_inside(const struct points *p, uint32_t i) {
    return p->pairs[i].proved && pair_translated(&p->pairs[i]) && p->links[i].way == OUTBOUND;
}

static struct served *served_make(const struct points *p) {
    struct served *s = xzalloc(1, sizeof *s);
    for (uint32_t i = 0; i < p->pair_book.n; i++) {
        if (!from_inside(p, i))
            continue;
        struct end local = pair_local(p, i, INSIDE), remote = pair_remote(p, i);
        struct ip to = end_ip(&remote);
        local = end_network(&local);
        ends_add(&s->sources, &local);
        if (address_global(&to))
            s->global = s->services[remote.proto != PROTO_TCP][remote.port] = true;
        remote = end_network(&remote);
        ends_add(&s->targets, &remote);
    }
    ends_sort(&s->sources);
    ends_sort(&s->targets);
    return s;
}

static void served_free(struct served *s) {
    vec_free(&s->sources.list);
    vec_free(&s->targets.list);
    free(s);
}

/* ---- findings ---- */

struct nat_finding *finding_add(struct points *p, enum nat_verdict v, const struct end *about,
                                const struct flow_key *flow, uint64_t first_ns) {
    size_t i = 0;
    while (i < p->findings.n && (p->findings.v[i].verdict != v || end_compare(&p->findings.v[i].about, about)))
        i++;
    if (i == p->findings.n && i >= FINDINGS_MAX)
        for (i = 0; i < p->findings.n && p->findings.v[i].verdict != v;)
            i++;
    if (i == p->findings.n)
        vec_push(&p->findings, ((struct nat_finding){.verdict = (uint8_t)v, .about = *about, .flow = *flow,
                                                     .first_ns = first_ns}));
    struct nat_finding *f = &p->findings.v[i];
    f->first_ns = first_ns < f->first_ns ? first_ns : f->first_ns;
    f->count++;
    return f;
}

void nat_finding_frames(struct nat_finding *f, uint64_t inside, uint64_t outside) {
    const uint64_t frames[2] = {inside, outside};
    for (unsigned i = 0; i < 2; i++)
        if (frames[i] && f->n_frames < sizeof f->frames / sizeof *f->frames) {
            f->frames[f->n_frames].point = (uint8_t)i;
            f->frames[f->n_frames++].frame = frames[i];
        }
}

const char *end_text(const struct end *e, char *buf, size_t size) {
    char text[IP_TEXT];
    struct ip a = end_ip(e);
    ip_format(&a, text);
    if (!e->proto)
        snprintf(buf, size, "%s", text);
    else
        snprintf(buf, size, e->family == FAMILY_IPV6 ? "[%s]:%u" : "%s:%u", text, ntohs(e->port));
    return buf;
}

/* The pair is accused; its finding is about `about`. */
static struct nat_finding *accuse(struct points *p, uint32_t i, enum nat_verdict v, const struct end *about) {
    struct point_pair *pair = &p->pairs[i];
    struct nat_finding *f = finding_add(p, v, about, &pair->inside, pair->first_ns);
    pair->verdict = (uint8_t)v;
    nat_finding_frames(f, pair->frame_inside, pair->frame_outside);
    return f;
}

bool points_overlap(const struct points *p, int64_t *from, int64_t *to) {
    if (!p->clock.known || !p->packets[INSIDE] || !p->packets[OUTSIDE])
        return false;
    const int64_t start[4] = {(int64_t)p->first_ns[INSIDE], clock_inside(&p->clock, p->first_ns[OUTSIDE]),
                              p->fell_out[INSIDE] ? (int64_t)p->fell_ns[INSIDE] : INT64_MIN,
                              p->fell_out[OUTSIDE] ? clock_inside(&p->clock, p->fell_ns[OUTSIDE]) : INT64_MIN};
    int64_t end = clock_inside(&p->clock, p->last_ns[OUTSIDE]), slack = (int64_t)p->clock.width_ns + SECOND / 20;
    *from = start[0];
    for (unsigned i = 1; i < 4; i++)
        *from = start[i] > *from ? start[i] : *from;
    *to = (int64_t)p->last_ns[INSIDE] < end ? (int64_t)p->last_ns[INSIDE] : end;
    *from += slack;
    *to -= slack;
    return *from < *to;
}

/* ---- the verdicts ---- */

static bool in_pool(const struct points *p, const struct end *e) {
    struct ip a = end_ip(e);
    return address_in(&a, p->o.pool, p->o.n_pool);
}

static void judge_bypass(struct points *p, const struct served *s) {
    char a[END_TEXT];
    for (uint32_t i = 0; i < p->pair_book.n; i++) {
        if (!p->pairs[i].proved || pair_translated(&p->pairs[i]) || p->links[i].way != OUTBOUND)
            continue;
        struct end local = pair_local(p, i, INSIDE), remote = pair_remote(p, i), about = end_address(&local);
        struct ip source = end_ip(&local);
        bool meant = p->o.n_pool ? !in_pool(p, &local) : address_private(&source);
        if (!meant || !served_source(s, &local) || !served_target(s, &remote))
            continue;
        struct nat_finding *f = accuse(p, i, NAT_BYPASS, &about);
        if (!*f->text)
            snprintf(f->text, sizeof f->text, "flows of %s leave untranslated, while others of its network to such "
                     "destinations are translated", end_text(&about, a, sizeof a));
    }
}

/* What the outside addresses are, learned from the flows: the one of nearly all of them; false: there is none. */
static bool learn_address(const struct points *p, struct end *address) {
    struct ends all = {0};
    size_t best = 0, run = 0;
    for (uint32_t i = 0; i < p->pair_book.n; i++)
        if (from_inside(p, i)) {
            struct end e = pair_local(p, i, OUTSIDE);
            e = end_address(&e);
            ends_add(&all, &e);
        }
    if (all.list.n)
        qsort(all.list.v, all.list.n, sizeof *all.list.v, ends_order);
    for (size_t i = 0; i < all.list.n; i++) {
        run = i && !end_compare(&all.list.v[i], &all.list.v[i - 1]) ? run + 1 : 1;
        if (run > best) {
            best = run;
            *address = all.list.v[i];
        }
    }
    bool sure = all.list.n >= LEARNED_LEAST && (double)best >= LEARNED_SHARE * (double)all.list.n;
    vec_free(&all.list);
    return sure;
}

/* Inside addresses and remote networks that have the usual outside address, and when: who never has it, or not at that
 * time, or only towards others, may be meant to have another one. */
struct usual {
    struct end address;
    struct ends sources, targets;
    uint64_t first_ns, last_ns; /* of the beginnings of its flows */
};

static void usual_make(const struct points *p, struct usual *u) {
    u->first_ns = UINT64_MAX;
    for (uint32_t i = 0; i < p->pair_book.n; i++) {
        struct end at = pair_local(p, i, OUTSIDE), source = pair_local(p, i, INSIDE), target = pair_remote(p, i);
        at = end_address(&at);
        if (!from_inside(p, i) || end_compare(&at, &u->address))
            continue;
        source = end_address(&source);
        target = end_network(&target);
        ends_add(&u->sources, &source);
        ends_add(&u->targets, &target);
        u->first_ns = p->pairs[i].first_ns < u->first_ns ? p->pairs[i].first_ns : u->first_ns;
        u->last_ns = p->pairs[i].first_ns > u->last_ns ? p->pairs[i].first_ns : u->last_ns;
    }
    ends_sort(&u->sources);
    ends_sort(&u->targets);
}

static bool unusual(const struct points *p, const struct usual *u, uint32_t i) {
    struct end at = pair_local(p, i, OUTSIDE), source = pair_local(p, i, INSIDE), target = pair_remote(p, i);
    at = end_address(&at);
    source = end_address(&source);
    target = end_network(&target);
    return end_compare(&at, &u->address) && ends_have(&u->sources, &source) && ends_have(&u->targets, &target) &&
           p->pairs[i].first_ns > u->first_ns && p->pairs[i].first_ns < u->last_ns;
}

static void judge_wrong(struct points *p) {
    struct usual u = {0};
    char a[END_TEXT], b[END_TEXT];
    bool learned = !p->o.n_pool && learn_address(p, &u.address);
    if (!p->o.n_pool && !learned)
        return;
    if (learned)
        usual_make(p, &u);
    for (uint32_t i = 0; i < p->pair_book.n; i++) {
        struct end local = pair_local(p, i, OUTSIDE), about = end_address(&local);
        if (!from_inside(p, i) || (learned ? !unusual(p, &u, i) : in_pool(p, &local)))
            continue;
        struct nat_finding *f = accuse(p, i, NAT_WRONG, &about);
        end_text(&about, a, sizeof a);
        if (!*f->text && learned)
            snprintf(f->text, sizeof f->text, "flows leave as %s, while nearly all others of the same machines to the "
                     "same networks leave as %s", a, end_text(&u.address, b, sizeof b));
        else if (!*f->text)
            snprintf(f->text, sizeof f->text, "flows leave as %s, which is not of the pool", a);
    }
    vec_free(&u.sources.list);
    vec_free(&u.targets.list);
}

/* Two flows take turns on one outside end towards the same remote one. */
static void judge_shared(struct points *p) {
    char a[END_TEXT], b[END_TEXT], c[END_TEXT], d[END_TEXT];
    for (uint32_t i = 0; i < p->pair_book.n; i++) {
        uint32_t k = p->links[i].shares;
        if (k == NONE || k < i || p->links[k].shares != i)
            continue;
        struct end x = pair_local(p, i, INSIDE), y = pair_local(p, k, INSIDE), out = pair_local(p, i, OUTSIDE);
        struct end other = pair_local(p, k, OUTSIDE), remote = pair_remote(p, i);
        if (end_compare(&out, &other) || !end_compare(&x, &y))
            continue;
        accuse(p, i, NAT_DOUBLE_MAPPING, &out);
        struct nat_finding *f = accuse(p, k, NAT_DOUBLE_MAPPING, &out);
        if (!*f->text)
            snprintf(f->text, sizeof f->text, "%s and %s are both %s at the same time towards %s",
                     end_text(&x, a, sizeof a), end_text(&y, b, sizeof b), end_text(&out, c, sizeof c),
                     end_text(&remote, d, sizeof d));
    }
}

/* Pairs of one inside end stand together, in the order of their beginning. */
static int by_inside(const void *a, const void *b, void *points) {
    const uint32_t *x = a, *y = b;
    const struct points *p = points;
    struct end s = pair_local(p, *x, INSIDE), t = pair_local(p, *y, INSIDE);
    int order = end_compare(&s, &t);
    uint64_t f = p->pairs[*x].first_ns, g = p->pairs[*y].first_ns;
    return order ? order : f != g ? (f < g ? -1 : 1) : *x < *y ? -1 : *x > *y;
}

static bool same_end(const struct points *p, uint32_t i, uint32_t k, unsigned point) {
    struct end a = pair_local(p, i, point), b = pair_local(p, k, point);
    return !end_compare(&a, &b);
}

/* Two outside ends of one inside end, each in use while the other is. */
static bool doubled(const struct points *p, uint32_t i, uint32_t k) {
    return same_end(p, i, k, INSIDE) && !same_end(p, i, k, OUTSIDE) && p->pairs[k].first_ns < p->pairs[i].last_ns;
}

/*
 * Where a NAT gives an inside end the same outside end towards all others (endpoint-independent mapping). That is
 * learned from ends that got another port than their own: keeping it looks the same and promises nothing.
 */
static void judge_two_outsides(struct points *p) {
    VEC(uint32_t) list = {0};
    size_t steady = 0, doubles = 0;
    char a[END_TEXT], b[END_TEXT], c[END_TEXT];
    for (uint32_t i = 0; i < p->pair_book.n; i++)
        if (from_inside(p, i))
            vec_push(&list, i);
    if (list.n)
        qsort_r(list.v, list.n, sizeof *list.v, by_inside, p);
    for (size_t i = 1; i < list.n; i++) {
        struct end in = pair_local(p, list.v[i], INSIDE), out = pair_local(p, list.v[i], OUTSIDE);
        steady += same_end(p, list.v[i - 1], list.v[i], INSIDE) && same_end(p, list.v[i - 1], list.v[i], OUTSIDE) &&
                  in.port != out.port;
        doubles += doubled(p, list.v[i - 1], list.v[i]);
    }
    bool independent = steady >= STEADY_LEAST && (double)doubles <= (1 - LEARNED_SHARE) * (double)(steady + doubles);
    for (size_t i = 1; independent && i < list.n; i++) {
        if (!doubled(p, list.v[i - 1], list.v[i]))
            continue;
        struct end in = pair_local(p, list.v[i], INSIDE), x = pair_local(p, list.v[i - 1], OUTSIDE);
        struct end y = pair_local(p, list.v[i], OUTSIDE);
        struct nat_finding *f = accuse(p, list.v[i], NAT_DOUBLE_MAPPING, &in);
        if (!*f->text)
            snprintf(f->text, sizeof f->text, "%s is %s and %s at the same time, where the NAT otherwise gives one "
                     "outside end for all destinations", end_text(&in, a, sizeof a), end_text(&x, b, sizeof b),
                     end_text(&y, c, sizeof c));
    }
    vec_free(&list);
}

/* Share of the packets that came to translated flows outside and were not found inside. */
static double missing(const struct points *p) {
    uint64_t seen = 0, joined = 0;
    int64_t from, to;
    if (!points_overlap(p, &from, &to))
        return 1;
    for (uint32_t i = 0; i < p->pair_book.n; i++) {
        unsigned back;
        uint32_t o = sight_find(p, OUTSIDE, &p->pairs[i].outside, &back);
        if (!p->pairs[i].proved || !pair_translated(&p->pairs[i]) || o == NONE)
            continue;
        const struct sight *s = &p->sights[o];
        unsigned in = (p->links[i].way == OUTBOUND) ^ back;
        if (clock_inside(&p->clock, s->first_ns) < from || clock_inside(&p->clock, s->last_ns) > to ||
            !s->joined[PRINT_WHOLE][in])
            continue;
        seen += s->seen[PRINT_WHOLE][in];
        joined += s->joined[PRINT_WHOLE][in];
    }
    return seen ? (double)(seen - joined) / (double)seen : 1;
}

/* Nothing of what came from this remote end to a live mapping was seen inside. */
static bool refused(const struct points *p, const struct sight *s) {
    unsigned back;
    if (s->point != OUTSIDE || s->refused < REFUSED_LEAST || s->lost)
        return false;
    const struct point_pair *pair = &p->pairs[s->refused_pair];
    struct end local = pair_local(p, s->refused_pair, OUTSIDE), from = key_source(&s->key), to = key_target(&s->key);
    unsigned in = end_compare(&to, &local) ? 1 : 0; /* the way in, of this sight */
    if (end_compare(in ? &from : &to, &local) || s->joined[PRINT_WHOLE][in])
        return false;
    /* inside by its translated name: seen there, though not to be joined (merged segments, wrong checksums) */
    struct end inner = pair_local(p, s->refused_pair, INSIDE);
    struct flow_key key = s->key;
    memcpy(in ? key.src : key.dst, inner.addr, sizeof key.src);
    *(in || proto_is_icmp(key.proto) ? &key.sport : &key.dport) = inner.port;
    uint32_t i = sight_find(p, INSIDE, &key, &back);
    return pair->proved && (i == NONE || !p->sights[i].seen[PRINT_WHOLE][in ^ back]);
}

static void judge_filtered(struct points *p) {
    double miss = fmax(missing(p), 1e-3);
    char a[END_TEXT], b[END_TEXT], c[END_TEXT];
    for (uint32_t i = 0; i < p->sight_book.n; i++) {
        const struct sight *s = &p->sights[i];
        if (!refused(p, s) || pow(miss, s->refused) * p->sight_book.n > CHANCE)
            continue;
        struct end out = pair_local(p, s->refused_pair, OUTSIDE), in = pair_local(p, s->refused_pair, INSIDE);
        struct end from = key_source(&s->key), to = key_target(&s->key);
        struct end remote = end_compare(&out, &from) ? from : to;
        struct nat_finding *f = finding_add(p, NAT_FILTERED, &out, &s->key, s->refused_ns);
        nat_finding_frames(f, 0, s->refused_frame);
        if (!*f->text)
            snprintf(f->text, sizeof f->text, "packets of %s come to %s, which is %s inside, and none gets there (%u "
                     "were not seen inside)", end_text(&remote, a, sizeof a), end_text(&out, b, sizeof b),
                     end_text(&in, c, sizeof c), s->refused);
    }
}

void points_judge(struct points *p) {
    struct served *s = served_make(p);
    judge_wrong(p);
    judge_two_outsides(p);
    judge_shared(p);
    judge_bypass(p, s);
    judge_filtered(p);
    judge_exhaustion(p, s);
    served_free(s);
}
