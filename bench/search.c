/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The throughput search against two plain binary searches (NDR and PDR) of the same loads, widths and goals: trial time
 * over simulated devices of known capacity, in pairs. A search that ends beside the truth ends the benchmark.
 */
#include "devices.h"
#include "points.h"
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DEVICES_MAX 4000
#define SEED 1

struct samples {
    double ours[DEVICES_MAX], binary[DEVICES_MAX]; /* seconds of trials */
    double trials[DEVICES_MAX], ndr[DEVICES_MAX];
};

struct count {
    const char *name;
    double trials, trials_max, seconds, seconds_max;
};

static unsigned devices, n_counts;
static struct count counts[16];

static void verify(const struct device *d, const struct search_options *o, const struct search_run *run) {
    for (unsigned i = 0; i < o->n_goals; i++)
        if (!device_agrees(d, o, i, &run->bounds[i])) {
            fprintf(stderr, "search: %s, capacity %.9g: %s is %.9g, found %.9g to %.9g\n", device_model_names[d->model],
                    d->capacity, o->goals[i].name, device_rate(d, &o->goals[i]), run->bounds[i].lower,
                    run->bounds[i].upper);
            exit(1);
        }
}

/* `model`: DEVICE_MODELS: all of them in turn. */
static void compare(const char *name, const struct search_options *o, unsigned model, bool noise) {
    static struct samples s;
    struct random r, disturbed;
    random_seed(&r, SEED);
    random_seed(&disturbed, SEED + 1);
    for (unsigned i = 0; i < devices; i++) {
        struct device d;
        struct search_run run;
        device_random(&d, model < DEVICE_MODELS ? model : i % DEVICE_MODELS, o, &r);
        d.noise = noise ? &disturbed : NULL;
        device_search(&d, o, &run);
        if (!noise)
            verify(&d, o, &run);
        s.ours[i] = run.seconds;
        s.trials[i] = run.trials;
        s.ndr[i] = run.bounds[0].lower;
        device_binary_search(&d, o, &run);
        s.binary[i] = run.seconds;
    }
    point(name, "pps", stats_median(s.ndr, devices), s.binary, s.ours, devices);
    counts[n_counts++] = (struct count){name, stats_median(s.trials, devices), stats_quantile(s.trials, devices, 1),
                                        stats_median(s.ours, devices), stats_quantile(s.ours, devices, 1)};
}

static void print_counts(void) {
    printf("\n%-52s %14s  %14s\n", "a search: median (greatest)", "trials", "their time");
    for (unsigned i = 0; i < n_counts; i++)
        printf("%-52s %8.0f (%3.0f)  %6.1f (%4.1f) s\n", counts[i].name, counts[i].trials, counts[i].trials_max,
               counts[i].seconds, counts[i].seconds_max);
}

static void run_cases(void) {
    const struct search_options defaults = search_defaults(1e3, 1e7);
    struct search_options single = defaults, full = defaults, narrow = defaults;
    for (unsigned i = 0; i < defaults.n_goals; i++) {
        single.goals[i].exceed_ratio = 0;
        single.goals[i].sum_s = single.goals[i].trial_s;
        full.goals[i].initial_s = full.goals[i].trial_s;
        narrow.goals[i].width = 0.001;
    }
    compare("defaults", &defaults, DEVICE_MODELS, false);
    for (unsigned model = 0; model < DEVICE_MODELS; model++)
        compare(device_model_names[model], &defaults, model, false);
    compare("5 % of trials disturbed", &defaults, DEVICE_MODELS, true);
    compare("one trial a bound", &single, DEVICE_MODELS, false);
    compare("no short trials", &full, DEVICE_MODELS, false);
    compare("width 0.1 %", &narrow, DEVICE_MODELS, false);
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'}, {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    bool quick = false, json = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        quick |= c == 'q';
        json |= c == 'j';
        if (c == 'h' || c == '?') {
            fprintf(c == 'h' ? stdout : stderr, "usage: search [--quick] [--json]\n");
            return c == 'h' ? 0 : 2;
        }
    }
    devices = quick ? 1000 : DEVICES_MAX;
    points_begin("Trial time of a search for NDR and PDR against two binary searches from 1 kpps to 10 Mpps, on\n"
                 "simulated devices of 300 pps to 30 Mpps. Value: median NDR found.",
                 json);
    run_cases();
    points_end();
    if (!json)
        print_counts();
    return 0;
}
