/* SPDX-License-Identifier: BSD-3-Clause */
#include "veth.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fwdlab/base/clock.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLOT 256 /* of a frame in the ring: TPACKET header, addresses, the first bytes */
#define DIGEST 128
#define BLOCK (1 << 20)

int veth_open(struct err *e) {
    if (unshare(CLONE_NEWNET)) {
        err_set(e, -errno, "no network namespace: %s", strerror(errno));
        err_hint(e, "run it as root");
        return -EPERM;
    }
    /* Errors are not fatal: without IPv6 in the kernel there is nothing to turn off. */
    FILE *f = fopen("/proc/sys/net/ipv6/conf/default/disable_ipv6", "we");
    if (f) {
        fputs("1", f);
        fclose(f);
    }
    int rc = system("ip link add name " VETH_NEAR " type veth peer name " VETH_FAR " && ip link set " VETH_NEAR
                    " up && ip link set " VETH_FAR " up");
    if (rc == 0)
        return 0;
    err_set(e, -ENOENT, "`ip` made no veth pair (it returned %d)", rc);
    err_hint(e, "install iproute2; the kernel needs the module veth");
    return -ENOENT;
}

uint64_t veth_digest(const uint8_t *frame, uint32_t len) {
    uint64_t h = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < len && i < DIGEST; i++)
        h = (h ^ frame[i]) * 0x100000001b3u;
    return h;
}

static int prepare(int fd) {
    const int on = 1, version = TPACKET_V2;
    const struct tpacket_req ring = {.tp_block_size = BLOCK,
                                     .tp_block_nr = VETH_FRAMES / (BLOCK / SLOT),
                                     .tp_frame_size = SLOT,
                                     .tp_frame_nr = VETH_FRAMES};
    const struct sockaddr_ll far = {.sll_family = AF_PACKET,
                                    .sll_protocol = htons(ETH_P_ALL),
                                    .sll_ifindex = (int)if_nametoindex(VETH_FAR)};
    /* SO_TIMESTAMPNS: stamped when the device hands it over, not when it reaches the socket. */
    return setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) ||
           setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) ||
           setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) ||
           setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) ||
           bind(fd, (const struct sockaddr *)&far, sizeof far);
}

int veth_receiver_open(struct veth_receiver *r, struct err *e) {
    *r = (struct veth_receiver){.fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)};
    if (r->fd < 0 || prepare(r->fd))
        return err_set(e, -errno, "no receiver at " VETH_FAR ": %s", strerror(errno));
    r->ring = mmap(NULL, (size_t)SLOT * VETH_FRAMES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, 0);
    if (r->ring == MAP_FAILED)
        return err_set(e, -errno, "no memory for the receiver: %s", strerror(errno));
    return 0;
}

size_t veth_receiver_take(struct veth_receiver *r, struct veth_arrival *out, size_t max) {
    for (size_t n = 0; n < max; n++) {
        struct tpacket2_hdr *h = (struct tpacket2_hdr *)(r->ring + (size_t)r->next * SLOT);
        if (!(__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
            return n;
        out[n] = (struct veth_arrival){.time_ns = h->tp_sec * SECOND_NS + h->tp_nsec,
                                       .len = h->tp_len,
                                       .digest = veth_digest((uint8_t *)h + h->tp_mac, h->tp_snaplen)};
        __atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        r->next = (r->next + 1) % VETH_FRAMES;
    }
    return max;
}

unsigned veth_receiver_lost(struct veth_receiver *r) {
    struct tpacket_stats s = {0};
    socklen_t size = sizeof s;
    getsockopt(r->fd, SOL_PACKET, PACKET_STATISTICS, &s, &size);
    return s.tp_drops;
}

void veth_receiver_close(struct veth_receiver *r) {
    munmap(r->ring, (size_t)SLOT * VETH_FRAMES);
    close(r->fd);
}
