/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NAT over any packets. Input: one byte of configuration, then packets: ports, time step in units of 4 s, length, bytes
 * from the IP header on. Each stands in a heap buffer of its size. Whatever comes, an IP header whose checksum was
 * right has a right one afterwards, a refused packet says why, and no more sessions live than may.
 */
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/nat.h>
#include <fwdlab/core/parse.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool header_right(const struct packet *p) {
    return checksum_fold(checksum_sum(packet_ipv4(p), (packet_ipv4(p)->version_ihl & 15u) * 4, 0)) == 0;
}

static void one(struct nat *n, const uint8_t *bytes, size_t len, uint8_t ports, uint64_t now) {
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, bytes, len);
    struct packet packet = {.data = copy, .len = (uint32_t)len, .wire_len = 65535,
                            .flags = PACKET_RAW_IP | PACKET_NO_CHECKSUM,
                            .in_port = ports & 3 ? ports & 3 : PORT_NONE},
                  *p = &packet;
    parse(p);
    if (p->verdict == VERDICT_NONE) {
        bool right = header_right(p);
        nat_in(n, &p, 1, now);
        p->out_port = ports >> 2 & 3 ? ports >> 2 & 3 : PORT_NONE;
        if (p->verdict == VERDICT_NONE)
            nat_out(n, &p, 1, now);
        if ((right && !header_right(p)) || (p->verdict == VERDICT_DROP) != (p->reason != DROP_NONE) ||
            p->src != packet_ipv4(p)->src || p->dst != packet_ipv4(p)->dst)
            abort();
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct nat *nats[2];
    if (size < 1)
        return 0;
    if (!nats[0]) {
        struct nat_port_map map = {.proto = PROTO_UDP, .outside_port = htons(7007), .inside_addr = htonl(0x0a000202),
                                   .inside_port = htons(7)};
        struct nat_config config = {.outside_port = 1, .n_addresses = 1, .addresses = {htonl(0x0a000004)},
                                    .port_min = 0x3030,
                                    .port_max = 0x3037, .max_sessions = SESSIONS, .n_port_maps = 1, .port_maps = &map};
        for (int i = 0; i < 2; i++) {
            config.personality = (enum nat_personality)i;
            nats[i] = nat_create(&config);
        }
    }
    struct nat *n = nats[data[0] & 1];
    unsigned budget = data[0] >> 1;
    uint64_t now = 1;
    nat_reset(n);
    for (data++, size--; size >= 3;) {
        uint8_t ports = data[0], step = data[1], len = data[2];
        data += 3;
        size -= 3;
        if (len > size)
            len = (uint8_t)size;
        now += step * 4000000000ull;
        one(n, data, len, ports, now);
        nat_expire(n, now, budget);
        data += len;
        size -= len;
    }
    struct nat_stats stats;
    nat_stats_get(n, &stats);
    if (stats.live > SESSIONS || stats.created - stats.expired != stats.live)
        abort();
    return 0;
}
