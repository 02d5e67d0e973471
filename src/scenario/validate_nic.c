/* SPDX-License-Identifier: BSD-3-Clause */
/* What each value alone cannot tell: NICs, their addresses and where they are plugged in. */
#include "complaint.h"
#include "validate.h"
#include <fwdlab/base/arena.h>
#include <string.h>

struct nic_side nic_side(const struct scenario_nic *nic, enum family family) {
    if (family == FAMILY_IPV6)
        return (struct nic_side){nic->addr6, nic->gateway6, prefix_of(&nic->addr6, nic->len6), nic->default_route6};
    return (struct nic_side){nic->addr, nic->gateway, prefix_of(&nic->addr, nic->len), nic->default_route};
}

const struct ip_prefix *subnet_prefix(const struct scenario_subnet *subnet, enum family family) {
    return family == FAMILY_IPV6 ? &subnet->prefix6 : &subnet->prefix;
}

bool nic_on_link(const struct scenario *s, const struct scenario_nic *nic, const struct ip *addr) {
    struct nic_side side = nic_side(nic, addr->family);
    if (!side.addr.family)
        return false;
    if ((nic->connected && prefix_contains(&side.net, addr)) || ip_equal(&side.gateway, addr))
        return true;
    return nic->on == NIC_ON_SUBNET && nic->on_index != INDEX_NONE &&
           prefix_contains(subnet_prefix(&s->subnets.v[nic->on_index], addr->family), addr);
}

struct ip prefix_last(const struct ip_prefix *p) {
    struct ip a = p->addr;
    if (a.family != FAMILY_IPV6)
        return ip_v4(a.v4 | ~ipv4_mask(p->len));
    for (unsigned i = p->len; i < 128; i++)
        a.v6[i / 8] |= (uint8_t)(0x80 >> i % 8);
    return a;
}

/* "10.0.0.4 to 10.0.0.254": what a subnet has for machines. */
static const char *machine_range(const struct scenario *s, const struct ip_prefix *p) {
    char first[IP_TEXT], last[IP_TEXT];
    struct ip low = prefix_nth(p, 4), high = prefix_last(p);
    --*(high.family == FAMILY_IPV6 ? &high.v6[15] : (uint8_t *)&high.v4 + 3); /* it is odd */
    return arena_printf(s->arena, "%s to %s", ip_format(&low, first), ip_format(&high, last));
}

static void check_in_subnet(const struct scenario *s, const struct scenario_nic *nic, const struct nic_side *side,
                            struct complaints *c) {
    const struct scenario_subnet *subnet = &s->subnets.v[nic->on_index];
    const struct ip_prefix *p = subnet_prefix(subnet, side->addr.family);
    char addr[IP_TEXT], text[PREFIX_TEXT];
    struct ip end = prefix_last(p), low = prefix_nth(p, 4);
    ip_format(&side->addr, addr);
    prefix_format(p, text);
    if (!p->addr.family && side->addr.family == FAMILY_IPV6 && subnet->prefix.addr.family) {
        complain(c, nic->at, SEVERITY_ERROR, "address %s of NIC \"%s\" is outside its subnet \"%s\", which has no IPv6",
                 addr, nic->name, subnet->name);
        complain_fault_ip(c, FAULT_OUTSIDE, &side->addr);
        complain_hint(c, "give the subnet a \"prefix6\" (%s:%u), or remove \"address6\"", subnet->at.file,
                      subnet->at.line);
    } else if (!p->addr.family || subnet->floating) {
        return; /* complained about */
    } else if (!prefix_contains(p, &side->addr)) {
        complain(c, nic->at, SEVERITY_ERROR, "address %s of NIC \"%s\" is outside its subnet \"%s\" %s", addr,
                 nic->name, subnet->name, text);
        complain_fault_ip(c, FAULT_OUTSIDE, &side->addr);
        complain_hint(c, "use an address of %s", machine_range(s, p));
    } else if (side->net.len < p->len) {
        complain(c, nic->at, SEVERITY_ERROR, "NIC \"%s\" has length /%u, but its subnet is %s", nic->name,
                 side->net.len, text);
        complain_fault(c, FAULT_OUTSIDE, &side->net);
        complain_hint(c, "%s: %s/%u", side->addr.family == FAMILY_IPV6 ? "address6" : "address", addr, p->len);
    } else if (ip_compare(&side->addr, &low) < 0 || ip_equal(&side->addr, &end)) {
        complain(c, nic->at, SEVERITY_ERROR, "address %s of NIC \"%s\" is reserved by the platform", addr, nic->name);
        complain_fault_ip(c, FAULT_RESERVED_ADDRESS, &side->addr);
        complain_hint(c, "the first four addresses and the last of %s are: use one of %s", text, machine_range(s, p));
    }
}

static void check_floating(const struct scenario *s, const struct scenario_nic *nic, struct complaints *c) {
    const struct scenario_subnet *subnet = &s->subnets.v[nic->on_index];
    if (!subnet->floating)
        return;
    complain(c, nic->at, SEVERITY_ERROR, "NIC \"%s\" is in \"%s\", a floating subnet", nic->name, subnet->name);
    complain_fault(c, FAULT_RESERVED_ADDRESS, &subnet->prefix);
    complain_hint(c, "a floating subnet carries routes only: use another subnet, or remove \"floating\"");
}

/* All NICs of a switch have one network. */
static void check_on_switch(const struct scenario *s, const struct scenario_nic *nic, const struct nic_side *side,
                            struct complaints *c) {
    char a[PREFIX_TEXT], b[PREFIX_TEXT];
    for (const struct scenario_nic *x = s->nics.v; x < nic; x++) {
        struct nic_side first = nic_side(x, side->addr.family);
        if (x->on != NIC_ON_SWITCH || x->on_index != nic->on_index || !first.addr.family)
            continue;
        if (prefix_equal(&first.net, &side->net))
            return;
        complain(c, nic->at, SEVERITY_ERROR, "NIC \"%s\" of \"%s\" is in %s, but switch \"%s\" carries %s", nic->name,
                 s->machines.v[nic->machine].name, prefix_format(&side->net, a), s->switches.v[nic->on_index].name,
                 prefix_format(&first.net, b));
        complain_fault_ip(c, FAULT_OUTSIDE, &side->addr);
        complain_hint(c, "use an address of %s, as NIC \"%s\" of \"%s\" (%s:%u)", b, x->name,
                      s->machines.v[x->machine].name, x->at.file, x->at.line);
        return;
    }
}

static void check_at_site(const struct scenario *s, const struct scenario_nic *nic, const struct nic_side *side,
                          struct complaints *c) {
    const struct scenario_site *site = &s->sites.v[nic->on_index];
    char net[PREFIX_TEXT], text[PREFIX_TEXT] = "";
    bool inside = false;
    ip_format(&side->addr, net);
    snprintf(net + strlen(net), 5, "/%u", side->net.len);
    for (size_t i = 0; i < site->prefixes.n; i++) {
        inside = inside || prefix_covers(&site->prefixes.v[i], &side->net);
        if (!*text && site->prefixes.v[i].addr.family == side->addr.family)
            prefix_format(&site->prefixes.v[i], text);
    }
    if (!inside && site->prefixes.n) {
        complain(c, nic->at, SEVERITY_ERROR, "address %s of NIC \"%s\" is outside its site \"%s\"", net, nic->name,
                 site->name);
        complain_fault(c, FAULT_OUTSIDE, &side->net);
        if (*text)
            complain_hint(c, "use an address of %s%s", text, site->prefixes.n > 1 ? " or its other prefixes" : "");
        else
            complain_hint(c, "the site has no prefix of this family: add one");
    }
    for (size_t i = 0; i < s->networks.n; i++) {
        for (size_t k = 0; k < s->networks.v[i].space.n; k++) {
            if (!prefix_overlaps(&s->networks.v[i].space.v[k], &side->net))
                continue;
            complain(c, nic->at, SEVERITY_ERROR, "address %s of NIC \"%s\" at site \"%s\" belongs to network \"%s\"",
                     net, nic->name, site->name, s->networks.v[i].name);
            complain_fault(c, FAULT_OVERLAP, &side->net);
            complain_hint(c, "use an address outside %s", prefix_format(&s->networks.v[i].space.v[k], text));
            return;
        }
    }
}

/* The first address of a link means its network, or any router there (RFC 4291, 2.6.1); IPv4's last one everybody. */
static void check_host_part(const struct scenario_nic *nic, const struct nic_side *side, struct complaints *c) {
    bool v6 = side->addr.family == FAMILY_IPV6;
    struct ip last = prefix_last(&side->net);
    bool first = ip_equal(&side->net.addr, &side->addr);
    char addr[IP_TEXT], text[PREFIX_TEXT];
    if (side->net.len > (v6 ? 126 : 30) || !(first || (!v6 && ip_equal(&last, &side->addr))))
        return;
    complain(c, nic->at, SEVERITY_ERROR, "address %s of NIC \"%s\" is the %s address of %s",
             ip_format(&side->addr, addr), nic->name, first ? "network" : "broadcast", prefix_format(&side->net, text));
    complain_fault_ip(c, FAULT_RESERVED_ADDRESS, &side->addr);
    complain_hint(c, "use an address between the first and the last of it");
}

static void check_gateway(const struct scenario *s, const struct scenario_nic *nic, const struct nic_side *side,
                          struct complaints *c) {
    char addr[IP_TEXT], text[PREFIX_TEXT];
    if (!side->gateway.family)
        return;
    bool in_subnet = nic->on == NIC_ON_SUBNET &&
                     prefix_contains(subnet_prefix(&s->subnets.v[nic->on_index], side->addr.family), &side->gateway);
    if (!prefix_contains(&side->net, &side->gateway) && !in_subnet) {
        complain(c, nic->at, SEVERITY_ERROR, "gateway %s of NIC \"%s\" is not on its link",
                 ip_format(&side->gateway, addr), nic->name);
        complain_fault_ip(c, FAULT_NEXT_HOP, &side->gateway);
        complain_hint(c, "use an address of %s, or none", prefix_format(&side->net, text));
    } else if (ip_equal(&side->gateway, &side->addr)) {
        complain(c, nic->at, SEVERITY_ERROR, "NIC \"%s\" is its own gateway", nic->name);
        complain_fault_ip(c, FAULT_NEXT_HOP, &side->gateway);
        complain_hint(c, "gateway: the address of another machine on its link, or none");
    }
}

/* No two NICs may have one address. */
static void check_address_twin(const struct scenario *s, const struct scenario_nic *nic, const struct nic_side *side,
                               struct complaints *c) {
    char text[IP_TEXT];
    for (const struct scenario_nic *x = s->nics.v; x < nic; x++) {
        if (!ip_equal(side->addr.family == FAMILY_IPV6 ? &x->addr6 : &x->addr, &side->addr))
            continue;
        complain(c, nic->at, SEVERITY_ERROR, "NIC \"%s\" of \"%s\" and NIC \"%s\" of \"%s\" both have address %s",
                 x->name, s->machines.v[x->machine].name, nic->name, s->machines.v[nic->machine].name,
                 ip_format(&side->addr, text));
        complain_fault_ip(c, FAULT_DUPLICATE_ADDRESS, &side->addr);
        complain_hint(c, "give one of them another address (the other is in %s:%u)", x->at.file, x->at.line);
        return;
    }
}

static bool has_source(const struct scenario *s, const struct scenario_nic *nic, const struct ip_prefix *p) {
    for (uint32_t i = 0; i < nic->n_sources; i++)
        if (prefix_equal(&s->sources.v[nic->first_source + i], p))
            return true;
    return false;
}

/* A packet of a port mirror arrived at one NIC. */
static void check_sources(const struct scenario *s, const struct scenario_nic *nic, struct complaints *c) {
    for (const struct scenario_nic *x = s->nics.v; x < nic; x++)
        for (uint32_t i = 0; i < nic->n_sources && x->machine == nic->machine; i++) {
            const struct ip_prefix *p = &s->sources.v[nic->first_source + i];
            char text[PREFIX_TEXT];
            if (!has_source(s, x, p))
                continue;
            complain(c, nic->at, SEVERITY_ERROR, "packets from %s arrive at NIC \"%s\" and at NIC \"%s\" of \"%s\"",
                     prefix_format(p, text), x->name, nic->name, s->machines.v[nic->machine].name);
            complain_hint(c, "name each prefix once; the longest one that holds a packet's source is its NIC's");
        }
}

/* What else no two NICs may share. */
static void check_twins(const struct scenario *s, const struct scenario_nic *nic, struct complaints *c) {
    const struct scenario_machine *machine = &s->machines.v[nic->machine];
    bool mac = true, capture = true, subnet = true; /* still to be looked for */
    for (const struct scenario_nic *x = s->nics.v; x < nic; x++) {
        const char *owner = s->machines.v[x->machine].name;
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
            complain_fault(c, FAULT_SAME_SUBNET, &s->subnets.v[nic->on_index].prefix);
            complain_hint(c, "they must be in different subnets: move one of them");
            subnet = false;
        }
    }
}

static void check_side(const struct scenario *s, const struct scenario_nic *nic, enum family family,
                       struct complaints *c) {
    struct nic_side side = nic_side(nic, family);
    if (!side.addr.family)
        return;
    check_address_twin(s, nic, &side, c);
    if (nic->on_index == INDEX_NONE)
        return;
    if (nic->on == NIC_ON_SUBNET)
        check_in_subnet(s, nic, &side, c);
    else if (nic->on == NIC_ON_SWITCH)
        check_on_switch(s, nic, &side, c);
    else
        check_at_site(s, nic, &side, c);
    if (nic->on != NIC_ON_SUBNET)
        check_host_part(nic, &side, c);
    check_gateway(s, nic, &side, c);
}

void validate_nics(const struct scenario *s, struct complaints *c) {
    for (size_t i = 0; i < s->nics.n; i++) {
        const struct scenario_nic *nic = &s->nics.v[i];
        check_twins(s, nic, c);
        check_sources(s, nic, c);
        if (nic->on == NIC_ON_SUBNET && nic->on_index != INDEX_NONE)
            check_floating(s, nic, c);
        check_side(s, nic, FAMILY_IPV4, c);
        check_side(s, nic, FAMILY_IPV6, c);
    }
}
