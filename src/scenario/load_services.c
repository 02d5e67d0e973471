/* SPDX-License-Identifier: BSD-3-Clause */
/* From the merged tree to structs: DHCP of machines, which is IPv4. */
#include "read.h"

void load_scope(const struct reader *r, const struct tree *t, uint32_t machine) {
    static const char *const right = "the first and the last address, such as 10.0.2.2-10.0.2.254";
    struct scenario_dhcp scope = {.at = t->at, .machine = machine};
    const char *first, *last;
    read_keys(r, t, KEYS("nic", "range", "router", "dns"));
    scope.nic = read_nic(r, t, "nic", REQUIRED, machine);
    const struct tree *range = read_text(r, t, "range", REQUIRED, right);
    if (range && (!text_range(r, range, &first, &last) || ip_parse(first, &scope.first) ||
                  ip_parse(last, &scope.last) || scope.first.family != FAMILY_IPV4 ||
                  scope.last.family != FAMILY_IPV4 || ip_compare(&scope.first, &scope.last) > 0)) {
        read_wrong(r, range, "range", right);
        scope.first = scope.last = (struct ip){0};
    }
    read_ip(r, t, "router", OPTIONAL, FAMILY_IPV4, &scope.router);
    const struct tree *dns = read_list(r, t, "dns", OPTIONAL, "a list of addresses, such as [168.63.129.16]");
    for (size_t i = 0; dns && i < dns->n; i++) {
        struct ip addr;
        if (read_is(r, dns->member[i].value, TREE_TEXT, "dns", "a list of addresses") &&
            text_ip(r, dns->member[i].value, "dns", FAMILY_IPV4, &addr))
            vec_push(&scope.dns, addr);
    }
    vec_push(&r->s->dhcps, scope);
}
