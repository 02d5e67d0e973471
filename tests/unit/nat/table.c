/* SPDX-License-Identifier: BSD-3-Clause */
/* The index against a list: random inserting and removing, far beyond what the buckets hold. */
#include <criterion/criterion.h>
#include <fwdlab/base/random.h>
#include "nat_table.h"

#define ENTRIES 3000

static struct nat_key key_of(uint32_t i) {
    return nat_key(NAT_KEY_SESSION, 6, (struct nat_tuple){i, ~i, (be16)(i * 7), 80});
}

/* Keys of one bucket only: everything is in its chain. */
static void churn(bool collide) {
    struct nat_table t;
    struct random r;
    static uint32_t keys[ENTRIES];
    static bool in[ENTRIES];
    memset(in, 0, sizeof in);
    random_seed(&r, 42);
    cr_assert_eq(nat_table_init(&t, ENTRIES), 0);
    for (uint32_t i = 0, k = 1; i < ENTRIES; k++) {
        struct nat_key key = key_of(k);
        if (!collide || (nat_hash(&key) & t.mask) < 3)
            keys[i++] = k;
    }
    for (int round = 0; round < 40000; round++) {
        uint32_t i = random_below(&r, ENTRIES), j = random_below(&r, ENTRIES);
        struct nat_key key = key_of(keys[i]), other = key_of(keys[j]);
        if (in[i])
            nat_table_remove(&t, &key, i);
        else
            nat_table_insert(&t, &key, i);
        in[i] = !in[i];
        cr_assert_eq(nat_table_find(&t, &key), in[i] ? i : NAT_NONE);
        cr_assert_eq(nat_table_find(&t, &other), in[j] ? j : NAT_NONE);
    }
    for (uint32_t i = 0; i < ENTRIES; i++) { /* full */
        struct nat_key key = key_of(keys[i]);
        if (!in[i])
            nat_table_insert(&t, &key, i);
    }
    for (uint32_t i = 0; i < ENTRIES; i++) {
        struct nat_key key = key_of(keys[i]);
        cr_assert_eq(nat_table_find(&t, &key), i);
    }
    cr_expect_leq(t.pool_used, t.n_pool);
    nat_table_clear(&t);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        struct nat_key key = key_of(keys[i]);
        cr_assert_eq(nat_table_find(&t, &key), NAT_NONE);
    }
    nat_table_fini(&t);
}

Test(table, churn) {
    churn(false);
}

Test(table, chains) {
    churn(true);
}

/* The same key twice with two values: each can be removed. */
Test(table, a_session_that_is_its_own_answer) {
    struct nat_table t;
    cr_assert_eq(nat_table_init(&t, 8), 0);
    struct nat_key key = key_of(1);
    nat_table_insert(&t, &key, 0);
    nat_table_insert(&t, &key, 1);
    nat_table_remove(&t, &key, 0);
    cr_expect_eq(nat_table_find(&t, &key), 1);
    nat_table_remove(&t, &key, 1);
    cr_expect_eq(nat_table_find(&t, &key), NAT_NONE);
    nat_table_fini(&t);
}
