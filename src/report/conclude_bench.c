/* SPDX-License-Identifier: BSD-3-Clause */
/* Sentences from benchmarks, comparisons and sizings; doubts are said as plainly as figures. */
#include <ctype.h>
#include <string.h>
#include "bench.h"

#define HEADLINE_MAX 6 /* configurations told in the first sentence */

/* The same, beginning with a capital. */
static const char *capital(struct arena *a, const char *text) {
    char *out = arena_strdup(a, text);
    if (*out >= 'a' && *out <= 'z')
        *out = (char)(*out - 'a' + 'A');
    return out;
}

/* "without loss", "with at most 0.5 % loss". */
static const char *loss_text(struct arena *a, double ratio) {
    return ratio > 0 ? arena_printf(a, "with at most %s loss", percent_text(a, ratio)) : "without loss";
}

/* The loss ratio that a goal allows; NDR allows none, and PDR 0.5 % where the document does not say. */
static double goal_loss(const struct bench *b, const char *name) {
    size_t i;
    json_t *goal;
    json_array_foreach(value_at(b->doc, "goals"), i, goal)
        if (!strcmp(text_at(goal, "name"), name))
            return number_at(goal, "loss_ratio");
    return !strcmp(name, "pdr") ? 0.005 : 0;
}

/* "at least 7.92 Mpps without loss (NDR)"; "". */
static const char *goal_text(struct arena *a, const struct bench *b, const char *name) {
    const json_t *goal = bench_goal(b, name), *lower = value_at(goal, "lower");
    if (!json_is_number(lower))
        return "";
    const char *rate = json_number_value(lower) > 0 ? rate_text(a, json_number_value(lower)) : "nothing that was tried";
    return arena_printf(a, "%s%s %s (%s)", json_is_null(value_at(goal, "upper")) ? "at least " : "", rate,
                        loss_text(a, goal_loss(b, name)), goal_label(a, name));
}

static const char *joined(struct arena *a, const char *first, const char *and, const char *second) {
    return *first && *second ? arena_printf(a, "%s%s%s", first, and, second) : *first ? first : second;
}

/* Of all goals: "carries ... and ...". */
static const char *rates_text(struct arena *a, const struct bench *b) {
    const char *out = joined(a, goal_text(a, b, "ndr"), ", ", goal_text(a, b, "pdr"));
    size_t i;
    json_t *goal;
    json_array_foreach(value_at(b->doc, "goals"), i, goal)
        if (strcmp(text_at(goal, "name"), "ndr") && strcmp(text_at(goal, "name"), "pdr"))
            out = joined(a, out, ", ", goal_text(a, b, text_at(goal, "name")));
    return *out ? arena_printf(a, "carries %s", out) : "";
}

static const char *latency_text(struct arena *a, const struct load *l) {
    const json_t *latency = value_at(l->doc, "latency_ns");
    if (!json_is_number(value_at(latency, "p99")))
        return "";
    const char *tail = json_is_number(value_at(latency, "p999"))
        ? arena_printf(a, ", p99.9 %s", duration_text(a, number_at(latency, "p999"))) : "";
    return arena_printf(a, "at %s p50 %s, p99 %s%s", l->name, duration_text(a, number_at(latency, "p50")),
                        duration_text(a, number_at(latency, "p99")), tail);
}

static void say_latency(struct arena *a, const struct bench *b, struct conclusion *out) {
    struct load list[LOADS_MAX];
    unsigned n = bench_loads(a, b, list);
    const char *text = "";
    for (unsigned i = 0; i < n; i++)
        text = joined(a, text, "; ", latency_text(a, &list[i]));
    say(out, "Latency", TONE_NONE, *text ? sentence(a, capital(a, text)) : "");
    const char *reasons = n ? reasons_text(a, value_at(list[n - 1].doc, "dropped")) : "";
    if (*reasons)
        say(out, "Drops", TONE_NONE, arena_printf(a, "At %s: %s.", list[n - 1].name, reasons));
}

/* "1.310 [1.280, 1.350] times that of routed: worse"; "". */
static const char *ratio_sentence(struct arena *a, const struct bench *b, const char *figure) {
    const json_t *compared = bench_compared(b, figure);
    const char *ratio = ratio_text(a, compared);
    return *ratio ? arena_printf(a, "%s times that of %s: %s", ratio, text_at(compared, "base"),
                                 text_at(compared, "verdict")) : "";
}

static enum tone figure_tone(const struct bench *b, const char *figure) {
    return ratio_tone(text_at(bench_compared(b, figure), "verdict"));
}

static void say_costs(struct arena *a, const struct bench *b, struct conclusion *out) {
    const json_t *cycles = value_at(b->doc, "cost.tsc_cycles.median"), *mrr = value_at(b->doc, "mrr_pps.median");
    const char *cost = json_is_number(cycles)
        ? arena_printf(a, "%.1f TSC cycles a packet in memory (median)", json_number_value(cycles)) : "";
    const char *most = json_is_number(mrr)
        ? arena_printf(a, "%s come through when the generator sends all that it can (MRR)",
                       rate_text(a, json_number_value(mrr))) : "";
    cost = joined(a, cost, ", ", ratio_sentence(a, b, "cost"));
    most = joined(a, most, ", ", ratio_sentence(a, b, "mrr"));
    say(out, "Cost", figure_tone(b, "cost"), *cost ? arena_printf(a, "%s.", cost) : "");
    say(out, "Overload", figure_tone(b, "mrr"), *most ? arena_printf(a, "%s.", most) : "");
}

static void say_bursts_and_sessions(struct arena *a, const struct bench *b, struct conclusion *out) {
    const json_t *burst = value_at(b->doc, "back_to_back.packets"), *nat = value_at(b->doc, "nat_rates");
    const char *setup = bounds_text(a, value_at(nat, "setup_per_s"));
    if (json_is_number(burst))
        say(out, "Burst", TONE_NONE,
            arena_printf(a, "%s%s packets back to back pass without loss (RFC 9004).",
                         true_at(b->doc, "back_to_back.endless") ? "At least " : "", whole_text(a, burst)));
    if (!json_is_object(nat))
        return;
    setup = *setup ? arena_printf(a, "%s sessions a second are set up without loss",
                                  whole_text(a, value_at(nat, "setup_per_s.lower"))) : "";
    const char *down = json_is_number(value_at(nat, "teardown_per_s"))
        ? arena_printf(a, "%s a second torn down", whole_text(a, value_at(nat, "teardown_per_s"))) : "";
    const char *capacity = json_is_number(value_at(nat, "capacity"))
        ? arena_printf(a, "the table takes %s", count_text(a, count_at(nat, "capacity"))) : "";
    const char *text = joined(a, joined(a, setup, "; ", down), "; ", capacity);
    say(out, "Sessions", TONE_NONE, *text ? arena_printf(a, "%s (RFC 9693).", text) : "");
}

/* Is an upper bound unknown because the generator could not send enough? */
static bool is_limited(const struct bench *b) {
    bool limited = json_is_null(value_at(b->doc, "ndr_pps.upper")) || json_is_null(value_at(b->doc, "pdr_pps.upper"));
    size_t i;
    json_t *goal;
    if (json_is_false(value_at(b->doc, "trials.generator_limited"))) /* the search was told where to end */
        return false;
    json_array_foreach(value_at(b->doc, "goals"), i, goal)
        limited |= json_is_null(value_at(goal, "upper"));
    return limited;
}

static const char *inexact_text(struct arena *a, const struct bench *b) {
    const char *out = "";
    size_t i;
    json_t *goal;
    json_array_foreach(value_at(b->doc, "goals"), i, goal) {
        double lower = number_at(goal, "lower"), upper = number_at(goal, "upper");
        if (!json_is_false(value_at(goal, "exact")) || !(upper > 0))
            continue;
        const char *one = arena_printf(a, "the bounds of %s are %s and %s, %s apart",
                                       goal_label(a, text_at(goal, "name")), rate_text(a, lower), rate_text(a, upper),
                                       percent_text(a, (upper - lower) / upper));
        if (json_is_number(value_at(goal, "width")))
            one = arena_printf(a, "%s (%s was asked)", one, percent_text(a, number_at(goal, "width")));
        out = joined(a, out, "; ", one);
    }
    return out;
}

static const char *late_text(struct arena *a, const struct bench *b) {
    struct load list[LOADS_MAX];
    unsigned n = bench_loads(a, b, list);
    const char *out = "";
    for (unsigned i = 0; i < n; i++)
        if (json_is_false(value_at(list[i].doc, "generator.valid")) ||
            trial_state(value_at(list[i].doc, "trial")) == TRIAL_LATE)
            out = joined(a, out, ", ", list[i].name);
    return out;
}

static void say_doubts(const struct view *v, const struct bench *b, struct conclusion *out) {
    struct arena *a = v->arena;
    const json_t *most = value_at(b->doc, "trials.generator_pps");
    struct bench_noise n;
    const char *inexact = inexact_text(a, b), *late = late_text(a, b);
    bench_noise(b, &n);
    const char *than = json_is_number(most) ? arena_printf(a, " than %s", rate_text(a, json_number_value(most))) : "";
    if (is_limited(b))
        say(out, "Limited", TONE_WARN,
            arena_printf(a, "The generator cannot send more%s: the true rate may be higher.", than));
    if (*late)
        say(out, "Invalid", TONE_BAD,
            arena_printf(a, "The generator was late at %s: those figures do not count.", late));
    if (*inexact)
        say(out, "Not exact", TONE_WARN, arena_printf(a, "The search ended early: %s.", inexact));
    if (n.machine_noisy || n.noisy > 0)
        say(out, "Noisy", TONE_WARN,
            arena_printf(a, "%s%lld of %lld trials stayed noisy, %lld were repeated.",
                         n.known ? arena_printf(a, "The machine took %s of the trials' time; ",
                                                percent_text(a, n.lost_share)) : "", n.noisy, n.trials, n.repeated));
    if (v->benches.n > 1 && !bench_is_base(b) && !bench_compared(b, "cost") && !bench_compared(b, "mrr"))
        say(out, "Not compared", TONE_NONE,
            "It was not run interleaved with the others: a difference may be the machine's.");
    if (true_at(b->whole, "partial") || true_at(b->doc, "partial"))
        say(out, "Partial", TONE_WARN,
            "The input was cut or the run was interrupted: the figures cover a part of it.");
}

/* The gravest doubt names the state. */
static void judge(const struct bench *b, struct conclusion *out) {
    static const char *const doubts[] = {"Invalid", "Partial", "Limited", "Not exact", "Noisy"};
    static const char *const states[] = {"Invalid", "Partial", "Generator-limited", "Not exact", "Noisy"};
    out->state = "Measured";
    out->tone = TONE_GOOD;
    for (size_t i = 0; i < sizeof doubts / sizeof *doubts; i++)
        for (size_t k = 0; k < out->lines.n; k++)
            if (!strcmp(out->lines.v[k].label, doubts[i])) {
                out->state = states[i];
                out->tone = i ? TONE_WARN : TONE_BAD;
                return;
            }
    if (!number_at(bench_goal(b, "ndr"), "lower") && !number_at(bench_goal(b, "pdr"), "lower")) {
        out->state = "No rate";
        out->tone = TONE_BAD;
    }
}

void conclude_bench(const struct view *v, const struct bench *b, struct conclusion *out) {
    struct arena *a = v->arena;
    double bytes = number_at(b->doc, "workload.packet_bytes"), ndr = number_at(bench_goal(b, "ndr"), "lower");
    const char *rates = rates_text(a, b);
    *out = (struct conclusion){0};
    if (*rates && bytes > 0 && ndr > 0)
        rates = arena_printf(a, "%s; NDR is %.3g Gbit/s of packets of %.4g bytes on average", rates,
                             ndr * bytes * 8 / 1e9, bytes);
    say(out, "Rate", TONE_NONE, *rates ? sentence(a, capital(a, rates)) : "No rate was found.");
    say_latency(a, b, out);
    say_costs(a, b, out);
    say_bursts_and_sessions(a, b, out);
    size_t first = out->lines.n;
    say_doubts(v, b, out);
    apart(out, first);
    judge(b, out);
}

static const char *headline_of(struct arena *a, const struct bench *b) {
    const json_t *half = bench_load(b, 50);
    const char *ratio = ratio_text(a, bench_compared(b, "cost"));
    const char *out = rates_text(a, b);
    if (*ratio)
        out = joined(a, out, ", ", arena_printf(a, "costs %s times as much as %s", ratio,
                                                text_at(bench_compared(b, "cost"), "base")));
    else if (json_is_number(value_at(half, "latency_ns.p99")))
        out = joined(a, out, ", ", arena_printf(a, "p99 latency at half of PDR is %s",
                                                duration_text(a, number_at(half, "latency_ns.p99"))));
    return *out ? arena_printf(a, "%s %s", b->name, out) : "";
}

const char *bench_headline(const struct view *v) {
    struct arena *a = v->arena;
    const char *out = "";
    for (size_t i = 0; i < v->benches.n && i < HEADLINE_MAX; i++) {
        struct conclusion c;
        const char *one = headline_of(a, &v->benches.v[i]);
        conclude_bench(v, &v->benches.v[i], &c);
        if (*one && c.tone != TONE_GOOD)
            one = arena_printf(a, "%s (%c%s)", one, tolower((unsigned char)*c.state), c.state + 1);
        out = joined(a, out, "; ", one);
        conclusion_fini(&c);
    }
    if (v->benches.n > HEADLINE_MAX)
        out = arena_printf(a, "%s; and %zu more below", out, v->benches.n - HEADLINE_MAX);
    return *out ? arena_printf(a, "%s.", out) : "";
}

void conclude_compare(const struct view *v, const json_t *doc, struct conclusion *out) {
    struct arena *a = v->arena;
    long long worse = count_at(doc, "regressions"), unclear = 0, better = 0, single = 0;
    size_t i, n = json_array_size(value_at(doc, "figures"));
    json_t *one;
    *out = (struct conclusion){.state = "No regression", .tone = TONE_GOOD};
    say(out, "Compared", TONE_NONE, text_at(doc, "conclusion"));
    json_array_foreach(value_at(doc, "figures"), i, one) {
        unclear += !strcmp(text_at(one, "verdict"), "unclear");
        better += !strcmp(text_at(one, "verdict"), "better");
        single += !strcmp(text_at(one, "method"), "single");
    }
    if (n)
        say(out, "Figures", TONE_NONE,
            arena_printf(a, "%zu: %lld worse, %lld better, %lld unclear, the rest the same.", n, worse, better,
                         unclear));
    if (single)
        say(out, "Single", TONE_WARN,
            arena_printf(a, "%lld of them from one run each, not from interleaved ones: a difference may be the "
                            "machine's.", single));
    if (worse) {
        out->state = "Regression";
        out->tone = TONE_BAD;
    } else if (n && unclear == (long long)n) {
        out->state = "Unclear";
        out->tone = TONE_WARN;
    }
}

void conclude_size(const struct view *v, const json_t *doc, struct conclusion *out) {
    struct arena *a = v->arena;
    const char *best = text_at(doc, "best");
    size_t i, k;
    json_t *answer, *text;
    *out = *best ? (struct conclusion){.state = "Answered", .tone = TONE_GOOD}
                 : (struct conclusion){.state = "Nothing fits", .tone = TONE_BAD};
    say(out, "Sizing", TONE_NONE, text_at(doc, "conclusion"));
    if (json_is_number(value_at(doc, "knee.pps")))
        say(out, "Knee", TONE_NONE,
            arena_printf(a, "Latency begins to climb at %s%s.", rate_text(a, number_at(doc, "knee.pps")),
                         json_is_number(value_at(doc, "knee.load"))
                             ? arena_printf(a, ", %s of what it carries", percent_text(a, number_at(doc, "knee.load")))
                             : ""));
    json_array_foreach(value_at(doc, "notes"), i, text)
        if (json_is_string(text))
            say(out, "Note", TONE_INFO, sentence(a, json_string_value(text)));
    json_array_foreach(value_at(doc, "answers"), i, answer) {
        if (strcmp(text_at(answer, "host"), best))
            continue;
        json_array_foreach(value_at(answer, "extrapolates"), k, text)
            if (json_is_string(text))
                say(out, "Beyond", TONE_WARN,
                    arena_printf(a, "Outside what was measured: %s.", json_string_value(text)));
        if (json_array_size(value_at(answer, "extrapolates"))) {
            out->state = "Extrapolated";
            out->tone = TONE_WARN;
        }
    }
}
