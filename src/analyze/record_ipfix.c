/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flow records as an IPFIX file (RFC 5655): messages (RFC 7011) of biflows (RFC 5103), which fit a UDP datagram on
 * Ethernet each, so that they can be sent to a collector as they are. Templates stand in the first one. Interfaces are
 * numbers, and records of their own tell the names.
 */
#include <assert.h>
#include <stdio.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/parse.h>
#include "record.h"

enum { MESSAGE_MAX = 1400, HEADER = 16, SET_HEADER = 4, NAME_LEN_MAX = 254, REVERSE_PEN = 29305, VARIABLE = 65535 };
enum { SET_TEMPLATE = 2, SET_OPTIONS = 3, TEMPLATE_FLOW = 256 /* + 1: IPv6, + 2: translated */,
       TEMPLATE_INTERFACE = 260 };
#define NTP_EPOCH 2208988800u /* 1970 in seconds since 1900 */

struct field {
    uint16_t id, len;
    bool reverse;
};

/* IANA's numbers and names; the second one of a line is the other family's. */
enum { OCTETS = 1, PACKETS = 2, PROTOCOL = 4, TCP_BITS = 6, SPORT = 7, SOURCE4 = 8, INGRESS = 10, DPORT = 11,
       DESTINATION4 = 12, EGRESS = 14, SOURCE6 = 27, DESTINATION6 = 28, SOURCE_MAC = 56, VLAN = 58, INTERFACE_NAME = 82,
       FLOW_ID = 148, START_MS = 152, END_MS = 153, START_NS = 156, END_NS = 157, NAT_SOURCE4 = 225,
       NAT_DESTINATION4 = 226, NAPT_SPORT = 227, NAPT_DPORT = 228, BIFLOW_DIRECTION = 239, NAT_SOURCE6 = 281,
       NAT_DESTINATION6 = 282 };

/* In the order of put_flow: the way back first, as some collectors overlook RFC 5103 and keep what comes last. */
static const struct field addresses[2][2] = {{{SOURCE4, 4, 0}, {DESTINATION4, 4, 0}},
                                             {{SOURCE6, 16, 0}, {DESTINATION6, 16, 0}}};
static const struct field flow[] = {
    {SPORT, 2, 0},    {DPORT, 2, 0},       {PROTOCOL, 1, 0},   {FLOW_ID, 8, 0},          {START_NS, 8, 0},
    {END_NS, 8, 0},   {START_MS, 8, 0},    {END_MS, 8, 0},     {BIFLOW_DIRECTION, 1, 0}, {VLAN, 2, 0},
    {PACKETS, 8, 1},  {OCTETS, 8, 1},      {TCP_BITS, 2, 1},   {INGRESS, 4, 1},          {EGRESS, 4, 1},
    {SOURCE_MAC, 6, 1}, {PACKETS, 8, 0},   {OCTETS, 8, 0},     {TCP_BITS, 2, 0},         {INGRESS, 4, 0},
    {EGRESS, 4, 0},   {SOURCE_MAC, 6, 0}};
static const struct field translated[2][4] = {
    {{NAT_SOURCE4, 4, 0}, {NAT_DESTINATION4, 4, 0}, {NAPT_SPORT, 2, 0}, {NAPT_DPORT, 2, 0}},
    {{NAT_SOURCE6, 16, 0}, {NAT_DESTINATION6, 16, 0}, {NAPT_SPORT, 2, 0}, {NAPT_DPORT, 2, 0}}};
static const struct field interface[] = {{INGRESS, 4, 0}, {INTERFACE_NAME, VARIABLE, 0}};
#define COUNT(a) (sizeof(a) / sizeof *(a))

struct ipfix {
    struct file_draft *file;
    uint8_t m[MESSAGE_MAX];
    uint32_t n;        /* bytes of the message so far */
    uint32_t set;      /* where its last set begins; 0: none is open */
    uint32_t sequence; /* records before this message */
    uint32_t records;  /* in it */
    uint64_t last_ns;  /* the latest end of a flow in it */
    VEC(char *) names; /* of interfaces; the index + 1 is the number */
};

static void put(struct ipfix *x, uint64_t v, unsigned bytes) {
    for (unsigned i = bytes; i-- > 0;)
        x->m[x->n++] = (uint8_t)(v >> i * 8);
}

static void put_bytes(struct ipfix *x, const void *p, size_t len) {
    memcpy(x->m + x->n, p, len);
    x->n += (uint32_t)len;
}

static void put_at(struct ipfix *x, uint32_t at, uint64_t v, unsigned bytes) {
    uint32_t n = x->n;
    x->n = at;
    put(x, v, bytes);
    x->n = n;
}

static void set_end(struct ipfix *x) {
    if (x->set)
        put_at(x, x->set + 2, x->n - x->set, 2);
    x->set = 0;
}

static void set_begin(struct ipfix *x, uint16_t id) {
    set_end(x);
    x->set = x->n;
    put(x, id, 2);
    put(x, 0, 2);
}

/* RFC 7011, 3.1; the time is the flows', so that the same flows give the same file. */
static void message_end(struct ipfix *x) {
    set_end(x);
    if (x->n > HEADER) {
        put_at(x, 0, 10, 2);
        put_at(x, 2, x->n, 2);
        put_at(x, 4, x->last_ns / 1000000000, 4);
        put_at(x, 8, x->sequence, 4);
        put_at(x, 12, 0, 4); /* observation domain: no particular one */
        file_draft_write(x->file, x->m, x->n);
    }
    x->sequence += x->records;
    x->records = 0;
    x->last_ns = 0;
    x->n = HEADER;
}

/* Room for one record of at most `len` bytes in a set of this id. */
static void record_begin(struct ipfix *x, uint16_t id, uint32_t len) {
    if (x->n + SET_HEADER + len > MESSAGE_MAX)
        message_end(x);
    if (!x->set || (x->m[x->set] << 8 | x->m[x->set + 1]) != id)
        set_begin(x, id);
    x->records++;
}

static void put_fields(struct ipfix *x, const struct field *f, size_t n) {
    for (size_t i = 0; i < n; i++) {
        put(x, f[i].id | (f[i].reverse ? 0x8000 : 0), 2);
        put(x, f[i].len, 2);
        if (f[i].reverse)
            put(x, REVERSE_PEN, 4);
    }
}

static void put_templates(struct ipfix *x) {
    set_begin(x, SET_TEMPLATE);
    for (unsigned i = 0; i < 4; i++) {
        bool v6 = i & 1, nat = i & 2;
        put(x, TEMPLATE_FLOW + i, 2);
        put(x, COUNT(addresses[v6]) + COUNT(flow) + (nat ? COUNT(translated[v6]) : 0), 2);
        put_fields(x, addresses[v6], COUNT(addresses[v6]));
        put_fields(x, flow, COUNT(flow));
        if (nat)
            put_fields(x, translated[v6], COUNT(translated[v6]));
    }
    set_begin(x, SET_OPTIONS);
    put(x, TEMPLATE_INTERFACE, 2);
    put(x, COUNT(interface), 2);
    put(x, 1, 2); /* the number is the scope */
    put_fields(x, interface, COUNT(interface));
    set_end(x);
}

/* The interface's number; a new one's name goes out first. */
static uint32_t interface_number(struct ipfix *x, const char *name) {
    if (!name)
        return 0;
    for (size_t i = 0; i < x->names.n; i++)
        if (!strcmp(x->names.v[i], name))
            return (uint32_t)i + 1;
    size_t len = strnlen(name, NAME_LEN_MAX);
    vec_push(&x->names, xstrdup(name));
    record_begin(x, TEMPLATE_INTERFACE, (uint32_t)(5 + len));
    put(x, x->names.n, 4);
    put(x, len, 1);
    put_bytes(x, name, len);
    return (uint32_t)x->names.n;
}

/* RFC 7011, 6.1.10: NTP's form. Rounded up, so that cutting it off after nanoseconds gives them back. */
static void put_time(struct ipfix *x, uint64_t ns) {
    put(x, ns / 1000000000 + NTP_EPOCH, 4);
    put(x, ((ns % 1000000000 << 32) + 999999999) / 1000000000, 4);
}

static void put_addresses(struct ipfix *x, const struct flow_key *k) {
    size_t len = k->family == FAMILY_IPV6 ? 16 : 4;
    put_bytes(x, k->src, len);
    put_bytes(x, k->dst, len);
}

/* ICMP's type and code are where collectors look for them: in the destination port, when the source port is 0. */
static void put_ports(struct ipfix *x, const struct flow_key *k) {
    bool icmp = proto_is_icmp(k->proto);
    put(x, icmp ? 0 : ntohs(k->sport), 2);
    put(x, icmp ? (uint32_t)ntohs(k->dport) << 8 : ntohs(k->dport), 2);
}

static void put_flow(struct ipfix *x, const struct flow_record *r, uint32_t number[2][2]) {
    put_addresses(x, &r->key);
    put_ports(x, &r->key);
    put(x, r->key.proto, 1);
    put(x, r->id, 8);
    put_time(x, r->first_ns);
    put_time(x, r->last_ns);
    put(x, r->first_ns / 1000000, 8);
    put(x, r->last_ns / 1000000, 8);
    put(x, 1, 1); /* RFC 5103, 6.3: there is from the initiator */
    put(x, r->vlan, 2);
    for (int way = 1; way >= 0; way--) {
        put(x, r->way[way].packets, 8);
        put(x, r->way[way].bytes, 8);
        put(x, r->way[way].tcp_flags, 2);
        put(x, number[way][0], 4);
        put(x, number[way][1], 4);
        put_bytes(x, r->way[way].mac.byte, 6);
    }
}

static uint32_t length_of(const struct field *f, size_t n) {
    uint32_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += f[i].len;
    return len;
}

void ipfix_write(struct ipfix *x, const struct flow_record *r) {
    bool v6 = r->key.family == FAMILY_IPV6, nat = r->outside.family == r->key.family;
    uint32_t number[2][2], len = length_of(addresses[v6], COUNT(addresses[v6])) + length_of(flow, COUNT(flow));
    for (int way = 0; way < 2; way++) {
        number[way][0] = interface_number(x, r->way[way].in);
        number[way][1] = interface_number(x, r->way[way].out);
    }
    len += nat ? length_of(translated[v6], COUNT(translated[v6])) : 0;
    record_begin(x, (uint16_t)(TEMPLATE_FLOW + v6 + 2 * nat), len);
    uint32_t at = x->n;
    put_flow(x, r, number);
    if (nat) {
        put_addresses(x, &r->outside);
        put_ports(x, &r->outside);
    }
    assert(x->n == at + len);
    x->last_ns = r->last_ns > x->last_ns ? r->last_ns : x->last_ns;
}

struct ipfix *ipfix_begin(struct file_draft *f) {
    struct ipfix *x = xzalloc(1, sizeof *x);
    x->file = f;
    x->n = HEADER;
    put_templates(x);
    return x;
}

void ipfix_end(struct ipfix *x) {
    message_end(x);
}

void ipfix_free(struct ipfix *x) {
    if (!x)
        return;
    for (size_t i = 0; i < x->names.n; i++)
        vec_release(x->names.v[i]);
    vec_free(&x->names);
    vec_release(x);
}
