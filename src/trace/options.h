/* SPDX-License-Identifier: BSD-3-Clause */
/* pcapng's options (section 3.5 of draft-ietf-opsawg-pcapng) and its texts. */
#ifndef TRACE_OPTIONS_H
#define TRACE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "format.h"

struct options {
    const uint8_t *p, *end;
};

struct option {
    uint16_t code, len;
    const uint8_t *data;
};

/* 1: *out is the next option; 0: no more; -1: it runs beyond the block. */
int options_next(const struct trace *t, struct options *o, struct option *out);

/*
 * Copies a text up to its first NUL into dst (len + 1 bytes) and returns its length. Bytes that are not UTF-8 and
 * control characters other than tab and newline become '?': a capture may come from anywhere, and its names go to
 * terminals and into JSON.
 */
size_t text_copy(char *dst, const uint8_t *src, size_t len);

#endif
