/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The core between two ends of a DPDK port, to be held against DPDK's own example for that (bench/l3fwd): a burst is
 * received, forwarded by routes alone, its packets' latency since they were received recorded, and sent. Writes the
 * packets and the routes for both programs too.
 */
#include "workload.h"
#include <errno.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/dpdk/ethdev.h>
#include <fwdlab/measure/histogram.h>
#include <getopt.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACKETS 1024   /* net_pcap keeps each in a page of its own: more would measure the TLB of both programs */
#define MBUFS 8191     /* as l3fwd has */
#define CACHE 256
#define DESCRIPTORS 1024
#define LATENCY_MAX (SECOND_NS / 10) /* TSC cycles */

static _Noreturn void fail(const char *what, const char *why) {
    fprintf(stderr, "portfwd: %s: %s\n", what, why);
    exit(2);
}

/* ---- packets and routes ---- */

static FILE *create(const char *dir, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    if (!f)
        fail(path, strerror(errno));
    return f;
}

static void finish(FILE *f) {
    if (ferror(f) | fclose(f))
        fail("cannot write", strerror(errno));
}

static void write_packets(const struct workload *w, FILE *f) {
    static const uint32_t head[] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1};
    fwrite(head, sizeof head, 1, f);
    for (uint32_t i = 0; i < PACKETS; i++) {
        const uint32_t record[] = {1, i, FRAME_LEN, FRAME_LEN};
        fwrite(record, sizeof record, 1, f);
        fwrite(w->frames[i][0], FRAME_LEN, 1, f);
    }
    finish(f);
}

/* As l3fwd reads them: all of them lead to its port 0. */
static void write_routes(const struct workload *w, FILE *f) {
    size_t n;
    const struct route *r = route_table_routes(w->node.routes, &n);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *a = (const uint8_t *)&r[i].prefix.addr.v4;
        if (r[i].kind == ROUTE_UNICAST)
            fprintf(f, "R%u.%u.%u.%u/%u 0\n", a[0], a[1], a[2], a[3], r[i].prefix.len);
    }
    finish(f);
}

static void write_inputs(const struct workload *w, const char *dir) {
    write_packets(w, create(dir, "packets.pcap"));
    write_routes(w, create(dir, "routes4"));
    FILE *six = create(dir, "routes6"); /* it wants some */
    fprintf(six, "R2001:db8:0:0:0:0:0:0/48 0\n");
    finish(six);
}

/* ---- forwarding ---- */

static uint16_t open_port(const char *device, struct rte_mempool *pool) {
    const struct rte_eth_conf conf = {0};
    struct err e = {0};
    uint16_t port;
    if (dpdk_device_add(device, &port, &e))
        fail(e.what, e.hint);
    if (rte_eth_dev_configure(port, 1, 1, &conf) ||
        rte_eth_rx_queue_setup(port, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL, pool) ||
        rte_eth_tx_queue_setup(port, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL) || rte_eth_dev_start(port))
        fail(device, "the port does not start");
    return port;
}

static void receive(struct packet *p, struct rte_mbuf *m, uint64_t now) {
    p->data = rte_pktmbuf_mtod(m, uint8_t *);
    p->len = p->wire_len = m->data_len;
    p->room = rte_pktmbuf_tailroom(m);
    p->flags = 0;
    p->in_port = PORT_INSIDE;
    p->tag = now;
}

static uint64_t thread_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

/* One burst; returns how many packets were received. */
static unsigned pass(struct node *node, uint16_t port, struct histogram *latency, uint64_t *last) {
    struct rte_mbuf *m[WORKLOAD_BURST];
    struct packet *pkts[WORKLOAD_BURST];
    const unsigned n = rte_eth_rx_burst(port, 0, m, WORKLOAD_BURST);
    unsigned out = 0;
    for (unsigned i = 0; i < n; i++)
        receive(pkts[i] = rte_mbuf_to_priv(m[i]), m[i], *last);
    forward(node, pkts, n, *last);
    const uint64_t stamp = clock_tsc();
    struct histogram h = *latency; /* in registers */
    for (unsigned i = 0; i < n; i++) {
        histogram_record(&h, stamp - pkts[i]->tag);
        struct rte_mbuf *mine = m[i];
        if (pkts[i]->verdict == VERDICT_FORWARD)
            m[out++] = mine;
        else
            rte_pktmbuf_free(mine);
    }
    *latency = h;
    const unsigned sent = rte_eth_tx_burst(port, 0, m, (uint16_t)out);
    for (unsigned i = sent; i < out; i++)
        rte_pktmbuf_free(m[i]);
    *last = stamp;
    return n;
}

/* CPU time counts, not the clock on the wall: who else runs here costs neither program anything. */
static void run(struct workload *w, uint16_t port, double seconds) {
    struct histogram latency;
    if (histogram_init(&latency, LATENCY_MAX))
        fail("histogram", "no memory");
    const uint64_t hz = clock_tsc_hz(), begin = clock_tsc(), cpu = thread_ns();
    const uint64_t end = begin + (uint64_t)(seconds * (double)hz);
    uint64_t packets = 0, last = begin;
    while (last < end)
        packets += pass(&w->node, port, &latency, &last);
    const double cycles = (double)(thread_ns() - cpu) / SECOND_NS * (double)hz;
    if (!packets || w->node.forwarded != packets)
        fail("run", "packets were dropped");
    printf("{ \"packets\": %lu, \"tsc_hz\": %lu, \"tsc_cycles\": %.2f, \"latency_p99_ns\": %.0f }\n",
           (unsigned long)packets, (unsigned long)hz, cycles / (double)packets,
           (double)histogram_quantile(&latency, 0.99) / (double)hz * SECOND_NS);
    histogram_fini(&latency);
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"write", required_argument, NULL, 'w'},
                                            {"device", required_argument, NULL, 'd'},
                                            {"routes", required_argument, NULL, 'r'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"cpu", required_argument, NULL, 'c'},
                                            {0}};
    struct workload_options o = {
        .backend = &route_direct, .flows = PACKETS, .routes = 1000, .packets = WORKLOAD_BURST};
    struct dpdk_options dpdk = {.memory_mb = 1024};
    const char *dir = NULL, *device = NULL;
    double seconds = 1;
    struct workload w;
    struct err e = {0};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (c) {
        case 'w': dir = optarg; break;
        case 'd': device = optarg; break;
        case 'r': o.routes = (uint32_t)atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'c': dpdk.main_cpu = (unsigned)atoi(optarg); break;
        default: dir = device = NULL; optind = argc; break;
        }
    if (!dir == !device) {
        fprintf(stderr, "usage: portfwd --write DIR | --device DEVICE [--seconds N] [--routes N] [--cpu N]\n");
        return 2;
    }
    if (dpdk_start(&dpdk, &e))
        fail(e.what, e.hint);
    workload_init(&w, &o);
    w.node.forwarded = 0;
    if (dir) {
        write_inputs(&w, dir);
    } else {
        struct rte_mempool *pool = rte_pktmbuf_pool_create("portfwd", MBUFS, CACHE, sizeof(struct packet),
                                                           RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
        if (!pool)
            fail("packet buffers", "no memory");
        const uint16_t port = open_port(device, pool);
        run(&w, port, seconds);
        dpdk_device_remove(port);
        rte_mempool_free(pool);
    }
    workload_fini(&w);
    dpdk_stop();
    return 0;
}
