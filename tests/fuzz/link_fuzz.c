/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a frame, and inwards through its tunnels: what is found lies within the frame, or within what ESP
 * opened. The first byte chooses the link type, the second how much of the frame the capture cut off.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fwdlab/trace/link.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static volatile uint8_t sink; /* keeps the reads */

static void require(bool good) {
    if (!good)
        abort();
}

/* One association that checks nothing, so that bytes made up open, and two that can hardly be met. */
static const struct link_keys *keys(void) {
    static const char text[] =
        "\"IPv4\",\"*\",\"*\",\"0x1234\",\"AES-GCM with 16 octet ICV [RFC4106]\","
        "\"0x000102030405060708090a0b0c0d0e0f10111213\",\"NULL\",\"\"\n"
        "\"IPv6\",\"*\",\"*\",\"*\",\"AES-CBC [RFC3602]\",\"0123456789abcdef\",\"HMAC-SHA-256-128 [RFC4868]\",\"k\"\n"
        "\"IPv4\",\"*\",\"*\",\"*\",\"NULL\",\"\",\"NULL\",\"\"\n";
    static struct link_keys *k;
    if (k)
        return k;
    char path[] = "/tmp/fwdlab-fuzz-XXXXXX";
    int fd = mkstemp(path);
    require(fd >= 0 && write(fd, text, sizeof text - 1) == sizeof text - 1 && !close(fd));
    k = link_keys_load(path, NULL);
    unlink(path);
    require(k);
    return k;
}

static void check(const struct link_view *v, const uint8_t *data, uint32_t len, const struct link_room *room) {
    bool in_data = v->ip >= data && v->ip + v->len <= data + len;
    bool in_room = v->ip >= room->bytes && v->ip + v->len <= room->bytes + sizeof room->bytes;
    require((in_data || in_room) && v->len <= v->wire_len && v->n_layers <= LINK_LAYERS_MAX);
    for (uint32_t i = 0; i < v->len; i++)
        sink ^= v->ip[i];
    for (uint32_t i = 0; v->mac && i < 12; i++)
        sink ^= v->mac[i];
    for (uint32_t i = 0; i < v->n_layers; i++)
        require(strcmp(link_layer_name(v->layers[i].kind), "unknown"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint16_t types[] = {LINKTYPE_ETHERNET, LINKTYPE_RAW, LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2,
                                     LINKTYPE_NULL, LINKTYPE_LOOP, LINKTYPE_PPP, LINKTYPE_PPP_HDLC, LINKTYPE_IPV4,
                                     LINKTYPE_IPV6, 104};
    static struct link_room room;
    struct link_view v, in;
    if (size < 2 || size > 2 + UINT16_MAX)
        return 0;
    uint32_t len = (uint32_t)size - 2;
    require(link_decode(types[data[0] % (sizeof types / sizeof *types)], data + 2, len, len + data[1], &v));
    check(&v, data + 2, len, &room);
    for (int depth = 0; link_inner(&v, keys(), &room, &in); depth++) {
        require(in.fault == LINK_IP && in.len && depth < 4096);
        check(&in, data + 2, len, &room);
        v = in;
    }
    return 0;
}
