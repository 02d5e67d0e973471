/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A scenario: what is wired to what, as plain structs, checked. The YAML form is described in traces/README.md.
 *
 * A variant names its base (`base: FILE`, relative to itself) and holds only what differs: it is merged over the base
 * as RFC 7396 merges JSON (mappings are merged by name, null removes, anything else replaces). Every element remembers
 * the file and line that said it.
 */
#ifndef FWDLAB_SCENARIO_SCENARIO_H
#define FWDLAB_SCENARIO_SCENARIO_H

#include <stdbool.h>
#include <stdio.h>
#include <fwdlab/base/addr.h>
#include <fwdlab/base/vec.h>

struct place {
    const char *file; /* as it was opened */
    unsigned line;    /* from 1 */
};

#define INDEX_NONE UINT32_MAX

struct scenario_subnet {
    struct place at;
    const char *name;
    uint32_t network;            /* index */
    struct ip_prefix prefix;
    struct ip gateway;           /* first usable address of the prefix */
    struct ip_prefix prefix6;    /* addr.family FAMILY_NONE: no IPv6 */
    struct ip gateway6;
    uint32_t security_group;     /* index, INDEX_NONE */
    bool floating;               /* carries routes only: no machine of the network is deployed there */
    uint32_t route_table;        /* index, INDEX_NONE */
};

struct scenario_network {
    struct place at;
    const char *name;
    VEC(struct ip_prefix) space;
    uint32_t first_subnet, n_subnets; /* in scenario.subnets */
};

/* A security group: its rules by priority, then the platform's default rules (which control adds). */
enum endpoint_kind { ENDPOINT_ANY, ENDPOINT_PREFIX, ENDPOINT_NETWORK, ENDPOINT_INTERNET, ENDPOINT_PLATFORM };
struct scenario_endpoint {
    uint8_t kind;            /* enum endpoint_kind: NETWORK is everything that the network reaches without the Internet:
                                its space, what its gateway and its route tables lead to; PLATFORM 168.63.129.16 */
    struct ip_prefix prefix; /* ENDPOINT_PREFIX */
};
struct scenario_security_rule {
    struct place at;
    const char *name;
    uint32_t priority;       /* 100..4096, distinct in a group and direction; the lowest decides */
    bool inbound, allow;
    uint8_t proto;           /* 0 any; icmp means ICMPv6 too */
    VEC(struct scenario_endpoint) from, to; /* never empty */
    struct scenario_ports { uint16_t first, last; } from_ports, to_ports; /* host order; 0, 65535: any */
};
struct scenario_security_group {
    struct place at;
    const char *name;
    uint32_t first_rule, n_rules; /* in scenario.security_rules; inbound and outbound mixed, by priority */
};

enum next_hop_kind { NEXT_HOP_APPLIANCE, NEXT_HOP_NETWORK, NEXT_HOP_INTERNET, NEXT_HOP_GATEWAY, NEXT_HOP_NONE };
struct scenario_user_route { /* of a route table of the platform */
    struct place at;
    const char *name;
    uint32_t table;
    struct ip_prefix prefix;
    uint8_t kind;        /* enum next_hop_kind */
    struct ip next_hop;  /* NEXT_HOP_APPLIANCE */
};
struct scenario_route_table {
    struct place at;
    const char *name;
    uint32_t first_route, n_routes; /* in scenario.user_routes */
};

struct scenario_switch {
    struct place at;
    const char *name;
};

struct scenario_site_route {
    struct place at;
    const char *name;
    struct ip_prefix prefix;
};
/* A place outside the networks, with a router of its own. */
struct scenario_site {
    struct place at;
    const char *name;
    VEC(struct ip_prefix) prefixes;
    uint32_t gateway_subnet; /* subnet whose gateway it is joined to; INDEX_NONE: the Internet, joined to every one */
    VEC(struct scenario_site_route) routes; /* static ones of its router, towards the gateway: for ranges that the
                                               gateway does not announce (it announces its network's space) */
};

enum nic_on { NIC_ON_SUBNET, NIC_ON_SWITCH, NIC_ON_SITE };
struct scenario_nic {
    struct place at;
    const char *name;
    uint32_t machine;
    uint8_t on;          /* enum nic_on */
    uint32_t on_index;   /* subnet, switch or site */
    struct ip addr;      /* IPv4; FAMILY_NONE: has IPv6 only */
    uint8_t len;         /* of its connected network */
    bool connected;      /* has the connected route of `len`; false: only an on-link host route to its gateway */
    struct ip gateway;   /* FAMILY_NONE: none. Default of a NIC on a subnet: the subnet's; on a site: none needed */
    struct ip addr6;     /* IPv6; FAMILY_NONE: none. `connected` holds for both families */
    uint8_t len6;
    struct ip gateway6;  /* defaults as `gateway` */
    bool default_route6;
    bool default_route;  /* brings the machine's default route: through `gateway`, on a site without one on link */
    bool has_mac;
    struct mac mac;
    bool ip_forwarding;  /* the platform lets it send and receive for addresses that are not its own */
    uint8_t rpf;         /* 0 off, 1 strict, 2 loose, 3 feasible: enum rpf_mode of the core */
    uint16_t mtu;        /* 0: any length passes */
    uint32_t security_group; /* index, INDEX_NONE */
    const char *capture; /* name of the capture's interface that is this NIC; NULL */
    uint32_t first_source, n_sources; /* in scenario.sources: what arrives here, where a capture tells no interfaces */
};

struct scenario_static_route {
    struct place at;
    const char *name;    /* "Route 1" */
    uint32_t machine, nic; /* nic: index in scenario.nics; INDEX_NONE for the refusing kinds */
    struct ip_prefix prefix;
    struct ip via;       /* FAMILY_NONE: on link */
    uint32_t metric;
    uint8_t kind;        /* 0 unicast, 1 blackhole, 2 unreachable, 3 prohibit */
    uint32_t table;      /* number of the machine's route table; 0: the main one */
};

struct scenario_rule { /* policy routing of a machine (core/rules.h) */
    struct place at;
    const char *name;
    uint32_t machine;
    uint32_t priority;         /* 1..32765 */
    uint8_t family;            /* of its prefixes; FAMILY_NONE: both */
    struct ip_prefix from, to; /* addr.family FAMILY_NONE: any */
    uint32_t nic;              /* index in scenario.nics; INDEX_NONE: any */
    uint8_t kind;              /* 0: look into `table`; else as scenario_static_route.kind */
    uint32_t table;            /* as scenario_static_route.table */
};

struct scenario_port_map {
    struct place at;
    const char *name;
    uint8_t proto;       /* 6 tcp, 17 udp */
    struct ip address;   /* outside; by default the NAT's first */
    uint16_t port;       /* outside, host order */
    struct ip to;
    uint16_t to_port;    /* host order */
};

struct scenario_nat {
    struct place at;
    uint32_t machine, outside; /* outside: index in scenario.nics */
    bool conntrack;      /* personality: conntrack, else interface */
    VEC(struct ip) addresses; /* outside, at most 1024; default: the outside NIC's */
    uint16_t port_min, port_max; /* host order */
    uint32_t max_sessions;
    bool hairpin, hold_fragments; /* default: true with personality interface, else false */
    /* The next ones are as zero with personality conntrack; meanings as in core/nat.h. */
    uint8_t mapping, filtering;  /* index in nat_behaviour_names */
    bool random_ports, parity, arbitrary_pooling, outbound_refresh_only, hold_syns;
    uint32_t port_block, blocks_per_client, sessions_per_client, ports_per_client; /* 0: not said */
    uint32_t session_rate_per_client, port_rest; /* sessions/s; s; 0: not said */
    VEC(struct ip_prefix) untranslated; /* IPv4, at most 64 */
    struct {
        uint32_t tcp_established, tcp_transitory, tcp_closing, udp, udp_stream, icmp, other;
    } timers; /* s; 0 default */
    VEC(struct scenario_port_map) port_maps;
};

extern const char *const nat_behaviour_names[]; /* in the order of enum nat_behaviour of the core; ends with NULL */

struct scenario_dhcp {
    struct place at;
    uint32_t machine, nic;
    struct ip first, last, router;
    VEC(struct ip) dns;
};

struct scenario_machine {
    struct place at;
    const char *name;
    bool router;
    uint32_t first_nic, n_nics;      /* in scenario.nics */
    uint32_t first_route, n_routes;  /* in scenario.static_routes */
    uint32_t first_rule, n_rules;    /* in scenario.rules */
    uint32_t nat;                    /* in scenario.nats; INDEX_NONE */
};

struct scenario {
    const char *file, *name, *title;
    const char *trace;      /* the capture that belongs to it, path resolved; NULL */
    uint32_t node;          /* machine under test; INDEX_NONE */
    VEC(struct scenario_network) networks;
    VEC(struct scenario_subnet) subnets;
    VEC(struct scenario_route_table) route_tables;
    VEC(struct scenario_user_route) user_routes;
    VEC(struct scenario_switch) switches;
    VEC(struct scenario_site) sites;
    VEC(struct scenario_machine) machines;
    VEC(struct scenario_nic) nics;
    VEC(struct ip_prefix) sources;
    VEC(struct scenario_static_route) static_routes;
    VEC(struct scenario_rule) rules;
    VEC(struct scenario_security_group) security_groups;
    VEC(struct scenario_security_rule) security_rules;
    VEC(struct scenario_nat) nats;
    VEC(struct scenario_dhcp) dhcps;
    bool forced;            /* loaded in spite of faults */
    struct arena *arena;    /* holds all text */
};

enum severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_ADVICE };
/* Faults of a design, not of a file: what it says is understood, and cannot be right. */
enum fault {
    FAULT_NONE,
    FAULT_OVERLAP,           /* two networks, sites or subnets share addresses */
    FAULT_OUTSIDE,           /* a subnet outside its network's space, an address outside its subnet or switch network */
    FAULT_DUPLICATE_ADDRESS, /* two NICs have one address */
    FAULT_RESERVED_ADDRESS,  /* the platform's own, or a machine on a floating subnet */
    FAULT_SAME_SUBNET,       /* two NICs of a router in one subnet */
    FAULT_NEXT_HOP,          /* not on link, or the machine itself */
    FAULT_DHCP,              /* a scope that leaves its network or hands out what somebody has */
    FAULT_ROUTE,             /* routes that contradict each other or the machine's own address */
    FAULT_COUNT
};
const char *fault_name(enum fault f); /* overlap, outside, duplicate-address, ... */

struct complaint {
    struct place at;
    enum severity severity;
    enum fault fault;
    struct ip_prefix about; /* the addresses that a fault concerns; addr.family FAMILY_NONE: none in particular */
    const char *what, *hint; /* hint: what would be right; may be "" */
};
struct complaints {
    VEC(struct complaint) list;
    unsigned errors;         /* how many are SEVERITY_ERROR */
    unsigned faults;         /* how many of the errors are faults of the design */
    struct arena *arena;
};

/*
 * Reads a file and its bases. Goes on after a fault, to complain about all of them in one run. Returns NULL when there
 * is an error among the complaints; warnings and advice alone still give a scenario. Complaints stay the caller's.
 */
struct scenario *scenario_load(const char *path, struct complaints *out);
/* The same, but faults alone give a scenario too (`forced` says so): analysed as it stands, the first of two owners of
 * an address or prefix has it. */
struct scenario *scenario_load_forced(const char *path, struct complaints *out);
/* The same from memory (fuzzing, tests): `path` names it; a base is looked for beside it. */
struct scenario *scenario_load_text(const char *path, const char *text, size_t len, struct complaints *out);
struct scenario *scenario_load_text_forced(const char *path, const char *text, size_t len, struct complaints *out);
void scenario_destroy(struct scenario *s);
void complaints_fini(struct complaints *c);
/* Adds one, without a hint. The text and the file's name are copied. */
void complain(struct complaints *c, struct place at, enum severity s, const char *what, ...)
    __attribute__((format(printf, 4, 5)));
/* Makes the newest complaint a fault of the design; `about` may be NULL. */
void complain_fault(struct complaints *c, enum fault f, const struct ip_prefix *about);
/* Gives the newest complaint its hint. */
void complain_hint(struct complaints *c, const char *hint, ...) __attribute__((format(printf, 2, 3)));
const char *severity_name(enum severity s);

/* By name; INDEX_NONE. A subnet as "network/subnet", a NIC as machine index and name. */
uint32_t scenario_machine_find(const struct scenario *s, const char *name);
uint32_t scenario_subnet_find(const struct scenario *s, const char *name);
uint32_t scenario_nic_find(const struct scenario *s, uint32_t machine, const char *name);
/* The NIC of a network, switch or site that has this address; INDEX_NONE. */
uint32_t scenario_nic_of_address(const struct scenario *s, const struct ip *addr);

#endif
