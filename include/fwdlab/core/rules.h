/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy routing (as Linux' ip-rule(8)): which route table a packet is looked up in, by its source, destination and the
 * port that it came in by. A node without rules uses one table and pays nothing for this.
 *
 * Rules are tried in the order of their priority (equal ones in the order of adding). A rule that matches names a
 * table; when the table has no route for the packet, the next rule is tried. A rule may also refuse by itself. What the
 * node itself has (local and broadcast addresses) stands in its main table and is found before any rule is asked.
 */
#ifndef FWDLAB_CORE_RULES_H
#define FWDLAB_CORE_RULES_H

#include <fwdlab/core/route.h>

#define ROUTE_TABLES_MAX 16 /* of one family, the main one included */
#define RULE_PRIORITY_MAIN 32766u

struct route_rule {
    uint32_t priority;
    struct ip_prefix from, to; /* addr.family FAMILY_NONE: any */
    uint16_t in_port;          /* PORT_NONE: any, also the node's own packets */
    uint8_t kind;              /* ROUTE_UNICAST: look into `table`; or one of the refusing kinds */
    uint8_t table;             /* 0: the main one */
    char name[ROUTE_NAME];
};

struct route_rules;

/* `main` (table 0) is not owned. There is one rule at first: RULE_PRIORITY_MAIN, everything, table 0. */
struct route_rules *route_rules_create(struct route_table *main);
void route_rules_destroy(struct route_rules *r);
/* Takes the table over, which must be of the main one's family; its number, or -ENOSPC, -EAFNOSUPPORT. */
int route_rules_table_add(struct route_rules *r, struct route_table *t);
/* -EINVAL: no such table, kind, or a prefix of another family or with host bits; -EEXIST: the very same rule. */
int route_rules_add(struct route_rules *r, const struct route_rule *rule);
/* Removes the main rule or any other equal one; -ENOENT. */
int route_rules_remove(struct route_rules *r, const struct route_rule *rule);
unsigned route_rules_tables(const struct route_rules *r);
struct route_table *route_rules_table(const struct route_rules *r, unsigned table);
/*
 * Puts another table of the family in a table's place and gives back the former one, which is the caller's then: for
 * tables that are not the rules' own (route_live.h). NULL only before route_rules_destroy.
 */
struct route_table *route_rules_swap(struct route_rules *r, unsigned table, struct route_table *t);
const struct route_rule *route_rules_list(const struct route_rules *r, size_t *n);

/*
 * The path of one packet, in the encoding of packet.path: table and path in one number, ROUTE_NONE without a route.
 * `src`, `dst`: 4 or 16 bytes by the family. `rule`, when not NULL, gets the index of the rule that decided.
 */
uint32_t route_rules_lookup(const struct route_rules *r, const void *src, const void *dst, uint16_t in_port,
                            uint32_t *rule);
/* The same for n <= BURST_MAX packets: `src`, `dst`, addresses one behind the other; `rule` may be NULL. */
void route_rules_lookup_bulk(const struct route_rules *r, const void *src, const void *dst, const uint16_t *in_port,
                             uint32_t *path, uint32_t *rule, unsigned n);
/* What such a number means. `table` gets 0.. or, when a rule refused by itself, UINT_MAX; may be NULL. */
const struct route_path *route_rules_path(const struct route_rules *r, uint32_t path, unsigned *table);

#endif
