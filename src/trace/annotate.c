/* SPDX-License-Identifier: BSD-3-Clause */
/* Captures written again, packet by packet, and with comments. See fwdlab/trace/rewrite.h. */
#include <errno.h>
#include <string.h>
#include <fwdlab/trace/rewrite.h>
#include "copy.h"

/* Interfaces appear while the files are read: those that are new go out before the packet that may be theirs. */
static int copy_interfaces(const struct trace_many *m, struct trace_writer *w, const struct trace_copy *c,
                           uint32_t *done) {
    uint32_t n;
    const struct trace_interface *i = trace_many_interfaces(m, &n);
    int code = 0;
    for (; *done < n && code >= 0; ++*done)
        code = c->interface(c->arg, w, &i[*done], *done);
    return code < 0 ? code : 0;
}

static int copy_packets(struct trace_many *m, struct trace_writer *w, const struct trace_copy *c, uint32_t *interfaces,
                        struct err *e) {
    struct trace_packet p;
    uint32_t n;
    int got, code;
    while ((got = trace_many_read(m, &p, e)) > 0) {
        code = copy_interfaces(m, w, c, interfaces);
        if (!code)
            code = c->packet(c->arg, w, &trace_many_interfaces(m, &n)[p.interface], &p);
        if (code) {
            err_set(e, code, "writing failed: %s", strerror(-code));
            return code;
        }
    }
    return got;
}

static void copy_drops(const struct trace_many *m, struct trace_writer *w) {
    uint32_t n;
    const struct trace_interface *i = trace_many_interfaces(m, &n);
    for (uint32_t k = 0; k < n; k++)
        if (i[k].dropped != UINT64_MAX)
            trace_writer_dropped(w, k, i[k].dropped);
}

int trace_copy(const struct trace_many_options *o, const char *out, const struct trace_copy *c, struct err *e) {
    struct trace_many *m = trace_many_open(o, e);
    if (!m)
        return -EINVAL;
    struct trace_writer *w = trace_writer_open(out, e);
    uint32_t interfaces = 0;
    int code = w ? copy_packets(m, w, c, &interfaces, e) : -EINVAL;
    if (!code)
        code = copy_interfaces(m, w, c, &interfaces);
    if (!code) {
        copy_drops(m, w);
        code = trace_writer_close(w, e);
        if (!code && c->done)
            c->done(c->arg, m);
    } else {
        err_where(e, "%s", out);
        trace_writer_abandon(w);
    }
    trace_many_close(m);
    return code;
}

struct annotation {
    const char *(*comment)(void *arg, const struct trace_packet *p);
    void *arg;
};

static int same_interface(void *arg, struct trace_writer *w, const struct trace_interface *i, uint32_t index) {
    return trace_writer_interface_like(w, i);
}

static int commented(void *arg, struct trace_writer *w, const struct trace_interface *i, struct trace_packet *p) {
    const struct annotation *a = arg;
    return trace_writer_commented(w, p, a->comment(a->arg, p));
}

int trace_annotate(const struct trace_many_options *o, const char *out,
                   const char *(*comment)(void *arg, const struct trace_packet *p), void *arg, struct err *e) {
    struct trace_many_options as_they_stand = *o;
    as_they_stand.in_order = false;
    struct annotation a = {comment, arg};
    struct trace_copy c = {.interface = same_interface, .packet = commented, .arg = &a};
    return trace_copy(&as_they_stand, out, &c, e);
}
