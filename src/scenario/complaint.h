/* SPDX-License-Identifier: BSD-3-Clause */
/* Hints for names that do not exist; faults about one address; the order of complaints. */
#ifndef FWDLAB_SCENARIO_COMPLAINT_H
#define FWDLAB_SCENARIO_COMPLAINT_H

#include <fwdlab/base/arena.h>
#include <fwdlab/scenario/scenario.h>

/*
 * Hints the newest complaint at the one of `names` that `wrong` is nearly spelled like; when there is none, at all of
 * them (`what`: "allowed", "there are", ...).
 */
void complain_hint_names(struct complaints *c, const char *wrong, const char *what, const char *const *names, size_t n);
/* complain_fault() about one address. */
void complain_fault_ip(struct complaints *c, enum fault f, const struct ip *about);
/* A prefix of full length. */
struct ip_prefix host_prefix(const struct ip *addr);
/* In the order of files (as first complained about) and lines. */
void complaints_sort(struct complaints *c);

#endif
