/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of ends and networks, and whose addresses are private. */
#include <stdlib.h>
#include "points.h"

#define V4(length, ...) {.addr = {.family = FAMILY_IPV4, .v6 = {__VA_ARGS__}}, .len = length}
#define V6(length, ...) {.addr = {.family = FAMILY_IPV6, .v6 = {__VA_ARGS__}}, .len = length}
static const struct ip_prefix private[] = {V4(8, 10), V4(12, 172, 16), V4(16, 192, 168), V4(10, 100, 64), V6(7, 0xfc)};
static const struct ip_prefix reserved[] = {V4(8, 0), V4(8, 127), V4(16, 169, 254), V4(3, 224), V6(10, 0xfe, 0x80),
                                         V6(8, 0xff), V6(127, 0)};

bool address_in(const struct ip *a, const struct ip_prefix *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (prefix_contains(&list[i], a))
            return true;
    return false;
}

bool address_private(const struct ip *a) {
    return address_in(a, private, sizeof private / sizeof *private);
}

bool address_global(const struct ip *a) {
    return !address_private(a) && !address_in(a, reserved, sizeof reserved / sizeof *reserved);
}

/* ---- sets of ends ---- */

int ends_order(const void *a, const void *b) {
    return end_compare(a, b);
}

void ends_add(struct ends *e, const struct end *end) {
    vec_push(&e->list, *end);
}

void ends_sort(struct ends *e) {
    size_t n = 0;
    if (!e->list.n)
        return;
    qsort(e->list.v, e->list.n, sizeof *e->list.v, ends_order);
    for (size_t i = 1; i < e->list.n; i++)
        if (end_compare(&e->list.v[n], &e->list.v[i]))
            e->list.v[++n] = e->list.v[i];
    e->list.n = n + 1;
}

bool ends_have(const struct ends *e, const struct end *end) {
    return e->list.n && bsearch(end, e->list.v, e->list.n, sizeof *e->list.v, ends_order);
}

struct end end_network(const struct end *e) {
    struct end net = {.family = e->family};
    memcpy(net.addr, e->addr, e->family == FAMILY_IPV6 ? 8 : 3);
    return net;
}

bool served_source(const struct served *s, const struct end *source) {
    struct end net = end_network(source);
    return ends_have(&s->sources, &net);
}
