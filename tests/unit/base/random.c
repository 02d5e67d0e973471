/* SPDX-License-Identifier: BSD-3-Clause */
/* The seeded generator: known numbers, bounds, and an even spread. */
#include <criterion/criterion.h>
#include <fwdlab/base/random.h>

/* splitmix64 of seed 0 begins with 0xe220a8397b1dcdaf, as published with the algorithm. */
Test(random, seeding_is_splitmix64) {
    struct random r;
    random_seed(&r, 0);
    cr_expect_eq(r.s[0], 0xe220a8397b1dcdafull);
    cr_expect_eq(r.s[1], 0x6e789e6aa1b965f4ull);
}

/* The first output is rotl(s1 * 5, 7) * 9. */
Test(random, first_number_of_a_known_state) {
    struct random r = {{1, 2, 3, 4}};
    cr_expect_eq(random_u64(&r), 11520u);
    cr_expect_eq(random_u64(&r), 0u);
    cr_expect_eq(random_u64(&r), 1509978240u);
}

Test(random, same_seed_same_numbers) {
    struct random a, b, c;
    random_seed(&a, 42);
    random_seed(&b, 42);
    random_seed(&c, 43);
    int differ = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = random_u64(&a);
        cr_assert_eq(x, random_u64(&b));
        differ += x != random_u64(&c);
    }
    cr_expect_geq(differ, 999);
}

Test(random, bounds_and_spread) {
    static const uint32_t bounds[] = {1, 2, 7, 10, 1000, UINT32_MAX};
    struct random r;
    random_seed(&r, 1);
    for (unsigned b = 0; b < sizeof bounds / sizeof *bounds; b++)
        for (int i = 0; i < 10000; i++)
            cr_assert_lt(random_below(&r, bounds[b]), bounds[b]);
    unsigned count[10] = {0};
    double sum = 0;
    for (int i = 0; i < 100000; i++) {
        count[random_below(&r, 10)]++;
        double u = random_unit(&r);
        cr_assert(u >= 0 && u < 1);
        sum += u;
    }
    for (int i = 0; i < 10; i++) /* 100 is about one standard deviation */
        cr_expect(count[i] > 9500 && count[i] < 10500, "%d: %u", i, count[i]);
    cr_expect(sum > 49500 && sum < 50500);
}
