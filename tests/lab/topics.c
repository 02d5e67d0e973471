/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run of packets has touched of NAT: how often each matter was compared, so that none is left out unseen. */
#include "lab.h"

#include <string.h>

static bool is_error(const struct packet *p, uint16_t outside, bool inward) {
    return p->flags & PACKET_ICMP_ERROR && (p->in_port == outside) == inward;
}

/* What the packet is to NAT; NULL: nothing of interest. */
static const char *topic_of(const struct trial *t) {
    const struct packet *p = t->after;
    bool changed = p->flags & (PACKET_SRC_CHANGED | PACKET_DST_CHANGED), passed = p->verdict == VERDICT_FORWARD;
    bool both = p->flags & PACKET_SRC_CHANGED && p->flags & PACKET_DST_CHANGED;
    const uint16_t outside = nat_config_get(t->lab->node.nat)->outside_port;
    if (p->family != FAMILY_IPV4)
        return NULL;
    if (p->flags & PACKET_ICMP_ERROR) {
        if (!changed)
            return passed ? "error-untranslated" : "error-not-forwarded";
        return both && p->in_port != outside && p->out_port != outside ? "error-hairpin"
               : is_error(p, outside, true)                            ? "error-inward"
                                                                       : "error-outward";
    }
    if (passed && both && p->in_port != outside && p->out_port != outside)
        return "hairpin";
    return NULL;
}

void count_name(json_t *counts, const char *name) {
    json_object_set_new(counts, name, json_integer(1 + json_integer_value(json_object_get(counts, name))));
}

void topics_count(json_t *topics, const struct trial *t) {
    const char *topic = t->lab->node.nat ? topic_of(t) : NULL;
    if (topic)
        count_name(topics, topic);
}
