/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which host, how many, at what headroom: from measured results (documents of bench and replay) and a catalogue.
 *
 *   cost      TSC cycles a packet = constant + what each of few terms adds, none of them negative (measure/fit.h)
 *   capacity  packets a second of a host = workers * clock / (cost + overhead), where overhead is what the measured
 *             NDR leaves above the cost in memory: input, output, the harness
 *   load      packets a second / capacity. A measured load/latency curve, by load as share of the NDR there, tells p99
 *
 * A host fits when its share of the rate is at most (1 - headroom) of its capacity, of its NIC's bit rate and of its
 * packet rate, when p99 at that load is within the limit, and when sessions and routes fit into its memory. Rate and
 * sessions are shared evenly by the hosts; routes, packet size and churn are each host's own. Everything that was not
 * measured is said with the answer that depends on it.
 */
#ifndef FWDLAB_SIZE_SIZE_H
#define FWDLAB_SIZE_SIZE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <fwdlab/base/err.h>

/* ---- quantities with units ---- */

/* "2Mpps", "500kpps", "2e6" (packets a second), "10Gbps" (of frames, L2 with FCS: divided by packet_bytes; without one,
 * 0, refused). *out > 0. -EINVAL. */
int size_rate_parse(const char *text, double packet_bytes, double *out, struct err *e);
/* "100us", "1.5ms", "2s", "800ns", "800" (ns) into ns > 0. */
int size_time_parse(const char *text, double *out, struct err *e);
/* "30%" or "0.3" into 0..1. */
int size_share_parse(const char *text, double *out, struct err *e);
/* "1000", "10k", "1M" into a number >= 1. */
int size_count_parse(const char *text, double *out, struct err *e);

/* ---- the catalogue of hosts ---- */

struct size_host {
    char *name;
    double cores, clock_ghz;
    double nic_gbps;       /* L1: with preamble and gap, 20 bytes a frame; each way */
    double nic_mpps;       /* packets a second that it lets through, each counted once; INFINITY: no such cap */
    double memory_gb;      /* 10^9 bytes */
    double price;          /* of one, in the catalogue's unit */
};
struct size_catalogue {
    struct size_host *hosts;
    size_t n;
    char *price_unit;
};
/* traces/hosts.yaml tells the format. A fault names file and line and what would be right. */
int size_catalogue_load(const char *path, struct size_catalogue *out, struct err *e);
void size_catalogue_fini(struct size_catalogue *c);

/* ---- what was measured ---- */

/* What a configuration was measured under, or is asked for. */
enum size_variable {
    SIZE_SESSIONS, SIZE_ROUTES, SIZE_BYTES, SIZE_CHURN, SIZE_ENCRYPTED, SIZE_WORKERS, SIZE_NAT, SIZE_VARIABLES
};
const char *size_variable_name(enum size_variable v); /* as in `workload`: sessions, routes, packet_bytes, ... */

struct size_measured;
/*
 * All configurations of the documents (paths[i] names docs[i] in messages), or, unless `scenario` is NULL, those of the
 * scenario of this name. NULL and *e: a document without `workload` or cost, figures of different machines, none left.
 */
struct size_measured *size_measured_create(json_t *const *docs, const char *const *paths, size_t n,
                                           const char *scenario, struct err *e);
void size_measured_destroy(struct size_measured *m);

/* ---- question and answer ---- */

/* What a host needs beside its packets, bytes. A session: records and index of NAT at its largest; a route: the table's
 * own, DIR24-8 and its groups (tests/unit/size holds both to the core's real need). */
#define SIZE_MEMORY_SYSTEM 1.5e9
#define SIZE_MEMORY_SESSION 576.0
#define SIZE_MEMORY_ROUTE 512.0
#define SIZE_COUNT_MAX 10000 /* hosts of one kind */

struct size_question {
    double rate_pps;
    double p99_ns;                 /* 0: no limit */
    double headroom;               /* 0..<1 of each capacity that stays free */
    double x[SIZE_VARIABLES];      /* NAN: as measured, when that was one and the same everywhere. WORKERS at most: NAN:
                                      all cores but the system's */
    double system_cores;           /* of each host, for everything else */
    /* guests, N9; guests 0: not asked */
    double guests;                 /* whose traffic the rate is */
    double guests_max, hosts_max;  /* what the address plan has room for: on a host, in the network. 0: not known */
};

/*
 * Adds model, question, answers, best, knee, guests, curve, notes and conclusion to a fwdlab.size/1 document, where
 *   answers    cheapest first (count * price) among those that fit, then the others; "count_interval": [lo, hi|null]
 *              what cost at its interval's ends would call for; pps, cores, workers, memory_gb: of one host, pps the
 *              most that it may carry with headroom and p99 kept; load: share of its cores' capacity; price: of all
 *   knee       where p99 begins to exceed twice that at the least load measured; load as share of the NDR, pps for one
 *              best host (else the measured one); null when that was not measured or not reached
 *   curve      measured values are moved along the model to what the question asks of the other variables
 * -EINVAL: the question leaves open what the measurements differ in.
 */
int size_answer(const struct size_measured *m, const struct size_catalogue *c, const struct size_question *q,
                json_t *doc, struct err *e);

#endif
