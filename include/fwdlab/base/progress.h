/* SPDX-License-Identifier: BSD-3-Clause */
/* One line on stderr that says how far a long job is; only when stderr is a terminal. */
#ifndef FWDLAB_BASE_PROGRESS_H
#define FWDLAB_BASE_PROGRESS_H

#include <stdint.h>

/* Cheap to call often: redraws at most ten times a second. total 0: unknown. */
void progress(const char *what, uint64_t done, uint64_t total);
/* The same of bytes: with their rate and the time that is left. */
void progress_bytes(const char *what, uint64_t done, uint64_t total);
void progress_done(void); /* wipes the line */

#endif
