/* SPDX-License-Identifier: BSD-3-Clause */
/* Send times in fixed point, 2^-32 ns: rounding a gap moves the thousand-millionth packet by 0.1 ns. */
#include <errno.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/trace/schedule.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRACTION_BITS 32
#define PPS_MIN 0.001
#define PPS_MAX 1e9
#define FACTOR_MIN 0.001
#define FACTOR_MAX 1e6
#define BURST_PACKETS_MAX 1000000

static int refuse(const char *text, struct err *e) {
    err_set(e, -EINVAL, "`%s` is no pace", text);
    err_hint(e, "max, trace, 2x (trace times divided by 2; 0.001x to 1000000x), 1500000pps or 1.5Mpps or 200kpps "
                "(equal gaps; 0.001pps to 1000Mpps), poisson:1Mpps, bursts:32:1Mpps");
    return -EINVAL;
}

/* A plain decimal number; what follows it is `*rest`. False: none there, or out of range. */
static bool number(const char *text, const char **rest, double *out) {
    size_t digits = strspn(text, "0123456789.");
    char *end;
    *out = strtod(text, &end);
    *rest = end;
    return digits > 0 && end == text + digits;
}

static bool rate(const char *text, double *pps) {
    const char *unit;
    if (!number(text, &unit, pps))
        return false;
    if (*unit == 'k' || *unit == 'M')
        *pps *= *unit++ == 'k' ? 1e3 : 1e6;
    return !strcmp(unit, "pps") && *pps >= PPS_MIN && *pps <= PPS_MAX;
}

static bool factor(const char *text, double *out) {
    const char *unit;
    return number(text, &unit, out) && !strcmp(unit, "x") && *out >= FACTOR_MIN && *out <= FACTOR_MAX;
}

static bool bursts(const char *text, struct pace *p) {
    const char *rest;
    double size;
    if (!number(text, &rest, &size) || *rest != ':' || size < 1 || size > BURST_PACKETS_MAX || size != floor(size))
        return false;
    p->burst = (unsigned)size;
    return rate(rest + 1, &p->pps);
}

int pace_parse(const char *text, struct pace *out, struct err *e) {
    struct pace p = {.factor = 1};
    bool good = true;
    if (!strcmp(text, "max"))
        p.kind = PACE_MAX;
    else if (!strcmp(text, "trace") || factor(text, &p.factor))
        p.kind = PACE_TRACE;
    else if (!strncmp(text, "poisson:", 8))
        p.kind = PACE_POISSON, good = rate(text + 8, &p.pps);
    else if (!strncmp(text, "bursts:", 7))
        p.kind = PACE_BURSTS, good = bursts(text + 7, &p);
    else
        p.kind = PACE_CONSTANT, good = rate(text, &p.pps);
    if (!good)
        return refuse(text, e);
    if (p.kind != PACE_TRACE)
        p.factor = 1;
    *out = p;
    return 0;
}

/* The shortest digits that give the same number again. */
static void format_number(double value, double unit, char *buf, size_t size) {
    for (int digits = 7; digits <= 17; digits++) {
        snprintf(buf, size, "%.*g", digits, value / unit);
        if (strtod(buf, NULL) * unit == value)
            return;
    }
}

static void format_rate(double pps, char *buf, size_t size) {
    double unit = pps >= 1e6 ? 1e6 : pps >= 1e3 ? 1e3 : 1;
    char digits[32];
    format_number(pps, unit, digits, sizeof digits);
    if (strtod(digits, NULL) * unit != pps) /* not to be had in this unit */
        format_number(pps, unit = 1, digits, sizeof digits);
    snprintf(buf, size, "%s%spps", digits, unit == 1e6 ? "M" : unit == 1e3 ? "k" : "");
}

const char *pace_format(const struct pace *p, char *buf, size_t size) {
    char text[40];
    format_rate(p->pps, text, sizeof text);
    switch (p->kind) {
    case PACE_TRACE:
        format_number(p->factor, 1, text, sizeof text);
        snprintf(buf, size, p->factor == 1 ? "trace" : "%sx", text);
        break;
    case PACE_CONSTANT: snprintf(buf, size, "%s", text); break;
    case PACE_POISSON: snprintf(buf, size, "poisson:%s", text); break;
    case PACE_BURSTS: snprintf(buf, size, "bursts:%u:%s", p->burst, text); break;
    default: snprintf(buf, size, "max");
    }
    return buf;
}

void schedule_init(struct schedule *s, const struct pace *p) {
    *s = (struct schedule){.pace = *p};
    random_seed(&s->random, p->seed);
    if (p->kind == PACE_TRACE || p->kind == PACE_MAX)
        return;
    long double at_once = p->kind == PACE_BURSTS ? p->burst : 1;
    s->gap = (unsigned __int128)(at_once * SECOND_NS * (1ull << FRACTION_BITS) / (long double)p->pps + 0.5L);
}

static uint64_t trace_time(struct schedule *s, uint64_t trace_ns) {
    uint64_t t = s->pace.factor == 1 ? trace_ns : (uint64_t)((double)trace_ns / s->pace.factor);
    unsigned __int128 at = (unsigned __int128)t << FRACTION_BITS;
    if (at > s->at)
        s->at = at;
    return (uint64_t)(s->at >> FRACTION_BITS);
}

uint64_t schedule_next(struct schedule *s, uint64_t trace_ns) {
    uint64_t now = (uint64_t)(s->at >> FRACTION_BITS);
    s->n++;
    switch (s->pace.kind) {
    case PACE_TRACE: return trace_time(s, trace_ns);
    case PACE_CONSTANT: s->at += s->gap; break;
    case PACE_POISSON: s->at += (unsigned __int128)((double)s->gap * -log(1 - random_unit(&s->random))); break;
    case PACE_BURSTS: s->at += s->n % s->pace.burst ? 0 : s->gap; break;
    }
    return now;
}
