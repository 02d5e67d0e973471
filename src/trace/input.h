/* SPDX-License-Identifier: BSD-3-Clause */
/* A capture's bytes from a file, stdin or memory, decompressed when its magic says so. */
#ifndef TRACE_INPUT_H
#define TRACE_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <fwdlab/base/err.h>

struct input;

struct input *input_open(const char *path, struct err *e); /* "-": stdin */
struct input *input_open_memory(const void *data, size_t len); /* NULL: out of memory; `data` must outlive it */
void input_close(struct input *in);
/* Up to `room` bytes, at least one unless it ended; 0: the end, or a fault. */
size_t input_read(struct input *in, uint8_t *to, size_t room);
/* Why it ended before its proper end (compressed data cut or damaged, read error), or NULL. Once input_read gave 0. */
const char *input_fault(const struct input *in);
/* Bytes of the file that went into what was read, compressed as they are. */
uint64_t input_position(const struct input *in);
/* Of the file; 0: no regular file, it can be read only once. */
uint64_t input_size(const struct input *in);

#endif
