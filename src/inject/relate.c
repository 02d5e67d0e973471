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

enum { ENTRY_USED = 1, ENTRY_OWN = 2, ENTRY_MAPPING = 4 };

/* One cache line. Both directions are found in the same chain, the newest first. */
struct entry {
    struct flow_key key;     /* as the packet that began it came in; beyond NAT: as it left */
    uint8_t flags;
    uint32_t hash;           /* book_hash, its upper half */
    struct nat_tuple inside; /* ENTRY_MAPPING */
    uint32_t label;
    uint32_t next;           /* chain, or list of free ones */
} __attribute__((aligned(64)));

/* The first fragment of a datagram that arrived. */
struct first {
    struct flow_key key;     /* ports are 0 */
    be32 id;
    uint64_t seen;           /* number of the packet */
    uint32_t label;
    struct relation relation;
};

struct book {
    struct entry *entries;
    uint32_t *numbers;       /* of each entry's mapping */
    uint32_t *head;
    uint32_t n, cap, free, used; /* entries ever used; allocated; list; in use */
    size_t mask;
    uint32_t mappings;
    uint64_t seen;
    struct first firsts[FIRSTS];
    uint64_t n_firsts;
    VEC(uint32_t) unsettled; /* entries with labels that are pending */
};

struct book *book_create(void) {
    struct book *b = xzalloc(1, sizeof *b);
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
    free(b->numbers);
    free(b->head);
    vec_free(&b->unsettled);
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

/* The newest entries with the key: as it stands, and the other way round. */
static void find_hashed(const struct book *b, const struct flow_key *k, uint64_t hash, struct entry **there,
                        struct entry **back) {
    *there = *back = NULL;
    for (uint32_t i = b->head[hash & b->mask]; i != INJECT_NONE; i = b->entries[i].next) {
        struct entry *e = &b->entries[i];
        if (e->hash != hash >> 32)
            continue;
        if (!*there && same_key(&e->key, k))
            *there = e;
        if (!*back && same_reversed(&e->key, k)) {
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

static uint32_t entry_take(struct book *b) {
    uint32_t i = b->free;
    if (i != INJECT_NONE) {
        b->free = b->entries[i].next;
        return i;
    }
    if (b->n == b->cap) {
        const size_t old = b->cap;
        b->cap = old ? 2 * b->cap : AT_FIRST;
        b->entries = block_grow(b->entries, old * sizeof *b->entries, b->cap * sizeof *b->entries);
        b->numbers = xrealloc(b->numbers, b->cap, sizeof *b->numbers);
    }
    return b->n++;
}

static void label(struct book *b, struct entry *e, uint32_t label) {
    e->label = label;
    if (label_is_pending(label))
        vec_push(&b->unsettled, (uint32_t)(e - b->entries));
}

static struct entry *enter(struct book *b, const struct flow_key *k, uint64_t hash, uint32_t named) {
    if (b->used++ > b->mask / 2)
        table_grow(b);
    const uint32_t i = entry_take(b);
    uint32_t *head = &b->head[hash & b->mask];
    b->entries[i] = (struct entry){.key = *k, .flags = ENTRY_USED, .hash = (uint32_t)(hash >> 32), .next = *head};
    *head = i;
    label(b, &b->entries[i], named);
    return &b->entries[i];
}

static void drop(struct book *b, struct entry *e) {
    const uint32_t i = (uint32_t)(e - b->entries);
    uint32_t *at = &b->head[book_hash(&e->key) & b->mask];
    while (*at != i)
        at = &b->entries[*at].next;
    *at = e->next;
    *e = (struct entry){.next = b->free};
    b->free = i;
    b->used--;
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
        out->after = f->label;
        return;
    }
}

static void see_first(struct book *b, const struct inject_packet *p, uint32_t label, const struct relation *r) {
    struct first f = datagram(p);
    f.label = label;
    f.seen = b->seen;
    f.relation = *r;
    b->firsts[b->n_firsts++ % FIRSTS] = f;
}

static void is_after(const struct book *b, const struct entry *e, struct relation *out) {
    out->after = e->label;
    out->answers = e->flags & ENTRY_MAPPING;
    out->proto = e->key.proto;
    out->inside = e->inside;
    if (out->answers)
        out->mapping = b->numbers[e - b->entries];
}

static void see_error(const struct book *b, const struct inject_packet *p, struct relation *out) {
    struct flow_key key;
    struct entry *there, *back;
    uint32_t l3, l4;
    if (!inject_inner(p, &key, &l3, &l4))
        return;
    find(b, &key, &there, &back);
    if (there)
        is_after(b, there, out);
}

/* What the node itself began goes on as if the arrived packet had begun it: nothing can be after what never arrived. */
static void take_over(struct book *b, struct entry *e, const struct inject_packet *p, uint32_t named) {
    e->key = p->key;
    e->flags &= (uint8_t)~ENTRY_OWN;
    label(b, e, named);
}

static void see_conversation(struct book *b, const struct inject_packet *p, uint64_t hash, uint32_t named,
                             struct relation *out) {
    struct entry *there, *back;
    find_hashed(b, &p->key, hash, &there, &back);
    if (back && !(back->flags & ENTRY_OWN)) {
        is_after(b, back, out);
    } else if (there && !(there->flags & ENTRY_OWN)) {
        out->same = there->label;
    } else if (back || there) {
        out->same = back ? label_flip(back->label) : there->label;
        take_over(b, back ? back : there, p, named);
    } else {
        enter(b, &p->key, hash, named);
    }
}

static const struct relation unrelated = {.same = LABEL_NONE, .after = LABEL_NONE, .mapping = INJECT_NONE};

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
    if (back || there)
        out->same = back ? label_flip(back->label) : there->label;
    else
        enter(b, &p->key, hash, label)->flags |= ENTRY_OWN;
}

bool book_learn(struct book *b, const struct waiting *w, const struct flow_key *left, struct nat_tuple *outside,
                uint32_t *mapping) {
    struct entry *there, *back;
    *outside = inject_tuple(left);
    if (!w->learns || w->family != FAMILY_IPV4 || w->proto != left->proto ||
        !memcmp(outside, &w->inside, sizeof *outside))
        return false;
    find(b, left, &there, &back);
    if (there && (!(there->flags & ENTRY_MAPPING) || !memcmp(&there->inside, &w->inside, sizeof w->inside)))
        return false;
    if (there) /* a port that serves another flow now */
        drop(b, there);
    struct entry *e = enter(b, left, book_hash(left), w->label);
    b->numbers[e - b->entries] = INJECT_NONE;
    if (outside->src == w->inside.src && outside->sport == w->inside.sport)
        return false;
    e->flags |= ENTRY_MAPPING;
    e->inside = w->inside;
    *mapping = b->numbers[e - b->entries] = b->mappings++;
    return true;
}

uint32_t book_find(const struct book *b, const struct flow_key *key) {
    struct entry *there, *back;
    find(b, key, &there, &back);
    return there ? there->label : back ? label_flip(back->label) : LABEL_NONE;
}

void book_put(struct book *b, const struct flow_key *key, uint32_t named) {
    struct entry *there, *back;
    find(b, key, &there, &back);
    if (there || back)
        label(b, there ? there : back, there ? named : label_flip(named));
    else
        enter(b, key, book_hash(key), named);
}

void book_forget(struct book *b, const struct flow_key *key) {
    struct entry *there, *back;
    find(b, key, &there, &back);
    if (there || back)
        drop(b, there ? there : back);
}

void book_settle(struct book *b, const uint32_t *names) {
    for (size_t i = 0; i < b->unsettled.n; i++) {
        struct entry *e = &b->entries[b->unsettled.v[i]];
        e->label = label_settle(e->label, names);
    }
    b->unsettled.n = 0;
    for (uint64_t i = b->n_firsts; i-- > 0 && b->n_firsts - i <= FIRSTS;) {
        struct first *f = &b->firsts[i % FIRSTS];
        if (!label_is_pending(f->label))
            break;
        f->label = label_settle(f->label, names);
        f->relation.same = label_settle(f->relation.same, names);
        f->relation.after = label_settle(f->relation.after, names);
    }
}
