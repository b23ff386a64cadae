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
