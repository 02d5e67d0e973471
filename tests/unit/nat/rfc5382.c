/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 5382: TCP through NAT, what is not about its states (rfc5382_tcp.c). */
#include "rfc.h"

/* REQ-1 mappings do not depend on the remote end. REQ-7 two inside ends never share an outside port. */
Test(rfc5382, req_1_req_7_mapping) {
    struct nat *n = rfc_nat(rfc_config(1));
    for (uint16_t port = 1; port < 50; port++) {
        cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST), 5000, port & 1 ? WEB : WEB2, port, EPOCH).port, 5000);
        cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST2), 5000, port & 1 ? WEB : WEB2, port, EPOCH).port, 5001);
    }
    cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST2), 5000, WEB, 1, EPOCH).port, 5000); /* another protocol's ports */
    nat_destroy(n);
}

/* The filter is endpoint-independent where that matters most, else address-dependent, as is chosen. */
Test(rfc5382, req_3_filtering) {
    static const enum drop other_port[] = {DROP_NONE, DROP_NONE, DROP_NAT_FILTERED},
                           other_address[] = {DROP_NONE, DROP_NAT_FILTERED, DROP_NAT_FILTERED};
    for (uint8_t filtering = 0; filtering < 3; filtering++) {
        struct nat_config c = rfc_config(1);
        c.filtering = filtering;
        struct nat *n = rfc_nat(c);
        cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST), 5000, WEB, 80, EPOCH).port, 5000);
        cr_expect_eq(rfc_in(n, PROTO_TCP, WEB, 80, 5000, EPOCH), DROP_NONE);
        cr_expect_eq(rfc_in(n, PROTO_TCP, WEB, 81, 5000, EPOCH), other_port[filtering]);
        cr_expect_eq(rfc_in(n, PROTO_TCP, WEB2, 80, 5000, EPOCH), other_address[filtering]);
        nat_destroy(n);
    }
}

/* Hairpinning, with an outside source address and port (a), for all of a connection. */
Test(rfc5382, req_8_hairpinning) {
    static const uint8_t flags[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK, TCP_FIN | TCP_ACK, TCP_FIN | TCP_ACK};
    struct nat_config c = rfc_config(1);
    c.hairpin = true;
    struct nat *n = rfc_nat(c);
    cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST), 5000, WEB, 80, EPOCH).port, 5000);
    for (int i = 0; i < 6; i++) {
        const bool back = i & 1;
        struct wire *w = SEND(n, INSIDE, INSIDE, EPOCH, .proto = PROTO_TCP, .src = back ? GUEST : GUEST2, .dst = NODE,
                              .sport = back ? 5000 : 6000, .dport = back ? 6000 : 5000, .tcp = flags[i]);
        struct nat_session s;
        cr_assert(nat_session_get(n, w->p.session - 1, &s));
        cr_expect_eq(s.state, i < 2 ? NAT_STATE_TCP_SYN : i < 5 ? NAT_STATE_TCP_ESTABLISHED : NAT_STATE_TCP_CLOSING);
        expect(w, NODE, back ? 5000 : 6000, back ? GUEST2 : GUEST, back ? 6000 : 5000);
    }
    cr_expect_eq(rfc_stats(n).live, 2);
    nat_destroy(n);
}
