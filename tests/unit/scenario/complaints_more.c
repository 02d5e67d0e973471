/* SPDX-License-Identifier: BSD-3-Clause */
/* Complaints about IPv6, reverse path checks, MTUs, policy rules, security groups and static routes of sites. */
#include "dual.h"
#include "expect.h"

#define RULE(text) HOST("rules: { new: { " text " } }")
#define GROUP(text) SUBNET("nat: { security_group: g }") "security_groups: { g: { rules: { " text " } } }\n"
#define SECURITY(text) GROUP("new: { priority: 100, direction: in, access: allow, " text " }")
#define SITE(text) "sites: { on-premises: { " text " } }\n"
/* Six lines of IPv6 over the base: what follows begins in line 7. */
#define SIX                                                                                                            \
    "networks:\n  nested-fun: { space: [10.0.0.0/22, 10.0.255.0/27, \"fd00:a::/48\"],\n"                               \
    "    subnets: { azure-vms: { prefix6: \"fd00:a:0:3::/64\" }, nat: { prefix6: \"fd00:a::/64\" } } }\n"
#define SIX_PC(text) SIX PC("subnet: nested-fun/azure-vms, " text)
#define SIX_SUBNET(text)                                                                                               \
    "networks: { nested-fun: { space: [10.0.0.0/22, 10.0.255.0/27, \"fd00:a::/48\"],\n"                                \
    "  subnets: { nat: { prefix6: \"fd00:a::/64\" }, " text " } } }\n"

static const struct expected nics[] = {
    {SIX_PC("address6: fd00:a:0:3::9"), "7", E, "\"address6\" is \"fd00:a:0:3::9\"", "fd00:a::4/64"},
    {SIX_PC("address6: 10.0.3.9/24"), "7", E, "\"address6\" is \"10.0.3.9/24\"", "a routable IPv6 address"},
    {SIX_PC("address6: \"fe80::1/64\""), "7", E, "\"address6\" is \"fe80::1/64\"", "a routable IPv6 address"},
    {SIX_PC("address6: \"ff02::1/64\""), "7", E, "\"address6\" is \"ff02::1/64\"", "a routable IPv6 address"},
    {SIX_PC("address6: \"::1/64\""), "7", E, "\"address6\" is \"::1/64\"", "a routable IPv6 address"},
    {SIX_PC("address: \"fd00::1/64\""), "7", E, "\"address\" is \"fd00::1/64\"", "an IPv4 address"},
    {SIX_PC("address6: \"fd00:a:0:3::9/64\", gateway: 10.0.3.1"), "7", E, "has \"gateway\", but no \"address\"", ""},
    {SIX_PC("address: 10.0.3.9/24, gateway6: \"fd00:a:0:3::1\""), "7", E, "has \"gateway6\", but no \"address6\"", ""},
    {SIX_PC("address6: \"fd00:a:0:3::9/64\", gateway6: 10.0.3.1"), "7", E, "\"gateway6\" is", "an IPv6 address"},
    {SIX_PC("address6: \"fd00:a:0:3::9/64\", gateway6: \"fd00:a:0:4::1\""), "7", F(NEXT_HOP), "not on its link",
     "fd00:a:0:3::/64"},
    {SIX_PC("address6: \"fd00:a:0:3::9/64\", gateway6: \"fd00:a:0:3::9\""), "7", F(NEXT_HOP), "its own gateway", ""},
    {SIX_PC("address6: \"fd00:a:0:4::9/64\", gateway6: none"), "7", F(OUTSIDE),
     "outside its subnet \"azure-vms\" fd00:a:0:3::", "fd00:a:0:3::4 to fd00:a:0:3:ffff:ffff:ffff:fffe"},
    {SIX_PC("address6: \"fd00:a:0:3::9/48\""), "7", F(OUTSIDE), "has length /48", "address6: fd00:a:0:3::9/64"},
    {SIX_PC("address6: \"fd00:a:0:3::3/64\""), "7", F(RESERVED_ADDRESS), "is reserved by the platform", "first four"},
    {SIX_PC("address6: \"fd00:a:0:3::9/64\" } } }, pc2: { nics: { e: { subnet: nested-fun/azure-vms, address6: "
            "\"fd00:a:0:3::9/64\""),
     "7", F(DUPLICATE_ADDRESS), "\"pc\" and NIC \"e\" of \"pc2\" both have address fd00:a:0:3::9", ""},
    {PC("subnet: nested-fun/azure-vms, address6: \"fd00:a:0:3::9/64\""), "4", F(OUTSIDE), "which has no IPv6",
     "\"prefix6\""},
    {PC("switch: nested-switch, address6: \"fd00::/64\""), "4", F(RESERVED_ADDRESS), "is the network address", ""},
    {"switches: { s2: {} }\n" PC("switch: s2, address6: \"fd00::5/64\" }, e1: { switch: s2, address6: \"fd01::5/64\""),
     "5", F(OUTSIDE), "switch \"s2\" carries fd00::/64", "eth0"},
    {PC("site: on-premises, address6: \"fd00::5/64\""), "4", F(OUTSIDE), "outside its site \"on-premises\"",
     "of this family"},
    {SIX PC("site: internet, address6: \"fd00:a:0:9::5/64\""), "7", F(OVERLAP), "belongs to network \"nested-fun\"",
     "outside fd00:a::/48"},
    {SIX HOST("nics: { NIC1: { address6: \"fd00:a::4/64\" }, e: { subnet: nested-fun/azure-vms,\n"
              "address6: \"fd00:a:0:3::5/64\" } }"),
     "7", W, "\"NIC1\" and \"e\" of \"hyperv\" both bring a default route of IPv6", "gateway6: none"},
    {NIC1("urpf: tight"), "4", E, "\"urpf\" is \"tight\"", "off, strict, loose, feasible"},
    {NIC1("urpf: off, rp_filter: 1"), "4", E, "both \"urpf\" and \"rp_filter\"", "keep one"},
    {NIC1("mtu: 67"), "4", E, "\"mtu\" is \"67\"", "68 to 65535"},
    {NIC1("mtu: 65536"), "4", E, "\"mtu\" is \"65536\"", "68 to 65535"},
    {SIX_PC("address6: \"fd00:a:0:3::9/64\", mtu: 1279"), "7", E, "MTU 1279 of NIC \"eth0\" is too small", "1280"},
    {NIC1("security_group: g"), "4", E, "no such security group", "there are: none"},
    {"switches: { s2: {} }\n" HOST("nics: { s2: { switch: s2, address6: \"fd00::1/64\" } }, nat: { outside: s2 }"), "5",
     E, "\"s2\", the NAT's outside, has no IPv4 address", "NAT is for IPv4"},
    {"switches: { s2: {} }\n" HOST("nics: { s2: { switch: s2, address6: \"fd00::1/64\" } },\n"
                                   "dhcp: [ { nic: s2, range: 10.9.0.2-10.9.0.3 } ]"),
     "6", F(DHCP), "\"s2\", which has no IPv4 address", "IPv4"},
};

static const struct expected networks[] = {
    {SIX_SUBNET("x: { prefix: 10.0.255.32/28 }"), "5", F(OUTSIDE), "is outside the space", "fd00:a::/48"},
    {SIX_SUBNET("azure-vms: { prefix6: \"fd00:b::/64\" }"), "azure-vms:", F(OUTSIDE),
     "\"azure-vms\" fd00:b::/64 is outside", "fd00:a::/48"},
    {SIX_SUBNET("azure-vms: { prefix6: \"fd00:a::/64\" }"), "azure-vms:", F(OVERLAP),
     "overlaps subnet \"nat\" fd00:a::/64", "must not share"},
    {SIX_SUBNET("azure-vms: { prefix6: \"fd00:a:0:3::/126\" }"), "azure-vms:", E, "of length /126 is too small",
     "/125"},
    {SIX_SUBNET("azure-vms: { prefix6: 10.0.3.0/24 }"), "5", E, "\"prefix6\" is \"10.0.3.0/24\"", "an IPv6 prefix"},
    {SIX_SUBNET("azure-vms: { prefix6: \"fd00:a:0:3::/80\" }"), "5", A, "has length /80", "/64"},
    {"networks: { n2: { space: [\"fd00:a::/32\", \"fd00:a:1::/48\"], subnets: {} } }\n", "4", F(OVERLAP),
     "fd00:a:1::/48 of network \"n2\" overlaps fd00:a::/32", "must not share"},
    {TABLE("prefix: \"fd00:c::/64\", next_hop: 10.0.1.4"), "4", E, "fd00:c:: and 10.0.1.4, of different families", ""},
    {TABLE("prefix: \"fd00:c::/64\", next_hop: \"fd00::77\""), "4", W, "fd00::77 of route \"new\" is no NIC", "lost"},
    {SITE("routes: { a: { prefix: 10.0.2.0/24 } }"), "4", A, "route \"a\" of site \"on-premises\"",
     "announces 10.0.0.0/22"},
    {SITE("routes: { a: { prefix: 192.168.0.0/24 }, b: { prefix: 192.168.0.0/24 } }"), "4", F(ROUTE),
     "route \"b\" is for 192.168.0.0/24, as is \"a\"", "remove it"},
    {SITE("routes: { a: { prefix: 172.16.0.0/22 } }"), "4", F(ROUTE), "as is \"on-premises\"", "remove it"},
    {SITE("routes: { a: { prefix: 192.168.0.1/24 } }"), "4", E, "host bits", "192.168.0.0/24"},
    {SITE("routes: { a: { prefix: 192.168.0.0/24, via: 10.0.1.4 } }"), "4", E, "unknown key \"via\"", "prefix"},
    {"sites: { internet: { routes: {} } }\n", "4", E, "the Internet has no \"routes\"", "remove it"},
    {TABLE("prefix: 192.168.50.0/24, next_hop: 10.0.1.4"), "on-premises:", W,
     "\"on-premises\" is not told of 192.168.50.0/24: the gateway announces the space of the network only",
     "routes: { new: { prefix: \"192.168.50.0/24\" } }"},
};

static const struct expected routes[] = {
    {ROUTE("prefix: \"fd00:c::/64\", via: 10.0.1.1, nic: NIC2"), "4", E, "of different families", "both"},
    {ROUTE("prefix: \"fd00:c::/64\", via: \"fd00:a::1\", nic: NIC2"), "4", F(NEXT_HOP),
     "is not on the link of NIC \"NIC2\"", "has no address of this family"},
    {SIX NIC1("address6: \"fd00:a::4/64\" } }, routes: { r: { prefix: \"fd00:c::/64\", via: \"fd00:b::1\", nic: NIC1"),
     "7", F(NEXT_HOP), "fd00:b::1 of route \"r\" is not on the link", "fd00:a::/64"},
    {SIX NIC1("address6: \"fd00:a::4/64\" } }, routes: { r: { prefix: \"fd00:a::4/128\", nic: NIC1"), "7", F(ROUTE),
     "for fd00:a::4/128, the machine's own address", "delivered"},
    {ROUTE("prefix: 1.0.0.0/8, nic: NIC2, table: 256"), "4", E, "\"table\" is \"256\"", "1 to 255"},
    {ROUTE("prefix: 1.0.0.0/8, nic: NIC2, table: 0"), "4", E, "\"table\" is \"0\"", "1 to 255"},
    {ROUTE("prefix: 1.0.0.0/8, nic: NIC2, table: 7"), "4", W, "in table 7, which no rule leads to", "\"table: 7\""},
    {RULE("priority: 5, table: 7"), "4", W, "leads to table 7, which has no route", "\"table: 7\""},
    {RULE("table: main"), "4", E, "\"priority\" is missing", "1 to 32765"},
    {RULE("priority: 32766, table: main"), "4", E, "\"priority\" is \"32766\"", "1 to 32765"},
    {RULE("priority: 5"), "4", E, "has neither \"table\" and \"kind\"", "table: NUMBER"},
    {RULE("priority: 5, table: main, kind: prohibit"), "4", E, "has both \"table\" and \"kind\"", "table: NUMBER"},
    {RULE("priority: 5, kind: unicast"), "4", E, "\"kind\" is \"unicast\"", "blackhole"},
    {RULE("priority: 5, table: main, nic: NIC7"), "4", E, "no such NIC of this machine", "\"NIC1\"?"},
    {RULE("priority: 5, table: main, from: 10.0.0.0/8, to: \"fd00::/8\""), "4", E, "of different families", ""},
    {HOST("rules: { a: { priority: 5, kind: prohibit, to: 1.0.0.0/8 }, b: { priority: 5, kind: prohibit,\n"
          "to: 1.0.0.0/8 } }"),
     "4", F(ROUTE), "rules \"a\" and \"b\" are the same", "remove one"},
};

static const struct expected groups[] = {
    {GROUP("new: { direction: in, access: allow }"), "5", E, "\"priority\" is missing", "100 to 4096"},
    {GROUP("new: { priority: 99, direction: in, access: allow }"), "5", E, "\"priority\" is \"99\"", "100 to 4096"},
    {GROUP("new: { priority: 100, access: allow }"), "5", E, "\"direction\" is missing", "in, out"},
    {GROUP("new: { priority: 100, direction: in, access: permit }"), "5", E, "\"access\" is \"permit\"", "allow, deny"},
    {SECURITY("proto: tpc"), "5", E, "\"proto\" is \"tpc\"", "tcp, udp, icmp"},
    {SECURITY("proto: 256"), "5", E, "\"proto\" is \"256\"", "1 to 255"},
    {SECURITY("to_ports: 90-80"), "5", E, "\"to_ports\" is \"90-80\"", "80-90"},
    {SECURITY("from_ports: 65536"), "5", E, "\"from_ports\" is \"65536\"", "80-90"},
    {SECURITY("proto: icmp, to_ports: 80"), "5", E, "names ports, but its protocol has none", "remove the ports"},
    {SECURITY("proto: 47, from_ports: 80"), "5", E, "names ports, but its protocol has none", "remove the ports"},
    {SECURITY("from: everybody"), "5", E, "\"from\" is \"everybody\"", "any, network, internet"},
    {SECURITY("to: [10.0.0.0/24, 10.0.0.1]"), "5", E, "\"to\" is \"10.0.0.1\"", "a prefix"},
    {SECURITY("to: [10.0.0.1/24]"), "5", E, "host bits", "10.0.0.0/24"},
    {SECURITY("from: []"), "5", E, "\"from\" is an empty list", "any, network"},
    {SECURITY("from: { a: 1 }"), "5", E, "\"from\" is a mapping", "any, network"},
    {SECURITY("from: [10.0.0.0/8, platform], to: \"fd00::/8\""), "5", E, "are of different families", "no packet"},
    {GROUP("b: { priority: 300, direction: in, access: allow }, x: { priority: 300, direction: out, access: allow },\n"
           "a: { priority: 300, direction: in, access: deny }"),
     "6", E, "rules \"b\" and \"a\" of group \"g\" both have priority 300 in", "must differ"},
    {"security_groups: { g: { rules: {} } }\n", "4", W, "nobody uses security group \"g\"", "\"security_group: g\""},
    {"security_groups: { g: { rules: {} } }\n" SUBNET("GatewaySubnet: { security_group: g }"), "GatewaySubnet:", W,
     "the gateway of site \"on-premises\" is there", "may stop working"},
    {"security_groups: { g: {} }\n" SUBNET("nat: { security_group: g }"), "4", E, "\"rules\" is missing", "by name"},
    {"security_groups: { g: { rules: {} } }\n" SUBNET("nat: { security_group: h }"), "5", E, "no such security group",
     "there are: g"},
};

#define EXPECT(table) expect_all(table, sizeof table / sizeof *table)

Test(complaints_more, nics) {
    EXPECT(nics);
}

Test(complaints_more, networks) {
    EXPECT(networks);
}

Test(complaints_more, routes_and_rules) {
    EXPECT(routes);
}

Test(complaints_more, security_groups) {
    EXPECT(groups);
}

/* N8: every address that is there twice is named, however many there are. */
Test(complaints_more, n8_addresses_handed_out_twice) {
    struct complaints c = {0};
    const char *text = VARIANT "switches: { s2: {} }\nmachines:\n"
                               "  pc: { nics: { a: { switch: s2, address: 10.0.2.99/24 },\n"
                               "                b: { switch: s2, address: 10.0.2.77/24 } } }\n"
                               "  second: { nics: { a: { switch: s2, address: 10.0.2.1/24 } },\n"
                               "            dhcp: [ { nic: a, range: 10.0.2.250-10.0.2.252 } ] }\n";
    static const char *const whats[] = {"two DHCP scopes hand out 10.0.2.250 to 10.0.2.252",
                                        "hands out 10.0.2.99, which NIC \"a\" of \"pc\" has",
                                        "hands out 10.0.2.77, which NIC \"b\" of \"pc\" has"};
    static const char *const abouts[] = {"10.0.2.250", "10.0.2.99", "10.0.2.77"};
    cr_expect_null(scenario_load_text(NESTED "variant.yaml", text, strlen(text), &c));
    for (size_t i = 0; i < 3; i++) {
        unsigned found = 0;
        struct ip about;
        ip_parse(abouts[i], &about);
        for (size_t k = 0; k < c.list.n; k++)
            found += c.list.v[k].fault == FAULT_DHCP && strstr(c.list.v[k].what, whats[i]) &&
                     ip_equal(&c.list.v[k].about.addr, &about) && c.list.v[k].about.len == 32;
        cr_expect_eq(found, 1, "%s: %u", whats[i], found);
    }
    complaints_fini(&c);
}

/* N12: what one site is not told of, each prefix once, in however many tables it stands; told routes cover it. */
Test(complaints_more, n12_what_a_site_is_not_told_of) {
    static const struct {
        const char *routes, *untold; /* NULL: nothing */
    } cases[] = {
        {"{}", "not told of 192.168.50.0/24, 192.168.60.0/24: the"},
        {"{ a: { prefix: 192.168.50.0/24 } }", "not told of 192.168.60.0/24: the"},
        {"{ a: { prefix: 192.168.60.0/25 } }", "not told of 192.168.50.0/24, 192.168.60.0/24: the"},
        {"{ a: { prefix: 192.168.0.0/16 } }", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct complaints c;
        char text[1024];
        snprintf(text, sizeof text,
                 VARIANT "route_tables:\n"
                         "  Routes-for-nested-VMs: { a: { prefix: 192.168.50.0/24, next_hop: 10.0.1.4 },\n"
                         "    default: { prefix: 0.0.0.0/0, next_hop: 10.0.1.4 },\n"
                         "    default6: { prefix: \"::/0\", next_hop: \"fd00::4\" },\n"
                         "    their-own: { prefix: 172.16.1.0/24, next_hop: 10.0.1.4 } }\n"
                         "  other: { a: { prefix: 192.168.50.0/24, next_hop: 10.0.1.4 },\n"
                         "    b: { prefix: 192.168.60.0/24, next_hop: 10.0.1.4 }, c: { prefix: 10.1.0.0/16,\n"
                         "    next_hop: none } }\n" SUBNET("nat: { route_table: other }") SITE("routes: %s"),
                 cases[i].routes);
        struct scenario *s = load_text(text, &c);
        unsigned found = 0, all = 0;
        for (size_t k = 0; k < c.list.n; k++) {
            all += strstr(c.list.v[k].what, "not told") != NULL;
            found += cases[i].untold && strstr(c.list.v[k].what, cases[i].untold);
        }
        cr_assert_not_null(s, "case %zu", i);
        cr_expect(all == (cases[i].untold != NULL) && found == all, "case %zu: %u of %u", i, found, all);
        scenario_destroy(s);
        complaints_fini(&c);
    }
}

/* The core has so many tables and no more. */
Test(complaints_more, tables_of_a_machine) {
    for (unsigned n = 15; n <= 16; n++) {
        struct complaints c;
        char text[4096] = VARIANT "machines: { hyperv: { routes: { ";
        for (unsigned i = 1; i <= n; i++)
            sprintf(text + strlen(text), "r%u: { prefix: 1.0.0.0/8, nic: NIC2, table: %u }, ", i, i);
        strcat(text, "}, rules: { ");
        for (unsigned i = 1; i <= n; i++)
            sprintf(text + strlen(text), "r%u: { priority: 7, table: %u }, ", i, i);
        strcat(text, "} } }\n");
        struct scenario *s = load_text(text, &c);
        cr_expect_eq(s != NULL, n == 15);
        cr_expect_eq(c.errors, n - 15);
        cr_expect(n == 15 || strstr(c.list.v[0].what, "has 16 route tables beside the main one"));
        scenario_destroy(s);
        complaints_fini(&c);
    }
}
