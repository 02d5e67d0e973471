/* SPDX-License-Identifier: BSD-3-Clause */
/* Conversations: who answers whom, how the captured NAT translated them, errors about them, fragments of them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/block.h>
#include "tracker.h"

#define AT_FIRST 1024
#define FIRSTS 1024           /* first fragments that later ones are looked for in, the latest ones */
#define FRAGMENT_WINDOW 4096  /* packets between the two, at most */
#define LOOKED_AT 32          /* entries, to find an idle one */
#define IDLE_SHIFT 8          /* packets, to tell who is idle: 2^8 count as one */

enum { ENTRY_USED = 1, ENTRY_OWN = 2, ENTRY_MAPPING = 4, ENTRY_BEYOND = 8 };

/* One cache line. Both directions are found in the same chain, the newest first. */
struct entry {
    struct flow_key key;     /* as the packet that began it came in; ENTRY_BEYOND: as it left */
    uint8_t flags;
    uint8_t batch;           /* in which it began, as far as 8 bits tell it */
    uint32_t seen;           /* when it was found last: packets >> IDLE_SHIFT */
    struct nat_tuple inside; /* ENTRY_MAPPING */
    uint32_t label;
    uint32_t next;           /* chain, or list of free ones */
} __attribute__((aligned(64)));

/* What is seldom looked at: as often as the entry was given away it counts, and of one that is ENTRY_BEYOND its
 * conversation's entry, as it was then. */
struct side {
    uint32_t times, inner, inner_times;
    uint32_t mapping;        /* its number; INJECT_NONE */
    uint32_t first;          /* label of the packet whose copy showed it */
};

/* The first fragment of a datagram that arrived. */
struct first {
    struct flow_key key;     /* ports are 0 */
    be32 id;
    uint64_t seen;           /* number of the packet */
    struct relation relation;
};

struct book {
    struct entry *entries;
    struct side *sides;      /* of each entry */
    uint32_t *head;
    uint32_t n, cap, free, used; /* entries ever used; allocated; list; in use */
    size_t most;             /* entries; 0: no limit */
    uint32_t hand;           /* where the search for an idle one goes on */
    size_t mask;
    uint32_t mappings;
    uint64_t seen, batch_from; /* packets: so far, before this batch */
    uint8_t batch;
    struct first firsts[FIRSTS];
    uint64_t n_firsts;
};

struct book *book_create(size_t most) {
    struct book *b = xzalloc(1, sizeof *b);
    b->most = most;
    b->mask = AT_FIRST - 1;
    b->free = INJECT_NONE;
    b->head = xalloc(AT_FIRST * sizeof *b->head);
    memset(b->head, 0xff, AT_FIRST * sizeof *b->head);
    return b;
}

void book_destroy(struct book *b) {
    if (!b)
        return;
    block_free(b->entries, b->cap * sizeof *b->entries);
    block_free(b->sides, b->cap * sizeof *b->sides);
    free(b->head);
    free(b);
}

/* ---- the table ---- */

uint64_t book_hash(const struct flow_key *k) {
    uint64_t src[2], dst[2];
    memcpy(src, k->src, sizeof src);
    memcpy(dst, k->dst, sizeof dst);
    if (proto_is_icmp(k->proto)) /* there: identifier and 0, both ways */
        return mix(mix(src[0], src[1]) + mix(dst[0], dst[1]), k->sport);
    uint64_t one = mix(mix(src[0], src[1]), k->sport), other = mix(mix(dst[0], dst[1]), k->dport);
    return mix(one + other, k->proto);
}

void book_fetch(const struct book *b, uint64_t hash) {
    __builtin_prefetch(&b->head[hash & b->mask]);
}

void book_fetch_more(const struct book *b, uint64_t hash) {
    const uint32_t at = b->head[hash & b->mask];
    if (at != INJECT_NONE)
        __builtin_prefetch(&b->entries[at]);
}

struct flow_key flow_key_reverse(const struct flow_key *k) {
    struct flow_key r = *k;
    memcpy(r.src, k->dst, sizeof r.src);
    memcpy(r.dst, k->src, sizeof r.dst);
    if (!proto_is_icmp(k->proto)) {
        r.sport = k->dport;
        r.dport = k->sport;
    }
    return r;
}

static bool same_key(const struct flow_key *a, const struct flow_key *b) {
    uint64_t x[5], y[5];
    static_assert(sizeof *a == 38, "five words");
    memcpy(x, a, 32);
    memcpy(y, b, 32);
    memcpy(x + 4, (const uint8_t *)a + 30, 8);
    memcpy(y + 4, (const uint8_t *)b + 30, 8);
    return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]));
}

/* As same_key of the one and the other way round. */
static bool same_reversed(const struct flow_key *a, const struct flow_key *b) {
    uint64_t x[4], y[4];
    const bool icmp = proto_is_icmp(a->proto);
    memcpy(x, a->src, 32);
    memcpy(y, b->dst, 16);
    memcpy(y + 2, b->src, 16);
    return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) && a->proto == b->proto &&
           a->family == b->family && a->sport == (icmp ? b->sport : b->dport) &&
           a->dport == (icmp ? b->dport : b->sport);
}

/* Is the conversation of an entry beyond NAT still the one that it was entered for? */
static bool holds(const struct book *b, const struct entry *e) {
    const struct side *s = &b->sides[e - b->entries];
    return !(e->flags & ENTRY_BEYOND) || b->sides[s->inner].times == s->inner_times;
}

/* The newest entries with the key: as it stands, and the other way round. */
static void find_hashed(const struct book *b, const struct flow_key *k, uint64_t hash, struct entry **there,
                        struct entry **back) {
    *there = *back = NULL;
    for (uint32_t i = b->head[hash & b->mask]; i != INJECT_NONE; i = b->entries[i].next) {
        struct entry *e = &b->entries[i];
        if (!*there && same_key(&e->key, k) && holds(b, e))
            *there = e;
        if (!*back && same_reversed(&e->key, k) && holds(b, e)) {
            *back = e;
            break;
        }
    }
}

static void find(const struct book *b, const struct flow_key *k, struct entry **there, struct entry **back) {
    find_hashed(b, k, book_hash(k), there, back);
}

static void table_grow(struct book *b) {
    b->mask = b->mask * 2 + 1;
    free(b->head);
    b->head = xalloc((b->mask + 1) * sizeof *b->head);
    memset(b->head, 0xff, (b->mask + 1) * sizeof *b->head);
    for (uint32_t i = 0; i < b->n; i++) {
        struct entry *e = &b->entries[i];
        if (!(e->flags & ENTRY_USED))
            continue;
        uint32_t *head = &b->head[book_hash(&e->key) & b->mask];
        e->next = *head;
        *head = i;
    }
}

static void drop(struct book *b, struct entry *e) {
    const uint32_t i = (uint32_t)(e - b->entries);
    uint32_t *at = &b->head[book_hash(&e->key) & b->mask];
    while (*at != i)
        at = &b->entries[*at].next;
    *at = e->next;
    *e = (struct entry){.next = b->free};
    b->sides[i].times++;
    b->free = i;
    b->used--;
}

/* The one that was idle longest, of some that are looked at. */
static struct entry *find_idle(struct book *b) {
    const uint32_t now = (uint32_t)(b->seen >> IDLE_SHIFT);
    struct entry *best = NULL;
    for (unsigned looked = 0; looked < LOOKED_AT || !best; looked++) {
        struct entry *e = &b->entries[b->hand = b->hand + 1 < b->n ? b->hand + 1 : 0];
        if (e->flags & ENTRY_USED && (!best || now - e->seen > now - best->seen))
            best = e;
    }
    return best;
}

static void grow(struct book *b) {
    const size_t old = b->cap;
    b->cap = old ? 2 * b->cap : AT_FIRST;
    b->entries = block_grow(b->entries, old * sizeof *b->entries, b->cap * sizeof *b->entries);
    b->sides = block_grow(b->sides, old * sizeof *b->sides, b->cap * sizeof *b->sides);
}

uint32_t book_next(struct book *b) {
    if (b->most && b->used >= b->most)
        drop(b, find_idle(b));
    if (b->free == INJECT_NONE && b->n == b->cap)
        grow(b);
    return b->free != INJECT_NONE ? b->free : b->n;
}

static struct entry *enter(struct book *b, const struct flow_key *k, uint64_t hash, uint32_t label) {
    const uint32_t i = book_next(b);
    if (b->used++ > b->mask / 2)
        table_grow(b); /* before the entry counts: it is not yet written */
    if (i == b->n)
        b->sides[b->n++].times = 0;
    else
        b->free = b->entries[i].next;
    uint32_t *head = &b->head[hash & b->mask];
    b->entries[i] = (struct entry){.key = *k, .flags = ENTRY_USED, .batch = b->batch, .label = label, .next = *head,
                                   .seen = (uint32_t)(b->seen >> IDLE_SHIFT)};
    *head = i;
    return &b->entries[i];
}

/* ---- packets ---- */

bool inject_inner(const struct inject_packet *p, struct flow_key *key, uint32_t *l3, uint32_t *l4) {
    struct packet inner = {.flags = PACKET_RAW_IP | PACKET_NO_CHECKSUM};
    uint32_t at = p->l4 + 8u;
    if (p->raw->len < at + 1)
        return false;
    inner.data = (uint8_t *)p->raw->data + at;
    inner.len = p->raw->len - at;
    inner.wire_len = UINT16_MAX + sizeof(struct ipv6_header); /* its own length says more than there is here */
    parse(&inner);
    if (inner.reason == DROP_SHORT_L4 && inner.proto == PROTO_TCP && inner.len >= inner.l4 + 8u) {
        inner.verdict = VERDICT_NONE; /* RFC 792 asks for 64 bits of it: the ports */
        memcpy(&inner.sport, inner.data + inner.l4, 2);
        memcpy(&inner.dport, inner.data + inner.l4 + 2, 2);
        inner.flags |= PACKET_PORTS;
    }
    if (inner.verdict != VERDICT_NONE || inner.family != p->key.family || inner.flags & PACKET_FRAG_LATER ||
        inner.len < inner.l4 + 8u)
        return false;
    packet_key(&inner, key);
    *l3 = at;
    *l4 = at + inner.l4;
    return true;
}

static const struct relation unrelated = {.label = LABEL_NONE, .mapping = INJECT_NONE};

/* What the fragments of a datagram share: addresses, and the identification (with IPv4 the protocol, too). IPv6's
 * fragment header stands before the L4 header. */
static struct first datagram(const struct inject_packet *p) {
    struct first f = {.key = p->key};
    f.key.sport = f.key.dport = 0;
    if (p->key.family == FAMILY_IPV6) {
        f.key.proto = 0;
        memcpy(&f.id, p->raw->data + p->l4 - sizeof f.id, sizeof f.id);
    } else {
        f.id = inject_ipv4(p)->id;
    }
    return f;
}

/* A later fragment waits for its first one. */
static void see_later(const struct book *b, const struct inject_packet *p, struct relation *out) {
    const struct first mine = datagram(p);
    for (uint64_t i = b->n_firsts; i-- > 0 && b->n_firsts - i <= FIRSTS;) {
        const struct first *f = &b->firsts[i % FIRSTS];
        if (b->seen - f->seen > FRAGMENT_WINDOW)
            return;
        if (f->id != mine.id || !same_key(&f->key, &mine.key))
            continue;
        *out = f->relation;
        out->begins = false;
        out->waits = f->seen > b->batch_from;
        return;
    }
}

static void see_first(struct book *b, const struct inject_packet *p, uint32_t label, const struct relation *r) {
    struct first f = datagram(p);
    f.seen = b->seen;
    f.relation = *r;
    f.relation.first = label;
    b->firsts[b->n_firsts++ % FIRSTS] = f;
}

static void touch(const struct book *b, struct entry *e) {
    e->seen = (uint32_t)(b->seen >> IDLE_SHIFT);
    if (e->flags & ENTRY_BEYOND)
        b->entries[b->sides[e - b->entries].inner].seen = e->seen;
}

/* It answers the conversation of an entry, or is about it. */
static void is_after(const struct book *b, struct entry *e, struct relation *out) {
    out->waits = e->batch == b->batch;
    out->first = e->flags & ENTRY_BEYOND ? b->sides[e - b->entries].first : e->label;
    out->answers = e->flags & ENTRY_MAPPING;
    out->proto = e->key.proto;
    out->inside = e->inside;
    if (out->answers)
        out->mapping = b->sides[e - b->entries].mapping;
    touch(b, e);
}

static void see_error(const struct book *b, const struct inject_packet *p, struct relation *out) {
    struct flow_key key;
    struct entry *there, *back;
    uint32_t l3, l4;
    if (!inject_inner(p, &key, &l3, &l4))
        return;
    find(b, &key, &there, &back);
    if (!there)
        return;
    out->label = there->label;
    is_after(b, there, out);
}

/* What the node itself began goes on as if the arrived packet had begun it: nothing can be after what never arrived. */
static void take_over(struct book *b, struct entry *e, const struct inject_packet *p, uint32_t label) {
    e->key = p->key;
    e->flags &= (uint8_t)~ENTRY_OWN;
    e->label = label;
    e->batch = b->batch;
    touch(b, e);
}

static void begin(struct book *b, const struct inject_packet *p, uint64_t hash, uint32_t label, uint8_t flags,
                  struct relation *out) {
    enter(b, &p->key, hash, label)->flags |= flags;
    out->label = label;
    out->begins = true;
}

static void see_conversation(struct book *b, const struct inject_packet *p, uint64_t hash, uint32_t label,
                             struct relation *out) {
    struct entry *there, *back;
    find_hashed(b, &p->key, hash, &there, &back);
    if (back && !(back->flags & ENTRY_OWN)) {
        out->label = label_flip(back->label);
        out->replies = true;
        is_after(b, back, out);
    } else if (there && !(there->flags & ENTRY_OWN)) {
        out->label = there->label;
        touch(b, there);
    } else if (back || there) {
        out->label = back ? label_flip(back->label) : there->label;
        take_over(b, back ? back : there, p, out->label);
    } else {
        begin(b, p, hash, label, 0, out);
    }
}

void book_see(struct book *b, const struct inject_packet *p, uint64_t hash, uint32_t label, struct relation *out) {
    *out = unrelated;
    b->seen++;
    if (p->flags & PACKET_FRAG_LATER)
        see_later(b, p, out);
    else if (p->flags & PACKET_ICMP_ERROR)
        see_error(b, p, out);
    else
        see_conversation(b, p, hash, label, out);
    if (p->flags & PACKET_FRAG_FIRST && p->kind == INJECT_ARRIVED)
        see_first(b, p, label, out);
}

void book_see_own(struct book *b, const struct inject_packet *p, uint64_t hash, uint32_t label, struct relation *out) {
    struct entry *there, *back;
    *out = unrelated;
    b->seen++;
    find_hashed(b, &p->key, hash, &there, &back);
    if (!back && !there) {
        begin(b, p, hash, label, ENTRY_OWN, out);
        return;
    }
    out->label = back ? label_flip(back->label) : there->label;
    touch(b, back ? back : there);
}

void book_batch(struct book *b) {
    b->batch++;
    b->batch_from = b->seen;
}

/* The conversation of what arrived, and its label as the packet went; false: it is forgotten. */
static bool inner_of(const struct book *b, const struct waiting *w, uint32_t *inner, uint32_t *label) {
    const struct nat_tuple *t = &w->inside;
    struct flow_key k = {.family = w->family, .proto = w->proto, .sport = t->sport, .dport = t->dport};
    struct entry *there, *back;
    memcpy(k.src, &t->src, sizeof t->src);
    memcpy(k.dst, &t->dst, sizeof t->dst);
    find(b, &k, &there, &back);
    if (!there && !back)
        return false;
    const struct entry *e = there ? there : back;
    *inner = e->flags & ENTRY_BEYOND ? b->sides[e - b->entries].inner : (uint32_t)(e - b->entries);
    *label = there ? there->label : label_flip(back->label);
    return true;
}

bool book_learn(struct book *b, const struct waiting *w, const struct flow_key *left, struct nat_tuple *outside,
                uint32_t *mapping) {
    struct entry *there, *back;
    uint32_t inner, label;
    *outside = inject_tuple(left);
    if (!w->learns || w->family != FAMILY_IPV4 || w->proto != left->proto ||
        !memcmp(outside, &w->inside, sizeof *outside))
        return false;
    find(b, left, &there, &back);
    if (there && (!(there->flags & ENTRY_MAPPING) || !memcmp(&there->inside, &w->inside, sizeof w->inside)))
        return false;
    if (there) /* a port that serves another flow now */
        drop(b, there);
    if (!inner_of(b, w, &inner, &label))
        return false;
    struct side of = {.inner = inner, .inner_times = b->sides[inner].times, .mapping = INJECT_NONE, .first = w->label};
    struct entry *e = enter(b, left, book_hash(left), label);
    e->flags |= ENTRY_BEYOND;
    e->inside = w->inside;
    const bool moved = outside->src != w->inside.src || outside->sport != w->inside.sport;
    if (moved) {
        e->flags |= ENTRY_MAPPING;
        *mapping = of.mapping = b->mappings++;
    }
    of.times = b->sides[e - b->entries].times;
    b->sides[e - b->entries] = of;
    return moved;
}
