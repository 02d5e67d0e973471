/* SPDX-License-Identifier: BSD-3-Clause */
/* Captures made by hand: frames with right checksums, written as pcapng, and read back as an inject over the nested
 * host. */
#ifndef TESTS_INJECT_CAPTURE_H
#define TESTS_INJECT_CAPTURE_H

#include <criterion/criterion.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/inject/inject.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NESTED FWDLAB_SOURCE "/traces/nested-host/"
#define MS 1000000ull
#define PAYLOAD_MAX 1400

enum { NIC1, NIC2, SWITCH, INTERFACES }; /* as the ports of hyperv */

struct frame {
    uint64_t time_ns;
    uint32_t interface, len, wire_len;
    uint8_t direction;
    uint8_t data[14 + 20 + 20 + PAYLOAD_MAX];
};

struct capture {
    VEC(struct frame) frames;
    uint64_t now; /* ns; each new frame is 10 ms later */
    const char *names[INTERFACES];
    uint16_t id;       /* the next IP id */
    uint16_t linktype; /* of all interfaces */
};

static const struct mac port_mac[INTERFACES] = {{{2, 10, 0, 0, 0, 4}}, {{2, 10, 0, 1, 0, 4}}, {{2, 10, 0, 2, 0, 1}}};
static const struct mac neighbour_mac = {{2, 0, 0, 0, 0, 99}};

static inline struct capture capture_make(void) {
    return (struct capture){.now = 1700000000ull * 1000 * MS,
                            .names = {"nic1", "nic2", "switch"},
                            .id = 1,
                            .linktype = LINKTYPE_ETHERNET};
}

static inline struct ipv4_header *frame_ip(struct frame *f) {
    return (struct ipv4_header *)(f->data + 14);
}
static inline uint8_t *frame_l4(struct frame *f) {
    return f->data + 34;
}
/* Makes both checksums right, and the length of what is behind the IP header. */
static inline void frame_seal(struct frame *f, unsigned l4_len) {
    struct ipv4_header *ip = frame_ip(f);
    uint8_t *l4 = frame_l4(f);
    ip->total_length = htons((uint16_t)(20 + l4_len));
    ip->checksum = 0;
    ip->checksum = checksum_fold(checksum_sum(ip, 20, 0));
    f->len = f->wire_len = 34 + l4_len;
    if (ntohs(ip->fragment) & (IPV4_OFFSET | IPV4_MF))
        return;
    unsigned at = ip->proto == PROTO_TCP ? 16 : ip->proto == PROTO_UDP ? 6 : 2;
    if (ip->proto == PROTO_UDP) {
        be16 len = htons((uint16_t)l4_len);
        memcpy(l4 + 4, &len, 2);
    } else if (ip->proto != PROTO_TCP && ip->proto != PROTO_ICMP) {
        return;
    }
    memset(l4 + at, 0, 2);
    be16 sum = ip->proto == PROTO_ICMP ? checksum_fold(checksum_sum(l4, l4_len, 0))
                                       : checksum_l4_ipv4(ip->src, ip->dst, ip->proto, l4, l4_len);
    memcpy(l4 + at, &sum, 2);
}

static inline be32 addr(const char *text) {
    struct ip a;
    cr_assert_eq(ip_parse(text, &a), 0, "%s", text);
    return a.v4;
}

/* A frame on an interface; `dir` TRACE_INBOUND, TRACE_OUTBOUND or unknown. MACs as a frame to (or, outbound, from)
 * hyperv. */
static inline struct frame *capture_add(struct capture *c, uint32_t interface, uint8_t dir, uint8_t ttl, uint8_t proto,
                                        const char *src, uint16_t sport, const char *dst, uint16_t dport,
                                        const char *payload) {
    struct frame f = {.time_ns = c->now, .interface = interface, .direction = dir};
    const struct mac *own = &port_mac[interface], *to = dir == TRACE_OUTBOUND ? &neighbour_mac : own;
    unsigned header = proto == PROTO_TCP ? 20 : 8, n = (unsigned)strlen(payload);
    c->now += 10 * MS;
    memcpy(f.data, to, 6);
    memcpy(f.data + 6, dir == TRACE_OUTBOUND ? own : &neighbour_mac, 6);
    f.data[12] = 8;
    *frame_ip(&f) = (struct ipv4_header){
        .version_ihl = 0x45, .ttl = ttl, .proto = proto, .src = addr(src), .dst = addr(dst), .id = htons(c->id++)};
    uint8_t *l4 = frame_l4(&f);
    be16 ports[2] = {htons(sport), htons(dport)};
    if (proto == PROTO_ICMP) { /* sport: identifier, dport: type */
        l4[0] = (uint8_t)dport;
        memcpy(l4 + 4, &ports[0], 2);
    } else {
        memcpy(l4, ports, 4);
    }
    if (proto == PROTO_TCP)
        l4[12] = 5 << 4;
    memcpy(l4 + header, payload, n);
    frame_seal(&f, header + n);
    vec_push(&c->frames, f);
    return &c->frames.v[c->frames.n - 1];
}

static inline struct frame *capture_tcp(struct capture *c, uint32_t interface, uint8_t dir, uint8_t ttl,
                                        const char *src, uint16_t sport, const char *dst, uint16_t dport, uint8_t flags,
                                        uint32_t seq, uint32_t ack, const char *payload) {
    struct frame *f = capture_add(c, interface, dir, ttl, PROTO_TCP, src, sport, dst, dport, payload);
    be32 numbers[2] = {htonl(seq), htonl(ack)};
    memcpy(frame_l4(f) + 4, numbers, 8);
    frame_l4(f)[13] = flags;
    frame_seal(f, 20 + (unsigned)strlen(payload));
    return f;
}

/* The newest frame once more, as it left by another interface 0.1 ms later: TTL one less, ends changed where not NULL.
 */
static inline struct frame *capture_left(struct capture *c, uint32_t interface, const char *src, uint16_t sport,
                                         const char *dst, uint16_t dport) {
    struct frame f = c->frames.v[c->frames.n - 1];
    struct ipv4_header *ip = frame_ip(&f);
    uint8_t *l4 = frame_l4(&f);
    f.time_ns += MS / 10;
    f.interface = interface;
    f.direction = TRACE_OUTBOUND;
    memcpy(f.data, &neighbour_mac, 6);
    memcpy(f.data + 6, &port_mac[interface], 6);
    ip->ttl--;
    be16 port = htons(sport);
    if (src) {
        ip->src = addr(src);
        memcpy(l4 + (ip->proto == PROTO_ICMP ? 4 : 0), &port, 2);
    }
    if (dst) {
        port = htons(dport);
        ip->dst = addr(dst);
        memcpy(l4 + (ip->proto == PROTO_ICMP ? 4 : 2), &port, 2);
    }
    frame_seal(&f, f.len - 34);
    vec_push(&c->frames, f);
    return &c->frames.v[c->frames.n - 1];
}

/* An ICMP error (type, code 3 or 0) from `from` to `to`, about frame `about` as it stood. */
static inline struct frame *capture_error(struct capture *c, uint32_t interface, const char *from, const char *to,
                                          uint8_t type, const struct frame *about) {
    struct frame inner = *about;
    struct frame *f = capture_add(c, interface, TRACE_INBOUND, 60, PROTO_ICMP, from, 0, to, type, "");
    memcpy(frame_l4(f) + 8, inner.data + 14, 28);
    frame_seal(f, 8 + 28);
    return f;
}

static inline struct trace_memory *capture_trace(struct capture *c) {
    char path[64] = "/tmp/fwdlab-capture.XXXXXX";
    struct err e = {0};
    close(mkstemp(path));
    struct trace_writer *w = trace_writer_open(path, &e);
    cr_assert_not_null(w, "%s", e.what);
    for (int i = 0; i < INTERFACES; i++)
        cr_assert_eq(trace_writer_interface(w, c->names[i], c->linktype, 0), i);
    for (size_t i = 0; i < c->frames.n; i++) {
        struct frame *f = &c->frames.v[i];
        struct trace_packet p = {.time_ns = f->time_ns,
                                 .interface = f->interface,
                                 .len = f->len,
                                 .wire_len = f->wire_len,
                                 .direction = f->direction,
                                 .data = f->data};
        cr_assert_eq(trace_writer_packet(w, &p), 0);
    }
    cr_assert_eq(trace_writer_close(w, &e), 0, "%s", e.what);
    struct trace_memory *t = trace_preload(path, 0, &e);
    cr_assert_not_null(t, "%s", e.what);
    unlink(path);
    vec_free(&c->frames);
    return t;
}

/* A scenario, its control, and a capture as it meets hyperv. */
struct bench {
    struct scenario *scenario;
    struct control *control;
    uint32_t node;
    struct inject *in;
};

static inline struct bench bench_over(const char *base, struct trace_memory *t, struct err *e) {
    struct complaints complaints = {0};
    char path[400];
    struct bench b = {0};
    snprintf(path, sizeof path, NESTED "%s.yaml", base);
    b.scenario = scenario_load(path, &complaints);
    cr_assert_not_null(b.scenario);
    complaints_fini(&complaints);
    b.control = control_build(b.scenario, NULL, e);
    cr_assert_not_null(b.control);
    b.node = control_node_find(b.control, "hyperv");
    b.in = inject_create(t, b.control, b.node, e);
    return b;
}

static inline struct bench bench_make(struct capture *c) {
    struct err e = {0};
    struct bench b = bench_over("routed", capture_trace(c), &e);
    cr_assert_not_null(b.in, "%s", e.what);
    return b;
}

static inline void bench_end(struct bench *b) {
    inject_destroy(b->in);
    control_destroy(b->control);
    scenario_destroy(b->scenario);
}

#endif
