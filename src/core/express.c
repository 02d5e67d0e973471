/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The express stage: what the stage table does to plain packets, in a few loops over the burst. Plain are whole TCP and
 * UDP packets over IPv4 without options that all the stages let pass, whose session (if NAT knows them) nothing but the
 * time of changes, and that have one way to go. They leave as the stages would have sent them, byte by byte and with
 * the same metadata. A packet that turns out not to be plain has not been touched, and goes through the stages.
 *
 * Each loop does one thing for all packets of a chunk, so that the memory that the next one reads is on its way: NAT's
 * into the second cache, as so many lines at once would wait for the few fill buffers of the first.
 */
#include <fwdlab/core/checksum.h>
#include "bytes.h"
#include "nat_hit.h"
#include "route_direct.h"
#include "route_table.h"
#include "stage.h"

#define CHUNK 64
#define GUESS_AFTER 40 /* packets: as long as a bucket takes to come from the last level of the caches */
#define L3 14 /* offsets in a plain packet */
#define PROTO (L3 + 9)
#define SRC (L3 + 12)
#define DST (L3 + 16)
#define L4 (L3 + 20)
#define HEADERS (L4 + 20) /* Ethernet, IPv4, TCP; or UDP with 12 bytes of payload or padding */

#define fused static inline __attribute__((always_inline))

/* What is known of a chunk's packets. */
struct chunk {
    const struct nat_bucket *bucket[CHUNK];
    uint16_t tag[CHUNK];
    struct nat_hit hit[CHUNK];
    be32 dst[CHUNK]; /* where it goes, translated */
    uint32_t value[CHUNK]; /* of the way (route_table.h) */
} __attribute__((aligned(64)));

/* First octets that no plain packet has: 0/8, 127/8, 224/3; and 169, which is looked at more closely. */
static const uint8_t special[256] = {[0] = 1, [127] = 1, [169] = 1, [224 ... 255] = 1};

/*
 * By IP protocol: total lengths that are too short, TCP flags that are too much for NAT here, the checksum's place;
 * family, proto, verdict and reason of a packet that is sent.
 */
#define NOT_PLAIN {UINT16_MAX, 0, 0, {0}}
static const struct {
    uint16_t too_short;
    uint8_t flags, checksum, sent[4];
} l4[256] = {[0 ... PROTO_TCP - 1] = NOT_PLAIN,
             [PROTO_TCP] = {39, TCP_SYN | TCP_FIN | TCP_RST, L4 + 16,
                            {FAMILY_IPV4, PROTO_TCP, VERDICT_FORWARD, DROP_NONE}},
             [PROTO_TCP + 1 ... PROTO_UDP - 1] = NOT_PLAIN,
             [PROTO_UDP] = {27, 0, L4 + 6, {FAMILY_IPV4, PROTO_UDP, VERDICT_FORWARD, DROP_NONE}},
             [PROTO_UDP + 1 ... 255] = NOT_PLAIN};

/* IP's first bytes: of any IPv4 header without options of a whole packet, and which bits are looked at. */
static const uint8_t whole[8] = {0x45}, whole_bits[8] = {[0] = 0xff, [6] = (IPV4_MF | IPV4_OFFSET) >> 8, [7] = 0xff};

void express_prepare(struct node *node) {
    node->own = 0;
    node->has_mtu = false;
    for (unsigned i = 0; i < node->n_ports; i++) {
        struct port *port = &node->ports[i];
        port->plain = port->plain_bits = 0;
        if (port->has_mac) {
            memset(&port->plain_bits, 0xff, sizeof port->mac);
            memcpy(&port->plain, &port->mac, sizeof port->mac);
        } else {
            memset(&port->plain_bits, 1, 1); /* no group */
        }
        port->rewrites = port->has_mac && !mac_is_zero(&port->neighbour);
        node->has_mtu |= port->mtu;
        port->mtu_or_most = port->mtu ? port->mtu : UINT16_MAX;
        node->own |= UINT64_C(1) << own_bit(port->addr);
    }
}

static __attribute__((noinline, cold)) bool is_special(be32 addr) {
    return octet_is_special(first_octet(addr)) || is_link_local(addr);
}

/* Parse and guard. Hardly any test ever fails: a branch for each, which is foretold, is less than combining them. */
fused bool is_plain(const struct node *node, const struct port *ports, const struct packet *p, bool nat) {
    const uint8_t *d = p->data;
    const struct port *in = &ports[p->in_port];
    const struct ipv4_header *ip = (const struct ipv4_header *)(d + L3);
    if (unlikely(p->len < HEADERS) || unlikely(p->flags & (PACKET_RAW_IP | PACKET_NO_CHECKSUM)))
        return false;
    const uint64_t head = load64(ip);
    if (unlikely((load64(d) ^ in->plain) & in->plain_bits) ||
        unlikely(load16(d + 12) != htons(0x0800)) || unlikely((head & load64(whole_bits)) != load64(whole)))
        return false; /* another station, another family, a fragment */
    const uint32_t total = ntohs(ip->total_length);
    const be32 src = ip->src, dst = ip->dst;
    if (unlikely(total <= l4[ip->proto].too_short) || unlikely(L3 + total > p->wire_len) || unlikely(ip->ttl <= 1))
        return false;
    if (unlikely(special[first_octet(src)] | special[first_octet(dst)]) && (is_special(src) || is_special(dst)))
        return false;
    if (unlikely(!checksum_sums_up(head + load32(&ip->ttl) + src + dst)))
        return false; /* the sum has no carry, as there is no fragment offset and a small version */
    if (nat && unlikely(d[L4 + 13] & l4[ip->proto].flags))
        return false;
    return likely(!(node->own >> own_bit(src) & 1)) || !is_own_address(node, src);
}

/*
 * The plain ones. A packet's bucket in NAT's index is on its way while the next ones are looked at, then its record.
 * This and what follows give a bit for each packet that is left for the stages.
 */
fused uint64_t examine(const struct node *node, struct packet *const *pkts, unsigned n, const struct nat_hits *h,
                       const uint32_t *direct, struct chunk *c) {
    const struct port *ports = node->ports;
    uint64_t left = 0;
#pragma GCC unroll 4
    for (unsigned i = 0; i < n; i++)
        __builtin_prefetch(pkts[i]->data, 1);
    for (unsigned i = 0; i < n; i++) {
        const struct packet *p = pkts[i];
        const uint8_t *d = p->data;
        if (unlikely(!is_plain(node, ports, p, h))) {
            left |= UINT64_C(1) << i;
            c->dst[i] = 0;
            c->tag[i] = 0;
            if (h)
                c->bucket[i] = h->table.bucket; /* for a guess that nobody uses */
        } else if (h) {
            const uint64_t hash = nat_hash_words(NAT_KEY_SESSION, d[PROTO], load64(d + SRC), load32(d + L4));
            c->bucket[i] = nat_table_bucket(&h->table, hash);
            c->tag[i] = nat_tag(hash);
            __builtin_prefetch(c->bucket[i], 0, 2);
        } else {
            c->dst[i] = load32(d + DST);
            if (direct)
                route_direct_fetch(direct, c->dst[i]);
        }
        if (h && i >= GUESS_AFTER)
            c->hit[i - GUESS_AFTER] = nat_hit_guess(h, c->bucket[i - GUESS_AFTER], c->tag[i - GUESS_AFTER]);
    }
    for (unsigned i = n < GUESS_AFTER ? 0 : n - GUESS_AFTER; h && i < n; i++)
        c->hit[i] = nat_hit_guess(h, c->bucket[i], c->tag[i]);
    return left;
}

/* Those with a steady session, or without any that they need. `skip`: those that are left already. */
fused uint64_t find_sessions(const struct nat *nat, struct packet *const *pkts, unsigned n, const struct nat_hits *h,
                             const uint32_t *direct, struct chunk *c, const uint64_t skip) {
    uint64_t left = skip;
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *d = pkts[i]->data;
        struct nat_hit hit = c->hit[i];
        bool goes_on;
        be32 dst;
        if (unlikely(skip >> i & 1))
            continue;
        const uint64_t ends = load64(d + SRC);
        const uint32_t ports = load32(d + L4);
        if (unlikely(!hit.record) ? c->bucket[i]->next != 0 /* none, unless it is in a chain */
                                  : unlikely(!nat_hit_is_way(hit.record, hit.value & 1, d[PROTO], ends, ports)))
            c->hit[i] = hit = nat_hit_search(nat, h, d[PROTO], ends, ports);
        if (likely(hit.record)) {
            dst = hit.record->way[!(hit.value & 1)].src;
            goes_on = likely(nat_hit_is_steady(h, hit)) && likely(!is_link_local(dst));
        } else {
            dst = load32(d + DST);
            goes_on = nat_hit_spares(nat, h, dst);
        }
        if (unlikely(!goes_on))
            left |= UINT64_C(1) << i;
        c->dst[i] = dst;
        if (direct)
            route_direct_fetch(direct, dst);
    }
    return left;
}

/* Sums of 16-bit words in one's complement: in 64 or 32 bits with the carries put back, and to half as many bits. */
static inline uint64_t add64(uint64_t a, uint64_t b) {
    const uint64_t sum = a + b;
    return sum + (sum < a);
}
static inline uint32_t add32(uint32_t a, uint32_t b) {
    const uint32_t sum = a + b;
    return sum + (sum < a);
}
static inline uint32_t half64(uint64_t s) {
    return (uint32_t)((s + (s >> 32 | s << 32)) >> 32);
}
static inline uint16_t half32(uint32_t s) {
    return (uint16_t)((s + (s >> 16 | s << 16)) >> 16);
}

/* The L4 checksum after a change of addresses and ports whose sums differ by this (RFC 1624, equation 3). */
fused void update_l4(uint8_t *d, uint32_t addrs, uint32_t ports) {
    uint8_t *field = d + l4[d[PROTO]].checksum;
    const uint16_t before = load16(field);
    const uint16_t sum = (uint16_t)~half32(add32(add32(addrs, ports), UINT16_MAX - before));
    store16(field, sum);
    if ((unlikely(!before) || unlikely(!sum)) && d[PROTO] == PROTO_UDP)
        store16(field, before ? 0xffff : 0); /* RFC 768 */
}

/* packet.flags of a change of addresses and ports: the bits of both ends that differ. */
fused uint16_t changed(uint64_t addrs, uint32_t ports) {
#ifdef __SSE2__ /* both at once: 3 % of a packet's cost less */
    const __m128i zero = _mm_setzero_si128(), addr = _mm_cvtsi64_si128((long long)addrs);
    const __m128i port = _mm_unpacklo_epi16(_mm_cvtsi32_si128((int)ports), zero);
    const int same = _mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(_mm_or_si128(addr, port), zero)));
    return (uint16_t)((~same & 3) * PACKET_SRC_CHANGED);
#else
    const unsigned second = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__; /* whether the upper half is the destination */
    const bool src = (uint32_t)(addrs >> 32 * !second) | (uint16_t)(ports >> 16 * !second);
    const bool dst = (uint32_t)(addrs >> 32 * second) | (uint16_t)(ports >> 16 * second);
    return (uint16_t)(src * PACKET_SRC_CHANGED + dst * PACKET_DST_CHANGED);
#endif
}
static_assert(PACKET_DST_CHANGED == PACKET_SRC_CHANGED << 1, "changed() gives both at once");

/*
 * Addresses and ports become those of a session, in the packet and its metadata, whose flags say what changed. What the
 * addresses add to the header's checksum.
 */
fused uint32_t translate(struct packet *p, const struct nat_record *r, unsigned reply) {
    uint8_t *d = p->data;
    const struct nat_tuple *answer = &r->way[!reply]; /* the other way round */
    const uint64_t was = load64(d + SRC), both = load64(&answer->src), is = both << 32 | both >> 32;
    const uint32_t were = load32(d + L4), ports = load32(&answer->sport), are = ports << 16 | ports >> 16;
    store64(&p->src, is);
    store32(&p->sport, are);
    p->flags = (uint16_t)(PACKET_PORTS + reply * PACKET_REPLY);
    if (unlikely(!((was ^ is) | (were ^ are))))
        return 0;
    p->flags |= changed(was ^ is, were ^ are);
    store64(d + SRC, is);
    store32(d + L4, are);
    const uint32_t delta = half64(add64(is, ~was));
    update_l4(d, delta, add32(are, ~were));
    return delta;
}

/* Everything that changes in a packet that leaves, and its metadata. h: NULL without NAT. */
fused void finish(struct packet *p, const struct port *out, const struct path_hop *hop, uint32_t path, be32 dst,
                  const struct nat_hits *h, struct nat_hit hit) {
    uint8_t *d = p->data;
    struct ipv4_header *ip = (struct ipv4_header *)(d + L3);
    uint32_t delta = 0;
    p->l3 = L3;
    p->l4 = L4;
    p->out_port = hop->port;
    p->next_hop = hop->via | (dst & hop->direct);
    p->path = path;
    memcpy(&p->family, l4[ip->proto].sent, sizeof l4->sent);
    if (likely(out->rewrites))
        memcpy(d, &out->neighbour, 2 * sizeof out->neighbour); /* and the port's own */
    else
        set_macs(p, out);
    if (h && likely(hit.record)) {
        p->session = (hit.value >> 1) + 1;
        hit.record->last = h->tick;
        delta = translate(p, hit.record, hit.value & 1);
    } else {
        p->session = 0;
        p->flags = PACKET_PORTS;
        store64(&p->src, load64(d + SRC));
        store32(&p->sport, load32(d + L4));
    }
    ip->ttl--;
    const uint32_t less = UINT16_MAX - htons(0x0100); /* by which the TTL changes it */
    ip->checksum = (uint16_t)~half32(add32(delta, UINT16_MAX - ip->checksum + less));
}

/* For the link that it leaves by. */
fused bool is_too_large(const struct node *node, const struct packet *p, const struct path_hop *hop) {
    return node->has_mtu && ntohs(load16(p->data + L3 + 2)) > node->ports[hop->port].mtu_or_most;
}

/* Those with one way to go that takes them whole are sent. `skip`: as above. */
fused uint64_t send_routed(const struct node *node, struct packet *const *pkts, unsigned n, const struct nat_hits *h,
                           const uint32_t *direct, struct chunk *c, const uint64_t skip) {
    const struct route_table *t = node->routes;
    const struct port *ports = node->ports;
    uint64_t left = skip;
    if (!direct)
        t->backend->lookup(t->state, c->dst, c->value, n);
    for (unsigned i = 0; direct && i < n; i++) /* by itself: all that follows waits for it */
        c->value[i] = route_direct_lookup(direct, c->dst[i]);
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = pkts[i];
        if (unlikely(skip >> i & 1))
            continue;
        const uint32_t value = c->value[i];
        const struct path_hop *hop = value_hop(t, value);
        if (unlikely(!hop) || unlikely(is_too_large(node, p, hop)) ||
            (h && unlikely(!nat_hit_passes(h, &c->hit[i], p->in_port, hop->port)))) {
            left |= UINT64_C(1) << i;
            continue;
        }
        const struct nat_hit hit = h ? c->hit[i] : (struct nat_hit){NULL, NAT_NONE};
        finish(p, &ports[hop->port], hop, value_path(value), c->dst[i], h, hit);
    }
    return left;
}

/* All of it. A loop hardly ever leaves a packet that the next one must skip: there is one that skips none. */
fused uint64_t pass(const struct node *node, struct packet *const *pkts, unsigned n, const struct nat_hits *h,
                    const uint32_t *direct) {
    struct chunk c;
    uint64_t left = examine(node, pkts, n, h, direct, &c);
    if (h && likely(!left))
        left = find_sessions(node->nat, pkts, n, h, direct, &c, 0);
    else if (h)
        left = find_sessions(node->nat, pkts, n, h, direct, &c, left);
    if (likely(!left))
        return send_routed(node, pkts, n, h, direct, &c, 0);
    return left == UINT64_MAX >> (CHUNK - n) ? left : send_routed(node, pkts, n, h, direct, &c, left);
}

static __attribute__((noinline)) uint64_t express_routed(const struct node *node, struct packet *const *pkts,
                                                         unsigned n) {
    const uint32_t *direct = node->routes->direct;
    return direct ? pass(node, pkts, n, NULL, direct) : pass(node, pkts, n, NULL, NULL);
}

static __attribute__((noinline)) uint64_t express_translated(const struct node *node, struct packet *const *pkts,
                                                             unsigned n, uint64_t now) {
    const struct nat_hits h = nat_hits(node->nat, now);
    const uint32_t *direct = node->routes->direct;
    return direct ? pass(node, pkts, n, &h, direct) : pass(node, pkts, n, &h, NULL);
}

bool express_serves(const struct node *node) {
    bool rpf = false;
    for (unsigned i = 0; i < node->n_ports; i++)
        rpf |= node->ports[i].rpf != RPF_OFF;
    return node->router && !node->staged && !node->rules && !rpf && !(node->filter && filter_active(node->filter));
}

unsigned express_forward(struct node *node, struct packet *const *pkts, unsigned n, uint64_t now,
                         struct packet **left) {
    unsigned kept = 0;
    if (node->nat)
        nat_expire_once(node->nat, now);
    for (unsigned from = 0; from < n; from += CHUNK) {
        const unsigned m = n - from < CHUNK ? n - from : CHUNK;
        struct packet *const *chunk = pkts + from;
        uint64_t bits = node->nat ? express_translated(node, chunk, m, now) : express_routed(node, chunk, m);
        for (; unlikely(bits); bits &= bits - 1)
            left[kept++] = chunk[__builtin_ctzll(bits)];
    }
    return kept;
}

unsigned stage_express(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    return express_forward(node, pkts, n, now, pkts);
}
