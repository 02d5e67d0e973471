/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows that NAT or security groups remember: their answers, and errors about them. */
#include "traffic.h"

/* What asks, and the type that answers it. */
static uint8_t icmp_reply(uint8_t type) {
    switch (type) {
    case ICMP_ECHO:
        return ICMP_ECHO_REPLY;
    case ICMPV6_ECHO:
        return ICMPV6_ECHO_REPLY;
    case 13: /* timestamp, information, mask */
    case 15:
    case 17:
        return type + 1;
    default:
        return 0;
    }
}

/* The same that layer 4 of a packet was, the other way round. */
static uint32_t write_reply(const uint8_t *sent, uint32_t len, uint8_t proto, uint8_t *l4) {
    memcpy(l4, sent, len);
    if (proto_is_icmp(proto)) {
        l4[0] = icmp_reply(sent[0]);
    } else if (len >= 4) {
        memcpy(l4, sent + 2, 2);
        memcpy(l4 + 2, sent, 2);
        if (proto == PROTO_TCP && len > 13)
            l4[13] = sent[13] == TCP_SYN ? TCP_SYN | TCP_ACK : TCP_ACK;
    }
    return len;
}

static void write_header(struct traffic *t, const struct draft *d, uint32_t payload) {
    uint8_t ttl = (uint8_t)(chance(t, 88) ? 64 : below(t, 3));
    if (d->family == FAMILY_IPV6) {
        struct ipv6_header h = {.version_class_label = htonl(0x60000000),
                                .payload_length = htons((uint16_t)payload),
                                .next_header = d->proto,
                                .hop_limit = ttl};
        memcpy(h.src, d->src.v6, 16);
        memcpy(h.dst, d->dst.v6, 16);
        memcpy(d->byte, &h, sizeof h);
        return;
    }
    struct ipv4_header h = {.version_ihl = 0x45,
                            .total_length = htons((uint16_t)(20 + payload)),
                            .id = (be16)below(t, 65536),
                            .ttl = ttl,
                            .proto = d->proto,
                            .src = d->src.v4,
                            .dst = d->dst.v4};
    memcpy(d->byte, &h, sizeof h);
    seal(d->byte, 20);
}

/* The answer to a packet as it left, or an error about it. */
static void answer(struct traffic *t, const struct frame *sent, struct frame *f, bool error) {
    const uint8_t *to = sent->byte + ETHERNET;
    bool six = is_ipv6(sent);
    uint32_t sent_header = six ? 40 : (to[0] & 15) * 4u, len = sent->len - ETHERNET, size = six ? 16 : 4;
    struct draft d = {.family = six ? FAMILY_IPV6 : FAMILY_IPV4, .byte = f->byte + ETHERNET, .header = six ? 40 : 20};
    d.src.family = d.dst.family = d.family;
    memcpy(d.dst.v6, to + (six ? 8 : 12), size);
    memcpy(d.src.v6, to + (six ? 24 : 16), size);
    d.proto = error ? (six ? PROTO_ICMPV6 : PROTO_ICMP) : to[six ? 6 : 9];
    f->port = error && chance(t, 5) ? (uint16_t)below(t, t->lab->node.n_ports) : sent->port;
    memcpy(f->byte, &t->lab->node.ports[f->port].mac, 6);
    memcpy(f->byte + 6, sent->byte, 6);
    put16(f->byte + 12, six ? 0x86dd : 0x0800);
    uint8_t *l4 = d.byte + d.header;
    uint32_t n = error ? error_draw(t, sent, &d) : write_reply(to + sent_header, len - sent_header, d.proto, l4);
    checksum_l4(&d, l4, n);
    if (error && t->lab->node.nat && chance(t, 4))
        l4[2] ^= 0x10;
    write_header(t, &d, n);
    f->len = ETHERNET + d.header + n;
}

/* A whole packet of a flow; NAT follows TCP, UDP and echoes alone as the core does (reasons.c, protocol-tracking). */
static bool can_be_answered(const struct frame *f, const struct lab *lab) {
    const uint8_t *ip = f->byte + ETHERNET;
    bool six = is_ipv6(f);
    uint32_t header = six ? 40 : (ip[0] & 15) * 4u;
    uint8_t proto = ip[six ? 6 : 9];
    if (f->len < ETHERNET + header + 8 || (!six && (ip[6] & 0x3f || ip[7])) || proto == EXTENSION_NONE)
        return false;
    if (proto_is_icmp(proto))
        return icmp_reply(ip[header]) && (lab->node.filter || ip[header] == ICMP_ECHO);
    if (proto == PROTO_TCP)
        return f->len >= ETHERNET + header + 20;
    return proto == PROTO_UDP || (lab->node.filter && (proto == PROTO_SCTP || proto == PROTO_ESP));
}

void flow_learn(struct traffic *t, const struct outcome *kernel, const struct outcome *core) {
    const struct frame *k = kernel->frames, *c = core->frames;
    if (kernel->n != 1 || core->n != 1 || k->port != c->port || k->byte[12] != c->byte[12] ||
        !can_be_answered(k, t->lab) || !can_be_answered(c, t->lab) ||
        memcmp(k->byte + ETHERNET + 8, c->byte + ETHERNET + 8, is_ipv6(k) ? 32 : 2) ||
        (t->lab->node.filter && !frames_equal(k, c)) ||
        (!is_ipv6(k) && memcmp(k->byte + ETHERNET + 12, c->byte + ETHERNET + 12, 8)))
        return;
    unsigned i = t->n_flows < FLOWS ? t->n_flows++ : below(t, FLOWS);
    t->flows[i] = (struct flow){*k, *c};
}

void flow_answer(struct traffic *t, struct frame *kernel, struct frame *core) {
    const struct flow *flow = &t->flows[below(t, t->n_flows)];
    bool error = chance(t, t->lab->node.nat ? 40 : 25);
    const struct random dice = t->random; /* the same for both */
    answer(t, &flow->kernel, kernel, error);
    t->random = dice;
    answer(t, &flow->core, core, error);
}

void flow_aim_at_map(struct traffic *t, struct frame *f) {
    const struct nat_config *c = nat_config_get(t->lab->node.nat);
    struct ipv4_header *ip = (struct ipv4_header *)(f->byte + ETHERNET);
    if (!c->n_port_maps || f->byte[12] != 8 || ip->version_ihl != 0x45)
        return;
    const struct nat_port_map *m = &c->port_maps[below(t, c->n_port_maps)];
    if (ip->proto != m->proto)
        return;
    ip->dst = c->addresses[0];
    if (!c->hairpin || chance(t, 40)) /* else from where it comes */
        f->port = c->outside_port;
    memcpy(f->byte, &t->lab->node.ports[f->port].mac, 6);
    memcpy(f->byte + ETHERNET + 22, &m->outside_port, 2);
    seal(f->byte + ETHERNET, 20);
}
