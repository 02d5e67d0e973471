/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loads are counted in steps of equal ratio from min_load (0) to max_load, several to the smallest width, so that goals
 * meet at the same loads and widths are whole numbers. What is known is the list of trials; bounds are worked out from
 * it whenever they are needed.
 *
 * A goal is searched in two phases: with short trials to some times its width, then with full ones. The second phase
 * halves what the first one left and then tries the end that is still missing: some three loads when short trials told
 * the truth. When they did not, it searches on with full trials only.
 *
 * Within a phase the next load follows from what a device still forwards when overloaded: the capacity of one that
 * simply loses the excess. Each time that this was wrong in the same direction the step away from the bound grows
 * eightfold; where it would reach beyond the middle of the interval, the interval is halved.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/measure/search.h>

#define STEPS_A_WIDTH 8
#define SHORT_WIDTH 4 /* short trials come to so many widths */
#define STEP_GROWTH 8
#define TRIALS_MAX 2000 /* a search needs some 30; ends one whose caller tries other loads than asked */
#define NONE (-1)
#define SAME_LENGTH 0.01 /* a trial may be off by that share and counts as long as it was asked for */
#define ROUNDING 1e-9

struct trial {
    int at;
    double seconds, loss;
};

/* What a phase of a goal asks of a bound, and how near the bounds have to be. */
struct target {
    double seconds, sum_s;
    int width;
};

enum phase { SHORT, FULL };

struct goal {
    struct search_goal o;
    struct target target[2];
    enum phase phase;
    int at;                  /* being tried, until decided; or NONE */
    int step;                /* the last one away from a bound: up, or (negative) down; 0: none yet */
    int hint_low, hint_high; /* what short trials said; NONE */
};

struct search {
    struct search_options o;
    double step;     /* logarithm of the ratio of neighbouring loads */
    int last, limit; /* max_load, and the highest load that may be tried; NONE: there is no such load */
    struct goal goals[SEARCH_GOALS_MAX];
    VEC(struct trial) trials;
    double total_s;
};

/* ---- loads ---- */

static double load_of(const struct search *s, int at) {
    return at == s->last ? s->o.max_load : s->o.min_load * exp(at * s->step);
}

static double steps_to(const struct search *s, double load) {
    return log(load / s->o.min_load) / s->step;
}

/* ---- what trials say of a load ---- */

enum verdict { UNDECIDED, LOWER, UPPER };

/*
 * Load classification as in the draft: both the best and the worst that further full trials could bring, up to sum_s,
 * must agree. Lossy short trials count as far as lossless short ones do not balance them.
 */
static enum verdict judge(const struct search *s, const struct goal *g, enum phase phase, int at) {
    const struct target *t = &g->target[phase];
    const double exceed = g->o.exceed_ratio;
    double full[2] = {0}, brief[2] = {0}; /* seconds: within the loss ratio, above it */
    for (size_t i = 0; i < s->trials.n; i++) {
        const struct trial *r = &s->trials.v[i];
        if (r->at == at)
            (r->seconds >= t->seconds ? full : brief)[r->loss > g->o.loss_ratio] += r->seconds;
    }
    double bad = full[1] + fmax(0, brief[1] - brief[0] * exceed / (1 - exceed));
    double whole = fmax(full[0] + bad, t->sum_s), allowed = exceed * whole + ROUNDING;
    return bad > allowed ? UPPER : whole - full[0] <= allowed ? LOWER : UNDECIDED;
}

struct bounds {
    int low, high; /* NONE: not known */
};

/* The lowest upper bound and the highest lower one below it. */
static struct bounds bounds(const struct search *s, const struct goal *g, enum phase phase) {
    struct bounds b = {NONE, NONE};
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < s->trials.n; i++) {
            int at = s->trials.v[i].at;
            if (at < 0 || at > s->limit)
                continue;
            if (!pass && (b.high == NONE || at < b.high) && judge(s, g, phase, at) == UPPER)
                b.high = at;
            if (pass && at > b.low && (b.high == NONE || at < b.high) && judge(s, g, phase, at) == LOWER)
                b.low = at;
        }
    return b;
}

static bool between(struct bounds b, int at) {
    return at > b.low && (b.high == NONE || at < b.high);
}

static bool done(const struct search *s, struct bounds b, int width) {
    return s->limit < 0 || b.high == 0 || b.low == s->limit ||
           (b.low != NONE && b.high != NONE && b.high - b.low <= width);
}

/*
 * The draft's quantile loss ratio: what 1 - exceed_ratio of the time that a bound needs stays at or under, of trials as
 * long as the phase has them; the worst of them when they are too few yet. Negative: there are none.
 */
static double quantile_loss(const struct search *s, const struct goal *g, enum phase phase, int at) {
    const struct target *t = &g->target[phase];
    double need = (1 - g->o.exceed_ratio) * t->sum_s - ROUNDING, loss = -1;
    for (double seconds = 0; seconds < need;) {
        double worse = INFINITY;
        for (size_t i = 0; i < s->trials.n; i++) {
            const struct trial *r = &s->trials.v[i];
            if (r->at == at && r->seconds >= t->seconds && r->loss > loss)
                worse = fmin(worse, r->loss);
        }
        if (isinf(worse))
            break;
        loss = worse;
        for (size_t i = 0; i < s->trials.n; i++)
            if (s->trials.v[i].at == at && s->trials.v[i].seconds >= t->seconds && s->trials.v[i].loss == loss)
                seconds += s->trials.v[i].seconds;
    }
    return loss;
}

/* ---- the next load ---- */

/* Where a device that forwards at its capacity when overloaded, as it did at `high`, fulfils the goal. */
static int estimate(const struct search *s, const struct goal *g, int high) {
    double loss = quantile_loss(s, g, FULL, high);
    if (loss < 0)
        loss = quantile_loss(s, g, SHORT, high);
    double at = steps_to(s, load_of(s, high) * (1 - loss) / (1 - g->o.loss_ratio));
    return at < 0 ? 0 : at > high ? high : (int)at;
}

static int pick(const struct search *s, struct goal *g, struct bounds b) {
    const int width = g->target[g->phase].width;
    if (b.low == NONE && b.high == NONE)
        return s->limit;
    /* an interval of the width around the estimate: its lower end first, its upper end when that is known to be fine */
    int end = b.high == NONE ? NONE : estimate(s, g, b.high) - width / 2;
    int way = b.high != NONE && (b.low == NONE || end > b.low + width / 2) ? -1 : 1;
    int last = g->step * way, step = last <= 0 ? width : last < s->last ? STEP_GROWTH * last : last;
    if (b.low != NONE && b.high != NONE && b.high - b.low <= 2 * step)
        return (b.low + b.high) / 2;
    g->step = step * way;
    if (way > 0)
        return b.high == NONE && b.low + step > s->limit ? s->limit : b.low + step;
    int at = end < b.high - step ? end : b.high - step;
    return at > b.low ? at : b.low + 1;
}

/*
 * The middle of what short trials left, until that is within the width; then the end of it that is missing. NONE: full
 * trials have settled both ends, or told otherwise.
 */
static int pick_hint(const struct goal *g, struct bounds b) {
    const bool from_low = between(b, g->hint_low), from_high = between(b, g->hint_high);
    const int low = from_low ? g->hint_low : b.low, high = from_high ? g->hint_high : b.high;
    if (!from_low && !from_high)
        return NONE;
    if (low != NONE && high != NONE && high - low > g->target[FULL].width)
        return (low + high) / 2;
    return from_low ? low : high;
}

/* False: the goal's phase is done. Else g->at is what to try. */
static bool goal_next(const struct search *s, struct goal *g) {
    struct bounds b = bounds(s, g, g->phase);
    if (done(s, b, g->target[g->phase].width))
        return false;
    if (g->at == NONE || g->at > s->limit || !between(b, g->at) || judge(s, g, g->phase, g->at) != UNDECIDED) {
        g->at = g->phase == FULL ? pick_hint(g, b) : NONE;
        if (g->at == NONE || g->at > s->limit)
            g->at = pick(s, g, b);
    }
    return true;
}

static void begin_full(const struct search *s, struct goal *g) {
    struct bounds b = bounds(s, g, SHORT);
    g->hint_low = b.low;
    g->hint_high = b.high;
    g->phase = FULL;
    g->at = NONE;
    g->step = 0;
}

/* Whose turn it is: short trials of every goal first, so that all are roughly known when time is up. */
static struct goal *next_goal(struct search *s) {
    for (enum phase phase = SHORT; phase <= FULL; phase++)
        for (struct goal *g = s->goals; g < s->goals + s->o.n_goals; g++) {
            if (g->phase > phase)
                continue;
            if (goal_next(s, g))
                return g;
            if (phase == SHORT)
                begin_full(s, g);
        }
    return NULL;
}

bool search_next(struct search *s, struct search_trial *out) {
    struct goal *g = s->trials.n < TRIALS_MAX ? next_goal(s) : NULL;
    if (!g)
        return false;
    *out = (struct search_trial){load_of(s, g->at), g->target[g->phase].seconds, (unsigned)(g - s->goals)};
    return !(s->o.max_total_s > 0) || s->total_s + out->seconds <= s->o.max_total_s + ROUNDING;
}

/* Of the lengths that goals ask for the nearest, when the trial took nearly that. */
static double length_of(const struct search *s, double seconds) {
    double length = seconds, nearest = SAME_LENGTH;
    for (unsigned i = 0; i < 2 * s->o.n_goals; i++) {
        const double asked = s->goals[i / 2].target[i % 2].seconds, off = fabs(seconds / asked - 1);
        if (off <= nearest) {
            nearest = off;
            length = asked;
        }
    }
    return length;
}

void search_record(struct search *s, const struct search_outcome *outcome) {
    const double loss = outcome->loss_ratio;
    if (!(outcome->load > 0) || !(outcome->seconds > 0))
        return;
    s->total_s += outcome->seconds;
    vec_push(&s->trials, (struct trial){.at = (int)lround(steps_to(s, outcome->load)),
                                        .seconds = length_of(s, outcome->seconds),
                                        .loss = loss <= 0 ? 0 : loss < 1 ? loss : 1});
}

void search_limit(struct search *s, double max_load) {
    double at = max_load > 0 ? floor(steps_to(s, max_load) + ROUNDING) : NONE;
    if (at < s->limit)
        s->limit = at < 0 ? NONE : (int)at;
}

void search_bounds(const struct search *s, unsigned goal, struct search_bounds *out) {
    const struct goal *g = &s->goals[goal];
    struct bounds b = bounds(s, g, FULL);
    *out = (struct search_bounds){.upper = INFINITY};
    if (b.low != NONE) {
        out->lower = load_of(s, b.low);
        out->conditional = out->lower * (1 - quantile_loss(s, g, FULL, b.low));
    }
    if (b.high != NONE)
        out->upper = load_of(s, b.high);
    out->exact = b.low != NONE && b.high != NONE && b.high - b.low <= g->target[FULL].width;
}

double search_total_s(const struct search *s) {
    return s->total_s;
}

/* ---- options ---- */

struct search_options search_defaults(double min_load, double max_load) {
    const struct search_goal ndr = {
        .name = "ndr", .exceed_ratio = 0.5, .width = 0.005, .trial_s = 0.8, .initial_s = 0.2, .sum_s = 1.6};
    struct search_options o = {
        .min_load = min_load, .max_load = max_load, .goals = {ndr, ndr}, .n_goals = 2, .max_total_s = 60};
    o.goals[1].name = "pdr";
    o.goals[1].loss_ratio = 0.005;
    return o;
}

static const char *fault_of_goal(const struct search_goal *g) {
    if (!g->name)
        return "it has no name";
    if (!(g->loss_ratio >= 0 && g->loss_ratio < 1))
        return "the loss ratio is from 0 to less than 1";
    if (!(g->exceed_ratio >= 0 && g->exceed_ratio < 1))
        return "the exceed ratio is from 0 to less than 1";
    if (!(g->width >= 0.0001 && g->width < 1))
        return "the width is from 0.0001 to less than 1";
    if (!(g->initial_s > 0 && g->trial_s >= g->initial_s))
        return "the shortest trial takes more than 0 s, a full one at least as long";
    if (!(g->sum_s >= g->trial_s && isfinite(g->sum_s)))
        return "a bound needs the time of one full trial at least";
    return NULL;
}

static int check(const struct search_options *o, struct err *e) {
    if (!(o->min_load > 0 && o->max_load > o->min_load && isfinite(o->max_load)))
        return err_set(e, -EINVAL, "search: loads from %g to %g pps; the least is above 0 and below the greatest",
                       o->min_load, o->max_load);
    if (o->n_goals < 1 || o->n_goals > SEARCH_GOALS_MAX)
        return err_set(e, -EINVAL, "search: %u goals; 1 to %d are possible", o->n_goals, SEARCH_GOALS_MAX);
    if (!(o->max_total_s >= 0))
        return err_set(e, -EINVAL, "search: the limit of the trial time is %g s; 0 is none", o->max_total_s);
    for (unsigned i = 0; i < o->n_goals; i++) {
        const struct search_goal *g = &o->goals[i];
        const char *fault = fault_of_goal(g);
        if (!fault && i && g->loss_ratio < g[-1].loss_ratio)
            fault = "goals come in the order of their loss ratios";
        if (fault)
            return err_set(e, -EINVAL, "search: goal %u (%s): %s", i + 1, g->name ? g->name : "?", fault);
    }
    return 0;
}

static struct goal goal_of(const struct search_goal *o, double step) {
    const int width = (int)(-log1p(-o->width) / step + ROUNDING);
    return (struct goal){.o = *o,
                         .target = {[SHORT] = {o->initial_s, o->initial_s * o->sum_s / o->trial_s, SHORT_WIDTH * width},
                                    [FULL] = {o->trial_s, o->sum_s, width}},
                         .phase = o->initial_s < o->trial_s ? SHORT : FULL,
                         .at = NONE,
                         .hint_low = NONE,
                         .hint_high = NONE};
}

struct search *search_create(const struct search_options *o, struct err *e) {
    if (check(o, e))
        return NULL;
    double width = 1, range = log(o->max_load / o->min_load);
    for (unsigned i = 0; i < o->n_goals; i++)
        width = fmin(width, o->goals[i].width);
    struct search *s = xzalloc(1, sizeof *s);
    s->o = *o;
    s->last = s->limit = (int)ceil(range * STEPS_A_WIDTH / -log1p(-width));
    s->step = range / s->last;
    for (unsigned i = 0; i < o->n_goals; i++)
        s->goals[i] = goal_of(&o->goals[i], s->step);
    return s;
}

void search_destroy(struct search *s) {
    if (s)
        vec_free(&s->trials);
    free(s);
}
