/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of a capture in order, decompressed when its magic says so: a window that moves over a file, stdin or
 * memory. The window holds what was asked for at once and one large read, never the file.
 */
#ifndef TRACE_STREAM_H
#define TRACE_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <fwdlab/base/err.h>

struct stream;

struct stream *stream_open(const char *path, struct err *e); /* "-": stdin */
struct stream *stream_open_memory(const void *data, size_t len); /* `data` must outlive the stream */
void stream_close(struct stream *s);

/* The next `len` bytes, or NULL when fewer are left. Valid until the next stream_peek. */
const uint8_t *stream_peek(struct stream *s, size_t len);
/* Moves on by len bytes, which were peeked. They stay valid until the next stream_peek. */
void stream_skip(struct stream *s, size_t len);
/* How many bytes are left, once stream_peek has returned NULL. */
size_t stream_left(const struct stream *s);
/* Of the next byte, in the uncompressed data. */
uint64_t stream_offset(const struct stream *s);
/* Why the bytes ended before the file's proper end (compressed data cut or damaged, read error), or NULL. */
const char *stream_fault(const struct stream *s);

#endif
