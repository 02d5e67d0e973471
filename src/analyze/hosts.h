/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose flows a finding is about: the hosts that most of them come from, in little memory however many there are
 * (Metwally, Agrawal, El Abbadi: Efficient computation of frequent and top-k elements in data streams, 2005).
 */
#ifndef ANALYZE_HOSTS_H
#define ANALYZE_HOSTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <fwdlab/base/addr.h>

#define HOSTS_KEPT 32
#define HOSTS_TOLD 8
#define HOSTS_HEADS 128

/*
 * All zero at first. As long as there are at most HOSTS_KEPT, all are here with their exact counts; after that counts
 * may be too high by what is unsure of them, and whoever has more than flows / HOSTS_KEPT is here.
 */
struct hosts {
    uint32_t n;
    bool more;                   /* there were others */
    uint32_t least, fewest;      /* a count than which none is lower, once all are taken; a bit for each who has it */
    uint8_t head[HOSTS_HEADS], next[HOSTS_KEPT]; /* lists by a hash of the address: numbers from 1; 0: the end */
    uint32_t flows[HOSTS_KEPT], unsure[HOSTS_KEPT];
    struct ip who[HOSTS_KEPT];
};

/* One more flow of this host; `addr`: 16 bytes, of an IPv4 address the first four count. */
void hosts_count(struct hosts *h, uint8_t family, const uint8_t *addr);
/* [ { addr, flows } ], HOSTS_TOLD at most, the one with the most flows first; *more: there are others. */
json_t *hosts_json(const struct hosts *h, bool *more);

#endif
