/* SPDX-License-Identifier: BSD-3-Clause */
/* Sorting findings, and sentences for them. */
#include <ctype.h>
#include <math.h>
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
    return same_mend(a, b);
}

bool same_mend(const json_t *a, const json_t *b) {
    return json_is_object(value_at(a, "mend")) && equal_at(a, b, "mend.node") && equal_at(a, b, "mend.change") &&
           equal_at(a, b, "mend.route");
}

static bool is_note(const json_t *finding) {
    const char *source = text_at(finding, "source");
    return !strcmp(source, "dhcp") || !strcmp(source, "scenario");
}

bool notes_alike(const json_t *a, const json_t *b) {
    return is_note(a) && equal_at(a, b, "source") && equal_at(a, b, "verdict") && equal_at(a, b, "hint");
}

static int compare_faults(const void *a, const void *b) {
    const struct fault *x = a, *y = b;
    if (x->kind != y->kind)
        return (int)x->kind - (int)y->kind;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count)
                                : (x->packets < y->packets) - (x->packets > y->packets);
}

static void fault_add(struct fault *f, const json_t *finding) {
    const json_t *since = value_at(finding, "since");
    f->count += count_at(finding, "count");
    f->packets += count_at(finding, "packets");
    f->first = fmin(f->first, number_or_nan(since ? since : value_at(finding, "first")));
    f->last = fmax(f->last, number_or_nan(value_at(finding, "last")));
    if (is_note(finding) && f->n_alike++ < FAULT_EXAMPLES)
        f->alike[f->n_alike - 1] = finding;
}

static struct fault fault_new(const json_t *finding, enum finding_kind kind) {
    return (struct fault){.finding = finding, .kind = kind, .first = NAN, .last = NAN};
}

struct fault fault_of(const json_t *finding) {
    struct fault f = fault_new(finding, finding_kind(finding));
    fault_add(&f, finding);
    return f;
}

static bool is_bent(const json_t *finding) {
    const char *verdict = text_at(finding, "verdict");
    return !strcmp(verdict, "iface_asym") || !strcmp(verdict, "nexthop_asym");
}

void faults_collect(const json_t *analyze, struct faults *out) {
    const bool judged = json_is_object(value_at(analyze, "scenario"));
    size_t i;
    json_t *f;
    *out = (struct faults){0};
    json_array_foreach(value_at(analyze, "findings"), i, f) {
        enum finding_kind kind = finding_kind(f);
        size_t k = 0;
        if (kind == FINDING_HARMLESS && !judged && is_bent(f))
            kind = FINDING_ASYMMETRY;
        if (kind == FINDING_HARMLESS)
            continue;
        while (k < out->n && (out->v[k].kind != kind ||
                              !(same_cause(out->v[k].finding, f) || notes_alike(out->v[k].finding, f))))
            k++;
        if (k == out->n)
            vec_push(out, fault_new(f, kind));
        fault_add(&out->v[k], f);
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

const char *fault_what(struct arena *a, const struct fault *f) {
    const char *out = finding_what(a, f->finding);
    if (f->n_alike > 1)
        out = text_at(f->finding, "text");
    for (unsigned i = 1; i < f->n_alike && i < FAULT_EXAMPLES; i++)
        out = arena_printf(a, "%s; %s", out, text_at(f->alike[i], "text"));
    if (f->n_alike > FAULT_EXAMPLES)
        out = arena_printf(a, "%s; and %s more (%s)", out, count_text(a, f->n_alike - FAULT_EXAMPLES),
                           verdict_label(text_at(f->finding, "verdict")));
    return sentence(a, out);
}

const char *fault_since(struct arena *a, const json_t *analyze, const struct fault *f) {
    const char *epoch = text_at(analyze, value_at(f->finding, "since") ? "points.epoch_ns" : "epoch_ns");
    const char *frame = finding_frames(a, f->finding, 1), *comma = strstr(frame, " and ");
    if (comma)
        frame = arena_printf(a, "%.*s", (int)(comma - frame), frame);
    if (isnan(f->first))
        return *frame ? arena_printf(a, "Frame %s.", frame) : "";
    const char *out = arena_printf(a, "%s (%s%s%s)", moment_text(a, epoch, f->first), offset_text(a, f->first),
                                   *frame ? ", frame " : "", frame);
    if (f->last > f->first)
        out = arena_printf(a, "%s until %s", out, offset_text(a, f->last));
    return f->packets ? arena_printf(a, "%s: %s %s.", out, count_text(a, f->packets),
                                     f->packets == 1 ? "packet" : "packets")
                      : sentence(a, out);
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

/* May stand in a command line as it is: documents tell names that others chose. */
static bool is_plain(const char *word) {
    for (const char *c = word; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr(".:/_-@", *c))
            return false;
    return *word && *word != '-';
}

/* "10.0.0.0/24 via 10.0.0.1 dev NIC1 metric 256"; NULL: not in the words of ip-route(8). */
static const char *route_words(struct arena *a, const json_t *route) {
    const char *prefix = text_at(route, "prefix"), *via = text_at(route, "via"), *dev = text_at(route, "dev");
    if (!is_plain(prefix) || !is_plain(dev) || (*via && !is_plain(via)) || value_at(route, "kind"))
        return NULL;
    const char *out = arena_printf(a, "%s%s%s dev %s", prefix, *via ? " via " : "", via, dev);
    long long metric = count_at(route, "metric");
    return metric ? arena_printf(a, "%s metric %lld", out, metric) : out;
}

static bool is_machine(const json_t *analyze, const char *name) {
    size_t i;
    json_t *node;
    json_array_foreach(value_at(analyze, "topology.nodes"), i, node)
        if (!strcmp(text_at(node, "name"), name))
            return !strcmp(text_at(node, "kind"), "machine");
    return false;
}

const char *finding_command(struct arena *a, const json_t *analyze, const json_t *finding) {
    const json_t *mend = value_at(finding, "mend");
    const char *node = text_at(mend, "node"), *change = text_at(mend, "change");
    const char *route = route_words(a, value_at(mend, "route")), *old = route_words(a, value_at(mend, "old"));
    bool v6 = strchr(text_at(mend, "route.prefix"), ':'), replace = !strcmp(change, "replace");
    const char *ip = v6 ? "ip -6 route" : "ip route";
    if (*text_at(mend, "refused") || !route || !is_machine(analyze, node) || (replace && !old))
        return "";
    const json_t *to = value_at(mend, "route"), *from = value_at(mend, "old");
    if (replace && equal_at(to, from, "prefix") && count_at(to, "metric") == count_at(from, "metric"))
        return arena_printf(a, "on %s: %s replace %s", node, ip, route);
    if (replace)
        return arena_printf(a, "on %s: %s add %s && %s del %s", node, ip, route, ip, old);
    if (!strcmp(change, "add") || !strcmp(change, "remove"))
        return arena_printf(a, "on %s: %s %s %s", node, ip, *change == 'a' ? "add" : "del", route);
    return "";
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

const char *finding_hosts(struct arena *a, const json_t *analyze, const json_t *finding, size_t limit) {
    const json_t *list = value_at(finding, "hosts");
    const char *text = "";
    size_t i, n = json_array_size(list);
    json_t *host;
    if (n < 2)
        return "";
    json_array_foreach(list, i, host) {
        if (i == limit)
            break;
        const long long flows = count_at(host, "flows");
        text = arena_printf(a, "%s%s%s (%s %s)", text, i ? ", " : "", name_of(analyze, text_at(host, "addr")),
                            count_text(a, flows), flows == 1 ? "flow" : "flows");
    }
    return n > limit || json_is_true(value_at(finding, "hosts_more")) ? arena_printf(a, "%s, and others", text) : text;
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
