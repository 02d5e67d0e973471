/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See fwdlab/trace/many.h. Each file's next packet is read (source.h); the earliest of them goes to those that wait
 * (reorder.h) and leaves them when the packets taken are a window further on. Packets wait where they were read. What
 * nothing can come between is taken, and given, several at a time.
 *
 * A file is opened for good when the others have come to its first packet, or nearly: a slack before that tells whether
 * the file before it ends there, so that packets which stand out of order where captures are rotated do not make two
 * interfaces of one without a name.
 */
#include <fwdlab/trace/many.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <fwdlab/base/clock.h>
#include "filter.h"
#include "reorder.h"
#include "source.h"

#define WAITING_MAX (65536u - SOURCE_RUN) /* and a run more */
#define BYTES_MAX (32u << 20) /* of the files, that are kept for those that wait */

struct trace_many {
    struct source *sources; /* as in the options */
    size_t n;
    struct source **order;  /* readable ones, by their first packets; from `next` on not yet opened for good */
    size_t n_order, next;
    struct source **open;   /* a heap: those that have a packet, the earliest first */
    size_t n_open;
    struct reorder waiting;
    struct source *given;   /* what the last call gave: its file, where its data lies, how many, the one's comment */
    struct stream_block *given_block;
    size_t n_given;
    char *given_comment;
    bool as_they_stand;
    uint64_t window, taken; /* taken: key of the last packet that began to wait */
    uint64_t bytes;         /* of the files, up to those that did not begin to wait yet */
    uint64_t last;          /* greatest key given */
    struct filter *filter;
    VEC(struct trace_interface) interfaces;
    VEC(const struct source *) owners; /* the last file that each interface was in */
    struct arena *names;
    char *damage;
    struct trace_many_stats stats; /* without done and total */
};

static bool before(const struct trace_many *m, const struct source *a, const struct source *b) {
    return !m->as_they_stand && a->key != b->key ? a->key < b->key : a->file < b->file;
}

static void sift_down(struct trace_many *m) {
    struct source **v = m->open, *s = v[0];
    size_t i = 0;
    for (size_t down; (down = 2 * i + 1) < m->n_open; i = down) {
        if (down + 1 < m->n_open && before(m, v[down + 1], v[down]))
            down++;
        if (before(m, s, v[down]))
            break;
        v[i] = v[down];
    }
    v[i] = s;
}

static void sift_up(struct trace_many *m, struct source *s) {
    size_t i = m->n_open++;
    for (size_t up; i && before(m, s, m->open[up = (i - 1) / 2]); i = up)
        m->open[i] = m->open[up];
    m->open[i] = s;
}

static void damage_changed(struct trace_many *m) {
    char *all = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&all, &len);
    const char *between = "";
    for (size_t i = 0; i < m->n; i++)
        if (m->sources[i].damage) {
            fprintf(f, "%s%s", between, m->sources[i].damage);
            between = "; ";
        }
    fclose(f);
    free(m->damage);
    m->damage = all;
}

/* ---- interfaces ---- */

/* Is interface `i` of all the same as `local`, which s has? A file has each interface once. */
static bool same_interface(const struct trace_many *m, size_t i, const struct trace_interface *local,
                           const struct source *s) {
    const struct trace_interface *all = &m->interfaces.v[i];
    const struct source *owner = m->owners.v[i];
    if (owner == s || all->linktype != local->linktype || strcmp(all->name, local->name))
        return false;
    return local->name[0] || (owner->ended && owner->last <= s->first + m->window); /* nameless: the file before it */
}

static const char *keep(struct trace_many *m, const char *text) {
    return strcpy(arena_alloc(m->names, strlen(text) + 1), text);
}

static size_t find_interface(struct trace_many *m, const struct trace_interface *local, const struct source *s) {
    size_t i = m->n > 1 ? 0 : m->interfaces.n;
    while (i < m->interfaces.n && !same_interface(m, i, local, s))
        i++;
    if (i < m->interfaces.n)
        return i;
    struct trace_interface new = *local;
    new.name = keep(m, local->name);
    new.description = keep(m, local->description);
    new.packets = 0;
    new.dropped = UINT64_MAX;
    vec_push(&m->interfaces, new);
    vec_push(&m->owners, s);
    return i;
}

/* Takes up the interfaces that s has come to know since the last time. */
static int map_interfaces(struct trace_many *m, struct source *s, struct err *e) {
    uint32_t n;
    const struct trace_interface *local = trace_interfaces(s->trace, &n);
    for (uint32_t i = (uint32_t)s->interfaces.n; i < n; i++) {
        int r = m->filter ? filter_prepare(m->filter, local[i].linktype, e) : 0;
        if (r) {
            err_where(e, "%s", s->path);
            return r;
        }
        size_t to = find_interface(m, &local[i], s);
        m->owners.v[to] = s;
        vec_push(&s->interfaces, (uint32_t)to);
    }
    return 0;
}

/* Drop counts stand in a file's last blocks. */
static void add_dropped(struct trace_many *m, const struct source *s) {
    uint32_t n;
    const struct trace_interface *local = trace_interfaces(s->trace, &n);
    for (uint32_t i = 0; i < s->interfaces.n; i++) {
        struct trace_interface *all = &m->interfaces.v[s->interfaces.v[i]];
        if (local[i].dropped != UINT64_MAX)
            all->dropped = local[i].dropped + (all->dropped == UINT64_MAX ? 0 : all->dropped);
    }
}

/* ---- reading ---- */

/* What follows when s has no more packets. */
static int ended(struct trace_many *m, struct source *s, struct err *e) {
    int r = map_interfaces(m, s, e);
    add_dropped(m, s);
    source_done(s);
    return r;
}

static int open_next(struct trace_many *m, struct err *e) {
    struct source *s = m->order[m->next++];
    struct err why;
    if (!s->trace && source_open(s, &why)) { /* it was there before */
        source_set_damage(s, why.what);
        damage_changed(m);
        return 0;
    }
    if (s->ended)
        return ended(m, s, e);
    sift_up(m, s);
    return 0;
}

/* How many of the first one's packets, from its head on, go to the end of those that wait before anything else does. */
static unsigned in_a_row(const struct trace_many *m, const struct source *s) {
    const struct trace_packet *p = s->head + 1;
    if (m->as_they_stand || m->filter || !reorder_is_last(&m->waiting, s->key))
        return 1;
    uint64_t limit = m->next < m->n_order ? m->order[m->next]->first : UINT64_MAX;
    for (size_t i = 1; i < 3 && i < m->n_open; i++)
        limit = m->open[i]->key < limit ? m->open[i]->key : limit;
    for (uint64_t key = s->key; p < s->run_end && p->time_ns >= key && p->time_ns < limit; p++)
        key = p->time_ns;
    return (unsigned)(p - s->head);
}

/* The first n of s, of one interface, wait from now on. `taken` is the first one's key. */
static void wait_for_turn(struct trace_many *m, struct source *s, unsigned n, uint32_t interface) {
    const struct waiting w = {m->taken, m->bytes, s, stream_hold(s->trace->stream, n), n};
    struct trace_packet *head = s->head;
    if (head->comment)
        head->comment = xstrdup(head->comment);
    for (unsigned i = 0; i < n; i++)
        head[i].interface = interface;
    if (n > 1)
        m->taken = head[n - 1].time_ns;
    reorder_add(&m->waiting, &w, head, m->taken);
    s->waiting += n;
}

/* The first of those open has a packet: it waits from now on, unless the filter refuses it, and others with it. */
static int take(struct trace_many *m, struct err *e) {
    struct source *s = m->open[0];
    const uint64_t offset = s->head->offset;
    const unsigned n = in_a_row(m, s);
    int r = s->head->interface < s->interfaces.n ? 0 : map_interfaces(m, s, e);
    if (r)
        return r;
    const uint32_t interface = s->interfaces.v[s->head->interface];
    m->stats.read += n;
    m->taken = m->as_they_stand ? 0 : s->key;
    if (m->filter && !filter_pass(m->filter, m->interfaces.v[interface].linktype, s->trace->swapped, s->head))
        m->stats.filtered++;
    else
        wait_for_turn(m, s, n, interface);
    if (source_advance(s, n))
        damage_changed(m);
    m->bytes += (s->ended ? stream_offset(s->trace->stream) : s->head->offset) - offset;
    if (s->ended)
        m->open[0] = m->open[--m->n_open];
    if (m->n_open > 1)
        sift_down(m);
    return s->ended ? ended(m, s, e) : 0;
}

/* Must the next file be opened before a packet with this key is given? */
static bool opens_before(const struct trace_many *m, uint64_t key) {
    return m->next < m->n_order && !m->as_they_stand && m->order[m->next]->first <= key;
}

/* Has the time come to open the next file? `first`: the first that waits, or NULL. */
static bool open_is_due(const struct trace_many *m, const struct waiting *first) {
    if (m->next == m->n_order || !m->n_open)
        return m->next < m->n_order;
    return (first && opens_before(m, first->key)) ||
           (!m->as_they_stand && m->order[m->next]->first + m->window / 8 <= m->open[0]->key);
}

/* Nothing comes before it any more; n were given already. */
static bool may_go(const struct trace_many *m, uint64_t key, uint64_t oldest, size_t n) {
    return !m->n_open || (m->taken >= key && m->taken - key >= m->window) ||
           reorder_count(&m->waiting) - n >= WAITING_MAX || m->bytes - oldest >= BYTES_MAX;
}

static void release_given(struct trace_many *m) {
    struct source *s = m->given;
    if (!s)
        return;
    m->given = NULL;
    if (m->given_comment)
        vec_release(m->given_comment);
    stream_drop(s->trace->stream, m->given_block, m->n_given);
    s->waiting -= m->n_given;
    if (!s->waiting)
        source_done(s);
}

static void count(struct trace_many *m, const struct trace_packet *p, uint64_t key) {
    m->stats.bytes += p->wire_len;
    m->interfaces.v[p->interface].packets++;
    m->stats.late += key < m->last;
    m->last = key > m->last ? key : m->last;
}

/* The first that waits, and those of its row that may go with it. */
static int give(struct trace_many *m, const struct waiting *first, const struct trace_packet **out, size_t room) {
    size_t row, n = 1;
    const struct trace_packet *p = reorder_packets(&m->waiting, &row);
    m->given = first->source;
    m->given_block = first->block;
    m->given_comment = (char *)p->comment;
    for (count(m, p, first->key); n < row && n < room; n++) {
        const uint64_t key = p[n].time_ns;
        if (opens_before(m, key) || !may_go(m, key, first->at + (p[n].offset - p->offset), n))
            break;
        count(m, &p[n], key);
    }
    m->n_given = n;
    *out = reorder_pop(&m->waiting, n);
    reorder_fetch(&m->waiting, n);
    return (int)n;
}

static int read_run(struct trace_many *m, const struct trace_packet **out, size_t room, struct err *e) {
    release_given(m);
    for (int r = 0;;) {
        const struct waiting *first = reorder_first(&m->waiting);
        if (open_is_due(m, first)) {
            r = open_next(m, e);
        } else if (first && may_go(m, first->key, reorder_oldest(&m->waiting)->at, 0)) {
            return give(m, first, out, room);
        } else if (m->n_open) {
            r = take(m, e);
        } else {
            return 0;
        }
        if (r)
            return r;
    }
}

int trace_many_read_run(struct trace_many *m, const struct trace_packet **out, struct err *e) {
    return read_run(m, out, INT_MAX, e);
}

int trace_many_read(struct trace_many *m, struct trace_packet *out, struct err *e) {
    const struct trace_packet *p;
    const int r = read_run(m, &p, 1, e);
    if (r > 0)
        *out = *p;
    return r;
}

/* ---- opening ---- */

/* Looks at the first packet of each. What cannot be read is damage, as long as another can be. */
static int look(struct trace_many *m, struct source *s, struct err *e) {
    int r = source_open(s, e);
    if (r == -EBADMSG) {
        struct err bare = *e;
        source_set_damage(s, bare.what);
        return 0;
    }
    if (r)
        return r;
    uint32_t n;
    const struct trace_interface *local = trace_interfaces(s->trace, &n);
    for (uint32_t i = 0; m->filter && !r && i < n; i++)
        if ((r = filter_prepare(m->filter, local[i].linktype, e)))
            err_where(e, "%s", s->path);
    m->order[m->n_order++] = s;
    if (s->size && m->n > 1) /* it can be read again */
        source_close(s);
    return r;
}

static int by_first(const void *a, const void *b) {
    const struct source *x = *(struct source *const *)a, *y = *(struct source *const *)b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->file < y->file ? -1 : 1;
}

struct trace_many *trace_many_open(const struct trace_many_options *o, struct err *e) {
    struct trace_many *m = xzalloc(1, sizeof *m);
    struct err ignored;
    int r = 0;
    e = e ? e : &ignored;
    m->n = o->n;
    m->sources = xzalloc(o->n + 1, sizeof *m->sources);
    m->order = xzalloc(o->n + 1, sizeof *m->order);
    m->open = xzalloc(o->n + 1, sizeof *m->open);
    m->as_they_stand = !o->in_order;
    m->window = !o->in_order ? 0 : o->window_ns ? o->window_ns : SECOND_NS;
    m->filter = o->filter ? trace_filter_create(o->filter) : NULL;
    m->names = arena_create();
    for (size_t i = 0; i < o->n && !r; i++) {
        m->sources[i].path = xstrdup(o->paths[i]);
        m->sources[i].file = (uint32_t)i;
        m->sources[i].offset_ns = o->offset_ns ? o->offset_ns[i] : 0;
        r = look(m, &m->sources[i], e);
    }
    if (r || (o->n && !m->n_order)) { /* of several that cannot be read the last one's fault is told */
        trace_many_close(m);
        return NULL;
    }
    if (!m->as_they_stand)
        qsort(m->order, m->n_order, sizeof *m->order, by_first);
    damage_changed(m);
    return m;
}

const struct trace_interface *trace_many_interfaces(const struct trace_many *m, uint32_t *n) {
    *n = (uint32_t)m->interfaces.n;
    return m->interfaces.v;
}

const char *trace_many_damage(const struct trace_many *m) {
    return m->damage[0] ? m->damage : NULL;
}

void trace_many_stats(const struct trace_many *m, struct trace_many_stats *out) {
    bool known = true;
    *out = m->stats;
    for (size_t i = 0; i < m->n; i++) {
        const struct source *s = &m->sources[i];
        out->done += s->trace ? stream_position(s->trace->stream) : s->position;
        out->total += s->size;
        known = known && (s->size || s->damage);
    }
    out->total = known ? out->total : 0;
}

void trace_many_close(struct trace_many *m) {
    if (!m)
        return;
    const struct trace_packet *rest;
    const struct waiting *first;
    for (release_given(m); (first = reorder_first(&m->waiting)); release_given(m))
        give(m, first, &rest, 1);
    reorder_fini(&m->waiting);
    for (size_t i = 0; i < m->n; i++) {
        source_close(&m->sources[i]);
        vec_release((char *)m->sources[i].path);
        vec_release(m->sources[i].damage);
        vec_free(&m->sources[i].interfaces);
    }
    vec_release(m->sources);
    vec_release(m->order);
    vec_release(m->open);
    trace_filter_destroy(m->filter);
    vec_free(&m->interfaces);
    vec_free(&m->owners);
    arena_destroy(m->names);
    free(m->damage);
    vec_release(m);
}
