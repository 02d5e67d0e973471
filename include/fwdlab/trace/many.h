/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many captures as one stream in the order of time: rotated files of one capture point follow each other, files that
 * overlap are merged, and packets that stand out of order by up to `window_ns` (but at most 65,536 packets and 32 MB of
 * the files) are put into order; nothing is copied for that. What was later than that is given where it stands, and
 * counted. Packets without a time stay behind the one before them.
 *
 * Interfaces of the same name and link type in several files are one. So are nameless ones (pcap has no others) of one
 * link type, when one file begins after the other has ended, give or take an eighth of the window; nameless ones of
 * files that overlap in time are separate. Two interfaces of one file are never the same.
 */
#ifndef FWDLAB_TRACE_MANY_H
#define FWDLAB_TRACE_MANY_H

#include <fwdlab/trace/trace.h>

struct trace_many_options {
    const char *const *paths; /* "-" at most once */
    size_t n;
    const char *filter;       /* libpcap's syntax (pcap-filter(7)), by each packet's link type; NULL: all packets */
    const int64_t *offset_ns; /* n of them, added to the times of each file; NULL: none */
    uint64_t window_ns;       /* 0: 1 s */
    bool in_order;            /* false: as they stand in the files, file after file */
};

struct trace_many;

/*
 * Looks at the first packet of each file and compiles the filter. Errors: a file that cannot be opened, no file that
 * anything can be read of, a filter that is wrong for a link type; they name file and offset. Files that can be read
 * again are then closed until it is their turn: thousands may be given.
 */
struct trace_many *trace_many_open(const struct trace_many_options *o, struct err *e);
/*
 * As trace_read; -EINVAL: the filter is wrong for a link type that came up just now. `frame` counts within the packet's
 * file, `file` is its index in the options, `interface` counts over all. A file that cannot be read to its end is
 * damage, not an error, when another one could be. data is valid until the next call.
 */
int trace_many_read(struct trace_many *m, struct trace_packet *out, struct err *e);
/* The same, for the next one and those behind it that are at hand: how many there are from *out on. */
int trace_many_read_run(struct trace_many *m, const struct trace_packet **out, struct err *e);
const struct trace_interface *trace_many_interfaces(const struct trace_many *m, uint32_t *n);
/* NULL: undamaged. Else each damaged file with its damage, separated by "; ". */
const char *trace_many_damage(const struct trace_many *m);

struct trace_many_stats {
    uint64_t read;        /* packets read from the files */
    uint64_t filtered;    /* of these, refused by the filter */
    uint64_t bytes;       /* wire bytes of all that were given */
    uint64_t late;        /* given out of order: later than the window */
    uint64_t done, total; /* bytes of input consumed (compressed as they are), and of all files; total 0: not known */
};
void trace_many_stats(const struct trace_many *m, struct trace_many_stats *out);
void trace_many_close(struct trace_many *m);

#endif
