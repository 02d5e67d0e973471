/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of what was judged: flows, packets, drops, NAT, routes. */
#include <string.h>
#include "conclude.h"
#include "reach.h"
#include "table.h"
#include "tables.h"

#define DASH "\xe2\x80\x93"

static const json_t *packets_of(const struct configuration *c) {
    return value_at(c->analyze ? c->analyze : c->replay, "packets");
}

static const char *or_dash(const char *text) {
    return *text ? text : DASH;
}

static void table_judged(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "Flows at fault or asymmetric by the model; pairs of machines by "
                      "reach; packets dropped here, later"};
    static const char *const heads[] = {"State", "Flows", "Fault", "Asym.", "Direct", "NAT", "Not", "Drops", "Later"};
    long long first[REACH_KINDS] = {0};
    table_column(&t, false, "Configuration");
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        table_column(&t, i > 0, heads[i]);
    if (v->list.n)
        reach_count(&v->list.v[0], first);
    for (size_t i = 0; i < v->list.n; i++) {
        const struct configuration *c = &v->list.v[i];
        const json_t *packets = packets_of(c);
        long long pairs[REACH_KINDS] = {0};
        struct conclusion said;
        conclude(v, c, 0, &said);
        reach_count(c, pairs);
        table_cell(&t, TONE_NONE, "%s", c->name);
        table_cell(&t, said.tone, "%s", said.state);
        table_count(&t, TONE_NONE, count_at(c->analyze, "flows.total"));
        table_count(&t, TONE_BAD, findings_count(c->analyze, FINDING_FAULT, "model", NULL));
        table_count(&t, TONE_INFO, findings_count(c->analyze, FINDING_ASYMMETRY, "model", NULL));
        table_count(&t, TONE_NONE, pairs[REACH_DIRECT]);
        table_count(&t, TONE_NONE, pairs[REACH_NAT]);
        table_count(&t, pairs[REACH_NONE] > first[REACH_NONE] ? TONE_BAD : TONE_NONE, pairs[REACH_NONE]);
        table_count(&t, TONE_NONE, count_at(packets, "dropped.total"));
        table_count(&t, TONE_NONE, count_at(packets, "dropped_elsewhere.total"));
        conclusion_fini(&said);
    }
    table_emit(&t, o);
}

static void table_costs(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "Cost of a packet: TSC cycles (median), and their ratio to the "
                      "base's"};
    static const char *const heads[] = {"Configuration", "Cycles", "Ratio [95 %]", "Cost"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        table_column(&t, i == 1 || i == 2, heads[i]);
    for (size_t i = 0; i < v->list.n; i++) {
        const struct configuration *c = &v->list.v[i];
        const json_t *compared = comparison_of(c);
        const char *verdict = text_at(compared, "verdict");
        bool base = is_base(c);
        if (!c->replay)
            continue;
        table_cell(&t, TONE_NONE, "%s", c->name);
        table_cell(&t, TONE_NONE, "%.1f", number_at(c->replay, "cost.tsc_cycles.median"));
        table_cell(&t, TONE_NONE, "%s", base ? "base" : or_dash(ratio_text(v->arena, compared)));
        table_cell(&t, base ? TONE_NONE : ratio_tone(verdict), "%s", base ? DASH : or_dash(verdict));
    }
    table_emit(&t, o);
}

void table_comparison(const struct view *v, struct out *o) {
    table_judged(v, o);
    table_costs(v, o);
}

/* One row a figure; many configurations are turned into rows by emit_by_configuration. */
static struct table by_configuration(const struct view *v, const char *caption, const char *first) {
    struct table t = {.arena = v->arena, .caption = caption};
    table_column(&t, false, first);
    for (size_t i = 0; i < v->list.n; i++)
        table_column(&t, true, v->list.v[i].name);
    return t;
}

static void emit_by_configuration(const struct view *v, struct table *t, struct out *o) {
    if (v->list.n > 1)
        table_transpose(t, "Configuration");
    table_emit(t, o);
}

/* Has one of them something else than 0 there? */
static bool any_count(const struct view *v, const char *path) {
    for (size_t i = 0; i < v->list.n; i++)
        if (count_at(v->list.v[i].analyze, path))
            return true;
    return false;
}

void table_verdicts(const struct view *v, const char *group, const char *caption, struct out *o) {
    struct table t = by_configuration(v, caption, "Verdict");
    const char *path = arena_printf(v->arena, "flows.%s", group);
    for (const char *const *name = verdict_names(group); *name; name++) {
        long long sum = 0;
        for (size_t i = 0; i < v->list.n; i++)
            sum += count_at(value_at(v->list.v[i].analyze, path), *name);
        if (!sum)
            continue;
        table_cell(&t, TONE_NONE, "%s", verdict_label(*name));
        for (size_t i = 0; i < v->list.n; i++)
            table_count(&t, findings_count(v->list.v[i].analyze, FINDING_FAULT, group, *name) ? TONE_BAD : TONE_NONE,
                        count_at(value_at(v->list.v[i].analyze, path), *name));
    }
    emit_by_configuration(v, &t, o);
}

void table_drops(const struct view *v, const char *where, const char *caption, struct out *o) {
    struct table t = by_configuration(v, caption, "Reason");
    json_t *seen = json_object(); /* the union of all reasons, in the order of their turning up */
    const char *name;
    json_t *count;
    for (size_t i = 0; i < v->list.n; i++)
        json_object_foreach((json_t *)value_at(packets_of(&v->list.v[i]), where), name, count)
            if (strcmp(name, "total") && json_integer_value(count))
                json_object_set(seen, name, count);
    json_object_foreach(seen, name, count) {
        table_cell(&t, TONE_NONE, "%s", arena_strdup(v->arena, name));
        for (size_t i = 0; i < v->list.n; i++) {
            const json_t *reasons = value_at(packets_of(&v->list.v[i]), where);
            table_count(&t, TONE_NONE, json_integer_value(json_object_get(reasons, name)));
        }
    }
    json_decref(seen);
    emit_by_configuration(v, &t, o);
}

void table_packets(const struct view *v, struct out *o) {
    static const struct { const char *label, *path; bool always; } rows[] = {
        {"read", "read", true}, {"bytes", "bytes", false}, {"inside of tunnels, beside them", "inner", false},
        {"injected", "injected", true}, {"delivered", "delivered", true}, {"forwarded", "forwarded", true},
        {"dropped", "dropped.total", true}, {"own output seen again", "copies", false},
        {"malformed", "malformed", false}, {"ignored", "ignored.total", false},
        {"dropped by other nodes", "dropped_elsewhere.total", false}, {"sent on in fragments", "fragmented", false},
        {"ICMP errors sent", "icmp_errors.total", false}};
    struct table t = by_configuration(v, "Packets at the node under test", "Packets");
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        long long sum = 0;
        for (size_t i = 0; i < v->list.n; i++)
            sum += count_at(packets_of(&v->list.v[i]), rows[r].path);
        if (!sum && !rows[r].always)
            continue;
        table_cell(&t, TONE_NONE, "%s", rows[r].label);
        for (size_t i = 0; i < v->list.n; i++)
            table_count(&t, TONE_NONE, count_at(packets_of(&v->list.v[i]), rows[r].path));
    }
    emit_by_configuration(v, &t, o);
}

void table_nat(const struct view *v, struct out *o) {
    static const struct { const char *label, *path; } rows[] = {
        {"sessions at once, peak", "nat.sessions_peak"}, {"outside ports in use, peak", "nat.ports_peak"},
        {"outside ports available", "nat.ports_available"}, {"refused: no port or no room", "nat.exhausted"}};
    struct table t = by_configuration(v, "NAT at the node under test", "Figure");
    bool any = any_count(v, "nat.sessions_peak") || any_count(v, "nat.exhausted");
    for (size_t r = 0; any && r < sizeof rows / sizeof *rows; r++) {
        table_cell(&t, TONE_NONE, "%s", rows[r].label);
        for (size_t i = 0; i < v->list.n; i++)
            table_count(&t, r == 3 ? TONE_BAD : TONE_NONE, count_at(v->list.v[i].analyze, rows[r].path));
    }
    if (any)
        table_cell(&t, TONE_NONE, "mappings listed");
    for (size_t i = 0; any && i < v->list.n; i++)
        table_count(&t, TONE_NONE, (long long)json_array_size(value_at(v->list.v[i].analyze, "nat.pairs")));
    emit_by_configuration(v, &t, o);
}

void table_dhcp(const struct view *v, struct out *o) {
    static const struct { const char *label, *path; bool bad; } rows[] = {
        {"addresses asked for", "dhcp.messages.request", false}, {"addresses granted", "dhcp.messages.ack", false},
        {"refused by the server", "dhcp.messages.nak", false},
        {"declined by the client", "dhcp.messages.decline", true},
        {"given back", "dhcp.messages.release", false}, {"proofs of an address there twice", "dhcp.duplicates", true},
        {"messages forwarded", "dhcp.forwarded", true}};
    struct table t = by_configuration(v, "DHCP as captured", "Figure");
    bool any = any_count(v, "dhcp.messages.request");
    for (size_t r = 0; any && r < sizeof rows / sizeof *rows; r++) {
        table_cell(&t, TONE_NONE, "%s", rows[r].label);
        for (size_t i = 0; i < v->list.n; i++)
            table_count(&t, rows[r].bad ? TONE_BAD : TONE_NONE, count_at(v->list.v[i].analyze, rows[r].path));
    }
    emit_by_configuration(v, &t, o);
}

void table_pairs(const struct view *v, const struct configuration *c, size_t limit, struct out *o) {
    const json_t *pairs = value_at(c->analyze, "nat.pairs");
    size_t n = json_array_size(pairs), shown = limit && n > limit ? limit : n;
    struct table t = {.arena = v->arena, .caption = shown < n
        ? arena_printf(v->arena, "NAT mappings of %s: %zu of %zu", c->name, shown, n)
        : arena_printf(v->arena, "NAT mappings of %s", c->name)};
    table_column(&t, false, "Inside");
    table_column(&t, false, "Outside");
    table_column(&t, true, "From");
    table_column(&t, true, "Until");
    for (size_t i = 0; i < shown; i++) {
        const json_t *p = json_array_get(pairs, i);
        table_cell(&t, TONE_NONE, "%s", text_at(p, "inside"));
        table_cell(&t, TONE_NONE, "%s", text_at(p, "outside"));
        table_cell(&t, TONE_NONE, "%.3f s", number_at(p, "first") / 1e9);
        table_cell(&t, TONE_NONE, "%.3f s", number_at(p, "last") / 1e9);
    }
    table_emit(&t, o);
}

void table_tcp(const struct view *v, struct out *o) {
    static const struct { const char *label, *path; bool time; } rows[] = {
        {"handshakes", "tcp.handshakes", false}, {"round trip, median", "tcp.rtt_ns.p50", true},
        {"round trip, 99 %", "tcp.rtt_ns.p99", true}, {"retransmissions", "tcp.retransmissions", false},
        {"out of order", "tcp.out_of_order", false}};
    struct table t = by_configuration(v, "TCP as captured", "Figure");
    const bool any = any_count(v, "tcp.handshakes") || any_count(v, "tcp.retransmissions") ||
                     any_count(v, "tcp.out_of_order");
    for (size_t r = 0; any && r < sizeof rows / sizeof *rows; r++) {
        table_cell(&t, TONE_NONE, "%s", rows[r].label);
        for (size_t i = 0; i < v->list.n; i++) {
            const json_t *value = value_at(v->list.v[i].analyze, rows[r].path);
            if (rows[r].time && json_is_number(value))
                table_cell(&t, TONE_NONE, "%s", duration_text(v->arena, json_number_value(value)));
            else
                table_count(&t, TONE_NONE, json_integer_value(value));
        }
    }
    emit_by_configuration(v, &t, o);
}

bool table_hidden(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "Routes that never take effect"};
    static const char *const heads[] = {"Configuration", "Node", "Hidden", "By"};
    for (size_t i = 0; i < 4; i++)
        table_column(&t, false, heads[i]);
    for (size_t i = 0; i < v->list.n; i++) {
        size_t k;
        json_t *h;
        json_array_foreach(value_at(v->list.v[i].analyze, "hidden_routes"), k, h) {
            table_cell(&t, TONE_NONE, "%s", v->list.v[i].name);
            table_cell(&t, TONE_NONE, "%s", text_at(h, "node"));
            table_cell(&t, TONE_NONE, "%s", route_text(v->arena, value_at(h, "route")));
            table_cell(&t, TONE_NONE, "%s", route_text(v->arena, value_at(h, "hidden_by")));
        }
    }
    return table_emit(&t, o);
}

bool table_complaints(const struct view *v, struct out *o) {
    struct table t = {.arena = v->arena, .caption = "What was said about the scenarios when they were loaded"};
    static const char *const heads[] = {"Where", "Severity", "What", "What would be right"};
    for (size_t i = 0; i < 4; i++)
        table_column(&t, false, heads[i]);
    for (size_t i = 0; i < v->list.n; i++) {
        size_t k;
        json_t *c;
        json_array_foreach(value_at(v->list.v[i].analyze, "complaints"), k, c) {
            table_cell(&t, TONE_NONE, "%s:%lld", text_at(c, "file"), count_at(c, "line"));
            table_cell(&t, TONE_NONE, "%s", text_at(c, "severity"));
            table_cell(&t, TONE_NONE, "%s", text_at(c, "what"));
            table_cell(&t, TONE_NONE, "%s", or_dash(text_at(c, "hint")));
        }
    }
    return table_emit(&t, o);
}
