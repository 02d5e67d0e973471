/* SPDX-License-Identifier: BSD-3-Clause */
/* Traffic as a whole: options, the one of a preloaded trace, and its steps. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "traffic.h"

#define SIZE_MIN 64
#define SIZE_MAX_FRAME 2048

int traffic_check(const struct traffic_options *o, struct err *e) {
    if (!(o->churn >= 0 && o->churn <= 1))
        return err_set(e, -EINVAL, "a churn of %g; it is a share, from 0 to 1", o->churn);
    for (unsigned i = 0; i < o->n_sizes && i < TRAFFIC_SIZES_MAX; i++)
        if (o->sizes[i] < SIZE_MIN || o->sizes[i] > SIZE_MAX_FRAME)
            return err_set(e, -EINVAL, "frames of %u bytes; %d to %d are possible, FCS included", o->sizes[i], SIZE_MIN,
                           SIZE_MAX_FRAME);
    if (o->n_sizes > TRAFFIC_SIZES_MAX)
        return err_set(e, -EINVAL, "%u frame sizes; at most %d are used in turn", o->n_sizes, TRAFFIC_SIZES_MAX);
    size_t routes = 0;
    if (o->spread && o->table)
        route_table_routes(o->table, &routes);
    if (o->spread > routes)
        return err_set(e, -EINVAL, "responders on %u routes of a table of %zu", o->spread, routes);
    return 0;
}

static int refuse_sizes(const char *text, struct err *e) {
    err_set(e, -EINVAL, "`%s` are no frame sizes", text);
    err_hint(e, "trace (as captured), imix (64 x 7, 570 x 4, 1518 x 1), or up to %d sizes in bytes with FCS, from "
                "%d to %d: 64,512,1518", TRAFFIC_SIZES_MAX, SIZE_MIN, SIZE_MAX_FRAME);
    return -EINVAL;
}

int traffic_sizes_parse(const char *text, struct traffic_options *o, struct err *e) {
    static const uint16_t imix[] = {64, 570, 64, 64, 570, 64, 1518, 64, 570, 64, 570, 64};
    struct traffic_options parsed = {0};
    if (!strcmp(text, "imix")) {
        memcpy(parsed.sizes, imix, sizeof imix);
        parsed.n_sizes = sizeof imix / sizeof *imix;
    } else if (strcmp(text, "trace")) {
        const char *at = text;
        for (char *end; parsed.n_sizes < TRAFFIC_SIZES_MAX; at = end + 1) {
            unsigned long size = *at >= '0' && *at <= '9' ? strtoul(at, &end, 10) : 0;
            if (size < SIZE_MIN || size > SIZE_MAX_FRAME || (*end && *end != ','))
                return refuse_sizes(text, e);
            parsed.sizes[parsed.n_sizes++] = (uint16_t)size;
            if (!*end)
                break;
            if (parsed.n_sizes == TRAFFIC_SIZES_MAX)
                return refuse_sizes(text, e);
        }
    }
    memcpy(o->sizes, parsed.sizes, sizeof o->sizes);
    o->n_sizes = parsed.n_sizes;
    return 0;
}

static struct traffic *create(const struct inject *in, const struct traffic_options *o, struct err *e) {
    uint32_t n = 0, n_flows = 0, *which = xalloc((in->arrived + 1) * sizeof *which);
    struct member *members = xalloc((in->n + 1) * sizeof *members);
    traffic_members(in, NULL, &n_flows, UINT32_MAX, members);
    for (uint32_t i = 0; i < in->n; i++)
        if (in->packets[i].kind == INJECT_ARRIVED)
            which[n++] = i;
    struct traffic_plan *plan = traffic_plan_create(in, members, which, n, n_flows, in->epoch_ns, o);
    struct traffic *t = &plan->traffic;
    free(members);
    free(which);
    if (traffic_vary(plan, in, e)) {
        traffic_destroy(t);
        return NULL;
    }
    if (o->spread)
        traffic_spread(plan);
    traffic_openings(plan);
    const uint64_t first = t->n ? t->packets[0].time_ns : 0;
    for (uint32_t i = 0; i < t->n; i++)
        t->packets[i].time_ns -= first;
    t->lap_ns = (t->n ? t->packets[t->n - 1].time_ns : 0) + LAP_GAP_NS;
    return t;
}

struct traffic *traffic_create(const struct inject *in, const struct traffic_options *o, struct err *e) {
    if (traffic_check(o, e))
        return NULL;
    struct traffic *t = create(in, o, e);
    if (!t || t->n)
        return t;
    if (t->left_out) {
        err_set(e, -ENODATA, "none of the %llu packets that arrive at the node can be sent in the wanted form",
                (unsigned long long)t->left_out);
        err_hint(e, "fragments, ICMP errors and packets without ports have no other frame sizes and begin no sessions");
    } else {
        err_set(e, -ENODATA, "no packet of the trace arrives at the node under test");
        err_hint(e, "is this the trace's scenario, and are its interfaces named by the NICs' `capture`?");
    }
    traffic_destroy(t);
    return NULL;
}

void traffic_destroy(struct traffic *t) {
    if (!t)
        return;
    struct traffic_plan *plan = t->owner;
    free(t->packets);
    free(plan->edits);
    free(plan->memory);
    free(plan->ports);
    free(plan->responders);
    free(plan);
}

void traffic_begin(struct traffic_cursor *c, const struct traffic *t) {
    *c = (struct traffic_cursor){.t = t};
}

/*
 * How often a slot was renewed before lap `lap` ended: it starts somewhere in 0..1, by its golden-ratio fraction, which
 * spreads neighbours evenly, and goes on by the churn in each lap; whole numbers are renewals.
 */
static inline uint32_t generation(const struct traffic_plan *plan, uint32_t slot, uint64_t lap) {
    uint32_t phase = slot * 2654435769u + (uint32_t)plan->traffic.options.seed;
    return (uint32_t)((lap * plan->churn + phase) >> 32);
}

void traffic_next(struct traffic_cursor *c, struct traffic_step *out) {
    const struct traffic *t = c->t;
    const struct traffic_plan *plan = traffic_plan(t);
    const struct traffic_packet *p = &t->packets[c->packet];
    const struct edit *edit = &plan->edits[c->packet];
    const uint32_t slot = p->flow * t->copies + c->copy;
    *out = (struct traffic_step){.packet = c->packet, .copy = c->copy, .slot = slot, .lap = c->lap,
                                 .generation = c->copy || !edit->fixed ? generation(plan, slot, c->lap) : 0,
                                 .trace_ns = c->lap * t->lap_ns + p->time_ns, .opens = edit->opens};
    if (!p->reported && ++c->copy < t->copies)
        return;
    c->copy = 0;
    if (++c->packet == t->n) {
        c->packet = 0;
        c->lap++;
    }
}
