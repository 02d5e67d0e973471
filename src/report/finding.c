/* SPDX-License-Identifier: BSD-3-Clause */
/* Sorting findings, and sentences for them. */
#include <stdlib.h>
#include <string.h>
#include "finding.h"

#define ARROW "\xe2\x86\x92"
#define BOTH_WAYS "\xe2\x86\x94"

enum finding_kind finding_kind(const json_t *finding) {
    const char *verdict = text_at(finding, "verdict"), *source = text_at(finding, "source");
    const json_t *benign = value_at(finding, "benign");
    if (json_is_boolean(benign) ? json_is_false(benign) : !verdict_harmless(verdict))
        return !strcmp(source, "observed") ? FINDING_SEEN : FINDING_FAULT;
    return !strcmp(source, "model") && !strcmp(verdict, "asym_benign") ? FINDING_ASYMMETRY : FINDING_HARMLESS;
}

long long findings_count(const json_t *analyze, enum finding_kind kind, const char *source, const char *verdict) {
    long long n = 0;
    size_t i;
    json_t *f;
    json_array_foreach(value_at(analyze, "findings"), i, f)
        if (finding_kind(f) == kind && (!source || !strcmp(text_at(f, "source"), source)) &&
            (!verdict || !strcmp(text_at(f, "verdict"), verdict)))
            n += count_at(f, "count");
    return n;
}

static bool equal_at(const json_t *a, const json_t *b, const char *path) {
    return json_equal((json_t *)value_at(a, path), (json_t *)value_at(b, path));
}

/* Without a mend, or without a route to blame, the reason has to be the same, too. */
bool same_cause(const json_t *a, const json_t *b) {
    if (!json_is_object(value_at(a, "cause")) || !equal_at(a, b, "cause"))
        return false;
    if (!json_is_object(value_at(a, "mend")) || !json_is_object(value_at(a, "cause.route")))
        return json_is_object(value_at(a, "mend")) == json_is_object(value_at(b, "mend")) &&
               !strcmp(text_at(a, "reason"), text_at(b, "reason"));
    return equal_at(a, b, "mend.node") && equal_at(a, b, "mend.change") && equal_at(a, b, "mend.route");
}

static int compare_faults(const void *a, const void *b) {
    const struct fault *x = a, *y = b;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : (x->count < y->count) - (x->count > y->count);
}

void faults_collect(const json_t *analyze, struct faults *out) {
    size_t i;
    json_t *f;
    *out = (struct faults){0};
    json_array_foreach(value_at(analyze, "findings"), i, f) {
        enum finding_kind kind = finding_kind(f);
        size_t k = 0;
        if (kind == FINDING_HARMLESS)
            continue;
        while (k < out->n && (out->v[k].kind != kind || !same_cause(out->v[k].finding, f)))
            k++;
        if (k == out->n)
            vec_push(out, (struct fault){.finding = f, .kind = kind});
        out->v[k].count += count_at(f, "count");
    }
    if (out->n)
        qsort(out->v, out->n, sizeof *out->v, compare_faults);
}

const char *sentence(struct arena *a, const char *text) {
    size_t n = strlen(text);
    return !n || strchr(".!?", text[n - 1]) ? text : arena_printf(a, "%s.", text);
}

const char *finding_what(struct arena *a, const json_t *finding) {
    const char *text = text_at(finding, "text");
    return sentence(a, *text ? text : verdict_label(text_at(finding, "verdict")));
}

const char *finding_cause(struct arena *a, const json_t *finding) {
    const char *node = text_at(finding, "cause.node"), *route = route_text(a, value_at(finding, "cause.route"));
    const char *reason = text_at(finding, "reason");
    if (*node && *route)
        return arena_printf(a, "On %s the route %s wins.", node, route);
    if (*text_at(finding, "text"))
        return ""; /* it has said where and why */
    return *node ? arena_printf(a, *reason ? "At %s: %s." : "At %s%s.", node, reason) : sentence(a, reason);
}

const char *mend_state(const json_t *finding, enum tone *tone) {
    const json_t *mend = value_at(finding, "mend");
    bool proven = true_at(mend, "proven"), refused = *text_at(mend, "refused");
    *tone = !json_is_object(mend) ? TONE_NONE : proven && !refused ? TONE_GOOD : TONE_WARN;
    return *tone == TONE_NONE ? "" : refused ? "refused" : proven ? "proved" : "not proved";
}

const char *finding_mend(struct arena *a, const json_t *finding) {
    const json_t *mend = value_at(finding, "mend");
    const char *refused = text_at(mend, "refused"), *text = text_at(mend, "text");
    if (!json_is_object(mend))
        return sentence(a, text_at(finding, "hint"));
    if (!*text) {
        const char *old = route_text(a, value_at(mend, "old"));
        text = arena_printf(a, "%s %s%s%s on %s", text_at(mend, "change"), route_text(a, value_at(mend, "route")),
                            *old ? " in place of " : "", old, text_at(mend, "node"));
    }
    if (*refused)
        return sentence(a, arena_printf(a, "Refused: %s; %s", text, refused));
    return sentence(a, arena_printf(a, true_at(mend, "proven") ? "Proved on the whole trace: %s"
                                       : "Not proved, for flows were evicted or the input was cut: %s", text));
}

/* The node with this address; the address itself when nobody has it. */
static const char *name_of(const json_t *analyze, const char *address) {
    size_t i, k;
    json_t *node, *have;
    json_array_foreach(value_at(analyze, "topology.nodes"), i, node)
        json_array_foreach(value_at(node, "addresses"), k, have)
            if (json_is_string(have) && !strcmp(json_string_value(have), address))
                return text_at(node, "name");
    return address;
}

const char *finding_flows(struct arena *a, const json_t *analyze, const json_t *finding, long long count) {
    const char *flow = flow_text(a, value_at(finding, "flow"));
    if (!strcmp(text_at(finding, "source"), "dhcp")) /* is about an address, not about flows */
        return "";
    const char *src = text_at(finding, "flow.src"), *dst = text_at(finding, "flow.dst");
    const char *from = name_of(analyze, src), *to = name_of(analyze, dst);
    const char *n = arena_printf(a, "%s %s", count_text(a, count), count == 1 ? "flow" : "flows");
    if (!*flow)
        return n;
    if (from != src || to != dst)
        flow = arena_printf(a, "%s %s %s (%s)", from, finding_kind(finding) == FINDING_ASYMMETRY ? BOTH_WAYS : ARROW,
                            to, flow);
    return arena_printf(a, count == 1 ? "%s, %s" : "%s such as %s", n, flow);
}

const char *finding_frames(struct arena *a, const json_t *finding, size_t limit) {
    const json_t *list = value_at(finding, "frames");
    const char *text = "";
    size_t i, n = json_array_size(list);
    json_t *frame;
    json_array_foreach(list, i, frame) {
        if (i == limit)
            return arena_printf(a, "%s and %zu more", text, n - limit);
        const char *sep = i ? ", " : "";
        text = json_is_string(frame) ? arena_printf(a, "%s%s%s", text, sep, json_string_value(frame))
                                     : arena_printf(a, "%s%s%lld", text, sep, json_integer_value(frame));
    }
    return text;
}
