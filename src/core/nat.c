/* SPDX-License-Identifier: BSD-3-Clause */
/* NAT44: configuration, the two stages, and what callers ask about sessions. See nat_internal.h for how it works. */
#include "nat_client.h"
#include "nat_held.h"
#include "nat_hit.h"

#include <errno.h>
#include <stdlib.h>

#define CHUNK 64u /* packets that are looked up together */
#define SESSIONS_DEFAULT 65536u
#define SESSIONS_MAX (1u << 28)
#define SECOND 1000000000ull

/* ---- configuration ---- */

static bool config_sound(const struct nat_config *c) {
    if (c->n_addresses < 1 || c->n_addresses > NAT_ADDRESSES_MAX || c->port_min > c->port_max ||
        c->max_sessions > SESSIONS_MAX || c->n_port_maps >= SESSIONS_MAX ||
        c->mapping > NAT_ADDRESS_AND_PORT_DEPENDENT || c->filtering > NAT_ADDRESS_AND_PORT_DEPENDENT ||
        c->port_choice > NAT_PORT_RANDOM || c->client_rate > SECOND)
        return false;
    if (c->port_block && (c->port_max ? c->port_max - c->port_min + 1u : 64512u) % c->port_block)
        return false;
    for (unsigned i = 0; i < c->n_addresses; i++)
        if (!c->addresses[i])
            return false;
    for (uint32_t i = 0; i < c->n_port_maps; i++) {
        const struct nat_port_map *m = &c->port_maps[i];
        if ((m->proto != PROTO_TCP && m->proto != PROTO_UDP) || !m->outside_port || !m->inside_addr || !m->inside_port)
            return false;
    }
    return true;
}

/* A session used at the very end of a tick lives through so many more. */
static uint32_t idle_ticks(uint64_t ns) {
    const uint64_t ticks = (ns >> NAT_TICK_SHIFT) + 1;
    return ticks < NAT_TICKS_MAX ? (uint32_t)ticks : NAT_TICKS_MAX;
}

static void set_timeouts(struct nat *n) {
    static const struct nat_timers defaults[] = {
        [NAT_INTERFACE] = {7440 * SECOND, 240 * SECOND, 240 * SECOND, 300 * SECOND, 300 * SECOND, 60 * SECOND,
                           600 * SECOND},
        [NAT_CONNTRACK] = {432000 * SECOND, 120 * SECOND, 120 * SECOND, 30 * SECOND, 120 * SECOND, 30 * SECOND,
                           600 * SECOND},
    };
    const struct nat_timers *d = &defaults[n->config.personality];
    struct nat_timers *t = &n->config.timers;
    n->idle[TIMER_TCP_ESTABLISHED] = idle_ticks(t->tcp_established ? t->tcp_established : d->tcp_established);
    n->idle[TIMER_TCP_TRANSITORY] = idle_ticks(t->tcp_transitory ? t->tcp_transitory : d->tcp_transitory);
    n->idle[TIMER_TCP_CLOSING] = idle_ticks(t->tcp_closing ? t->tcp_closing : d->tcp_closing);
    n->idle[TIMER_UDP] = idle_ticks(t->udp ? t->udp : d->udp);
    n->idle[TIMER_UDP_STREAM] = idle_ticks(t->udp_stream ? t->udp_stream : d->udp_stream);
    n->idle[TIMER_ICMP] = idle_ticks(t->icmp ? t->icmp : d->icmp);
    n->idle[TIMER_OTHER] = idle_ticks(t->other ? t->other : d->other);
    n->idle[TIMER_TCP_RESET] = n->idle[TIMER_TCP_CLOSING];
    if (n->config.personality == NAT_CONNTRACK && n->idle[TIMER_TCP_RESET] > idle_ticks(10 * SECOND))
        n->idle[TIMER_TCP_RESET] = idle_ticks(10 * SECOND);
}

/* Port maps are mappings without an end. The first of several for one outside end, and for one inside end, wins. */
static void add_port_maps(struct nat *n) {
    for (uint32_t i = 0; i < n->config.n_port_maps; i++) {
        const struct nat_port_map *m = &n->config.port_maps[i];
        be32 outside = m->outside_addr ? m->outside_addr : n->config.addresses[0];
        if (nat_mapping_outside(n, m->proto, outside, m->outside_port, 0) != NAT_NONE)
            continue;
        const struct nat_tuple inside = {.src = m->inside_addr, .sport = m->inside_port};
        const struct nat_tuple out = {.dst = outside, .dport = m->outside_port};
        const struct nat_want want = nat_want_of(n, m->proto, &inside);
        bool again = nat_mapping_inside(n, want.natural, m->proto, &inside, 0) != NAT_NONE;
        nat_port_map_create(n, m->proto, &inside, &out, again ? NAT_OUTSIDE_ONLY : 0);
    }
}

struct nat *nat_create(const struct nat_config *config) {
    errno = EINVAL;
    if (!config_sound(config))
        return NULL;
    struct nat *n = calloc(1, sizeof *n);
    errno = ENOMEM;
    if (!n)
        return NULL;
    n->config = *config;
    struct nat_config *c = &n->config;
    if (!c->port_max) {
        c->port_min = 1024;
        c->port_max = UINT16_MAX;
    }
    if (!c->max_sessions)
        c->max_sessions = SESSIONS_DEFAULT;
    n->any_port = c->port_min == 1024 && c->port_max == UINT16_MAX;
    n->natural_first = c->personality == NAT_INTERFACE && c->port_choice == NAT_PORT_PRESERVED && !c->port_block &&
                       !c->port_rest && !c->client_ports && !c->arbitrary_pooling && !c->n_port_maps;
    set_timeouts(n);
    struct nat_port_map *maps = malloc((c->n_port_maps + 1) * sizeof *maps);
    be32 *addresses = malloc(c->n_addresses * sizeof *addresses);
    struct nat_net *untranslated = malloc((c->n_untranslated + 1) * sizeof *untranslated);
    c->port_maps = maps;
    c->addresses = addresses;
    c->untranslated = untranslated;
    const bool hold_syns = c->hold_syns && c->personality == NAT_INTERFACE;
    n->held = c->hold_fragments ? nat_held_create() : NULL;
    n->syns = hold_syns ? nat_held_create() : NULL;
    if (addresses)
        memcpy(addresses, config->addresses, c->n_addresses * sizeof *addresses);
    if (!maps || !addresses || !untranslated || (c->hold_fragments && !n->held) || (hold_syns && !n->syns) ||
        nat_ports_init(n) || nat_clients_init(n) || nat_records_init(n)) {
        nat_destroy(n);
        errno = ENOMEM;
        return NULL;
    }
    if (c->n_untranslated)
        memcpy(untranslated, config->untranslated, c->n_untranslated * sizeof *untranslated);
    if (c->n_port_maps)
        memcpy(maps, config->port_maps, c->n_port_maps * sizeof *maps);
    nat_records_clear(n);
    add_port_maps(n);
    nat_reset(n);
    return n;
}

void nat_destroy(struct nat *n) {
    if (!n)
        return;
    nat_held_destroy(n->held);
    nat_held_destroy(n->syns);
    nat_records_fini(n);
    nat_clients_fini(n);
    nat_ports_fini(n);
    free((void *)n->config.port_maps);
    free((void *)n->config.addresses);
    free((void *)n->config.untranslated);
    free(n);
}

void nat_reset(struct nat *n) {
    nat_sessions_free(n);
    memset(n->fragments, 0, sizeof n->fragments);
    nat_forget_held(n);
    n->hand = n->now = n->settled = n->created_before = 0;
    random_seed(&n->random, 1);
    n->stats = (struct nat_stats){
        .ports_available = (uint32_t)n->config.n_addresses * (n->config.port_max - n->config.port_min + 1u)};
}

/* ---- stages ---- */

void nat_meet(struct nat *n, struct packet *p, uint32_t value) {
    uint32_t i = value >> 1;
    bool reply = value & 1, inward = reply != !!(n->records[i].flags & NAT_FROM_OUTSIDE);
    const bool hairpin = n->records[i].flags & NAT_HAIRPIN;
    if (n->config.personality == NAT_INTERFACE && (inward || hairpin) &&
        (p->in_port == n->config.outside_port) == hairpin)
        return;
    p->session = i + 1;
    p->flags |= reply ? PACKET_REPLY : 0;
}

void nat_apply_destination(struct nat *n, struct packet *p) {
    if (nat_has_session(p)) {
        struct nat_tuple after = nat_after(nat_packet_session(n, p), p->flags & PACKET_REPLY);
        nat_set_destination(p, after.dst, after.dport);
    } else if (nat_via_mapping(p)) {
        const struct nat_tuple *outward = nat_node_outward(n, nat_via_node(p));
        nat_set_destination(p, outward->src, outward->sport);
    }
}

bool nat_apply_source(struct nat *n, struct packet *p) {
    const struct nat_record *r = nat_packet_session(n, p);
    bool reply = p->flags & PACKET_REPLY, outward = reply == !!(r->flags & NAT_FROM_OUTSIDE);
    if (n->config.personality == NAT_INTERFACE && outward && p->out_port != n->config.outside_port &&
        !(r->flags & NAT_HAIRPIN)) {
        nat_forget_session(p);
        return false;
    }
    struct nat_tuple after = nat_after(r, reply);
    nat_set_source(p, after.src, after.sport);
    return true;
}

/* With another rule for what keeps a session alive, or with two called sides. */
static __attribute__((noinline)) void use_with_care(struct nat *n, struct packet *p, uint64_t now) {
    struct nat_record *r = nat_packet_session(n, p);
    const bool reply = p->flags & PACKET_REPLY, inward = reply != !!(r->flags & NAT_FROM_OUTSIDE);
    const bool hairpin = r->flags & NAT_HAIRPIN;
    /* RFC 4787 REQ-6; RFC 7857, 7: a reset may answer what should not have come */
    const bool keeps = !n->config.outbound_refresh_only || hairpin || (!inward && !nat_is_reset(p));
    const uint32_t idle = n->idle[r->timer];
    nat_track(n, p, keeps ? now : (uint64_t)r->last << NAT_TICK_SHIFT);
    if (!keeps && n->idle[r->timer] < idle) /* a state that ends sooner begins now */
        nat_session_touch(n, p->session - 1, (enum nat_timer)r->timer, now);
    if (hairpin)
        r->flags &= (uint16_t)~(NAT_STEADY_ORIGINAL | NAT_STEADY_REPLY);
    else if (n->config.outbound_refresh_only)
        r->flags &= (uint16_t)~(r->flags & NAT_FROM_OUTSIDE ? NAT_STEADY_ORIGINAL : NAT_STEADY_REPLY);
    if (r->flags & NAT_UNCALLED && reply)
        nat_session_called(n, p->session - 1);
    else if (r->flags & NAT_UNCALLED)
        packet_drop(p, DROP_NAT_FILTERED);
}

void nat_use(struct nat *n, struct packet *p, uint64_t now) {
    if (n->config.outbound_refresh_only || nat_packet_session(n, p)->flags & NAT_HAIRPIN)
        use_with_care(n, p, now);
    else
        nat_track(n, p, now);
}

/* May it enter by a mapping: from outside, or from inside where that is what its destination stands for? */
static bool may_enter(const struct nat *n, const struct packet *p) {
    return p->in_port == n->config.outside_port ||
           (n->config.hairpin && p->in_port != PORT_NONE && nat_is_outside(n, p->dst) &&
            !nat_is_outside(n, p->src) && nat_moves_port(p, true));
}

/* The mapping that lets a packet of no session in. */
static void enter_by_mapping(struct nat *n, struct packet *p, uint64_t now) {
    if (!may_enter(n, p) || !nat_moves_port(p, false) ||
        (n->config.personality == NAT_CONNTRACK && !nat_may_begin(p)))
        return;
    uint32_t m = nat_mapping_outside(n, p->proto, p->dst, p->dport, now);
    if (m != NAT_NONE)
        p->session = NAT_VIA_MAPPING | m;
    else if (n->syns)
        nat_syn_without_mapping(n, p, now);
}

static void in(struct nat *n, struct packet *p, uint32_t value, uint64_t now) {
    if (p->flags & (PACKET_FRAG_LATER | PACKET_WAITED))
        return nat_held_in(n, p, now);
    if (p->flags & PACKET_ICMP_ERROR)
        return nat_icmp_in(n, p, now);
    nat_forget_session(p);
    if (value != NAT_NONE && nat_session_fresh(n, &n->records[value >> 1], now))
        nat_meet(n, p, value);
    else
        enter_by_mapping(n, p, now);
    if (p->flags & PACKET_FRAG_FIRST)
        nat_fragment_first_in(n, p, now);
    if (p->session)
        nat_apply_destination(n, p);
}

/*
 * Sessions of a chunk are looked up in loops of one step for all packets, so that the latencies of memory and of its
 * pages' addresses overlap.
 */
static void in_chunk(struct nat *n, struct packet **pkts, unsigned count, uint64_t now) {
    struct nat_tuple tuple[CHUNK];
    struct nat_search search[CHUNK];
    uint32_t value[CHUNK];
    uint64_t hash[CHUNK];
    for (unsigned i = 0; i < count; i++) {
        tuple[i] = nat_packet_tuple(pkts[i]);
        hash[i] = nat_hash(NAT_KEY_SESSION, pkts[i]->proto, &tuple[i]);
        nat_fetch(nat_table_bucket(&n->table, hash[i]));
    }
    for (unsigned i = 0; i < count; i++) {
        value[i] = nat_search(&search[i], &n->table, hash[i]);
        if (value[i] != NAT_NONE)
            nat_fetch(&n->records[value[i] >> 1]);
    }
    for (unsigned i = 0; i < count; i++) {
        while (value[i] != NAT_NONE &&
               !nat_is_way(&n->records[value[i] >> 1], value[i] & 1, pkts[i]->proto, &tuple[i]))
            value[i] = nat_search_on(&search[i], &n->table);
        in(n, pkts[i], value[i], now);
    }
}

void nat_in(struct nat *n, struct packet **pkts, unsigned count, uint64_t now) {
    nat_clock(n, now);
    for (unsigned done = 0; done < count; done += CHUNK)
        in_chunk(n, pkts + done, count - done < CHUNK ? count - done : CHUNK, now);
}

/* A packet as it was before nat_in. */
static struct nat_tuple came_as(const struct nat *n, const struct packet *p) {
    if (nat_has_session(p))
        return nat_packet_session(n, p)->way[!!(p->flags & PACKET_REPLY)];
    struct nat_tuple t = nat_packet_tuple(p);
    if (nat_via_mapping(p)) {
        const struct nat_tuple end = nat_node_outside(n, nat_via_node(p));
        t.dst = end.dst;
        t.dport = end.dport;
    }
    return t;
}

static inline void out_whole(struct nat *n, struct packet *p, const struct nat_want *want, uint64_t now) {
    if (!nat_has_session(p))
        nat_begin(n, p, want, now);
    else if (nat_apply_source(n, p))
        nat_use(n, p, now);
}

static __attribute__((noinline)) void out_special(struct nat *n, struct packet *p, const struct nat_want *want,
                                                  uint64_t now) {
    if (p->flags & PACKET_FRAG_LATER)
        return nat_fragment_out(n, p, now);
    if (p->flags & PACKET_ICMP_ERROR)
        return nat_icmp_out(n, p, now);
    const struct nat_tuple came = came_as(n, p);
    out_whole(n, p, want, now);
    nat_fragment_first_out(n, p, &came, now);
}

/* As in_chunk: what new sessions need, and then they are made. */
static void out_chunk(struct nat *n, struct packet **pkts, unsigned count, uint64_t now) {
    struct nat_want want[CHUNK];
    const uint64_t wanted = nat_wants(n, pkts, count, want);
    for (unsigned i = 0, k = 0; i < count; i++) {
        struct packet *p = pkts[i];
        const struct nat_want *its = wanted >> i & 1 ? &want[k++] : NULL;
        if (p->flags & (PACKET_FRAG_FIRST | PACKET_FRAG_LATER | PACKET_ICMP_ERROR))
            out_special(n, p, its, now);
        else
            out_whole(n, p, its, now);
    }
}

void nat_out(struct nat *n, struct packet **pkts, unsigned count, uint64_t now) {
    n->now = now;
    for (unsigned done = 0; done < count; done += CHUNK)
        out_chunk(n, pkts + done, count - done < CHUNK ? count - done : CHUNK, now);
}

/* ---- questions ---- */

/* The time of a tick that lies in the past. */
static uint64_t tick_ns(const struct nat *n, uint32_t tick) {
    return ((n->now >> NAT_TICK_SHIFT) - (uint32_t)(nat_tick(n->now) - tick)) << NAT_TICK_SHIFT;
}

static void session_fill(const struct nat *n, uint32_t i, struct nat_session *out_session) {
    const struct nat_record *r = &n->records[i];
    const struct nat_tuple straight = nat_inverse(r->way[0]);
    *out_session = (struct nat_session){
        .proto = r->proto, .state = r->state, .from_outside = r->flags & NAT_FROM_OUTSIDE, .original = r->way[0],
        .reply = r->way[1], .first = tick_ns(n, n->cold[i].first), .last = tick_ns(n, r->last),
        .translated = !nat_tuple_equal(&straight, &r->way[1])};
}

uint32_t nat_find_session(const struct nat *n, uint8_t proto, const struct nat_tuple *tuple) {
    return nat_find_value(n, proto, tuple);
}

bool nat_session_get(const struct nat *n, uint32_t session, struct nat_session *out_session) {
    if (session >= n->n_records || !nat_session_fresh(n, &n->records[session], n->now))
        return false;
    session_fill(n, session, out_session);
    return true;
}

uint32_t nat_find(const struct nat *n, uint8_t proto, const struct nat_tuple *original) {
    uint32_t value = nat_find_value(n, proto, original);
    if (value == NAT_NONE || value & 1 || !nat_session_fresh(n, &n->records[value >> 1], n->now))
        return NAT_NONE;
    return value >> 1;
}

void nat_each(const struct nat *n, void (*fn)(const struct nat_session *, void *), void *arg) {
    struct nat_session s;
    uint32_t left = n->stats.live; /* with those that are idle by now */
    for (uint32_t i = 0; i < n->n_records && left; i++) {
        left -= n->records[i].kind == NAT_SESSION;
        if (nat_session_get(n, i, &s))
            fn(&s, arg);
    }
}

void nat_stats_get(const struct nat *n, struct nat_stats *out_stats) {
    *out_stats = n->stats;
}

const struct nat_config *nat_config_get(const struct nat *n) {
    return &n->config;
}
