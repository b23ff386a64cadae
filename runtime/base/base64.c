/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "podium/base/base64.h"

#include <stdbool.h>
#include <string.h>

#include "podium/base/alloc.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *p, size_t n) {
    const uint8_t *s = p;
    char *out = xmalloc((n + 2) / 3 * 4 + 1), *o = out;

    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t) s[i] << 16;
        if (i + 1 < n)
            v |= (uint32_t) s[i + 1] << 8;
        if (i + 2 < n)
            v |= s[i + 2];
        *o++ = alphabet[v >> 18];
        *o++ = alphabet[(v >> 12) & 63];
        *o++ = i + 1 < n ? alphabet[(v >> 6) & 63] : '=';
        *o++ = i + 2 < n ? alphabet[v & 63] : '=';
    }
    *o = 0;
    return out;
}

static int digit(char c) {
    const char *at = c ? strchr(alphabet, c) : NULL;

    return at ? (int) (at - alphabet) : -1;
}

int base64_decode(const char *s, size_t n, uint8_t **ret, size_t *ret_len) {
    if (n % 4 != 0)
        return -EINVAL;
    size_t pad = 0;
    if (n > 0 && s[n - 1] == '=')
        pad = s[n - 2] == '=' ? 2 : 1;

    size_t len = n / 4 * 3 - pad;
    _cleanup_free_ uint8_t *out = xmalloc(len + 3);
    for (size_t i = 0, o = 0; i < n; i += 4) {
        uint32_t v = 0;
        for (size_t k = 0; k < 4; k++) {
            bool padding = i + k >= n - pad;
            int d = padding ? 0 : digit(s[i + k]);
            if (d < 0)
                return -EINVAL;
            v = v << 6 | (uint32_t) d;
        }
        out[o++] = (uint8_t) (v >> 16);
        if (o < len)
            out[o++] = (uint8_t) (v >> 8);
        if (o < len)
            out[o++] = (uint8_t) v;
        if (i + 4 == n && pad && (v & (pad == 1 ? 0xffu : 0xffffu)))
            return -EINVAL; /* bits set that the length does not cover */
    }
    out[len] = 0;
    *ret = steal(&out);
    *ret_len = len;
    return 0;
}
