/* SPDX-License-Identifier: BSD-3-Clause */
/* Running out of memory on purpose. The address sanitizer reserves too much itself, and aborts in place of failing. */
#ifndef TESTS_UNIT_MEMORY_H
#define TESTS_UNIT_MEMORY_H

#include <sys/resource.h>
#include <criterion/criterion.h>

#if defined __SANITIZE_ADDRESS__
#define MEMORY_IS_UNLIMITED true
#elif defined __has_feature
#define MEMORY_IS_UNLIMITED __has_feature(address_sanitizer)
#else
#define MEMORY_IS_UNLIMITED false
#endif

/* From now on this test's process gets 1 GB at most; without such a limit the test is skipped. */
static inline void memory_limit(void) {
    if (MEMORY_IS_UNLIMITED)
        cr_skip_test("address sanitizer");
    cr_assert_eq(setrlimit(RLIMIT_AS, &(struct rlimit){1 << 30, 1 << 30}), 0);
}

#endif
