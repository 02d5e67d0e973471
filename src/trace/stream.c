/* SPDX-License-Identifier: BSD-3-Clause */
/* The byte stream under the readers: input → window of blocks. See stream.h. */
#include "stream.h"

#include <string.h>
#include <fwdlab/base/vec.h>
#include "decompress.h"
#include "input.h"

#define BLOCK (256u << 10) /* fits the cache of second level beside what else is in work */

static struct stream_block *block_get(struct stream *s, size_t cap) {
    struct stream_block *b = s->spare;
    if (b && cap <= BLOCK) {
        s->spare = b->next;
    } else {
        cap = cap > BLOCK ? cap : BLOCK;
        b = xalloc(sizeof *b + cap);
        b->cap = cap;
    }
    b->refs = 1;
    return b;
}

void stream_retire(struct stream *s, struct stream_block *b) {
    if (b->cap > BLOCK) {
        vec_release(b);
    } else {
        b->next = s->spare;
        s->spare = b;
    }
}

static struct stream *stream_over(struct input *in) {
    struct stream *s = xzalloc(1, sizeof *s);
    s->input = in;
    s->block = block_get(s, 0);
    s->start = s->end = s->block->bytes;
    return s;
}

struct stream *stream_open(const char *path, struct err *e) {
    struct input *in = input_open(path, e);
    return in ? stream_over(in) : NULL;
}

struct stream *stream_open_memory(const void *data, size_t len) {
    if (decompressor_find(data, len)) {
        struct input *in = input_open_memory(data, len);
        return in ? stream_over(in) : NULL;
    }
    struct stream *s = xzalloc(1, sizeof *s);
    s->start = data ? data : (const void *)"";
    s->end = s->start + len;
    s->ended = true;
    return s;
}

void stream_close(struct stream *s) {
    if (!s)
        return;
    stream_drop(s, s->block, 1);
    while (s->spare) {
        struct stream_block *b = s->spare;
        s->spare = b->next;
        vec_release(b);
    }
    input_close(s->input);
    vec_release(s);
}

/* Room behind the window's end: what is left goes to the front, of another block when this one is held or full. */
static void make_room(struct stream *s) {
    struct stream_block *b = s->block;
    size_t have = (size_t)(s->end - s->start);
    if (b->refs > 1 || have == b->cap)
        b = block_get(s, 2 * have);
    if (s->start != b->bytes)
        memmove(b->bytes, s->start, have);
    if (b != s->block)
        stream_drop(s, s->block, 1);
    s->block = b;
    s->start = b->bytes;
    s->end = s->start + have;
}

/* Blocks grow as bytes arrive, so a length that lies costs no more memory than the file has bytes. */
const uint8_t *stream_fill(struct stream *s, size_t len) {
    while ((size_t)(s->end - s->start) < len && !s->ended) {
        const uint8_t *limit = s->block->bytes + s->block->cap;
        if (s->end == limit || ((size_t)(limit - s->start) < len && s->start != s->block->bytes))
            make_room(s);
        uint8_t *to = s->block->bytes + (s->end - s->block->bytes);
        size_t n = input_read(s->input, to, s->block->cap - (size_t)(to - s->block->bytes));
        s->end += n;
        s->ended = !n;
    }
    return (size_t)(s->end - s->start) < len ? NULL : s->start;
}

const char *stream_fault(const struct stream *s) {
    return s->input ? input_fault(s->input) : NULL;
}

uint64_t stream_position(const struct stream *s) {
    return s->input ? input_position(s->input) : s->offset;
}

uint64_t stream_size(const struct stream *s) {
    return s->input ? input_size(s->input) : 0;
}
