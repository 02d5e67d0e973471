/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ESP packets opened: the ICV is checked first (where the key file names an algorithm that can), so that a wrong key
 * opens nothing. About a microsecond a packet; nothing is kept between packets, so that keys can be shared by threads.
 */
#include "esp.h"

enum { ESP_HEADER = 8, NEXT_IPV4 = 4, NEXT_IPV6 = 41, NEXT_NONE = 59, PAD_MAX = 255 };

/* Where the parts of a packet lie under one association. */
struct esp_parts {
    const uint8_t *esp, *text, *icv;
    uint32_t text_len;
};

static bool split(const struct link_view *v, const struct esp_sa *sa, struct esp_parts *p) {
    uint32_t before = ESP_HEADER + sa->cipher->iv;
    if (v->len < before + 2 + sa->icv)
        return false;
    *p = (struct esp_parts){.esp = v->ip, .text = v->ip + before, .icv = v->ip + v->len - sa->icv,
                            .text_len = v->len - before - sa->icv};
    return p->text_len % sa->cipher->block == 0;
}

static bool authentic(const struct esp_sa *sa, const struct esp_parts *p) {
    if (!sa->mac)
        return true;
    uint8_t mac[EVP_MAX_MD_SIZE];
    size_t len;
    EVP_MAC_CTX *c = EVP_MAC_CTX_dup(sa->mac);
    bool good = c && EVP_MAC_update(c, p->esp, (size_t)(p->icv - p->esp)) && EVP_MAC_final(c, mac, &len, sizeof mac) &&
                len >= sa->icv && !memcmp(mac, p->icv, sa->icv);
    EVP_MAC_CTX_free(c);
    return good;
}

/* The IV as OpenSSL wants it: the packet's, with salt before it and a counter behind where the cipher has them. */
static void make_iv(const struct esp_sa *sa, const struct esp_parts *p, uint8_t iv[ESP_IV_MAX]) {
    memset(iv, 0, ESP_IV_MAX);
    memcpy(iv, sa->salt, sa->cipher->salt);
    memcpy(iv + sa->cipher->salt, p->text - sa->cipher->iv, sa->cipher->iv);
    if (sa->cipher->counter)
        iv[ESP_IV_MAX - 1] = 1;
}

/* text_len bytes to `to`, which does not overlap them. */
static bool decrypt(const struct esp_sa *sa, const struct esp_parts *p, uint8_t *to) {
    if (!sa->evp) {
        memcpy(to, p->text, p->text_len);
        return true;
    }
    uint8_t iv[ESP_IV_MAX];
    int n;
    make_iv(sa, p, iv);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool good = c && EVP_DecryptInit_ex2(c, sa->evp, sa->key, iv, NULL) && EVP_CIPHER_CTX_set_padding(c, 0);
    if (good && sa->cipher->aead)
        good = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, sa->icv, (void *)p->icv) > 0 &&
               EVP_DecryptUpdate(c, NULL, &n, p->esp, ESP_HEADER);
    good = good && EVP_DecryptUpdate(c, to, &n, p->text, (int)p->text_len) && EVP_DecryptFinal_ex(c, to + n, &n);
    EVP_CIPHER_CTX_free(c);
    return good;
}

/* Padding, its length, next header (RFC 4303, 2.4-2.6). Returns the payload's length, 0: that is no plain text. */
static uint32_t trailer(const struct esp_sa *sa, const uint8_t *text, uint32_t len, uint8_t *next) {
    uint32_t pad = text[len - 2];
    *next = text[len - 1];
    if (pad + 2 >= len)
        return 0;
    len -= pad + 2;
    for (uint32_t i = 0; i < pad && !sa->mac && !sa->cipher->aead; i++) /* nothing else proves the key */
        if (text[len + i] != i + 1)
            return 0;
    return *next == NEXT_NONE ? 0 : len;
}

/* Transport mode: the outer headers stand before the payload again; lengths, protocol and IPv4's checksum say so. */
static void restore(const struct esp_outer *outer, uint8_t *ip, uint32_t len, uint8_t next) {
    memcpy(ip, outer->ip, outer->headers);
    ip[outer->proto_at] = next;
    bool v6 = ip[0] >> 4 == 6;
    uint32_t length_at = v6 ? 4 : 2, length = v6 ? len - 40 : len, sum = 0, header = (ip[0] & 15) * 4u;
    ip[length_at] = (uint8_t)(length >> 8);
    ip[length_at + 1] = (uint8_t)length;
    if (v6)
        return;
    ip[10] = ip[11] = 0;
    for (uint32_t i = 0; i < header; i += 2)
        sum += wire16(ip + i);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16));
    ip[10] = (uint8_t)(sum >> 8);
    ip[11] = (uint8_t)sum;
}

/* Opens it with this association: headers' room at `to`, the plain text behind. */
static bool open_with(struct link_view *v, const struct esp_outer *outer, const struct esp_sa *sa, uint8_t *to) {
    struct esp_parts parts;
    uint8_t *text = to + outer->headers, next;
    if (!split(v, sa, &parts) || !authentic(sa, &parts) || !decrypt(sa, &parts, text))
        return false;
    uint32_t len = trailer(sa, text, parts.text_len, &next);
    if (!len)
        return false;
    if (next == NEXT_IPV4 || next == NEXT_IPV6) {
        if (text[0] >> 4 != (next == NEXT_IPV4 ? 4 : 6))
            return false;
        v->ip = text;
    } else {
        restore(outer, to, len += outer->headers, next);
        v->ip = to;
    }
    v->len = v->wire_len = len;
    return true;
}

static void addresses(const uint8_t *header, struct ip *src, struct ip *dst) {
    bool v6 = header[0] >> 4 == 6;
    *src = *dst = (struct ip){.family = v6 ? FAMILY_IPV6 : FAMILY_IPV4};
    memcpy(src->v6, header + (v6 ? 8 : 12), v6 ? 16 : 4);
    memcpy(dst->v6, header + (v6 ? 24 : 16), v6 ? 16 : 4);
}

bool esp_open(struct link_view *v, const struct esp_outer *outer, const struct link_keys *keys,
              struct link_room *room) {
    if (!keys || !room || v->len < ESP_HEADER || v->len < v->wire_len)
        return false;
    /* The view may stand in the room itself (ESP in ESP): then behind it. */
    size_t used = 0;
    if (v->ip >= room->bytes && v->ip < room->bytes + sizeof room->bytes)
        used = (size_t)(v->ip - room->bytes) + v->len;
    if (used + outer->headers + v->len > sizeof room->bytes)
        return false;
    uint32_t spi = wire32(v->ip);
    struct ip src, dst;
    addresses(outer->ip, &src, &dst);
    for (size_t i = 0; i < keys->sas.n; i++) {
        const struct esp_sa *sa = &keys->sas.v[i];
        if ((sa->any_spi || sa->spi == spi) && prefix_contains(&sa->src, &src) && prefix_contains(&sa->dst, &dst) &&
            open_with(v, outer, sa, room->bytes + used)) {
            link_note(v, LINK_ESP, spi);
            return true;
        }
    }
    return false;
}
