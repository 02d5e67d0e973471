/* SPDX-License-Identifier: BSD-3-Clause */
/* Captures written again with comments: all else is as it was. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fwdlab/base/random.h>
#include <fwdlab/trace/rewrite.h>
#include "capture.h"

static char dir[64], in[2][96], out[96];

static void setup(void) {
    strcpy(dir, "/tmp/fwdlab-annotate.XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(in[0], sizeof in[0], "%s/a", dir);
    snprintf(in[1], sizeof in[1], "%s/b", dir);
    snprintf(out, sizeof out, "%s/out.pcapng", dir);
}
static void teardown(void) {
    unlink(in[0]);
    unlink(in[1]);
    unlink(out);
    cr_expect_eq(rmdir(dir), 0, "something else was left in %s", dir);
}
TestSuite(annotate, .init = setup, .fini = teardown, .timeout = 60);

static void save(const char *path, const struct capture *c) {
    FILE *f = fopen(path, "wb");
    cr_assert_eq(fwrite(c->v, 1, c->n, f), c->n);
    fclose(f);
}

/* Every third packet gets one. */
static const char *comment(void *arg, const struct trace_packet *p) {
    ++*(unsigned *)arg;
    return p->frame % 3 == 0 ? "asym_breaks: finding 1" : NULL;
}

static struct trace_memory *annotated(unsigned files, unsigned *asked) {
    const char *paths[] = {in[0], in[1]};
    struct trace_many_options o = {.paths = paths, .n = files};
    struct err e = {0};
    *asked = 0;
    cr_assert_eq(trace_annotate(&o, out, comment, asked, &e), 0, "%s: %s", e.where, e.what);
    struct trace_memory *m = trace_preload(out, 0, &e);
    cr_assert_not_null(m, "%s", e.what);
    return m;
}

static void expect_same(const struct trace_packet *p, const struct trace_packet *q) {
    cr_expect(p->time_ns == q->time_ns && p->len == q->len && p->wire_len == q->wire_len &&
              p->direction == q->direction && !memcmp(p->data, q->data, p->len), "frame %lu", (unsigned long)p->frame);
    char want[128] = "";
    snprintf(want, sizeof want, "%s%s%s", p->comment ? p->comment : "", p->comment && p->frame % 3 == 0 ? "\n" : "",
             p->frame % 3 == 0 ? "asym_breaks: finding 1" : "");
    cr_expect_str_eq(q->comment ? q->comment : "", want);
}

/* Interfaces of several link types and units of time, times out of order, comments, directions and drop counts. */
static void make_pcapng(struct capture *c, uint64_t seed) {
    struct random r;
    random_seed(&r, seed);
    put_section(c);
    put_interface(c, "eth0", LINKTYPE_ETHERNET, 96);
    block_begin(c, 1);
    put_u16(c, LINKTYPE_RAW);
    put_u16(c, 0);
    put_u32(c, 0);
    put_option(c, 2, "tun0", 4);
    put_option(c, 3, "a tunnel", 8);
    put_option(c, 9, "\x09", 1);
    block_end(c);
    for (unsigned i = 0; i < 50; i++) {
        uint8_t data[64];
        for (unsigned k = 0; k < sizeof data; k++)
            data[k] = (uint8_t)random_u64(&r);
        uint32_t direction = c->big ? __builtin_bswap32(1 + i % 2) : 1 + i % 2;
        packet_begin(c, i % 2, 1000000 + random_below(&r, 100000), data, random_below(&r, 64), 64 + i);
        if (i % 5 == 0)
            put_option(c, 1, "seen before", 11);
        put_option(c, 2, &direction, 4);
        block_end(c);
    }
    block_begin(c, 5);
    put_u32(c, 1);
    put_u32(c, 0);
    put_u32(c, 0);
    uint64_t dropped = c->big ? __builtin_bswap64(9) : 9;
    put_option(c, 5, &dropped, 8);
    block_end(c);
}

Test(annotate, all_else_is_as_it_was) {
    for (uint64_t seed = 1; seed <= 4; seed++) {
        static struct capture c;
        c = (struct capture){.big = seed % 2};
        make_pcapng(&c, seed);
        save(in[0], &c);
        unsigned asked;
        struct trace_memory *was = trace_preload(in[0], 0, NULL), *is = annotated(1, &asked);
        cr_assert(was->n == 50 && is->n == 50 && asked == 50);
        for (size_t i = 0; i < was->n; i++) {
            expect_same(&was->packets[i], &is->packets[i]);
            cr_expect_eq(was->packets[i].interface, is->packets[i].interface);
        }
        cr_assert_eq(is->n_interfaces, 2);
        for (uint32_t i = 0; i < 2; i++) {
            const struct trace_interface *a = &was->interfaces[i], *b = &is->interfaces[i];
            cr_expect_str_eq(a->name, b->name);
            cr_expect_str_eq(a->description, b->description);
            cr_expect(a->linktype == b->linktype && a->snaplen == b->snaplen && a->packets == b->packets);
            cr_expect_eq(a->dropped, b->dropped);
        }
        trace_memory_destroy(was);
        trace_memory_destroy(is);
    }
}

/* A pcap file and a pcapng: one after the other, though the second one is older. */
Test(annotate, several_files) {
    static struct capture a, b;
    a.big = true;
    put_pcap(&a, 0xa1b2c3d4, LINKTYPE_LINUX_SLL);
    for (uint32_t i = 0; i < 10; i++)
        put_record(&a, 5000 + i, i, 30, 40, "thirty bytes of cooked capture");
    make_pcapng(&b, 9);
    save(in[0], &a);
    save(in[1], &b);
    unsigned asked;
    struct trace_memory *is = annotated(2, &asked);
    cr_assert(is->n == 60 && asked == 60);
    cr_expect_eq(is->n_interfaces, 3);
    struct trace_memory *was = trace_preload(in[0], 0, NULL);
    for (size_t i = 0; i < 10; i++)
        expect_same(&was->packets[i], &is->packets[i]);
    trace_memory_destroy(was);
    was = trace_preload(in[1], 0, NULL);
    for (size_t i = 0; i < 50; i++)
        expect_same(&was->packets[i], &is->packets[10 + i]);
    trace_memory_destroy(was);
    trace_memory_destroy(is);
}

static char big[150000];

static const char *big_comment(void *arg, const struct trace_packet *p) {
    return big;
}

/* Longer than an option can be: it goes on in the next, and no character is cut in two. */
Test(annotate, endless_comment) {
    static struct capture c;
    put_start(&c);
    put_packet(&c, 0, 1, "data", 4);
    save(in[0], &c);
    for (size_t i = 0; i + 3 < sizeof big; i += 3)
        memcpy(big + i, "\xe2\x82\xac", 3); /* the euro sign */
    const char *paths[] = {in[0]};
    struct err e = {0};
    cr_assert_eq(trace_annotate(&(struct trace_many_options){.paths = paths, .n = 1}, out, big_comment, NULL, &e), 0);
    struct trace_memory *m = trace_preload(out, 0, &e);
    cr_assert_eq(m->n, 1);
    cr_expect_null(strchr(m->packets[0].comment, '?'), "a character was cut");
    cr_expect_geq(strlen(m->packets[0].comment), 65535u);
    trace_memory_destroy(m);
}

Test(annotate, whole_or_not_at_all) {
    const char *paths[] = {in[0]};
    struct trace_many_options o = {.paths = paths, .n = 1};
    struct err e = {0};
    unsigned asked = 0;
    cr_expect_lt(trace_annotate(&o, out, comment, &asked, &e), 0, "there is no such file");
    cr_expect_neq(access(out, F_OK), 0);
    static struct capture c;
    put_start(&c);
    put_packet(&c, 0, 1, "data", 4);
    save(in[0], &c);
    cr_expect_lt(trace_annotate(&o, "/nonexistent/out.pcapng", comment, &asked, &e), 0);
    cr_expect_str_eq(e.where, "/nonexistent/out.pcapng");
}
