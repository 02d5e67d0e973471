/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many ICMP errors do both send: bursts of packets that deserve one, by several senders of both families at the
 * same time, three times. The pauses are such that no bucket is about to get its next message.
 */
#include "traffic.h"

#include <time.h>

enum { BURST = 20 };
static const unsigned pauses_ms[] = {0, 1060, 2240};

static struct ip ip_of(const json_t *list, size_t i) {
    struct ip ip = {0};
    ip_parse(json_string_value(json_array_get(list, i)), &ip);
    return ip;
}

/* A UDP packet without payload, to the first port. */
static void write_packet(const struct lab *lab, const json_t *burst, struct frame *f) {
    struct ip src = ip_of(burst, 0), dst = ip_of(burst, 1);
    uint8_t *ip = f->byte + ETHERNET, ttl = (uint8_t)json_integer_value(json_array_get(burst, 2));
    bool six = src.family == FAMILY_IPV6;
    memset(f, 0, sizeof *f);
    memcpy(f->byte, &lab->node.ports[0].mac, 6);
    f->byte[6] = 2;
    put16(f->byte + 12, six ? 0x86dd : 0x0800);
    if (six) {
        memcpy(ip, (uint8_t[]){0x60, 0, 0, 0, 0, 8, PROTO_UDP, ttl}, 8);
        memcpy(ip + 8, src.v6, 16);
        memcpy(ip + 24, dst.v6, 16);
    } else {
        memcpy(ip, (uint8_t[]){0x45, 0, 0, 28, 0, 0, 0, 0, ttl, PROTO_UDP}, 10);
        memcpy(ip + 12, &src.v4, 4);
        memcpy(ip + 16, &dst.v4, 4);
        seal(ip, 20);
    }
    put16(ip + (six ? 44 : 24), 8);
    f->len = ETHERNET + (six ? 48 : 28);
}

static void count_errors(struct lab *lab, struct kernel *k, const struct frame *f, unsigned *in_kernel,
                         unsigned *in_core) {
    static struct outcome kernel, core;
    struct packet after;
    *in_kernel = *in_core = 0;
    for (unsigned i = 0; i < BURST; i++) {
        uint64_t now = clock_now();
        kernel_run(k, f, &kernel);
        core_run(lab, f, now, &core, &after);
        *in_kernel += kernel.n;
        *in_core += core.n;
    }
}

unsigned rates_compare(struct lab *lab, struct kernel *k) {
    const json_t *bursts = json_object_get(lab->description, "bursts"), *burst;
    unsigned differ = 0, kernel, core;
    size_t i;
    struct frame f;
    for (unsigned step = 0; step < sizeof pauses_ms / sizeof *pauses_ms; step++) {
        nanosleep(&(struct timespec){pauses_ms[step] / 1000, pauses_ms[step] % 1000 * 1000000L}, NULL);
        json_array_foreach(bursts, i, burst) {
            write_packet(lab, burst, &f);
            count_errors(lab, k, &f, &kernel, &core);
            printf("after %4u ms %-16s kernel %2u core %2u of %u%s\n", pauses_ms[step],
                   json_string_value(json_array_get(burst, 0)), kernel, core, BURST, kernel == core ? "" : " DIFFER");
            differ += kernel != core;
        }
    }
    return differ;
}
