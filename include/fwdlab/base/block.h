/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of a large table that grows by doubling: aligned to lines of the cache; from some megabytes on in pages of its
 * own, which move without being copied, and of which those that were not touched take no memory. Out of memory ends the
 * program, as in vec.h.
 *
 * Huge pages are not asked for: with memory at hand they take a quarter of the time (26 ms instead of 105 for 256 MB),
 * but a virtual machine that gives what is free back to its host, as the one that this was measured on, gets them back
 * in four times as much (400 to 600 ms).
 */
#ifndef FWDLAB_BASE_BLOCK_H
#define FWDLAB_BASE_BLOCK_H

#include <stddef.h>

/* `size` bytes whose first `old` are those of `p` (NULL, 0: none), which is no longer valid. The rest is not set. */
void *block_grow(void *p, size_t old, size_t size);
/* `size`: what it was grown to. NULL, 0: nothing. */
void block_free(void *p, size_t size);

#endif
