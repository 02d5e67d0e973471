/* SPDX-License-Identifier: BSD-3-Clause */
/* Captures into one pcapng, packet by packet, with interfaces and drop counts, for annotate.c and anonymize.c. */
#ifndef TRACE_COPY_H
#define TRACE_COPY_H

#include <fwdlab/trace/many.h>

struct trace_copy {
    /* As trace_writer_interface_like and trace_writer_packet; the packet may be changed. */
    int (*interface)(void *arg, struct trace_writer *w, const struct trace_interface *i, uint32_t index);
    int (*packet)(void *arg, struct trace_writer *w, const struct trace_interface *i, struct trace_packet *p);
    void (*done)(void *arg, const struct trace_many *m); /* all is read and written; NULL */
    void *arg;
};
/* The file appears whole or not at all. */
int trace_copy(const struct trace_many_options *o, const char *out, const struct trace_copy *c, struct err *e);

#endif
