/* SPDX-License-Identifier: BSD-3-Clause */
/* Compressed captures: whole, of several members, cut, damaged; from memory, file and stdin. */
#include <criterion/criterion.h>
#include <lz4frame.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <fwdlab/base/random.h>
#include "capture.h"

TestSuite(compress, .timeout = 120);

enum { PACKETS = 400, PACKET_LEN = 200 };

static void compress_gz(struct capture *to, const uint8_t *data, size_t len) {
    z_stream z = {0};
    cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (uint8_t *)data;
    z.avail_in = (uInt)len;
    z.next_out = to->v + to->n;
    z.avail_out = (uInt)(sizeof to->v - to->n);
    cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    to->n += z.total_out;
    deflateEnd(&z);
}

static void compress_zst(struct capture *to, const uint8_t *data, size_t len) {
    ZSTD_CCtx *ctx = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
    size_t n = ZSTD_compress2(ctx, to->v + to->n, sizeof to->v - to->n, data, len);
    cr_assert_not(ZSTD_isError(n));
    to->n += n;
    ZSTD_freeCCtx(ctx);
}

static void compress_lz4(struct capture *to, const uint8_t *data, size_t len) {
    LZ4F_preferences_t p = {.frameInfo = {.contentChecksumFlag = LZ4F_contentChecksumEnabled}};
    size_t n = LZ4F_compressFrame(to->v + to->n, sizeof to->v - to->n, data, len, &p);
    cr_assert_not(LZ4F_isError(n));
    to->n += n;
}

static void compress_xz(struct capture *to, const uint8_t *data, size_t len) {
    cr_assert_eq(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, data, len, to->v, &to->n, sizeof to->v), LZMA_OK);
}

static const struct { const char *name; void (*run)(struct capture *, const uint8_t *, size_t); } formats[] = {
    {"gz", compress_gz}, {"zst", compress_zst}, {"lz4", compress_lz4}, {"xz", compress_xz},
};
enum { FORMATS = sizeof formats / sizeof *formats };

/* Packets that do not compress away, so that a cut lands between them. */
static void put_plain(struct capture *c) {
    struct random r;
    random_seed(&r, 1);
    put_start(c);
    for (int i = 0; i < PACKETS; i++) {
        uint8_t data[PACKET_LEN];
        for (int j = 0; j < PACKET_LEN; j++)
            data[j] = (uint8_t)(random_u64(&r) & 0x0f);
        put_packet(c, 0, (uint64_t)i, data, PACKET_LEN);
    }
}

/* The packets must be those of the plain capture, in order, as many as `expect` says (-1: any number). */
static void compare(struct trace *t, int expect) {
    struct capture plain = {0};
    put_plain(&plain);
    struct trace *p = trace_open_memory("plain", plain.v, plain.n, NULL);
    struct trace_packet a, b;
    int n = 0;
    for (; trace_read(t, &a, NULL) > 0; n++) {
        cr_assert_eq(trace_read(p, &b, NULL), 1);
        cr_assert_eq(a.time_ns, b.time_ns);
        cr_assert_eq(a.offset, b.offset);
        cr_assert_eq(a.len, b.len);
        cr_assert_arr_eq(a.data, b.data, a.len);
    }
    if (expect >= 0)
        cr_expect_eq(n, expect, "%d packets", n);
    trace_close(p);
}

Test(compress, one_and_several_members) {
    struct capture plain = {0};
    put_plain(&plain);
    for (int f = 0; f < FORMATS; f++)
        for (size_t members = 1; members < 5; members++) {
            struct capture c = {0};
            for (size_t i = 0; i < members; i++) {
                size_t from = plain.n * i / members, to = plain.n * (i + 1) / members;
                formats[f].run(&c, plain.v + from, to - from);
            }
            struct trace *t = open_capture(&c, NULL);
            cr_assert(t, "%s", formats[f].name);
            compare(t, PACKETS);
            cr_expect_null(trace_damage(t), "%s: %s", formats[f].name, trace_damage(t));
            trace_close(t);
        }
}

Test(compress, cut) {
    struct capture plain = {0};
    put_plain(&plain);
    for (int f = 0; f < FORMATS; f++) {
        struct capture c = {0};
        formats[f].run(&c, plain.v, plain.n);
        for (c.n--; c.n > 400; c.n -= c.n / 97 + 1) {
            struct err e = {0};
            struct trace *t = open_capture(&c, &e);
            const char *damage = t ? (compare(t, -1), trace_damage(t)) : e.what;
            char text[80];
            snprintf(text, sizeof text, "%s data is cut at byte %zu of the compressed file", formats[f].name, c.n);
            cr_expect(damage && strstr(damage, text), "'%s' does not hold '%s'", damage, text);
            trace_close(t);
        }
    }
}

/* One byte is wrong somewhere: a message names an offset, unless the byte happens not to matter. */
Test(compress, damaged) {
    int found = 0;
    struct capture plain = {0};
    put_plain(&plain);
    for (int f = 0; f < FORMATS; f++)
        for (uint64_t seed = 0; seed < 100; seed++) {
            struct random r;
            random_seed(&r, seed);
            struct capture c = {0};
            formats[f].run(&c, plain.v, plain.n);
            c.v[64 + random_below(&r, (uint32_t)c.n - 200)] ^= (uint8_t)(1 + random_below(&r, 255));
            struct err e = {0};
            char damage[512] = "";
            int n = read_capture(&c, NULL, damage, sizeof damage, &e);
            if (n < 0 || damage[0]) {
                cr_assert(strstr(n < 0 ? e.what : damage, "byte "), "%s, seed %lu: %d packets, '%s' '%s'",
                    formats[f].name, (unsigned long)seed, n, e.what, damage);
                found++;
            } else {
                struct trace *t = open_capture(&c, NULL);
                compare(t, PACKETS);
                trace_close(t);
            }
        }
    cr_expect_gt(found, 390, "%d of 400", found);
}

Test(compress, garbage_behind_the_last_member) {
    struct capture plain = {0};
    put_plain(&plain);
    for (int f = 0; f < FORMATS; f++) {
        struct capture c = {0};
        formats[f].run(&c, plain.v, plain.n);
        put(&c, "something else", 14);
        struct trace *t = open_capture(&c, NULL);
        compare(t, PACKETS);
        cr_assert_not_null(trace_damage(t), "%s", formats[f].name);
        cr_expect(strstr(trace_damage(t), "data is damaged at byte"), "%s: %s", formats[f].name, trace_damage(t));
        trace_close(t);
    }
}

Test(compress, file_and_stdin) {
    struct capture plain = {0};
    put_plain(&plain);
    for (int f = -1; f < FORMATS; f++) {
        struct capture c = {0};
        if (f < 0)
            put(&c, plain.v, plain.n);
        else
            formats[f].run(&c, plain.v, plain.n);
        char path[] = "/tmp/fwdlab-trace.XXXXXX";
        int fd = mkstemp(path);
        cr_assert_eq(write(fd, c.v, c.n), (ssize_t)c.n);
        struct trace *t = trace_open(path, NULL);
        compare(t, PACKETS);
        cr_expect_null(trace_damage(t));
        trace_close(t);
        lseek(fd, 0, SEEK_SET);
        dup2(fd, STDIN_FILENO);
        t = trace_open("-", NULL);
        compare(t, PACKETS);
        trace_close(t);
        close(fd);
        unlink(path);
    }
}

/* A pipe hands out a few bytes at a time, even within the magic. */
Test(compress, slow_pipe) {
    struct capture plain = {0};
    put_plain(&plain);
    for (int f = -1; f < FORMATS; f++) {
        struct capture c = {0};
        if (f < 0)
            put(&c, plain.v, plain.n);
        else
            formats[f].run(&c, plain.v, plain.n);
        int pipes[2];
        cr_assert_eq(pipe(pipes), 0);
        if (fork() == 0) {
            for (size_t i = 0; i < c.n; i += 1 + i / 3) {
                size_t n = 1 + i / 3 < c.n - i ? 1 + i / 3 : c.n - i;
                if (write(pipes[1], c.v + i, n) != (ssize_t)n)
                    _exit(1);
                usleep(500);
            }
            _exit(0);
        }
        close(pipes[1]);
        dup2(pipes[0], STDIN_FILENO);
        struct trace *t = trace_open("-", NULL);
        compare(t, PACKETS);
        cr_expect_null(trace_damage(t));
        trace_close(t);
        close(pipes[0]);
    }
}

Test(compress, compressed_text_is_no_capture) {
    for (int f = 0; f < FORMATS; f++) {
        struct capture c = {0};
        formats[f].run(&c, (const uint8_t *)"hello, world", 12);
        expect_error(&c, "byte 0: 68 65 6c 6c does not begin a capture");
    }
}
