/* SPDX-License-Identifier: BSD-3-Clause */
/* See cryptopan.h. */
#include <openssl/evp.h>
#include <string.h>
#include <fwdlab/base/vec.h>
#include "cryptopan.h"

#define CACHE_BITS 14
#define BLOCK 16

/* What an address became; `was` all zero: empty (zero addresses do not come here). */
struct cached {
    uint8_t was[BLOCK], is[BLOCK];
};

struct cryptopan {
    EVP_CIPHER_CTX *aes;
    uint8_t padding[BLOCK];
    bool keep_mac;
    struct cached v4[1 << CACHE_BITS], v6[1 << CACHE_BITS];
};

/* Ranges that stay: on the way to them no bit is turned, so that no other address gets there. */
struct range {
    uint8_t first[4]; /* bytes of the prefix, at most so many */
    uint8_t len;
};
static const struct range special_v4[] = {{{0}, 8}, {{127}, 8}, {{169, 254}, 16}, {{224}, 3}};
static const struct range special_v6[] = {{{0xfe, 0x80}, 10}, {{0xff}, 8}};

struct cryptopan *cryptopan_create(const uint8_t key[CRYPTOPAN_KEY]) {
    struct cryptopan *c = xzalloc(1, sizeof *c);
    int n;
    c->aes = EVP_CIPHER_CTX_new();
    if (c->aes && EVP_EncryptInit_ex(c->aes, EVP_aes_128_ecb(), NULL, key, NULL) &&
        EVP_CIPHER_CTX_set_padding(c->aes, 0) && EVP_EncryptUpdate(c->aes, c->padding, &n, key + BLOCK, BLOCK))
        return c;
    cryptopan_destroy(c);
    return NULL;
}

void cryptopan_destroy(struct cryptopan *c) {
    if (!c)
        return;
    EVP_CIPHER_CTX_free(c->aes);
    vec_release(c);
}

void cryptopan_keep_mac(struct cryptopan *c) {
    c->keep_mac = true;
}

/* The bits of `out` before `n` become those of `bits`. */
static void copy_bits(uint8_t *out, const uint8_t *bits, unsigned n) {
    memcpy(out, bits, n / 8);
    if (n % 8) {
        uint8_t mask = (uint8_t)(0xff00 >> n % 8);
        out[n / 8] = (uint8_t)((bits[n / 8] & mask) | (out[n / 8] & ~mask));
    }
}

void cryptopan_bits(struct cryptopan *c, uint8_t *addr, unsigned keep, unsigned bits) {
    uint8_t blocks[128][BLOCK] = {{0}};
    int n;
    if (keep >= bits)
        return;
    for (unsigned i = keep; i < bits; i++) {
        memcpy(blocks[i], c->padding, BLOCK);
        copy_bits(blocks[i], addr, i);
    }
    EVP_EncryptUpdate(c->aes, blocks[keep], &n, blocks[keep], (int)((bits - keep) * BLOCK));
    for (unsigned i = keep; i < bits; i++)
        addr[i / 8] ^= (uint8_t)((blocks[i][0] & 0x80) >> i % 8);
}

/* How many bits two prefixes have in common, up to `max`. */
static unsigned common(const uint8_t *a, const uint8_t *b, unsigned max) {
    unsigned n = 0;
    while (n < max && !((a[n / 8] ^ b[n / 8]) & (0x80 >> n % 8)))
        n++;
    return n;
}

/* The first bit that may be turned: the one after that which leads away from the last special range on the way. */
static unsigned free_from(const uint8_t *addr, const struct range *ranges, size_t n, unsigned bits) {
    unsigned from = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned same = common(addr, ranges[i].first, ranges[i].len);
        if (same == ranges[i].len)
            return bits;
        from = same + 1 > from ? same + 1 : from;
    }
    return from;
}

static struct cached *cache_slot(struct cached *cache, const uint8_t *addr, size_t len) {
    uint64_t h = 0;
    for (size_t i = 0; i < len; i += 4) {
        uint32_t word;
        memcpy(&word, addr + i, 4);
        h = (h ^ word) * 0x9e3779b97f4a7c15;
        h ^= h >> 32;
    }
    return &cache[(h * 0x9e3779b97f4a7c15) >> (64 - CACHE_BITS)];
}

/* Through the cache. */
static void turn(struct cryptopan *c, struct cached *cache, uint8_t *addr, unsigned keep, unsigned bits) {
    size_t len = bits / 8;
    struct cached *slot = cache_slot(cache, addr, len);
    if (memcmp(slot->was, addr, len)) {
        memcpy(slot->was, addr, len);
        cryptopan_bits(c, addr, keep, bits);
        memcpy(slot->is, addr, len);
    }
    memcpy(addr, slot->is, len);
}

void cryptopan_ipv4(struct cryptopan *c, uint8_t addr[4]) {
    unsigned keep = free_from(addr, special_v4, sizeof special_v4 / sizeof *special_v4, 32);
    if (keep < 32)
        turn(c, c->v4, addr, keep, 32);
}

/* fe80::/10 keeps its first half; EUI-64 (RFC 4291, appendix A) says what the MAC address says. */
static void link_local(struct cryptopan *c, uint8_t addr[16]) {
    if (addr[11] != 0xff || addr[12] != 0xfe) {
        turn(c, c->v6, addr, 64, 128);
        return;
    }
    uint8_t mac[6] = {addr[8] ^ 2, addr[9], addr[10], addr[13], addr[14], addr[15]};
    cryptopan_mac(c, mac);
    memcpy(addr + 13, mac + 3, 3);
}

void cryptopan_ipv6(struct cryptopan *c, uint8_t addr[16]) {
    static const uint8_t zero[16], solicited[13] = {0xff, 2, [11] = 1, [12] = 0xff};
    if (addr[0] == 0xff) {
        if (!memcmp(addr, solicited, sizeof solicited))
            turn(c, c->v6, addr, 104, 128);
        else if (addr[1] & 0x20) /* made from a unicast prefix (RFC 3306) */
            turn(c, c->v6, addr, 32, 128);
        return;
    }
    if (addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80) {
        link_local(c, addr);
        return;
    }
    unsigned keep = free_from(addr, special_v6, sizeof special_v6 / sizeof *special_v6, 128);
    unsigned zeros = common(addr, zero, 127);
    if (zeros < 127) /* not :: and not ::1 */
        turn(c, c->v6, addr, zeros + 1 > keep ? zeros + 1 : keep, 128);
}

/* Of virtual routers: VRRP (RFC 5798, 7.3), HSRP. They hold the number of a group, no maker's. */
static bool is_virtual(const uint8_t mac[6]) {
    return !memcmp(mac, "\0\0\x5e\0", 4) || !memcmp(mac, "\0\0\x0c\x07\xac", 5) || !memcmp(mac, "\0\0\x0c\x9f", 4);
}

void cryptopan_mac(struct cryptopan *c, uint8_t mac[6]) {
    static const uint8_t group[3] = {0x33, 0x33, 0xff}, zero[6];
    uint8_t addr[16] = "fwdlab-mac"; /* of its own among all that is 128 bits long */
    if (!memcmp(mac, group, sizeof group)) {
        uint8_t ip[16] = {0xff, 2, [11] = 1, [12] = 0xff, mac[3], mac[4], mac[5]};
        cryptopan_ipv6(c, ip);
        memcpy(mac + 3, ip + 13, 3);
    } else if (!(mac[0] & 1) && !c->keep_mac && !is_virtual(mac) && memcmp(mac, zero, 6)) {
        memcpy(addr + 10, mac, 6);
        turn(c, c->v6, addr, 104, 128);
        memcpy(mac + 3, addr + 13, 3);
    }
}
