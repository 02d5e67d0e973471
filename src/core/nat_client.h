/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside addresses, what they share of outside addresses and ports, and what they may have: nat_client.c. */
#ifndef FWDLAB_CORE_NAT_CLIENT_H
#define FWDLAB_CORE_NAT_CLIENT_H

#include "nat_internal.h"

int nat_clients_init(struct nat *n);
void nat_clients_fini(struct nat *n);
uint32_t nat_client_find(const struct nat *n, be32 inside); /* NAT_NONE: has no sessions, or nobody asks */
static inline uint64_t nat_hash_client(be32 inside) {
    return nat_hash_words(NAT_KEY_NOTHING, 0, nat_ends(inside, 0), 0);
}
/* Where a client is looked for: a list of index + 1, 0: empty; NULL: there are none. */
static inline uint32_t *nat_client_list_hashed(const struct nat *n, uint64_t hash) {
    return n->clients ? &n->client_heads[hash >> n->client_shift] : NULL;
}
static inline uint32_t *nat_client_list(const struct nat *n, be32 inside) {
    return nat_client_list_hashed(n, nat_hash_client(inside));
}
static inline void nat_client_fetch(const struct nat *n, uint32_t client) {
    if (client != NAT_NONE)
        nat_fetch(&n->clients[client]);
}
/* Counts a side of a session, and the ports of mappings; client NAT_NONE: nobody's. The last one takes all with it. */
void nat_client_join(struct nat *n, uint32_t client);
void nat_client_leave(struct nat *n, uint32_t client);
void nat_client_port(struct nat *n, uint32_t client, uint8_t proto, int change);
/* May it have one more session? */
bool nat_client_may_begin(struct nat *n, be32 inside, uint64_t now);
/* What a new mapping gets, or a session whose ports stay. */
struct nat_place {
    struct nat_tuple end; /* outside end */
    uint32_t address;     /* its index */
    uint32_t block;       /* that the client gets with it; NAT_NONE */
    uint32_t client;      /* who asked for it; NAT_NONE: not known */
};
/* The natural port and address, when nothing has to be asked for that; w->natural must be a cell. */
bool nat_place_natural(const struct nat *n, const struct nat_want *w, struct nat_place *place);
/* For what an inside end sends. DROP_NONE, DROP_NAT_NO_PORT, DROP_NAT_CLIENT_LIMIT. */
enum drop nat_place_mapping(struct nat *n, const struct nat_want *w, struct nat_place *place, uint64_t now);
/* reply: the tuple of answers to what has no port that may be translated; its destination is what is looked for. */
bool nat_place_portless(struct nat *n, uint8_t proto, be32 inside, struct nat_tuple *reply, uint64_t now);
/* The client of a session that will be made; with `place`, if any, as its address when it is new. The inline part knows
 * the usual one: who asked for the place has sessions, and nothing else changes. */
uint32_t nat_client_take(struct nat *n, be32 inside, const struct nat_place *place);
static inline uint32_t nat_client_of(struct nat *n, be32 inside, const struct nat_place *place) {
    const bool known = place && place->client != NAT_NONE && place->block == NAT_NONE && !n->paces;
    if (!n->clients || (known && n->clients[place->client].sessions))
        return known ? place->client : NAT_NONE;
    return nat_client_take(n, inside, place);
}
/* An outside address by a hash's upper half: that modulo how many there are, without a division (Lemire et al.). */
static inline uint32_t nat_home_hashed(const struct nat *n, uint64_t hash) {
    return (uint32_t)((unsigned __int128)(n->address_inverse * (hash >> 32)) * n->config.n_addresses >> 64);
}
/* That of an inside one that has no sessions. */
static inline uint32_t nat_home(const struct nat *n, be32 inside) {
    return nat_home_hashed(n, nat_hash_client(inside));
}
/* Where a place is looked for first for a client that has no sessions. */
uint32_t nat_first_address(const struct nat *n, const struct nat_tuple *outward);
/* The natural cell of a node's inside end. */
static inline uint32_t nat_node_natural(const struct nat *n, uint32_t node) {
    const struct nat_tuple *outward = nat_node_outward(n, node);
    return nat_port_cell_at(n, n->records[node >> 1].proto, nat_first_address(n, outward), outward->sport);
}

#endif
