/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 4787: UDP through NAT, by requirement. REQ-12 is RFC 5508's; REQ-13 and REQ-14: rfc4787_fragments.c. */
#include "rfc.h"

#include <stdlib.h>
#include <string.h>

#define U .proto = PROTO_UDP

/* One mapping for what an inside end sends to whatever remote end; others by choice, each as it is defined in 4.1. */
Test(rfc4787, req_1_mapping_behaviours) {
    static const struct {
        uint8_t mapping;
        bool other_port, other_address; /* is the mapping the same towards these? */
    } rows[] = {{NAT_ENDPOINT_INDEPENDENT, true, true},
                {NAT_ADDRESS_DEPENDENT, true, false},
                {NAT_ADDRESS_AND_PORT_DEPENDENT, false, false}};
    for (size_t i = 0; i < 3; i++) {
        struct nat_config c = rfc_config(1);
        c.mapping = rows[i].mapping;
        struct nat *n = rfc_nat(c);
        const struct end first = rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB, 53, EPOCH);
        const struct end port = rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB, 54, EPOCH);
        const struct end address = rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB2, 53, EPOCH);
        const struct end again = rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB, 53, EPOCH + S);
        cr_expect_eq(first.port, 5000);
        cr_expect_eq(again.port, first.port);
        cr_expect_eq(port.port == first.port, rows[i].other_port, "mapping %zu", i);
        cr_expect_eq(address.port == first.port, rows[i].other_address, "mapping %zu", i);
        cr_expect_neq(address.port, 0);
        nat_destroy(n);
    }
}

/* Its sessions from outside keep a mapping's port, whatever its mappings look at; its inside end may then be mapped
 * anew. */
Test(rfc4787, req_1_what_came_in_keeps_the_port) {
    for (uint8_t mapping = 0; mapping < 3; mapping++) {
        struct nat_config c = rfc_config(1);
        c.mapping = mapping;
        struct nat *n = rfc_nat(c);
        cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB, 53, EPOCH).port, 5000);
        for (uint64_t t = 0; t < 900; t += 200)
            cr_expect_eq(rfc_in(n, PROTO_UDP, WEB2, 9, 5000, EPOCH + t * S), DROP_NONE);
        const struct end e = rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB, 53, EPOCH + 901 * S);
        cr_expect_eq(e.port == 5000, mapping == NAT_ENDPOINT_INDEPENDENT);
        cr_expect_neq(rfc_out(n, PROTO_UDP, addr(GUEST2), 5000, WEB, 53, EPOCH + 901 * S).port, 5000);
        nat_expire(n, EPOCH + 3000 * S, 100000);
        nat_expire(n, EPOCH + 3000 * S, 100000);
        cr_expect(rfc_stats(n).live == 0 && rfc_stats(n).ports_live == 0);
        nat_destroy(n);
    }
}

/* Paired pooling: all that an inside address sends leaves with one outside address; arbitrary pooling by choice. */
Test(rfc4787, req_2_pooling) {
    for (int arbitrary = 0; arbitrary < 2; arbitrary++) {
        struct nat_config c = rfc_config(8);
        c.arbitrary_pooling = arbitrary;
        struct nat *n = rfc_nat(c);
        unsigned others = 0;
        uint32_t used = 0;
        for (uint32_t guest = 0; guest < 32; guest++) {
            const be32 src = addr(GUEST) + htonl(guest);
            const uint32_t first = rfc_out(n, PROTO_UDP, src, 5000, WEB, 53, EPOCH).addr;
            used |= 1u << (first - ntohl(addr(NODE)));
            for (uint16_t sport = 5001; sport < 5010; sport++)
                others += rfc_out(n, rfc_protos[sport & 1], src, sport, WEB2, 53, EPOCH).addr != first;
        }
        cr_expect_eq(others > 0, arbitrary);
        cr_expect(__builtin_popcount(used) > 4, "addresses are shared out");
        nat_destroy(n);
    }
}

/* No two inside ends have one outside port at a time, not even towards different remote ends. Its own number is kept
 * when it is free (3.2.1: preservation), and the next one is taken when it is not. */
Test(rfc4787, req_3_no_overloading) {
    for (uint8_t mapping = 0; mapping < 3; mapping++)
        for (uint8_t choice = 0; choice < 2; choice++) {
            struct nat_config c = rfc_config(1);
            static uint8_t taken[1 << 16];
            memset(taken, 0, sizeof taken);
            c.mapping = mapping;
            c.port_choice = choice;
            struct nat *n = rfc_nat(c);
            for (uint32_t guest = 0; guest < 200; guest++) {
                const struct end e = rfc_out(n, PROTO_UDP, addr(GUEST) + htonl(guest), 6000, guest & 1 ? WEB : WEB2, 53,
                                             EPOCH);
                cr_assert(e.port >= 1024 && !taken[e.port]++);
                if (choice == NAT_PORT_PRESERVED)
                    cr_assert_eq(e.port, 6000 + guest);
            }
            nat_destroy(n);
        }
}

/* Random ports (RFC 6056, 3.3.1) are spread over the range, and are the same in each run. */
Test(rfc4787, req_3_random_ports_repeat) {
    struct nat_config c = rfc_config(1);
    c.port_choice = NAT_PORT_RANDOM;
    struct nat *n = rfc_nat(c);
    uint16_t first[64];
    uint64_t sum = 0, near = 0;
    for (int run = 0; run < 2; run++, nat_reset(n))
        for (uint16_t i = 0; i < 64; i++) {
            const struct end e = rfc_out(n, PROTO_UDP, addr(GUEST), (uint16_t)(7000 + i), WEB, 53, EPOCH);
            if (run)
                cr_assert_eq(e.port, first[i]);
            else
                near += i && abs(e.port - first[i - 1]) < 256;
            first[i] = e.port;
            sum += e.port;
        }
    cr_expect(sum / 128 > 24000 && sum / 128 < 43000 && near < 8);
    nat_destroy(n);
}

/* REQ-3 a: a port that its host took from a range of its own is not lent out: only the configured range is used. */
Test(rfc4787, req_3_a_the_range) {
    struct nat_config c = rfc_config(1);
    c.port_min = 20000;
    c.port_max = 20063;
    struct nat *n = rfc_nat(c);
    for (uint16_t i = 0; i < 64; i++) {
        const struct end e = rfc_out(n, PROTO_UDP, addr(GUEST), (uint16_t)(100 + 7 * i), WEB, 53, EPOCH);
        cr_assert(e.port >= 20000 && e.port <= 20063);
    }
    cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 99, WEB, 53, EPOCH).reason, DROP_NAT_NO_PORT);
    nat_destroy(n);
}

/* By choice an even port gets an even one and an odd port an odd one, until there is none of its kind. */
Test(rfc4787, req_4_parity) {
    for (uint8_t choice = 0; choice < 2; choice++) {
        struct nat_config c = rfc_config(1);
        c.parity = true;
        c.port_choice = choice;
        c.port_min = 20000;
        c.port_max = 20127;
        struct nat *n = rfc_nat(c);
        for (uint32_t i = 0; i < 64; i++) {
            const struct end even = rfc_out(n, PROTO_UDP, addr(GUEST) + htonl(i), 20010, WEB, 53, EPOCH);
            cr_assert(even.port && even.port % 2 == 0);
        }
        cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 4, WEB, 53, EPOCH).reason, DROP_NAT_NO_PORT);
        cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 5, WEB, 53, EPOCH).port % 2, 1);
        nat_destroy(n);
    }
}

/* A mapping lasts two minutes at least; five by default (REQ-5 b, c), another time by configuration (a). */
Test(rfc4787, req_5_udp_timer) {
    static const uint64_t configured[] = {0, 120, 1000}, lasts[] = {300, 120, 1000};
    for (int i = 0; i < 3; i++) {
        struct nat_config c = rfc_config(1);
        c.timers.udp = c.timers.udp_stream = configured[i] * S;
        struct nat *n = rfc_nat(c);
        cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB, 53, EPOCH).port, 5000);
        cr_expect_eq(rfc_in(n, PROTO_UDP, WEB, 53, 5000, EPOCH + lasts[i] * S), DROP_NONE);
        cr_expect_eq(rfc_in(n, PROTO_UDP, WEB, 53, 5000, EPOCH + lasts[i] * 2 * S + S), DROP_COUNT);
        nat_destroy(n);
    }
}

/* What goes out keeps the mapping; what comes in does so too (a), or by choice does not, not even by new sessions. */
Test(rfc4787, req_6_refresh) {
    for (int only = 0; only < 2; only++)
        for (int fresh = 0; fresh < 2; fresh++) { /* each packet that comes in from another remote end */
            struct nat_config c = rfc_config(1);
            c.outbound_refresh_only = only;
            struct nat *n = rfc_nat(c);
            for (uint64_t t = 0; t < 1000; t += 200)
                cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB, 53, EPOCH + t * S).port, 5000);
            for (uint64_t t = 900; t < 2000; t += 100) {
                const uint16_t sport = (uint16_t)(fresh ? t : 53);
                const enum drop got = rfc_in(n, PROTO_UDP, WEB, sport, 5000, EPOCH + t * S);
                cr_expect_eq(got, only && t > 1100 ? DROP_COUNT : DROP_NONE, "%d, %d: at %lu", only, fresh,
                             (unsigned long)t);
            }
            nat_destroy(n);
        }
}

/* Endpoint-independent filtering lets in what meets a mapping; the others by choice, each as it is defined in 5. */
Test(rfc4787, req_8_filtering_behaviours) {
    static const struct {
        uint8_t filtering;
        enum drop other_port, other_address;
    } rows[] = {{NAT_ENDPOINT_INDEPENDENT, DROP_NONE, DROP_NONE},
                {NAT_ADDRESS_DEPENDENT, DROP_NONE, DROP_NAT_FILTERED},
                {NAT_ADDRESS_AND_PORT_DEPENDENT, DROP_NAT_FILTERED, DROP_NAT_FILTERED}};
    for (size_t i = 0; i < 3; i++)
        for (uint8_t mapping = 0; mapping < 3; mapping++) {
            struct nat_config c = rfc_config(1);
            c.filtering = rows[i].filtering;
            c.mapping = mapping;
            struct nat *n = rfc_nat(c);
            cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB, 53, EPOCH).port, 5000);
            cr_expect_eq(rfc_in(n, PROTO_UDP, WEB, 53, 5000, EPOCH), DROP_NONE);
            cr_expect_eq(rfc_in(n, PROTO_UDP, WEB, 54, 5000, EPOCH), rows[i].other_port, "filtering %zu", i);
            cr_expect_eq(rfc_in(n, PROTO_UDP, WEB2, 53, 5000, EPOCH), rows[i].other_address, "filtering %zu", i);
            cr_expect_eq(rfc_in(n, PROTO_UDP, WEB, 53, 5001, EPOCH), DROP_COUNT, "no mapping is no filter");
            nat_destroy(n);
        }
}

/* What a remote address may use ends with the last session that sent to it, though the mapping lives on. */
Test(rfc4787, req_8_filters_close) {
    struct nat_config c = rfc_config(1);
    c.filtering = NAT_ADDRESS_DEPENDENT;
    struct nat *n = rfc_nat(c);
    for (uint16_t port = 1; port < 20; port++)
        cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB, port, EPOCH + port * S).port, 5000);
    for (uint64_t t = 100; t < 319; t += 109)
        cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB2, 1, EPOCH + t * S).port, 5000);
    cr_expect_eq(rfc_in(n, PROTO_UDP, WEB, 99, 5000, EPOCH + 318 * S), DROP_NONE);
    cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB2, 1, EPOCH + 500 * S).port, 5000);
    cr_expect_eq(rfc_in(n, PROTO_UDP, WEB, 98, 5000, EPOCH + 619 * S), DROP_NAT_FILTERED);
    cr_expect_eq(rfc_in(n, PROTO_UDP, WEB2, 98, 5000, EPOCH + 619 * S), DROP_NONE);
    nat_destroy(n);
}

/* A port map is for all remote ends, whatever the filter. */
Test(rfc4787, req_8_port_maps_are_open) {
    const struct nat_port_map map = {.proto = PROTO_UDP, .outside_port = htons(7007), .inside_addr = addr(GUEST),
                                     .inside_port = htons(5000)};
    struct nat_config c = rfc_config(1);
    c.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT;
    c.port_maps = &map;
    c.n_port_maps = 1;
    struct nat *n = rfc_nat(c);
    cr_expect_eq(rfc_in(n, PROTO_UDP, WEB, 9, 7007, EPOCH), DROP_NONE);
    nat_destroy(n);
}

static struct wire *hairpin(struct nat *n, const char *src, uint16_t sport, uint16_t dport, uint64_t now) {
    return SEND(n, INSIDE, INSIDE, now, U, .src = src, .dst = NODE, .sport = sport, .dport = dport, .payload = 9);
}

/* What goes from inside to the outside end of a mapping reaches its inside end, with an outside source address and port
 * (a); the answer comes back the same way. Also towards oneself. Without hairpinning it is the node's. */
Test(rfc4787, req_9_hairpinning) {
    struct nat_config c = rfc_config(1);
    c.hairpin = true;
    struct nat *n = rfc_nat(c);
    cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB, 53, EPOCH).port, 5000);
    for (int i = 0; i < 2; i++) {
        expect(hairpin(n, GUEST2, 6000, 5000, EPOCH), NODE, 6000, GUEST, 5000);
        expect(hairpin(n, GUEST, 5000, 6000, EPOCH), NODE, 5000, GUEST2, 6000);
    }
    cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST2), 6000, WEB, 53, EPOCH).port, 6000); /* its one mapping */
    expect(hairpin(n, GUEST, 5000, 5000, EPOCH), NODE, 5000, GUEST, 5000);
    expect(hairpin(n, GUEST, 5001, 5000, EPOCH), NODE, 5001, GUEST, 5000);
    expect(hairpin(n, GUEST, 5000, 5999, EPOCH), GUEST, 5000, NODE, 5999); /* nobody's port */
    nat_destroy(n);
    c.hairpin = false;
    n = rfc_nat(c);
    cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB, 53, EPOCH).port, 5000);
    expect(hairpin(n, GUEST2, 6000, 5000, EPOCH), GUEST2, 6000, NODE, 5000);
    nat_destroy(n);
}

/* Both mappings live as long as the session between them; then their ports are free. From outside nobody meets it. */
Test(rfc4787, req_9_keeps_both_mappings) {
    struct nat_config c = rfc_config(1);
    c.hairpin = true;
    struct nat *n = rfc_nat(c);
    cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB, 53, EPOCH).port, 5000);
    for (uint64_t t = 0; t < 1000; t += 200)
        expect(hairpin(n, GUEST2, 6000, 5000, EPOCH + t * S), NODE, 6000, GUEST, 5000);
    cr_expect_eq(rfc_in(n, PROTO_UDP, WEB2, 1, 5000, EPOCH + 900 * S), DROP_NONE);
    cr_expect_eq(rfc_in(n, PROTO_UDP, GUEST2, 6000, 5000, EPOCH + 900 * S), DROP_COUNT); /* forged: left to filters */
    cr_expect_eq(rfc_stats(n).ports_live, 2);
    cr_expect_neq(rfc_out(n, PROTO_UDP, addr("10.0.2.9"), 5000, WEB, 53, EPOCH + 900 * S).port, 5000);
    nat_expire(n, EPOCH + 2000 * S, 100000);
    cr_expect(rfc_stats(n).live == 0 && rfc_stats(n).ports_live == 0);
    nat_destroy(n);
}

/* The called one's filter looks at the caller's outside end: it must have sent there. A refused call opens the caller's
 * filter, so that both can reach each other once both have called. */
Test(rfc4787, req_9_filters) {
    for (uint8_t filtering = 1; filtering < 3; filtering++) {
        struct nat_config c = rfc_config(1);
        c.hairpin = true;
        c.filtering = filtering;
        struct nat *n = rfc_nat(c);
        cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB, 53, EPOCH).port, 5000);
        cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST2), 6000, WEB, 53, EPOCH).port, 6000);
        expect_drop(hairpin(n, GUEST2, 6000, 5000, EPOCH), DROP_NAT_FILTERED);
        expect_drop(hairpin(n, GUEST2, 6000, 5000, EPOCH), DROP_NAT_FILTERED);
        expect(hairpin(n, GUEST, 5000, 6000, EPOCH), NODE, 5000, GUEST2, 6000);
        expect(hairpin(n, GUEST2, 6000, 5000, EPOCH), NODE, 6000, GUEST, 5000);
        nat_destroy(n);
    }
}

/* A port map is reached from inside as from outside; with NAT_CONNTRACK that is all the hairpinning there is. */
BOTH(rfc4787_req_9_port_maps) {
    const struct nat_port_map map = {.proto = PROTO_UDP, .outside_port = htons(7007), .inside_addr = addr(GUEST),
                                     .inside_port = htons(5000)};
    for (int on = 0; on < 2; on++) {
        struct nat_config c = rfc_config(1);
        c.personality = personality;
        c.hairpin = on;
        c.port_maps = &map;
        c.n_port_maps = 1;
        struct nat *n = rfc_nat(c);
        if (on) {
            expect(hairpin(n, GUEST2, 6000, 7007, EPOCH), NODE, 6000, GUEST, 5000);
            expect(hairpin(n, GUEST, 5000, 6000, EPOCH), NODE, 7007, GUEST2, 6000);
            expect(hairpin(n, GUEST2, 6000, 7007, EPOCH), NODE, 6000, GUEST, 5000);
        } else {
            expect(hairpin(n, GUEST2, 6000, 7007, EPOCH), GUEST2, 6000, NODE, 7007);
        }
        nat_destroy(n);
    }
}

/* No application's payload is looked into, on the ports of those that gateways are known for (also RFC 5382 REQ-6). */
Test(rfc4787, req_10_no_application_gateways) {
    static const uint16_t ports[] = {21, 69, 137, 500, 554, 1720, 5060};
    struct nat *n = rfc_nat(rfc_config(1));
    const be32 guest = addr(GUEST);
    for (size_t i = 0; i < 2 * sizeof ports / sizeof *ports; i++) {
        const uint8_t proto = rfc_protos[i % 2];
        struct wire *w = wire_make(&(struct spec){.proto = proto, .src = GUEST, .dst = WEB, .sport = 5000,
                                                  .dport = ports[i / 2], .tcp = TCP_ACK, .payload = 40});
        uint8_t *payload = w->bytes + 20 + (proto == PROTO_TCP ? 20 : 8), before[40];
        memcpy(payload, &guest, sizeof guest); /* in place of what wire_make put there: nobody reads its checksum */
        memcpy(before, payload, sizeof before);
        pass(n, w, INSIDE, OUTSIDE, EPOCH);
        cr_expect(w->p.src == addr(NODE) && w->p.verdict == VERDICT_NONE);
        cr_expect_eq(memcmp(payload, before, sizeof before), 0);
        wire_free(w);
    }
    nat_destroy(n);
}

/* A NAT behaves the same whatever it holds: a port that is taken changes the number that a mapping gets, and nothing
 * of its mapping and filtering. */
Test(rfc4787, req_11_deterministic) {
    struct nat_config c = rfc_config(1);
    c.filtering = NAT_ADDRESS_DEPENDENT;
    struct nat *n = rfc_nat(c);
    cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST2), 5000, WEB, 53, EPOCH).port, 5000);
    cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB, 53, EPOCH).port, 5001);
    cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST), 5000, WEB2, 1, EPOCH).port, 5001);
    cr_expect_eq(rfc_in(n, PROTO_UDP, WEB, 54, 5001, EPOCH), DROP_NONE);
    cr_expect_eq(rfc_in(n, PROTO_UDP, "203.0.113.12", 54, 5001, EPOCH), DROP_NAT_FILTERED);
    nat_destroy(n);
}

/* ICMP errors of whatever kind end no mapping, and open no filter. */
Test(rfc4787, req_12_icmp_ends_no_mapping) {
    struct nat_config c = rfc_config(1);
    c.filtering = NAT_ADDRESS_DEPENDENT;
    struct nat *n = rfc_nat(c);
    const struct spec out = {.proto = PROTO_UDP, .src = GUEST, .dst = WEB, .sport = 5000, .dport = 53};
    struct wire *left = wire_send(n, INSIDE, OUTSIDE, EPOCH, &out);
    for (uint8_t type = ICMP_UNREACHABLE; type <= ICMP_PARAMETER; type++)
        for (uint8_t code = 0; code < 16; code++) {
            if (type != ICMP_UNREACHABLE && type != ICMP_SOURCE_QUENCH && type != ICMP_TIME_EXCEEDED &&
                type != ICMP_PARAMETER)
                continue;
            struct wire *e = wire_error_of(type, code, WEB2, left, 8);
            pass(n, e, OUTSIDE, INSIDE, EPOCH);
            expect(e, WEB2, 0, GUEST, 0);
            cr_expect_eq(rfc_in(n, PROTO_UDP, WEB, 53, 5000, EPOCH), DROP_NONE);
            cr_expect_eq(rfc_in(n, PROTO_UDP, WEB2, 53, 5000, EPOCH), DROP_NAT_FILTERED);
        }
    cr_expect(rfc_stats(n).live == 1 && rfc_stats(n).created == 1);
    wire_free(left);
    nat_destroy(n);
}

/* REQ-1: an inside end keeps its mapping also where it has another port than its own, and that one has become free. */
Test(rfc4787, req1_mappings_that_had_to_move) {
    enum { GUESTS = 6 }; /* more than a cell counts */
    struct nat *n = rfc_nat(rfc_config(1));
    uint16_t port[GUESTS];
    for (uint32_t i = 0; i < GUESTS; i++) {
        const uint64_t at = EPOCH + (i ? 200 * S : 0);
        port[i] = rfc_out(n, PROTO_UDP, addr(GUEST) + htonl(i), 5000, WEB, 80, at).port;
        cr_expect_eq(port[i], 5000 + i);
    }
    for (int round = 0; round < 2; round++) /* the first one's has ended */
        for (uint32_t i = 1; i < GUESTS; i++)
            cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST) + htonl(i), 5000, WEB2, 80, EPOCH + (400 + i) * S).port,
                         port[i]);
    nat_expire(n, EPOCH + 2000 * S, UINT32_MAX);
    cr_expect_eq(rfc_stats(n).ports_live, 0);
    for (uint32_t i = 0; i < GUESTS; i++) {
        const be32 guest = addr(GUEST) + htonl(GUESTS - 1 - i);
        cr_expect_eq(rfc_out(n, PROTO_UDP, guest, 5000, WEB, 80, EPOCH + 2000 * S).port, 5000 + i);
    }
    nat_destroy(n);
}
