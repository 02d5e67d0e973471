/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <fwdlab/base/err.h>

int err_set(struct err *e, int code, const char *what, ...) {
    if (e) {
        va_list ap;
        va_start(ap, what);
        vsnprintf(e->what, sizeof e->what, what, ap);
        va_end(ap);
        e->where[0] = e->hint[0] = '\0';
    }
    return code;
}

void err_where(struct err *e, const char *where, ...) {
    if (!e || e->where[0])
        return;
    va_list ap;
    va_start(ap, where);
    vsnprintf(e->where, sizeof e->where, where, ap);
    va_end(ap);
}

void err_hint(struct err *e, const char *hint, ...) {
    if (!e)
        return;
    va_list ap;
    va_start(ap, hint);
    vsnprintf(e->hint, sizeof e->hint, hint, ap);
    va_end(ap);
}
