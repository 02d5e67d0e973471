/* SPDX-License-Identifier: BSD-3-Clause */
/* Escaping for HTML, Markdown and terminals. */
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include "emit.h"

unsigned terminal_columns(FILE *f) {
    struct winsize size;
    int fd = fileno(f);
    if (fd < 0 || ioctl(fd, TIOCGWINSZ, &size) || !size.ws_col)
        return 100;
    return size.ws_col < 60 ? 60 : size.ws_col > 120 ? 120 : size.ws_col;
}

size_t text_width(const char *text) {
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static const char *html_entity(char c) {
    switch (c) {
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '&': return "&amp;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

/* Control characters would move a terminal's cursor or break a page: each becomes one visible character. */
static void emit_char(struct out *o, char c) {
    const char *entity = o->markup == MARKUP_TERMINAL ? NULL : html_entity(c);
    if ((unsigned char)c < 0x20 || c == 0x7f)
        fputs("\xef\xbf\xbd", o->f);
    else if (entity)
        fputs(entity, o->f);
    else if (o->markup == MARKUP_MARKDOWN && strchr("\\`*_[]|#!~", c))
        fprintf(o->f, "\\%c", c);
    else
        fputc(c, o->f);
}

void emit_text(struct out *o, const char *text) {
    for (; text && *text; text++) {
        const unsigned char *u = (const unsigned char *)text;
        if (u[0] == 0xc2 && u[1] >= 0x80 && u[1] < 0xa0) { /* C1 controls, as UTF-8 */
            fputs("\xef\xbf\xbd", o->f);
            text++;
        } else {
            emit_char(o, *text);
        }
    }
}

/* Writes the argument of one conversion (spec: from '%' to its letter). */
#define EMIT_NUMBER(f, spec, ap, type) fprintf(f, spec, va_arg(ap, type))
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void emit_number(FILE *f, const char *spec, size_t len, va_list *ap) {
    char letter = spec[len - 1];
    if (strchr("fgeG", letter))
        EMIT_NUMBER(f, spec, *ap, double);
    else if (strstr(spec, "ll"))
        EMIT_NUMBER(f, spec, *ap, long long);
    else if (strchr(spec, 'z'))
        EMIT_NUMBER(f, spec, *ap, size_t);
    else if (strchr("cdiux", letter))
        EMIT_NUMBER(f, spec, *ap, int);
    else
        abort(); /* a format of ours that this function does not know */
}
#pragma GCC diagnostic pop

void emit(struct out *o, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    while (*fmt) {
        size_t plain = strcspn(fmt, "%");
        fwrite(fmt, 1, plain, o->f);
        fmt += plain;
        if (!*fmt)
            break;
        char spec[16] = "";
        size_t len = strcspn(fmt + 1, "%scdiuxfgeG") + 2;
        if (len >= sizeof spec)
            abort();
        memcpy(spec, fmt, len);
        fmt += len;
        if (spec[len - 1] == '%')
            fputc('%', o->f);
        else if (spec[len - 1] == 's')
            emit_text(o, va_arg(ap, const char *));
        else
            emit_number(o->f, spec, len, &ap);
    }
    va_end(ap);
}
