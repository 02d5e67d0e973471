/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <fwdlab/base/block.h>

#define LINE 64
#define MAPPED (4u << 20) /* bytes from which on it has pages of its own */

static void *heap_grow(void *p, size_t old, size_t size) {
    void *now = aligned_alloc(LINE, (size + LINE - 1) / LINE * LINE);
    if (now && old)
        memcpy(now, p, old);
    free(p);
    return now;
}

static void *pages_grow(void *p, size_t old, size_t size) {
    if (old >= MAPPED)
        return mremap(p, old, size, MREMAP_MAYMOVE);
    void *now = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (now != MAP_FAILED && old)
        memcpy(now, p, old);
    free(p);
    return now;
}

void *block_grow(void *p, size_t old, size_t size) {
    void *now = size < MAPPED ? heap_grow(p, old, size) : pages_grow(p, old, size);
    if (!now || now == MAP_FAILED) {
        fprintf(stderr, "fwdlab: out of memory (%zu bytes)\n", size);
        abort();
    }
    return now;
}

void block_free(void *p, size_t size) {
    if (size < MAPPED)
        free(p);
    else
        munmap(p, size);
}
