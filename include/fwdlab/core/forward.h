/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One node: its ports and tables, and the ordered table of stages that a burst of packets passes. Batch in, verdicts
 * out.
 *
 *     parse → guard → nat-in → route → nat-out → rewrite
 *
 * A stage looks at every packet it is given and keeps, in order, those that go on; the others carry their verdict. The
 * stage table belongs to the node (what a configuration does not use is not in it) and is visible, so that a caller can
 * time each stage. Nothing here allocates, logs or calls the system.
 */
#ifndef FWDLAB_CORE_FORWARD_H
#define FWDLAB_CORE_FORWARD_H

#include <stdbool.h>
#include <fwdlab/core/nat.h>
#include <fwdlab/core/packet.h>
#include <fwdlab/core/route.h>

#define NODE_STAGES_MAX 8
#define BURST_MAX 256

enum rpf_mode { RPF_OFF, RPF_STRICT, RPF_LOOSE }; /* RFC 3704; Linux rp_filter 0, 1, 2 */

struct port {
    struct mac mac;      /* all zero: unknown, frames for any MAC are taken */
    struct mac neighbour; /* the MAC that frames to this port's neighbours get; all zero: MACs are not rewritten */
    be32 addr;           /* IPv4 address, 0: none */
    uint8_t len;         /* its prefix length */
    uint8_t rpf;         /* enum rpf_mode */
    bool has_mac;
};

struct node;
/* Returns how many packets go on; these stand first in `pkts`, in their order. */
typedef unsigned (*stage_fn)(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
struct stage {
    const char *name;
    stage_fn run;
};

struct node {
    uint16_t n_ports;
    bool router;                /* forwards what is not its own; false: such packets are dropped as not-a-router */
    bool hash_fixed;            /* ECMP takes choice `hash` modulo their number, not the flow's hash (for walks) */
    uint32_t hash;
    struct port *ports;         /* n_ports of them, malloc'ed; freed by node_fini */
    struct route_table *routes; /* the node's; destroyed by node_fini */
    struct nat *nat;            /* NULL: none; destroyed by node_fini */
    unsigned n_stages;
    struct stage stages[NODE_STAGES_MAX];
    uint64_t delivered, forwarded;
    uint64_t drops[DROP_COUNT];
};

/* Sets the stage table from what the node has. Call after ports, routes and nat are set,
 * and after any of them is replaced. */
void node_prepare(struct node *node);
void node_fini(struct node *node);

/*
 * Every packet gets its verdict (n <= BURST_MAX). The caller's array keeps its order. `now`: ns, must not go backwards.
 * Needs data, len, wire_len, room, flags, in_port and tag of each packet.
 */
void forward(struct node *node, struct packet *const *pkts, unsigned n, uint64_t now);
/* A packet of the node's own (in_port PORT_NONE): the same without guard; source and
 * destination already in the header. */
void forward_own(struct node *node, struct packet *p, uint64_t now);

/* The stages themselves, for benchmarks and tests. */
unsigned stage_parse(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
unsigned stage_guard(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
unsigned stage_rpf(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
unsigned stage_nat_in(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
unsigned stage_route(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
unsigned stage_nat_out(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
unsigned stage_rewrite(struct node *node, struct packet **pkts, unsigned n, uint64_t now);

#endif
