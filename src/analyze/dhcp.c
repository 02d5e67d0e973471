/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DHCP as the capture shows it (RFC 2131, 2132): who was given which address and until when, addresses that two hosts
 * have at once, addresses outside the node's scopes, and messages that were forwarded, which none ever must be.
 */
#include <stdio.h>
#include <string.h>
#include "analyze.h"
#include "dhcp.h"

#define SECOND_NS 1000000000ull
#define BOOTP_FIXED 236 /* up to the magic cookie */
#define SIGHTS_MAX 4096 /* messages back that are compared */

enum { OPTION_REQUESTED = 50, OPTION_LEASE_TIME = 51, OPTION_TYPE = 53, OPTION_PAD = 0, OPTION_END = 255 };

struct message {
    uint8_t type;          /* DHCP_DISCOVER.. */
    be32 client, yours, requested; /* ciaddr, yiaddr, option 50 */
    uint32_t lease_s, transaction; /* xid */
    struct mac mac;        /* chaddr */
};

static uint32_t read32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return ntohl(v);
}

static void read_option(struct message *m, uint8_t code, uint8_t len, const uint8_t *value) {
    if (code == OPTION_TYPE && len == 1)
        m->type = value[0];
    else if (code == OPTION_REQUESTED && len == 4)
        memcpy(&m->requested, value, 4);
    else if (code == OPTION_LEASE_TIME && len == 4)
        m->lease_s = read32(value);
}

/* A DHCP message between the ports 67 and 68; false for anything else, or when its type was cut off. */
static bool read_message(const struct inject_packet *p, struct message *m) {
    static const uint8_t cookie[] = {99, 130, 83, 99};
    uint16_t s = ntohs(p->key.sport), d = ntohs(p->key.dport);
    if (p->key.family != FAMILY_IPV4 || p->key.proto != PROTO_UDP || p->flags & PACKET_FRAG_LATER ||
        (s != 67 && s != 68) || (d != 67 && d != 68))
        return false;
    const uint8_t *at = p->raw->data + p->l4 + 8, *end = p->raw->data + p->raw->len;
    if (end - at < BOOTP_FIXED + 4 || memcmp(at + BOOTP_FIXED, cookie, sizeof cookie))
        return false;
    *m = (struct message){0};
    memcpy(&m->transaction, at + 4, 4);
    memcpy(&m->client, at + 12, 4);
    memcpy(&m->yours, at + 16, 4);
    memcpy(&m->mac, at + 28, sizeof m->mac);
    for (at += BOOTP_FIXED + 4; at < end && *at != OPTION_END;) {
        if (*at == OPTION_PAD) {
            at++;
            continue;
        }
        if (end - at < 2 || end - at < 2 + at[1])
            break;
        read_option(m, at[0], at[1], at + 2);
        at += 2 + at[1];
    }
    return m->type >= DHCP_DISCOVER && m->type <= DHCP_INFORM;
}

/* ---- findings ---- */

static void note(struct analysis *a, const char *verdict, const struct inject_packet *p, const char *text,
                 const char *hint) {
    struct note n = {.source = "dhcp", .verdict = verdict, .count = 1, .has_flow = p->key.family != FAMILY_NONE,
                     .flow = p->key};
    snprintf(n.text, sizeof n.text, "%s", text);
    snprintf(n.hint, sizeof n.hint, "%s", hint);
    note_add(a, &n, frame_of(p->raw));
}

static void note_duplicate(struct analysis *a, const struct inject_packet *p, be32 addr, const char *who,
                           const char *other) {
    struct ip ip = ip_v4(addr);
    char text[sizeof ((struct note *)0)->text], address[IP_TEXT];
    snprintf(text, sizeof text, "%s is there twice: %s has it, and so has %s", ip_format(&ip, address), who, other);
    note(a, "duplicate_address", p, text, "give one of the two another address, and leave it out of the DHCP scope");
    a->dhcp.duplicates++;
}

/* ---- leases ---- */

static uint32_t hash(be32 addr) {
    return addr * 0x9e3779b1u >> (32 - DHCP_BITS);
}

static uint32_t *leases_at(struct dhcp *d, be32 addr) {
    return &d->first[hash(addr)];
}

/* Most addresses of a capture are nobody's lease, and are told by what stays in the nearest cache. */
static bool may_be_leased(const struct dhcp *d, be32 addr) {
    const uint32_t h = hash(addr);
    return d->leased[h / 64 % 32] >> h % 64 & 1;
}

static struct dhcp_lease *lease_of(struct dhcp *d, be32 addr, const struct mac *mac) {
    for (uint32_t i = *leases_at(d, addr); i; i = d->leases.v[i - 1].next) {
        struct dhcp_lease *l = &d->leases.v[i - 1];
        if (l->addr == addr && !memcmp(&l->mac, mac, sizeof *mac))
            return l;
    }
    return NULL;
}

/* In the order of granting. */
static struct dhcp_lease *lease_add(struct dhcp *d, const struct dhcp_lease *l) {
    uint32_t *at = leases_at(d, l->addr);
    d->leased[hash(l->addr) / 64 % 32] |= 1ull << hash(l->addr) % 64;
    vec_push(&d->leases, *l);
    while (*at)
        at = &d->leases.v[*at - 1].next;
    *at = (uint32_t)d->leases.n;
    return &d->leases.v[d->leases.n - 1];
}

static const struct scenario *scenario_of(const struct analysis *a) {
    return a->fabric ? fabric_control(a->fabric)->scenario : NULL;
}

/* The scope on the node's port; NULL: none there. */
static const struct scenario_dhcp *scope_at(const struct analysis *a, uint16_t port) {
    const struct scenario *s = scenario_of(a);
    for (size_t i = 0; s && port < a->node->node.n_ports && i < s->dhcps.n; i++)
        if (s->dhcps.v[i].nic == a->node->ports[port].nic)
            return &s->dhcps.v[i];
    return NULL;
}

/* Has a machine elsewhere, or another one of this link, the address by the scenario? */
static void check_machines(struct analysis *a, const struct inject_packet *p, const struct message *m) {
    const struct scenario *s = scenario_of(a);
    const struct scenario_dhcp *scope = scope_at(a, p->port);
    struct ip addr = ip_v4(m->yours);
    char mac[MAC_TEXT], other[128];
    for (size_t i = 0; s && scope && i < s->nics.n; i++) {
        const struct scenario_nic *nic = &s->nics.v[i], *here = &s->nics.v[scope->nic];
        bool same_link = nic->on == here->on && nic->on_index == here->on_index;
        bool itself = same_link && (!nic->has_mac || !memcmp(&nic->mac, &m->mac, sizeof m->mac));
        if (!ip_equal(&nic->addr, &addr) || itself)
            continue;
        snprintf(other, sizeof other, "%s of %s", nic->name, s->machines.v[nic->machine].name);
        note_duplicate(a, p, m->yours, mac_format(&m->mac, mac), other);
    }
}

static void check_scope(struct analysis *a, const struct inject_packet *p, const struct message *m) {
    const struct scenario_dhcp *scope = scope_at(a, p->port);
    struct ip addr = ip_v4(m->yours);
    char text[sizeof ((struct note *)0)->text], address[IP_TEXT], first[IP_TEXT], last[IP_TEXT];
    if (!scope || (ip_compare(&scope->first, &addr) <= 0 && ip_compare(&addr, &scope->last) <= 0))
        return;
    snprintf(text, sizeof text, "%s was handed out, which is outside the scope %s-%s", ip_format(&addr, address),
             ip_format(&scope->first, first), ip_format(&scope->last, last));
    note(a, "outside_scope", p, text,
         "is another DHCP server on the switch, or is the scenario's range not the real one?");
}

static void grant(struct analysis *a, const struct inject_packet *p, uint64_t now, const struct message *m) {
    struct dhcp *d = &a->dhcp;
    char mine[MAC_TEXT], other[MAC_TEXT];
    for (size_t i = 0; i < d->leases.n; i++) {
        const struct dhcp_lease *l = &d->leases.v[i];
        if (l->addr == m->yours && memcmp(&l->mac, &m->mac, sizeof l->mac) && now < l->until)
            note_duplicate(a, p, m->yours, mac_format(&l->mac, other), mac_format(&m->mac, mine));
    }
    struct dhcp_lease *l = lease_of(d, m->yours, &m->mac);
    if (!l) {
        const struct dhcp_lease fresh = {.addr = m->yours, .mac = m->mac, .port = p->port, .first = now};
        l = lease_add(d, &fresh);
        check_scope(a, p, m);
        check_machines(a, p, m);
    }
    l->until = m->lease_s == UINT32_MAX ? UINT64_MAX : now + m->lease_s * SECOND_NS;
    l->grants++;
}

static void end_lease(struct analysis *a, be32 addr, const struct mac *mac, uint64_t now) {
    struct dhcp_lease *l = lease_of(&a->dhcp, addr, mac);
    if (l && l->until > now)
        l->until = now;
}

static void see_message(struct analysis *a, const struct inject_packet *p, uint64_t now, const struct message *m) {
    char text[sizeof ((struct note *)0)->text], mac[MAC_TEXT], address[IP_TEXT];
    a->dhcp.messages[m->type]++;
    if (m->type == DHCP_ACK && m->yours) {
        grant(a, p, now, m);
    } else if (m->type == DHCP_RELEASE) {
        end_lease(a, m->client, &m->mac, now);
    } else if (m->type == DHCP_DECLINE) {
        struct ip addr = ip_v4(m->requested);
        end_lease(a, m->requested, &m->mac, now);
        snprintf(text, sizeof text, "%s declined %s: it found that somebody has it already (RFC 2131, 3.1)",
                 mac_format(&m->mac, mac), ip_format(&addr, address));
        note(a, "duplicate_address", p, text, "find who uses the address, and leave it out of the DHCP scope");
        a->dhcp.duplicates++;
    }
}

/* ---- who uses a leased address ---- */

/* The IPv4 address and MAC that a frame shows to belong together on its link; false: none. */
static bool shown_owner(const struct inject_packet *p, be32 *addr, struct mac *mac) {
    const uint8_t *at = p->raw->data;
    bool arp = p->kind == INJECT_IGNORED && p->reason == DROP_ARP && p->mac && p->raw->len >= 42 && at[12] == 8 &&
               at[13] == 6;
    if (arp) { /* sender's hardware and protocol address (RFC 826) */
        memcpy(mac, at + 22, sizeof *mac);
        memcpy(addr, at + 28, sizeof *addr);
        return true;
    }
    if (p->kind != INJECT_ARRIVED || p->key.family != FAMILY_IPV4 || p->flags & PACKET_RAW_IP || p->raw->len < 14)
        return false;
    memcpy(mac, at + 6, sizeof *mac);
    memcpy(addr, p->key.src, sizeof *addr);
    return true;
}

/* A frame that shows a leased address with a MAC that holds no lease of it. */
static void check_user(struct analysis *a, const struct inject_packet *p, uint64_t now) {
    struct dhcp *d = &a->dhcp;
    be32 addr;
    struct mac mac;
    if (!shown_owner(p, &addr, &mac) || !addr || !may_be_leased(d, addr) || lease_of(d, addr, &mac))
        return;
    for (uint32_t i = *leases_at(d, addr); i; i = d->leases.v[i - 1].next) {
        const struct dhcp_lease *l = &d->leases.v[i - 1];
        char mine[MAC_TEXT], other[MAC_TEXT];
        if (l->addr != addr || l->port != p->port || now < l->first || now >= l->until)
            continue;
        note_duplicate(a, p, addr, mac_format(&l->mac, other), mac_format(&mac, mine));
        break;
    }
}

/* Was the same message seen on another port shortly before? Then somebody carried it on. */
static bool seen_elsewhere(struct dhcp *d, const struct message *m, uint16_t port) {
    uint32_t *latest = &d->latest[m->transaction * 0x9e3779b1u >> (32 - DHCP_BITS)];
    const struct dhcp_sight sight = {m->transaction, m->mac, m->type, port, *latest}, *s;
    for (uint32_t i = *latest; i && d->seen - i < SIGHTS_MAX; i = s->before) {
        s = &d->sights.v[(i - 1) % SIGHTS_MAX];
        if (s->transaction == m->transaction && s->type == m->type && !memcmp(&s->mac, &m->mac, sizeof m->mac))
            return s->port != port;
    }
    if (d->sights.n < SIGHTS_MAX)
        vec_push(&d->sights, sight);
    else
        d->sights.v[d->seen % SIGHTS_MAX] = sight;
    *latest = ++d->seen;
    return false;
}

void dhcp_see(struct analysis *a, const struct feed_packet *q) {
    const struct inject_packet *p = &q->p;
    struct message m;
    bool ours = p->kind == INJECT_ARRIVED || p->kind == INJECT_OWN || p->kind == INJECT_COPY;
    if (ours && read_message(p, &m)) {
        if (p->kind == INJECT_COPY || seen_elsewhere(&a->dhcp, &m, p->port)) {
            a->dhcp.forwarded++;
            note(a, "dhcp_forwarded", p, "a DHCP message left its link: it was seen on two interfaces",
                 "DHCP stays on the link of its clients: find the relay or bridge that carries it on");
        } else {
            see_message(a, p, packet_time(a, q), &m);
        }
    }
    if (a->dhcp.leases.n)
        check_user(a, p, packet_time(a, q));
}

json_t *dhcp_json(const struct analysis *a) {
    static const char *const names[] = {"", "discover", "offer", "request", "decline", "ack", "nak", "release",
                                        "inform"};
    const struct dhcp *d = &a->dhcp;
    json_t *o = json_object(), *messages = json_object(), *leases = json_array();
    for (unsigned t = DHCP_DISCOVER; t <= DHCP_INFORM; t++)
        json_object_set_new(messages, names[t], json_integer((json_int_t)d->messages[t]));
    for (size_t i = 0; i < d->leases.n; i++) {
        const struct dhcp_lease *l = &d->leases.v[i];
        struct ip addr = ip_v4(l->addr);
        char address[IP_TEXT], mac[MAC_TEXT];
        json_t *lease = json_pack("{s:s, s:s, s:I, s:I}", "address", ip_format(&addr, address), "mac",
                                  mac_format(&l->mac, mac), "first", (json_int_t)l->first, "grants",
                                  (json_int_t)l->grants);
        json_object_set_new(lease, "until", l->until > INT64_MAX ? json_null() : json_integer((json_int_t)l->until));
        json_array_append_new(leases, lease);
    }
    json_object_set_new(o, "messages", messages);
    json_object_set_new(o, "leases", leases);
    json_object_set_new(o, "forwarded", json_integer((json_int_t)d->forwarded));
    json_object_set_new(o, "duplicates", json_integer((json_int_t)d->duplicates));
    return o;
}
