/* SPDX-License-Identifier: BSD-3-Clause */
/* Which packets are worth a look inside (link_inner), and what is told of the tunnels around one. */
#include <stdio.h>
#include "inject.h"

bool tunnel_suspected(const struct inject_packet *p) {
    const uint16_t s = ntohs(p->key.sport), d = ntohs(p->key.dport);
    switch (p->key.proto) {
    case 4: case 41: case 47: case PROTO_ESP: case 51: case 115:
        return true;
    case PROTO_UDP:
        return d == 4789 || d == 8472 || d == 6081 || d == 4500 || s == 4500 || s == 4789 || s == 8472 || s == 6081;
    default:
        return false;
    }
}

void tunnel_name(char *out, size_t size, const struct link_view *v) {
    for (unsigned i = v->n_layers; i-- > 0;) {
        if (v->layers[i].kind < LINK_GRE)
            continue;
        snprintf(out, size, v->layers[i].id ? "%s %u" : "%s", link_layer_name(v->layers[i].kind), v->layers[i].id);
        return;
    }
}

uint32_t tunnel_ip_length(const struct link_view *v) {
    const bool ipv6 = v->len > 5 && v->ip[0] >> 4 == 6;
    uint16_t length = 0;
    if (v->len > 5)
        memcpy(&length, v->ip + (ipv6 ? 4 : 2), sizeof length);
    return ntohs(length) + (ipv6 ? (uint32_t)sizeof(struct ipv6_header) : 0);
}
