/* SPDX-License-Identifier: BSD-3-Clause */
/* Arenas and vectors grow, keep what is in them, and give aligned, zeroed memory. */
#include <criterion/criterion.h>
#include <fwdlab/base/arena.h>
#include <fwdlab/base/random.h>
#include <fwdlab/base/vec.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Random sizes, some beyond a chunk: aligned, zeroed, disjoint (each block keeps its own filling). */
Test(arena, blocks_are_aligned_zeroed_and_disjoint) {
    struct arena *a = arena_create();
    struct random r;
    random_seed(&r, 3);
    enum { N = 400 };
    unsigned char *block[N];
    size_t size[N];
    for (int i = 0; i < N; i++) {
        size[i] = random_below(&r, i % 40 ? 200 : 60000);
        block[i] = arena_alloc(a, size[i]);
        cr_assert_eq((uintptr_t)block[i] % alignof(max_align_t), 0u);
        for (size_t k = 0; k < size[i]; k++)
            cr_assert_eq(block[i][k], 0);
        memset(block[i], i & 255, size[i]);
    }
    for (int i = 0; i < N; i++)
        for (size_t k = 0; k < size[i]; k++)
            cr_assert_eq(block[i][k], i & 255, "block %d", i);
    arena_destroy(a);
    arena_destroy(NULL);
}

Test(arena, texts) {
    struct arena *a = arena_create();
    char source[] = "text";
    char *copy = arena_strdup(a, source), *empty = arena_strdup(a, ""), *line = arena_printf(a, "%s/%d", "net", 42);
    source[0] = 'x';
    cr_expect_str_eq(copy, "text");
    cr_expect_str_eq(empty, "");
    cr_expect_str_eq(line, "net/42");
    char *longer = arena_printf(a, "%0*d", 40000, 7);
    cr_expect_eq(strlen(longer), 40000u);
    cr_expect_eq(longer[39999], '7');
    cr_expect_str_eq(line, "net/42");
    arena_destroy(a);
}

Test(vec, grows_and_is_freed) {
    struct item {
        int a, b;
    };
    VEC(struct item) v = {0};
    for (int i = 0; i < 10000; i++)
        vec_push(&v, (struct item){i, -i});
    cr_expect_eq(v.n, 10000u);
    cr_expect_geq(v.cap, v.n);
    for (int i = 0; i < 10000; i++)
        cr_assert(v.v[i].a == i && v.v[i].b == -i);
    vec_free(&v);
    cr_expect(!v.v && !v.n && !v.cap);
    vec_free(&v);
}

Test(vec, allocation) {
    unsigned char *z = xzalloc(3, 5), *none = xzalloc(0, 8);
    for (int i = 0; i < 15; i++)
        cr_expect_eq(z[i], 0);
    cr_expect_not_null(none);
    char *s = xstrdup("abc");
    s = xrealloc(s, 100, 1);
    cr_expect_str_eq(s, "abc");
    vec_release(z);
    vec_release(none);
    vec_release(s);
}
