/* SPDX-License-Identifier: BSD-3-Clause */
/* What a reader should conclude about a configuration, in sentences: what is broken, by what, what mends it. */
#ifndef FWDLAB_REPORT_CONCLUDE_H
#define FWDLAB_REPORT_CONCLUDE_H

#include "table.h"
#include "view.h"

struct line {
    const char *label; /* "Fault", "Cause", "Mend", "Drops", ... */
    const char *text;
    enum tone tone;
};
struct conclusion {
    const char *state; /* one or two words */
    enum tone tone;
    VEC(struct line) lines;
};

/* At most `faults` faults are told one by one; 0: all. */
void conclude(const struct view *v, const struct configuration *c, unsigned faults, struct conclusion *out);
void conclusion_fini(struct conclusion *c);

/* Does a finding accuse somebody? */
bool finding_accuses(const json_t *finding);
/* Flows that the model says do not work, or not always. */
long long flows_at_fault(const json_t *analyze);

/* The parts of a finding as sentences; "" when there is nothing to say. */
const char *finding_fault(struct arena *a, const json_t *finding);
const char *finding_cause(struct arena *a, const json_t *finding);
const char *finding_mend(struct arena *a, const json_t *finding);
/* "proved", "refused", "not proved" or "" without a mend; and how good that is. */
const char *mend_state(const json_t *finding, enum tone *tone);

/* "12 forwarding-off, 5 no-route": the members of an object of counts, the largest first, without "total". */
const char *reasons_text(struct arena *a, const json_t *counts);

#endif
