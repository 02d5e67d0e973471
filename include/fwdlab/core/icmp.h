/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ICMP errors that a router owes the sender of a packet that it drops (RFC 792; RFC 1812, 4.3; RFC 4443), with the
 * header of the packet inside. Which reason asks for which message:
 *
 *   reason        IPv4 type/code                              IPv6
 *   ttl-expired   11/0                                        3/0
 *   no-route      3/0                                         1/0
 *   unreachable   3/1 (as Linux; RFC 1812 has 3/1 too)        1/0 (as Linux)
 *   prohibited    3/13                                        1/1
 *   too-big       3/4 with the next link's MTU (RFC 1191)     2/0 with the MTU
 *   no-neighbour  3/1                                         1/3
 *   nat-no-port, nat-table-full, nat-client-limit             -
 *                 3/13 (RFC 5508 REQ-8; NAT_CONNTRACK tells nothing, as Linux)
 *   nat-unsolicited 3/3 (RFC 5382 REQ-4)                      -
 *   bad-options   12/0 with a pointer                         -
 *   bad-extension -                                           4/2 a hop-by-hop option that asks for it, 4/0 jumbo
 *   link-local    -                                           1/2 (source beyond its scope)
 *
 * None is due (RFC 1812, 4.3.2.7; RFC 4443, 2.4 e) about an ICMP error, a later fragment (IPv4), a broadcast or
 * multicast, a source that names no single host, or a packet of the node's own; none is sent where no route leads back.
 *
 * Rates are limited as Linux does: a bucket for each destination, refilled once in `interval_ns` up to 6 messages, and
 * 1000 a second in bursts of 50 in all. IPv4's no-route, unreachable and prohibited pay twice, the first time with 5
 * messages at most in the bucket. 3/4 and packet too big are not limited. The random part of Linux' global limit is
 * left out: verdicts must repeat.
 */
#ifndef FWDLAB_CORE_ICMP_H
#define FWDLAB_CORE_ICMP_H

#include <stdbool.h>
#include <fwdlab/core/forward.h>

/* Bytes of an error at most: an Ethernet header with tags and RFC 1812's 576, RFC 4443's 1280. */
#define ICMP_ERROR_MAX (64 + 1280)

struct icmp_limits {
    uint64_t interval_ns; /* refills one message of a destination's bucket; 0: no limits at all */
};

struct icmp_limiter;
/* `limits` NULL: Linux' interval, 1 s. NULL when memory is out. */
struct icmp_limiter *icmp_limiter_create(const struct icmp_limits *limits);
void icmp_limiter_destroy(struct icmp_limiter *l);
void icmp_limiter_reset(struct icmp_limiter *l);

/*
 * Builds the error about a packet that `node` dropped, as the node's own packet (in_port PORT_NONE), in `out`, whose
 * data and room (ICMP_ERROR_MAX at least) the caller sets; out->tag stays. False: none is due, or the rate is used up
 * (counted in node->icmp_limited). To be called before the next burst; the caller sends it with forward_own.
 *
 * What it quotes is the packet as its sender knows it: what NAT changed is undone. TTL 64, precedence 6 with the
 * packet's own type of service (RFC 1812, 4.3.2.5), no options. The source is as in Linux: with IPv4 the address of the
 * port by which the error leaves (of several of equal cost, the first); when NAT changed the packet's destination or
 * source, the router's address that it had or got; with IPv6 the router's address that the packet was sent to (RFC
 * 4443, 2.2), else that of the port that it came in by. Of two ports that may have no address, the other one's is
 * taken.
 */
bool icmp_error(struct node *node, const struct packet *dropped, struct packet *out, uint64_t now);

#endif
