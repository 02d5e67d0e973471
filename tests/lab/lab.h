/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One router, twice: in the kernel and in the core, from one description (JSON, by `routers`), and what each of
 * them makes of a packet. describe.c builds the core's node, kernel.c the namespace, traffic.c draws packets, core.c
 * and kernel.c run them, compare.c judges, reasons.c knows where the kernel is another one than the core and why.
 */
#ifndef TESTS_LAB_LAB_H
#define TESTS_LAB_LAB_H

#include <fwdlab/base/random.h>
#include <fwdlab/core/forward.h>
#include <fwdlab/core/parse.h>
#include <jansson.h>
#include <stdio.h>

#define ETHERNET 14
#define FRAME_MAX 2048
#define FRAMES_MAX 256 /* a packet of 1600 bytes through an MTU of 68, with options */
#define LAB_PORTS_MAX 8
#define STATES_PATH 100
#define NS_PER_S 1000000000ull

struct frame {
    uint16_t port; /* it came in by, or left by */
    uint32_t len;
    uint8_t byte[FRAME_MAX];
};

struct outcome {
    bool delivered; /* to the router's own stack; `at_stack` is then the IP packet as it got there */
    bool rejected;  /* kernel: the device refused the frame, no router ever saw it */
    unsigned n;     /* frames that left */
    struct frame at_stack;
    struct frame frames[FRAMES_MAX];
};

struct lab {
    struct node node;
    json_t *description;
    struct ip_prefix *prefixes; /* of all routes and ports, with the port that leads there (PORT_NONE: none) */
    uint16_t *prefix_port;
    size_t n_prefixes;
    bool ipv6, ecmp;
    uint32_t error_hash; /* node.hash for ICMP errors, which may take another of several ways */
    uint8_t link_local[LAB_PORTS_MAX][16];
};

/* Both end the program with a sentence when the description or the kernel refuses. */
void lab_load(struct lab *lab, const char *path);
void lab_fini(struct lab *lab);

/* The MAC address that the neighbour with this IP address has. */
struct mac lab_neighbour(const struct ip *addr);

/* ---- the kernel ---- */
struct kernel;
/* A network namespace of this process alone, with the router of the description in it. Exits with 77 and a sentence
 * when this machine does not let it. */
struct kernel *kernel_create(const struct lab *lab);
void kernel_destroy(struct kernel *k);
/* Everything that the router does with a frame: it has done it when this returns. */
void kernel_run(struct kernel *k, const struct frame *in, struct outcome *out);

/* ---- the core ---- */
/* The same. `after`: metadata and verdict of the packet; its data is not valid any more. */
void core_run(struct lab *lab, const struct frame *in, uint64_t now, struct outcome *out, struct packet *after);
/* The same with the next fragment that NAT held and that is due now. False: there is none. */
bool core_run_held(struct lab *lab, uint64_t now, struct outcome *out, struct packet *after);

/* ---- packets ---- */
struct trial;
#define FLOWS 64u
#define SOURCES 4096u
struct flow { /* a packet that passed, as each of the two let it out */
    struct frame kernel, core;
};
struct traffic {
    const struct lab *lab;
    struct random random;
    unsigned n_flows;
    struct flow flows[FLOWS];
    uint8_t errors[SOURCES]; /* by a digest of their IPv4 source */
    uint16_t datagrams;      /* sent in fragments: their identification */
};
/* The next frame. Answers through NAT go to the address and port that each of the two chose, and differ in that. */
void traffic_next(struct traffic *t, struct frame *kernel, struct frame *core);
/* To be told of every trial: flows to answer, and how many errors each source was sent. */
void traffic_learn(struct traffic *t, const struct trial *trial);

/* ---- rates ---- */
uint64_t clock_now(void); /* ns, monotonic */
/* Sends the description's bursts to both and prints how many errors each sent. Gives how often they differ. */
unsigned rates_compare(struct lab *lab, struct kernel *k);

/* ---- judgement ---- */
struct trial {
    struct lab *lab;
    const struct frame *in; /* as the core got it */
    const struct outcome *kernel, *core;
    const struct packet *after;
    uint64_t now; /* of the core, ns */
};
/* Do the two agree, byte for byte (but for what nobody can know: IP identifications that the kernel draws)? */
bool agree(const struct trial *t);
bool frames_equal(const struct frame *kernel, const struct frame *core);
/* Name of the reason why they may differ here; NULL: there is none. */
const char *reason_of(const struct trial *t);
/* Prints every reason's name, a line each. */
void reasons_print(FILE *f);
void count_name(json_t *counts, const char *name);
/* Counts what the trial is to NAT, by its name in `topics`. */
void topics_count(json_t *topics, const struct trial *t);

/* ---- states of connections ---- */
struct states {
    unsigned steps;     /* segments that were compared */
    const char *reason; /* why they differ; NULL: there is none */
    char path[STATES_PATH], text[160];
};
/* Does the packet begin a TCP connection through both? */
bool states_possible(const struct trial *t, const struct frame *to_kernel);
/* Goes on with it: random segments of both ends. False: packets or states differ, and the rest is not looked at. */
bool states_compare(struct traffic *traffic, struct kernel *k, const struct trial *first, struct states *out);

/* Brings connections to their states, waits until they end, and prints when. Gives how many end at other times. */
unsigned expiry_compare(struct lab *lab, struct kernel *k);

/* ---- fragments ---- */
/* Did both let the packet of the trial pass, by NAT, so that it may come again in fragments? */
bool fragments_possible(const struct trial *t);
/*
 * Sends it again in fragments, drawn by `traffic`; as the kernel gets it in `to_kernel`. The trial's outcomes become
 * what a receiver puts together of each router's. Gives a reason's name when they differ in that, "" when they do not,
 * NULL when they must not. `topic`: how the fragments came.
 */
const char *fragments_compare(struct traffic *traffic, struct kernel *k, const struct frame *to_kernel,
                              struct trial *t, const char **topic);
/* An outcome's fragments put together; nothing when they are not a whole packet. */
void fragments_join(const struct outcome *in, struct outcome *out);

#endif
