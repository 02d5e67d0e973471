/* SPDX-License-Identifier: BSD-3-Clause */
/* The short way of plain packets through classify_packet says what parse() says, whatever the bytes are. */
#include "capture.h"
#include <fwdlab/base/random.h>
#include "../../../src/inject/inject.h"

#define FRAME 60
#define ROUNDS 200000
#define SEED 21

/* TCP or UDP from one address to another, with up to three bytes, the ends, or the length on the wire changed. */
static void make(struct random *r, struct trace_packet *raw, uint8_t bytes[FRAME]) {
    struct frame f = {.len = 0};
    *frame_ip(&f) = (struct ipv4_header){.version_ihl = 0x45, .ttl = 64, .src = htonl(0x0a000001),
                                         .dst = htonl(0x0a000002), .proto = random_below(r, 2) ? PROTO_TCP : PROTO_UDP};
    f.data[12] = 8;
    f.data[0] = (uint8_t)random_below(r, 2);
    frame_seal(&f, 20 + random_below(r, 7));
    for (unsigned n = random_below(r, 4); n; n--)
        f.data[12 + random_below(r, FRAME - 12)] = (uint8_t)(random_below(r, 2) ? random_u64(r) : random_below(r, 80));
    if (random_below(r, 2)) {
        struct ipv4_header *ip = frame_ip(&f);
        ip->checksum = 0;
        ip->checksum = checksum_fold(checksum_sum(ip, 20, 0));
    }
    raw->wire_len = random_below(r, 4) ? f.wire_len : 14 + random_below(r, 80);
    raw->len = random_below(r, 4) ? f.len : random_below(r, FRAME);
    raw->len = raw->len < raw->wire_len ? raw->len : raw->wire_len;
    raw->data = memcpy(bytes, f.data, raw->len);
}

/* What cannot be sent as it says is mended where the NIC may have cut it: that is not parse's. */
static void expect_parsed(const struct inject_packet *p, const struct trace_packet *raw, bool checksum) {
    struct packet k = {.data = (uint8_t *)raw->data, .len = raw->len, .wire_len = raw->wire_len,
                       .flags = checksum ? 0 : PACKET_NO_CHECKSUM};
    struct flow_key key;
    parse(&k);
    if (!checksum && k.reason == DROP_BAD_TOTAL_LENGTH)
        return;
    if (k.verdict == VERDICT_DROP) {
        cr_assert(p->kind != KIND_UNDECIDED && p->reason == k.reason, "seed %d", SEED);
        return;
    }
    packet_key(&k, &key);
    cr_assert(p->kind == KIND_UNDECIDED && p->l3 == k.l3 && p->l4 == k.l4 && p->flags == k.flags &&
              !memcmp(&p->key, &key, sizeof key), "seed %d", SEED);
}

Test(classify, plain_packets_are_what_parse_says) {
    static struct node node;
    struct random r;
    uint64_t taken = 0, refused = 0;
    random_seed(&r, SEED);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint8_t whole[FRAME];
        struct trace_packet raw = {0};
        make(&r, &raw, whole);
        uint8_t *exact = malloc(raw.len + !raw.len); /* the address sanitizer sees every overread */
        raw.data = memcpy(exact, whole, raw.len);
        const bool checksum = round & 1; /* a node believes them */
        struct inject_packet p = {.port = PORT_NONE};
        struct link_view view;
        cr_assert(classify_packet(&p, &raw, checksum ? &node : NULL, LINKTYPE_ETHERNET, &view));
        if ((!view.ip || view.fault == LINK_IP) && raw.data[12] == 8 && !raw.data[13])
            expect_parsed(&p, &raw, checksum);
        taken += p.kind == KIND_UNDECIDED;
        refused += p.kind != KIND_UNDECIDED;
        free(exact);
    }
    cr_expect(taken > ROUNDS / 10 && refused > ROUNDS / 10);
}
