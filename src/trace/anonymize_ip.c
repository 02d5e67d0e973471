/* SPDX-License-Identifier: BSD-3-Clause */
/* IP headers of both families with their options and extension headers, and checksums that follow. */
#include "anonymize.h"

#define DEPTH_MAX 8

enum { PROTO_HOP = 0, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_ROUTING = 43, PROTO_FRAGMENT = 44,
       PROTO_DESTINATION = 60 };

static uint32_t fold(uint64_t sum) {
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint32_t)sum;
}

uint32_t frame_sum(const uint8_t *p, uint32_t len) {
    uint64_t sum = 0;
    uint32_t word, i = 0;
    for (; i + 4 <= len; i += 4) {
        memcpy(&word, p + i, sizeof word);
        sum += word;
    }
    uint8_t rest[4] = {0};
    memcpy(rest, p + i, len - i);
    memcpy(&word, rest, sizeof word);
    return fold(sum + word);
}

static uint32_t get_checksum(const uint8_t *p) {
    be16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static void put_checksum(uint8_t *p, uint32_t v) {
    be16 sum = (be16)v;
    memcpy(p, &sum, sizeof sum);
}

/* Is it the pseudo header's sum alone, as a kernel leaves it for the NIC? Not when it happens to be the right one. */
static bool is_partial(const struct frame *f, uint32_t old, uint32_t from, uint32_t to, const struct pseudo *p) {
    uint32_t sum = fold((uint64_t)p->was + p->constant);
    return old == sum && !(to - from >= p->len && fold(sum + frame_sum(f->was + from, p->len)) == 0xffff);
}

void frame_checksum(struct frame *f, uint32_t field, uint32_t from, uint32_t to, const struct pseudo *p) {
    uint32_t old = get_checksum(f->was + field), was = frame_sum(f->was + from, to - from);
    uint32_t is = frame_sum(f->d + from, to - from);
    if (p && is_partial(f, old, from, to, p)) {
        put_checksum(f->d + field, fold((uint64_t)p->is + p->constant));
        return;
    }
    if (p) {
        was = fold((uint64_t)was + p->was);
        is = fold((uint64_t)is + p->is);
    }
    if (was != is)
        put_checksum(f->d + field, ~fold((uint64_t)(~old & 0xffff) + (~was & 0xffff) + is));
}

/* Record route, source routes and timestamps hold addresses (RFC 791, 3.1); what is not known becomes NOPs. */
static void ipv4_options(struct frame *f, uint32_t at, uint32_t end) {
    enum { END = 0, NOP = 1, RECORD = 7, TIMESTAMP = 68, LOOSE = 131, STRICT = 137, ALERT = 148 };
    while (at < end && f->d[at] != END) {
        uint8_t kind = f->d[at];
        if (kind == NOP) {
            at++;
            continue;
        }
        uint32_t len = at + 1 < end ? f->d[at + 1] : 0;
        bool timestamps = kind == TIMESTAMP && len >= 4;
        bool addresses = timestamps && (f->d[at + 3] & 15), fits = len >= 2 && len <= end - at;
        if (!fits || (kind != RECORD && !timestamps && kind != LOOSE && kind != STRICT && kind != ALERT)) {
            len = fits ? len : end - at;
            memset(f->d + at, NOP, len);
        } else if (kind == RECORD || kind == LOOSE || kind == STRICT) {
            for (uint32_t i = 3; i + 4 <= len; i += 4)
                cryptopan_ipv4(f->pan, f->d + at + i);
        } else if (addresses) {
            for (uint32_t i = 4; i + 8 <= len; i += 8)
                cryptopan_ipv4(f->pan, f->d + at + i);
        }
        at += len;
    }
    memset(f->d + at, END, end - at);
}

/* Of later fragments nobody knows what they carry: only of the usual transports is it payload. */
static uint32_t later_fragment(const struct frame *f, uint8_t proto, uint32_t at, uint32_t end) {
    return proto == PROTO_TCP || proto == PROTO_UDP ? frame_payload(f, at, end) : at;
}

static struct pseudo pseudo_header(uint32_t was, uint32_t is, uint8_t proto, uint32_t len) {
    return (struct pseudo){was, is, fold((uint64_t)htons(proto) + htonl(len)), len};
}

static uint32_t ipv4(struct frame *f, uint32_t at, uint32_t end) {
    uint8_t *h = f->d + at;
    uint32_t header = (h[0] & 15) * 4u;
    if (header < 20 || end - at < header)
        return frame_close(f, at);
    uint32_t total = wire16(h + 2), offset = wire16(h + 6) & 0x1fff, l4 = at + header;
    if (total < header)
        total = end - at; /* 0: segmentation offload */
    end = total < end - at ? at + total : end;
    cryptopan_ipv4(f->pan, h + 12);
    cryptopan_ipv4(f->pan, h + 16);
    ipv4_options(f, at + 20, l4);
    if (get_checksum(f->was + at + 10) || frame_sum(f->was + at, header) == 0xffff) /* else left to the NIC */
        frame_checksum(f, at + 10, at, l4, NULL);
    if (offset)
        return later_fragment(f, h[9], l4, end);
    struct pseudo p = pseudo_header(frame_sum(f->was + at + 12, 8), frame_sum(h + 12, 8), h[9], total - header);
    return anonymize_transport(f, h[9], at, l4, end, &p);
}

/* Options of hop-by-hop and destination headers (RFC 8200, 4.2): what is not known is blanked. */
static void ipv6_options(struct frame *f, uint32_t at, uint32_t end) {
    enum { PAD1 = 0, PADN = 1, TUNNEL_LIMIT = 4, ALERT = 5, JUMBO = 0xc2, HOME = 0xc9 };
    while (at < end) {
        uint8_t kind = f->d[at];
        if (kind == PAD1) {
            at++;
            continue;
        }
        uint32_t len = at + 1 < end ? f->d[at + 1] + 2u : 0;
        if (!len || len > end - at) {
            memset(f->d + at, PAD1, end - at);
            return;
        }
        if (kind == HOME && len == 18)
            cryptopan_ipv6(f->pan, f->d + at + 2);
        else if (kind != TUNNEL_LIMIT && kind != ALERT && kind != JUMBO)
            memset(f->d + at + 2, 0, len - 2);
        at += len;
    }
}

/* Types 0, 2 and 4 (RFC 5095, 6275, 8754) list addresses. With segments left *final is the offset of that which the
 * packet goes to in the end. False: another type. */
static bool routing(struct frame *f, uint32_t at, uint32_t len, uint32_t *final) {
    uint8_t type = f->d[at + 2], left = f->d[at + 3];
    uint32_t n = type == 4 ? f->d[at + 4] + 1u : (len - 8) / 16;
    if ((type != 0 && type != 2 && type != 4) || 8 + n * 16 > len)
        return false;
    for (uint32_t i = 0; i < n; i++)
        cryptopan_ipv6(f->pan, f->d + at + 8 + i * 16);
    memset(f->d + at + 8 + n * 16, 0, len - 8 - n * 16); /* TLVs */
    if (left && n)
        *final = at + 8 + (type == 4 ? 0 : (n - 1) * 16);
    return true;
}

/* From the first extension header to the transport. */
static uint32_t ipv6_rest(struct frame *f, uint32_t ip, uint32_t total, uint32_t end) {
    uint32_t at = ip + 40, final = ip + 24;
    uint8_t proto = f->d[ip + 6];
    for (;;) {
        bool options = proto == PROTO_HOP || proto == PROTO_DESTINATION;
        if (!options && proto != PROTO_ROUTING && proto != PROTO_FRAGMENT)
            break;
        if (end - at < 8)
            return frame_close(f, at);
        const uint8_t *h = f->d + at;
        uint32_t len = proto == PROTO_FRAGMENT ? 8 : (h[1] + 1u) * 8;
        if (len > end - at)
            return frame_close(f, at);
        if (options)
            ipv6_options(f, at + 2, at + len);
        else if (proto == PROTO_ROUTING && !routing(f, at, len, &final))
            return frame_close(f, at);
        else if (proto == PROTO_FRAGMENT && wire16(h + 2) >> 3)
            return later_fragment(f, h[0], at + len, end);
        proto = h[0];
        at += len;
    }
    uint32_t left = at - ip < total ? total - (at - ip) : 0;
    struct pseudo p = pseudo_header(fold(frame_sum(f->was + ip + 8, 16) + frame_sum(f->was + final, 16)),
                                    fold(frame_sum(f->d + ip + 8, 16) + frame_sum(f->d + final, 16)), proto, left);
    return anonymize_transport(f, proto, ip, at, end, &p);
}

static uint32_t ipv6(struct frame *f, uint32_t at, uint32_t end) {
    if (end - at < 40)
        return frame_close(f, at);
    uint32_t total = 40u + wire16(f->d + at + 4);
    if (total == 40 && f->d[at + 6] != 59)
        total = end - at; /* segmentation offload, or a jumbogram */
    end = total < end - at ? at + total : end;
    cryptopan_ipv6(f->pan, f->d + at + 8);
    cryptopan_ipv6(f->pan, f->d + at + 24);
    return ipv6_rest(f, at, total, end);
}

uint32_t anonymize_ip(struct frame *f, uint32_t at, uint32_t end) {
    uint32_t version = at < end ? f->d[at] >> 4 : 0;
    if (f->depth++ >= DEPTH_MAX || (version != 4 && version != 6))
        return frame_close(f, at);
    return version == 4 ? ipv4(f, at, end) : ipv6(f, at, end);
}
