/* SPDX-License-Identifier: BSD-3-Clause */
/* Scenarios from memory, beside the committed ones, so that a variant can name these as its base. */
#ifndef TESTS_SCENARIO_HELPER_H
#define TESTS_SCENARIO_HELPER_H

#include <criterion/criterion.h>
#include <fwdlab/scenario/scenario.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NESTED FWDLAB_SOURCE "/traces/nested-host/"
/* Three lines: what follows begins in line 4. */
#define VARIANT "fwdlab: 1\nbase: routed.yaml\nname: variant\n"

static inline struct scenario *load_text(const char *text, struct complaints *c) {
    *c = (struct complaints){0};
    return scenario_load_text(NESTED "variant.yaml", text, strlen(text), c);
}

static inline void print_complaints(const struct complaints *c) {
    for (size_t i = 0; i < c->list.n; i++) {
        const struct complaint *x = &c->list.v[i];
        fprintf(stderr, "%s:%u: %s: %s (%s)\n", x->at.file, x->at.line, severity_name(x->severity), x->what, x->hint);
    }
}

#endif
