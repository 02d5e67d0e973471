/* SPDX-License-Identifier: BSD-3-Clause */
#include "pace.h"
#include <errno.h>
#include <fwdlab/base/vec.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_SLOTS (1u << 18) /* of every stream */

static int open_topology(const struct paced *p, struct topology *t, struct err *e) {
    const struct topology_ports ports = {.in_tx = p->to};
    return p->to ? topology_ports(t, &ports, e) : topology_rings(t, p->generators, 0, e);
}

static struct node *fresh_node(const struct setup *s) {
    struct node *node = &s->control->nodes[s->node].node;
    node_reset(node);
    return node;
}

int paced_run(const struct paced *p, const struct setup *s, const struct inject *in, struct trial_result *out,
              struct err *e) {
    struct topology topology;
    struct traffic *t = traffic_create(in, &(struct traffic_options){0}, e);
    if (!t)
        return -EINVAL;
    struct trial_device d = {.node = fresh_node(s), .slots = xzalloc(t->n_slots, sizeof *d.slots)};
    int code = trial_prepare(&d, t, e);
    if (p->options.pace.kind == PACE_TRACE) {
        fresh_node(s);
        memset(d.slots, 0, t->n_slots * sizeof *d.slots);
        d.now = d.lap = 0;
    }
    code = code ? code : open_topology(p, &topology, e);
    if (!code) {
        code = trial_run(&d, &topology, t, &p->options, cli_interruptible(), out, e);
        topology_fini(&topology);
    }
    free(d.slots);
    traffic_destroy(t);
    return code;
}

int paced_stream(const struct paced *p, const struct setup *s, const char *path, struct trial_result *out,
                 bool *damaged, struct err *e) {
    struct topology topology;
    struct trial_device d = {.node = fresh_node(s), .slots = xzalloc(STREAM_SLOTS, sizeof *d.slots)};
    struct traffic_stream *stream = traffic_stream_open(path, s->control, s->node, &(struct traffic_options){0}, 0, e);
    for (unsigned i = 0; i < DROP_COUNT; i++)
        d.expected[i] = i != DROP_NAT_NO_PORT && i != DROP_NAT_TABLE_FULL;
    int code = stream ? open_topology(p, &topology, e) : -EINVAL;
    if (!code) {
        code = trial_run_stream(&d, &topology, stream, &p->options, cli_interruptible(), out, e);
        topology_fini(&topology);
        *damaged = !code && traffic_stream_damage(stream);
    }
    traffic_stream_close(stream);
    free(d.slots);
    return code;
}
