/* SPDX-License-Identifier: BSD-3-Clause */
/* Reasons that lie in the packet itself: broken headers, options. */
#include "reasons.h"

static bool short_l4(const struct trial *t) {
    return dropped_as(t, DROP_SHORT_L4) && is_routed(t->kernel, t);
}

static bool odd_fragment(const struct trial *t) {
    return dropped_as(t, DROP_BAD_FRAGMENT) && is_routed(t->kernel, t);
}

/* Linux looks at hop-by-hop options before anything else, were they in a packet from or to nobody. */
static bool unread_extension(const struct trial *t) {
    if (ipv6_of(t) && t->lab->node.filter && t->after->proto == EXTENSION_FRAGMENT)
        return silent(t->kernel) || silent(t->core);
    if (!ipv6_of(t) || t->after->verdict != VERDICT_DROP)
        return false;
    if (t->after->proto == EXTENSION_FRAGMENT && silent(t->kernel) && is_error_about(t->core, t))
        return true; /* a second one, behind which Linux finds an ICMP error */
    if (!silent(t->core))
        return false;
    return is_error_about(t->kernel, t)
               ? t->kernel->frames[0].byte[ETHERNET + 40] == ICMPV6_PARAMETER || dropped_as(t, DROP_BAD_EXTENSION)
               : dropped_as(t, DROP_BAD_EXTENSION) && is_routed(t->kernel, t);
}

static bool empty_payload(const struct trial *t) {
    return ipv6_of(t) && dropped_as(t, DROP_BAD_TOTAL_LENGTH) && ipv6_of(t)->payload_length == 0 &&
           is_routed(t->kernel, t);
}

/* ---- IPv4 options ---- */

static bool has_options(const struct trial *t) {
    const struct ipv4_header *ip = ipv4_of(t);
    return ip && ip->version_ihl > 0x45;
}

enum {
    OPTION_TIMESTAMP = 68,
    OPTION_LOOSE_ROUTE = 131,
    OPTION_CIPSO = 134,
    OPTION_STRICT_ROUTE = 137
}; /* RFC 791, 3.1 */

/* Does the byte occur among the options? */
static bool has_option(const struct trial *t, uint8_t type) {
    const uint8_t *ip = t->in->byte + ETHERNET;
    return has_options(t) && memchr(ip + 20, type, (ip[0] & 15u) * 4 - 20);
}

static bool options_before_route(const struct trial *t) {
    return ipv4_of(t) && dropped_as(t, DROP_BAD_OPTIONS) && silent(t->kernel) && is_error_about(t->core, t);
}

/* Byte i of an ICMP error without the options of both its header and the header inside. */
static int plain_byte(const struct frame *f, unsigned i) {
    const uint8_t *ip = f->byte + ETHERNET, *end = f->byte + f->len;
    unsigned header = (ip[0] & 15u) * 4;
    if (i >= 20)
        i += header - 20;
    if (i >= header + 28 && ip + header + 28 <= end)
        i += (ip[header + 8] & 15u) * 4 - 20;
    return ip + i < end ? ip[i] : -1;
}

/* Does the kernel's error agree but for options? Lengths, identification and checksums then differ too; with a source
 * route also where it goes first. */
static bool equal_but_options(const struct trial *t, bool source_route) {
    const struct frame *kernel = t->kernel->frames, *core = t->core->frames;
    bool from_destination = !memcmp(kernel->byte + ETHERNET + 12, t->in->byte + ETHERNET + 16, 4);
    if (!source_route && !(from_destination && t->lab->node.rules) &&
        (kernel->port != core->port || memcmp(kernel->byte, core->byte, ETHERNET)))
        return false;
    for (unsigned i = 0; i < FRAME_MAX; i++) {
        int a = plain_byte(kernel, i), b = plain_byte(core, i);
        bool skipped = i == 0 || (i >= 2 && i < 6) || (i >= 10 && i < 12) || (i >= 22 && i < 24) ||
                       (i >= 38 && i < 40) || ((from_destination || source_route) && i >= 12 && i < 16) ||
                       (source_route && i >= 16 && i < 20);
        if (a < 0 || b < 0)
            return i >= 48;
        if (a != b && !skipped)
            return false;
    }
    return true;
}

#define NO_ROOM 90 /* bytes that an error takes when its header has 40 bytes of options */

static bool options_echoed(const struct trial *t) {
    bool source_route = has_option(t, OPTION_LOOSE_ROUTE) || has_option(t, OPTION_STRICT_ROUTE);
    if (source_route && silent(t->core) && t->after->verdict == VERDICT_DROP)
        return is_icmp_error(t->kernel);
    if (!has_options(t) || !is_icmp_error(t->core))
        return false;
    if (silent(t->kernel))
        return source_route || has_option(t, OPTION_TIMESTAMP) ||
               t->lab->node.ports[t->core->frames->port].mtu < NO_ROOM;
    return is_icmp_error(t->kernel) && equal_but_options(t, source_route);
}

/* What left or arrived agrees but for the options and the header checksum. */
static bool only_options_differ(const struct trial *t) {
    const struct outcome *k = t->kernel, *c = t->core;
    if (!has_options(t) || k->n != c->n || k->delivered != c->delivered)
        return false;
    if (k->delivered) {
        unsigned header = (c->at_stack.byte[0] & 15u) * 4, len = c->at_stack.len;
        return k->at_stack.len == len && !memcmp(k->at_stack.byte, c->at_stack.byte, 10) &&
               !memcmp(k->at_stack.byte + 12, c->at_stack.byte + 12, 8) &&
               !memcmp(k->at_stack.byte + header, c->at_stack.byte + header, len - header);
    }
    for (unsigned i = 0; i < k->n; i++) {
        const struct frame *a = &k->frames[i], *b = &c->frames[i];
        unsigned header = ETHERNET + (a->byte[ETHERNET] & 15u) * 4;
        if (a->port != b->port || a->len != b->len || memcmp(a->byte, b->byte, ETHERNET + 10) ||
            memcmp(a->byte + ETHERNET + 12, b->byte + ETHERNET + 12, 8) ||
            memcmp(a->byte + header, b->byte + header, a->len - header))
            return false;
    }
    return true;
}

static bool options_at_stack(const struct trial *t) {
    return t->kernel->delivered && only_options_differ(t);
}

/* Where the options end, and whether there is something behind. */
static bool end_of_options(const struct trial *t) {
    const uint8_t *ip = t->in->byte + ETHERNET;
    unsigned header = has_options(t) ? (ip[0] & 15u) * 4 : 0, i = 20;
    while (i + 1 < header && ip[i])
        i += ip[i] == 1 ? 1 : ip[i + 1] ? ip[i + 1] : 1;
    for (; i < header; i++)
        if (ip[i])
            return only_options_differ(t);
    return false;
}

/* Linux may answer, or let pass what it does not know; the core the other way round. */
static bool cipso(const struct trial *t) {
    return has_option(t, OPTION_CIPSO) && is_routed(t->kernel, t) && is_routed(t->core, t);
}

static bool timestamp(const struct trial *t) {
    return has_option(t, OPTION_TIMESTAMP) && only_options_differ(t);
}

const struct reason reasons_packet[] = {
    {"short-l4", short_l4},
    {"odd-fragment", odd_fragment},
    {"unread-extension", unread_extension},
    {"empty-payload", empty_payload},
    {"options-at-stack", options_at_stack},
    {"options-echoed", options_echoed},
    {"end-of-options", end_of_options},
    {"timestamp", timestamp},
    {"cipso", cipso},
    {"options-before-route", options_before_route},
    {NULL, NULL},
};
