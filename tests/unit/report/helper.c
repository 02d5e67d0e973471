/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of reports share. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fwdlab/base/file.h>
#include <fwdlab/report/report.h>
#include "helper.h"

char dir[64];

void report_setup(void) {
    snprintf(dir, sizeof dir, "%s/fwdlab-report-test-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    cr_assert(mkdtemp(dir));
    setenv("TMPDIR", dir, 1);
}
void report_teardown(void) {
    DIR *d = opendir(dir);
    char path[512];
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    closedir(d);
    rmdir(dir);
}

char *read_file(const char *name) {
    char path[512], *text = NULL;
    size_t len;
    struct err e = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    cr_assert_eq(file_load(path, &text, &len, &e), 0, "%s: %s", path, e.what);
    return text;
}

json_t *parse(const char *text) {
    json_error_t fault;
    json_t *doc = json_loads(text, 0, &fault);
    cr_assert(doc, "%s at %d", fault.text, fault.position);
    return doc;
}

json_t *document(const char *template, const char *name) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    for (const char *p = template; *p; p++) {
        if (!strncmp(p, "NAME", 4)) {
            fputs(name, f);
            p += 3;
        } else {
            fputc(*p == '\'' ? '"' : *p, f);
        }
    }
    fclose(f);
    json_t *doc = parse(text);
    free(text);
    return doc;
}

void assert_balanced(const char *html) {
    static const char *const empty[] = {"meta", "br", "!DOCTYPE"};
    char stack[64][24];
    int depth = 0;
    for (const char *p = strchr(html, '<'); p; p = strchr(p, '<')) {
        bool closing = p[1] == '/', alone = false;
        const char *name = p + 1 + closing, *end = name;
        size_t n = strcspn(name, " \t\n/>");
        cr_assert(n > 0 && n < sizeof stack[0], "not a tag: %.60s", p);
        for (char quote = 0; *end && (quote || *end != '>'); end++)
            quote = quote ? (*end == quote ? 0 : quote) : *end == '"' || *end == '\'' ? *end : 0;
        cr_assert(*end, "tag without end: %.60s", p);
        for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
            alone |= strlen(empty[i]) == n && !strncmp(empty[i], name, n);
        if (closing) {
            cr_assert(depth > 0, "closes nothing: %.60s", p);
            depth--;
            cr_assert(strlen(stack[depth]) == n && !strncmp(stack[depth], name, n), "%s closed by %.40s",
                      stack[depth], p);
        } else if (!alone && end[-1] != '/') {
            cr_assert(depth < 64);
            snprintf(stack[depth++], sizeof stack[0], "%.*s", (int)n, name);
        }
        p = end;
    }
    cr_assert_eq(depth, 0, "%s is left open", depth ? stack[depth - 1] : "");
}

void assert_survives(json_t *doc, json_t *root) {
    static const char *const wrong[] = {"null", "[]", "{}", "\"x\"", "-7", "[[1]]", "[{}, null, \"x\"]",
                                        "true"};
    enum { N_WRONG = sizeof wrong / sizeof *wrong };
    const char *key;
    json_t *as_it_was = json_copy(doc), *value;
    json_object_foreach(as_it_was, key, value) {
        for (size_t i = 0; i <= N_WRONG; i++) {
            struct report_document d = {"d.json", root};
            char *text = NULL;
            size_t size;
            if (i < N_WRONG)
                json_object_set_new(doc, key, json_loads(wrong[i], JSON_DECODE_ANY, NULL));
            else
                json_object_del(doc, key);
            if (strcmp(key, "schema"))
                cr_assert_eq(report_html(&d, 1, dir, NULL), 0, "%s", key);
            FILE *f = open_memstream(&text, &size);
            report_analyze_text(root, f);
            report_replay_text(root, f);
            report_bench_text(root, f);
            report_compare_text(root, f);
            report_compare_markdown(root, f);
            report_size_text(root, f);
            fclose(f);
            free(text);
        }
        json_object_set(doc, key, value);
        if (json_is_object(value))
            assert_survives(value, root);
        json_t *first = json_array_get(value, 0);
        if (json_is_object(first))
            assert_survives(first, root);
    }
    json_decref(as_it_was);
}
