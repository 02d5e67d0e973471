/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who reaches whom by his own address: the model asked about every pair of machines, whether or not the trace has such
 * a flow. A capture at the host cannot show what never gets there.
 */
#include <string.h>
#include "analyze.h"

#define MACHINES_MAX 32 /* a picture of more pairs tells nobody anything */

json_t *reachability_json(struct fabric *f, uint8_t family) {
    const struct control *c = fabric_control(f);
    const struct scenario *s = c->scenario;
    json_t *list = json_array();
    uint32_t n = s->machines.n < MACHINES_MAX ? (uint32_t)s->machines.n : MACHINES_MAX;
    for (uint32_t from = 0; from < n; from++)
        for (uint32_t to = 0; to < n; to++) {
            const struct scenario_machine *a = &s->machines.v[from], *b = &s->machines.v[to];
            if (from == to || !a->n_nics || !b->n_nics || a->router || b->router)
                continue;
            const struct ip *src = control_nic_addr(&s->nics.v[a->first_nic], family);
            const struct ip *dst = control_nic_addr(&s->nics.v[b->first_nic], family);
            if (!src->family || !dst->family)
                continue;
            struct flow_key key = {.family = family, .proto = PROTO_TCP, .sport = htons(40000), .dport = htons(80)};
            struct judgement j;
            memcpy(key.src, src->v6, family == FAMILY_IPV6 ? 16 : 4);
            memcpy(key.dst, dst->v6, family == FAMILY_IPV6 ? 16 : 4);
            fabric_judge(f, &key, &j, NULL, NULL);
            json_t *o = json_pack("{s:s, s:s, s:s, s:b, s:b}", "from", a->name, "to", b->name, "verdict",
                                  model_verdict_name(j.verdict), "works", j.works, "translated", j.translated);
            json_object_set_new(o, "reason", j.works || !j.reason ? json_null() : json_string(drop_name(j.reason)));
            json_object_set_new(o, "at",
                                j.works || j.cause_node == INDEX_NONE ? json_null()
                                                                      : json_string(c->nodes[j.cause_node].name));
            json_array_append_new(list, o);
        }
    return list;
}
