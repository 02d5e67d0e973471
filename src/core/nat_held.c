/* SPDX-License-Identifier: BSD-3-Clause */
/* Held packets: slots in two queues, of those that wait and of those that are due, each in the order of coming in. */
#include "nat_held.h"

#include <stdlib.h>

#define NONE UINT16_MAX

struct slot {
    struct nat_datagram of;
    uint16_t next; /* in its queue, or of the free ones */
    uint16_t in_port, flags;
    uint32_t len, wire_len;
    uint64_t tag, time;
};

struct queue {
    uint16_t head, tail, n;
};

struct nat_held {
    struct queue waiting, due;
    uint16_t free;
    struct slot slots[NAT_HELD_SLOTS];
    uint8_t bytes[NAT_HELD_SLOTS][NAT_HELD_BYTES];
};

static void append(struct nat_held *h, struct queue *q, uint16_t i) {
    h->slots[i].next = NONE;
    if (q->n++)
        h->slots[q->tail].next = i;
    else
        q->head = i;
    q->tail = i;
}

/* Takes the one behind `before` (NONE: the first) out of a queue. */
static uint16_t unlink_after(struct nat_held *h, struct queue *q, uint16_t before) {
    uint16_t *link = before == NONE ? &q->head : &h->slots[before].next, i = *link;
    *link = h->slots[i].next;
    if (q->tail == i)
        q->tail = before;
    q->n--;
    return i;
}

struct nat_held *nat_held_create(void) {
    struct nat_held *h = calloc(1, sizeof *h);
    if (h)
        nat_held_clear(h);
    return h;
}

void nat_held_destroy(struct nat_held *h) {
    free(h);
}

void nat_held_clear(struct nat_held *h) {
    h->waiting = h->due = (struct queue){0};
    for (uint16_t i = 0; i < NAT_HELD_SLOTS; i++)
        h->slots[i].next = i + 1 < NAT_HELD_SLOTS ? i + 1 : NONE;
    h->free = 0;
}

static unsigned count(const struct nat_held *h, const struct nat_datagram *of) {
    unsigned n = 0;
    for (uint16_t k = h->waiting.n, i = h->waiting.head; k; k--, i = h->slots[i].next)
        n += nat_datagram_equal(&h->slots[i].of, of);
    return n;
}

unsigned nat_held_waiting(const struct nat_held *h) {
    return h->waiting.n;
}

bool nat_held_add(struct nat_held *h, const struct nat_datagram *of, const struct packet *p, unsigned most,
                  uint64_t now) {
    const uint16_t i = h->free;
    if (i == NONE || p->len > NAT_HELD_BYTES || count(h, of) >= most)
        return false;
    if (h->waiting.n == NAT_HELD_WAITING)
        append(h, &h->due, unlink_after(h, &h->waiting, NONE));
    h->free = h->slots[i].next;
    h->slots[i] = (struct slot){.of = *of, .in_port = p->in_port, .len = p->len, .wire_len = p->wire_len,
                                .flags = p->flags & (PACKET_RAW_IP | PACKET_NO_CHECKSUM), .tag = p->tag, .time = now};
    memcpy(h->bytes[i], p->data, p->len);
    append(h, &h->waiting, i);
    return true;
}

void nat_held_release(struct nat_held *h, const struct nat_datagram *of) {
    for (uint16_t left = h->waiting.n, before = NONE; left; left--) {
        const uint16_t i = before == NONE ? h->waiting.head : h->slots[before].next;
        if (nat_datagram_equal(&h->slots[i].of, of))
            append(h, &h->due, unlink_after(h, &h->waiting, before));
        else
            before = i;
    }
}

unsigned nat_held_due(struct nat_held *h, uint64_t since) {
    while (h->waiting.n && h->slots[h->waiting.head].time < since)
        append(h, &h->due, unlink_after(h, &h->waiting, NONE));
    return h->due.n;
}

bool nat_held_take(struct nat_held *h, struct packet *p) {
    if (!h->due.n)
        return false;
    const uint16_t i = unlink_after(h, &h->due, NONE);
    const struct slot *s = &h->slots[i];
    const uint32_t len = s->len < p->room ? s->len : p->room;
    memcpy(p->data, h->bytes[i], len);
    *p = (struct packet){.data = p->data, .len = len, .wire_len = s->wire_len, .room = (uint16_t)(p->room - len),
                         .flags = s->flags | PACKET_WAITED, .in_port = s->in_port, .out_port = PORT_NONE,
                         .path = UINT32_MAX, .tag = s->tag};
    h->slots[i].next = h->free;
    h->free = i;
    return true;
}
