/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv6 beside IPv4, policy rules, security groups, a site's static route: laid over routed.yaml, line by line. */
#ifndef TESTS_SCENARIO_DUAL_H
#define TESTS_SCENARIO_DUAL_H

#define DUAL_NETWORK                                                                                                   \
    "networks:\n"                                                                                                      \
    "  nested-fun:\n"                                                                                                  \
    "    space: [10.0.0.0/22, 10.0.255.0/27, \"fd00:a::/48\"]\n"                                                       \
    "    subnets:\n"                                                                                                   \
    "      nat: { prefix6: \"fd00:a::/64\" }\n"                                                                        \
    "      hyper-v-lan: { prefix6: \"fd00:a:0:1::/64\" }\n"                                                            \
    "      ghosted: { prefix6: \"fd00:a:0:2::/64\" }\n"                                                                \
    "      azure-vms: { prefix6: \"fd00:a:0:3::/64\", security_group: web }\n"                                         \
    "      GatewaySubnet: { prefix6: \"fd00:a:0:ff::/64\" }\n"
#define DUAL_TABLES                                                                                                    \
    "route_tables:\n"                                                                                                  \
    "  Routes-for-nested-VMs:\n"                                                                                       \
    "    Nested-VMs-6: { prefix: \"fd00:a:0:2::/64\", next_hop: \"fd00:a:0:1::4\" }\n"                                 \
    "    Outside: { prefix: 192.168.50.0/24, next_hop: 10.0.1.4 }\n"
#define DUAL_GROUPS                                                                                                    \
    "security_groups:\n"                                                                                               \
    "  web:\n"                                                                                                         \
    "    rules:\n"                                                                                                     \
    "      no-ssh: { priority: 300, direction: in, access: deny, proto: tcp, from: internet, to_ports: \"22\" }\n"     \
    "      web: { priority: 200, direction: in, access: allow, proto: tcp, from: [network, 10.0.2.0/24],\n"            \
    "             to: \"10.0.3.0/24\", from_ports: any, to_ports: 80-90 }\n"                                           \
    "      out: { priority: 200, direction: out, access: allow, proto: icmp, to: \"fd00:a::/48\" }\n"                  \
    "      gre: { priority: 4096, direction: out, access: deny, proto: 47, to: platform }\n"
#define DUAL_SITES                                                                                                     \
    "sites:\n"                                                                                                         \
    "  on-premises:\n"                                                                                                 \
    "    prefixes: [172.16.0.0/22, \"fd00:ac10::/48\"]\n"                                                              \
    "    routes: { Outside guests: { prefix: 192.168.50.0/24 } }\n"
#define DUAL_HOST                                                                                                      \
    "machines:\n"                                                                                                      \
    "  hyperv:\n"                                                                                                      \
    "    nics:\n"                                                                                                      \
    "      NIC1: { address6: \"fd00:a::4/64\", gateway6: none, urpf: strict }\n"                                       \
    "      NIC2: { address6: \"fd00:a:0:1::4/64\", urpf: feasible, mtu: 1400, security_group: web }\n"                 \
    "      switch: { address6: \"fd00:a:0:2::1/64\" }\n"                                                               \
    "    routes:\n"                                                                                                    \
    "      Route 1-6: { prefix: \"fd00:a::/64\", via: \"fd00:a::1\", nic: NIC1, metric: 256 }\n"                       \
    "      Guests out: { prefix: 0.0.0.0/0, via: 10.0.1.1, nic: NIC2, table: 100 }\n"                                  \
    "    rules:\n"                                                                                                     \
    "      guests: { priority: 1000, from: 10.0.2.0/24, nic: switch, table: 100 }\n"                                   \
    "      nobody: { priority: 900, from: \"fd00:bad::/32\", kind: prohibit }\n"                                       \
    "      rest: { priority: 2000, table: main }\n"
#define DUAL_MACHINES                                                                                                  \
    "  guest1: { nics: { eth0: { address6: \"fd00:a:0:2::2/64\", gateway6: \"fd00:a:0:2::1\" } } }\n"                  \
    "  six: { nics: { eth0: { subnet: nested-fun/azure-vms, address6: \"fd00:a:0:3::6/64\", rp_filter: 2 } } }\n"      \
    "  last: { nics: { eth0: { switch: nested-switch, address6: \"fd00:a:0:2:ffff:ffff:ffff:ffff/64\" } } }\n"         \
    "  web-6: { nics: { eth0: { site: internet, address6: \"2001:db8:113::10/64\" } } }\n"                             \
    "  pc-6: { nics: { eth0: { site: on-premises, address6: \"fd00:ac10::10/64\" } } }\n"

#define DUAL_OVER DUAL_NETWORK DUAL_TABLES DUAL_GROUPS DUAL_SITES DUAL_HOST DUAL_MACHINES

#endif
