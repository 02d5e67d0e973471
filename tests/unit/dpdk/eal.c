/* SPDX-License-Identifier: BSD-3-Clause */
/* EAL: starts once, says what memory it got, and turns a bad CPU or too much memory into a message. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fwdlab/dpdk/dpdk.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

Test(eal, starts_once) {
    struct err e = {0};
    cr_assert_eq(dpdk_start(&(struct dpdk_options){.no_huge = true}, &e), 0, "%s", e.what);
    cr_assert_eq(strncmp(dpdk_hugepages(), "none", 4), 0);
    cr_assert_eq(strncmp(dpdk_version(), "DPDK ", 5), 0);
    cr_assert_eq(dpdk_start(&(struct dpdk_options){0}, &e), -EALREADY);
    cr_assert(strstr(e.what, "started before"));
    dpdk_stop();
    cr_assert_eq(dpdk_start(&(struct dpdk_options){0}, &e), -EALREADY);
}

Test(eal, names_usable_cpus) {
    struct err e = {0};
    cr_assert_eq(dpdk_start(&(struct dpdk_options){.main_cpu = 1000}, &e), -EINVAL);
    cr_assert(strstr(e.what, "CPU 1000"), "%s", e.what);
    cr_assert(strstr(e.hint, "one of: "), "%s", e.hint);
    cr_assert_eq(dpdk_start(&(struct dpdk_options){.no_huge = true}, &e), 0, "a bad CPU is refused before EAL");
}

Test(eal, knows_the_memory) {
    struct err e = {0};
    cr_assert_eq(dpdk_start(&(struct dpdk_options){.no_huge = true, .memory_mb = 1u << 30}, &e), -ENOMEM);
    cr_assert(strstr(e.what, "1073741824 MB"), "%s", e.what);
    cr_assert_eq(strncmp(e.hint, "at most ", 8), 0, "%s", e.hint);
}

Test(eal, tells_what_eal_said) {
    struct err e = {0};
    int next = dup(STDERR_FILENO); /* few files may be opened beyond this one */
    struct rlimit little = {(rlim_t)next + 4, (rlim_t)next + 4};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &little), 0);
    cr_assert_lt(dpdk_start(&(struct dpdk_options){.no_huge = true, .memory_mb = 512}, &e), 0);
    cr_assert(strstr(e.what, "EAL: "), "%s", e.what);
    cr_assert_eq(strchr(e.what, '\n'), NULL);
    cr_assert(strstr(e.hint, "512 MB"), "%s", e.hint);
}

Test(eal, fib_needs_eal) {
    errno = 0;
    cr_assert_eq(route_dir24_8.create(100), NULL);
    cr_assert_eq(errno, EINVAL);
}
