/* SPDX-License-Identifier: BSD-3-Clause */
/* Result documents: made, written, read; digests of what they were made from. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fwdlab/base/file.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/result/document.h>
#include "environment.h"

#define SCHEMA_PREFIX "fwdlab."
#define SCHEMA_VERSION "/1"
#define DIGEST_END ((off_t)1 << 20)
#define HEX_SIZE 65

/* Feeds bytes [from, to) of fd. 0 or -errno. */
static int digest_range(EVP_MD_CTX *ctx, int fd, off_t from, off_t to) {
    char buf[1 << 16];
    while (from < to) {
        size_t want = to - from < (off_t)sizeof buf ? (size_t)(to - from) : sizeof buf;
        ssize_t got = pread(fd, buf, want, from);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EIO; /* shorter than it was a moment ago */
        EVP_DigestUpdate(ctx, buf, (size_t)got);
        from += got;
    }
    return 0;
}

static int digest_fd(int fd, off_t size, bool full, char *hex) {
    uint8_t le[8], md[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int rc;

    if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL)) {
        EVP_MD_CTX_free(ctx);
        return -ENOMEM;
    }
    if (full) {
        rc = digest_range(ctx, fd, 0, size);
    } else {
        for (int i = 0; i < 8; i++)
            le[i] = (uint8_t)((uint64_t)size >> (8 * i));
        EVP_DigestUpdate(ctx, le, sizeof le);
        rc = digest_range(ctx, fd, 0, size < DIGEST_END ? size : DIGEST_END);
        if (!rc)
            rc = digest_range(ctx, fd, size > DIGEST_END ? size - DIGEST_END : 0, size);
    }
    EVP_DigestFinal_ex(ctx, md, NULL);
    EVP_MD_CTX_free(ctx);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", md[i]);
    return rc;
}

int document_digest(const char *path, bool full, char *hex, unsigned long long *size, struct err *e) {
    struct stat st;
    int rc, fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0)
        rc = -errno;
    else if (!S_ISREG(st.st_mode))
        rc = S_ISDIR(st.st_mode) ? -EISDIR : -ESPIPE;
    else
        rc = digest_fd(fd, st.st_size, full, hex);
    if (fd >= 0)
        close(fd);
    if (rc) {
        err_set(e, rc, "cannot read: %s", strerror(-rc));
        err_where(e, "%s", path);
        return rc;
    }
    *size = (unsigned long long)st.st_size;
    return 0;
}

void document_count(json_t *object, const char *key, unsigned long long n) {
    json_object_set_new(object, key, json_integer((json_int_t)n));
}

json_t *document_string(const char *text) {
    json_t *out = json_string(text);
    if (out)
        return out;
    char *clean = xalloc(3 * strlen(text) + 1), *to = clean;
    while (*text) {
        size_t n = 1; /* the shortest run of bytes from here that is one character */
        json_t *whole;
        while (!(whole = json_stringn(text, n)) && n < 4 && text[n])
            n++;
        memcpy(to, whole ? text : "\xef\xbf\xbd", whole ? n : 3);
        to += whole ? n : 3;
        text += whole ? n : 1;
        json_decref(whole);
    }
    *to = 0;
    out = json_string(clean);
    free(clean);
    return out;
}

/* What can be read only once (stdin, a pipe) is named, not read. */
static bool once_only(const char *path) {
    struct stat st;
    if (!strcmp(path, "-"))
        return true;
    return !stat(path, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || S_ISCHR(st.st_mode));
}

static json_t *input_json(const struct document_input *in, bool full_hash, struct err *e) {
    char hex[HEX_SIZE];
    unsigned long long size;
    json_t *out = json_object();

    json_object_set_new(out, "path", document_string(in->path));
    json_object_set_new(out, "role", json_string(in->role));
    if (once_only(in->path)) {
        json_object_set_new(out, "size", json_null());
        json_object_set_new(out, "digest", json_null());
        return out;
    }
    if (document_digest(in->path, false, hex, &size, e) < 0)
        goto fail;
    json_object_set_new(out, "size", json_integer((json_int_t)size));
    json_object_set_new(out, "digest", json_string(hex));
    if (full_hash) {
        if (document_digest(in->path, true, hex, &size, e) < 0)
            goto fail;
        json_object_set_new(out, "sha256", json_string(hex));
    }
    return out;
fail:
    json_decref(out);
    return NULL;
}

json_t *document_new(const struct document_options *o, struct err *e) {
    json_t *doc = json_object(), *inputs = json_array();

    json_object_set_new(doc, "schema", json_sprintf(SCHEMA_PREFIX "%s" SCHEMA_VERSION, o->command));
    json_object_set_new(doc, "environment", environment_json(o));
    json_object_set_new(doc, "inputs", inputs);
    if (o->partial)
        json_object_set_new(doc, "partial", json_true());
    for (unsigned i = 0; i < o->n_inputs; i++) {
        json_t *input = input_json(&o->inputs[i], o->full_hash, e);
        if (!input) {
            json_decref(doc);
            return NULL;
        }
        json_array_append_new(inputs, input);
    }
    return doc;
}

/* The document, or an object of it, with the rows at their place. */
static void write_members(struct writer *w, const json_t *object, const struct document_rows *rows, bool inside) {
    const char *key;
    json_t *value;
    writer_begin(w, '{');
    json_object_foreach((json_t *)object, key, value) {
        writer_key(w, key);
        if (rows && !inside && !strcmp(key, rows->object)) {
            write_members(w, value, rows, true);
        } else if (rows && inside && !strcmp(key, rows->key)) {
            writer_begin(w, '[');
            rows->write(w, rows->of);
            writer_end(w, ']');
        } else {
            writer_json(w, value);
        }
    }
    writer_end(w, '}');
}

static char *write_document(struct writer *w, const json_t *doc, const struct document_rows *rows) {
    write_members(w, doc, rows, false);
    writer_line(w);
    return writer_finish(w);
}

char *document_text_rows(const json_t *doc, const struct document_rows *rows) {
    struct writer w = {0};
    return write_document(&w, doc, rows);
}

char *document_text(const json_t *doc) {
    return document_text_rows(doc, NULL);
}

static void put_file(void *to, const char *text, size_t n) {
    fwrite(text, 1, n, to);
}

static void put_draft(void *to, const char *text, size_t n) {
    file_draft_write(to, text, n);
}

static int print(const json_t *doc, const struct document_rows *rows, struct err *e) {
    struct writer w = {.put = put_file, .to = stdout};
    errno = EIO; /* unless the system says more */
    write_document(&w, doc, rows);
    if (!fflush(stdout) && !ferror(stdout))
        return 0;
    const int rc = -errno;
    err_set(e, rc, "cannot write: %s", strerror(-rc));
    err_where(e, "standard output");
    return rc;
}

int document_save_rows(const json_t *doc, const struct document_rows *rows, const char *path, struct err *e) {
    struct file_draft d;
    if (!strcmp(path, "-"))
        return print(doc, rows, e);
    int rc = file_draft_open(&d, path, e);
    if (rc)
        return rc;
    struct writer w = {.put = put_draft, .to = &d};
    write_document(&w, doc, rows);
    return file_draft_close(&d, e);
}

int document_save(const json_t *doc, const char *path, struct err *e) {
    return document_save_rows(doc, NULL, path, e);
}

/* 0 when the schema is the wanted one. */
static int schema_check(const json_t *doc, const char *path, const char *command, struct err *e) {
    const char *schema = json_string_value(json_object_get(doc, "schema"));
    const char *slash = schema ? strchr(schema, '/') : NULL;

    if (!slash || strncmp(schema, SCHEMA_PREFIX, strlen(SCHEMA_PREFIX))) {
        err_set(e, -EINVAL, "not a result document: it has no \"schema\" that begins with \"" SCHEMA_PREFIX "\"");
        err_hint(e, "result documents are written by --json or -o of analyze, replay, bench and compare");
    } else if (strcmp(slash, SCHEMA_VERSION)) {
        err_set(e, -EINVAL, "schema %.80s is of a version that is not known here", schema);
        err_hint(e, "known is version 1: make the document again with this program");
    } else {
        const char *name = schema + strlen(SCHEMA_PREFIX);
        if (!command || ((size_t)(slash - name) == strlen(command) && !strncmp(name, command, strlen(command))))
            return 0;
        err_set(e, -EINVAL, "a document of `%.*s`", (int)(slash - name < 40 ? slash - name : 40), name);
        err_hint(e, "needed is one of `%s`", command);
    }
    err_where(e, "%s", path);
    return -EINVAL;
}

json_t *document_load(const char *path, const char *command, struct err *e) {
    char *text;
    size_t len;
    json_error_t fault;

    if (file_load(path, &text, &len, e) < 0)
        return NULL;
    json_t *doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, &fault);
    free(text);
    if (!doc) {
        err_set(e, -EINVAL, "not JSON: %s (column %d)", fault.text, fault.column);
        err_where(e, "%s:%d", path, fault.line);
        return NULL;
    }
    if (schema_check(doc, path, command, e) < 0) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}
