/* SPDX-License-Identifier: BSD-3-Clause */
/* Flow records as CSV: one line each under a line of names, quoted as RFC 4180 says; what is not known is empty. */
#include <stdarg.h>
#include <stdio.h>
#include <fwdlab/core/parse.h>
#include "record.h"

struct line {
    char text[16384]; /* longer than all of a record */
    size_t n;
};

#define TEXT_MAX 1024 /* bytes of a name */

static void add_char(struct line *l, char c) {
    if (l->n < sizeof l->text)
        l->text[l->n++] = c;
}

static void comma(struct line *l) {
    if (l->n)
        add_char(l, ',');
}

__attribute__((format(printf, 2, 3))) static void add(struct line *l, const char *format, ...) {
    char text[128];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    comma(l);
    for (const char *p = text; *p; p++)
        add_char(l, *p);
}

static void add_count(struct line *l, uint64_t n, bool known) {
    if (known)
        add(l, "%llu", (unsigned long long)n);
    else
        add(l, "%s", "");
}

/* In quotes only when it must be; a quote is doubled. */
static void add_text(struct line *l, const char *text) {
    size_t len = text ? strnlen(text, TEXT_MAX) : 0;
    bool quoted = len && strpbrk(text, ",\"\r\n");
    comma(l);
    if (quoted)
        add_char(l, '"');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"')
            add_char(l, '"');
        add_char(l, text[i]);
    }
    if (quoted)
        add_char(l, '"');
}

static void add_proto(struct line *l, uint8_t proto) {
    const char *name = proto == PROTO_TCP ? "tcp" : proto == PROTO_UDP ? "udp" : proto == PROTO_ICMP ? "icmp"
                       : proto == PROTO_ICMPV6 ? "icmpv6" : NULL;
    if (name)
        add_text(l, name);
    else
        add(l, "%u", proto);
}

static void add_ends(struct line *l, const struct flow_key *k) {
    struct ip src = flow_key_src(k), dst = flow_key_dst(k);
    char text[IP_TEXT];
    bool known = k->family != FAMILY_NONE;
    add_text(l, ip_format(&src, text));
    add_count(l, ntohs(k->sport), known);
    add_text(l, ip_format(&dst, text));
    add_count(l, ntohs(k->dport), known);
}

static void write_line(struct file_draft *f, struct line *l) {
    add_char(l, '\n');
    file_draft_write(f, l->text, l->n);
}

void csv_begin(struct file_draft *f) {
    static const char names[] =
        "id,proto,src,sport,dst,dport,first_ns,last_ns,packets_there,bytes_there,packets_back,bytes_back,in_there,"
        "out_there,in_back,out_back,model,observed,nat,finding,nat_src,nat_sport,nat_dst,nat_dport,vlan,tunnel,"
        "tcp_state,rtt_ns,retransmissions,out_of_order,resets,icmp_errors,fragments,partial\n";
    file_draft_write(f, names, sizeof names - 1);
}

void csv_write(struct file_draft *f, const struct flow_record *r) {
    struct line l = {.n = 0};
    bool tcp = r->tcp_state;
    add_count(&l, r->id, true);
    add_proto(&l, r->key.proto);
    add_ends(&l, &r->key);
    add_count(&l, r->first_ns, true);
    add_count(&l, r->last_ns, true);
    for (int way = 0; way < 2; way++) {
        add_count(&l, r->way[way].packets, true);
        add_count(&l, r->way[way].bytes, true);
    }
    for (int way = 0; way < 2; way++) {
        add_text(&l, r->way[way].in);
        add_text(&l, r->way[way].out);
    }
    add_text(&l, r->model);
    add_text(&l, r->observed);
    add_text(&l, r->nat);
    add_count(&l, r->finding, r->finding != 0);
    add_ends(&l, &r->outside);
    add_count(&l, r->vlan, r->vlan);
    add_text(&l, r->tunnel);
    add_text(&l, r->tcp_state);
    add_count(&l, r->rtt_ns, r->rtt_ns);
    add_count(&l, r->retransmissions, tcp);
    add_count(&l, r->out_of_order, tcp);
    add_count(&l, r->resets, tcp);
    add_count(&l, r->icmp_errors, true);
    add_count(&l, r->fragments, true);
    add_text(&l, r->partial ? "true" : "false");
    write_line(f, &l);
}
