/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets to workers. Plain TCP and UDP in IPv4 are read by hand, everything else by parse() on a copy. */
#include <fwdlab/core/parse.h>
#include "dispatch_table.h"
#include "stage.h"

#define CHUNK 64u

/* What decides, in the header as it stands or as it would stand in an answer. */
struct ends {
    be32 src, dst;
    be16 dport;    /* ICMP queries: identifier */
    uint8_t proto;
    bool ports;    /* TCP, UDP or an ICMP query; later fragments: may be */
    uint8_t place; /* in the burst */
};

/* ---- what a packet says ---- */

/* The commonest packet: Ethernet, 20 bytes of IPv4 header, TCP or UDP, whole. */
static inline bool read_plain(const struct packet *p, struct ends *e) {
    uint16_t type, fragment;
    if (unlikely(p->len < 38 || p->flags & PACKET_RAW_IP))
        return false;
    memcpy(&type, p->data + 12, 2);
    memcpy(&fragment, p->data + 20, 2);
    e->proto = p->data[23];
    memcpy(&e->src, p->data + 26, 4);
    memcpy(&e->dst, p->data + 30, 4);
    memcpy(&e->dport, p->data + 36, 2);
    e->ports = true;
    const int proto = (e->proto == PROTO_TCP) + (e->proto == PROTO_UDP); /* no branch on which of them */
    return likely(type == htons(0x0800) && p->data[14] == 0x45 && !(fragment & htons(IPV4_MF | IPV4_OFFSET)) && proto);
}

static be16 read16(const uint8_t *at) {
    be16 v;
    memcpy(&v, at, sizeof v);
    return v;
}

static bool ported(uint8_t proto) {
    return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_ICMP;
}

/* The answer to the packet that an ICMP error quotes, of which 8 bytes after the IP header are there (RFC 792). */
static void read_quoted(const struct packet *p, struct ends *e) {
    const uint32_t at = p->l4 + 8u;
    struct ipv4_header ip;
    if (at + sizeof ip > p->len)
        return;
    memcpy(&ip, p->data + at, sizeof ip);
    const uint32_t l4 = at + (ip.version_ihl & 15) * 4u;
    if (ip.version_ihl >> 4 != 4 || ip.fragment & htons(IPV4_OFFSET) || l4 + 8 > p->len)
        return;
    *e = (struct ends){.src = ip.dst, .dst = ip.src, .proto = ip.proto, .ports = ported(ip.proto)};
    e->dport = read16(p->data + l4 + (ip.proto == PROTO_ICMP ? 4 : 0));
}

/* IPv6 knows addresses alone; errors those that they quote. */
static uint8_t by_addresses6(const struct dispatch *d, const struct packet *p) {
    const uint32_t quoted = p->l4 + 8u;
    const bool error = p->flags & PACKET_ICMP_ERROR && quoted + sizeof(struct ipv6_header) <= p->len;
    const struct ipv6_header *ip = error ? (const void *)(p->data + quoted) : packet_ipv6(p);
    uint64_t word[4];
    memcpy(word, ip->src, sizeof word);
    return by_both(d, mix(word[0]) + word[1], mix(word[2]) + word[3]);
}

/* ---- decisions ---- */

static __attribute__((noinline)) uint8_t by_map(const struct dispatch *d, const struct ends *e) {
    const uint64_t key = map_key(e->proto, e->dst, e->dport);
    size_t low = 0, high = d->n_maps;
    while (low < high) {
        const size_t mid = (low + high) / 2;
        if (d->maps[mid].key < key)
            low = mid + 1;
        else
            high = mid;
    }
    return low < d->n_maps && d->maps[low].key == key ? d->maps[low].worker : d->part[e->dport];
}

static inline uint8_t to_outside(const struct dispatch *d, const struct ends *e) {
    if (unlikely(!e->ports))
        return by_address(d, e->src);
    return likely(d->owner[e->dport] != BY_MAP) ? d->owner[e->dport] : by_map(d, e);
}

/* Between addresses that are not outside ones. */
static inline uint8_t between(const struct dispatch *d, const struct ends *e) {
    const bool src = is_inside(d, e->src);
    if (unlikely(src == is_inside(d, e->dst)))
        return by_both(d, e->src, e->dst);
    return by_address(d, src == e->ports ? e->src : e->dst);
}

/* The worker of a fragment to an outside address; `worker`: who has it by its port, or by nothing. */
static uint8_t follow(struct dispatch_fragments *f, const struct packet *p, uint8_t worker) {
    const be16 id = packet_ipv4(p)->id;
    const unsigned set = mix((uint64_t)(p->src ^ id) << 32 | p->dst) % DISPATCH_FRAGMENT_SETS;
    unsigned way = 0;
    while (way < DISPATCH_FRAGMENT_WAYS && (f->seen[set][way].src != p->src || f->seen[set][way].dst != p->dst ||
                                            f->seen[set][way].id != id || f->seen[set][way].proto != p->proto))
        way++;
    if (p->flags & PACKET_FRAG_LATER)
        return way < DISPATCH_FRAGMENT_WAYS ? f->seen[set][way].worker : worker;
    if (way == DISPATCH_FRAGMENT_WAYS)
        way = f->oldest[set]++ % DISPATCH_FRAGMENT_WAYS;
    f->seen[set][way].src = p->src;
    f->seen[set][way].dst = p->dst;
    f->seen[set][way].id = id;
    f->seen[set][way].proto = p->proto;
    f->seen[set][way].worker = worker;
    return worker;
}

/* All others, one by one. */
static __attribute__((noinline)) uint8_t by_parse(const struct dispatch *d, struct dispatch_fragments *f,
                                                  const struct packet *packet) {
    struct packet p = *packet;
    parse(&p);
    if (p.verdict == VERDICT_DROP)
        return 0;
    if (p.family == FAMILY_IPV6)
        return by_addresses6(d, &p);
    struct ends e = {.src = p.src, .dst = p.dst, .dport = p.dport, .proto = p.proto};
    e.ports = ported(p.proto) && p.flags & (PACKET_PORTS | PACKET_FRAG_LATER);
    if (p.flags & PACKET_ICMP_ERROR)
        read_quoted(&p, &e);
    if (!d->inside.n)
        return by_both(d, e.src, e.dst);
    if (is_outside(d, e.dst)) {
        const uint8_t worker = to_outside(d, &e);
        return p.flags & (PACKET_FRAG_FIRST | PACKET_FRAG_LATER) ? follow(f, &p, worker) : worker;
    }
    return between(d, &e);
}

/*
 * With NAT: those to outside addresses at once, the others afterwards. Which they are changes from packet to
 * packet, and no branch depends on it.
 */
static void by_nat(const struct dispatch *d, struct dispatch_fragments *f, struct packet *const *pkts, unsigned n,
                   uint8_t *worker) {
    struct ends e, rest[CHUNK];
    unsigned n_rest = 0;
    for (unsigned i = 0; i < n; i++) {
        if (unlikely(!read_plain(pkts[i], &e))) {
            worker[i] = by_parse(d, f, pkts[i]);
            continue;
        }
        const be32 at = d->outside[outside_slot(d, e.dst)];
        unsigned outside = (unsigned)(at == e.dst) & (unsigned)(at != 0);
        if (unlikely(at != 0 && at != e.dst))
            outside = is_outside(d, e.dst);
        uint8_t owner = d->run[ntohs(e.dport) >> RUN_SHIFT];
        if (unlikely((unsigned)(owner == MIXED) & outside))
            owner = to_outside(d, &e);
        worker[i] = owner;
        e.place = (uint8_t)i;
        rest[n_rest] = e;
        n_rest += !outside;
    }
    for (unsigned k = 0; k < n_rest; k++)
        worker[rest[k].place] = between(d, &rest[k]);
}

void dispatch(const struct dispatch *d, struct dispatch_fragments *f, struct packet *const *pkts, unsigned n,
              uint8_t *worker) {
    struct ends e;
    if (d->workers == 1) {
        memset(worker, 0, n);
        return;
    }
    for (unsigned i = 0; d->inside.n && i < n; i += CHUNK)
        by_nat(d, f, pkts + i, n - i < CHUNK ? n - i : CHUNK, worker + i);
    for (unsigned i = 0; !d->inside.n && i < n; i++)
        worker[i] = read_plain(pkts[i], &e) ? by_both(d, e.src, e.dst) : by_parse(d, f, pkts[i]);
}
