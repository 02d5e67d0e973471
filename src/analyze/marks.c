/* SPDX-License-Identifier: BSD-3-Clause */
/* Which packet belongs to which flow, and what is to be said of it: for annotated captures. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "marks.h"

struct marks {
    struct file_marks {
        VEC(uint32_t) flow;      /* number of each frame's flow, by the frame's number; 0: none */
    } *files;
    uint32_t n_files;
    VEC(uint32_t) finding;       /* of each flow, by its number: finding's id, 0: none */
    VEC(uint32_t) first;         /* of each flow: its first packet's frame, and its file */
    VEC(uint32_t) first_file;
};

struct marks *marks_create(void) {
    struct marks *m = xzalloc(1, sizeof *m);
    vec_push(&m->finding, 0);
    vec_push(&m->first, 0);
    vec_push(&m->first_file, 0);
    return m;
}

void marks_destroy(struct marks *m) {
    if (!m)
        return;
    for (uint32_t i = 0; i < m->n_files; i++)
        vec_free(&m->files[i].flow);
    free(m->files);
    vec_free(&m->finding);
    vec_free(&m->first);
    vec_free(&m->first_file);
    free(m);
}

void marks_packet(struct marks *m, const struct trace_packet *raw, uint64_t flow) {
    if (flow >= UINT32_MAX || raw->frame >= UINT32_MAX)
        return;
    if (raw->file >= m->n_files) {
        m->files = xrealloc(m->files, raw->file + 1, sizeof *m->files);
        memset(m->files + m->n_files, 0, (raw->file + 1 - m->n_files) * sizeof *m->files);
        m->n_files = raw->file + 1;
    }
    struct file_marks *f = &m->files[raw->file];
    while (f->flow.n <= raw->frame)
        vec_push(&f->flow, 0);
    if (!f->flow.v[raw->frame]) /* the outermost packet of a frame comes first */
        f->flow.v[raw->frame] = (uint32_t)flow;
    while (m->finding.n <= flow) {
        vec_push(&m->finding, 0);
        vec_push(&m->first, (uint32_t)raw->frame);
        vec_push(&m->first_file, raw->file);
    }
}

void marks_flow(struct marks *m, uint64_t flow, uint32_t finding) {
    if (flow < m->finding.n)
        m->finding.v[flow] = finding;
}

const char *analysis_comment(const struct analysis *a, const struct trace_packet *raw, char *buf, size_t size) {
    const struct marks *m = a->marks;
    char text[1000], mend[900];
    if (!m || raw->file >= m->n_files || raw->frame >= m->files[raw->file].flow.n)
        return NULL;
    const uint32_t flow = m->files[raw->file].flow.v[raw->frame], id = m->finding.v[flow];
    if (!id)
        return NULL;
    const struct finding *g = &a->findings.v[id - 1];
    const char *verdict = g->observed ? observed_name(g->verdict) : model_verdict_name(g->verdict);
    const bool first = m->first.v[flow] == raw->frame && m->first_file.v[flow] == raw->file;
    int n = snprintf(buf, size, "fwdlab: %s, flow %u, finding %u", verdict, flow, id);
    if (first && n > 0 && (size_t)n < size)
        n += snprintf(buf + n, size - (size_t)n, ": %s", finding_text(a, g, text, sizeof text));
    if (first && g->has_mend && n > 0 && (size_t)n < size)
        snprintf(buf + n, size - (size_t)n, ". Mend: %s (%s)", mend_text(a, g, mend, sizeof mend),
                 g->refused[0] ? g->refused : g->proven ? "proven" : "not proven");
    return buf;
}
