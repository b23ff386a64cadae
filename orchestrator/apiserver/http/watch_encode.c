/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/watch_encode.h"

#include <string.h>

#include "orchestrator/apiserver/http/encode.h"
#include "orchestrator/object/protobuf.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

void watch_encoder_init(struct watch_encoder *s, const struct api_request *req, const struct resource *r) {
    *s = (struct watch_encoder){.resource = r, .include = table_include(req)};
    if (!accept_parse(req->accept, OFFER_VIEWS | OFFER_STREAM, &s->form)) /* the caller has checked */
        s->form = (struct accepted){0};
}

static void put_event(const char *type, const char *api_version, const char *kind, const void *message, size_t n,
                      bool framed, struct strbuf *out) {
    (framed ? protobuf_frame_event : protobuf_event)(type, api_version, kind, message, n, out);
}

static struct json *event_table(struct watch_encoder *s, const char *type, const struct json *doc) {
    const struct resource *r = s->resource;
    bool bookmark = strcmp(type, "BOOKMARK") == 0;
    struct json *t = json_object(), *m = json_object();
    json_set(&t, "kind", json_string("Table"));
    json_set(&t, "apiVersion", json_string(accepted_meta_version(&s->form)));
    json_set(&m, "resourceVersion", json_ref(json_path(doc, "metadata", "resourceVersion")));
    json_set(&t, "metadata", m);
    json_set(&t, "columnDefinitions", s->columns_sent ? json_null() : table_columns(r));
    s->columns_sent = true;
    json_set(&t, "rows", json_array());
    /* upstream puts the bookmark into the row: clients read the revision there */
    enum table_include include = bookmark ? TABLE_INCLUDE_METADATA : s->include;
    struct table_view view = table_view(r);
    json_append(json_edit(&t, "rows"), table_row(&view, doc, include, now_realtime_usec()));
    return t;
}

/* The initial state is packed for this watcher alone: kept for all, it would double what every object takes. */
static void pack_item(struct watch_encoder *s, const struct watch_event *e, bool framed, struct strbuf *out) {
    const struct resource *r = s->resource;
    _cleanup_strbuf_ struct strbuf own = STRBUF_INIT;
    size_t n;
    const char *packed = store_item_packed(e->item, e->shared ? encode_packed : NULL, (void *) r, &n);
    if (!packed) {
        _cleanup_json_ struct json *doc = store_item_read(e->item);
        if (encode_packed((void *) r, doc, &own) == 0) {
            packed = strbuf_str(&own);
            n = own.len;
        }
    }
    if (packed)
        put_event(e->type, resource_api_version(r), r->kind, packed, n, framed, out);
}

static void pack_event(struct watch_encoder *s, const struct watch_event *e, bool framed, struct strbuf *out) {
    _cleanup_strbuf_ struct strbuf message = STRBUF_INIT;
    bool partial = s->form.as == AS_PARTIAL && strcmp(e->type, "ERROR") != 0;
    if (e->item && !partial) {
        pack_item(s, e, framed, out);
        return;
    }
    _cleanup_json_ struct json *doc = e->item ? store_item_read(e->item) : json_ref(e->object);
    const char *api_version = partial ? "meta.k8s.io/v1" : json_str_or(json_get(doc, "apiVersion"), ""),
               *kind = partial ? "PartialObjectMetadata" : json_str_or(json_get(doc, "kind"), "");
    if (protobuf_encode_message(api_version, kind, doc, &message, NULL) == 0)
        put_event(e->type, partial ? accepted_meta_version(&s->form) : api_version, kind, message.data, message.len,
                  framed, out);
}

void watch_encode(struct watch_encoder *s, const struct watch_event *e, bool framed, struct strbuf *b) {
    if (s->form.media == ACCEPT_PROTOBUF) {
        pack_event(s, e, framed, b);
        return;
    }
    bool error = strcmp(e->type, "ERROR") == 0;
    strbuf_addf(b, "{\"type\":\"%s\",\"object\":", e->type);
    if (s->form.as == AS_ITSELF || error) {
        size_t n;
        if (e->item) {
            const char *text = store_item_text(e->item, &n);
            strbuf_add(b, text, n);
        } else {
            json_write(e->object, 0, b);
        }
    } else {
        _cleanup_json_ struct json *doc = e->item ? store_item_read(e->item) : json_ref(e->object);
        _cleanup_json_ struct json *view =
            s->form.as == AS_TABLE ? event_table(s, e->type, doc) : partial_document(doc, &s->form);
        json_write(view, 0, b);
    }
    strbuf_adds(b, "}\n");
}
