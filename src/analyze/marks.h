/* SPDX-License-Identifier: BSD-3-Clause */
/* Which packet belongs to which flow: four bytes a packet, kept only when packets are to be annotated. */
#ifndef ANALYZE_MARKS_H
#define ANALYZE_MARKS_H

#include "analyze.h"

struct marks *marks_create(void);
void marks_destroy(struct marks *m);
/* `flow`: its number (struct flow, id). */
void marks_packet(struct marks *m, const struct trace_packet *raw, uint64_t flow);
/* The flow is done with; its finding's id, 0: none. */
void marks_flow(struct marks *m, uint64_t flow, uint32_t finding);

#endif
