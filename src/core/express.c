/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The express stage: what the stage table does to plain packets, in a few loops over the burst. Plain are whole TCP and
 * UDP packets over IPv4 without options that all the stages let pass, whose session (if NAT knows them) nothing but the
 * time of changes, and that have one way to go. They leave as the stages would have sent them, byte by byte and with
 * the same metadata. A packet that turns out not to be plain has not been touched, and goes through the stages.
 *
 * Each loop does one thing for all packets of a chunk, so that the memory that the next one reads is on its way.
 */
#include <fwdlab/core/checksum.h>
#include "bytes.h"
#include "nat_hit.h"
#include "route_table.h"
#include "stage.h"

#define CHUNK 64
#define GUESS_AFTER 12 /* packets: as long as a bucket takes to come */
#define L3 14 /* offsets in a plain packet */
#define PROTO (L3 + 9)
#define SRC (L3 + 12)
#define DST (L3 + 16)
#define L4 (L3 + 20)
#define HEADERS (L4 + 20) /* Ethernet, IPv4, TCP; or UDP with 12 bytes of payload or padding */

#define fused static inline __attribute__((always_inline))

/* What is left of a chunk: its packets by their number in the burst, and what is known of each. */
struct chunk {
    unsigned n;
    uint8_t at[CHUNK];
    struct nat_hit_place place[CHUNK]; /* in NAT's index */
    uint32_t session[CHUNK];           /* value of NAT's index */
    be32 dst[CHUNK];                   /* where it goes, translated */
    uint32_t path[CHUNK];
};

/* First octets that no plain packet has: 0/8, 127/8, 224/3. */
static const uint8_t special[256] = {[0] = 1, [127] = 1, [224 ... 255] = 1};

/* By IP protocol: total lengths that are too short, TCP flags that are too much for NAT here, the checksum's place. */
#define NOT_PLAIN {UINT16_MAX, 0, 0}
static const struct {
    uint16_t too_short;
    uint8_t flags, checksum;
} l4[256] = {[0 ... PROTO_TCP - 1] = NOT_PLAIN,
             [PROTO_TCP] = {39, TCP_SYN | TCP_FIN | TCP_RST, L4 + 16},
             [PROTO_TCP + 1 ... PROTO_UDP - 1] = NOT_PLAIN,
             [PROTO_UDP] = {27, 0, L4 + 6},
             [PROTO_UDP + 1 ... 255] = NOT_PLAIN};

/* Without a branch: nobody can foretell which of two ways a packet goes. */
static inline uint16_t flag_if(bool set, uint16_t flag) {
    return (uint16_t)-set & flag;
}

void express_prepare(struct node *node) {
    static const uint8_t bits[16] = {[12 ... 14] = 0xff}, ipv4[16] = {[12] = 0x08, [14] = 0x45};
    node->own = 0;
    for (unsigned i = 0; i < node->n_ports; i++) {
        struct port *port = &node->ports[i];
        memcpy(port->plain_bits, bits, sizeof bits);
        memcpy(port->plain, ipv4, sizeof ipv4);
        if (port->has_mac) {
            memset(port->plain_bits, 0xff, sizeof port->mac);
            memcpy(port->plain, &port->mac, sizeof port->mac);
        } else {
            memset(port->plain_bits, 1, 1); /* no group */
        }
        node->own |= own_bit(port->addr);
    }
}

/* Parse and guard. */
fused bool is_plain(const struct node *node, const struct port *ports, uint64_t own, const struct packet *p, bool nat) {
    const uint8_t *d = p->data;
    const struct port *in = &ports[p->in_port];
    if (unlikely(p->len < HEADERS || p->flags & (PACKET_RAW_IP | PACKET_NO_CHECKSUM)))
        return false;
    const struct ipv4_header *ip = (const struct ipv4_header *)(d + L3);
    const uint32_t total = ntohs(ip->total_length);
    const be32 src = ip->src, dst = ip->dst;
    uint64_t bad = (load64(d) & in->plain_bits[0]) ^ in->plain[0];
    bad |= (load64(d + 8) & in->plain_bits[1]) ^ in->plain[1];
    if (unlikely(bad)) /* another family, another station */
        return false;
    bad |= ip->fragment & htons(IPV4_MF | IPV4_OFFSET);
    bad |= (total <= l4[ip->proto].too_short) | (L3 + total > p->wire_len) | (ip->ttl <= 1);
    bad |= special[first_octet(src)] | special[first_octet(dst)];
    bad |= (uint64_t)is_link_local(src) | (uint64_t)is_link_local(dst);
    bad |= !checksum_ipv4_ok(d + L3, sizeof *ip);
    if (nat)
        bad |= d[L4 + 13] & l4[ip->proto].flags;
    return likely(!bad) && likely(!(own & own_bit(src)) || !is_own_address(node, src));
}

/* The plain ones. A packet's bucket in NAT's index is on its way while the next ones are looked at, then its record. */
fused void keep_plain(const struct node *node, struct packet *const *pkts, unsigned n, bool nat, uint64_t now,
                      struct chunk *c) {
    const struct nat_hits h = nat ? nat_hits(node->nat, now) : (struct nat_hits){0};
    const struct port *ports = node->ports;
    const uint64_t own = node->own;
    const struct nat_table table = nat ? node->nat->table : (struct nat_table){0};
    unsigned kept = 0;
    for (unsigned i = 0; i < n; i++)
        __builtin_prefetch(pkts[i], 1);
    for (unsigned i = 0; i < n; i++)
        __builtin_prefetch(pkts[i]->data, 1);
    for (unsigned i = 0; i < n; i++) {
        const struct packet *p = pkts[i];
        if (unlikely(!is_plain(node, ports, own, p, nat)))
            continue;
        c->at[kept] = (uint8_t)i;
        c->dst[kept] = load32(p->data + DST);
        if (nat)
            c->place[kept] = nat_hit_place(&table, p->data[PROTO], load64(p->data + SRC), load32(p->data + L4));
        if (nat && kept >= GUESS_AFTER)
            c->session[kept - GUESS_AFTER] = nat_hit_guess(&h, c->place[kept - GUESS_AFTER]);
        kept++;
    }
    for (unsigned k = kept < GUESS_AFTER ? 0 : kept - GUESS_AFTER; nat && k < kept; k++)
        c->session[k] = nat_hit_guess(&h, c->place[k]);
    c->n = kept;
}

/* Those with a steady session, or without any that they need. */
fused void keep_hits(const struct node *node, struct packet *const *pkts, uint64_t now, struct chunk *c) {
    struct nat *n = node->nat;
    const struct nat_hits h = nat_hits(n, now);
    unsigned kept = 0;
    for (unsigned k = 0; k < c->n; k++) {
        const struct packet *p = pkts[c->at[k]];
        const uint8_t *d = p->data;
        uint32_t session = c->session[k];
        if (unlikely(!nat_hit_find(n, &h, &session, d[PROTO], load64(d + SRC), load32(d + L4), p->in_port)))
            continue;
        c->at[kept] = c->at[k];
        c->session[kept] = session;
        c->dst[kept] = load32(d + DST);
        if (likely(session != NAT_NONE))
            c->dst[kept] = h.records[session >> 1].way[!(session & 1)].src;
        kept++;
    }
    c->n = kept;
}

static inline uint16_t fold(uint64_t s) {
    s = (s & UINT32_MAX) + (s >> 32);
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    return (uint16_t)((s & 0xffff) + (s >> 16));
}

/*
 * Addresses and ports become those of a session, the L4 checksum with them (RFC 1624, equation 3). What the addresses
 * add to the header's; packet.flags say what changed.
 */
fused uint64_t translate(uint8_t *d, const struct nat_record *r, bool reply, uint16_t *flags) {
    const struct nat_tuple *answer = &r->way[!reply]; /* the other way round */
    const uint32_t first_port = htonl(0xffff0000), both = load32(&answer->sport), ports = both << 16 | both >> 16;
    const uint32_t was_src = load32(d + SRC), was_dst = load32(d + DST), was_ports = load32(d + L4);
    const bool src = ((answer->dst ^ was_src) | ((ports ^ was_ports) & first_port)) != 0;
    const bool dst = ((answer->src ^ was_dst) | ((ports ^ was_ports) & ~first_port)) != 0;
    *flags |= flag_if(src, PACKET_SRC_CHANGED) | flag_if(dst, PACKET_DST_CHANGED) | flag_if(reply, PACKET_REPLY);
    if (unlikely(!(src | dst)))
        return 0;
    const bool udp = d[PROTO] == PROTO_UDP;
    uint8_t *field = d + l4[d[PROTO]].checksum;
    const uint16_t before = load16(field);
    const uint64_t addrs = (uint64_t)answer->dst + answer->src + 2ull * UINT32_MAX - was_src - was_dst;
    const uint16_t sum = (uint16_t)~fold((uint16_t)~before + addrs + ports + UINT32_MAX - was_ports);
    store16(field, (sum | flag_if(udp & (sum == 0), 0xffff)) & ~flag_if(udp & (before == 0), 0xffff)); /* RFC 768 */
    store32(d + SRC, answer->dst);
    store32(d + DST, answer->src);
    store32(d + L4, ports);
    return addrs;
}

/* Everything that changes in a packet that leaves, and its metadata. h: NULL without NAT. */
fused void finish(struct packet *p, const struct port *out, struct path_hop hop, uint32_t path,
                  const struct nat_hits *h, uint32_t session) {
    uint8_t *d = p->data;
    struct ipv4_header *ip = (struct ipv4_header *)(d + L3);
    uint16_t flags = PACKET_PORTS;
    const uint16_t ttl = load16(&ip->ttl), less = (uint16_t)(ttl - htons(0x0100));
    uint64_t sum = (uint64_t)(uint16_t)~ip->checksum + (uint16_t)~ttl + less;
    if (h && likely(session != NAT_NONE)) {
        struct nat_record *r = &h->records[session >> 1];
        sum += translate(d, r, session & 1, &flags);
        if (r->last != h->tick) /* else the line stays clean */
            r->last = h->tick;
    }
    store16(&ip->ttl, less);
    ip->checksum = (uint16_t)~fold(sum);
    set_macs(p, out);
    p->l3 = L3;
    p->l4 = L4;
    p->flags = flags;
    p->out_port = hop.port;
    p->family = FAMILY_IPV4;
    p->proto = ip->proto;
    p->verdict = VERDICT_FORWARD;
    p->reason = DROP_NONE;
    p->src = ip->src;
    p->dst = ip->dst;
    memcpy(&p->sport, d + L4, 4);
    p->next_hop = hop.via | (ip->dst & hop.direct);
    p->path = path;
    p->session = h && session != NAT_NONE ? (session >> 1) + 1 : 0;
}

/* Routes; who has one way that takes the packet whole is sent. A bit for each that was. */
fused uint64_t send_routed(struct node *node, struct packet *const *pkts, bool nat, uint64_t now, struct chunk *c) {
    const struct route_table *t = node->routes;
    const struct path_hop *hops = t->hops;
    const uint8_t *hop_of = t->hop_of;
    const struct port *ports = node->ports;
    const struct nat_hits h = nat ? nat_hits(node->nat, now) : (struct nat_hits){0};
    uint64_t sent = 0;
    const unsigned n = c->n;
    if (!n)
        return 0;
    route_lookup(t, c->dst, c->path, n);
    for (unsigned k = 0; k < n; k++)
        __builtin_prefetch(c->path[k] == ROUTE_NONE ? hop_of : hop_of + c->path[k]);
    for (unsigned k = 0; k < n; k++) {
        struct packet *p = pkts[c->at[k]];
        const uint32_t path = c->path[k];
        const uint8_t number = likely(path != ROUTE_NONE) ? hop_of[path] : 0;
        const struct path_hop hop = hops[number];
        const struct port *out = &ports[hop.port];
        if (unlikely(!number || (out->mtu && ntohs(load16(p->data + L3 + 2)) > out->mtu)))
            continue;
        if (nat && (unlikely(nat_hit_stays(&h, c->session[k], hop.port)) || unlikely(is_link_local(c->dst[k]))))
            continue;
        finish(p, out, hop, path, nat ? &h : NULL, nat ? c->session[k] : NAT_NONE);
        sent |= UINT64_C(1) << c->at[k];
    }
    return sent;
}

fused uint64_t express(struct node *node, struct packet *const *pkts, unsigned n, bool nat, uint64_t now) {
    struct chunk c;
    keep_plain(node, pkts, n, nat, now, &c);
    if (nat)
        keep_hits(node, pkts, now, &c);
    return send_routed(node, pkts, nat, now, &c);
}

static __attribute__((noinline)) uint64_t express_routed(struct node *node, struct packet *const *pkts, unsigned n,
                                                         uint64_t now) {
    return express(node, pkts, n, false, now);
}

static __attribute__((noinline)) uint64_t express_translated(struct node *node, struct packet *const *pkts,
                                                             unsigned n, uint64_t now) {
    return express(node, pkts, n, true, now);
}

bool express_serves(const struct node *node) {
    bool rpf = false;
    for (unsigned i = 0; i < node->n_ports; i++)
        rpf |= node->ports[i].rpf != RPF_OFF;
    return node->router && !node->staged && !node->rules && !rpf && !(node->filter && filter_active(node->filter));
}

unsigned stage_express(struct node *node, struct packet **pkts, unsigned n, uint64_t now) {
    unsigned kept = 0;
    if (node->nat)
        stage_expire(node->nat, n, now);
    for (unsigned from = 0; from < n; from += CHUNK) {
        const unsigned m = n - from < CHUNK ? n - from : CHUNK;
        const uint64_t all = m == 64 ? UINT64_MAX : (UINT64_C(1) << m) - 1;
        uint64_t left = all & ~(node->nat ? express_translated : express_routed)(node, pkts + from, m, now);
        for (; unlikely(left); left &= left - 1)
            pkts[kept++] = pkts[from + (unsigned)__builtin_ctzll(left)];
    }
    return kept;
}
