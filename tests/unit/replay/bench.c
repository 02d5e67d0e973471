/* SPDX-License-Identifier: BSD-3-Clause */
/* The benchmark's order, its policies and its arithmetic, against a pretended device: no clock, no threads. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fwdlab/base/random.h>
#include <fwdlab/replay/bench.h>
#include <math.h>
#include <string.h>

#define CALLS_MAX 4000

/* Forwards up to its capacity and holds a few packets; its generator keeps up to a rate of its own. */
struct device {
    double capacity, generator, buffer;
    unsigned noisy_every; /* n: every n-th trial is disturbed once; 0: none */
    unsigned noisy_always;
    unsigned stop_after; /* trials, then Ctrl-C; 0: never */
    unsigned calls;
    struct {
        double load, seconds;
        bool noisy;
    } call[CALLS_MAX];
};
static struct {
    const struct device *who;
    double load;
} order[CALLS_MAX];
static unsigned n_order;
static volatile bool stop;

static int pretend(struct bench_configuration *c, const struct trial_options *o, const volatile bool *stopped,
                   struct trial_result *out, struct err *e) {
    struct device *d = c->pretended;
    const bool max = o->pace.kind == PACE_MAX, bursts = o->pace.kind == PACE_BURSTS;
    *out = (struct trial_result){0};
    if (d->stop_after && d->calls >= d->stop_after)
        stop = true;
    if (*stopped)
        return err_set(e, -EINTR, "interrupted");
    const double load = max || bursts ? d->generator : o->pace.pps;
    const double packets = bursts ? o->pace.burst : load * o->seconds;
    cr_assert_lt(d->calls, CALLS_MAX, "the search does not end");
    out->noisy = d->noisy_always || (d->noisy_every && d->calls % d->noisy_every == 1);
    d->call[d->calls].load = load;
    d->call[d->calls].seconds = o->seconds;
    d->call[d->calls++].noisy = out->noisy;
    order[n_order].who = d;
    order[n_order++].load = load;
    out->late = !max && !bursts && load > d->generator;
    const double sent = fmin(load, d->generator), time = packets / load;
    const double lost = fmax(0, packets - d->buffer - fmin(load, d->capacity) * time) * (load > d->capacity);
    out->intended = (uint64_t)packets;
    out->lost = (uint64_t)lost + (out->noisy ? (uint64_t)(packets / 10) : 0);
    out->loss_ratio = (double)out->lost / packets;
    out->offered_pps = out->sent_pps = sent;
    out->sent_ns = (uint64_t)(packets / sent * 1e9);
    out->received_pps = sent * (1 - out->loss_ratio);
    out->lost_time_ns = out->noisy ? 1000000 : 0;
    cr_assert_eq(histogram_init(&out->latency, 1000000), 0);
    histogram_record_n(&out->latency, 1000, out->intended);
    return 0;
}

static struct bench_options options(void) {
    const struct search_options defaults = search_defaults(1, 2);
    struct bench_options o = {.n_goals = defaults.n_goals,
                              .trial.seconds = 0.8,
                              .mrr = 10,
                              .mrr_s = 0.2,
                              .loads = true,
                              .burst_tests = 2,
                              .stop = &stop};
    memcpy(o.goals, defaults.goals, sizeof o.goals);
    stop = false;
    n_order = 0;
    return o;
}

static struct bench_configuration configuration(const char *name, struct device *d) {
    return (struct bench_configuration){.name = name, .file = name, .trial = pretend, .pretended = d};
}

static void run(struct bench_configuration *c, unsigned n, const struct bench_options *o, struct bench_result *r) {
    struct err e = {0};
    cr_assert_eq(bench_trials(c, n, o, r, &e), 0, "%s", e.what);
}

static double load_pps(const struct bench_configuration *c, const char *share) {
    return json_number_value(json_object_get(json_object_get(c->load, share), "pps"));
}

Test(bench, finds_the_capacity_of_each_of_two_devices) {
    struct random random;
    random_seed(&random, 7);
    for (unsigned round = 0; round < 50; round++) {
        static struct device d[2];
        struct bench_options o = options();
        struct bench_result r;
        for (unsigned i = 0; i < 2; i++)
            d[i] = (struct device){.capacity = 1e5 + 1e7 * random_unit(&random),
                                   .generator = 2e7,
                                   .noisy_every = random_below(&random, 8)};
        struct bench_configuration c[2] = {configuration("a", &d[0]), configuration("b", &d[1])};
        run(c, 2, &o, &r);
        cr_assert(r.valid && !r.partial);
        for (unsigned i = 0; i < 2; i++) {
            const double pdr = d[i].capacity / (1 - 0.005);
            const struct search_bounds *b = c[i].bounds;
            cr_assert(b[0].exact && b[1].exact, "round %u", round);
            cr_assert(b[0].lower <= d[i].capacity * 1.0001 && b[0].upper >= d[i].capacity * 0.9999,
                      "round %u: %f in %f, %f", round, d[i].capacity, b[0].lower, b[0].upper);
            cr_assert(b[1].lower <= pdr * 1.0001 && b[1].upper >= pdr * 0.9999, "round %u", round);
            cr_assert_eq(c[i].mrr.n, 10);
            cr_assert_float_eq(load_pps(&c[i], "0"), 1000, 1e-9);
            cr_assert_float_eq(load_pps(&c[i], "50"), b[1].lower / 2, 1e-6 * pdr);
            cr_assert_float_eq(load_pps(&c[i], "90"), b[1].lower * 0.9, 1e-6 * pdr);
            cr_assert_eq(c[i].invalid, 0);
            cr_assert(strstr(c[i].hgrm[3], "Total count"));
        }
        json_t *comparison = bench_comparison(c, 2), *mrr = json_array_get(comparison, 0);
        cr_assert_eq(json_array_size(comparison), 1, "there are no costs");
        cr_assert_str_eq(json_string_value(json_object_get(mrr, "figure")), "mrr");
        cr_assert_float_eq(json_number_value(json_object_get(mrr, "ratio")), d[1].capacity / d[0].capacity, 0.01);
        cr_assert_str_eq(json_string_value(json_object_get(mrr, "verdict")),
                         d[1].capacity > d[0].capacity * 1.03   ? "better"
                         : d[1].capacity < d[0].capacity * 0.97 ? "worse"
                                                                : json_string_value(json_object_get(mrr, "verdict")));
        json_decref(comparison);
        bench_configuration_fini(&c[0]);
        bench_configuration_fini(&c[1]);
    }
}

Test(bench, takes_turns_forwards_and_backwards) {
    static struct device d[3];
    struct bench_options o = options();
    struct bench_result r;
    for (unsigned i = 0; i < 3; i++)
        d[i] = (struct device){.capacity = 5e6, .generator = 1e7};
    struct bench_configuration c[3] = {configuration("a", &d[0]), configuration("b", &d[1]), configuration("c", &d[2])};
    o.burst_tests = 0;
    run(c, 3, &o, &r);
    cr_assert_eq(n_order % 3, 0, "equal devices need equally many trials");
    for (unsigned i = 0; i < n_order; i += 3) { /* all want the same, so each round is complete: warm-up first */
        bool backwards = order[i].who == &d[2];
        cr_assert(order[i + 1].who == &d[1] && order[i + 2].who == &d[backwards ? 0 : 2], "round %u", i / 3);
        cr_assert(order[i].load == order[i + 1].load && order[i].load == order[i + 2].load, "round %u", i / 3);
    }
    cr_assert(order[0].who == &d[0] && order[3].who == &d[0] && order[6].who == &d[2] && order[9].who == &d[0],
              "A B C, then a search's A B C, C B A, A B C");
    for (unsigned i = 0; i < 3; i++)
        bench_configuration_fini(&c[i]);
}

Test(bench, a_disturbed_trial_is_repeated_three_times_at_most_and_counted) {
    static struct device quiet, restless;
    struct bench_options o = options();
    struct bench_result r;
    quiet = (struct device){.capacity = 5e6, .generator = 1e7, .noisy_every = 3};
    restless = (struct device){.capacity = 5e6, .generator = 1e7, .noisy_always = 1};
    struct bench_configuration c = configuration("a", &quiet), never = configuration("b", &restless);
    o.burst_tests = 0;
    run(&c, 1, &o, &r);
    unsigned noisy = 0;
    for (unsigned i = 0; i < quiet.calls; i++) {
        noisy += quiet.call[i].noisy;
        if (quiet.call[i].noisy && i + 1 < quiet.calls)
            cr_assert(quiet.call[i].load == quiet.call[i + 1].load &&
                      quiet.call[i].seconds == quiet.call[i + 1].seconds);
    }
    cr_assert(r.valid && noisy > 5);
    cr_assert_eq(c.repeated, noisy);
    cr_assert_eq(c.total, quiet.calls);
    cr_assert_eq(json_array_size(c.trials), quiet.calls - noisy, "only what counts is listed");
    cr_assert(c.bounds[0].exact && c.bounds[0].lower <= 5e6 && c.bounds[0].upper >= 5e6);
    bench_configuration_fini(&c);

    run(&never, 1, &o, &r);
    cr_assert(!r.valid, "an answer out of nothing but disturbed trials is none");
    cr_assert_eq(restless.calls % (BENCH_REPEATS + 1), 0);
    cr_assert_eq(json_array_size(never.trials), restless.calls / (BENCH_REPEATS + 1));
    cr_assert_eq(json_integer_value(json_object_get(json_array_get(never.trials, 2), "repeated")), BENCH_REPEATS);
    bench_configuration_fini(&never);
}

Test(bench, a_generator_that_is_too_slow_gives_a_lower_bound_and_says_so) {
    static struct device d;
    struct bench_options o = options();
    struct bench_result r;
    d = (struct device){.capacity = 5e6, .generator = 2e6};
    struct bench_configuration c = configuration("a", &d);
    run(&c, 1, &o, &r);
    cr_assert(r.valid && isinf(c.bounds[0].upper) && c.bounds[0].lower >= 0.99 * d.generator);
    cr_assert(c.bursts_endless, "nothing that it sends is lost");
    bench_configuration_fini(&c);

    /* at pace max it seemed faster than it is when it keeps a schedule */
    o = options();
    d = (struct device){.capacity = 5e6, .generator = 4e6};
    c = configuration("a", &d);
    c.trial = pretend;
    o.max_pps = 8e6;
    run(&c, 1, &o, &r);
    cr_assert(r.valid && c.bounds[0].lower <= d.generator);
    bench_configuration_fini(&c);
}

/* Boasts at pace max. */
static int boast(struct bench_configuration *c, const struct trial_options *o, const volatile bool *stopped,
                 struct trial_result *out, struct err *e) {
    int code = pretend(c, o, stopped, out, e);
    if (!code && o->pace.kind == PACE_MAX)
        out->offered_pps *= 3;
    return code;
}

Test(bench, late_trials_are_not_believed) {
    static struct device d;
    struct bench_options o = options();
    struct bench_result r;
    d = (struct device){.capacity = 5e6, .generator = 2e6, .noisy_always = 1};
    struct bench_configuration c = configuration("a", &d);
    c.trial = boast;
    o.burst_tests = 0;
    run(&c, 1, &o, &r);
    cr_assert(!r.valid && c.limited && c.bounds[0].lower <= 1.002 * d.generator &&
                  c.bounds[1].lower <= 1.002 * d.generator,
              "what was not offered is no bound, however noisy the machine: %f", c.bounds[0].lower);
    bench_configuration_fini(&c);

    o = options();
    o.burst_tests = 0;
    d = (struct device){.capacity = 5e6, .generator = 2e6};
    c = configuration("a", &d);
    c.trial = boast;
    run(&c, 1, &o, &r);
    cr_assert(r.valid && c.limited && c.invalid > 0 && c.invalid < 12, "%lu", c.invalid);
    cr_assert(isinf(c.bounds[0].upper) && c.bounds[0].lower <= 1.002 * d.generator &&
                  c.bounds[0].lower > 0.9 * d.generator,
              "%f", c.bounds[0].lower);
    bench_configuration_fini(&c);
}

/* The machine paused the generator for less than counts as noise: late, but all was sent. */
static int hiccup(struct bench_configuration *c, const struct trial_options *o, const volatile bool *stopped,
                  struct trial_result *out, struct err *e) {
    int code = pretend(c, o, stopped, out, e);
    if (!code && o->pace.kind == PACE_CONSTANT)
        out->late = ((struct device *)c->pretended)->calls % 3 == 0;
    return code;
}

Test(bench, a_pause_of_the_generator_limits_no_search) {
    static struct device d;
    struct bench_options o = options();
    struct bench_result r;
    d = (struct device){.capacity = 5e6, .generator = 1e7};
    struct bench_configuration c = configuration("a", &d);
    c.trial = hiccup;
    o.burst_tests = 0;
    run(&c, 1, &o, &r);
    cr_assert(r.valid && !c.limited && c.invalid >= 3 && c.repeated == c.invalid && c.doubtful == 0, "%lu %lu %lu",
              c.invalid, c.repeated, c.doubtful);
    cr_assert(c.bounds[0].exact && c.bounds[0].lower <= 5e6 && c.bounds[0].upper >= 5e6);
    bench_configuration_fini(&c);
}

Test(bench, an_interrupted_run_keeps_what_it_has) {
    for (unsigned after = 1; after < 25; after += 3) {
        static struct device d;
        struct bench_options o = options();
        struct bench_result r;
        o.burst_tests = 0;
        d = (struct device){.capacity = 5e6, .generator = 1e7, .stop_after = after};
        struct bench_configuration c = configuration("a", &d);
        run(&c, 1, &o, &r);
        cr_assert(r.partial);
        cr_assert_eq(json_array_size(c.trials), after, "after %u", after);
        json_t *doc = json_object();
        bench_document(&c, &o, "1-1", doc);
        cr_assert(json_is_object(json_object_get(doc, "trials")) && json_is_array(json_object_get(doc, "goals")));
        json_decref(doc);
        bench_configuration_fini(&c);
    }
    struct bench_options o = options();
    struct bench_result r;
    struct err e = {0};
    struct device d = {.capacity = 5e6, .generator = 1e7};
    struct bench_configuration c = configuration("a", &d);
    stop = true;
    cr_assert_eq(bench_trials(&c, 1, &o, &r, &e), -EINTR, "with nothing measured it is an error");
    bench_configuration_fini(&c);
}

struct bucket {
    uint64_t holds;
    unsigned tries;
};
static int overflows(void *arg, uint64_t packets) {
    struct bucket *b = arg;
    b->tries++;
    return packets > b->holds;
}
static int fails(void *arg, uint64_t packets) {
    return packets > 200 ? -EIO : 0;
}

Test(bench, longest_burst_within_one_per_cent) {
    struct random random;
    random_seed(&random, 3);
    uint64_t found;
    for (unsigned i = 0; i < 1000; i++) {
        struct bucket b = {.holds = 1 + (uint64_t)exp(random_unit(&random) * 15)};
        cr_assert_eq(bench_longest_burst(100000000, overflows, &b, &found), 0);
        cr_assert(found <= b.holds && found + 1 + found / 100 >= b.holds, "round %u: %lu of %lu", i, found, b.holds);
        cr_assert_leq(b.tries, 32);
    }
    struct bucket nothing = {0}, all = {.holds = UINT64_MAX};
    cr_assert_eq(bench_longest_burst(1000, overflows, &nothing, &found), 0);
    cr_assert_eq(found, 0);
    cr_assert_eq(bench_longest_burst(1000, overflows, &all, &found), 0);
    cr_assert_eq(found, 1000);
    cr_assert_eq(bench_longest_burst(1000, fails, NULL, &found), -EIO);
}

/* A device with a buffer of B packets that forwards t of r packets a second loses none of a burst of B r / (r - t). */
Test(bench, back_to_back_finds_the_buffer_again) {
    static struct device d;
    struct bench_options o = options();
    struct bench_result r;
    d = (struct device){.capacity = 5e6, .generator = 2e7, .buffer = 30000};
    struct bench_configuration c = configuration("a", &d);
    run(&c, 1, &o, &r);
    cr_assert_eq(c.bursts.n, 2);
    const double burst = d.buffer * d.generator / (d.generator - d.capacity);
    cr_assert_float_eq(c.bursts.v[0], burst, burst / 90);
    cr_assert_float_eq(bench_burst_corrected(burst, d.capacity, d.generator), d.buffer, 1);
    cr_assert_eq(bench_burst_corrected(burst, 3e7, 2e7), 0, "never negative");
    json_t *doc = json_object();
    bench_document(&c, &o, "1-1", doc);
    const json_t *b = json_object_get(doc, "back_to_back");
    cr_assert_float_eq(json_number_value(json_object_get(b, "packets")), c.bursts.v[0], 1);
    cr_assert(json_is_false(json_object_get(b, "endless")));
    json_decref(doc);
    bench_configuration_fini(&c);
}
