/* SPDX-License-Identifier: BSD-3-Clause */
/* What is written is read back the same, streamed and preloaded; the file appears whole or not at all. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <fwdlab/base/random.h>
#include "capture.h"

static char dir[] = "/tmp/fwdlab-writer.XXXXXX";
static char path[64];

static void setup(void) {
    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/out.pcapng", dir);
}

static void teardown(void) {
    unlink(path);
    cr_expect_eq(rmdir(dir), 0, "something else was left in %s", dir);
}

TestSuite(writer, .timeout = 120, .init = setup, .fini = teardown);

enum { PACKETS = 5000, INTERFACES = 3 };

/* The same seed makes the same packets again; their bytes lie in a buffer that the next call overwrites. */
static struct trace_packet make_packet(struct random *r) {
    static uint8_t data[1 << 18];
    static char comment[16];
    uint32_t len = random_below(r, 50) ? random_below(r, 1515) : random_below(r, sizeof data + 1);
    for (uint32_t i = 0; i < len; i++)
        data[i] = (uint8_t)(i * 31 + len);
    snprintf(comment, sizeof comment, "%.*s", (int)random_below(r, 9), "comment!");
    return (struct trace_packet){
        .time_ns = random_u64(r), .interface = random_below(r, INTERFACES), .len = len,
        .wire_len = len + random_below(r, 3), .direction = (uint8_t)random_below(r, 3), .data = data,
        .comment = random_below(r, 2) && comment[0] ? comment : NULL};
}

static void write_packets(struct trace_writer *w, uint64_t seed) {
    static const char *names[INTERFACES] = {"eth0", "a longer name", ""};
    for (int i = 0; i < INTERFACES; i++)
        cr_assert_eq(trace_writer_interface(w, names[i], (uint16_t)(1 + i), (uint32_t)i * 1000), i);
    struct random r;
    random_seed(&r, seed);
    for (int i = 0; i < PACKETS; i++) {
        struct trace_packet p = make_packet(&r);
        cr_assert_eq(trace_writer_packet(w, &p), 0);
    }
}

static void expect_packet(const struct trace_packet *p, struct random *r) {
    struct trace_packet q = make_packet(r);
    cr_assert_eq(p->time_ns, q.time_ns);
    cr_assert_eq(p->interface, q.interface);
    cr_assert_eq(p->len, q.len);
    cr_assert_eq(p->wire_len, q.wire_len);
    cr_assert_eq(p->direction, q.direction);
    cr_assert_not(memcmp(p->data, q.data, q.len));
    cr_assert_eq(!p->comment, !q.comment);
    if (q.comment)
        cr_assert_str_eq(p->comment, q.comment);
}

Test(writer, round_trip) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct trace_writer *w = trace_writer_open(path, NULL);
        write_packets(w, seed);
        cr_assert_eq(trace_writer_close(w, NULL), 0);
        struct random r;
        random_seed(&r, seed);
        struct trace *t = trace_open(path, NULL);
        struct trace_packet p;
        uint64_t n = 0;
        while (trace_read(t, &p, NULL) > 0) {
            cr_assert_eq(p.frame, ++n);
            expect_packet(&p, &r);
        }
        cr_assert_eq(n, PACKETS, "seed %lu", (unsigned long)seed);
        cr_assert_null(trace_damage(t));
        uint32_t interfaces;
        const struct trace_interface *f = trace_interfaces(t, &interfaces);
        cr_assert_eq(interfaces, INTERFACES);
        cr_expect_str_eq(f[1].name, "a longer name");
        cr_expect_eq(f[2].linktype, 3);
        cr_expect_eq(f[2].snaplen, 2000);
        cr_expect_eq(f[0].packets + f[1].packets + f[2].packets, PACKETS);
        trace_close(t);
    }
}

Test(writer, preload_holds_all_of_it) {
    struct trace_writer *w = trace_writer_open(path, NULL);
    write_packets(w, 9);
    cr_assert_eq(trace_writer_close(w, NULL), 0);
    struct trace_memory *m = trace_preload(path, 0, NULL);
    cr_assert_eq(m->n, PACKETS);
    cr_assert_eq(m->n_interfaces, INTERFACES);
    cr_expect_null(m->damage);
    struct random r;
    random_seed(&r, 9);
    uint64_t bytes = 0, packets = 0;
    for (size_t i = 0; i < m->n; i++) {
        cr_assert_eq(m->packets[i].frame, i + 1);
        cr_assert_eq((uintptr_t)m->packets[i].data % 8, 0);
        expect_packet(&m->packets[i], &r);
        bytes += m->packets[i].len;
    }
    for (uint32_t i = 0; i < m->n_interfaces; i++)
        packets += m->interfaces[i].packets;
    cr_expect_eq(packets, PACKETS);
    cr_expect_eq(m->bytes, bytes);
    trace_memory_destroy(m);

    m = trace_preload(path, bytes, NULL);
    cr_expect_not_null(m, "exactly as much as is allowed");
    trace_memory_destroy(m);
    struct err e = {0};
    cr_expect_null(trace_preload(path, bytes - 1, &e));
    cr_expect_eq(errno, EFBIG);
    cr_expect_str_eq(e.where, path);
    cr_expect(strstr(e.what, "more than"), "%s", e.what);
}

Test(writer, preload_of_a_damaged_file) {
    struct trace_writer *w = trace_writer_open(path, NULL);
    cr_assert_eq(trace_writer_interface(w, "eth0", 1, 0), 0);
    struct trace_packet p = {.data = (const uint8_t *)"data", .len = 4};
    for (int i = 0; i < 3; i++)
        cr_assert_eq(trace_writer_packet(w, &p), 0);
    cr_assert_eq(trace_writer_close(w, NULL), 0);
    struct trace_memory *m = trace_preload(path, 0, NULL);
    uint64_t first = m->packets[0].offset, last = m->packets[2].offset;
    trace_memory_destroy(m);
    char text[32];
    cr_assert_eq(truncate(path, (off_t)last + 5), 0);
    m = trace_preload(path, 0, NULL);
    cr_assert_eq(m->n, 2);
    snprintf(text, sizeof text, "byte %lu: ", (unsigned long)last);
    cr_expect(strstr(m->damage, text), "%s", m->damage);
    trace_memory_destroy(m);
    cr_assert_eq(truncate(path, (off_t)first + 5), 0);
    struct err e = {0};
    cr_expect_null(trace_preload(path, 0, &e));
    snprintf(text, sizeof text, "byte %lu: ", (unsigned long)first);
    cr_expect(strstr(e.what, text), "%s", e.what);
}

Test(writer, nothing_appears_before_close) {
    FILE *old = fopen(path, "w");
    fputs("old", old);
    fclose(old);
    struct trace_writer *w = trace_writer_open(path, NULL);
    write_packets(w, 1);
    cr_expect_null(trace_open(path, NULL), "the old file is still there");
    trace_writer_abandon(w);
    cr_expect_null(trace_open(path, NULL));
}

Test(writer, refuses_what_cannot_be_read_back) {
    struct trace_writer *w = trace_writer_open(path, NULL);
    struct trace_packet p = {.data = (const uint8_t *)"data", .len = 4};
    cr_expect_eq(trace_writer_packet(w, &p), -EINVAL, "there is no interface yet");
    cr_expect_eq(trace_writer_interface(w, "eth0", 1, 0), 0);
    p.len = 262145;
    cr_expect_eq(trace_writer_packet(w, &p), -EINVAL);
    p.len = 4;
    p.wire_len = 1; /* raised to what is present */
    cr_expect_eq(trace_writer_packet(w, &p), 0);
    cr_expect_eq(trace_writer_close(w, NULL), 0);
    struct trace_memory *m = trace_preload(path, 0, NULL);
    cr_assert_eq(m->n, 1);
    cr_expect_eq(m->packets[0].wire_len, 4);
    trace_memory_destroy(m);
}

Test(writer, a_full_disk_leaves_nothing) {
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, limit;
    getrlimit(RLIMIT_FSIZE, &old);
    limit = (struct rlimit){3 << 20, old.rlim_max};
    struct trace_writer *w = trace_writer_open(path, NULL);
    cr_assert_eq(trace_writer_interface(w, "eth0", 1, 0), 0);
    setrlimit(RLIMIT_FSIZE, &limit);
    static uint8_t data[1 << 18];
    struct trace_packet p = {.data = data, .len = sizeof data};
    int r = 0;
    for (int i = 0; i < 20; i++)
        r = trace_writer_packet(w, &p);
    cr_expect_eq(r, -EFBIG);
    struct err e = {0};
    cr_expect_eq(trace_writer_close(w, &e), -EFBIG);
    setrlimit(RLIMIT_FSIZE, &old);
    cr_expect_str_eq(e.where, path);
    cr_expect_neq(access(path, F_OK), 0);
}

Test(writer, says_why_it_cannot_open) {
    struct err e = {0};
    cr_expect_null(trace_writer_open("/nonexistent/out.pcapng", &e));
    cr_expect_str_eq(e.where, "/nonexistent/out.pcapng");
    cr_expect(strstr(e.what, "No such file"), "%s", e.what);
    cr_expect_null(trace_open("/nonexistent/in.pcapng", &e));
    cr_expect(strstr(e.what, "No such file"), "%s", e.what);
    e = (struct err){0};
    cr_expect_null(trace_open(dir, &e));
    cr_expect(strstr(e.what, "Is a directory"), "%s", e.what);
}
