/* SPDX-License-Identifier: BSD-3-Clause */
/* Documents: counts that add up, and the same for the same input. */
#include <time.h>
#include "case.h"
#include <fwdlab/base/random.h>

/* Random packets of all kinds between random ends. */
static struct capture noise(uint64_t seed, unsigned n) {
    static const char *const ends[] = {"10.0.2.2",    "10.0.2.3",        "10.0.0.4", "10.0.0.10", "10.0.3.4",
                                       "172.16.0.10", "203.0.113.10",    "8.8.8.8",  "10.0.3.99", "224.0.0.1",
                                       "169.254.1.1", "255.255.255.255", "10.0.1.4"};
    static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP, PROTO_ESP};
    struct capture c = capture_make();
    struct random r;
    random_seed(&r, seed);
    for (unsigned i = 0; i < n; i++) {
        uint8_t proto = protos[random_below(&r, 4)];
        uint16_t dport = proto == PROTO_ICMP ? (random_below(&r, 2) ? ICMP_ECHO : ICMP_ECHO_REPLY)
                                             : (uint16_t)(50 + random_below(&r, 4));
        struct frame *f =
            capture_add(&c, random_below(&r, 3), (uint8_t)random_below(&r, 3), (uint8_t)(1 + random_below(&r, 64)),
                        proto, ends[random_below(&r, 13)], (uint16_t)(1000 + random_below(&r, 8)),
                        ends[random_below(&r, 13)], dport, "payload");
        if (proto == PROTO_TCP) {
            frame_l4(f)[13] = (uint8_t)(1u << random_below(&r, 5));
            frame_seal(f, 27);
        }
        switch (random_below(&r, 12)) {
        case 0:
            capture_left(&c, random_below(&r, 3), "10.0.0.4", 2000, NULL, 0);
            break;
        case 1:
            f->len = random_below(&r, f->len);
            break;
        case 2:
            f->data[14 + random_below(&r, 20)] ^= (uint8_t)(1u << random_below(&r, 8));
            break;
        case 3:
            f->data[random_below(&r, 14)] ^= 0x10;
            break;
        case 4:
            frame_ip(f)->fragment = htons(random_below(&r, 2) ? IPV4_MF : 3);
            frame_seal(f, f->len - 34);
            break;
        case 5:
            capture_error(&c, random_below(&r, 3), "198.51.100.9", "10.0.0.4", ICMP_UNREACHABLE, f);
            break;
        }
    }
    return c;
}

static json_int_t sum(const json_t *o, const char *skip) {
    const char *key;
    json_t *v;
    json_int_t n = 0;
    json_object_foreach((json_t *)o, key, v) n += strcmp(key, skip) ? json_integer_value(v) : 0;
    return n;
}

Test(document, counts_add_up) {
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct capture c = noise(seed, 300);
        struct cas k = case_make(&c);
        json_t *p = json_object_get(k.doc, "packets"), *f = json_object_get(k.doc, "flows");
        cr_expect_eq(count(p, "read"),
                     count(p, "injected") + count(p, "copies") + count(p, "malformed") +
                         at(&k, "packets", "ignored", "total"),
                     "seed %lu: %s", seed, json_dumps(p, 0));
        cr_expect_eq(count(p, "injected"),
                     count(p, "delivered") + count(p, "forwarded") + at(&k, "packets", "dropped", "total"), "seed %lu",
                     seed);
        cr_expect_eq(at(&k, "packets", "dropped", "total"), sum(json_object_get(p, "dropped"), "total"), "seed %lu",
                     seed);
        cr_expect_eq(at(&k, "packets", "ignored", "total"), sum(json_object_get(p, "ignored"), "total"), "seed %lu",
                     seed);
        cr_expect_eq(count(f, "total"), sum(json_object_get(f, "model"), ""), "seed %lu", seed);
        cr_expect_eq(count(f, "total"), sum(json_object_get(f, "observed"), ""), "seed %lu", seed);
        size_t i, n;
        json_t *g;
        json_int_t model = 0, observed = 0;
        json_array_foreach(json_object_get(k.doc, "findings"), i, g) {
            bool by_model = !strcmp(text(g, "source"), "model");
            model += by_model ? count(g, "count") : 0;
            observed += !strcmp(text(g, "source"), "observed") ? count(g, "count") : 0;
            cr_expect_gt(json_array_size(json_object_get(g, "frames")), 0u, "seed %lu", seed);
        }
        cr_expect_eq(model, count(f, "total") - at(&k, "flows", "model", "symmetric"),
                     "seed %lu: one finding for every flow", seed);
        cr_expect_eq(observed, count(f, "total") - at(&k, "flows", "observed", "symmetric"), "seed %lu", seed);
        const struct inject_verdict *v = analysis_verdicts(k.analysis, &n);
        cr_expect_eq((json_int_t)n, count(p, "injected"), "seed %lu", seed);
        for (size_t q = 0; q < n; q++)
            cr_assert(v[q].verdict == VERDICT_DROP ? v[q].reason != 0
                                                   : v[q].verdict == VERDICT_DELIVER || v[q].out_port < 3,
                      "seed %lu", seed);
        case_end(&k);
    }
}

Test(document, same_input_same_document) {
    for (uint64_t seed = 100; seed < 102; seed++) {
        char *out[2];
        for (int i = 0; i < 2; i++) {
            struct capture c = noise(seed, 400);
            struct cas k = case_make(&c);
            out[i] = json_dumps(k.doc, JSON_INDENT(1));
            case_end(&k);
        }
        cr_expect_str_eq(out[0], out[1], "seed %lu", seed);
        free(out[0]);
        free(out[1]);
    }
}

/* Flows of which some are answered, more than the two workers may be apart; some come back after they were evicted. */
static struct capture many(uint64_t seed, unsigned n) {
    struct capture c = noise(seed, 200);
    struct random r;
    random_seed(&r, seed);
    for (unsigned i = 0; i < n; i++)
        question(&c, PROTO_UDP, (uint16_t)(1024 + (i < n / 2 ? i : random_below(&r, n))),
                 random_below(&r, 3) ? (int)random_below(&r, 3) : -1);
    return c;
}

static void add_record(void *arg, const struct flow_record *r) {
    fprintf(arg, "%llu %s %s %u\n", (unsigned long long)r->id, r->model, r->observed, r->finding);
}

Test(document, same_by_two_workers) {
    static const size_t limits[] = {0, 3000};
    for (int i = 0; i < 2; i++) {
        const uint64_t seed = (uint64_t)time(NULL) + (unsigned)i;
        char *out[2], *records[2];
        for (unsigned w = 0; w < 2; w++) {
            size_t size;
            FILE *f = open_memstream(&records[w], &size);
            const struct analysis_options o = {.workers = w + 1, .max_flows = limits[i], .record = add_record,
                                               .record_arg = f};
            struct capture c = many(seed, 10000);
            struct err e = {0};
            struct cas k = case_with("routed", capture_trace(&c), &o, &e);
            const struct document_rows rows = analysis_pairs(k.analysis);
            out[w] = document_text_rows(k.doc, &rows);
            cr_expect_gt(at(&k, "flows", "total", NULL), 5000);
            cr_expect_eq(at(&k, "flows", "evicted", NULL) > 0, limits[i] > 0);
            fclose(f);
            case_end(&k);
        }
        cr_expect_str_eq(out[0], out[1], "seed %lu", seed);
        cr_expect_str_eq(records[0], records[1], "seed %lu", seed);
        for (unsigned w = 0; w < 2; w++) {
            free(out[w]);
            free(records[w]);
        }
    }
}

/* The model is as it was: every candidate that was tried is undone. */
Test(document, model_is_left_unchanged) {
    struct capture c = noise(7, 300);
    struct err e = {0};
    struct cas k = case_over("without-route-1", capture_trace(&c), &e);
    for (uint32_t i = 0; i < k.model->n_nodes; i++) {
        size_t a, b;
        route_table_routes(k.model->nodes[i].node.routes, &a);
        route_table_routes(k.bench.control->nodes[i].node.routes, &b);
        cr_expect_eq(a, b, "%s", k.model->nodes[i].name);
    }
    case_end(&k);
}

Test(document, without_a_scenario) {
    struct capture c = noise(3, 300);
    struct feed_memory m = {.trace = capture_trace(&c)};
    const struct feed_source source = feed_memory(&m);
    const struct analysis_options o = {0};
    struct analysis *a = analyze(&source, &o, NULL);
    struct cas k = {.doc = json_object()};
    analysis_document(a, k.doc);
    json_t *p = json_object_get(k.doc, "packets");
    cr_expect_eq(count(p, "injected"), 0);
    cr_expect_eq(count(p, "read"), count(p, "copies") + count(p, "malformed") + at(&k, "packets", "ignored", "total"));
    cr_expect_eq(at(&k, "flows", "total", NULL), at(&k, "flows", "model", "unmodelled"));
    cr_expect_gt(at(&k, "flows", "total", NULL), 0);
    json_decref(k.doc);
    analysis_destroy(a);
    trace_memory_destroy(m.trace);
}

/* What is benign is said to be, and comes after what is not. */
Test(document, grave_findings_first) {
    struct capture c = noise(11, 400);
    struct cas k = case_make(&c);
    bool benign = false;
    size_t i;
    json_t *g;
    json_array_foreach(json_object_get(k.doc, "findings"), i, g) {
        if (strcmp(text(g, "source"), "model"))
            continue;
        cr_expect(!benign || json_is_true(json_object_get(g, "benign")), "finding %zu", i);
        benign |= json_is_true(json_object_get(g, "benign"));
        cr_expect_neq(text(g, "text")[0], '\0');
    }
    cr_expect(benign);
    case_end(&k);
}
