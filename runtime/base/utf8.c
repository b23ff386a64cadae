/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "podium/base/utf8.h"

#include <stdint.h>

#include "podium/base/strbuf.h"

#define REPLACEMENT "\xEF\xBF\xBD"

/* The length of the UTF-8 character at p, 0 when there is none. */
static size_t character(const unsigned char *p, size_t n) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = *p < 0x80 ? 1 : (*p & 0xE0) == 0xC0 ? 2 : (*p & 0xF0) == 0xE0 ? 3 : (*p & 0xF8) == 0xF0 ? 4 : 0;
    uint32_t code = len > 1 ? *p & (0xFFu >> (len + 1)) : *p;

    if (len == 0 || len > n || *p == 0)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3Fu);
    }
    return len > 1 && (code < least[len] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) ? 0 : len;
}

char *utf8_valid_text(const char *p, size_t n) {
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

    while (n > 0) {
        size_t len = character((const unsigned char *) p, n);
        if (len > 0)
            strbuf_add(&out, p, len);
        else
            strbuf_adds(&out, REPLACEMENT);
        p += len ? len : 1;
        n -= len ? len : 1;
    }
    return strbuf_steal(&out);
}
