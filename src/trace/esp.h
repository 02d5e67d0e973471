/* SPDX-License-Identifier: BSD-3-Clause */
/* ESP (RFC 4303): security associations with their keys (keys.c), and packets opened with them (esp.c). */
#ifndef TRACE_ESP_H
#define TRACE_ESP_H

#include <openssl/evp.h>
#include <fwdlab/base/vec.h>
#include "layers.h"

#define ESP_IV_MAX 16
#define ESP_KEY_MAX 64
#define ESP_SALT 4

struct esp_cipher {
    const char *name;    /* as Wireshark's esp_sa says */
    const char *evp[3];  /* OpenSSL's name for each length of key; NULL: none */
    uint8_t key[3];      /* bytes, without the salt */
    uint8_t salt;        /* bytes at the key's end that go into the nonce (RFC 3686, RFC 4106) */
    uint8_t iv;          /* bytes in each packet */
    uint8_t block;       /* the ciphertext is a multiple of these */
    uint8_t icv;         /* bytes; 0: as the authentication says */
    bool counter;        /* RFC 3686's block: salt, IV, and a count from 1 */
    bool aead;
};

struct esp_auth {
    const char *name;
    const char *digest; /* of HMAC; NULL: the ICV is not checked */
    uint8_t icv;        /* bytes */
};

struct esp_sa {
    struct ip_prefix src, dst;
    uint32_t spi;
    bool any_spi;
    const struct esp_cipher *cipher;
    const struct esp_auth *auth;
    EVP_CIPHER *evp;  /* NULL: NULL encryption */
    EVP_MAC_CTX *mac; /* HMAC with its key, to copy from; NULL: not checked */
    uint8_t key[ESP_KEY_MAX], salt[ESP_SALT];
    uint8_t icv;
};

struct link_keys {
    VEC(struct esp_sa) sas; /* in the file's order */
};

/* What esp_open needs of the packet around. */
struct esp_outer {
    const uint8_t *ip;  /* the IP header: addresses, and what transport mode puts before the payload */
    uint32_t headers;   /* bytes from there to the transport's header (ESP's, or UDP's around it) */
    uint32_t proto_at;  /* which of them names the transport */
};
/*
 * Opens the ESP packet that v holds, all of it and nothing behind it, and moves v to the IP packet inside, in room. An
 * IP packet in transport mode gets the outer headers back, corrected. False: no key fits (v is as before).
 */
bool esp_open(struct link_view *v, const struct esp_outer *outer, const struct link_keys *keys, struct link_room *room);

#endif
