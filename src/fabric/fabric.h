/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside of the fabric: what its files share. */
#ifndef FABRIC_FABRIC_PRIVATE_H
#define FABRIC_FABRIC_PRIVATE_H

#include <string.h>
#include <fwdlab/core/icmp.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/fabric/fabric.h>

#define WALK_TIME 1 /* ns: a walk takes no time */

/* ECMP choices along one walk there and back: which was taken at each fork, and how many there were. */
#define FORKS_MAX 8
#define CHOICES_MAX 4096 /* combinations that are walked; forks beyond take their first choice */
struct forks {
    unsigned n;
    unsigned choice[FORKS_MAX], of[FORKS_MAX];
};

struct owned { /* an address and the NIC or gateway that has it */
    struct ip addr;
    uint32_t nic;    /* scenario NIC, or INDEX_NONE for a gateway */
    uint32_t subnet; /* gateways */
};

/* Flows of one class are alike to the model (classes.c). */
struct class_key {
    uint32_t generation; /* of the tables; 0: none */
    uint32_t src, dst;   /* stretches of the address space */
    uint16_t proto, type; /* ICMP: of the query; else 0 */
};
/* What most flows need of it is in its first line of the cache. */
struct class {
    struct class_key key;
    uint32_t mark;       /* the caller's */
    bool shared;         /* the judgement is that of all its flows, but for `far`, which is their source or none */
    struct judgement judgement;
} __attribute__((aligned(64)));

#define CUTS_BITS 14 /* a thousand routes: mostly no cut, or one, to look at */

struct fabric {
    struct control *control;
    VEC(struct owned) owned; /* sorted by addr; of equal ones in the scenario's order, NICs first */
    uint32_t generation;     /* of the tables, from 1 */
    struct forks forks;
    VEC(uint32_t) walked;    /* nodes that may remember packets of walks since fabric_forget */
    bool alike;              /* no node walked since this was set looked at more than addresses */
    VEC(uint32_t) cuts;      /* first addresses of the stretches, host order, in order; by the tables of: */
    uint32_t cuts_generation;
    uint32_t first_cut[(1u << CUTS_BITS) + 1]; /* for each value of an address' first bits: of cuts not before it */
    struct class *classes;
    struct judgement alone;  /* of a flow that shares none */
    VEC(struct change) applied; /* single adds and removes, to be undone backwards */
};

/* A packet that walks, and its bytes. */
struct probe {
    struct packet p;
    uint8_t data[ICMP_ERROR_MAX];
};

/*
 * A packet that begins (answer: continues) a conversation: TCP SYN or SYN and ACK. `size`: bytes that it has according
 * to its header, and it is not to be fragmented; 0: headers alone.
 */
void probe_build(struct probe *probe, const struct flow_key *key, bool answer, uint16_t size);
/* As fabric_walk; goes on with f->forks. The probe is left as it ended. */
void walk_probe(struct fabric *f, uint32_t node, uint16_t in_port, struct probe *probe, struct walk *out);

/* Does the sender of what was lost at the end of a walk get an ICMP error about it? */
bool walk_told(struct fabric *f, const struct walk *w, const struct probe *lost);
/*
 * Does the sender hear of packets that are longer than a walk that arrived can take? True when there is no MTU or the
 * sender's own is not greater. Lowers *mtu (0: none) to the MTU otherwise. `forks_before`: of the choices in f->forks,
 * how many were made before this walk.
 */
bool walk_mtu_told(struct fabric *f, const struct walk *w, const struct flow_key *key, bool answer,
                   unsigned forks_before, uint16_t *mtu);

void classes_free(struct fabric *f);

/* Fills f->owned. */
void owners_build(struct fabric *f);
/* The NIC with this address on a subnet, switch or site; INDEX_NONE. */
uint32_t owner_on(const struct fabric *f, const struct ip *addr, enum nic_on on, uint32_t index);
/* A NIC or gateway of a network that has this address; NULL. */
const struct owned *owner_in_network(const struct fabric *f, const struct ip *addr, uint32_t network);
/* Addresses that the Internet may have: global unicast outside every declared place. */
bool may_be_internet(const struct fabric *f, const struct ip *addr);

/* What fabric_declared finds, and what the scenario calls it; prefix.addr.family FAMILY_NONE: nothing. */
struct declared {
    struct ip_prefix prefix;
    const char *name;
};
struct declared declared_find(const struct fabric *f, const struct ip *addr);

static inline const struct scenario *fabric_scenario(const struct fabric *f) {
    return f->control->scenario;
}
static inline bool is_internet(const struct fabric *f, uint32_t node) {
    const struct control_node *n = &f->control->nodes[node];
    return n->kind == CONTROL_SITE && fabric_scenario(f)->sites.v[n->index].gateway_subnet == INDEX_NONE;
}

#endif
