/* SPDX-License-Identifier: BSD-3-Clause */
/* Options and texts of pcapng. See options.h. */
#include "options.h"

#define OPT_ENDOFOPT 0

int options_next(const struct trace *t, struct options *o, struct option *out) {
    if (o->p == o->end)
        return 0;
    if (o->end - o->p < 4)
        return -1;
    *out = (struct option){.code = read_u16(t, o->p), .len = read_u16(t, o->p + 2), .data = o->p + 4};
    if (out->code == OPT_ENDOFOPT)
        return 0;
    size_t padded = ((size_t)out->len + 3) & ~(size_t)3;
    if ((size_t)(o->end - out->data) < padded)
        return -1;
    o->p = out->data + padded;
    return 1;
}

/* Bytes of the well-formed UTF-8 character at p (RFC 3629, table in section 4), or 0. */
static size_t utf8_len(const uint8_t *p, size_t left) {
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (len > left)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] > 0x9f, beyond = p[0] == 0xf4 && p[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : len;
}

size_t text_copy(char *dst, const uint8_t *src, size_t len) {
    size_t n = 0;
    while (n < len && src[n]) {
        size_t c = utf8_len(src + n, len - n);
        bool control = (src[n] < 0x20 && src[n] != '\t' && src[n] != '\n') || src[n] == 0x7f;
        if (c && !control)
            memcpy(dst + n, src + n, c);
        else
            dst[n] = '?';
        n += c ? c : 1;
    }
    dst[n] = 0;
    return n;
}
