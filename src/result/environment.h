/* SPDX-License-Identifier: BSD-3-Clause */
/* What a result was made on. */
#ifndef FWDLAB_RESULT_ENVIRONMENT_H
#define FWDLAB_RESULT_ENVIRONMENT_H

#include <fwdlab/result/document.h>

/* { cpu, flags, dpdk, commit, kernel } and, when options->hugepages is set, { tsc_hz, hugepages, noise }. A
 * new reference. */
json_t *environment_json(const struct document_options *options);

#endif
