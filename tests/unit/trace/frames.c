/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "capture.h"
#include "frames.h"

static struct capture frame;
static uint16_t linktype;
static struct {
    size_t at;
    enum { IS_IPV4, IS_IPV6, IS_UDP } kind;
} headers[FRAME_VIEWS];
static int n_headers;
static struct link_view last;

void frame_start(uint16_t type) {
    frame.n = 0;
    frame.big = true;
    linktype = type;
    n_headers = 0;
}

void frame_hex(const char *digits) {
    unsigned byte;
    int used;
    for (; sscanf(digits, " %2x%n", &byte, &used) == 1; digits += used)
        put_u8(&frame, (uint8_t)byte);
    cr_assert_str_empty(digits, "hexadecimal");
}

void frame_ethernet(uint16_t type) {
    frame_hex("020000000001 020000000002");
    put_u16(&frame, type);
}

static void begin(int kind) {
    headers[n_headers].kind = kind;
    headers[n_headers++].at = frame.n;
}

void frame_ipv4(uint8_t proto) {
    begin(IS_IPV4);
    frame_hex("45000000 00010000 40");
    put_u8(&frame, proto);
    frame_hex("0000 c0000201 c6336409");
}

void frame_ipv6(uint8_t next) {
    begin(IS_IPV6);
    frame_hex("60000000 0000");
    put_u8(&frame, next);
    frame_hex("40 20010db8000000000000000000000001 20010db8000000000000000000000009");
}

void frame_udp(uint16_t from, uint16_t to) {
    begin(IS_UDP);
    put_u16(&frame, from);
    put_u16(&frame, to);
    frame_hex("00000000");
}

void frame_tcp(void) {
    frame_hex("04d20050 00000001 00000000 50020400 00000000");
}

uint8_t *frame_bytes(uint32_t *len) {
    for (int i = 0; i < n_headers; i++) {
        size_t at = headers[i].at, n = frame.n - at;
        size_t field = headers[i].kind == IS_IPV4 ? at + 2 : at + 4;
        if (headers[i].kind == IS_IPV6)
            n -= 40;
        frame.v[field] = (uint8_t)(n >> 8);
        frame.v[field + 1] = (uint8_t)n;
    }
    *len = (uint32_t)frame.n;
    return frame.v;
}

void frame_add(const void *data, uint32_t len) {
    put(&frame, data, len);
}

uint32_t frame_take(uint32_t at, uint8_t *out) {
    uint32_t len;
    const uint8_t *data = frame_bytes(&len);
    memcpy(out, data + at, len - at);
    frame.n = at;
    while (n_headers && headers[n_headers - 1].at >= at)
        n_headers--;
    return len - at;
}

int frame_walk(uint16_t type, const uint8_t *data, uint32_t len, uint32_t wire_len, const struct link_keys *keys,
               struct link_room *room, struct link_view views[FRAME_VIEWS]) {
    int n = 1;
    cr_assert_eq(link_decode(type, data, len, wire_len, &views[0]), link_type_known(type));
    while (n < FRAME_VIEWS && link_inner(&views[n - 1], keys, room, &views[n]))
        n++;
    return n;
}

void frame_within(const struct link_view *views, int n, const uint8_t *data, uint32_t len,
                  const struct link_room *room) {
    for (int i = 0; i < n; i++) {
        const struct link_view *v = &views[i];
        bool in_data = v->ip >= data && v->ip + v->len <= data + len;
        bool in_room = room && v->ip >= room->bytes && v->ip + v->len <= room->bytes + sizeof room->bytes;
        cr_assert(in_data || in_room);
        cr_assert_leq(v->len, v->wire_len);
        cr_assert_leq(v->n_layers, LINK_LAYERS_MAX);
        cr_assert_leq(v->fault, LINK_UNKNOWN);
        cr_assert_eq(v->depth, i);
        cr_assert(!v->mac || (v->mac >= data && v->mac + 12 <= data + len) || in_room);
        cr_assert(i == 0 || (v->fault == LINK_IP && v->len), "what is inside is IP");
    }
}

static void describe_ip(const struct link_view *v, char *text, size_t room) {
    uint8_t version = v->len ? v->ip[0] >> 4 : 0;
    bool v6 = version == 6;
    if (v->fault != LINK_IP || (version != 4 && !v6) || v->len < (v6 ? 40 : 20))
        return;
    struct ip src = {.family = version}, dst = src;
    char a[IP_TEXT], b[IP_TEXT];
    memcpy(src.v6, v->ip + (v6 ? 8 : 12), v6 ? 16 : 4);
    memcpy(dst.v6, v->ip + (v6 ? 24 : 16), v6 ? 16 : 4);
    snprintf(text, room, " %s>%s:%u", ip_format(&src, a), ip_format(&dst, b), v->ip[v6 ? 6 : 9]);
}

static void describe(const struct link_view *views, int n, char *text, size_t room) {
    static const char *const faults[] = {"ip", "arp", "llc", "other", "short", "unknown"};
    const struct link_view *in = &views[n - 1];
    size_t at = (size_t)snprintf(text, room, "%s ", faults[views[0].fault]);
    for (int i = 0; i < in->n_layers; i++)
        at += (size_t)snprintf(text + at, room - at, "%s%s:%u", i ? "," : "", link_layer_name(in->layers[i].kind),
            in->layers[i].id);
    for (int i = 0; i < n; i++) {
        describe_ip(&views[i], text + at, room - at);
        at += strlen(text + at);
    }
}

/* A frame cut after `len` bytes has a part of the whole one's layers, or has them cut short. */
static void try_cut(const uint8_t *data, uint32_t len, uint32_t whole, const struct link_keys *keys,
                    struct link_room *room, const struct link_view *full) {
    uint8_t *copy = malloc(len ? len : 1);
    struct link_view views[FRAME_VIEWS];
    memcpy(copy, data, len);
    int n = frame_walk(linktype, copy, len, whole, keys, room, views);
    frame_within(views, n, copy, len, room);
    const struct link_view *in = &views[n - 1];
    cr_assert_leq(in->depth, full->depth, "cut at %u", len);
    cr_assert_leq(in->n_layers, full->n_layers, "cut at %u", len);
    for (int i = 0; i < in->n_layers; i++)
        cr_assert(in->layers[i].kind == full->layers[i].kind && in->layers[i].id == full->layers[i].id, "cut at %u",
            len);
    free(copy);
}

void frame_expect_keys(const char *text, const struct link_keys *keys, const char *file, int line) {
    static uint8_t *copy;
    static struct link_room room;
    uint32_t len;
    const uint8_t *data = frame_bytes(&len);
    struct link_view views[FRAME_VIEWS];
    char got[1024];
    free(copy);
    copy = malloc(len);
    memcpy(copy, data, len);
    int n = frame_walk(linktype, copy, len, len, keys, &room, views);
    describe(views, n, got, sizeof got);
    cr_expect_str_eq(got, text, "%s:%d: got '%s', not '%s'", file, line, got, text);
    frame_within(views, n, copy, len, &room);
    for (uint32_t cut = 0; cut < len; cut++)
        try_cut(copy, cut, len, keys, &room, &views[n - 1]);
    last = views[n - 1];
}

struct link_view frame_view(void) {
    return last;
}
