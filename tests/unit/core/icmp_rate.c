/* SPDX-License-Identifier: BSD-3-Clause */
/* How many ICMP errors a router sends: the counts are those of Linux with its defaults. */
#include "errors.h"
#include <stdio.h>

/* How many of `times` errors about a packet are sent at once. */
static unsigned sent(struct node *n, const struct packet *p, unsigned times, uint64_t now) {
    unsigned count = 0;
    for (unsigned i = 0; i < times; i++)
        count += is_due(n, p, now);
    return count;
}

Test(icmp, rates) {
    struct node n = router();
    n.icmp = icmp_limiter_create(NULL);
    struct frame f = ipv4("10.0.0.2", "172.16.0.9", 1, 8);
    struct packet *p = dropped(&n, &f, 0, DROP_TTL_EXPIRED, EPOCH);
    cr_expect_eq(sent(&n, p, 20, EPOCH), 6u);
    cr_expect(n.icmp_errors == 6 && n.icmp_limited == 14);
    cr_expect_eq(sent(&n, p, 20, EPOCH + S - 1), 0u);
    cr_expect_eq(sent(&n, p, 20, EPOCH + S), 1u);
    cr_expect_eq(sent(&n, p, 20, EPOCH + 3 * S + S / 2), 2u);
    cr_expect_eq(sent(&n, p, 20, EPOCH + 100 * S), 6u);
    packet_drop(p, DROP_TOO_BIG);
    p->out_port = 1;
    cr_expect_eq(sent(&n, p, 100, EPOCH + 100 * S), 100u, "path MTU discovery is not limited");
    icmp_limiter_reset(n.icmp);
    packet_drop(p, DROP_TTL_EXPIRED);
    cr_expect_eq(sent(&n, p, 20, EPOCH + 100 * S), 6u);
    icmp_limiter_reset(n.icmp); /* Linux with its defaults: 2, and 1 after 3.2 s */
    packet_drop(p, DROP_NO_ROUTE);
    cr_expect_eq(sent(&n, p, 20, EPOCH), 2u);
    cr_expect_eq(sent(&n, p, 20, EPOCH + S / 5 * 16), 1u);
    packet_free(p);
    icmp_limiter_destroy(n.icmp);
    n.icmp = icmp_limiter_create(&(struct icmp_limits){0});
    p = dropped(&n, &f, 0, DROP_TTL_EXPIRED, EPOCH);
    cr_expect_eq(sent(&n, p, 200, EPOCH), 200u);
    packet_free(p);
    node_fini(&n);
}

/* The same for IPv6, however long the prefix of the way back is: so the kernel has it in tests/lab. */
Test(icmp, rates_of_ipv6) {
    static const char *const prefixes[] = {"2001:db8:77::9/128", "2001:db8:77::/64", "2000::/3"};
    for (unsigned i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        struct node n = router();
        n.icmp = icmp_limiter_create(NULL);
        node_route6(&n, prefixes[i], "2001:db8::2", 0, ROUTE_UNICAST);
        struct frame f = ipv6("2001:db8:77::9", V6_FAR, 1, 8);
        struct packet *p = dropped(&n, &f, 0, DROP_TTL_EXPIRED, EPOCH);
        cr_expect_eq(sent(&n, p, 20, EPOCH), 6u);
        cr_expect_eq(sent(&n, p, 20, EPOCH + S), 1u, "%s", prefixes[i]);
        packet_free(p);
        node_fini(&n);
    }
}

static struct packet *expired_from(struct node *n, unsigned host) {
    char src[IP_TEXT];
    snprintf(src, sizeof src, "172.17.%u.%u", host / 256, host % 256);
    struct frame f = ipv4(src, "172.16.0.9", 1, 8);
    return dropped(n, &f, 0, DROP_TTL_EXPIRED, EPOCH);
}

static unsigned sent_to(struct node *n, unsigned host, unsigned times, uint64_t now) {
    struct packet *p = expired_from(n, host);
    unsigned count = sent(n, p, times, now);
    packet_free(p);
    return count;
}

/* 50 at once and 1000 a second to all destinations together; what one of them is refused is left to the others. */
Test(icmp, rates_of_all) {
    struct node n = router();
    n.icmp = icmp_limiter_create(NULL);
    unsigned count = 0;
    cr_expect_eq(sent_to(&n, 1, 20, EPOCH), 6u);
    for (unsigned host = 2; host < 100; host++)
        count += sent_to(&n, host, 1, EPOCH);
    cr_expect_eq(count, 44u);
    cr_expect_eq(sent_to(&n, 99, 20, EPOCH + 3000000), 3u);
    cr_expect_eq(sent_to(&n, 99, 20, EPOCH + 20000000), 3u, "its own six are used up");
    node_fini(&n);
}

/* More destinations than buckets: the newest keep theirs, the oldest begin anew. */
Test(icmp, rates_forget_the_oldest) {
    struct node n = router();
    n.icmp = icmp_limiter_create(&(struct icmp_limits){3600 * S});
    const unsigned last = 10000;
    uint64_t now = EPOCH;
    for (unsigned host = 1; host <= last; host++, now += S / 10)
        cr_assert_eq(sent_to(&n, host, 7, now), 6u, "%u", host);
    for (unsigned host = last - 50; host <= last; host++)
        cr_assert_eq(sent_to(&n, host, 1, now), 0u, "%u", host);
    cr_expect_eq(sent_to(&n, 1, 7, now), 6u);
    node_fini(&n);
}
