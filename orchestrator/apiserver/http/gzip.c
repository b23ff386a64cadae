/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/gzip.h"

#include <limits.h>
#include <zlib.h>

#include "podium/base/alloc.h"

#define GZIP_LEVEL  1
#define GZIP_WINDOW (15 + 16) /* 16: gzip's header and checksum, not zlib's */
#define GZIP_MEMORY 8

bool gzip_add(const void *p, size_t n, struct strbuf *out) {
    z_stream z = {0};
    if (n > UINT_MAX || deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    size_t before = out->len, bound = deflateBound(&z, n);
    strbuf_reserve(out, bound);
    z.next_in = (Bytef *) p;
    z.avail_in = (uInt) n;
    z.next_out = (Bytef *) out->data + before;
    z.avail_out = (uInt) bound;
    bool done = bound <= UINT_MAX && !out->overflow && deflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out < n;
    if (done) {
        out->len = before + z.total_out;
        out->cap = out->len + 1; /* it waits for a slow client: without the room that was not needed */
        out->data = xrealloc(out->data, out->cap);
        out->data[out->len] = 0;
    }
    (void) deflateEnd(&z);
    return done;
}

/* --- in parts --- */

static void put_le(uint32_t v, unsigned bytes, struct strbuf *out) {
    for (unsigned i = 0; i < bytes; i++)
        strbuf_addc(out, (char) (v >> (8 * i)));
}

void gzip_head(struct strbuf *out) {
    static const char head[10] = {0x1f, (char) 0x8b, 8 /* deflate */, 0, 0, 0, 0, 0, 4 /* the fastest */, 3 /* Unix */};

    strbuf_add(out, head, sizeof(head));
}

static void stored_block(bool last, const void *p, size_t n, struct strbuf *out) {
    strbuf_addc(out, last);
    put_le((uint32_t) n, 2, out);
    put_le(~(uint32_t) n, 2, out);
    strbuf_add(out, p, n);
}

void gzip_plain_part(const void *p, size_t n, struct strbuf *out) {
    stored_block(false, p, n, out);
}

void gzip_part(const void *p, size_t n, struct strbuf *out) {
    z_stream z = {0};
    const char *at = p;

    if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, -15, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
        for (; n > 0; n -= z.avail_in, at += z.avail_in) { /* without memory for it: as it is */
            z.avail_in = n < UINT16_MAX ? (uInt) n : UINT16_MAX;
            stored_block(false, at, z.avail_in, out);
        }
        return;
    }
    size_t bound = deflateBound(&z, n) + 16; /* the flush's empty block */
    strbuf_reserve(out, bound);
    z.next_in = (Bytef *) at;
    z.avail_in = (uInt) n;
    z.next_out = (Bytef *) out->data + out->len;
    z.avail_out = (uInt) bound;
    (void) deflate(&z, Z_FULL_FLUSH);
    out->len += z.total_out;
    out->data[out->len] = 0;
    (void) deflateEnd(&z);
}

void gzip_end(uint32_t crc, uint64_t n, struct strbuf *out) {
    stored_block(true, "", 0, out);
    put_le(crc, 4, out);
    put_le((uint32_t) n, 4, out);
}
