/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this module tell each other. */
#ifndef FWDLAB_DPDK_EAL_H
#define FWDLAB_DPDK_EAL_H

#include <stdbool.h>
#include <stddef.h>

bool dpdk_running(void);
bool dpdk_has_hugepages(void);

/* Between catch and release everything for stderr goes into a file in memory. */
struct dpdk_caught {
    int saved, file;
};
void dpdk_catch_stderr(struct dpdk_caught *c);
/* Gives the last lines of what was caught, in one line. */
void dpdk_release_stderr(struct dpdk_caught *c, char *text, size_t size);

#endif
