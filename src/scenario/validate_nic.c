/* SPDX-License-Identifier: BSD-3-Clause */
/* What each value alone cannot tell: NICs, their addresses and where they are plugged in. */
#include "validate.h"
#include <fwdlab/base/arena.h>
#include <string.h>

bool nic_on_link(const struct scenario *s, const struct scenario_nic *nic, const struct ip *addr) {
    struct ip_prefix net = prefix_of(&nic->addr, nic->len);
    if (nic->connected && prefix_contains(&net, addr))
        return true;
    if (ip_equal(&nic->gateway, addr))
        return true;
    return nic->on == NIC_ON_SUBNET && nic->on_index != INDEX_NONE &&
           prefix_contains(&s->subnets.v[nic->on_index].prefix, addr);
}

/* The last address of a prefix. */
static struct ip prefix_last(const struct ip_prefix *p) {
    return ip_v4(p->addr.v4 | ~ipv4_mask(p->len));
}

static void check_in_subnet(const struct scenario *s, const struct scenario_nic *nic, struct complaints *c) {
    const struct scenario_subnet *subnet = &s->subnets.v[nic->on_index];
    const struct ip_prefix *p = &subnet->prefix;
    char addr[IP_TEXT], text[PREFIX_TEXT], first[IP_TEXT], last[IP_TEXT];
    struct ip end = prefix_last(p), low = prefix_nth(p, 4), high = ip_v4(htonl(ntohl(end.v4) - 1));
    if (!p->addr.family)
        return;
    ip_format(&nic->addr, addr);
    prefix_format(p, text);
    const char *range = arena_printf(s->arena, "%s to %s", ip_format(&low, first), ip_format(&high, last));
    if (subnet->floating) {
        complain(c, nic->at, SEVERITY_ERROR, "NIC \"%s\" is in \"%s\", a floating subnet", nic->name, subnet->name);
        complain_hint(c, "a floating subnet carries routes only: use another subnet, or remove \"floating\"");
    } else if (!prefix_contains(p, &nic->addr)) {
        complain(c, nic->at, SEVERITY_ERROR, "address %s of NIC \"%s\" is outside its subnet \"%s\" %s", addr,
                 nic->name, subnet->name, text);
        complain_hint(c, "use an address of %s", range);
    } else if (nic->len < p->len) {
        complain(c, nic->at, SEVERITY_ERROR, "NIC \"%s\" has length /%u, but its subnet is %s", nic->name, nic->len,
                 text);
        complain_hint(c, "address: %s/%u", addr, p->len);
    } else if (ip_compare(&nic->addr, &low) < 0 || ip_equal(&nic->addr, &end)) {
        complain(c, nic->at, SEVERITY_ERROR, "address %s of NIC \"%s\" is reserved by the platform", addr, nic->name);
        complain_hint(c, "the first four addresses and the last of %s are: use one of %s", text, range);
    }
}

/* All NICs of a switch have one network. */
static void check_on_switch(const struct scenario *s, const struct scenario_nic *nic, struct complaints *c) {
    struct ip_prefix net = prefix_of(&nic->addr, nic->len);
    char a[PREFIX_TEXT], b[PREFIX_TEXT];
    for (const struct scenario_nic *x = s->nics.v; x < nic; x++) {
        if (x->on != NIC_ON_SWITCH || x->on_index != nic->on_index || !x->addr.family)
            continue;
        struct ip_prefix first = prefix_of(&x->addr, x->len);
        if (prefix_equal(&first, &net))
            return;
        complain(c, nic->at, SEVERITY_ERROR, "NIC \"%s\" of \"%s\" is in %s, but switch \"%s\" carries %s", nic->name,
                 s->machines.v[nic->machine].name, prefix_format(&net, a), s->switches.v[nic->on_index].name,
                 prefix_format(&first, b));
        complain_hint(c, "use an address of %s, as NIC \"%s\" of \"%s\" (%s:%u)", b, x->name,
                      s->machines.v[x->machine].name, x->at.file, x->at.line);
        return;
    }
}

static void check_at_site(const struct scenario *s, const struct scenario_nic *nic, struct complaints *c) {
    const struct scenario_site *site = &s->sites.v[nic->on_index];
    struct ip_prefix net = prefix_of(&nic->addr, nic->len);
    char addr[IP_TEXT], text[PREFIX_TEXT] = "";
    bool inside = false;
    for (size_t i = 0; i < site->prefixes.n; i++) {
        inside = inside || prefix_covers(&site->prefixes.v[i], &net);
        if (i == 0)
            prefix_format(&site->prefixes.v[0], text);
    }
    if (!inside && site->prefixes.n) {
        complain(c, nic->at, SEVERITY_ERROR, "address %s/%u of NIC \"%s\" is outside its site \"%s\"",
                 ip_format(&nic->addr, addr), nic->len, nic->name, site->name);
        complain_hint(c, "use an address of %s%s", text, site->prefixes.n > 1 ? " or its other prefixes" : "");
    }
    for (size_t i = 0; i < s->networks.n; i++) {
        for (size_t k = 0; k < s->networks.v[i].space.n; k++) {
            if (!prefix_overlaps(&s->networks.v[i].space.v[k], &net))
                continue;
            complain(c, nic->at, SEVERITY_ERROR, "address %s/%u of NIC \"%s\" at site \"%s\" belongs to network \"%s\"",
                     ip_format(&nic->addr, addr), nic->len, nic->name, site->name, s->networks.v[i].name);
            complain_hint(c, "use an address outside %s", prefix_format(&s->networks.v[i].space.v[k], text));
            return;
        }
    }
}

static void check_host_part(const struct scenario_nic *nic, struct complaints *c) {
    struct ip_prefix net = prefix_of(&nic->addr, nic->len);
    struct ip last = prefix_last(&net);
    char addr[IP_TEXT], text[PREFIX_TEXT];
    if (nic->len > 30 || (!ip_equal(&net.addr, &nic->addr) && !ip_equal(&last, &nic->addr)))
        return;
    complain(c, nic->at, SEVERITY_ERROR, "address %s of NIC \"%s\" is the %s address of %s",
             ip_format(&nic->addr, addr), nic->name, ip_equal(&last, &nic->addr) ? "broadcast" : "network",
             prefix_format(&net, text));
    complain_hint(c, "use an address between the first and the last of it");
}

static void check_gateway(const struct scenario *s, const struct scenario_nic *nic, struct complaints *c) {
    struct ip_prefix net = prefix_of(&nic->addr, nic->len);
    char addr[IP_TEXT], text[PREFIX_TEXT];
    if (!nic->gateway.family)
        return;
    bool in_subnet = nic->on == NIC_ON_SUBNET && nic->on_index != INDEX_NONE &&
                     prefix_contains(&s->subnets.v[nic->on_index].prefix, &nic->gateway);
    if (!prefix_contains(&net, &nic->gateway) && !in_subnet) {
        complain(c, nic->at, SEVERITY_ERROR, "gateway %s of NIC \"%s\" is not on its link",
                 ip_format(&nic->gateway, addr), nic->name);
        complain_hint(c, "use an address of %s, or none", prefix_format(&net, text));
    } else if (ip_equal(&nic->gateway, &nic->addr)) {
        complain(c, nic->at, SEVERITY_ERROR, "NIC \"%s\" is its own gateway", nic->name);
        complain_hint(c, "gateway: the address of another machine on its link, or none");
    }
}

/* What no two NICs may share. */
static void check_twins(const struct scenario *s, const struct scenario_nic *nic, struct complaints *c) {
    const struct scenario_machine *machine = &s->machines.v[nic->machine];
    bool addr = true, mac = true, capture = true, subnet = true; /* still to be looked for */
    char text[IP_TEXT];
    for (const struct scenario_nic *x = s->nics.v; x < nic; x++) {
        const char *owner = s->machines.v[x->machine].name;
        if (addr && nic->addr.family && ip_equal(&x->addr, &nic->addr)) {
            complain(c, nic->at, SEVERITY_ERROR, "NIC \"%s\" of \"%s\" and NIC \"%s\" of \"%s\" both have address %s",
                     x->name, owner, nic->name, machine->name, ip_format(&nic->addr, text));
            complain_hint(c, "give one of them another address (the other is in %s:%u)", x->at.file, x->at.line);
            addr = false;
        }
        if (mac && nic->has_mac && x->has_mac && memcmp(&x->mac, &nic->mac, sizeof x->mac) == 0) {
            complain(c, nic->at, SEVERITY_WARNING,
                     "NIC \"%s\" of \"%s\" and NIC \"%s\" of \"%s\" have the same MAC address", x->name, owner,
                     nic->name, machine->name);
            complain_hint(c, "packets of a capture cannot be told apart by it: give one of them another");
            mac = false;
        }
        if (capture && nic->capture && x->capture && strcmp(x->capture, nic->capture) == 0) {
            complain(c, nic->at, SEVERITY_ERROR,
                     "NIC \"%s\" of \"%s\" and NIC \"%s\" of \"%s\" are both interface \"%s\" of the capture", x->name,
                     owner, nic->name, machine->name, nic->capture);
            complain_hint(c, "one interface is one NIC: correct one of them (the other is in %s:%u)", x->at.file,
                          x->at.line);
            capture = false;
        }
        if (subnet && machine->router && x->machine == nic->machine && nic->on == NIC_ON_SUBNET &&
            x->on == NIC_ON_SUBNET && nic->on_index != INDEX_NONE && x->on_index == nic->on_index) {
            complain(c, nic->at, SEVERITY_ERROR,
                     "NICs \"%s\" and \"%s\" of router \"%s\" are in the same subnet \"%s\"", x->name, nic->name,
                     machine->name, s->subnets.v[nic->on_index].name);
            complain_hint(c, "they must be in different subnets: move one of them");
            subnet = false;
        }
    }
}

void validate_nics(const struct scenario *s, struct complaints *c) {
    for (size_t i = 0; i < s->nics.n; i++) {
        const struct scenario_nic *nic = &s->nics.v[i];
        check_twins(s, nic, c);
        if (!nic->addr.family || nic->on_index == INDEX_NONE)
            continue;
        if (nic->on == NIC_ON_SUBNET)
            check_in_subnet(s, nic, c);
        else if (nic->on == NIC_ON_SWITCH)
            check_on_switch(s, nic, c);
        else
            check_at_site(s, nic, c);
        if (nic->on != NIC_ON_SUBNET)
            check_host_part(nic, c);
        check_gateway(s, nic, c);
    }
}
