/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the kernel is another router than the core: the predicates of reasons.tsv, one after the other. */
#include "reasons.h"

static const struct reason *const lists[] = {reasons_packet, reasons_routing, reasons_state, reasons_nat};
#define LISTS (sizeof lists / sizeof *lists)

const char *reason_of(const struct trial *t) {
    for (size_t i = 0; i < LISTS; i++)
        for (const struct reason *r = lists[i]; r->name; r++)
            if (r->fits(t))
                return r->name;
    return NULL;
}

void reasons_print(FILE *f) {
    for (size_t i = 0; i < LISTS; i++)
        for (const struct reason *r = lists[i]; r->name; r++)
            fprintf(f, "%s\n", r->name);
    for (size_t i = 0; fragment_reasons[i]; i++)
        fprintf(f, "%s\n", fragment_reasons[i]);
    for (size_t i = 0; state_reasons[i]; i++)
        fprintf(f, "%s\n", state_reasons[i]);
}
