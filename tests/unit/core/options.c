/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv4 options: what is refused (RFC 791, 3.1; RFC 7126), what is recorded on the way (RFC 1812, 5.3.13). */
#include "frame.h"
#include <fwdlab/base/random.h>
#include "stage.h"

#define OPTIONS(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define NOW 5000000000u /* 5000 ms */

/* A UDP packet with options, padded with zeros to whole words; `options` may be broken. */
static struct frame with_options(const char *dst, const uint8_t *options, size_t len) {
    size_t padded = (len + 3) & ~(size_t)3;
    struct frame f = frame_make("10.0.0.2", dst, PROTO_UDP, (unsigned)padded + 8);
    uint8_t *behind = f.byte + ETH + 20;
    memmove(behind + padded, behind, 8);
    memset(behind, 0, padded);
    memcpy(behind, options, len);
    frame_ip(&f)->version_ihl = (uint8_t)(0x45 + padded / 4);
    frame_seal(&f);
    return f;
}

static struct packet *pass(struct node *n, const char *dst, const uint8_t *options, size_t len) {
    struct frame f = with_options(dst, options, len);
    struct packet *p = packet_make(&f, 0, 0);
    forward(n, &p, 1, NOW);
    return p;
}

/* Refused with `reason`, and if as bad, because of the byte at `pointer`; wherever it goes. */
static void refused(enum drop reason, unsigned pointer, const uint8_t *options, size_t len) {
    static const char *const dsts[] = {"10.0.1.2", "10.0.1.1", "10.9.2.1"};
    struct node n = node_make();
    for (unsigned i = 0; i < 3; i++) {
        struct packet *p = pass(&n, dsts[i], options, len);
        cr_assert(p->verdict == VERDICT_DROP && p->reason == reason, "option %u, to %s: %s", options[0], dsts[i],
                  drop_name(p->reason));
        cr_assert_eq(options_pointer(p), pointer, "option %u: %u, not %u", options[0], options_pointer(p), pointer);
        packet_free(p);
    }
    node_fini(&n);
}

/* Forwarded with exactly these options in its header, and a right checksum. */
static void becomes(const uint8_t *want, size_t want_len, const uint8_t *options, size_t len) {
    struct node n = node_make();
    struct packet *p = pass(&n, "10.0.1.2", options, len);
    struct frame f = with_options("10.0.1.2", want, want_len);
    frame_ip(&f)->ttl--;
    frame_seal(&f);
    cr_assert_eq(p->verdict, VERDICT_FORWARD, "option %u: %s", options[0], drop_name(p->reason));
    cr_assert(p->len == f.len && memcmp(p->data, f.byte, f.len) == 0, "option %u", options[0]);
    packet_free(p);
    node_fini(&n);
}

Test(options, rfc791_lengths) {
    refused(DROP_BAD_OPTIONS, 20, OPTIONS(130, 0, 0, 0));
    refused(DROP_BAD_OPTIONS, 20, OPTIONS(130, 1, 0, 0));
    refused(DROP_BAD_OPTIONS, 20, OPTIONS(130, 5, 0, 0));
    refused(DROP_BAD_OPTIONS, 23, OPTIONS(1, 1, 1, 130));
    refused(DROP_BAD_OPTIONS, 22, OPTIONS(1, 1, 7, 7, 4, 0, 0, 0)); /* one byte beyond the header */
    refused(DROP_BAD_OPTIONS, 21, OPTIONS(148, 3, 0, 0));
    becomes(OPTIONS(130, 4, 9, 9), OPTIONS(130, 4, 9, 9));
    becomes(OPTIONS(148, 4, 0, 0, 1, 1, 1, 1), OPTIONS(148, 4, 0, 0, 1, 1, 1, 1));
}

Test(options, what_follows_the_end_is_padding) {
    becomes(OPTIONS(1, 0, 0, 0, 0, 0, 0, 0), OPTIONS(1, 0, 7, 0, 130, 0, 255, 3));
}

Test(options, rfc7126_source_routes_are_refused) {
    refused(DROP_SOURCE_ROUTE, 0, OPTIONS(131, 7, 4, 10, 0, 1, 7));
    refused(DROP_SOURCE_ROUTE, 0, OPTIONS(137, 7, 4, 10, 0, 1, 7));
    refused(DROP_SOURCE_ROUTE, 0, OPTIONS(131, 3, 4));
    refused(DROP_SOURCE_ROUTE, 0, OPTIONS(131, 7, 8, 10, 0, 1, 7)); /* its end is reached */
    refused(DROP_BAD_OPTIONS, 21, OPTIONS(131, 2));
    refused(DROP_BAD_OPTIONS, 22, OPTIONS(137, 7, 3, 10, 0, 1, 7));
    refused(DROP_BAD_OPTIONS, 27, OPTIONS(131, 7, 4, 10, 0, 1, 7, 137, 7, 4, 10, 0, 1, 7)); /* RFC 1812, 5.2.4.1 */
    refused(DROP_BAD_OPTIONS, 27, OPTIONS(131, 7, 4, 10, 0, 1, 7, 130, 0));
}

Test(options, rfc1812_record_route) {
    becomes(OPTIONS(7, 7, 8, 10, 0, 1, 1), OPTIONS(7, 7, 4, 0, 0, 0, 0));
    becomes(OPTIONS(1, 7, 11, 12, 1, 2, 3, 4, 10, 0, 1, 1), OPTIONS(1, 7, 11, 8, 1, 2, 3, 4, 0, 0, 0, 0));
    becomes(OPTIONS(7, 7, 8, 1, 2, 3, 4), OPTIONS(7, 7, 8, 1, 2, 3, 4)); /* full */
    becomes(OPTIONS(7, 3, 4), OPTIONS(7, 3, 4));
    refused(DROP_BAD_OPTIONS, 21, OPTIONS(7, 2));
    refused(DROP_BAD_OPTIONS, 22, OPTIONS(7, 7, 3, 0, 0, 0, 0));
    refused(DROP_BAD_OPTIONS, 22, OPTIONS(7, 7, 5, 0, 0, 0, 0)); /* some room, not enough */
    refused(DROP_BAD_OPTIONS, 27, OPTIONS(7, 7, 4, 0, 0, 0, 0, 7, 7, 4, 0, 0, 0, 0));
}

Test(options, rfc1812_timestamp) {
    /* 5000 ms are 0x1388; no standard time, so that the high bit is set */
    becomes(OPTIONS(68, 8, 9, 0, 0x80, 0, 0x13, 0x88), OPTIONS(68, 8, 5, 0, 0, 0, 0, 0));
    becomes(OPTIONS(68, 12, 13, 1, 10, 0, 1, 1, 0x80, 0, 0x13, 0x88), OPTIONS(68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0));
    becomes(OPTIONS(68, 12, 13, 3, 10, 0, 0, 1, 0x80, 0, 0x13, 0x88),
            OPTIONS(68, 12, 5, 3, 10, 0, 0, 1, 0, 0, 0, 0)); /* any of its addresses */
    becomes(OPTIONS(68, 12, 5, 3, 10, 0, 0, 9, 0, 0, 0, 0), OPTIONS(68, 12, 5, 3, 10, 0, 0, 9, 0, 0, 0, 0));
    becomes(OPTIONS(68, 12, 5, 2, 0, 0, 0, 0, 0, 0, 0, 0), OPTIONS(68, 12, 5, 2, 0, 0, 0, 0, 0, 0, 0, 0));
    refused(DROP_BAD_OPTIONS, 21, OPTIONS(68, 3, 5));
    refused(DROP_BAD_OPTIONS, 22, OPTIONS(68, 8, 4, 0, 0, 0, 0, 0));
    refused(DROP_BAD_OPTIONS, 22, OPTIONS(68, 8, 6, 0, 0, 0, 0, 0));
    refused(DROP_BAD_OPTIONS, 22, OPTIONS(68, 8, 5, 1, 0, 0, 0, 0)); /* no room for both */
    refused(DROP_BAD_OPTIONS, 22, OPTIONS(68, 8, 5, 3, 0, 0, 0, 0));
    refused(DROP_BAD_OPTIONS, 24, OPTIONS(68, 4, 5, 0, 68, 4, 5, 0));
}

Test(options, rfc791_timestamp_overflow) {
    becomes(OPTIONS(68, 4, 5, 0x10), OPTIONS(68, 4, 5, 0));
    becomes(OPTIONS(68, 4, 5, 0xf1), OPTIONS(68, 4, 5, 0xe1));
    becomes(OPTIONS(68, 4, 5, 0xf3), OPTIONS(68, 4, 5, 0xf3)); /* what is prespecified does not overflow */
    refused(DROP_BAD_OPTIONS, 23, OPTIONS(68, 4, 5, 0xf0));
}

Test(options, unnumbered_ports_record_another_address) {
    struct node n = node_make();
    n.ports[1].addr = 0;
    struct packet *p = pass(&n, "10.0.1.2", OPTIONS(7, 7, 4, 0, 0, 0, 0));
    cr_assert_eq(memcmp(p->data + ETH + 23, (uint8_t[]){10, 0, 0, 1}, 4), 0);
    packet_free(p);
    node_fini(&n);
}

Test(options, delivered_and_own_packets_are_not_touched) {
    struct node n = node_make();
    struct frame f = with_options("10.0.1.1", OPTIONS(7, 7, 4, 0, 0, 0, 0));
    struct packet *p = packet_make(&f, 0, 0);
    forward(&n, &p, 1, NOW);
    cr_assert(p->verdict == VERDICT_DELIVER && memcmp(p->data, f.byte, f.len) == 0);
    packet_free(p);
    f = with_options("10.0.1.2", OPTIONS(131, 7, 4, 0, 0, 0, 0, 7, 7, 4, 0, 0, 0, 0));
    p = packet_make(&f, 0, PORT_NONE);
    forward_own(&n, p, NOW);
    cr_assert(p->verdict == VERDICT_FORWARD && memcmp(p->data, f.byte, f.len) == 0, "who sends chose its options");
    packet_free(p);
    node_fini(&n);
}

Test(options, a_source_that_is_not_believed_comes_first) {
    struct node n = node_make();
    n.ports[1].rpf = RPF_STRICT;
    node_prepare(&n);
    struct frame f = with_options("10.0.0.9", OPTIONS(7, 2));
    struct packet *p = packet_make(&f, 0, 1);
    forward(&n, &p, 1, 0);
    cr_assert_eq(p->reason, DROP_RPF);
    packet_free(p);
    node_fini(&n);
}

/* Whatever bytes they are: nothing outside the options changes but TTL and checksum, and the checksum stays right. */
Test(options, any_bytes) {
    static const uint8_t types[] = {0, 1, 7, 68, 131, 137, 148, 130};
    struct node n = node_make();
    struct random r;
    unsigned seen[DROP_COUNT] = {0};
    const unsigned seed = 23;
    random_seed(&r, seed);
    for (unsigned i = 0; i < 200000; i++) {
        uint8_t options[40];
        unsigned len = 4 * (1 + random_below(&r, 10));
        for (unsigned k = 0; k < len; k++)
            options[k] = (uint8_t)random_below(&r, random_below(&r, 4) ? 16 : 256);
        options[0] = types[random_below(&r, sizeof types)];
        if (random_below(&r, 2))
            options[1] = (uint8_t)len;
        struct frame f = with_options("10.0.1.2", options, len);
        struct packet *p = packet_make(&f, 0, 0);
        forward(&n, &p, 1, NOW);
        seen[p->reason]++;
        cr_assert_eq(p->verdict, p->reason ? VERDICT_DROP : VERDICT_FORWARD);
        if (p->reason) {
            cr_assert_eq(p->reason == DROP_BAD_OPTIONS, options_pointer(p) != 0, "seed %u, packet %u", seed, i);
        } else {
            memcpy(f.byte + ETH + 20, p->data + ETH + 20, len);
            frame_ip(&f)->ttl--;
            frame_seal(&f);
        }
        cr_assert_eq(memcmp(p->data, f.byte, f.len), 0, "seed %u, packet %u", seed, i);
        packet_free(p);
    }
    cr_assert(seen[DROP_NONE] > 1000 && seen[DROP_BAD_OPTIONS] > 1000 && seen[DROP_SOURCE_ROUTE] > 1000);
    node_fini(&n);
}
