/* SPDX-License-Identifier: BSD-3-Clause */
/* Made-up IPv4 prefixes in the Internet's mix of lengths, for tables of any size; the same seed gives the same ones. */
#ifndef FWDLAB_BASE_PREFIXES_H
#define FWDLAB_BASE_PREFIXES_H

#include <fwdlab/base/addr.h>
#include <fwdlab/base/random.h>

/*
 * n distinct ones in ascending order. None overlaps one of `avoid`, nor 0/8, 10/8, 127/8, 169.254/16 and what lies
 * above 223 (RFC 6890). -ENOSPC when what is left has no room for so many.
 */
int prefixes_make(struct ip_prefix *out, uint32_t n, const struct ip_prefix *avoid, size_t n_avoid, struct random *r);

#endif
