/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and reading a trace of either format, and the account of its damage. See fwdlab/trace/trace.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include "format.h"

/* pcap and pcapng magics as they lie in the file. */
static const uint8_t pcapng_magic[4] = {0x0a, 0x0d, 0x0d, 0x0a};
static const uint8_t pcap_magics[][4] = {
    {0xa1, 0xb2, 0xc3, 0xd4}, {0xd4, 0xc3, 0xb2, 0xa1}, {0xa1, 0xb2, 0x3c, 0x4d},
    {0x4d, 0x3c, 0xb2, 0xa1}, {0xa1, 0xb2, 0xcd, 0x34}, {0x34, 0xcd, 0xb2, 0xa1},
};

/* The account of damage is made when it changes, so that trace_damage can hand it out as it is. */
static void render_damage(struct trace *t) {
    unsigned long long more = t->faults - 1, lost = t->lost;
    int n = snprintf(t->damage, sizeof t->damage, "%s", t->fault);
    if (more)
        n += snprintf(t->damage + n, sizeof t->damage - (size_t)n, "; and %llu more after it", more);
    if (lost)
        snprintf(t->damage + n, sizeof t->damage - (size_t)n, "; %llu bytes lost", lost);
}

bool trace_fault(struct trace *t, uint64_t offset, const char *what, ...) {
    if (!t->faults++) {
        int n = snprintf(t->fault, sizeof t->fault, "byte %llu: ", (unsigned long long)offset);
        va_list args;
        va_start(args, what);
        vsnprintf(t->fault + n, sizeof t->fault - (size_t)n, what, args);
        va_end(args);
    }
    render_damage(t);
    return false;
}

void trace_lost(struct trace *t, uint64_t bytes) {
    t->lost += bytes;
    render_damage(t);
}

bool trace_cut(struct trace *t, size_t need, const char *what) {
    const char *why = stream_fault(t->stream);
    size_t left = stream_left(t->stream);
    uint64_t offset = stream_offset(t->stream);
    if (!left)
        return why ? trace_fault(t, offset, "%s", why) : false;
    if (!why)
        why = "the file ends";
    return trace_fault(t, offset, "%s of %zu bytes is cut after %zu: %s", what, need, left, why);
}

int64_t trace_add_interface(struct trace *t, uint32_t linktype, uint32_t snaplen, uint32_t section) {
    if (t->interfaces.n >= INTERFACES_MAX)
        return -1;
    if (linktype == 12 || linktype == 14) /* values of raw IP on some systems */
        linktype = LINKTYPE_RAW;
    struct timescale microseconds = {0};
    timescale_set(&microseconds, 6);
    vec_push(&t->scales, microseconds);
    vec_push(&t->interfaces, (struct trace_interface){
        .name = "", .description = "", .linktype = (uint16_t)linktype, .snaplen = snaplen, .section = section,
        .dropped = UINT64_MAX});
    return (int64_t)t->interfaces.n - 1;
}

static int damaged(struct trace *t, struct err *e) {
    err_set(e, -EBADMSG, "not one whole packet can be read: %s", t->damage);
    err_where(e, "%s", t->name);
    return -EBADMSG;
}

static int unknown(struct trace *t, struct err *e) {
    const uint8_t *p = stream_peek(t->stream, 4);
    const char *why = stream_fault(t->stream);
    if (why)
        err_set(e, -EIO, "%s", why);
    else if (p)
        err_set(e, -EINVAL, "byte 0: %02x %02x %02x %02x does not begin a capture", p[0], p[1], p[2], p[3]);
    else
        err_set(e, -EINVAL, "byte %zu: the file ends before it says what it is", stream_left(t->stream));
    err_where(e, "%s", t->name);
    if (!why)
        err_hint(e, "pcap or pcapng, plain or compressed by gzip, zstd, lz4 or xz (editcap converts other formats)");
    return why ? -EIO : -EINVAL;
}

static int trace_start(struct trace *t, struct err *e) {
    const uint8_t *p = stream_peek(t->stream, 4);
    if (p && !memcmp(p, pcapng_magic, 4)) {
        t->next = pcapng_next;
        return 0;
    }
    for (size_t i = 0; p && i < sizeof pcap_magics / sizeof *pcap_magics; i++)
        if (!memcmp(p, pcap_magics[i], 4)) {
            t->next = pcap_next;
            return pcap_start(t) ? 0 : damaged(t, e);
        }
    return unknown(t, e);
}

static struct trace *trace_over(const char *name, struct stream *s, struct err *e) {
    struct trace *t = xzalloc(1, sizeof *t);
    t->name = xstrdup(name);
    t->stream = s;
    t->names = arena_create();
    if (!trace_start(t, e))
        return t;
    trace_close(t);
    errno = EBADMSG;
    return NULL;
}

struct trace *trace_open(const char *path, struct err *e) {
    struct stream *s = stream_open(path, e);
    if (s)
        return trace_over(strcmp(path, "-") ? path : "stdin", s, e);
    err_where(e, "%s", path);
    return NULL;
}

struct trace *trace_open_memory(const char *name, const void *data, size_t len, struct err *e) {
    struct stream *s = stream_open_memory(data, len);
    if (s)
        return trace_over(name, s, e);
    err_set(e, -ENOMEM, "out of memory for decompression");
    err_where(e, "%s", name);
    return NULL;
}

int trace_read(struct trace *t, struct trace_packet *out, struct err *e) {
    if (!t->ended && t->next(t, out)) {
        out->frame = ++t->frames;
        t->packets++;
        t->interfaces.v[out->interface].packets++;
        return 1;
    }
    t->ended = true;
    return t->faults && !t->packets ? damaged(t, e) : 0;
}

int trace_read_run(struct trace *t, struct trace_packet *out, unsigned room, struct err *e) {
    const int r = trace_read(t, out, e);
    if (r <= 0 || t->next != pcap_next) /* in pcapng other things stand between */
        return r;
    const unsigned more = pcap_more(t, out + 1, room - 1);
    t->frames += more;
    t->packets += more;
    t->interfaces.v[out->interface].packets += more;
    return r + (int)more;
}

const struct trace_interface *trace_interfaces(const struct trace *t, uint32_t *n) {
    *n = (uint32_t)t->interfaces.n;
    return t->interfaces.v;
}

const char *trace_damage(const struct trace *t) {
    return t->faults ? t->damage : NULL;
}

void trace_close(struct trace *t) {
    if (!t)
        return;
    stream_close(t->stream);
    arena_destroy(t->names);
    vec_free(&t->interfaces);
    vec_free(&t->scales);
    vec_release(t->comment);
    vec_release(t->name);
    vec_release(t);
}
