/* SPDX-License-Identifier: BSD-3-Clause */
/* Sentences from findings, drops and figures. */
#include <stdlib.h>
#include <string.h>
#include "conclude.h"

bool finding_accuses(const json_t *finding)
{
    const json_t *benign = value_at(finding, "benign");
    return json_is_boolean(benign) ? json_is_false(benign) : !verdict_harmless(text_at(finding, "verdict"));
}

long long flows_at_fault(const json_t *analyze)
{
    static const char *const faults[] = {"asym_possible", "asym_breaks", "no_return_route", "rpf_drop", "dropped"};
    long long n = 0;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        n += count_at(value_at(analyze, "flows.model"), faults[i]);
    return n;
}

/* Ends a text with a full stop unless it has an end of its own. */
static const char *sentence(struct arena *a, const char *text)
{
    size_t n = strlen(text);
    return !n || strchr(".!?", text[n - 1]) ? text : arena_printf(a, "%s.", text);
}

const char *finding_fault(struct arena *a, const json_t *finding)
{
    const char *text = text_at(finding, "text");
    if (*text)
        return sentence(a, text);
    return arena_printf(a, "%s: %s.", flow_text(a, value_at(finding, "flow")),
                        verdict_label(text_at(finding, "verdict")));
}

const char *finding_cause(struct arena *a, const json_t *finding)
{
    const char *node = text_at(finding, "cause.node"), *route = route_text(a, value_at(finding, "cause.route"));
    const char *reason = text_at(finding, "reason");
    if (*node && *route)
        return arena_printf(a, "On %s the route %s wins.", node, route);
    if (*node)
        return arena_printf(a, *reason ? "At %s: %s." : "At %s%s.", node, reason);
    return *reason ? arena_printf(a, "%s.", reason) : "";
}

const char *mend_state(const json_t *finding, enum tone *tone)
{
    const json_t *mend = value_at(finding, "mend");
    *tone = TONE_NONE;
    if (!json_is_object(mend))
        return "";
    if (*text_at(mend, "refused")) {
        *tone = TONE_BAD;
        return "refused";
    }
    *tone = true_at(mend, "proven") ? TONE_GOOD : TONE_WARN;
    return *tone == TONE_GOOD ? "proved" : "not proved";
}

const char *finding_mend(struct arena *a, const json_t *finding)
{
    const json_t *mend = value_at(finding, "mend");
    const char *refused = text_at(mend, "refused"), *text = sentence(a, text_at(mend, "text"));
    if (!json_is_object(mend))
        return "";
    if (!*text) {
        const char *old = route_text(a, value_at(mend, "old"));
        text = arena_printf(a, "On %s, %s %s%s%s.", text_at(mend, "node"), text_at(mend, "change"),
                            route_text(a, value_at(mend, "route")), *old ? " in place of " : "", old);
    }
    if (*refused)
        return arena_printf(a, "%s Refused: %s", text, sentence(a, refused));
    if (true_at(mend, "proven"))
        return arena_printf(a, "%s Proved on the whole trace: it mends every flow of this cause and breaks none.",
                            text);
    return arena_printf(a, "%s Not proved: flows were evicted or the input was cut.", text);
}

struct reason {
    const char *name;
    long long count;
};

static int compare_reasons(const void *a, const void *b)
{
    const struct reason *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count) : strcmp(x->name, y->name);
}

const char *reasons_text(struct arena *a, const json_t *counts)
{
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

static void say(struct conclusion *out, const char *label, enum tone tone, const char *text)
{
    if (*text)
        vec_push(&out->lines, (struct line){label, text, tone});
}

/* Findings with one cause and one mend are one fault, told once. */
struct fault {
    const json_t *finding; /* the first of them, from the model if there is one */
    long long model, observed, nat;
};
struct fault_list {
    struct fault *v;
    size_t n, cap;
};

static bool equal_at(const json_t *a, const json_t *b, const char *path)
{
    return json_equal((json_t *)value_at(a, path), (json_t *)value_at(b, path));
}

/* Without a mend, or without a route to blame, the reason has to be the same, too. */
static bool same_fault(const json_t *a, const json_t *b)
{
    if (!json_is_object(value_at(a, "cause")) || !equal_at(a, b, "cause"))
        return false;
    if (!json_is_object(value_at(a, "mend")) || !json_is_object(value_at(a, "cause.route")))
        return json_is_object(value_at(a, "mend")) == json_is_object(value_at(b, "mend")) &&
               !strcmp(text_at(a, "reason"), text_at(b, "reason"));
    return equal_at(a, b, "mend.node") && equal_at(a, b, "mend.change") && equal_at(a, b, "mend.route");
}

static void collect_faults(const json_t *findings, struct fault_list *out)
{
    size_t i;
    json_t *f;
    json_array_foreach(findings, i, f) {
        if (!finding_accuses(f))
            continue;
        size_t k = 0;
        while (k < out->n && !same_fault(out->v[k].finding, f))
            k++;
        if (k == out->n)
            vec_push(out, (struct fault){.finding = f});
        struct fault *fault = &out->v[k];
        const char *source = text_at(f, "source");
        *(!strcmp(source, "model") ? &fault->model : !strcmp(source, "nat") ? &fault->nat : &fault->observed) +=
            count_at(f, "count");
        if (!strcmp(source, "model") && strcmp(text_at(fault->finding, "source"), "model"))
            fault->finding = f;
    }
}

static long long fault_size(const struct fault *f)
{
    return f->model > f->observed ? (f->model > f->nat ? f->model : f->nat)
                                  : (f->observed > f->nat ? f->observed : f->nat);
}

static int compare_faults(const void *a, const void *b)
{
    const struct fault *x = a, *y = b;
    long long n = fault_size(x), m = fault_size(y);
    return (n < m) - (n > m);
}

static const char *fault_counts(struct arena *a, const struct fault *f)
{
    const struct { long long n; const char *how; } parts[] = {
        {f->model, "by the model"}, {f->observed, "as captured"}, {f->nat, "between the capture points"}};
    const char *out = "";
    for (size_t i = 0; i < 3; i++)
        if (parts[i].n)
            out = arena_printf(a, "%s%s%s %s", out, *out ? ", " : "", count_text(a, parts[i].n), parts[i].how);
    return *out ? arena_printf(a, " Flows: %s.", out) : "";
}

static void say_faults(struct arena *a, const json_t *analyze, unsigned limit, struct conclusion *out)
{
    struct fault_list faults = {0};
    collect_faults(value_at(analyze, "findings"), &faults);
    if (faults.n)
        qsort(faults.v, faults.n, sizeof *faults.v, compare_faults);
    size_t told = limit && faults.n > limit ? limit : faults.n;
    for (size_t i = 0; i < told; i++) {
        const json_t *f = faults.v[i].finding;
        enum tone tone;
        mend_state(f, &tone);
        say(out, "Fault", TONE_BAD,
            arena_printf(a, "%s%s", finding_fault(a, f), fault_counts(a, &faults.v[i])));
        say(out, "Cause", TONE_NONE, finding_cause(a, f));
        say(out, "Mend", tone, finding_mend(a, f));
    }
    if (told < faults.n)
        say(out, "More", TONE_NONE, arena_printf(a, "%zu smaller faults are listed under Findings.", faults.n - told));
    vec_free(&faults);
}

static void say_drops(struct arena *a, const json_t *packets, struct conclusion *out)
{
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

static void say_hidden(struct arena *a, const json_t *analyze, struct conclusion *out)
{
    size_t i;
    json_t *h;
    json_array_foreach(value_at(analyze, "hidden_routes"), i, h)
        say(out, "Hidden", TONE_WARN,
            arena_printf(a, "On %s the route %s never takes effect: %s wins.", text_at(h, "node"),
                         route_text(a, value_at(h, "route")), route_text(a, value_at(h, "hidden_by"))));
}

static void say_cost(struct arena *a, const struct configuration *c, struct conclusion *out)
{
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

/* The state is the worst thing that the lines say. */
static void judge(struct arena *a, const struct configuration *c, struct conclusion *out)
{
    const json_t *flows = value_at(c->analyze, "flows");
    long long total = count_at(flows, "total"), faulty = flows_at_fault(c->analyze);
    bool accused = false;
    size_t i;
    json_t *f;
    json_array_foreach(value_at(c->analyze, "findings"), i, f)
        accused |= finding_accuses(f);
    if (!c->analyze) {
        out->state = "Not analysed";
        return;
    }
    out->state = accused || faulty ? "Faults" : "Sound";
    out->tone = accused || faulty ? TONE_BAD : TONE_GOOD;
    if (faulty)
        say(out, "Flows", TONE_NONE, arena_printf(a, "%s of %s flows do not work as they should, by the model.",
                                                  count_text(a, faulty), count_text(a, total)));
    else
        say(out, "Flows", TONE_NONE,
            arena_printf(a, "By the model no flow of %s is at fault; %s are symmetric, %s differ harmlessly.",
                         count_text(a, total), count_text(a, count_at(flows, "model.symmetric")),
                         count_text(a, count_at(flows, "model.asym_benign"))));
}

void conclude(const struct view *v, const struct configuration *c, unsigned faults, struct conclusion *out)
{
    struct arena *a = v->arena;
    *out = (struct conclusion){0};
    judge(a, c, out);
    say_faults(a, c->analyze, faults, out);
    if (true_at(c->analyze, "partial") || true_at(c->replay, "partial"))
        say(out, "Partial", TONE_WARN, "The input was cut, damaged or interrupted: the figures cover a part of it.");
    say_drops(a, value_at(c->analyze ? c->analyze : c->replay, "packets"), out);
    say_hidden(a, c->analyze, out);
    say_cost(a, c, out);
    if (json_is_false(value_at(c->replay, "generator.valid")))
        say(out, "Invalid", TONE_BAD, "The generator was late: this trial's figures do not count.");
}

void conclusion_fini(struct conclusion *c)
{
    vec_free(&c->lines);
}
