/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "figures.h"
#include "judge.h"

enum stats_verdict judge(const struct stats_ratio *r, bool more, double tolerance) {
    struct stats_ratio turned = {.ratio = 1 / r->ratio, .low = 1 / r->high, .high = r->low > 0 ? 1 / r->low : INFINITY};
    return stats_verdict(more ? &turned : r, tolerance);
}

void row_add(json_t *figures, const struct row *r) {
    json_t *high = isfinite(r->ratio.high) ? json_real(r->ratio.high) : json_null();
    json_array_append_new(
        figures, json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:[f,o], s:s, s:f, s:I, s:s}", "configuration",
                           r->configuration, "figure", r->figure, "unit", figure_unit(r->figure), "better",
                           figure_more(r->figure) ? "more" : "less", "base", r->base, "new", r->new, "ratio",
                           r->ratio.ratio, "interval", r->ratio.low, high, "verdict", stats_verdict_name(r->verdict),
                           "tolerance", r->tolerance, "pairs", (json_int_t)r->ratio.pairs, "method", r->method));
}

unsigned compare_count(const json_t *comparison, const char *verdict) {
    unsigned n = 0;
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(comparison, "figures"), i, f)
        n += !strcmp(json_string_value(json_object_get(f, "verdict")), verdict);
    return n;
}

/* The one that is furthest off among those of a verdict. */
static const json_t *furthest(const json_t *figures, const char *verdict) {
    const json_t *found = NULL;
    double most = -1;
    size_t i;
    json_t *f;
    json_array_foreach(figures, i, f) {
        double off = fabs(log(json_number_value(json_object_get(f, "ratio"))));
        if (!strcmp(json_string_value(json_object_get(f, "verdict")), verdict) && off > most) {
            most = off;
            found = f;
        }
    }
    return found;
}

static void tell_furthest(FILE *f, const json_t *figures, const char *verdict) {
    const json_t *row = furthest(figures, verdict);
    if (row)
        fprintf(f, "; most of all %s of %s: %+.1f %%", json_string_value(json_object_get(row, "figure")),
                json_string_value(json_object_get(row, "configuration")),
                100 * (json_number_value(json_object_get(row, "ratio")) - 1));
}

static json_t *conclusion(const json_t *out, double tolerance) {
    const json_t *figures = json_object_get(out, "figures");
    unsigned worse = compare_count(out, "worse"), better = compare_count(out, "better");
    unsigned same = compare_count(out, "same"), unclear = compare_count(out, "unclear");
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    if (worse) {
        fprintf(f, "A regression: %u of %zu figures are worse", worse, json_array_size(figures));
        tell_furthest(f, figures, "worse");
        fprintf(f, ". %u better, %u the same, %u unclear.", better, same, unclear);
    } else if (better) {
        fprintf(f, "No regression: %u of %zu figures are better", better, json_array_size(figures));
        tell_furthest(f, figures, "better");
        fprintf(f, ". %u the same, %u unclear.", same, unclear);
    } else if (same) {
        fprintf(f, "No difference beyond %.3g %%: %u figures are the same, %u unclear.", 100 * tolerance, same,
                unclear);
    } else {
        fprintf(f, "Nothing can be said: all %u figures are unclear at this noise.", unclear);
    }
    fclose(f);
    json_t *s = json_string(text);
    free(text);
    return s;
}

void comparison_finish(json_t *out, const char *kind, json_t *figures, json_t *warnings, double tolerance) {
    json_object_set_new(out, "kind", json_string(kind));
    json_object_set_new(out, "figures", figures);
    json_object_set_new(out, "warnings", warnings);
    json_object_set_new(out, "regressions", json_integer(compare_count(out, "worse")));
    json_object_set_new(out, "conclusion", conclusion(out, tolerance));
}
