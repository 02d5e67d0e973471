/* SPDX-License-Identifier: BSD-3-Clause */
/* The same packets under two scenarios: translations, fragments that wait, interfaces that the other one lacks. */
#include <fwdlab/base/random.h>
#include "case.h"

#define SERVER "203.0.113.10"
#define SEED 7077

/* One side: a scenario with the node's tables and the model's. */
struct side {
    struct scenario *scenario;
    struct control *control, *model;
    struct fabric *fabric;
};

static struct side side_load(const char *path) {
    struct complaints complaints = {0};
    struct err e = {0};
    struct side s = {.scenario = scenario_load(path, &complaints)};
    cr_assert_not_null(s.scenario, "%s: %s", path, complaints.list.n ? complaints.list.v[0].what : "");
    complaints_fini(&complaints);
    s.control = control_build(s.scenario, NULL, &e);
    s.model = control_build(s.scenario, NULL, &e);
    cr_assert(s.control && s.model, "%s", e.what);
    s.fabric = fabric_create(s.model);
    return s;
}

static void side_end(struct side *s) {
    fabric_destroy(s->fabric);
    control_destroy(s->model);
    control_destroy(s->control);
    scenario_destroy(s->scenario);
}

/* The document's what_if of a trace under one scenario, and what if it were another one. Paths end in .yaml. */
static json_t *what_if(struct trace_memory *t, const char *first, const char *variant) {
    struct err e = {0};
    struct side a = side_load(first), b = side_load(variant);
    struct feed_memory memory = {.trace = t};
    const struct feed_source source = feed_memory(&memory);
    const struct analysis_options o = {
        .control = a.control, .node = control_node_find(a.control, "hyperv"), .fabric = a.fabric,
        .what_if = {.control = b.control, .node = control_node_find(b.control, "hyperv"), .fabric = b.fabric}};
    struct analysis *analysis = analyze(&source, &o, &e);
    cr_assert_not_null(analysis, "%s", e.what);
    json_t *doc = json_object();
    analysis_document(analysis, doc);
    json_t *what = json_incref(json_object_get(doc, "what_if"));
    cr_assert_not_null(what);
    json_decref(doc);
    analysis_destroy(analysis);
    side_end(&a);
    side_end(&b);
    return what;
}

/* A variant of the nested host, written down; the caller unlinks it. */
static void variant_write(char path[64], const char *text) {
    snprintf(path, 64, "/tmp/fwdlab-variant.XXXXXX.yaml");
    FILE *f = fdopen(mkstemps(path, 5), "w");
    fprintf(f, "fwdlab: 1\nbase: %srouted.yaml\nname: variant\n%s\n", NESTED, text);
    fclose(f);
}

static json_t *member(const json_t *o, const char *a, const char *b) {
    o = json_object_get(o, a);
    return b ? json_object_get(o, b) : (json_t *)o;
}

/* How many packets change so: "drop nat-fragment" to "forward NIC1 nat". */
static const char *outcome(const json_t *o, char buf[80]) {
    snprintf(buf, 80, "%s%s%s%s%s%s", text(o, "verdict"), *text(o, "reason") ? " " : "", text(o, "reason"),
             *text(o, "out") ? " " : "", text(o, "out"), json_is_true(json_object_get(o, "translated")) ? " nat" : "");
    return buf;
}
static json_int_t changed(const json_t *what, const char *from, const char *to) {
    size_t i;
    json_t *c;
    json_int_t n = 0;
    char a[80], b[80];
    json_array_foreach(member(what, "packets", "changed"), i, c)
        n += !strcmp(outcome(json_object_get(c, "from"), a), from) && !strcmp(outcome(json_object_get(c, "to"), b), to)
                 ? count(c, "count") : 0;
    return n;
}

static json_int_t all_changed(const json_t *what) {
    size_t i;
    json_t *c;
    json_int_t n = 0;
    json_array_foreach(member(what, "packets", "changed"), i, c) n += count(c, "count");
    return n;
}

/* A question from a guest to `to`, its copy, and the answer to the outside port that the captured NAT had. */
static void through_nat(struct capture *c, const char *to, uint16_t port, uint16_t outside) {
    capture_add(c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", port, to, 53, "q");
    capture_left(c, NIC1, "10.0.0.4", outside, NULL, 0);
    capture_add(c, NIC1, TRACE_INBOUND, 50, PROTO_UDP, to, 53, "10.0.0.4", outside, "a");
    capture_left(c, SWITCH, NULL, 0, "10.0.2.2", port);
}

Test(whatif, same_scenario_changes_nothing) {
    struct capture c = capture_make();
    for (uint16_t port = 4000; port < 4010; port++)
        through_nat(&c, SERVER, port, (uint16_t)(60000 + port));
    struct trace_memory *t = capture_trace(&c);
    json_t *w = what_if(t, NESTED "routed.yaml", NESTED "routed.yaml");
    cr_expect_eq(all_changed(w), 0);
    cr_expect_eq(count(member(w, "packets", NULL), "same"), 20);
    cr_expect_eq(count(member(w, "packets", NULL), "answers_unmatched"), 0);
    cr_expect_eq(count(member(w, "flows", NULL), "same"), 10);
    cr_expect_eq(count(w, "broken") + count(w, "mended"), 0);
    json_decref(w);
    trace_memory_destroy(t);
}

/* Without Route 1 the question leaves by NIC2 as it came; its captured answer finds the guest, untranslated. */
Test(whatif, names_the_route_that_breaks_it) {
    struct capture c = capture_make();
    through_nat(&c, "10.0.0.10", 4000, 61000);
    struct trace_memory *t = capture_trace(&c);
    json_t *w = what_if(t, NESTED "routed.yaml", NESTED "without-route-1.yaml");
    cr_expect_eq(changed(w, "forward NIC1 nat", "forward NIC2"), 1);
    cr_expect_eq(changed(w, "forward switch nat", "forward switch"), 1);
    cr_expect_eq(count(w, "broken"), 1);
    const json_t *g = json_array_get(member(w, "flows", "changed"), 0);
    char flow[120];
    cr_expect_str_eq(flow_of(g, flow, sizeof flow), "udp 10.0.2.2:4000 > 10.0.0.10:53");
    cr_expect_str_eq(text(g, "from"), "symmetric");
    cr_expect_str_eq(text(g, "to"), "no_return_route");
    cr_expect_eq(count(g, "packets"), 2);
    cr_expect_eq(count(g, "bytes"), 2 * 29);
    cr_expect_str_eq(text(member(g, "cause", "route"), "name"), "Route 2");
    cr_expect_str_eq(text(member(g, "cause", NULL), "node"), "hyperv");
    cr_expect_eq(json_array_size(json_object_get(g, "frames")), 2u);
    json_decref(w);
    w = what_if(t, NESTED "without-route-1.yaml", NESTED "routed.yaml");
    cr_expect_eq(count(w, "mended"), 1);
    g = json_array_get(member(w, "flows", "changed"), 0);
    cr_expect_str_eq(text(member(g, "cause", "route"), "name"), "Route 1");
    cr_expect_neq(strstr(text(g, "text"), "1 flow would work"), NULL, "%s", text(g, "text"));
    json_decref(w);
    trace_memory_destroy(t);
}

/* A node without the NIC never sees what arrives there. */
Test(whatif, interface_that_is_not_there) {
    struct capture c = capture_make();
    capture_add(&c, NIC2, TRACE_INBOUND, 60, PROTO_UDP, "10.0.3.4", 999, "10.0.2.2", 7, "q");
    capture_left(&c, SWITCH, NULL, 0, NULL, 0);
    struct trace_memory *t = capture_trace(&c);
    json_t *w = what_if(t, NESTED "routed.yaml", NESTED "nat-only.yaml");
    cr_expect_eq(changed(w, "forward switch", "no-such-nic"), 1);
    cr_expect_eq(all_changed(w), 1);
    json_decref(w);
    trace_memory_destroy(t);
}

/* Two fragments of a datagram to the Internet, in any order, the first one perhaps missing. */
static void fragments(struct capture *c, bool later_first, bool with_first) {
    for (int i = 0; i < 2; i++) {
        const bool later = i == !later_first;
        if (!later && !with_first)
            continue;
        struct frame *f =
            capture_add(c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 4000, SERVER, 53, "8 bytes.");
        frame_ip(f)->id = htons(77);
        frame_ip(f)->fragment = htons(later ? 2 : IPV4_MF);
        frame_seal(f, 16);
    }
}

#define HOLDS "machines: { hyperv: { nat: { personality: interface, hold_fragments: true } } }"
#define DROPS "machines: { hyperv: { nat: { personality: interface, hold_fragments: false } } }"

/* One NAT holds what comes before its first fragment, the other one drops it. */
Test(whatif, fragments_that_wait) {
    char holds[64], drops[64];
    variant_write(holds, HOLDS);
    variant_write(drops, DROPS);
    struct {
        bool later_first, with_first;
        const char *held; /* what becomes of the later one where it is held */
    } cases[] = {{false, true, NULL}, {true, true, "forward NIC1 nat"}, {true, false, "held"}};
    for (size_t i = 0; i < 3; i++) {
        struct capture c = capture_make();
        fragments(&c, cases[i].later_first, cases[i].with_first);
        struct trace_memory *t = capture_trace(&c);
        const char *held = cases[i].held;
        json_t *there = what_if(t, holds, drops), *back = what_if(t, drops, holds), *both = what_if(t, holds, holds);
        cr_expect_eq(all_changed(there), held != NULL, "%zu", i);
        cr_expect_eq(all_changed(back), held != NULL, "%zu", i);
        if (held) {
            cr_expect_eq(changed(there, held, "drop nat-fragment"), 1, "%zu", i);
            cr_expect_eq(changed(back, "drop nat-fragment", held), 1, "%zu", i);
        }
        cr_expect_eq(all_changed(both), 0);
        cr_expect_eq(count(member(both, "packets", NULL), "same"), 1 + cases[i].with_first);
        json_decref(there);
        json_decref(back);
        json_decref(both);
        trace_memory_destroy(t);
    }
    unlink(holds);
    unlink(drops);
}

/* Random packets: each is counted once, and the other way round every change is turned. */
Test(whatif, turned_round) {
    static const char *const variants[] = {NESTED "routed.yaml", NESTED "without-route-1.yaml",
                                           NESTED "without-onprem-route.yaml", NESTED "connected.yaml"};
    static const char *const far[] = {"10.0.0.10", "10.0.3.4", "172.16.0.10", SERVER, "10.0.1.4", "10.0.9.9"};
    for (unsigned seed = SEED; seed < SEED + 12; seed++) {
        struct random r;
        struct capture c = capture_make();
        random_seed(&r, seed);
        for (unsigned i = 0; i < 60; i++) {
            const char *end = far[random_below(&r, 6)];
            const uint16_t port = (uint16_t)(4000 + random_below(&r, 9));
            if (random_below(&r, 2))
                capture_add(&c, SWITCH, TRACE_INBOUND, (uint8_t)(1 + random_below(&r, 5)), PROTO_UDP, "10.0.2.2", port,
                            end, 53, "q");
            else
                capture_add(&c, random_below(&r, 2), TRACE_INBOUND, 9, PROTO_UDP, end, 53, "10.0.2.2", port, "a");
        }
        struct trace_memory *t = capture_trace(&c);
        const char *a = variants[random_below(&r, 4)], *b = variants[random_below(&r, 4)];
        json_t *there = what_if(t, a, b), *back = what_if(t, b, a), *g;
        size_t i;
        char from[80], to[80];
        cr_expect_eq(count(member(there, "packets", NULL), "same") + all_changed(there), 60, "seed %u", seed);
        json_array_foreach(member(there, "packets", "changed"), i, g) {
            outcome(json_object_get(g, "from"), from);
            outcome(json_object_get(g, "to"), to);
            cr_expect_eq(changed(there, from, to), changed(back, to, from), "seed %u: %s, %s", seed, from, to);
        }
        cr_expect_eq(count(there, "broken"), count(back, "mended"), "seed %u", seed);
        cr_expect_eq(count(there, "mended"), count(back, "broken"), "seed %u", seed);
        json_decref(there);
        json_decref(back);
        trace_memory_destroy(t);
    }
}
