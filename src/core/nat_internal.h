/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of NAT share.
 *
 * Records are sessions and port maps, in one preallocated array. A session is found by both of its tuples. A mapping
 * says which outside port an inside port has (RFC 4787 REQ-1). It has no record of its own: it is a ring of sessions
 * that share it, one of which, the head, stands for it: in the cell of its outside port, and, when that is not where it
 * would be looked for first, in the index under its inside end. It ends with the last of them. Port maps are mappings
 * that never end, and are records without a session. With NAT_CONNTRACK there are no other mappings.
 *
 * A session has two sides. One of them belongs to a mapping, the other is the remote end; of a
 * hairpin session both are inside, and both belong to mappings. A side is named by a node, record << 1 | side, and what
 * it sends comes in as way[side].
 *
 * Time: a session lives at least its idle time and no more than two ticks (4.2 ms each) longer. Every lookup takes one
 * that is past this as gone, so that verdicts do not depend on when the timer wheel comes by to free it.
 *
 * nat_in finds and changes destinations, nat_out changes sources, tracks states and makes sessions. Nothing that nat_in
 * does depends on what nat_out does for an earlier packet, but for a session that is made there; nat_out looks again.
 */
#ifndef FWDLAB_CORE_NAT_INTERNAL_H
#define FWDLAB_CORE_NAT_INTERNAL_H

#include <fwdlab/core/parse.h>
#include "bytes.h"
#include "nat_store.h"

/* packet.session of a packet that nat_in sent through a mapping, and that has no session yet: with the node of a side
 * that stands for the mapping. */
#define NAT_VIA_MAPPING 0x80000000u

static inline bool nat_has_session(const struct packet *p) {
    return p->session && !(p->session & NAT_VIA_MAPPING);
}
static inline bool nat_via_mapping(const struct packet *p) {
    return p->session & NAT_VIA_MAPPING;
}
static inline struct nat_record *nat_packet_session(const struct nat *n, const struct packet *p) {
    return &n->records[p->session - 1];
}
static inline void nat_forget_session(struct packet *p) {
    p->session = 0;
    p->flags &= (uint16_t)~PACKET_REPLY;
}

/* Fetches memory into the second cache: the first one has too few buffers for what is on its way. The empty asm keeps
 * gcc from dropping calls of functions that only fetch. */
static inline void nat_fetch(const void *memory) {
    __builtin_prefetch(memory, 0, 2);
    __asm__ volatile("");
}

/* Values of the index. */
static inline uint32_t nat_value(uint32_t record, bool reply) {
    return record << 1 | reply;
}

/* Ticks are counted modulo 2^32: only differences mean anything. */
static inline uint32_t nat_tick(uint64_t ns) {
    return (uint32_t)(ns >> NAT_TICK_SHIFT);
}
static inline bool nat_session_fresh(const struct nat *n, const struct nat_record *r, uint64_t now) {
    return r->kind == NAT_SESSION && nat_tick(now) - r->last <= n->idle[r->timer];
}

/* What a session's timer is at first. */
static inline unsigned nat_first_timer(uint8_t proto) {
    return proto == PROTO_TCP    ? TIMER_TCP_TRANSITORY
           : proto == PROTO_UDP  ? TIMER_UDP
           : proto == PROTO_ICMP ? TIMER_ICMP
                                 : TIMER_OTHER;
}

static inline struct nat_tuple nat_inverse(struct nat_tuple t) {
    const uint64_t ends = load64(&t.src);
    const uint32_t ports = load32(&t.sport);
    return nat_tuple_of(ends << 32 | ends >> 32, ports << 16 | ports >> 16);
}
/* How a session's packets leave; they come in as way[reply]. */
static inline struct nat_tuple nat_after(const struct nat_record *r, bool reply) {
    return nat_inverse(r->way[!reply]);
}
static inline bool nat_tuple_equal(const struct nat_tuple *a, const struct nat_tuple *b) {
    return ((load64(&a->src) ^ load64(&b->src)) | (load32(&a->sport) ^ load32(&b->sport))) == 0;
}

static inline bool nat_is_way(const struct nat_record *r, bool reply, uint8_t proto, const struct nat_tuple *tuple) {
    return r->proto == proto && r->kind == NAT_SESSION && nat_tuple_equal(&r->way[reply], tuple);
}

/* The session whose packets come in like this, as in the index, idle or not; NAT_NONE. */
static inline uint32_t nat_find_hashed(const struct nat *n, uint64_t hash, uint8_t proto,
                                       const struct nat_tuple *tuple) {
    struct nat_search s;
    uint32_t v = nat_search(&s, &n->table, hash);
    while (v != NAT_NONE && !nat_is_way(&n->records[v >> 1], v & 1, proto, tuple))
        v = nat_search_on(&s, &n->table);
    return v;
}
static inline uint32_t nat_find_value(const struct nat *n, uint8_t proto, const struct nat_tuple *tuple) {
    return nat_find_hashed(n, nat_hash(NAT_KEY_SESSION, proto, tuple), proto, tuple);
}

/* The packets of a session that its mapping sends out, as they come in from inside. */
static inline const struct nat_tuple *nat_outward(const struct nat_record *r) {
    return &r->way[!!(r->flags & NAT_FROM_OUTSIDE)];
}
/* The outside end of a mapping as the destination, by any of its sessions or by a port map. */
static inline struct nat_tuple nat_outside_end(const struct nat_record *r) {
    const struct nat_tuple *in = &r->way[!(r->flags & NAT_FROM_OUTSIDE)];
    return (struct nat_tuple){.dst = in->dst, .dport = in->dport};
}
/* What a mapping looks at of a packet from inside (enum nat_behaviour): the rest is 0. */
static inline struct nat_tuple nat_inside_end(const struct nat *n, const struct nat_tuple *outward) {
    const bool addr = n->config.mapping >= NAT_ADDRESS_DEPENDENT, port = n->config.mapping > NAT_ADDRESS_DEPENDENT;
    return nat_tuple_of(nat_ends(outward->src, addr ? outward->dst : 0),
                        nat_ports(outward->sport, port ? outward->dport : 0));
}

/* Its key. */
static inline uint64_t nat_hash_inside(const struct nat *n, uint8_t proto, const struct nat_tuple *outward) {
    const struct nat_tuple end = nat_inside_end(n, outward);
    return nat_hash(NAT_KEY_INSIDE, proto, &end);
}

/* The same two of a node: what its side sends, as it comes in, and the outside end of its mapping. */
static inline const struct nat_tuple *nat_node_outward(const struct nat *n, uint32_t node) {
    return &n->records[node >> 1].way[node & 1];
}
static inline struct nat_tuple nat_node_outside(const struct nat *n, uint32_t node) {
    const struct nat_tuple *in = &n->records[node >> 1].way[!(node & 1)];
    return (struct nat_tuple){.dst = in->dst, .dport = in->dport};
}
static inline uint32_t nat_via_node(const struct packet *p) {
    return p->session & ~NAT_VIA_MAPPING;
}

/* Is everything that is idle freed, so that counts are exact? */
static inline bool nat_is_settled(const struct nat *n, uint64_t now) {
    return n->stats.live == 0 || n->hand >= now >> NAT_TICK_SHIFT;
}

static inline uint32_t nat_address_hash(be32 addr) {
    return (uint32_t)(addr * UINT64_C(0x9e3779b97f4a7c15) >> 40);
}
/* Index of an outside address; NAT_NONE. */
static inline uint32_t nat_address_index(const struct nat *n, be32 addr) {
    for (uint32_t at = nat_address_hash(addr);; at++) {
        const uint32_t i = n->address_slots[at & n->address_mask];
        if (!i)
            return NAT_NONE;
        if (n->config.addresses[i - 1] == addr)
            return i - 1;
    }
}
static inline bool nat_is_outside(const struct nat *n, be32 addr) {
    return nat_address_index(n, addr) != NAT_NONE;
}

/* nat_session.c: records, their index and their timers. */
int nat_records_init(struct nat *n);
void nat_records_fini(struct nat *n);
void nat_records_clear(struct nat *n); /* of a new NAT: makes the lists */
void nat_sessions_free(struct nat *n); /* all of them, and their mappings; port maps stay */
/* Is there room for a session? Frees idle ones when there is none. */
bool nat_session_room(struct nat *n, uint64_t now);
/* Frees all that are idle: what is left in the index is live. */
void nat_settle(struct nat *n, uint64_t now);
/* What a session begins with; flags: NAT_MAPPED (then it joins its mapping or makes it), NAT_FROM_OUTSIDE, NAT_HAIRPIN,
 * NAT_UNCALLED. */
struct nat_new {
    struct nat_tuple way[2];
    uint64_t hash[2];          /* of both, NAT_KEY_SESSION */
    uint32_t cell;             /* of the mapping that it makes; NAT_NONE: it makes none, or that is not known yet */
    uint32_t natural;          /* the one which that would have had */
    uint8_t proto;
    uint16_t flags, far_flags; /* far_flags: of a hairpin session's called side */
    uint32_t client, far_client;
    uint32_t last;             /* tick when it was last used */
};
/* Makes a session; there must be room and both tuples must be unused. */
uint32_t nat_session_create(struct nat *n, const struct nat_new *new, uint64_t now);
/* Sets its timer and takes note that it was used. */
void nat_session_touch(struct nat *n, uint32_t session, enum nat_timer timer, uint64_t now);
uint32_t nat_record_take(struct nat *n);
void nat_session_free(struct nat *n, uint32_t session);
/* The live session whose packets come in like this, as in the index; NAT_NONE. One that is idle too long is freed. */
static inline uint32_t nat_find_live_hashed(struct nat *n, uint64_t hash, uint8_t proto, const struct nat_tuple *tuple,
                                            uint64_t now) {
    const uint32_t value = nat_find_hashed(n, hash, proto, tuple);
    if (value == NAT_NONE || nat_session_fresh(n, &n->records[value >> 1], now))
        return value;
    nat_session_free(n, value >> 1);
    return NAT_NONE;
}
static inline uint32_t nat_find_live(struct nat *n, uint8_t proto, const struct nat_tuple *tuple, uint64_t now) {
    return nat_find_live_hashed(n, nat_hash(NAT_KEY_SESSION, proto, tuple), proto, tuple, now);
}

/* nat_want.c: what a packet asks for that may begin a session with a mapping of its own. */
struct nat_want {
    struct nat_tuple outward;    /* as it came in */
    uint64_t hash;               /* of it, NAT_KEY_SESSION */
    uint32_t home;               /* address of a client without sessions */
    uint32_t natural;            /* cell of its own port there; NAT_NONE */
    const uint32_t *client_list; /* where its client is found; NULL */
    uint8_t proto;
};
struct nat_want nat_want_of(const struct nat *n, uint8_t proto, const struct nat_tuple *outward);
/* Of the packets that most likely begin one, in their order; fetches what their sessions need. A bit for each. */
uint64_t nat_wants(const struct nat *n, struct packet *const *pkts, unsigned count, struct nat_want *want);

/* nat_mapping.c: what sides of sessions have in common. */
void nat_port_map_create(struct nat *n, uint8_t proto, const struct nat_tuple *inside, const struct nat_tuple *outside,
                         uint16_t flags);
/* A node that stands for a mapping: a side of a live session of it, or a port map's record << 1; NAT_NONE. */
uint32_t nat_mapping_inside(struct nat *n, uint32_t natural, uint8_t proto, const struct nat_tuple *outward,
                            uint64_t now);
uint32_t nat_mapping_outside(struct nat *n, uint8_t proto, be32 addr, be16 port, uint64_t now);
uint32_t nat_mapping_at(struct nat *n, uint32_t cell, uint64_t now); /* that has the cell */

/* Has the inside end of a mapping sent to this remote address (address-dependent filtering)? Port maps are for all. */
bool nat_permits(struct nat *n, uint8_t proto, const struct nat_tuple *outside_end, be32 remote, uint64_t now);
/* The called side of a hairpin session has sent something. */
void nat_session_called(struct nat *n, uint32_t session);
/* A session comes from inside that makes its mapping. */
void nat_side_begin(struct nat *n, uint32_t session, const struct nat_new *new);
/* A side of a session comes, goes. permits: it has sent to its remote address. */
void nat_side_join(struct nat *n, uint32_t node, bool permits, uint64_t now);
void nat_side_leave(struct nat *n, uint32_t node, uint32_t cell); /* of the outside port, if it has a mapping */

/* nat_begin.c: what a new session gets. Refused packets are dropped. want: what is known of it already; NULL. */
bool nat_is_named(const struct nat *n, be32 dst); /* among the destinations without translation */
/* Is what goes there not translated (RFC 6888 REQ-6)? */
static inline bool nat_is_untranslated(const struct nat *n, be32 dst) {
    return n->config.n_untranslated && nat_is_named(n, dst);
}
void nat_begin(struct nat *n, struct packet *p, const struct nat_want *want, uint64_t now);

/* nat_port.c: outside addresses and ports. Taken by sessions (NAT_CONNTRACK) or mappings (NAT_INTERFACE). */
int nat_ports_init(struct nat *n);
void nat_ports_fini(struct nat *n);
/* TCP 0, UDP 1, ICMP 2; others, whose ports are not translated: 3. */
static inline unsigned nat_port_class(uint8_t proto) {
    return proto == PROTO_TCP ? 0 : proto == PROTO_UDP ? 1 : proto == PROTO_ICMP ? 2 : 3;
}
/* The cell of a port; NAT_NONE: it is not translated. */
static inline uint32_t nat_port_cell_at(const struct nat *n, uint8_t proto, uint32_t address, be16 port) {
    const unsigned class = nat_port_class(proto);
    return class == 3 ? NAT_NONE : (class * n->config.n_addresses + address) << 16 | ntohs(port);
}
static inline uint32_t nat_port_cell(const struct nat *n, uint8_t proto, be32 outside, be16 port) {
    const uint32_t address = nat_address_index(n, outside);
    return address == NAT_NONE ? NAT_NONE : nat_port_cell_at(n, proto, address, port);
}
/* The cell of a node's mapping. */
static inline uint32_t nat_node_cell(const struct nat *n, uint32_t node) {
    const struct nat_tuple end = nat_node_outside(n, node);
    return nat_port_cell(n, n->records[node >> 1].proto, end.dst, end.dport);
}
/* For one more user, one less; cell NAT_NONE: nothing to be done. */
void nat_port_take(struct nat *n, uint32_t cell);
void nat_port_give_back(struct nat *n, uint32_t cell);
static inline uint32_t nat_cell_node(const struct nat *n, uint32_t cell) {
    return (n->cells[cell] & NAT_CELL_NODE) - 1;
}
static inline void nat_cell_set(struct nat *n, uint32_t cell, uint32_t node) {
    n->cells[cell] = (n->cells[cell] & ~NAT_CELL_NODE) | (node + 1);
}
static inline unsigned nat_cell_moved(const struct nat *n, uint32_t cell) {
    return n->cells[cell] >> NAT_CELL_SHIFT;
}
struct nat_range {
    uint32_t low, high; /* host order */
};
/* Where a port is looked for that cannot keep its number. */
struct nat_range nat_port_range(const struct nat *n, uint8_t proto, uint16_t own);
/* Completes the tuple of a packet's answers with a port that makes it unique. */
bool nat_port_for_session(struct nat *n, const struct packet *p, struct nat_tuple *reply, uint64_t now);
/*
 * Completes a mapping's outside end with a free port of the range: the one that `wanted` names when it is in it, else
 * the next that is free, all round. wanted: host order; end->src: whose mapping it will be.
 */
bool nat_port_for_mapping(struct nat *n, uint8_t proto, uint32_t address, struct nat_tuple *end, struct nat_range r,
                          uint32_t wanted, uint64_t now);
/* A side of a session leaves its mapping: the port will rest from when that session ended, or a later one. */
void nat_port_rest(struct nat *n, uint32_t node);

/* nat_state.c: states and timers. */
/* May a connection begin with this packet (NAT_CONNTRACK)? */
bool nat_may_begin(const struct packet *p);
void nat_track(struct nat *n, const struct packet *p, uint64_t now);
/* The same of a session that was made for this packet, just now. */
void nat_track_first(struct nat *n, const struct packet *p, uint64_t now);
bool nat_is_reset(const struct packet *p);
bool nat_is_syn(const struct packet *p); /* the first packet of a connection */

/* nat_rewrite.c: bytes. */
bool nat_icmp_is_request(uint8_t type);
/* The tuple of a packet as its header now stands. */
struct nat_tuple nat_packet_tuple(const struct packet *p);
/* Does the packet carry a source port (destination port) that may be translated? */
bool nat_moves_port(const struct packet *p, bool source);
void nat_set_source(struct packet *p, be32 addr, be16 port);
void nat_set_destination(struct packet *p, be32 addr, be16 port);

/* Headers where they may be translated: a packet's own, or those inside an ICMP error. */
struct nat_view {
    struct ipv4_header *ip;
    uint8_t *l4;         /* NULL: none, or not in this fragment */
    const uint8_t *end;  /* nothing is read or written from here on */
};
uint8_t *nat_port_field(const struct nat_view *v, bool source); /* NULL: none */
void nat_view_set(const struct nat_view *v, bool source, be32 addr, be16 port);

/* nat_icmp.c: ICMP errors. */
void nat_icmp_in(struct nat *n, struct packet *p, uint64_t now);
void nat_icmp_out(struct nat *n, struct packet *p, uint64_t now);

/* nat_fragment.c: later fragments and what the first one leaves for them. */
void nat_fragment_first_in(struct nat *n, const struct packet *p, uint64_t now); /* before its destination changes */
void nat_fragment_first_out(struct nat *n, const struct packet *p, const struct nat_tuple *came, uint64_t now);
void nat_fragment_in(struct nat *n, struct packet *p, uint64_t now);
void nat_fragment_out(struct nat *n, struct packet *p, uint64_t now);
unsigned nat_fragments_due(struct nat *n); /* held must not be NULL */

/* nat_syn.c: SYNs that nobody asked for, and what waits. */
/* Holds one that no mapping lets in, or drops it; leaves what is none alone. */
void nat_syn_without_mapping(struct nat *n, struct packet *p, uint64_t now);
/* The same of one that a filter refuses: with its destination again as it came in. False: it is none. */
bool nat_syn_filtered(struct nat *n, struct packet *p, const struct nat_tuple *came, uint64_t now);
/* As nat_in: what may be held, and what was. */
void nat_held_in(struct nat *n, struct packet *p, uint64_t now);

/* nat.c: takes the packet along with its session or mapping. */
void nat_meet(struct nat *n, struct packet *p, uint32_t value);
void nat_apply_destination(struct nat *n, struct packet *p);
/* False when the packet does not leave as its session would have it (NAT_INTERFACE): it has no session then. */
bool nat_apply_source(struct nat *n, struct packet *p);
/* Tracks the state of the packet's session; drops what a hairpin session's called side does not let in yet. */
void nat_use(struct nat *n, struct packet *p, uint64_t now);

/*
 * The caller's clock goes on. What was idle for 2^32 ticks would look young again. No session gets there: all idle ones
 * are freed, whatever the budget, when that was last done NAT_TICKS_MAX ago. So none is idle for more than three times
 * that: its own time, until then, and the clock's last step.
 */
static inline void nat_clock(struct nat *n, uint64_t now) {
    const uint64_t most = (uint64_t)NAT_TICKS_MAX << NAT_TICK_SHIFT;
    if (__builtin_expect(now > n->now + most, 0))
        nat_sessions_free(n);
    else if (__builtin_expect(now > n->settled + most, 0))
        nat_settle(n, now);
    n->now = now;
}

#endif
