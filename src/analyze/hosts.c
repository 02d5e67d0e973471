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

/* Looks at all, without a way out: that goes many at a time. */
static bool has(const uint32_t *numbers, uint32_t wanted) {
    uint32_t n = 0;
    for (unsigned i = 0; i < HOSTS_KEPT; i++)
        n += numbers[i] == wanted;
    return n;
}

/* The one to make room: who has the fewest. */
static uint32_t fewest(struct hosts *h) {
    uint32_t i = 0;
    if (!has(h->flows, h->least)) { /* counts only grow */
        h->least = h->flows[0];
        for (unsigned k = 1; k < HOSTS_KEPT; k++)
            h->least = h->flows[k] < h->least ? h->flows[k] : h->least;
    }
    while (h->flows[i] != h->least)
        i++;
    return i;
}

/* HOSTS_KEPT: it is not there. */
static uint32_t find(const struct hosts *h, uint32_t mark, const struct ip *who) {
    uint32_t i = 0;
    if (!has(h->mark, mark))
        return HOSTS_KEPT;
    while (i < h->n && (h->mark[i] != mark || compare(&h->who[i], who)))
        i++;
    return i < h->n ? i : HOSTS_KEPT;
}

void hosts_count(struct hosts *h, const struct ip *who) {
    const uint32_t mark = mark_of(who);
    uint32_t i = find(h, mark, who);
    if (i == HOSTS_KEPT && h->n < HOSTS_KEPT) {
        i = h->n++;
    } else if (i == HOSTS_KEPT) {
        i = fewest(h);
        h->unsure[i] = h->flows[i];
        h->more = true;
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
