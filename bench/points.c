/* SPDX-License-Identifier: BSD-3-Clause */
#include "points.h"
#include <math.h>
#include <stdio.h>

#define SEED 1

static bool json;
static unsigned n_points;

static void print_value(const char *name, const char *unit, double value) {
    printf("%-52s %9.*f %-4s", name, value < 1000 ? 1 : 0, value, unit[0] == 't' ? "cyc" : unit);
}

void points_begin(const char *title, bool as_json) {
    json = as_json;
    n_points = 0;
    if (json)
        printf("{ \"points\": [");
    else
        printf("%s\n%-52s %14s  %7s  %s\n", title, "point", "value", "ratio", "95 % interval");
}

void point(const char *name, const char *unit, double value, const double *base, const double *mine, size_t n) {
    struct stats_ratio r = stats_paired_ratio(base, mine, n, SEED);
    double high = isfinite(r.high) ? r.high : r.ratio;
    if (json)
        printf("%s\n  { \"name\": \"%s\", \"ratio\": %.4f, \"interval\": [%.4f, %.4f], \"%s\": %.2f }",
               n_points++ ? "," : "", name, r.ratio, r.low, high, unit, value);
    else
        print_value(name, unit, value), printf("  %7.3f  %.3f-%.3f\n", r.ratio, r.low, high);
    fflush(stdout);
}

void point_alone(const char *name, const char *unit, double value) {
    if (json)
        printf("%s\n  { \"name\": \"%s\", \"%s\": %.2f }", n_points++ ? "," : "", name, unit, value);
    else
        print_value(name, unit, value), printf("\n");
    fflush(stdout);
}

void point_text(const char *name, const char *text) {
    if (json)
        printf("%s\n  { \"name\": \"%s\", \"text\": \"%s\" }", n_points++ ? "," : "", name, text);
    else
        printf("%-52s %s\n", name, text);
    fflush(stdout);
}

void points_end(void) {
    if (json)
        printf("\n] }\n");
}
