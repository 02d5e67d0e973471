/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of what stands beside the verdicts: another scenario, NAT's clients, a second capture point. */
#include "table.h"
#include "tables.h"

static const char *nat_text(const json_t *change, const char *path) {
    return true_at(change, path) ? ", NAT" : "";
}

static void changed_flows(struct arena *a, const json_t *what, struct out *o) {
    struct table t = {.arena = a, .caption = arena_printf(a, "Flows that another verdict awaits with %s",
                                                          text_at(what, "scenario.name"))};
    size_t i;
    json_t *x;
    TABLE_HEADS(&t, 3, "Now", "Then", "Works", "Flows", "Packets", "Bytes");
    table_column(&t, false, "For example");
    json_array_foreach(value_at(what, "flows.changed"), i, x) {
        bool before = true_at(x, "works_before"), after = true_at(x, "works_after");
        table_cell(&t, TONE_NONE, "%s%s", verdict_label(text_at(x, "from")), nat_text(x, "translated_before"));
        table_cell(&t, TONE_NONE, "%s%s", verdict_label(text_at(x, "to")), nat_text(x, "translated_after"));
        table_cell(&t, before == after ? TONE_NONE : after ? TONE_GOOD : TONE_BAD, "%s",
                   before == after ? (after ? "as before" : "not, as before") : after ? "mended" : "broken");
        table_count(&t, TONE_NONE, count_at(x, "count"));
        table_count(&t, TONE_NONE, count_at(x, "packets"));
        table_count(&t, TONE_NONE, count_at(x, "bytes"));
        table_text(&t, TONE_NONE, flow_text(a, value_at(x, "flow")));
        if (*text_at(x, "text"))
            table_title(&t, "%s", text_at(x, "text"));
    }
    table_emit(&t, o);
}

/* "forward by NIC1 via 10.0.0.1, translated", "drop: no-route", "deliver" */
static const char *outcome_text(struct arena *a, const json_t *outcome) {
    const char *reason = text_at(outcome, "reason"), *port = text_at(outcome, "out"), *via = text_at(outcome, "via");
    return arena_printf(a, "%s%s%s%s%s%s%s%s", text_at(outcome, "verdict"), *reason ? ": " : "", reason,
                        *port ? " by " : "", port, *via ? " via " : "", via,
                        true_at(outcome, "translated") ? ", translated" : "");
}

static void changed_packets(struct arena *a, const json_t *what, struct out *o) {
    struct table t = {.arena = a, .caption = arena_printf(a, "Packets of which something else becomes with %s",
                                                          text_at(what, "scenario.name"))};
    size_t i;
    json_t *x;
    TABLE_HEADS(&t, 2, "Now", "Then", "Packets", "Bytes");
    json_array_foreach(value_at(what, "packets.changed"), i, x) {
        table_cell(&t, TONE_NONE, "%s", outcome_text(a, value_at(x, "from")));
        table_cell(&t, TONE_NONE, "%s%s", outcome_text(a, value_at(x, "to")),
                   true_at(x, "readdressed") ? ", other addresses" : "");
        table_count(&t, TONE_NONE, count_at(x, "count"));
        table_count(&t, TONE_NONE, count_at(x, "bytes"));
    }
    table_emit(&t, o);
}

void table_what_if(const struct view *v, struct out *o) {
    for (size_t i = 0; i < v->list.n; i++) {
        const json_t *what = value_at(v->list.v[i].analyze, "what_if");
        changed_flows(v->arena, what, o);
        changed_packets(v->arena, what, o);
    }
}

void table_clients(const struct view *v, struct out *o) {
    for (size_t i = 0; i < v->list.n; i++) {
        const struct configuration *c = &v->list.v[i];
        struct table t = {.arena = v->arena, .caption = arena_printf(v->arena, "Most of the NAT of %s, by client",
                                                                     c->name)};
        size_t k;
        json_t *x;
        TABLE_HEADS(&t, 1, "Client", "Sessions, peak", "At", "Outside ports, peak", "Packets refused");
        json_array_foreach(value_at(c->analyze, "nat.use.clients"), k, x) {
            table_cell(&t, TONE_NONE, "%s", text_at(x, "client"));
            table_count(&t, TONE_NONE, count_at(x, "sessions_peak"));
            table_cell(&t, TONE_NONE, "%s", offset_text(v->arena, number_at(x, "peak_at_ns")));
            table_count(&t, TONE_NONE, count_at(x, "ports_peak"));
            table_count(&t, TONE_BAD, count_at(x, "refused"));
        }
        table_emit(&t, o);
    }
}

void table_points(const struct view *v, const struct configuration *c, size_t limit, struct out *o) {
    const json_t *list = value_at(c->analyze, "points.pairs");
    size_t n = json_array_size(list), i;
    struct table t = {.arena = v->arena, .caption = "Flows on both sides of the NAT, and how "
                      "many of their packets the checksum proves"};
    bool judged = false;
    json_t *x;
    if (limit && n > limit)
        t.caption = arena_printf(v->arena, "%s: %zu of %zu", t.caption, limit, n);
    TABLE_HEADS(&t, 3, text_at(c->analyze, "points.inside"), text_at(c->analyze, "points.outside"), "Remote", "Since",
                "Proved");
    json_array_foreach(list, i, x)
        judged |= *text_at(x, "verdict") != 0;
    if (judged)
        table_column(&t, false, "Verdict");
    json_array_foreach(list, i, x) {
        if (limit && i == limit)
            break;
        table_cell(&t, TONE_NONE, "%s %s", text_at(x, "proto"), text_at(x, "inside"));
        table_text(&t, TONE_NONE, text_at(x, "outside"));
        table_text(&t, TONE_NONE, text_at(x, "remote"));
        table_cell(&t, TONE_NONE, "%s", offset_text(v->arena, number_at(x, "first")));
        table_cell(&t, TONE_NONE, "%s of %s", count_text(v->arena, count_at(x, "proved")),
                   count_text(v->arena, count_at(x, "packets")));
        if (judged)
            table_text(&t, TONE_BAD, verdict_label(text_at(x, "verdict")));
    }
    table_emit(&t, o);
}
