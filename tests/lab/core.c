/* SPDX-License-Identifier: BSD-3-Clause */
/* The router in the core: forward(), and what a caller owes the network afterwards: fragments and ICMP errors. */
#include "lab.h"

#include <fwdlab/base/vec.h>
#include <fwdlab/core/fragment.h>
#include <fwdlab/core/icmp.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the IP packet at l3 by its own account; what follows is padding. */
static uint32_t ip_length(const struct packet *p) {
    uint32_t n = p->family == FAMILY_IPV6 ? sizeof(struct ipv6_header) + ntohs(packet_ipv6(p)->payload_length)
                                          : ntohs(packet_ipv4(p)->total_length);
    return n < p->len - p->l3 ? n : p->len - p->l3;
}

/* Puts a frame on the wire of a port, addressed to the next hop. */
static void transmit(const struct lab *lab, const struct packet *p, const struct packet *whole, struct outcome *out) {
    struct ip next = node_next_hop(&lab->node, whole);
    struct mac mac = lab_neighbour(&next);
    struct frame *f = &out->frames[out->n++];
    f->port = whole->out_port;
    f->len = ETHERNET + ip_length(p);
    memcpy(f->byte, &mac, 6);
    memcpy(f->byte + 6, &lab->node.ports[f->port].mac, 6);
    memcpy(f->byte + 12, p->family == FAMILY_IPV6 ? "\x86\xdd" : "\x08", 2);
    memcpy(f->byte + ETHERNET, p->data + p->l3, f->len - ETHERNET);
}

static void send_forwarded(const struct lab *lab, const struct packet *p, struct outcome *out) {
    unsigned pieces = p->family == FAMILY_IPV4 ? fragment_count(&lab->node, p) : 1;
    if (pieces == 1)
        return transmit(lab, p, p, out);
    for (unsigned i = 0; i < pieces && out->n < FRAMES_MAX; i++) {
        struct packet piece = {0};
        uint16_t room = (uint16_t)(p->l3 + lab->node.ports[p->out_port].mtu);
        piece.data = xalloc(room);
        piece.room = room;
        fragment_make(&lab->node, p, i, &piece);
        piece.family = p->family;
        piece.l3 = p->l3;
        transmit(lab, &piece, p, out);
        free(piece.data);
    }
}

static void settle(struct lab *lab, struct packet *p, uint64_t now, struct outcome *out);

static void send_error(struct lab *lab, const struct packet *dropped, uint64_t now, struct outcome *out) {
    struct packet error = {.data = xalloc(ICMP_ERROR_MAX), .room = ICMP_ERROR_MAX};
    lab->node.hash = lab->error_hash;
    if (icmp_error(&lab->node, dropped, &error, now)) {
        forward_own(&lab->node, &error, now);
        settle(lab, &error, now, out);
    }
    free(error.data);
}

static void settle(struct lab *lab, struct packet *p, uint64_t now, struct outcome *out) {
    if (p->verdict == VERDICT_FORWARD)
        send_forwarded(lab, p, out);
    else if (p->verdict == VERDICT_DROP && p->in_port != PORT_NONE)
        send_error(lab, p, now, out);
    else if (p->verdict == VERDICT_DELIVER && p->in_port != PORT_NONE) {
        out->delivered = true;
        out->at_stack.len = ip_length(p);
        memcpy(out->at_stack.byte, p->data + p->l3, out->at_stack.len);
    }
}

static void pass(struct lab *lab, struct packet *p, uint64_t now, struct outcome *out) {
    out->n = 0;
    out->delivered = false;
    forward(&lab->node, &p, 1, now);
    settle(lab, p, now, out);
    free(p->data);
    p->data = NULL;
}

void core_run(struct lab *lab, const struct frame *in, uint64_t now, struct outcome *out, struct packet *after) {
    *after = (struct packet){.len = in->len, .wire_len = in->len, .in_port = in->port};
    after->data = xalloc(in->len); /* its exact size, so that the address sanitizer sees every overread */
    memcpy(after->data, in->byte, in->len);
    pass(lab, after, now, out);
}

bool core_run_held(struct lab *lab, uint64_t now, struct outcome *out, struct packet *after) {
    *after = (struct packet){.data = xalloc(NAT_HELD_BYTES), .room = NAT_HELD_BYTES};
    if (node_due(&lab->node) && node_take_due(&lab->node, after)) {
        pass(lab, after, now, out);
        return true;
    }
    free(after->data);
    after->data = NULL;
    return false;
}
