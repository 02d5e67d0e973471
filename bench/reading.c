/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How fast captures are read: packets a second of trace_read and trace_many (one by one and in runs) over a file in the
 * page cache, against a bare loop that maps the file and walks its record headers, in turn. The file is made: the
 * packets of a capture, repeated with their times moved on.
 */
#include "points.h"
#include <errno.h>
#include <fcntl.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/trace/many.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUNDS_MAX 40
#define FILE_HEADER 24
#define RECORD_HEADER 16

static char pcap[512], pcapng[512];
static uint64_t packets; /* in each file */

static _Noreturn void fail(const char *what, const struct err *e) {
    fprintf(stderr, "reading: %s: %s %s\n", what, e ? e->where : "", e ? e->what : strerror(errno));
    exit(2);
}

/* ---- the files ---- */

static void remove_files(void) {
    unlink(pcap);
    unlink(pcapng);
}

static void write_pcap(FILE *f, const struct trace_packet *p) {
    uint32_t h[4] = {(uint32_t)(p->time_ns / SECOND_NS), (uint32_t)(p->time_ns % SECOND_NS), p->len, p->wire_len};
    fwrite(h, sizeof h, 1, f);
    fwrite(p->data, p->len, 1, f);
}

/* Returns how many bytes the pcap file has. */
static uint64_t write_files(const struct trace_memory *m, uint64_t least) {
    static const uint32_t header[6] = {0xa1b23c4d, 2 | 4 << 16, 0, 0, 262144, LINKTYPE_ETHERNET};
    struct err e;
    FILE *f = fopen(pcap, "w");
    struct trace_writer *w = trace_writer_open(pcapng, &e);
    if (!f || !w)
        fail("the files cannot be made", f ? &e : NULL);
    trace_writer_interface(w, "eth0", LINKTYPE_ETHERNET, 0);
    fwrite(header, sizeof header, 1, f);
    const uint64_t lap = m->packets[m->n - 1].time_ns - m->packets[0].time_ns + SECOND_NS / 1000;
    uint64_t bytes = sizeof header;
    for (uint64_t i = 0; bytes < least; i++)
        for (size_t k = 0; k < m->n; k++, packets++) {
            struct trace_packet p = m->packets[k];
            p.time_ns += i * lap;
            p.interface = 0;
            write_pcap(f, &p);
            trace_writer_packet(w, &p);
            bytes += RECORD_HEADER + p.len;
        }
    if (fclose(f))
        fail(pcap, NULL);
    if (trace_writer_close(w, &e))
        fail(pcapng, &e);
    return bytes;
}

static void make_files(const char *capture, uint64_t least) {
    const char *tmp = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    struct err e;
    struct trace_memory *m = trace_preload(capture, 0, &e);
    if (!m)
        fail("cannot be read", &e);
    snprintf(pcap, sizeof pcap, "%s/fwdlab-reading-%d.pcap", tmp, (int)getpid());
    snprintf(pcapng, sizeof pcapng, "%s/fwdlab-reading-%d.pcapng", tmp, (int)getpid());
    atexit(remove_files);
    fprintf(stderr, "made of %zu packets of %s: %.2f GB\n", m->n, capture, (double)write_files(m, least) / 1e9);
    trace_memory_destroy(m);
}

/* ---- the ways to read, each returns how many packets it saw ---- */

static volatile uint64_t sink;

static uint64_t read_bare(const char *path) {
    int fd = open(path, O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st))
        fail(path, NULL);
    const uint8_t *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        fail(path, NULL);
    madvise((void *)map, (size_t)st.st_size, MADV_SEQUENTIAL);
    uint64_t n = 0, sum = 0;
    for (const uint8_t *p = map + FILE_HEADER, *end = map + st.st_size; end - p >= RECORD_HEADER; n++) {
        uint32_t h[4];
        memcpy(h, p, sizeof h);
        if ((size_t)(end - p) < RECORD_HEADER + h[2])
            break;
        sum += h[0] + h[1] + h[3];
        p += RECORD_HEADER + h[2];
    }
    sink = sum;
    munmap((void *)map, (size_t)st.st_size);
    close(fd);
    return n;
}

static uint64_t read_trace(const char *path) {
    struct err e;
    struct trace *t = trace_open(path, &e);
    struct trace_packet p;
    uint64_t n = 0, sum = 0;
    if (!t)
        fail(path, &e);
    for (; trace_read(t, &p, &e) > 0; n++)
        sum += p.time_ns + p.wire_len;
    sink = sum;
    trace_close(t);
    return n;
}

static uint64_t read_many(const char *path, const char *filter, bool in_order, bool runs) {
    const struct trace_many_options o = {.paths = &path, .n = 1, .filter = filter, .in_order = in_order};
    struct err e;
    struct trace_many *m = trace_many_open(&o, &e);
    struct trace_packet one;
    const struct trace_packet *p = &one;
    struct trace_many_stats stats;
    uint64_t sum = 0;
    if (!m)
        fail(path, &e);
    for (int n; (n = runs ? trace_many_read_run(m, &p, &e) : trace_many_read(m, &one, &e)) > 0;)
        for (int i = 0; i < n; i++)
            sum += p[i].time_ns + p[i].wire_len;
    sink = sum;
    trace_many_stats(m, &stats);
    trace_many_close(m);
    return stats.read;
}

static uint64_t read_in_order(const char *path) {
    return read_many(path, NULL, true, false);
}

static uint64_t read_as_it_stands(const char *path) {
    return read_many(path, NULL, false, false);
}

static uint64_t read_filtered(const char *path) {
    return read_many(path, "tcp port 443", true, false);
}

static uint64_t read_runs(const char *path) {
    return read_many(path, NULL, true, true);
}

static const struct way {
    const char *name;
    uint64_t (*read)(const char *path);
    const char *path;
} ways[] = {
    {"bare loop over mapped pcap", read_bare, pcap},
    {"trace_read, pcap", read_trace, pcap},
    {"trace_read, pcapng", read_trace, pcapng},
    {"trace_many_read, pcap, as it stands", read_as_it_stands, pcap},
    {"trace_many_read, pcap, in order within 1 s", read_in_order, pcap},
    {"the same, filter 'tcp port 443'", read_filtered, pcap},
    {"trace_many_read_run, pcap, in order within 1 s", read_runs, pcap},
};

#define WAYS (sizeof ways / sizeof *ways)

static void measure(unsigned rounds) {
    static double pps[WAYS][ROUNDS_MAX];
    for (unsigned i = 0; i < rounds + 1; i++) /* the first one only fills caches */
        for (size_t k = 0; k < WAYS; k++) {
            const struct way *w = &ways[i % 2 ? WAYS - 1 - k : k];
            const uint64_t from = clock_ns();
            if (w->read(w->path) != packets)
                fail("packets are missing", NULL);
            if (i)
                pps[w - ways][i - 1] = (double)packets * 1e9 / (double)(clock_ns() - from);
        }
    point_alone(ways[0].name, "pps", stats_median(pps[0], rounds));
    for (size_t k = 1; k < WAYS; k++)
        point(ways[k].name, "pps", stats_median(pps[k], rounds), pps[0], pps[k], rounds);
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'}, {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    bool quick = false, json = false, help = false, wrong = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        quick |= c == 'q';
        json |= c == 'j';
        help |= c == 'h';
        wrong |= c == '?';
    }
    if (help || wrong || argc != optind + 1) {
        fprintf(help ? stdout : stderr, "usage: reading [--quick] [--json] CAPTURE (of link type Ethernet)\n");
        return help ? 0 : 2;
    }
    make_files(argv[optind], quick ? 200 * 1000 * 1000 : 2000ull * 1000 * 1000);
    points_begin("Packets a second, from a file in the page cache. Ratio: to the bare loop; above 1 is faster.", json);
    measure(quick ? 5 : 20);
    points_end();
    return 0;
}
