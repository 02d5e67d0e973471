/* SPDX-License-Identifier: BSD-3-Clause */
/* What `fwdlab check` tells of a machine's NAT: which behaviours it has, by words of the scenario's keys. */
#include <stdio.h>
#include "cli.h"

static const char *outside_of(const struct scenario *s, const struct scenario_nat *nat) {
    return s->nics.v[nat->outside].name;
}

void cli_nat_print(const struct scenario *s, const struct scenario_nat *nat) {
    char first[IP_TEXT], prefix[PREFIX_TEXT];
    printf("  NAT by %s (%s): %s", outside_of(s, nat), nat->conntrack ? "conntrack" : "interface",
           ip_format(&nat->addresses.v[0], first));
    if (nat->addresses.n > 1)
        printf(" and %zu more, %s", nat->addresses.n - 1, nat->arbitrary_pooling ? "arbitrary" : "paired");
    printf(", ports %u-%u%s%s\n", nat->port_min, nat->port_max, nat->hairpin ? ", hairpin" : "",
           nat->hold_fragments ? ", holds fragments" : "");
    if (nat->conntrack)
        return;
    printf("      mapping %s, filtering %s\n", nat_behaviour_names[nat->mapping], nat_behaviour_names[nat->filtering]);
    printf("      ports %s%s, refreshed %s\n", nat->random_ports ? "random" : "preserved",
           nat->parity ? " with their parity" : "", nat->outbound_refresh_only ? "by outbound packets" : "both ways");
    if (nat->port_block)
        printf("      a client's blocks: %u, of %u ports\n", nat->blocks_per_client, nat->port_block);
    if (nat->ports_per_client)
        printf("      a client's ports: %u at most\n", nat->ports_per_client);
    if (nat->sessions_per_client)
        printf("      a client's sessions: %u at most\n", nat->sessions_per_client);
    if (nat->session_rate_per_client)
        printf("      a client's new sessions: %u/s at most\n", nat->session_rate_per_client);
    if (nat->port_rest)
        printf("      ports rest for %u s\n", nat->port_rest);
    if (nat->hold_syns)
        printf("      SYNs that nobody asked for wait for 6 s\n");
    for (size_t i = 0; i < nat->untranslated.n; i++)
        printf("      not translated: to %s\n", prefix_format(&nat->untranslated.v[i], prefix));
}

/* 0: not limited. */
static json_t *limit(uint32_t n) {
    return n ? json_integer(n) : json_null();
}

json_t *cli_nat_json(const struct scenario *s, const struct scenario_nat *nat) {
    char text[IP_TEXT], prefix[PREFIX_TEXT];
    json_t *addresses = json_array();
    for (size_t i = 0; i < nat->addresses.n; i++)
        json_array_append_new(addresses, json_string(ip_format(&nat->addresses.v[i], text)));
    json_t *o = json_pack("{s:s, s:s, s:o, s:[i, i], s:b, s:b}", "outside", outside_of(s, nat), "personality",
                          nat->conntrack ? "conntrack" : "interface", "addresses", addresses, "ports",
                          (int)nat->port_min, (int)nat->port_max, "hairpin", nat->hairpin, "hold_fragments",
                          nat->hold_fragments);
    if (nat->conntrack)
        return o;
    json_t *untranslated = json_array();
    json_t *more = json_pack("{s:s, s:s, s:s, s:b, s:s, s:s}", "mapping", nat_behaviour_names[nat->mapping],
                             "filtering", nat_behaviour_names[nat->filtering], "port_choice",
                             nat->random_ports ? "random" : "preserved", "parity", nat->parity, "pooling",
                             nat->arbitrary_pooling ? "arbitrary" : "paired", "refresh",
                             nat->outbound_refresh_only ? "outbound" : "both");
    json_object_set_new(more, "port_block", limit(nat->port_block));
    json_object_set_new(more, "blocks_per_client", limit(nat->blocks_per_client));
    json_object_set_new(more, "sessions_per_client", limit(nat->sessions_per_client));
    json_object_set_new(more, "ports_per_client", limit(nat->ports_per_client));
    json_object_set_new(more, "session_rate_per_client", limit(nat->session_rate_per_client));
    json_object_set_new(more, "port_rest", limit(nat->port_rest));
    json_object_set_new(more, "hold_syns", json_boolean(nat->hold_syns));
    for (size_t i = 0; i < nat->untranslated.n; i++)
        json_array_append_new(untranslated, json_string(prefix_format(&nat->untranslated.v[i], prefix)));
    json_object_set_new(more, "untranslated", untranslated);
    json_object_update(o, more);
    json_decref(more);
    return o;
}
