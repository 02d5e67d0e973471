/* SPDX-License-Identifier: BSD-3-Clause */
/* A table, made once and written as HTML, Markdown or for a terminal. */
#ifndef FWDLAB_REPORT_TABLE_H
#define FWDLAB_REPORT_TABLE_H

#include <stdbool.h>
#include <fwdlab/base/arena.h>
#include <fwdlab/base/vec.h>
#include "emit.h"
#include "view.h"

enum tone { TONE_NONE, TONE_GOOD, TONE_INFO, TONE_WARN, TONE_BAD };
extern const char *const tone_class[]; /* CSS classes */

struct column {
    const char *title;
    bool number; /* set to the right */
};
struct cell {
    const char *text;
    enum tone tone;
    const char *title; /* what the page tells on pointing at it; NULL */
};
struct table {
    struct arena *arena; /* holds the texts; not the table's own */
    const char *caption;
    VEC(struct column) columns;
    VEC(struct cell) cells; /* row after row; the first of each row names it */
};

void table_column(struct table *t, bool number, const char *title);
/* Several at once, numbers from column `first_number` on. */
#define TABLE_HEADS(t, first_number, ...)                                                                              \
    table_heads(t, (const char *const[]){__VA_ARGS__}, sizeof (const char *const[]){__VA_ARGS__} / sizeof(char *),     \
                first_number)
void table_heads(struct table *t, const char *const *titles, size_t n, size_t first_number);
void table_cell(struct table *t, enum tone tone, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The title of the last cell. */
void table_title(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A count with separators; 0 as a dash, else in `tone`. */
void table_count(struct table *t, enum tone tone, long long count);
/* What is absent or empty is a dash. `fmt`: of one double. */
void table_text(struct table *t, enum tone tone, const char *text);
void table_number(struct table *t, const json_t *value, const char *fmt);
void table_duration(struct table *t, const json_t *value);
/* Of "same", "better", "worse", "unclear". */
enum tone ratio_tone(const char *verdict);
/* Makes rows columns of numbers and columns rows, which `first` heads. */
void table_transpose(struct table *t, const char *first);
/* Writes it, nothing at all without rows (false), and frees it. Terminal: cut to its columns. */
bool table_emit(struct table *t, struct out *o);

#endif
