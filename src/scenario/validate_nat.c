/* SPDX-License-Identifier: BSD-3-Clause */
/* What each value alone cannot tell: the NAT of machines. */
#include "complaint.h"
#include "validate.h"

/* Has a machine this address, or may a guest get it from a DHCP scope? */
static bool somebody_has(const struct scenario *s, const struct ip *addr) {
    for (size_t i = 0; i < s->dhcps.n; i++)
        if (in_scope(&s->dhcps.v[i], addr))
            return true;
    return scenario_nic_of_address(s, addr) != INDEX_NONE;
}

/* Of two owners of an address the first has it: the NAT's answers would be lost. */
static void check_owners(const struct scenario *s, const struct scenario_nat *nat, struct complaints *c) {
    char addr[IP_TEXT];
    for (size_t i = 0; i < nat->addresses.n; i++) {
        uint32_t owner = scenario_nic_of_address(s, &nat->addresses.v[i]);
        if (owner == INDEX_NONE || s->nics.v[owner].machine == nat->machine)
            continue;
        complain(c, nat->at, SEVERITY_ERROR, "outside address %s is that of NIC \"%s\" of \"%s\"",
                 ip_format(&nat->addresses.v[i], addr), s->nics.v[owner].name,
                 s->machines.v[s->nics.v[owner].machine].name);
        complain_fault_ip(c, FAULT_DUPLICATE_ADDRESS, &nat->addresses.v[i]);
        complain_hint(c, "addresses: those that nobody else has (%s:%u)", s->nics.v[owner].at.file,
                      s->nics.v[owner].at.line);
    }
}

/* The platform lets a NIC have its own address only, unless it may forward. */
static void check_forwarding(const struct scenario *s, const struct scenario_nat *nat, struct complaints *c) {
    char addr[IP_TEXT];
    const struct scenario_nic *nic = nat->outside == INDEX_NONE ? NULL : &s->nics.v[nat->outside];
    for (size_t i = 0; nic && nic->on == NIC_ON_SUBNET && !nic->ip_forwarding && i < nat->addresses.n; i++) {
        if (ip_equal(&nat->addresses.v[i], &nic->addr))
            continue;
        complain(c, nat->at, SEVERITY_WARNING,
                 "NIC \"%s\" has IP forwarding off: the platform drops what is for outside address %s", nic->name,
                 ip_format(&nat->addresses.v[i], addr));
        complain_hint(c, "set \"ip_forwarding: true\" on it (%s:%u)", nic->at.file, nic->at.line);
        return;
    }
}

static void check_nat(const struct scenario *s, const struct scenario_nat *nat, struct complaints *c) {
    char addr[IP_TEXT];
    const struct scenario_machine *machine = &s->machines.v[nat->machine];
    if (!machine->router) {
        complain(c, nat->at, SEVERITY_WARNING, "\"%s\" has NAT, but is no router", machine->name);
        complain_hint(c, "set \"router: true\", or remove \"nat\"");
    }
    check_owners(s, nat, c);
    check_forwarding(s, nat, c);
    for (size_t i = 0; i < nat->port_maps.n; i++) {
        const struct scenario_port_map *map = &nat->port_maps.v[i];
        for (size_t k = 0; k < i; k++) {
            const struct scenario_port_map *first = &nat->port_maps.v[k];
            if (first->proto != map->proto || first->port != map->port ||
                !ip_equal(&first->address, &map->address))
                continue;
            complain(c, map->at, SEVERITY_WARNING, "port maps \"%s\" and \"%s\" both want outside port %u/%s",
                     first->name, map->name, map->port, map->proto == 6 ? "tcp" : "udp");
            complain_hint(c, "\"%s\" wins, for it comes first: give \"%s\" another port", first->name, map->name);
            break;
        }
        if (!somebody_has(s, &map->to)) {
            complain(c, map->at, SEVERITY_WARNING, "port map \"%s\" leads to %s, an address that nobody has", map->name,
                     ip_format(&map->to, addr));
            complain_hint(c, "to: the address and port of a machine behind the NAT");
        }
    }
}

void validate_nats(const struct scenario *s, struct complaints *c) {
    for (size_t i = 0; i < s->nats.n; i++)
        check_nat(s, &s->nats.v[i], c);
}
