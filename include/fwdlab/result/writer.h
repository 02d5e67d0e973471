/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON text written piece by piece, for what is too long to be a tree first: two spaces of indent, arrays without
 * objects on one line, keys in the order in which they come.
 */
#ifndef FWDLAB_RESULT_WRITER_H
#define FWDLAB_RESULT_WRITER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct writer {
    /* Takes the text whenever there is some; NULL: all of it stays in v, ended by a NUL (writer_finish). */
    void (*put)(void *to, const char *text, size_t n);
    void *to;
    char *v; /* this and the following: the writer's own */
    size_t n, cap;
    unsigned depth, line; /* line: from which depth on all is on one line; 0: it is not */
    bool follows, keyed;  /* something came before on this level; after its key */
};

void writer_begin(struct writer *w, char bracket); /* '{', or '[' of a list that has objects */
void writer_end(struct writer *w, char bracket);   /* '}' or ']' */
void writer_key(struct writer *w, const char *key);
void writer_string(struct writer *w, const char *text); /* UTF-8 */
void writer_integer(struct writer *w, long long n);
void writer_json(struct writer *w, const json_t *value);
void writer_line(struct writer *w); /* the end of one */
/* Hands over the last of the text, or returns all of it: free() it. NULL with `put`. */
char *writer_finish(struct writer *w);

#endif
