/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What packets ask for that may begin sessions with mappings of their own. It is found out for a chunk of packets, in
 * loops of one step, so that the memory that their sessions will need is on its way when it is their turn: the cells of
 * their ports, the records of mappings that are in the way, the buckets of both keys, the clients.
 */
#include "nat_client.h"

#define CELLS_TRIED 16u /* ports that are nearly always enough to find a free one, also where half are in use */

static inline struct nat_want want_of(const struct nat *n, uint8_t proto, const struct nat_tuple *outward) {
    const uint64_t client = nat_hash_client(outward->src);
    const uint32_t home = n->config.arbitrary_pooling ? nat_first_address(n, outward) : nat_home_hashed(n, client);
    return (struct nat_want){.outward = *outward,
                             .hash = nat_hash(NAT_KEY_SESSION, proto, outward),
                             .home = home,
                             .natural = nat_port_cell_at(n, proto, home, outward->sport),
                             .client_list = nat_client_list_hashed(n, client),
                             .proto = proto};
}

struct nat_want nat_want_of(const struct nat *n, uint8_t proto, const struct nat_tuple *outward) {
    return want_of(n, proto, outward);
}

/* The last of the cells that are likely to be tried, of the same address. */
static uint32_t last_tried(uint32_t natural) {
    const uint32_t last = natural | UINT16_MAX;
    return last - natural < CELLS_TRIED ? last : natural + CELLS_TRIED;
}

static inline void fetch(const struct nat *n, const struct nat_want *w) {
    if (w->natural != NAT_NONE) {
        nat_fetch(&n->cells[w->natural]);
        nat_fetch(&n->cells[last_tried(w->natural)]);
    }
    if (w->client_list)
        nat_fetch(w->client_list);
}

/* The port will be its own one, or one of the next. Mappings that are in the way may be idle. */
static inline void fetch_more(const struct nat *n, const struct nat_want *w) {
    const uint64_t ends = nat_ends(w->outward.dst, n->config.addresses[w->home]);
    be16 port = w->outward.sport;
    if (w->natural != NAT_NONE && n->cells[w->natural]) {
        uint32_t cell = w->natural, last = last_tried(cell), node;
        nat_fetch(nat_table_bucket(&n->table, nat_hash_inside(n, w->proto, &w->outward)));
        for (; cell < last && (node = nat_cell_node(n, cell)) != NAT_NONE; cell++)
            nat_fetch(&n->records[node >> 1]);
        port = htons((uint16_t)cell);
    }
    nat_fetch(nat_table_bucket(&n->table, nat_hash_words(NAT_KEY_SESSION, w->proto, ends,
                                                         nat_ports(w->outward.dport, port))));
    if (w->client_list)
        nat_client_fetch(n, *w->client_list - 1);
}

/* Will it most likely get a session with a new mapping? */
static inline bool may_map(const struct nat *n, const struct packet *p) {
    return !p->session && p->out_port == n->config.outside_port &&
           !(p->flags & (PACKET_FRAG_LATER | PACKET_ICMP_ERROR));
}

uint64_t nat_wants(const struct nat *n, struct packet *const *pkts, unsigned count, struct nat_want *want) {
    uint64_t wanted = 0;
    unsigned wants = 0;
    if (!n->groups)
        return 0;
    for (unsigned i = 0; i < count; i++) {
        if (may_map(n, pkts[i])) {
            const struct nat_tuple outward = nat_packet_tuple(pkts[i]);
            want[wants] = want_of(n, pkts[i]->proto, &outward);
            fetch(n, &want[wants++]);
            wanted |= UINT64_C(1) << i;
        }
    }
    for (unsigned k = 0; k < wants; k++)
        fetch_more(n, &want[k]);
    return wanted;
}
