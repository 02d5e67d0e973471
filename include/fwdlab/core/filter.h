/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Security groups at the ports of one node: ordered lists of rules that allow or deny what arrives and what leaves, and
 * the flows that they let through. A flow that was allowed in one direction may be answered by the same port in the
 * other one, whatever the rules say, and so may ICMP errors about it; each port has its own flows, so that an answer
 * that takes another way is judged by the rules there. Both families.
 *
 * A port has up to two groups a direction: its subnet's and its own. What arrives passes the subnet's first, what
 * leaves the port's first; both must allow it. Addresses and ports are those on the wire: what arrives is judged before
 * NAT, what leaves after it. Later fragments have no ports: rules that name ports do not match them, but a later
 * fragment of an allowed flow between the same two addresses and protocol passes.
 *
 * Bursts. All of a burst arrives before any of it leaves: an answer, or an ICMP error about a flow, belongs in a later
 * burst than the packet that may make the flow. Verdicts do not depend on bursts otherwise, while flows have room.
 */
#ifndef FWDLAB_CORE_FILTER_H
#define FWDLAB_CORE_FILTER_H

#include <stdbool.h>
#include <fwdlab/core/packet.h>

enum filter_direction { FILTER_IN, FILTER_OUT };

struct filter_rule {
    bool allow;
    uint8_t proto;                /* 0: any */
    struct ip_prefix src, dst;    /* addr.family FAMILY_NONE: any address of any family */
    uint16_t sport_min, sport_max, dport_min, dport_max; /* host order; 0, 65535: any, also protocols without ports */
    char name[40];                /* as the scenario calls it */
};

/* The first rule that matches decides; none: denied. A rule may stand several times (one for each prefix it names). */
struct filter_group {
    char name[40];
    uint32_t n_rules[2];               /* by enum filter_direction */
    const struct filter_rule *rules[2]; /* copied by filter_create */
};

struct filter_port {
    uint16_t subnet, nic; /* index of the group; FILTER_NONE: everything is allowed */
};
#define FILTER_NONE UINT16_MAX

struct filter_config {
    uint16_t n_ports, n_groups;
    const struct filter_port *ports;   /* n_ports, the node's */
    const struct filter_group *groups;
    uint32_t max_flows;                /* 0: 65536; beyond it the flow that was idle longest is forgotten */
    uint64_t idle_ns;                  /* 0: 240 s */
};

struct filter;

/* NULL with -EINVAL (a group that does not exist) or -ENOMEM in errno. Everything is allocated here. */
struct filter *filter_create(const struct filter_config *config);
void filter_destroy(struct filter *f);
/* Forgets all flows. */
void filter_reset(struct filter *f);
/* Does any port have a group? */
bool filter_active(const struct filter *f);

/*
 * Stages: drop with DROP_DENIED_IN, DROP_DENIED_OUT. filter_in judges by in_port, filter_out by out_port; packets whose
 * port is PORT_NONE (the node's own, delivered ones) pass that side. `now`: ns, must not go backwards.
 */
void filter_in(struct filter *f, struct packet **pkts, unsigned n, uint64_t now);
void filter_out(struct filter *f, struct packet **pkts, unsigned n, uint64_t now);

/* What the rules alone, without flows, say of a flow at a port. */
struct filter_answer {
    bool allowed;
    bool by_subnet;                 /* it was the subnet's group that denied */
    const struct filter_group *group; /* NULL: no group there */
    const struct filter_rule *rule; /* that decided; NULL: none matched */
};
struct filter_answer filter_judge(const struct filter *f, uint16_t port, enum filter_direction d,
                                  const struct flow_key *key);

#endif
