/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers with units. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "model.h"

struct unit {
    const char *name;
    double factor;
};

/* A decimal number and one of the units (the list ends with NULL), with or without a space between. */
static int parse(const char *text, const struct unit *units, const struct unit **unit, double *out) {
    char *end;
    if (!strchr("0123456789.", *text) || !*text || strpbrk(text, "xX"))
        return -EINVAL;
    double v = strtod(text, &end);
    if (end == text || !isfinite(v))
        return -EINVAL;
    while (*end == ' ')
        end++;
    for (; units->name; units++)
        if (!strcmp(end, units->name)) {
            *unit = units;
            *out = v * units->factor;
            return 0;
        }
    return -EINVAL;
}

static int wrong(const char *text, const char *right, struct err *e) {
    err_set(e, -EINVAL, "`%.80s` is not what it should be", text);
    err_hint(e, "%s", right);
    return -EINVAL;
}

int size_rate_parse(const char *text, double packet_bytes, double *out, struct err *e) {
    static const struct unit units[] = {{"", 1},       {"pps", 1},    {"kpps", 1e3}, {"Mpps", 1e6},
                                        {"Gbps", 1e9}, {"Mbps", 1e6}, {NULL, 0}};
    const struct unit *unit;
    if (parse(text, units, &unit, out) || *out <= 0)
        return wrong(text, "a rate, such as 2Mpps, 500kpps, 20000pps or 10Gbps", e);
    if (!strstr(unit->name, "bps"))
        return 0;
    if (packet_bytes <= 0)
        return wrong(text, "a bit rate needs the packet size: --packet-bytes, or a rate in Mpps", e);
    *out /= 8 * packet_bytes;
    return 0;
}

int size_time_parse(const char *text, double *out, struct err *e) {
    static const struct unit units[] = {{"", 1}, {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {NULL, 0}};
    const struct unit *unit;
    if (parse(text, units, &unit, out) || *out <= 0)
        return wrong(text, "a time, such as 100us, 1.5ms or 800ns", e);
    return 0;
}

int size_share_parse(const char *text, double *out, struct err *e) {
    static const struct unit units[] = {{"", 1}, {"%", 0.01}, {NULL, 0}};
    const struct unit *unit;
    if (parse(text, units, &unit, out) || *out > 1)
        return wrong(text, "a share, such as 30% or 0.3", e);
    return 0;
}

int size_count_parse(const char *text, double *out, struct err *e) {
    static const struct unit units[] = {{"", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {NULL, 0}};
    const struct unit *unit;
    if (parse(text, units, &unit, out) || *out < 1)
        return wrong(text, "a number, such as 1000, 10k or 1M", e);
    return 0;
}

const char *size_text(double v, char *buf) {
    static const struct unit units[] = {{"G", 1e9}, {"M", 1e6}, {"k", 1e3}, {"", 0}};
    const struct unit *u = units;
    while (v < u->factor * 0.9995)
        u++;
    snprintf(buf, SIZE_TEXT, "%.4g%s", u->factor > 0 ? v / u->factor : v, u->name);
    return buf;
}
