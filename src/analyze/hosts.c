/* SPDX-License-Identifier: BSD-3-Clause */
/* See hosts.h. */
#include "hosts.h"

#include <stdlib.h>
#include <string.h>

static int compare(const struct ip *a, const struct ip *b) {
    return a->family != b->family ? a->family - b->family : memcmp(a->v6, b->v6, a->family == FAMILY_IPV4 ? 4 : 16);
}

/* The one to make room: who has the fewest. */
static struct host *fewest(struct hosts *h) {
    struct host *least = &h->of[0];
    for (uint32_t i = 1; i < h->n; i++)
        if (h->of[i].flows < least->flows)
            least = &h->of[i];
    return least;
}

void hosts_count(struct hosts *h, const struct ip *who) {
    uint32_t i = 0;
    while (i < h->n && compare(&h->of[i].who, who))
        i++;
    if (i == HOSTS_KEPT) {
        struct host *place = fewest(h);
        *place = (struct host){.who = *who, .flows = place->flows, .unsure = place->flows};
        h->more = true;
        i = (uint32_t)(place - h->of);
    } else if (i == h->n) {
        h->of[h->n++] = (struct host){.who = *who};
    }
    h->of[i].flows++;
}

static uint32_t sure(const struct host *h) {
    return h->flows - h->unsure;
}

static int by_flows(const void *a, const void *b) {
    const struct host *x = a, *y = b;
    if (sure(x) != sure(y))
        return sure(x) > sure(y) ? -1 : 1;
    return compare(&x->who, &y->who);
}

json_t *hosts_json(const struct hosts *h, bool *more) {
    struct host sorted[HOSTS_KEPT];
    json_t *list = json_array();
    memcpy(sorted, h->of, h->n * sizeof *sorted);
    qsort(sorted, h->n, sizeof *sorted, by_flows);
    for (uint32_t i = 0; i < h->n && i < HOSTS_TOLD; i++) {
        char text[IP_TEXT];
        ip_format(&sorted[i].who, text);
        json_array_append_new(list, json_pack("{s:s, s:I}", "addr", text, "flows", (json_int_t)sure(&sorted[i])));
    }
    *more = h->more || h->n > HOSTS_TOLD;
    return list;
}
