/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datagrams in fragments through NAT: a packet that both routers let pass is cut and sent again, its fragments in order
 * or not, some twice, some that overlap, or not all of them. Linux collects fragments and sends the datagram on once it
 * is whole, the core sends each on as it comes: so what is compared is the datagram that a receiver would put together.
 */
#include "reasons.h"
#include "traffic.h"

#define PIECES_MAX 8
#define L4_MAX 24u /* what NAT changes lies before this: an overlap there says two things */

struct cut { /* a fragment: offset and size in bytes of the payload */
    uint32_t from, size;
    bool more;
};

/* What a receiver has of a datagram. */
struct collected {
    struct frame whole; /* without the holes; at the stack: from the IP header on */
    uint32_t header;    /* bytes up to the payload, 0: nothing came */
    uint32_t end, n;    /* of the payload, 0: not known; bytes there are */
    bool delivered, odd, have[FRAME_MAX]; /* odd: pieces that do not belong together */
};

static const char *const orders[] = {"fragments in order", "fragments out of order", "fragments doubled",
                                     "fragments overlapping", "fragments incomplete"};
enum order { IN_ORDER, OUT_OF_ORDER, DOUBLED, OVERLAPPING, INCOMPLETE, ORDERS };

/* ---- cutting ---- */

static unsigned cut_up(struct traffic *t, enum order order, uint32_t size, struct cut *cut) {
    unsigned n = 0;
    for (uint32_t from = 0; from < size; n++) {
        const uint32_t left = size - from, units = (left - 1) / 8;
        bool last = n > 0 && (units == 0 || n == PIECES_MAX - 1 || chance(t, 25));
        cut[n] = (struct cut){from, last ? left : 8 * (1 + below(t, units)), !last};
        from += cut[n].size;
    }
    if (order == OVERLAPPING) {
        struct cut *c = &cut[1 + below(t, n - 1)];
        uint32_t back = c->from > L4_MAX ? 8 * (1 + below(t, (c->from - L4_MAX) / 8)) : 0;
        c->from -= back;
        c->size += back;
    }
    for (unsigned i = n - 1; i > 0 && order != IN_ORDER && chance(t, order == INCOMPLETE ? 50 : 100); i--) {
        unsigned other = below(t, i + 1);
        struct cut keep = cut[i];
        cut[i] = cut[other];
        cut[other] = keep;
    }
    if (order == DOUBLED) {
        unsigned i = below(t, n);
        memmove(cut + i + 1, cut + i, (n - i) * sizeof *cut);
        n++;
    }
    if (order == INCOMPLETE) {
        unsigned i = below(t, n--);
        memmove(cut + i, cut + i + 1, (n - i) * sizeof *cut);
    }
    return n;
}

static void cut_out(const struct frame *whole, const struct cut *cut, uint16_t id, struct frame *piece) {
    const uint32_t header = ETHERNET + (whole->byte[ETHERNET] & 15) * 4u;
    uint8_t *ip = piece->byte + ETHERNET;
    piece->port = whole->port;
    piece->len = header + cut->size;
    memcpy(piece->byte, whole->byte, header);
    memcpy(piece->byte + header, whole->byte + header + cut->from, cut->size);
    put16(ip + 2, piece->len - ETHERNET);
    put16(ip + 4, id);
    put16(ip + 6, cut->from / 8 | (cut->more ? IPV4_MF : 0));
    seal(ip, header - ETHERNET);
}

/* ---- collecting ---- */

static void collect(struct collected *c, const struct frame *f, uint32_t l3, bool delivered) {
    const uint8_t *ip = f->byte + l3;
    uint32_t header = l3 + (ip[0] & 15) * 4u, from = ((uint32_t)ip[6] << 8 | ip[7]) % 0x2000 * 8;
    uint32_t n = ((uint32_t)ip[2] << 8 | ip[3]) - (header - l3);
    if (f->len < header + n || header + from + n > FRAME_MAX) {
        c->odd = true;
        return;
    }
    if (!c->header) {
        c->header = header;
        c->delivered = delivered;
        c->whole = *f;
    }
    const uint8_t *first = c->whole.byte;
    c->odd |= c->header != header || c->delivered != delivered || c->whole.port != f->port ||
              memcmp(first, f->byte, l3 + 2) || memcmp(first + l3 + 4, ip + 4, 2) ||
              memcmp(first + l3 + 8, ip + 8, 2) || memcmp(first + l3 + 12, ip + 12, 8);
    for (uint32_t i = 0; i < n; i++) {
        c->odd |= c->have[from + i] && c->whole.byte[header + from + i] != f->byte[header + i];
        c->n += !c->have[from + i];
        c->have[from + i] = true;
    }
    memcpy(c->whole.byte + header + from, f->byte + header, n);
    c->end = ip[6] & 0x20 ? c->end : from + n;
}

static void collect_all(struct collected *c, const struct outcome *o) {
    if (o->delivered)
        collect(c, &o->at_stack, 0, true);
    for (unsigned i = 0; i < o->n; i++)
        collect(c, &o->frames[i], ETHERNET, false);
}

static bool is_whole(const struct collected *c) {
    return c->header && c->end && c->n == c->end;
}

/* The datagram as if it had never been cut; nothing, if it is not whole. */
static void put_together(const struct collected *c, struct outcome *o) {
    o->n = 0;
    o->delivered = false;
    if (!is_whole(c))
        return;
    struct frame *f = c->delivered ? &o->at_stack : &o->frames[0];
    const uint32_t l3 = c->delivered ? 0 : ETHERNET;
    *f = c->whole;
    f->len = c->header + c->end;
    put16(f->byte + l3 + 2, f->len - l3);
    put16(f->byte + l3 + 6, 0);
    seal(f->byte + l3, c->header - l3);
    o->delivered = c->delivered;
    o->n = !c->delivered;
}

void fragments_join(const struct outcome *in, struct outcome *out) {
    static struct collected c;
    memset(&c, 0, sizeof c);
    collect_all(&c, in);
    put_together(&c, out);
}

/* Is what came of a datagram a part of what the whole one became? Identifications differ. */
static bool is_part(const struct collected *c, const struct outcome *whole) {
    const struct frame *f = whole->delivered ? &whole->at_stack : &whole->frames[0];
    const uint32_t l3 = whole->delivered ? 0 : ETHERNET;
    if (!c->header)
        return true;
    if (c->odd || c->delivered != whole->delivered || c->header + c->end > f->len || c->whole.port != f->port ||
        memcmp(c->whole.byte + l3 + 12, f->byte + l3 + 12, c->header - l3 - 12))
        return false;
    for (uint32_t i = c->header; i < f->len; i++)
        if (c->have[i - c->header] && c->whole.byte[i] != f->byte[i])
            return false;
    return true;
}

/* ---- the comparison ---- */

const char *const fragment_reasons[] = {"overlap", "fragments-not-held", "tiny-fragment", "fragments-elsewhere", NULL};

bool fragments_possible(const struct trial *t) {
    const uint8_t *ip = t->in->byte + ETHERNET;
    const struct outcome *k = t->kernel, *c = t->core;
    uint8_t verdict = t->after->verdict;
    return t->lab->node.nat && t->after->family == FAMILY_IPV4 && !(t->after->flags & PACKET_ICMP_ERROR) &&
           t->in->byte[12] == 8 && !(ip[6] & 0xff) && !ip[7] &&
           (verdict == VERDICT_FORWARD || verdict == VERDICT_DELIVER) && k->delivered == c->delivered &&
           k->n == c->n && ((uint32_t)ip[2] << 8 | ip[3]) >= (ip[0] & 15) * 4u + 24 &&
           t->in->len >= ETHERNET + ((uint32_t)ip[2] << 8 | ip[3]);
}

/* Why the core has not what Linux has; NULL: there is no reason. `first`: bytes in the first fragment. */
static const char *fragment_reason(const struct trial *t, const struct collected *core, enum order order,
                                   uint32_t first, const struct outcome *passed) {
    const uint8_t *ip = t->in->byte + ETHERNET;
    const struct nat_config *nat = nat_config_get(t->lab->node.nat);
    bool later_first = order != IN_ORDER;
    if (ip[9] == PROTO_TCP && first < 18)
        return "tiny-fragment";
    if (is_part(core, passed)) {
        if (silent(t->kernel))
            return order == OVERLAPPING ? "overlap" : order == INCOMPLETE ? "reassembly" : NULL;
        if (later_first && !nat->hold_fragments)
            return "fragments-not-held";
    }
    bool to_outside = !memcmp(ip + 16, nat->addresses, 4), forwarded = passed->n;
    bool elsewhere = to_outside ? t->in->port != nat->outside_port
                                : !forwarded || passed->frames[0].port != nat->outside_port;
    return later_first && elsewhere ? "fragments-elsewhere" : NULL;
}

const char *fragments_compare(struct traffic *traffic, struct kernel *k, const struct frame *to_kernel,
                              struct trial *t, const char **topic) {
    static struct collected in_kernel, in_core;
    static struct outcome out, passed, joined_kernel, joined_core;
    static struct frame piece;
    struct packet after;
    struct cut cuts[PIECES_MAX + 1];
    enum order order = (enum order)below(traffic, ORDERS);
    const uint8_t *ip = t->in->byte + ETHERNET;
    unsigned n = cut_up(traffic, order, ((uint32_t)ip[2] << 8 | ip[3]) - (ip[0] & 15) * 4u, cuts);
    memset(&in_kernel, 0, sizeof in_kernel);
    memset(&in_core, 0, sizeof in_core);
    fragments_join(t->core, &passed);
    uint32_t first = UINT32_MAX;
    traffic->datagrams++;
    for (unsigned i = 0; i < n; i++) {
        cut_out(to_kernel, &cuts[i], traffic->datagrams, &piece);
        kernel_run(k, &piece, &out);
        collect_all(&in_kernel, &out);
        cut_out(t->in, &cuts[i], traffic->datagrams, &piece);
        core_run(t->lab, &piece, t->now, &out, &after);
        collect_all(&in_core, &out);
        while (core_run_held(t->lab, t->now, &out, &after))
            collect_all(&in_core, &out);
    }
    for (unsigned i = 0; i < n; i++)
        first = cuts[i].from ? first : cuts[i].size;
    put_together(&in_kernel, &joined_kernel);
    put_together(&in_core, &joined_core);
    t->kernel = &joined_kernel;
    t->core = &joined_core;
    *topic = orders[order];
    if (in_kernel.odd)
        return NULL;
    if (agree(t) && !in_core.odd && !(silent(t->kernel) && in_core.header))
        return "";
    const char *reason = in_core.odd || silent(t->kernel) || silent(t->core) ? NULL : reason_of(t);
    return reason ? reason : fragment_reason(t, &in_core, order, first, &passed);
}
