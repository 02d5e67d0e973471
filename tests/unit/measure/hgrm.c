/* SPDX-License-Identifier: BSD-3-Clause */
/* HdrHistogram's percentile text against the sorted values themselves. */
#include <criterion/criterion.h>
#include <fwdlab/base/random.h>
#include <fwdlab/measure/histogram.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define N 20000
#define UNIT 1000.0

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static char *text_of(const struct histogram *h) {
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    histogram_hgrm(h, UNIT, f);
    fclose(f);
    return text;
}

static size_t not_above(const uint64_t *v, size_t n, double limit) {
    size_t k = 0;
    while (k < n && (double)v[k] <= limit)
        k++;
    return k;
}

/* One line of the body; returns its level. */
static double check_line(const char *line, const uint64_t *v, size_t n, double last, uint64_t seed) {
    double value, level, inverse = 0;
    unsigned long long seen;
    int fields = sscanf(line, "%lf %lf %llu %lf", &value, &level, &seen, &inverse);
    cr_assert_geq(fields, 3, "%s", line);
    cr_assert_gt(level, last, "levels rise: %s", line);
    size_t rank = (size_t)ceil(level * (double)n - 1e-6);
    double exact = (double)v[rank ? rank - 1 : 0] / UNIT;
    cr_assert(value >= exact - 0.0006 && value <= exact * (1 + 1.0 / 1023) + 0.0006, "seed %lu: %s: %f", seed, line,
              exact);
    cr_assert_eq(seen, not_above(v, n, value * UNIT + 0.6), "seed %lu: %s", seed, line);
    if (level < 1)
        cr_assert(fields == 4 && fabs(inverse * (1 - level) - 1) < 0.01, "%s", line);
    else
        cr_assert(fields == 3 && seen == n, "%s", line);
    return level;
}

Test(hgrm, every_line_is_what_the_sorted_values_say) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct random r;
        struct histogram h;
        size_t n = seed == 1 ? 1 : 1 + random_below((random_seed(&r, seed), &r), N);
        uint64_t *v = calloc(n, sizeof *v);
        double sum = 0, squares = 0, last = -1;
        random_seed(&r, seed);
        cr_assert_eq(histogram_init(&h, 10000000000ull), 0);
        for (size_t i = 0; i < n; i++) {
            v[i] = (uint64_t)exp(random_unit(&r) * 20);
            histogram_record(&h, v[i]);
            sum += (double)v[i];
        }
        for (size_t i = 0; i < n; i++)
            squares += ((double)v[i] - sum / (double)n) * ((double)v[i] - sum / (double)n);
        qsort(v, n, sizeof *v, by_value);
        char *text = text_of(&h), *line = strtok(text, "\n");
        unsigned lines = 0;
        double mean, deviation, max;
        unsigned long long total;
        cr_assert(strstr(line, "Value") && strstr(line, "Percentile") && strstr(line, "TotalCount") &&
                  strstr(line, "1/(1-Percentile)"));
        while ((line = strtok(NULL, "\n")) && *line != '#') {
            last = check_line(line, v, n, last, seed);
            lines++;
        }
        cr_assert_eq(last, 1, "the last line is the largest value");
        cr_assert(lines >= 2 && lines <= 2 + HGRM_TICKS * (unsigned)(log2((double)n) + 2));
        cr_assert_eq(sscanf(line, "#[Mean = %lf, StdDeviation = %lf]", &mean, &deviation), 2, "%s", line);
        cr_assert_float_eq(mean, sum / (double)n / UNIT, 0.001 + 1e-9 * mean);
        cr_assert_float_eq(deviation, sqrt(squares / (double)n) / UNIT, 0.001 + (mean + deviation) / 500);
        line = strtok(NULL, "\n");
        cr_assert_eq(sscanf(line, "#[Max = %lf, Total count = %llu]", &max, &total), 2, "%s", line);
        cr_assert(total == n && fabs(max - (double)v[n - 1] / UNIT) < 0.001);
        cr_assert(strstr(strtok(NULL, "\n"), "#[Buckets ="));
        free(text);
        free(v);
        histogram_fini(&h);
    }
}

Test(hgrm, an_empty_histogram_has_no_lines) {
    struct histogram h;
    cr_assert_eq(histogram_init(&h, 1000000), 0);
    char *text = text_of(&h);
    cr_assert(strstr(text, "\n\n#[Mean    =        0.000, StdDeviation   =        0.000]\n"), "%s", text);
    free(text);
    histogram_fini(&h);
}
