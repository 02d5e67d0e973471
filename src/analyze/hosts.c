/* SPDX-License-Identifier: BSD-3-Clause */
/* See hosts.h. */
#include "hosts.h"

#include <stdlib.h>
#include <string.h>

static int compare(const struct ip *a, const struct ip *b) {
    return a->family != b->family ? a->family - b->family : memcmp(a->v6, b->v6, a->family == FAMILY_IPV4 ? 4 : 16);
}

static uint32_t mark_of(const struct ip *who) {
    uint32_t w[4] = {who->v4};
    if (who->family == FAMILY_IPV6)
        memcpy(w, who->v6, sizeof w);
    return w[0] ^ w[1] * 0x9e3779b1u ^ w[2] * 0x85ebca6bu ^ w[3];
}

/* The one to make room: who has the fewest. */
static uint32_t fewest(const struct hosts *h) {
    uint32_t least = 0;
    for (uint32_t i = 1; i < HOSTS_KEPT; i++)
        least = h->flows[i] < h->flows[least] ? i : least;
    return least;
}

void hosts_count(struct hosts *h, const struct ip *who) {
    const uint32_t mark = mark_of(who);
    uint32_t i = 0;
    while (i < h->n && (h->mark[i] != mark || compare(&h->who[i], who)))
        i++;
    if (i == HOSTS_KEPT) {
        i = fewest(h);
        h->unsure[i] = h->flows[i];
        h->more = true;
    } else if (i == h->n) {
        h->n++;
    }
    h->mark[i] = mark;
    h->who[i] = *who;
    h->flows[i]++;
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
