/* SPDX-License-Identifier: BSD-3-Clause */
/* Typed values out of a tree. Each complains about what is wrong, says what is right, and lets the caller go on. */
#ifndef FWDLAB_SCENARIO_READ_H
#define FWDLAB_SCENARIO_READ_H

#include "complaint.h"
#include "tree.h"

#define NAME_MAX_BYTES 39 /* of an element; what a route's name has room for in the core */

struct reader {
    struct scenario *s;
    struct complaints *c;
};

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

enum need { OPTIONAL, REQUIRED };

/* Complains about every key of `map` that is not in `keys` (which ends with NULL). */
void read_keys(const struct reader *r, const struct tree *map, const char *const *keys);
/* Is `value` of this kind (TREE_LIST, TREE_MAP)? `name` and `right` go into the complaint. */
bool read_is(const struct reader *r, const struct tree *value, uint8_t kind, const char *name, const char *right);
/* A list or map under `key`; NULL when absent or of another kind. */
const struct tree *read_list(const struct reader *r, const struct tree *map, const char *key, enum need need,
                             const char *right);
const struct tree *read_map(const struct reader *r, const struct tree *map, const char *key, enum need need,
                            const char *right);
/* Text under `key`; NULL when absent (complained about when REQUIRED) or when it is no text. `right`: what should stand
 * there. */
const struct tree *read_text(const struct reader *r, const struct tree *map, const char *key, enum need need,
                             const char *right);
/* Is the key of this member a name that an element may have? */
bool read_name(const struct reader *r, const struct tree_member *m, const char *what);
/* The next member of a map of named elements that are maps themselves; NULL at the end, or when there is no map. */
const struct tree_member *next_element(const struct reader *r, const struct tree *map, size_t *i, const char *what);
/* Complains that the text of `key` is not what it should be. */
void read_wrong(const struct reader *r, const struct tree *text, const char *key, const char *right);

/* These set *out and return true when the key is there and right; they leave *out alone otherwise. */
bool read_bool(const struct reader *r, const struct tree *map, const char *key, bool *out);
bool read_uint(const struct reader *r, const struct tree *map, const char *key, enum need need, uint32_t min,
               uint32_t max, uint32_t *out);
/* `family`: the one that it must have; FAMILY_NONE: either. */
bool read_ip(const struct reader *r, const struct tree *map, const char *key, enum need need, enum family family,
             struct ip *out);
bool read_prefix(const struct reader *r, const struct tree *map, const char *key, enum need need, enum family family,
                 struct ip_prefix *out);
bool read_mac(const struct reader *r, const struct tree *map, const char *key, struct mac *out);
/* Index of the text in `choices` (which ends with NULL). */
bool read_choice(const struct reader *r, const struct tree *map, const char *key, enum need need,
                 const char *const *choices, unsigned *out);

/* The same for a value that was already found. */
bool text_ip(const struct reader *r, const struct tree *text, const char *key, enum family family, struct ip *out);
/* The next prefix of a list of them; false at the end. */
bool next_prefix(const struct reader *r, const struct tree *list, size_t *i, const char *key, struct ip_prefix *out);
bool text_prefix(const struct reader *r, const struct tree *text, const char *key, enum family family,
                 struct ip_prefix *out);
/* "first-last": the two texts; false when there is no dash. */
bool text_range(const struct reader *r, const struct tree *text, const char **first, const char **last);
/* Two values that must be of one family, when both are there; complains at `at` otherwise. `what`: of which element. */
bool same_family(const struct reader *r, struct place at, const char *what, const struct ip *a, const struct ip *b);
/* Decimal digits alone, min..max. */
bool number_parse(const char *text, size_t len, uint32_t min, uint32_t max, uint32_t *out);

/* Every element of a scenario begins so: an array of them can be searched without knowing its type. */
struct element {
    struct place at;
    const char *name;
};
uint32_t element_find(const void *elements, size_t n, size_t size, const char *name);
/* The element that the text under `key` names; INDEX_NONE. `kind`: "switch"; elements as above. */
uint32_t read_element(const struct reader *r, const struct tree *map, const char *key, enum need need, const char *kind,
                      const void *elements, size_t n, size_t size);
#define read_ref(r, map, key, need, kind, vec) read_element(r, map, key, need, kind, (vec).v, (vec).n, sizeof *(vec).v)
/* The subnet that the text under `key` names as "network/subnet"; INDEX_NONE. */
uint32_t read_subnet(const struct reader *r, const struct tree *map, const char *key, enum need need);

/* load_security.c: all security groups. */
void load_security_groups(const struct reader *r, const struct tree *groups);
/* load_machine.c: all machines, after everything that they refer to. */
void load_machines(const struct reader *r, const struct tree *machines);
/* load_nic.c: one NIC of the machine. */
void load_nic(const struct reader *r, const struct tree_member *m, uint32_t machine);
/* load_nat.c: NAT of the machine, after its NICs. */
void load_nat(const struct reader *r, const struct tree *t, uint32_t machine);
/* load_services.c: a DHCP scope of the machine. */
void load_scope(const struct reader *r, const struct tree *t, uint32_t machine);
/* The machine's NIC that the text under `key` names; INDEX_NONE. */
uint32_t read_nic(const struct reader *r, const struct tree *map, const char *key, enum need need, uint32_t machine);

#endif
