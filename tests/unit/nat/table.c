/* SPDX-License-Identifier: BSD-3-Clause */
/* The index against a list: random inserting and removing, far beyond what the buckets hold. */
#include <criterion/criterion.h>
#include <fwdlab/base/random.h>
#include "nat_table.h"

#define ENTRIES 3000

static uint64_t hash_of(uint32_t i) {
    const struct nat_tuple t = {i, ~i, (be16)(i * 7), 80};
    return nat_hash(NAT_KEY_SESSION, 6, &t);
}

static bool is_there(const struct nat_table *t, uint64_t hash, uint32_t value) {
    struct nat_search s;
    unsigned times = 0;
    for (uint32_t v = nat_search(&s, t, hash); v != NAT_NONE; v = nat_search_on(&s, t))
        times += v == value;
    cr_assert_leq(times, 1);
    return times;
}

/* Buckets of so many entries that all of them are chained; equal tags or not. */
static void churn(bool collide, bool same_tag) {
    struct nat_table t;
    struct random r;
    static uint64_t hash[ENTRIES];
    static bool in[ENTRIES];
    memset(in, 0, sizeof in);
    random_seed(&r, 42);
    cr_assert_eq(nat_table_init(&t, ENTRIES, ENTRIES), 0);
    for (uint32_t i = 0, k = 1; i < ENTRIES; k++) {
        uint64_t h = hash_of(k);
        if (same_tag)
            h &= ~UINT64_C(0xffff);
        if (!collide || nat_table_bucket(&t, h) < t.bucket + 3)
            hash[i++] = h;
    }
    for (int round = 0; round < 40000; round++) {
        uint32_t i = random_below(&r, ENTRIES), j = random_below(&r, ENTRIES);
        if (in[i])
            nat_table_remove(&t, hash[i], i);
        else
            nat_table_insert(&t, hash[i], i);
        in[i] = !in[i];
        cr_assert_eq(is_there(&t, hash[i], i), in[i]);
        cr_assert_eq(is_there(&t, hash[j], j), in[j]);
        if (in[j]) { /* and under another name for a moment */
            nat_table_replace(&t, hash[j], j, ENTRIES + j);
            cr_assert(!is_there(&t, hash[j], j) && is_there(&t, hash[j], ENTRIES + j));
            nat_table_replace(&t, hash[j], ENTRIES + j, j);
        }
    }
    for (uint32_t i = 0; i < ENTRIES; i++) /* full */
        if (!in[i])
            nat_table_insert(&t, hash[i], i);
    for (uint32_t i = 0; i < ENTRIES; i++)
        cr_assert(is_there(&t, hash[i], i));
    cr_expect_leq(t.pool_used, t.n_pool);
    nat_table_clear(&t);
    for (uint32_t i = 0; i < ENTRIES; i++)
        cr_assert(!is_there(&t, hash[i], i));
    nat_table_fini(&t);
}

Test(table, churn) {
    churn(false, false);
}

Test(table, chains) {
    churn(true, false);
}

Test(table, chains_of_equal_tags) {
    churn(true, true);
}

/* The same hash twice with two values: each can be removed. */
Test(table, a_session_that_is_its_own_answer) {
    struct nat_table t;
    const uint64_t hash = hash_of(1);
    cr_assert_eq(nat_table_init(&t, 8, 8), 0);
    nat_table_insert(&t, hash, 0);
    nat_table_insert(&t, hash, 1);
    nat_table_remove(&t, hash, 0);
    cr_expect(!is_there(&t, hash, 0) && is_there(&t, hash, 1));
    nat_table_remove(&t, hash, 1);
    cr_expect(!is_there(&t, hash, 1));
    nat_table_fini(&t);
}
