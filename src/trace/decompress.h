/* SPDX-License-Identifier: BSD-3-Clause */
/* Streaming decompressors behind one small interface: gz, zst, lz4 frames and xz, each of any number of members. */
#ifndef TRACE_DECOMPRESS_H
#define TRACE_DECOMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAGIC_LEN 6 /* bytes that tell every format */

/* What run() takes from `in` and puts to `out`; it moves the pointers on. */
struct decompress_io {
    const uint8_t *in, *in_end;
    uint8_t *out, *out_end;
    bool last; /* no input follows in_end */
};

enum decompress_state {
    DECOMPRESS_MORE,  /* within a member */
    DECOMPRESS_WHOLE, /* everything up to `in` is whole members: the input may end here */
    DECOMPRESS_BAD,   /* the input is damaged; *why says how */
};

struct decompressor {
    const char *name;
    uint8_t magic[MAGIC_LEN], magic_len;
    void *(*create)(void);
    enum decompress_state (*run)(void *state, struct decompress_io *io, const char **why);
    void (*destroy)(void *state);
};

/* The decompressor whose magic `head` starts with; NULL: plain data. */
const struct decompressor *decompressor_find(const uint8_t *head, size_t len);

#endif
