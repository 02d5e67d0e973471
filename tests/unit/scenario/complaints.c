/* SPDX-License-Identifier: BSD-3-Clause */
/* Each kind of complaint: its line, its words, its hint, and that it brings no others with it. */
#include "expect.h"

/* Of the form, not of the meaning. */
static const struct expected form[] = {
    {"\nmachnes: {}\n", "5", E, "unknown key \"machnes\"", "did you mean \"machines\"?"},
    {"zzzzzz: 1\n", "4", E, "unknown key \"zzzzzz\"", "allowed: fwdlab, name, title, base"},
    {NIC1("adress: 10.0.0.4/24"), "4", E, "unknown key \"adress\"", "\"address\""},
    {SUBNET("nat: { prefx: 10.0.0.0/24 }"), "4", E, "unknown key \"prefx\"", "\"prefix\""},
    {"switches: { nested-switch: { vlan: 1 } }\n", "4", E, "unknown key \"vlan\"", "nested-switch: {}"},
    {"machines:\n  hyperv:\n    router: maybe\n", "6", E, "\"router\" is \"maybe\"", "true or false"},
    {"machines:\n  guest1: [1]\n", "5", E, "\"guest1\" is a list", "a mapping"},
    {HOST("routes: 7"), "4", E, "\"routes\" is text", "routes by name"},
    {"networks: { nested-fun: { space: 10.0.0.0/22 } }\n", "4", E, "\"space\" is text", "[10.0.0.0/22]"},
    {"networks: { nested-fun: { space: [] } }\n", "4", E, "\"space\" is an empty list", "[10.0.0.0/22]"},
    {SUBNET("x: { prefix: 10.0.255.33/28 }"), "4", E, "\"10.0.255.33/28\", which has host bits set", "10.0.255.32/28"},
    {SUBNET("x: { prefix: 10.0.255.0 }"), "4", E, "\"prefix\" is \"10.0.255.0\"", "10.0.0.0/24"},
    {SUBNET("x: {}"), "4", E, "\"prefix\" is missing", "prefix: an IPv4 prefix"},
    {SUBNET("x: { prefix: \"fd00::/64\" }"), "4", E, "\"prefix\" is \"fd00::/64\"", "an IPv4 prefix"},
    {NIC1("address: 10.0.0.4"), "4", E, "\"address\" is \"10.0.0.4\"", "10.0.0.4/24"},
    {NIC1("address: 10.0.0.400/24"), "4", E, "\"address\" is \"10.0.0.400/24\"", "10.0.0.4/24"},
    {NIC1("address: 10.0.0.4/33"), "4", E, "\"address\" is \"10.0.0.4/33\"", "10.0.0.4/24"},
    {NIC1("address: null"), "NIC1:", E, "\"address\" is missing", "10.0.0.4/24"},
    {NIC1("mac: \"01:00:5e:00:00:01\""), "4", E, "\"mac\" is \"01:00:5e:00:00:01\"", "unicast"},
    {NIC1("rp_filter: 3"), "4", E, "\"rp_filter\" is \"3\"", "0 to 2"},
    {NIC1("gateway: nowhere"), "4", E, "\"gateway\" is \"nowhere\"", "an IPv4 address"},
    {NIC1("capture: \"\""), "4", E, "\"capture\" is \"\"", "name of an interface"},
    {NIC1("switch: nested-switch"), "NIC1:", E, "NIC \"NIC1\" is on several of", "one of \"subnet:"},
    {PC("address: 10.0.3.9/24"), "4", E, "NIC \"eth0\" is on nothing", "one of \"subnet:"},
    {PC("subnet: nested-fun/azure-vm, address: 10.0.3.9/24"), "4", E, "no such subnet", "\"nested-fun/azure-vms\"?"},
    {PC("switch: basement, address: 10.0.3.9/24"), "4", E, "no such switch", "there are: nested-switch"},
    {PC("site: mars, address: 10.0.3.9/24"), "4", E, "no such site", "there are: internet, on-premises"},
    {SUBNET("nat: { route_table: other }"), "4", E, "no such route table", "there are: Routes-for-nested-VMs"},
    {SUBNET("azure-vms: { route_table: null }") "route_tables: null\n", "GatewaySubnet:", E, "no such route table",
     "there are: none"},
    {"sites: { lab: { prefixes: [192.168.0.0/24], gateway: nat } }\n", "4", E, "no such subnet", "nested-fun/nat"},
    {"sites: { lab: { prefixes: [192.168.0.0/24] } }\n", "4", E, "\"gateway\" is missing", "network/subnet"},
    {"sites: { internet: { prefixes: [1.0.0.0/8] } }\n", "4", E, "the Internet has no \"prefixes\"", "remove it"},
    {"node: hyper\n", "4", E, "no such machine", "\"hyperv\"?"},
    {"machines: { \"a/b\": { nics: {} } }\n", "4", E, "\"a/b\" cannot be the name of a machine", "neither \"/\""},
    {ROUTE("prefix: 1.0.0.0/8, nic: NIC3"), "4", E, "no such NIC of this machine", "did you mean \"NIC1\"?"},
    {ROUTE("prefix: 1.0.0.0/8"), "4", E, "\"nic\" is missing", "the name of a NIC"},
    {ROUTE("prefix: 1.0.0.0/8, kind: blackhole, nic: NIC1"), "4", E, "leads nowhere", "remove these"},
    {ROUTE("prefix: 1.0.0.0/8, kind: blackhol"), "4", E, "\"kind\" is \"blackhol\"", "\"blackhole\"?"},
    {ROUTE("prefix: 1.0.0.0/8, nic: NIC2, metric: -1"), "4", E, "\"metric\" is \"-1\"", "0 to 4294967295"},
    {ROUTE("prefix: 1.0.0.0/8, nic: NIC2, metric: 4294967296"), "4", E, "\"metric\"", "0 to 4294967295"},
    {HOST("nat: { outside: NIC9 }"), "4", E, "\"outside\" is \"NIC9\"", "\"NIC1\"?"},
    {HOST("nat: { outside: null }"), "nat:", E, "\"outside\" is missing", "the name of a NIC"},
    {HOST("nat: { personality: nat }"), "4", E, "\"personality\" is \"nat\"", "allowed: interface, conntrack"},
    {HOST("nat: { ports: 2000-1000 }"), "4", E, "\"ports\" is \"2000-1000\"", "1024-65535"},
    {HOST("nat: { max_sessions: 0 }"), "4", E, "\"max_sessions\"", "1 to 16777216"},
    {HOST("nat: { timers: { upd: 3 } }"), "4", E, "unknown key \"upd\"", "\"udp\""},
    {HOST("nat: { addresses: [] }"), "4", E, "\"addresses\" has 0 of them", "1 to 1024"},
    {MAP("proto: sctp, port: 1, to: \"10.0.2.2:1\""), "4", E, "\"proto\" is \"sctp\"", "tcp, udp"},
    {MAP("proto: tcp, port: 0, to: \"10.0.2.2:1\""), "4", E, "\"port\" is \"0\"", "1 to 65535"},
    {MAP("proto: tcp, port: 1, to: 10.0.2.2"), "4", E, "\"to\" is \"10.0.2.2\"", "10.0.2.2:80"},
    {SCOPE("nic: switch, range: 10.0.2.9-10.0.2.2"), "4", E, "\"range\"", "first and the last"},
    {SCOPE("nic: swich, range: 10.0.2.2-10.0.2.9"), "4", E, "\"nic\" is \"swich\"", "\"switch\"?"},
    {TABLE("prefix: 1.0.0.0/8, next_hop: appliance"), "4", E, "\"next_hop\" is \"appliance\"", "network, internet"},
    {"title: one\ntitle: two\n", "5", E, "key \"title\" is here twice", "line 4"},
    {"title: [\n", "5", E, "not YAML", ""},
    {"title: !x y\n", "4", E, "the tag \"!x\"", "remove it"},
    {"title: *nowhere\n", "4", E, "alias *nowhere", "&nowhere"},
    {"title: \"a\\0b\"\n", "4", E, "a NUL byte", ""},
    {"? [a]\n: b\n", "4", E, "a key that is not text", ""},
    {"---\nfwdlab: 1\n", "4", E, "a second document", "a file of its own"},
    {HOST("routes: { Route1: null }"), "4", W, "null removes \"Route1\"", "did you mean \"Route 1\"?"},
};

/* Of the meaning. */
static const struct expected meaning[] = {
    {SUBNET("x: { prefix: 10.9.0.0/24 }"), "4", F(OUTSIDE),
     "\"x\" 10.9.0.0/24 is outside the space of network \"nested-fun\"", "10.0.0.0/22, 10.0.255.0/27"},
    {SUBNET("x: { prefix: 10.0.1.128/25 }"), "4", F(OVERLAP), "overlaps subnet \"hyper-v-lan\" 10.0.1.0/24",
     "routed.yaml:"},
    {SUBNET("x: { prefix: 10.0.255.0/30 }"), "4", E, "of length /30 is too small", "/29 or larger"},
    {"networks: { n2: { space: [10.0.2.0/23], subnets: {} } }\n", "4", F(OVERLAP),
     "10.0.2.0/23 of network \"n2\" overlaps 10.0.0.0/22 of network \"nested-fun\"", "routed.yaml:"},
    {"sites: { lab: { prefixes: [172.16.1.0/24], gateway: nested-fun/GatewaySubnet } }\n", "4", F(OVERLAP),
     "172.16.1.0/24 of site \"lab\" overlaps 172.16.0.0/22 of site \"on-premises\"", "must not share"},
    {"networks: { lan: { space: [10.7.0.0/16], subnets: {} } }\n", "4", E, "cannot be called \"lan\"", ""},
    {"sites: { net2: { internet: true } }\n", "4", E, "\"net2\" is a second Internet", "\"internet\""},
    {"sites: { lab: { prefixes: [192.168.0.0/24], gateway: nested-fun/nat } }\n", "4", E, "joined at two subnets",
     "\"GatewaySubnet\" too"},
    {"sites: { network: { prefixes: [192.168.0.0/24], gateway: nested-fun/GatewaySubnet } }\n", "4", E,
     "cannot be called \"network\"", ""},
    {"sites: { guest1: { prefixes: [192.168.0.0/24], gateway: nested-fun/GatewaySubnet } }\n", "4", E,
     "name of a machine", "routed.yaml:"},
    {PC("subnet: nested-fun/azure-vms, address: 10.0.1.9/24, gateway: none"), "4", F(OUTSIDE),
     "is outside its subnet \"azure-vms\"", "10.0.3.4 to 10.0.3.254"},
    {PC("subnet: nested-fun/azure-vms, address: 10.0.3.9/23"), "4", F(OUTSIDE), "has length /23", "10.0.3.9/24"},
    {PC("subnet: nested-fun/azure-vms, address: 10.0.3.3/24"), "4", F(RESERVED_ADDRESS),
     "10.0.3.3 of NIC \"eth0\" is reserved", "first four"},
    {PC("subnet: nested-fun/azure-vms, address: 10.0.3.255/24"), "4", F(RESERVED_ADDRESS), "is reserved",
     "10.0.3.4 to 10.0.3.254"},
    {SUBNET("azure-vms: { floating: true }"), "azure-vm: ", F(RESERVED_ADDRESS), "a floating subnet", "routes only"},
    {PC("subnet: nested-fun/azure-vms, address: 10.0.3.4/24"), "4", F(DUPLICATE_ADDRESS), "both have address 10.0.3.4",
     "routed.yaml:"},
    {PC("switch: nested-switch, address: 10.0.9.9/24"), "4", F(OUTSIDE), "switch \"nested-switch\" carries 10.0.2.0/24",
     "hyperv"},
    {PC("switch: nested-switch, address: 10.0.2.9/25"), "4", F(OUTSIDE), "is in 10.0.2.0/25, but switch",
     "of 10.0.2.0/24"},
    {PC("switch: nested-switch, address: 10.0.2.0/24"), "4", F(RESERVED_ADDRESS), "is the network address", ""},
    {PC("site: on-premises, address: 172.17.0.1/22"), "4", F(OUTSIDE), "outside its site \"on-premises\"",
     "172.16.0.0/22"},
    {PC("site: internet, address: 10.0.1.77/32"), "4", F(OVERLAP), "belongs to network \"nested-fun\"",
     "outside 10.0.0.0/22"},
    {PC("switch: nested-switch, address: 10.0.2.9/24, gateway: 10.0.3.1"), "4", F(NEXT_HOP), "not on its link",
     "10.0.2.0/24"},
    {PC("switch: nested-switch, address: 10.0.2.9/24, gateway: 10.0.2.9"), "4", F(NEXT_HOP), "its own gateway", ""},
    {PC("subnet: nested-fun/azure-vms, address: 10.0.3.9/24, mac: \"02:0a:00:00:00:04\""), "4", W, "same MAC address",
     ""},
    {PC("subnet: nested-fun/azure-vms, address: 10.0.3.9/24, capture: nic2"), "4", E, "both interface \"nic2\"", ""},
    {HOST("nics: { NIC3: { subnet: nested-fun/nat, address: 10.0.0.9/24, gateway: none } }"), "4", F(SAME_SUBNET),
     "are in the same subnet \"nat\"", "different subnets"},
    {HOST("nics: { NIC2: { gateway: 10.0.1.1 } }"), "NIC2:", W, "both bring a default route", "gateway: none"},
    {ROUTE("prefix: 1.0.0.0/8, via: 10.0.3.1, nic: NIC2"), "4", F(NEXT_HOP),
     "10.0.3.1 of route \"new\" is not on the link", "10.0.1.0/24"},
    {ROUTE("prefix: 1.0.0.0/8, via: 10.0.1.4, nic: NIC2"), "4", F(NEXT_HOP), "the machine itself", "neighbour"},
    {ROUTE("prefix: 1.0.0.0/8, via: 10.0.2.77, nic: switch"), "4", W, "nobody on NIC \"switch\"'s switch has 10.0.2.77",
     ""},
    {ROUTE("prefix: 10.0.0.0/24, via: 10.0.0.1, nic: NIC1, metric: 256"), "4", F(ROUTE),
     "\"Route 1\" and \"new\" are the same", ""},
    {ROUTE("prefix: 10.0.1.4/32, via: 10.0.0.1, nic: NIC1"), "4", F(ROUTE), "the machine's own address", "delivered"},
    {TABLE("prefix: 10.0.2.0/24, next_hop: none"), "4", F(ROUTE), "\"Nested-VMs\" and \"new\" of table", "remove one"},
    {TABLE("prefix: 1.0.0.0/8, next_hop: 10.0.1.77"), "4", W, "10.0.1.77 of route \"new\" is no NIC", "lost"},
    {TABLE("prefix: 1.0.0.0/8, next_hop: 10.0.0.4"), "4", W, "NIC \"NIC1\" of \"hyperv\" has IP forwarding off",
     "the platform will drop what is routed to it"},
    {"machines: { azure-vm: { nics: { eth0: { ip_forwarding: true } } } }\n" TABLE(
         "prefix: 1.0.0.0/8, next_hop: 10.0.3.4"),
     "5", W, "\"azure-vm\", which is no router", "router: true"},
    {"sites: { internet: null }\nmachines: { web-server: null, echo-server: null, platform-dns: null }\n" TABLE(
         "prefix: 1.0.0.0/8, next_hop: internet"),
     "6", W, "leads to the Internet, but the scenario has none", "internet: true"},
    {MAP("proto: tcp, port: 8080, to: \"10.0.2.3:80\""), "4", W,
     "\"guest1-web\" and \"new\" both want outside port 8080/tcp", "\"guest1-web\" wins"},
    {MAP("proto: tcp, port: 9, to: \"10.0.9.9:9\""), "4", W, "10.0.9.9, an address that nobody has", "behind the NAT"},
    {TABLES_OFF HOST("router: false"), "nat:", W, "\"hyperv\" has NAT, but is no router", ""},
    {SCOPE("nic: switch, range: 10.0.2.2-10.0.3.1"), "4", F(DHCP), "reaches outside 10.0.2.0/24", "10.0.2.0/24 only"},
    {SCOPE("nic: switch, range: 10.0.2.1-10.0.2.9"), "4", F(DHCP), "hands out 10.0.2.1, which NIC \"switch\"",
     "own address"},
    {SCOPE("nic: switch, range: 10.0.2.2-10.0.2.255"), "4", F(DHCP), "hands out the broadcast address", ""},
    {SCOPE("nic: switch, range: 10.0.2.2-10.0.2.9, router: 10.0.2.5"), "4", F(DHCP), "its router's address 10.0.2.5",
     ""},
    {SCOPE("nic: switch, range: 10.0.2.2-10.0.2.9, router: 10.9.9.9"), "4", F(DHCP), "router 10.9.9.9", "10.0.2.1"},
    {SCOPE("nic: NIC2, range: 10.0.1.9-10.0.1.20"), "4", F(DHCP), "in a network's subnet", "on a switch"},
    {HOST("dhcp: [ { nic: switch, range: 10.0.2.2-10.0.2.9 }, { nic: switch, range: 10.0.2.9-10.0.2.20 } ]"), "4",
     F(DHCP), "two DHCP scopes hand out 10.0.2.9", "distinct"},
    {"switches: { s2: {} }\n" PC("switch: s2, address: 10.0.2.99/24"), "- { nic: switch", F(DHCP),
     "hands out 10.0.2.99, which NIC \"eth0\" of \"pc\"", "elsewhere"},
};

Test(complaints, form) {
    expect_all(form, sizeof form / sizeof *form);
}

Test(complaints, meaning) {
    expect_all(meaning, sizeof meaning / sizeof *meaning);
}

Test(complaints, many_in_one_run_in_order_of_lines) {
    struct complaints c;
    struct scenario *s = load_text(VARIANT "nodee: hyperv\nmachines:\n  hyperv: { routr: true }\n  pc:\n    nics:\n"
                                           "      a: { subnet: nested-fun/nat, address: 10.0.0.2/24 }\n"
                                           "      b: { subnet: nested-fun/nat, address: 10.0.0.x/24 }\n",
                                   &c);
    const unsigned lines[] = {4, 6, 9, 10};
    cr_assert_null(s);
    unsigned n = 0;
    for (size_t i = 0; i < c.list.n; i++) {
        if (c.list.v[i].severity != SEVERITY_ERROR)
            continue;
        cr_assert_lt(n, 4);
        cr_expect_eq(c.list.v[i].at.line, lines[n], "%u: %s", c.list.v[i].at.line, c.list.v[i].what);
        cr_expect(*c.list.v[i].hint, "%s has no hint", c.list.v[i].what);
        n++;
    }
    cr_expect_eq(n, 4);
    complaints_fini(&c);
}

Test(complaints, version_and_content) {
    static const struct {
        const char *text, *what;
        unsigned line;
    } cases[] = {
        {"", "the file is empty", 1},
        {"# nothing\n", "the file is empty", 1},
        {"- a\n", "a list where the keys of a scenario should stand", 1},
        {"name: x\nmachines: {}\n", "the version of the format is missing", 1},
        {"name: x\nfwdlab: 2\nmachines: {}\n", "this version of the format is not known", 2},
        {"fwdlab: 1\nname: x\n", "\"machines\" is missing", 1},
        {"fwdlab: 1\nmachines: {}\n", "\"name\" is missing", 1},
        {"fwdlab: 1\nname: a b\nmachines: {}\n", "\"name\" is \"a b\"", 2},
        {"fwdlab: 1\nname: x\nbase: [routed.yaml]\nmachines: {}\n", "\"base\" is a list", 3},
        {"fwdlab: 1\nname: x\nbase: /dev/zero\n", "the base /dev/zero is no regular file", 3},
        {"fwdlab: 1\nname: x\nbase: absent.yaml\n", "the base cannot be read", 3},
        {"fwdlab: 1\nname: x\ntitle: \"\xff\"\n", "not YAML", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct complaints c;
        cr_expect_null(load_text(cases[i].text, &c));
        cr_assert_eq(c.errors, 1, "case %zu: %u errors", i, c.errors);
        cr_expect(strstr(c.list.v[0].what, cases[i].what), "case %zu: %s", i, c.list.v[0].what);
        cr_expect_eq(c.list.v[0].at.line, cases[i].line, "case %zu: line %u", i, c.list.v[0].at.line);
        complaints_fini(&c);
    }
}
