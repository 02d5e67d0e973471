/* SPDX-License-Identifier: BSD-3-Clause */
/* YAML to tree, over libyaml's events, so that every limit holds before the memory is spent. */
#include "tree.h"
#include <string.h>
#include <yaml.h>

struct anchor {
    const char *name;
    const struct tree *value;
};
struct parser {
    yaml_parser_t yaml;
    const char *file, *text;
    size_t len;
    struct arena *arena;
    struct complaints *c;
    VEC(struct anchor) anchors;
    uint32_t weight; /* values made so far, aliases counted as what they stand for */
};

static const struct tree *parse_value(struct parser *p, yaml_event_t *ev, unsigned depth);

static struct place place_of(const struct parser *p, const yaml_mark_t *mark) {
    return (struct place){p->file, (unsigned)mark->line + 1};
}

/* The next event; false after a syntax error, which is then complained about. */
static bool next_event(struct parser *p, yaml_event_t *ev) {
    if (yaml_parser_parse(&p->yaml, ev))
        return true;
    struct place at = place_of(p, &p->yaml.problem_mark);
    if (p->yaml.error == YAML_READER_ERROR) { /* bytes that are no text: only their offset is known */
        at.line = 1;
        for (size_t i = 0; i < p->yaml.problem_offset && i < p->len; i++)
            at.line += p->text[i] == '\n';
    }
    complain(p->c, at, SEVERITY_ERROR, "not YAML: %s", p->yaml.problem ? p->yaml.problem : "it cannot be read");
    if (p->yaml.context)
        complain_hint(p->c, "it happened %s that begins in line %zu", p->yaml.context, p->yaml.context_mark.line + 1);
    return false;
}

static bool within_limits(struct parser *p, struct place at, unsigned depth, unsigned height, uint32_t weight) {
    p->weight += weight;
    if (p->weight > TREE_VALUES_MAX)
        complain(p->c, at, SEVERITY_ERROR, "more than %u values, aliases counted as often as they are used",
                 TREE_VALUES_MAX);
    else if (depth + height > TREE_DEPTH_MAX)
        complain(p->c, at, SEVERITY_ERROR, "nested more than %u levels deep", TREE_DEPTH_MAX);
    else
        return true;
    complain_hint(p->c, "scenarios need a fraction of that: write out what the file repeats");
    return false;
}

static const struct tree *parse_alias(struct parser *p, const yaml_event_t *ev, struct place at, unsigned depth) {
    const char *name = (const char *)ev->data.alias.anchor;
    for (size_t i = p->anchors.n; i-- > 0;) {
        const struct tree *t = p->anchors.v[i].value;
        if (strcmp(p->anchors.v[i].name, name) == 0)
            return within_limits(p, at, depth, t->height, t->weight) ? t : NULL;
    }
    complain(p->c, at, SEVERITY_ERROR, "alias *%s names no anchor that is complete before it", name);
    complain_hint(p->c, "write &%s before the value that it stands for", name);
    return NULL;
}

static bool is_null(const yaml_event_t *ev, const char *text) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        if (strcmp(text, nulls[i]) == 0)
            return true;
    return false;
}

static bool parse_text(struct parser *p, const yaml_event_t *ev, struct tree *t) {
    const char *text = (const char *)ev->data.scalar.value;
    if (strlen(text) != ev->data.scalar.length) {
        complain(p->c, t->at, SEVERITY_ERROR, "a NUL byte inside text");
        complain_hint(p->c, "remove the \\0");
        return false;
    }
    t->kind = is_null(ev, text) ? TREE_NULL : TREE_TEXT;
    t->text = arena_strdup(p->arena, text);
    return true;
}

/* The key of a map's next member from its event; false after a complaint. */
static bool parse_key(struct parser *p, const yaml_event_t *ev, struct tree_member *m) {
    m->at = place_of(p, &ev->start_mark);
    if (ev->type != YAML_SCALAR_EVENT) {
        complain(p->c, m->at, SEVERITY_ERROR, "a key that is not text");
        complain_hint(p->c, "keys are names, such as \"NIC1:\"");
        return false;
    }
    struct tree key = {.at = m->at};
    if (!parse_text(p, ev, &key))
        return false;
    m->key = key.text;
    return true;
}

struct members {
    VEC(struct tree_member) all;
    VEC(uint32_t) marks; /* of their keys (FNV-1a): looked at first, for there may be thousands */
};

static uint32_t mark_of(const char *key) {
    uint32_t h = 2166136261u;
    for (; key && *key; key++)
        h = (h ^ (uint8_t)*key) * 16777619u;
    return h;
}

/* Complains of a key that is there already: parsing goes on without the second one. */
static void add_member(struct parser *p, struct members *to, const struct tree_member *m) {
    const uint32_t mark = mark_of(m->key);
    for (size_t i = 0; m->key && i < to->marks.n; i++) {
        if (to->marks.v[i] != mark || strcmp(to->all.v[i].key, m->key) != 0)
            continue;
        complain(p->c, m->at, SEVERITY_ERROR, "key \"%s\" is here twice", m->key);
        complain_hint(p->c, "the first one is in line %u: keep one of them", to->all.v[i].at.line);
        return;
    }
    vec_push(&to->all, *m);
    vec_push(&to->marks, mark);
}

static bool parse_members(struct parser *p, struct tree *t, unsigned depth) {
    struct members members = {0};
    bool ok = false;
    for (yaml_event_t ev; next_event(p, &ev);) {
        if (ev.type == YAML_SEQUENCE_END_EVENT || ev.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&ev);
            ok = true;
            break;
        }
        struct tree_member m = {.at = place_of(p, &ev.start_mark)};
        if (t->kind == TREE_MAP) {
            bool key = parse_key(p, &ev, &m);
            yaml_event_delete(&ev);
            if (!key || !next_event(p, &ev))
                break;
        }
        bool alias = ev.type == YAML_ALIAS_EVENT;
        m.value = parse_value(p, &ev, depth + 1);
        if (!m.value)
            break;
        if (m.key && !alias && (m.value->kind == TREE_MAP || m.value->kind == TREE_LIST))
            ((struct tree *)m.value)->at = m.at; /* just made; an alias is shared and stays where it was written */
        if (m.value->height >= t->height)
            t->height = m.value->height + 1;
        t->weight += m.value->weight;
        add_member(p, &members, &m);
    }
    t->n = members.all.n;
    t->member = arena_alloc(p->arena, (t->n + 1) * sizeof *t->member);
    if (t->n)
        memcpy(t->member, members.all.v, t->n * sizeof *t->member);
    vec_free(&members.all);
    vec_free(&members.marks);
    return ok;
}

static bool keep_anchor(struct parser *p, const char *name, const struct tree *t) {
    if (p->anchors.n == TREE_ANCHORS_MAX) {
        complain(p->c, t->at, SEVERITY_ERROR, "more than %u anchors", TREE_ANCHORS_MAX);
        complain_hint(p->c, "write out what the file repeats");
        return false;
    }
    vec_push(&p->anchors, (struct anchor){name, t});
    return true;
}

/* Takes the event over. NULL after a complaint that ends the parsing. */
static const struct tree *parse_value(struct parser *p, yaml_event_t *ev, unsigned depth) {
    struct tree *t = arena_alloc(p->arena, sizeof *t);
    *t = (struct tree){.at = place_of(p, &ev->start_mark), .height = 1, .weight = 1};
    const struct tree *result = NULL;
    yaml_char_t *anchor = NULL, *tag = NULL;
    bool ok = true;

    if (ev->type == YAML_ALIAS_EVENT) {
        result = parse_alias(p, ev, t->at, depth);
        yaml_event_delete(ev);
        return result;
    }
    ok = within_limits(p, t->at, depth, 1, 1);
    if (ev->type == YAML_SCALAR_EVENT) {
        anchor = ev->data.scalar.anchor, tag = ev->data.scalar.tag;
        ok = ok && parse_text(p, ev, t);
    } else if (ev->type == YAML_SEQUENCE_START_EVENT) {
        anchor = ev->data.sequence_start.anchor, tag = ev->data.sequence_start.tag;
        t->kind = TREE_LIST;
    } else {
        anchor = ev->data.mapping_start.anchor, tag = ev->data.mapping_start.tag;
        t->kind = TREE_MAP;
    }
    if (tag) {
        complain(p->c, t->at, SEVERITY_ERROR, "the tag \"%s\" means nothing here", (const char *)tag);
        complain_hint(p->c, "remove it");
    }
    const char *name = anchor ? arena_strdup(p->arena, (const char *)anchor) : NULL;
    yaml_event_delete(ev);
    if (ok && t->kind >= TREE_LIST)
        ok = parse_members(p, t, depth);
    return ok && (!name || keep_anchor(p, name, t)) ? t : NULL;
}

/* The stream's only document; an empty one is an empty map. */
static const struct tree *parse_stream(struct parser *p) {
    const struct tree *root = NULL;
    for (yaml_event_t ev; next_event(p, &ev);) {
        struct place at = place_of(p, &ev.start_mark);
        switch (ev.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            yaml_event_delete(&ev);
            break;
        case YAML_DOCUMENT_START_EVENT:
            yaml_event_delete(&ev);
            if (!root)
                break;
            complain(p->c, at, SEVERITY_ERROR, "a second document begins");
            complain_hint(p->c, "one file holds one scenario: move it into a file of its own");
            return NULL;
        case YAML_STREAM_END_EVENT:
            yaml_event_delete(&ev);
            if (root)
                return root;
            complain(p->c, (struct place){p->file, 1}, SEVERITY_ERROR, "the file is empty");
            complain_hint(p->c, "begin with \"fwdlab: 1\"");
            return NULL;
        default:
            root = parse_value(p, &ev, 0);
            if (!root)
                return NULL;
        }
    }
    return NULL;
}

const struct tree *tree_parse(const char *file, const char *text, size_t len, struct arena *arena,
                              struct complaints *c) {
    if (len > TREE_BYTES_MAX) {
        complain(c, (struct place){file, 1}, SEVERITY_ERROR, "the file has %zu bytes, more than %u", len,
                 TREE_BYTES_MAX);
        complain_hint(c, "is this a scenario?");
        return NULL;
    }
    struct parser p = {.file = file, .text = text, .len = len, .arena = arena, .c = c};
    if (!yaml_parser_initialize(&p.yaml)) {
        complain(c, (struct place){file, 1}, SEVERITY_ERROR, "out of memory");
        return NULL;
    }
    yaml_parser_set_encoding(&p.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p.yaml, (const unsigned char *)text, len);
    const struct tree *root = parse_stream(&p);
    yaml_parser_delete(&p.yaml);
    vec_free(&p.anchors);
    if (root && root->kind != TREE_MAP) {
        complain(c, root->at, SEVERITY_ERROR, "%s where the keys of a scenario should stand", tree_kind_name(root));
        complain_hint(c, "begin with \"fwdlab: 1\"");
        return NULL;
    }
    return root;
}

const struct tree_member *tree_member(const struct tree *map, const char *key) {
    for (size_t i = 0; map && map->kind == TREE_MAP && i < map->n; i++)
        if (strcmp(map->member[i].key, key) == 0)
            return &map->member[i];
    return NULL;
}

const struct tree *tree_get(const struct tree *map, const char *key) {
    const struct tree_member *m = tree_member(map, key);
    return m ? m->value : NULL;
}

const char *tree_kind_name(const struct tree *t) {
    static const char *const names[] = {"null", "text", "a list", "a mapping"};
    return names[t->kind];
}
