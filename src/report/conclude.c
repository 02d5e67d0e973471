/* SPDX-License-Identifier: BSD-3-Clause */
/* Sentences from findings, reach, drops and figures. */
#include <stdlib.h>
#include <string.h>
#include "conclude.h"
#include "reach.h"

#define INTERFACES_TOLD 6

struct reason {
    const char *name;
    long long count;
};

static int compare_reasons(const void *a, const void *b) {
    const struct reason *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count) : strcmp(x->name, y->name);
}

const char *reasons_text(struct arena *a, const json_t *counts) {
    VEC(struct reason) list = {0};
    const char *name, *out = "";
    json_t *count;
    json_object_foreach((json_t *)counts, name, count)
        if (strcmp(name, "total") && json_integer_value(count))
            vec_push(&list, (struct reason){name, json_integer_value(count)});
    if (list.n)
        qsort(list.v, list.n, sizeof *list.v, compare_reasons);
    for (size_t i = 0; i < list.n; i++)
        out = arena_printf(a, "%s%s%s %s", out, i ? ", " : "", count_text(a, list.v[i].count), list.v[i].name);
    vec_free(&list);
    return out;
}

void say(struct conclusion *out, const char *label, enum tone tone, const char *text) {
    if (*text)
        vec_push(&out->lines, (struct line){label, text, tone, false, false});
}

void apart(struct conclusion *out, size_t first) {
    if (first && first < out->lines.n)
        out->lines.v[first].apart = true;
}

/* Without a scenario nothing is judged, and what the capture alone accuses is all that can be told. */
static bool is_judged(const struct configuration *c) {
    return json_is_object(value_at(c->analyze, "scenario"));
}

static const struct { const char *label; enum tone tone; } kinds[] = {
    [FINDING_FAULT] = {"Fault", TONE_BAD}, [FINDING_SEEN] = {"Seen", TONE_WARN},
    [FINDING_ASYMMETRY] = {"Asymmetric", TONE_INFO}};

#define HOSTS_SAID 4

/* Its text names the node and the route already. */
static bool tells_cause(struct arena *a, const json_t *finding) {
    const char *text = text_at(finding, "text"), *route = route_text(a, value_at(finding, "cause.route"));
    return *route && strstr(text, route) && strstr(text, text_at(finding, "cause.node"));
}

/* `earlier`: those that were told before it. */
static void say_fault(struct arena *a, const json_t *analyze, const struct fault *f, const struct fault *earlier,
                      struct conclusion *out) {
    const char *cause = tells_cause(a, f->finding) ? "" : finding_cause(a, f->finding);
    const char *mend = finding_mend(a, f->finding), *flows = finding_flows(a, analyze, f->finding, f->count);
    const size_t first = out->lines.n;
    bool caused = false, mended = false;
    enum tone tone, other;
    const char *state = mend_state(f->finding, &tone);
    for (; earlier < f; earlier++) {
        if (earlier->kind == FINDING_SEEN)
            continue;
        caused |= same_cause(earlier->finding, f->finding);
        mended |= same_mend(earlier->finding, f->finding) && !strcmp(mend_state(earlier->finding, &other), state);
    }
    say(out, kinds[f->kind].label, kinds[f->kind].tone,
        arena_printf(a, "%s%s%s", flows, *flows ? ": " : "", fault_what(a, f)));
    say(out, "Hosts", TONE_NONE, finding_hosts(a, analyze, f->finding, HOSTS_SAID));
    say(out, "Since", TONE_NONE, fault_since(a, analyze, f));
    say(out, "Cause", TONE_NONE, caused && *cause ? "As above." : cause);
    say(out, "Mend", tone, mended && *mend ? "As above." : mend);
    say(out, "Command", TONE_NONE, mended ? "" : finding_command(a, analyze, f->finding));
    apart(out, first);
    out->lines.v[first].finding = true;
}

static void say_findings(struct arena *a, const struct configuration *c, unsigned limit, struct conclusion *out) {
    struct faults list;
    size_t told = 0, left = 0;
    faults_collect(c->analyze, &list);
    for (size_t i = 0; i < list.n; i++) {
        if (list.v[i].kind == FINDING_SEEN && is_judged(c))
            continue;
        if (limit && told == limit)
            left++;
        else
            say_fault(a, c->analyze, &list.v[i], list.v, out);
        told += told < limit;
    }
    if (left)
        say(out, "More", TONE_NONE, arena_printf(a, "%zu smaller ones are listed under Findings.", left));
    vec_free(&list);
}

static void say_reach(const struct view *v, const struct configuration *c, struct conclusion *out) {
    say(out, "Lost", TONE_WARN, reach_changes(v, c, REACH_LOST));
    say(out, "NAT", TONE_INFO, reach_changes(v, c, REACH_TRANSLATED));
    say(out, "No NAT", TONE_INFO, reach_changes(v, c, REACH_UNTRANSLATED));
    say(out, "Gained", TONE_INFO, reach_changes(v, c, REACH_GAINED));
}

static void say_complaints(struct arena *a, const json_t *analyze, struct conclusion *out) {
    size_t i;
    json_t *c;
    json_array_foreach(value_at(analyze, "complaints"), i, c) {
        const char *severity = text_at(c, "severity"), *hint = text_at(c, "hint");
        if (!strcmp(severity, "error") && *text_at(c, "fault")) /* told as a finding */
            continue;
        enum tone tone = !strcmp(severity, "error") ? TONE_BAD : !strcmp(severity, "warning") ? TONE_WARN : TONE_NONE;
        say(out, "Scenario", tone,
            sentence(a, arena_printf(a, *hint ? "%s:%lld: %s; %s" : "%s:%lld: %s%s", text_at(c, "file"),
                                     count_at(c, "line"), text_at(c, "what"), hint)));
    }
}

/* The model says one thing, the capture another: the scenario is not what was captured. */
static void say_drift(struct arena *a, const json_t *analyze, struct conclusion *out) {
    size_t i;
    json_t *d;
    json_array_foreach(value_at(analyze, "drifts"), i, d)
        say(out, "Drift", TONE_WARN,
            arena_printf(a, "%s: %s by the model, %s as captured. The scenario is not what was captured.",
                         finding_flows(a, analyze, d, count_at(d, "count")), verdict_label(text_at(d, "model")),
                         verdict_label(text_at(d, "observed"))));
}

static void say_drops(struct arena *a, const json_t *packets, struct conclusion *out) {
    long long total = count_at(packets, "dropped.total"), elsewhere = count_at(packets, "dropped_elsewhere.total");
    if (total)
        say(out, "Drops", TONE_NONE,
            arena_printf(a, "%s of %s packets are dropped at the node under test: %s.", count_text(a, total),
                         count_text(a, count_at(packets, "injected")), reasons_text(a, value_at(packets, "dropped"))));
    if (elsewhere)
        say(out, "Drops", TONE_NONE,
            arena_printf(a, "%s packets that it forwarded are dropped by other nodes: %s.", count_text(a, elsewhere),
                         reasons_text(a, value_at(packets, "dropped_elsewhere"))));
}

static void say_hidden(struct arena *a, const json_t *analyze, struct conclusion *out) {
    size_t i;
    json_t *h;
    json_array_foreach(value_at(analyze, "hidden_routes"), i, h)
        say(out, "Hidden", TONE_WARN,
            arena_printf(a, "On %s the route %s never takes effect: %s wins.", text_at(h, "node"),
                         route_text(a, value_at(h, "route")), route_text(a, value_at(h, "hidden_by"))));
}

static void say_cost(struct arena *a, const struct configuration *c, struct conclusion *out) {
    const json_t *cycles = value_at(c->replay, "cost.tsc_cycles"), *compared = comparison_of(c);
    const char *ratio = "";
    if (!json_is_object(cycles))
        return;
    if (compared && strcmp(text_at(compared, "base"), c->name))
        ratio = arena_printf(a, ", %s times that of %s: %s", ratio_text(a, compared), text_at(compared, "base"),
                             text_at(compared, "verdict"));
    say(out, "Cost", TONE_NONE, arena_printf(a, "%.1f TSC cycles a packet (median)%s.", number_at(cycles, "median"),
                                             ratio));
}

/* " 16,631 packets over 22 s from 2026-11-22 06:22:27.105 UTC on nic1, nic2, switch were looked at."; "" */
static const char *looked_at(struct arena *a, const json_t *analyze) {
    const json_t *list = value_at(analyze, "packets.interfaces"), *span = value_at(analyze, "span_ns");
    size_t n = json_array_size(list), i;
    const char *names = "", *epoch = text_at(analyze, "epoch_ns");
    json_t *one;
    json_array_foreach(list, i, one)
        if (*text_at(one, "name"))
            names = arena_printf(a, "%s%s%s", names, *names ? ", " : "", text_at(one, "name"));
    if (!*epoch || !json_is_number(span))
        return "";
    if (n > INTERFACES_TOLD || !*names)
        names = arena_printf(a, "%zu interface%s", n, n == 1 ? "" : "s");
    return arena_printf(a, " Looked at: %s packets over %s from %s on %s.",
                        count_text(a, count_at(analyze, "packets.read")), span_text(a, json_number_value(span)),
                        moment_text(a, epoch, 0), names);
}

/* "399 symmetric, 101 unanswered": by what the capture shows. */
static const char *observed_text(struct arena *a, const json_t *analyze) {
    const char *out = "";
    for (const char *const *name = verdict_names("observed"); *name; name++) {
        long long n = count_at(value_at(analyze, "flows.observed"), *name);
        if (n)
            out = arena_printf(a, "%s%s%s %s", out, *out ? ", " : "", count_text(a, n), verdict_label(*name));
    }
    return *out ? out : "nothing";
}

static void say_flows(struct arena *a, const struct configuration *c, long long fault, long long bent,
                      struct conclusion *out) {
    const json_t *flows = value_at(c->analyze, "flows");
    const char *total = count_text(a, count_at(flows, "total")), *looked = looked_at(a, c->analyze);
    const char *asymmetric = bent ? arena_printf(a, "; %s work, asymmetrically", count_text(a, bent)) : "";
    if (!is_judged(c))
        say(out, "Flows", TONE_NONE, arena_printf(a, "Of %s flow%s the capture alone shows: %s.%s", total,
                                                  count_at(flows, "total") == 1 ? "" : "s",
                                                  observed_text(a, c->analyze), looked));
    else if (fault)
        say(out, "Flows", TONE_NONE, arena_printf(a, "%s of %s flows do not work as they should, by the model%s.%s",
                                                  count_text(a, fault), total, asymmetric, looked));
    else
        say(out, "Flows", TONE_NONE, arena_printf(a, "None of %s flows is at fault, by the model%s.%s", total,
                                                  asymmetric, looked));
}

/* The state is the worst thing that is known. */
static void judge(const struct view *v, const struct configuration *c, struct conclusion *out) {
    long long fault = findings_count(c->analyze, FINDING_FAULT, "model", NULL);
    long long bent = findings_count(c->analyze, FINDING_ASYMMETRY, NULL, NULL);
    out->state = "Sound";
    out->tone = TONE_GOOD;
    if (findings_count(c->analyze, FINDING_FAULT, NULL, NULL)) {
        out->state = "Faults";
        out->tone = TONE_BAD;
    } else if (!is_judged(c)) {
        out->state = c->analyze ? "Capture only" : "Not analysed";
        out->tone = TONE_NONE;
    } else if (count_at(c->analyze, "flows.drift")) {
        out->state = "Drift";
        out->tone = TONE_WARN;
    } else if (*reach_changes(v, c, REACH_LOST)) {
        out->state = "Reaches less";
        out->tone = TONE_WARN;
    } else if (bent) {
        out->state = "Asymmetric";
        out->tone = TONE_INFO;
    }
    if (c->analyze)
        say_flows(v->arena, c, fault, bent, out);
}

/* What was not looked at, and so is in no figure. */
static void say_partial(struct arena *a, const struct configuration *c, struct conclusion *out) {
    const char *damage = text_at(c->analyze, "damage");
    long long evicted = count_at(c->analyze, "flows.evicted"), lost = 0;
    if (*damage)
        say(out, "Damaged", TONE_WARN,
            arena_printf(a, "The figures cover what could be read: %s", sentence(a, damage)));
    else if (true_at(c->analyze, "partial"))
        say(out, "Partial", TONE_WARN, "The reading was interrupted: the figures cover what came before.");
    if (true_at(c->replay, "partial"))
        say(out, "Partial", TONE_WARN, "The input was cut, damaged or interrupted: the figures cover a part of it.");
    size_t i;
    json_t *one;
    json_array_foreach(value_at(c->analyze, "packets.interfaces"), i, one)
        lost += count_at(one, "dropped");
    if (lost)
        say(out, "Not caught", TONE_WARN, arena_printf(a, "%s packets were dropped by the capturing system.",
                                                       count_text(a, lost)));
    if (evicted)
        say(out, "Evicted", TONE_WARN,
            arena_printf(a, "%s of %s flows made room for others before the end (--memory): what went on later counts "
                         "as another flow, and no mend is called proved.", count_text(a, evicted),
                         count_text(a, count_at(c->analyze, "flows.total"))));
}

void conclude(const struct view *v, const struct configuration *c, unsigned limit, struct conclusion *out) {
    struct arena *a = v->arena;
    *out = (struct conclusion){0};
    judge(v, c, out);
    say_partial(a, c, out);
    say_asked(a, c->analyze, out);
    say_findings(a, c, limit, out);
    size_t first = out->lines.n;
    say_drift(a, c->analyze, out);
    say_reach(v, c, out);
    say_complaints(a, c->analyze, out);
    say_hidden(a, c->analyze, out);
    apart(out, first);
    first = out->lines.n;
    say_drops(a, value_at(c->analyze ? c->analyze : c->replay, "packets"), out);
    say_cost(a, c, out);
    if (json_is_false(value_at(c->replay, "generator.valid")))
        say(out, "Invalid", TONE_BAD, "The generator was late: this trial's figures do not count.");
    apart(out, first);
}

void conclusion_fini(struct conclusion *c) {
    vec_free(&c->lines);
}
