/* SPDX-License-Identifier: BSD-3-Clause */
/* Complaints: kept in an arena of their own, for they outlive the scenario that they are about. */
#include "complaint.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_SHOWN 12
#define SPELLING_MAX 48 /* longer names are not compared */

static const char *format(struct arena *arena, const char *fmt, va_list args) {
    char text[512];
    vsnprintf(text, sizeof text, fmt, args);
    return arena_strdup(arena, text);
}

void complain(struct complaints *c, struct place at, enum severity s, const char *what, ...) {
    if (!c->arena)
        c->arena = arena_create();
    const struct complaint *last = c->list.n ? &c->list.v[c->list.n - 1] : NULL;
    at.file = last && strcmp(last->at.file, at.file) == 0 ? last->at.file : arena_strdup(c->arena, at.file);
    va_list args;
    va_start(args, what);
    vec_push(&c->list, (struct complaint){.at = at, .severity = s, .what = format(c->arena, what, args), .hint = ""});
    va_end(args);
    c->errors += s == SEVERITY_ERROR;
}

void complain_fault(struct complaints *c, enum fault f, const struct ip_prefix *about) {
    struct complaint *last = &c->list.v[c->list.n - 1];
    c->faults += last->severity == SEVERITY_ERROR && !last->fault;
    last->fault = f;
    if (about)
        last->about = *about;
}

void complain_fault_ip(struct complaints *c, enum fault f, const struct ip *about) {
    struct ip_prefix host = host_prefix(about);
    complain_fault(c, f, &host);
}

struct ip_prefix host_prefix(const struct ip *addr) {
    return prefix_of(addr, addr->family == FAMILY_IPV6 ? 128 : 32);
}

void complain_hint(struct complaints *c, const char *hint, ...) {
    va_list args;
    va_start(args, hint);
    c->list.v[c->list.n - 1].hint = format(c->arena, hint, args);
    va_end(args);
}

static unsigned min3(unsigned a, unsigned b, unsigned c) {
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/*
 * How many letters must be changed, added, removed or swapped with their neighbour to make `b` of `a`, case not counted
 * (optimal string alignment); SPELLING_MAX for names too long to be compared.
 */
static unsigned distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    if (n >= SPELLING_MAX || m >= SPELLING_MAX)
        return SPELLING_MAX;
    unsigned rows[3][SPELLING_MAX]; /* of this letter of a, of the one before, of the one before that */
    for (unsigned j = 0; j <= m; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= n; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (unsigned j = 1; j <= m; j++) {
            char x = lower(a[i - 1]), y = lower(b[j - 1]);
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y));
            bool swapped = i > 1 && j > 1 && x == lower(b[j - 2]) && y == lower(a[i - 2]);
            if (swapped && above2[j - 2] + 1 < row[j])
                row[j] = above2[j - 2] + 1;
        }
    }
    return rows[n % 3][m];
}

void complain_hint_names(struct complaints *c, const char *wrong, const char *what, const char *const *names,
                         size_t n) {
    unsigned best = SPELLING_MAX;
    const char *nearest = NULL;
    for (size_t i = 0; i < n; i++) {
        unsigned d = distance(wrong, names[i]);
        if (d < best)
            best = d, nearest = names[i];
    }
    if (nearest && best <= strlen(nearest) / 3) {
        complain_hint(c, "did you mean \"%s\"?", nearest);
        return;
    }
    if (!n) {
        complain_hint(c, "%s: none", what);
        return;
    }
    char list[400] = "";
    size_t used = 0, i = 0;
    for (; i < n && i < NAMES_SHOWN && used + strlen(names[i]) + 8 < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    complain_hint(c, "%s: %s%s", what, list, i < n ? ", ..." : "");
}

/* Insertion would do for a handful, but hostile input brings thousands: sort by (file, line, order of complaining). */
struct rank {
    struct complaint complaint;
    size_t file, order;
};

static int rank_compare(const void *a, const void *b) {
    const struct rank *x = a, *y = b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->complaint.at.line != y->complaint.at.line)
        return x->complaint.at.line < y->complaint.at.line ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

void complaints_sort(struct complaints *c) {
    struct rank *ranks = xzalloc(c->list.n + 1, sizeof *ranks);
    VEC(const char *) files = {0};
    for (size_t i = 0; i < c->list.n; i++) {
        size_t f = 0;
        while (f < files.n && strcmp(files.v[f], c->list.v[i].at.file) != 0)
            f++;
        if (f == files.n)
            vec_push(&files, c->list.v[i].at.file);
        ranks[i] = (struct rank){c->list.v[i], f, i};
    }
    qsort(ranks, c->list.n, sizeof *ranks, rank_compare);
    for (size_t i = 0; i < c->list.n; i++)
        c->list.v[i] = ranks[i].complaint;
    vec_free(&files);
    vec_release(ranks);
}

void complaints_fini(struct complaints *c) {
    vec_free(&c->list);
    arena_destroy(c->arena);
    *c = (struct complaints){0};
}

const char *severity_name(enum severity s) {
    static const char *const names[] = {"error", "warning", "advice"};
    return names[s];
}

const char *fault_name(enum fault f) {
    static const char *const names[FAULT_COUNT] = {
        [FAULT_NONE] = "none",
        [FAULT_OVERLAP] = "overlap",
        [FAULT_OUTSIDE] = "outside",
        [FAULT_DUPLICATE_ADDRESS] = "duplicate-address",
        [FAULT_RESERVED_ADDRESS] = "reserved-address",
        [FAULT_SAME_SUBNET] = "same-subnet",
        [FAULT_NEXT_HOP] = "next-hop",
        [FAULT_DHCP] = "dhcp",
        [FAULT_ROUTE] = "route",
    };
    return names[f];
}
