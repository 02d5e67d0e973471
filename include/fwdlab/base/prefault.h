/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages that will soon be written, got from the system by a thread of its own: who writes them then does not wait for
 * it (1 to 2 us a page). Worth it where another CPU has time.
 */
#ifndef FWDLAB_BASE_PREFAULT_H
#define FWDLAB_BASE_PREFAULT_H

#include <stddef.h>

struct prefault;

struct prefault *prefault_start(void); /* NULL: there can be no thread */
/*
 * Memory to be got next, in place of what was asked for and not begun; returns at once. It keeps what is in it, and so
 * does what stands there when the block was moved or given back meanwhile. `p` NULL: nothing.
 */
void prefault_ask(struct prefault *p, void *from, size_t size);
void prefault_stop(struct prefault *p); /* NULL: nothing */

#endif
