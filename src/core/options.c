/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IPv4 options (RFC 791, 3.1; RFC 1812, 5.2.4 and 5.3.13). A broken list of options is refused where Linux refuses it.
 * Source routes are refused too, as routers are asked to (RFC 7126, 4.3 and 4.4) and as Linux does by default. Record
 * route and timestamp are served when the packet is forwarded; everything else passes untouched.
 */
#include <fwdlab/core/checksum.h>
#include "route_table.h"
#include "stage.h"

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_RECORD_ROUTE = 7, OPTION_TIMESTAMP = 68, OPTION_LOOSE_ROUTE = 131,
       OPTION_STRICT_ROUTE = 137, OPTION_ROUTER_ALERT = 148 };

/* The bytes of an option with a list; the pointer counts from 1, and is beyond the length when the list is full. */
enum { TYPE, LENGTH, POINTER, TIMESTAMP_FLAGS };
enum { TIME_ONLY = 0, TIME_AND_ADDRESS = 1, TIME_PRESPECIFIED = 3 };
#define OVERFLOW_ONE 0x10 /* the upper half of TIMESTAMP_FLAGS counts the routers that found no room */
#define OVERFLOW_MAX 0xf0
#define NS_PER_MS 1000000u
#define TIME_NOT_UTC 0x80000000u /* RFC 791: milliseconds, but not since midnight UT */

/* Where they stand: offsets from the IP header, 0: absent. */
struct options {
    uint8_t record_route, timestamp, source_route;
    uint8_t end; /* where the list ends; behind it there is padding */
    uint8_t bad; /* what is wrong */
};

static bool is_full(const uint8_t *o) {
    return o[POINTER] > o[LENGTH];
}

static unsigned timestamp_mode(const uint8_t *o) {
    return o[TIMESTAMP_FLAGS] & 15u;
}

/* Offset of what is wrong in a list whose first entry stands at `first` (from 1) and has `entry` bytes; 0: nothing. */
static unsigned list_fault(const uint8_t *o, unsigned first, unsigned entry) {
    if (o[LENGTH] < first - 1)
        return LENGTH;
    return o[POINTER] < first || (!is_full(o) && o[POINTER] + entry - 1 > o[LENGTH]) ? POINTER : 0;
}

static unsigned timestamp_fault(const uint8_t *o) {
    unsigned mode = o[LENGTH] > TIMESTAMP_FLAGS ? timestamp_mode(o) : TIME_ONLY;
    unsigned fault = list_fault(o, 5, mode == TIME_AND_ADDRESS || mode == TIME_PRESPECIFIED ? 8 : 4);
    if (!fault && is_full(o) && mode != TIME_PRESPECIFIED && o[TIMESTAMP_FLAGS] >= OVERFLOW_MAX)
        return TIMESTAMP_FLAGS;
    return fault;
}

/* Notes the option at `at`; gives the offset from the IP header of what is wrong in it, 0: nothing. */
static unsigned option_note(struct options *found, const uint8_t *ip, unsigned at) {
    const uint8_t *o = ip + at;
    uint8_t *once;
    unsigned fault;
    switch (o[TYPE]) {
    case OPTION_RECORD_ROUTE:
        once = &found->record_route;
        fault = list_fault(o, 4, 4);
        break;
    case OPTION_TIMESTAMP:
        once = &found->timestamp;
        fault = timestamp_fault(o);
        break;
    case OPTION_LOOSE_ROUTE: case OPTION_STRICT_ROUTE:
        once = &found->source_route;
        fault = list_fault(o, 4, 1); /* what would be read of it does not matter */
        break;
    case OPTION_ROUTER_ALERT: /* RFC 2113 */
        return o[LENGTH] < 4 ? at + LENGTH : 0;
    default:
        return 0;
    }
    if (*once) /* "appears at most once" */
        return at;
    *once = (uint8_t)at;
    return fault ? at + fault : 0;
}

static struct options options_read(const struct packet *p) {
    struct options found = {0};
    const uint8_t *ip = p->data + p->l3;
    unsigned at = sizeof(struct ipv4_header), header = p->l4 - p->l3;
    while (at < header && ip[at] != OPTION_END) {
        if (ip[at] == OPTION_NOP) {
            at++;
            continue;
        }
        if (at + 2 > header || ip[at + LENGTH] < 2 || at + ip[at + LENGTH] > header)
            found.bad = (uint8_t)at;
        else
            found.bad = (uint8_t)option_note(&found, ip, at);
        if (found.bad)
            break;
        at += ip[at + LENGTH];
    }
    found.end = (uint8_t)at;
    return found;
}

enum drop options_check(const struct packet *p) {
    const struct options found = options_read(p);
    return found.bad ? DROP_BAD_OPTIONS : found.source_route ? DROP_SOURCE_ROUTE : DROP_NONE;
}

unsigned options_pointer(const struct packet *p) {
    return options_read(p).bad;
}

/* The address of the port by which the packet leaves, or another of the router's (RFC 1812, 2.2.7 and 5.2.4). */
static be32 address_of(const struct node *node, uint16_t port) {
    for (unsigned i = 0; i < node->n_ports; i++) {
        be32 addr = node->ports[(port + i) % node->n_ports].addr;
        if (addr)
            return addr;
    }
    return 0;
}

static bool is_local(const struct node *node, be32 addr) {
    uint32_t path;
    route_lookup(node->routes, &addr, &path, 1);
    return path != ROUTE_NONE && path_at(node->routes, path)->kind == ROUTE_LOCAL;
}

static void put(uint8_t *o, be32 value) {
    memcpy(o + o[POINTER] - 1, &value, sizeof value);
    o[POINTER] += sizeof value;
}

static void put_timestamp(const struct node *node, uint8_t *o, be32 own, uint64_t now) {
    be32 time = htonl((uint32_t)(now / NS_PER_MS) | TIME_NOT_UTC), asked;
    unsigned mode = timestamp_mode(o);
    if (is_full(o)) {
        o[TIMESTAMP_FLAGS] += mode == TIME_PRESPECIFIED ? 0 : OVERFLOW_ONE;
        return;
    }
    switch (mode) {
    case TIME_AND_ADDRESS:
        put(o, own);
        put(o, time);
        break;
    case TIME_PRESPECIFIED: /* any of the router's addresses (RFC 1812, 5.3.13.6) */
        memcpy(&asked, o + o[POINTER] - 1, sizeof asked);
        if (is_local(node, asked)) {
            put(o, asked);
            put(o, time);
        }
        break;
    case TIME_ONLY:
        put(o, time);
        break;
    }
}

void options_record(const struct node *node, struct packet *p, uint64_t now) {
    struct ipv4_header *ip = packet_ipv4(p);
    uint8_t *head = p->data + p->l3, *options = (uint8_t *)(ip + 1);
    const struct options found = options_read(p);
    const be32 own = address_of(node, p->out_port);
    const size_t len = p->l4 - p->l3 - sizeof *ip;
    uint32_t before = checksum_sum(options, len, 0);
    if (found.record_route && !is_full(head + found.record_route))
        put(head + found.record_route, own);
    if (found.timestamp)
        put_timestamp(node, head + found.timestamp, own, now);
    memset(head + found.end, 0, p->l4 - p->l3 - found.end); /* padding is zero (RFC 791, 3.1) */
    ip->checksum = checksum_fold((uint16_t)~ip->checksum + checksum_fold(before) + checksum_sum(options, len, 0));
}
