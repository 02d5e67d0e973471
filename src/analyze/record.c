/* SPDX-License-Identifier: BSD-3-Clause */
/* See fwdlab/analyze/record.h. */
#include <fwdlab/base/vec.h>
#include "record.h"

struct record_writer *record_writer_open(const char *path, enum record_form form, struct err *e) {
    struct record_writer *w = xzalloc(1, sizeof *w);
    if (file_draft_open(&w->file, path, e)) {
        vec_release(w);
        return NULL;
    }
    if (form == RECORD_IPFIX)
        w->ipfix = ipfix_begin(&w->file);
    else
        csv_begin(&w->file);
    return w;
}

void record_write(struct record_writer *w, const struct flow_record *r) {
    if (w->ipfix)
        ipfix_write(w->ipfix, r);
    else
        csv_write(&w->file, r);
}

int record_writer_close(struct record_writer *w, struct err *e) {
    if (w->ipfix)
        ipfix_end(w->ipfix);
    int code = file_draft_close(&w->file, e);
    ipfix_free(w->ipfix);
    vec_release(w);
    return code;
}

void record_writer_abandon(struct record_writer *w) {
    if (!w)
        return;
    file_draft_abandon(&w->file);
    ipfix_free(w->ipfix);
    vec_release(w);
}
