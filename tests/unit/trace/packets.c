/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * packets [-s] [-q] [-w WINDOW_NS] [-f FILTER] FILE...: what trace_many gives, for tests/golden/many.py to compare. A
 * line for each packet (not with -q): "packet", time, file, frame, interface, link type, captured and wire length,
 * digest; then "interface" lines: link type, packets, dropped; then "end": read, filtered, bytes, late, packets
 * that are earlier than the one before, damage. -s: as they stand in the files.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <fwdlab/trace/many.h>

static uint64_t fnv1a(const uint8_t *data, uint32_t len) {
    uint64_t h = 0xcbf29ce484222325;
    for (uint32_t i = 0; i < len; i++)
        h = (h ^ data[i]) * 0x100000001b3;
    return h;
}

static void print_end(const struct trace_many *m, uint64_t backwards) {
    uint32_t n;
    const struct trace_interface *i = trace_many_interfaces(m, &n);
    for (uint32_t k = 0; k < n; k++)
        printf("interface\t%u\t%" PRIu64 "\t%" PRId64 "\n", i[k].linktype, i[k].packets, (int64_t)i[k].dropped);
    struct trace_many_stats s;
    trace_many_stats(m, &s);
    printf("end\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%s\n", s.read, s.filtered, s.bytes,
           s.late, backwards, trace_many_damage(m) ? trace_many_damage(m) : "");
}

int main(int argc, char **argv) {
    struct trace_many_options o = {.in_order = true};
    bool quiet = false;
    for (int c; (c = getopt(argc, argv, "sqw:f:")) != -1;) {
        o.in_order &= c != 's';
        quiet |= c == 'q';
        if (c == 'w')
            o.window_ns = strtoull(optarg, NULL, 10);
        else if (c == 'f')
            o.filter = optarg;
    }
    o.paths = (const char *const *)argv + optind;
    o.n = (size_t)(argc - optind);
    struct err e = {0};
    struct trace_many *m = trace_many_open(&o, &e);
    struct trace_packet p;
    uint64_t last = 0, backwards = 0;
    int r = m ? 1 : -1;
    while (r > 0 && (r = trace_many_read(m, &p, &e)) > 0) {
        uint32_t n;
        if (!quiet)
            printf("packet\t%" PRIu64 "\t%u\t%" PRIu64 "\t%u\t%u\t%u\t%u\t%016" PRIx64 "\n", p.time_ns, p.file, p.frame,
                   p.interface, trace_many_interfaces(m, &n)[p.interface].linktype, p.len, p.wire_len,
                   fnv1a(p.data, p.len));
        backwards += p.time_ns < last;
        last = p.time_ns;
    }
    if (r < 0)
        fprintf(stderr, "%s: %s\n", e.where, e.what);
    else
        print_end(m, backwards);
    trace_many_close(m);
    return r < 0 ? 2 : 0;
}
