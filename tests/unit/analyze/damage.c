/* SPDX-License-Identifier: BSD-3-Clause */
/* What a damaged trace can still prove: nothing. */
#include "case.h"

/* Without Route 1 the host is reached by NIC1 and answers by NIC2; Route 1 is the mend. */
static json_t *mend_of(bool damaged) {
    struct capture c = capture_make();
    for (uint16_t port = 1000; port < 1003; port++)
        tcp_handshake(&c, NIC1, "10.0.0.10", port, "10.0.0.4", 22, NIC2);
    struct err e = {0};
    struct trace_memory *t = capture_trace(&c);
    if (damaged)
        t->damage = "cut off at byte 1234";
    struct cas k = case_over("without-route-1", t, &e);
    json_t *g = finding(&k, "model", NULL), *mend = json_object_get(g, "mend");
    cr_assert_not_null(g);
    cr_expect_eq(count(g, "count"), 3);
    cr_expect_str_eq(text(json_object_get(json_object_get(g, "cause"), "route"), "name"), "Route 2");
    cr_expect_str_eq(text(mend, "change"), "add");
    cr_expect_str_eq(text(json_object_get(mend, "route"), "prefix"), "10.0.0.0/24");
    cr_expect_str_eq(text(json_object_get(mend, "route"), "dev"), "NIC1");
    cr_expect(json_is_null(json_object_get(mend, "refused")));
    json_t *out = json_incref(mend);
    case_end(&k);
    return out;
}

Test(damage, whole_trace_proves) {
    cr_expect(json_is_true(json_object_get(mend_of(false), "proven")));
}

Test(damage, damaged_trace_does_not) {
    cr_expect(json_is_false(json_object_get(mend_of(true), "proven")));
}

/* What Route 1 cannot mend: a route towards the machines' subnet by NIC1 would send the guests' flows into NAT. */
Test(damage, a_mend_that_moves_flows_into_nat_is_refused) {
    struct capture c = capture_make();
    tcp_handshake(&c, NIC1, "10.0.3.4", 1000, "10.0.0.4", 22, NIC2);
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 1000, "10.0.3.4", 53, "q");
    capture_left(&c, NIC2, NULL, 0, NULL, 0);
    struct err e = {0};
    struct cas k = case_over("routed", capture_trace(&c), &e);
    json_t *g = finding(&k, "model", NULL), *mend = json_object_get(g, "mend");
    cr_assert_not_null(g);
    const char *refused = text(mend, "refused");
    cr_expect(strstr(refused, "NAT"), "%s", refused);
    cr_expect(json_is_false(json_object_get(mend, "proven")));
    case_end(&k);
}
