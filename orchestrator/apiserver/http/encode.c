/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/encode.h"

#include <string.h>

#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/versions.h"
#include "orchestrator/manifest/yaml.h"
#include "orchestrator/object/protobuf.h"
#include "orchestrator/object/table.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

void encoded_finish(struct encoded *e) {
    strbuf_finish(&e->text);
    store_item_unref(e->item);
    *e = (struct encoded){0};
}

/* --- lists --- */

void encode_list_item(struct store_item *item, const struct resource *r, struct strbuf *out) {
    size_t n;
    const char *text = store_item_text(item, &n);
    char head[192];
    int len = snprintf(head, sizeof(head), "{\"apiVersion\":\"%s\",\"kind\":\"%s\",", resource_api_version(r), r->kind);
    size_t skip = (size_t) len;
    if (len < 0 || skip >= sizeof(head) || n <= skip || memcmp(text, head, skip) != 0) {
        strbuf_add(out, text, n);
        return;
    }
    strbuf_addc(out, '{');
    strbuf_add(out, text + skip, n - skip);
}

static struct json *list_metadata(const struct api_response *out) {
    struct json *m = json_object();
    json_set(&m, "resourceVersion", json_stringf("%llu", (unsigned long long) out->revision));
    if (out->continue_token)
        json_set(&m, "continue", json_string(out->continue_token));
    if (out->continue_token && out->remaining >= 0)
        json_set(&m, "remainingItemCount", json_int(out->remaining));
    return m;
}

static void write_item(struct store_item *item, const struct resource *r, struct strbuf *out) {
    if (r->storage_version) {
        encode_list_item(item, r, out);
        return;
    }
    _cleanup_json_ struct json *doc = version_shown(r, item);
    json_write(doc, 0, out);
}

static void write_list(struct api_request *req, struct strbuf *out) {
    const struct resource *r = req->resource;
    _cleanup_json_ struct json *m = list_metadata(&req->out);
    size_t total = 256;
    for (size_t i = 0; i < req->out.n_items; i++) {
        size_t n;
        (void) store_item_text(req->out.items[i], &n);
        total += n + 1;
    }
    strbuf_reserve(out, total);
    strbuf_addf(out, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":", r->list_kind ? r->list_kind : "List",
                resource_api_version(r));
    json_write(m, 0, out);
    strbuf_adds(out, ",\"items\":[");
    for (size_t i = 0; i < req->out.n_items; i++) {
        if (i)
            strbuf_addc(out, ',');
        write_item(req->out.items[i], r, out);
    }
    strbuf_adds(out, "]}\n");
}

static struct json *list_frame(const struct api_request *req, const char *kind, const char *api_version) {
    struct json *l = json_object();
    json_set(&l, "kind", json_string(kind));
    json_set(&l, "apiVersion", json_string(api_version));
    json_set(&l, "metadata", list_metadata(&req->out));
    return l;
}

struct json *list_document(const struct api_request *req) {
    const struct resource *r = req->resource;
    struct json *l = list_frame(req, r->list_kind ? r->list_kind : "List", resource_api_version(r));
    json_set(&l, "items", json_array());
    struct json **items = json_edit(&l, "items");
    for (size_t i = 0; i < req->out.n_items; i++)
        json_append(items, version_shown(r, req->out.items[i]));
    return l;
}

static struct json *partial_list(const struct api_request *req) {
    struct json *l = list_frame(req, "PartialObjectMetadataList", "meta.k8s.io/v1");
    json_set(&l, "items", json_array());
    struct json **items = json_edit(&l, "items");
    for (size_t i = 0; i < req->out.n_items; i++) {
        _cleanup_json_ struct json *doc = version_shown(req->resource, req->out.items[i]);
        json_append(items, partial_metadata(doc));
    }
    return l;
}

/* --- tables --- */

static enum table_include table_include(const struct api_request *req) {
    const char *v = api_param(req, "includeObject");
    if (v && strcmp(v, "Object") == 0)
        return TABLE_INCLUDE_OBJECT;
    if (v && strcmp(v, "None") == 0)
        return TABLE_INCLUDE_NONE;
    return TABLE_INCLUDE_METADATA;
}

struct json *table_document(const struct api_request *req, const struct accepted *a) {
    const struct api_response *out = &req->out;
    enum table_include include = table_include(req);
    uint64_t now = now_realtime_usec();
    struct json *t = list_frame(req, "Table", a->table_v1beta1 ? "meta.k8s.io/v1beta1" : "meta.k8s.io/v1");
    json_set(&t, "columnDefinitions", table_columns(req->resource));
    json_set(&t, "rows", json_array());
    struct json **rows = json_edit(&t, "rows");
    if (out->kind == API_OUT_LIST) {
        for (size_t i = 0; i < out->n_items; i++) {
            _cleanup_json_ struct json *item = version_shown(req->resource, out->items[i]);
            json_append(rows, table_row(req->resource, item, include, now));
        }
        return t;
    }
    const struct json *doc = out->item ? store_item_doc(out->item) : out->object;
    json_append(rows, table_row(req->resource, doc, include, now));
    struct json *m = json_object();
    json_set(&m, "resourceVersion", json_ref(json_path(doc, "metadata", "resourceVersion")));
    json_set(&t, "metadata", m);
    return t;
}

/* --- answers --- */

/* Tables and metadata exist of stored objects, not of Status or of subresources with kinds of their own. */
static bool can_be_table(const struct api_request *req) {
    if (!req->resource || req->out.code >= 300)
        return false;
    if (req->out.kind == API_OUT_LIST || req->out.kind == API_OUT_WATCH || req->out.item)
        return true;
    return req->out.object && strcmp(json_str_or(json_get(req->out.object, "kind"), ""), req->resource->kind) == 0;
}

static void write_document(const struct json *doc, const struct accepted *a, struct encoded *ret) {
    if (a->media == ACCEPT_YAML) {
        ret->content_type = "application/yaml";
        yaml_write(doc, &ret->text);
        return;
    }
    if (a->media == ACCEPT_PROTOBUF && protobuf_encode(doc, &ret->text, NULL) == 0) {
        ret->content_type = "application/vnd.kubernetes.protobuf";
        return;
    }
    strbuf_reset(&ret->text);
    ret->content_type = "application/json";
    json_write(doc, a->pretty ? JSON_WRITE_PRETTY : 0, &ret->text);
    strbuf_addc(&ret->text, '\n');
}

static struct json *answer_document(struct api_request *req, const struct accepted *a) {
    struct api_response *out = &req->out;
    if (a->as == AS_TABLE)
        return table_document(req, a);
    if (out->kind == API_OUT_LIST)
        return a->as == AS_PARTIAL_LIST || a->as == AS_PARTIAL ? partial_list(req) : list_document(req);
    const struct json *doc = out->item ? store_item_doc(out->item) : out->object;
    if (a->as == AS_PARTIAL || a->as == AS_PARTIAL_LIST)
        return partial_metadata(doc);
    return json_ref(doc);
}

static void not_acceptable(struct api_request *req) {
    (void) api_fail(req, 406, "NotAcceptable",
                    "only the following media types are accepted: application/json, application/yaml, "
                    "application/vnd.kubernetes.protobuf");
}

void encode_response(struct api_request *req, struct encoded *ret) {
    struct accepted a;
    *ret = (struct encoded){.code = req->out.code};
    if (req->out.kind == API_OUT_TEXT) {
        ret->content_type = req->out.content_type;
        ret->text = req->out.text;
        req->out.text = (struct strbuf) STRBUF_INIT;
        return;
    }
    if (!accept_parse(req->accept, can_be_table(req), &a)) {
        if (req->out.code < 300)
            not_acceptable(req);
        ret->code = req->out.code;
        a = (struct accepted){0};
    }
    a.pretty = api_param_bool(req, "pretty");
    if (a.media == ACCEPT_JSON && a.as == AS_ITSELF && !a.pretty) {
        ret->content_type = "application/json";
        if (req->out.item) { /* the common case: not a byte is encoded */
            ret->item = store_item_ref(req->out.item);
            return;
        }
        if (req->out.kind == API_OUT_LIST) {
            write_list(req, &ret->text);
            return;
        }
    }
    _cleanup_json_ struct json *doc = answer_document(req, &a);
    write_document(doc, &a, ret);
}
