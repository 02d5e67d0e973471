/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why a packet goes no further. One list gives the enum, the name (in JSON, terminal, report alike) and the sentence.
 * MALFORMED reasons come from parse and are counted as `malformed`; IGNORED ones are not the router's business (ARP,
 * ...); DROP reasons are decisions of a node or of a network's platform.
 */
#ifndef FWDLAB_CORE_DROP_H
#define FWDLAB_CORE_DROP_H

enum drop_class { DROP_CLASS_NONE, DROP_CLASS_MALFORMED, DROP_CLASS_IGNORED, DROP_CLASS_DROP };

/* X(symbol, class, name, sentence) */
#define DROP_REASONS(X)                                                                                                \
    X(NONE, NONE, "none", "not dropped")                                                                               \
    X(SHORT_FRAME, MALFORMED, "short-frame", "the frame ends inside its link-layer header")                            \
    X(SHORT_HEADER, MALFORMED, "short-header", "the frame ends inside its IP header")                                  \
    X(BAD_VERSION, MALFORMED, "bad-version", "the IP version does not match the EtherType")                            \
    X(BAD_HEADER_LENGTH, MALFORMED, "bad-header-length", "IP header length under 20 bytes or beyond the packet")       \
    X(BAD_TOTAL_LENGTH, MALFORMED, "bad-total-length", "IP total length beyond the frame or under the header")         \
    X(BAD_CHECKSUM, MALFORMED, "bad-checksum", "IP header checksum is wrong")                                          \
    X(BAD_FRAGMENT, MALFORMED, "bad-fragment", "fragment reaches beyond 65535 bytes or is empty")                      \
    X(BAD_OPTIONS, MALFORMED, "bad-options", "an IPv4 option is broken (RFC 791, 3.1)")                                \
    X(BAD_EXTENSION, MALFORMED, "bad-extension", "an IPv6 extension header is broken or ends outside (RFC 8200, 4)")   \
    X(SHORT_L4, MALFORMED, "short-l4", "the packet ends before the ports, identifier or flags of its L4 header")       \
    X(ARP, IGNORED, "arp", "address resolution")                                                                       \
    X(NEIGHBOUR_DISCOVERY, IGNORED, "neighbour-discovery", "IPv6 neighbour discovery and multicast listener reports")  \
    X(IPV6, IGNORED, "ipv6", "IPv6, which this node does not handle")                                                  \
    X(OTHER_ETHERTYPE, IGNORED, "other-ethertype", "neither IP nor ARP")                                               \
    X(LLC, IGNORED, "llc", "IEEE 802.3 length field: spanning tree, LLDP's elders and the like")                       \
    X(NOT_FOR_US, IGNORED, "not-for-us", "unicast to another station's MAC address")                                   \
    X(LINK_LOCAL, DROP, "link-local", "link-local addresses are never forwarded (RFC 3927, 2.7)")                      \
    X(MARTIAN_SOURCE, DROP, "martian-source", "source no sender can have (RFC 1812, 5.3.7)")                           \
    X(MARTIAN_DESTINATION, DROP, "martian-destination", "destination that must not be forwarded (RFC 1812, 5.3.7)")    \
    X(OWN_SOURCE, DROP, "own-source", "came in with one of the router's own addresses as its source")                  \
    X(SOURCE_ROUTE, DROP, "source-route", "source routing is not obeyed here (RFC 7126, 4.3)")                         \
    X(MULTICAST, DROP, "multicast", "multicast is not routed here")                                                    \
    X(BROADCAST, DROP, "broadcast", "a broadcast is not forwarded (RFC 2644)")                                         \
    X(DENIED_IN, DROP, "denied-in", "a security rule denies what arrives at the NIC")                                  \
    X(DENIED_OUT, DROP, "denied-out", "a security rule denies what leaves the NIC")                                    \
    X(RPF, DROP, "rpf", "reverse path check failed (RFC 3704)")                                                        \
    X(NOT_A_ROUTER, DROP, "not-a-router", "not addressed to this machine, which does not forward")                     \
    X(FORWARDING_OFF, DROP, "forwarding-off", "the platform refuses an address that is not the NIC's own")             \
    X(TTL_EXPIRED, DROP, "ttl-expired", "TTL reached zero (RFC 1812, 5.3.1)")                                          \
    X(NO_ROUTE, DROP, "no-route", "no route to the destination")                                                       \
    X(BLACKHOLE, DROP, "blackhole", "a blackhole route")                                                               \
    X(UNREACHABLE, DROP, "unreachable", "an unreachable route")                                                        \
    X(PROHIBITED, DROP, "prohibited", "a prohibiting route")                                                           \
    X(TOO_BIG, DROP, "too-big", "longer than its way out takes, and not to be fragmented (RFC 1191, RFC 8201)")        \
    X(NO_HOST, DROP, "no-host", "no machine of the network has this address")                                          \
    X(NO_NEIGHBOUR, DROP, "no-neighbour", "nobody on the link has the next hop's address")                             \
    X(NAT_NO_PORT, DROP, "nat-no-port", "no outside port was free for a new session")                                  \
    X(NAT_TABLE_FULL, DROP, "nat-table-full", "no room for a new session")                                             \
    X(NAT_CLIENT_LIMIT, DROP, "nat-client-limit", "the inside address has, or began, as much as it may")               \
    X(NAT_FILTERED, DROP, "nat-filtered", "the NAT has a mapping for it, but not for this remote end")                 \
    X(NAT_UNSOLICITED, DROP, "nat-unsolicited", "a SYN from outside that nobody inside met in time (RFC 5382 REQ-4)")  \
    X(NAT_FRAGMENT, DROP, "nat-fragment", "a later fragment whose first one was not seen")                             \
    X(NAT_ICMP_ERROR, DROP, "nat-icmp-error", "an ICMP error that is broken, or about a packet that no session sent")  \
    X(LOOP, DROP, "loop", "the packet visited too many nodes")

#define DROP_ENUM(symbol, class, name, sentence) DROP_##symbol,
enum drop { DROP_REASONS(DROP_ENUM) DROP_COUNT };
#undef DROP_ENUM

const char *drop_name(enum drop reason);
const char *drop_sentence(enum drop reason);
enum drop_class drop_class(enum drop reason);

#endif
