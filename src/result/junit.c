/* SPDX-License-Identifier: BSD-3-Clause */
/* A comparison as JUnit XML, as CI systems read it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/file.h>
#include <fwdlab/result/compare.h>

static void escaped(FILE *f, const char *text) {
    for (; *text; text++)
        switch (*text) {
        case '&': fputs("&amp;", f); break;
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '"': fputs("&quot;", f); break;
        default: fputc((unsigned char)*text < ' ' ? ' ' : *text, f); /* XML has no control characters */
        }
}

static const char *text_of(const json_t *o, const char *key) {
    return json_string_value(json_object_get(o, key));
}
static double number_of(const json_t *o, const char *key) {
    return json_number_value(json_object_get(o, key));
}

static void tell(FILE *f, const json_t *row) {
    const json_t *interval = json_object_get(row, "interval"), *high = json_array_get(interval, 1);
    fprintf(f, "%s: %.6g to %.6g %s, ratio %.4f (95 %%: %.4f to ", text_of(row, "verdict"), number_of(row, "base"),
            number_of(row, "new"), text_of(row, "unit"), number_of(row, "ratio"),
            json_number_value(json_array_get(interval, 0)));
    if (json_is_null(high))
        fputs("unknown", f);
    else
        fprintf(f, "%.4f", json_number_value(high));
    fprintf(f, "), tolerance %.3g %%, %s is better, method %s", 100 * number_of(row, "tolerance"),
            text_of(row, "better"), text_of(row, "method"));
}

static void testcase(FILE *f, const json_t *row) {
    const char *verdict = text_of(row, "verdict");
    const char *element = !strcmp(verdict, "worse") ? "failure" : !strcmp(verdict, "unclear") ? "skipped" : NULL;
    fputs("    <testcase classname=\"", f);
    escaped(f, text_of(row, "configuration"));
    fputs("\" name=\"", f);
    escaped(f, text_of(row, "figure"));
    fputs("\">", f);
    if (element)
        fprintf(f, "<%s message=\"", element);
    else
        fputs("<system-out>", f);
    tell(f, row);
    fputs(element ? "\"/>" : "</system-out>", f);
    fputs("</testcase>\n", f);
}

int compare_junit_save(const json_t *comparison, const char *path, struct err *e) {
    const json_t *figures = json_object_get(comparison, "figures");
    char *text = NULL;
    size_t len, i;
    json_t *row;
    FILE *f = open_memstream(&text, &len);
    fprintf(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
            "  <testsuite name=\"fwdlab compare\" tests=\"%zu\" failures=\"%u\" skipped=\"%u\" errors=\"0\">\n",
            json_array_size(figures), compare_count(comparison, "worse"), compare_count(comparison, "unclear"));
    json_array_foreach(figures, i, row)
        testcase(f, row);
    fputs("    <system-out>", f);
    escaped(f, text_of(comparison, "conclusion"));
    fputs("</system-out>\n  </testsuite>\n</testsuites>\n", f);
    fclose(f);
    int code = file_save(path, text, len, e);
    free(text);
    return code;
}
