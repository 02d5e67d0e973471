/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NAT44 of one node (RFC 3022, 4787, 5382, 5508): sessions, port maps, timers on the caller's clock.
 *
 * Two personalities:
 *   NAT_INTERFACE   the outside port translates whatever leaves by it with a source that is not an outside address,
 *                   also packets of flows that began untranslated elsewhere. What comes in by the outside port is
 *                   matched with sessions and port maps. Nothing happens between two other ports.
 *   NAT_CONNTRACK   as Linux: every packet belongs to a connection, and a connection keeps what its first packet got.
 *                   Rules (masquerade towards the outside port, port maps from it) see first packets only; answers
 *                   of a connection that began untranslated stay untranslated, by whichever port they leave.
 *
 * A packet passes nat_in before the route lookup (finds its session, translates the destination) and nat_out after it
 * (translates the source, makes the session). Ports: the inside port is kept when free (RFC 4787 REQ-3), else another
 * of the same range. Ports of ICMP queries are their identifiers. Protocols without ports are translated by address
 * alone. ICMP errors are translated with the header inside them. Later fragments follow their first one; one that comes
 * before it is held until that has been decided, for 30 s at most, or is dropped.
 *
 * With NAT_INTERFACE an inside port has one outside port, its mapping, towards all ends, and all ends may use it (RFC
 * 4787 REQ-1, endpoint-independent filtering of REQ-8), unless other behaviours are chosen. It is shared with no other
 * inside port. It ends with its last session, and its outside port is then free. A port map is a mapping that never
 * ends, and that all ends may use. Limits, blocks and pooling hold for what begins; at exhaustion it is refused, and
 * what is there goes on (RFC 6888 REQ-11).
 *
 * Bursts. Verdicts and bytes do not depend on how packets are cut into bursts, with one rule for the caller: what is
 * sent on by a session alone belongs in a later burst than the packet that may make the session, for nat_in has to find
 * it. These are answers, ICMP errors about packets of either direction, and, with NAT_CONNTRACK, what enters by a TCP
 * port map but begins no connection (FIN, RST, SYN with ACK). Other packets of one direction may share the burst that
 * makes their session; one of them that is dropped between the stages then has none in packet.session.
 */
#ifndef FWDLAB_CORE_NAT_H
#define FWDLAB_CORE_NAT_H

#include <stdbool.h>
#include <fwdlab/core/packet.h>

enum nat_personality { NAT_INTERFACE, NAT_CONNTRACK };

/* What a mapping, or what it lets in, depends on of the remote end (RFC 4787, 4.1 and 5). */
enum nat_behaviour { NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_DEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT };

/* The outside port of a new mapping: its own number where it is free, else the next that is (RFC 4787 REQ-3); or any,
 * by chance (RFC 6056, 3.3.1; RFC 7857, 9), the same in each run. */
enum nat_port_choice { NAT_PORT_PRESERVED, NAT_PORT_RANDOM };

struct nat_port_map {
    uint8_t proto;       /* PROTO_TCP or PROTO_UDP */
    be32 outside_addr;   /* 0: the first outside address */
    be16 outside_port;
    be32 inside_addr;
    be16 inside_port;
    char name[40];
};

struct nat_net {
    be32 addr, mask; /* no bit of addr beyond the mask */
};

/*
 * Idle times in nanoseconds; 0 takes the personality's default, in seconds:
 *                  tcp_established  tcp_transitory  tcp_closing  udp  udp_stream  icmp  other
 *   NAT_INTERFACE  7440             240             240          300  300         60    600    RFC 5382, 4787, 5508
 *   NAT_CONNTRACK  432000           120             120          30   120         30    600    Linux; 10 after RST
 * A session ends with the idle time, or up to two ticks of 2^22 ns (4.2 ms) later. An idle time has 52 days at most.
 */
struct nat_timers {
    uint64_t tcp_established, tcp_transitory, tcp_closing, udp, udp_stream, icmp, other;
};

#define NAT_ADDRESSES_MAX 1024

struct nat_config {
    enum nat_personality personality;
    uint16_t outside_port;          /* index of the node's port */
    uint32_t n_addresses;           /* 1..NAT_ADDRESSES_MAX outside addresses */
    const be32 *addresses;          /* copied; none twice */
    uint16_t port_min, port_max;    /* host order; 0, 0: 1024..65535, and then any ICMP identifier;
                                       NAT_CONNTRACK then also keeps lower ports, as Linux without a range */
    uint32_t max_sessions;          /* 0: 65536 */
    struct nat_timers timers;
    bool hairpin;                   /* what comes from inside for a mapped outside end goes back inside, with an outside
                                       source (RFC 4787 REQ-9); NAT_CONNTRACK: by port maps */
    bool hold_fragments;            /* later ones wait for the first (RFC 4787 REQ-14); else they are dropped */
    /* The rest is for NAT_INTERFACE alone. */
    uint8_t mapping, filtering;     /* enum nat_behaviour (RFC 4787 REQ-1, REQ-8; RFC 5382 REQ-1, REQ-3) */
    uint8_t port_choice;            /* enum nat_port_choice */
    bool parity;                    /* UDP: an even port gets an even one, an odd port an odd one (RFC 4787 REQ-4) */
    bool arbitrary_pooling;         /* any outside address with a free port; else the same for an inside address as long
                                       as it has sessions (paired, RFC 4787 REQ-2) */
    bool outbound_refresh_only;     /* what comes in keeps no session alive (RFC 4787 REQ-6) */
    bool hold_syns;                 /* a TCP SYN from outside, for a port of the range, that nothing lets in waits for
                                       6 s; then its sender is told, unless inside opened the same connection (RFC 5382
                                       REQ-4). Else: one for a mapping is dropped, others are left to the node */
    uint32_t port_block;            /* ports that an inside address gets at a time, a divisor of the range, of each
                                       protocol (RFC 6888 REQ-14; RFC 7422, 2); 0: no blocks */
    uint32_t client_blocks;         /* at most so many for an inside address; 0: 1 */
    uint32_t client_sessions;       /* sessions that an inside address may have (RFC 6888 REQ-5); 0: no limit */
    uint32_t client_ports;          /* outside ports, of each protocol (RFC 6888 REQ-4); 0: no limit */
    uint32_t client_rate;           /* sessions that an inside address may begin a second, as many at once (RFC 6888
                                       REQ-4 c, REQ-5 b); 0: no limit. For idle times of a second at least */
    uint64_t port_rest;             /* ns for which nobody else gets an outside port whose mapping has ended (RFC 6888
                                       REQ-8), of UDP and ICMP: TCP's states are tracked (REQ-8 a); 0: none */
    uint32_t n_untranslated;        /* destinations that are not translated for (RFC 6888 REQ-6) */
    const struct nat_net *untranslated; /* copied */
    uint32_t n_port_maps;
    const struct nat_port_map *port_maps; /* copied; the first of several for one outside port wins */
};

/* One direction's view of a session. */
struct nat_tuple {
    be32 src, dst;
    be16 sport, dport; /* ICMP queries: identifier and 0; their answers: 0 and identifier */
};

struct nat_session {
    uint8_t proto;
    uint8_t state;            /* enum nat_state */
    bool translated;          /* false: conntrack connection without translation */
    bool from_outside;        /* began on the outside port (through a port map) */
    struct nat_tuple original; /* as the first packet came in */
    struct nat_tuple reply;    /* as its answer comes in: what the mapping is */
    uint64_t first, last;     /* ns, caller's clock, rounded down to ticks */
};
enum nat_state {
    NAT_STATE_NEW,
    NAT_STATE_REPLIED,
    NAT_STATE_TCP_SYN,
    NAT_STATE_TCP_ESTABLISHED,
    NAT_STATE_TCP_CLOSING
};

struct nat_stats {
    uint64_t created, expired, refused_port, refused_full, refused_client; /* client: a limit of an inside address */
    uint64_t held;                   /* packets that waited or wait */
    uint32_t live, peak;             /* sessions */
    uint32_t ports_live, ports_peak; /* outside ports of all protocols in use */
    uint32_t ports_available;        /* outside ports of one protocol, all addresses */
};

struct nat;
struct ipv4_header;

/* Allocates everything that will ever be needed. NULL with -EINVAL, -ENOMEM in errno:
 * ranges, no address, zero port map. */
struct nat *nat_create(const struct nat_config *config);
void nat_destroy(struct nat *n);
/* Forgets all sessions, keeps configuration and statistics' peaks at zero: a fresh start without allocation. */
void nat_reset(struct nat *n);

/*
 * Stages. Packets with a verdict already are not given to them. A packet that is refused gets VERDICT_DROP. `now`: ns,
 * must not go backwards, and is the same for both stages of a burst. nat_out takes packets whose out_port is set,
 * PORT_NONE for those that are delivered locally (conntrack makes connections of these too).
 */
void nat_in(struct nat *n, struct packet **pkts, unsigned count, uint64_t now);
void nat_out(struct nat *n, struct packet **pkts, unsigned count, uint64_t now);
/*
 * Held packets. How many are due to pass the node again, their first fragment being decided, or their time being up: to
 * be asked after a burst. The next of them, in the order they became due, as it came in: copies it to p->data, at most
 * p->room bytes, and sets what forward() needs of the packet, its tag included. False: none.
 */
#define NAT_HELD_BYTES 2048 /* a frame with more bytes present is dropped, not held */
#define NAT_HELD_MAX 512    /* frames; 128 fragments that wait, 16 of a datagram, 128 SYNs, and those that are due */
unsigned nat_due(struct nat *n);
bool nat_take_due(struct nat *n, struct packet *p);
void nat_forget_held(struct nat *n); /* as if they had never come */
/*
 * Undoes in `ip`, a copy of a dropped packet's first `len` bytes from its IP header on, what these stages changed: the
 * packet as its sender knows it, for an ICMP error about it. To be called before the next burst.
 */
void nat_undo(const struct nat *n, const struct packet *dropped, struct ipv4_header *ip, size_t len);
/*
 * Frees idle sessions, looks at `budget` sessions or stretches of empty ticks at most; at all when it has not come to
 * an end for 52 days. Verdicts do not depend on it: an idle session is found by nothing, and makes room when
 * room is needed. _once: to be called once a burst; the budget holds it for a few microseconds, but is at least what
 * the burst before made.
 */
void nat_expire(struct nat *n, uint64_t now, unsigned budget);
void nat_expire_once(struct nat *n, uint64_t now);

/* Session of packet.session - 1; false when there is none (any more). */
bool nat_session_get(const struct nat *n, uint32_t session, struct nat_session *out);
/* The session that began with this tuple, as its first packet came in; UINT32_MAX. Finds
 * where an answer must go now. */
uint32_t nat_find(const struct nat *n, uint8_t proto, const struct nat_tuple *original);
/* Calls back for every live session. */
void nat_each(const struct nat *n, void (*fn)(const struct nat_session *, void *), void *arg);
void nat_stats_get(const struct nat *n, struct nat_stats *out);
const struct nat_config *nat_config_get(const struct nat *n);

#endif
