/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What went wrong, where, and what would be right. Cold paths return 0 or -errno and fill a struct err; only the
 * command line prints it. A NULL struct err is allowed everywhere: the code alone is then returned.
 */
#ifndef FWDLAB_BASE_ERR_H
#define FWDLAB_BASE_ERR_H

struct err {
    char where[256]; /* file, file:line or file:frame; empty when the place is obvious */
    char what[512];  /* the fault, without a full stop */
    char hint[512];  /* what would be right; may be empty */
};

/* Fills `what`, clears `where` and `hint`, returns `code` (a negative errno) so that it can be returned in one line. */
int err_set(struct err *e, int code, const char *what, ...) __attribute__((format(printf, 3, 4)));
/* Says where. Keeps an innermost place that was already given. */
void err_where(struct err *e, const char *where, ...) __attribute__((format(printf, 2, 3)));
/* Says what would be right. */
void err_hint(struct err *e, const char *hint, ...) __attribute__((format(printf, 2, 3)));

#endif
