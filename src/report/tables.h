/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables of a report, each written to any kind of output. One without rows writes nothing (false). */
#ifndef FWDLAB_REPORT_TABLES_H
#define FWDLAB_REPORT_TABLES_H

#include "emit.h"
#include "view.h"

/*
 * Over all configurations, which are the rows where there are several. Comparison: flows at fault or asymmetric by the
 * model, who reaches whom, drops here and later (other nodes); and cost.
 */
void table_comparison(const struct view *v, struct out *o);
void table_verdicts(const struct view *v, const char *group, const char *caption, struct out *o);
/* `where`: "dropped" or "dropped_elsewhere". */
void table_drops(const struct view *v, const char *where, const char *caption, struct out *o);
void table_packets(const struct view *v, struct out *o);
void table_nat(const struct view *v, struct out *o);
/* Those who have the most of NAT's sessions. */
void table_clients(const struct view *v, struct out *o);
void table_dhcp(const struct view *v, struct out *o);
void table_tcp(const struct view *v, struct out *o);
bool table_hidden(const struct view *v, struct out *o);
bool table_complaints(const struct view *v, struct out *o);
bool table_cost(const struct view *v, struct out *o);
void table_stages(const struct view *v, struct out *o);
/* What the interleaved run compared, also with configurations that are in no document here. */
void table_ratios(const struct view *v, struct out *o);
void table_sending(const struct view *v, struct out *o);

/* What becomes different with another scenario: flows, packets. */
void table_what_if(const struct view *v, struct out *o);

/* Over all documents. */
void table_machines(const struct view *v, struct out *o);
void table_noise(const struct view *v, struct out *o);
void table_inputs(const struct view *v, struct out *o);

/* NAT mappings of one configuration, and flows as two capture points see them, `limit` at most (0: all). */
void table_pairs(const struct view *v, const struct configuration *c, size_t limit, struct out *o);
void table_points(const struct view *v, const struct configuration *c, size_t limit, struct out *o);

#endif
