/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fragments of what is longer than its way out takes (RFC 791, 3.2). The stages leave such a packet whole; who sends it
 * cuts it here, after every other change (as Linux, after NAT). IPv6 routers do not fragment (RFC 8200, 5).
 */
#ifndef FWDLAB_CORE_FRAGMENT_H
#define FWDLAB_CORE_FRAGMENT_H

#include <fwdlab/core/forward.h>

/* What every link takes (RFC 791, 3.2; RFC 8200, 5). */
#define IPV4_MTU_MIN 68u
#define IPV6_MTU_MIN 1280u

/* Bytes of an IP packet that a port takes; UINT_MAX: any. An MTU under the family's minimum counts as the minimum. */
unsigned port_mtu(const struct port *port, uint8_t family);

/* In how many pieces a forwarded packet leaves: 1 when it fits, its port has no MTU, or it may not be cut (DF, v6). */
unsigned fragment_count(const struct node *node, const struct packet *p);
/*
 * Builds piece i (0..count - 1) in out->data, where out->room bytes are free (at least the link header and the MTU;
 * for a count of 1, the whole packet). Its metadata is the packet's, as it holds for the piece; out->tag stays. Options
 * that are to be copied (RFC 791, bit 7 of their type) are in each piece, the others in the first of the datagram
 * alone: elsewhere no-operations stand for them, as Linux does it, so that all headers have the same length. What the
 * capture cut off is missing in the pieces too: len < wire_len. Pieces of a piece keep its offset and MF.
 */
void fragment_make(const struct node *node, const struct packet *p, unsigned i, struct packet *out);

#endif
