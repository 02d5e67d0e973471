/* SPDX-License-Identifier: BSD-3-Clause */
#include "traffic.h"
#include <fwdlab/base/random.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/parse.h>
#include <stdlib.h>
#include <string.h>

#define FRAME 60
#define L4 34

static void add_route(struct node *node, const char *prefix, const char *via, uint16_t port, enum route_kind kind) {
    struct route r = {.port = port, .kind = (uint8_t)kind};
    if (prefix_parse(prefix, &r.prefix) || (via && ip_parse(via, &r.via)) || route_add(node->routes, &r))
        abort();
}

struct node *traffic_node(const struct route_backend *backend, bool nat, uint64_t udp_ns) {
    static const be32 addr[] = {0x0102000a, 0x0400000a, 0x0401000a};
    struct node *node = xzalloc(1, sizeof *node);
    node->n_ports = 3;
    node->router = true;
    node->ports = xzalloc(3, sizeof *node->ports);
    for (unsigned i = 0; i < 3; i++)
        node->ports[i] =
            (struct port){.mac = {{2, 0, 0, 0, 0, (uint8_t)i}}, .has_mac = true, .addr = addr[i], .len = 24};
    node->routes = route_table_create(backend ? backend : &route_trie, 100);
    add_route(node, "10.0.2.1", NULL, PORT_NONE, ROUTE_LOCAL);
    add_route(node, "10.0.0.4", NULL, PORT_NONE, ROUTE_LOCAL);
    add_route(node, "10.0.1.4", NULL, PORT_NONE, ROUTE_LOCAL);
    add_route(node, "10.0.2.0/24", NULL, PORT_INSIDE, ROUTE_UNICAST);
    add_route(node, "10.0.0.0/24", NULL, PORT_OUTSIDE, ROUTE_UNICAST);
    add_route(node, "10.0.1.0/24", NULL, PORT_LAN, ROUTE_UNICAST);
    add_route(node, "10.0.3.0/24", "10.0.1.1", PORT_LAN, ROUTE_UNICAST);
    add_route(node, "192.0.2.0/24", NULL, PORT_NONE, ROUTE_BLACKHOLE);
    add_route(node, "0.0.0.0/0", "10.0.0.1", PORT_OUTSIDE, ROUTE_UNICAST);
    const struct nat_config config = {.outside_port = PORT_OUTSIDE,
                                      .n_addresses = 1,
                                      .hold_fragments = true,
                                      .addresses = &addr[1],
                                      .port_min = 2000,
                                      .port_max = 2299,
                                      .timers = {.udp = udp_ns, .udp_stream = udp_ns}};
    node->nat = nat ? nat_create(&config) : NULL;
    node_prepare(node);
    return node;
}

void traffic_node_free(struct node *node) {
    node_fini(node);
    free(node);
}

static void frame_write(uint8_t *f, uint16_t port, uint8_t proto, uint8_t ttl, const struct nat_tuple *t) {
    const uint8_t ethernet[14] = {2, 0, 0, 0, 0, (uint8_t)port, 2, 0, 0, 0, 1, 1, 8, 0};
    struct ipv4_header ip = {.version_ihl = 0x45,
                             .total_length = htons(FRAME - 14),
                             .ttl = ttl,
                             .proto = proto,
                             .src = t->src,
                             .dst = t->dst};
    const unsigned sum_at = L4 + (proto == PROTO_TCP ? 16 : 6);
    be16 sum;
    memcpy(f, ethernet, sizeof ethernet);
    ip.checksum = checksum_fold(checksum_sum(&ip, sizeof ip, 0));
    memcpy(f + 14, &ip, sizeof ip);
    memcpy(f + L4, &t->sport, 2);
    memcpy(f + L4 + 2, &t->dport, 2);
    if (proto == PROTO_UDP)
        f[L4 + 5] = FRAME - L4;
    else
        f[L4 + 12] = 0x50, f[L4 + 13] = TCP_ACK;
    sum = checksum_l4_ipv4(ip.src, ip.dst, proto, f + L4, FRAME - L4);
    memcpy(f + sum_at, &sum, 2);
}

static void packet_write(struct inject *in, uint32_t i, uint16_t port, uint8_t proto, uint8_t ttl, struct nat_tuple t) {
    struct inject_packet *p = &in->packets[i];
    frame_write((uint8_t *)p->raw->data, port, proto, ttl, &t);
    p->kind = INJECT_ARRIVED;
    p->port = port;
    p->l3 = 14;
    p->l4 = L4;
    p->flags = PACKET_PORTS;
    p->key = (struct flow_key){.family = FAMILY_IPV4, .proto = proto, .sport = t.sport, .dport = t.dport};
    memcpy(p->key.src, &t.src, 4);
    memcpy(p->key.dst, &t.dst, 4);
}

/* A guest's packet to the Internet; the first of its flow makes a mapping of the captured NAT. */
static void guest_to_internet(struct inject *in, uint32_t i, struct random *r) {
    const be32 outside = htonl(0x0a000004);
    struct inject_mapping m = {.proto = random_below(r, 2) ? PROTO_TCP : PROTO_UDP, .first = i};
    m.inside = (struct nat_tuple){htonl(0x0a000202 + random_below(r, 20)), htonl(0xc6336400 + random_below(r, 8)),
                                  htons((uint16_t)(1990 + random_below(r, 30))), htons(53)};
    m.outside = (struct nat_tuple){outside, m.inside.dst, htons((uint16_t)(40000 + in->mappings.n)), htons(53)};
    if (in->mappings.n && random_below(r, 3))
        m = in->mappings.v[random_below(r, (uint32_t)in->mappings.n)];
    else
        vec_push(&in->mappings, m);
    packet_write(in, i, PORT_INSIDE, m.proto, 64, m.inside);
}

static void answer(struct inject *in, uint32_t i, struct random *r) {
    const uint32_t back = in->mappings.n < 10 ? (uint32_t)in->mappings.n : 10, k = 1 + random_below(r, back);
    const struct inject_mapping *m = &in->mappings.v[in->mappings.n - k];
    const struct nat_tuple t = {m->outside.dst, m->outside.src, m->outside.dport, m->outside.sport};
    packet_write(in, i, PORT_OUTSIDE, m->proto, 57, t);
    in->packets[i].answer = (uint32_t)in->mappings.n - k;
    in->packets[i].after = m->first;
}

static void something_else(struct inject *in, uint32_t i, struct random *r) {
    static const struct {
        uint16_t port;
        uint8_t ttl;
        uint32_t src, dst;
    } odd[] = {
        {PORT_INSIDE, 1, 0x0a000205, 0x08080808},  {PORT_INSIDE, 64, 0x0a000205, 0xc0000201},
        {PORT_INSIDE, 64, 0x0a000205, 0xa9fea9fe}, {PORT_OUTSIDE, 64, 0x08080808, 0x0a000004},
        {PORT_LAN, 64, 0x0a000304, 0x0a000207},    {PORT_INSIDE, 64, 0x0a000207, 0x0a000304},
        {PORT_LAN, 64, 0x0a000304, 0x0a000104},    {PORT_LAN, 64, 0x7f000001, 0x0a000207},
        {PORT_LAN, 64, 0x0a000201, 0x0a000207},    {PORT_LAN, 64, 0x0a000304, 0xe0000005},
    };
    unsigned k = random_below(r, sizeof odd / sizeof *odd);
    packet_write(in, i, odd[k].port, PROTO_UDP, odd[k].ttl,
                 (struct nat_tuple){htonl(odd[k].src), htonl(odd[k].dst), htons(7000), htons(8000)});
}

struct inject *traffic_trace(unsigned n, uint64_t seed) {
    struct inject *in = xzalloc(1, sizeof *in);
    struct trace_packet *raw = xzalloc(n, sizeof *raw);
    struct random r;
    random_seed(&r, seed);
    in->packets = xzalloc(n, sizeof *in->packets);
    in->trace = xzalloc(1, sizeof *in->trace);
    *in->trace = (struct trace_memory){.packets = raw, .n = n, .owner = xzalloc(n, FRAME)};
    in->n = n;
    in->epoch_ns = 1700000000 * 1000000000ull;
    uint64_t time = in->epoch_ns;
    for (uint32_t i = 0; i < n; i++) {
        raw[i] = (struct trace_packet){.time_ns = time,
                                       .frame = i + 1,
                                       .len = FRAME,
                                       .wire_len = FRAME,
                                       .data = (uint8_t *)in->trace->owner + (size_t)i * FRAME};
        in->packets[i] = (struct inject_packet){
            .raw = &raw[i], .answer = INJECT_NONE, .after = INJECT_NONE, .partner = INJECT_NONE, .kind = INJECT_COPY};
        time += random_below(&r, 40000);
        unsigned what = i < 10 ? 0 : random_below(&r, 10);
        if (what < 5)
            guest_to_internet(in, i, &r);
        else if (what < 8)
            answer(in, i, &r);
        else if (what < 9)
            something_else(in, i, &r);
        in->arrived += in->packets[i].kind == INJECT_ARRIVED;
    }
    return in;
}

void traffic_trace_free(struct inject *in) {
    free(in->trace->owner);
    free(in->trace->packets);
    free(in->trace);
    vec_free(&in->mappings);
    free(in->packets);
    free(in);
}
