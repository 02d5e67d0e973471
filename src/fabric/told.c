/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who hears of a loss: the ICMP error that a node owes the sender walks back as any packet does. The platform's
 * gateways send none; a path whose MTU needs one that does not arrive is a black hole (RFC 2923, 2.1).
 */
#include "fabric.h"

/* A machine's applications hear from their own host what it would have told others (icmp.h). */
static bool owes_error(uint8_t reason) {
    return reason == DROP_TTL_EXPIRED || reason == DROP_NO_ROUTE || reason == DROP_UNREACHABLE ||
           reason == DROP_PROHIBITED || reason == DROP_TOO_BIG || reason == DROP_NO_NEIGHBOUR;
}

/* A site's router stands for all of the site and has no address of its own: it answers with the one that was asked for.
 */
static bool make_error(struct control_node *n, const struct packet *lost, struct packet *error) {
    struct flow_key key;
    bool site = n->kind == CONTROL_SITE;
    packet_key(lost, &key);
    for (uint16_t i = 0; i < n->node.n_ports && site; i++) {
        if (key.family == FAMILY_IPV6)
            memcpy(n->node.ports[i].addr6, key.dst, sizeof key.dst);
        else
            memcpy(&n->node.ports[i].addr, key.dst, sizeof n->node.ports[i].addr);
    }
    bool made = icmp_error(&n->node, lost, error, WALK_TIME);
    for (uint16_t i = 0; i < n->node.n_ports && site; i++) {
        n->node.ports[i].addr = 0;
        memset(n->node.ports[i].addr6, 0, sizeof n->node.ports[i].addr6);
    }
    return made;
}

bool walk_told(struct fabric *f, const struct walk *w, const struct probe *lost) {
    const struct hop *end = walk_end(w);
    struct control_node *n = &f->control->nodes[end->node];
    if (end->in == PORT_NONE || n->kind == CONTROL_GATEWAY)
        return end->in == PORT_NONE && owes_error(end->reason);
    struct packet dropped = lost->p;
    struct probe error;
    struct walk way;
    packet_drop(&dropped, (enum drop)end->reason);
    error.p = (struct packet){.data = error.data, .room = sizeof error.data, .flags = PACKET_RAW_IP};
    if (!make_error(n, &dropped, &error.p))
        return false;
    struct forks forks = f->forks; /* those of the judged walks */
    f->forks = (struct forks){0};
    walk_probe(f, end->node, PORT_NONE, &error, &way);
    f->forks = forks;
    return walk_end(&way)->verdict == VERDICT_DELIVER && walk_end(&way)->node == w->hops[0].node;
}

bool walk_mtu_told(struct fabric *f, const struct walk *w, const struct flow_key *key, bool answer,
                   unsigned forks_before, uint16_t *mtu) {
    const struct hop *first = &w->hops[0];
    uint16_t own = first->out == PORT_NONE ? 0 : f->control->nodes[first->node].node.ports[first->out].mtu;
    struct probe big;
    struct walk way;
    if (!w->mtu || w->mtu == UINT16_MAX || (own && own <= w->mtu)) /* who sends more than that is told at home */
        return true;
    if (!*mtu || w->mtu < *mtu)
        *mtu = w->mtu;
    struct forks forks = f->forks;
    f->forks.n = forks_before; /* the same choices once more */
    probe_build(&big, key, answer, (uint16_t)(w->mtu + 1));
    walk_probe(f, first->node, PORT_NONE, &big, &way);
    f->forks = forks;
    return walk_end(&way)->reason != DROP_TOO_BIG || walk_told(f, &way, &big);
}
