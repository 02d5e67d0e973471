/* SPDX-License-Identifier: BSD-3-Clause */
/* The only place that starts EAL, and the core's fast lookup backend. */
#ifndef FWDLAB_DPDK_DPDK_H
#define FWDLAB_DPDK_DPDK_H

#include <stdbool.h>
#include <fwdlab/base/err.h>
#include <fwdlab/core/route.h>

struct dpdk_options {
    unsigned memory_mb;     /* without hugepages: how much may be taken; 0: 2048. Untouched memory costs nothing */
    unsigned hugepages_mb;  /* hugepages are used when at least so much is free; 0: memory_mb */
    bool no_huge;           /* do not even try hugepages */
    unsigned main_cpu;      /* the main lcore runs here */
};
/*
 * Starts EAL once a process (-EALREADY afterwards). Uses hugepages when enough are free, else ordinary pages; needs no
 * privileges. Quiet: EAL's log goes nowhere unless it fails.
 */
int dpdk_start(const struct dpdk_options *o, struct err *e);
void dpdk_stop(void);
const char *dpdk_version(void);
/* "2048 kB x 512", or "none: ordinary pages (lookups in big tables cost more TLB misses)". */
const char *dpdk_hugepages(void);

/* rte_fib DIR24-8 with 4-byte entries, AVX-512 lookups when the machine and EAL have them. Needs dpdk_start. */
extern const struct route_backend route_dir24_8;

#endif
