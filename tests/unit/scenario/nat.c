/* SPDX-License-Identifier: BSD-3-Clause */
/* NAT: what its keys become, and what is wrong with them. */
#include "expect.h"
#include <fwdlab/base/addr.h>

#define NAT(text) HOST("nat: { " text " }")
#define FORWARDING "nics: { NIC1: { ip_forwarding: true } }, "
#define FOUR(x) ", 198.19." x "0/32, 198.19." x "1/32, 198.19." x "2/32, 198.19." x "3/32"
#define MANY FOUR("1.") FOUR("2.") FOUR("3.") FOUR("4.")
#define INTERFACE(text) NAT("personality: interface, " text)

static const struct expected wrong[] = {
    {INTERFACE("mapping: endpoint"), "4", E, "\"mapping\" is \"endpoint\"", "endpoint-independent"},
    {INTERFACE("filtering: address-and-port"), "4", E, "\"filtering\" is", "address-and-port-dependent"},
    {INTERFACE("port_choice: kept"), "4", E, "\"port_choice\" is \"kept\"", "allowed: preserved, random"},
    {INTERFACE("pooling: pared"), "4", E, "\"pooling\" is \"pared\"", "\"paired\"?"},
    {INTERFACE("refresh: inbound"), "4", E, "\"refresh\" is \"inbound\"", "both"},
    {INTERFACE("parity: even"), "4", E, "\"parity\" is \"even\"", "true or false"},
    {INTERFACE("hairpin: maybe"), "4", E, "\"hairpin\" is \"maybe\"", "true or false"},
    {NAT("hold_fragments: maybe"), "4", E, "\"hold_fragments\" is \"maybe\"", "true or false"},
    {INTERFACE("port_blocks: 64"), "4", E, "unknown key \"port_blocks\"", "\"port_block\""},
    {INTERFACE("port_block: 0"), "4", E, "\"port_block\" is \"0\"", "1 to 65535"},
    {INTERFACE("ports_per_client: 0"), "4", E, "\"ports_per_client\" is \"0\"", "1 to 65535"},
    {INTERFACE("sessions_per_client: 0"), "4", E, "\"sessions_per_client\" is \"0\"", "1 to 16777216"},

    {INTERFACE("hold_syns: 6"), "4", E, "\"hold_syns\" is \"6\"", "true or false"},
    {INTERFACE("port_rest: 0"), "4", E, "\"port_rest\" is \"0\"", "1 to "},
    {INTERFACE("session_rate_per_client: 1000001"), "4", E, "\"session_rate_per_client\" is", "1 to 1000000"},
    {INTERFACE("session_rate: 10"), "4", E, "unknown key \"session_rate\"", ""},
    {INTERFACE("untranslated: 198.18.0.0/15"), "4", E, "\"untranslated\" is", "a list of prefixes"},
    {INTERFACE("untranslated: [198.18.0.0/15,\n  198.18.0.1/24]"), "5", E, "host bits", "198.18.0.0/24"},
    {INTERFACE("untranslated: [\"2001:db8::/32\"]"), "4", E, "\"untranslated\" has an IPv6 prefix", "never translated"},
    {INTERFACE("untranslated: [198.18.0.0/32" MANY MANY MANY MANY "]"), "4", E,
     "\"untranslated\" has 65 prefixes", "64 at most"},

    /* Linux has one behaviour. */
    {NAT("mapping: endpoint-independent"), "4", E, "\"mapping\" is not for \"personality: conntrack\"", "interface"},
    {NAT("\n  filtering: address-dependent"), "5", E, "\"filtering\" is not for", "remove it"},
    {NAT("port_choice: random"), "4", E, "\"port_choice\" is not for", "remove it"},
    {NAT("parity: false"), "4", E, "\"parity\" is not for", "remove it"},
    {NAT("pooling: paired"), "4", E, "\"pooling\" is not for", "remove it"},
    {NAT("refresh: both"), "4", E, "\"refresh\" is not for", "remove it"},
    {NAT("port_block: 64"), "4", E, "\"port_block\" is not for", "remove it"},
    {NAT("blocks_per_client: 2"), "4", E, "\"blocks_per_client\" is not for", "remove it"},
    {NAT("sessions_per_client: 2"), "4", E, "\"sessions_per_client\" is not for", "remove it"},
    {NAT("ports_per_client: 2"), "4", E, "\"ports_per_client\" is not for", "remove it"},
    {NAT("session_rate_per_client: 2"), "4", E, "\"session_rate_per_client\" is not for", "remove it"},
    {NAT("port_rest: 120"), "4", E, "\"port_rest\" is not for", "remove it"},
    {NAT("hold_syns: true"), "4", E, "\"hold_syns\" is not for", "remove it"},
    {NAT("untranslated: [198.18.0.0/15]"), "4", E, "\"untranslated\" is not for", "remove it"},

    /* Blocks and limits. */
    {INTERFACE("port_block: 1000"), "4", E, "blocks of 1000 do not divide the 64512 ports 1024-65535",
     "a divisor of 64512, such as 896"},
    {INTERFACE("ports: 2000-2009, port_block: 64"), "4", E, "blocks of 64 do not divide the 10 ports", "such as 10"},
    {INTERFACE("blocks_per_client: 2"), "4", E, "\"blocks_per_client\" without blocks", "\"port_block\""},
    {INTERFACE("port_block: 512,\n  blocks_per_client: 127"), "5", E,
     "127 blocks for a client, but an outside address has 126", "1 to 126"},
    {INTERFACE("addresses: [10.0.0.4, 10.0.0.20], pooling: arbitrary, port_block: 512, blocks_per_client: 253"), "4", E,
     "253 blocks for a client, but the NAT has 252", "1 to 252"},
    {INTERFACE("port_block: 1, parity: true"), "4", E, "blocks of one port cannot keep \"parity\"", "2 at least"},
    {INTERFACE("port_block: 64, ports_per_client: 63"), "4", W, "\"ports_per_client\" is 63, less than a block of 64",
     "a higher limit"},
    {INTERFACE("port_block: 64,\n  sessions_per_client: 63"), "5", W, "\"sessions_per_client\" is 63, less than", ""},

    /* Outside addresses. */
    {NAT("addresses: [10.0.0.4, 10.0.0.400]"), "4", E, "\"addresses\" is \"10.0.0.400\"", "10.0.0.4"},
    {NAT("addresses: [10.0.0.9-10.0.0.8]"), "4", E, "\"addresses\" is \"10.0.0.9-10.0.0.8\"", "198.51.100.4-"},
    {NAT("addresses: [\"fd00::1-fd00::2\"]"), "4", E, "\"addresses\" is \"fd00::1-fd00::2\"", "198.51.100.4-"},
    {NAT("addresses: [\"fd00::/120\"]"), "4", E, "\"addresses\" is \"fd00::/120\"", "an IPv4 prefix"},
    {NAT("addresses: [10.0.0.17/28]"), "4", E, "host bits", "10.0.0.16/28"},
    {NAT("addresses: [[10.0.0.4]]"), "4", E, "\"addresses\" is a list", "10.0.0.8-10.0.0.15"},
    {NAT("addresses: [ 10.0.0.4,\n  10.0.0.16/30,\n  10.0.0.19 ]"), "6", E, "\"addresses\" has 10.0.0.19 twice",
     "remove one"},
    {NAT("addresses: [10.0.0.4, 10.0.0.30-10.0.0.40,\n 10.0.0.32/28]"), "5", E, "10.0.0.32 twice", ""},
    {NAT("addresses: [0.0.0.0]"), "4", E, "0.0.0.0, which no host can have", "unicast"},
    {NAT("addresses: [224.0.0.1]"), "4", E, "224.0.0.1, which no host can have", "unicast"},
    {NAT("addresses: [198.18.0.0-198.18.4.0]"), "4", E, "\"addresses\" has 1025 of them", "1 to 1024"},
    {NAT("addresses: [198.18.0.0/22, 10.0.0.4]"), "4", E, "\"addresses\" has 1025 of them", "1 to 1024"},
    {NAT("addresses: [1.0.0.0-9.255.255.255]"), "4", E, "\"addresses\" has 150994944 of them", "1 to 1024"},
    {NAT("addresses: [10.0.0.4,\n  10.0.2.250-10.0.3.2]"), "5", F(OVERLAP),
     "outside address 10.0.2.250 belongs to 10.0.2.0/24, inside the NAT by NIC \"switch\"", "of the outside"},
    {NAT("addresses: [10.0.0.4, 10.0.1.200-10.0.2.0]"), "4", F(OVERLAP), "10.0.1.200 belongs to 10.0.1.0/24", "NIC"},
    {NAT("addresses: [10.0.0.4, 10.0.0.10]"), "nat:", F(DUPLICATE_ADDRESS),
     "outside address 10.0.0.10 is that of NIC \"eth0\" of \"nat-machine\"", "routed.yaml:"},
    {NAT("addresses: [10.0.0.4, 10.0.0.20]"), "nat:", W,
     "NIC \"NIC1\" has IP forwarding off: the platform drops what is for outside address 10.0.0.20",
     "ip_forwarding: true"},

    /* Port maps of one outside address or another. */
    {NAT("addresses: [10.0.0.4, 10.0.0.20], port_maps: { new: { proto: tcp, address: 10.0.0.21, port: 80, to: "
         "\"10.0.2.3:80\" } }"),
     "4", E, "\"address\" is \"10.0.0.21\", no address of the NAT", "the first of them"},
    {NAT("addresses: [10.0.0.4, 10.0.0.20], port_maps: { new: { proto: tcp, address: 10.0.0.4, port: 8080, to: "
         "\"10.0.2.3:80\" } }"),
     "4", W, "\"guest1-web\" and \"new\" both want outside port 8080/tcp", "\"guest1-web\" wins"},
};

Test(nat, complaints) {
    expect_all(wrong, sizeof wrong / sizeof *wrong);
}

static struct scenario *load(const char *text, const struct scenario_nat **nat) {
    struct complaints c;
    struct scenario *s = load_text(text, &c);
    if (!s || c.list.n)
        print_complaints(&c);
    cr_assert_not_null(s);
    cr_expect_eq(c.list.n, 0, "%zu complaints", c.list.n);
    complaints_fini(&c);
    *nat = &s->nats.v[0];
    return s;
}

Test(nat, behaviours_by_default) {
    static const char *const texts[] = {VARIANT INTERFACE(""), VARIANT};
    for (unsigned i = 0; i < 2; i++) {
        const struct scenario_nat *n;
        struct scenario *s = load(texts[i], &n);
        cr_expect_eq(n->conntrack, i == 1);
        cr_expect(n->hairpin == !i && n->hold_fragments == !i, "case %u", i);
        cr_expect(n->mapping == 0 && n->filtering == 0 && !n->random_ports && !n->parity && !n->arbitrary_pooling);
        cr_expect(!n->outbound_refresh_only && !n->port_block && !n->blocks_per_client);
        cr_expect(!n->sessions_per_client && !n->ports_per_client && !n->session_rate_per_client);
        cr_expect(!n->port_rest && !n->hold_syns && !n->untranslated.n);
        scenario_destroy(s);
    }
}

Test(nat, every_key) {
    const struct scenario_nat *n;
    struct scenario *s = load(VARIANT INTERFACE(
        "mapping: address-dependent, filtering: address-and-port-dependent, port_choice: random, parity: true,\n"
        "pooling: arbitrary, hairpin: false, hold_fragments: false, refresh: outbound, port_block: 512,\n"
        "blocks_per_client: 2, sessions_per_client: 2000, ports_per_client: 1000, session_rate_per_client: 50,\n"
        "port_rest: 120, hold_syns: true, untranslated: [198.18.0.0/15, 192.0.2.1/32]"), &n);
    cr_expect(n->mapping == 1 && n->filtering == 2 && n->random_ports && n->parity && n->arbitrary_pooling);
    cr_expect(!n->hairpin && !n->hold_fragments && n->outbound_refresh_only);
    cr_expect(n->port_block == 512 && n->blocks_per_client == 2);
    cr_expect(n->sessions_per_client == 2000 && n->ports_per_client == 1000 && n->session_rate_per_client == 50);
    cr_expect(n->port_rest == 120 && n->hold_syns && n->untranslated.n == 2 && n->untranslated.v[1].len == 32);
    scenario_destroy(s);
    s = load(VARIANT NAT("hairpin: true, hold_fragments: true"), &n); /* these two Linux may be given too */
    cr_expect(n->conntrack && n->hairpin && n->hold_fragments);
    scenario_destroy(s);
    s = load(VARIANT INTERFACE("mapping: endpoint-independent, filtering: endpoint-independent, port_choice: preserved,"
                               "pooling: paired, refresh: both"), &n);
    cr_expect(n->mapping == 0 && n->filtering == 0 && !n->random_ports && !n->arbitrary_pooling);
    cr_expect_not(n->outbound_refresh_only);
    scenario_destroy(s);
    s = load(VARIANT INTERFACE("port_block: 64"), &n);
    cr_expect_eq(n->blocks_per_client, 1);
    scenario_destroy(s);
}

static void expect_addresses(const char *list, size_t count, const char *first, const char *last) {
    const struct scenario_nat *n;
    char text[400], a[IP_TEXT], b[IP_TEXT];
    snprintf(text, sizeof text, VARIANT HOST(FORWARDING "nat: { addresses: %s }"), list);
    struct scenario *s = load(text, &n);
    cr_assert_eq(n->addresses.n, count, "%s: %zu addresses", list, n->addresses.n);
    cr_expect_str_eq(ip_format(&n->addresses.v[0], a), first, "%s: %s", list, a);
    cr_expect_str_eq(ip_format(&n->addresses.v[count - 1], b), last, "%s: %s", list, b);
    scenario_destroy(s);
}

Test(nat, addresses_ranges_and_prefixes) {
    expect_addresses("[10.0.0.4]", 1, "10.0.0.4", "10.0.0.4");
    expect_addresses("[10.0.0.20-10.0.0.20]", 1, "10.0.0.20", "10.0.0.20");
    expect_addresses("[10.0.0.4, 10.0.0.32/28]", 17, "10.0.0.4", "10.0.0.47");
    expect_addresses("[198.18.0.250-198.18.1.5, 10.0.0.4]", 13, "198.18.0.250", "10.0.0.4");
    expect_addresses("[198.18.0.0/22]", 1024, "198.18.0.0", "198.18.3.255"); /* as many as there may be */
}

Test(nat, port_maps_have_an_outside_address) {
    const struct scenario_nat *n;
    struct ip first, second;
    struct scenario *s = load(VARIANT HOST(FORWARDING "nat: { addresses: [10.0.0.4, 10.0.0.20], port_maps: { same: {\n"
                                    "proto: tcp, address: 10.0.0.20, port: 8080, to: \"10.0.2.3:80\" } } }"), &n);
    ip_parse("10.0.0.4", &first);
    ip_parse("10.0.0.20", &second);
    cr_assert_eq(n->port_maps.n, 4);
    cr_expect(ip_equal(&n->port_maps.v[0].address, &first) && ip_equal(&n->port_maps.v[3].address, &second));
    scenario_destroy(s);
}
