/* SPDX-License-Identifier: BSD-3-Clause */
#include "gaps.h"
#include <errno.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/base/random.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/measure/stats.h>
#include <linux/if_packet.h>
#include <math.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SHORTEST 60
#define LONGEST 1514
#define US 1000ull

static void write_frame(uint8_t *f, uint32_t len, uint32_t number) {
    static const uint8_t ethernet[14] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0};
    struct ipv4_header *ip = (struct ipv4_header *)(f + 14);
    const be16 udp[4] = {htons(1000), htons(2000), htons((uint16_t)(len - 34)), 0};
    memset(f, 0, len);
    memcpy(f, ethernet, sizeof ethernet);
    *ip = (struct ipv4_header){.version_ihl = 0x45, .total_length = htons((uint16_t)(len - 14)), .ttl = 64,
                               .proto = PROTO_UDP, .id = htons((uint16_t)number),
                               .src = htonl(0x0a000002), .dst = htonl(0x0a010002)};
    ip->checksum = checksum_fold(checksum_sum(ip, sizeof *ip, 0));
    memcpy(f + 34, udp, sizeof udp);
    memcpy(f + 42, &number, sizeof number);
}

/* Reads the file back as our generator does: as traffic, all of it. */
static int load(struct piece *p, struct err *e) {
    struct trace_memory *trace = trace_preload(p->path, 0, e);
    struct inject *in = trace ? inject_create(trace, NULL, 0, e) : NULL;
    if (!in)
        return -EINVAL;
    p->traffic = traffic_create(in, &(struct traffic_options){0}, e);
    inject_destroy(in);
    if (p->traffic && p->traffic->n != p->n)
        return err_set(e, -EINVAL, "%s: only %u of %u packets arrive", p->name, p->traffic->n, p->n);
    if (!p->traffic)
        return -EINVAL;
    p->at = xalloc(p->n * sizeof *p->at);
    p->digest = xalloc(p->n * sizeof *p->digest);
    for (uint32_t i = 0; i < p->n; i++) {
        p->at[i] = p->traffic->packets[i].time_ns;
        p->digest[i] = veth_digest(p->traffic->packets[i].data, p->traffic->packets[i].len);
    }
    return 0;
}

static struct trace_writer *create(struct piece *p, const char *dir, const char *file, struct err *e) {
    snprintf(p->path, sizeof p->path, "%s/%s.pcapng", dir, file);
    struct trace_writer *w = trace_writer_open(p->path, e);
    if (w)
        trace_writer_interface(w, "piece", LINKTYPE_ETHERNET, 0);
    return w;
}

int piece_make(struct piece *p, const char *dir, uint64_t seed, struct err *e) {
    uint8_t frame[LONGEST];
    struct random r;
    *p = (struct piece){.name = "made trace"};
    struct trace_writer *w = create(p, dir, "made", e);
    if (!w)
        return -EIO;
    random_seed(&r, seed);
    for (uint64_t at = 0; at < PIECE_NS; at += (uint64_t)exp(random_unit(&r) * log(1000)) * US) {
        const uint32_t len = SHORTEST + random_below(&r, LONGEST - SHORTEST + 1);
        write_frame(frame, len, p->n++);
        trace_writer_packet(w, &(struct trace_packet){.time_ns = SECOND_NS + at, .len = len, .wire_len = len,
                                                      .data = frame});
    }
    int rc = trace_writer_close(w, e);
    return rc ? rc : load(p, e);
}

/* Arrived, whole, and as long as a veth takes? */
static bool fits(const struct inject_packet *p) {
    return p->kind == INJECT_ARRIVED && p->raw->len == p->raw->wire_len && p->raw->len >= SHORTEST &&
           p->raw->len <= LONGEST;
}

/* The window of PIECE_NS with the most packets that fit, from a packet that fits on. */
static void find_busiest(const struct inject *in, uint32_t *from, uint32_t *to) {
    uint32_t most = 0, end = 0, inside = 0;
    for (uint32_t i = 0; i < in->n; i++) {
        for (; end < in->n && in->packets[end].raw->time_ns < in->packets[i].raw->time_ns + PIECE_NS; end++)
            inside += fits(&in->packets[end]);
        if (fits(&in->packets[i]) && inside > most) {
            most = inside;
            *from = i;
            *to = end;
        }
        inside -= fits(&in->packets[i]);
    }
}

int piece_cut(struct piece *p, const char *dir, const char *capture, struct err *e) {
    const char *base = strrchr(capture, '/');
    struct trace_memory *trace = trace_preload(capture, 0, e);
    struct inject *in = trace ? inject_create(trace, NULL, 0, e) : NULL;
    uint32_t from = 0, to = 0;
    *p = (struct piece){0};
    struct trace_writer *w = in ? create(p, dir, "cut", e) : NULL;
    if (!w) {
        inject_destroy(in);
        return -EINVAL;
    }
    snprintf(p->name, sizeof p->name, "%.60s, busiest 0.8 s", base ? base + 1 : capture);
    find_busiest(in, &from, &to);
    for (uint32_t i = from; i < to; i++) {
        struct trace_packet packet = *in->packets[i].raw;
        if (!fits(&in->packets[i]))
            continue;
        packet.time_ns = packet.time_ns / US * US;
        packet.interface = 0;
        packet.comment = NULL;
        packet.direction = TRACE_DIRECTION_UNKNOWN;
        p->n += trace_writer_packet(w, &packet) == 0;
    }
    inject_destroy(in);
    int rc = trace_writer_close(w, e);
    return rc ? rc : load(p, e);
}

void piece_fini(struct piece *p) {
    traffic_destroy(p->traffic);
    vec_release(p->at);
    vec_release(p->digest);
    if (p->path[0])
        remove(p->path);
}

int gap_errors(const struct piece *p, const struct veth_arrival *a, size_t n, struct gap_errors *out, struct err *e) {
    if (n != p->n)
        return err_set(e, -EBADMSG, "%zu of %u packets arrived", n, p->n);
    for (size_t i = 0; i < n; i++)
        if (a[i].digest != p->digest[i])
            return err_set(e, -EBADMSG, "packet %zu is not the one that was to arrive", i);
    double *error = xalloc(n * sizeof *error);
    *out = (struct gap_errors){0};
    for (size_t i = 1; i < n; i++) {
        error[i - 1] = fabs((double)(int64_t)(a[i].time_ns - a[i - 1].time_ns) - (double)(p->at[i] - p->at[i - 1]));
        out->max = error[i - 1] > out->max ? error[i - 1] : out->max;
    }
    out->p50 = stats_quantile(error, n - 1, 0.5);
    out->p99 = stats_quantile(error, n - 1, 0.99);
    out->duration = (double)(a[n - 1].time_ns - a[0].time_ns) / (double)p->at[n - 1] - 1;
    vec_release(error);
    return 0;
}

/* ---- the floor ---- */

struct bare {
    const struct piece *piece;
    int socket; /* -1: only the number of the packet is sent */
    int failed; /* errno */
    _Alignas(64) atomic_bool ready;
    _Alignas(64) atomic_uint sent; /* packets */
};

static void *bare_send(void *arg) {
    struct bare *b = arg;
    const double ticks = (double)clock_tsc_hz() / (double)SECOND_NS;
    while (!atomic_load(&b->ready))
        ;
    const uint64_t start = clock_tsc() + clock_tsc_hz() / 1000;
    for (uint32_t i = 0; i < b->piece->n; i++) {
        const uint64_t due = start + (uint64_t)((double)b->piece->at[i] * ticks);
        while (clock_tsc() < due)
            ;
        const struct traffic_packet *packet = &b->piece->traffic->packets[i];
        if (b->socket >= 0 && send(b->socket, packet->data, packet->len, 0) < 0)
            b->failed = errno;
        atomic_store_explicit(&b->sent, i + 1, memory_order_release);
    }
    return NULL;
}

static void bare_receive(struct bare *b, struct veth_arrival *arrivals) {
    const double ns = (double)SECOND_NS / (double)clock_tsc_hz();
    atomic_store(&b->ready, true);
    for (uint32_t i = 0; i < b->piece->n;) {
        if (atomic_load_explicit(&b->sent, memory_order_acquire) <= i)
            continue;
        arrivals[i] = (struct veth_arrival){.time_ns = (uint64_t)((double)clock_tsc() * ns),
                                            .digest = b->piece->digest[i]};
        i++;
    }
}

static void run_at(pthread_t t, unsigned cpu, int policy) {
    const struct sched_param param = {.sched_priority = policy == SCHED_FIFO};
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    pthread_setaffinity_np(t, sizeof one, &one);
    pthread_setschedparam(t, policy, &param);
}

int gap_floor(const struct piece *p, unsigned from_cpu, unsigned to_cpu, struct gap_errors *out, struct err *e) {
    struct bare b = {.piece = p, .socket = -1};
    pthread_t sender;
    int rc = pthread_create(&sender, NULL, bare_send, &b);
    if (rc)
        return err_set(e, -rc, "no thread: %s", strerror(rc));
    struct veth_arrival *arrivals = xalloc(p->n * sizeof *arrivals);
    run_at(sender, from_cpu, SCHED_FIFO);
    run_at(pthread_self(), to_cpu, SCHED_FIFO);
    bare_receive(&b, arrivals);
    run_at(pthread_self(), to_cpu, SCHED_OTHER);
    pthread_join(sender, NULL);
    rc = gap_errors(p, arrivals, p->n, out, e);
    vec_release(arrivals);
    return rc;
}

static int socket_open(void) {
    const int on = 1;
    const struct sockaddr_ll near = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(VETH_NEAR)};
    const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) ||
                    bind(fd, (const struct sockaddr *)&near, sizeof near))) {
        close(fd);
        return -1;
    }
    return fd;
}

int gap_floor_veth(const struct piece *p, unsigned cpu, struct err *e) {
    struct bare b = {.piece = p, .socket = socket_open()};
    pthread_t sender;
    if (b.socket < 0)
        return err_set(e, -errno, "no socket at " VETH_NEAR ": %s", strerror(errno));
    int rc = pthread_create(&sender, NULL, bare_send, &b);
    if (!rc) {
        run_at(sender, cpu, SCHED_FIFO);
        atomic_store(&b.ready, true);
        pthread_join(sender, NULL);
    }
    close(b.socket);
    rc = rc ? rc : b.failed;
    return rc ? err_set(e, -EIO, "the bare loop does not send: %s", strerror(rc)) : 0;
}
