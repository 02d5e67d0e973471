/* SPDX-License-Identifier: BSD-3-Clause */
#include "bare.h"
#include <fcntl.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/control/control.h>
#include <fwdlab/core/parse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_HEADER 24
#define RECORD_HEADER 16
#define BURST 64
#define KEPT 128u /* bytes of a frame that the core gets */

/* ---- flows ---- */

/* Key: the addresses, the smaller one first, with IPv4 in one word; the ports in the same order; the protocol. */
struct entry {
    uint64_t key[5];
    uint64_t packets, bytes, first, last;
};
static struct entry *table;
static size_t mask, used;

static inline uint64_t hash(const uint64_t key[5]) {
    uint64_t h = 0;
    for (unsigned i = 0; i < 5; i++)
        h = (h ^ key[i]) * 0x9e3779b97f4a7c15ull, h ^= h >> 32;
    return h;
}

static struct entry *find(const uint64_t key[5]) {
    size_t i = hash(key) & mask;
    while (table[i].packets && memcmp(table[i].key, key, sizeof table[i].key))
        i = (i + 1) & mask;
    return &table[i];
}

static void grow(void) {
    struct entry *old = table;
    const size_t n = old ? mask + 1 : 0;
    mask = n ? 2 * n - 1 : 65535;
    table = calloc(mask + 1, sizeof *table);
    if (!table)
        abort();
    for (size_t i = 0; i < n; i++)
        if (old[i].packets)
            *find(old[i].key) = old[i];
    free(old);
}

static inline void count(const uint64_t key[5], uint64_t now, uint32_t wire) {
    struct entry *e = find(key);
    if (!e->packets++) {
        memcpy(e->key, key, sizeof e->key);
        e->first = now;
        if (++used * 2 > mask) {
            grow();
            e = find(key);
        }
    }
    e->bytes += wire;
    e->last = now;
}

static inline uint32_t load32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

/* Ethernet, VLAN tags, IPv4 and IPv6, TCP and UDP. */
static inline void see(const uint8_t *p, uint32_t len, uint64_t now, uint32_t wire) {
    uint64_t key[5] = {0};
    uint32_t at = 12, ports = 0;
    unsigned proto;
    while (at + 6 <= len && (load32(p + at) & 0xffff) == htons(0x8100))
        at += 4;
    const unsigned type = at + 2 <= len ? load32(p + at - 2) >> 16 : 0;
    bool turned;
    at += 2;
    if (type == htons(0x0800) && at + 24 <= len) {
        const uint32_t src = load32(p + at + 12), dst = load32(p + at + 16);
        const bool later = load32(p + at + 4) >> 16 & htons(IPV4_OFFSET);
        turned = src > dst;
        proto = p[at + 9];
        key[0] = turned ? (uint64_t)src << 32 | dst : (uint64_t)dst << 32 | src;
        at = later ? len : at + (p[at] & 15u) * 4;
    } else if (type == htons(0x86dd) && at + 44 <= len) {
        turned = memcmp(p + at + 8, p + at + 24, 16) > 0;
        proto = p[at + 6];
        memcpy(key + (turned ? 2 : 0), p + at + 8, 16);
        memcpy(key + (turned ? 0 : 2), p + at + 24, 16);
        at += 40;
    } else {
        return;
    }
    if ((proto == PROTO_TCP || proto == PROTO_UDP) && at + 4 <= len)
        ports = load32(p + at);
    if (turned)
        ports = ports << 16 | ports >> 16;
    key[4] = (uint64_t)ports << 8 | proto;
    count(key, now, wire);
}

/* ---- the core ---- */

/* Frames wait until there are enough of them or the clock goes on by 0.1 s, as in trials. */
static struct burst {
    struct node *node;
    const struct scenario *scenario;
    const struct control_node *machine;
    unsigned n;
    uint64_t now;
    struct packet packets[BURST], *pkts[BURST];
    uint8_t bytes[BURST][KEPT];
} burst;

/* Where frames arrive by their source: the port of the longest prefix. */
static uint16_t arrival(be32 src) {
    uint16_t port = PORT_NONE;
    int longest = -1;
    for (uint16_t p = 0; p < burst.node->n_ports; p++) {
        const struct scenario_nic *nic = &burst.scenario->nics.v[burst.machine->ports[p].nic];
        const struct ip_prefix *of = &burst.scenario->sources.v[nic->first_source];
        for (uint32_t i = 0; i < nic->n_sources; i++)
            if (of[i].addr.family == FAMILY_IPV4 && of[i].len > longest &&
                !((of[i].addr.v4 ^ src) & ipv4_mask(of[i].len))) {
                longest = of[i].len;
                port = p;
            }
    }
    return port;
}

static void pass(void) {
    if (burst.n)
        forward(burst.node, burst.pkts, burst.n, burst.now);
    burst.n = 0;
}

static void to_core(const uint8_t *frame, uint32_t len, uint64_t now, uint32_t wire) {
    if (len < 34 || (load32(frame + 12) & 0xffff) != htons(0x0800))
        return;
    const uint16_t port = arrival(load32(frame + 26));
    if (port == PORT_NONE)
        return;
    if (burst.n == BURST || (burst.n && now > burst.now + SECOND_NS / 10))
        pass();
    if (!burst.n && now > burst.now)
        burst.now = now;
    const uint32_t kept = len < KEPT ? len : KEPT;
    burst.packets[burst.n] = (struct packet){.data = burst.bytes[burst.n], .len = kept, .wire_len = wire,
        .in_port = port, .out_port = PORT_NONE, .path = ROUTE_NONE, .flags = PACKET_NO_CHECKSUM};
    memcpy(burst.bytes[burst.n], frame, kept);
    burst.pkts[burst.n] = &burst.packets[burst.n];
    burst.n++;
}

static bool core_of(const char *path) {
    struct complaints complaints = {0};
    struct err e;
    const struct scenario *s = scenario_load(path, &complaints);
    struct control *c = s ? control_build(s, &(struct control_options){.fast_node = s->node}, &e) : NULL;
    if (!c)
        return false;
    burst.scenario = s;
    burst.machine = &c->nodes[s->node];
    burst.node = &c->nodes[s->node].node;
    return true;
}

/* ---- the file ---- */

int bare_loop(const char *pcap, const char *scenario) {
    int fd = open(pcap, O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) || (scenario && !core_of(scenario)))
        return 1;
    const uint8_t *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return 1;
    madvise((void *)map, (size_t)st.st_size, MADV_SEQUENTIAL);
    grow();
    for (const uint8_t *p = map + FILE_HEADER, *end = map + st.st_size; end - p >= RECORD_HEADER;) {
        uint32_t h[4];
        memcpy(h, p, sizeof h);
        if ((size_t)(end - p) < RECORD_HEADER + h[2])
            return 1;
        const uint64_t now = h[0] * SECOND_NS + h[1];
        see(p + RECORD_HEADER, h[2], now, h[3]);
        if (scenario)
            to_core(p + RECORD_HEADER, h[2], now, h[3]);
        p += RECORD_HEADER + h[2];
    }
    if (scenario)
        pass();
    return !used;
}
