/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/spdy/headers.h"

#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "podium/base/alloc.h"

#define PACK_WINDOW_BITS 11 /* the peer's inflater takes any; ours are a few bytes long */
#define PACK_MEM_LEVEL   2

/* The protocol's initial dictionary (section 2.6.10.1): words with their length as four bytes, then text. Its Adler-32,
 * which every packed stream names, is e3c6a7c2. */
#define W(length, word) "\0\0\0" length word
static const char dictionary[] = /* clang-format off */
    W("\7", "options") W("\4", "head") W("\4", "post") W("\3", "put") W("\6", "delete") W("\5", "trace")
    W("\6", "accept") W("\16", "accept-charset") W("\17", "accept-encoding") W("\17", "accept-language")
    W("\15", "accept-ranges") W("\3", "age") W("\5", "allow") W("\15", "authorization") W("\15", "cache-control")
    W("\12", "connection") W("\14", "content-base") W("\20", "content-encoding") W("\20", "content-language")
    W("\16", "content-length") W("\20", "content-location") W("\13", "content-md5") W("\15", "content-range")
    W("\14", "content-type") W("\4", "date") W("\4", "etag") W("\6", "expect") W("\7", "expires") W("\4", "from")
    W("\4", "host") W("\10", "if-match") W("\21", "if-modified-since") W("\15", "if-none-match") W("\10", "if-range")
    W("\23", "if-unmodified-since") W("\15", "last-modified") W("\10", "location") W("\14", "max-forwards")
    W("\6", "pragma") W("\22", "proxy-authenticate") W("\23", "proxy-authorization") W("\5", "range")
    W("\7", "referer") W("\13", "retry-after") W("\6", "server") W("\2", "te") W("\7", "trailer")
    W("\21", "transfer-encoding") W("\7", "upgrade") W("\12", "user-agent") W("\4", "vary") W("\3", "via")
    W("\7", "warning") W("\20", "www-authenticate") W("\6", "method") W("\3", "get") W("\6", "status")
    W("\6", "200 OK") W("\7", "version") W("\10", "HTTP/1.1") W("\3", "url") W("\6", "public") W("\12", "set-cookie")
    W("\12", "keep-alive") W("\6", "origin")
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritativ"
    "e Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 I"
    "nternal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec"
    " 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xm"
    "l,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset="
    "iso-8859-1,utf-,*,enq=0."; /* clang-format on */
#undef W

struct spdy_packer {
    z_stream in, out;
};

void spdy_headers_finish(struct spdy_headers *h) {
    strv_free(h->pairs);
    h->pairs = NULL;
}

const char *spdy_header(const struct spdy_headers *h, const char *name) {
    for (char **p = h->pairs; p && p[0]; p += 2)
        if (strcasecmp(p[0], name) == 0)
            return p[1];
    return NULL;
}

struct spdy_packer *spdy_packer_new(void) {
    struct spdy_packer *p = xnew0(struct spdy_packer);

    if (inflateInit(&p->in) != Z_OK ||
        deflateInit2(&p->out, Z_BEST_SPEED, Z_DEFLATED, PACK_WINDOW_BITS, PACK_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        abort(); /* out of memory */
    (void) deflateSetDictionary(&p->out, (const Bytef *) dictionary, sizeof(dictionary) - 1);
    return p;
}

void spdy_packer_free(struct spdy_packer *p) {
    if (!p)
        return;
    (void) inflateEnd(&p->in);
    (void) deflateEnd(&p->out);
    free(p);
}

static int inflate_block(z_stream *z, const void *block, size_t n, struct strbuf *out, struct error *err) {
    char chunk[4096];
    int r;

    z->next_in = (Bytef *) block;
    z->avail_in = (uInt) n;
    do {
        z->next_out = (Bytef *) chunk;
        z->avail_out = sizeof(chunk);
        r = inflate(z, Z_SYNC_FLUSH);
        if (r == Z_NEED_DICT) {
            if (inflateSetDictionary(z, (const Bytef *) dictionary, sizeof(dictionary) - 1) != Z_OK)
                return error_set(err, -EPROTO, "headers packed with another dictionary");
            r = inflate(z, Z_SYNC_FLUSH);
        }
        if (r != Z_OK && r != Z_BUF_ERROR)
            return error_set(err, -EPROTO, "headers that cannot be unpacked");
        strbuf_add(out, chunk, sizeof(chunk) - z->avail_out);
        if (out->overflow)
            return error_set(err, -EFBIG, "more than %u bytes of headers", SPDY_HEADERS_BYTES_MAX);
    } while (r == Z_OK && (z->avail_in > 0 || z->avail_out == 0));
    return z->avail_in > 0 ? error_set(err, -EPROTO, "headers that cannot be unpacked") : 0;
}

static bool take_u32(const uint8_t **p, size_t *n, uint32_t *ret) {
    const uint8_t *b = *p;

    if (*n < 4)
        return false;
    *ret = (uint32_t) b[0] << 24 | (uint32_t) b[1] << 16 | (uint32_t) b[2] << 8 | b[3];
    *p += 4;
    *n -= 4;
    return true;
}

static bool take_text(const uint8_t **p, size_t *n, char **ret) {
    uint32_t len;

    if (!take_u32(p, n, &len) || len > *n)
        return false;
    *ret = xstrndup((const char *) *p, len); /* up to the first NUL: the first of several values */
    *p += len;
    *n -= len;
    return true;
}

int spdy_unpack(struct spdy_packer *packer, const void *block, size_t n, struct spdy_headers *ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT_MAX(SPDY_HEADERS_BYTES_MAX);
    uint32_t count;

    int r = inflate_block(&packer->in, block, n, &text, err);
    if (r < 0)
        return r;
    const uint8_t *p = (const uint8_t *) strbuf_str(&text);
    size_t left = text.len;
    if (!take_u32(&p, &left, &count) || count > SPDY_HEADERS_MAX)
        return error_set(err, -EPROTO, "a damaged header block");
    char **pairs = xcalloc(2 * (size_t) count + 1, sizeof(char *));
    for (size_t i = 0; i < 2 * (size_t) count; i++)
        if (!take_text(&p, &left, &pairs[i])) {
            strv_free(pairs);
            return error_set(err, -EPROTO, "a damaged header block");
        }
    ret->pairs = pairs;
    return 0;
}

static void add_u32(struct strbuf *b, size_t n) {
    const uint8_t bytes[] = {(uint8_t) (n >> 24), (uint8_t) (n >> 16), (uint8_t) (n >> 8), (uint8_t) n};

    strbuf_add(b, bytes, sizeof(bytes));
}

void spdy_pack(struct spdy_packer *packer, const struct spdy_headers *h, struct strbuf *out) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    size_t n = strv_len(h->pairs);
    z_stream *z = &packer->out;
    char chunk[1024];

    add_u32(&text, n / 2);
    for (size_t i = 0; i < n; i++) {
        add_u32(&text, strlen(h->pairs[i]));
        strbuf_adds(&text, h->pairs[i]);
    }
    z->next_in = (Bytef *) text.data;
    z->avail_in = (uInt) text.len;
    do {
        z->next_out = (Bytef *) chunk;
        z->avail_out = sizeof(chunk);
        (void) deflate(z, Z_SYNC_FLUSH);
        strbuf_add(out, chunk, sizeof(chunk) - z->avail_out);
    } while (z->avail_out == 0);
}
