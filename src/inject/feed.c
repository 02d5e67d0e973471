/* SPDX-License-Identifier: BSD-3-Clause */
/* See feed.h: reads, classifies, joins and relates; keeps what the caller needs of each packet. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tracker.h"

#define WAITING (1u << 19)   /* packets that wait for their copies */
#define LOOKED_AT 4096       /* packets by which nameless interfaces are told */
#define LONG_MAX 1600        /* bytes of a DHCP message that are kept */
#define PORT_UNKNOWN (PORT_NONE - 1)

struct feed {
    struct feed_source from;
    const struct control *control;
    const struct control_node *node; /* NULL without a scenario */
    const struct link_keys *keys;
    struct joiner *joiner;           /* NULL as long as there is nothing to join */
    struct book *book, *inner;
    uint16_t *port;                  /* of each interface */
    struct sources *sources;         /* NULL: none */
    uint32_t n_ports;
    bool mapped, known;              /* an interface is a NIC; a link type is known */
    VEC(struct trace_packet) early;  /* read already; their bytes are owned */
    size_t early_at;
    bool ended;
    uint32_t *names;                 /* of the batch, to settle */
    struct feed_packet *batch;
    unsigned n, related;             /* packets of the batch; those that were related already */
    struct prints {
        uint64_t copy, key;
    } *prints;                       /* of the batch's packets */
    uint8_t (*long_bytes)[LONG_MAX];
    struct link_room *room;
    struct feed_counts counts;
};

/* ---- interfaces ---- */

static void look_at_macs(struct feed *f, uint32_t n, const struct trace_interface *interfaces) {
    const uint16_t ports = f->node->node.n_ports;
    size_t *seen = xzalloc((size_t)n * ports, sizeof *seen);
    for (size_t i = 0; i < f->early.n; i++) {
        const struct trace_packet *raw = &f->early.v[i];
        uint16_t p = classify_mac(f->node, raw, interfaces[raw->interface].linktype);
        if (p != PORT_NONE)
            seen[(size_t)raw->interface * ports + p]++;
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint16_t p = 0; p < ports && !interfaces[i].name[0]; p++) {
            const size_t *mine = &seen[(size_t)i * ports];
            if (mine[p] && (f->port[i] >= PORT_UNKNOWN || mine[p] > mine[f->port[i]]))
                f->port[i] = p;
        }
    free(seen);
}

static void map_interfaces(struct feed *f) {
    uint32_t n;
    const struct trace_interface *interfaces = f->from.interfaces(f->from.of, &n);
    if (n <= f->n_ports)
        return;
    f->port = xrealloc(f->port, n, sizeof *f->port);
    for (uint32_t i = f->n_ports; i < n; i++)
        f->port[i] = !f->node ? (uint16_t)i
                     : interfaces[i].name[0] ? classify_name(f->control, f->node, interfaces[i].name) : PORT_UNKNOWN;
    if (f->node && !f->n_ports)
        look_at_macs(f, n, interfaces);
    f->n_ports = n;
    for (uint32_t i = 0; i < n; i++)
        f->mapped |= f->port[i] < PORT_UNKNOWN || f->sources;
    bool macs = !f->node; /* else one interface without directions shows no packet twice */
    for (uint16_t p = 0; f->node && p < f->node->node.n_ports; p++)
        macs |= f->node->node.ports[p].has_mac;
    if (!f->joiner && (n > 1 || macs))
        f->joiner = joiner_create(WAITING);
}

/* An interface without a name that was not among the first: whose MAC address its first frame shows. */
static uint16_t port_of(struct feed *f, const struct trace_packet *raw, uint16_t linktype) {
    uint16_t *port = &f->port[raw->interface];
    if (*port == PORT_UNKNOWN) {
        *port = f->sources ? PORT_NONE : classify_mac(f->node, raw, linktype);
        f->mapped |= *port != PORT_NONE;
        if (*port == PORT_NONE) {
            *port = f->sources ? PORT_NONE : PORT_UNKNOWN;
            return PORT_NONE;
        }
    }
    return *port;
}

/* ---- reading ---- */

static int read_one(struct feed *f, struct trace_packet *raw, struct err *e) {
    if (f->early_at < f->early.n) {
        *raw = f->early.v[f->early_at++];
        return 1;
    }
    if (f->ended)
        return 0;
    int code = f->from.read(f->from.of, raw, e);
    f->ended = code <= 0;
    return code;
}

static void forget_early(struct feed *f) {
    for (size_t i = 0; i < f->early.n; i++)
        free((void *)(uintptr_t)f->early.v[i].data);
    vec_free(&f->early);
    f->early_at = 0;
}

/* Nameless interfaces are told by what goes over them. */
static int look_ahead(struct feed *f, struct err *e) {
    struct trace_packet raw;
    int code = 0;
    uint32_t n;
    while (f->early.n < LOOKED_AT && (code = f->from.read(f->from.of, &raw, e)) > 0) {
        uint8_t *bytes = xalloc(raw.len + 1);
        raw.data = memcpy(bytes, raw.data, raw.len);
        raw.comment = NULL;
        vec_push(&f->early, raw);
        if (!f->node || f->from.interfaces(f->from.of, &n)[raw.interface].name[0])
            break;
    }
    f->ended = code <= 0 && f->early.n < LOOKED_AT && !(f->early.n && code > 0);
    map_interfaces(f);
    return code;
}

struct feed *feed_create(const struct feed_source *from, const struct control *c, uint32_t node,
                         const struct link_keys *keys, struct err *e) {
    struct feed *f = xzalloc(1, sizeof *f);
    f->from = *from;
    f->control = c;
    f->node = c ? &c->nodes[node] : NULL;
    f->keys = keys;
    f->sources = c ? sources_create(c, f->node) : NULL;
    f->book = book_create();
    f->inner = book_create();
    f->batch = xalloc(FEED_MOST * sizeof *f->batch);
    f->prints = xalloc(FEED_MOST * sizeof *f->prints);
    f->long_bytes = xalloc(FEED_MOST * sizeof *f->long_bytes);
    f->room = xalloc(sizeof *f->room);
    if (look_ahead(f, e) >= 0)
        return f;
    feed_destroy(f);
    return NULL;
}

void feed_destroy(struct feed *f) {
    if (!f)
        return;
    forget_early(f);
    joiner_destroy(f->joiner);
    book_destroy(f->book);
    book_destroy(f->inner);
    free(f->port);
    free(f->sources);
    free(f->batch);
    free(f->prints);
    free(f->long_bytes);
    free(f->room);
    free(f);
}

/* ---- one packet ---- */

static bool is_dhcp(const struct inject_packet *p) {
    const uint16_t s = ntohs(p->key.sport), d = ntohs(p->key.dport);
    return p->key.proto == PROTO_UDP && (s == 67 || s == 68) && (d == 67 || d == 68);
}

/* The bytes that the caller gets to see are the feed's own. */
static void keep_bytes(struct feed *f, struct feed_packet *q, unsigned i) {
    const bool whole = q->raw.len > FEED_ROOM && is_dhcp(&q->p);
    const uint32_t room = whole ? LONG_MAX : FEED_ROOM;
    uint8_t *to = whole ? f->long_bytes[i] : q->bytes;
    if (q->raw.len > room)
        q->raw.len = room;
    if (q->p.mac)
        q->p.mac = memcpy(q->mac, q->p.mac, 12); /* the core changes those of the frame */
    q->raw.data = memcpy(to, q->raw.data, q->raw.len);
    q->raw.comment = NULL;
}

static void learn(struct feed *f, const struct waiting *w, const struct flow_key *left) {
    struct nat_tuple outside;
    uint32_t number;
    book_learn(f->book, w, left, &outside, &number);
}

/* Which packets it belongs to. */
static void relate(struct feed *f, struct feed_packet *q, const struct prints *prints, uint32_t label) {
    struct inject_packet *p = &q->p;
    const struct waiting *w = NULL;
    if (f->joiner)
        w = joiner_see(f->joiner, p, prints->copy, label, &q->partner);
    else if (p->kind == KIND_UNDECIDED)
        p->kind = INJECT_ARRIVED;
    if (w) {
        q->first_copy = true;
        learn(f, w, &p->key);
    }
    if (p->kind == INJECT_ARRIVED || (p->kind == INJECT_OWN && p->flags & PACKET_ICMP_ERROR)) {
        book_see(f->book, p, prints->key, label, &q->relation);
        q->settle = label_is_pending(q->relation.after);
        bool forward = q->relation.after == LABEL_NONE && !(p->flags & (PACKET_FRAG_LATER | PACKET_ICMP_ERROR));
        if (forward && p->kind == INJECT_ARRIVED && f->joiner)
            joiner_learns(f->joiner);
    } else if (p->kind == INJECT_OWN && !(p->flags & PACKET_FRAG_LATER)) {
        book_see_own(f->book, p, prints->key, label, &q->relation);
    }
}

static struct feed_packet *begin(struct feed *f) {
    struct feed_packet *q = &f->batch[f->n];
    q->p = (struct inject_packet){.partner = INJECT_NONE, .answer = INJECT_NONE, .after = INJECT_NONE};
    q->relation = (struct relation){.same = LABEL_NONE, .after = LABEL_NONE};
    q->partner = LABEL_NONE;
    q->first_copy = q->settle = false;
    q->depth = 0;
    q->tunnel[0] = '\0';
    return q;
}

static void count(struct feed_counts *c, const struct inject_packet *p) {
    c->arrived += p->kind == INJECT_ARRIVED;
    c->copies += p->kind == INJECT_COPY;
    c->own += p->kind == INJECT_OWN;
    c->malformed += p->kind == INJECT_MALFORMED;
    c->ignored += p->kind == INJECT_IGNORED;
    c->elsewhere += p->kind == INJECT_ELSEWHERE;
    c->inner += p->kind == INJECT_INNER;
    if (p->kind == INJECT_MALFORMED || p->kind == INJECT_IGNORED)
        c->by_reason[p->reason]++;
}

static bool to_relate(const struct inject_packet *p) {
    return p->kind == INJECT_ARRIVED || p->kind == INJECT_OWN || p->kind == KIND_UNDECIDED;
}

static void fetch(struct feed *f, const struct inject_packet *p, struct prints *prints) {
    prints->key = book_hash(&p->key);
    book_fetch(f->book, prints->key);
    if (!f->joiner)
        return;
    prints->copy = joiner_print(p);
    joiner_fetch(f->joiner, prints->copy);
}

/* Those of the batch that were not yet, in their order. What is looked at was fetched by then. */
static void relate_all(struct feed *f) {
    for (unsigned i = f->related; i < f->n; i++) {
        if (!to_relate(&f->batch[i].p))
            continue;
        book_fetch_more(f->book, f->prints[i].key);
        if (f->joiner)
            joiner_fetch_more(f->joiner, f->prints[i].copy);
    }
    for (; f->related < f->n; f->related++) {
        struct feed_packet *q = &f->batch[f->related];
        if (to_relate(&q->p))
            relate(f, q, &f->prints[f->related], label_pending(f->related));
        count(&f->counts, &q->p);
    }
}

/* ---- what tunnels carry ---- */

/* The packet inside becomes one of its own, which the node does not see. */
static bool add_inner(struct feed *f, const struct feed_packet *outer, const struct link_view *v) {
    struct feed_packet *q = begin(f);
    q->raw = outer->raw;
    q->raw.data = v->ip;
    q->raw.len = v->len;
    q->raw.wire_len = v->wire_len;
    if (outer->p.flags & PACKET_FRAG_FIRST) /* the rest of it is in later fragments */
        q->raw.wire_len = tunnel_ip_length(v);
    struct packet k = {.data = (uint8_t *)v->ip, .len = v->len, .wire_len = q->raw.wire_len,
                       .flags = PACKET_RAW_IP | PACKET_NO_CHECKSUM};
    parse(&k);
    if (k.verdict == VERDICT_DROP)
        return false;
    q->p = (struct inject_packet){.raw = &q->raw, .kind = INJECT_ARRIVED, .port = outer->p.port, .partner = INJECT_NONE,
                                  .answer = INJECT_NONE, .after = INJECT_NONE, .l3 = k.l3, .l4 = k.l4,
                                  .flags = k.flags};
    packet_key(&k, &q->p.key);
    q->depth = v->depth;
    tunnel_name(q->tunnel, sizeof q->tunnel, v);
    book_see(f->inner, &q->p, book_hash(&q->p.key), label_pending(f->n), &q->relation);
    q->p.kind = INJECT_INNER;
    keep_bytes(f, q, f->n);
    f->n++;
    return true;
}

static void follow_tunnels(struct feed *f, unsigned outer, const struct link_view *view) {
    struct link_view at = *view, in;
    while (f->n < FEED_MOST && link_inner(&at, f->keys, f->room, &in)) {
        if (in.fault != LINK_IP || !add_inner(f, &f->batch[outer], &in))
            return;
        at = in;
    }
}

/* Must it be related while all of its bytes are here? Others are when the whole batch was read. */
static bool needs_all(const struct inject_packet *p) {
    return p->flags & (PACKET_ICMP_ERROR | PACKET_FRAG_FIRST | PACKET_FRAG_LATER) || p->l4 > FEED_ROOM / 2 ||
           tunnel_suspected(p);
}

static void take(struct feed *f, const struct trace_packet *raw) {
    uint32_t n;
    const struct trace_interface *interfaces = f->from.interfaces(f->from.of, &n);
    const uint16_t linktype = interfaces[raw->interface].linktype;
    const unsigned i = f->n;
    struct feed_packet *q = begin(f);
    struct link_view view;
    q->raw = *raw;
    q->p.raw = &q->raw;
    f->known |= link_type_known(linktype);
    if (n > f->n_ports)
        map_interfaces(f);
    q->p.port = port_of(f, raw, linktype);
    if (!f->counts.read++)
        f->counts.epoch_ns = raw->time_ns;
    f->counts.bytes += raw->wire_len;
    f->n++;
    const bool mapped = q->p.port != PORT_NONE;
    if ((!mapped && !f->sources) || !classify_packet(&q->p, &q->raw, f->node ? &f->node->node : NULL, linktype, &view))
        q->p.kind = INJECT_ELSEWHERE;
    else if (!mapped)
        classify_by_source(&q->p, f->sources);
    if (to_relate(&q->p)) {
        fetch(f, &q->p, &f->prints[i]);
        if (needs_all(&q->p))
            relate_all(f);
        if (tunnel_suspected(&q->p) && q->p.kind != INJECT_COPY)
            follow_tunnels(f, i, &view);
    }
    keep_bytes(f, q, i);
}

int feed_next(struct feed *f, struct feed_packet **out, struct err *e) {
    struct trace_packet raw;
    int code = 1;
    f->n = f->related = 0;
    while (f->n < FEED_BATCH && (code = read_one(f, &raw, e)) > 0)
        take(f, &raw);
    relate_all(f);
    if (f->early.n && f->early_at == f->early.n)
        forget_early(f);
    *out = f->batch;
    if (f->n)
        return (int)f->n;
    if (code < 0 || !f->counts.read)
        return code;
    uint32_t n;
    const struct trace_interface *interfaces = f->from.interfaces(f->from.of, &n);
    if (!f->mapped)
        return classify_none(f->control, f->node, interfaces, n, e);
    return f->known ? 0 : classify_unknown(interfaces[0].linktype, e);
}

void feed_name(struct feed *f, const uint32_t *names) {
    if (f->joiner)
        joiner_settle(f->joiner, names);
    book_settle(f->book, names);
    book_settle(f->inner, names);
}

uint32_t feed_find(const struct feed *f, const struct flow_key *key, bool inner) {
    return book_find(inner ? f->inner : f->book, key);
}

void feed_put(struct feed *f, const struct flow_key *key, bool inner, uint32_t label) {
    book_put(inner ? f->inner : f->book, key, label);
}

void feed_forget(struct feed *f, const struct flow_key *key, bool inner) {
    book_forget(inner ? f->inner : f->book, key);
}

const struct feed_counts *feed_count(const struct feed *f) {
    return &f->counts;
}

void feed_fill(struct feed_packet *from, struct packet *p) {
    *p = (struct packet){.data = (uint8_t *)from->raw.data, .len = from->raw.len, .wire_len = from->raw.wire_len,
                         .in_port = from->p.port, .out_port = PORT_NONE, .path = ROUTE_NONE};
    p->room = from->raw.data == from->bytes ? (uint16_t)(FEED_ROOM - from->raw.len) : 0;
    p->flags = from->p.flags & (PACKET_RAW_IP | PACKET_NO_CHECKSUM);
}

int feed_fit(const struct feed_packet *from, struct packet *p, const struct nat *nat) {
    if (!from->relation.answers || !nat)
        return 0;
    return inject_fit_inside(&from->p, from->relation.proto, &from->relation.inside, p, nat);
}
