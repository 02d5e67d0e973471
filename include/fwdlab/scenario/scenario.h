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
    bool floating;               /* carries routes only: no machine of the network is deployed there */
    uint32_t route_table;        /* index, INDEX_NONE */
};

struct scenario_network {
    struct place at;
    const char *name;
    VEC(struct ip_prefix) space;
    uint32_t first_subnet, n_subnets; /* in scenario.subnets */
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

/* A place outside the networks, with a router of its own. */
struct scenario_site {
    struct place at;
    const char *name;
    VEC(struct ip_prefix) prefixes;
    uint32_t gateway_subnet; /* subnet whose gateway it is joined to; INDEX_NONE: the Internet, joined to every one */
};

enum nic_on { NIC_ON_SUBNET, NIC_ON_SWITCH, NIC_ON_SITE };
struct scenario_nic {
    struct place at;
    const char *name;
    uint32_t machine;
    uint8_t on;          /* enum nic_on */
    uint32_t on_index;   /* subnet, switch or site */
    struct ip addr;
    uint8_t len;         /* of its connected network */
    bool connected;      /* has the connected route of `len`; false: only an on-link host route to its gateway */
    struct ip gateway;   /* FAMILY_NONE: none. Default of a NIC on a subnet: the subnet's; on a site: none needed */
    bool default_route;  /* brings the machine's default route: through `gateway`, on a site without one on link */
    bool has_mac;
    struct mac mac;
    bool ip_forwarding;  /* the platform lets it send and receive for addresses that are not its own */
    uint8_t rp_filter;   /* 0, 1, 2 as Linux */
    const char *capture; /* name of the capture's interface that is this NIC; NULL */
};

struct scenario_static_route {
    struct place at;
    const char *name;    /* "Route 1" */
    uint32_t machine, nic; /* nic: index in scenario.nics; INDEX_NONE for the refusing kinds */
    struct ip_prefix prefix;
    struct ip via;       /* FAMILY_NONE: on link */
    uint32_t metric;
    uint8_t kind;        /* 0 unicast, 1 blackhole, 2 unreachable, 3 prohibit */
};

struct scenario_port_map {
    struct place at;
    const char *name;
    uint8_t proto;       /* 6 tcp, 17 udp */
    uint16_t port;       /* outside, host order */
    struct ip to;
    uint16_t to_port;    /* host order */
};

struct scenario_nat {
    struct place at;
    uint32_t machine, outside; /* outside: index in scenario.nics */
    bool conntrack;      /* personality: conntrack, else interface */
    VEC(struct ip) addresses; /* default: the outside NIC's */
    uint16_t port_min, port_max; /* host order */
    uint32_t max_sessions;
    struct {
        uint32_t tcp_established, tcp_transitory, tcp_closing, udp, udp_stream, icmp, other;
    } timers; /* s; 0 default */
    VEC(struct scenario_port_map) port_maps;
};

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
    VEC(struct scenario_static_route) static_routes;
    VEC(struct scenario_nat) nats;
    VEC(struct scenario_dhcp) dhcps;
    struct arena *arena;    /* holds all text */
};

enum severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_ADVICE };
struct complaint {
    struct place at;
    enum severity severity;
    const char *what, *hint; /* hint: what would be right; may be "" */
};
struct complaints {
    VEC(struct complaint) list;
    unsigned errors;         /* how many are SEVERITY_ERROR */
    struct arena *arena;
};

/*
 * Reads a file and its bases. Goes on after a fault, to complain about all of them in one run. Returns NULL when there
 * is an error among the complaints; warnings and advice alone still give a scenario. Complaints stay the caller's.
 */
struct scenario *scenario_load(const char *path, struct complaints *out);
/* The same from memory (fuzzing, tests): `path` names it; a base is looked for beside it. */
struct scenario *scenario_load_text(const char *path, const char *text, size_t len, struct complaints *out);
void scenario_destroy(struct scenario *s);
void complaints_fini(struct complaints *c);
/* Adds one, without a hint. The text and the file's name are copied. */
void complain(struct complaints *c, struct place at, enum severity s, const char *what, ...)
    __attribute__((format(printf, 4, 5)));
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
