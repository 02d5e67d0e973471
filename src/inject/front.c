/* SPDX-License-Identifier: BSD-3-Clause */
/* See front.h. */
#include "front.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/block.h>
#include "tracker.h"

#define LOOKED_AT 4096       /* packets by which nameless interfaces are told */
#define PORT_UNKNOWN (PORT_NONE - 1)
#define CLAIM_AHEAD 4        /* packets */

struct front {
    struct feed_source from;
    const struct control *control;
    const struct control_node *node; /* NULL without a scenario */
    const struct link_keys *keys;
    uint16_t *port;                  /* of each interface */
    struct sources *sources;         /* NULL: none */
    uint32_t n_ports, n_told;        /* interfaces that are mapped; that were told with a batch */
    bool joins;                      /* packets may be there twice, as they came and as they left */
    bool mapped, known;              /* an interface is a NIC; a link type is known */
    VEC(struct trace_packet) early;  /* the first ones; their bytes are owned */
    const struct trace_packet *next, *end; /* read and not yet taken */
    bool ended;
    struct link_room *room;
    struct feed_counts counts;       /* of what was read, without kinds of packets */
    atomic_bool stop;
    struct tracker *tracker;         /* what follows is front_relate's alone */
    struct feed_counts kinds;        /* of packets */
};

/* ---- interfaces ---- */

static void look_at_macs(struct front *f, uint32_t n, const struct trace_interface *interfaces) {
    const uint16_t ports = f->node->node.n_ports;
    size_t *seen = xzalloc((size_t)n * ports, sizeof *seen);
    for (size_t i = 0; i < f->early.n && i < LOOKED_AT; i++) {
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

static void map_interfaces(struct front *f) {
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
    f->joins |= n > 1 || macs;
}

/* An interface without a name that was not among the first: whose MAC address its first frame shows. */
static uint16_t port_of(struct front *f, const struct trace_packet *raw, uint16_t linktype) {
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

static void forget_early(struct front *f) {
    for (size_t i = 0; i < f->early.n; i++)
        free((void *)(uintptr_t)f->early.v[i].data);
    vec_free(&f->early);
}

/* Once all were taken: the next ones. */
static int read_run(struct front *f, struct err *e) {
    forget_early(f);
    const int code = f->ended ? 0 : f->from.read(f->from.of, &f->next, e);
    f->ended = code <= 0;
    f->end = f->ended ? f->next : f->next + code;
    return code;
}

static void keep_early(struct front *f, const struct trace_packet *p) {
    struct trace_packet early = *p;
    early.data = memcpy(xalloc(p->len + 1), p->data, p->len);
    early.comment = NULL;
    vec_push(&f->early, early);
}

/* Nameless interfaces are told by what goes over them. */
static int look_ahead(struct front *f, struct err *e) {
    uint32_t n;
    int code = 1;
    for (bool more = true; more && code > 0 && f->early.n < LOOKED_AT;) {
        const struct trace_packet *run;
        code = f->from.read(f->from.of, &run, e);
        for (int i = 0; i < code; i++)
            keep_early(f, &run[i]);
        more = code > 0 && f->node && !f->from.interfaces(f->from.of, &n)[run[0].interface].name[0];
    }
    f->ended = code <= 0;
    f->next = f->early.v;
    f->end = f->early.n ? f->next + f->early.n : f->next;
    map_interfaces(f);
    return code;
}

struct front *front_create(const struct feed_source *from, const struct control *c, uint32_t node,
                           const struct link_keys *keys, size_t conversations, struct err *e) {
    struct front *f = xzalloc(1, sizeof *f);
    f->from = *from;
    f->control = c;
    f->node = c ? &c->nodes[node] : NULL;
    f->keys = keys;
    f->sources = c ? sources_create(c, f->node) : NULL;
    f->room = xalloc(sizeof *f->room);
    f->tracker = tracker_create(conversations);
    if (look_ahead(f, e) >= 0)
        return f;
    front_destroy(f);
    return NULL;
}

void front_destroy(struct front *f) {
    if (!f)
        return;
    forget_early(f);
    free(f->port);
    free(f->sources);
    free(f->room);
    tracker_destroy(f->tracker);
    free(f);
}

/* ---- one packet ---- */

static bool is_dhcp(const struct inject_packet *p) {
    const uint16_t s = ntohs(p->key.sport), d = ntohs(p->key.dport);
    return p->key.proto == PROTO_UDP && (s == 67 || s == 68) && (d == 67 || d == 68);
}

/* Looked at beyond its own headers, or with headers that are long. */
static bool is_long(const struct inject_packet *p) {
    return is_dhcp(p) || p->flags & PACKET_ICMP_ERROR || p->l4 > FEED_ROOM / 2;
}

/* `room` is in whole lines; nothing beyond len is read. (memmove: compilers put a slow loop for memcpy here.) */
static uint8_t *copy(uint8_t *to, const uint8_t *from, uint32_t len, uint32_t room) {
    if (len < room)
        return memmove(to, from, len);
    for (uint32_t at = 0; at < room; at += 64)
        memcpy(to + at, from + at, 64);
    return to;
}

/* Where the headers end; without ports with somewhat more. */
static uint32_t headers_end(const struct feed_packet *q) {
    const bool ports = !(q->p.flags & PACKET_FRAG_LATER);
    if (ports && q->p.key.proto == PROTO_UDP)
        return q->p.l4 + 8u;
    if (ports && q->p.key.proto == PROTO_TCP && q->raw.len > q->p.l4 + 12u) {
        const uint32_t words = q->raw.data[q->p.l4 + 12] >> 4;
        return q->p.l4 + (words > 5 ? words : 5) * 4u;
    }
    return q->p.l4 + 64u;
}

/* The bytes that the caller gets to see are the feed's own: the headers, in whole cache lines. */
static inline void keep_bytes(struct batch *b, struct feed_packet *q) {
    uint32_t room = (headers_end(q) + 63u) & ~63u;
    uint8_t *to = q->bytes;
    if (__builtin_expect(is_long(&q->p), false)) {
        room = q->raw.len > FEED_ROOM ? FRONT_LONG : FEED_ROOM;
        to = q->raw.len > FEED_ROOM ? b->long_bytes[q - b->packets] : to;
    }
    if (q->raw.len > room)
        q->raw.len = room;
    if (q->p.mac)
        q->p.mac = memcpy(q->mac, q->p.mac, 12); /* the core changes those of the frame */
    q->raw.data = copy(to, q->raw.data, q->raw.len, room);
    q->raw.comment = NULL;
}

static struct feed_packet *begin(struct batch *b) {
    struct feed_packet *q = &b->packets[b->n++];
    if (b->n + CLAIM_AHEAD <= FEED_MOST)
        batch_claim(q + CLAIM_AHEAD);
    q->p = (struct inject_packet){.partner = INJECT_NONE, .answer = INJECT_NONE, .after = INJECT_NONE};
    q->depth = 0;
    return q;
}

bool batch_relates(const struct feed_packet *q) {
    return q->p.kind == INJECT_ARRIVED || q->p.kind == INJECT_OWN || q->p.kind == KIND_UNDECIDED;
}

/* The packet inside becomes one of its own, which the node does not see. */
static bool add_inner(struct front *f, struct batch *b, const struct feed_packet *outer, const struct link_view *v) {
    struct packet k = {.data = (uint8_t *)v->ip, .len = v->len, .wire_len = v->wire_len,
                       .flags = PACKET_RAW_IP | PACKET_NO_CHECKSUM};
    if (outer->p.flags & PACKET_FRAG_FIRST) /* the rest of it is in later fragments */
        k.wire_len = tunnel_ip_length(v);
    parse(&k);
    if (k.verdict == VERDICT_DROP)
        return false;
    struct feed_packet *q = begin(b);
    q->raw = outer->raw;
    q->raw.data = v->ip;
    q->raw.len = v->len;
    q->raw.wire_len = k.wire_len;
    q->p = (struct inject_packet){.raw = &q->raw, .kind = INJECT_INNER, .port = outer->p.port, .partner = INJECT_NONE,
                                  .answer = INJECT_NONE, .after = INJECT_NONE, .l3 = k.l3, .l4 = k.l4,
                                  .flags = k.flags};
    packet_key(&k, &q->p.key);
    q->depth = v->depth;
    tunnel_name(q->tunnel, sizeof q->tunnel, v);
    b->prints[q - b->packets].key = book_hash(&q->p.key);
    keep_bytes(b, q);
    return true;
}

static void follow_tunnels(struct front *f, struct batch *b, const struct feed_packet *outer, uint16_t linktype,
                           const struct link_view *view) {
    struct link_view at, in;
    if (view->ip)
        at = *view;
    else
        link_decode(linktype, outer->raw.data, outer->raw.len, outer->raw.wire_len, &at);
    while (b->n < FEED_MOST && link_inner(&at, f->keys, f->room, &in)) {
        if (in.fault != LINK_IP || !add_inner(f, b, outer, &in))
            return;
        at = in;
    }
}

/* The next one of the batch. */
static void take(struct front *f, struct batch *b, const struct trace_packet *raw, uint16_t linktype) {
    struct feed_packet *q = begin(b);
    struct prints *prints = &b->prints[q - b->packets];
    struct link_view view;
    q->raw = *raw;
    q->p.raw = &q->raw;
    f->known = f->known || link_type_known(linktype);
    q->p.port = port_of(f, &q->raw, linktype);
    if (!f->counts.read++)
        f->counts.epoch_ns = raw->time_ns;
    f->counts.bytes += raw->wire_len;
    const bool mapped = q->p.port != PORT_NONE;
    if ((!mapped && !f->sources) || !classify_packet(&q->p, &q->raw, f->node ? &f->node->node : NULL, linktype, &view))
        q->p.kind = INJECT_ELSEWHERE;
    else if (!mapped)
        classify_by_source(&q->p, f->sources);
    if (batch_relates(q)) {
        prints->key = book_hash(&q->p.key);
        prints->copy = f->joins ? joiner_print(&q->p) : 0;
        if (tunnel_suspected(&q->p))
            follow_tunnels(f, b, q, linktype, &view);
    }
    keep_bytes(b, q);
}

/* ---- batches ---- */

/* Those that came up since the batch before. */
static void tell_interfaces(struct front *f, struct batch *b) {
    const struct trace_interface *list = f->from.interfaces(f->from.of, &b->n_new);
    b->n_new -= f->n_told;
    if (!b->n_new)
        return;
    list += f->n_told;
    f->n_told += b->n_new;
    b->new_interfaces = xalloc(b->n_new * sizeof *b->new_interfaces);
    for (uint32_t i = 0; i < b->n_new; i++) {
        b->new_interfaces[i] = list[i];
        b->new_interfaces[i].name = xstrdup(list[i].name);
        b->new_interfaces[i].description = NULL;
    }
}

struct batch *batches_create(unsigned n) {
    struct batch *b = block_grow(NULL, 0, n * sizeof *b);
    for (unsigned i = 0; i < n; i++)
        b[i].new_interfaces = NULL;
    return b;
}

void batches_destroy(struct batch *b, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        for (uint32_t k = 0; b[i].new_interfaces && k < b[i].n_new; k++)
            free((char *)b[i].new_interfaces[k].name);
        free(b[i].new_interfaces);
    }
    block_free(b, n * sizeof *b);
}

/* Why there is nothing to be had of a capture that was read whole. */
static int nothing(struct front *f, struct err *e) {
    uint32_t n;
    const struct trace_interface *interfaces = f->from.interfaces(f->from.of, &n);
    if (!f->counts.read || (f->mapped && f->known))
        return 0;
    return f->mapped ? classify_unknown(interfaces[0].linktype, e)
                     : classify_none(f->control, f->node, interfaces, n, e);
}

void front_stop(struct front *f) {
    atomic_store(&f->stop, true);
}

void front_fill(struct front *f, struct batch *b) {
    uint32_t n;
    b->n = 0;
    b->code = 1;
    map_interfaces(f);
    while (b->n < FEED_BATCH && !atomic_load_explicit(&f->stop, memory_order_relaxed) &&
           (f->next < f->end || (b->code = read_run(f, &b->err)) > 0)) {
        const struct trace_interface *interfaces = f->from.interfaces(f->from.of, &n);
        if (n > f->n_ports && b->n) /* a batch knows its interfaces from the beginning */
            break;
        map_interfaces(f);
        for (; f->next < f->end && b->n < FEED_BATCH; f->next++)
            take(f, b, f->next, interfaces[f->next->interface].linktype);
    }
    if (!b->code)
        b->code = nothing(f, &b->err);
    tell_interfaces(f, b);
    b->joins = f->joins;
    if (f->from.progress)
        f->from.progress(f->from.of, &f->counts.done, &f->counts.total);
    b->counts = f->counts;
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

/* What is inside of copies does not count. */
static void count_all(struct feed_counts *c, struct batch *b) {
    const struct feed_packet *outer = NULL;
    for (unsigned i = 0; i < b->n; i++) {
        const struct feed_packet *q = &b->packets[i];
        outer = q->depth ? outer : q;
        if (q == outer || outer->p.kind != INJECT_COPY)
            count(c, &q->p);
    }
    c->read = b->counts.read;
    c->bytes = b->counts.bytes;
    c->epoch_ns = b->counts.epoch_ns;
    c->done = b->counts.done;
    c->total = b->counts.total;
    b->counts = *c;
}

void front_relate(struct front *f, struct batch *b) {
    tracker_relate(f->tracker, b);
    count_all(&f->kinds, b);
}
