/* SPDX-License-Identifier: BSD-3-Clause */
/* See writer.h. Numbers and plain text are written here; what needs escapes, and reals, as jansson writes them. */
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/decimal.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/result/writer.h>

#define FULL ((size_t)1 << 16) /* bytes from which on they are handed over */
#define INDENT 2
#define REAL_FLAGS (JSON_ENCODE_ANY | JSON_REAL_PRECISION(12))

/* Room for n more bytes. */
static char *room(struct writer *w, size_t n) {
    if (w->put && w->n >= FULL) {
        w->put(w->to, w->v, w->n);
        w->n = 0;
    }
    if (w->cap - w->n < n) {
        w->cap = (w->cap + n) * 2 + FULL;
        w->v = xrealloc(w->v, w->cap, 1);
    }
    return w->v + w->n;
}

static void add(struct writer *w, const char *text, size_t n) {
    memcpy(room(w, n), text, n);
    w->n += n;
}

static void new_line(struct writer *w) {
    const size_t n = 1 + INDENT * (size_t)w->depth;
    char *to = room(w, n);
    to[0] = '\n';
    memset(to + 1, ' ', n - 1);
    w->n += n;
}

/* Before a key, or a value that has none. */
static void separate(struct writer *w) {
    if (w->keyed || !w->depth) {
        w->keyed = false;
        return;
    }
    if (w->follows)
        add(w, ", ", w->line ? 2 : 1);
    if (!w->line)
        new_line(w);
    w->follows = true;
}

void writer_begin(struct writer *w, char bracket) {
    separate(w);
    add(w, &bracket, 1);
    w->depth++;
    w->follows = false;
}

void writer_end(struct writer *w, char bracket) {
    w->depth--;
    if (w->follows && !w->line)
        new_line(w);
    if (w->depth < w->line)
        w->line = 0;
    add(w, &bracket, 1);
    w->follows = true;
}

/* Nothing in it that JSON writes in another way. */
static bool is_plain(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == '"' || text[i] == '\\')
            return false;
    return true;
}

/* As jansson writes it. */
static void add_json(struct writer *w, const json_t *value) {
    const size_t n = json_dumpb(value, NULL, 0, REAL_FLAGS);
    json_dumpb(value, room(w, n), n, REAL_FLAGS);
    w->n += n;
}

static void add_text(struct writer *w, const char *text, size_t n) {
    if (is_plain(text, n)) {
        char *to = room(w, n + 2);
        to[0] = to[n + 1] = '"';
        memcpy(to + 1, text, n);
        w->n += n + 2;
        return;
    }
    json_t *value = json_stringn(text, n);
    add_json(w, value);
    json_decref(value);
}

void writer_key(struct writer *w, const char *key) {
    separate(w);
    add_text(w, key, strlen(key));
    add(w, ": ", 2);
    w->keyed = true;
}

void writer_string(struct writer *w, const char *text) {
    separate(w);
    add_text(w, text, strlen(text));
}

void writer_integer(struct writer *w, long long n) {
    separate(w);
    char *to = room(w, 1 + DECIMAL_TEXT);
    if (n < 0)
        *to++ = '-';
    w->n = (size_t)(decimal_put(to, n < 0 ? -(unsigned long long)n : (unsigned long long)n) - w->v);
}

static bool has_objects(const json_t *array) {
    const json_t *value;
    size_t i;
    json_array_foreach(array, i, value)
        if (json_is_object(value) || (json_is_array(value) && has_objects(value)))
            return true;
    return false;
}

static void write_array(struct writer *w, const json_t *array) {
    const json_t *value;
    size_t i;
    writer_begin(w, '[');
    if (!w->line && !has_objects(array))
        w->line = w->depth;
    json_array_foreach(array, i, value)
        writer_json(w, value);
    writer_end(w, ']');
}

void writer_json(struct writer *w, const json_t *value) {
    const char *key;
    const json_t *member;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        writer_begin(w, '{');
        json_object_foreach((json_t *)value, key, member) {
            writer_key(w, key);
            writer_json(w, member);
        }
        writer_end(w, '}');
        return;
    case JSON_ARRAY:
        write_array(w, value);
        return;
    case JSON_INTEGER:
        writer_integer(w, json_integer_value(value));
        return;
    case JSON_STRING:
        separate(w);
        add_text(w, json_string_value(value), json_string_length(value));
        return;
    default:
        separate(w);
        add_json(w, value);
    }
}

void writer_line(struct writer *w) {
    new_line(w);
}

char *writer_finish(struct writer *w) {
    char *text = NULL;
    if (w->put) {
        w->put(w->to, w->v, w->n);
        free(w->v);
    } else {
        *room(w, 1) = '\0';
        text = w->v;
    }
    *w = (struct writer){0};
    return text;
}
