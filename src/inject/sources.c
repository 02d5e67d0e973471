/* SPDX-License-Identifier: BSD-3-Clause */
/* Where packets of a port mirror arrived, by their sources. */
#include <stdlib.h>
#include <string.h>
#include "inject.h"

struct sources {
    size_t n, n_ipv4;
    struct source {
        struct ip_prefix prefix;
        be32 mask; /* IPv4 */
        uint16_t port;
    } v[]; /* those of IPv4 before the others, longest first */
};

static int by_family_and_length(const void *a, const void *b) {
    const struct source *x = a, *y = b;
    const int x4 = x->prefix.addr.family == FAMILY_IPV4, y4 = y->prefix.addr.family == FAMILY_IPV4;
    return x4 != y4 ? y4 - x4 : (int)y->prefix.len - (int)x->prefix.len;
}

struct sources *sources_create(const struct control *c, const struct control_node *n) {
    const struct scenario *s = c->scenario;
    struct sources *out = xzalloc(1, sizeof *out + s->sources.n * sizeof *out->v);
    for (uint16_t p = 0; p < n->node.n_ports; p++) {
        const struct scenario_nic *nic = &s->nics.v[n->ports[p].nic];
        for (uint32_t i = 0; i < nic->n_sources; i++) {
            const struct ip_prefix *prefix = &s->sources.v[nic->first_source + i];
            const bool ipv4 = prefix->addr.family == FAMILY_IPV4;
            out->v[out->n++] = (struct source){*prefix, ipv4 ? ipv4_mask(prefix->len) : 0, p};
            out->n_ipv4 += ipv4;
        }
    }
    qsort(out->v, out->n, sizeof *out->v, by_family_and_length);
    if (out->n)
        return out;
    free(out);
    return NULL;
}

uint16_t sources_find(const struct sources *s, const struct flow_key *key) {
    const struct source *v = s->v, *end = v + s->n_ipv4;
    if (key->family == FAMILY_IPV4) {
        be32 src;
        memcpy(&src, key->src, sizeof src);
        while (v < end && (src ^ v->prefix.addr.v4) & v->mask)
            v++;
    } else {
        const struct ip src = flow_key_src(key);
        for (v = end, end = s->v + s->n; v < end && !prefix_contains(&v->prefix, &src);)
            v++;
    }
    return v < end ? v->port : PORT_NONE;
}
