/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One node: its ports and tables, and the ordered table of stages that a burst of packets passes. Batch in, verdicts
 * out.
 *
 *     [express] → parse → [ipv6] → guard → [filter-in] → [rpf] → [nat-in] → route → [mtu] → [nat-out] → [filter-out] → rewrite
 *
 * Stages in brackets are there when the node's configuration needs them. `express` does for plain packets what all the
 * others do, at once, and leaves the rest to them: it is there when they are the usual ones. `ipv6` takes the IPv6 packets out of the burst
 * and brings them to their verdicts: guard, filters, reverse path check, route, MTU and rewrite of their own.
 *
 * A stage looks at every packet it is given and keeps, in order, those that go on; the others carry their verdict. The
 * stage table belongs to the node (what a configuration does not use is not in it) and is visible, so that a caller can
 * time each stage. Nothing here allocates, logs or calls the system.
 */
#ifndef FWDLAB_CORE_FORWARD_H
#define FWDLAB_CORE_FORWARD_H

#include <stdbool.h>
#include <fwdlab/core/filter.h>
#include <fwdlab/core/nat.h>
#include <fwdlab/core/packet.h>
#include <fwdlab/core/route.h>
#include <fwdlab/core/rules.h>

#define NODE_STAGES_MAX 13
#define BURST_MAX 256

/*
 * Reverse path checks (RFC 3704, 8704; the first three are Linux' rp_filter 0, 1, 2). A source passes when
 *   strict    the best route to it leaves by the port it came in by (ECMP: one of them),
 *   loose     there is a unicast route to it at all,
 *   feasible  as strict, or some route by that port holds it, though not the best or the most specific one; the default
 *             route does not count as such (RFC 8704, 3: a prefix that is reached by several ports is taken at each).
 */
enum rpf_mode { RPF_OFF, RPF_STRICT, RPF_LOOSE, RPF_FEASIBLE };

struct port {
    struct mac neighbour; /* the MAC that frames to this port's neighbours get; all zero: MACs are not rewritten */
    struct mac mac;      /* all zero: unknown, frames for any MAC are taken */
    be32 addr;           /* IPv4 address, 0: none */
    uint8_t len;         /* its prefix length */
    uint8_t rpf;         /* enum rpf_mode */
    bool has_mac;
    uint16_t mtu;        /* bytes of an IP packet that its link takes; 0: any */
    uint8_t addr6[16];   /* IPv6 address, all zero: none */
    uint8_t len6;
    bool rewrites;       /* set by node_prepare, as what follows: frames that leave get both MACs */
    uint16_t mtu_or_most; /* mtu; none: UINT16_MAX */
    uint64_t plain, plain_bits; /* how frames for the express stage begin, and which of these bits are looked at */
};
static_assert(sizeof(struct port) == 64, "ports are found by a shift");

struct node;
/* Returns how many packets go on; these stand first in `pkts`, in their order. */
typedef unsigned (*stage_fn)(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
struct stage {
    const char *name;
    stage_fn run;
};

struct node {
    uint16_t n_ports;
    bool has_mtu;               /* set by node_prepare, as `own`: some port has an MTU */
    uint64_t own;               /* bits of the ports' addresses, to rule most others out */
    bool router;                /* forwards what is not its own; false: such packets are dropped as not-a-router */
    bool staged;                /* has no express stage: all packets pass the others, one by one (to time them) */
    bool hash_fixed;            /* ECMP takes choice `hash` modulo their number, not the flow's hash (for walks) */
    uint32_t hash;
    struct port *ports;         /* n_ports of them, malloc'ed; freed by node_fini */
    struct route_table *routes; /* IPv4, the main table; these and what follows are destroyed by node_fini */
    struct route_table *routes6; /* IPv6; NULL: IPv6 is ignored here */
    struct route_rules *rules;  /* policy routing over `routes`; NULL: none */
    struct route_rules *rules6; /* over `routes6` */
    struct nat *nat;            /* IPv4; NULL: none */
    struct filter *filter;      /* NULL: none */
    struct icmp_limiter *icmp;  /* NULL: ICMP errors are not limited (icmp.h) */
    unsigned n_stages;
    struct stage stages[NODE_STAGES_MAX];
    uint64_t delivered, forwarded;
    uint64_t icmp_errors, icmp_limited; /* made; not made because of the limit */
    uint64_t drops[DROP_COUNT];
};

/* Sets the stage table from what the node has. Call after ports, routes and nat are set,
 * and after any of them is replaced. */
void node_prepare(struct node *node);
void node_fini(struct node *node);
/* Forgets sessions, flows and rates, as if it had just started. Counters stay. */
void node_reset(struct node *node);

/*
 * The path that packet.path names, for a packet of the family; NULL for ROUTE_NONE. `table` (may be NULL) gets the
 * table that it stands in: 0 the main one, UINT_MAX when a rule refused by itself.
 */
const struct route_path *node_path(const struct node *node, uint8_t family, uint32_t path, unsigned *table);
/* The neighbour that a forwarded packet goes to: its destination when on link. */
struct ip node_next_hop(const struct node *node, const struct packet *p);

/*
 * Every packet gets its verdict (n <= BURST_MAX). The caller's array keeps its order. `now`: ns, must not go backwards.
 * Needs data, len, wire_len, room, flags, in_port and tag of each packet.
 */
void forward(struct node *node, struct packet *const *pkts, unsigned n, uint64_t now);
/* A packet of the node's own (in_port PORT_NONE): the same without guard; source and
 * destination already in the header. */
void forward_own(struct node *node, struct packet *p, uint64_t now);

/*
 * Packets that forward() held (VERDICT_HELD: fragments that came before their first one, SYNs that nobody asked for).
 * After a burst the caller takes those that are due into memory of its own (p->data, p->room: NAT_HELD_BYTES) and
 * passes them through forward() as a later burst: the verdict is that of the packet that was held, whose tag they have.
 * Those that waited in vain come too, and are dropped then. So each packet that came in is delivered, forwarded,
 * dropped, or still held.
 */
static inline unsigned node_due(const struct node *node) {
    return node->nat ? nat_due(node->nat) : 0;
}
static inline bool node_take_due(struct node *node, struct packet *p) {
    return node->nat && nat_take_due(node->nat, p);
}

/* The stages themselves, for benchmarks and tests. */
unsigned stage_express(struct node *node, struct packet **pkts, unsigned n, uint64_t now); /* keeps what is not plain */
unsigned stage_parse(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
unsigned stage_ipv6(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
unsigned stage_filter_in(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
unsigned stage_filter_out(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
unsigned stage_mtu(struct node *node, struct packet **pkts, unsigned n, uint64_t now); /* both families */
unsigned stage_guard(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
unsigned stage_rpf(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
unsigned stage_nat_in(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
unsigned stage_route(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
unsigned stage_nat_out(struct node *node, struct packet **pkts, unsigned n, uint64_t now);
unsigned stage_rewrite(struct node *node, struct packet **pkts, unsigned n, uint64_t now);

#endif
