/* SPDX-License-Identifier: BSD-3-Clause */
/* The NAT's use as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/result/document.h>
#include "natuse_book.h"

#define TOLD 10 /* clients */
#define SECOND_NS 1000000000ull

static const char *const pool_names[] = {[POOL_TCP] = "tcp", [POOL_UDP] = "udp", [POOL_ICMP] = "icmp",
                                         [POOL_BLOCKS] = "blocks"};

static json_t *series(const uint32_t *v, unsigned n) {
    json_t *list = json_array();
    for (unsigned i = 0; i < n; i++)
        json_array_append_new(list, json_integer(v[i]));
    return list;
}

static uint64_t longest(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* After which a session ends that nobody uses; what the configuration leaves open is the RFCs' (nat.h). */
static uint64_t idle_ns(const struct nat_timers *t, unsigned pool) {
    const uint64_t tcp = longest(longest(t->tcp_established ? t->tcp_established : 7440 * SECOND_NS, t->tcp_transitory),
                                 t->tcp_closing);
    const uint64_t udp = longest(t->udp ? t->udp : 300 * SECOND_NS, t->udp_stream ? t->udp_stream : 300 * SECOND_NS);
    const uint64_t icmp = t->icmp ? t->icmp : 60 * SECOND_NS;
    return pool == POOL_TCP    ? tcp
           : pool == POOL_UDP  ? udp
           : pool == POOL_ICMP ? icmp
                               : longest(tcp, longest(udp, icmp));
}

static uint32_t available(const struct natuse *u, unsigned pool) {
    return pool == POOL_BLOCKS ? u->stats.ports_available / u->config->port_block : u->stats.ports_available;
}

/* With blocks, these are what runs out; NAT_CONNTRACK has no end of ports. */
static struct foretold pool_future(const struct natuse *u, unsigned pool) {
    const uint64_t idle = idle_ns(&u->config->timers, pool);
    struct foretold f = foretell(&u->samples, u->samples.pool[pool], available(u, pool), idle);
    if (u->config->personality == NAT_CONNTRACK)
        f.why = "a port serves several remote ends at the same time";
    else if (u->config->port_block && pool != POOL_BLOCKS)
        f.why = "its ports come in blocks";
    else
        return f;
    f.at_ns = 0;
    return f;
}

static void set_growth(json_t *o, const struct foretold *f) {
    json_object_set_new(o, "growth", f->known ? json_real(f->per_hour) : json_null());
}

static void set_why(json_t *o, const char *why) {
    json_object_set_new(o, "why", why ? json_string(why) : json_null());
}

static uint32_t most(const uint32_t *v, unsigned n) {
    uint32_t m = 0;
    for (unsigned i = 0; i < n; i++)
        m = v[i] > m ? v[i] : m;
    return m;
}

static json_t *pool_json(const struct natuse *u, unsigned pool, const struct foretold *f) {
    json_t *o = json_object();
    json_object_set_new(o, "name", json_string(pool_names[pool]));
    document_count(o, "available", available(u, pool));
    document_count(o, "peak", most(u->samples.pool[pool], u->samples.n));
    json_object_set_new(o, "used", series(u->samples.pool[pool], u->samples.n));
    set_growth(o, f);
    json_object_set_new(o, "at_ns", f->at_ns ? json_integer((json_int_t)f->at_ns) : json_null());
    set_why(o, f->why);
    return o;
}

static json_t *happened_json(const struct natuse *u) {
    char basis[120];
    snprintf(basis, sizeof basis, "%llu packets found no free port, the first one then",
             (unsigned long long)u->refused[DROP_NAT_NO_PORT]);
    return json_pack("{s:n, s:I, s:b, s:s}", "pool", "at_ns", (json_int_t)u->first_refused, "happened", 1, "basis",
                     basis);
}

static json_t *foretold_json(const struct natuse *u, unsigned pool, const struct foretold *f) {
    const unsigned n = u->samples.n;
    char basis[160];
    snprintf(basis, sizeof basis, "%u of %u in use at the end, %.3g more an hour over the second half of the capture",
             u->samples.pool[pool][n - 1], available(u, pool), f->per_hour);
    return json_pack("{s:s, s:I, s:b, s:s}", "pool", pool_names[pool], "at_ns", (json_int_t)f->at_ns, "happened", 0,
                     "basis", basis);
}

/* Pools in use, and which of them runs out first. */
static void set_pools(const struct natuse *u, json_t *o) {
    json_t *list = json_array(), *first = json_null();
    uint64_t earliest = UINT64_MAX;
    const char *why = "no port is in use";
    for (unsigned k = 0; k < POOL_COUNT; k++) {
        if (!most(u->samples.pool[k], u->samples.n))
            continue;
        const struct foretold f = pool_future(u, k);
        json_array_append_new(list, pool_json(u, k, &f));
        why = f.why;
        if (!f.at_ns || f.at_ns >= earliest)
            continue;
        json_decref(first);
        first = foretold_json(u, k, &f);
        earliest = f.at_ns;
    }
    if (u->refused[DROP_NAT_NO_PORT]) {
        json_decref(first);
        first = happened_json(u);
    }
    json_object_set_new(o, "pools", list);
    set_why(o, json_is_null(first) ? why : NULL);
    json_object_set_new(o, "runs_out", first);
}

/* ---- clients ---- */

static int by_use(const void *x, const void *y) {
    const struct client *a = *(struct client *const *)x, *b = *(struct client *const *)y;
    if (a->peak != b->peak)
        return a->peak < b->peak ? 1 : -1;
    if (a->refused != b->refused)
        return a->refused < b->refused ? 1 : -1;
    return ntohl(a->addr) < ntohl(b->addr) ? -1 : ntohl(a->addr) > ntohl(b->addr);
}

static json_t *client_json(const struct client *c) {
    const struct ip ip = ip_v4(c->addr);
    char text[IP_TEXT];
    json_t *o = json_object();
    json_object_set_new(o, "client", json_string(ip_format(&ip, text)));
    document_count(o, "sessions_peak", c->peak);
    document_count(o, "ports_peak", c->ports_peak);
    document_count(o, "peak_at_ns", c->peak_at);
    document_count(o, "refused", c->refused);
    json_object_set_new(o, "first_refused_ns", c->refused ? json_integer((json_int_t)c->first_refused) : json_null());
    return o;
}

static json_t *clients_json(const struct natuse *u) {
    const struct client **list = xzalloc(u->n_clients + 1, sizeof *list);
    json_t *o = json_array();
    size_t n = 0;
    for (size_t i = 0; i <= u->clients_mask; i++)
        if (u->clients[i].addr)
            list[n++] = &u->clients[i];
    qsort(list, n, sizeof *list, by_use);
    for (size_t i = 0; i < n && i < TOLD; i++)
        json_array_append_new(o, client_json(list[i]));
    free(list);
    return o;
}

static json_t *limit(uint32_t n) {
    return n ? json_integer(n) : json_null();
}

/* What a client may have: ports of each protocol. */
static json_t *limits_json(const struct nat_config *c) {
    const uint32_t block = c->port_block * (c->client_blocks ? c->client_blocks : 1);
    const bool blocks = block && (!c->client_ports || block < c->client_ports);
    return json_pack("{s:o, s:o}", "sessions", limit(c->client_sessions), "ports",
                     limit(blocks ? block : c->client_ports));
}

json_t *natuse_json(const struct natuse *u) {
    const struct natuse_samples *s = &u->samples;
    const uint64_t idle = idle_ns(&u->config->timers, POOL_COUNT);
    const struct foretold all = foretell(s, s->ports, u->stats.ports_available, idle);
    json_t *o = json_object(), *refused = json_object();
    document_count(o, "interval_ns", s->interval_ns);
    json_object_set_new(o, "sessions", series(s->sessions, s->n));
    json_object_set_new(o, "ports", series(s->ports, s->n));
    document_count(o, "available", u->stats.ports_available);
    document_count(o, "peak_at_ns", u->peak_at);
    set_growth(o, &all);
    set_pools(u, o);
    document_count(refused, "port", u->refused[DROP_NAT_NO_PORT]);
    document_count(refused, "table", u->refused[DROP_NAT_TABLE_FULL]);
    document_count(refused, "client", u->refused[DROP_NAT_CLIENT_LIMIT]);
    json_object_set_new(o, "refused", refused);
    json_object_set_new(o, "client_limits", limits_json(u->config));
    json_object_set_new(o, "clients", clients_json(u));
    json_object_set_new(o, "clients_seen", json_integer((json_int_t)u->n_clients));
    json_object_set_new(o, "clients_all", json_boolean(!u->more_clients));
    return o;
}
