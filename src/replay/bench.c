/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_run.h"
#include "trial_document.h"
#include <errno.h>
#include <fwdlab/base/progress.h>
#include <fwdlab/replay/bench.h>
#include <fwdlab/result/document.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARM_UP_S 0.2
#define KEEPS_UP 0.998   /* of the rate that was asked */
#define NOISY_MARGIN 1.5 /* a generator that was disturbed may send so much more than it did */
#define DISTURBED 8      /* times as much may be sent as a disturbed warm-up could: the search finds the limit */
#define BURST_LONGEST_S 0.5
#define BURST_REST_S 0.001
#define BURST_SHARE 0.9 /* of a burst's period is waited: the next burst never comes */

const unsigned bench_shares[BENCH_LOADS] = {0, 10, 50, 90};

static void say(struct bench *b, const struct bench_configuration *c, const char *goal, double pps) {
    char text[200];
    snprintf(text, sizeof text, "bench: %s, %s, %.3f Mpps, trial", c->name, goal, pps / 1e6);
    progress(text, b->done, 0);
}

/* One trial with what all trials have in common. *o is completed; *out is to be ended by the caller. */
static int run(struct bench *b, struct bench_configuration *c, const char *goal, struct trial_options *o,
               struct trial_result *out) {
    o->burst = b->o->trial.burst;
    o->core_cpu = b->o->trial.core_cpu;
    memcpy(o->generator_cpu, b->o->trial.generator_cpu, sizeof o->generator_cpu);
    memcpy(o->more_cpu, b->o->trial.more_cpu, sizeof o->more_cpu);
    o->fifo = b->o->trial.fifo;
    say(b, c, goal, o->pace.kind == PACE_MAX ? c->generator_pps : o->pace.pps);
    int code = c->trial(c, o, b->o->stop, out, b->e);
    b->done += !code;
    return code;
}

/* Packets a second that the generator got rid of, pushed back or not; 0: unknown. */
static double ability(const struct trial_result *r) {
    return r->sent_ns ? (double)r->intended * 1e9 / (double)r->sent_ns : 0;
}

/*
 * Was the rate not offered at all? A pause makes the generator late, too, but then it catches up, and over the whole
 * trial it kept to the rate that was asked.
 */
static bool too_slow(const struct trial_result *r, double pps) {
    return r->late && ability(r) > 0 && ability(r) < pps * KEEPS_UP;
}

/* How often such a trial is repeated. */
static unsigned repeats(const struct trial_result *r, double pps) {
    if (r->noisy || (r->late && !too_slow(r, pps)))
        return BENCH_REPEATS;
    return r->late;
}

int bench_try(struct bench *b, struct bench_configuration *c, const char *goal, struct trial_options o,
              struct trial_result *out) {
    for (unsigned repeated = 0;; repeated++) {
        int code = run(b, c, goal, &o, out);
        if (code)
            return code;
        c->total++;
        c->seconds += o.seconds;
        c->invalid += out->late;
        const unsigned most = repeats(out, o.pace.pps);
        if (repeated >= most) {
            json_t *t = trial_json(out, &o, repeated);
            json_object_set_new(t, "goal", json_string(goal));
            json_array_append_new(c->trials, t);
            return 0;
        }
        c->repeated += most == BENCH_REPEATS;
        trial_result_fini(out);
    }
}

/* The configurations' turns, round by round, until no one wants another. `turn`: 1 it had one, 0 it is done, -errno. */
static int in_turn(struct bench *b, int (*turn)(struct bench *b, struct bench_configuration *c, unsigned round)) {
    bool more = true;
    for (unsigned round = 0; more; round++) {
        more = false;
        for (unsigned k = 0; k < b->n; k++) {
            int code = turn(b, &b->c[bench_turn(round, k, b->n)], round);
            if (code < 0)
                return code;
            more |= code > 0;
        }
    }
    return 0;
}

static struct pace constant(double pps) {
    return (struct pace){.kind = PACE_CONSTANT, .pps = pps};
}

/* ---- warm-up and search ---- */

static int warm_up(struct bench *b, struct bench_configuration *c, unsigned round) {
    const struct trial_options o = {.pace.kind = PACE_MAX, .seconds = WARM_UP_S};
    struct trial_result r;
    if (round)
        return 0;
    int code = bench_try(b, c, "warm-up", o, &r);
    if (code)
        return code;
    c->generator_pps = r.offered_pps;
    const double most = r.offered_pps * (r.noisy ? DISTURBED : 1);
    trial_result_fini(&r);
    struct search_options s = {
        .min_load = BENCH_MIN_PPS, .max_load = most, .n_goals = b->o->n_goals, .max_total_s = b->o->max_total_s};
    memcpy(s.goals, b->o->goals, sizeof s.goals);
    if (b->o->max_pps > 0 && b->o->max_pps < s.max_load)
        s.max_load = b->o->max_pps;
    if (s.max_load <= BENCH_MIN_PPS)
        return err_set(b->e, -ERANGE, "%s: the generator sends %.0f packets a second; over %.0f are needed", c->name,
                       c->generator_pps, BENCH_MIN_PPS);
    c->search = search_create(&s, b->e);
    return c->search ? 1 : -EINVAL;
}

int bench_search(struct bench *b, struct bench_configuration *c, const char *name, double packets_max) {
    struct search_trial t;
    struct trial_result r;
    if (!search_next(c->search, &t))
        return 0;
    struct trial_options o = {.pace = constant(t.load), .seconds = t.seconds};
    if (packets_max > 0 && o.seconds > packets_max / t.load)
        o.seconds = packets_max / t.load;
    int code = bench_try(b, c, name ? name : b->o->goals[t.goal].name, o, &r);
    if (code)
        return code;
    if (too_slow(&r, t.load)) {
        c->limited = true;
        const double can = ability(&r) * (r.noisy ? NOISY_MARGIN : 1);
        search_limit(c->search, fmin(can, t.load * BENCH_BACK_OFF));
    } else {
        c->kept++;
        c->doubtful += r.noisy || r.late;
        search_record(c->search, &(struct search_outcome){t.load, t.seconds, r.loss_ratio});
    }
    trial_result_fini(&r);
    return 1;
}

static int search(struct bench *b, struct bench_configuration *c, unsigned round) {
    int code = bench_search(b, c, NULL, 0);
    for (unsigned g = 0; g < b->o->n_goals && code >= 0; g++)
        search_bounds(c->search, g, &c->bounds[g]);
    return code;
}

/* ---- MRR ---- */

static int mrr(struct bench *b, struct bench_configuration *c, unsigned round) {
    const struct trial_options o = {.pace.kind = PACE_MAX, .seconds = b->o->mrr_s};
    struct trial_result r;
    if (round == b->o->mrr)
        return 0;
    int code = bench_try(b, c, "mrr", o, &r);
    if (code)
        return code;
    vec_push(&c->mrr, r.received_pps);
    trial_result_fini(&r);
    return 1;
}

/* ---- loads ---- */

static char *hgrm(const struct histogram *h) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    histogram_hgrm(h, 1000, f);
    fclose(f);
    return text;
}

/* Dropped and slowest packets into a file; its name, or NULL with *code. */
static json_t *save_capture(struct bench *b, const struct bench_configuration *c, const struct trial_result *r,
                            unsigned share, int *code) {
    char name[300], path[4096];
    if (!b->o->capture || !c->traffic)
        return json_null();
    snprintf(name, sizeof name, "%s.load-%u.pcapng", c->file, share);
    snprintf(path, sizeof path, "%s/%s", b->o->capture, name);
    *code = trial_capture_save(r, c->traffic, c->node, c->epoch_ns, path, b->e);
    return document_string(name);
}

static int load(struct bench *b, struct bench_configuration *c, unsigned round) {
    struct trial_result r;
    if (!b->o->loads || round == BENCH_LOADS)
        return 0;
    const double pdr = c->bounds[b->o->n_goals - 1].lower,
                 pps = bench_shares[round] ? pdr * bench_shares[round] / 100 : BENCH_MIN_PPS;
    if (pps <= 0)
        return 1; /* nothing is carried without loss: no load alone can be looked at */
    const struct trial_options o = {
        .pace = constant(pps), .seconds = b->o->trial.seconds, .stages = true, .capture = b->o->capture != NULL};
    char key[16];
    int code = bench_try(b, c, "load", o, &r);
    if (code)
        return code;
    json_t *doc = trial_load_json(&r, &o.pace), *list = c->trials;
    json_object_set_new(doc, "pps", json_real(pps));
    json_object_set(doc, "trial", json_array_get(list, json_array_size(list) - 1));
    json_object_set_new(doc, "capture", save_capture(b, c, &r, bench_shares[round], &code));
    snprintf(key, sizeof key, "%u", bench_shares[round]);
    json_object_set_new(c->load, key, doc);
    if (r.latency.bucket && r.latency.count)
        c->hgrm[round] = hgrm(&r.latency);
    trial_result_fini(&r);
    return code ? code : 1;
}

/* ---- back-to-back ---- */

struct burst_test {
    struct bench *b;
    struct bench_configuration *c;
};

/*
 * A burst as fast as the generator sends: its packets are all due at once, so it is late by intention. What is lost
 * while the machine takes time away is no loss of the device.
 */
static int burst_lost(void *arg, uint64_t packets) {
    const struct burst_test *t = arg;
    const double period = (double)packets / t->c->generator_pps + BURST_REST_S;
    struct trial_options o = {
        .pace = {.kind = PACE_BURSTS, .burst = (unsigned)packets, .pps = (double)packets / period},
        .seconds = period * BURST_SHARE};
    struct trial_result r;
    bool lost = true, disturbed = true;
    for (unsigned repeated = 0; lost && disturbed && repeated <= BENCH_REPEATS; repeated++) {
        int code = run(t->b, t->c, "back-to-back", &o, &r);
        if (code)
            return code;
        lost = r.lost > 0;
        disturbed = r.lost_time_ns > 0;
        trial_result_fini(&r);
    }
    return lost;
}

static int back_to_back(struct bench *b, struct bench_configuration *c, unsigned round) {
    struct burst_test t = {b, c};
    uint64_t max = (uint64_t)(c->generator_pps * BURST_LONGEST_S), longest;
    if (round == b->o->burst_tests)
        return 0;
    max = max < 1 ? 1 : max > UINT32_MAX ? UINT32_MAX : max;
    int code = bench_longest_burst(max, burst_lost, &t, &longest);
    if (code)
        return code;
    c->burst_pps = c->generator_pps;
    c->bursts_endless |= longest == max;
    vec_push(&c->bursts, (double)longest);
    return 1;
}

int bench_longest_burst(uint64_t max, int (*lost)(void *arg, uint64_t packets), void *arg, uint64_t *out) {
    uint64_t good = 0, bad = 0;
    while (!bad || bad - good > 1 + good / 100) {
        uint64_t next = bad ? good + (bad - good) / 2 : good ? 2 * good : 64;
        next = next < max ? next : max;
        int code = lost(arg, next);
        if (code < 0)
            return code;
        *(code ? &bad : &good) = next;
        if (good == max || bad == 1)
            break;
    }
    *out = good;
    return 0;
}

double bench_burst_corrected(double packets, double throughput, double rate) {
    return rate > 0 ? packets * (1 - fmin(throughput / rate, 1)) : 0;
}

/* ---- all of it ---- */

static bool measured(const struct bench *b) {
    for (unsigned i = 0; i < b->n; i++)
        if (b->c[i].cost.cycles.n || json_array_size(b->c[i].trials))
            return true;
    return false;
}

static bool believable(const struct bench *b, const struct bench_configuration *c) {
    const struct search_bounds *last = &c->bounds[b->o->n_goals - 1];
    bool answer = last->lower > 0 || (last->upper > 0 && last->upper <= BENCH_MIN_PPS);
    return answer && 2 * c->doubtful <= c->kept;
}

int bench_trials(struct bench_configuration *c, unsigned n, const struct bench_options *o, struct bench_result *out,
                 struct err *e) {
    int (*const phases[])(struct bench *, struct bench_configuration *, unsigned) = {warm_up, search, mrr, load,
                                                                                     back_to_back};
    struct bench b = {.c = c, .n = n, .o = o, .e = e};
    int code = 0;
    for (unsigned i = 0; i < n; i++) {
        c[i].trials = json_array();
        c[i].load = json_object();
    }
    for (size_t i = 0; i < sizeof phases / sizeof *phases && !code; i++)
        code = in_turn(&b, phases[i]);
    progress_done();
    *out = (struct bench_result){.partial = code == -EINTR, .valid = true};
    for (unsigned i = 0; i < n; i++)
        out->valid &= believable(&b, &c[i]);
    if (code == -EINTR && measured(&b))
        code = 0;
    return code;
}

void bench_configuration_fini(struct bench_configuration *c) {
    search_destroy(c->search);
    free(c->device.slots);
    crew_destroy(c->device.crew);
    json_decref(c->trials);
    json_decref(c->load);
    vec_free(&c->mrr);
    vec_free(&c->bursts);
    vec_free(&c->cost.cycles);
    for (unsigned i = 0; i < NODE_STAGES_MAX; i++)
        vec_free(&c->cost.stages[i].cycles);
    for (unsigned i = 0; i < BENCH_LOADS; i++)
        free(c->hgrm[i]);
}
