/* SPDX-License-Identifier: BSD-3-Clause */
/* From the merged tree to structs: the NICs of machines. */
#include "read.h"
#include <string.h>

#define MTU_MIN 68u    /* RFC 791, 3.2 */
#define MTU6_MIN 1280u /* RFC 8200, 5 */

/* What the NIC is plugged into: exactly one of three. */
static void load_on(const struct reader *r, const struct tree *t, struct scenario_nic *nic) {
    const char *keys[] = {"subnet", "switch", "site"};
    unsigned n = 0;
    nic->on_index = INDEX_NONE;
    for (uint8_t i = 0; i < 3; i++)
        if (tree_get(t, keys[i]))
            nic->on = i, n++;
    if (n != 1) {
        complain(r->c, nic->at, SEVERITY_ERROR, "NIC \"%s\" is on %s", nic->name,
                 n ? "several of subnet, switch, site" : "nothing");
        complain_hint(r->c, "give it one of \"subnet: network/subnet\", \"switch: name\", \"site: name\"");
    } else if (nic->on == NIC_ON_SUBNET) {
        nic->on_index = read_subnet(r, t, "subnet", REQUIRED);
    } else if (nic->on == NIC_ON_SWITCH) {
        nic->on_index = read_ref(r, t, "switch", REQUIRED, "switch", r->s->switches);
    } else {
        nic->on_index = read_ref(r, t, "site", REQUIRED, "site", r->s->sites);
    }
}

/* No multicast, no loopback, no unspecified and no link-local address (every NIC has one of its own, not said here). */
static bool is_routable6(const struct ip *addr) {
    static const uint8_t zero[15];
    bool low = memcmp(addr->v6, zero, 15) == 0 && addr->v6[15] <= 1;
    return !low && addr->v6[0] != 0xff && !(addr->v6[0] == 0xfe && (addr->v6[1] & 0xc0) == 0x80);
}

static void load_address(const struct reader *r, const struct tree *t, const char *key, enum need need,
                         enum family family, struct ip *addr, uint8_t *len) {
    const char *right = family == FAMILY_IPV4
                            ? "an IPv4 address with the length of its network, such as 10.0.0.4/24"
                            : "a routable IPv6 address with the length of its network, such as fd00:a::4/64";
    const struct tree *text = read_text(r, t, key, need, right);
    struct ip a;
    uint8_t l;
    if (!text)
        return;
    if (!strchr(text->text, '/') || ip_parse_with_len(text->text, &a, &l) || a.family != family || !l ||
        (family == FAMILY_IPV6 && !is_routable6(&a))) {
        read_wrong(r, text, key, right);
        return;
    }
    *addr = a;
    *len = l;
}

/*
 * An address, or "none"; without the key the subnet's own gateway, or a site's router. True: there is a default route.
 */
static bool load_gateway(const struct reader *r, const struct tree *t, const struct scenario_nic *nic,
                         enum family family, struct ip *gateway) {
    const char *key = family == FAMILY_IPV4 ? "gateway" : "gateway6",
               *address = family == FAMILY_IPV4 ? "address" : "address6";
    const struct tree *text = read_text(r, t, key, OPTIONAL, "an address, or none");
    if (text && strcmp(text->text, "none") == 0)
        return false;
    if (text && !tree_get(t, address)) {
        complain(r->c, text->at, SEVERITY_ERROR, "NIC \"%s\" has \"%s\", but no \"%s\"", nic->name, key, address);
        complain_hint(r->c, "give it an \"%s\", or remove \"%s\"", address, key);
        return false;
    }
    if (text)
        return text_ip(r, text, key, family, gateway);
    if (!tree_get(t, address) || nic->on_index == INDEX_NONE || nic->on == NIC_ON_SWITCH)
        return false;
    if (nic->on == NIC_ON_SITE)
        return true;
    const struct scenario_subnet *subnet = &r->s->subnets.v[nic->on_index];
    *gateway = family == FAMILY_IPV4 ? subnet->gateway : subnet->gateway6;
    return gateway->family != FAMILY_NONE;
}

/* Two spellings: by name, and by number as Linux has it. */
static uint8_t load_rpf(const struct reader *r, const struct tree *t) {
    static const char *const modes[] = {"off", "strict", "loose", "feasible", NULL};
    unsigned mode = 0;
    uint32_t number = 0;
    if (read_choice(r, t, "urpf", OPTIONAL, modes, &mode) && tree_get(t, "rp_filter")) {
        complain(r->c, tree_get(t, "rp_filter")->at, SEVERITY_ERROR, "both \"urpf\" and \"rp_filter\" are given");
        complain_hint(r->c, "they are the same: keep one of them");
    } else {
        read_uint(r, t, "rp_filter", OPTIONAL, 0, 2, &number);
    }
    return (uint8_t)(mode ? mode : number);
}

static uint16_t load_mtu(const struct reader *r, const struct tree *t, const struct scenario_nic *nic) {
    uint32_t mtu = 0;
    if (read_uint(r, t, "mtu", OPTIONAL, MTU_MIN, 65535, &mtu) && nic->addr6.family && mtu < MTU6_MIN) {
        complain(r->c, tree_get(t, "mtu")->at, SEVERITY_ERROR, "the MTU %u of NIC \"%s\" is too small for IPv6", mtu,
                 nic->name);
        complain_hint(r->c, "mtu: %u or more (RFC 8200, 5), or no \"address6\"", MTU6_MIN);
    }
    return (uint16_t)mtu;
}

static void load_sources(const struct reader *r, const struct tree *t, struct scenario_nic *nic) {
    const struct tree *list = read_list(r, t, "sources", OPTIONAL, "a list of prefixes, such as [10.0.0.0/8]");
    struct ip_prefix prefix;
    nic->first_source = (uint32_t)r->s->sources.n;
    for (size_t i = 0; list && next_prefix(r, list, &i, "sources", &prefix);)
        vec_push(&r->s->sources, prefix);
    nic->n_sources = (uint32_t)r->s->sources.n - nic->first_source;
}

void load_nic(const struct reader *r, const struct tree_member *m, uint32_t machine) {
    const struct tree *t = m->value;
    struct scenario_nic nic = {.at = m->at, .name = m->key, .machine = machine, .connected = true};
    read_keys(r, t,
              KEYS("subnet", "switch", "site", "address", "address6", "connected", "gateway", "gateway6", "mac", "mtu",
                   "ip_forwarding", "rp_filter", "urpf", "security_group", "capture", "sources"));
    load_on(r, t, &nic);
    enum need need = tree_get(t, "address6") ? OPTIONAL : REQUIRED;
    load_address(r, t, "address", need, FAMILY_IPV4, &nic.addr, &nic.len);
    load_address(r, t, "address6", OPTIONAL, FAMILY_IPV6, &nic.addr6, &nic.len6);
    nic.default_route = load_gateway(r, t, &nic, FAMILY_IPV4, &nic.gateway);
    nic.default_route6 = load_gateway(r, t, &nic, FAMILY_IPV6, &nic.gateway6);
    read_bool(r, t, "connected", &nic.connected);
    read_bool(r, t, "ip_forwarding", &nic.ip_forwarding);
    nic.rpf = load_rpf(r, t);
    nic.mtu = load_mtu(r, t, &nic);
    nic.has_mac = read_mac(r, t, "mac", &nic.mac);
    nic.security_group = read_ref(r, t, "security_group", OPTIONAL, "security group", r->s->security_groups);
    const struct tree *capture = read_text(r, t, "capture", OPTIONAL, "the name of an interface in the capture");
    if (capture && *capture->text)
        nic.capture = capture->text;
    else if (capture)
        read_wrong(r, capture, "capture", "the name of an interface in the capture");
    load_sources(r, t, &nic);
    vec_push(&r->s->nics, nic);
}
