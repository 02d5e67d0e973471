/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Security associations from a file as Wireshark writes it (esp_sa): eight quoted fields a line, `#` begins a comment.
 * Ciphers that OpenSSL keeps in its legacy provider (DES, Blowfish, CAST) are not offered.
 */
#include <errno.h>
#include <openssl/core_names.h>
#include <stdio.h>
#include <stdlib.h>
#include <fwdlab/base/file.h>
#include "esp.h"

#define GCM(name_, icv_) {.name = name_, .evp = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"}, .key = {16, 24, 32}, \
                          .salt = 4, .iv = 8, .block = 1, .icv = icv_, .aead = true}

static const struct esp_cipher ciphers[] = {
    {.name = "NULL", .block = 1},
    {.name = "AES-CBC [RFC3602]", .evp = {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC"}, .key = {16, 24, 32}, .iv = 16,
     .block = 16},
    {.name = "AES-CTR [RFC3686]", .evp = {"AES-128-CTR", "AES-192-CTR", "AES-256-CTR"}, .key = {16, 24, 32}, .salt = 4,
     .iv = 8, .block = 1, .counter = true},
    {.name = "TripleDES-CBC [RFC2451]", .evp = {"DES-EDE3-CBC"}, .key = {24}, .iv = 8, .block = 8},
    GCM("AES-GCM [RFC4106]", 0), /* the authentication's "ANY ... bit" says how long the ICV is */
    GCM("AES-GCM with 8 octet ICV [RFC4106]", 8),
    GCM("AES-GCM with 12 octet ICV [RFC4106]", 12),
    GCM("AES-GCM with 16 octet ICV [RFC4106]", 16),
};

static const struct esp_auth auths[] = {
    {"NULL", NULL, 0},
    {"HMAC-MD5-96 [RFC2403]", "MD5", 12},
    {"HMAC-SHA-1-96 [RFC2404]", "SHA1", 12},
    {"HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]", "SHA256", 12},
    {"HMAC-SHA-256-128 [RFC4868]", "SHA256", 16},
    {"HMAC-SHA-384-192 [RFC4868]", "SHA384", 24},
    {"HMAC-SHA-512-256 [RFC4868]", "SHA512", 32},
    {"ANY 64 bit authentication [no checking]", NULL, 8},
    {"ANY 96 bit authentication [no checking]", NULL, 12},
    {"ANY 128 bit authentication [no checking]", NULL, 16},
    {"ANY 192 bit authentication [no checking]", NULL, 24},
    {"ANY 256 bit authentication [no checking]", NULL, 32},
};

enum field { PROTO, SRC, DST, SPI, CIPHER, CIPHER_KEY, AUTH, AUTH_KEY, FIELDS };

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* Splits a line in place. False: it is not made of eight quoted fields. */
static bool fields(char *line, char *field[FIELDS]) {
    for (int i = 0; i < FIELDS; i++) {
        line += strspn(line, " \t");
        if (i && *line++ != ',')
            return false;
        line += strspn(line, " \t");
        char *end = *line == '"' ? strchr(line + 1, '"') : NULL;
        if (!end)
            return false;
        *end = '\0';
        field[i] = line + 1;
        line = end + 1;
    }
    return line[strspn(line, " \t\r")] == '\0';
}

/* "0x" and hexadecimal digits, or (as Wireshark) the text itself. Returns the length, -1: not that, or too long. */
static int key_bytes(const char *text, uint8_t out[ESP_KEY_MAX]) {
    size_t n = strlen(text);
    if (strncmp(text, "0x", 2)) {
        if (n <= ESP_KEY_MAX)
            memcpy(out, text, n);
        return n <= ESP_KEY_MAX ? (int)n : -1;
    }
    text += 2;
    n -= 2;
    if (n % 2 || n / 2 > ESP_KEY_MAX || strspn(text, "0123456789abcdefABCDEF") != n)
        return -1;
    for (size_t i = 0; i < n / 2; i++)
        out[i] = (uint8_t)strtoul((char[]){text[2 * i], text[2 * i + 1], '\0'}, NULL, 16);
    return (int)(n / 2);
}

static int read_address(const char *text, uint8_t family, struct ip_prefix *out, struct err *e) {
    *out = (struct ip_prefix){.addr.family = family};
    if (!strcmp(text, "*"))
        return 0;
    int r = prefix_parse(text, out);
    if (r)
        return err_set(e, r, "'%s' is not an address", text);
    if (out->addr.family != family)
        return err_set(e, -EINVAL, "the address %s is not of the protocol's family", text);
    return 0;
}

static int read_peers(char *const field[FIELDS], struct esp_sa *sa, struct err *e) {
    bool v6 = !strcmp(field[PROTO], "IPv6");
    if (!v6 && strcmp(field[PROTO], "IPv4"))
        return err_set(e, -EINVAL, "the protocol is '%s', not IPv4 or IPv6", field[PROTO]);
    uint8_t family = v6 ? FAMILY_IPV6 : FAMILY_IPV4;
    int r = read_address(field[SRC], family, &sa->src, e);
    if (!r)
        r = read_address(field[DST], family, &sa->dst, e);
    if (r)
        err_hint(e, "an address, a prefix or *");
    return r;
}

static int read_spi(const char *text, struct esp_sa *sa, struct err *e) {
    sa->any_spi = !strcmp(text, "*");
    if (sa->any_spi)
        return 0;
    char *end;
    errno = 0;
    unsigned long spi = strtoul(text, &end, 0);
    if (errno || *end || end == text || *text == '-' || spi > UINT32_MAX) {
        err_set(e, -EINVAL, "'%s' is not an SPI", text);
        err_hint(e, "0x and up to eight hexadecimal digits, a decimal number or *");
        return -EINVAL;
    }
    sa->spi = (uint32_t)spi;
    return 0;
}

/* The row of that name in a table whose rows begin with one; NULL: *e lists those that there are. */
static const void *find(const char *what, const char *name, const void *table, size_t rows, size_t size,
                        struct err *e) {
    char known[sizeof ((struct err *)0)->hint - 16] = "";
    for (size_t i = 0, used = 0; i < rows; i++) {
        const char *const *row = (const void *)((const char *)table + i * size);
        if (!strcmp(name, *row))
            return row;
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", *row);
    }
    err_set(e, -ENOTSUP, "the %s '%s' is not known", what, name);
    err_hint(e, "known are %s", known);
    return NULL;
}

static int read_cipher(const char *name, const char *key_text, struct esp_sa *sa, struct err *e) {
    sa->cipher = find("cipher", name, ciphers, COUNT(ciphers), sizeof *ciphers, e);
    if (!sa->cipher)
        return -ENOTSUP;
    if (!sa->cipher->evp[0])
        return 0;
    int n = key_bytes(key_text, sa->key) - sa->cipher->salt;
    for (size_t i = 0; i < COUNT(sa->cipher->key); i++)
        if (n > 0 && sa->cipher->key[i] == n) {
            memcpy(sa->salt, sa->key + n, sa->cipher->salt);
            sa->evp = EVP_CIPHER_fetch(NULL, sa->cipher->evp[i], NULL);
            return sa->evp ? 0 : err_set(e, -ENOTSUP, "OpenSSL here has no %s", sa->cipher->evp[i]);
        }
    return err_set(e, -EINVAL, "the key of %s is not hexadecimal or has a wrong length", name);
}

static int read_auth(const char *name, const char *key_text, struct esp_sa *sa, struct err *e) {
    sa->auth = find("authentication", name, auths, COUNT(auths), sizeof *auths, e);
    if (!sa->auth)
        return -ENOTSUP;
    sa->icv = sa->cipher->icv ? sa->cipher->icv : sa->auth->icv;
    if (sa->cipher->aead && (sa->auth->digest || (sa->icv != 8 && sa->icv != 12 && sa->icv != 16)))
        return err_set(e, -EINVAL, "%s does not go with the authentication '%s'", sa->cipher->name, name);
    if (!sa->auth->digest)
        return 0;
    uint8_t key[ESP_KEY_MAX];
    int n = key_bytes(key_text, key);
    if (n <= 0)
        return err_set(e, -EINVAL, "the key of %s is not hexadecimal, or too long", name);
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    sa->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac);
    OSSL_PARAM digest[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)sa->auth->digest, 0),
                           OSSL_PARAM_construct_end()};
    if (!sa->mac || !EVP_MAC_init(sa->mac, key, (size_t)n, digest))
        return err_set(e, -ENOTSUP, "OpenSSL here has no HMAC with %s", sa->auth->digest);
    return 0;
}

/* One line into k; a line without an association is fine. */
static int read_line(struct link_keys *k, char *line, struct err *e) {
    line += strspn(line, " \t\r");
    if (!*line || *line == '#')
        return 0;
    char *field[FIELDS];
    if (!fields(line, field)) {
        err_set(e, -EINVAL, "not eight quoted fields");
        err_hint(e, "\"IPv4\",\"192.0.2.1\",\"192.0.2.2\",\"0x1234\",\"AES-CBC [RFC3602]\",\"0x...\","
                 "\"HMAC-SHA-256-128 [RFC4868]\",\"0x...\"");
        return -EINVAL;
    }
    vec_push(&k->sas, (struct esp_sa){0});
    struct esp_sa *sa = &k->sas.v[k->sas.n - 1];
    int r = read_peers(field, sa, e);
    if (!r)
        r = read_spi(field[SPI], sa, e);
    if (!r)
        r = read_cipher(field[CIPHER], field[CIPHER_KEY], sa, e);
    return r ? r : read_auth(field[AUTH], field[AUTH_KEY], sa, e);
}

struct link_keys *link_keys_load(const char *path, struct err *e) {
    char *data;
    size_t len;
    if (file_load(path, &data, &len, e))
        return NULL;
    struct link_keys *k = xzalloc(1, sizeof *k);
    unsigned number = 1;
    char *rest = data, *line;
    for (; (line = strsep(&rest, "\n")); number++)
        if (read_line(k, line, e)) {
            err_where(e, "%s:%u", path, number);
            link_keys_free(k);
            k = NULL;
            break;
        }
    OPENSSL_cleanse(data, len);
    vec_release(data);
    return k;
}

void link_keys_free(struct link_keys *k) {
    if (!k)
        return;
    for (size_t i = 0; i < k->sas.n; i++) {
        EVP_CIPHER_free(k->sas.v[i].evp);
        EVP_MAC_CTX_free(k->sas.v[i].mac);
    }
    OPENSSL_cleanse(k->sas.v, k->sas.n * sizeof *k->sas.v);
    vec_free(&k->sas);
    vec_release(k);
}
