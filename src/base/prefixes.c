/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fwdlab/base/prefixes.h>
#include <stdlib.h>

#define TRIES 1000 /* in a row that find no new prefix */

/* Shares of prefix lengths, in per cent, near those of a full table; what is longer than /24 comes from customers. */
static uint8_t random_length(struct random *r) {
    static const struct {
        uint8_t len, upto;
    } mix[] = {{24, 57}, {23, 67}, {22, 79}, {21, 84}, {20, 89}, {19, 92},
               {18, 94}, {17, 95}, {16, 97}, {28, 99}, {32, 100}};
    uint32_t x = random_below(r, 100);
    for (unsigned i = 0;; i++)
        if (x < mix[i].upto)
            return mix[i].len;
}

static bool usable(const struct ip_prefix *p, const struct ip_prefix *avoid, size_t n) {
    uint32_t addr = ntohl(p->addr.v4), octet = addr >> 24;
    if (octet == 0 || octet == 10 || octet == 127 || octet >= 224 || (addr & 0xffff0000) == 0xa9fe0000)
        return false;
    for (size_t i = 0; i < n; i++)
        if (prefix_overlaps(p, &avoid[i]))
            return false;
    return true;
}

static int random_prefix(struct ip_prefix *out, const struct ip_prefix *avoid, size_t n, struct random *r) {
    for (unsigned tries = 0; tries < TRIES; tries++) {
        uint8_t len = random_length(r);
        *out = (struct ip_prefix){ip_v4(htonl((uint32_t)random_u64(r)) & ipv4_mask(len)), len};
        if (usable(out, avoid, n))
            return 0;
    }
    return -ENOSPC;
}

static int by_prefix(const void *a, const void *b) {
    const struct ip_prefix *x = a, *y = b;
    int d = ip_compare(&x->addr, &y->addr);
    return d ? d : x->len - y->len;
}

int prefixes_make(struct ip_prefix *out, uint32_t n, const struct ip_prefix *avoid, size_t n_avoid, struct random *r) {
    unsigned idle = 0;
    for (uint32_t have = 0, before = 0; have < n; before = have) {
        for (uint32_t i = have; i < n; i++)
            if (random_prefix(&out[i], avoid, n_avoid, r))
                return -ENOSPC;
        qsort(out, n, sizeof *out, by_prefix);
        have = 1;
        for (uint32_t i = 1; i < n; i++)
            if (!prefix_equal(&out[i], &out[have - 1]))
                out[have++] = out[i];
        idle = have > before ? 0 : idle + 1;
        if (idle == TRIES)
            return -ENOSPC;
    }
    return 0;
}
