/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * referee DESCRIPTION PACKETS [--seed N] [--verbose N] [--show REASON]: one router in kernel and core, PACKETS random
 * packets through both. Prints a JSON line: how many packets were compared, what became of them, how many differ by
 * which reason; differences without one (or with REASON) in full, as the frame and both outcomes in hexadecimal. Exit
 * code 1 when there are any. referee --reasons: the reasons, one a line.
 */
#include "lab.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct tally {
    uint64_t packets, rejected, forbidden, forwarded, fragmented, delivered, errors, dropped, agreed, unexplained;
    json_t *reasons, *topics;
};

uint64_t clock_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void print_hex(const char *what, const struct frame *f, uint32_t limit) {
    printf("  %s port %u: ", what, f->port);
    for (uint32_t i = 0; i < f->len && i < limit; i++)
        printf("%02x%s", f->byte[i], i == 13 || i == 33 ? " " : "");
    printf("\n");
}

static void print_outcome(const char *who, const struct outcome *o) {
    printf("  %s: %s, %u frames\n", who, o->delivered ? "delivered" : "not delivered", o->n);
    if (o->delivered)
        print_hex("at stack", &o->at_stack, 128);
    for (unsigned i = 0; i < o->n && i < 4; i++)
        print_hex(who, &o->frames[i], 128);
}

/* In a word: ICMP type/code, number of frames, ... */
static const char *in_short(const struct outcome *o, char *text, size_t size) {
    const uint8_t *ip = o->frames[0].byte + ETHERNET;
    bool six = o->frames[0].byte[12] == 0x86;
    const uint8_t *icmp = ip + (six ? 40 : (ip[0] & 15) * 4);
    if (o->delivered || o->n == 0)
        snprintf(text, size, o->delivered ? "delivers" : "silent");
    else if (o->n == 1 && (six ? ip[6] == PROTO_ICMPV6 : ip[9] == PROTO_ICMP))
        snprintf(text, size, "ICMP%s %u/%u by %u", six ? "v6" : "", icmp[0], icmp[1], o->frames[0].port);
    else
        snprintf(text, size, "%u frames by %u", o->n, o->frames[0].port);
    return text;
}

static void print_trial(const struct trial *t, const struct frame *kernel_in, uint64_t number, const char *reason) {
    static const char *const verdicts[] = {"none", "deliver", "forward", "drop"};
    char kernel[40], core[40];
    printf("packet %llu %s: kernel: %s; core: %s (%s %s)\n", (unsigned long long)number, reason ? reason : "",
           in_short(t->kernel, kernel, sizeof kernel), in_short(t->core, core, sizeof core),
           verdicts[t->after->verdict],
           t->after->verdict == VERDICT_DROP ? drop_name((enum drop)t->after->reason) : "");
    print_hex("in", kernel_in, FRAME_MAX);
    if (memcmp(kernel_in->byte, t->in->byte, kernel_in->len))
        print_hex("in (core)", t->in, FRAME_MAX);
    print_outcome("kernel", t->kernel);
    print_outcome("core", t->core);
}

/* With several next hops of equal cost any choice of the core may be the kernel's. Returns whether the two agree, and
 * the reason when they may differ. */
static bool try_choices(struct lab *lab, struct trial *t, struct outcome *core, struct packet *after,
                        const char **reason) {
    const uint32_t ways = 12, choices = lab->ecmp ? ways * ways : 1; /* divisible by 2, 3 and 4 */
    *reason = NULL;
    for (uint32_t i = 0; i < 2 * choices && !*reason; i++) {
        lab->node.hash = i % ways;
        lab->error_hash = i / ways % ways;
        if (i < choices || choices > 1)
            core_run(lab, t->in, t->now, core, after);
        if (agree(t))
            return true;
        if (i >= choices)
            *reason = reason_of(t);
    }
    return false;
}

/* What the kernel drops for no other reason than that nftables tell it (draw.py, FORBIDDEN), or in part. */
static bool is_forbidden(const struct packet *p) {
    return p->verdict == VERDICT_DROP &&
           (p->reason == DROP_MARTIAN_SOURCE || p->reason == DROP_MARTIAN_DESTINATION || p->reason == DROP_LINK_LOCAL ||
            p->reason == DROP_MULTICAST || p->reason == DROP_BROADCAST || p->reason == DROP_OWN_SOURCE);
}

static void count(struct tally *n, const struct trial *t, const char *reason) {
    const struct outcome *k = t->kernel;
    n->packets++;
    n->forbidden += is_forbidden(t->after);
    if (reason)
        count_name(n->reasons, reason);
    if (k->delivered)
        n->delivered++;
    else if (k->n == 0)
        n->dropped++;
    else if (t->after->verdict == VERDICT_FORWARD)
        n->forwarded++, n->fragmented += k->n > 1;
    else
        n->errors++;
}

/* The same packet again, in fragments: a trial of its own. */
static void run_fragments(struct traffic *traffic, struct kernel *k, const struct frame *to_kernel, struct trial *t,
                          uint64_t verbose, const char *show, struct tally *n) {
    const char *topic, *reason = fragments_compare(traffic, k, to_kernel, t, &topic);
    n->packets++;
    n->agreed += reason && !*reason;
    count_name(n->topics, topic);
    if (reason && *reason)
        count_name(n->reasons, reason);
    if (reason ? *reason && show && !strcmp(show, reason) : n->unexplained++ < verbose)
        printf("%s: ", topic), print_trial(t, to_kernel, traffic->datagrams, reason);
}

/* The connection that a packet began goes on. */
static void run_states(struct traffic *traffic, struct kernel *k, const struct trial *t, uint64_t verbose,
                       struct tally *n) {
    struct states s;
    bool same = states_compare(traffic, k, t, &s);
    for (unsigned i = 0; i < s.steps; i++)
        count_name(n->topics, "tcp-state");
    if (!same && s.reason)
        count_name(n->reasons, s.reason);
    if (!same && !s.reason && n->unexplained++ < verbose)
        printf("states:%s: %s\n", s.path, s.text);
}

static void run(struct lab *lab, struct kernel *k, uint64_t seed, uint64_t packets, uint64_t verbose, const char *show,
                struct tally *n) {
    static struct traffic traffic;
    static struct frame to_kernel, to_core;
    static struct outcome kernel, core;
    struct packet after;
    traffic.lab = lab;
    random_seed(&traffic.random, seed);
    for (uint64_t i = 0; i < packets; i++) {
        traffic_next(&traffic, &to_kernel, &to_core);
        kernel_run(k, &to_kernel, &kernel);
        struct trial t = {lab, &to_core, &kernel, &core, &after, clock_now()};
        if (kernel.rejected) {
            n->rejected++;
            continue;
        }
        const char *reason;
        bool same = try_choices(lab, &t, &core, &after, &reason);
        count(n, &t, reason);
        n->agreed += same;
        topics_count(n->topics, &t);
        bool wanted = show && (!strcmp(show, "everything") || (reason && !strcmp(show, "reasons")) ||
                               (reason && !strcmp(reason, show)));
        if (wanted || (!same && !reason && n->unexplained++ < verbose))
            print_trial(&t, &to_kernel, i, reason);
        if ((same || reason) && states_possible(&t, &to_kernel) && random_below(&traffic.random, 100) < 50) {
            run_states(&traffic, k, &t, verbose, n); /* what becomes of it may differ: it is not answered again */
            continue;
        }
        traffic_learn(&traffic, &t);
        if (fragments_possible(&t) && (same || reason) && random_below(&traffic.random, 100) < 30)
            run_fragments(&traffic, k, &to_kernel, &t, verbose, show, n);
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "--reasons")) {
        reasons_print(stdout);
        return 0;
    }
    uint64_t seed = 1, verbose = 5;
    const char *show = NULL;
    for (int i = 3; i + 1 < argc; i += 2)
        if (!strcmp(argv[i], "--show"))
            show = argv[i + 1];
        else
            *(strcmp(argv[i], "--seed") ? &verbose : &seed) = strtoull(argv[i + 1], NULL, 0);
    if (argc < 3) {
        fprintf(stderr, "usage: referee DESCRIPTION PACKETS [--seed N] [--verbose N] [--show REASON]\n");
        return 2;
    }
    struct lab lab;
    struct tally n = {.reasons = json_object(), .topics = json_object()};
    lab_load(&lab, argv[1]);
    struct kernel *k = kernel_create(&lab);
    bool rates = json_object_get(lab.description, "bursts"), expiry = json_object_get(lab.description, "expiry");
    if (rates || expiry) {
        unsigned differ = rates ? rates_compare(&lab, k) : expiry_compare(&lab, k);
        json_decref(n.reasons);
        json_decref(n.topics);
        kernel_destroy(k);
        lab_fini(&lab);
        return differ != 0;
    }
    run(&lab, k, seed, strtoull(argv[2], NULL, 0), verbose, show, &n);
    kernel_destroy(k);
    lab_fini(&lab);
    json_t *summary = json_pack("{sI sI sI sI sI sI sI sI sI sI so so}", "packets", n.packets, "rejected", n.rejected,
                                "forbidden", n.forbidden, "forwarded", n.forwarded, "fragmented", n.fragmented,
                                "delivered", n.delivered, "errors", n.errors, "dropped", n.dropped, "agreed", n.agreed,
                                "unexplained", n.unexplained, "reasons", n.reasons, "topics",
                                n.topics);
    json_dumpf(summary, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(summary);
    return n.unexplained != 0;
}
