/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp-count FILE: what tcp_note says of each TCP segment of a capture, for tests/golden/tcp.py to compare. A line a
 * segment: frame, connection (from 0, in order of its first segment), events, initial round trip in ns, state.
 */
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/trace/link.h>
#include "../../../src/analyze/tcp.h"

struct connection {
    uint8_t side[2][18]; /* address and port, the lower one first */
    uint64_t number;
    struct tcp_flow flow;
};

static int compare(const void *a, const void *b) {
    return memcmp(a, b, sizeof((struct connection *)0)->side);
}

/* The newest connection between the two sides; *way: 1 when the higher one sends. */
static struct connection *find(const struct packet *p, unsigned *way) {
    static void *tree;
    struct flow_key key;
    packet_key(p, &key);
    struct connection *c = calloc(1, sizeof *c);
    uint8_t side[2][18];
    memcpy(side[0], key.src, 16);
    memcpy(side[0] + 16, &key.sport, 2);
    memcpy(side[1], key.dst, 16);
    memcpy(side[1] + 16, &key.dport, 2);
    *way = memcmp(side[0], side[1], sizeof side[0]) > 0;
    memcpy(c->side[0], side[*way], sizeof side[0]);
    memcpy(c->side[1], side[!*way], sizeof side[0]);
    c->number = UINT64_MAX;
    struct connection **at = tsearch(c, &tree, compare);
    if (*at != c)
        free(c);
    return *at;
}

static void note(const struct trace_packet *t, const struct link_view *v) {
    static uint64_t connections;
    struct packet p = {.data = (uint8_t *)v->ip, .len = v->len, .wire_len = v->wire_len,
                       .flags = PACKET_RAW_IP | PACKET_NO_CHECKSUM};
    struct tcp_segment s;
    parse(&p);
    if (p.verdict == VERDICT_DROP || p.proto != PROTO_TCP || p.flags & (PACKET_FRAG_FIRST | PACKET_FRAG_LATER))
        return;
    uint32_t end = p.family == FAMILY_IPV4 ? ntohs(packet_ipv4(&p)->total_length)
                                           : 40u + ntohs(packet_ipv6(&p)->payload_length);
    if (!tcp_segment_read(p.data + p.l4, p.len - p.l4, end - p.l4, t->time_ns, &s))
        return;
    unsigned way;
    struct connection *c = find(&p, &way);
    if (c->number == UINT64_MAX || tcp_begins_anew(&c->flow, way, &s)) {
        c->flow = (struct tcp_flow){0};
        c->number = connections++;
    }
    unsigned events = tcp_note(&c->flow, way, &s);
    printf("%" PRIu64 " %" PRIu64 " %u %" PRIu64 " %s\n", t->frame, c->number, events, c->flow.rtt_ns,
           tcp_state_name(c->flow.state));
}

int main(int argc, char **argv) {
    struct err e = {0};
    struct trace *t = argc == 2 ? trace_open(argv[1], &e) : NULL;
    struct trace_packet packet;
    struct link_room room;
    int rc = -1;
    while (t && (rc = trace_read(t, &packet, &e)) > 0) {
        uint32_t n;
        struct link_view v, inner;
        if (!link_decode(trace_interfaces(t, &n)[packet.interface].linktype, packet.data, packet.len, packet.wire_len,
                         &v))
            continue;
        while (v.fault == LINK_IP && link_inner(&v, NULL, &room, &inner))
            v = inner;
        if (v.fault == LINK_IP)
            note(&packet, &v);
    }
    if (rc < 0)
        fprintf(stderr, "tcp-count: %s\n", t || argc == 2 ? e.what : "usage: tcp-count FILE");
    if (t)
        trace_close(t);
    return rc < 0;
}
