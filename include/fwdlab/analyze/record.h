/* SPDX-License-Identifier: BSD-3-Clause */
/* A flow as it is exported, and the forms in which other tools load it. */
#ifndef FWDLAB_ANALYZE_RECORD_H
#define FWDLAB_ANALYZE_RECORD_H

#include <fwdlab/base/err.h>
#include <fwdlab/core/packet.h>

#define RECORD_TUNNEL 64

struct flow_record {
    uint64_t id;               /* survives NAT: both sides of a translation have the same one */
    struct flow_key key;       /* as its initiator sends it; ICMP: id as sport, type as dport */
    struct flow_key outside;   /* as it is beyond NAT; family FAMILY_NONE: not translated */
    uint64_t first_ns, last_ns; /* since the Unix epoch */
    struct {
        uint64_t packets, bytes; /* bytes on the wire, from the IP header on */
        uint8_t tcp_flags;       /* all that were seen */
        const char *in, *out;    /* interfaces, NULL: not known */
        struct mac mac;          /* of the neighbour that sent it; zero: not known */
    } way[2];                  /* from the initiator, to him */
    uint16_t vlan;             /* 0: none */
    char tunnel[RECORD_TUNNEL]; /* "gre 10.0.0.1 10.0.0.2" around it, outermost first; empty */
    const char *model, *observed; /* verdicts; NULL: none */
    const char *nat;           /* verdict of flows.nat; NULL */
    uint32_t finding;          /* `id` of its finding in the document; 0: none */
    const char *tcp_state;     /* NULL: not TCP */
    uint64_t rtt_ns;           /* 0: not known */
    uint32_t retransmissions, out_of_order, resets, icmp_errors, fragments;
    bool partial;              /* was there before the capture began, or after it ended */
};

enum record_form { RECORD_CSV, RECORD_IPFIX };

struct record_writer;
/* The file appears whole when record_writer_close says 0. IPFIX: a file as RFC 5655, biflow as RFC 5103. */
struct record_writer *record_writer_open(const char *path, enum record_form form, struct err *e);
void record_write(struct record_writer *w, const struct flow_record *r);
int record_writer_close(struct record_writer *w, struct err *e);
void record_writer_abandon(struct record_writer *w);

#endif
