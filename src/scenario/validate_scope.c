/* SPDX-License-Identifier: BSD-3-Clause */
/* What each value alone cannot tell: DHCP scopes, and who else has what they hand out. */
#include "complaint.h"
#include "validate.h"

bool in_scope(const struct scenario_dhcp *d, const struct ip *addr) {
    return d->first.family && addr->family && ip_compare(&d->first, addr) <= 0 && ip_compare(addr, &d->last) <= 0;
}

static struct ip_prefix scope_net(const struct scenario *s, const struct scenario_dhcp *d) {
    return nic_side(&s->nics.v[d->nic], FAMILY_IPV4).net;
}

/* Is the range there, and in the network of its NIC? */
static bool is_in_place(const struct scenario *s, const struct scenario_dhcp *d) {
    if (d->nic == INDEX_NONE || !d->first.family)
        return false;
    struct ip_prefix net = scope_net(s, d);
    return prefix_contains(&net, &d->first) && prefix_contains(&net, &d->last);
}

static void check_router(const struct scenario *s, const struct scenario_dhcp *d, struct complaints *c) {
    const struct scenario_nic *nic = &s->nics.v[d->nic];
    struct ip_prefix net = scope_net(s, d);
    char text[PREFIX_TEXT], addr[IP_TEXT];
    if (d->router.family && !prefix_contains(&net, &d->router)) {
        complain(c, d->at, SEVERITY_ERROR, "router %s of the DHCP scope is outside %s of NIC \"%s\"",
                 ip_format(&d->router, addr), prefix_format(&net, text), nic->name);
        complain_fault_ip(c, FAULT_DHCP, &d->router);
        complain_hint(c, "router: %s", ip_format(&nic->addr, addr));
    } else if (in_scope(d, &d->router) && !ip_equal(&d->router, &nic->addr)) {
        complain(c, d->at, SEVERITY_ERROR, "the DHCP scope hands out its router's address %s",
                 ip_format(&d->router, addr));
        complain_fault_ip(c, FAULT_DHCP, &d->router);
        complain_hint(c, "leave it out of the range");
    }
}

static void check_range(const struct scenario *s, const struct scenario_dhcp *d, struct complaints *c) {
    const struct scenario_nic *nic = &s->nics.v[d->nic];
    struct ip_prefix net = scope_net(s, d);
    struct ip last = prefix_last(&net);
    char text[PREFIX_TEXT];
    prefix_format(&net, text);
    if (!is_in_place(s, d)) {
        complain(c, d->at, SEVERITY_ERROR, "the DHCP scope reaches outside %s of NIC \"%s\"", text, nic->name);
        complain_fault_ip(c, FAULT_DHCP, prefix_contains(&net, &d->first) ? &d->last : &d->first);
        complain_hint(c, "range: addresses of %s only", text);
    } else if (in_scope(d, &net.addr) || in_scope(d, &last)) {
        complain(c, d->at, SEVERITY_ERROR, "the DHCP scope hands out the %s address of %s",
                 in_scope(d, &last) ? "broadcast" : "network", text);
        complain_fault_ip(c, FAULT_DHCP, in_scope(d, &last) ? &last : &net.addr);
        complain_hint(c, "leave it out of the range");
    }
}

static void check_scope(const struct scenario *s, const struct scenario_dhcp *d, struct complaints *c) {
    if (d->nic == INDEX_NONE)
        return;
    const struct scenario_nic *nic = &s->nics.v[d->nic];
    if (!nic->addr.family && nic->addr6.family) {
        complain(c, d->at, SEVERITY_ERROR, "a DHCP scope on NIC \"%s\", which has no IPv4 address", nic->name);
        complain_fault(c, FAULT_DHCP, NULL);
        complain_hint(c, "a scope is IPv4: give the NIC an \"address\"");
    }
    if (!nic->addr.family)
        return;
    if (nic->on == NIC_ON_SUBNET) {
        struct ip_prefix net = scope_net(s, d);
        complain(c, d->at, SEVERITY_ERROR, "a DHCP scope on NIC \"%s\", which is in a network's subnet", nic->name);
        complain_fault(c, FAULT_DHCP, &net);
        complain_hint(c, "the platform hands out addresses there: use a NIC on a switch");
    }
    check_router(s, d, c);
    if (d->first.family)
        check_range(s, d, c);
}

/* What an earlier scope hands out too. */
static void check_scope_twin(const struct scenario *s, const struct scenario_dhcp *d, struct complaints *c) {
    for (const struct scenario_dhcp *x = s->dhcps.v; x < d && is_in_place(s, d); x++) {
        if (!is_in_place(s, x) || (!in_scope(x, &d->first) && !in_scope(d, &x->first)))
            continue;
        const struct ip *first = in_scope(x, &d->first) ? &d->first : &x->first;
        const struct ip *last = in_scope(x, &d->last) ? &d->last : &x->last;
        char a[IP_TEXT], b[IP_TEXT];
        bool one = ip_equal(first, last);
        complain(c, d->at, SEVERITY_ERROR, "two DHCP scopes hand out %s%s%s", ip_format(first, a), one ? "" : " to ",
                 one ? "" : ip_format(last, b));
        complain_fault_ip(c, FAULT_DHCP, first);
        complain_hint(c, "make their ranges distinct (the other is in %s:%u)", x->at.file, x->at.line);
        return;
    }
}

/* A scope may hand out the address of a guest on its own link: that is where the guest has it from. */
static void check_handed_out(const struct scenario *s, const struct scenario_nic *nic, struct complaints *c) {
    for (size_t i = 0; i < s->dhcps.n; i++) {
        const struct scenario_dhcp *d = &s->dhcps.v[i];
        if (!in_scope(d, &nic->addr) || !is_in_place(s, d))
            continue;
        const struct scenario_nic *own = &s->nics.v[d->nic];
        char addr[IP_TEXT];
        if (nic != own && nic->on == own->on && nic->on_index == own->on_index)
            continue;
        complain(c, d->at, SEVERITY_ERROR, "the DHCP scope hands out %s, which NIC \"%s\" of \"%s\" has",
                 ip_format(&nic->addr, addr), nic->name, s->machines.v[nic->machine].name);
        complain_fault_ip(c, FAULT_DHCP, &nic->addr);
        complain_hint(c, nic == own
                             ? "leave the router's own address out of the range"
                             : "that NIC is elsewhere, so the address would be there twice: leave it out of the range");
        return;
    }
}

void validate_scopes(const struct scenario *s, struct complaints *c) {
    for (size_t i = 0; i < s->dhcps.n; i++) {
        check_scope(s, &s->dhcps.v[i], c);
        check_scope_twin(s, &s->dhcps.v[i], c);
    }
    for (size_t i = 0; i < s->nics.n; i++)
        check_handed_out(s, &s->nics.v[i], c);
}
