/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside of points. A packet becomes a print (print.c), waits until both clocks are past it (wait.c), and is joined
 * (join.c) by the clocks' offset (clock.c). What was seen of each flow, and each translation, are records of bounded
 * tables (book.c), from which the verdicts are made at the end (ends.c, verdict.c, exhaust.c), and the document.
 */
#ifndef ANALYZE_POINTS_PRIVATE_H
#define ANALYZE_POINTS_PRIVATE_H

#include <string.h>
#include <fwdlab/analyze/points.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/parse.h>

enum { INSIDE, OUTSIDE };
enum { WAY_UNKNOWN, OUTBOUND, INBOUND };

#define NONE UINT32_MAX
#define SECOND 1000000000ll
#define MAPPING_LIVES (10 * SECOND) /* no NAT drops a mapping sooner (RFC 4787, REQ-5 asks for 120 s) */
#define JOIN_WINDOW SECOND        /* between the two points, once the clocks are known */

static inline uint64_t mix64(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 32;
}
uint64_t mix_bytes(uint64_t h, const void *data, size_t len);

/* The same flow, named by the other end. ICMP: identifier and type stay. */
static inline struct flow_key key_turned(const struct flow_key *k) {
    struct flow_key t = {.family = k->family, .proto = k->proto, .sport = k->dport, .dport = k->sport};
    if (proto_is_icmp(k->proto)) {
        t.sport = k->sport;
        t.dport = k->dport;
    }
    memcpy(t.src, k->dst, sizeof t.src);
    memcpy(t.dst, k->src, sizeof t.dst);
    return t;
}
static inline bool key_equal(const struct flow_key *a, const struct flow_key *b) {
    return memcmp(a, b, sizeof *a) == 0;
}
uint64_t key_hash(const struct flow_key *k); /* the same for both names */

/* One end of a flow. ICMP: the port is the identifier at a local end, 0 at a remote one. */
struct end {
    uint8_t family, proto;
    be16 port;
    uint8_t addr[16];
};
static inline struct end key_source(const struct flow_key *k) {
    struct end e = {.family = k->family, .proto = k->proto, .port = k->sport};
    memcpy(e.addr, k->src, sizeof e.addr);
    return e;
}
static inline struct end key_target(const struct flow_key *k) {
    struct end e = {.family = k->family, .proto = k->proto, .port = proto_is_icmp(k->proto) ? k->sport : k->dport};
    memcpy(e.addr, k->dst, sizeof e.addr);
    return e;
}
static inline struct ip end_ip(const struct end *e) {
    struct ip a = {.family = e->family};
    memcpy(a.v6, e->addr, sizeof e->addr);
    return a;
}
static inline int end_compare(const struct end *a, const struct end *b) {
    return memcmp(a, b, sizeof *a);
}

/* ---- points_print.c ---- */

enum print_kind { PRINT_WHOLE, PRINT_ERROR, PRINT_FRAGMENT, PRINT_KINDS };

/* What a NAT leaves alone of a packet, and what tells where it was seen. */
struct print {
    struct flow_key key;  /* as it travels; of an ICMP error: of the flow's packets that travel as it does */
    uint8_t kind;         /* enum print_kind; whole: neither an ICMP error nor a later fragment */
    uint8_t ttl;
    bool joinable;        /* the hashes are valid: nothing that they need is cut off */
    bool has_sum, has_digest, has_stamp;
    bool initial;         /* begins a flow: SYN without ACK, an ICMP query */
    bool answer;          /* not its initiator's: SYN and ACK, an ICMP answer */
    uint16_t sum;         /* what the L4 checksum covers less what NAT rewrites; equal: the change is proved */
    uint32_t digest;      /* of the payload */
    uint32_t stamp;       /* TCP timestamp value (RFC 7323) */
    uint64_t hash[2];     /* with the sender's end, with the receiver's */
    uint64_t time_ns, frame;
};
/* False: no flow can be named (a later fragment, an error that quotes too little). */
bool print_make(const struct point_packet *packet, struct print *out);
/* Are the two one packet, if one end is the same? Proved by the checksum, or by the payload alone for want of one. */
enum print_match { PRINT_OTHER, PRINT_LIKE, PRINT_PROVED };
enum print_match print_compare(const struct print *a, const struct print *b);
unsigned print_way(const struct print *in, const struct print *out); /* WAY_...; by what changed, else by the TTL */

/* ---- points_wait.c: packets of one point in their order, found by either hash ---- */

struct waiting {
    struct print print;
    uint64_t next[2];    /* number of the next one with this hash's slot, 0: none */
    bool joined;
};
struct queue {
    struct waiting *ring; /* number n stands at n & (cap - 1) */
    uint64_t *head[2], *tail[2];
    uint64_t first, last; /* numbers of the oldest one and behind the newest one; the first ever has 1 */
    size_t cap, limit;
};
void queue_init(struct queue *q, size_t limit);
void queue_fini(struct queue *q);
bool queue_full(const struct queue *q);
void queue_push(struct queue *q, const struct print *p);
void queue_pop(struct queue *q);
static inline bool queue_empty(const struct queue *q) {
    return q->first == q->last;
}
static inline struct waiting *queue_at(const struct queue *q, uint64_t n) {
    return &q->ring[n & (q->cap - 1)];
}
static inline struct waiting *queue_front(const struct queue *q) {
    return queue_at(q, q->first);
}
/* The first that waits under hash `which`, and the one after it; their hashes may differ. 0: none. */
uint64_t queue_first(const struct queue *q, unsigned which, uint64_t hash);

/* ---- points_clock.c ---- */

struct clock_sample {
    uint64_t time_ns;  /* inside */
    int64_t ahead;     /* outside less inside */
    uint8_t way;
};
struct clock {
    VEC(struct clock_sample) samples;
    uint64_t seen, stride;      /* every stride-th is kept */
    uint64_t fitted_at;         /* number of samples, and the time of the last one, when it was last fitted */
    uint64_t fitted_ns;
    bool known;
    uint64_t base_ns;
    int64_t ahead;              /* at base_ns */
    double slope;
    uint64_t width_ns;
};
void clock_fini(struct clock *c);
void clock_add(struct clock *c, uint64_t inside_ns, uint64_t outside_ns, unsigned way);
/* False, and as before: no offset that at least half of the samples and `least` agree on. */
bool clock_fit(struct clock *c, size_t least);
/* What the inside clock showed then. As it is while the offset is unknown. */
int64_t clock_inside(const struct clock *c, uint64_t outside_ns);

/* ---- points_book.c: numbers of records, found by a hash; when all are in use, what rested longest goes ---- */

struct book {
    uint32_t *head, *next;
    uint64_t *hash;
    bool *recent;
    uint32_t n, cap, limit, hand;
    uint64_t forgotten;
};
void key_book_init(struct book *b, size_t limit);
void key_book_fini(struct book *b);
uint32_t key_book_find(const struct book *b, uint64_t hash, uint32_t after); /* after NONE: the first; NONE: no more */
uint32_t book_take(struct book *b, uint64_t hash); /* a number for a new record: below `cap`, which may have grown */

/* ---- points.c, points_join.c ---- */

/* A flow as one point saw it. */
struct sight {
    struct flow_key key;      /* as its initiator sends it */
    uint8_t point;
    bool sure;                /* its beginning was seen */
    bool lost;                /* a packet fell out of the waiting ones */
    uint64_t first_ns, last_ns, frame;
    uint32_t seen[PRINT_KINDS][2], joined[PRINT_KINDS][2]; /* from and to the initiator */
    uint32_t pair, before;    /* outside: joined last, and the other one before that; NONE */
    uint8_t turns;            /* between the two, without a pause */
    uint32_t refused;         /* outside: came for a live mapping and was not seen inside */
    uint64_t refused_ns, refused_frame;
    uint32_t refused_pair;    /* of the mapping */
};
/* A pair as points keeps it, beside its struct point_pair. */
struct link {
    uint8_t way;              /* the initiator's packets travel */
    uint32_t shares;          /* pair that takes turns with this one on the same outside end; NONE */
};
/* An outside end in use. */
struct binding {
    struct end end;
    uint64_t last_ns;         /* outside clock */
    uint32_t pair;
};
struct fragment {
    struct flow_key key;      /* of the first one */
    be32 id;
};
#define FRAGMENTS 4096

struct nat_finding {
    uint8_t verdict;          /* enum nat_verdict */
    struct end about;         /* one finding each */
    uint32_t count;
    struct flow_key flow;
    uint64_t first_ns;
    unsigned n_frames;
    struct { uint8_t point; uint64_t frame; } frames[6];
    char text[500];
};

struct points {
    struct points_options o;
    struct clock clock;
    struct queue waiting[2];
    uint64_t next_try;        /* number of waiting packets at which the offset is looked for */
    struct book sight_book, pair_book, binding_book;
    struct sight *sights;
    struct point_pair *pairs;
    struct link *links;
    struct binding *bindings;
    struct fragment *fragments[2];
    uint64_t packets[2], first_ns[2], last_ns[2], unnamed[2]; /* unnamed: of no flow */
    uint64_t joined, proved, fell_out[2], fell_ns[2]; /* fell_out: before it could be joined; of the last */
    VEC(struct nat_finding) findings;
};

uint32_t sight_find(const struct points *p, unsigned point, const struct flow_key *key, unsigned *back);
uint32_t pair_find(const struct points *p, const struct flow_key *inside, const struct flow_key *outside);
uint32_t binding_find(const struct points *p, const struct end *end);
/* Joins what is ripe, or all that waits. */
void points_join(struct points *p, bool all);
/* The oldest packet of a point must go, joined or not. */
void points_crowd_out(struct points *p, unsigned point);
bool pair_translated(const struct point_pair *pair);
/* The ends of a pair as the NAT has them: OUTBOUND ones begin inside. */
struct end pair_local(const struct points *p, uint32_t pair, unsigned point);
struct end pair_remote(const struct points *p, uint32_t pair);

/* ---- points_ends.c, points_verdict.c, points_exhaust.c ---- */

/* What the NAT does for others, which says what it is meant to do. */
struct ends {
    VEC(struct end) list;
};
int ends_order(const void *a, const void *b); /* for qsort, of struct end */
void ends_add(struct ends *e, const struct end *end);
void ends_sort(struct ends *e); /* and leave out what is there twice */
bool ends_have(const struct ends *e, const struct end *end); /* sorted */
struct served {
    struct ends sources;       /* networks (/24, /64) whose flows it translates */
    struct ends targets;       /* networks that they go to */
    bool services[2][65536];   /* TCP, others: destination ports of its flows to the Internet, network order */
    bool global;               /* there are such flows */
};
struct end end_network(const struct end *e); /* its /24 or /64, without port and protocol */
bool served_source(const struct served *s, const struct end *source);
bool address_in(const struct ip *a, const struct ip_prefix *list, size_t n);
bool address_private(const struct ip *a); /* RFC 1918, RFC 6598, RFC 4193 */
bool address_global(const struct ip *a);  /* unicast, and neither private nor of a link or a host */

/* The time, by the inside clock, in which a packet of one point was to be seen by the other; false: there is none. */
bool points_overlap(const struct points *p, int64_t *from, int64_t *to);
void points_judge(struct points *p);
void judge_exhaustion(struct points *p, const struct served *s);
/* One more flow of the finding about `about`; it is new when its text is empty. */
struct nat_finding *finding_add(struct points *p, enum nat_verdict v, const struct end *about,
                                const struct flow_key *flow, uint64_t first_ns);
void nat_finding_frames(struct nat_finding *f, uint64_t inside, uint64_t outside); /* 0: none */
const char *end_text(const struct end *e, char *buf, size_t size); /* "10.0.0.1:5000", "[2001:db8::1]:53" */
#define END_TEXT (IP_TEXT + 10)

#endif
