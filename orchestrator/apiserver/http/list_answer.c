/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/list_answer.h"

#include <string.h>
#include <zlib.h>

#include "orchestrator/apiserver/http/encode.h"
#include "orchestrator/apiserver/http/gzip.h"
#include "orchestrator/apiserver/http/list_runs.h"
#include "orchestrator/object/protobuf.h"
#include "podium/base/alloc.h"

#define STREAM_BYTES_MIN (32u * 1024u) /* smaller answers are made as a whole */
#define BUFFER_BYTES     (64u * 1024u)

struct piece {
    const char *p;
    size_t n;
};

struct list_stream {
    const struct resource *resource;
    struct store_item **items; /* plain JSON: given out one by one */
    size_t n_items;
    struct list_run **runs; /* other forms */
    size_t n_runs;
    struct piece separator; /* between items or runs */
    struct strbuf head, tail;
    size_t skip;         /* of each text: its apiVersion and kind */
    char prefix[192];    /* what they look like */
    size_t next;         /* piece to give out: head, then separators and contents in turn, tail */
    struct piece rest;   /* of the piece under way */
    char plain_comma[8]; /* a separator in its gzip form */
};

static void stream_free(void *cls) {
    struct list_stream *s = cls;

    for (size_t i = 0; i < s->n_items; i++)
        store_item_unref(s->items[i]);
    for (size_t i = 0; i < s->n_runs; i++)
        list_run_unref(s->runs[i]);
    free(s->items);
    free(s->runs);
    strbuf_finish(&s->head);
    strbuf_finish(&s->tail);
    free(s);
}

/* --- pieces --- */

static bool has_prefix(const struct list_stream *s, const char *text, size_t n) {
    return n > s->skip && memcmp(text, s->prefix, s->skip) == 0;
}

/* An item of a list begins with its metadata: the brace comes with the separator. */
static struct piece item_piece(const struct list_stream *s, size_t i) {
    size_t n;
    const char *text = store_item_text(s->items[i], &n);
    size_t skip = has_prefix(s, text, n) ? s->skip : 1;

    return (struct piece){text + skip, n - skip};
}

static struct piece content(const struct list_stream *s, size_t i) {
    if (s->items)
        return item_piece(s, i);
    return (struct piece){s->runs[i]->bytes, s->runs[i]->len};
}

/* Piece 0 is the head, 1 the first content, 2 a separator, 3 the next content …; the last one the tail. */
static bool next_piece(struct list_stream *s, struct piece *ret) {
    size_t n = s->items ? s->n_items : s->n_runs, k = s->next++, last = n > 0 ? 2 * n : 1;

    if (k > last)
        return false;
    if (k == 0 || k == last) {
        const struct strbuf *b = k == 0 ? &s->head : &s->tail;
        *ret = (struct piece){strbuf_str(b), b->len};
    } else {
        *ret = k % 2 ? content(s, (k - 1) / 2) : s->separator;
    }
    return true;
}

static ssize_t stream_read(void *cls, uint64_t pos, char *buf, size_t max) {
    struct list_stream *s = cls;
    size_t done = 0;

    while (done < max) {
        if (s->rest.n == 0) { /* separators may be empty */
            if (!next_piece(s, &s->rest))
                break;
            continue;
        }
        size_t k = s->rest.n < max - done ? s->rest.n : max - done;
        memcpy(buf + done, s->rest.p, k);
        s->rest.p += k;
        s->rest.n -= k;
        done += k;
    }
    return done > 0 ? (ssize_t) done : MHD_CONTENT_READER_END_OF_STREAM;
}

static uint64_t stream_size(struct list_stream *s) {
    struct piece p;
    uint64_t total = 0;

    while (next_piece(s, &p))
        total += p.n;
    s->next = 0;
    return total;
}

/* --- plain JSON --- */

static struct list_stream *json_stream(struct api_request *req) {
    struct list_stream *s = xnew0(struct list_stream);
    const struct resource *r = req->resource;
    int n = snprintf(s->prefix, sizeof(s->prefix), "{\"apiVersion\":\"%s\",\"kind\":\"%s\",", resource_api_version(r),
                     r->kind);

    s->resource = r;
    s->skip = n > 0 && (size_t) n < sizeof(s->prefix) ? (size_t) n : 1;
    s->items = steal(&req->out.items);
    s->n_items = req->out.n_items;
    req->out.n_items = 0;
    s->separator = (struct piece){",{", 2};
    encode_list_head(req, &s->head);
    strbuf_addc(&s->head, '{');
    strbuf_adds(&s->tail, "]}\n");
    return s;
}

/* --- runs --- */

static void get_runs(struct http_server *h, const struct api_request *req, const struct run_form *form,
                     struct list_stream *s) {
    size_t cap = 0;

    for (size_t at = 0, n; at < req->out.n_items; at += n) {
        n = list_run_length(req->out.items + at, req->out.n_items - at);
        xgrow(&s->runs, s->n_runs, &cap);
        s->runs[s->n_runs++] = list_runs_get(h->runs, form, req->out.items + at, n);
    }
}

static void plain_ends(struct api_request *req, const struct accepted *a, struct list_stream *s, struct strbuf *head,
                       struct strbuf *tail) {
    size_t bytes = 0;

    if (a->media == ACCEPT_JSON) {
        encode_partial_head(req, a, head);
        strbuf_adds(tail, "]}\n");
        return;
    }
    for (size_t i = 0; i < s->n_runs; i++)
        bytes += s->runs[i]->plain_len;
    encode_packed_head(req, a, bytes, head);
    protobuf_list_tail(tail);
}

static uint32_t crc_add(uint32_t crc, const void *p, size_t n) {
    return (uint32_t) crc32_z(crc, p, n);
}

/* Head and tail go in as they are, and the checksum is put together from those of the runs. */
static void compressed_ends(struct list_stream *s, bool commas, const struct strbuf *head, const struct strbuf *tail) {
    uint32_t crc = crc_add((uint32_t) crc32_z(0, NULL, 0), strbuf_str(head), head->len);
    uint64_t total = head->len + tail->len;
    struct strbuf comma = STRBUF_INIT;

    gzip_head(&s->head);
    gzip_plain_part(strbuf_str(head), head->len, &s->head);
    for (size_t i = 0; i < s->n_runs; i++) {
        if (i > 0 && commas) {
            crc = crc_add(crc, ",", 1);
            total++;
        }
        crc = (uint32_t) crc32_combine(crc, s->runs[i]->crc, (z_off_t) s->runs[i]->plain_len);
        total += s->runs[i]->plain_len;
    }
    crc = crc_add(crc, strbuf_str(tail), tail->len);
    gzip_plain_part(strbuf_str(tail), tail->len, &s->tail);
    gzip_end(crc, total, &s->tail);
    if (!commas)
        return;
    gzip_plain_part(",", 1, &comma);
    memcpy(s->plain_comma, comma.data, comma.len);
    s->separator = (struct piece){s->plain_comma, comma.len};
    strbuf_finish(&comma);
}

static struct list_stream *run_stream(struct http_server *h, struct api_request *req, const struct accepted *a,
                                      bool gzip) {
    const struct run_form form = {.resource = req->resource,
                                  .media = a->media,
                                  .partial = a->as == AS_PARTIAL_LIST,
                                  .v1beta1 = a->v1beta1,
                                  .gzip = gzip};
    struct list_stream *s = xnew0(struct list_stream);
    bool commas = a->media == ACCEPT_JSON;

    s->resource = req->resource;
    get_runs(h, req, &form, s);
    if (!gzip) {
        plain_ends(req, a, s, &s->head, &s->tail);
        s->separator = (struct piece){",", commas};
        return s;
    }
    _cleanup_strbuf_ struct strbuf head = STRBUF_INIT, tail = STRBUF_INIT;
    plain_ends(req, a, s, &head, &tail);
    compressed_ends(s, commas, &head, &tail);
    return s;
}

/* --- choosing --- */

static size_t text_bytes(const struct api_request *req) {
    size_t total = 0, n;

    for (size_t i = 0; i < req->out.n_items; i++) {
        (void) store_item_text(req->out.items[i], &n);
        total += n;
    }
    return total;
}

bool list_answer_possible(const struct api_request *req, const struct accepted *form) {
    bool made_as_whole = form->media == ACCEPT_YAML || form->pretty;
    bool in_pieces = form->as == AS_ITSELF || form->as == AS_PARTIAL_LIST;

    return !made_as_whole && in_pieces && text_bytes(req) >= STREAM_BYTES_MIN;
}

struct MHD_Response *list_answer(struct http_server *h, struct api_request *req, const struct accepted *form,
                                 bool *gzip, const char **ret_content_type) {
    bool packed = form->media == ACCEPT_PROTOBUF, partial = form->as == AS_PARTIAL_LIST;

    /* What an answer in another form will measure is not known before it is made: the texts stand for it. */
    *gzip = *gzip && text_bytes(req) > GZIP_BYTES_MIN;
    bool plain = !packed && !partial && !*gzip && req->resource->storage_version;
    struct list_stream *s = plain ? json_stream(req) : run_stream(h, req, form, *gzip);
    *ret_content_type = packed ? "application/vnd.kubernetes.protobuf" : "application/json";
    struct MHD_Response *r =
        MHD_create_response_from_callback(stream_size(s), BUFFER_BYTES, stream_read, s, stream_free);
    if (!r)
        stream_free(s);
    return r;
}
