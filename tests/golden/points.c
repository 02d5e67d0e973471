/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What points makes of two captures (Ethernet or raw IP), as JSON: points INSIDE OUTSIDE [PREFIX...], the prefixes
 * being the NAT's pool. `--then`: the second file is read when the first has ended; else they are read side by side.
 */
#include <stdio.h>
#include <stdlib.h>
#include <fwdlab/analyze/points.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/trace/trace.h>

static bool see(struct points *points, unsigned point, struct trace *t) {
    struct trace_packet raw;
    struct err e = {0};
    uint32_t n;
    int got = trace_read(t, &raw, &e);
    if (got < 0)
        fprintf(stderr, "%s\n", e.what);
    if (got <= 0)
        return false;
    const struct trace_interface *interface = &trace_interfaces(t, &n)[raw.interface];
    uint8_t *copy = xalloc(raw.len ? raw.len : 1);
    memcpy(copy, raw.data, raw.len);
    struct packet p = {.data = copy, .len = raw.len, .wire_len = raw.wire_len,
                       
                       .flags = PACKET_NO_CHECKSUM | (interface->linktype == LINKTYPE_ETHERNET ? 0 : PACKET_RAW_IP)};
    parse(&p);
    if (p.verdict != VERDICT_DROP) {
        struct point_packet q = {.time_ns = raw.time_ns, .frame = raw.frame, .wire_len = raw.wire_len - p.l3,
                                 .ip = copy + p.l3, .len = raw.len - p.l3, .l4 = (uint16_t)(p.l4 - p.l3),
                                 .flags = p.flags};
        packet_key(&p, &q.key);
        points_see(points, point, &q);
    }
    free(copy);
    return true;
}

int main(int argc, char **argv) {
    bool then = argc > 1 && !strcmp(argv[1], "--then"), more[2] = {true, true};
    struct ip_prefix pool[16];
    struct points_options o = {.inside = "home", .outside = "isp", .pool = pool};
    struct trace *traces[2];
    struct err e = {0};
    argv += then;
    argc -= then;
    if (argc < 3)
        return 2;
    for (int i = 3; i < argc && o.n_pool < 16; i++)
        if (prefix_parse(argv[i], &pool[o.n_pool++]))
            return 2;
    for (unsigned i = 0; i < 2; i++)
        if (!(traces[i] = trace_open(argv[1 + i], &e))) {
            fprintf(stderr, "%s: %s\n", e.where, e.what);
            return 2;
        }
    struct points *points = points_create(&o);
    while (more[0] || more[1])
        for (unsigned i = 0; i < 2; i++)
            while ((more[i] = more[i] && see(points, i, traces[i])) && then)
                continue;
    points_finish(points);
    json_t *doc = points_json(points);
    json_dumpf(doc, stdout, JSON_INDENT(1));
    json_decref(doc);
    points_destroy(points);
    trace_close(traces[0]);
    trace_close(traces[1]);
    return 0;
}
