/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of what was measured, and of what it was measured on. */
#include <string.h>
#include "table.h"
#include "tables.h"

#define DASH "\xe2\x80\x93"

bool table_cost(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "Cost of a packet, in TSC cycles"};
    TABLE_HEADS(&t, 1, "Configuration", "Median", "5 %", "95 %", "Samples", "Mpps", "Gbps");
    for (size_t i = 0; i < v->list.n; i++) {
        const json_t *cost = value_at(v->list.v[i].replay, "cost");
        if (!json_is_object(cost))
            continue;
        table_cell(&t, TONE_NONE, "%s", v->list.v[i].name);
        table_number(&t, value_at(cost, "tsc_cycles.median"), "%.1f");
        table_number(&t, value_at(cost, "tsc_cycles.p5"), "%.1f");
        table_number(&t, value_at(cost, "tsc_cycles.p95"), "%.1f");
        table_count(&t, TONE_NONE, (long long)json_array_size(value_at(cost, "tsc_cycles.samples")));
        table_number(&t, value_at(cost, "mpps"), "%.2f");
        table_number(&t, value_at(cost, "gbps"), "%.2f");
    }
    return table_emit(&t, o);
}

void table_stages(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "Cost by stage, in TSC cycles a packet"};
    json_t *seen = json_object(), *stage;
    const char *name;
    size_t k;
    table_column(&t, false, "Stage");
    for (size_t i = 0; i < v->list.n; i++) {
        table_column(&t, true, v->list.v[i].name);
        json_array_foreach(value_at(v->list.v[i].replay, "cost.stages"), k, stage)
            json_object_set(seen, text_at(stage, "name"), stage);
    }
    json_object_foreach(seen, name, stage) {
        table_cell(&t, TONE_NONE, "%s", name);
        for (size_t i = 0; i < v->list.n; i++)
            table_number(&t, value_at(stage_find(value_at(v->list.v[i].replay, "cost"), name), "tsc_cycles"), "%.1f");
    }
    json_decref(seen);
    if (v->list.n > 1)
        table_transpose(&t, "Configuration");
    table_emit(&t, o);
}

void table_sending(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "Latency and sending"};
    TABLE_HEADS(&t, 2, "Configuration", "Pace", "Laps", "Median", "99 %", "99.9 %", "Max", "Slip 99 %",
                "Gap error 99 %");
    for (size_t i = 0; i < v->list.n; i++) {
        const json_t *r = v->list.v[i].replay, *pace = value_at(r, "generator.pace");
        if (!r)
            continue;
        table_cell(&t, TONE_NONE, "%s", v->list.v[i].name);
        if (json_is_number(pace))
            table_number(&t, pace, "%g");
        else
            table_cell(&t, TONE_NONE, "%s", *text_at(r, "generator.pace") ? text_at(r, "generator.pace") : DASH);
        table_count(&t, TONE_NONE, count_at(r, "laps"));
        table_duration(&t, value_at(r, "latency_ns.p50"));
        table_duration(&t, value_at(r, "latency_ns.p99"));
        table_duration(&t, value_at(r, "latency_ns.p999"));
        table_duration(&t, value_at(r, "latency_ns.max"));
        table_duration(&t, value_at(r, "generator.slip_ns.p99"));
        table_duration(&t, value_at(r, "fidelity.gap_error_ns.p99"));
    }
    table_emit(&t, o);
}

void table_ratios(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "Cost compared, pair by pair"};
    const json_t *entries = v->list.n ? value_at(v->list.v[0].replay, "comparison") : NULL;
    size_t i;
    json_t *entry;
    TABLE_HEADS(&t, 3, "Configuration", "Base", "Cost", "Ratio [95 %]", "Pairs");
    json_array_foreach(entries, i, entry) {
        if (!strcmp(text_at(entry, "name"), text_at(entry, "base")))
            continue;
        table_cell(&t, TONE_NONE, "%s", text_at(entry, "name"));
        table_cell(&t, TONE_NONE, "%s", text_at(entry, "base"));
        table_cell(&t, TONE_NONE, "%s", text_at(entry, "verdict"));
        table_cell(&t, TONE_NONE, "%s", ratio_text(v->arena, entry));
        table_count(&t, TONE_NONE, count_at(entry, "pairs"));
    }
    table_emit(&t, o);
}

/* Has an earlier document the same value at this path? What many documents share is told once. */
static bool told(const struct view *v, unsigned i, const char *path) {
    const json_t *value = value_at(v->docs[i].doc, path);
    for (unsigned k = 0; k < i; k++)
        if (json_equal((json_t *)value, (json_t *)value_at(v->docs[k].doc, path)))
            return true;
    return !value;
}

void table_machines(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "What it ran on"};
    TABLE_HEADS(&t, 6, "CPU", "Flags", "Kernel", "DPDK", "Hugepages", "Commit");
    for (unsigned i = 0; i < v->n_docs; i++) {
        const json_t *env = value_at(v->docs[i].doc, "environment");
        const char *flags = "", *dpdk = text_at(env, "dpdk"), *huge = text_at(env, "hugepages");
        json_t *shared = json_deep_copy(env), *flag;
        bool again = false;
        size_t k;
        for (unsigned e = 0; e < i && !again; e++) { /* equal but for the noise of the moment */
            json_t *other = json_deep_copy(value_at(v->docs[e].doc, "environment"));
            json_object_del(shared, "noise");
            json_object_del(other, "noise");
            again = json_equal(shared, other);
            json_decref(other);
        }
        json_decref(shared);
        if (again || !env)
            continue;
        json_array_foreach(value_at(env, "flags"), k, flag)
            if (json_is_string(flag))
                flags = arena_printf(v->arena, "%s%s%s", flags, *flags ? " " : "", json_string_value(flag));
        table_cell(&t, TONE_NONE, "%s", text_at(env, "cpu"));
        table_cell(&t, TONE_NONE, "%s", flags);
        table_cell(&t, TONE_NONE, "%s", text_at(env, "kernel"));
        table_cell(&t, TONE_NONE, "%s", *dpdk ? dpdk : DASH);
        table_cell(&t, TONE_NONE, "%s", *huge ? huge : DASH);
        table_cell(&t, TONE_NONE, "%s", text_at(env, "commit"));
    }
    table_emit(&t, o);
}

void table_noise(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "Noise floor: gaps that a busy loop saw"};
    TABLE_HEADS(&t, 2, "Document", "Quiet", "Time lost", "Share", "Gap median", "99.99 %", "Max", "Window");
    for (unsigned i = 0; i < v->n_docs; i++) {
        const json_t *noise = value_at(v->docs[i].doc, "environment.noise");
        if (!json_is_object(noise) || told(v, i, "environment.noise"))
            continue;
        bool quiet = true_at(noise, "quiet");
        table_cell(&t, TONE_NONE, "%s", v->docs[i].path);
        table_cell(&t, quiet ? TONE_GOOD : TONE_WARN, quiet ? "yes" : "no");
        table_duration(&t, value_at(noise, "lost_ns"));
        table_cell(&t, TONE_NONE, "%.3g %%", 100 * number_at(noise, "lost_share"));
        table_duration(&t, value_at(noise, "gap_p50_ns"));
        table_duration(&t, value_at(noise, "gap_p9999_ns"));
        table_duration(&t, value_at(noise, "gap_max_ns"));
        table_duration(&t, value_at(noise, "window_ns"));
    }
    table_emit(&t, o);
}

void table_inputs(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "Inputs"};
    json_t *seen = json_object();
    table_column(&t, false, "File");
    table_column(&t, false, "Role");
    table_column(&t, true, "Bytes");
    table_column(&t, false, "Digest");
    for (unsigned i = 0; i < v->n_docs; i++) {
        size_t k;
        json_t *in;
        json_array_foreach(value_at(v->docs[i].doc, "inputs"), k, in) {
            const char *key = arena_printf(v->arena, "%s %s", text_at(in, "path"), text_at(in, "digest"));
            if (json_object_get(seen, key))
                continue;
            json_object_set_new(seen, key, json_true());
            table_cell(&t, TONE_NONE, "%s", text_at(in, "path"));
            table_cell(&t, TONE_NONE, "%s", text_at(in, "role"));
            table_count(&t, TONE_NONE, count_at(in, "size"));
            table_cell(&t, TONE_NONE, "%.16s", text_at(in, "digest"));
        }
    }
    json_decref(seen);
    table_emit(&t, o);
}
