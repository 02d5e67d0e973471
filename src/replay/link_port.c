/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Links over DPDK ports. What the receiver wants to know of a packet stays in the memory of this process, in a table of
 * flights; the frame carries a tag of 16 bytes that says which flight it is. Frames without the tag of this trial
 * (neighbour discovery on a veth, an earlier trial's) are dropped and counted.
 *
 * The tag stands in the frame's last bytes, so that it is found without parsing. A frame that ends with at least 18
 * bytes of payload keeps its length: the tag replaces the end of the payload, and two bytes before it are chosen so
 * that the ones' complement sum of the 18 bytes stays what it was (as the checksum complement of RFC 7820). So TCP,
 * UDP and ICMP checksums stay right whatever the alignment, through NAT and fragmentation too; only SCTP's CRC32c does
 * not. Other frames (a TCP ACK, ICMP errors, which quote headers) get the tag as a trailer behind the IP packet.
 */
#include <errno.h>
#include <fwdlab/base/clock.h>
#include <fwdlab/base/random.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/checksum.h>
#include <fwdlab/core/forward.h>
#include <fwdlab/core/parse.h>
#include <fwdlab/dpdk/dpdk.h>
#include <fwdlab/dpdk/ethdev.h>
#include <fwdlab/replay/trial.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "link_port.h"

#define FLIGHTS 16384       /* that may be on their way at once; more than devices and sockets hold */
#define DESCRIPTORS 1024
#define DEVICES_MAX 4
#define SHORTEST 60         /* of an Ethernet frame without FCS: devices pad shorter ones */
#define LINK_UP_NS (5 * SECOND_NS)
#define STALE_MAX 16384     /* frames of earlier trials that may wait in a device */
#define BOTH_ENDS "both ends must be there: a cable and its far end; role=server and role=client of a memif"

struct tag {
    uint64_t run, sequence; /* run: of this link in this trial */
} __attribute__((packed));
#define COVERED (2 + sizeof(struct tag)) /* payload bytes that a tag takes */

struct flight {
    uint64_t sequence; /* 0: nothing; written last, checked again after reading */
    struct carrier carrier;
};

/* The devices of one topology, each opened once whoever uses it. */
struct devices {
    unsigned n, links;
    struct {
        char *text;
        uint16_t port;
    } v[DEVICES_MAX];
};

struct port_link {
    struct link link;
    struct devices *devices;
    const char *tx_text;
    uint16_t tx, rx;
    uint32_t longest;       /* frame that tx takes */
    struct flight *flights; /* NULL: only sent, as it is */
    uint64_t run, sent;
    uint64_t foreign;
    struct random random;
};

/* ---- the tag ---- */

static uint32_t ip_end(const struct packet *p) {
    if (p->family == FAMILY_IPV4)
        return p->l3 + ntohs(packet_ipv4(p)->total_length);
    if (p->family == FAMILY_IPV6)
        return p->l3 + (uint32_t)sizeof(struct ipv6_header) + ntohs(packet_ipv6(p)->payload_length);
    return p->len;
}

/*
 * Where bytes begin that nobody between the ports looks at; UINT32_MAX: nowhere. Later fragments have no header; what
 * is taken for one in them is no longer than the longest that there is.
 */
static uint32_t payload_begin(const struct packet *p) {
    const uint8_t *l4 = p->data + p->l4;
    if (p->family == FAMILY_NONE || p->l4 + 14u > p->len)
        return UINT32_MAX;
    switch (p->proto) {
    case PROTO_TCP: return p->l4 + (l4[12] >> 4 < 5 ? 20u : (l4[12] >> 4) * 4u);
    case PROTO_ICMP: return *l4 == ICMP_ECHO || *l4 == ICMP_ECHO_REPLY ? p->l4 + 8u : UINT32_MAX;
    case PROTO_ICMPV6: return *l4 == ICMPV6_ECHO || *l4 == ICMPV6_ECHO_REPLY ? p->l4 + 8u : UINT32_MAX;
    default: return p->l4 + 8u;
    }
}

static uint16_t sum16(const void *data, size_t len) {
    return (uint16_t)~checksum_fold(checksum_sum(data, len, 0));
}

/* Puts the tag into a frame of `len` bytes and returns how long it is now. */
static uint32_t write_tag(struct packet *p, uint32_t len, const struct tag *tag) {
    const uint32_t end = ip_end(p), payload = payload_begin(p);
    if (len <= end && len >= COVERED && payload <= len - COVERED) {
        uint8_t *at = p->data + len - COVERED;
        const be16 complement = (be16)~checksum_fold((uint32_t)sum16(at, COVERED) + (uint16_t)~sum16(tag, sizeof *tag));
        memcpy(at, &complement, sizeof complement);
    } else if (len < end + sizeof *tag) {
        len = end + (uint32_t)sizeof *tag;
    }
    memcpy(p->data + len - sizeof *tag, tag, sizeof *tag);
    return len;
}

static void fly(struct port_link *l, const struct carrier *c, uint64_t sequence) {
    struct flight *f = &l->flights[sequence % FLIGHTS];
    __atomic_store_n(&f->sequence, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    f->carrier = *c;
    __atomic_store_n(&f->sequence, sequence, __ATOMIC_RELEASE);
}

/* Takes a flight's carrier once; false: none, or it is too old. */
static bool land(struct port_link *l, struct carrier *c, uint64_t sequence) {
    struct flight *f = &l->flights[sequence % FLIGHTS];
    if (!sequence || __atomic_load_n(&f->sequence, __ATOMIC_ACQUIRE) != sequence)
        return false;
    *c = f->carrier;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_compare_exchange_n(&f->sequence, &sequence, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* ---- sending and receiving ---- */

/* Packets captured without Ethernet header get one. */
static uint32_t prepend_ethernet(struct packet *p) {
    if (!(p->flags & PACKET_RAW_IP))
        return 0;
    static const uint8_t addresses[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    const be16 type = htons(p->family == FAMILY_IPV6 ? 0x86dd : 0x0800);
    memcpy(p->data - 14, addresses, sizeof addresses);
    memcpy(p->data - 2, &type, sizeof type);
    return 14;
}

static void prepare(struct port_link *l, struct rte_mbuf *m) {
    struct carrier *c = link_carrier(m);
    struct packet *p = &c->packet;
    const uint32_t head = prepend_ethernet(p);
    uint32_t len = p->len;
    if (len < p->wire_len) /* of what the capture cut off zeros are sent */
        len = p->wire_len + head < l->longest ? p->wire_len : l->longest - head;
    if (len + head < SHORTEST)
        len = SHORTEST - head;
    if (len > p->len)
        memset(p->data + p->len, 0, len - p->len);
    if (l->flights) {
        const struct tag tag = {l->run, ++l->sent};
        fly(l, c, l->sent);
        len = write_tag(p, len, &tag);
    }
    m->data_off = (uint16_t)(p->data - head - (uint8_t *)m->buf_addr);
    m->data_len = (uint16_t)(len + head);
    m->pkt_len = len + head;
    m->ol_flags = 0;
}

static unsigned port_send(struct link *link, struct rte_mbuf **m, unsigned n) {
    struct port_link *l = (struct port_link *)link;
    for (unsigned i = 0; i < n; i++)
        prepare(l, m[i]);
    return rte_eth_tx_burst(l->tx, 0, m, (uint16_t)n);
}

static bool accept_frame(struct port_link *l, struct rte_mbuf *m) {
    struct carrier *c = link_carrier(m);
    struct tag tag;
    if (m->nb_segs != 1 || m->data_len < SHORTEST)
        return false;
    memcpy(&tag, rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len - sizeof tag), sizeof tag);
    if (tag.run != l->run || !land(l, c, tag.sequence))
        return false;
    const uint16_t head = c->packet.flags & PACKET_RAW_IP ? 14 : 0, len = (uint16_t)(m->data_len - head);
    c->packet.data = rte_pktmbuf_mtod_offset(m, uint8_t *, head);
    c->packet.len = c->packet.len < len ? c->packet.len : len;
    c->packet.room = (uint16_t)(m->buf_len - m->data_off - head - c->packet.len);
    return true;
}

static unsigned port_receive(struct link *link, struct rte_mbuf **m, unsigned n) {
    struct port_link *l = (struct port_link *)link;
    const unsigned came = l->flights ? rte_eth_rx_burst(l->rx, 0, m, (uint16_t)n) : 0;
    unsigned kept = 0;
    for (unsigned i = 0; i < came; i++) {
        if (accept_frame(l, m[i])) {
            m[kept++] = m[i];
        } else {
            rte_pktmbuf_free(m[i]);
            l->foreign++;
        }
    }
    return kept;
}

uint64_t link_port_foreign(const struct link *l) {
    return ((const struct port_link *)l)->foreign;
}

/* ---- before a trial ---- */

/* The interface of the kernel behind a port: is it up, how long may frames be? *longest 0: there is none. */
static int ask_kernel(const char *text, uint16_t port, uint32_t *longest, struct err *e) {
    struct rte_eth_dev_info info;
    struct ifreq r = {0};
    *longest = 0;
    if (rte_eth_dev_info_get(port, &info) || !info.if_index || !if_indextoname(info.if_index, r.ifr_name))
        return 0;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &r)) {
        rc = err_set(e, -errno, "device `%s`: interface %s: %s", text, r.ifr_name, strerror(errno));
    } else if ((r.ifr_flags & (IFF_UP | IFF_RUNNING)) != (IFF_UP | IFF_RUNNING)) {
        rc = err_set(e, -ENETDOWN, "device `%s`: interface %s is %s", text, r.ifr_name,
                     r.ifr_flags & IFF_UP ? "without a link" : "down");
        err_hint(e, "ip link set %s up, and its other end too", r.ifr_name);
    } else if (ioctl(fd, SIOCGIFMTU, &r) == 0) {
        *longest = (uint32_t)r.ifr_mtu + 14;
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

static int wait_for_link(const char *text, uint16_t port, struct err *e) {
    struct rte_eth_link status = {0};
    for (const uint64_t from = clock_ns(); clock_ns() - from < LINK_UP_NS; usleep(1000))
        if (rte_eth_link_get_nowait(port, &status) == 0 && status.link_status == RTE_ETH_LINK_UP)
            return 0;
    err_set(e, -ENETDOWN, "device `%s` has no link", text);
    err_hint(e, BOTH_ENDS);
    return -ENETDOWN;
}

static int port_begin(struct link *link, unsigned longest, struct err *e) {
    struct port_link *l = (struct port_link *)link;
    struct rte_mbuf *m[BURST_MAX];
    uint32_t limit;
    int rc = wait_for_link(l->tx_text, l->tx, e);
    if (rc || (rc = ask_kernel(l->tx_text, l->tx, &limit, e)))
        return rc;
    l->longest = limit && limit < LINK_ROOM ? limit : LINK_ROOM;
    if (longest > l->longest) {
        err_set(e, -EMSGSIZE, "frames of %u bytes do not fit through device `%s`, which takes %u", longest, l->tx_text,
                l->longest);
        err_hint(e, "a larger MTU at both ends (ip link set NAME mtu %u), or a trace without merged segments",
                 longest - 14);
        return -EMSGSIZE;
    }
    l->run = random_u64(&l->random);
    l->sent = l->foreign = 0;
    if (!l->flights)
        return 0;
    for (unsigned i = 0; i < FLIGHTS; i++)
        l->flights[i].sequence = 0;
    for (unsigned stale = 0, n; stale < STALE_MAX && (n = rte_eth_rx_burst(l->rx, 0, m, BURST_MAX)); stale += n)
        rte_pktmbuf_free_bulk(m, n);
    return 0;
}

/* ---- opening ---- */

static int set_up(const char *text, uint16_t port, struct rte_mempool *pool, struct err *e) {
    const struct rte_eth_conf conf = {0};
    uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
    const unsigned socket_id = (unsigned)rte_eth_dev_socket_id(port);
    int rc;
    if ((rc = rte_eth_dev_configure(port, 1, 1, &conf)) || (rc = rte_eth_dev_adjust_nb_rx_tx_desc(port, &rx, &tx)) ||
        (rc = rte_eth_rx_queue_setup(port, 0, rx, socket_id, NULL, pool)) ||
        (rc = rte_eth_tx_queue_setup(port, 0, tx, socket_id, NULL)))
        return err_set(e, rc, "device `%s` cannot be set up: %s", text, strerror(-rc));
    return 0;
}

static int device_open(struct devices *d, const char *text, struct rte_mempool *pool, struct err *e) {
    struct rte_eth_dev_info info;
    uint16_t port;
    for (unsigned i = 0; i < d->n; i++)
        if (!strcmp(d->v[i].text, text))
            return 0;
    int rc = dpdk_device_add(text, &port, e);
    if (rc)
        return rc;
    d->v[d->n].text = xstrdup(text);
    d->v[d->n++].port = port;
    if ((rc = set_up(text, port, pool, e)))
        return rc;
    if ((rc = rte_eth_dev_start(port))) {
        err_set(e, rc, "device `%s` does not start", text);
        err_hint(e, BOTH_ENDS);
        return rc;
    }
    if (!rte_eth_dev_info_get(port, &info) && !info.if_index)
        rte_eth_promiscuous_enable(port); /* interfaces of the kernel stay as they are */
    return 0;
}

/* A memif client in the same process finds its server only when that one was there before it. */
static int devices_open(struct devices *d, const struct topology_ports *p, struct rte_mempool *pool, struct err *e) {
    const char *all[] = {p->in_tx, p->in_rx, p->out_tx, p->out_rx};
    int rc = 0;
    for (unsigned i = 0; i < 2 * DEVICES_MAX && !rc; i++) {
        const char *text = all[i % DEVICES_MAX];
        if (text && !strstr(text, "role=server") == (i >= DEVICES_MAX))
            rc = device_open(d, text, pool, e);
    }
    return rc;
}

static unsigned device_find(const struct devices *d, const char *text) {
    unsigned i = 0;
    while (strcmp(d->v[i].text, text))
        i++;
    return i;
}

static void devices_release(struct devices *d) {
    if (--d->links)
        return;
    while (d->n) {
        dpdk_device_remove(d->v[--d->n].port);
        vec_release(d->v[d->n].text);
    }
    vec_release(d);
}

static void port_close(struct link *link) {
    struct port_link *l = (struct port_link *)link;
    devices_release(l->devices);
    vec_release(l->flights);
    vec_release(l);
}

/* Over devices that are open; rx NULL: only sent. */
static struct link *port_open(struct devices *d, const char *tx, const char *rx) {
    struct port_link *l = xzalloc(1, sizeof *l);
    l->link = (struct link){
        .send = port_send, .receive = port_receive, .begin = port_begin, .close = port_close, .measures = true};
    l->devices = d;
    l->tx_text = d->v[device_find(d, tx)].text;
    l->tx = d->v[device_find(d, tx)].port;
    if (rx) {
        l->rx = d->v[device_find(d, rx)].port;
        l->flights = xzalloc(FLIGHTS, sizeof *l->flights);
    }
    random_seed(&l->random, clock_tsc() ^ (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)l);
    d->links++;
    return &l->link;
}

static void replace(struct link **old, struct link *new) {
    (*old)->close(*old);
    *old = new;
}

/* The rings' memory serves the ports; each ring that is not needed goes. */
int topology_ports(struct topology *t, const struct topology_ports *p, struct err *e) {
    *t = (struct topology){0};
    if (!p->in_tx || !p->out_tx != !p->out_rx || (p->out_tx && !p->in_rx)) {
        err_set(e, -EINVAL, "the ports do not make a path");
        err_hint(e, "generator to core, or both ways, or only the generator's port");
        return -EINVAL;
    }
    int rc = topology_rings(t, 1, DEVICES_MAX * DESCRIPTORS, e);
    if (rc)
        return rc;
    struct devices *d = xzalloc(1, sizeof *d);
    d->links = 1;
    rc = devices_open(d, p, t->pool, e);
    if (!rc) {
        replace(&t->in[0], port_open(d, p->in_tx, p->in_rx));
        if (p->out_tx || !p->in_rx)
            replace(&t->out, p->out_tx ? port_open(d, p->out_tx, p->out_rx) : NULL);
    }
    devices_release(d);
    if (rc)
        topology_fini(t);
    return rc;
}
