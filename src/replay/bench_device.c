/* SPDX-License-Identifier: BSD-3-Clause */
/* What a benchmark does with the device itself. */
#include <errno.h>
#include <fwdlab/base/prefixes.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/replay/bench.h>
#include <math.h>
#include <string.h>
#include <time.h>

#define ROUTES_SEED 20221
#define FULL_TRIAL_S 0.8 /* rest_s is for trials of this length; shorter ones get their share of it */

int bench_prepare(struct bench_configuration *c, struct err *e) {
    int code = 0;
    vec_release(c->device.slots);
    crew_destroy(c->device.crew);
    node_reset(c->node);
    c->device = (struct trial_device){.node = c->node, .slots = xzalloc(c->traffic->n_slots, sizeof *c->device.slots)};
    if (c->workers > 1) {
        c->device.crew = crew_create(c->node, c->workers, c->traffic->n_slots, e);
        if (c->device.crew)
            c->device.node = crew_node(c->device.crew, 0);
        else
            code = -EINVAL;
    }
    code = code ? code : trial_prepare(&c->device, c->traffic, e);
    if (code)
        err_where(e, "%s", c->name);
    return code;
}

int bench_device_trial(struct bench_configuration *c, const struct trial_options *o, const volatile bool *stop,
                       struct trial_result *out, struct err *e) {
    int code = trial_run(&c->device, c->topology, c->traffic, o, stop, out, e);
    const double rest = c->rest_s * fmin(o->seconds / FULL_TRIAL_S, 1);
    if (!code && rest > 0) /* cut short by a signal: the next trial will see it */
        nanosleep(&(struct timespec){(time_t)rest, (long)((rest - floor(rest)) * 1e9)}, NULL);
    return code;
}

/* The made-up routes' next hop, and what they must not reach into: all other routes. NULL: no default route. */
static const struct route *default_route(const struct route *routes, size_t n, struct ip_prefix *avoid,
                                         size_t *n_avoid) {
    const struct route *found = NULL;
    for (size_t i = 0; i < n; i++) {
        if (routes[i].prefix.len)
            avoid[(*n_avoid)++] = routes[i].prefix;
        else if (routes[i].kind == ROUTE_UNICAST && (!found || routes[i].metric < found->metric))
            found = &routes[i];
    }
    return found;
}

int bench_add_routes(struct node *node, uint32_t n, struct err *e) {
    size_t have, n_avoid = 0;
    struct random random;
    const struct route *routes = route_table_routes(node->routes, &have), *way;
    struct ip_prefix *avoid = xzalloc(have + 1, sizeof *avoid), *made = xzalloc((size_t)n + 1, sizeof *made);
    int code = 0;
    random_seed(&random, ROUTES_SEED);
    if (!(way = default_route(routes, have, avoid, &n_avoid))) {
        code = err_set(e, -ENOENT, "the node has no default route in its main table that made-up routes could follow");
    } else {
        struct route r = {.via = way->via, .port = way->port, .origin = ORIGIN_STATIC, .name = "made up"};
        code = prefixes_make(made, n, avoid, n_avoid, &random);
        for (uint32_t i = 0; i < n && !code; i++) {
            r.prefix = made[i];
            code = route_add(node->routes, &r);
        }
        if (code)
            err_set(e, code, "no room for %u routes: %s", n, strerror(-code));
    }
    vec_release(avoid);
    vec_release(made);
    return code;
}
