/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One file of many.h: its next packet, already read, and its place among the others. Files are looked at when all are
 * opened; those that can be read again are closed after that until it is their turn, so that thousands may be given.
 */
#ifndef TRACE_SOURCE_H
#define TRACE_SOURCE_H

#include "format.h"

#define SOURCE_RUN 32 /* packets */

struct source {
    const char *path;
    uint32_t file;             /* index in the options */
    int64_t offset_ns;
    struct trace *trace;       /* NULL: closed */
    uint64_t size;             /* bytes; 0: not known */
    struct trace_packet *head; /* the next packet; its time moved by offset_ns */
    struct trace_packet run[SOURCE_RUN]; /* of which `head` is one; read together */
    struct trace_packet *run_end;
    bool ended;                /* `head` is none */
    uint64_t first;            /* key of the first packet */
    uint64_t key, last;        /* key of `head`; the greatest one so far */
    uint64_t waiting;          /* packets that were taken and still point into its blocks */
    uint64_t position;         /* bytes consumed, when closed */
    uint64_t faults;           /* those that `damage` tells of */
    char *damage;              /* NULL: none */
    VEC(uint32_t) interfaces;  /* of the file → of all */
};

/* Opens it and reads the first packet into `head`. -EBADMSG: it is no capture, or nothing in it can be read. */
int source_open(struct source *s, struct err *e);
/* Moves `head` on by n packets, of which all but the last stand in `run` with keys that do not fall; or ends. Returns
 * whether `damage` changed. */
bool source_advance(struct source *s, unsigned n);
/* Closes it when it has ended and nothing points into it. */
void source_done(struct source *s);
void source_close(struct source *s);
void source_set_damage(struct source *s, const char *text);

#endif
