/* SPDX-License-Identifier: BSD-3-Clause */
#include "source.h"
#include <errno.h>
#include <fwdlab/core/parse.h>
#include <rte_common.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <string.h>

/* Small, so that its mbufs stay in the cache; its own cache is well above a burst. */
#define POOL_SIZE 1023
#define POOL_CACHE 512
#define ROOM 2048
#define PLACE_MAX (64u << 20) /* bytes of packets: far above the caches */
#define LINE 64

struct rte_mempool *source_pool(struct err *e) {
    static unsigned serial;
    char name[32];
    snprintf(name, sizeof name, "replay-%u", serial++);
    struct rte_mempool *pool = rte_pktmbuf_pool_create(name, POOL_SIZE, POOL_CACHE, sizeof(struct packet),
                                                       ROOM + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
    if (!pool) {
        err_set(e, -rte_errno, "no memory for %d packet buffers: %s", POOL_SIZE, rte_strerror(rte_errno));
        err_hint(e, "give EAL more memory");
    }
    return pool;
}

void source_pool_free(struct rte_mempool *pool) {
    rte_mempool_free(pool);
}

/* The same packets in memory of their own, which begins at another line of a page each time. */
static struct inject *place(const struct inject *in) {
    static unsigned serial;
    struct inject *p;
    struct trace_packet *raw;
    uint64_t bytes = 0, shift = serial++ * 27 % LINE * LINE; /* 27: coprime to the 64 lines of a page */
    for (uint32_t i = 0; i < in->n; i++)
        if (in->packets[i].kind == INJECT_ARRIVED)
            bytes += RTE_ALIGN(in->packets[i].raw->len, 8u);
    if (bytes > PLACE_MAX)
        return NULL;
    const size_t packets = in->n * sizeof *in->packets, raws = in->n * sizeof *raw;
    p = xzalloc(1, sizeof *p + LINE * LINE + packets + raws + bytes);
    *p = *in;
    p->packets = memcpy((uint8_t *)(p + 1) + shift, in->packets, packets);
    raw = (struct trace_packet *)((uint8_t *)p->packets + packets);
    uint8_t *data = (uint8_t *)raw + raws;
    for (uint32_t i = 0; i < in->n; i++) {
        raw[i] = *in->packets[i].raw;
        p->packets[i].raw = &raw[i];
        if (in->packets[i].kind != INJECT_ARRIVED)
            continue;
        raw[i].data = memcpy(data, raw[i].data, raw[i].len);
        data += RTE_ALIGN(raw[i].len, 8u);
    }
    return p;
}

/* Does the burst hold a packet that this one may be the answer to? It may begin the session anew after a long pause. */
static bool answers(const struct source *s, const struct source_burst *b, uint32_t i) {
    if (s->in->packets[i].answer == INJECT_NONE)
        return false;
    const struct inject_mapping *m = &s->in->mappings.v[s->in->packets[i].answer];
    for (uint32_t k = b->first; k < b->first + b->n; k++) {
        const struct flow_key *key = &s->in->packets[s->arrived[k]].key;
        if (key->family == FAMILY_IPV4 && key->proto == m->proto && key->sport == m->inside.sport &&
            key->dport == m->inside.dport && !memcmp(key->src, &m->inside.src, 4) &&
            !memcmp(key->dst, &m->inside.dst, 4))
            return true;
    }
    return false;
}

/* Is it sent on by a session alone, whoever may have made that (nat.h, Bursts)? */
static bool begins_nothing(const struct inject_packet *p) {
    if (p->flags & PACKET_ICMP_ERROR)
        return true;
    if (p->key.proto != PROTO_TCP || p->flags & PACKET_FRAG_LATER || p->raw->len < p->l4 + 14u)
        return false;
    uint8_t flags = p->raw->data[p->l4 + 13];
    return flags & (TCP_FIN | TCP_RST) || (flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
}

/*
 * May this packet join the burst? All packets of a burst have the same time on the core's clock, which is the time that
 * each of them has in a burst of its own: verdicts cannot depend on how packets fall into bursts.
 */
static bool joins(const struct source *s, const struct source_burst *b, uint32_t i, unsigned burst, bool strict) {
    uint32_t after = s->in->packets[i].after;
    return b->n < burst && inject_clock(s->in, i) == b->now && (after == INJECT_NONE || after < s->arrived[b->first]) &&
           !(strict && (begins_nothing(&s->in->packets[i]) || answers(s, b, i)));
}

void source_init(struct source *s, const struct inject *in, struct rte_mempool *pool, unsigned burst, bool strict) {
    struct inject *placed = place(in);
    in = placed ? placed : in;
    *s = (struct source){.in = in, .placed = placed, .pool = pool};
    s->arrived = xzalloc(in->arrived + 1, sizeof *s->arrived);
    for (uint32_t i = 0; i < in->n; i++) {
        if (in->packets[i].kind != INJECT_ARRIVED)
            continue;
        s->arrived[s->n] = i;
        if (s->bursts.n && joins(s, &s->bursts.v[s->bursts.n - 1], i, burst, strict))
            s->bursts.v[s->bursts.n - 1].n++;
        else
            vec_push(&s->bursts, (struct source_burst){.first = s->n, .n = 1, .now = inject_clock(in, i)});
        s->n++;
        s->bytes += in->packets[i].raw->wire_len;
        s->cut += in->packets[i].raw->len > ROOM;
    }
    s->duration = in->n ? inject_time(in, in->n - 1) : 0;
}

void source_fini(struct source *s) {
    vec_free(&s->bursts);
    vec_release(s->arrived);
    vec_release(s->placed);
    *s = (struct source){0};
}

void source_take(const struct source *s, const struct source_burst *b, const struct nat *nat, struct flight *f) {
    f->n = b->n;
    rte_pktmbuf_alloc_bulk(s->pool, f->mbufs, b->n); /* the pool holds more than the one burst that is out */
    for (unsigned k = 0; k < b->n; k++) {
        const uint32_t i = s->arrived[b->first + k];
        struct rte_mbuf *m = f->mbufs[k];
        struct packet *p = f->pkts[k] = rte_mbuf_to_priv(m);
        inject_fill(s->in, i, p, rte_pktmbuf_mtod(m, uint8_t *), ROOM);
        m->data_len = (uint16_t)p->len;
        m->pkt_len = p->len;
        int fit = inject_fit(s->in, i, p, nat);
        f->rewritten += fit > 0;
        f->unmatched += fit < 0;
    }
}

void source_give_back(struct flight *f) {
    rte_pktmbuf_free_bulk(f->mbufs, f->n);
}
