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

/* Items of lists do not say again what they are. */
static struct json *shown_in_list(const struct resource *r, struct store_item *item) {
    struct json *doc = version_shown(r, item);
    (void) json_del(&doc, "apiVersion");
    (void) json_del(&doc, "kind");
    return doc;
}

static void write_item(struct store_item *item, const struct resource *r, struct strbuf *out) {
    if (r->storage_version) {
        encode_list_item(item, r, out);
        return;
    }
    _cleanup_json_ struct json *doc = shown_in_list(r, item);
    json_write(doc, 0, out);
}

void encode_list_head(const struct api_request *req, struct strbuf *out) {
    const struct resource *r = req->resource;
    _cleanup_json_ struct json *m = list_metadata(&req->out);
    strbuf_addf(out, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":", r->list_kind ? r->list_kind : "List",
                resource_api_version(r));
    json_write(m, 0, out);
    strbuf_adds(out, ",\"items\":[");
}

void encode_partial_head(const struct api_request *req, const struct accepted *a, struct strbuf *out) {
    if (a->as != AS_PARTIAL_LIST) {
        encode_list_head(req, out);
        return;
    }
    _cleanup_json_ struct json *m = list_metadata(&req->out);
    strbuf_addf(
        out, "{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"%s\",\"metadata\":", accepted_meta_version(a));
    json_write(m, 0, out);
    strbuf_adds(out, ",\"items\":[");
}

static void write_list(struct api_request *req, struct strbuf *out) {
    const struct resource *r = req->resource;
    size_t total = 256;
    for (size_t i = 0; i < req->out.n_items; i++) {
        size_t n;
        (void) store_item_text(req->out.items[i], &n);
        total += n + 1;
    }
    strbuf_reserve(out, total);
    encode_list_head(req, out);
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
        json_append(items, req->keeps && r->storage_version ? json_ref(store_item_doc(req->out.items[i]))
                                                            : version_shown(r, req->out.items[i]));
    return l;
}

struct json *partial_document(const struct json *doc, const struct accepted *a) {
    struct json *partial = partial_metadata(doc);
    if (a->v1beta1)
        json_set(&partial, "apiVersion", json_string(accepted_meta_version(a)));
    return partial;
}

static struct json *partial_list(const struct api_request *req, const struct accepted *a) {
    struct json *l = list_frame(req, "PartialObjectMetadataList", accepted_meta_version(a));
    json_set(&l, "items", json_array());
    struct json **items = json_edit(&l, "items");
    for (size_t i = 0; i < req->out.n_items; i++) {
        _cleanup_json_ struct json *doc = version_shown(req->resource, req->out.items[i]);
        json_append(items, partial_document(doc, a));
    }
    return l;
}

/* --- protobuf --- */

int encode_packed(void *userdata, const struct json *doc, struct strbuf *out) {
    const struct resource *r = userdata;
    return protobuf_encode_message(resource_api_version(r), r->kind, doc, out, NULL);
}

/* Objects go into the list as watches have packed them, or are encoded on the spot: a list is no reason to keep a
 * second form of everything in memory. */
static void pack_list_item(const struct resource *r, struct store_item *item, struct protobuf_list *l) {
    size_t n;
    const char *packed = r->storage_version ? store_item_packed(item, NULL, NULL, &n) : NULL;
    if (packed) {
        protobuf_list_message(l, packed, n);
        return;
    }
    _cleanup_json_ struct json *doc = version_shown(r, item);
    protobuf_list_document(l, resource_api_version(r), r->kind, doc);
}

static const char *packed_list_kind(const struct resource *r, bool partial) {
    if (partial)
        return "PartialObjectMetadataList";
    return r->list_kind ? r->list_kind : "List";
}

void encode_packed_head(const struct api_request *req, const struct accepted *a, size_t items_bytes,
                        struct strbuf *out) {
    _cleanup_json_ struct json *m = list_metadata(&req->out);
    bool partial = a->as == AS_PARTIAL_LIST;
    protobuf_list_head(partial ? accepted_meta_version(a) : resource_api_version(req->resource),
                       packed_list_kind(req->resource, partial), m, items_bytes, out);
}

static void pack_list(const struct api_request *req, const struct accepted *a, struct strbuf *out) {
    const struct resource *r = req->resource;
    _cleanup_json_ struct json *m = list_metadata(&req->out);
    struct protobuf_list l;
    bool partial = a->as == AS_PARTIAL_LIST;
    protobuf_list_begin(&l, partial ? accepted_meta_version(a) : resource_api_version(r), packed_list_kind(r, partial),
                        m, out);
    for (size_t i = 0; i < req->out.n_items; i++) {
        if (!partial) {
            pack_list_item(r, req->out.items[i], &l);
            continue;
        }
        _cleanup_json_ struct json *doc = version_shown(r, req->out.items[i]);
        protobuf_list_document(&l, "meta.k8s.io/v1", "PartialObjectMetadata", doc);
    }
    protobuf_list_end(&l);
}

bool pack_document(const struct json *doc, const struct accepted *a, struct strbuf *out) {
    _cleanup_strbuf_ struct strbuf message = STRBUF_INIT;
    const char *api_version = json_str_or(json_get(doc, "apiVersion"), "v1"), /* /api/v1 says none */
        *kind = json_str_or(json_get(doc, "kind"), "");
    bool partial = a->as == AS_PARTIAL;
    if (protobuf_encode_message(partial ? "meta.k8s.io/v1" : api_version, partial ? "PartialObjectMetadata" : kind, doc,
                                &message, NULL) < 0)
        return false;
    protobuf_envelope(partial ? accepted_meta_version(a) : api_version, partial ? "PartialObjectMetadata" : kind,
                      message.data, message.len, out);
    return true;
}

/* --- tables --- */

enum table_include table_include(const struct api_request *req) {
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
    struct table_view view = table_view(req->resource);
    struct json *t = list_frame(req, "Table", accepted_meta_version(a));
    json_set(&t, "columnDefinitions", table_columns(req->resource));
    json_set(&t, "rows", json_array());
    struct json **rows = json_edit(&t, "rows");
    if (out->kind == API_OUT_LIST) {
        for (size_t i = 0; i < out->n_items; i++) {
            _cleanup_json_ struct json *item = version_shown(req->resource, out->items[i]);
            json_append(rows, table_row(&view, item, include, now));
        }
        return t;
    }
    _cleanup_json_ struct json *doc = out->item ? store_item_read(out->item) : json_ref(out->object);
    json_append(rows, table_row(&view, doc, include, now));
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
    if (a->media == ACCEPT_PROTOBUF && pack_document(doc, a, &ret->text)) {
        ret->content_type = "application/vnd.kubernetes.protobuf";
        return;
    }
    strbuf_reset(&ret->text);
    ret->content_type = "application/json";
    json_write(doc, a->pretty ? JSON_WRITE_PRETTY : 0, &ret->text);
    strbuf_addc(&ret->text, '\n');
}

static struct json *list_shown(const struct api_request *req) {
    const struct resource *r = req->resource;
    struct json *l = list_frame(req, r->list_kind ? r->list_kind : "List", resource_api_version(r));
    struct json **items = json_set(&l, "items", json_array());
    for (size_t i = 0; i < req->out.n_items; i++)
        json_append(items, shown_in_list(r, req->out.items[i]));
    return l;
}

static struct json *answer_document(struct api_request *req, const struct accepted *a) {
    struct api_response *out = &req->out;
    if (a->as == AS_TABLE)
        return table_document(req, a);
    if (out->kind == API_OUT_LIST)
        return a->as == AS_PARTIAL_LIST ? partial_list(req, a) : list_shown(req);
    _cleanup_json_ struct json *doc = out->item ? store_item_read(out->item) : json_ref(out->object);
    if (a->as == AS_PARTIAL && a->media != ACCEPT_PROTOBUF)
        return partial_document(doc, a);
    return steal(&doc);
}

static void not_acceptable(struct api_request *req, const char *why) {
    (void) api_fail(req, 406, "NotAcceptable", "%s", why);
}

/* What is asked of a view beyond its name. False: the answer has become a refusal. */
static bool view_is_possible(struct api_request *req, const struct accepted *a) {
    bool list = req->out.kind == API_OUT_LIST;
    if (a->as == AS_PARTIAL && list)
        not_acceptable(req, "you requested PartialObjectMetadata, but the requested object is a list");
    else if (a->as == AS_PARTIAL_LIST && !list)
        not_acceptable(req, "you requested PartialObjectMetadataList, but the requested object is not a list");
    else
        return a->as != AS_TABLE || table_options_valid(req);
    return false;
}

bool table_options_valid(struct api_request *req) {
    static const char *const known[] = {"", "Metadata", "Object", "None"};
    const char *v = api_param(req, "includeObject");
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (!v || strcmp(v, known[i]) == 0)
            return true;
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    _cleanup_json_ struct json *value = json_string(v);
    field_errors_add(&errors, "FieldValueInvalid", "includeObject", value,
                     "must be 'Metadata', 'Object', 'None', or empty");
    (void) api_invalid(req, "TableOptions", "meta.k8s.io", "", &errors);
    return false;
}

/* The common cases, in which what is stored goes out as it is, or is encoded straight from it. */
static bool encode_directly(struct api_request *req, const struct accepted *a, struct encoded *ret) {
    struct api_response *out = &req->out;
    size_t n;
    if (a->media == ACCEPT_PROTOBUF && out->kind == API_OUT_LIST) {
        pack_list(req, a, &ret->text);
        ret->content_type = "application/vnd.kubernetes.protobuf";
        return true;
    }
    if (a->as != AS_ITSELF)
        return false;
    if (a->media == ACCEPT_PROTOBUF && out->item) {
        const char *packed = store_item_packed(out->item, NULL, NULL, &n);
        if (!packed)
            return false;
        protobuf_envelope(resource_api_version(req->resource), req->resource->kind, packed, n, &ret->text);
        ret->content_type = "application/vnd.kubernetes.protobuf";
        return true;
    }
    if (a->media != ACCEPT_JSON || a->pretty)
        return false;
    ret->content_type = "application/json";
    if (out->item) /* not a byte is encoded */
        ret->item = store_item_ref(out->item);
    else if (out->kind == API_OUT_LIST)
        write_list(req, &ret->text);
    else
        return false;
    return true;
}

/* --- items of runs --- */

/* As partial_document() has it, cut from the text. */
static bool write_partial_text(struct store_item *item, bool v1beta1, struct strbuf *out) {
    struct json_span all, metadata;
    all.text = store_item_text(item, &all.len);
    if (!json_span_member(all, "metadata", &metadata))
        return false;
    strbuf_addf(out, "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1%s\",\"metadata\":",
                v1beta1 ? "beta1" : "");
    strbuf_add(out, metadata.text, metadata.len);
    strbuf_addc(out, '}');
    return true;
}

void encode_run_item(const struct run_form *form, struct store_item *item, struct strbuf *out) {
    const struct resource *r = form->resource;
    const struct accepted a = {.media = form->media, .v1beta1 = form->v1beta1};
    struct protobuf_list l = {.out = out};
    if (form->media == ACCEPT_PROTOBUF && !form->partial) {
        pack_list_item(r, item, &l);
        return;
    }
    if (form->media == ACCEPT_JSON && !form->partial) {
        write_item(item, r, out);
        return;
    }
    if (form->media == ACCEPT_JSON && r->storage_version && write_partial_text(item, form->v1beta1, out))
        return;
    _cleanup_json_ struct json *doc = version_shown(r, item);
    if (form->media == ACCEPT_PROTOBUF) {
        protobuf_list_document(&l, "meta.k8s.io/v1", "PartialObjectMetadata", doc);
        return;
    }
    _cleanup_json_ struct json *partial = partial_document(doc, &a);
    json_write(partial, 0, out);
}

bool encode_form(struct api_request *req, struct accepted *ret) {
    bool fits = accept_parse(req->accept, can_be_table(req) ? OFFER_VIEWS : 0, ret);
    if (!fits && req->out.code < 300)
        not_acceptable(req, "only the following media types are accepted: application/json, application/yaml, "
                            "application/vnd.kubernetes.protobuf");
    if (!fits || !view_is_possible(req, ret)) {
        *ret = (struct accepted){0};
        fits = false;
    }
    ret->pretty = api_param_bool(req, "pretty");
    return fits;
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
    (void) encode_form(req, &a);
    ret->code = req->out.code;
    if (encode_directly(req, &a, ret))
        return;
    _cleanup_json_ struct json *doc = answer_document(req, &a);
    write_document(doc, &a, ret);
}
