/* SPDX-License-Identifier: BSD-3-Clause */
/* N8: DHCP leases of a capture, addresses that are there twice, messages that left their link; faults as findings. */
#include "case.h"

#define SERVER "10.0.2.1"
#define BROADCAST "255.255.255.255"

struct dhcp_frame {
    bool from_server;
    uint8_t type;
    uint8_t client;      /* last byte of its hardware address */
    const char *address; /* granted (ACK), used (RELEASE), or declined; NULL: none */
    uint32_t lease_s;
    uint32_t transaction;
};

static uint8_t *option(uint8_t *at, uint8_t code, uint8_t len, const void *value) {
    at[0] = code;
    at[1] = len;
    memcpy(at + 2, value, len);
    return at + 2 + len;
}

static struct frame *dhcp(struct capture *c, uint32_t interface, const struct dhcp_frame *d) {
    static const uint8_t cookie[] = {99, 130, 83, 99};
    struct frame *f =
        d->from_server ? capture_add(c, interface, TRACE_OUTBOUND, 64, PROTO_UDP, SERVER, 67, BROADCAST, 68, "")
                       : capture_add(c, interface, TRACE_INBOUND, 64, PROTO_UDP, "0.0.0.0", 68, BROADCAST, 67, "");
    uint8_t *m = frame_l4(f) + 8, *at = m + 240, mac[6] = {2, 0, 0, 0, 1, d->client};
    be32 address = d->address ? addr(d->address) : 0, lease = htonl(d->lease_s);
    m[0] = d->from_server ? 2 : 1;
    memcpy(m + 4, &d->transaction, 4);
    memcpy(m + (d->from_server ? 16 : 12), &address, d->type == 4 ? 0 : 4);
    memcpy(m + 28, mac, sizeof mac);
    memcpy(m + 236, cookie, sizeof cookie);
    at = option(at, 53, 1, &d->type);
    *at++ = 0; /* pad */
    if (d->lease_s)
        at = option(at, 51, 4, &lease);
    if (d->type == 4)
        at = option(at, 50, 4, &address);
    *at++ = 255;
    memcpy(f->data + (d->from_server ? 0 : 6), mac, sizeof mac);
    frame_seal(f, (unsigned)(at - frame_l4(f)));
    return f;
}

static void lease(struct capture *c, uint8_t client, const char *address, uint32_t seconds, uint32_t transaction) {
    dhcp(c, SWITCH, &(struct dhcp_frame){false, 3, client, NULL, 0, transaction});
    dhcp(c, SWITCH, &(struct dhcp_frame){true, 5, client, address, seconds, transaction});
}

static json_int_t duplicates(const struct cas *k) {
    return at(k, "dhcp", "duplicates", NULL);
}

Test(dhcp, n8_leases_are_told_and_nothing_is_forwarded) {
    struct capture c = capture_make();
    lease(&c, 1, "10.0.2.50", 3600, 1);
    lease(&c, 2, "10.0.2.51", 3600, 2);
    lease(&c, 1, "10.0.2.50", 3600, 3); /* renewed */
    struct cas k = case_make(&c);
    json_t *leases = json_object_get(json_object_get(k.doc, "dhcp"), "leases"), *first = json_array_get(leases, 0);
    cr_assert_eq(json_array_size(leases), 2u);
    cr_expect_str_eq(text(first, "address"), "10.0.2.50");
    cr_expect_str_eq(text(first, "mac"), "02:00:00:00:01:01");
    cr_expect_eq(count(first, "grants"), 2);
    cr_expect_eq(count(first, "until"), 3600000000000 + 50 * (json_int_t)MS);
    cr_expect_eq(at(&k, "dhcp", "messages", "ack"), 3);
    cr_expect_eq(at(&k, "dhcp", "forwarded", NULL), 0);
    cr_expect_eq(duplicates(&k), 0);
    cr_expect_null(finding(&k, "dhcp", NULL));
    cr_expect_eq(at(&k, "packets", "forwarded", NULL), 0);
    case_end(&k);
}

Test(dhcp, n8_handed_out_twice) {
    struct capture c = capture_make();
    lease(&c, 1, "10.0.2.50", 3600, 1);
    lease(&c, 2, "10.0.2.50", 3600, 2);
    struct cas k = case_make(&c);
    json_t *g = finding(&k, "dhcp", "duplicate_address");
    cr_expect_eq(duplicates(&k), 1);
    cr_assert_not_null(g);
    cr_expect_str_eq(text(g, "text"),
                     "10.0.2.50 is there twice: 02:00:00:00:01:01 has it, and so has 02:00:00:00:01:02");
    cr_expect_eq(json_integer_value(json_array_get(json_object_get(g, "frames"), 0)), 4);
    case_end(&k);
}

/* A lease that has ended, or was given back, may go to somebody else. */
Test(dhcp, handed_on_after_its_end) {
    struct capture c = capture_make();
    lease(&c, 1, "10.0.2.50", 1, 1);
    c.now += 2000 * MS;
    lease(&c, 2, "10.0.2.50", 3600, 2);
    dhcp(&c, SWITCH, &(struct dhcp_frame){false, 7, 2, "10.0.2.50", 0, 3});
    lease(&c, 3, "10.0.2.50", 3600, 4);
    struct cas k = case_make(&c);
    cr_expect_eq(duplicates(&k), 0);
    cr_expect_eq(at(&k, "dhcp", "messages", "release"), 1);
    case_end(&k);
}

Test(dhcp, n8_declined_and_used_by_another_host) {
    struct capture c = capture_make();
    dhcp(&c, SWITCH, &(struct dhcp_frame){false, 4, 1, "10.0.2.60", 0, 1});
    lease(&c, 1, "10.0.2.61", 3600, 2);
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.61", 9, "10.0.3.4", 9, "not the lease's MAC");
    struct cas k = case_make(&c);
    cr_expect_eq(duplicates(&k), 2);
    cr_expect_eq(at(&k, "dhcp", "messages", "decline"), 1);
    cr_expect_not_null(strstr(text(finding(&k, "dhcp", NULL), "text"), "declined 10.0.2.60"));
    case_end(&k);
}

Test(dhcp, n8_an_address_of_the_network_or_outside_the_scope) {
    struct capture c = capture_make();
    lease(&c, 1, "10.0.3.4", 3600, 1); /* azure-vm's */
    struct cas k = case_make(&c);
    cr_expect_not_null(finding(&k, "dhcp", "outside_scope"));
    cr_assert_not_null(finding(&k, "dhcp", "duplicate_address"));
    cr_expect_not_null(strstr(text(finding(&k, "dhcp", "duplicate_address"), "text"), "eth0 of azure-vm"));
    case_end(&k);
}

Test(dhcp, n8_carried_on_to_another_link) {
    struct capture c = capture_make();
    const struct dhcp_frame discover = {false, 1, 1, NULL, 0, 77};
    dhcp(&c, SWITCH, &discover);
    struct frame f = c.frames.v[0];
    f.interface = NIC2;
    f.direction = TRACE_OUTBOUND;
    f.time_ns += MS;
    memcpy(f.data + 6, &port_mac[NIC2], 6);
    vec_push(&c.frames, f);
    dhcp(&c, SWITCH, &discover); /* sent again: that is no forwarding */
    struct cas k = case_make(&c);
    cr_expect_eq(at(&k, "dhcp", "forwarded", NULL), 1);
    cr_expect_not_null(finding(&k, "dhcp", "dhcp_forwarded"));
    case_end(&k);
}

/* Cut off options, a foreign cookie and endless option lists are no messages. */
Test(dhcp, damaged_messages) {
    struct capture c = capture_make();
    for (unsigned cut = 0; cut < 12; cut++) {
        struct frame *f = dhcp(&c, SWITCH, &(struct dhcp_frame){true, 5, 1, "10.0.2.50", 3600, cut});
        f->len -= cut;
    }
    struct frame *f = dhcp(&c, SWITCH, &(struct dhcp_frame){true, 5, 1, "10.0.2.51", 3600, 20});
    frame_l4(f)[8 + 236]++;
    frame_seal(f, f->len - 34);
    f = dhcp(&c, SWITCH, &(struct dhcp_frame){true, 5, 1, "10.0.2.52", 3600, 21});
    frame_l4(f)[8 + 241] = 200; /* the type's option reaches beyond the end */
    frame_seal(f, f->len - 34);
    struct cas k = case_make(&c);
    json_t *leases = json_object_get(json_object_get(k.doc, "dhcp"), "leases");
    cr_expect_eq(json_array_size(leases), 1u);
    cr_expect_eq(at(&k, "dhcp", "messages", "ack"), 9); /* up to 8 bytes stand behind the type's option */
    case_end(&k);
}

Test(faults, are_findings_with_the_flows_that_they_concern) {
    struct capture c = capture_make();
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 9, "10.0.3.4", 9, "x");
    capture_add(&c, SWITCH, TRACE_INBOUND, 64, PROTO_UDP, "10.0.2.2", 9, "10.0.1.9", 9, "x");
    struct cas k = case_make(&c);
    struct complaints complaints = {0};
    struct ip_prefix about;
    prefix_parse("10.0.3.0/24", &about);
    complain(&complaints, (struct place){"x.yaml", 7}, SEVERITY_ERROR, "two networks share 10.0.3.0/24");
    complain_fault(&complaints, FAULT_OVERLAP, &about);
    complain(&complaints, (struct place){"x.yaml", 8}, SEVERITY_WARNING, "no fault");
    analysis_faults(k.analysis, &complaints);
    json_t *doc = json_object(), *list, *g;
    analysis_document(k.analysis, doc);
    list = json_object_get(doc, "findings");
    g = json_array_get(list, 0);
    cr_expect_str_eq(text(g, "source"), "scenario");
    cr_expect_str_eq(text(g, "verdict"), "overlap");
    cr_expect_str_eq(text(g, "text"), "two networks share 10.0.3.0/24 (x.yaml:7)");
    cr_expect_eq(count(g, "count"), 1);
    cr_expect_str_neq(text(json_array_get(list, 1), "source"), "scenario");
    json_decref(doc);
    complaints_fini(&complaints);
    case_end(&k);
}
