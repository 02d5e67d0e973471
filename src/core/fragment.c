/* SPDX-License-Identifier: BSD-3-Clause */
/* Fragmentation of IPv4 (RFC 791, 3.2; RFC 1812, 4.2.2.7): as few pieces as the MTU allows, all but the last full. */
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/fragment.h>
#include "stage.h"

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_COPIED = 0x80 };

/* How a packet is cut: `count` pieces, of which all but the last have `step` bytes of its `payload`. */
struct cut {
    unsigned count, step, payload;
};

static struct cut cut_of(const struct node *node, const struct packet *p) {
    const struct ipv4_header *ip = packet_ipv4(p);
    const unsigned header = p->l4 - p->l3, total = ntohs(ip->total_length);
    const unsigned mtu = port_mtu(&node->ports[p->out_port], FAMILY_IPV4);
    struct cut cut = {.count = 1, .payload = total - header};
    if (total <= mtu || ip->fragment & htons(IPV4_DF))
        return cut;
    cut.step = (mtu - header) & ~7u; /* offsets count 8 bytes; the last piece needs no such end */
    cut.count = 1 + (total - mtu + cut.step - 1) / cut.step;
    return cut;
}

unsigned fragment_count(const struct node *node, const struct packet *p) {
    if (p->verdict != VERDICT_FORWARD || p->family != FAMILY_IPV4)
        return 1;
    return cut_of(node, p).count;
}

/* Puts no-operations for the options that stand in the datagram's first fragment alone. */
static void blank_options(uint8_t *option, const uint8_t *end) {
    while (option < end && *option != OPTION_END) {
        if (*option == OPTION_NOP) {
            option++;
            continue;
        }
        if (option + 1 == end || option[1] < 2 || option[1] > end - option)
            return;
        const unsigned len = option[1];
        if (!(*option & OPTION_COPIED))
            memset(option, OPTION_NOP, len);
        option += len;
    }
}

/* The header of a piece that begins `offset` bytes into the packet's payload and has `size` of them. */
static void set_header(struct ipv4_header *ip, unsigned header, unsigned offset, unsigned size, bool last) {
    const unsigned before = ntohs(ip->fragment), units = (before & IPV4_OFFSET) + offset / 8;
    if (offset && !(before & IPV4_OFFSET)) /* a later fragment's are what they should be */
        blank_options((uint8_t *)(ip + 1), (uint8_t *)ip + header);
    ip->fragment = htons((uint16_t)((before & IPV4_MF) | units | (last ? 0 : IPV4_MF)));
    ip->total_length = htons((uint16_t)(header + size));
    ip->checksum = 0;
    ip->checksum = checksum_fold(checksum_sum(ip, header, 0));
}

/* Metadata of a piece: only the datagram's first has an L4 header. */
static void set_flags(struct packet *piece) {
    const unsigned fragment = ntohs(packet_ipv4(piece)->fragment);
    piece->flags &= (uint16_t)~(PACKET_FRAG_FIRST | PACKET_FRAG_LATER);
    if (!(fragment & IPV4_OFFSET)) {
        piece->flags |= fragment & IPV4_MF ? PACKET_FRAG_FIRST : 0;
        return;
    }
    piece->flags &= (uint16_t)~(PACKET_PORTS | PACKET_ICMP_ERROR);
    piece->flags |= PACKET_FRAG_LATER;
    piece->sport = piece->dport = 0;
}

/* Bytes of p that are there, of `size` at `offset`. */
static unsigned present(const struct packet *p, unsigned offset, unsigned size) {
    const unsigned left = p->len > offset ? p->len - offset : 0;
    return left < size ? left : size;
}

void fragment_make(const struct node *node, const struct packet *p, unsigned i, struct packet *out) {
    struct packet piece = *p;
    piece.data = out->data;
    piece.tag = out->tag;
    if (fragment_count(node, p) == 1) {
        memcpy(piece.data, p->data, p->len);
    } else {
        const struct cut cut = cut_of(node, p);
        const bool last = i + 1 == cut.count;
        const unsigned offset = i * cut.step, size = last ? cut.payload - offset : cut.step;
        const unsigned there = present(p, p->l4 + offset, size);
        memcpy(piece.data, p->data, p->l4);
        memcpy(piece.data + p->l4, p->data + p->l4 + offset, there);
        piece.len = p->l4 + there;
        piece.wire_len = p->l4 + size;
        set_header(packet_ipv4(&piece), p->l4 - p->l3, offset, size, last);
        set_flags(&piece);
    }
    piece.room = (uint16_t)(out->room - piece.len);
    *out = piece;
}
