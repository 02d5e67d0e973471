/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that is given back all at once: what belongs to one document, scenario or
 * analysis. Never fails (see vec.h). */
#ifndef FWDLAB_BASE_ARENA_H
#define FWDLAB_BASE_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_create(void);
void arena_destroy(struct arena *a);               /* NULL is allowed */
void *arena_alloc(struct arena *a, size_t size);   /* zeroed, aligned for any type */
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
