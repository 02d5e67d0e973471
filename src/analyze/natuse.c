/* SPDX-License-Identifier: BSD-3-Clause */
/* See natuse.h: samples by trace time, the census, refusals. */
#include <stdlib.h>
#include <string.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/parse.h>
#include "natuse_book.h"

#define FIRST_INTERVAL 10000000ull /* ns */
#define LOOK_EVERY 64  /* packets, or at a new sample */
#define CENSUS_EVERY 4 /* packets a session between two of them, at least */
#define CLIENTS_MAX 65536

struct natuse *natuse_create(const struct nat *n) {
    struct natuse *u = xzalloc(1, sizeof *u);
    u->nat = n;
    u->config = nat_config_get(n);
    u->samples.interval_ns = FIRST_INTERVAL;
    u->clients_mask = 255;
    u->clients = xzalloc(u->clients_mask + 1, sizeof *u->clients);
    return u;
}

void natuse_destroy(struct natuse *u) {
    if (!u)
        return;
    free(u->clients);
    free(u->ends);
    free(u);
}

/* ---- clients ---- */

static struct client *client_slot(const struct natuse *u, be32 addr) {
    size_t i = addr * UINT64_C(0x9e3779b97f4a7c15) >> 40;
    while (u->clients[i & u->clients_mask].addr && u->clients[i & u->clients_mask].addr != addr)
        i++;
    return &u->clients[i & u->clients_mask];
}

static void clients_grow(struct natuse *u) {
    struct client *old = u->clients;
    const size_t n = u->clients_mask + 1;
    u->clients_mask = 2 * n - 1;
    u->clients = xzalloc(2 * n, sizeof *u->clients);
    for (size_t i = 0; i < n; i++)
        if (old[i].addr)
            *client_slot(u, old[i].addr) = old[i];
    free(old);
}

/* NULL: nobody's, or there is no room for one more. */
static struct client *client_of(struct natuse *u, be32 addr) {
    if (!addr)
        return NULL;
    struct client *c = client_slot(u, addr);
    if (c->addr == addr)
        return c;
    if (u->n_clients == CLIENTS_MAX) {
        u->more_clients++;
        return NULL;
    }
    if (2 * ++u->n_clients > u->clients_mask + 1) {
        clients_grow(u);
        c = client_slot(u, addr);
    }
    c->addr = addr;
    return c;
}

/* ---- the census ---- */

/* Is it the first session of this census with this outside end? */
static bool end_is_new(struct natuse *u, uint8_t proto, be32 addr, be16 port) {
    const uint64_t key = (uint64_t)u->census << 56 | (uint64_t)proto << 48 | (uint64_t)addr << 16 | port;
    size_t i = (key * UINT64_C(0x9e3779b97f4a7c15)) >> 20;
    for (;; i++) {
        uint64_t *slot = &u->ends[i & u->ends_mask];
        if (*slot == key)
            return false;
        if (*slot >> 56 == (uint8_t)u->census)
            continue;
        *slot = key; /* empty, or of an earlier census */
        return true;
    }
}

static int pool_of(uint8_t proto) {
    return proto == PROTO_TCP ? POOL_TCP : proto == PROTO_UDP ? POOL_UDP : proto == PROTO_ICMP ? POOL_ICMP : -1;
}

static void count_port(struct natuse *u, struct client *c, int pool) {
    const uint32_t block = u->config->port_block;
    u->pool[pool]++;
    if (!c)
        return;
    c->ports[pool]++;
    if (block && (c->ports[pool] + block - 1) / block > c->blocks) {
        c->blocks++;
        u->pool[POOL_BLOCKS]++;
    }
    const uint32_t all = c->ports[POOL_TCP] + c->ports[POOL_UDP] + c->ports[POOL_ICMP];
    c->ports_peak = all > c->ports_peak ? all : c->ports_peak;
}

static void count_session(const struct nat_session *s, void *arg) {
    struct natuse *u = arg;
    const struct nat_tuple *t = &s->original, *r = &s->reply;
    if (!s->translated)
        return;
    struct client *c = client_of(u, s->from_outside ? r->src : t->src);
    if (c && c->census != u->census) {
        c->census = u->census;
        c->sessions = c->blocks = 0;
        memset(c->ports, 0, sizeof c->ports);
    }
    if (c && ++c->sessions > c->peak) {
        c->peak = c->sessions;
        c->peak_at = u->now;
    }
    const int pool = pool_of(s->proto);
    if (pool >= 0 && end_is_new(u, s->proto, s->from_outside ? t->dst : r->dst, s->from_outside ? t->dport : r->dport))
        count_port(u, c, pool);
}

/* They are no pool's: as if they had been seen. */
static void leave_out_port_maps(struct natuse *u) {
    const struct nat_config *c = u->config;
    for (uint32_t i = 0; i < c->n_port_maps; i++) {
        const struct nat_port_map *m = &c->port_maps[i];
        end_is_new(u, m->proto, m->outside_addr ? m->outside_addr : c->addresses[0], m->outside_port);
    }
}

static void take_census(struct natuse *u) {
    size_t room = 64;
    while (room < 2 * ((size_t)u->stats.live + u->config->n_port_maps))
        room *= 2;
    u->census++;
    if (room - 1 > u->ends_mask || !(uint8_t)u->census) {
        free(u->ends);
        u->ends_mask = room - 1 > u->ends_mask ? room - 1 : u->ends_mask;
        u->ends = xzalloc(u->ends_mask + 1, sizeof *u->ends);
        u->census += !(uint8_t)u->census; /* 0 on top is an empty one */
    }
    memset(u->pool, 0, sizeof u->pool);
    leave_out_port_maps(u);
    nat_each(u->nat, count_session, u);
    u->packets = 0;
    u->counted = u->samples.n;
}

/* ---- samples ---- */

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

/* Two become one. */
static void halve(struct natuse_samples *s) {
    for (unsigned i = 0; i < s->n; i += 2) {
        const unsigned j = i + 1 < s->n ? i + 1 : i;
        s->sessions[i / 2] = larger(s->sessions[i], s->sessions[j]);
        s->ports[i / 2] = larger(s->ports[i], s->ports[j]);
        for (unsigned k = 0; k < POOL_COUNT; k++)
            s->pool[k][i / 2] = larger(s->pool[k][i], s->pool[k][j]);
        s->ended[i / 2] = s->ended[j];
    }
    s->n = (s->n + 1) / 2;
    s->interval_ns *= 2;
}

static void keep(struct natuse *u, unsigned i) {
    struct natuse_samples *s = &u->samples;
    s->sessions[i] = larger(s->sessions[i], u->stats.live);
    s->ports[i] = larger(s->ports[i], u->stats.ports_live);
    s->ended[i] = u->stats.expired;
    for (unsigned k = 0; k < POOL_COUNT; k++)
        s->pool[k][i] = larger(s->pool[k][i], u->pool[k]);
}

static void begin_sample(struct natuse *u) {
    struct natuse_samples *s = &u->samples;
    const unsigned i = s->n++;
    s->sessions[i] = s->ports[i] = 0;
    for (unsigned k = 0; k < POOL_COUNT; k++)
        s->pool[k][i] = 0;
}

/* All samples up to the one of this moment; those without packets show what was there before. */
static void advance(struct natuse *u) {
    struct natuse_samples *s = &u->samples;
    while (u->now / s->interval_ns >= NATUSE_SAMPLES)
        halve(s);
    while (s->n < u->now / s->interval_ns) {
        begin_sample(u);
        keep(u, s->n - 1);
    }
    if (s->n == u->now / s->interval_ns)
        begin_sample(u);
    u->until = s->n * s->interval_ns;
}

void natuse_see(struct natuse *u, uint64_t now, unsigned packets) {
    const uint32_t peak = u->stats.ports_peak;
    u->packets += packets;
    u->unseen += packets;
    if (now < u->until && u->unseen < LOOK_EVERY)
        return;
    u->unseen = 0;
    u->now = now > u->now ? now : u->now;
    advance(u);
    nat_stats_get(u->nat, &u->stats);
    if (u->stats.ports_peak > peak)
        u->peak_at = u->now;
    if (u->counted != u->samples.n && u->packets >= CENSUS_EVERY * (uint64_t)u->stats.peak)
        take_census(u);
    keep(u, u->samples.n - 1);
}

void natuse_dropped(struct natuse *u, const struct packet *p, uint64_t now) {
    if (p->reason != DROP_NAT_NO_PORT && p->reason != DROP_NAT_TABLE_FULL && p->reason != DROP_NAT_CLIENT_LIMIT)
        return;
    if (p->reason == DROP_NAT_NO_PORT && !u->refused[p->reason])
        u->first_refused = now;
    u->refused[p->reason]++;
    struct client *c = p->in_port == u->config->outside_port ? NULL : client_of(u, p->src);
    if (c && !c->refused++)
        c->first_refused = now;
}

void natuse_finish(struct natuse *u) {
    if (!u->samples.n)
        return;
    nat_stats_get(u->nat, &u->stats);
    take_census(u);
    keep(u, u->samples.n - 1);
}
