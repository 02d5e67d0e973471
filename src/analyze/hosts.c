/* SPDX-License-Identifier: BSD-3-Clause */
/* See hosts.h. */
#include "hosts.h"

#include <stdlib.h>
#include <string.h>

static int compare(const struct ip *a, const struct ip *b) {
    return a->family != b->family ? a->family - b->family : memcmp(a->v6, b->v6, a->family == FAMILY_IPV4 ? 4 : 16);
}

static uint8_t *head_of(struct hosts *h, uint8_t family, const uint8_t *addr) {
    uint32_t w[4] = {0};
    memcpy(w, addr, family == FAMILY_IPV4 ? 4 : 16);
    const uint32_t mixed = w[0] ^ w[1] * 0x9e3779b1u ^ w[2] * 0x85ebca6bu ^ w[3];
    return &h->head[mixed * 0x9e3779b1u / (UINT32_MAX / HOSTS_HEADS + 1)];
}

/* 0: it is not there. */
static uint32_t find(const struct hosts *h, uint32_t first, uint8_t family, const uint8_t *addr) {
    while (first && (h->who[first - 1].family != family ||
                     memcmp(h->who[first - 1].v6, addr, family == FAMILY_IPV4 ? 4 : 16)))
        first = h->next[first - 1];
    return first;
}

/* The one to make room: of those who have the fewest the first one. */
static uint32_t fewest(struct hosts *h) {
    if (!h->fewest) { /* counts only grow */
        h->least = h->flows[0];
        for (unsigned k = 1; k < HOSTS_KEPT; k++)
            h->least = h->flows[k] < h->least ? h->flows[k] : h->least;
        for (unsigned k = 0; k < HOSTS_KEPT; k++)
            h->fewest |= (uint32_t)(h->flows[k] == h->least) << k;
    }
    return (uint32_t)__builtin_ctz(h->fewest);
}

static void forget(struct hosts *h, uint32_t i) {
    uint8_t *at = head_of(h, h->who[i].family, h->who[i].v6);
    while (*at != i + 1)
        at = &h->next[*at - 1];
    *at = h->next[i];
}

/* A place for one who is not there. */
static uint32_t take(struct hosts *h) {
    if (h->n < HOSTS_KEPT)
        return h->n++;
    const uint32_t i = fewest(h);
    forget(h, i);
    h->unsure[i] = h->flows[i];
    h->more = true;
    return i;
}

void hosts_count(struct hosts *h, uint8_t family, const uint8_t *addr) {
    uint8_t *head = head_of(h, family, addr);
    const uint32_t known = find(h, *head, family, addr), i = known ? known - 1 : take(h);
    if (!known) {
        h->who[i].family = family;
        memcpy(h->who[i].v6, addr, sizeof h->who[i].v6);
        h->next[i] = *head;
        *head = (uint8_t)(i + 1);
    }
    h->flows[i]++;
    h->fewest &= ~(1u << i);
}

struct host {
    struct ip who;
    uint32_t flows; /* at least */
};

static int by_flows(const void *a, const void *b) {
    const struct host *x = a, *y = b;
    if (x->flows != y->flows)
        return x->flows > y->flows ? -1 : 1;
    return compare(&x->who, &y->who);
}

json_t *hosts_json(const struct hosts *h, bool *more) {
    struct host sorted[HOSTS_KEPT];
    json_t *list = json_array();
    for (uint32_t i = 0; i < h->n; i++)
        sorted[i] = (struct host){h->who[i], h->flows[i] - h->unsure[i]};
    qsort(sorted, h->n, sizeof *sorted, by_flows);
    for (uint32_t i = 0; i < h->n && i < HOSTS_TOLD; i++) {
        char text[IP_TEXT];
        ip_format(&sorted[i].who, text);
        json_array_append_new(list, json_pack("{s:s, s:I}", "addr", text, "flows", (json_int_t)sorted[i].flows));
    }
    *more = h->more || h->n > HOSTS_TOLD;
    return list;
}
