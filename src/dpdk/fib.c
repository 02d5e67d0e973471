/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The core's lookup backend over rte_fib: DIR24-8, two memory reads for any prefix. Entries of 4 bytes carry 31 bits of
 * value; the two highest are taken: one stands for ROUTE_NONE, one only ever passes through (see put).
 */
#include "eal.h"
#include <errno.h>
#include <fwdlab/dpdk/dpdk.h>
#include <rte_errno.h>
#include <rte_fib.h>
#include <rte_malloc.h>
#include <rte_memory.h>
#include <rte_rib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define NH_NONE 0x7fffffffu
#define NH_PASSING 0x7ffffffeu
#define CHUNK 64
#define HEAP "fwdlab"
#define HUGE_PAGE ((size_t)2 << 20)
#define TBL24_SIZE ((size_t)64 << 20)
#define TBL8_SIZE ((size_t)1024)
#define RIB_ROUTE ((size_t)512) /* two nodes with what their pool puts around them, and room */
#define MEMORY_SPARE ((size_t)8 << 20)
/* A group of 256 entries (1 KB) for each /24 that holds longer prefixes; a table of host routes needs one a /24. */
#define TBL8_GROUPS_MAX (1u << 17)
#define TBL8_SPARE 3          /* the end of the address space has one, and rte_fib wants two free ones at times */
#define MAX_ROUTES (1u << 28) /* rte_fib counts in int and doubles it */

/*
 * rte_fib 22.11 goes wrong on a prefix that reaches to 255.255.255.255 when longer ones that touch each other do so
 * too: it overwrites the whole table. There are 33 such prefixes, one a length. They are kept here (`end`) and given to
 * rte_fib as the 33 pieces that lie side by side: 0/1, 128/2, 192/3 ... 255.255.255.254/32 and 255.255.255.255/32,
 * which it always holds. Piece k, of length k, may also be a route in its own right (`own`).
 */
#define PIECES 33
#define ABSENT UINT32_MAX

struct fib {
    struct rte_fib *fib;
    void *memory, *map; /* what it has for itself, on huge pages, and the mapping around it; memory NULL: nothing */
    size_t memory_size, mapped;
    struct rte_rib *rib; /* of the fib: its prefixes */
    uint32_t n, max;
    uint32_t end[PIECES], own[PIECES]; /* by length; value or ABSENT; own[0] is not used */
};

static uint32_t end_prefix(unsigned len) {
    return len ? UINT32_MAX << (32 - len) : 0;
}

static uint32_t piece_prefix(unsigned len) {
    return len ? end_prefix(len) ^ 1u << (32 - len) : UINT32_MAX;
}

/*
 * Two more habits of rte_fib are undone here. A prefix beyond /24 whose value equals its cover's is entered without a
 * reservation of its tbl8 group, but gives one back when it is deleted: it goes in with a value that nobody has, and
 * then gets its own. And a replacement says 0 even when it failed.
 */
static int put(struct fib *f, uint32_t ip, uint8_t len, uint32_t nh, bool new) {
    uint64_t now;
    if (new) {
        int rc = rte_fib_add(f->fib, ip, len, len > 24 ? NH_PASSING : nh);
        if (rc || len <= 24)
            return rc == -ENOMEM ? -ENOSPC : rc;
    }
    int rc = rte_fib_add(f->fib, ip, len, nh);
    struct rte_rib_node *node = rte_rib_lookup_exact(f->rib, ip, len);
    if (!rc && node && !rte_rib_get_nh(node, &now) && now == nh)
        return 0;
    if (new && node)
        rte_fib_delete(f->fib, ip, len);
    return rc && rc != -ENOMEM ? rc : -ENOSPC;
}

static bool is_new(const struct fib *f, uint32_t ip, uint8_t len) {
    return !rte_rib_lookup_exact(f->rib, ip, len);
}

static int put_piece(struct fib *f, uint32_t ip, uint8_t len, uint32_t nh) {
    return put(f, ip, len, nh, is_new(f, ip, len));
}

/* Gives each piece its value: its own, or that of the longest prefix that reaches to the end and holds it. */
static int put_pieces(struct fib *f) {
    uint32_t cover = NH_NONE;
    int rc = 0;
    for (unsigned len = 1; len < PIECES && !rc; len++) {
        if (f->end[len - 1] != ABSENT)
            cover = f->end[len - 1];
        rc = put_piece(f, piece_prefix(len), (uint8_t)len, f->own[len] != ABSENT ? f->own[len] : cover);
    }
    return rc ? rc : put_piece(f, UINT32_MAX, 32, f->end[32] != ABSENT ? f->end[32] : cover);
}

/* Where the value of such a prefix is kept; NULL for all others. */
static uint32_t *find_piece(struct fib *f, uint32_t ip, unsigned len) {
    return ip == end_prefix(len) ? &f->end[len] : len && ip == piece_prefix(len) ? &f->own[len] : NULL;
}

/*
 * Without hugepages EAL's memory has ordinary pages, and each lookup in a big table misses the TLB. A table then gets
 * memory in transparent huge pages, which EAL takes as a heap of its own: the heap's socket, or SOCKET_ID_ANY when
 * there is none to be had. With 100k routes a packet costs a tenth less.
 */
static int memory_take(struct fib *f, size_t size) {
    size = (size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    if (dpdk_has_hugepages() || (rte_malloc_heap_get_socket(HEAP) < 0 && rte_malloc_heap_create(HEAP)))
        return SOCKET_ID_ANY;
    f->mapped = size + HUGE_PAGE;
    f->map = mmap(NULL, f->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (f->map == MAP_FAILED)
        return SOCKET_ID_ANY;
    void *memory = (void *)(((uintptr_t)f->map + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
    madvise(memory, size, MADV_HUGEPAGE);
    if (rte_malloc_heap_memory_add(HEAP, memory, size, NULL, (unsigned)(size / HUGE_PAGE), HUGE_PAGE)) {
        munmap(f->map, f->mapped);
        return SOCKET_ID_ANY;
    }
    f->memory = memory;
    f->memory_size = size;
    return rte_malloc_heap_get_socket(HEAP);
}

/* What EAL does not give back stays mapped. */
static void memory_release(struct fib *f) {
    if (f->memory && !rte_malloc_heap_memory_remove(HEAP, f->memory, f->memory_size))
        munmap(f->map, f->mapped);
    f->memory = NULL;
}

static size_t memory_size(const struct rte_fib_conf *c) {
    return TBL24_SIZE + c->dir24_8.num_tbl8 * TBL8_SIZE + (size_t)c->max_routes * RIB_ROUTE + MEMORY_SPARE;
}

static void fib_destroy(void *state) {
    struct fib *f = state;
    if (!f)
        return;
    rte_fib_free(f->fib);
    memory_release(f);
    free(f);
}

static void *fib_create(uint32_t max_routes) {
    static unsigned serial;
    char name[32];
    struct rte_fib_conf conf = {.type = RTE_FIB_DIR24_8, .default_nh = NH_NONE, .max_routes = (int)max_routes + PIECES};
    conf.dir24_8.nh_sz = RTE_FIB_DIR24_8_4B;
    conf.dir24_8.num_tbl8 = (max_routes < TBL8_GROUPS_MAX ? max_routes : TBL8_GROUPS_MAX) + TBL8_SPARE;

    if (!dpdk_running() || max_routes == 0 || max_routes > MAX_ROUTES) {
        errno = EINVAL;
        return NULL;
    }
    struct fib *f = malloc(sizeof *f);
    if (!f)
        return NULL;
    memset(f, 0xff, sizeof *f); /* all pieces ABSENT */
    f->n = 0;
    f->max = max_routes;
    snprintf(name, sizeof name, "fwdlab-%u", __atomic_fetch_add(&serial, 1, __ATOMIC_RELAXED));
    f->memory = NULL;
    f->fib = rte_fib_create(name, memory_take(f, memory_size(&conf)), &conf);
    if (!f->fib) {
        errno = rte_errno;
        memory_release(f);
        free(f);
        return NULL;
    }
    /* What is compiled in and the machine can do; AVX-512 unless EAL was told to keep to narrower registers. */
    rte_fib_select_lookup(f->fib, RTE_FIB_LOOKUP_DEFAULT);
    f->rib = rte_fib_get_rib(f->fib);
    int rc = put_pieces(f);
    if (rc) {
        fib_destroy(f);
        errno = -rc;
        return NULL;
    }
    return f;
}

static int fib_add(void *state, const void *addr, uint8_t len, uint32_t value) {
    const be32 prefix = *(const be32 *)addr;
    struct fib *f = state;
    const uint32_t ip = ntohl(prefix), nh = value == ROUTE_NONE ? NH_NONE : value;
    if (len > 32)
        return -EINVAL;
    if (value != ROUTE_NONE && value >= NH_PASSING)
        return -ERANGE;
    uint32_t *piece = find_piece(f, ip, len);
    const bool new = piece ? *piece == ABSENT : is_new(f, ip, len);
    if (new && f->n == f->max)
        return -ENOSPC;
    if (piece)
        *piece = nh;
    int rc = piece ? put_pieces(f) : put(f, ip, len, nh, new);
    f->n += new && !rc;
    return rc;
}

static int fib_remove(void *state, const void *addr, uint8_t len) {
    const be32 prefix = *(const be32 *)addr;
    struct fib *f = state;
    const uint32_t ip = ntohl(prefix);
    if (len > 32)
        return -EINVAL;
    uint32_t *piece = find_piece(f, ip, len);
    if (piece && *piece == ABSENT)
        return -ENOENT;
    if (piece)
        *piece = ABSENT;
    int rc = piece ? put_pieces(f) : rte_fib_delete(f->fib, ip, len);
    f->n -= rc == 0;
    return rc;
}

static void fib_lookup(const void *state, const void *keys, uint32_t *value, unsigned n) {
    const be32 *dst = keys;
    const struct fib *f = state;
    uint32_t key[CHUNK];
    uint64_t nh[CHUNK];

    for (unsigned m; n; n -= m, dst += m, value += m) {
        m = n < CHUNK ? n : CHUNK;
        for (unsigned i = 0; i < m; i++)
            key[i] = ntohl(dst[i]);
        rte_fib_lookup_bulk(f->fib, key, nh, (int)m);
        for (unsigned i = 0; i < m; i++)
            value[i] = nh[i] == NH_NONE ? ROUTE_NONE : (uint32_t)nh[i];
    }
}

const struct route_backend route_dir24_8 = {
    .name = "dir24_8",
    .family = FAMILY_IPV4,
    .create = fib_create,
    .destroy = fib_destroy,
    .add = fib_add,
    .remove = fib_remove,
    .lookup = fib_lookup,
};
