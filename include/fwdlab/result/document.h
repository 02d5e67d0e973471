/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Result documents: JSON with a schema version, the environment and the inputs. The body is built by the caller as a
 * jansson object; keys keep the order in which they were set.
 */
#ifndef FWDLAB_RESULT_DOCUMENT_H
#define FWDLAB_RESULT_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <fwdlab/base/err.h>
#include <fwdlab/measure/noise.h>
#include <fwdlab/result/writer.h>

struct document_input {
    const char *path;
    const char *role; /* "scenario", "trace", "result" */
};
struct document_options {
    const char *command;          /* "analyze": schema fwdlab.analyze/1 */
    const struct document_input *inputs;
    unsigned n_inputs;
    bool full_hash;               /* whole SHA-256 of every input beside the quick digest */
    const char *dpdk;             /* its version, NULL: not used */
    const char *hugepages;        /* timed documents: "none" or what is in use; NULL: not timed */
    const struct noise *noise;    /* timed documents; NULL */
    bool partial;
};
/*
 * A new object with schema, environment, inputs (and partial); NULL and *e when an input cannot be read. What can be
 * read only once ("-", a pipe) is named without size and digest.
 */
json_t *document_new(const struct document_options *o, struct err *e);
/*
 * The elements of a list that is too long to be made first: written into `key` of the document's `object`, which is an
 * empty list there.
 */
struct document_rows {
    const char *object, *key;
    void (*write)(struct writer *w, const void *of);
    const void *of;
};
/* As writer.h has it, with a closing newline; free() it. `rows`: NULL, or what is in no tree. */
char *document_text(const json_t *doc);
char *document_text_rows(const json_t *doc, const struct document_rows *rows);
/* Writes whole or not at all; "-": stdout. */
int document_save(const json_t *doc, const char *path, struct err *e);
int document_save_rows(const json_t *doc, const struct document_rows *rows, const char *path, struct err *e);
/* Reads and checks that "schema" is fwdlab.<command>/1; command NULL: any command. Release with json_decref. */
json_t *document_load(const char *path, const char *command, struct err *e);

/* A JSON string of any text: bytes that are not UTF-8 become U+FFFD (json_string would return NULL). */
json_t *document_string(const char *text);
/* Sets key to a number. */
void document_count(json_t *object, const char *key, unsigned long long n);

/* SHA-256 in hex of size (8 bytes little-endian), first and last MiB; and of everything. `hex`: 65 bytes. */
int document_digest(const char *path, bool full, char *hex, unsigned long long *size, struct err *e);

#endif
