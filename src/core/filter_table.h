/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the filter remembers: a preallocated hash table of keys that live while they are used. Entries stand in a list
 * from the one idle longest to the one used last, so that a full table knows which to forget without looking about.
 */
#ifndef FWDLAB_SRC_CORE_FILTER_TABLE_H
#define FWDLAB_SRC_CORE_FILTER_TABLE_H

#include <fwdlab/core/packet.h>

/*
 * A flow at a port: `near` is the end that receives what arrives there, so that both directions have one key. Or a
 * datagram in fragments: `near` is its destination, the ports are its identification, and `kind` tells the direction.
 */
struct filter_key {
    uint8_t far[16], near[16];
    be16 far_port, near_port;
    uint16_t port; /* of the node */
    uint8_t kind;  /* enum family */
    uint8_t proto;
};
static_assert(sizeof(struct filter_key) == 40, "a key is five words, without holes");

struct filter_entry {
    struct filter_key key;
    uint32_t next;         /* in its chain, index + 1; 0: the last */
    uint32_t older, newer; /* ring of all, through entries[max] */
    uint64_t last;         /* used; ns */
};

struct filter_table {
    struct filter_entry *entries; /* max, and the head of the ring */
    uint32_t *chains;             /* index + 1 of the first entry; 0: none */
    uint32_t mask;                /* chains - 1 */
    uint32_t max, used;           /* entries ever taken: these stand in the ring */
    uint64_t idle;                /* ns; an entry is dead when it was idle for longer */
};

#define FILTER_TABLE_MAX (1u << 28)

/* 0, or -ENOMEM. 1 <= max <= FILTER_TABLE_MAX. filter_table_fini is due in both cases. */
int filter_table_init(struct filter_table *t, uint32_t max, uint64_t idle);
void filter_table_fini(struct filter_table *t);
void filter_table_clear(struct filter_table *t);
/* NULL: no live one. */
struct filter_entry *filter_table_find(const struct filter_table *t, const struct filter_key *key, uint64_t now);
void filter_table_touch(struct filter_table *t, struct filter_entry *e, uint64_t now);
/* Enters a key, or refreshes the entry it has. */
void filter_table_put(struct filter_table *t, const struct filter_key *key, uint64_t now);

#endif
