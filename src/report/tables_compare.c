/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of comparisons and sizings. */
#include <string.h>
#include "table.h"
#include "tables_bench.h"

static const char *value_text(struct arena *a, const json_t *value, const char *unit) {
    if (!json_is_number(value))
        return "";
    double number = json_number_value(value);
    return !strcmp(unit, "ns") ? duration_text(a, number) : !strcmp(unit, "pps") ? rate_text(a, number)
           : arena_printf(a, "%.4g", number);
}

static void figure_row(struct table *t, const json_t *f) {
    const char *unit = text_at(f, "unit"), *verdict = text_at(f, "verdict");
    long long pairs = count_at(f, "pairs");
    bool named = strcmp(unit, "ns") && strcmp(unit, "pps") && *unit;
    table_text(t, TONE_NONE, text_at(f, "configuration"));
    table_text(t, TONE_NONE,
               arena_printf(t->arena, named ? "%s, %s" : "%s%s", text_at(f, "figure"), named ? unit : ""));
    table_text(t, TONE_NONE, value_text(t->arena, value_at(f, "base"), unit));
    table_text(t, TONE_NONE, value_text(t->arena, value_at(f, "new"), unit));
    table_text(t, TONE_NONE, ratio_text(t->arena, f));
    table_text(t, ratio_tone(verdict), verdict);
    table_text(t, TONE_NONE,
               pairs ? arena_printf(t->arena, "%s, %lld", text_at(f, "method"), pairs) : text_at(f, "method"));
}

/* 0: worse; what is not known comes last. */
static unsigned verdict_rank(const char *verdict) {
    static const char *const order[] = {"worse", "unclear", "better", "same"};
    unsigned rank = 0;
    while (rank < sizeof order / sizeof *order && strcmp(order[rank], verdict))
        rank++;
    return rank;
}

void table_figures(struct arena *a, const json_t *compare, size_t limit, struct out *o) {
    const json_t *figures = value_at(compare, "figures");
    size_t n = json_array_size(figures), shown = limit && n > limit ? limit : n, done = 0;
    struct table t = {.arena = a, .caption = shown < n
        ? arena_printf(a, "Figures compared: %zu of %zu, worse ones first", shown, n) : "Figures compared"};
    TABLE_HEADS(&t, 2, "Configuration", "Figure", "Base", "New", "Ratio [95 %]", "Verdict", "How, pairs");
    t.columns.v[5].number = t.columns.v[6].number = false;
    for (unsigned rank = 0; rank <= 4; rank++) {
        size_t i;
        json_t *f;
        json_array_foreach(figures, i, f)
            if (verdict_rank(text_at(f, "verdict")) == rank && done < shown) {
                figure_row(&t, f);
                done++;
            }
    }
    table_emit(&t, o);
}

void table_changes(struct arena *a, const json_t *compare, struct out *o) {
    struct table t = {.arena = a, .caption = "Changes found in the history"};
    size_t i;
    json_t *c;
    TABLE_HEADS(&t, 4, "Configuration", "Figure", "Commit", "Date", "Run", "Before", "After", "Ratio", "Bits");
    json_array_foreach(value_at(compare, "changes"), i, c) {
        table_text(&t, TONE_NONE, text_at(c, "configuration"));
        table_text(&t, TONE_NONE, text_at(c, "figure"));
        table_cell(&t, TONE_NONE, "%.12s", text_at(c, "commit"));
        table_text(&t, TONE_NONE, text_at(c, "date"));
        table_number(&t, value_at(c, "at"), "%.0f");
        table_number(&t, value_at(c, "before"), "%.4g");
        table_number(&t, value_at(c, "after"), "%.4g");
        table_number(&t, value_at(c, "ratio"), "%.3f");
        table_number(&t, value_at(c, "bits"), "%.1f");
    }
    table_emit(&t, o);
}

/* "[low, high]" of an array of two numbers; "". */
static const char *interval_text(struct arena *a, const json_t *interval, const char *(*text)(struct arena *, double)) {
    const json_t *low = json_array_get(interval, 0), *high = json_array_get(interval, 1);
    if (!json_is_number(low) || !json_is_number(high))
        return "";
    return arena_printf(a, "[%s, %s]", text(a, json_number_value(low)), text(a, json_number_value(high)));
}

static const char *plain_text(struct arena *a, double value) {
    return arena_printf(a, "%.4g", value);
}

static const char *list_text(struct arena *a, const json_t *list) {
    const char *out = "";
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one)
        if (json_is_string(one))
            out = arena_printf(a, "%s%s%s", out, *out ? "; " : "", json_string_value(one));
    return out;
}

void table_answers(struct arena *a, const json_t *size, struct out *o) {
    const char *best = text_at(size, "best");
    struct table t = {.arena = a, .caption = "Hosts: what each carries, and whether it fits"};
    size_t i;
    json_t *h;
    TABLE_HEADS(&t, 2, "Host", "Fits", "Count", "Cores", "Rate", "[95 %]", "Headroom", "p99", "Price", "Limit", "Why");
    t.columns.v[9].number = t.columns.v[10].number = false;
    json_array_foreach(value_at(size, "answers"), i, h) {
        bool fits = true_at(h, "fits"), first = *best && !strcmp(best, text_at(h, "host"));
        const json_t *headroom = value_at(h, "headroom"), *pps = value_at(h, "pps.value");
        const json_t *price = value_at(h, "price");
        table_text(&t, TONE_NONE, text_at(h, "host"));
        table_text(&t, fits ? TONE_GOOD : TONE_BAD, first ? "best" : fits ? "yes" : "no");
        table_number(&t, value_at(h, "count"), "%.0f");
        table_number(&t, value_at(h, "cores"), "%.0f");
        table_text(&t, TONE_NONE, json_is_number(pps) ? rate_text(a, json_number_value(pps)) : "");
        table_text(&t, TONE_NONE, interval_text(a, value_at(h, "pps.interval"), rate_text));
        table_text(&t, TONE_NONE, json_is_number(headroom) ? percent_text(a, json_number_value(headroom)) : "");
        table_duration(&t, value_at(h, "p99_ns"));
        if (json_is_string(price))
            table_text(&t, TONE_NONE, json_string_value(price));
        else
            table_number(&t, price, "%.4g");
        table_text(&t, TONE_NONE, text_at(h, "limit"));
        table_text(&t, TONE_NONE, text_at(h, "why"));
    }
    table_emit(&t, o);
}

void table_extrapolations(struct arena *a, const json_t *size, struct out *o) {
    struct table t = {.arena = a, .caption = "Answers that go beyond what was measured"};
    size_t i;
    json_t *h;
    TABLE_HEADS(&t, 2, "Host", "Beyond");
    json_array_foreach(value_at(size, "answers"), i, h)
        if (json_array_size(value_at(h, "extrapolates"))) {
            table_text(&t, TONE_NONE, text_at(h, "host"));
            table_text(&t, TONE_WARN, list_text(a, value_at(h, "extrapolates")));
        }
    table_emit(&t, o);
}

void table_model(struct arena *a, const json_t *size, struct out *o) {
    const json_t *residual = value_at(size, "model.residual");
    struct table t = {.arena = a, .caption = arena_printf(a, "The model of a packet's cost, from %lld points%s",
                                                          count_at(size, "model.points"), json_is_number(residual)
        ? arena_printf(a, "; residual %s", percent_text(a, json_number_value(residual))) : "")};
    size_t i;
    json_t *term;
    TABLE_HEADS(&t, 2, "Term", "Unit", "Coefficient", "[95 %]");
    json_array_foreach(value_at(size, "model.terms"), i, term) {
        table_text(&t, TONE_NONE, text_at(term, "name"));
        table_text(&t, TONE_NONE, text_at(term, "unit"));
        table_number(&t, value_at(term, "coefficient"), "%.4g");
        table_text(&t, TONE_NONE, interval_text(a, value_at(term, "interval"), plain_text));
    }
    table_emit(&t, o);
}

void table_guests(struct arena *a, const json_t *size, struct out *o) {
    struct table t = {.arena = a, .caption = "Guests"};
    const char *key;
    json_t *value;
    TABLE_HEADS(&t, 1, "Figure", "Value");
    json_object_foreach((json_t *)value_at(size, "guests"), key, value) {
        const char *text = json_is_string(value) ? json_string_value(value)
                           : json_is_number(value) ? plain_text(a, json_number_value(value)) : list_text(a, value);
        if (!*text)
            continue;
        table_cell(&t, TONE_NONE, "%s", key);
        table_cell(&t, TONE_NONE, "%s", text);
    }
    table_emit(&t, o);
}
