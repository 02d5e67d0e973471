/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a burst or a packet may cost, however much NAT holds: sessions that a burst ends, and ports that a packet looks
 * at which nobody may have. Work is counted in what ends, or compared with work of the same run, never with a clock's
 * seconds.
 */
#include "nat_client.h"
#include "rfc.h"

#include <fwdlab/base/clock.h>
#include <fwdlab/base/random.h>

#define PORTS 64512u /* of one address */
#define CAP 32u      /* sessions that a burst ends without beginning any */

/* A new mapping for port `sport` of a guest: without a packet. */
static enum drop place(struct nat *n, uint32_t guest, uint16_t sport, uint64_t now) {
    const struct nat_tuple outward = {addr(GUEST) + htonl(guest), addr(WEB), htons(sport), htons(53)};
    const struct nat_want want = nat_want_of(n, PROTO_UDP, &outward);
    struct nat_place got;
    nat_expire(n, now, 0); /* the clock alone */
    return nat_place_mapping(n, &want, &got, now);
}

/* Sessions of so many guests that they have all ports; one each. */
static void take_all(struct nat *n, uint64_t now) {
    for (uint32_t i = 0; i < PORTS; i++)
        cr_assert_neq(rfc_out(n, PROTO_UDP, addr(GUEST) + htonl(i), (uint16_t)(1024 + i), WEB, 53, now).port, 0);
}

/* The least of some tries: cycles of 64 packets that get no port. */
static uint64_t refusals(struct nat *n, uint64_t now) {
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < 20; i++) {
        const uint64_t from = clock_tsc();
        for (uint32_t k = 0; k < 64; k++)
            cr_assert_eq(place(n, PORTS + i * 64 + k, (uint16_t)(1024 + (i * 64 + k) * 49), now), DROP_NAT_NO_PORT);
        const uint64_t took = clock_tsc() - from;
        least = took < least ? took : least;
    }
    return least;
}

/*
 * Where all ports rest a packet is refused as fast as where all are in use, but for looks at groups and at those of one
 * group: all of them looked at, that would be 64512 to 252.
 */
Test(bounds, refusal_while_all_rest) {
    struct nat_config c = rfc_config(1);
    c.max_sessions = PORTS + 64;
    c.port_rest = 120 * S;
    struct nat *n = rfc_nat(c);
    take_all(n, EPOCH);
    const uint64_t in_use = refusals(n, EPOCH);
    nat_expire(n, EPOCH + 301 * S, UINT32_MAX);
    cr_assert_eq(rfc_stats(n).live, 0);
    const uint64_t resting = refusals(n, EPOCH + 301 * S);
    cr_expect_lt(resting, 20 * in_use, "%lu cycles, in use %lu", (unsigned long)resting, (unsigned long)in_use);
    nat_destroy(n);
}

/* A port is free for others as soon as its rest is over, also in a group that was passed over; each for one only. */
Test(bounds, passed_over_until_a_rest_ends) {
    for (int parity = 0; parity < 2; parity++) {
        struct nat_config c = rfc_config(1);
        c.max_sessions = PORTS + 64;
        c.port_rest = 120 * S;
        c.parity = parity;
        struct nat *n = rfc_nat(c);
        take_all(n, EPOCH);
        const uint16_t goes_on = 30000;
        rfc_out(n, PROTO_UDP, addr(GUEST) + htonl(goes_on - 1024), goes_on, WEB, 53, EPOCH + 100 * S);
        nat_expire(n, EPOCH + 302 * S, UINT32_MAX);
        cr_assert_eq(rfc_stats(n).live, 1);
        cr_expect_eq(place(n, PORTS, 20000, EPOCH + 302 * S), DROP_NAT_NO_PORT);
        cr_expect_eq(place(n, PORTS, 20001, EPOCH + 302 * S), DROP_NAT_NO_PORT);
        cr_expect_eq(place(n, 20000 - 1024, 20000, EPOCH + 302 * S), DROP_NONE); /* whose it was */
        nat_expire(n, EPOCH + 402 * S, UINT32_MAX); /* it rests in its turn */
        cr_expect_eq(rfc_stats(n).live, 0);
        cr_expect_eq(place(n, PORTS, 20000, EPOCH + 419 * S), DROP_NAT_NO_PORT);
        cr_expect_eq(place(n, PORTS, 20000, EPOCH + 422 * S), DROP_NONE);
        cr_expect_eq(place(n, PORTS, goes_on, EPOCH + 422 * S), DROP_NONE); /* the next one: its own still rests */
        cr_expect_eq(rfc_out(n, PROTO_UDP, addr(GUEST) + htonl(PORTS), goes_on, WEB, 53, EPOCH + 422 * S).port,
                     goes_on + 1 + parity);
        nat_destroy(n);
    }
}

/*
 * Random bursts of new and known flows over a table that ends at once: what a burst ends is what began in the one
 * before it, or CAP, and besides what stands in the way of what begins: fewer than ROOM for each packet.
 */
Test(bounds, ends_of_a_burst) {
    enum { FLOWS = 20000, ROOM = 16 };
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct nat_config c = rfc_config(2);
        c.max_sessions = FLOWS + 40;
        struct nat *n = rfc_nat(c);
        struct random r;
        random_seed(&r, seed);
        for (uint32_t i = 0; i < FLOWS; i++)
            rfc_out(n, PROTO_UDP, addr(GUEST) + htonl(i / 8), (uint16_t)(2000 + i), WEB, 53, EPOCH);
        nat_expire_once(n, EPOCH);
        uint64_t now = EPOCH + 400 * S, began = 0;
        uint32_t flow = FLOWS;
        for (unsigned burst = 0; rfc_stats(n).expired < FLOWS; burst++, now += S / 1000) {
            const struct nat_stats before = rfc_stats(n);
            cr_assert_lt(burst, FLOWS, "seed %lu: they never end", (unsigned long)seed);
            nat_expire_once(n, now);
            const uint64_t ended = rfc_stats(n).expired - before.expired, most = began > CAP ? began : CAP;
            cr_assert_leq(ended, most, "seed %lu, burst %u: %lu ended", (unsigned long)seed, burst,
                          (unsigned long)ended);
            const uint32_t packets = random_below(&r, 64);
            for (uint32_t k = 0; k < packets; k++, flow++)
                rfc_out(n, PROTO_UDP, addr(GUEST) + htonl(flow / 8), (uint16_t)(2000 + flow % 60000), WEB, 53, now);
            const struct nat_stats after = rfc_stats(n);
            began = after.created - before.created;
            cr_assert_eq(began, packets);
            cr_assert_leq(after.expired - before.expired - ended, ROOM * began, "seed %lu, burst %u",
                          (unsigned long)seed, burst);
        }
        nat_destroy(n);
    }
}
