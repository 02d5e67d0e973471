/* SPDX-License-Identifier: BSD-3-Clause */
/* Findings in sentences. */
#include <stdio.h>
#include <string.h>
#include "analyze.h"

const char *port_text(const struct analysis *a, unsigned port) {
    if (port == 63)
        return "the node itself";
    if (a->node)
        return port < a->node->node.n_ports ? a->node->ports[port].name : "";
    return port < a->interfaces.n ? a->interfaces.v[port].name : "";
}

const char *ports_text(const struct analysis *a, uint64_t ports, char *buf, size_t size) {
    size_t n = 0;
    buf[0] = '\0';
    for (uint64_t rest = ports; rest && n < size; rest &= rest - 1) {
        unsigned p = (unsigned)__builtin_ctzll(rest);
        const char *name = port_text(a, p);
        char number[24];
        if (!*name)
            snprintf(number, sizeof number, "interface %u", p);
        int wrote = snprintf(buf + n, size - n, "%s%s", n ? ", " : "", *name ? name : number);
        n += wrote > 0 ? (size_t)wrote : 0;
    }
    return buf;
}

/* "10.0.0.0/22 via 10.0.1.1 dev NIC2 metric 256 (static, Route 2)", or that there is none. */
static const char *cause_text(const struct analysis *a, const struct judgement *j, char *buf, size_t size) {
    const struct control *c = fabric_control(a->fabric);
    if (j->cause_route.prefix.addr.family == FAMILY_NONE)
        snprintf(buf, size, "no route");
    else
        control_route_format(&c->nodes[j->cause_node], &j->cause_route, buf, size);
    return buf;
}

static const char *far_text(const struct finding *g, const struct judgement *j, char *buf) {
    return ip_is_none(&g->far.addr) ? ip_format(&j->far, buf) : prefix_format(&g->far, buf);
}

/* The security rule that denied it at a NIC, as far as the flow's own ends tell (NAT may have changed them). */
static void rule_text(const struct analysis *a, const struct finding *g, const struct scenario_nic *nic, char *buf,
                      size_t size) {
    const struct judgement *j = &g->judgement;
    const struct control *c = fabric_control(a->fabric);
    const struct scenario_machine *m = &c->scenario->machines.v[nic->machine];
    const struct flow_key *key = &g->example, back = flow_key_reverse(key);
    struct filter_answer answer =
        filter_judge(c->nodes[nic->machine].node.filter, (uint16_t)(nic - c->scenario->nics.v - m->first_nic),
                     j->reason == DROP_DENIED_IN ? FILTER_IN : FILTER_OUT, j->lost_on_return ? &back : key);
    if (!answer.allowed && answer.group)
        snprintf(buf, size, "; rule %s of %s's security group %s, at %s of %s",
                 answer.rule ? answer.rule->name : "(none)", answer.by_subnet ? "the subnet" : "the NIC",
                 answer.group->name, nic->name, m->name);
    else
        snprintf(buf, size, "; security group at %s of %s", nic->name, m->name);
}

/* Which NIC refused it, and why. */
static const char *nic_text(const struct analysis *a, const struct finding *g, char *buf, size_t size) {
    const struct judgement *j = &g->judgement;
    const struct scenario *s = fabric_control(a->fabric)->scenario;
    buf[0] = '\0';
    if (j->cause_nic == INDEX_NONE)
        return buf;
    const struct scenario_nic *nic = &s->nics.v[j->cause_nic];
    if (j->reason == DROP_DENIED_IN || j->reason == DROP_DENIED_OUT)
        rule_text(a, g, nic, buf, size);
    else
        snprintf(buf, size, "; IP forwarding is off on %s of %s", nic->name, s->machines.v[nic->machine].name);
    return buf;
}

static void model_text(const struct analysis *a, const struct finding *g, char *buf, size_t size) {
    const struct control *c = fabric_control(a->fabric);
    const struct judgement *j = &g->judgement;
    if (g->verdict == MODEL_UNMODELLED) {
        snprintf(buf, size,
                 "The scenario does not say who sends or receives this (broadcasts, multicast, unknown addresses)");
        return;
    }
    const struct control_node *n = &c->nodes[j->cause_node];
    const char *why = drop_sentence((enum drop)j->reason);
    char route[200], far[PREFIX_TEXT], nic[260];
    cause_text(a, j, route, sizeof route);
    if ((g->verdict == MODEL_DROPPED || g->verdict == MODEL_RPF_DROP) && !j->lost_on_return) {
        snprintf(buf, size, "%s: dropped at %s (%s: %s)%s", g->benign ? "Nobody in the scenario has its destination" :
                 "Never arrives", n->name, drop_name((enum drop)j->reason), why,
                 nic_text(a, g, nic, sizeof nic));
        return;
    }
    char lost[460] = "";
    if (j->lost_on_return)
        snprintf(lost, sizeof lost, ", and is lost (%s: %s)%s", drop_name((enum drop)j->reason), why,
                 nic_text(a, g, nic, sizeof nic));
    else if (!j->works)
        snprintf(lost, sizeof lost, ", and comes back as something the initiator did not ask for");
    bool bent = j->mend_port != PORT_NONE && (j->cause_route.port != j->mend_port || !j->lost_on_return);
    if (g->verdict == MODEL_NO_RETURN_ROUTE || !bent)
        snprintf(buf, size, "The packet arrives, but its answer to %s ends at %s by %s%s", far_text(g, j, far), n->name,
                 route, lost);
    else
        snprintf(buf, size,
                 "At %s the answer to %s takes another way back: the packet came by %s, the answer goes by %s%s%s",
                 n->name, far_text(g, j, far), n->ports[j->mend_port].name, route, lost,
                 g->benign ? "; it works as long as nothing stateful stands on one of the two ways only" : "");
}

static void observed_text(const struct analysis *a, const struct finding *g, char *buf, size_t size) {
    char in[80], out[80], back[80];
    ports_text(a, g->in, in, sizeof in);
    ports_text(a, g->out, out, sizeof out);
    ports_text(a, g->back, back, sizeof back);
    switch ((enum observed)g->verdict) {
    case OBSERVED_IFACE_ASYM:
        snprintf(buf, size, "Came in by %s%s%s, the answer left by %s", *in ? in : "an unknown interface",
                 *out ? " and on to " : "", out, back);
        break;
    case OBSERVED_NEXTHOP_ASYM:
        snprintf(buf, size, "Both directions by the same interfaces, but another neighbour there than back");
        break;
    case OBSERVED_REVERSE_ELSEWHERE:
        snprintf(buf, size, "Answers exist, since they are acknowledged, but this capture never saw one");
        break;
    case OBSERVED_UNANSWERED:
        snprintf(buf, size, g->errors ? "Answered by ICMP errors alone: closed ports, route traces"
                                      : "No answer was captured, and nothing proves that there was one");
        break;
    case OBSERVED_ONE_WAY_CAPTURE:
        snprintf(buf, size, "No flow at all was captured both ways between these interfaces: nothing can be said");
        break;
    default:
        snprintf(buf, size, "The capture cannot tell (broadcast, multicast, or a protocol without answers)");
    }
}

const char *finding_text(const struct analysis *a, const struct finding *g, char *buf, size_t size) {
    if (g->observed)
        observed_text(a, g, buf, size);
    else
        model_text(a, g, buf, size);
    return buf;
}

const char *mend_text(const struct analysis *a, const struct finding *g, char *buf, size_t size) {
    const struct control *c = fabric_control(a->fabric);
    const struct change *m = &g->mend;
    const struct control_node *n = &c->nodes[m->node];
    char route[200], old[200] = "";
    control_route_format(n, &m->route, route, sizeof route);
    if (m->kind == CHANGE_REPLACE)
        control_route_format(n, &m->old, old, sizeof old);
    if (m->kind == CHANGE_ASSOCIATE)
        snprintf(buf, size, "associate the route table %s with %s", c->scenario->route_tables.v[m->table].name,
                 n->name);
    else
        snprintf(buf, size, "%s %s%s%s on %s", change_kind_name(m->kind), m->kind == CHANGE_REPLACE ? old : route,
                 m->kind == CHANGE_REPLACE ? " by " : "", m->kind == CHANGE_REPLACE ? route : "", n->name);
    return buf;
}
