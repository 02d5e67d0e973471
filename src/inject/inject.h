/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside of inject: the steps of inject_create, in their order. */
#ifndef INJECT_INJECT_PRIVATE_H
#define INJECT_INJECT_PRIVATE_H

#include <fwdlab/core/parse.h>
#include <fwdlab/inject/inject.h>
#include <fwdlab/trace/link.h>

/* Which interface is which port; then each packet's kind, key and offsets from its own bytes. */
int classify(struct inject *in, const struct control *c, uint32_t node, struct err *e);
/* The same for one: `raw` (which *p keeps) begins with its IP header afterwards when its link layer is not plain
 * Ethernet. `n`: NULL without a scenario; p->port is set, PORT_NONE: not known. view->ip is NULL where plain Ethernet
 * and IPv4 needed no link_decode. False: link type unknown. */
bool classify_packet(struct inject_packet *p, struct trace_packet *raw, const struct node *n, uint16_t linktype,
                     struct link_view *view);
/* The port whose NIC has this name in captures; PORT_NONE. And whose MAC address a frame has; PORT_NONE. */
uint16_t classify_name(const struct control *c, const struct control_node *n, const char *name);
uint16_t classify_mac(const struct control_node *n, const struct trace_packet *raw, uint16_t linktype);
/*
 * Captures that tell no interfaces (a port mirror): the port where a packet with this source arrived, by the longest of
 * the scenario's prefixes (`sources:`) that holds it; PORT_NONE. NULL: the scenario has none.
 */
struct sources;
struct sources *sources_create(const struct control *c, const struct control_node *n);
uint16_t sources_find(const struct sources *s, const struct flow_key *key);
/* Gives a packet that classify_packet took without a port its port. */
void classify_by_source(struct inject_packet *p, const struct sources *sources);
/* That no interface of the capture is a NIC of the node. */
int classify_none(const struct control *c, const struct control_node *n, const struct trace_interface *interfaces,
                  uint32_t count, struct err *e);

/* That nobody knows the link type. */
int classify_unknown(uint16_t linktype, struct err *e);

/* Copies, translations, answers: partner, answer, after and the mappings. */
void inject_track(struct inject *in);
/* inject_fit for what answers the translation of `inside`; `nat` is there. */
int inject_fit_inside(const struct inject_packet *from, uint8_t proto, const struct nat_tuple *inside,
                      struct packet *p, const struct nat *nat);

/* tunnel.c: may a packet carry another one? What the innermost tunnel before a packet is called: "vxlan 42", "". The
 * length of an IP packet by its own header. */
bool tunnel_suspected(const struct inject_packet *p);
void tunnel_name(char *out, size_t size, const struct link_view *v);
uint32_t tunnel_ip_length(const struct link_view *v);

/* Header fields of a packet that was parsed. */
static inline const struct ipv4_header *inject_ipv4(const struct inject_packet *p) {
    return (const struct ipv4_header *)(p->raw->data + p->l3);
}
static inline const struct ipv6_header *inject_ipv6(const struct inject_packet *p) {
    return (const struct ipv6_header *)(p->raw->data + p->l3);
}
static inline uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 32;
}
/* The tuple of an IPv4 packet with ports, or without (0). */
static inline struct nat_tuple inject_tuple(const struct flow_key *k) {
    struct nat_tuple t = {.sport = k->sport, .dport = k->dport};
    __builtin_memcpy(&t.src, k->src, 4);
    __builtin_memcpy(&t.dst, k->dst, 4);
    return t;
}
/* The packet that an ICMP error is about, which ICMP carries with it, and its offsets; false when it is cut off. */
bool inject_inner(const struct inject_packet *p, struct flow_key *key, uint32_t *l3, uint32_t *l4);

#define KIND_UNDECIDED 0xff /* direction unknown until copies are joined */

#endif
