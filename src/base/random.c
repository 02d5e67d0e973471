/* SPDX-License-Identifier: BSD-3-Clause */
/* xoshiro256** by Blackman and Vigna (public domain algorithm), seeded through splitmix64. */
#include <fwdlab/base/random.h>

static uint64_t rotl(uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
}

void random_seed(struct random *r, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        uint64_t z = (seed += 0x9e3779b97f4a7c15ull);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        r->s[i] = z ^ (z >> 31);
    }
}

uint64_t random_u64(struct random *r) {
    uint64_t *s = r->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint32_t random_below(struct random *r, uint32_t bound) {
    return (uint32_t)(((random_u64(r) >> 32) * bound) >> 32);
}

double random_unit(struct random *r) {
    return (double)(random_u64(r) >> 11) * 0x1p-53;
}
