/* SPDX-License-Identifier: BSD-3-Clause */
/* What a reader should conclude about a configuration, in sentences: what is broken, by what, what mends it. */
#ifndef FWDLAB_REPORT_CONCLUDE_H
#define FWDLAB_REPORT_CONCLUDE_H

#include "finding.h"

struct line {
    const char *label; /* "Fault", "Asymmetric", "Cause", "Mend", "Lost", "Drops", ... */
    const char *text;
    enum tone tone;
    bool apart; /* begins another matter than the line before */
    bool finding; /* begins a finding */
};
struct conclusion {
    const char *state; /* one or two words */
    enum tone tone;
    VEC(struct line) lines;
};

/* At most `limit` faults and asymmetries are told one by one; 0: all. */
void conclude(const struct view *v, const struct configuration *c, unsigned limit, struct conclusion *out);
/* A line, unless its text is empty; what was said from line `first` on is a matter of its own. */
void say(struct conclusion *out, const char *label, enum tone tone, const char *text);
void apart(struct conclusion *out, size_t first);
/* conclude_asked.c: what was asked for beside the verdicts: another scenario, NAT's ports, a second capture point. */
void say_asked(struct arena *a, const json_t *analyze, struct conclusion *out);
void conclusion_fini(struct conclusion *c);

/* "12 forwarding-off, 5 no-route": the members of an object of counts, the largest first, without "total". */
const char *reasons_text(struct arena *a, const json_t *counts);

#endif
