/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of benchmarks: each figure with the time that the machine took beside it. */
#include <string.h>
#include "table.h"
#include "tables_bench.h"

#define TRIALS_MAX 200 /* in a table */

static void cell_rate(struct table *t, const json_t *pps) {
    table_text(t, TONE_NONE, json_is_number(pps) ? rate_text(t->arena, json_number_value(pps)) : "");
}

static void cell_lost(struct table *t, double share) {
    table_text(t, share > 0.001 ? TONE_WARN : TONE_NONE, share < 0 ? "" : percent_text(t->arena, share));
}

static void cell_trial_state(struct table *t, const json_t *trial) {
    static const struct { enum tone tone; const char *text; } states[] = {
        [TRIAL_COUNTS] = {TONE_NONE, "counts"}, [TRIAL_NOISY] = {TONE_WARN, "noisy"},
        [TRIAL_LATE] = {TONE_BAD, "late"}};
    enum trial_state state = trial_state(trial);
    table_text(t, states[state].tone, json_is_object(trial) ? states[state].text : "");
    if (*text_at(trial, "why"))
        table_title(t, "%s", text_at(trial, "why"));
}

void table_rates(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "Highest rates: without loss (NDR), with partial loss (PDR), "
                      "offered all that can be sent (MRR)"};
    TABLE_HEADS(&t, 1, "Configuration", "NDR", "PDR", "MRR", "Cycles", "Trials", "Again", "Late", "Lost", "State");
    t.columns.v[9].number = false;
    for (size_t i = 0; i < v->benches.n; i++) {
        const struct bench *b = &v->benches.v[i];
        struct bench_noise n;
        struct conclusion said;
        bench_noise(b, &n);
        conclude_bench(v, b, &said);
        table_text(&t, TONE_NONE, b->name);
        table_text(&t, TONE_NONE, bounds_text(v->arena, bench_goal(b, "ndr")));
        table_text(&t, TONE_NONE, bounds_text(v->arena, bench_goal(b, "pdr")));
        cell_rate(&t, value_at(b->doc, "mrr_pps.median"));
        table_number(&t, value_at(b->doc, "cost.tsc_cycles.median"), "%.1f");
        table_count(&t, TONE_NONE, n.trials);
        table_count(&t, TONE_NONE, n.repeated);
        table_count(&t, TONE_WARN, n.invalid);
        cell_lost(&t, n.known ? n.lost_share : -1);
        table_text(&t, said.tone, said.state);
        conclusion_fini(&said);
    }
    table_emit(&t, o);
}

void table_goals(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "The search: bounds of each goal"};
    TABLE_HEADS(&t, 2, "Configuration", "Goal", "Loss", "Lower", "Upper", "Apart", "Asked", "Passes", "Exact");
    for (size_t i = 0; i < v->benches.n; i++) {
        size_t k;
        json_t *g;
        json_array_foreach(value_at(v->benches.v[i].doc, "goals"), k, g) {
            double lower = number_at(g, "lower"), upper = number_at(g, "upper");
            bool exact = true_at(g, "exact");
            table_text(&t, TONE_NONE, v->benches.v[i].name);
            table_text(&t, TONE_NONE, goal_label(v->arena, text_at(g, "name")));
            table_text(&t, TONE_NONE, percent_text(v->arena, number_at(g, "loss_ratio")));
            cell_rate(&t, value_at(g, "lower"));
            cell_rate(&t, value_at(g, "upper"));
            table_text(&t, TONE_NONE, upper > 0 ? percent_text(v->arena, (upper - lower) / upper) : "");
            table_text(&t, TONE_NONE, percent_text(v->arena, number_at(g, "width")));
            cell_rate(&t, value_at(g, "conditional_pps"));
            table_text(&t, exact ? TONE_NONE : TONE_WARN, exact ? "yes" : "no");
        }
    }
    table_emit(&t, o);
}

/* A row for each load of each configuration: its name, the load, the rate; then the durations at `paths`. */
static void load_rows(const struct view *v, struct table *t, const char *const *paths, size_t n_paths) {
    for (size_t i = 0; i < v->benches.n; i++) {
        struct load list[LOADS_MAX];
        unsigned n = bench_loads(v->arena, &v->benches.v[i], list);
        for (unsigned k = 0; k < n; k++) {
            table_text(t, TONE_NONE, v->benches.v[i].name);
            table_cell(t, TONE_NONE, "%g %%", list[k].share);
            cell_rate(t, value_at(list[k].doc, "pps"));
            for (size_t p = 0; p < n_paths; p++)
                table_duration(t, value_at(list[k].doc, paths[p]));
            cell_lost(t, trial_lost_share(value_at(list[k].doc, "trial")));
            cell_trial_state(t, value_at(list[k].doc, "trial"));
        }
    }
}

void table_latency(const struct view *v, struct out *o) {
    static const char *const paths[] = {"latency_ns.p50", "latency_ns.p90", "latency_ns.p99", "latency_ns.p999",
                                        "latency_ns.max"};
    struct table t = {.arena = v->arena, .caption = "Latency from the intended send time, by load (share of PDR; 0: no "
                      "load)"};
    TABLE_HEADS(&t, 1, "Configuration", "Load", "Rate", "p50", "p90", "p99", "p99.9", "Max", "Lost", "Trial");
    t.columns.v[9].number = false;
    load_rows(v, &t, paths, sizeof paths / sizeof *paths);
    table_emit(&t, o);
}

void table_variation(const struct view *v, struct out *o) {
    static const char *const paths[] = {"delay_variation.pdv_ns.p99", "delay_variation.pdv_ns.p999",
                                        "delay_variation.ipdv_ns.p99", "delay_variation.ipdv_ns.p999",
                                        "generator.slip_ns.p99", "fidelity.gap_error_ns.p99"};
    struct table t = {.arena = v->arena, .caption = "Delay variation (RFC 5481) and truth of the sending, by load"};
    TABLE_HEADS(&t, 1, "Configuration", "Load", "Rate", "PDV p99", "p99.9", "IPDV p99", "p99.9", "Slip p99", "Gap p99",
                "Lost", "Trial");
    t.columns.v[10].number = false;
    load_rows(v, &t, paths, sizeof paths / sizeof *paths);
    table_emit(&t, o);
}

void table_bench_drops(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "Drops by load, and the capture of dropped and slowest packets"};
    TABLE_HEADS(&t, 1, "Configuration", "Load", "Dropped", "Not sent", "Reasons", "Capture");
    t.columns.v[4].number = t.columns.v[5].number = false;
    for (size_t i = 0; i < v->benches.n; i++) {
        struct load list[LOADS_MAX];
        unsigned n = bench_loads(v->arena, &v->benches.v[i], list);
        for (unsigned k = 0; k < n; k++) {
            const char *reasons = reasons_text(v->arena, value_at(list[k].doc, "dropped"));
            long long back = count_at(list[k].doc, "trial.pushed_back");
            if (!*reasons && !back && !*text_at(list[k].doc, "capture"))
                continue;
            table_text(&t, TONE_NONE, v->benches.v[i].name);
            table_cell(&t, TONE_NONE, "%g %%", list[k].share);
            table_count(&t, TONE_NONE, count_at(list[k].doc, "dropped.total"));
            table_count(&t, TONE_NONE, back);
            table_text(&t, TONE_NONE, reasons);
            table_text(&t, TONE_NONE, text_at(list[k].doc, "capture"));
        }
    }
    table_emit(&t, o);
}

void table_capacity(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "Back-to-back bursts (RFC 9004) and NAT sessions (RFC 9693)"};
    TABLE_HEADS(&t, 1, "Configuration", "Burst", "Corrected", "Set-up/s", "Tear-down/s", "Sessions", "Source");
    t.columns.v[6].number = false;
    for (size_t i = 0; i < v->benches.n; i++) {
        const json_t *burst = value_at(v->benches.v[i].doc, "back_to_back");
        const json_t *nat = value_at(v->benches.v[i].doc, "nat_rates");
        if (!json_is_object(burst) && !json_is_object(nat))
            continue;
        table_text(&t, TONE_NONE, v->benches.v[i].name);
        table_text(&t, TONE_NONE, whole_text(v->arena, value_at(burst, "packets")));
        table_text(&t, TONE_NONE, whole_text(v->arena, value_at(burst, "corrected")));
        table_text(&t, TONE_NONE, whole_text(v->arena, value_at(nat, "setup_per_s.lower")));
        table_text(&t, TONE_NONE, whole_text(v->arena, value_at(nat, "teardown_per_s")));
        table_text(&t, TONE_NONE, whole_text(v->arena, value_at(nat, "capacity")));
        table_text(&t, TONE_NONE, text_at(nat, "source"));
    }
    table_emit(&t, o);
}

void table_workload(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "What was sent through what"};
    TABLE_HEADS(&t, 1, "Configuration", "Sessions", "Routes", "Bytes", "Churn", "Encrypted", "Workers", "NAT", "Sizes",
                "Topology");
    t.columns.v[7].number = t.columns.v[8].number = t.columns.v[9].number = false;
    for (size_t i = 0; i < v->benches.n; i++) {
        const json_t *w = value_at(v->benches.v[i].doc, "workload");
        const json_t *churn = value_at(w, "churn"), *encrypted = value_at(w, "encrypted_share");
        table_text(&t, TONE_NONE, v->benches.v[i].name);
        table_count(&t, TONE_NONE, count_at(w, "sessions"));
        table_count(&t, TONE_NONE, count_at(w, "routes"));
        table_number(&t, value_at(w, "packet_bytes"), "%.4g");
        table_text(&t, TONE_NONE, json_is_number(churn) ? percent_text(v->arena, json_number_value(churn)) : "");
        table_text(&t, TONE_NONE,
                   json_is_number(encrypted) ? percent_text(v->arena, json_number_value(encrypted)) : "");
        table_count(&t, TONE_NONE, count_at(w, "workers"));
        table_text(&t, TONE_NONE, true_at(w, "nat") ? "yes" : json_is_false(value_at(w, "nat")) ? "no" : "");
        table_text(&t, TONE_NONE, text_at(w, "sizes"));
        table_text(&t, TONE_NONE, text_at(v->benches.v[i].doc, "topology"));
    }
    table_emit(&t, o);
}

void table_bench_ratios(const struct view *v, struct out *o) {
    static const char *const figures[] = {"cost", "mrr", "ndr", "pdr"};
    struct table t = {.arena = v->arena, .caption = "Compared, pair by pair, in interleaved runs"};
    TABLE_HEADS(&t, 3, "Configuration", "Base", "Figure", "Ratio [95 %]", "Verdict", "Pairs");
    t.columns.v[4].number = false;
    for (size_t i = 0; i < v->benches.n; i++)
        for (size_t k = 0; k < sizeof figures / sizeof *figures; k++) {
            const json_t *c = bench_compared(&v->benches.v[i], figures[k]);
            if (!c)
                continue;
            table_text(&t, TONE_NONE, v->benches.v[i].name);
            table_text(&t, TONE_NONE, text_at(c, "base"));
            table_text(&t, TONE_NONE, goal_label(v->arena, figures[k]));
            table_text(&t, TONE_NONE, ratio_text(v->arena, c));
            table_text(&t, ratio_tone(text_at(c, "verdict")), text_at(c, "verdict"));
            table_count(&t, TONE_NONE, count_at(c, "pairs"));
        }
    table_emit(&t, o);
}

/* The cost document of column k: in memory, then the loads. */
static const json_t *cost_at(const struct bench *b, const struct load *list, unsigned k) {
    return k ? value_at(list[k - 1].doc, "cost") : value_at(b->doc, "cost");
}

static void load_cost_figures(struct table *t, const struct bench *b, const struct load *list, unsigned n) {
    table_text(t, TONE_NONE, "together");
    table_number(t, value_at(b->doc, "cost.tsc_cycles.median"), "%.1f");
    for (unsigned k = 1; k <= n; k++)
        table_number(t, value_at(cost_at(b, list, k), "tsc_cycles"), "%.1f");
    table_text(t, TONE_NONE, "packets a burst");
    table_number(t, value_at(b->doc, "options.burst"), "%.0f");
    for (unsigned k = 1; k <= n; k++)
        table_number(t, value_at(cost_at(b, list, k), "packets_a_burst"), "%.1f");
}

void table_load_cost(const struct view *v, const struct bench *b, struct out *o) {
    struct load list[LOADS_MAX];
    unsigned n = bench_loads(v->arena, b, list);
    struct table t = {.arena = v->arena,
                      .caption = arena_printf(v->arena, "Cost of %s by stage and load, in TSC cycles a packet",
                                              b->name)};
    json_t *seen = json_object(), *stage;
    const char *name;
    size_t i;
    TABLE_HEADS(&t, 1, "Stage", "In memory");
    for (unsigned k = 0; k <= n; k++) {
        if (k)
            table_column(&t, true, list[k - 1].name);
        json_array_foreach(value_at(cost_at(b, list, k), "stages"), i, stage)
            json_object_set(seen, text_at(stage, "name"), stage);
    }
    json_object_foreach(seen, name, stage) {
        table_cell(&t, TONE_NONE, "%s", name);
        for (unsigned k = 0; k <= n; k++)
            table_number(&t, value_at(stage_find(cost_at(b, list, k), name), "tsc_cycles"), "%.1f");
    }
    if (json_object_size(seen))
        load_cost_figures(&t, b, list, n);
    json_decref(seen);
    table_emit(&t, o);
}

void table_trials(const struct view *v, const struct bench *b, struct out *o) {
    const json_t *list = value_at(b->doc, "trials.list");
    size_t n = json_array_size(list), shown = n > TRIALS_MAX ? TRIALS_MAX : n;
    struct table t = {.arena = v->arena, .caption = shown < n
        ? arena_printf(v->arena, "Trials of %s in their order: the first %zu of %zu", b->name, shown, n)
        : arena_printf(v->arena, "Trials of %s in their order", b->name)};
    TABLE_HEADS(&t, 2, "Trial", "Goal", "Asked", "Sent", "Through", "Time", "Loss", "Slip p99", "Gap p99", "Lost",
                "State");
    t.columns.v[0].number = true;
    t.columns.v[10].number = false;
    for (size_t i = 0; i < shown; i++) {
        const json_t *trial = json_array_get(list, i);
        const json_t *loss = value_at(trial, "loss_ratio");
        table_cell(&t, TONE_NONE, "%zu", i + 1);
        table_text(&t, TONE_NONE, goal_label(v->arena, text_at(trial, "goal")));
        cell_rate(&t, value_at(trial, "load_pps"));
        cell_rate(&t, value_at(trial, "sent_pps"));
        cell_rate(&t, value_at(trial, "received_pps"));
        table_duration(&t, value_at(trial, "duration_ns"));
        table_text(&t, TONE_NONE, json_is_number(loss) ? percent_text(v->arena, json_number_value(loss)) : "");
        table_duration(&t, value_at(trial, "slip_ns.p99"));
        table_duration(&t, value_at(trial, "gap_error_ns.p99"));
        cell_lost(&t, trial_lost_share(trial));
        cell_trial_state(&t, trial);
    }
    table_emit(&t, o);
}

void table_paced(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "The trial at its pace"};
    TABLE_HEADS(&t, 1, "Configuration", "Offered", "Sent", "Packets", "Lost", "Loss", "Reordered", "PDV p99",
                "IPDV p99", "Machine took", "State");
    t.columns.v[10].number = false;
    for (size_t i = 0; i < v->list.n; i++) {
        const json_t *r = v->list.v[i].replay, *trial = value_at(r, "trial");
        if (!json_is_object(trial))
            continue;
        table_text(&t, TONE_NONE, v->list.v[i].name);
        cell_rate(&t, value_at(trial, "offered_pps"));
        cell_rate(&t, value_at(trial, "sent_pps"));
        table_count(&t, TONE_NONE, count_at(trial, "sent"));
        table_count(&t, TONE_NONE, count_at(trial, "lost"));
        table_text(&t, TONE_NONE, percent_text(v->arena, number_at(trial, "loss_ratio")));
        table_count(&t, TONE_NONE, count_at(trial, "reordered"));
        table_duration(&t, value_at(r, "delay_variation.pdv_ns.p99"));
        table_duration(&t, value_at(r, "delay_variation.ipdv_ns.p99"));
        table_duration(&t, value_at(trial, "lost_time_ns"));
        cell_trial_state(&t, trial);
    }
    table_emit(&t, o);
}
