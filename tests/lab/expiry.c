/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When do idle connections end? Some of TCP and UDP are brought to a state each and left alone, with short timers; then
 * both routers are asked time and again whether they still know them. They may disagree for a moment, not for longer.
 */
#include "nat_internal.h"
#include "states.h"
#include "traffic.h"

#include <time.h>

enum { S = TCP_SYN, A = TCP_ACK, F = TCP_FIN, R = TCP_RST, SERVER = 0x80 };
#define MOMENT (NS_PER_S / 8)
#define STEP_NS 20000000
#define TALK_NS (NS_PER_S * 26 / 10) /* so long the one that talks on does so, twice a second */

static const struct script {
    const char *name;
    uint8_t proto, n, segments[8]; /* TCP flags, UDP: 0; SERVER: an answer */
    bool talks_on;
} scripts[] = {
    {"SYN", PROTO_TCP, 1, {S}, false},
    {"SYN-ACK", PROTO_TCP, 2, {S, SERVER | S | A}, false},
    {"established", PROTO_TCP, 3, {S, SERVER | S | A, A}, false},
    {"FIN of the client", PROTO_TCP, 4, {S, SERVER | S | A, A, F | A}, false},
    {"FIN of the server", PROTO_TCP, 4, {S, SERVER | S | A, A, SERVER | F | A}, false},
    {"FIN of both", PROTO_TCP, 6, {S, SERVER | S | A, A, F | A, SERVER | F | A, A}, false},
    {"reset by the client", PROTO_TCP, 4, {S, SERVER | S | A, A, R | A}, false},
    {"reset by the server", PROTO_TCP, 4, {S, SERVER | S | A, A, SERVER | R | A}, false},
    {"UDP, one packet", PROTO_UDP, 1, {0}, false},
    {"UDP, answered", PROTO_UDP, 2, {0, SERVER}, false},
    {"UDP stream", PROTO_UDP, 2, {0, SERVER}, true},
};
#define SCRIPTS (sizeof scripts / sizeof *scripts)

struct conversation {
    struct nat_tuple tuple;
    struct frame kernel, core; /* the first packet, as each let it out */
    uint32_t seq[2];
    uint64_t differ_since;     /* ns; 0: they agree */
    uint64_t end[2];           /* when each was first missed, ns from the beginning: kernel, core */
};

static void run_segment(struct lab *lab, struct kernel *k, const struct script *s, struct conversation *c,
                        uint8_t segment) {
    static struct frame to_kernel, to_core;
    static struct outcome kernel, core;
    struct packet after;
    const bool answer = segment & SERVER;
    struct frame first = {.port = 0, .len = ETHERNET + 40};
    uint8_t *ip = first.byte + ETHERNET;
    ip[0] = 0x45;
    memcpy(ip + 12, &c->tuple.src, 8);
    memcpy(ip + 20, &c->tuple.sport, 4);
    const struct segment what = {s->proto, segment & 0x3f, c->seq[answer], c->seq[!answer], 0};
    const uint16_t port = answer ? 1 : 0;
    segment_write(answer ? &c->kernel : &first, answer, port, lab, &what, &to_kernel);
    segment_write(answer ? &c->core : &first, answer, port, lab, &what, &to_core);
    kernel_run(k, &to_kernel, &kernel);
    core_run(lab, &to_core, clock_now(), &core, &after);
    c->seq[answer] += !!(segment & (S | F));
    if (!answer && kernel.n == 1 && core.n == 1) {
        c->kernel = kernel.frames[0];
        c->core = core.frames[0];
    }
}

/* Looks once; false: the two have disagreed for too long. */
static bool look(struct lab *lab, const struct script *s, struct conversation *c, uint64_t start) {
    struct tracked tracked;
    uint8_t state;
    uint32_t left;
    const bool kernel = conntrack_get(s->proto, &c->tuple, &tracked);
    const uint64_t now = clock_now();
    nat_in(lab->node.nat, NULL, 0, now); /* tells it the time */
    const bool core = session_get(lab, s->proto, &c->tuple, now, &state, &left);
    c->end[0] = kernel ? 0 : c->end[0] ? c->end[0] : now - start;
    c->end[1] = core ? 0 : c->end[1] ? c->end[1] : now - start;
    if (kernel == core)
        c->differ_since = 0;
    else if (!c->differ_since)
        c->differ_since = now;
    return !c->differ_since || now - c->differ_since < MOMENT;
}

static void print_ends(const struct conversation *c) {
    for (unsigned i = 0; i < SCRIPTS; i++)
        printf("%-20s ended in the kernel after %.2f s, in the core after %.2f s\n", scripts[i].name,
               (double)c[i].end[0] / NS_PER_S, (double)c[i].end[1] / NS_PER_S);
}

unsigned expiry_compare(struct lab *lab, struct kernel *k) {
    static struct conversation c[SCRIPTS];
    const uint64_t seconds = (uint64_t)json_integer_value(json_object_get(lab->description, "expiry"));
    const uint64_t start = clock_now();
    uint64_t next_talk = start;
    unsigned differ = 0;
    for (unsigned i = 0; i < SCRIPTS; i++) {
        c[i].tuple = (struct nat_tuple){htonl(0x0a000002), htonl(0x0a010002), htons((uint16_t)(40000 + i)), htons(80)};
        for (unsigned n = 0; n < scripts[i].n; n++)
            run_segment(lab, k, &scripts[i], &c[i], scripts[i].segments[n]);
    }
    for (uint64_t now = start; now - start < seconds * NS_PER_S && !differ; now = clock_now()) {
        for (unsigned i = 0; i < SCRIPTS; i++) {
            differ += !look(lab, &scripts[i], &c[i], start);
            if (scripts[i].talks_on && now >= next_talk && now - start < TALK_NS)
                for (unsigned n = 0; n < scripts[i].n; n++)
                    run_segment(lab, k, &scripts[i], &c[i], scripts[i].segments[n]);
        }
        next_talk = now >= next_talk ? now + NS_PER_S / 2 : next_talk;
        nanosleep(&(struct timespec){0, STEP_NS}, NULL);
    }
    for (unsigned i = 0; i < SCRIPTS; i++)
        differ += !c[i].end[0] || !c[i].end[1]; /* each ends while it is looked at */
    print_ends(c);
    return differ;
}
