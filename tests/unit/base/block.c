/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks keep what is in them while they grow, from the heap into pages of their own and on. */
#include <criterion/criterion.h>
#include <fwdlab/base/block.h>
#include <fwdlab/base/random.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#define LINE 64

static uint64_t word(uint64_t seed, size_t at) {
    return (seed + at) * 0x9e3779b97f4a7c15u;
}

Test(block, keeps_its_words_while_it_grows) {
    struct random r;
    random_seed(&r, 11);
    for (unsigned round = 0; round < 20; round++) {
        uint64_t *p = NULL;
        for (size_t n = 0, most = 1 + random_below(&r, 4u << 20); n < most;) {
            const size_t more = n + 1 + random_below(&r, n + 100);
            p = block_grow(p, n * sizeof *p, more * sizeof *p);
            cr_assert_eq((uintptr_t)p % LINE, 0, "seed 11, round %u, %zu words", round, more);
            for (size_t i = 0; i < n; i += 1 + n / 1000)
                cr_assert_eq(p[i], word(round, i), "seed 11, round %u, word %zu of %zu", round, i, more);
            for (; n < more; n++)
                p[n] = word(round, n);
            if (n >= most)
                block_free(p, n * sizeof *p);
        }
    }
    block_free(NULL, 0);
}

static long peak_kb(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

Test(block, what_is_not_touched_takes_no_memory) {
    enum { FIRST = 8 << 20, LARGE = 1 << 30 };
    char *p = block_grow(NULL, 0, FIRST);
    const long before = peak_kb();
    p = block_grow(p, FIRST, LARGE);
    p[FIRST] = 1;
    p[LARGE - 1] = 1;
    cr_expect_lt(peak_kb() - before, LARGE / 1024 / 8);
    block_free(p, LARGE);
}
