/* SPDX-License-Identifier: BSD-3-Clause */
/* The two points' account as JSON. */
#include <stdio.h>
#include <fwdlab/result/document.h>
#include "points.h"

const char *nat_verdict_name(enum nat_verdict v) {
    static const char *const names[NAT_VERDICT_COUNT] = {"none", "nat_bypass", "wrong_nat", "double_mapping",
                                                         "nat_filtered", "port_exhausted"};
    return v < NAT_VERDICT_COUNT ? names[v] : names[0];
}

static json_t *proto_json(uint8_t proto) {
    char number[8];
    snprintf(number, sizeof number, "%u", proto);
    return json_string(proto == PROTO_TCP      ? "tcp"
                       : proto == PROTO_UDP    ? "udp"
                       : proto == PROTO_ICMP   ? "icmp"
                       : proto == PROTO_ICMPV6 ? "icmpv6"
                                               : number);
}

static json_t *ip_json(struct ip a) {
    char text[IP_TEXT];
    return json_string(ip_format(&a, text));
}

static json_t *end_json(struct end e) {
    char text[END_TEXT];
    e.proto = proto_is_icmp(e.proto) && !e.port ? 0 : e.proto; /* a remote end has an address alone */
    return json_string(end_text(&e, text, sizeof text));
}

static json_t *moment(const struct points *p, uint64_t ns) {
    return json_integer((json_int_t)(ns - p->first_ns[INSIDE]));
}

static json_t *pair_json(const struct points *p, uint32_t i) {
    const struct point_pair *q = &p->pairs[i];
    json_t *o = json_object();
    json_object_set_new(o, "proto", proto_json(q->inside.proto));
    json_object_set_new(o, "inside", end_json(pair_local(p, i, INSIDE)));
    json_object_set_new(o, "outside", end_json(pair_local(p, i, OUTSIDE)));
    json_object_set_new(o, "remote", end_json(pair_remote(p, i)));
    json_object_set_new(o, "first", moment(p, q->first_ns));
    json_object_set_new(o, "last", moment(p, q->last_ns));
    document_count(o, "packets", q->packets);
    document_count(o, "proved", q->proved);
    json_object_set_new(o, "frames", json_pack("[I, I]", (json_int_t)q->frame_inside, (json_int_t)q->frame_outside));
    json_object_set_new(o, "verdict", q->verdict ? json_string(nat_verdict_name(q->verdict)) : json_null());
    return o;
}

static json_t *finding_json(const struct points *p, const struct nat_finding *f) {
    json_t *o = json_object(), *frames = json_array();
    for (unsigned i = 0; i < f->n_frames; i++)
        json_array_append_new(frames, json_sprintf("%s:%llu", f->frames[i].point == INSIDE ? p->o.inside : p->o.outside,
                                                   (unsigned long long)f->frames[i].frame));
    json_object_set_new(o, "source", json_string("nat"));
    json_object_set_new(o, "verdict", json_string(nat_verdict_name(f->verdict)));
    document_count(o, "count", f->count);
    json_object_set_new(o, "benign", json_false());
    json_object_set_new(o, "text", json_string(f->text));
    json_object_set_new(o, "since", moment(p, f->first_ns));
    json_object_set_new(o, "flow",
                        json_pack("{s:o, s:o, s:i, s:o, s:i}", "proto", proto_json(f->flow.proto), "src",
                                  ip_json(flow_key_src(&f->flow)), "sport", ntohs(f->flow.sport), "dst",
                                  ip_json(flow_key_dst(&f->flow)), "dport", ntohs(f->flow.dport)));
    json_object_set_new(o, "frames", frames);
    json_object_set_new(o, "probability", json_null());
    json_object_set_new(o, "cause", json_null());
    json_object_set_new(o, "mend", json_null());
    return o;
}

json_t *points_json(const struct points *p) {
    json_t *o = json_object(), *pairs = json_array(), *findings = json_array();
    char epoch[24];
    bool known = p->clock.known;
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)p->first_ns[INSIDE]);
    json_object_set_new(o, "inside", document_string(p->o.inside));
    json_object_set_new(o, "outside", document_string(p->o.outside));
    json_object_set_new(o, "epoch_ns", json_string(epoch));
    json_object_set_new(o, "offset_ns", known ? json_integer((json_int_t)p->clock.ahead) : json_null());
    json_object_set_new(o, "offset_width_ns", known ? json_integer((json_int_t)p->clock.width_ns) : json_null());
    json_object_set_new(o, "drift_ppm", known ? json_real(p->clock.slope * 1e6) : json_null());
    document_count(o, "joined", p->joined);
    document_count(o, "proved", p->proved);
    document_count(o, "only_inside", p->packets[INSIDE] - p->joined);
    document_count(o, "only_outside", p->packets[OUTSIDE] - p->joined);
    document_count(o, "fell_out", p->fell_out[INSIDE] + p->fell_out[OUTSIDE]);
    document_count(o, "forgotten", p->sight_book.forgotten + p->pair_book.forgotten);
    for (uint32_t i = 0; i < p->pair_book.n; i++)
        json_array_append_new(pairs, pair_json(p, i));
    for (size_t i = 0; i < p->findings.n; i++)
        json_array_append_new(findings, finding_json(p, &p->findings.v[i]));
    json_object_set_new(o, "pairs", pairs);
    json_object_set_new(o, "findings", findings);
    return o;
}
