/* SPDX-License-Identifier: BSD-3-Clause */
#include "notes.h"
#include <stdlib.h>

/* Reservoir sampling: after n packets each of them is in the sample with the same probability. */
void notes_drop(struct notes *n, const struct trial_note *note) {
    uint64_t seen = n->reasons[note->reason].n++;
    if (seen == 0)
        n->reasons[note->reason].first = *note;
    n->reasons[note->reason].last = *note;
    uint64_t place = seen < NOTES_SAMPLE ? seen : random_u64(&n->random) % (seen + 1);
    if (place < NOTES_SAMPLE)
        n->reasons[note->reason].sample[place] = *note;
}

static void swap(struct trial_note *a, struct trial_note *b) {
    struct trial_note t = *a;
    *a = *b;
    *b = t;
}

void notes_slow_add(struct notes *n, const struct trial_note *note) {
    struct trial_note *h = n->slow;
    unsigned i;
    if (!notes_is_slow(n, note->latency_ns))
        return;
    if (n->n_slow < NOTES_SLOW) {
        h[i = n->n_slow++] = *note;
        for (; i && h[i].latency_ns < h[(i - 1) / 2].latency_ns; i = (i - 1) / 2)
            swap(&h[i], &h[(i - 1) / 2]);
        return;
    }
    h[i = 0] = *note;
    for (unsigned child; (child = 2 * i + 1) < NOTES_SLOW; i = child) {
        child += child + 1 < NOTES_SLOW && h[child + 1].latency_ns < h[child].latency_ns;
        if (h[i].latency_ns <= h[child].latency_ns)
            break;
        swap(&h[i], &h[child]);
    }
}

static bool same(const struct trial_note *a, const struct trial_note *b) {
    return a->step.packet == b->step.packet && a->step.copy == b->step.copy && a->step.lap == b->step.lap;
}

/* First, last, and at most `room` of the sample that are neither. */
static void collect_reason(struct notes *n, unsigned reason, unsigned room, struct trial_result *out) {
    const uint64_t seen = n->reasons[reason].n;
    struct trial_note *sample = n->reasons[reason].sample, *first = &n->reasons[reason].first,
                      *last = &n->reasons[reason].last;
    unsigned held = seen < NOTES_SAMPLE ? (unsigned)seen : NOTES_SAMPLE;
    out->notes[out->n_notes++] = *first;
    if (seen > 1)
        out->notes[out->n_notes++] = *last;
    for (unsigned i = 0; i < held && room; i++) {
        swap(&sample[i], &sample[i + random_below(&n->random, held - i)]);
        if (same(&sample[i], first) || same(&sample[i], last))
            continue;
        out->notes[out->n_notes++] = sample[i];
        room--;
    }
}

static int slowest_first(const void *a, const void *b) {
    uint64_t x = ((const struct trial_note *)a)->latency_ns, y = ((const struct trial_note *)b)->latency_ns;
    return x < y ? 1 : -(x > y);
}

void notes_collect(struct notes *core, struct notes *sink, struct trial_result *out) {
    unsigned reasons = 0, room;
    for (unsigned r = 0; r < DROP_COUNT; r++)
        reasons += core->reasons[r].n > 0;
    room = reasons ? (TRIAL_CAPTURE_MAX - NOTES_SLOW) / reasons - 2 : 0;
    static_assert((TRIAL_CAPTURE_MAX - NOTES_SLOW) / DROP_COUNT > 2, "first and last of each reason have room");
    for (unsigned r = 0; r < DROP_COUNT; r++)
        if (core->reasons[r].n)
            collect_reason(core, r, room, out);
    for (unsigned i = 0; i < core->n_slow; i++)
        notes_slow_add(sink, &core->slow[i]);
    qsort(sink->slow, sink->n_slow, sizeof *sink->slow, slowest_first);
    for (unsigned i = 0; i < sink->n_slow; i++)
        out->notes[out->n_notes++] = sink->slow[i];
}
