/* SPDX-License-Identifier: BSD-3-Clause */
/* The noted packets of a trial as pcapng, in the order of their times. */
#include <errno.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/replay/trial.h>
#include <fwdlab/trace/trace.h>
#include <stdio.h>
#include <stdlib.h>
#include "link.h"

static int by_time(const void *a, const void *b) {
    const struct trial_note *x = *(const struct trial_note *const *)a, *y = *(const struct trial_note *const *)b;
    return x->intended_ns < y->intended_ns ? -1 : x->intended_ns > y->intended_ns;
}

static void comment(const struct trial_note *n, uint64_t frame, char *text, size_t size) {
    char fate[128];
    if (n->verdict == VERDICT_DROP)
        snprintf(fate, sizeof fate, "dropped: %s (%s)", drop_name(n->reason), drop_sentence(n->reason));
    else if (n->verdict == VERDICT_FORWARD)
        snprintf(fate, sizeof fate, "slow: %.1f us, forwarded by port %u", (double)n->latency_ns / 1e3, n->out_port);
    else
        snprintf(fate, sizeof fate, "slow: %.1f us, delivered", (double)n->latency_ns / 1e3);
    snprintf(text, size, "%s; frame %lu, lap %lu", fate, (unsigned long)frame, (unsigned long)n->step.lap);
}

/* One interface for each port and form of frame. */
static int interface(struct trace_writer *w, int *known, const struct traffic_packet *p) {
    const bool raw = p->flags & PACKET_RAW_IP;
    int *at = &known[p->in_port * 2u + raw];
    char name[32];
    snprintf(name, sizeof name, "port %u", p->in_port);
    if (*at < 0)
        *at = trace_writer_interface(w, name, raw ? LINKTYPE_RAW : LINKTYPE_ETHERNET, 0);
    return *at;
}

static int save(struct trace_writer *w, int *known, const struct trial_note *n, const struct traffic *t,
                uint64_t epoch_ns) {
    const struct traffic_packet *p = &t->packets[n->step.packet];
    uint8_t data[LINK_ROOM];
    char text[320];
    int at = interface(w, known, p);
    if (at < 0)
        return at;
    traffic_write(t, &n->step, data);
    comment(n, p->frame, text, sizeof text);
    return trace_writer_packet(w, &(struct trace_packet){.time_ns = epoch_ns + n->intended_ns,
                                                         .interface = (uint32_t)at,
                                                         .len = p->len,
                                                         .wire_len = p->wire_len,
                                                         .direction = TRACE_INBOUND,
                                                         .data = data,
                                                         .comment = text});
}

int trial_capture_save(const struct trial_result *r, const struct traffic *t, const struct node *node,
                       uint64_t epoch_ns, const char *path, struct err *e) {
    const struct trial_note *notes[TRIAL_CAPTURE_MAX];
    struct trace_writer *w = trace_writer_open(path, e);
    int rc = 0;
    if (!w)
        return -EIO;
    int *known = xalloc(2 * sizeof *known * node->n_ports);
    for (unsigned i = 0; i < 2u * node->n_ports; i++)
        known[i] = -1;
    for (unsigned i = 0; i < r->n_notes; i++)
        notes[i] = &r->notes[i];
    qsort(notes, r->n_notes, sizeof *notes, by_time);
    for (unsigned i = 0; i < r->n_notes && rc >= 0; i++)
        rc = save(w, known, notes[i], t, epoch_ns);
    vec_release(known);
    if (rc >= 0)
        return trace_writer_close(w, e);
    trace_writer_abandon(w);
    err_set(e, rc, "writing failed: %s", strerror(-rc));
    err_where(e, "%s", path);
    return rc;
}
