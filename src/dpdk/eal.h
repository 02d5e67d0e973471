/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this module tell each other. */
#ifndef FWDLAB_DPDK_EAL_H
#define FWDLAB_DPDK_EAL_H

#include <stdbool.h>

bool dpdk_running(void);

#endif
