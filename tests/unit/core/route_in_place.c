/* SPDX-License-Identifier: BSD-3-Clause */
/* Routes that change in place while packets flow (DIR24-8): what a reader has found stays until it has moved on. */
#include "frame6.h"
#include <errno.h>
#include <fwdlab/core/route_live.h>

static int change(struct route_live *l, int op, const char *prefix, const char *via) {
    struct route_change c = {.op = (uint8_t)op, .route = route_make(prefix, via, 1, 0, ROUTE_UNICAST)};
    const int rc = route_live_update(l, &c, 1);
    return rc ? rc : c.code;
}

static uint32_t path_to(const struct route_table *t, const char *dst) {
    const be32 key = addr(dst);
    uint32_t path;
    route_lookup(t, &key, &path, 1);
    cr_assert_neq(path, ROUTE_NONE);
    return path;
}

static be32 next_hop(const struct route_table *t, const char *dst) {
    return route_path(t, path_to(t, dst))->next[0].via;
}

static struct route_live *live_make(void) {
    const struct route r = route_make("10.0.0.0/8", "192.0.2.1", 1, 0, ROUTE_UNICAST);
    struct route_live *l = route_live_create(&route_direct, 1000, 1, &r, 1, NULL);
    cr_assert(l);
    return l;
}

Test(route_in_place, what_a_reader_has_found_stays) {
    struct route_live *l = live_make();
    const struct route_table *t = route_live_enter(l, 0);
    const uint32_t path = path_to(t, "10.0.0.1");
    cr_assert_eq(change(l, ROUTE_OP_REPLACE, "10.0.0.0/8", "192.0.2.2"), 0);
    cr_assert_eq(next_hop(t, "10.0.0.1"), addr("192.0.2.2"), "a change shows at once");
    cr_assert_eq(route_path(t, path)->next[0].via, addr("192.0.2.1"));
    cr_assert_eq(change(l, ROUTE_OP_ADD, "11.0.0.0/8", "192.0.2.3"), -EBUSY);
    cr_assert_eq(route_path(t, path)->next[0].via, addr("192.0.2.1"));
    cr_assert_eq(route_live_enter(l, 0), t);
    cr_assert_eq(change(l, ROUTE_OP_ADD, "11.0.0.0/8", "192.0.2.3"), 0);
    cr_assert_eq(path_to(t, "11.0.0.1"), path, "its room is used again");
    route_live_destroy(l);
}

/* More often than there are groups. */
Test(route_in_place, prefixes_longer_than_24_come_and_go) {
    struct route_live *l = live_make();
    for (unsigned i = 0; i < 2500; i++) {
        const struct route_table *t = route_live_enter(l, 0);
        cr_assert_eq(change(l, ROUTE_OP_ADD, "10.0.0.128/25", "192.0.2.4"), 0, "round %u", i);
        cr_assert(next_hop(t, "10.0.0.129") == addr("192.0.2.4") && next_hop(t, "10.0.0.1") == addr("192.0.2.1"));
        route_live_enter(l, 0);
        cr_assert_eq(change(l, ROUTE_OP_REMOVE, "10.0.0.128/25", "192.0.2.4"), 0, "round %u", i);
        cr_assert_eq(next_hop(t, "10.0.0.129"), addr("192.0.2.1"));
    }
    route_live_destroy(l);
}
