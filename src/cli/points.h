/* SPDX-License-Identifier: BSD-3-Clause */
/* Two capture points with NAT between, of `analyze --point NAME=FILE`: the inside one first. */
#ifndef CLI_POINTS_H
#define CLI_POINTS_H

#include <jansson.h>
#include <fwdlab/analyze/points.h>
#include <fwdlab/analyze/record.h>
#include <fwdlab/control/control.h>

struct point_pairs {
    struct points *points;
    char *name[2];
    const char *path[2];
    unsigned n;                       /* given so far */
    const struct point_pair **sorted; /* by how the inside calls the flow */
    size_t n_pairs;
};

/* "inside=home.pcap"; -EINVAL with what would be right. */
int point_pairs_add(struct point_pairs *p, const char *text, struct err *e);
/* Joins the two; `node`: whose NAT's addresses are meant, NULL: learned. */
int point_pairs_read(struct point_pairs *p, const char *filter, const struct control_node *node,
                     const volatile bool *stop, struct err *e);
/* A flow of the inside point: how it is called outside, and NAT's verdict. */
void point_pairs_tell(const struct point_pairs *p, struct flow_record *r);
/* "points", flows.nat, nat.pairs, and the findings before the others. */
void point_pairs_document(const struct point_pairs *p, json_t *doc);
void point_pairs_fini(struct point_pairs *p);

#endif
