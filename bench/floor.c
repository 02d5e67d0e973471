/* SPDX-License-Identifier: BSD-3-Clause */
#include "floor.h"
#include <fwdlab/base/vec.h>
#include <fwdlab/core/parse.h>
#include <nmmintrin.h>
#include <rte_fib.h>
#include <rte_memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define L3 14
#define L4 34
#define SLOTS 3
#define NH_NONE 0x7fffffffu
#define MAC_MASK 0xffffffffffffull
#define rare(x) __builtin_expect(!!(x), 0)

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
    struct rte_fib *fib;
    struct bucket *table;
    uint32_t mask;
    bool nat;
    uint16_t outside, n_ports;
    uint64_t mac[8], neighbour[8]; /* little-endian, 48 bits */
    be32 addr[8];
};

/* What the first pass leaves for the others. */
struct parsed {
    uint64_t addrs;
    uint32_t ports;
    struct bucket *bucket;
    be32 addr;
    be16 port;
    bool found;
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

static inline struct bucket *find_bucket(const struct floor *f, uint64_t addrs, uint32_t ports, uint8_t proto) {
    uint64_t hash = _mm_crc32_u64(proto, addrs);
    return &f->table[_mm_crc32_u64(hash, ports) & f->mask];
}

static void insert(struct floor *f, uint8_t proto, const struct nat_tuple *t, be32 addr, be16 port) {
    uint64_t addrs = load64(&t->src);
    uint32_t ports = load32(&t->sport);
    struct bucket *b = find_bucket(f, addrs, ports, proto);
    while (b->n == SLOTS)
        b = b == f->table + f->mask ? f->table : b + 1;
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

static bool fill_fib(struct floor *f, const struct route_table *t) {
    static unsigned serial;
    char name[32];
    size_t n;
    const struct route *r = route_table_routes(t, &n);
    struct rte_fib_conf conf = {.type = RTE_FIB_DIR24_8, .default_nh = NH_NONE, .max_routes = (int)n + 1};
    conf.dir24_8.nh_sz = RTE_FIB_DIR24_8_4B;
    conf.dir24_8.num_tbl8 = n < 100000 ? (uint32_t)n + 1 : 100000;
    snprintf(name, sizeof name, "floor-%u", serial++);
    f->fib = rte_fib_create(name, SOCKET_ID_ANY, &conf);
    for (size_t i = 0; f->fib && i < n; i++)
        if (r[i].kind == ROUTE_UNICAST && rte_fib_add(f->fib, ntohl(r[i].prefix.addr.v4), r[i].prefix.len, r[i].port))
            return false;
    return f->fib && rte_fib_select_lookup(f->fib, RTE_FIB_LOOKUP_DEFAULT) == 0;
}

struct floor *floor_create(const struct node *node) {
    struct floor *f = xzalloc(1, sizeof *f);
    f->n_ports = node->n_ports;
    for (unsigned i = 0; i < node->n_ports; i++) {
        memcpy(&f->mac[i], &node->ports[i].mac, 6);
        memcpy(&f->neighbour[i], &node->ports[i].neighbour, 6);
        f->addr[i] = node->ports[i].addr;
    }
    if (!fill_fib(f, node->routes)) {
        floor_destroy(f);
        return NULL;
    }
    if (node->nat) {
        struct nat_stats stats;
        uint64_t buckets = 64;
        nat_stats_get(node->nat, &stats);
        while (buckets * SLOTS < stats.live * 4ull)
            buckets *= 2;
        f->nat = true;
        f->outside = nat_config_get(node->nat)->outside_port;
        f->mask = (uint32_t)(buckets - 1);
        f->table = aligned_alloc(64, buckets * sizeof *f->table);
        if (!f->table) {
            floor_destroy(f);
            return NULL;
        }
        memset(f->table, 0, buckets * sizeof *f->table);
        nat_each(node->nat, insert_session, f);
    }
    return f;
}

void floor_destroy(struct floor *f) {
    if (!f)
        return;
    rte_fib_free(f->fib);
    free(f->table);
    free(f);
}

/* 0, 127 and 224 and above are no ordinary packet's first octet. */
static inline bool special(uint32_t addr) {
    uint8_t octet = (uint8_t)addr;
    return ((uint8_t)(octet - 1) >= 223) | (octet == 127) |
           ((addr & 0xffff) == 0xfea9); /* 169.254/16 in network order */
}

/* Parse and guard. False: not for the fast path. */
static inline bool examine(const struct floor *f, const struct floor_packet *p) {
    const uint8_t *d = p->data, *ip = d + L3;
    const uint32_t src = load32(ip + 12), dst = load32(ip + 16);
    const uint16_t total = ntohs(load16(ip + 2));
    bool bad = p->len < L4 + 14 || (load64(d) & MAC_MASK) != f->mac[p->in_port];
    bad |= load16(d + 12) != htons(0x0800) || ip[0] != 0x45;
    bad |= total < 20 + 14 || L3 + total > p->len;
    bad |= (load16(ip + 6) & htons(IPV4_MF | IPV4_OFFSET)) != 0;
    bad |= ip[8] <= 1 || (ip[9] != PROTO_UDP && ip[9] != PROTO_TCP);
    uint64_t a = load64(ip), b = load64(ip + 8);
    bad |= fold((a & UINT32_MAX) + (a >> 32) + (b & UINT32_MAX) + (b >> 32) + dst) != 0xffff;
    bad |= special(src) || special(dst);
    for (unsigned i = 0; i < f->n_ports; i++)
        bad |= src == f->addr[i];
    return !bad;
}

static inline void find_session(struct floor *f, struct parsed *q, uint8_t proto, uint16_t seconds) {
    for (struct bucket *b = q->bucket;; b = b == f->table + f->mask ? f->table : b + 1) {
        for (unsigned k = 0; k < SLOTS; k++)
            if (load64(b->key[k].addrs) == q->addrs && b->key[k].ports == q->ports && b->proto[k] == proto) {
                q->addr = b->addr[k];
                q->port = b->port[k];
                q->found = true;
                b->last[k] = seconds;
                return;
            }
        if (b->n < SLOTS)
            return;
    }
}

/* Address and port at `addr_at` and `port_at`, and the L4 checksum. Returns what the change adds to the IP checksum. */
static inline uint64_t translate(uint8_t *d, unsigned addr_at, unsigned port_at, const struct parsed *q) {
    const bool udp = d[L3 + 9] == PROTO_UDP;
    uint8_t *l4_sum = d + L4 + (udp ? 6 : 16);
    const uint32_t old = ~load32(d + addr_at);
    const uint64_t delta = (uint64_t)old + q->addr;
    const uint16_t check = load16(l4_sum);
    if (!udp || check) {
        uint16_t s = (uint16_t)~fold((uint16_t)~check + delta + (uint16_t)~load16(d + port_at) + q->port);
        store16(l4_sum, udp && s == 0 ? 0xffff : s);
    }
    store32(d + addr_at, q->addr);
    store16(d + port_at, q->port);
    return delta;
}

/* TTL, checksums, addresses, MACs. */
static inline void rewrite(const struct floor *f, struct floor_packet *p, const struct parsed *q) {
    uint8_t *d = p->data, *ip = d + L3;
    uint64_t sum = (uint16_t)~load16(ip + 10) + (uint64_t)(uint16_t)~load16(ip + 8);
    ip[8]--;
    sum += load16(ip + 8);
    if (q->found && p->in_port == f->outside)
        sum += translate(d, L3 + 16, L4 + 2, q);
    else if (q->found && p->out_port == f->outside)
        sum += translate(d, L3 + 12, L4, q);
    store16(ip + 10, (uint16_t)~fold(sum));
    const uint64_t to = f->neighbour[p->out_port], from = f->mac[p->out_port];
    const uint64_t first = to | from << 48;
    memcpy(d, &first, 8);
    store32(d + 8, (uint32_t)(from >> 16));
}

unsigned floor_run(struct floor *f, struct floor_packet *pkts, unsigned n, uint64_t now_ns) {
    struct parsed parsed[BURST_MAX];
    uint32_t key[BURST_MAX];
    uint64_t nh[BURST_MAX];
    const uint16_t seconds = (uint16_t)(now_ns / 1000000000u);
    unsigned slow = 0;
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *ip = pkts[i].data + L3;
        struct parsed *q = &parsed[i];
        if (rare(!examine(f, &pkts[i])))
            slow++;
        q->addrs = load64(ip + 12);
        q->ports = load32(ip + 20);
        q->found = false;
        key[i] = ntohl(load32(ip + 16));
        if (f->nat) {
            q->bucket = find_bucket(f, q->addrs, q->ports, ip[9]);
            __builtin_prefetch(q->bucket, 1);
        }
    }
    for (unsigned i = 0; f->nat && i < n; i++) {
        const uint8_t *d = pkts[i].data;
        struct parsed *q = &parsed[i];
        find_session(f, q, d[L3 + 9], seconds);
        if (pkts[i].in_port == f->outside && q->found)
            key[i] = ntohl(q->addr);
        if (rare(!q->found || (d[L3 + 9] == PROTO_TCP && d[L4 + 13] & (TCP_SYN | TCP_FIN | TCP_RST))))
            slow++;
    }
    if (rare(slow))
        return slow;
    rte_fib_lookup_bulk(f->fib, key, nh, (int)n);
    for (unsigned i = 0; i < n; i++) {
        if (rare(nh[i] >= f->n_ports)) {
            slow++;
            continue;
        }
        pkts[i].out_port = (uint16_t)nh[i];
        rewrite(f, &pkts[i], &parsed[i]);
    }
    return slow;
}
