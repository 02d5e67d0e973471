/* SPDX-License-Identifier: BSD-3-Clause */
#include "crew.h"
#include "link.h"
#include <errno.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/dispatch.h>
#include <stdlib.h>
#include <string.h>

/* Two workers' counters share no pair of cache lines. */
struct member {
    struct node node;
} __attribute__((aligned(128)));

struct crew {
    unsigned workers;
    struct dispatch *dispatch;
    struct dispatch_fragments fragments;
    struct member *members;
    uint8_t *of_slot; /* the worker of each copy of a flow, for its answers */
};

static int make_member(struct crew *c, const struct node *node, unsigned worker) {
    struct node *own = &c->members[worker].node;
    *own = *node;
    own->nat = NULL;
    own->icmp = NULL; /* trials make no ICMP errors */
    if (node->nat) {
        const struct nat_config config = dispatch_nat(nat_config_get(node->nat), c->workers, worker);
        if (!(own->nat = nat_create(&config)))
            return -errno;
    }
    node_prepare(own);
    return 0;
}

static int make(struct crew *c, const struct node *node, uint32_t n_slots) {
    const size_t size = c->workers * sizeof *c->members;
    c->dispatch = dispatch_create(c->workers, node->nat ? nat_config_get(node->nat) : NULL, node->routes);
    if (!c->dispatch)
        return -errno;
    c->of_slot = xzalloc(n_slots, sizeof *c->of_slot);
    if (!(c->members = aligned_alloc(_Alignof(struct member), size)))
        return -ENOMEM;
    memset(c->members, 0, size);
    int code = 0;
    for (unsigned w = 0; w < c->workers && !code; w++)
        code = make_member(c, node, w);
    return code;
}

struct crew *crew_create(const struct node *node, unsigned workers, uint32_t n_slots, struct err *e) {
    if (!workers || workers > CREW_MAX) {
        err_set(e, -EINVAL, "%u workers; 1 to %d are possible", workers, CREW_MAX);
        return NULL;
    }
    if (node->filter) {
        err_set(e, -ENOTSUP, "a node with security groups cannot be divided among %u workers", workers);
        return NULL;
    }
    struct crew *c = xzalloc(1, sizeof *c);
    c->workers = workers;
    const int code = make(c, node, n_slots);
    if (!code)
        return c;
    err_set(e, code, code == -EINVAL ? "NAT has not enough ports or blocks for %u workers" : "no memory for %u workers",
            workers);
    crew_destroy(c);
    return NULL;
}

void crew_destroy(struct crew *c) {
    if (!c)
        return;
    for (unsigned w = 0; c->members && w < c->workers; w++)
        nat_destroy(c->members[w].node.nat);
    dispatch_destroy(c->dispatch);
    free(c->members);
    free(c->of_slot);
    free(c);
}

unsigned crew_workers(const struct crew *c) {
    return c->workers;
}

struct node *crew_node(const struct crew *c, unsigned worker) {
    return &c->members[worker].node;
}

void crew_assign(void *crew, struct packet *const *pkts, unsigned n, uint8_t *worker) {
    struct crew *c = crew;
    dispatch(c->dispatch, &c->fragments, pkts, n, worker);
    for (unsigned i = 0; i < n; i++) {
        const struct probe *probe = &((const struct carrier *)pkts[i])->probe;
        uint8_t *of_slot = &c->of_slot[probe->step.slot];
        if (probe->answer)
            worker[i] = *of_slot;
        else if (*of_slot != worker[i])
            *of_slot = worker[i];
    }
}
