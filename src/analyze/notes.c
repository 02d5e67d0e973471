/* SPDX-License-Identifier: BSD-3-Clause */
/* Findings that are about no verdict on a flow; the faults of a scenario that was loaded all the same. */
#include <stdio.h>
#include <string.h>
#include "analyze.h"

void note_add(struct analysis *a, const struct note *n, uint64_t frame) {
    size_t i = 0;
    while (i < a->notes.n && (strcmp(a->notes.v[i].verdict, n->verdict) || strcmp(a->notes.v[i].text, n->text)))
        i++;
    if (i == a->notes.n)
        vec_push(&a->notes, *n);
    struct note *have = &a->notes.v[i];
    have->count += !n->count;
    if (frame && have->n_frames < FLOW_FRAMES)
        have->frames[have->n_frames++] = frame;
}

static bool concerns(const struct complaint *c, const struct flow_key *k) {
    struct ip src = flow_key_src(k), dst = flow_key_dst(k);
    return c->about.addr.family && (prefix_contains(&c->about, &src) || prefix_contains(&c->about, &dst));
}

void analysis_faults(struct analysis *a, const struct complaints *complaints) {
    for (size_t i = 0; i < complaints->list.n; i++) {
        const struct complaint *c = &complaints->list.v[i];
        struct note n = {.source = "scenario", .verdict = fault_name(c->fault)};
        if (c->fault == FAULT_NONE || c->severity != SEVERITY_ERROR)
            continue;
        snprintf(n.text, sizeof n.text, "%s (%s:%u)", c->what, c->at.file, c->at.line);
        snprintf(n.hint, sizeof n.hint, "%s", c->hint);
        for (uint32_t f = 0; f < a->flows.n; f++) {
            const struct flow *flow = &a->flows.v[f];
            if (!flow->used || !concerns(c, &flow->key))
                continue;
            if (!n.count++) {
                n.has_flow = true;
                n.flow = flow->key;
                n.n_frames = flow->n_frames;
                memcpy(n.frames, flow->frames, sizeof n.frames);
            }
        }
        vec_push(&a->notes, n);
    }
}
