/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of NAT share.
 *
 * Records are sessions and mappings, in one preallocated array. A session is found by both of its tuples. A mapping
 * says which outside port an inside port has (RFC 4787 REQ-1), whatever the remote end: it is found by the inside end
 * and by the outside end alone. Port maps are mappings that never end. With NAT_CONNTRACK there are no others.
 *
 * Time: a record lives to the end of the tick (4.2 ms) in which its idle time runs out. Every lookup takes a session
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

enum nat_kind { NAT_FREE, NAT_SESSION, NAT_MAPPING };

/* nat_record.flags */
enum {
    NAT_FROM_OUTSIDE = 1 << 0, /* began by a mapping */
    NAT_STATIC = 1 << 1,       /* mapping: a port map */
    NAT_OUTSIDE_ONLY = 1 << 2, /* mapping: not found by its inside end */
    NAT_ACK_ORIGINAL = 1 << 3, /* TCP: ACK seen; each _REPLY is its _ORIGINAL << 1 */
    NAT_ACK_REPLY = 1 << 4,
    NAT_FIN_ORIGINAL = 1 << 5,
    NAT_FIN_REPLY = 1 << 6,
};

struct nat_link {
    uint32_t prev, next;
};

struct nat_record {
    struct nat_tuple original, reply; /* a mapping's: inside end as source, outside end as destination, the rest 0 */
    uint8_t kind, proto, state, timer;
    uint8_t flags, zero[3];
    uint32_t mapping;         /* of a session; NAT_NONE */
    struct nat_link siblings; /* ring of a mapping's sessions through the mapping itself; free records: next */
    uint64_t first, last;     /* ns */
};
static_assert(sizeof(struct nat_record) == 64, "a hit touches one cache line of its session");

#define NAT_TICK_SHIFT 22    /* 2^22 ns = 4.2 ms */
#define NAT_WHEEL_SLOTS 16384u /* 69 s; longer times are looked at once a turn */

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
    uint32_t n_records, free; /* free: list by siblings.next */
    struct nat_link *timers;  /* rings of the wheel: a link for each record, then the slots */
    uint64_t hand;            /* the first tick whose slot was not emptied yet */
    uint64_t now;             /* the latest the caller gave */
    uint64_t timeout[TIMER_COUNT];
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

static inline uint64_t nat_tick(uint64_t ns) {
    return ns >> NAT_TICK_SHIFT;
}
static inline uint64_t nat_last_tick(const struct nat *n, const struct nat_record *r) {
    return nat_tick(r->last + n->timeout[r->timer]);
}
static inline bool nat_session_fresh(const struct nat *n, const struct nat_record *r, uint64_t now) {
    return r->kind == NAT_SESSION && nat_tick(now) <= nat_last_tick(n, r);
}

static inline struct nat_tuple nat_inverse(struct nat_tuple t) {
    return (struct nat_tuple){t.dst, t.src, t.dport, t.sport};
}
/* How a session's packets come in, and how they leave. */
static inline struct nat_tuple nat_before(const struct nat_record *r, bool reply) {
    return reply ? r->reply : r->original;
}
static inline struct nat_tuple nat_after(const struct nat_record *r, bool reply) {
    return nat_inverse(reply ? r->original : r->reply);
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
/* Makes a session; there must be room and both tuples must be unused. `mapping`: NAT_NONE or a record. */
uint32_t nat_session_create(struct nat *n, uint8_t proto, const struct nat_tuple *original,
                            const struct nat_tuple *reply, uint32_t mapping, uint64_t now);
/* Sets its timer and takes note that it was used. */
void nat_session_touch(struct nat *n, uint32_t session, enum nat_timer timer, uint64_t now);
/* Makes a mapping between an inside and an outside end. */
uint32_t nat_mapping_create(struct nat *n, uint8_t proto, be32 inside, be16 inside_port, be32 outside,
                            be16 outside_port, uint8_t flags);
/* The record behind a tuple, as in the index; NAT_NONE, also when it is idle too long: then it is freed. */
uint32_t nat_find_live(struct nat *n, enum nat_key_kind kind, uint8_t proto, const struct nat_tuple *tuple,
                       uint64_t now);
uint32_t nat_mapping_inside(struct nat *n, uint8_t proto, be32 addr, be16 port, uint64_t now);  /* record or NAT_NONE */
uint32_t nat_mapping_outside(struct nat *n, uint8_t proto, be32 addr, be16 port, uint64_t now); /* record or NAT_NONE */

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

static inline be16 nat_load16(const void *at) {
    be16 v;
    memcpy(&v, at, sizeof v);
    return v;
}
static inline void nat_store16(void *at, be16 v) {
    memcpy(at, &v, sizeof v);
}

#endif
