/* SPDX-License-Identifier: BSD-3-Clause */
/* The names of verdicts and what they mean, once for tables, pictures and the page's glossary. */
#include <string.h>
#include "view.h"

static const struct verdict_text {
    const char *name, *label, *meaning;
    bool harmless;
} verdicts[] = {
    {"symmetric", "symmetric", "the answer comes back the way the request went", true},
    {"asym_benign", "asymmetric, harmless", "the ways differ, but every node that keeps state sees both directions",
     true},
    {"asym_possible", "asymmetric at times", "some choices among equal routes break the flow", false},
    {"asym_breaks", "asymmetric, breaks", "the answer takes another way than a node that keeps state expects", false},
    {"no_return_route", "no way back", "some node has no route for the answer", false},
    {"rpf_drop", "reverse path drop", "a reverse path check refuses the packet (RFC 3704)", false},
    {"dropped", "dropped", "the request itself does not arrive", false},
    {"unmodelled", "not modelled", "the scenario does not say who sends or receives it", true},
    {"iface_asym", "other interface", "the answer crossed the router by another interface", false},
    {"nexthop_asym", "other neighbour", "the answer came by another neighbour on the same interface", false},
    {"reverse_elsewhere", "answered elsewhere", "the requests prove an answer that this capture never saw", false},
    {"unanswered", "unanswered", "no answer was seen and nothing proves that there was one", true},
    {"one_way_capture", "one-way capture", "no flow between these interfaces was seen both ways: nobody is accused",
     true},
    {"unobservable", "cannot be told", "the capture does not show enough to judge", true},
    {"nat_bypass", "not translated", "left without the translation that it should have got", false},
    {"wrong_nat", "wrongly translated", "translated to another address or port than the session's", false},
    {"double_mapping", "two mappings", "one inside endpoint with two outside ones, or two claims to one port", false},
    {"nat_filtered", "filtered by NAT", "came in from outside and belongs to no session", false},
    {"port_exhausted", "no port left", "no outside port was free", false},
    {"into_nat", "goes into NAT", "between two declared places, and yet translated on the way", true},
    {"duplicate_address", "address there twice", "two hosts use one address", false},
    {"outside_scope", "outside the scope", "DHCP handed out an address that is not in its scope", false},
    {"dhcp_forwarded", "DHCP forwarded", "a DHCP message was seen beyond its link", false},
    {"overlap", "overlapping prefixes", "two networks, sites or subnets share addresses", false},
    {"outside", "outside its prefix", "a subnet or an address lies outside what holds it", false},
    {"duplicate-address", "address there twice", "two NICs of the scenario have one address", false},
    {"reserved-address", "reserved address", "the platform keeps this address for itself", false},
    {"same-subnet", "two NICs in one subnet", "a router's NICs must be in different subnets", false},
    {"next-hop", "next hop not on link", "a route leads to a neighbour that its NIC cannot reach", false},
    {"dhcp", "DHCP scope", "a scope leaves its network or hands out what somebody has", false},
    {"route", "contradicting routes", "routes that contradict each other or the machine's own address", false},
};

static const struct verdict_text *find(const char *name) {
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++)
        if (!strcmp(verdicts[i].name, name))
            return &verdicts[i];
    return NULL;
}

const char *verdict_label(const char *name) {
    const struct verdict_text *v = find(name);
    return v ? v->label : name;
}

const char *verdict_meaning(const char *name) {
    const struct verdict_text *v = find(name);
    return v ? v->meaning : "";
}

bool verdict_harmless(const char *name) {
    const struct verdict_text *v = find(name);
    return v && v->harmless;
}

const char *const *verdict_names(const char *group) {
    static const char *const model[] = {"symmetric", "asym_benign", "asym_possible", "asym_breaks", "no_return_route",
                                        "rpf_drop", "dropped", "unmodelled", NULL};
    static const char *const observed[] = {"symmetric", "iface_asym", "nexthop_asym", "reverse_elsewhere", "unanswered",
                                           "one_way_capture", "unobservable", NULL};
    static const char *const nat[] = {"nat_bypass", "wrong_nat", "double_mapping", "nat_filtered", "port_exhausted",
                                      NULL};
    return !strcmp(group, "model") ? model : !strcmp(group, "observed") ? observed : nat;
}
