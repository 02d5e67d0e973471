/* SPDX-License-Identifier: BSD-3-Clause */
/* Captures without what must not leave the house: from the link layer to IP, and file to file. See anonymize.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <fwdlab/base/vec.h>
#include <fwdlab/trace/rewrite.h>
#include "anonymize.h"
#include "copy.h"

/* IPv4 over a link layer with addresses of 6 bytes (RFC 826, RFC 903); others are closed. */
static uint32_t arp(struct frame *f, uint32_t at, uint32_t end) {
    static const uint8_t lengths[4] = {8, 0, 6, 4};
    uint8_t *h = f->d + at;
    if (end - at < 28 || memcmp(h + 2, lengths, sizeof lengths))
        return frame_close(f, at);
    cryptopan_mac(f->pan, h + 8);
    cryptopan_ipv4(f->pan, h + 14);
    cryptopan_mac(f->pan, h + 18);
    cryptopan_ipv4(f->pan, h + 24);
    return at + 28;
}

/* The sender's address in a cooked header: 8 bytes, of which `len` count. Tunnels have their own IPv4 address there. */
static void cooked_address(struct frame *f, uint16_t len, uint8_t *addr) {
    if (len == 6) {
        cryptopan_mac(f->pan, addr);
        memset(addr + 6, 0, 2);
        return;
    }
    if (len == 4)
        cryptopan_ipv4(f->pan, addr);
    memset(addr + (len == 4 ? 4 : 0), 0, len == 4 ? 4 : 8);
}

static uint32_t frame_walk(struct frame *f, uint16_t linktype, const struct trace_packet *p) {
    struct link_view v;
    if (!link_decode(linktype, f->d, p->len, p->wire_len, &v))
        return frame_close(f, 0);
    uint32_t at = (uint32_t)(v.ip - f->d), inner_mac = v.mac ? (uint32_t)(v.mac - f->d) : 0;
    if (linktype == LINKTYPE_ETHERNET && p->len < 14)
        return frame_close(f, 0);
    for (uint32_t i = 0; linktype == LINKTYPE_ETHERNET && i < 12; i += 6)
        cryptopan_mac(f->pan, f->d + i);
    for (uint32_t i = inner_mac; inner_mac && i < inner_mac + 12; i += 6)
        cryptopan_mac(f->pan, f->d + i);
    if (linktype == LINKTYPE_LINUX_SLL && p->len >= 16)
        cooked_address(f, wire16(f->d + 4), f->d + 6);
    if (linktype == LINKTYPE_LINUX_SLL2 && p->len >= 20)
        cooked_address(f, f->d[11], f->d + 12);
    if (v.fault == LINK_IP)
        return anonymize_ip(f, at, p->len);
    return v.fault == LINK_ARP ? arp(f, at, p->len) : frame_close(f, at);
}

struct work {
    const struct anonymize_options *options;
    struct anonymize_stats *stats;
    struct cryptopan *pan;
    uint8_t *room; /* for one packet */
    size_t cap;
};

/* Without the bytes of others: names of interfaces are kept when they look like a kernel's. */
static struct trace_interface plain_interface(const struct trace_interface *i, uint32_t index, char name[16]) {
    struct trace_interface out = *i;
    struct ip ip;
    bool plain = strlen(i->name) < 16 && ip_parse(i->name, &ip);
    for (const char *c = i->name; *c; c++)
        plain &= isalnum((unsigned char)*c) || strchr("-_.@", *c);
    if (!plain) {
        snprintf(name, 16, "if%u", index);
        out.name = name;
    }
    out.description = "";
    return out;
}

static int write_anonymous(void *arg, struct trace_writer *w, const struct trace_interface *i, struct trace_packet *p) {
    struct work *k = arg;
    if (p->len > k->cap)
        k->room = xrealloc(k->room, k->cap = p->len, 1);
    if (p->len)
        memcpy(k->room, p->data, p->len);
    struct frame f = {.pan = k->pan, .d = k->room, .was = p->data, .keep_payload = k->options->keep_payload};
    uint32_t kept = frame_walk(&f, i->linktype, p);
    k->stats->packets++;
    k->stats->cut += kept < p->len;
    k->stats->closed += f.closed;
    p->data = k->room;
    p->len = kept;
    p->comment = NULL;
    return trace_writer_packet(w, p);
}

static int add_interface(void *arg, struct trace_writer *w, const struct trace_interface *i, uint32_t index) {
    char name[16];
    struct trace_interface plain = plain_interface(i, index, name);
    return trace_writer_interface_like(w, &plain);
}

static void note_end(void *arg, const struct trace_many *m) {
    struct anonymize_stats *stats = ((struct work *)arg)->stats;
    struct trace_many_stats read;
    const char *damage = trace_many_damage(m);
    trace_many_stats(m, &read);
    stats->filtered = read.filtered;
    snprintf(stats->damage, sizeof stats->damage, "%s", damage ? damage : "");
}

int trace_anonymize(const struct trace_many_options *o, const char *out, const struct anonymize_options *a,
                    struct anonymize_stats *stats, struct err *e) {
    struct work k = {.options = a, .stats = stats, .pan = cryptopan_create(a->key)};
    *stats = (struct anonymize_stats){0};
    if (!k.pan)
        return err_set(e, -EIO, "libcrypto has no AES-128");
    if (a->keep_mac)
        cryptopan_keep_mac(k.pan);
    struct trace_copy c = {add_interface, write_anonymous, note_end, &k};
    int code = trace_copy(o, out, &c, e);
    cryptopan_destroy(k.pan);
    vec_release(k.room);
    return code;
}
