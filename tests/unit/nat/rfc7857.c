/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 7857: what it changes, by section. Section 2, TCP: rfc5382_tcp.c; 11 and 12, ICMP: rfc5508.c. */
#include "rfc.h"

/* 3: ports may overlap where mappings depend on the remote end; here none is ever shared. */
Test(rfc7857, section_3_no_overlapping) {
    struct nat_config c = rfc_config(1);
    c.mapping = NAT_ADDRESS_AND_PORT_DEPENDENT;
    struct nat *n = rfc_nat(c);
    cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST), 5000, WEB, 80, EPOCH).port, 5000);
    cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST2), 5000, WEB2, 81, EPOCH).port, 5001);
    nat_destroy(n);
}

/* 4: when the paired address has no port left, who has sessions is refused, who has none gets another address. Who has
 * none any more is as one who never had: after that it is paired anew. */
Test(rfc7857, section_4_address_pooling_paired) {
    struct nat_config c = rfc_config(2);
    c.port_min = 2000;
    c.port_max = 2031;
    struct nat *n = rfc_nat(c);
    const uint32_t first = rfc_out(n, PROTO_UDP, addr(GUEST), 2000, WEB, 1, EPOCH).addr;
    for (uint16_t i = 1; i < 32; i++)
        cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), (uint16_t)(2000 + i), WEB, 1, EPOCH).addr, first);
    cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 2032, WEB, 1, EPOCH).reason, DROP_NAT_NO_PORT);
    unsigned moved = 0;
    for (uint32_t guest = 1; guest < 9; guest++) {
        const struct end e = rfc_out(n, PROTO_UDP, addr(GUEST) + htonl(guest), 2000, WEB, 1, EPOCH);
        cr_expect(e.port && e.addr != first);
        cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST) + htonl(guest), 2000, WEB, 1, EPOCH).addr, e.addr);
    }
    for (uint32_t guest = 1; guest < 9; guest++) /* all is idle, and nothing was expired by hand */
        moved += rfc_out(n, PROTO_UDP, addr(GUEST) + htonl(guest), 2000, WEB, 1, EPOCH + 1000 * S).addr == first;
    cr_expect_gt(moved, 0);
    nat_destroy(n);
}

/* 5, 6: mappings and filters of one protocol say nothing of another's. */
Test(rfc7857, section_5_6_protocols_are_apart) {
    struct nat *n = rfc_nat(rfc_config(1));
    cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB, 80, EPOCH).port, 5000);
    cr_expect_eq(rfc_in(n, PROTO_TCP, WEB, 80, 5000, EPOCH), DROP_COUNT);
    cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST2), 5000, WEB, 80, EPOCH).port, 5000);
    nat_destroy(n);
}

/* 7: with outbound refresh alone, what comes in by an endpoint-independent filter keeps no mapping, of any protocol. */
Test(rfc7857, section_7_refresh) {
    for (size_t i = 0; i < 2; i++) {
        struct nat_config c = rfc_config(1);
        c.outbound_refresh_only = true;
        struct nat *n = rfc_nat(c);
        cr_expect_eq(rfc_out(n, rfc_protos[i], addr(GUEST), 5000, WEB, 80, EPOCH).port, 5000);
        for (uint64_t t = 50; t < 1000; t += 50)
            cr_expect_eq(rfc_in(n, rfc_protos[i], WEB2, (uint16_t)t, 5000, EPOCH + t * S),
                         t <= (i ? 300 : 240) ? DROP_NONE : DROP_COUNT);
        nat_destroy(n);
    }
}

static struct wire *tcp(struct nat *n, bool back, uint8_t flags, uint64_t now) {
    return SEND(n, back ? OUTSIDE : INSIDE, back ? INSIDE : OUTSIDE, now, .proto = PROTO_TCP,
                .src = back ? WEB2 : GUEST, .dst = back ? NODE : WEB2, .sport = back ? 80 : 5000,
                .dport = back ? 5000 : 80, .tcp = flags);
}

/* 7: nor do the resets that an inside end answers it with; what else it sends does. */
Test(rfc7857, section_7_resets_refresh_nothing) {
    for (int reset = 0; reset < 2; reset++) {
        struct nat_config c = rfc_config(1);
        c.outbound_refresh_only = true;
        struct nat *n = rfc_nat(c);
        cr_expect_eq(rfc_out(n, PROTO_TCP, addr(GUEST), 5000, WEB, 80, EPOCH).port, 5000);
        wire_free(tcp(n, true, TCP_SYN, EPOCH + 200 * S));
        wire_free(tcp(n, false, reset ? TCP_RST : TCP_ACK, EPOCH + 200 * S));
        cr_expect_eq(rfc_in(n, PROTO_TCP, WEB, 99, 5000, EPOCH + 230 * S), DROP_NONE);
        cr_expect_eq(rfc_in(n, PROTO_TCP, WEB, 98, 5000, EPOCH + 300 * S), reset ? DROP_COUNT : DROP_NONE);
        nat_destroy(n);
    }
}

/* 8: parity is a choice, and off when nothing is said. */
Test(rfc7857, section_8_parity_is_a_choice) {
    for (int parity = 0; parity < 2; parity++) {
        struct nat_config c = rfc_config(1);
        c.parity = parity;
        struct nat *n = rfc_nat(c);
        cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB, 1, EPOCH).port, 5000);
        cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST2), 5000, WEB, 1, EPOCH).port, parity ? 5002 : 5001);
        nat_destroy(n);
    }
}

/* 9: ports are random by choice, for both protocols. */
Test(rfc7857, section_9_randomization) {
    struct nat_config c = rfc_config(1);
    c.port_choice = NAT_PORT_RANDOM;
    struct nat *n = rfc_nat(c);
    unsigned kept = 0;
    for (uint16_t i = 0; i < 100; i++)
        kept += rfc_out(n, rfc_protos[i & 1], addr(GUEST), (uint16_t)(5000 + i), WEB, 1, EPOCH).port == 5000 + i;
    cr_expect_lt(kept, 5);
    nat_destroy(n);
}

/* 10, as RFC 6864, 4.1 has it of whole datagrams with DF: any identification is right. It stays. */
Test(rfc7857, section_10_identification_stays) {
    struct nat *n = rfc_nat(rfc_config(1));
    for (int back = 0; back < 2; back++)
        for (uint32_t id = 0; id < 65536; id += 4369) {
            struct wire *w = SEND(n, back ? OUTSIDE : INSIDE, back ? INSIDE : OUTSIDE, EPOCH, .proto = PROTO_UDP,
                                  .src = back ? WEB : GUEST, .dst = back ? NODE : WEB, .sport = back ? 53 : 5000,
                                  .dport = back ? 5000 : 53, .id = (uint16_t)id, .fragment = IPV4_DF);
            cr_expect_eq(packet_ipv4(&w->p)->id, htons((uint16_t)id));
            expect(w, back ? WEB : NODE, back ? 53 : 5000, back ? GUEST : WEB, back ? 5000 : 53);
        }
    nat_destroy(n);
}
