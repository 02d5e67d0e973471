/* SPDX-License-Identifier: BSD-3-Clause */
/* A small seeded generator (xoshiro256**) for tests, bootstraps and made-up traffic; same
 * seed, same numbers, everywhere. */
#ifndef FWDLAB_BASE_RANDOM_H
#define FWDLAB_BASE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t s[4];
};

void random_seed(struct random *r, uint64_t seed);
uint64_t random_u64(struct random *r);
uint32_t random_below(struct random *r, uint32_t bound); /* uniform in 0..bound-1; bound > 0 */
double random_unit(struct random *r);                    /* uniform in [0, 1) */

#endif
