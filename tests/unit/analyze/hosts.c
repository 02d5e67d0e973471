/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose flows a finding is about. */
#include "../../../src/analyze/hosts.h"
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fwdlab/base/random.h>
#include <string.h>
#include <time.h>

static struct ip host(uint32_t i) {
    return ip_v4(htonl(0x0a000000 + i));
}

static void count(struct hosts *h, const struct ip *who) {
    hosts_count(h, who->family, who->v6);
}

static json_int_t flows_at(const json_t *list, size_t i) {
    return json_integer_value(json_object_get(json_array_get(list, i), "flows"));
}

Test(hosts, few_are_counted_exactly) {
    struct hosts h = {0};
    struct ip six = {.family = FAMILY_IPV6, .v6 = {0x20, 1, 0xd, 0xb8, [15] = 7}};
    bool more = true;
    for (uint32_t i = 0; i < 6; i++)
        for (uint32_t k = 0; k <= i; k++) {
            struct ip who = i == 5 ? six : host(i);
            count(&h, &who);
        }
    json_t *list = hosts_json(&h, &more);
    cr_expect(not(more));
    cr_assert(eq(sz, json_array_size(list), 6));
    cr_expect(eq(str, (char *)json_string_value(json_object_get(json_array_get(list, 0), "addr")), "2001:db8::7"));
    cr_expect(eq(str, (char *)json_string_value(json_object_get(json_array_get(list, 5), "addr")), "10.0.0.0"));
    for (size_t i = 0; i < 6; i++)
        cr_expect(eq(i64, flows_at(list, i), 6 - (int64_t)i));
    json_decref(list);
}

Test(hosts, more_than_are_told) {
    struct hosts h = {0};
    bool more = false;
    for (uint32_t i = 0; i < HOSTS_TOLD + 1; i++) {
        struct ip who = host(i);
        count(&h, &who);
    }
    json_t *list = hosts_json(&h, &more);
    cr_expect(more);
    cr_expect(eq(sz, json_array_size(list), HOSTS_TOLD));
    json_decref(list);
}

/* Who has more than its share is there, and nobody gets more flows than it has. */
Test(hosts, frequent_ones_among_many) {
    struct random r;
    struct hosts h = {0};
    bool more;
    const uint64_t seed = (uint64_t)time(NULL);
    static uint32_t truth[5000];
    random_seed(&r, seed);
    for (uint32_t i = 0; i < 100000; i++) {
        const uint32_t who = random_below(&r, 100) < 40 ? random_below(&r, 4) : random_below(&r, 5000);
        struct ip ip = host(who);
        truth[who]++;
        count(&h, &ip);
    }
    json_t *list = hosts_json(&h, &more);
    cr_expect(more);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct ip ip;
        ip_parse(json_string_value(json_object_get(json_array_get(list, i), "addr")), &ip);
        const uint32_t who = ntohl(ip.v4) - 0x0a000000;
        cr_assert(lt(u32, who, 5000));
        cr_expect(le(i64, flows_at(list, i), truth[who]), "seed %lu", (unsigned long)seed);
        cr_expect(i >= 4 || who < 4, "seed %lu: %u is no frequent one", (unsigned long)seed, who);
    }
    json_decref(list);
}
