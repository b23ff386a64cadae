/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Documents are made when asked for: clients keep them for hours, so they need not sit in memory. */
#include "orchestrator/apiserver/discovery.h"

#include <string.h>

#include "orchestrator/apiserver/http/negotiate.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/object/protobuf.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"

static const char *const verb_names[] = {"get",    "list",  "watch",  "create",
                                         "update", "patch", "delete", "deletecollection"};
/* In alphabetical order, as upstream lists them. */
static struct json *verbs_json(unsigned verbs) {
    static const unsigned order[] = {VERB_CREATE, VERB_DELETE, VERB_DELETECOLLECTION, VERB_GET,
                                     VERB_LIST,   VERB_PATCH,  VERB_UPDATE,           VERB_WATCH};
    struct json *a = json_array();
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        for (size_t b = 0; b < ARRAY_LEN(verb_names); b++)
            if (order[i] == 1u << b && (verbs & order[i]))
                json_append(&a, json_string(verb_names[b]));
    return a;
}

static struct json *strings_json(const char *const *v) {
    struct json *a = json_array();
    for (; *v; v++)
        json_append(&a, json_string(*v));
    return a;
}

static struct json *gvk_json(const char *group, const char *version, const char *kind) {
    struct json *o = json_object();
    json_set(&o, "group", json_string(group));
    json_set(&o, "version", json_string(version));
    json_set(&o, "kind", json_string(kind));
    return o;
}

/* --- aggregated --- */

static struct json *aggregated_subresource(const struct subresource *s) {
    struct json *o = json_object();
    json_set(&o, "subresource", json_string(s->name));
    json_set(&o, "responseKind", gvk_json(s->group, s->version, s->kind));
    json_set(&o, "verbs", verbs_json(s->verbs));
    return o;
}

static struct json *aggregated_resource(const struct resource *r) {
    struct json *o = json_object();
    json_set(&o, "resource", json_string(r->plural));
    json_set(&o, "responseKind", gvk_json(r->group, r->version, r->kind));
    json_set(&o, "scope", json_string(r->namespaced ? "Namespaced" : "Cluster"));
    json_set(&o, "singularResource", json_string(r->singular));
    json_set(&o, "verbs", verbs_json(r->verbs));
    if (r->short_names[0])
        json_set(&o, "shortNames", strings_json(r->short_names));
    if (r->categories[0])
        json_set(&o, "categories", strings_json(r->categories));
    for (size_t i = 0; i < r->n_subresources; i++)
        json_append(json_edit(&o, "subresources"), aggregated_subresource(&r->subresources[i]));
    return o;
}

static struct json **last_version(struct json **group) {
    struct json **versions = json_edit(group, "versions");
    return json_len(*versions) ? json_edit_at(versions, json_len(*versions) - 1) : NULL;
}

static void aggregate(struct json **items, const struct resource *r) {
    struct json **group = json_len(*items) ? json_edit_at(items, json_len(*items) - 1) : NULL;
    const char *name = group ? json_str_or(json_path(*group, "metadata", "name"), "") : NULL;
    if (!name || strcmp(name, r->group) != 0) {
        struct json *g = json_object(), *m = json_object();
        if (*r->group)
            json_set(&m, "name", json_string(r->group));
        json_set(&m, "creationTimestamp", json_null());
        json_set(&g, "metadata", m);
        json_set(&g, "versions", json_array());
        group = json_append(items, g);
    }
    struct json **version = last_version(group);
    if (!version || strcmp(json_str_or(json_get(*version, "version"), ""), r->version) != 0) {
        struct json *v = json_object();
        json_set(&v, "version", json_string(r->version));
        json_set(&v, "resources", json_array());
        json_set(&v, "freshness", json_string("Current"));
        version = json_append(json_edit(group, "versions"), v);
    }
    json_append(json_edit(version, "resources"), aggregated_resource(r));
}

/* Content types of the document: they name what it is, or it would be taken for the legacy one. */
static const char *aggregated_type(const struct accepted *a) {
    static const char *const types[2][2] = {
        {"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
         "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"},
        {"application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
         "application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"}};
    return types[a->media == ACCEPT_PROTOBUF][strcmp(a->discovery_version, "v2beta1") == 0];
}

static enum api_progress reply_etagged(struct api_request *req, const struct accepted *a, struct json *take) {
    char hash[PKI_SHA256_HEX_SIZE];
    _cleanup_json_ struct json *doc = take;
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT, message = STRBUF_INIT;
    const char *version = json_str(json_get(doc, "apiVersion"));
    if (a->media != ACCEPT_PROTOBUF)
        json_write(doc, 0, &b);
    else if (protobuf_encode_message("apidiscovery.k8s.io/v2", "APIGroupDiscoveryList", doc, &message, NULL) == 0)
        protobuf_envelope(version, "APIGroupDiscoveryList", message.data, message.len, &b);
    pki_sha256_hex(strbuf_str(&b), b.len, hash);
    (void) api_reply_bytes(req, 200, aggregated_type(a), &b);
    req->out.etag = xasprintf("\"%s\"", hash);
    return API_DONE;
}

static enum api_progress aggregated(struct api_request *req, const struct accepted *a, bool core) {
    const char *version = a->discovery_version;
    size_t n;
    const struct resource *all = resources_all(&n);
    struct json *o = json_object();
    json_set(&o, "kind", json_string("APIGroupDiscoveryList"));
    json_set(&o, "apiVersion", json_stringf("apidiscovery.k8s.io/%s", version));
    json_set(&o, "metadata", json_object());
    json_set(&o, "items", json_array());
    struct json **items = json_edit(&o, "items");
    for (size_t i = 0; i < n; i++)
        if (!*all[i].group == core)
            aggregate(items, &all[i]);
    return reply_etagged(req, a, o);
}

static bool wants_aggregated(struct api_request *req, struct accepted *ret) {
    return accept_parse(req->accept, OFFER_DISCOVERY, ret) && ret->as == AS_DISCOVERY && ret->media != ACCEPT_YAML;
}

/* --- legacy --- */

static struct json *server_addresses(void) {
    struct json *a = json_array(), *o = json_object();
    json_set(&o, "clientCIDR", json_string("0.0.0.0/0"));
    json_set(&o, "serverAddress", json_string(""));
    json_append(&a, o);
    return a;
}

enum api_progress discovery_core(struct api_request *req) {
    struct accepted a;
    if (wants_aggregated(req, &a))
        return aggregated(req, &a, true);
    struct json *o = json_object(), *versions = json_array();
    json_set(&o, "kind", json_string("APIVersions"));
    json_append(&versions, json_string("v1"));
    json_set(&o, "versions", versions);
    json_set(&o, "serverAddressByClientCIDRs", server_addresses());
    return api_reply_object(req, 200, o);
}

static struct json *group_version_json(const struct resource *r) {
    struct json *o = json_object();
    json_set(&o, "groupVersion", json_string(resource_api_version(r)));
    json_set(&o, "version", json_string(r->version));
    return o;
}

static bool version_listed(const struct json *versions, const char *version) {
    for (size_t i = 0; i < json_len(versions); i++)
        if (strcmp(json_str_or(json_get(json_at(versions, i), "version"), ""), version) == 0)
            return true;
    return false;
}

/* NULL when there is no such group. */
static struct json *group_json(const char *group) {
    size_t n;
    const struct resource *all = resources_all(&n);
    struct json *o = NULL, *versions = json_array();
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].group, group) == 0 && !version_listed(versions, all[i].version))
            json_append(&versions, group_version_json(&all[i]));
    if (json_len(versions) == 0) {
        json_unref(versions);
        return NULL;
    }
    o = json_object();
    json_set(&o, "name", json_string(group));
    json_set(&o, "preferredVersion", json_ref(json_at(versions, 0)));
    json_set(&o, "versions", versions);
    return o;
}

enum api_progress discovery_groups(struct api_request *req) {
    struct accepted a;
    if (wants_aggregated(req, &a))
        return aggregated(req, &a, false);
    size_t n;
    const struct resource *all = resources_all(&n);
    struct json *o = json_object();
    json_set(&o, "kind", json_string("APIGroupList"));
    json_set(&o, "apiVersion", json_string("v1"));
    json_set(&o, "groups", json_array());
    for (size_t i = 0; i < n; i++)
        if (*all[i].group && (i == 0 || strcmp(all[i].group, all[i - 1].group) != 0))
            json_append(json_edit(&o, "groups"), group_json(all[i].group));
    return api_reply_object(req, 200, o);
}

static struct json *legacy_resource(const struct resource *r) {
    struct json *o = json_object();
    json_set(&o, "name", json_string(r->plural));
    json_set(&o, "singularName", json_string(r->singular));
    json_set(&o, "namespaced", json_bool(r->namespaced));
    json_set(&o, "kind", json_string(r->kind));
    json_set(&o, "verbs", verbs_json(r->verbs));
    if (r->short_names[0])
        json_set(&o, "shortNames", strings_json(r->short_names));
    if (r->categories[0])
        json_set(&o, "categories", strings_json(r->categories));
    if (r->storage_version_hash && *r->storage_version_hash)
        json_set(&o, "storageVersionHash", json_string(r->storage_version_hash));
    return o;
}

static struct json *legacy_subresource(const struct resource *r, const struct subresource *s) {
    struct json *o = json_object();
    json_set(&o, "name", json_stringf("%s/%s", r->plural, s->name));
    json_set(&o, "singularName", json_string(""));
    json_set(&o, "namespaced", json_bool(r->namespaced));
    if (strcmp(s->group, r->group) != 0 || strcmp(s->version, r->version) != 0) {
        json_set(&o, "group", json_string(s->group));
        json_set(&o, "version", json_string(s->version));
    }
    json_set(&o, "kind", json_string(s->kind));
    json_set(&o, "verbs", verbs_json(s->verbs));
    return o;
}

static enum api_progress resource_list(struct api_request *req) {
    size_t n;
    const struct resource *all = resources_all(&n);
    struct json *o = json_object(), *list = json_array();
    json_set(&o, "kind", json_string("APIResourceList"));
    if (*req->group)
        json_set(&o, "apiVersion", json_string("v1"));
    for (size_t i = 0; i < n; i++) {
        const struct resource *r = &all[i];
        if (strcmp(r->group, req->group) != 0 || strcmp(r->version, req->version) != 0)
            continue;
        json_append(&list, legacy_resource(r));
        for (size_t j = 0; j < r->n_subresources; j++)
            json_append(&list, legacy_subresource(r, &r->subresources[j]));
    }
    bool found = json_len(list) > 0;
    json_set(&o, "groupVersion",
             *req->group ? json_stringf("%s/%s", req->group, req->version) : json_string(req->version));
    json_set(&o, "resources", list);
    if (found)
        return api_reply_object(req, 200, o);
    json_unref(o);
    return api_unknown_path(req);
}

enum api_progress discovery_group(struct api_request *req) {
    if (*req->version)
        return resource_list(req);
    struct json *g = group_json(req->group);
    if (!g)
        return api_unknown_path(req);
    struct json *o = json_object();
    json_set(&o, "kind", json_string("APIGroup"));
    json_set(&o, "apiVersion", json_string("v1"));
    for (size_t i = 0; i < json_len(g); i++)
        json_set(&o, json_key_at(g, i), json_ref(json_value_at(g, i)));
    json_unref(g);
    return api_reply_object(req, 200, o);
}

enum api_progress discovery_paths(struct api_request *req) {
    static const char *const fixed[] = {"/api", "/api/v1", "/apis"};
    static const char *const rest[] = {"/healthz",    "/livez",  "/metrics", "/openapi/v2",
                                       "/openapi/v3", "/readyz", "/version"};
    size_t n;
    const struct resource *all = resources_all(&n);
    struct json *paths = json_array(), *o = json_object();
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        json_append(&paths, json_string(fixed[i]));
    for (size_t i = 0; i < n; i++)
        if (*all[i].group &&
            (i == 0 || strcmp(all[i].group, all[i - 1].group) != 0 || strcmp(all[i].version, all[i - 1].version) != 0))
            json_append(&paths, json_stringf("/apis/%s", resource_api_version(&all[i])));
    for (size_t i = 0; i < ARRAY_LEN(rest); i++)
        json_append(&paths, json_string(rest[i]));
    json_set(&o, "paths", paths);
    return api_reply_object(req, 200, o);
}
