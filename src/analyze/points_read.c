/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets of two captures for points.h, side by side, so that what waits for its other sight waits shortly. */
#include <fwdlab/analyze/points.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/trace/link.h>

/* NICs checksum after the capture what leaves: a wrong IP checksum means nothing here. */
static void see(struct points *p, unsigned point, uint16_t linktype, const struct trace_packet *raw) {
    struct link_view v;
    if (!link_decode(linktype, raw->data, raw->len, raw->wire_len, &v) || v.fault != LINK_IP)
        return;
    struct packet k = {.data = (uint8_t *)v.ip, .len = v.len, .wire_len = v.wire_len,
                       .flags = PACKET_RAW_IP | PACKET_NO_CHECKSUM};
    parse(&k);
    if (k.verdict == VERDICT_DROP)
        return;
    struct point_packet q = {.time_ns = raw->time_ns, .frame = raw->frame, .wire_len = v.wire_len, .ip = v.ip,
                             .len = v.len, .l4 = k.l4, .flags = k.flags};
    packet_key(&k, &q.key);
    points_see(p, point, &q);
}

struct side {
    struct trace_many *from;
    struct trace_packet next;
    uint64_t first_ns;
    bool any, more;
};

static int advance(struct side *s, struct err *e) {
    int code = trace_many_read(s->from, &s->next, e);
    s->more = code > 0;
    if (s->more && !s->any) {
        s->first_ns = s->next.time_ns;
        s->any = true;
    }
    return code < 0 ? code : 0;
}

int points_read(struct points *p, struct trace_many *const from[2], const volatile bool *stop, struct err *e) {
    struct side side[2] = {{.from = from[0]}, {.from = from[1]}};
    int code = advance(&side[0], e);
    code = code ? code : advance(&side[1], e);
    while (!code && !*stop && (side[0].more || side[1].more)) {
        uint64_t gone[2];
        uint32_t n;
        for (unsigned i = 0; i < 2; i++) /* each by its own clock, which may be hours apart */
            gone[i] = side[i].more ? side[i].next.time_ns - side[i].first_ns : UINT64_MAX;
        const unsigned i = gone[1] < gone[0];
        const struct trace_interface *interfaces = trace_many_interfaces(side[i].from, &n);
        see(p, i, interfaces[side[i].next.interface].linktype, &side[i].next);
        code = advance(&side[i], e);
    }
    points_finish(p);
    return code;
}
