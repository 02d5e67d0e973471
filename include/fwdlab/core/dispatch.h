/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several workers forward for one node, each with sessions of its own and nothing shared that is written. Which worker
 * a packet belongs to is told from its bytes, before anything else is done to it, so that both directions of a flow
 * meet.
 *
 *   to an outside address of NAT   by the destination port (ICMP queries: identifier): each worker has its own part of
 *                                  the ports of every outside address. The port of a port map belongs to the worker of
 *                                  the map's inside address, whichever part it lies in
 *   between inside and elsewhere   by the inside address: all sessions, mappings and limits of a client are one
 *                                  worker's. Inside is what the node reaches by other ports than NAT's outside one
 *   between others, without NAT    by both addresses, the same both ways. So is all IPv6
 *   protocols without ports        where NAT translates them (by address alone): by the remote address
 *   ICMP errors                    as an answer to the packet that they quote (RFC 5508, 4)
 *   not IP, malformed              worker 0, who drops them
 *
 * Fragments have one destination, source and protocol, and so one worker, but for those to an outside address: there
 * the first one has the port, and the others follow it while a dispatcher remembers it (dispatch_fragments). One that
 * overtakes its first goes to a worker that may be another one, and is not translated.
 *
 * Hairpinning: what a client sends to an outside address belongs to the worker of that mapping, who translates its
 * source too, with a port of his own part. So a client whose sessions are another worker's has one outside port towards
 * the Internet and another one towards his neighbours (RFC 4787 REQ-1 does not hold between these two).
 *
 * Outside ports of one client are all in one part: it runs out of ports at 1/workers of an outside address, and a
 * port keeps its number (RFC 4787 REQ-3) when it lies in the part.
 */
#ifndef FWDLAB_CORE_DISPATCH_H
#define FWDLAB_CORE_DISPATCH_H

#include <fwdlab/core/nat.h>
#include <fwdlab/core/route.h>

#define DISPATCH_WORKERS_MAX 64

struct dispatch;

/*
 * nat: of the whole node, NULL: none. routes: the node's main IPv4 table, which says what is inside; not needed
 * afterwards, and without NAT not at all. When routes by the inside ports change, a new one is to be made. NULL with
 * -EINVAL (number of workers; fewer ports or blocks than workers) or -ENOMEM in errno.
 */
struct dispatch *dispatch_create(unsigned workers, const struct nat_config *nat, const struct route_table *routes);
void dispatch_destroy(struct dispatch *d);
/* The NAT of one worker: the whole one's, but for its part of the ports (whole blocks, else even at the low end) and of
 * max_sessions. Each worker has all port maps: nobody else then takes their ports. */
struct nat_config dispatch_nat(const struct nat_config *whole, unsigned workers, unsigned worker);

/* First fragments to outside addresses that one dispatcher (one input, in its order) saw last. Begins zeroed. */
#define DISPATCH_FRAGMENT_SETS 128
#define DISPATCH_FRAGMENT_WAYS 4
struct dispatch_fragments {
    struct {
        be32 src, dst;
        be16 id;
        uint8_t proto, worker;
    } seen[DISPATCH_FRAGMENT_SETS][DISPATCH_FRAGMENT_WAYS];
    uint8_t oldest[DISPATCH_FRAGMENT_SETS];
};

/* The worker of each of n packets. Needs data, len, wire_len and flags, and changes nothing but *f. */
void dispatch(const struct dispatch *d, struct dispatch_fragments *f, struct packet *const *pkts, unsigned n,
              uint8_t *worker);

#endif
