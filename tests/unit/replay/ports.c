/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Links over DPDK ports. Two net_ring devices are a wire that the test holds in its hands: it takes each frame from the
 * first, looks at its bytes, and puts what it likes into the second. Then real devices: memif, a veth pair, a file.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fwdlab/base/random.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/forward.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/dpdk/ethdev.h>
#include <fwdlab/replay/trial.h>
#include <fwdlab/trace/trace.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "link_port.h"
#include "traffic.h"

#define ROUNDS 20000
#define TAG 16

static struct topology topology;
static struct random rnd;

static void start(const struct topology_ports *ports, unsigned longest) {
    struct err e = {0};
    uint64_t seed = 1;
    random_seed(&rnd, seed);
    cr_assert_eq(dpdk_start(&(struct dpdk_options){.no_huge = true, .memory_mb = 512}, &e), 0, "%s", e.what);
    cr_assert_eq(topology_ports(&topology, ports, &e), 0, "%s (%s)", e.what, e.hint);
    cr_assert_eq(topology.generators, 1);
    cr_assert_eq(topology.in[0]->begin(topology.in[0], longest, &e), 0, "%s (%s)", e.what, e.hint);
    if (topology.out && ports->out_tx)
        cr_assert_eq(topology.out->begin(topology.out, longest, &e), 0, "%s (%s)", e.what, e.hint);
}

static uint16_t port_named(const char *name) {
    uint16_t port;
    cr_assert_eq(rte_eth_dev_get_port_by_name(name, &port), 0, "%s", name);
    return port;
}

static void remove_socket(void) {
    char path[64];
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "/tmp/fwdlab-%d.%s", getpid(), i ? "none" : "sock");
        unlink(path);
    }
}

/* ---- frames ---- */

static uint16_t sum16(const void *data, size_t len) {
    uint16_t s = (uint16_t)~checksum_fold(checksum_sum(data, len, 0));
    return s == 0xffff ? 0 : s;
}

static void make_ip(uint8_t *ip, bool v6, uint8_t proto, unsigned payload) {
    if (v6) {
        *(struct ipv6_header *)ip = (struct ipv6_header){.version_class_label = htonl(6u << 28),
            .payload_length = htons((uint16_t)payload), .next_header = proto, .hop_limit = 64,
            .src = {0x20, 1, 0xd, 0xb8, 1}, .dst = {0x20, 1, 0xd, 0xb8, 2}};
        return;
    }
    struct ipv4_header *h = (struct ipv4_header *)ip;
    *h = (struct ipv4_header){.version_ihl = 0x45, .total_length = htons((uint16_t)(20 + payload)), .ttl = 64,
                              .proto = proto, .src = 0x0102000a, .dst = 0x0103000a};
    h->checksum = checksum_fold(checksum_sum(h, 20, 0));
}

/*
 * A random packet as a generator hands it over: TCP, UDP, ESP, ICMP echo or error, IPv4 or IPv6, any length, with or
 * without Ethernet header and padding, whole or cut by the capture.
 */
static struct rte_mbuf *random_packet(unsigned longest) {
    static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ESP, PROTO_ICMP, PROTO_TCP};
    void *m;
    cr_assert_eq(rte_mempool_get(topology.pool, &m), 0);
    struct carrier *c = link_carrier(m);
    struct packet *p = &c->packet;
    const bool v6 = random_below(&rnd, 3) == 0, raw = random_below(&rnd, 8) == 0;
    uint8_t proto = protos[random_below(&rnd, sizeof protos)];
    const unsigned l3 = raw ? 0 : 14, l4 = l3 + (v6 ? 40 : 20), least = proto == PROTO_TCP ? 20 : 16;
    const unsigned most = longest - (raw ? 14 : 0) - l4;
    const unsigned payload = random_below(&rnd, 2) ? least + random_below(&rnd, 40)
                                                   : least + random_below(&rnd, most - least + 1);
    if (v6 && proto == PROTO_ICMP)
        proto = PROTO_ICMPV6;
    for (unsigned i = 0; i < RTE_PKTMBUF_HEADROOM + LINK_ROOM; i++)
        (link_data(m) - RTE_PKTMBUF_HEADROOM)[i] = (uint8_t)random_u64(&rnd);
    *p = (struct packet){.data = link_data(m), .len = l4 + payload, .l3 = (uint16_t)l3, .l4 = (uint16_t)l4,
                         .flags = raw ? PACKET_RAW_IP : 0, .family = v6 ? FAMILY_IPV6 : FAMILY_IPV4, .proto = proto,
                         .in_port = (uint16_t)random_below(&rnd, 9)};
    make_ip(p->data + l3, v6, proto, payload);
    if (proto == PROTO_TCP)
        p->data[l4 + 12] = 5 << 4;
    if (proto_is_icmp(proto)) {
        const bool error = payload < 300 && random_below(&rnd, 2);
        p->data[l4] = v6 ? (error ? ICMPV6_UNREACHABLE : ICMPV6_ECHO) : (error ? ICMP_UNREACHABLE : ICMP_ECHO);
    }
    if (!raw)
        memcpy(p->data, (uint8_t[]){2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, v6 ? 0x86 : 8, v6 ? 0xdd : 0}, 14);
    if (!raw && p->len < 60 && random_below(&rnd, 2))
        p->len = 60; /* padded */
    p->wire_len = p->len;
    if (p->len > 128 && random_below(&rnd, 8) == 0)
        p->len = 128; /* cut */
    p->room = (uint16_t)(LINK_ROOM - p->len);
    c->probe = (struct probe){.intended = random_u64(&rnd), .step.packet = (uint32_t)random_u64(&rnd),
                              .sequence = (uint32_t)random_u64(&rnd), .answer = 1};
    return m;
}

/* What the test remembers of a packet that it sent. */
struct sent {
    struct packet packet;
    struct probe probe;
    uint8_t data[LINK_ROOM];
};

static void remember(struct sent *s, struct rte_mbuf *m) {
    s->packet = link_carrier(m)->packet;
    s->probe = link_carrier(m)->probe;
    memcpy(s->data, s->packet.data, s->packet.len);
}

/* How many bytes a link leaves alone: all of the IP packet, or all but the end of its payload. */
static unsigned untouched(const struct sent *s) {
    const struct packet *p = &s->packet;
    const uint8_t *ip = s->data + p->l3;
    const unsigned end = p->l3 + (p->family == FAMILY_IPV4
                                      ? ntohs(((const struct ipv4_header *)ip)->total_length)
                                      : 40u + ntohs(((const struct ipv6_header *)ip)->payload_length));
    const unsigned keep = p->wire_len > end ? end : end - TAG - 2;
    return p->len < keep ? p->len : keep;
}

static void check_arrived(const struct sent *s, struct rte_mbuf *m) {
    const struct packet *p = &link_carrier(m)->packet;
    const struct probe *q = &link_carrier(m)->probe;
    cr_assert_eq(memcmp(q, &s->probe, sizeof *q), 0);
    cr_assert(p->len == s->packet.len && p->wire_len == s->packet.wire_len && p->in_port == s->packet.in_port);
    cr_assert(p->l3 == s->packet.l3 && p->l4 == s->packet.l4 && p->proto == s->packet.proto);
    cr_assert(p->family == s->packet.family && p->flags == s->packet.flags);
    cr_assert_eq(memcmp(p->data, s->data, untouched(s)), 0);
    cr_assert_geq(m->buf_len, p->data - (uint8_t *)m->buf_addr + p->len + p->room);
    struct packet parsed = *p;
    parse(&parsed); /* the headers are whole */
    cr_assert(parsed.l3 == p->l3 && parsed.l4 == p->l4 && parsed.proto == p->proto);
    rte_mempool_put(topology.pool, m);
}

/* ---- the wire in the test's hands ---- */

static const struct topology_ports wire = {.in_tx = "net_ring0", .in_rx = "net_ring1"};

static void inject(const uint8_t *frame, unsigned len) {
    struct rte_mbuf *m = rte_pktmbuf_alloc(topology.pool);
    memset(link_carrier(m), 0xee, sizeof(struct carrier));
    memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
    cr_assert_eq(rte_eth_tx_burst(port_named("net_ring1"), 0, &m, 1), 1);
}

/* Sends and takes the frame from the wire. */
static unsigned transmit(struct rte_mbuf *m, uint8_t *frame) {
    struct rte_mbuf *out;
    cr_assert_eq(topology.in[0]->send(topology.in[0], &m, 1), 1);
    cr_assert_eq(rte_eth_rx_burst(port_named("net_ring0"), 0, &out, 1), 1);
    const unsigned len = out->data_len;
    cr_assert(len == out->pkt_len && out->nb_segs == 1);
    memcpy(frame, rte_pktmbuf_mtod(out, void *), len);
    rte_pktmbuf_free(out);
    return len;
}

static unsigned receive(struct rte_mbuf **m, unsigned n) {
    return topology.in[0]->receive(topology.in[0], m, n);
}

Test(ports, packets_arrive_as_they_were_sent) {
    static struct sent s;
    uint8_t frame[LINK_ROOM];
    struct rte_mbuf *m;
    unsigned in_place = 0, trailers = 0;
    start(&wire, 1514);
    for (unsigned i = 0; i < ROUNDS; i++) {
        remember(&s, m = random_packet(1514));
        const unsigned head = s.packet.flags & PACKET_RAW_IP ? 14 : 0, whole = s.packet.wire_len + head;
        const unsigned len = transmit(m, frame), l3 = s.packet.l3 + head;
        const unsigned end = s.packet.family == FAMILY_IPV4
                                 ? l3 + ntohs(((struct ipv4_header *)(frame + l3))->total_length)
                                 : l3 + 40 + ntohs(((struct ipv6_header *)(frame + l3))->payload_length);
        cr_assert(len >= 60 && len <= 1514, "round %u", i);
        if (head)
            cr_assert_eq(frame[12] << 8 | frame[13], s.packet.family == FAMILY_IPV6 ? 0x86dd : 0x800);
        /* every internet checksum is what it was, whatever the tag says */
        if (s.packet.len == s.packet.wire_len)
            cr_assert_eq(sum16(frame + l3, end - l3), sum16(s.data + s.packet.l3, end - l3), "round %u", i);
        const unsigned payload = s.packet.l4 + head + (s.packet.proto == PROTO_TCP ? 20 : 8);
        const bool quotes = proto_is_icmp(s.packet.proto) && s.data[s.packet.l4] != ICMP_ECHO &&
                            s.data[s.packet.l4] != ICMPV6_ECHO;
        if (len <= end) {
            cr_assert(len == whole && payload + TAG + 2 <= len && !quotes, "round %u", i);
            in_place++;
        } else { /* behind the IP packet, which is untouched */
            cr_assert(len == 60 || len == whole || len == end + TAG, "round %u: %u", i, len);
            cr_assert_eq(memcmp(frame + l3, s.data + s.packet.l3, s.packet.len - s.packet.l3 < end - l3 ?
                                s.packet.len - s.packet.l3 : end - l3), 0, "round %u", i);
            trailers++;
        }
        inject(frame, len);
        cr_assert_eq(receive(&m, 1), 1, "round %u", i);
        check_arrived(&s, m);
    }
    cr_assert(in_place > ROUNDS / 4 && trailers > ROUNDS / 8, "%u in place, %u trailers", in_place, trailers);
    cr_assert_eq(link_port_foreign(topology.in[0]), 0);
    topology_fini(&topology);
}

Test(ports, foreign_and_old_frames_are_ignored) {
    static struct sent s;
    uint8_t frame[LINK_ROOM], other[LINK_ROOM] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, [12] = 8, 6};
    struct rte_mbuf *m[4];
    start(&wire, 1514);
    struct link *l = topology.in[0];
    remember(&s, m[0] = random_packet(1514));
    const unsigned len = transmit(m[0], frame);
    inject(other, 60);
    inject(frame, len);
    inject(frame, len);     /* the same twice */
    inject(frame, len - 1); /* a byte is missing */
    inject(frame, 14);
    cr_assert_eq(receive(m, 4), 1);
    check_arrived(&s, m[0]);
    cr_assert_eq(receive(m, 4), 0);
    cr_assert_eq(link_port_foreign(l), 4);
    const unsigned late = transmit(random_packet(1514), frame);
    inject(frame, late);
    cr_assert_eq(l->begin(l, 1514, NULL), 0); /* the next trial */
    cr_assert_eq(receive(m, 4), 0);
    cr_assert_eq(link_port_foreign(l), 0, "what waited in the device is gone");
    inject(frame, late);
    cr_assert_eq(receive(m, 4), 0);
    cr_assert_eq(link_port_foreign(l), 1, "and what comes later is foreign");
    topology_fini(&topology);
}

Test(ports, full_devices_push_back) {
    struct rte_mbuf *m[BURST_MAX];
    unsigned sent = 0, came = 0, n;
    start(&wire, 1514);
    for (;;) {
        for (unsigned i = 0; i < BURST_MAX; i++)
            m[i] = random_packet(200);
        sent += n = topology.in[0]->send(topology.in[0], m, BURST_MAX);
        if (n < BURST_MAX)
            rte_mempool_put_bulk(topology.pool, (void **)(m + n), BURST_MAX - n);
        if (n < BURST_MAX)
            break;
        cr_assert_lt(sent, 100000, "it never gets full");
    }
    while ((n = rte_eth_rx_burst(port_named("net_ring0"), 0, m, BURST_MAX)))
        came += n, rte_pktmbuf_free_bulk(m, n);
    cr_assert_eq(came, sent);
    topology_fini(&topology);
}

/* ---- real devices ---- */

/* Packets through a link, until all are there or none comes any more. */
static unsigned pass(struct link *l, unsigned longest, unsigned packets) {
    enum { WINDOW = 32 };
    static struct sent s[WINDOW];
    struct rte_mbuf *m[WINDOW];
    unsigned arrived = 0;
    for (unsigned i = 0; i < packets; i += WINDOW) {
        for (unsigned k = 0; k < WINDOW; k++) {
            remember(&s[k], m[k] = random_packet(longest));
            cr_assert_eq(l->send(l, &m[k], 1), 1);
        }
        unsigned got = 0;
        for (unsigned waited = 0; got < WINDOW && waited < 1000; waited++) {
            unsigned n = l->receive(l, m + got, WINDOW - got);
            got += n;
            if (!n)
                usleep(1000);
        }
        for (unsigned k = 0; k < got; k++)
            check_arrived(&s[k], m[k]); /* in order */
        arrived += got;
    }
    return arrived;
}

Test(ports, memif_both_ways, .fini = remove_socket) {
    char server[128], client[128];
    snprintf(server, sizeof server, "net_memif0,role=server,id=1,socket-abstract=no,socket=/tmp/fwdlab-%d.sock",
             getpid());
    snprintf(client, sizeof client, "net_memif1,role=client,id=1,socket-abstract=no,socket=/tmp/fwdlab-%d.sock",
             getpid());
    start(&(struct topology_ports){.in_tx = client, .in_rx = server, .out_tx = server, .out_rx = client}, 1514);
    cr_assert(topology.out->measures);
    cr_assert_eq(pass(topology.in[0], 1514, 2048), 2048);
    cr_assert_eq(pass(topology.out, 1514, 2048), 2048);
    topology_fini(&topology);
}

/* The process gets a network of its own with a veth pair; without the right to do so the test is skipped. */
static void make_veth(void) {
    if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))
        cr_skip_test("no network namespace: %s", strerror(errno));
    if (system("ip link add name veth0 type veth peer name veth1 && ip link set veth0 up && ip link set veth1 up"))
        cr_skip_test("no veth pair");
}

Test(ports, veth) {
    struct rte_mbuf *m;
    make_veth();
    start(&(struct topology_ports){.in_tx = "net_af_packet0,iface=veth0", .in_rx = "net_af_packet1,iface=veth1"}, 1514);
    cr_assert_eq(pass(topology.in[0], 1514, 2048), 2048);
    /* frames of others */
    uint8_t frame[64] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, [12] = 0x88, [13] = 0xcc};
    const struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("veth0")};
    const uint64_t before = link_port_foreign(topology.in[0]);
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(sendto(fd, frame, sizeof frame, 0, (const struct sockaddr *)&to, sizeof to), 64);
    close(fd);
    cr_assert_eq(topology.in[0]->receive(topology.in[0], &m, 1), 0);
    cr_assert_geq(link_port_foreign(topology.in[0]), before + 1);
    cr_assert_eq(pass(topology.in[0], 1514, 64), 64);
    topology_fini(&topology);
}

Test(ports, interfaces_say_what_they_cannot_do) {
    struct err e = {0};
    make_veth();
    start(&(struct topology_ports){.in_tx = "net_af_packet0,iface=veth0"}, 1514);
    struct link *l = topology.in[0];
    cr_assert_eq(l->begin(l, 1515, &e), -EMSGSIZE);
    cr_assert(strstr(e.what, "1515 bytes") && strstr(e.what, "veth0") && strstr(e.what, "1514"), "%s", e.what);
    cr_assert(strstr(e.hint, "mtu 1501"), "%s", e.hint);
    cr_assert_eq(system("ip link set veth0 mtu 1600 && ip link set veth1 mtu 1600"), 0);
    cr_assert_eq(l->begin(l, 1515, &e), 0, "%s", e.what);
    cr_assert_eq(system("ip link set veth1 down"), 0);
    for (unsigned i = 0; i < 300 && !l->begin(l, 1514, NULL); i++)
        usleep(10000); /* the kernel tells the other end's carrier a little later */
    cr_assert_eq(l->begin(l, 1514, &e), -ENETDOWN);
    cr_assert(strstr(e.what, "veth0 is without a link"), "%s", e.what);
    cr_assert_eq(system("ip link set veth0 down"), 0);
    cr_assert_eq(l->begin(l, 1514, &e), -ENETDOWN);
    cr_assert(strstr(e.what, "veth0 is down"), "%s", e.what);
    cr_assert(strstr(e.hint, "ip link set veth0 up"), "%s", e.hint);
    topology_fini(&topology);
    cr_assert_lt(topology_ports(&topology, &(struct topology_ports){.in_tx = "net_af_packet0,iface=veth9"}, &e), 0);
    cr_assert(strstr(e.what, "no interface `veth9`"), "%s", e.what);
    cr_assert(strstr(e.hint, " veth0"), "%s", e.hint);
}

Test(ports, memif_alone_has_no_link, .fini = remove_socket) {
    struct err e = {0};
    char client[128];
    snprintf(client, sizeof client, "net_memif0,role=client,socket-abstract=no,socket=/tmp/fwdlab-%d.none", getpid());
    cr_assert_eq(dpdk_start(&(struct dpdk_options){.no_huge = true, .memory_mb = 512}, &e), 0, "%s", e.what);
    cr_assert_lt(topology_ports(&topology, &(struct topology_ports){.in_tx = client}, &e), 0);
    cr_assert(strstr(e.what, client) && strstr(e.hint, "role=server"), "%s (%s)", e.what, e.hint);
    char server[128];
    snprintf(server, sizeof server, "net_memif0,role=server,socket-abstract=no,socket=/tmp/fwdlab-%d.none", getpid());
    cr_assert_eq(topology_ports(&topology, &(struct topology_ports){.in_tx = server}, &e), 0, "%s", e.what);
    cr_assert_eq(topology.in[0]->begin(topology.in[0], 1514, &e), -ENETDOWN);
    cr_assert(strstr(e.what, "no link") && strstr(e.hint, "role=server"), "%s (%s)", e.what, e.hint);
    topology_fini(&topology);
}

Test(ports, paths_must_make_sense) {
    static const struct topology_ports wrong[] = {{.in_rx = "net_ring0"},
                                                  {.in_tx = "net_ring0", .out_tx = "net_ring0", .out_rx = "net_ring0"},
                                                  {.in_tx = "net_ring0", .in_rx = "net_ring0", .out_tx = "net_ring0"}};
    struct err e = {0};
    cr_assert_eq(dpdk_start(&(struct dpdk_options){.no_huge = true, .memory_mb = 512}, &e), 0, "%s", e.what);
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(topology_ports(&topology, &wrong[i], &e), -EINVAL, "%u", i);
    cr_assert_lt(topology_ports(&topology, &(struct topology_ports){.in_tx = "net_ring0", .in_rx = "net_nothing0"}, &e),
                 0);
    cr_assert(strstr(e.what, "net_nothing0"), "%s", e.what);
    cr_assert_eq(topology.in[0], NULL);
    cr_assert_eq(rte_eth_dev_count_avail(), 0, "what was opened is closed again");
    for (unsigned i = 0; i < 3; i++) { /* devices can be opened again */
        cr_assert_eq(topology_ports(&topology, &wire, &e), 0, "%s", e.what);
        cr_assert(topology.out && !topology.out->measures, "back over a ring");
        topology_fini(&topology);
    }
}

/* Only sent: the file has each packet as the trace has it, what the capture cut off filled up. */
Test(ports, only_sent_into_a_file) {
    enum { PACKETS = 500 };
    static struct sent s[PACKETS];
    char path[64], device[96];
    struct rte_mbuf *m;
    struct err e = {0};
    snprintf(path, sizeof path, "/tmp/fwdlab-%d.pcap", getpid());
    snprintf(device, sizeof device, "net_pcap0,tx_pcap=%s", path);
    start(&(struct topology_ports){.in_tx = device}, 1514);
    cr_assert_eq(topology.out, NULL);
    for (unsigned i = 0; i < PACKETS; i++) {
        remember(&s[i], m = random_packet(1514));
        cr_assert_eq(topology.in[0]->send(topology.in[0], &m, 1), 1);
    }
    cr_assert_eq(receive(&m, 1), 0, "nobody receives");
    topology_fini(&topology);
    struct trace_memory *t = trace_preload(path, 0, &e);
    cr_assert(t, "%s", e.what);
    cr_assert_eq(t->n, PACKETS);
    for (unsigned i = 0; i < PACKETS; i++) {
        const unsigned head = s[i].packet.flags & PACKET_RAW_IP ? 14 : 0, len = s[i].packet.wire_len + head;
        cr_assert_eq(t->packets[i].len, len < 60 ? 60 : len, "%u", i);
        cr_assert_eq(memcmp(t->packets[i].data + head, s[i].data, s[i].packet.len), 0, "%u", i);
        for (unsigned k = s[i].packet.len + head; k < t->packets[i].len; k++)
            cr_assert_eq(t->packets[i].data[k], 0);
    }
    trace_memory_destroy(t);
    unlink(path);
}

/* A whole trial, both ways over memif: the same verdicts as over rings, and nothing is lost. */
static void run_trial(const struct topology *over, const struct traffic *t, struct trial_result *r) {
    const unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    struct trial_device d = {.node = traffic_node(NULL, true, 0), .slots = calloc(t->n_slots, sizeof *d.slots)};
    struct trial_options o = {.core_cpu = 1 % cpus};
    struct err e = {0};
    cr_assert_eq(pace_parse("5kpps", &o.pace, &e), 0, "%s", e.what);
    cr_assert_eq(trial_prepare(&d, t, &e), 0, "%s", e.what);
    cr_assert_eq(trial_run(&d, over, t, &o, NULL, r, &e), 0, "%s (%s)", e.what, e.hint);
    traffic_node_free(d.node);
    free(d.slots);
}

Test(ports, a_trial_is_the_same_as_over_rings, .fini = remove_socket) {
    char server[128], client[128];
    struct trial_result ring, port;
    struct topology rings;
    struct err e = {0};
    snprintf(server, sizeof server, "net_memif0,role=server,socket-abstract=no,socket=/tmp/fwdlab-%d.sock", getpid());
    snprintf(client, sizeof client, "net_memif1,role=client,socket-abstract=no,socket=/tmp/fwdlab-%d.sock", getpid());
    start(&(struct topology_ports){.in_tx = server, .in_rx = client, .out_tx = client, .out_rx = server}, 1514);
    struct inject *in = traffic_trace(4000, 7);
    struct traffic *t = traffic_create(in, &(struct traffic_options){0}, &e);
    cr_assert(t, "%s", e.what);
    cr_assert_eq(topology_rings(&rings, 1, 0, &e), 0, "%s", e.what);
    run_trial(&rings, t, &ring);
    run_trial(&topology, t, &port);
    cr_assert_eq(port.intended, ring.intended);
    if (ring.pushed_back || port.pushed_back)
        cr_skip_test("the machine stood still: a link was full");
    cr_assert(port.sent == ring.sent && port.forwarded == ring.forwarded && port.delivered == ring.delivered);
    cr_assert_eq(memcmp(port.drops, ring.drops, sizeof port.drops), 0);
    cr_assert(port.forwarded && port.delivered && port.reordered == 0);
    cr_assert_eq(port.received, ring.received, "%lu of %lu received, %lu over rings; %lu foreign; lost time %lu us",
                 port.received, port.forwarded + port.delivered, ring.received, link_port_foreign(topology.out),
                 port.lost_time_ns / 1000);
    cr_assert_eq(link_port_foreign(topology.in[0]), 0);
    trial_result_fini(&ring);
    trial_result_fini(&port);
    traffic_destroy(t);
    traffic_trace_free(in);
    topology_fini(&rings);
    topology_fini(&topology);
}
