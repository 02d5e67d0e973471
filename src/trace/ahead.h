/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading ahead in a thread of its own, so that decompression and what is done with the bytes overlap. */
#ifndef TRACE_AHEAD_H
#define TRACE_AHEAD_H

#include <stddef.h>
#include <stdint.h>

struct ahead;

/* Gives up to `room` bytes, 0 at the end; *position: of the input that they come from. Called by one thread alone. */
typedef size_t ahead_produce(void *from, uint8_t *to, size_t room, uint64_t *position);

struct ahead *ahead_create(ahead_produce *produce, void *from); /* NULL: no thread can be made */
void ahead_destroy(struct ahead *a);
/* As `produce`. After it returned 0 the thread touches nothing any more. */
size_t ahead_read(struct ahead *a, uint8_t *to, size_t room);
uint64_t ahead_position(const struct ahead *a); /* of what ahead_read gave last */

#endif
