/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * To which flow each arrived packet belongs, and in which direction. What relate() found decides: what answers an
 * earlier packet belongs to that one's flow, whatever NAT made of its addresses. Else the key: the first packet seen
 * decides who initiates.
 */
#include <stdlib.h>
#include <string.h>
#include "traffic.h"

/* Flows by the key that their initiator's packets have. */
struct flows {
    uint32_t *slot; /* index of a packet + 1, by hash, open addressing; 0: free */
    size_t mask;
};

static uint64_t hash(const struct flow_key *k) {
    uint64_t word[(sizeof *k + 7) / 8] = {0}, h = 0;
    memcpy(word, k, sizeof *k);
    for (unsigned i = 0; i < sizeof word / sizeof *word; i++)
        h = mix(h, word[i]);
    return h;
}

/* The first packet with the same key as packet i, which may be i itself: it is entered then. */
static uint32_t first_of(struct flows *f, const struct inject *in, uint32_t i) {
    size_t at = hash(&in->packets[i].key) & f->mask;
    for (; f->slot[at]; at = (at + 1) & f->mask)
        if (!memcmp(&in->packets[f->slot[at] - 1].key, &in->packets[i].key, sizeof in->packets[i].key))
            return f->slot[at] - 1;
    f->slot[at] = i + 1;
    return i;
}

void traffic_members(const struct inject *in, const uint32_t *known, uint32_t *next, uint32_t modulo,
                    struct member *out) {
    size_t size = 1024;
    while (size < 2 * in->arrived)
        size *= 2;
    struct flows f = {.slot = xzalloc(size, sizeof *f.slot), .mask = size - 1};
    for (uint32_t i = 0; i < in->n; i++) {
        const struct inject_packet *p = &in->packets[i];
        out[i] = (struct member){.flow = INJECT_NONE};
        if (p->kind != INJECT_ARRIVED)
            continue;
        out[i].reported = p->flags & (PACKET_ICMP_ERROR | PACKET_FRAG_FIRST | PACKET_FRAG_LATER) ||
                          !(p->flags & PACKET_PORTS) || p->l4 + 8u > BUFFER_BYTES;
        uint32_t first = p->after != INJECT_NONE ? p->after : first_of(&f, in, i);
        out[i].from_initiator = p->after == INJECT_NONE;
        out[i].starts = first == i;
        if (first != i)
            out[i].flow = out[first].flow;
        else if (known && known[i] != INJECT_NONE)
            out[i].flow = known[i];
        else
            out[i].flow = (*next)++ % modulo;
    }
    free(f.slot);
}
