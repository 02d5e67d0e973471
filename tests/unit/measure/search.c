/* SPDX-License-Identifier: BSD-3-Clause */
/* The throughput search on simulated devices whose answer is known, and against callers and devices of every kind. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include <devices.h>
#include <fwdlab/measure/stats.h>

#define DEVICES 1000

static struct search_options options(void) {
    struct search_options o = search_defaults(1e3, 1e7);
    o.max_total_s = 0;
    return o;
}

static void search_device(const struct search_options *o, enum device_model model, struct random *r, double *ours,
                          double *binary) {
    struct device d;
    struct search_run run;
    device_random(&d, model, o, r);
    device_search(&d, o, &run);
    for (unsigned g = 0; g < o->n_goals; g++)
        cr_assert(device_agrees(&d, o, g, &run.bounds[g]), "seed 1: %s %.9g: %s is %.9g, found %.9g to %.9g",
                  device_model_names[model], d.capacity, o->goals[g].name, device_rate(&d, &o->goals[g]),
                  run.bounds[g].lower, run.bounds[g].upper);
    *ours = run.seconds;
    device_binary_search(&d, o, &run);
    for (unsigned g = 0; g < o->n_goals; g++)
        cr_assert(device_agrees(&d, o, g, &run.bounds[g]), "seed 1: binary search, %s %.9g", device_model_names[model],
                  d.capacity);
    *binary = run.seconds;
}

/* Every one of 1,000 devices within the width, in `most` of the time of two binary searches (median) or less. */
static void search_devices(const struct search_options *o, double most) {
    double ours[DEVICES], binary[DEVICES];
    struct random r;
    random_seed(&r, 1);
    for (unsigned i = 0; i < DEVICES; i++)
        search_device(o, i % DEVICE_MODELS, &r, &ours[i], &binary[i]);
    cr_assert(stats_median(ours, DEVICES) <= stats_median(binary, DEVICES));
    struct stats_ratio ratio = stats_paired_ratio(binary, ours, DEVICES, 1);
    cr_assert(ratio.high < most, "%g of the binary searches' time", ratio.ratio);
}

Test(search, finds_what_a_thousand_devices_do_in_less_time_than_binary_searches) {
    struct search_options o = options();
    search_devices(&o, 0.17);
}

Test(search, so_with_one_trial_a_bound) {
    struct search_options o = options();
    for (unsigned g = 0; g < 2; g++) {
        o.goals[g].exceed_ratio = 0;
        o.goals[g].sum_s = o.goals[g].trial_s;
    }
    search_devices(&o, 0.15);
}

Test(search, so_with_many_trials_a_bound) {
    struct search_options o = options();
    for (unsigned g = 0; g < 2; g++)
        o.goals[g].sum_s = 5 * o.goals[g].trial_s;
    search_devices(&o, 0.3);
}

/* Loads, widths, losses, lengths and numbers of goals at random. */
Test(search, agrees_with_the_device_under_any_options) {
    struct random r;
    random_seed(&r, 2);
    for (unsigned i = 0; i < DEVICES; i++) {
        struct search_options o = {.min_load = pow(10, 6 * random_unit(&r)), .n_goals = 1 + random_below(&r, 4)};
        const double trial_s = 0.1 + random_unit(&r);
        double loss = 0;
        o.max_load = o.min_load * (1 + pow(10, 8 * random_unit(&r) - 4));
        for (unsigned g = 0; g < o.n_goals; g++) {
            o.goals[g] = (struct search_goal){.name = "goal", .loss_ratio = loss, .trial_s = trial_s};
            o.goals[g].exceed_ratio = 0.9 * random_unit(&r);
            o.goals[g].width = pow(10, -3.5 + 3 * random_unit(&r));
            o.goals[g].initial_s = random_below(&r, 3) ? trial_s * (0.1 + 0.9 * random_unit(&r)) : trial_s;
            o.goals[g].sum_s = trial_s * (1 + 4 * random_unit(&r));
            loss += 0.02 * random_unit(&r);
        }
        struct device d;
        struct search_run run;
        device_random(&d, random_below(&r, DEVICE_MODELS), &o, &r);
        device_search(&d, &o, &run);
        for (unsigned g = 0; g < o.n_goals; g++)
            cr_assert(device_agrees(&d, &o, g, &run.bounds[g]), "seed 2, device %u, goal %u: %s, %.9g in %.9g-%.9g", i,
                      g, device_model_names[d.model], device_rate(&d, &o.goals[g]), run.bounds[g].lower,
                      run.bounds[g].upper);
    }
}

/* Slow to start: every short trial loses more than PDR allows, no full one does below capacity. */
Test(search, is_not_misled_by_short_trials_that_lose_more) {
    const struct search_options o = options();
    for (double capacity = 1e4; capacity < 1e7; capacity *= 3.3) {
        struct search *s = search_create(&o, NULL);
        struct search_bounds b;
        for (struct search_trial t; search_next(s, &t);) {
            const double loss = fmax(1 - capacity / t.load, 0.003 / t.seconds);
            search_record(s, &(struct search_outcome){t.load, t.seconds, loss});
        }
        search_bounds(s, 0, &b);
        cr_assert(b.lower == 0 && b.upper == o.min_load && !b.exact && b.conditional == 0);
        search_bounds(s, 1, &b);
        cr_assert(b.exact && b.lower <= capacity / 0.995 && capacity / 0.995 <= b.upper);
        search_destroy(s);
    }
}

/* ---- noise ---- */

typedef void searcher(const struct device *, const struct search_options *, struct search_run *);

/* The share of devices whose NDR is found within three widths when one trial in 20 loses something by chance. */
static double found_in_noise(const struct search_options *o, searcher *search, double *trials) {
    struct random r, noise;
    unsigned found = 0;
    random_seed(&r, 3);
    random_seed(&noise, 4);
    for (unsigned n = 0; n < DEVICES;) {
        struct device d;
        struct search_run run;
        device_random(&d, random_below(&r, DEVICE_LOSSY), o, &r);
        const double rate = device_rate(&d, &o->goals[0]);
        if (rate < o->min_load || rate > o->max_load)
            continue;
        d.noise = &noise;
        search(&d, o, &run);
        trials[n++] = run.trials;
        found += fabs(run.bounds[0].lower / rate - 1) <= 3 * o->goals[0].width;
    }
    return (double)found / DEVICES;
}

Test(search, stays_at_the_capacity_in_noise_where_a_plain_binary_search_collapses) {
    const struct search_options o = options();
    struct search_options plain = o;
    double trials[DEVICES], trials_plain[DEVICES];
    plain.n_goals = 1;
    plain.goals[0].exceed_ratio = 0;
    plain.goals[0].sum_s = plain.goals[0].trial_s;
    double ours = found_in_noise(&o, device_search, trials);
    double collapsed = 1 - found_in_noise(&plain, device_binary_search, trials_plain);
    cr_assert(ours > 0.98, "seeds 3 and 4: found %g", ours);
    cr_assert(collapsed > 0.1 && collapsed > 10 * (1 - ours), "seeds 3 and 4: collapsed %g, %g", collapsed, 1 - ours);
    cr_assert(stats_median(trials, DEVICES) <= 30 && stats_quantile(trials, DEVICES, 0.95) <= 45, "%g, %g trials",
              stats_median(trials, DEVICES), stats_quantile(trials, DEVICES, 0.95));
}

/* Soon; asking within the loads, and the same until it is told something; with bounds in order. */
Test(search, ends_whatever_the_trials_say) {
    struct random r;
    random_seed(&r, 5);
    for (unsigned i = 0; i < 2000; i++) {
        struct search_options o = options();
        const unsigned kind = random_below(&r, 4);
        unsigned n = 0;
        for (unsigned g = 0; g < 2; g++) {
            o.goals[g].exceed_ratio = random_below(&r, 2) ? 0 : 0.9 * random_unit(&r);
            o.goals[g].sum_s = 0.8 * (1 + random_below(&r, 4));
        }
        struct search *s = search_create(&o, NULL);
        for (struct search_trial t, again; search_next(s, &t); n++) {
            cr_assert(search_next(s, &again) && again.load == t.load && again.seconds == t.seconds);
            cr_assert(t.load >= o.min_load && t.load <= o.max_load && t.goal < 2, "seed 5, %u: %g", i, t.load);
            double loss = random_below(&r, 2) ? 0.01 * random_unit(&r) : 0;
            if (kind == 1) /* ever better, the other way round than devices are */
                loss = t.load < 1e5 * (1 + random_unit(&r)) ? 1 : 0;
            if (kind == 2)
                loss = n % 2;
            if (kind == 3) /* hardly any, at every load */
                loss = 1e-6;
            search_record(s, &(struct search_outcome){t.load, t.seconds, loss});
        }
        cr_assert(n <= 200, "seed 5, %u: %u trials", i, n);
        for (unsigned g = 0; g < 2; g++) {
            struct search_bounds b;
            search_bounds(s, g, &b);
            cr_assert(b.lower < b.upper && b.conditional <= b.lower);
        }
        search_destroy(s);
    }
}

Test(search, ends_though_other_loads_are_tried_than_asked) {
    const struct search_options o = options();
    struct search *s = search_create(&o, NULL);
    unsigned n = 0;
    for (struct search_trial t; search_next(s, &t) && n < 100000; n++)
        search_record(s, &(struct search_outcome){t.load * 0.9, t.seconds, n % 3 ? NAN : -1});
    cr_assert(n < 100000);
    search_destroy(s);
}

/* ---- limits ---- */

Test(search, tries_nothing_above_the_generators_limit) {
    struct random r;
    random_seed(&r, 6);
    for (unsigned i = 0; i < 300; i++) {
        const struct search_options o = options();
        const double limit = pow(10, 2.9 + 4.1 * random_unit(&r));
        const unsigned after = random_below(&r, 12);
        struct search *s = search_create(&o, NULL);
        struct device d;
        struct search_trial t;
        unsigned n = 0;
        device_random(&d, DEVICE_HARD, &o, &r);
        for (; search_next(s, &t); n++) {
            if (n == after)
                search_limit(s, limit);
            if (n >= after && t.load > limit)
                cr_assert(n == after); /* asked before */
            else
                search_record(s, &(struct search_outcome){t.load, t.seconds, device_loss(&d, t.load, t.seconds)});
        }
        for (unsigned g = 0; n > after && g < 2; g++) {
            struct search_bounds b;
            const double rate = device_rate(&d, &o.goals[g]), width = o.goals[g].width;
            search_bounds(s, g, &b);
            if (rate > limit * (1 + width))
                cr_assert(b.lower <= limit && (b.lower >= limit * (1 - width) || limit < o.min_load) &&
                          isinf(b.upper) && !b.exact, "seed 6, %u: %g of %g", i, b.lower, limit);
            else if (rate > o.min_load && rate < limit * (1 - width))
                cr_assert(b.exact && b.lower <= rate && b.upper >= rate, "seed 6, %u", i);
        }
        search_destroy(s);
    }
}

Test(search, asks_for_no_trial_beyond_its_time) {
    struct random r;
    random_seed(&r, 7);
    for (unsigned i = 0; i < 300; i++) {
        struct search_options o = options();
        struct search_run run;
        struct device d;
        o.max_total_s = 0.3 + 6 * random_unit(&r);
        device_random(&d, DEVICE_KNEE, &o, &r);
        device_search(&d, &o, &run);
        cr_assert(run.trials && run.seconds <= o.max_total_s + 1e-6);
        for (unsigned g = 0; g < 2; g++) {
            const double rate = device_rate(&d, &o.goals[g]);
            cr_assert(run.bounds[g].lower <= rate * (1 + 1e-9) && run.bounds[g].upper >= rate * (1 - 1e-9));
        }
    }
}

/* ---- what trials prove ---- */

/* The bounds of a goal that allows half of four trials of 1 s to lose more than 1 %, after these trials at max_load. */
static struct search_bounds after(const struct search_outcome *v, unsigned n) {
    const struct search_options o = {
        .min_load = 10,
        .max_load = 1000,
        .goals = {{.name = "x", .loss_ratio = 0.01, .exceed_ratio = 0.5, .width = 0.01, .trial_s = 1, .initial_s = 0.5,
                   .sum_s = 4}},
        .n_goals = 1};
    struct search *s = search_create(&o, NULL);
    struct search_bounds b;
    for (unsigned i = 0; i < n; i++)
        search_record(s, &v[i]);
    search_bounds(s, 0, &b);
    search_destroy(s);
    return b;
}

#define AFTER(...)                                                                                                     \
    after((const struct search_outcome[]){__VA_ARGS__},                                                                \
          sizeof((const struct search_outcome[]){__VA_ARGS__}) / sizeof(struct search_outcome))
#define GOOD {1000, 1, 0.001}
#define BAD {1000, 1, 0.02}
#define SHORT_GOOD {1000, 0.5, 0}
#define SHORT_BAD {1000, 0.5, 0.02}

Test(search, classifies_a_load_as_soon_as_the_rest_cannot_change_it) {
    struct search_bounds b = AFTER(GOOD, BAD, BAD);
    cr_assert(b.lower == 0 && isinf(b.upper));
    b = AFTER(GOOD, BAD, GOOD); /* half of four are fine by now */
    cr_assert(b.lower == 1000 && isinf(b.upper) && !b.exact);
    b = AFTER(BAD, BAD, BAD);
    cr_assert(b.lower == 0 && b.upper == 1000 && !b.exact);
    b = AFTER({1000, 0.993, 0.001}, {1000, 1.008, 0}); /* nearly as long */
    cr_assert(b.lower == 1000);
    b = AFTER({1000, 1, NAN}, {1000, 1, NAN}, {1000, 1, NAN}); /* nothing was sent */
    cr_assert(b.lower == 0 && b.upper == 1000);
    b = AFTER({1000, 0.9, 0.001}, {1000, 0.9, 0}, {1000, 0.9, 0}, {1000, 0.9, 0}); /* none of them full */
    cr_assert(b.lower == 0 && isinf(b.upper));
}

Test(search, short_trials_prove_no_load_but_testify_against_it) {
    struct search_bounds b = AFTER(SHORT_GOOD, SHORT_GOOD, SHORT_GOOD, SHORT_GOOD, SHORT_GOOD, SHORT_GOOD, SHORT_GOOD);
    cr_assert(b.lower == 0 && isinf(b.upper));
    b = AFTER(BAD, BAD, SHORT_BAD);
    cr_assert(b.upper == 1000);
    b = AFTER(BAD, BAD, SHORT_BAD, SHORT_GOOD); /* half of the short ones may be bad, too */
    cr_assert(isinf(b.upper));
}

Test(search, conditional_throughput_is_what_the_allowed_share_of_trials_forwards) {
    struct search_bounds b = AFTER({1000, 1, 0.004}, {1000, 1, 0.001});
    cr_assert_float_eq(b.conditional, 996, 1e-9);
    b = AFTER({1000, 1, 0.004}, {1000, 1, 0.5}, {1000, 1, 0.002}, {1000, 1, 0.001});
    cr_assert_float_eq(b.conditional, 998, 1e-9);
    b = AFTER({1000, 1, 0.5}, {1000, 1, 0}, {1000, 1, 0}, {1000, 0.5, 1});
    cr_assert_float_eq(b.conditional, 1000, 1e-9);
}

/* ---- options ---- */

static void refuse(struct search_options o, const char *why) {
    struct err e = {0};
    cr_assert_null(search_create(&o, &e));
    cr_assert(strstr(e.what, why), "%s", e.what);
}

#define REFUSE(field, value, why)                                                                                      \
    do {                                                                                                               \
        struct search_options o = options();                                                                           \
        o.field = value;                                                                                               \
        refuse(o, why);                                                                                                \
    } while (0)

Test(search, says_which_option_is_wrong) {
    REFUSE(min_load, 0, "loads from 0");
    REFUSE(min_load, NAN, "loads from");
    REFUSE(max_load, 1e3, "loads from");
    REFUSE(max_load, INFINITY, "loads from");
    REFUSE(n_goals, 0, "0 goals");
    REFUSE(n_goals, 5, "5 goals");
    REFUSE(max_total_s, -1, "limit of the trial time");
    REFUSE(goals[0].name, NULL, "goal 1 (?): it has no name");
    REFUSE(goals[0].loss_ratio, 1, "goal 1 (ndr): the loss ratio");
    REFUSE(goals[0].loss_ratio, 0.1, "goal 2 (pdr): goals come in the order");
    REFUSE(goals[1].exceed_ratio, 1, "goal 2 (pdr): the exceed ratio");
    REFUSE(goals[0].width, 0, "the width");
    REFUSE(goals[0].initial_s, 0, "the shortest trial");
    REFUSE(goals[0].initial_s, 0.9, "the shortest trial");
    REFUSE(goals[0].trial_s, NAN, "the shortest trial");
    REFUSE(goals[0].sum_s, 0.7, "one full trial");
    REFUSE(goals[0].sum_s, INFINITY, "one full trial");
    search_destroy(NULL);
}
