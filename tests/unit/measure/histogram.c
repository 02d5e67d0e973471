/* SPDX-License-Identifier: BSD-3-Clause */
/* The histogram against sorted values. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <fwdlab/base/random.h>
#include <fwdlab/measure/histogram.h>

Test(histogram, buckets_tile_the_range) {
    struct histogram h;
    cr_assert_eq(histogram_init(&h, UINT64_MAX), 0);
    for (uint32_t i = 0; i < h.n; i++) {
        uint64_t low = histogram_bucket_low(&h, i);
        cr_assert_eq(histogram_bucket(low), i, "bucket %u", i);
        if (i)
            cr_assert_eq(histogram_bucket(low - 1), i - 1, "below bucket %u", i);
    }
    cr_assert_eq(histogram_bucket(UINT64_MAX), h.n - 1);
    histogram_fini(&h);
}

Test(histogram, exact_below_2048_and_clamped_above_its_range) {
    struct histogram h;
    cr_assert_eq(histogram_init(&h, 100000), 0);
    cr_assert_eq(histogram_quantile(&h, 0.5), 0);
    histogram_record_n(&h, 7, 0);
    cr_assert_eq(h.count, 0);
    histogram_record(&h, 2047);
    cr_assert_eq(histogram_quantile(&h, 0.5), 2047);
    histogram_record(&h, 5000000);
    cr_assert_eq(h.max, 100000);
    cr_assert_eq(h.min, 2047);
    cr_assert_eq(histogram_quantile(&h, 1), 100000);
    histogram_reset(&h);
    cr_assert_eq(h.count, 0);
    cr_assert_eq(histogram_quantile(&h, 1), 0);
    histogram_fini(&h);
    cr_assert_eq(histogram_init(&h, 0), -EINVAL);
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

Test(histogram, quantiles_of_random_values_within_one_in_1024) {
    enum { N = 5000 };
    static uint64_t v[N];
    static const double qs[] = {0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct random r;
        struct histogram a, b;
        random_seed(&r, seed);
        cr_assert_eq(histogram_init(&a, (uint64_t)1 << 40), 0);
        cr_assert_eq(histogram_init(&b, (uint64_t)1 << 40), 0);
        for (int i = 0; i < N; i++) { /* all magnitudes up to 2^40, in two histograms that are merged */
            v[i] = random_u64(&r) >> (24 + random_below(&r, 40));
            histogram_record(i % 3 ? &a : &b, v[i]);
        }
        cr_assert_eq(histogram_merge(&a, &b), 0);
        cr_assert_eq(a.count, N);
        qsort(v, N, sizeof *v, compare);
        cr_assert_eq(a.min, v[0]);
        cr_assert_eq(a.max, v[N - 1]);
        for (size_t i = 0; i < sizeof qs / sizeof *qs; i++) {
            size_t rank = qs[i] > 0 ? (size_t)(qs[i] * N + 0.9999999) : 1;
            uint64_t want = v[rank - 1], got = histogram_quantile(&a, qs[i]);
            cr_assert(got >= want && got <= want + want / 1024, "seed %lu q %g: %lu for %lu",
                      (unsigned long)seed, qs[i], (unsigned long)got, (unsigned long)want);
        }
        histogram_fini(&a);
        histogram_fini(&b);
    }
}

Test(histogram, refuses_to_merge_other_ranges) {
    struct histogram a, b;
    cr_assert_eq(histogram_init(&a, 1000), 0);
    cr_assert_eq(histogram_init(&b, 1001), 0);
    cr_assert_eq(histogram_merge(&a, &b), -EINVAL);
    histogram_fini(&a);
    histogram_fini(&b);
}
