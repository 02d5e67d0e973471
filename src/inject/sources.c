/* SPDX-License-Identifier: BSD-3-Clause */
/* Where packets of a port mirror arrived, by their sources. */
#include <stdlib.h>
#include <string.h>
#include "inject.h"

struct sources {
    size_t n;
    struct source {
        struct ip_prefix prefix;
        be32 mask; /* IPv4 */
        uint16_t port;
    } v[]; /* longest first */
};

static int longest_first(const void *a, const void *b) {
    const struct source *x = a, *y = b;
    return (int)y->prefix.len - (int)x->prefix.len;
}

struct sources *sources_create(const struct control *c, const struct control_node *n) {
    const struct scenario *s = c->scenario;
    struct sources *out = xzalloc(1, sizeof *out + s->sources.n * sizeof *out->v);
    for (uint16_t p = 0; p < n->node.n_ports; p++) {
        const struct scenario_nic *nic = &s->nics.v[n->ports[p].nic];
        for (uint32_t i = 0; i < nic->n_sources; i++) {
            const struct ip_prefix *prefix = &s->sources.v[nic->first_source + i];
            const be32 mask = prefix->addr.family == FAMILY_IPV4 ? ipv4_mask(prefix->len) : 0;
            out->v[out->n++] = (struct source){*prefix, mask, p};
        }
    }
    qsort(out->v, out->n, sizeof *out->v, longest_first);
    if (out->n)
        return out;
    free(out);
    return NULL;
}

static bool holds(const struct source *s, const struct flow_key *key, be32 src4) {
    if (key->family != s->prefix.addr.family)
        return false;
    if (key->family == FAMILY_IPV4)
        return ((src4 ^ s->prefix.addr.v4) & s->mask) == 0;
    const struct ip src = flow_key_src(key);
    return prefix_contains(&s->prefix, &src);
}

uint16_t sources_find(const struct sources *s, const struct flow_key *key) {
    be32 src4;
    memcpy(&src4, key->src, sizeof src4);
    for (size_t i = 0; i < s->n; i++)
        if (holds(&s->v[i], key, src4))
            return s->v[i].port;
    return PORT_NONE;
}
