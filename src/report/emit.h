/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text on its way out. Whatever comes from a document is hostile until it is escaped; so `emit` escapes every %s for
 * the kind of output, and only the format itself is taken as markup.
 */
#ifndef FWDLAB_REPORT_EMIT_H
#define FWDLAB_REPORT_EMIT_H

#include <stdio.h>

enum markup { MARKUP_HTML, MARKUP_MARKDOWN, MARKUP_TERMINAL };

struct out {
    FILE *f;
    enum markup markup;
    unsigned columns; /* MARKUP_TERMINAL: a line's */
};
/* Of the terminal that it is, between 60 and 120; 100 where it is none. */
unsigned terminal_columns(FILE *f);

/* As printf with %s, %c, %d, %u, %zu, %lld, %f, %g and %%; no width on %s. */
void emit(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One text, escaped. NULL: nothing. */
void emit_text(struct out *o, const char *text);

/* Characters of a UTF-8 text: the columns that it takes on a terminal. */
size_t text_width(const char *text);

#endif
