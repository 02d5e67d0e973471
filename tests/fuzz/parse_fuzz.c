/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes through a whole node with NAT and IPv6, in heap buffers of their exact size. The input is a row of frames,
 * each after four bytes: flags, port, length, and how much of it the capture cut off.
 */
#include <stdlib.h>
#include <string.h>
#include <fwdlab/core/forward.h>
#include <fwdlab/core/parse.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ADDR(a, b, c, d) htonl((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

static void add_route(struct route_table *t, const char *prefix, const char *via, uint16_t port, uint8_t kind) {
    struct route r = {.port = port, .kind = kind};
    if (prefix_parse(prefix, &r.prefix) || (via && ip_parse(via, &r.via)) || route_add(t, &r))
        abort();
}

static struct node make_node(enum nat_personality personality) {
    struct nat_port_map map = {.proto = PROTO_UDP, .outside_port = htons(53), .inside_addr = ADDR(10, 0, 0, 5),
                               .inside_port = htons(53)};
    struct nat_config nat = {.personality = personality, .outside_port = 1, .n_addresses = 1,
                             .addresses = (const be32[]){ADDR(192, 0, 2, 1)}, .max_sessions = 8, .port_min = 1024, .port_max = 1027,
                             .n_port_maps = 1, .port_maps = &map};
    struct node n = {.n_ports = 2, .router = true, .ports = calloc(2, sizeof(struct port)),
                     .routes = route_table_create(&route_trie, 8), .nat = nat_create(&nat)};
    n.ports[0] = (struct port){.addr = ADDR(10, 0, 0, 1), .len = 24, .rpf = RPF_LOOSE};
    n.ports[1] = (struct port){.addr = ADDR(192, 0, 2, 1), .len = 24};
    n.ports[0].addr6[0] = 0xfd;
    n.ports[0].addr6[15] = 1;
    n.routes6 = route_table_create(&route_trie6, 8);
    add_route(n.routes, "10.0.0.0/24", NULL, 0, ROUTE_UNICAST);
    add_route(n.routes, "10.0.0.1/32", NULL, PORT_NONE, ROUTE_LOCAL);
    add_route(n.routes, "192.0.2.1/32", NULL, PORT_NONE, ROUTE_LOCAL);
    add_route(n.routes, "0.0.0.0/0", "192.0.2.254", 1, ROUTE_UNICAST);
    add_route(n.routes6, "fd00::/64", NULL, 0, ROUTE_UNICAST);
    add_route(n.routes6, "fd00::1/128", NULL, PORT_NONE, ROUTE_LOCAL);
    add_route(n.routes6, "::/0", "fe80::1", 1, ROUTE_UNICAST);
    add_route(n.routes6, "::/0", "fe80::2", 1, ROUTE_UNICAST);
    node_prepare(&n);
    return n;
}

/* One frame in, its verdict checked. */
static void pass(struct node *n, const uint8_t *head, const uint8_t *bytes, uint32_t wire_len, uint64_t now) {
    uint32_t len = wire_len - (head[3] < wire_len ? head[3] : 0);
    struct packet p = {.data = malloc(len ? len : 1), .len = len, .wire_len = wire_len, .in_port = head[1] & 1,
                       .flags = head[0] & (PACKET_RAW_IP | PACKET_NO_CHECKSUM)};
    struct packet *pkts = &p;
    struct flow_key key;
    memcpy(p.data, bytes, len);
    forward(n, &pkts, 1, now);
    packet_key(&p, &key);
    if (p.verdict == VERDICT_NONE || (p.verdict == VERDICT_DROP) != (p.reason != DROP_NONE) ||
        (p.verdict == VERDICT_FORWARD && p.out_port >= n->n_ports) || p.data == NULL)
        abort();
    if (p.verdict != VERDICT_DROP && (p.l4 > p.len || p.l4 < p.l3 + (p.family == FAMILY_IPV6 ? 40 : 20)))
        abort();
    if (p.verdict == VERDICT_FORWARD && node_next_hop(n, &p).family != p.family)
        abort();
    free(p.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    struct node n = make_node(data[0] & 1 ? NAT_CONNTRACK : NAT_INTERFACE);
    uint64_t now = 0;
    data++, size--;
    while (size > 4) {
        size_t len = data[2] < size - 4 ? data[2] : size - 4;
        pass(&n, data, data + 4, (uint32_t)len, now += (uint64_t)(data[0] >> 2) << 28);
        data += 4 + len;
        size -= 4 + len;
    }
    node_fini(&n);
    return 0;
}
