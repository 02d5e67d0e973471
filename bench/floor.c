/* SPDX-License-Identifier: BSD-3-Clause */
#include "floor.h"
#include "floor_fib.h"
#include <fwdlab/base/vec.h>
#include <fwdlab/core/parse.h>
#include <nmmintrin.h>
#include <stdlib.h>
#include <string.h>

#define L3 14
#define L4 34
#define SLOTS 3
#define PORTS 2
#define BUCKETS_PER_ENTRY 2 /* then hardly any comparison goes wrong: 5 % faster than three quarters */
#define rare(x) __builtin_expect(!!(x), 0)
#define fused static inline __attribute__((always_inline))

/* Everything that a packet of one direction of a session needs, in one cache line for three of them. */
struct bucket {
    struct {
        uint32_t addrs[2], ports;
    } key[SLOTS];
    be32 addr[SLOTS]; /* what the source (destination, when it comes from outside) becomes */
    be16 port[SLOTS];
    uint8_t proto[SLOTS], n;
    uint16_t last[SLOTS]; /* seconds */
};
static_assert(sizeof(struct bucket) == 64, "a session costs one cache line");

struct floor {
    struct floor_fib fib;
    struct bucket *table;
    uint32_t buckets;
    bool nat;
    uint16_t outside;
    uint64_t mac[PORTS];     /* little-endian, 48 bits */
    uint64_t head[PORTS];    /* what a frame that leaves there begins with */
    uint32_t middle[PORTS];
    be32 addr[PORTS];
};

/* What the first pass leaves for the others. */
struct parsed {
    uint64_t addrs;
    uint32_t ports;
    be32 addr;
    struct bucket *bucket;
    uint32_t dst; /* host order */
    be16 port;
    uint8_t proto, in;
};

static inline uint64_t load64(const void *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static inline uint32_t load32(const void *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
static inline uint16_t load16(const void *p) {
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}
static inline void store16(void *p, uint16_t v) {
    memcpy(p, &v, 2);
}
static inline void store32(void *p, uint32_t v) {
    memcpy(p, &v, 4);
}
static inline uint16_t fold(uint64_t s) {
    s = (s & UINT32_MAX) + (s >> 32);
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    return (uint16_t)((s & 0xffff) + (s >> 16));
}

/* ---- tables ---- */

static inline struct bucket *find_bucket(const struct floor *f, uint64_t addrs, uint32_t ports, uint8_t proto) {
    const uint64_t a = _mm_crc32_u64(proto, addrs);
    const uint64_t hash = _mm_crc32_u64(a, ports);
    return &f->table[hash * f->buckets >> 32];
}

static inline struct bucket *next_bucket(const struct floor *f, struct bucket *b) {
    return b == f->table + f->buckets - 1 ? f->table : b + 1;
}

static void insert(struct floor *f, uint8_t proto, const struct nat_tuple *t, be32 addr, be16 port) {
    uint64_t addrs = load64(&t->src);
    uint32_t ports = load32(&t->sport);
    struct bucket *b = find_bucket(f, addrs, ports, proto);
    while (b->n == SLOTS)
        b = next_bucket(f, b);
    unsigned k = b->n++;
    memcpy(b->key[k].addrs, &addrs, 8);
    b->key[k].ports = ports;
    b->addr[k] = addr;
    b->port[k] = port;
    b->proto[k] = proto;
}

static void insert_session(const struct nat_session *s, void *arg) {
    insert(arg, s->proto, &s->original, s->reply.dst, s->reply.dport);
    insert(arg, s->proto, &s->reply, s->original.src, s->original.sport);
}

static bool fill_sessions(struct floor *f, const struct nat *nat) {
    struct nat_stats stats;
    nat_stats_get(nat, &stats);
    f->nat = true;
    f->outside = nat_config_get(nat)->outside_port;
    f->buckets = (uint32_t)(stats.live * 2 * BUCKETS_PER_ENTRY + 64);
    if (!(f->table = floor_alloc(f->buckets * sizeof *f->table)))
        return false;
    memset(f->table, 0, f->buckets * sizeof *f->table);
    nat_each(nat, insert_session, f);
    return true;
}

struct floor *floor_create(const struct node *node) {
    struct floor *f = xzalloc(1, sizeof *f);
    assert(node->n_ports == PORTS);
    for (unsigned i = 0; i < PORTS; i++) {
        uint64_t neighbour = 0;
        memcpy(&f->mac[i], &node->ports[i].mac, 6);
        memcpy(&neighbour, &node->ports[i].neighbour, 6);
        f->head[i] = neighbour | f->mac[i] << 48;
        f->middle[i] = (uint32_t)(f->mac[i] >> 16);
        f->addr[i] = node->ports[i].addr;
    }
    if (!floor_fib_fill(&f->fib, node->routes) || (node->nat && !fill_sessions(f, node->nat))) {
        floor_destroy(f);
        return NULL;
    }
    return f;
}

void floor_destroy(struct floor *f) {
    if (!f)
        return;
    floor_fib_free(&f->fib);
    free(f->table);
    free(f);
}

/* ---- the loop ---- */

/* 0, 127 and 224 and above are no ordinary packet's first octet. */
static inline unsigned special(uint32_t addr) {
    uint8_t octet = (uint8_t)addr;
    return ((uint8_t)(octet - 1) >= 223) | (octet == 127) |
           ((addr & 0xffff) == 0xfea9); /* 169.254/16 in network order */
}

/* Parse and guard. False: not for the fast path. */
fused bool examine(const struct floor *f, const uint8_t *d, unsigned len, unsigned in_port) {
    const uint8_t *ip = d + L3;
    const uint32_t src = load32(ip + 12), dst = load32(ip + 16);
    const uint16_t total = ntohs(load16(ip + 2));
    bool bad = load64(d) << 16 != f->mac[in_port] << 16;
    bad |= (load32(d + 12) & 0xffffff) != 0x450008; /* EtherType, version and header length, as they stand there */
    bad |= (len < L4 + 14) | (total - (20u + 14) > len - (L3 + 20u + 14));
    bad |= (load16(ip + 6) & htons(IPV4_MF | IPV4_OFFSET)) != 0;
    bad |= (ip[8] <= 1) | ((ip[9] != PROTO_UDP) & (ip[9] != PROTO_TCP));
    uint64_t a = load64(ip), b = load64(ip + 8);
    bad |= fold((a & UINT32_MAX) + (a >> 32) + (b & UINT32_MAX) + (b >> 32) + dst) != 0xffff;
    bad |= (special(src) | special(dst)) != 0;
    bad |= (src == f->addr[0]) | (src == f->addr[1]);
    return !bad;
}

/* Which of three; nearly always the first. 3: none. */
fused unsigned slot_of(const struct bucket *b, const struct parsed *q) {
    for (unsigned k = 0; k < SLOTS; k++)
        if (load64(b->key[k].addrs) == q->addrs && b->key[k].ports == q->ports && b->proto[k] == q->proto)
            return k;
    return SLOTS;
}

fused bool find_session(struct floor *f, struct parsed *q, uint16_t seconds) {
    struct bucket *b = q->bucket;
    unsigned k;
    while (rare((k = slot_of(b, q)) == SLOTS)) {
        if (b->n < SLOTS)
            return false;
        b = next_bucket(f, b);
    }
    q->addr = b->addr[k];
    q->port = b->port[k];
    b->last[k] = seconds;
    return true;
}

/* Address and port, and the L4 checksum. Returns what the change adds to the IP checksum. */
fused uint64_t translate(uint8_t *d, const struct parsed *q) {
    const unsigned addr_at = L3 + 12 + 4 * q->in, port_at = L4 + 2 * q->in;
    const bool udp = q->proto == PROTO_UDP;
    uint8_t *l4_sum = d + L4 + (udp ? 6 : 16);
    const uint32_t old = ~load32(d + addr_at);
    const uint64_t delta = (uint64_t)old + q->addr;
    const uint16_t check = load16(l4_sum);
    uint16_t s = (uint16_t)~fold((uint16_t)~check + delta + (uint16_t)~load16(d + port_at) + q->port);
    if (rare(udp & ((s == 0) | (check == 0))))
        s = check ? 0xffff : 0;
    store16(l4_sum, s);
    store32(d + addr_at, q->addr);
    store16(d + port_at, q->port);
    return delta;
}

/* TTL, checksums, addresses, MACs. */
fused void rewrite(const struct floor *f, uint8_t *d, const struct parsed *q, unsigned out) {
    uint8_t *ip = d + L3;
    const uint16_t ttl = load16(ip + 8), less = (uint16_t)(ttl - 1);
    uint64_t sum = (uint16_t)~load16(ip + 10) + (uint64_t)(uint16_t)~ttl + less;
    store16(ip + 8, less);
    if (f->nat)
        sum += translate(d, q);
    store16(ip + 10, (uint16_t)~fold(sum));
    memcpy(d, &f->head[out], 8);
    store32(d + 8, f->middle[out]);
}

fused unsigned run(struct floor *f, struct floor_packet *pkts, const uint8_t (*trace)[FRAME_ROOM],
                   const struct frame_about *about, unsigned n, uint64_t now_ns) {
    struct parsed parsed[BURST_MAX];
    const uint16_t seconds = (uint16_t)(now_ns / 1000000000u);
    unsigned slow = 0;
    for (unsigned i = 0; i < n; i++) {
        struct parsed *q = &parsed[i];
        const uint8_t *d = pkts[i].data;
        if (trace) {
            __builtin_prefetch(trace[i + WORKLOAD_BURST], 0, 2);
            memcpy(pkts[i].data, trace[i], FRAME_ROOM); /* what was just written would be slow to read */
            pkts[i].len = about[i].len;
            pkts[i].in_port = about[i].in_port;
            d = trace[i];
        }
        const uint8_t *ip = d + L3;
        slow += !examine(f, d, pkts[i].len, pkts[i].in_port);
        q->addrs = load64(ip + 12);
        q->ports = load32(ip + 20);
        q->proto = ip[9];
        q->in = pkts[i].in_port == f->outside;
        q->dst = ntohl(load32(ip + 16));
        if (f->nat) {
            slow += (q->proto == PROTO_TCP) & ((d[L4 + 13] & (TCP_SYN | TCP_FIN | TCP_RST)) != 0);
            q->bucket = find_bucket(f, q->addrs, q->ports, q->proto);
            __builtin_prefetch(q->bucket, 1);
        }
        floor_fib_prefetch(&f->fib, q->dst);
    }
    if (f->nat) {
        for (unsigned i = 0; i < n; i++) {
            struct parsed *q = &parsed[i];
            slow += !find_session(f, q, seconds);
            q->dst ^= (q->dst ^ ntohl(q->addr)) & -(uint32_t)q->in; /* a branch would go wrong for one in two */
            floor_fib_prefetch(&f->fib, q->dst);
        }
    }
    if (rare(slow))
        return slow;
    for (unsigned i = 0; i < n; i++) {
        const unsigned out = floor_fib_lookup(&f->fib, parsed[i].dst);
        if (rare(out >= PORTS || (f->nat && !parsed[i].in && out != f->outside))) {
            slow++;
            continue;
        }
        pkts[i].out_port = (uint16_t)out;
        rewrite(f, pkts[i].data, &parsed[i], out);
    }
    return slow;
}

unsigned floor_run(struct floor *f, struct floor_packet *pkts, unsigned n, uint64_t now_ns) {
    return run(f, pkts, NULL, NULL, n, now_ns);
}

unsigned floor_run_trace(struct floor *f, struct floor_packet *pkts, const uint8_t (*trace)[FRAME_ROOM],
                         const struct frame_about *about, unsigned n, uint64_t now_ns) {
    return run(f, pkts, trace, about, n, now_ns);
}
