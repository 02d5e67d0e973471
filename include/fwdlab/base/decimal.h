/* SPDX-License-Identifier: BSD-3-Clause */
/* Decimal digits, without what printf costs: for text of which there is much. */
#ifndef FWDLAB_BASE_DECIMAL_H
#define FWDLAB_BASE_DECIMAL_H

#include <string.h>

#define DECIMAL_TEXT 20 /* room for any number, without a NUL */

/* Writes n (no NUL) and returns where it ends. */
static inline char *decimal_put(char *to, unsigned long long n) {
    char digits[DECIMAL_TEXT], *at = digits + sizeof digits;
    do
        *--at = (char)('0' + n % 10);
    while (n /= 10);
    const size_t length = (size_t)(digits + sizeof digits - at);
    memcpy(to, at, length);
    return to + length;
}

#endif
