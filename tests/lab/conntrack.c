/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's entry of a connection, by ctnetlink: state and time that is left. */
#include "states.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct message {
    union {
        struct nlmsghdr header;
        uint8_t byte[512];
    };
    uint32_t len;
};

static void put(struct message *m, uint16_t type, const void *data, uint16_t size) {
    struct nlattr a = {.nla_type = type, .nla_len = (uint16_t)(NLA_HDRLEN + size)};
    memcpy(m->byte + m->len, &a, sizeof a);
    memcpy(m->byte + m->len + NLA_HDRLEN, data, size);
    m->len += NLA_ALIGN(a.nla_len);
}

static uint32_t nest(struct message *m, uint16_t type) {
    uint32_t at = m->len;
    put(m, type | NLA_F_NESTED, "", 0);
    return at;
}

static void nest_end(struct message *m, uint32_t at) {
    uint16_t len = (uint16_t)(m->len - at);
    memcpy(m->byte + at, &len, sizeof len);
}

/* The attribute of that type among those in `len` bytes; *size of its value. NULL: there is none. */
static const uint8_t *find(const uint8_t *at, size_t len, unsigned type, size_t *size) {
    struct nlattr a;
    while (len >= sizeof a) {
        memcpy(&a, at, sizeof a);
        const size_t step = NLA_ALIGN((size_t)a.nla_len);
        if (a.nla_len < sizeof a || a.nla_len > len)
            return NULL;
        *size = a.nla_len - sizeof a;
        if ((a.nla_type & NLA_TYPE_MASK) == type)
            return at + sizeof a;
        if (step > len)
            return NULL;
        at += step;
        len -= step;
    }
    return NULL;
}

static void ask(struct message *m, uint8_t proto, const struct nat_tuple *t) {
    const struct nfgenmsg family = {.nfgen_family = AF_INET};
    memset(m, 0, sizeof *m);
    m->header = (struct nlmsghdr){.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
                                  .nlmsg_flags = NLM_F_REQUEST};
    memcpy(m->byte + NLMSG_HDRLEN, &family, sizeof family);
    m->len = NLMSG_HDRLEN + sizeof family;
    uint32_t tuple = nest(m, CTA_TUPLE_ORIG), part = nest(m, CTA_TUPLE_IP);
    put(m, CTA_IP_V4_SRC, &t->src, 4);
    put(m, CTA_IP_V4_DST, &t->dst, 4);
    nest_end(m, part);
    part = nest(m, CTA_TUPLE_PROTO);
    put(m, CTA_PROTO_NUM, &proto, 1);
    put(m, CTA_PROTO_SRC_PORT, &t->sport, 2);
    put(m, CTA_PROTO_DST_PORT, &t->dport, 2);
    nest_end(m, part);
    nest_end(m, tuple);
    m->header.nlmsg_len = m->len;
}

static void __attribute__((noreturn)) fail(void) {
    fprintf(stderr, "referee: conntrack: %s\n", strerror(errno));
    exit(2);
}

bool conntrack_get(uint8_t proto, const struct nat_tuple *original, struct tracked *out) {
    static int fd = -1;
    static uint8_t answer[1 << 13];
    struct message m;
    if (fd < 0)
        fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    ask(&m, proto, original);
    if (fd < 0 || send(fd, m.byte, m.len, 0) < 0)
        fail();
    ssize_t n = recv(fd, answer, sizeof answer, 0);
    const struct nlmsghdr *h = (const struct nlmsghdr *)answer;
    if (n < NLMSG_HDRLEN)
        fail();
    if (h->nlmsg_type == NLMSG_ERROR) {
        errno = -((const struct nlmsgerr *)NLMSG_DATA(h))->error;
        if (errno == ENOENT)
            return false;
        fail();
    }
    const size_t skip = NLMSG_HDRLEN + sizeof(struct nfgenmsg);
    size_t size;
    const uint8_t *timeout = find(answer + skip, (size_t)n - skip, CTA_TIMEOUT, &size);
    *out = (struct tracked){0};
    if (timeout)
        memcpy(&out->left, timeout, 4);
    out->left = ntohl(out->left);
    const uint8_t *info = find(answer + skip, (size_t)n - skip, CTA_PROTOINFO, &size);
    const uint8_t *tcp = info ? find(info, size, CTA_PROTOINFO_TCP, &size) : NULL;
    const uint8_t *state = tcp ? find(tcp, size, CTA_PROTOINFO_TCP_STATE, &size) : NULL;
    out->tcp_state = state ? *state : 0;
    return true;
}
