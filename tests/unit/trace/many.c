/* SPDX-License-Identifier: BSD-3-Clause */
/* Many captures as one stream: order, interfaces, filters, damage, and how much memory a long file takes. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/base/random.h>
#include <fwdlab/trace/many.h>
#include "capture.h"

#define FILES 12
#define BASE (1000 * SECOND_NS)
#define MS (SECOND_NS / 1000)
#define NANOSECONDS 0xa1b23c4d

static char dir[] = "/tmp/fwdlab-many.XXXXXX";
static char paths[FILES][64];
static const char *all[FILES];

static void make_dir(void) {
    cr_assert_not_null(mkdtemp(dir));
    for (int i = 0; i < FILES; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%d", dir, i);
        all[i] = paths[i];
    }
}

static void remove_dir(void) {
    for (int i = 0; i < FILES; i++)
        unlink(paths[i]);
    rmdir(dir);
}

TestSuite(many, .init = make_dir, .fini = remove_dir, .timeout = 120);

static void save(int file, const struct capture *c) {
    FILE *f = fopen(paths[file], "w");
    cr_assert(f && fwrite(c->v, 1, c->n, f) == c->n && !fclose(f));
}

/* A packet of 60 bytes whose first eight are its id. */
static const uint8_t *packet_bytes(uint64_t id) {
    static uint8_t data[60];
    memcpy(data, &id, sizeof id);
    return data;
}

static void put_ns(struct capture *c, uint64_t time_ns, uint64_t id) {
    put_record(c, (uint32_t)(time_ns / SECOND_NS), (uint32_t)(time_ns % SECOND_NS), 60, 60, packet_bytes(id));
}

static uint64_t id_of(const struct trace_packet *p) {
    uint64_t id;
    memcpy(&id, p->data, sizeof id);
    return id;
}

/* A pcap file with a packet at each of these milliseconds (and as id), until 0. */
static void save_pcap(int file, uint32_t linktype, const uint32_t *ms) {
    struct capture c = {0};
    for (put_pcap(&c, NANOSECONDS, linktype); *ms; ms++)
        put_ns(&c, BASE + *ms * MS, *ms);
    save(file, &c);
}

#define SAVE(file, ...) save_pcap(file, LINKTYPE_ETHERNET, (const uint32_t[]){__VA_ARGS__, 0})

/* In order. */
static struct trace_many *open_many(struct trace_many_options o) {
    struct err e = {0};
    o.in_order = true;
    o.paths = o.paths ? o.paths : all;
    struct trace_many *m = trace_many_open(&o, &e);
    cr_assert(m, "%s: %s", e.where, e.what);
    return m;
}

static uint64_t late_of(const struct trace_many *m) {
    struct trace_many_stats s;
    trace_many_stats(m, &s);
    return s.late;
}

/* The ids in the order given, and the interfaces they are on; returns how many interfaces there are. */
#define EXPECT(m, ...) expect(m, __LINE__, (const uint32_t[]){__VA_ARGS__, 0})
static uint32_t expect(struct trace_many *m, int line, const uint32_t *ids) {
    struct trace_packet p;
    struct err e = {0};
    for (; *ids; ids++) {
        cr_assert_eq(trace_many_read(m, &p, &e), 1, "line %d: no %u: %s", line, *ids, e.what);
        cr_expect_eq(id_of(&p), *ids, "line %d: %" PRIu64 " is not %u", line, id_of(&p), *ids);
    }
    cr_expect_eq(trace_many_read(m, &p, &e), 0, "line %d", line);
    cr_expect_eq(trace_many_read(m, &p, &e), 0, "the end stays the end");
    uint32_t n;
    trace_many_interfaces(m, &n);
    return n;
}

/* ---- order ---- */

Test(many, files_follow_each_other_by_their_times) {
    SAVE(0, 50, 60);
    SAVE(1, 10, 20);
    SAVE(2, 30, 40);
    struct trace_many *m = open_many((struct trace_many_options){.n = 3});
    cr_expect_eq(EXPECT(m, 10, 20, 30, 40, 50, 60), 1, "rotated files are one interface");
    struct trace_many_stats s;
    trace_many_stats(m, &s);
    cr_expect(s.read == 6 && s.late == 0 && s.bytes == 360 && s.done == s.total && s.total == 3 * (24 + 2 * 76));
    trace_many_close(m);
}

Test(many, as_they_stand) {
    SAVE(0, 50, 40);
    SAVE(1, 10, 20);
    struct trace_many *m = trace_many_open(&(struct trace_many_options){.paths = all, .n = 2}, NULL);
    EXPECT(m, 50, 40, 10, 20);
    cr_expect_eq(late_of(m), 0);
    trace_many_close(m);
}

Test(many, offsets_move_files) {
    SAVE(0, 10, 20);
    SAVE(1, 5011, 5021);
    const int64_t offsets[] = {0, -5000 * (int64_t)MS};
    struct trace_many *m = open_many((struct trace_many_options){.n = 2, .offset_ns = offsets});
    EXPECT(m, 10, 5011, 20, 5021);
    trace_many_close(m);
}

/* 1,500 ms is beyond the default window, 900 ms is not. */
Test(many, what_is_later_than_the_window) {
    SAVE(0, 1000, 2000, 1100, 3000, 4000, 2500, 5000);
    struct trace_many *m = open_many((struct trace_many_options){.n = 1});
    EXPECT(m, 1000, 1100, 2000, 3000, 2500, 4000, 5000);
    cr_expect_eq(late_of(m), 1);
    trace_many_close(m);
    m = open_many((struct trace_many_options){.n = 1, .window_ns = 2 * SECOND_NS});
    EXPECT(m, 1000, 1100, 2000, 2500, 3000, 4000, 5000);
    cr_expect_eq(late_of(m), 0);
    trace_many_close(m);
}

/* One clock in the future does not end the sorting of what follows. */
Test(many, an_outlier) {
    SAVE(0, 1000, 9000000, 1200, 1100, 3000, 2900, 5000);
    struct trace_many *m = open_many((struct trace_many_options){.n = 1});
    EXPECT(m, 1000, 1100, 1200, 2900, 3000, 5000, 9000000);
    trace_many_close(m);
}

struct made {
    uint64_t time, id;
};

static int by_time(const void *a, const void *b) {
    const struct made *x = a, *y = b;
    return x->time != y->time ? (x->time < y->time ? -1 : 1) : (x->id > y->id) - (x->id < y->id);
}

/* Random files, each out of order by less than the window: all packets come in order, each once and with its bytes. */
Test(many, random_files_are_merged) {
    enum { EACH = 300 };
    static struct made made[FILES * EACH];
    static struct capture c;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct random r;
        random_seed(&r, seed);
        uint32_t files = 1 + random_below(&r, FILES), n = 0, step = 1 + random_below(&r, 100);
        for (uint32_t f = 0; f < files; f++) {
            uint64_t at = BASE + random_below(&r, 20000) * MS;
            bool ng = random_below(&r, 2);
            uint32_t packets = random_below(&r, EACH);
            c = (struct capture){.big = random_below(&r, 2)};
            ng ? put_start(&c) : put_pcap(&c, NANOSECONDS, LINKTYPE_ETHERNET);
            for (uint32_t i = 0; i < packets; i++, at += random_below(&r, step) * MS) {
                uint64_t time = at - random_below(&r, 500) * MS;
                made[n] = (struct made){time, (uint64_t)f << 32 | (i + 1)};
                ng ? put_packet(&c, 0, time / 1000, packet_bytes(made[n].id), 60) : put_ns(&c, time, made[n].id);
                n++;
            }
            save((int)f, &c);
        }
        qsort(made, n, sizeof *made, by_time);
        struct trace_many *m = open_many((struct trace_many_options){.n = files});
        struct trace_packet p;
        uint64_t last = 0;
        for (uint32_t i = 0; i < n; i++) {
            cr_assert_eq(trace_many_read(m, &p, NULL), 1, "seed %" PRIu64, seed);
            cr_assert_eq(p.time_ns, made[i].time, "seed %" PRIu64 ", packet %u", seed, i);
            cr_assert_eq(id_of(&p), (uint64_t)p.file << 32 | p.frame, "seed %" PRIu64 ", packet %u", seed, i);
            cr_assert(p.time_ns > last || i == 0 || made[i - 1].time == p.time_ns);
            last = p.time_ns;
        }
        cr_assert_eq(trace_many_read(m, &p, NULL), 0);
        cr_expect_eq(late_of(m), 0, "seed %" PRIu64, seed);
        trace_many_close(m);
    }
}

/* More files than may be open at once. */
Test(many, more_files_than_descriptors) {
    enum { N = 200 };
    const char *same[N];
    int64_t offsets[N];
    SAVE(0, 10, 20);
    for (int i = 0; i < N; i++) {
        same[i] = paths[0];
        offsets[i] = (int64_t)(N - i) * 20 * (int64_t)MS;
    }
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){40, 40});
    struct trace_many *m = open_many((struct trace_many_options){.paths = same, .n = N, .offset_ns = offsets});
    struct trace_packet p;
    int n = 0;
    for (uint64_t last = 0; trace_many_read(m, &p, NULL) > 0; last = p.time_ns, n++)
        cr_assert_geq(p.time_ns, last);
    cr_expect_eq(n, 2 * N);
    cr_expect_null(trace_many_damage(m), "%s", trace_many_damage(m));
    trace_many_close(m);
}

Test(many, stdin_among_files) {
    SAVE(0, 20, 40);
    SAVE(1, 10, 30);
    int fd = open(paths[1], O_RDONLY);
    dup2(fd, STDIN_FILENO);
    const char *two[] = {paths[0], "-"};
    struct trace_many *m = open_many((struct trace_many_options){.paths = two, .n = 2});
    EXPECT(m, 10, 20, 30, 40);
    struct trace_many_stats s;
    trace_many_stats(m, &s);
    cr_expect_eq(s.total, 0, "how long stdin is nobody knows");
    trace_many_close(m);
    close(fd);
}

/* ---- interfaces ---- */

static void save_interface(int file, const char *name, uint16_t linktype, uint32_t ms) {
    struct capture c = {0};
    put_section(&c);
    put_interface(&c, name, linktype, 0);
    put_packet(&c, 0, (BASE + ms * MS) / 1000, packet_bytes(ms), 60);
    put_packet(&c, 0, (BASE + (ms + 100) * MS) / 1000, packet_bytes(ms + 100), 60);
    save(file, &c);
}

Test(many, interfaces_of_one_name) {
    save_interface(0, "eth0", LINKTYPE_ETHERNET, 10);
    save_interface(1, "eth1", LINKTYPE_ETHERNET, 11);
    save_interface(2, "eth0", LINKTYPE_ETHERNET, 12);
    save_interface(3, "eth0", LINKTYPE_RAW, 13);
    struct trace_many *m = open_many((struct trace_many_options){.n = 4});
    uint32_t n = EXPECT(m, 10, 11, 12, 13, 110, 111, 112, 113);
    const struct trace_interface *i = trace_many_interfaces(m, &n);
    cr_assert_eq(n, 3);
    cr_expect(!strcmp(i[0].name, "eth0") && i[0].packets == 4);
    cr_expect(!strcmp(i[1].name, "eth1") && i[1].packets == 2);
    cr_expect(!strcmp(i[2].name, "eth0") && i[2].packets == 2 && i[2].linktype == LINKTYPE_RAW);
    trace_many_close(m);
}

Test(many, two_interfaces_of_one_name_in_a_file) {
    for (int file = 0; file < 2; file++) {
        struct capture c = {0};
        put_section(&c);
        put_interface(&c, "eth0", LINKTYPE_ETHERNET, 0);
        put_interface(&c, "eth0", LINKTYPE_ETHERNET, 0);
        put_packet(&c, 1, (BASE + MS) / 1000, packet_bytes(1), 60);
        save(file, &c);
    }
    struct trace_many *m = open_many((struct trace_many_options){.n = 2});
    cr_expect_eq(EXPECT(m, 1, 1), 2);
    trace_many_close(m);
}

Test(many, nameless_interfaces_that_overlap_are_two) {
    SAVE(0, 10, 1000, 5000);
    SAVE(1, 4000, 6000);
    struct trace_many *m = open_many((struct trace_many_options){.n = 2});
    cr_expect_eq(EXPECT(m, 10, 1000, 4000, 5000, 6000), 2);
    trace_many_close(m);
}

/* Packets a little out of order where a capture is rotated do not make two of its interface. */
Test(many, nameless_interfaces_that_overlap_by_a_slack_are_one) {
    SAVE(0, 10, 1000, 1050);
    SAVE(1, 1040, 2000);
    struct trace_many *m = open_many((struct trace_many_options){.n = 2});
    cr_expect_eq(EXPECT(m, 10, 1000, 1040, 1050, 2000), 1);
    trace_many_close(m);
}

Test(many, nameless_interfaces_of_two_link_types) {
    SAVE(0, 10, 20);
    save_pcap(1, LINKTYPE_RAW, (uint32_t[]){30, 40, 0});
    struct trace_many *m = open_many((struct trace_many_options){.n = 2});
    cr_expect_eq(EXPECT(m, 10, 20, 30, 40), 2);
    trace_many_close(m);
}

/* ---- filters ---- */

Test(many, filter) {
    static const uint8_t arp[60] = {[12] = 8, [13] = 6}, ip[60] = {[12] = 8, [13] = 0, [14] = 0x45, [23] = 17};
    struct capture c = {0};
    put_pcap(&c, NANOSECONDS, LINKTYPE_ETHERNET);
    for (uint32_t i = 0; i < 10; i++)
        put_record(&c, 1, i, 60, 60, i % 3 ? ip : arp);
    save(0, &c);
    struct trace_many *m = open_many((struct trace_many_options){.n = 1, .filter = "udp"});
    struct trace_packet p;
    while (trace_many_read(m, &p, NULL) > 0)
        cr_expect_neq(p.frame % 3, 1);
    struct trace_many_stats s;
    trace_many_stats(m, &s);
    cr_expect(s.read == 10 && s.filtered == 4 && s.bytes == 6 * 60);
    trace_many_close(m);
}

Test(many, a_filter_that_is_wrong) {
    SAVE(0, 10);
    struct err e;
    cr_assert_null(trace_many_open(&(struct trace_many_options){.paths = all, .n = 1, .filter = "tcp prot 80"}, &e));
    cr_expect(strstr(e.what, "syntax error"), "%s", e.what);
    cr_expect(strstr(e.what, "'tcp prot 80'") && strstr(e.what, "link type 1"), "%s", e.what);
    cr_expect_str_eq(e.where, paths[0]);
    save_pcap(1, LINKTYPE_RAW, (uint32_t[]){20, 0});
    cr_assert_null(trace_many_open(&(struct trace_many_options){.paths = all, .n = 2, .filter = "ether host ::1"}, &e));
    cr_assert_null(trace_many_open(&(struct trace_many_options){.paths = all, .n = 2, .filter = "vlan"}, &e));
    cr_expect(strstr(e.what, "link type 101") && !strcmp(e.where, paths[1]), "%s: %s", e.where, e.what);
}

/* A filter that an interface which comes up later makes wrong. */
Test(many, a_filter_that_turns_out_wrong) {
    struct capture c = {0};
    put_start(&c);
    put_packet(&c, 0, 1, packet_bytes(1), 60);
    put_packet(&c, 0, 1, packet_bytes(1), 60);
    put_interface(&c, "tun0", LINKTYPE_RAW, 0);
    put_packet(&c, 1, 1, packet_bytes(2), 60);
    save(0, &c);
    struct trace_many *m = open_many((struct trace_many_options){.n = 1, .filter = "not vlan"});
    struct err e;
    struct trace_packet p;
    int r;
    while ((r = trace_many_read(m, &p, &e)) > 0);
    cr_expect_lt(r, 0);
    cr_expect(strstr(e.what, "link type 101"), "%s", e.what);
    trace_many_close(m);
}

/* ---- damage ---- */

Test(many, damage_of_some) {
    static const uint8_t garbage[] = "no capture";
    struct capture c = {0}, none = {0};
    put(&none, garbage, sizeof garbage);
    put_pcap(&c, NANOSECONDS, LINKTYPE_ETHERNET);
    put_ns(&c, BASE + 10 * MS, 10);
    put_ns(&c, BASE + 30 * MS, 30);
    c.n -= 10;
    save(0, &c);
    SAVE(1, 20, 40);
    save(2, &none);
    struct trace_many *m = open_many((struct trace_many_options){.n = 3});
    EXPECT(m, 10, 20, 40);
    const char *damage = trace_many_damage(m), *second = strstr(damage, "; ");
    cr_expect(second && !strncmp(damage, paths[0], strlen(paths[0])) && strstr(damage, "byte 100: pcap record"), "%s",
        damage);
    cr_expect(second && !strncmp(second + 2, paths[2], strlen(paths[2])) && strstr(second, "byte 0: 6e 6f"), "%s",
        damage);
    trace_many_close(m);
}

Test(many, nothing_can_be_read) {
    struct capture none = {0};
    struct err e;
    put(&none, "garbage", 7);
    save(0, &none);
    cr_expect_null(trace_many_open(&(struct trace_many_options){.paths = all, .n = 1}, &e));
    cr_expect(strstr(e.what, "does not begin a capture"), "%s", e.what);
    SAVE(1, 10);
    cr_expect_null(trace_many_open(&(struct trace_many_options){.paths = all, .n = 3}, &e), "the third is missing");
    cr_expect(strstr(e.what, "cannot be opened") && !strcmp(e.where, paths[2]), "%s: %s", e.where, e.what);
}

/* A capture that is still rotated away: what was read stays, the rest is damage. */
Test(many, a_file_goes_away) {
    SAVE(0, 10, 20);
    SAVE(1, 30, 40);
    struct trace_many *m = open_many((struct trace_many_options){.n = 2});
    unlink(paths[1]);
    EXPECT(m, 10, 20);
    cr_expect(strstr(trace_many_damage(m), "cannot be opened"), "%s", trace_many_damage(m));
    trace_many_close(m);
}

/* ---- long files ---- */

/* Every 64 KB a record; nothing between was ever written. */
static void save_sparse(int file, uint64_t bytes) {
    enum { RECORD = 1 << 16 };
    struct capture c = {0};
    put_pcap(&c, NANOSECONDS, LINKTYPE_ETHERNET);
    save(file, &c);
    int fd = open(paths[file], O_WRONLY);
    for (uint64_t at = 24; at < bytes; at += RECORD) {
        uint32_t h[4] = {(uint32_t)(at / RECORD / 1000), (uint32_t)(at / RECORD % 1000), RECORD - 16, RECORD - 16};
        cr_assert_eq(pwrite(fd, h, sizeof h, (off_t)at), (ssize_t)sizeof h);
    }
    cr_assert_eq(ftruncate(fd, (off_t)(24 + (bytes - 24 + RECORD - 1) / RECORD * RECORD)), 0);
    close(fd);
}

static uint64_t peak_kb(void) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[128];
    unsigned long kb = 0;
    while (f && fgets(line, sizeof line, f))
        sscanf(line, "VmHWM: %lu kB", &kb);
    fclose(f);
    return kb;
}

/* Kilobytes that a process of its own takes to read the file. */
static uint64_t memory_to_read(int file) {
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    if (!fork()) {
        uint64_t before = peak_kb(), n = 0;
        struct trace_many *m = open_many((struct trace_many_options){.paths = all + file, .n = 1});
        struct trace_packet p;
        while (trace_many_read(m, &p, NULL) > 0)
            n += p.data[p.len - 1] == 0;
        uint64_t took = n > 1000 ? peak_kb() - before : UINT64_MAX;
        _exit(write(ends[1], &took, sizeof took) != sizeof took);
    }
    uint64_t kb = UINT64_MAX;
    cr_assert_eq(read(ends[0], &kb, sizeof kb), (ssize_t)sizeof kb);
    wait(NULL);
    return kb;
}

Test(many, memory_does_not_grow_with_the_file) {
    save_sparse(0, 100 << 20);
    save_sparse(1, 1 << 30);
    uint64_t small = memory_to_read(0), large = memory_to_read(1);
    cr_expect_leq(large, small + 8192, "1 GB takes %" PRIu64 " kB, 100 MB %" PRIu64, large, small);
    cr_expect_leq(large, 80 << 10, "%" PRIu64 " kB", large);
}

Test(many, a_file_shrinks_while_it_is_read) {
    save_sparse(0, 16 << 20);
    struct trace_many *m = open_many((struct trace_many_options){.n = 1, .window_ns = 1});
    struct trace_packet p;
    cr_assert_eq(trace_many_read(m, &p, NULL), 1);
    cr_assert_eq(truncate(paths[0], 4 << 20), 0);
    unsigned n = 1, sum = 0;
    for (; trace_many_read(m, &p, NULL) > 0; n++)
        for (uint32_t i = 0; i < p.len; i++)
            sum += p.data[i];
    cr_expect_eq(sum, 0);
    cr_expect_eq(n, 63);
    cr_expect(strstr(trace_many_damage(m), "is cut after"), "%s", trace_many_damage(m));
    trace_many_close(m);
}

static const char *const compressors[] = {"gzip -1", "zstd -q -1", "lz4 -q", "xz -0"};

/* Long enough to be decompressed in a thread of its own; closed early as well, and cut. */
Test(many, compressed_and_long) {
    save_sparse(0, 24 << 20);
    for (size_t i = 0; i < sizeof compressors / sizeof *compressors; i++) {
        char command[256];
        snprintf(command, sizeof command, "%s -c <%s >%s", compressors[i], paths[0], paths[1]);
        if (system(command))
            cr_skip_test("%s does not work here", compressors[i]);
        for (int cut = 0; cut < 2; cut++) {
            struct trace_many *m = open_many((struct trace_many_options){.paths = all + 1, .n = 1});
            struct trace_packet p;
            uint64_t n = 0;
            for (; trace_many_read(m, &p, NULL) > 0; n++)
                cr_assert_eq(p.offset, 24 + n * (1 << 16));
            struct trace_many_stats s;
            trace_many_stats(m, &s);
            cr_expect_eq(s.done, s.total, "%s: %" PRIu64 " of %" PRIu64, compressors[i], s.done, s.total);
            cr_expect(cut ? n > 100 && n < 384 : n == 384, "%s: %" PRIu64 " packets", compressors[i], n);
            cr_expect_eq(!trace_many_damage(m), !cut, "%s: %s", compressors[i], trace_many_damage(m));
            trace_many_close(m);
            struct stat st;
            cr_assert(!stat(paths[1], &st) && !truncate(paths[1], st.st_size * 9 / 10));
        }
        for (int stop = 1; stop < 150; stop += 37) {
            struct trace_many *m = open_many((struct trace_many_options){.paths = all + 1, .n = 1});
            struct trace_packet p;
            for (int k = 0; k < stop; k++)
                cr_assert_eq(trace_many_read(m, &p, NULL), 1);
            trace_many_close(m);
        }
    }
}

Test(many, comments_wait_with_their_packets) {
    struct capture c = {0};
    put_start(&c);
    for (uint32_t i = 0; i < 100; i++) {
        char text[8];
        packet_begin(&c, 0, i ^ 1, packet_bytes(i), 60, 60);
        put_option(&c, 1, text, (uint16_t)snprintf(text, sizeof text, "%u", i));
        block_end(&c);
    }
    save(0, &c);
    struct trace_many *m = open_many((struct trace_many_options){.n = 1});
    struct trace_packet p;
    for (uint32_t i = 0; trace_many_read(m, &p, NULL) > 0; i++) {
        cr_assert_eq(id_of(&p), i < 2 ? i : i ^ 1, "packet %u", i); /* the one at time 0 has none */
        cr_expect_eq((uint64_t)atoi(p.comment), id_of(&p));
    }
    trace_many_close(m);
}
