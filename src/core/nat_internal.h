/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of NAT share.
 *
 * Records are sessions and port maps, in one preallocated array. A session is found by both of its tuples. A mapping
 * says which outside port an inside port has (RFC 4787 REQ-1). It has no record of its own: it is a ring of sessions
 * that share it, one of which, the head, stands in the index under the mapping's inside and outside end. It ends with
 * the last of them. Port maps are mappings that never end, and are records without a session. With NAT_CONNTRACK there
 * are no other mappings.
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
#include "nat_table.h"

enum nat_timer { TIMER_TCP_ESTABLISHED, TIMER_TCP_TRANSITORY, TIMER_TCP_CLOSING, TIMER_TCP_RESET, TIMER_UDP,
                 TIMER_UDP_STREAM, TIMER_ICMP, TIMER_OTHER, TIMER_COUNT };

enum nat_kind { NAT_FREE, NAT_SESSION, NAT_PORT_MAP };

/* nat_record.flags. Each _REPLY is its _ORIGINAL << 1. */
enum {
    NAT_FROM_OUTSIDE = 1 << 0, /* began by a mapping */
    NAT_OUTSIDE_ONLY = 1 << 1, /* port map: not found by its inside end */
    NAT_MAPPED = 1 << 2,       /* session: belongs to a mapping that is no port map */
    NAT_HEAD = 1 << 3,         /* and stands in the index for it */
    NAT_ACK_ORIGINAL = 1 << 4, /* TCP: ACK seen */
    NAT_ACK_REPLY = 1 << 5,
    NAT_FIN_ORIGINAL = 1 << 6,
    NAT_FIN_REPLY = 1 << 7,
    NAT_STEADY_ORIGINAL = 1 << 8, /* nothing but `last` changes with a packet of this direction, were it not a TCP one */
    NAT_STEADY_REPLY = 1 << 9,    /* with SYN, FIN or RST: see nat_hit.h */
};

struct nat_link {
    uint32_t prev, next;
};

/* What a packet that has its session needs. */
struct nat_record {
    struct nat_tuple way[2]; /* as packets come in: of the first one's direction, and of the answers. Of a port map: inside
                                end as source of the one, outside end as destination of the other, the rest 0 */
    uint32_t last;           /* tick when it was last used */
    uint8_t proto;
    uint8_t kind : 2, timer : 3, state : 3; /* enum nat_kind, nat_timer, nat_state */
    uint16_t flags;
};
static_assert(sizeof(struct nat_record) == 32, "two to a cache line");

/* And the rest. */
struct nat_cold {
    struct nat_link siblings; /* ring of a mapping's sessions; free records: next */
    uint32_t first;           /* tick when it began */
    uint32_t client;          /* whom it is counted for (nat_client.c); NAT_NONE */
};

#define NAT_TICK_SHIFT 22    /* 2^22 ns = 4.2 ms */
#define NAT_WHEEL_SLOTS 16384u /* 69 s; longer times are looked at once a turn */
#define NAT_TICKS_MAX (1u << 30)  /* 52 days: no session is idle that long */

enum nat_fragment_state { FRAGMENT_EMPTY, FRAGMENT_SEEN, FRAGMENT_RESOLVED, FRAGMENT_REFUSED }; /* the first one was */
#define NAT_FRAGMENT_WAYS 8
#define NAT_FRAGMENT_SETS 128
#define NAT_FRAGMENT_NS 30000000000u

struct nat_fragment {
    be32 src, dst; /* as the first fragment came in */
    be16 id;
    uint8_t proto, state;
    bool reply;
    uint32_t session; /* as packet.session */
    uint64_t time;
};

struct nat {
    struct nat_config config;
    bool any_port; /* no range was asked for: sources keep any port, also a low one */
    struct nat_table table;
    struct nat_record *records;
    struct nat_cold *cold;
    uint32_t n_records, free; /* free: list by siblings.next */
    struct nat_link *timers;  /* rings of the wheel: a link for each record, then the slots */
    uint64_t hand;            /* the first tick whose slot was not emptied yet */
    uint64_t now;             /* the latest the caller gave */
    uint32_t idle[TIMER_COUNT]; /* ticks */
    struct nat_fragment fragments[NAT_FRAGMENT_SETS][NAT_FRAGMENT_WAYS];
    uint32_t *port_users;     /* of each outside port: [address][TCP, UDP, ICMP][port] */
    struct nat_stats stats;
};

/* packet.session of a packet that nat_in sent through a mapping, and that has no session yet. */
#define NAT_VIA_MAPPING 0x80000000u

static inline bool nat_has_session(const struct packet *p) {
    return p->session && !(p->session & NAT_VIA_MAPPING);
}
static inline bool nat_via_mapping(const struct packet *p) {
    return p->session & NAT_VIA_MAPPING;
}
static inline struct nat_record *nat_packet_mapping(const struct nat *n, const struct packet *p) {
    return &n->records[p->session & ~NAT_VIA_MAPPING];
}
static inline struct nat_record *nat_packet_session(const struct nat *n, const struct packet *p) {
    return &n->records[p->session - 1];
}
static inline void nat_forget_session(struct packet *p) {
    p->session = 0;
    p->flags &= (uint16_t)~PACKET_REPLY;
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

static inline struct nat_tuple nat_inverse(struct nat_tuple t) {
    return (struct nat_tuple){t.dst, t.src, t.dport, t.sport};
}
/* How a session's packets leave; they come in as way[reply]. */
static inline struct nat_tuple nat_after(const struct nat_record *r, bool reply) {
    return nat_inverse(r->way[!reply]);
}
static inline bool nat_tuple_equal(const struct nat_tuple *a, const struct nat_tuple *b) {
    uint64_t x, y;
    uint32_t u, v;
    memcpy(&x, &a->src, sizeof x);
    memcpy(&y, &b->src, sizeof y);
    memcpy(&u, &a->sport, sizeof u);
    memcpy(&v, &b->sport, sizeof v);
    return ((x ^ y) | (u ^ v)) == 0;
}

static inline bool nat_is_way(const struct nat_record *r, bool reply, uint8_t proto, const struct nat_tuple *tuple) {
    return r->proto == proto && r->kind == NAT_SESSION && nat_tuple_equal(&r->way[reply], tuple);
}

/* The session whose packets come in like this, as in the index, idle or not; NAT_NONE. */
static inline uint32_t nat_find_value(const struct nat *n, uint8_t proto, const struct nat_tuple *tuple) {
    struct nat_search s;
    uint32_t v = nat_search(&s, &n->table, nat_hash(NAT_KEY_SESSION, proto, tuple));
    while (v != NAT_NONE && !nat_is_way(&n->records[v >> 1], v & 1, proto, tuple))
        v = nat_search_on(&s, &n->table);
    return v;
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
    return (struct nat_tuple){outward->src, addr ? outward->dst : 0, outward->sport, port ? outward->dport : 0};
}

bool nat_is_outside(const struct nat *n, be32 addr);

/* nat_session.c: records, their index and their timers. */
int nat_records_init(struct nat *n);
void nat_records_clear(struct nat *n); /* of a new NAT: makes the lists */
void nat_sessions_free(struct nat *n); /* all of them, and their mappings; port maps stay */
/* Is there room for a session? Frees idle ones when there is none. */
bool nat_session_room(struct nat *n, uint64_t now);
/* Frees all that are idle: what is left in the index is live. */
void nat_settle(struct nat *n, uint64_t now);
/* What a session begins with; flags: NAT_FROM_OUTSIDE, NAT_MAPPED (then it joins its mapping or makes it). */
struct nat_new {
    struct nat_tuple way[2];
    uint8_t proto;
    uint16_t flags;
    uint32_t client;
};
/* Makes a session; there must be room and both tuples must be unused. */
uint32_t nat_session_create(struct nat *n, const struct nat_new *new, uint64_t now);
/* Sets its timer and takes note that it was used. */
void nat_session_touch(struct nat *n, uint32_t session, enum nat_timer timer, uint64_t now);
void nat_port_map_create(struct nat *n, uint8_t proto, const struct nat_tuple *inside, const struct nat_tuple *outside,
                         uint16_t flags);
/* The live session whose packets come in like this, as in the index; NAT_NONE. One that is idle too long is freed. */
uint32_t nat_find_live(struct nat *n, uint8_t proto, const struct nat_tuple *tuple, uint64_t now);
/* A record that stands for a mapping: a live session of it, or a port map; NAT_NONE. */
uint32_t nat_mapping_inside(struct nat *n, uint8_t proto, const struct nat_tuple *outward, uint64_t now);
uint32_t nat_mapping_outside(struct nat *n, uint8_t proto, be32 addr, be16 port, uint64_t now);

/* nat_begin.c: what a new session gets. Refused packets are dropped. */
void nat_begin(struct nat *n, struct packet *p, uint64_t now);

/* nat_port.c: outside ports. Taken by sessions (NAT_CONNTRACK) or mappings (NAT_INTERFACE). */
void nat_port_take(struct nat *n, uint8_t proto, be32 outside, be16 port);
void nat_port_give_back(struct nat *n, uint8_t proto, be32 outside, be16 port);
/* Completes the tuple of a packet's answers, or a mapping's outside end, with a port that makes it unique. */
bool nat_port_for_session(struct nat *n, const struct packet *p, struct nat_tuple *reply, uint64_t now);
bool nat_port_for_mapping(struct nat *n, uint8_t proto, struct nat_tuple *end, be16 own, uint64_t now);

/* nat_state.c: states and timers. */
/* May a connection begin with this packet (NAT_CONNTRACK)? */
bool nat_may_begin(const struct packet *p);
void nat_track(struct nat *n, const struct packet *p, uint64_t now);

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
/* src, dst: as it came in. */
void nat_fragment_first_out(struct nat *n, const struct packet *p, be32 src, be32 dst, uint64_t now);
void nat_fragment_in(struct nat *n, struct packet *p, uint64_t now);
void nat_fragment_out(struct nat *n, struct packet *p, uint64_t now);

/* nat.c: takes the packet along with its session or mapping. */
void nat_meet(struct nat *n, struct packet *p, uint32_t value);
void nat_apply_destination(struct nat *n, struct packet *p);
/* False when the packet does not leave as its session would have it (NAT_INTERFACE): it has no session then. */
bool nat_apply_source(struct nat *n, struct packet *p);

/* The caller's clock goes on. What was idle for NAT_TICKS_MAX must not look young again. */
static inline void nat_clock(struct nat *n, uint64_t now) {
    if (__builtin_expect(now > n->now + ((uint64_t)NAT_TICKS_MAX << NAT_TICK_SHIFT), 0))
        nat_sessions_free(n);
    n->now = now;
}

static inline be16 nat_load16(const void *at) {
    be16 v;
    memcpy(&v, at, sizeof v);
    return v;
}
static inline void nat_store16(void *at, be16 v) {
    memcpy(at, &v, sizeof v);
}

#endif
