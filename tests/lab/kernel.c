/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The router in the kernel: a network namespace whose ports are TAP devices, the wire of each in this process' hands.
 *
 * A frame written to a TAP device has gone its whole way when write() returns: reception, routing and transmission run
 * in that very call, and what the router sends lies in the devices' queues. So frames go one by one, nothing is
 * correlated, nothing waited for, and packets without anything to be known by can be compared like all others.
 *
 * All hosts on the wires are played here: whoever is asked for (ARP, neighbour discovery) answers, with the MAC address
 * that belongs to the IP address. What the router would deliver to itself is taken at the end of its input hook through
 * the log (NFLOG) and dropped there, so that its stack answers nothing.
 */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/core/checksum.h>
#include <linux/if_tun.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <net/route.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIP 77
#define LOG_GROUP 1
#define NEIGHBOURS_MAX 100 /* all namespaces share a table of 1024, and what does not fit is dropped silently */

struct kernel {
    unsigned n_ports, resolved; /* neighbours since they were last forgotten */
    int tap[LAB_PORTS_MAX], log;
};

static void __attribute__((noreturn)) skip(const char *what) {
    fprintf(stderr, "referee: skipped: %s: %s\n", what, strerror(errno));
    exit(SKIP);
}

static void __attribute__((noreturn)) fail(const char *what, const char *name) {
    fprintf(stderr, "referee: the kernel refuses: %s %s: %s\n", what, name, strerror(errno));
    exit(2);
}

/* ---- set-up ---- */

static int tap_create(const char *name) {
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        skip("/dev/net/tun");
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    if (ioctl(fd, TUNSETIFF, &r))
        skip("a TAP device");
    return fd;
}

/* Runs a program with `input` on its standard input. */
static void feed(const char *const argv[], const char *input) {
    int in[2], status;
    if (!input || !*input)
        return;
    if (pipe(in))
        fail("pipe", "");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        close(in[0]);
        close(in[1]);
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    close(in[0]);
    for (size_t left = strlen(input); left;) {
        ssize_t n = write(in[1], input + strlen(input) - left, left);
        if (n < 0)
            fail("write to", argv[0]);
        left -= (size_t)n;
    }
    close(in[1]);
    if (waitpid(pid, &status, 0) < 0 || status) {
        errno = EINVAL;
        fail(argv[0], input);
    }
}

static void sysctls(const json_t *list) {
    const json_t *s;
    size_t i;
    json_array_foreach(list, i, s) {
        char path[256];
        const char *value = json_string_value(json_array_get(s, 1));
        snprintf(path, sizeof path, "/proc/sys/%s", json_string_value(json_array_get(s, 0)));
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, value, strlen(value)) < 0)
            fail(path, value);
        close(fd);
    }
}

/* ---- the log ---- */

static void log_config(int fd, uint16_t type, const void *data, uint16_t len) {
    struct {
        struct nlmsghdr n;
        struct nfgenmsg g;
        struct nlattr a;
        uint8_t data[8];
    } m = {.n = {.nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
           .g = {.nfgen_family = AF_UNSPEC, .res_id = htons(LOG_GROUP)},
           .a = {.nla_type = type, .nla_len = (uint16_t)(sizeof(struct nlattr) + len)}};
    memcpy(m.data, data, len);
    m.n.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + sizeof m.g + NLA_ALIGN(m.a.nla_len));
    char reply[512];
    if (send(fd, &m, m.n.nlmsg_len, 0) < 0 || recv(fd, reply, sizeof reply, 0) < 0 ||
        (errno = -((struct nlmsgerr *)NLMSG_DATA(reply))->error))
        skip("netfilter's log");
}

static int log_open(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (fd < 0)
        skip("netfilter's log");
    log_config(fd, NFULA_CFG_CMD, &(struct nfulnl_msg_config_cmd){NFULNL_CFG_CMD_BIND}, 1);
    struct nfulnl_msg_config_mode mode = {.copy_range = htonl(0xffff), .copy_mode = NFULNL_COPY_PACKET};
    log_config(fd, NFULA_CFG_MODE, &mode, sizeof mode);
    log_config(fd, NFULA_CFG_QTHRESH, &(uint32_t){htonl(1)}, 4);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* The packet in a message of the log. */
static void log_take(const uint8_t *m, size_t len, struct outcome *out) {
    for (size_t at = NLMSG_HDRLEN + sizeof(struct nfgenmsg); at + NLA_HDRLEN <= len;) {
        const struct nlattr *a = (const struct nlattr *)(m + at);
        if (a->nla_len < NLA_HDRLEN || at + a->nla_len > len)
            return;
        if ((a->nla_type & NLA_TYPE_MASK) == NFULA_PAYLOAD) {
            out->at_stack.len = a->nla_len - NLA_HDRLEN;
            if (out->at_stack.len > FRAME_MAX)
                out->at_stack.len = FRAME_MAX;
            memcpy(out->at_stack.byte, m + at + NLA_HDRLEN, out->at_stack.len);
            out->delivered = true;
        }
        at += NLA_ALIGN(a->nla_len);
    }
}

/* ---- the namespace ---- */

/* Is there a local route (RTF_LOCAL) to this address, 32 digits? Others may lead to it as well. */
static bool has_local_route(const char *routes, const char *addr) {
    char start[40];
    unsigned flags;
    snprintf(start, sizeof start, "%.32s 80 ", addr);
    for (const char *line = routes; (line = strstr(line, start)); line++)
        if (sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %*s %x", &flags) == 1 && flags & RTF_LOCAL)
            return true;
    return false;
}

/* The kernel makes the local routes of IPv6 addresses when it finds the time, duplicate detection or not. */
static bool addresses_settled(void) {
    static char routes[1 << 18];
    char line[256];
    bool settled = true;
    FILE *r = fopen("/proc/net/ipv6_route", "re"), *f = fopen("/proc/net/if_inet6", "re");
    if (r)
        routes[fread(routes, 1, sizeof routes - 1, r)] = 0;
    while (r && f && fgets(line, sizeof line, f))
        settled &= has_local_route(routes, line);
    if (r)
        fclose(r);
    if (f)
        fclose(f);
    return settled;
}

struct kernel *kernel_create(const struct lab *lab) {
    const json_t *how = json_object_get(lab->description, "kernel");
    if (unshare(CLONE_NEWNET))
        skip("a network namespace");
    struct kernel *k = xzalloc(1, sizeof *k);
    sysctls(json_object_get(how, "before"));
    for (; k->n_ports < lab->node.n_ports; k->n_ports++) {
        char name[IFNAMSIZ];
        snprintf(name, sizeof name, "p%u", k->n_ports);
        k->tap[k->n_ports] = tap_create(name);
    }
    k->log = log_open();
    feed((const char *[]){"nft", "-f", "-", NULL}, json_string_value(json_object_get(how, "nft")));
    feed((const char *[]){"ip", "-batch", "-", NULL}, json_string_value(json_object_get(how, "ip")));
    sysctls(json_object_get(how, "after"));
    feed((const char *[]){"ip", "-6", "-batch", "-", NULL}, json_string_value(json_object_get(how, "ip6")));
    for (unsigned tries = 0; tries < 5000 && !addresses_settled(); tries++)
        usleep(1000);
    return k;
}

void kernel_destroy(struct kernel *k) {
    for (unsigned i = 0; i < k->n_ports; i++)
        close(k->tap[i]);
    close(k->log);
    vec_release(k);
}

/* ---- the hosts on its wires ---- */

static void answer(struct kernel *k, unsigned port, const uint8_t *frame, size_t len) {
    k->resolved++;
    if (write(k->tap[port], frame, len) < 0)
        fail("an answer of a host", "");
}

/* Who has an address says so (RFC 826). */
static bool arp(struct kernel *k, unsigned port, const uint8_t *f) {
    uint8_t reply[42];
    struct ip who = {.family = FAMILY_IPV4};
    if (f[21] != 1)
        return true;
    memcpy(&who.v4, f + 38, 4);
    struct mac mac = lab_neighbour(&who);
    memcpy(reply, f, sizeof reply);
    memcpy(reply, f + 6, 6);
    memcpy(reply + 6, &mac, 6);
    reply[21] = 2;
    memcpy(reply + 22, &mac, 6);
    memcpy(reply + 28, f + 38, 4);
    memcpy(reply + 32, f + 22, 10);
    answer(k, port, reply, sizeof reply);
    return true;
}

/* The same for IPv6 (RFC 4861, 4.4). */
static void advertise(struct kernel *k, unsigned port, const uint8_t *f) {
    uint8_t reply[86] = {0};
    struct ip who = {.family = FAMILY_IPV6};
    memcpy(who.v6, f + 62, 16);
    struct mac mac = lab_neighbour(&who);
    memcpy(reply, f + 6, 6);
    memcpy(reply + 6, &mac, 6);
    memcpy(reply + 12, (uint8_t[]){0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, PROTO_ICMPV6, 255}, 10);
    memcpy(reply + 22, who.v6, 16);
    memcpy(reply + 38, f + 22, 16);
    reply[54] = 136;
    reply[58] = 0x60; /* solicited, override */
    memcpy(reply + 62, who.v6, 16);
    reply[78] = 2;
    reply[79] = 1;
    memcpy(reply + 80, &mac, 6);
    uint32_t sum = checksum_sum(reply + 22, 64, htons(32));
    be16 check = checksum_fold(sum + htons(PROTO_ICMPV6));
    memcpy(reply + 56, &check, 2);
    answer(k, port, reply, sizeof reply);
}

/* What is between the router and its neighbours, and answered here: true. */
static bool is_link_matter(struct kernel *k, unsigned port, const uint8_t *f, size_t len) {
    unsigned type = (unsigned)f[12] << 8 | f[13];
    if (type == 0x0806 && len >= 42)
        return arp(k, port, f);
    if (type != 0x86dd || len < 78 || f[20] != PROTO_ICMPV6 || f[21] != 255 || f[54] != 135)
        return false;
    advertise(k, port, f);
    return true;
}

/* Takes what lies in the queues. True: there was something. */
static bool collect(struct kernel *k, struct outcome *out) {
    static uint8_t buffer[1 << 17];
    bool any = false;
    for (unsigned i = 0; i < k->n_ports; i++) {
        for (ssize_t n; (n = read(k->tap[i], buffer, sizeof buffer)) >= ETHERNET; any = true) {
            if (is_link_matter(k, i, buffer, (size_t)n) || out->n == FRAMES_MAX)
                continue;
            struct frame *f = &out->frames[out->n++];
            f->port = (uint16_t)i;
            f->len = n < FRAME_MAX ? (uint32_t)n : FRAME_MAX;
            memcpy(f->byte, buffer, f->len);
        }
    }
    for (ssize_t n; (n = recv(k->log, buffer, sizeof buffer, 0)) > 0; any = true)
        log_take(buffer, (size_t)n, out);
    return any;
}

void kernel_run(struct kernel *k, const struct frame *in, struct outcome *out) {
    if (k->resolved > NEIGHBOURS_MAX) {
        feed((const char *[]){"ip", "-batch", "-", NULL}, "neigh flush all\n");
        k->resolved = 0;
    }
    out->n = 0;
    out->delivered = false;
    out->rejected = write(k->tap[in->port], in->byte, in->len) != (ssize_t)in->len;
    while (collect(k, out))
        ;
}
