/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much of the node's NAT is in use over the capture's time, whose it is, and when a pool of outside ports would run
 * out. Sessions and ports in total are the NAT's own counts, looked at now and then. By protocol and by client they
 * are counted session by session (a census), so rarely that it costs a packet next to nothing.
 */
#ifndef ANALYZE_NATUSE_H
#define ANALYZE_NATUSE_H

#include <jansson.h>
#include <fwdlab/core/nat.h>

#define NATUSE_SAMPLES 512

enum { POOL_TCP, POOL_UDP, POOL_ICMP, POOL_BLOCKS, POOL_COUNT };

/* The most that was in use at the same time within an interval. */
struct natuse_samples {
    unsigned n;
    uint64_t interval_ns;            /* doubled whenever there is no room for more */
    uint32_t sessions[NATUSE_SAMPLES], ports[NATUSE_SAMPLES], pool[POOL_COUNT][NATUSE_SAMPLES];
    uint64_t ended[NATUSE_SAMPLES];  /* sessions, since the beginning */
};

/* What is said of a pool's future; without growth at_ns is 0 and `why` says so. */
struct foretold {
    bool known;          /* the growth is: */
    double per_hour;     /* median of the slopes between the samples of the second half (Theil and Sen) */
    uint64_t at_ns;      /* since the capture began; 0: it is not said when it runs out */
    const char *why;     /* not */
};
/*
 * `used`: of a pool of `available`. What was there at the middle must have gone, or had time to: a capture begins with
 * an empty NAT, and as long as that fills, nobody knows whether more come than go. `idle_ns`: after which the last one
 * goes.
 */
struct foretold foretell(const struct natuse_samples *s, const uint32_t *used, uint32_t available, uint64_t idle_ns);

struct natuse;
struct natuse *natuse_create(const struct nat *n);
void natuse_destroy(struct natuse *u);
/* After a burst of so many packets; `now`: ns since the capture began. */
void natuse_see(struct natuse *u, uint64_t now, unsigned packets);
/* A dropped packet. */
void natuse_dropped(struct natuse *u, const struct packet *p, uint64_t now);
void natuse_finish(struct natuse *u);
/*
 * { interval_ns, sessions: [...], ports: [...], peak_at_ns, available, growth (ports an hour),
 *   pools: [ { name, available, peak, used: [...], growth, at_ns, why } ],
 *   runs_out: { pool, at_ns, happened, basis } or null, why,
 *   refused: { port, table, client } (packets), clients: [ { client, sessions_peak, ports_peak, peak_at_ns, refused,
 *   first_refused_ns } ], clients_seen, clients_all, client_limits: { sessions, ports of each protocol } }
 */
json_t *natuse_json(const struct natuse *u);

#endif
