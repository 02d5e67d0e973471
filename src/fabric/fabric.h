/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside of the fabric: what its files share. */
#ifndef FABRIC_FABRIC_PRIVATE_H
#define FABRIC_FABRIC_PRIVATE_H

#include <fwdlab/core/parse.h>
#include <fwdlab/fabric/fabric.h>

/* ECMP choices along one walk there and back: which was taken at each fork, and how many there were. */
#define FORKS_MAX 8
#define CHOICES_MAX 4096 /* combinations that are walked; forks beyond take their first choice */
struct forks {
    unsigned n;
    unsigned choice[FORKS_MAX], of[FORKS_MAX];
};

struct owned { /* an address and the NIC or gateway that has it */
    be32 addr;
    uint32_t nic;    /* scenario NIC, or INDEX_NONE for a gateway */
    uint32_t subnet; /* gateways */
};

struct cached {
    struct flow_key flow;
    uint64_t generation; /* 0: empty */
    struct judgement judgement;
};

struct fabric {
    struct control *control;
    VEC(struct owned) owned; /* sorted by addr */
    uint64_t generation;     /* of the tables, from 1 */
    struct forks forks;
    struct cached *cache;
    size_t cache_n, cache_size; /* a power of two */
    VEC(struct change) applied; /* single adds and removes, to be undone backwards */
};

/* A walk whose packet begins (answer: continues) a conversation: TCP SYN or SYN and ACK. */
void walk_run(struct fabric *f, uint32_t node, uint16_t in_port, const struct flow_key *key, bool answer,
              struct walk *out);

static inline const struct scenario *fabric_scenario(const struct fabric *f) {
    return f->control->scenario;
}
static inline bool is_internet(const struct fabric *f, uint32_t node) {
    const struct control_node *n = &f->control->nodes[node];
    return n->kind == CONTROL_SITE && fabric_scenario(f)->sites.v[n->index].gateway_subnet == INDEX_NONE;
}

#endif
