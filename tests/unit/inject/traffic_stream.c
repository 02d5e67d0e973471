/* SPDX-License-Identifier: BSD-3-Clause */
/* A streamed trace is what the preloaded one is, however it is cut into chunks. */
#include "steps.h"
#include "../memory.h"
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <zstd.h>

TestSuite(traffic_stream, .timeout = 240);

static struct traffic_stream *opened(const struct bench *b, const char *path, const struct traffic_options *o,
                                     uint32_t chunk) {
    struct err e = {0};
    struct traffic_stream *s = traffic_stream_open(path, b->control, b->node, o, chunk, &e);
    cr_assert_not_null(s, "%s: %s", path, e.what);
    return s;
}

/* All chunks against the whole: packets, times, directions; flows are the same ones under other numbers. */
static void expect_same(const struct bench *b, const char *path, const struct traffic_options *o, uint32_t chunk) {
    struct traffic *whole = traffic_of(b, o);
    struct traffic_stream *s = opened(b, path, o, chunk);
    uint32_t *number = malloc(whole->n_flows * sizeof *number), n = 0, chunks = 0;
    const struct traffic *t;
    uint64_t waited, bytes = 0;
    struct err e;
    memset(number, 0xff, whole->n_flows * sizeof *number);
    while ((t = traffic_stream_next(s, &waited, &e))) {
        cr_assert(t->n > 0 && t->copies == 1 && t->n_slots == 1u << 18);
        bytes += t->bytes;
        chunks++;
        for (uint32_t i = 0; i < t->n; i++, n++) {
            const struct traffic_packet *p = &t->packets[i], *q = &whole->packets[n];
            cr_assert_lt(n, whole->n);
            cr_assert(p->frame == q->frame && p->time_ns == q->time_ns, "chunk of %u, frame %lu: %lu", chunk, q->frame,
                      p->frame);
            cr_assert(p->len == q->len && p->wire_len == q->wire_len && !memcmp(p->data, q->data, p->len));
            cr_assert(p->answer == q->answer && p->reported == q->reported && p->in_port == q->in_port &&
                      p->from_initiator == q->from_initiator && p->flags == q->flags, "chunk of %u, frame %lu", chunk,
                      q->frame);
            if (number[q->flow] == UINT32_MAX)
                number[q->flow] = p->flow;
            cr_assert_eq(number[q->flow], p->flow, "chunk of %u, frame %lu", chunk, q->frame);
            if (p->after != INJECT_NONE)
                cr_assert_eq(t->packets[p->after].frame, whole->packets[q->after].frame);
        }
    }
    cr_expect_eq(e.what[0], 0, "%s", e.what);
    cr_expect(n == whole->n && bytes == whole->bytes, "chunk of %u: %u of %u", chunk, n, whole->n);
    cr_expect(chunks >= whole->n / (chunk + 1024), "%u chunks", chunks);
    cr_expect_null(traffic_stream_next(s, &waited, &e), "the end stays the end");
    cr_expect_null(traffic_stream_damage(s));
    free(number);
    traffic_stream_close(s);
    traffic_destroy(whole);
}

Test(traffic_stream, equals_preload) {
    static const uint32_t chunks[] = {1, 7, 100, 1000, 10000, 0};
    for (size_t l = 0; l < LABS; l++) {
        struct bench b = lab_bench(lab[l]);
        char path[400];
        snprintf(path, sizeof path, NESTED "%s.pcapng.zst", lab[l]);
        for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
            if (chunks[i] < 100 && strcmp(lab[l], "small-mtu")) /* as slow as they are small */
                continue;
            expect_same(&b, path, &(struct traffic_options){0}, chunks[i]);
        }
        expect_same(&b, path, &(struct traffic_options){.n_sizes = 2, .sizes = {64, 1518}}, 1u << 20);
        bench_end(&b);
    }
}

/* ---- damage, pipes, nothing ---- */

/* The routed capture as plain bytes. */
static size_t plain(uint8_t **bytes) {
    FILE *f = fopen(NESTED "routed.pcapng.zst", "rb");
    size_t room = 64u << 20, n = 0, packed_n;
    uint8_t *packed = malloc(room);
    packed_n = fread(packed, 1, room, f);
    fclose(f);
    *bytes = malloc(room);
    ZSTD_DStream *z = ZSTD_createDStream();
    ZSTD_inBuffer in = {packed, packed_n, 0};
    ZSTD_outBuffer out = {*bytes, room, 0};
    while (in.pos < in.size)
        cr_assert(!ZSTD_isError(ZSTD_decompressStream(z, &out, &in)));
    n = out.pos;
    cr_assert_lt(n, room);
    ZSTD_freeDStream(z);
    free(packed);
    return n;
}

static void save(const char *path, const uint8_t *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* A trace that is cut, or damaged in its middle, gives what is whole before that, and says so. */
Test(traffic_stream, damaged) {
    uint8_t *bytes;
    size_t n = plain(&bytes);
    char path[64];
    struct bench b = lab_bench("routed");
    struct random r;
    random_seed(&r, 3);
    snprintf(path, sizeof path, "/tmp/fwdlab-stream-%d", (int)getpid());
    for (int round = 0; round < 12; round++) {
        size_t cut = n / 2 + random_below(&r, (uint32_t)n / 2 - 100);
        struct err e = {0};
        if (round % 2)
            memset(bytes + cut, 0xff, 64);
        save(path, bytes, round % 2 ? n : cut);
        struct trace_memory *m = trace_preload(path, 0, &e);
        cr_assert_not_null(m, "%s", e.what);
        char *damage = m->damage ? strdup(m->damage) : NULL;
        struct bench cutb = bench_over("routed", m, &e);
        struct traffic *whole = traffic_of(&cutb, &(struct traffic_options){0});
        struct traffic_stream *s = opened(&b, path, &(struct traffic_options){0}, 500);
        const struct traffic *t;
        uint64_t waited;
        uint32_t sent = 0;
        while ((t = traffic_stream_next(s, &waited, &e)))
            for (uint32_t i = 0; i < t->n; i++, sent++)
                cr_assert_eq(t->packets[i].frame, whole->packets[sent].frame, "round %d", round);
        cr_expect(!e.what[0] && sent == whole->n, "round %d: %s", round, e.what);
        const char *says = traffic_stream_damage(s);
        cr_expect(!damage == !says && (!damage || !strcmp(damage, says)), "round %d: %s, %s", round, says, damage);
        free(damage);
        traffic_stream_close(s);
        traffic_destroy(whole);
        bench_end(&cutb);
        if (round % 2) {
            free(bytes);
            plain(&bytes);
        }
    }
    unlink(path);
    free(bytes);
    bench_end(&b);
}

Test(traffic_stream, what_cannot_be_read) {
    struct bench b = lab_bench("routed");
    struct err e = {0};
    char path[64];
    cr_expect_null(traffic_stream_open("/nowhere", b.control, b.node, &(struct traffic_options){0}, 0, &e));
    cr_expect(e.what[0] && strstr(e.where, "/nowhere"));
    cr_expect_null(traffic_stream_open("/nowhere", b.control, b.node, &(struct traffic_options){.churn = 0.1}, 0, &e));
    cr_expect(strstr(e.what, "streamed"), "%s", e.what);
    cr_expect_null(traffic_stream_open("/nowhere", b.control, b.node, &(struct traffic_options){.sessions = 9}, 0, &e));
    cr_expect_null(traffic_stream_open("/nowhere", b.control, b.node,
                                       &(struct traffic_options){.table = b.control->nodes[b.node].node.routes,
                                                                 .spread = 1}, 0, &e));
    cr_expect(strstr(e.what, "streamed"), "%s", e.what);
    cr_expect_null(traffic_stream_open("/nowhere", b.control, b.node,
                                       &(struct traffic_options){.n_sizes = 1, .sizes = {1}}, 0, &e));
    snprintf(path, sizeof path, "/tmp/fwdlab-stream-%d", (int)getpid());
    struct trace_writer *w = trace_writer_open(path, &e);
    struct trace_packet p = {.time_ns = 1, .len = 20, .wire_len = 20, .data = (const uint8_t *)"nothing that is known"};
    cr_assert_eq(trace_writer_interface(w, "elsewhere", LINKTYPE_ETHERNET, 0), 0);
    cr_assert_eq(trace_writer_packet(w, &p), 0);
    cr_assert_eq(trace_writer_close(w, &e), 0);
    struct traffic_stream *s = opened(&b, path, &(struct traffic_options){0}, 10);
    uint64_t waited;
    cr_expect_null(traffic_stream_next(s, &waited, &e));
    cr_expect(strstr(e.what, "no interface of the capture"), "%s", e.what);
    traffic_stream_close(s);
    unlink(path);
    bench_end(&b);
}

/*
 * From a pipe, and left before its end: also one that stays silent. The address sanitizer takes the end of a cancelled
 * thread for a fault.
 */
Test(traffic_stream, pipes) {
    uint8_t *bytes;
    size_t n = plain(&bytes);
    struct bench b = lab_bench("routed");
    char path[64];
    snprintf(path, sizeof path, "/tmp/fwdlab-stream-%d", (int)getpid());
    for (int round = 0; round < (MEMORY_IS_UNLIMITED ? 1 : 4); round++) {
        cr_assert_eq(mkfifo(path, 0600), 0);
        pid_t child = fork();
        if (!child) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            FILE *f = fopen(path, "wb");
            fwrite(bytes, 1, round == 0 ? n : round == 3 ? 2000 : n / 2, f);
            fflush(f);
            while (round > 1)
                pause();
            fclose(f);
            _exit(0);
        }
        if (round == 0) {
            expect_same(&b, path, &(struct traffic_options){0}, 3000);
        } else {
            struct traffic_stream *s = opened(&b, path, &(struct traffic_options){0}, 500);
            uint64_t waited;
            if (round < 3)
                cr_expect_not_null(traffic_stream_next(s, &waited, NULL));
            usleep(100000); /* the reader waits for us, or (3) for more of the trace */
            traffic_stream_close(s);
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        unlink(path);
    }
    free(bytes);
    bench_end(&b);
}

/* ---- memory ---- */

/* A pcap of n packets that begin a flow each but for every second one, which belongs to the first flow of all. */
static void write_long(const char *path, uint32_t n) {
    struct capture c = capture_make();
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 4000, "10.0.3.4", 53, "as many as there are");
    struct frame first = c.frames.v[0];
    FILE *f = fopen(path, "wb");
    const uint32_t header[6] = {0xa1b2c3d4, 4u << 16 | 2, 0, 0, 65535, LINKTYPE_ETHERNET};
    fwrite(header, sizeof header, 1, f);
    for (uint32_t i = 0; i < n; i++) {
        struct frame one = first;
        uint32_t record[4] = {1700000000 + i / 1000000, i % 1000000, one.len, one.len};
        be16 port = htons((uint16_t)i);
        if (i % 2) {
            frame_ip(&one)->src = htonl(0x0a000210 + (i >> 16));
            memcpy(frame_l4(&one), &port, 2);
            frame_seal(&one, one.len - 34);
        }
        fwrite(record, sizeof record, 1, f);
        fwrite(one.data, one.len, 1, f);
    }
    fclose(f);
    vec_free(&c.frames);
}

/*
 * Three times as long, no more memory but for a chunk that happens to be read ahead; and the first flow is remembered
 * among 300000 others.
 */
Test(traffic_stream, memory_is_bounded) {
    if (MEMORY_IS_UNLIMITED)
        cr_skip_test("address sanitizer: mallinfo2 says nothing");
    struct bench b = lab_bench("routed");
    char path[64];
    snprintf(path, sizeof path, "/tmp/fwdlab-stream-%d", (int)getpid());
    cr_assert_eq(mkfifo(path, 0600), 0);
    enum { N = 600000, CHUNK = 20000 };
    pid_t child = fork();
    if (!child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        write_long(path, N);
        _exit(0);
    }
    struct traffic_stream *s = opened(&b, path, &(struct traffic_options){0}, CHUNK);
    const struct traffic *t;
    uint64_t waited;
    size_t early = 0, most = 0, n = 0;
    uint32_t chunks = 0, flow = UINT32_MAX;
    while ((t = traffic_stream_next(s, &waited, NULL))) {
        struct mallinfo2 m = mallinfo2();
        size_t now = m.uordblks + m.hblkhd;
        size_t *peak = chunks++ < 10 ? &early : &most;
        *peak = now > *peak ? now : *peak;
        for (uint32_t i = 0; i < t->n; i++, n++) {
            if (t->packets[i].frame % 2 == 0)
                continue;
            flow = flow == UINT32_MAX ? t->packets[i].flow : flow;
            cr_assert_eq(t->packets[i].flow, flow);
        }
    }
    cr_expect_eq(n, (size_t)N);
    cr_expect(chunks >= 28 && most < early + early / 2, "%zu bytes in the first chunks, %zu later", early, most);
    traffic_stream_close(s);
    waitpid(child, NULL, 0);
    unlink(path);
    bench_end(&b);
}
