/* SPDX-License-Identifier: BSD-3-Clause */
/* NAT: every key of a scenario in the core's configuration, and whose its outside addresses are. */
#include "helper.h"

#define ROUTER(nat)                                                                                                    \
    "fwdlab: 1\nname: x\nnode: r\nswitches: { s: {} }\nsites: { internet: { internet: true } }\nmachines:\n"           \
    "  r: { router: true, nics: { in: { switch: s, address: 100.64.0.1/24 },\n"                                        \
    "       out: { site: internet, address: 198.51.100.1/24 } }, nat: { outside: out, " nat " } }\n"                   \
    "  home: { nics: { e: { switch: s, address: 100.64.0.2/24, gateway: 100.64.0.1 } } }\n"                            \
    "  end: { nics: { e: { site: internet, address: 203.0.113.10/24 } } }\n"

static const struct nat_config *config_of(const struct built *b) {
    return nat_config_get(node_of(b, "r")->node.nat);
}

Test(nat, every_key_reaches_the_core) {
    struct built b = build_text(ROUTER(
        "personality: interface, addresses: [198.51.100.1, 198.51.100.8/29], mapping: address-dependent,\n"
        "filtering: address-and-port-dependent, port_choice: random, parity: true, pooling: arbitrary,\n"
        "hairpin: false, hold_fragments: false, refresh: outbound, port_block: 512, blocks_per_client: 2,\n"
        "sessions_per_client: 2000, ports_per_client: 600, session_rate_per_client: 50, port_rest: 120,\n"
        "hold_syns: true, untranslated: [198.18.0.0/15, 192.0.2.1/32],\n"
        "port_maps: { a: { proto: tcp, port: 80, to: \"100.64.0.2:8080\" },\n"
        "b: { proto: udp, address: 198.51.100.9, port: 53, to: \"100.64.0.2:53\" } }"));
    const struct nat_config *c = config_of(&b);
    cr_expect(c->personality == NAT_INTERFACE && c->outside_port == 1);
    cr_assert_eq(c->n_addresses, 9);
    cr_expect(c->addresses[0] == htonl(0xc6336401) && c->addresses[1] == htonl(0xc6336408) &&
              c->addresses[8] == htonl(0xc633640f));
    cr_expect(c->mapping == NAT_ADDRESS_DEPENDENT && c->filtering == NAT_ADDRESS_AND_PORT_DEPENDENT);
    cr_expect(c->port_choice == NAT_PORT_RANDOM && c->parity && c->arbitrary_pooling && c->outbound_refresh_only);
    cr_expect(!c->hairpin && !c->hold_fragments);
    cr_expect(c->port_block == 512 && c->client_blocks == 2 && c->client_sessions == 2000 && c->client_ports == 600);
    cr_expect(c->client_rate == 50 && c->port_rest == 120000000000u && c->hold_syns);
    cr_assert_eq(c->n_untranslated, 2);
    cr_expect(c->untranslated[0].addr == htonl(0xc6120000) && c->untranslated[0].mask == htonl(0xfffe0000));
    cr_expect(c->untranslated[1].addr == htonl(0xc0000201) && c->untranslated[1].mask == 0xffffffff);
    cr_assert_eq(c->n_port_maps, 2);
    cr_expect(c->port_maps[0].outside_addr == c->addresses[0] && c->port_maps[1].outside_addr == c->addresses[2]);
    destroy(&b);
}

Test(nat, behaviours_by_default) {
    struct built b = build_text(ROUTER("personality: interface"));
    const struct nat_config *c = config_of(&b);
    cr_expect(c->hairpin && c->hold_fragments && c->port_choice == NAT_PORT_PRESERVED);
    cr_expect(c->mapping == NAT_ENDPOINT_INDEPENDENT && c->filtering == NAT_ENDPOINT_INDEPENDENT);
    cr_expect(!c->parity && !c->arbitrary_pooling && !c->outbound_refresh_only);
    cr_expect(!c->port_block && !c->client_blocks && !c->client_sessions && !c->client_ports);
    cr_expect(!c->client_rate && !c->port_rest && !c->hold_syns && !c->n_untranslated);
    destroy(&b);
    b = build_text(ROUTER("personality: conntrack"));
    c = config_of(&b);
    cr_expect(c->personality == NAT_CONNTRACK && !c->hairpin && !c->hold_fragments);
    destroy(&b);
}

/* As many outside addresses as there may be. */
Test(nat, a_thousand_addresses) {
    struct built b = build_text(ROUTER("personality: interface, addresses: [198.18.0.0-198.18.3.255]"));
    cr_assert_eq(config_of(&b)->n_addresses, NAT_ADDRESSES_MAX);
    cr_expect_eq(config_of(&b)->addresses[1023], htonl(0xc61203ff));
    destroy(&b);
}
