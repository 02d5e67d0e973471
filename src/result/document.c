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

/* One past the end of the array at `c`; NULL when there are objects in it. */
static const char *plain_array_end(const char *c) {
    bool quoted = false;
    for (unsigned depth = 0; *c; c++) {
        if (*c == '"')
            quoted = !quoted;
        else if (quoted)
            c += *c == '\\';
        else if (*c == '{')
            return NULL;
        else if (*c == '[')
            depth++;
        else if (*c == ']' && --depth == 0)
            return c + 1;
    }
    return NULL;
}

/* Puts arrays without objects on one line each: samples and histograms are thousands of numbers. */
static void fold_arrays(char *text) {
    const char *end = text;
    char *to = text;
    bool quoted = false;
    for (const char *c = text; *c; c++) {
        if (*c == '"')
            quoted = !quoted;
        else if (quoted && *c == '\\')
            *to++ = *c++;
        else if (!quoted && *c == '[' && c >= end)
            end = plain_array_end(c) ?: end;
        if (*c != '\n' || c >= end) {
            *to++ = *c;
            continue;
        }
        c += strspn(c + 1, " ");
        if (to[-1] == ',')
            *to++ = ' ';
    }
    *to = '\0';
}

char *document_text(const json_t *doc) {
    char *body = json_dumps(doc, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    if (!body)
        return NULL;
    fold_arrays(body);
    size_t n = strlen(body);
    body = xrealloc(body, n + 2, 1);
    memcpy(body + n, "\n", 2);
    return body;
}

int document_save(const json_t *doc, const char *path, struct err *e) {
    char *text = document_text(doc);
    int rc = 0;

    if (!text)
        return err_set(e, -EINVAL, "the document cannot be written as JSON");
    if (!strcmp(path, "-")) {
        if (fputs(text, stdout) == EOF || fflush(stdout) == EOF) {
            rc = -errno;
            err_set(e, rc, "cannot write: %s", strerror(-rc));
            err_where(e, "standard output");
        }
    } else {
        rc = file_save(path, text, strlen(text), e);
    }
    free(text);
    return rc;
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
