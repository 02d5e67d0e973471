/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mappings and permits: rings of sides of sessions, the head of each in the index. A ring is found under what its sides
 * have in common: a mapping's inside and outside end, or an outside end with a remote address that was sent to.
 */
#include "nat_client.h"

/* The called side of a hairpin session? */
static bool is_far(const struct nat *n, uint32_t node) {
    return n->far && (node & 1) != !!(n->records[node >> 1].flags & NAT_FROM_OUTSIDE);
}
static uint16_t *flags_of(const struct nat *n, uint32_t node) {
    return is_far(n, node) ? &n->far[node >> 1].flags : &n->records[node >> 1].flags;
}
static uint32_t client_of(const struct nat *n, uint32_t node) {
    return is_far(n, node) ? n->far[node >> 1].client : n->cold[node >> 1].client;
}
static struct nat_link *link_of(const struct nat *n, enum nat_ring ring, uint32_t node) {
    const uint32_t i = node >> 1;
    if (ring == RING_PERMIT)
        return &n->permits[is_far(n, node) ? n->n_records + i : i];
    return is_far(n, node) ? &n->far[i].siblings : &n->cold[i].siblings;
}

/* Puts `node` before `at` in a ring; alone: at is node. */
static void link_add(const struct nat *n, enum nat_ring ring, uint32_t at, uint32_t node) {
    struct nat_link *own = link_of(n, ring, node);
    *own = (struct nat_link){node, node};
    if (at == node)
        return;
    struct nat_link *next = link_of(n, ring, at);
    *own = (struct nat_link){next->prev, at};
    link_of(n, ring, next->prev)->next = node;
    next->prev = node;
}

/* What follows it; itself: nothing. */
static uint32_t link_remove(const struct nat *n, enum nat_ring ring, uint32_t node) {
    const struct nat_link at = *link_of(n, ring, node);
    link_of(n, ring, at.prev)->next = at.next;
    link_of(n, ring, at.next)->prev = at.prev;
    return at.next;
}

/* A ring lives while one of its sessions does. Idle ones that stand before the first live one are freed: each that is
 * looked at but the last, once. */
static inline bool is_idle(const struct nat *n, uint32_t node, uint64_t now) {
    const struct nat_record *r = &n->records[node >> 1];
    return r->kind == NAT_SESSION && !nat_session_fresh(n, r, now);
}
static __attribute__((noinline)) uint32_t ring_settle(struct nat *n, enum nat_ring ring, uint32_t node, uint64_t now) {
    do {
        const uint32_t next = link_of(n, ring, node)->next;
        nat_session_free(n, node >> 1);
        if (next == node)
            return NAT_NONE;
        node = next;
    } while (is_idle(n, node, now));
    return node;
}
static inline uint32_t ring_live(struct nat *n, enum nat_ring ring, uint32_t node, uint64_t now) {
    return is_idle(n, node, now) ? ring_settle(n, ring, node, now) : node;
}

static struct nat_tuple inside_end(const struct nat *n, uint32_t node) {
    return n->records[node >> 1].kind == NAT_PORT_MAP ? n->records[node >> 1].way[0]
                                                      : nat_inside_end(n, nat_node_outward(n, node));
}
static uint64_t hash_inside(const struct nat *n, uint32_t node) {
    const struct nat_tuple end = inside_end(n, node);
    return nat_hash(NAT_KEY_INSIDE, n->records[node >> 1].proto, &end);
}
/* Outside end and remote address. */
static struct nat_tuple permit_of(const struct nat *n, uint32_t node) {
    struct nat_tuple t = nat_node_outside(n, node);
    t.src = nat_node_outward(n, node)->dst;
    return t;
}

/* Does what the index gave stand there for this, or is it a port map, where these count too? */
static bool stands_for(const struct nat *n, uint32_t node, uint8_t proto, uint16_t flag, bool map_too) {
    const struct nat_record *r = &n->records[node >> 1];
    if (r->proto != proto || r->kind != NAT_SESSION)
        return r->proto == proto && r->kind == NAT_PORT_MAP && map_too;
    return (!is_far(n, node) || r->flags & NAT_HAIRPIN) && *flags_of(n, node) & flag;
}

/* The head of a mapping of this inside end; NAT_NONE when none of its sessions lives. */
static uint32_t inside_live(struct nat *n, uint32_t node, const struct nat_tuple *end, uint64_t now) {
    node = ring_live(n, RING_MAPPING, node, now);
    if (node == NAT_NONE)
        return node;
    const struct nat_tuple mine = inside_end(n, node); /* those of another inside end stand behind */
    return nat_tuple_equal(&mine, end) ? node : NAT_NONE;
}

/* By its cell, where that is the natural one. */
static uint32_t find_natural(struct nat *n, uint32_t cell, uint8_t proto, const struct nat_tuple *end, uint64_t now) {
    const uint32_t node = nat_cell_node(n, cell);
    if (node == NAT_NONE || !stands_for(n, node, proto, NAT_INSIDE_HEAD, false))
        return NAT_NONE;
    const struct nat_tuple mine = inside_end(n, node);
    return nat_tuple_equal(&mine, end) ? inside_live(n, node, end, now) : NAT_NONE;
}

static uint32_t find_inside(struct nat *n, uint8_t proto, const struct nat_tuple *end, uint64_t now) {
    struct nat_search s;
    uint32_t v = nat_search(&s, &n->table, nat_hash(NAT_KEY_INSIDE, proto, end));
    for (; v != NAT_NONE; v = nat_search_on(&s, &n->table)) {
        const struct nat_tuple mine = inside_end(n, v);
        if (stands_for(n, v, proto, NAT_INSIDE_HEAD, !(n->records[v >> 1].flags & NAT_OUTSIDE_ONLY)) &&
            nat_tuple_equal(&mine, end))
            return inside_live(n, v, end, now);
    }
    return NAT_NONE;
}

uint32_t nat_mapping_inside(struct nat *n, uint32_t natural, uint8_t proto, const struct nat_tuple *outward,
                            uint64_t now) {
    if (n->groups && !n->cells[natural] && !n->config.n_port_maps)
        return NAT_NONE;
    const struct nat_tuple any = {.src = outward->src, .sport = outward->sport}, end = nat_inside_end(n, outward);
    const bool maps = n->config.n_port_maps;
    uint32_t node = n->groups ? find_natural(n, natural, proto, &end, now) : NAT_NONE;
    if (node == NAT_NONE && (maps || nat_cell_moved(n, natural)))
        node = find_inside(n, proto, &end, now);
    return node == NAT_NONE && maps && n->config.mapping ? find_inside(n, proto, &any, now) : node;
}

static uint32_t find_port_map(const struct nat *n, uint8_t proto, be32 addr, be16 port) {
    const struct nat_tuple end = {.dst = addr, .dport = port};
    struct nat_search s;
    uint32_t v = nat_search(&s, &n->table, nat_hash(NAT_KEY_OUTSIDE, proto, &end));
    for (; v != NAT_NONE; v = nat_search_on(&s, &n->table)) {
        const struct nat_record *r = &n->records[v >> 1];
        if (r->kind == NAT_PORT_MAP && r->proto == proto && nat_tuple_equal(&r->way[1], &end))
            return v;
    }
    return NAT_NONE;
}

uint32_t nat_mapping_at(struct nat *n, uint32_t cell, uint64_t now) {
    const uint32_t node = nat_cell_node(n, cell);
    return node == NAT_NONE ? node : ring_live(n, RING_MAPPING, node, now);
}

uint32_t nat_mapping_outside(struct nat *n, uint8_t proto, be32 addr, be16 port, uint64_t now) {
    const uint32_t cell = n->groups ? nat_port_cell(n, proto, addr, port) : NAT_NONE;
    if (cell != NAT_NONE && nat_cell_node(n, cell) != NAT_NONE)
        return nat_mapping_at(n, cell, now);
    return n->config.n_port_maps ? find_port_map(n, proto, addr, port) : NAT_NONE;
}

void nat_port_map_create(struct nat *n, uint8_t proto, const struct nat_tuple *inside, const struct nat_tuple *outside,
                         uint16_t flags) {
    const uint32_t i = nat_record_take(n), node = nat_value(i, false);
    const uint32_t cell = nat_port_cell(n, proto, outside->dst, outside->dport);
    n->records[i] = (struct nat_record){.way = {*inside, *outside}, .kind = NAT_PORT_MAP, .proto = proto,
                                        .flags = flags};
    /* whatever the mappings look at, a port map is for all ends */
    if (!(flags & NAT_OUTSIDE_ONLY))
        nat_table_insert(&n->table, hash_inside(n, node), node);
    if (n->groups && cell != NAT_NONE)
        nat_cell_set(n, cell, node);
    else
        nat_table_insert(&n->table, nat_hash(NAT_KEY_OUTSIDE, proto, outside), node);
    nat_port_take(n, cell);
}

/* One more mapping that would have had this cell stands in the index, or one less. */
static void moved(struct nat *n, uint32_t natural, int change) {
    if (nat_cell_moved(n, natural) < NAT_CELL_MOST)
        n->cells[natural] += (uint32_t)change << NAT_CELL_SHIFT;
}

/* A side that is alone in its mapping. */
static inline void mapping_begin(struct nat *n, uint32_t node, uint32_t client, uint16_t *flags, uint32_t cell,
                                 uint32_t natural) {
    *flags |= NAT_MAPPED | NAT_HEAD | NAT_INSIDE_HEAD;
    nat_cell_set(n, cell, node);
    if (cell != natural) {
        *flags |= NAT_MOVED;
        moved(n, natural, 1);
        nat_table_insert(&n->table, hash_inside(n, node), node);
    }
    nat_port_take(n, cell);
    nat_client_port(n, client, n->records[node >> 1].proto, 1);
}

/*
 * A ring's sides have one outside end. They also have one inside end, where mappings do not depend on the remote end;
 * else those that came by the outside end may have another. They stand behind the others, so that the head has the
 * mapping's own inside end as long as any side has it.
 */
static void mapping_join(struct nat *n, uint32_t node, uint64_t now) {
    const uint32_t cell = nat_node_cell(n, node);
    uint16_t *flags = flags_of(n, node);
    uint32_t head = nat_cell_node(n, cell);
    if (head != NAT_NONE)
        head = ring_live(n, RING_MAPPING, head, now);
    *flags |= NAT_MAPPED;
    if (head != NAT_NONE) {
        const struct nat_tuple inside = inside_end(n, node);
        const struct nat_tuple its = inside_end(n, head);
        const bool own = *flags_of(n, head) & NAT_INSIDE_HEAD && nat_tuple_equal(&its, &inside);
        link_add(n, RING_MAPPING, own ? link_of(n, RING_MAPPING, head)->next : head, node);
        return;
    }
    link_add(n, RING_MAPPING, node, node);
    mapping_begin(n, node, client_of(n, node), flags, cell, nat_node_natural(n, node));
}

/* Its mapping is no longer found by its inside end. */
static __attribute__((noinline)) void unmove(struct nat *n, uint32_t node) {
    nat_table_remove(&n->table, hash_inside(n, node), node);
    moved(n, nat_node_natural(n, node), -1);
}

/* One of several goes; a head's place is taken by the next. */
static __attribute__((noinline)) void mapping_pass_on(struct nat *n, uint32_t node, uint32_t cell, uint16_t flags) {
    const uint32_t next = link_remove(n, RING_MAPPING, node);
    if (!(flags & NAT_HEAD))
        return;
    const struct nat_tuple mine = inside_end(n, node), its = inside_end(n, next);
    const bool stays = nat_tuple_equal(&mine, &its);
    if (flags & NAT_MOVED && stays)
        nat_table_replace(&n->table, hash_inside(n, node), node, next);
    else if (flags & NAT_MOVED)
        unmove(n, node);
    nat_cell_set(n, cell, next);
    *flags_of(n, next) |= stays ? flags & (NAT_HEAD | NAT_INSIDE_HEAD | NAT_MOVED) : NAT_HEAD;
}

/* The last one takes the mapping with it. */
static void mapping_leave(struct nat *n, uint32_t node, uint32_t cell, uint16_t flags) {
    if (link_of(n, RING_MAPPING, node)->next != node)
        return mapping_pass_on(n, node, cell, flags);
    if (flags & NAT_MOVED)
        unmove(n, node);
    nat_cell_set(n, cell, NAT_NONE);
    nat_port_give_back(n, cell);
    nat_client_port(n, client_of(n, node), n->records[node >> 1].proto, -1);
}

/* The head of the ring of those that permit the same, as in the index; NAT_NONE. */
static uint32_t permit_find(const struct nat *n, uint8_t proto, const struct nat_tuple *permit) {
    struct nat_search s;
    uint32_t v = nat_search(&s, &n->table, nat_hash(NAT_KEY_PERMIT, proto, permit));
    for (; v != NAT_NONE; v = nat_search_on(&s, &n->table)) {
        const struct nat_tuple mine = permit_of(n, v);
        if (nat_tuple_equal(&mine, permit) && stands_for(n, v, proto, NAT_PERMIT_HEAD, false))
            return v;
    }
    return NAT_NONE;
}

static void permit_join(struct nat *n, uint32_t node) {
    const uint8_t proto = n->records[node >> 1].proto;
    const struct nat_tuple permit = permit_of(n, node);
    const uint32_t head = permit_find(n, proto, &permit);
    link_add(n, RING_PERMIT, head == NAT_NONE ? node : head, node);
    *flags_of(n, node) |= NAT_PERMITS;
    if (head == NAT_NONE) {
        *flags_of(n, node) |= NAT_PERMIT_HEAD;
        nat_table_insert(&n->table, nat_hash(NAT_KEY_PERMIT, proto, &permit), node);
    }
}

static void permit_leave(struct nat *n, uint32_t node) {
    const struct nat_tuple permit = permit_of(n, node);
    const uint64_t hash = nat_hash(NAT_KEY_PERMIT, n->records[node >> 1].proto, &permit);
    const uint32_t next = link_remove(n, RING_PERMIT, node);
    if (!(*flags_of(n, node) & NAT_PERMIT_HEAD))
        return;
    if (next == node) {
        nat_table_remove(&n->table, hash, node);
    } else {
        nat_table_replace(&n->table, hash, node, next);
        *flags_of(n, next) |= NAT_PERMIT_HEAD;
    }
}

bool nat_permits(struct nat *n, uint8_t proto, const struct nat_tuple *outside_end, be32 remote, uint64_t now) {
    if (n->config.filtering != NAT_ADDRESS_DEPENDENT) /* address and port: a session would have been found */
        return n->config.filtering == NAT_ENDPOINT_INDEPENDENT;
    struct nat_tuple permit = *outside_end;
    permit.src = remote;
    const uint32_t head = permit_find(n, proto, &permit);
    return head != NAT_NONE && ring_live(n, RING_PERMIT, head, now) != NAT_NONE;
}

void nat_side_begin(struct nat *n, uint32_t i, const struct nat_new *new) {
    const uint32_t node = nat_value(i, false);
    nat_client_join(n, new->client);
    n->cold[i].siblings = (struct nat_link){node, node};
    mapping_begin(n, node, new->client, &n->records[i].flags, new->cell, new->natural);
    if (n->permits)
        permit_join(n, node);
}
void nat_side_join(struct nat *n, uint32_t node, bool permits, uint64_t now) {
    nat_client_join(n, client_of(n, node));
    if (!(*flags_of(n, node) & NAT_MAPPED))
        return;
    mapping_join(n, node, now);
    if (n->permits && permits)
        permit_join(n, node);
}
void nat_side_leave(struct nat *n, uint32_t node, uint32_t cell) {
    const uint16_t flags = *flags_of(n, node);
    if (flags & NAT_PERMITS)
        permit_leave(n, node);
    if (flags & NAT_MAPPED && n->rests)
        nat_port_rest(n, node);
    if (flags & NAT_MAPPED)
        mapping_leave(n, node, cell, flags);
    nat_client_leave(n, client_of(n, node));
}

void nat_session_called(struct nat *n, uint32_t i) {
    n->records[i].flags &= (uint16_t)~NAT_UNCALLED;
    if (n->permits && n->far[i].flags & NAT_MAPPED)
        permit_join(n, nat_value(i, true));
}
