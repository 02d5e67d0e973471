/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random packets for a router: mostly sound ones between addresses that its tables know, and every header field broken
 * now and then. Flows that passed are answered where the router has a memory of them.
 */
#include "traffic.h"

/* ---- addresses ---- */

static struct ip parsed(const char *text) {
    struct ip ip = {0};
    ip_parse(text, &ip);
    return ip;
}

static struct ip special(struct traffic *t, uint8_t family) {
    static const char *const four[] = {"0.0.0.0",   "0.1.2.3",   "127.0.0.1", "169.254.1.1", "169.254.169.254",
                                       "224.0.0.1", "224.0.0.5", "239.1.2.3", "240.0.0.1",   "255.255.255.255"};
    static const char *const six[] = {
        "::",      "::1",     "::ffff:10.0.0.1", "fe80::1234", "ff01::1",          "ff02::1",   "ff02::2",
        "ff02::5", "ff05::1", "ff0e::1234",      "fec0::1",    "64:ff9b::1.2.3.4", "::1.2.3.4", "fc00::1"};
    return family == FAMILY_IPV4 ? parsed(four[below(t, 10)]) : parsed(six[below(t, 14)]);
}

static struct ip own(struct traffic *t, uint8_t family) {
    unsigned i = below(t, t->lab->node.n_ports);
    const struct port *port = &t->lab->node.ports[i];
    if (family == FAMILY_IPV4)
        return ip_v4(port->addr);
    struct ip ip = {.family = FAMILY_IPV6};
    memcpy(ip.v6, port->len6 && chance(t, 70) ? port->addr6 : t->lab->link_local[i], 16);
    return ip;
}

static struct ip anything(struct traffic *t, uint8_t family) {
    struct ip ip = {.family = family};
    random_bytes(t, ip.v6, family == FAMILY_IPV4 ? 4 : 16);
    if (family == FAMILY_IPV6 && chance(t, 80))
        ip.v6[0] = 0x20;
    return ip;
}

/* An address of a prefix: any, the first, the last, or the next one beyond it. */
static struct ip within(struct traffic *t, const struct ip_prefix *prefix) {
    struct ip ip = anything(t, prefix->addr.family);
    unsigned bits = prefix->len, how = below(t, 20), size = prefix->addr.family == FAMILY_IPV4 ? 4 : 16;
    if (bits >= 8 &&
        chance(t, size == 16 ? 90 : 75)) { /* few hosts a prefix: flows meet again, and neighbour tables suffice */
        memset(ip.v6, 0, size - 1);
        ip.v6[size - 1] &= 15;
    }
    const uint8_t *p = prefix->addr.v6;
    for (unsigned i = 0; i < size; i++) {
        unsigned left = bits > 8 * i ? bits - 8 * i : 0;
        uint8_t mask = left >= 8 ? 0xff : (uint8_t)(0xff00 >> left), host = ip.v6[i];
        host = how == 0 ? 0 : how == 1 ? 0xff : host;
        ip.v6[i] = (uint8_t)((p[i] & mask) | (host & ~mask));
    }
    if (how == 2 && bits)
        ip.v6[(bits - 1) / 8] ^= (uint8_t)(0x80 >> (bits - 1) % 8);
    return ip;
}

struct ip traffic_known(struct traffic *t, uint8_t family, uint16_t port) {
    const struct lab *lab = t->lab;
    for (unsigned tries = 0; tries < 40; tries++) {
        size_t i = below(t, (uint32_t)lab->n_prefixes);
        if (lab->prefixes[i].addr.family == family && (port == PORT_NONE || lab->prefix_port[i] == port))
            return within(t, &lab->prefixes[i]);
    }
    return anything(t, family);
}

static struct ip any_source(struct traffic *t, uint8_t family, uint16_t port) {
    unsigned how = below(t, t->lab->node.nat ? 91 : 100); /* sources that only one of the two takes leave sessions */
    return how < 75   ? traffic_known(t, family, port)
           : how < 88 ? traffic_known(t, family, PORT_NONE)
           : how < 91 ? own(t, family)
           : how < 94 ? special(t, family)
                      : anything(t, family);
}

/*
 * ip_error() has a limit of its own: five errors at once for a source (net.ipv4.route.error_burst), which cannot be
 * changed in a namespace. So a source that has had nearly as many rests.
 */
#define ERRORS_MAX 4

static uint8_t *errors_of(struct traffic *t, be32 src) {
    return &t->errors[(src * 2654435761u) >> 20];
}

bool traffic_rests(struct traffic *t, const struct frame *f) {
    return !is_ipv6(f) && *errors_of(t, ((const struct ipv4_header *)(f->byte + ETHERNET))->src) >= ERRORS_MAX;
}

static struct ip source(struct traffic *t, uint8_t family, uint16_t port) {
    struct ip ip = any_source(t, family, port);
    for (unsigned tries = 0; family == FAMILY_IPV4 && *errors_of(t, ip.v4) >= ERRORS_MAX && tries < 50; tries++)
        ip = tries < 40 ? any_source(t, family, port) : anything(t, family);
    return ip;
}

static struct ip destination(struct traffic *t, uint8_t family) {
    unsigned how = below(t, 100);
    return how < 80   ? traffic_known(t, family, PORT_NONE)
           : how < 86 ? own(t, family)
           : how < 92 ? special(t, family)
                      : anything(t, family);
}

/* ---- frames ---- */

/* One thing that a frame should not have. */
static void break_it(struct traffic *t, struct frame *f) {
    uint8_t *ip = f->byte + ETHERNET;
    uint32_t len = f->len - ETHERNET;
    bool four = f->byte[12] == 8;
    switch (below(t, 10)) {
    case 0:
    case 1: /* any bit of the header */
        ip[below(t, four ? 20 : 40)] ^= (uint8_t)(1 << below(t, 8));
        if (four && chance(t, 70))
            seal(ip, len);
        break;
    case 2:
        f->len = chance(t, 50) ? ETHERNET + below(t, len + 1) : ETHERNET + below(t, 60 < len ? 60 : len);
        break;
    case 3: /* total length, payload length */
        put16(ip + (four ? 2 : 4), chance(t, 50) ? below(t, 65536) : len - below(t, len < 60 ? len : 60));
        seal(ip, four ? len : 0);
        break;
    case 4:
        ip[0] = (uint8_t)(below(t, 16) << 4 | (ip[0] & 15));
        seal(ip, four ? len : 0);
        break;
    case 5:
        ip[0] = (uint8_t)((ip[0] & 0xf0) | below(t, 16));
        seal(ip, four ? len : 0);
        break;
    case 6:
        put16(f->byte + 12, ONE_OF(t, 0x0800, 0x86dd, 0x0806, 0x88cc, 0x0100, 0x8847));
        break;
    case 7:
    case 8: { /* padding behind the packet */
        uint32_t n = 1 + below(t, 64);
        if (f->len + n > FRAME_MAX)
            break;
        random_bytes(t, f->byte + f->len, n);
        f->len += n;
        break;
    }
    case 9:
        ip[10 + below(t, 2)] ^= (uint8_t)(1 + below(t, 255));
        break; /* header checksum */
    }
}

static void link_header(struct traffic *t, struct frame *f, uint8_t family) {
    unsigned how = below(t, 100);
    memcpy(f->byte, &t->lab->node.ports[f->port].mac, 6);
    if (how < 2)
        memset(f->byte, 0xff, 6);
    else if (how < 3)
        memcpy(f->byte, (uint8_t[]){1, 0, 0x5e, 0, 0, 9}, 6);
    else if (how < 4)
        f->byte[5] ^= 0x55;
    memcpy(f->byte + 6, (uint8_t[]){2, 0, 0, 0, 0, 1}, 6);
    put16(f->byte + 12, family == FAMILY_IPV4 ? 0x0800 : 0x86dd);
}

static void fresh(struct traffic *t, struct frame *f) {
    uint8_t family = t->lab->ipv6 && chance(t, 45) ? FAMILY_IPV6 : FAMILY_IPV4;
    f->port = (uint16_t)below(t, t->lab->node.n_ports);
    link_header(t, f, family);
    struct draft d = {
        .family = family, .byte = f->byte + ETHERNET, .src = source(t, family, f->port), .dst = destination(t, family)};
    packet_draw(t, &d);
    f->len = ETHERNET + d.len;
    if (chance(t, 12))
        break_it(t, f);
}

void traffic_count_errors(struct traffic *t, const struct packet *p) {
    if (p->family == FAMILY_IPV4 && p->verdict == VERDICT_DROP && p->reason != DROP_TTL_EXPIRED &&
        p->reason != DROP_TOO_BIG)
        ++*errors_of(t, p->src);
}

void traffic_learn(struct traffic *t, const struct trial *trial) {
    traffic_count_errors(t, trial->after);
    if (t->lab->node.nat || t->lab->node.filter)
        flow_learn(t, trial->kernel, trial->core);
}

void traffic_next(struct traffic *t, struct frame *kernel, struct frame *core) {
    const struct lab *lab = t->lab;
    if (t->n_flows && chance(t, 45)) {
        flow_answer(t, kernel, core);
        if (!traffic_rests(t, core))
            return;
    }
    fresh(t, kernel);
    if (lab->node.nat && chance(t, 10))
        flow_aim_at_map(t, kernel);
    *core = *kernel;
}
