/* SPDX-License-Identifier: BSD-3-Clause */
/* YAML as a tree whose every value knows its file and line. Text stays text: what it means is the reader's business. */
#ifndef FWDLAB_SCENARIO_TREE_H
#define FWDLAB_SCENARIO_TREE_H

#include <fwdlab/base/arena.h>
#include <fwdlab/scenario/scenario.h>
#include <stdint.h>

/* What keeps hostile input from costing more than it should; far beyond what any scenario needs. */
#define TREE_BYTES_MAX (4u << 20)
#define TREE_VALUES_MAX 50000u /* with aliases counted as often as they are used */
#define TREE_DEPTH_MAX 32u
#define TREE_ANCHORS_MAX 1000u
#define BASES_MAX 16u /* files in a chain of bases */

enum tree_kind { TREE_NULL, TREE_TEXT, TREE_LIST, TREE_MAP };

struct tree;
struct tree_member {
    struct place at; /* of the key; of the value in a list */
    const char *key; /* NULL in a list */
    const struct tree *value;
};
struct tree {
    struct place at; /* of the key that it belongs to, when it is a map or a list */
    uint8_t kind;    /* enum tree_kind */
    uint8_t height;  /* 1: text or empty */
    uint32_t weight; /* values in it, itself included */
    const char *text;
    struct tree_member *member;
    size_t n;
};

/* One document. NULL when it is no YAML or beyond the limits (complained about). `file` is kept, not copied. */
const struct tree *tree_parse(const char *file, const char *text, size_t len, struct arena *arena,
                              struct complaints *c);
/* The value under `key`; NULL when absent or when `map` is no map. */
const struct tree *tree_get(const struct tree *map, const char *key);
const struct tree_member *tree_member(const struct tree *map, const char *key);
/* "text", "a list", "a mapping", "null". */
const char *tree_kind_name(const struct tree *t);

/* `patch` over `base` as RFC 7396 has it, in new maps. A null that removes nothing is warned about. */
const struct tree *tree_merge(const struct tree *base, const struct tree *patch, struct arena *arena,
                              struct complaints *c);
/* A file merged over its chain of bases; NULL when one of them cannot be read. `text` NULL: read `path`. */
const struct tree *tree_load(const char *path, const char *text, size_t len, struct arena *arena, struct complaints *c);
/* `name` as seen from the directory of `file`. */
const char *path_beside(const char *file, const char *name, struct arena *arena);

#endif
