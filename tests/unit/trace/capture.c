/* SPDX-License-Identifier: BSD-3-Clause */
/* See capture.h. */
#include "capture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void put(struct capture *c, const void *data, size_t len) {
    cr_assert(c->n + len <= sizeof c->v);
    if (len)
        memcpy(c->v + c->n, data, len);
    c->n += len;
}

static void put_number(struct capture *c, uint64_t v, unsigned len) {
    for (unsigned i = 0; i < len; i++)
        put_u8(c, (uint8_t)(v >> 8 * (c->big ? len - 1 - i : i)));
}

void put_u8(struct capture *c, uint8_t v) {
    put(c, &v, 1);
}

void put_u16(struct capture *c, uint16_t v) {
    put_number(c, v, 2);
}

void put_u32(struct capture *c, uint32_t v) {
    put_number(c, v, 4);
}

void put_u64(struct capture *c, uint64_t v) {
    put_number(c, v, 8);
}

void patch_u32(struct capture *c, size_t at, uint32_t v) {
    size_t n = c->n;
    c->n = at;
    put_u32(c, v);
    c->n = n;
}

void put_pcap(struct capture *c, uint32_t magic, uint32_t linktype) {
    put_u32(c, magic);
    put_u16(c, 2);
    put_u16(c, 4);
    put_u64(c, 0);
    put_u32(c, 65535);
    put_u32(c, linktype);
}

void put_record(struct capture *c, uint32_t sec, uint32_t frac, uint32_t len, uint32_t wire_len, const void *data) {
    put_u32(c, sec);
    put_u32(c, frac);
    put_u32(c, len);
    put_u32(c, wire_len);
    put(c, data, len);
}

static void put_padding(struct capture *c) {
    while ((c->n - c->block) % 4)
        put_u8(c, 0);
}

void block_begin(struct capture *c, uint32_t type) {
    c->block = c->n;
    put_u32(c, type);
    put_u32(c, 0);
}

void block_end(struct capture *c) {
    put_padding(c);
    uint32_t len = (uint32_t)(c->n - c->block) + 4;
    put_u32(c, len);
    patch_u32(c, c->block + 4, len);
}

void put_option(struct capture *c, uint16_t code, const void *data, uint16_t len) {
    put_u16(c, code);
    put_u16(c, len);
    put(c, data, len);
    put_padding(c);
}

void put_section(struct capture *c) {
    block_begin(c, 0x0a0d0d0a);
    put_u32(c, 0x1a2b3c4d);
    put_u16(c, 1);
    put_u16(c, 0);
    put_u64(c, UINT64_MAX);
    block_end(c);
}

void put_interface(struct capture *c, const char *name, uint16_t linktype, uint32_t snaplen) {
    block_begin(c, 1);
    put_u16(c, linktype);
    put_u16(c, 0);
    put_u32(c, snaplen);
    if (name)
        put_option(c, 2, name, (uint16_t)strlen(name));
    block_end(c);
}

void packet_begin(struct capture *c, uint32_t interface, uint64_t units, const void *data, uint32_t len,
                  uint32_t wire_len) {
    block_begin(c, 6);
    put_u32(c, interface);
    put_u32(c, (uint32_t)(units >> 32));
    put_u32(c, (uint32_t)units);
    put_u32(c, len);
    put_u32(c, wire_len);
    put(c, data, len);
    put_padding(c);
}

void put_packet(struct capture *c, uint32_t interface, uint64_t units, const void *data, uint32_t len) {
    packet_begin(c, interface, units, data, len, len);
    block_end(c);
}

void put_start(struct capture *c) {
    put_section(c);
    put_interface(c, NULL, LINKTYPE_ETHERNET, 0);
}

struct trace *open_capture(const struct capture *c, struct err *e) {
    static uint8_t *copy; /* one open capture at a time */
    free(copy);
    copy = malloc(c->n ? c->n : 1);
    memcpy(copy, c->v, c->n);
    return trace_open_memory("capture", copy, c->n, e);
}

int read_capture(const struct capture *c, struct trace_packet *last, char *damage, size_t room, struct err *e) {
    static uint8_t data[1 << 18];
    static char comment[1 << 18];
    struct trace *t = open_capture(c, e);
    if (!t)
        return -1;
    struct trace_packet p;
    uint64_t frame = 0;
    int n = 0, r;
    for (; (r = trace_read(t, &p, e)) > 0; n++) {
        cr_expect_gt(p.frame, frame);
        frame = p.frame;
        memcpy(data, p.data, p.len);
        p.data = data;
        if (p.comment)
            p.comment = strcpy(comment, p.comment);
        if (last)
            *last = p;
    }
    cr_expect_eq(trace_read(t, &p, e), r, "the end stays the end");
    if (damage)
        snprintf(damage, room, "%s", trace_damage(t) ? trace_damage(t) : "");
    trace_close(t);
    return r < 0 ? r : n;
}

void expect_damage(const struct capture *c, int good, const char *text) {
    char damage[512];
    struct err e = {0};
    int n = read_capture(c, NULL, damage, sizeof damage, &e);
    cr_expect_eq(n, good, "%d packets, not %d (%s)", n, good, e.what);
    if (text)
        cr_expect(strstr(damage, text), "damage '%s' does not hold '%s'", damage, text);
    else
        cr_expect_str_empty(damage, "damage '%s'", damage);
}

void expect_error(const struct capture *c, const char *text) {
    char damage[512];
    struct err e = {0};
    int n = read_capture(c, NULL, damage, sizeof damage, &e);
    cr_expect_lt(n, 0, "%d packets were read", n);
    cr_expect(strstr(e.what, text), "'%s' does not hold '%s'", e.what, text);
    cr_expect_str_eq(e.where, "capture");
}
