/* SPDX-License-Identifier: BSD-3-Clause */
/* What NAT keeps in memory: sessions, mappings, inside addresses and ports. What it means: nat_internal.h. */
#ifndef FWDLAB_CORE_NAT_STORE_H
#define FWDLAB_CORE_NAT_STORE_H

#include <fwdlab/base/random.h>
#include "nat_table.h"

enum nat_timer { TIMER_TCP_ESTABLISHED, TIMER_TCP_TRANSITORY, TIMER_TCP_CLOSING, TIMER_TCP_RESET, TIMER_UDP,
                 TIMER_UDP_STREAM, TIMER_ICMP, TIMER_OTHER, TIMER_COUNT };

/* Of the rings that sides stand in: their mapping; what a remote address may use (address-dependent filtering). */
enum nat_ring { RING_MAPPING, RING_PERMIT };

enum nat_kind { NAT_FREE, NAT_SESSION, NAT_PORT_MAP };

/* nat_record.flags. Each _REPLY is its _ORIGINAL << 1. */
enum {
    NAT_FROM_OUTSIDE = 1 << 0, /* began by a mapping */
    NAT_OUTSIDE_ONLY = 1 << 1, /* port map: not found by its inside end */
    NAT_MAPPED = 1 << 2,       /* session: belongs to a mapping that is no port map */
    NAT_HEAD = 1 << 3,         /* and stands in the cell of its outside port */
    NAT_ACK_ORIGINAL = 1 << 4, /* TCP: ACK seen */
    NAT_ACK_REPLY = 1 << 5,
    NAT_FIN_ORIGINAL = 1 << 6,
    NAT_FIN_REPLY = 1 << 7,
    NAT_STEADY_ORIGINAL = 1 << 8, /* nothing but `last` changes with a packet of this direction, unless a TCP one */
    NAT_STEADY_REPLY = 1 << 9,    /* with SYN, FIN or RST: see nat_hit.h */
    NAT_INSIDE_HEAD = 1 << 10, /* has its mapping's inside end, and is found by it */
    NAT_HAIRPIN = 1 << 11,     /* both sides are inside; began on the side of way[0] */
    NAT_UNCALLED = 1 << 12,    /* hairpin: the called side's filter lets nothing in before it has sent something */
    NAT_PERMITS = 1 << 13,     /* stands in a ring of permits */
    NAT_PERMIT_HEAD = 1 << 14, /* and in the index for it */
    NAT_MOVED = 1 << 15,       /* with NAT_INSIDE_HEAD: in the index for it, as its port is not the natural one */
};

#define NAT_STEADY_SHIFT 8

struct nat_link {
    uint32_t prev, next;
};

/* What a packet that has its session needs. */
struct nat_record {
    struct nat_tuple way[2]; /* as packets come in: of the first one's direction, and of the answers. Of a port map:
                                inside end as source of the one, outside end as destination of the other, rest 0 */
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

/* The called side of a hairpin session, as the other side is in nat_record and nat_cold. */
struct nat_far {
    struct nat_link siblings;
    uint32_t client;
    uint16_t flags; /* NAT_MAPPED, NAT_HEAD, NAT_INSIDE_HEAD, NAT_MOVED, NAT_PERMITS, NAT_PERMIT_HEAD */
};

/* An inside address that has sessions. Kept only for what a configuration asks: nat_client.c. */
struct nat_client {
    be32 inside;
    uint32_t next;     /* of the same hash; free ones: of the list */
    uint32_t sessions; /* sides of them */
    uint32_t address;  /* index of the outside address that it is paired with */
};
/* And its part of the ports: for blocks and limits. */
struct nat_share {
    uint32_t ports[3]; /* in use by its mappings: TCP, UDP, ICMP */
    uint32_t block;    /* the latest it got, the others follow in nat.blocks; NAT_NONE */
    uint32_t n_blocks;
};
struct nat_block {
    uint32_t client; /* NAT_NONE: free */
    uint32_t next;   /* of the same client */
};

/*
 * The cell of an outside port. With NAT_INTERFACE: the node that stands for its mapping or port map, + 1, in the lower
 * bits. Most mappings have the natural cell of their inside end: its own port at the address where a port is looked for
 * first. They need no key in the index for that end; above the node is how many mappings would have had this cell and
 * stand in the index, up to NAT_CELL_MOST, which then stays. With NAT_CONNTRACK: how many sessions use the port.
 */
#define NAT_CELL_SHIFT 30
#define NAT_CELL_NODE ((1u << NAT_CELL_SHIFT) - 1)
#define NAT_CELL_MOST 3u
#define NAT_PORT_GROUP 256u /* ports whose use is counted */

/* An outside port that nobody else may have for a while. */
struct nat_rest {
    uint64_t until; /* tick, the last one */
    be32 inside;    /* whose it was */
    uint32_t epoch;
};

/* A group of ports, those of each parity (or all: the first) in use or resting until then, if none is given back. */
struct nat_quiet {
    uint64_t over[2]; /* ticks; 0: not known to be */
    uint32_t epoch;   /* as of nat_rest */
};

#define NAT_TICK_SHIFT 22    /* 2^22 ns = 4.2 ms */
#define NAT_WHEEL_SLOTS 131072u /* 9 minutes; longer times are looked at once a turn */
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
    be16 sport, dport;
    uint32_t session; /* as packet.session; before it is decided, by which mapping it goes in, if any */
    uint64_t time;
};

struct nat {
    struct nat_config config;
    bool any_port; /* no range was asked for: sources keep any port, also a low one */
    bool natural_first; /* new mappings of TCP and UDP get their natural cells where these are 0, unasked */
    struct nat_table table;
    struct nat_record *records;
    struct nat_cold *cold;
    uint32_t n_records, free; /* free: list by siblings.next */
    struct nat_link *timers;  /* rings of the wheel: a link for each record, then the slots */
    uint64_t hand;            /* the first tick whose slot was not emptied yet */
    uint64_t now;             /* the latest the caller gave */
    uint64_t settled;         /* when all that was idle had been freed; while sessions live */
    uint32_t idle[TIMER_COUNT]; /* ticks */
    struct nat_fragment fragments[NAT_FRAGMENT_SETS][NAT_FRAGMENT_WAYS];
    struct nat_held *held;    /* fragments that wait for their first one; NULL: they are dropped */
    uint16_t *address_slots;  /* hash table of the outside addresses: index + 1 */
    uint32_t address_mask;
    uint64_t address_inverse; /* 2^64 / addresses, rounded up; of one: 0 */
    uint32_t *cells;          /* of outside ports: [TCP, UDP, ICMP][address][port] */
    uint16_t *groups;         /* NAT_INTERFACE, ports in use of each group of cells */
    struct nat_far *far;      /* NULL: no hairpin sessions with mappings */
    struct nat_link *permits; /* rings of nodes, all first sides, then all far ones; NULL: filtering needs none */
    struct nat_client *clients; /* NULL: nobody asks for them */
    struct nat_share *shares;   /* NULL: neither blocks nor limits of ports */
    uint32_t *client_heads, client_shift; /* lists by hash */
    uint32_t clients_used, client_free;   /* ever used; list of free ones, index + 1 */
    struct nat_block *blocks;   /* [address][block]; NULL: no blocks */
    uint32_t n_blocks;          /* of an address */
    uint32_t *blocks_free;      /* of each address */
    uint64_t created_before;    /* stats.created when idle sessions were freed last, once a burst */
    struct random random;       /* draws ports */
    struct nat_stats stats;
    struct nat_held *syns;      /* NULL: they do not wait */
    uint64_t *paces;            /* of each client: when it may begin a whole second's worth; NULL: no limit */
    struct nat_rest *rests;     /* of each cell; NULL: ports do not rest */
    struct nat_quiet *quiet;    /* of each group; NULL as well */
    uint32_t rest_epoch;        /* rests of other ones are over */
};

#endif
