/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is the least that an analysis can cost? A bare loop over a mapped pcap (nanoseconds, native order, Ethernet) that
 * counts the flows' packets and bytes in one hash table: no reordering, no damage, no limits, nothing told. With a
 * scenario it also copies each IPv4 frame's first 128 bytes and puts it through the core of the scenario's machine, at
 * the NIC of which `sources` has its source; the verdicts go nowhere.
 */
#ifndef FWDLAB_BENCH_BARE_H
#define FWDLAB_BENCH_BARE_H

/* In a process of its own: nothing is freed. scenario may be NULL. Returns the exit status: 0, 1 failed. */
int bare_loop(const char *pcap, const char *scenario);

#endif
