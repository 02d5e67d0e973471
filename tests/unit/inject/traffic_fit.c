/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers through NAT, lap after lap: each copy's and each generation's finds its way back. */
#include "steps.h"

TestSuite(traffic_fit, .timeout = 240);

struct result {
    struct outcome laps[6];
};

static void pass(const struct bench *b, const struct traffic_options *o, unsigned burst, unsigned laps,
                 struct result *out) {
    struct traffic *t = traffic_of(b, o);
    struct passage *w = xzalloc(1, sizeof *w);
    struct traffic_cursor c;
    struct traffic_step s;
    *out = (struct result){0};
    w->node = &b->control->nodes[b->node].node;
    w->t = t;
    w->slots = xzalloc(t->n_slots, sizeof *w->slots);
    node_reset(w->node);
    traffic_begin(&c, t);
    uint64_t lap = 0;
    for (traffic_next(&c, &s); s.lap < laps; traffic_next(&c, &s)) {
        if (s.lap != lap)
            passage_flush(w, &out->laps[lap++]);
        passage_add(w, &s, burst, &out->laps[lap]);
    }
    passage_flush(w, &out->laps[lap]);
    free(w->slots);
    free(w);
    traffic_destroy(t);
}

static void expect_equal(const struct outcome *a, const struct outcome *b, const char *what) {
    cr_expect_eq(a->answers_forwarded, b->answers_forwarded, "%s: answers to their sessions: %lu, %lu", what,
                 a->answers_forwarded, b->answers_forwarded);
    cr_expect_eq(a->forwarded, b->forwarded, "%s: forwarded %lu, %lu", what, a->forwarded, b->forwarded);
    cr_expect_eq(a->delivered, b->delivered, "%s: delivered %lu, %lu", what, a->delivered, b->delivered);
    cr_expect_eq(a->unmatched, b->unmatched, "%s: unmatched %lu, %lu", what, a->unmatched, b->unmatched);
    for (unsigned r = 0; r < DROP_COUNT; r++)
        cr_expect_eq(a->drops[r], b->drops[r], "%s: %s %lu, %lu", what, drop_name(r), a->drops[r], b->drops[r]);
}

/* Every lap like the first one, at every churn, in bursts of one and of many. */
Test(traffic_fit, every_lap_the_same) {
    static const double churns[] = {0, 0.3, 1};
    for (size_t l = 0; l < LABS; l++) {
        struct bench b = lab_bench(lab[l]);
        for (size_t k = 0; k < 3; k++) {
            struct result one, many;
            struct traffic_options o = {.sessions = 1000, .churn = churns[k], .seed = 7};
            char what[80];
            pass(&b, &o, BURST_MAX, 5, &many);
            pass(&b, &o, 1, 5, &one);
            for (unsigned lap = 0; lap < 5; lap++) {
                snprintf(what, sizeof what, "%s, churn %g, lap %u", lab[l], churns[k], lap);
                expect_equal(&many.laps[0], &many.laps[lap], what);
                snprintf(what, sizeof what, "%s, churn %g, lap %u, bursts", lab[l], churns[k], lap);
                expect_equal(&one.laps[lap], &many.laps[lap], what);
            }
            cr_expect_eq(many.laps[0].unmatched, 0u, "%s: %lu of %lu unmatched", lab[l],
                         many.laps[0].unmatched, many.laps[0].answers);
        }
        bench_end(&b);
    }
}

/* Responders all over a larger table get their packets, and their answers come back, as the captured ones did. */
Test(traffic_fit, spread_responders) {
    static const double churns[] = {0, 0.3, 1};
    for (size_t l = 0; l < LABS; l++) {
        struct bench b = lab_bench(lab[l]);
        struct route_table *table = routes_make(&b, 2000, l);
        for (size_t k = 0; k < 3; k++) {
            struct result plain, spread;
            struct traffic_options o = {.sessions = k == 2 ? 0 : 3000, .churn = churns[k], .seed = l};
            char what[80];
            pass(&b, &o, 64, 3, &plain);
            o.table = table;
            o.spread = 2000;
            pass(&b, &o, 64, 3, &spread);
            for (unsigned lap = 0; lap < 3; lap++) {
                snprintf(what, sizeof what, "%s, churn %g, lap %u", lab[l], churns[k], lap);
                expect_equal(&plain.laps[lap], &spread.laps[lap], what);
            }
        }
        bench_end(&b);
    }
}

/* Copies do as the capture's own packets do: three copies have three times what they have. */
Test(traffic_fit, copies_do_as_the_first) {
    for (size_t l = 0; l < LABS; l++) {
        struct bench b = lab_bench(lab[l]);
        struct traffic *t = traffic_of(&b, &(struct traffic_options){0});
        uint32_t flows = t->n_flows, reported = 0, reported_answers = 0;
        struct result one, three;
        for (uint32_t i = 0; i < t->n; i++) {
            reported += t->packets[i].reported;
            reported_answers += t->packets[i].reported && t->packets[i].answer;
        }
        uint64_t n = t->n;
        traffic_destroy(t);
        pass(&b, &(struct traffic_options){0}, 64, 1, &one);
        pass(&b, &(struct traffic_options){.sessions = 2 * flows + 1}, 64, 1, &three);
        const struct outcome *x = &one.laps[0], *y = &three.laps[0];
        uint64_t drops[2] = {0};
        for (unsigned r = 0; r < DROP_COUNT; r++) {
            drops[0] += x->drops[r];
            drops[1] += y->drops[r];
        }
        cr_expect_eq(x->answers, x->answers_forwarded, "%s", lab[l]);
        cr_expect_eq(y->answers, y->answers_forwarded, "%s", lab[l]);
        cr_expect_eq(y->answers, 3 * (x->answers - reported_answers) + reported_answers, "%s", lab[l]);
        cr_expect_eq(y->forwarded + y->delivered + drops[1], 3 * (n - reported) + reported, "%s", lab[l]);
        cr_expect(drops[1] <= 3 * drops[0] && y->forwarded >= 3 * (x->forwarded - reported), "%s: %lu drops,"
                  " of one: %lu", lab[l], drops[1], drops[0]);
        bench_end(&b);
    }
}
