/* SPDX-License-Identifier: BSD-3-Clause */
/* A file over its base, over that one's base: RFC 7396, with maps standing for JSON's objects. */
#include "complaint.h"
#include "tree.h"
#include <fwdlab/base/file.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void warn_removes_nothing(const struct tree *base, const struct tree_member *m, struct complaints *c) {
    VEC(const char *) names = {0};
    for (size_t i = 0; base && base->kind == TREE_MAP && i < base->n; i++)
        vec_push(&names, base->member[i].key);
    complain(c, m->at, SEVERITY_WARNING, "null removes \"%s\", but the base has nothing of that name here", m->key);
    complain_hint_names(c, m->key, "it has", names.v, names.n);
    vec_free(&names);
}

const struct tree *tree_merge(const struct tree *base, const struct tree *patch, struct arena *arena,
                              struct complaints *c) {
    if (patch->kind != TREE_MAP)
        return patch;
    bool over_map = base && base->kind == TREE_MAP;
    struct tree *t = arena_alloc(arena, sizeof *t);
    *t = *(over_map ? base : patch); /* an element stays where it was first written */
    size_t n = over_map ? base->n : 0;
    t->member = arena_alloc(arena, (n + patch->n + 1) * sizeof *t->member);
    t->n = 0;
    for (size_t i = 0; i < n; i++) { /* what stays, in the base's order */
        struct tree_member m = base->member[i];
        const struct tree *over = tree_get(patch, m.key);
        if (over && over->kind == TREE_NULL)
            continue;
        if (over && over->kind != TREE_MAP)
            m.at = tree_member(patch, m.key)->at;
        m.value = over ? tree_merge(m.value, over, arena, c) : m.value;
        t->member[t->n++] = m;
    }
    for (size_t i = 0; i < patch->n; i++) { /* what is new */
        struct tree_member m = patch->member[i];
        if (over_map && tree_get(base, m.key))
            continue;
        if (m.value->kind == TREE_NULL) {
            warn_removes_nothing(base, &m, c);
            continue;
        }
        m.value = tree_merge(NULL, m.value, arena, c);
        t->member[t->n++] = m;
    }
    return t;
}

const char *path_beside(const char *file, const char *name, struct arena *arena) {
    const char *slash = strrchr(file, '/');
    if (name[0] == '/' || !slash)
        return arena_strdup(arena, name);
    return arena_printf(arena, "%.*s/%s", (int)(slash - file), file, name);
}

/* The files from the one asked for down to the one being read. */
struct chain {
    const struct chain *above;
    const char *path; /* canonical when the file exists */
    struct place at;  /* the `base` that led here; the file itself at the top */
    unsigned depth;
};

static const struct tree *load(const char *path, const char *text, size_t len, struct chain *chain, struct arena *arena,
                               struct complaints *c);

static bool chain_fits(const struct chain *chain, struct complaints *c) {
    for (const struct chain *up = chain->above; up; up = up->above) {
        if (strcmp(up->path, chain->path) != 0)
            continue;
        complain(c, chain->at, SEVERITY_ERROR, "the bases go in a circle: %s is reached again", up->path);
        complain_hint(c, "a base must not lead back to the file that names it");
        return false;
    }
    if (chain->depth <= BASES_MAX)
        return true;
    complain(c, chain->at, SEVERITY_ERROR, "more than %u files in a chain of bases", BASES_MAX);
    complain_hint(c, "let variants share one base");
    return false;
}

static void check_version(const struct tree *t, const char *file, struct complaints *c) {
    const struct tree *version = tree_get(t, "fwdlab");
    if (version && version->kind == TREE_TEXT && strcmp(version->text, "1") == 0)
        return;
    complain(c, version ? version->at : (struct place){file, 1}, SEVERITY_ERROR,
             version ? "this version of the format is not known" : "the version of the format is missing");
    complain_hint(c, "write \"fwdlab: 1\"");
}

static const struct tree *over_base(const struct tree *t, const char *file, struct chain *chain, struct arena *arena,
                                    struct complaints *c) {
    const struct tree *base = tree_get(t, "base");
    if (!base)
        return tree_merge(NULL, t, arena, c);
    if (base->kind != TREE_TEXT || !*base->text) {
        complain(c, base->at, SEVERITY_ERROR, "\"base\" is %s",
                 base->kind == TREE_TEXT ? "empty" : tree_kind_name(base));
        complain_hint(c, "base: the path of a file, relative to this one");
        return NULL;
    }
    struct chain next = {.above = chain, .at = base->at, .depth = chain->depth + 1};
    const struct tree *below = load(path_beside(file, base->text, arena), NULL, 0, &next, arena, c);
    return below ? tree_merge(below, t, arena, c) : NULL;
}

static const struct tree *load(const char *path, const char *text, size_t len, struct chain *chain, struct arena *arena,
                               struct complaints *c) {
    path = arena_strdup(arena, path);
    char *real = realpath(path, NULL), *data = NULL;
    chain->path = real ? arena_strdup(arena, real) : path;
    free(real);
    if (!chain_fits(chain, c))
        return NULL;
    struct err e;
    struct stat st;
    if (chain->above && stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        complain(c, chain->at, SEVERITY_ERROR, "the base %s is no regular file", path);
        complain_hint(c, "base: the path of a file, relative to this one");
        return NULL;
    }
    if (!text && file_load(path, &data, &len, &e)) {
        complain(c, chain->at, SEVERITY_ERROR, "%s%s", chain->above ? "the base cannot be read: " : "", e.what);
        complain_hint(c, "%s",
                      *e.hint        ? e.hint
                      : chain->above ? "base: the path of a file, relative to this one"
                                     : "give the path of a scenario file");
        return NULL;
    }
    const struct tree *t = tree_parse(path, text ? text : data, len, arena, c);
    free(data);
    if (!t)
        return NULL;
    check_version(t, path, c);
    return over_base(t, path, chain, arena, c);
}

const struct tree *tree_load(const char *path, const char *text, size_t len, struct arena *arena,
                             struct complaints *c) {
    struct chain top = {.at = {path, 1}, .depth = 1};
    return load(path, text, len, &top, arena, c);
}
