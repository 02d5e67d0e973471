/* SPDX-License-Identifier: BSD-3-Clause */
/* record-sample SEED N CSV IPFIX: random flow records in both forms, for golden-records. */
#include <stdio.h>
#include <stdlib.h>
#include "record_make.h"

int main(int argc, char **argv) {
    struct err e = {0};
    if (argc != 5)
        return 2;
    for (int form = 0; form < 2; form++) {
        struct record_writer *w = record_writer_open(argv[3 + form], (enum record_form)form, &e);
        struct random r;
        random_seed(&r, strtoull(argv[1], NULL, 10));
        for (unsigned long n = strtoul(argv[2], NULL, 10); w && n--;) {
            struct flow_record f = record_make(&r);
            record_write(w, &f);
        }
        if (!w || record_writer_close(w, &e)) {
            fprintf(stderr, "%s: %s\n", e.where, e.what);
            return 1;
        }
    }
    return 0;
}
