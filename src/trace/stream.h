/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of a capture in order: a window that moves over a file, stdin or memory in blocks of a fixed size, or of
 * what was asked for at once if that is more. A block that somebody holds is left alone and the window goes on in
 * another, so that packets may wait without being copied.
 */
#ifndef TRACE_STREAM_H
#define TRACE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <fwdlab/base/err.h>

struct input;

struct stream_block {
    size_t refs; /* the stream's, while it is the window, and each holder's */
    size_t cap;
    struct stream_block *next; /* of the spare ones */
    uint8_t bytes[];
};

struct stream {
    const uint8_t *start, *end; /* bytes not yet consumed */
    uint64_t offset;            /* of `start`, in the uncompressed data */
    struct stream_block *block; /* that the window lies in; NULL: in the caller's memory */
    struct stream_block *spare;
    struct input *input;        /* NULL: plain memory */
    bool ended;
};

struct stream *stream_open(const char *path, struct err *e); /* "-": stdin */
struct stream *stream_open_memory(const void *data, size_t len); /* `data` must outlive the stream */
void stream_close(struct stream *s); /* no block is held any more */

const uint8_t *stream_fill(struct stream *s, size_t len); /* for stream_peek alone */

/* Are the next `len` bytes in the window? */
static inline bool stream_has(const struct stream *s, size_t len) {
    return (size_t)(s->end - s->start) >= len;
}

/* The next `len` bytes, or NULL when fewer are left. Valid until the next stream_peek. */
static inline const uint8_t *stream_peek(struct stream *s, size_t len) {
    return stream_has(s, len) ? s->start : stream_fill(s, len);
}

/* Moves on by len bytes, which were peeked. They stay valid until the next stream_peek. */
static inline void stream_skip(struct stream *s, size_t len) {
    s->start += len;
    s->offset += len;
}

/* How many bytes are left, once stream_peek has returned NULL. */
static inline size_t stream_left(const struct stream *s) {
    return (size_t)(s->end - s->start);
}

/* Of the next byte, in the uncompressed data. */
static inline uint64_t stream_offset(const struct stream *s) {
    return s->offset;
}

/* What was peeked last stays valid until the block was dropped n times. NULL (it needs no dropping): plain memory. */
static inline struct stream_block *stream_hold(struct stream *s, size_t n) {
    if (s->block)
        s->block->refs += n;
    return s->block;
}

void stream_retire(struct stream *s, struct stream_block *b); /* for stream_drop alone */

static inline void stream_drop(struct stream *s, struct stream_block *b, size_t n) {
    if (b && !(b->refs -= n))
        stream_retire(s, b);
}

/* Why the bytes ended before the file's proper end (compressed data cut or damaged, read error), or NULL. */
const char *stream_fault(const struct stream *s);
/* Bytes of the file consumed, compressed as they are, and its size; 0: not known, it can be read only once. */
uint64_t stream_position(const struct stream *s);
uint64_t stream_size(const struct stream *s);

#endif
