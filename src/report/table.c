/* SPDX-License-Identifier: BSD-3-Clause */
/* Three ways to write a table. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "table.h"

#define DASH "\xe2\x80\x93"
#define LONG_TEXT 32 /* characters; a longer cell of the page may be wrapped */

const char *const tone_class[] = {"plain", "good", "info", "warn", "bad"};

void table_column(struct table *t, bool number, const char *title) {
    vec_push(&t->columns, (struct column){title, number});
}

static const char *format(struct arena *a, const char *fmt, va_list ap) {
    char *text;
    if (vasprintf(&text, fmt, ap) < 0)
        return "";
    const char *out = arena_strdup(a, text);
    free(text);
    return out;
}

void table_cell(struct table *t, enum tone tone, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vec_push(&t->cells, (struct cell){format(t->arena, fmt, ap), tone, NULL});
    va_end(ap);
}

void table_title(struct table *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    t->cells.v[t->cells.n - 1].title = format(t->arena, fmt, ap);
    va_end(ap);
}

void table_count(struct table *t, enum tone tone, long long count) {
    if (count)
        table_cell(t, tone, "%s", count_text(t->arena, count));
    else
        table_cell(t, TONE_NONE, DASH);
}

void table_heads(struct table *t, const char *const *titles, size_t n, size_t first_number) {
    for (size_t i = 0; i < n; i++)
        table_column(t, i >= first_number, titles[i]);
}

void table_text(struct table *t, enum tone tone, const char *text) {
    table_cell(t, *text ? tone : TONE_NONE, "%s", *text ? text : DASH);
}

void table_number(struct table *t, const json_t *value, const char *fmt) {
    table_text(t, TONE_NONE, json_is_number(value) ? arena_printf(t->arena, fmt, json_number_value(value)) : "");
}

void table_duration(struct table *t, const json_t *value) {
    table_text(t, TONE_NONE, json_is_number(value) ? duration_text(t->arena, json_number_value(value)) : "");
}

enum tone ratio_tone(const char *verdict) {
    return !strcmp(verdict, "worse") ? TONE_BAD : !strcmp(verdict, "better") ? TONE_GOOD : TONE_NONE;
}

void table_transpose(struct table *t, const char *first) {
    struct table out = {.arena = t->arena, .caption = t->caption};
    size_t columns = t->columns.n, rows = t->cells.n / columns;
    table_column(&out, false, first);
    for (size_t r = 0; r < rows; r++)
        table_column(&out, true, t->cells.v[r * columns].text);
    for (size_t i = 1; i < columns && rows; i++) {
        table_cell(&out, TONE_NONE, "%s", t->columns.v[i].title);
        for (size_t r = 0; r < rows; r++)
            vec_push(&out.cells, t->cells.v[r * columns + i]);
    }
    vec_free(&t->columns);
    vec_free(&t->cells);
    *t = out;
}

static void emit_html(const struct table *t, struct out *o) {
    size_t columns = t->columns.n;
    emit(o, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"%s\"><table>\n<caption>%s</caption>\n"
         "<thead><tr>", t->caption, t->caption);
    for (size_t i = 0; i < columns; i++) {
        fprintf(o->f, "<th scope=\"col\"%s>", t->columns.v[i].number ? " class=\"n\"" : "");
        emit(o, "%s</th>", t->columns.v[i].title);
    }
    emit(o, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < t->cells.n; i++) {
        const struct cell *c = &t->cells.v[i];
        bool first = i % columns == 0, last = i % columns == columns - 1;
        emit(o, first ? "<tr><th scope=\"row\"" : "<td");
        const char *shape = t->columns.v[i % columns].number ? "n" : text_width(c->text) > LONG_TEXT ? "t" : "";
        if (*shape || c->tone)
            fprintf(o->f, " class=\"%s%s%s\"", shape, *shape && c->tone ? " " : "", c->tone ? tone_class[c->tone] : "");
        if (c->title)
            emit(o, " title=\"%s\"", c->title);
        emit(o, ">%s", c->text);
        emit(o, first ? "</th>" : "</td>");
        if (last)
            emit(o, "</tr>\n");
    }
    emit(o, "</tbody></table></div>\n");
}

static void emit_markdown(const struct table *t, struct out *o) {
    size_t columns = t->columns.n;
    emit(o, "**%s**\n\n|", t->caption);
    for (size_t i = 0; i < columns; i++)
        emit(o, " %s |", t->columns.v[i].title);
    emit(o, "\n|");
    for (size_t i = 0; i < columns; i++)
        fputs(t->columns.v[i].number ? " ---: |" : " --- |", o->f);
    for (size_t i = 0; i < t->cells.n; i++) {
        if (i % columns == 0)
            emit(o, "\n|");
        emit(o, " %s |", t->cells.v[i].text);
    }
    emit(o, "\n\n");
}

/* Widths that fit the terminal: while they do not, the widest column loses a character. */
static void fit(const struct table *t, unsigned room, size_t *width) {
    size_t columns = t->columns.n, total = 2 * (columns - 1);
    for (size_t i = 0; i < columns; i++)
        width[i] = text_width(t->columns.v[i].title);
    for (size_t i = 0; i < t->cells.n; i++) {
        size_t w = text_width(t->cells.v[i].text);
        if (w > width[i % columns])
            width[i % columns] = w;
    }
    for (size_t i = 0; i < columns; i++)
        total += width[i];
    for (; total > room; total--) {
        size_t widest = 0;
        for (size_t i = 1; i < columns; i++)
            if (width[i] > width[widest])
                widest = i;
        width[widest]--;
    }
}

static void emit_padded(struct out *o, const char *text, size_t width, bool right, bool last) {
    size_t have = text_width(text);
    char *cut = NULL;
    if (have > width) { /* keep width - 1 characters and say that it goes on */
        size_t bytes = 0;
        for (size_t n = 0; text[bytes]; bytes++)
            if (((unsigned char)text[bytes] & 0xc0) != 0x80 && ++n > width - 1)
                break;
        cut = xzalloc(bytes + 4, 1);
        memcpy(cut, text, bytes);
        memcpy(cut + bytes, "\xe2\x80\xa6", 3);
        text = cut;
        have = width;
    }
    for (size_t i = have; right && i < width; i++)
        fputc(' ', o->f);
    emit_text(o, text);
    for (size_t i = have; !right && !last && i < width; i++)
        fputc(' ', o->f);
    fputs(last ? "\n" : "  ", o->f);
    free(cut);
}

static void emit_terminal(const struct table *t, struct out *o) {
    size_t columns = t->columns.n;
    size_t *width = xzalloc(columns, sizeof *width);
    fit(t, o->columns, width);
    emit(o, "%s\n", t->caption);
    for (size_t i = 0; i < columns; i++)
        emit_padded(o, t->columns.v[i].title, width[i], t->columns.v[i].number, i == columns - 1);
    for (size_t i = 0; i < columns; i++) {
        for (size_t k = 0; k < width[i]; k++)
            fputc('-', o->f);
        fputs(i == columns - 1 ? "\n" : "  ", o->f);
    }
    for (size_t i = 0; i < t->cells.n; i++)
        emit_padded(o, t->cells.v[i].text, width[i % columns], t->columns.v[i % columns].number,
                    i % columns == columns - 1);
    emit(o, "\n");
    free(width);
}

bool table_emit(struct table *t, struct out *o) {
    bool any = t->cells.n > 0;
    if (any) {
        if (o->markup == MARKUP_HTML)
            emit_html(t, o);
        else if (o->markup == MARKUP_MARKDOWN)
            emit_markdown(t, o);
        else
            emit_terminal(t, o);
    }
    vec_free(&t->columns);
    vec_free(&t->cells);
    return any;
}
