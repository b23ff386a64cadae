/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The paths of an OpenAPI v3 document and the document around them. */
#include "orchestrator/object/openapi.h"

#include <ctype.h>
#include <string.h>

#include "orchestrator/object/openapi_schemas.h"
#include "orchestrator/object/resources.h"
#include "orchestrator/object/type_tables.h"

struct builder {
    struct json *paths, *schemas;
};

/* Where an operation of a verb lives and how it is called there. */
static const struct operation {
    enum resource_verb verb;
    bool on_collection;
    const char *method, *action;
    const char *id, *words; /* beginnings of operationId and description */
    const char *codes[3];   /* of success */
} operations[] = {
    {VERB_LIST, true, "get", "list", "list", "list or watch objects of kind", {"200"}},
    {VERB_CREATE, true, "post", "post", "create", "create", {"200", "201", "202"}},
    {VERB_DELETECOLLECTION, true, "delete", "deletecollection", "delete", "delete a collection of", {"200"}},
    {VERB_GET, false, "get", "get", "read", "read the specified", {"200"}},
    {VERB_UPDATE, false, "put", "put", "replace", "replace the specified", {"200", "201"}},
    {VERB_PATCH, false, "patch", "patch", "patch", "partially update the specified", {"200", "201"}},
    {VERB_DELETE, false, "delete", "delete", "delete", "delete", {"200", "202"}},
};

/* One operation at one place. */
struct place {
    const char *path;
    const struct resource *resource;
    const struct subresource *sub;   /* NULL: the resource itself */
    const char *type, *list;         /* of the body and the answer; of the answer to a list */
    bool namespaced, all_namespaces; /* as the path has it */
};

struct parameter {
    const char *name, *type;
};
static const struct parameter write_parameters[] = {
    {"dryRun", "string"}, {"fieldManager", "string"}, {"fieldValidation", "string"}};
static const struct parameter patch_parameters[] = {{"force", "boolean"}};
static const struct parameter delete_parameters[] = {{"dryRun", "string"},
                                                     {"gracePeriodSeconds", "integer"},
                                                     {"orphanDependents", "boolean"},
                                                     {"propagationPolicy", "string"}};
static const struct parameter list_parameters[] = {{"allowWatchBookmarks", "boolean"},
                                                   {"continue", "string"},
                                                   {"fieldSelector", "string"},
                                                   {"labelSelector", "string"},
                                                   {"limit", "integer"},
                                                   {"resourceVersion", "string"},
                                                   {"resourceVersionMatch", "string"},
                                                   {"sendInitialEvents", "boolean"},
                                                   {"timeoutSeconds", "integer"},
                                                   {"watch", "boolean"}};

static void add_parameter(struct json **list, const char *name, const char *in, const char *type) {
    struct json *p = json_object();
    json_set(&p, "name", json_string(name));
    json_set(&p, "in", json_string(in));
    if (strcmp(in, "path") == 0)
        json_set(&p, "required", json_bool(true));
    json_set_path(&p, json_string(type), "schema", "type");
    json_set_path(&p, json_bool(true), "schema", "uniqueItems");
    json_append(list, p);
}

static void add_parameters(struct json **list, const struct parameter *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        add_parameter(list, p[i].name, "query", p[i].type);
}

static struct json *parameters_of(const struct operation *op) {
    struct json *list = json_array();
    if (op->verb == VERB_LIST || op->verb == VERB_DELETECOLLECTION)
        add_parameters(&list, list_parameters, ARRAY_LEN(list_parameters));
    if (op->verb & (VERB_CREATE | VERB_UPDATE | VERB_PATCH))
        add_parameters(&list, write_parameters, ARRAY_LEN(write_parameters));
    if (op->verb == VERB_PATCH)
        add_parameters(&list, patch_parameters, ARRAY_LEN(patch_parameters));
    if (op->verb & (VERB_DELETE | VERB_DELETECOLLECTION))
        add_parameters(&list, delete_parameters, ARRAY_LEN(delete_parameters));
    return list;
}

static void add_content(struct json **body, const char *media_type, struct json *take) {
    json_set_path(body, take, "content", media_type, "schema");
}

static struct json *reference(struct builder *b, const char *type) {
    const struct type_info *t = type_by_name(type);
    return t ? openapi_reference(&b->schemas, t) : json_object();
}

static struct json *patch_body(struct builder *b) {
    static const char *const types[] = {"application/apply-patch+yaml", "application/json-patch+json",
                                        "application/merge-patch+json", "application/strategic-merge-patch+json"};
    static const char name[] = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
    struct json *body = json_object();
    json_set_path(&b->schemas, json_string("object"), name, "type");
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct json *ref = json_object();
        json_set(&ref, "$ref", json_stringf("#/components/schemas/%s", name));
        add_content(&body, types[i], ref);
    }
    return body;
}

/* "rbac.authorization.k8s.io" -> "RbacAuthorization", "" -> "Core"; generated clients name their functions so. */
static void add_camel(const char *group, bool first_small, struct strbuf *out) {
    size_t n = strlen(group), tail = strlen(".k8s.io");
    bool up = !first_small;
    if (n > tail && strcmp(group + n - tail, ".k8s.io") == 0)
        n -= tail;
    if (!n) {
        strbuf_adds(out, first_small ? "core" : "Core");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (group[i] != '.')
            strbuf_addc(out, (char) (up ? toupper((unsigned char) group[i]) : group[i]));
        up = group[i] == '.';
    }
}

/* Upstream's names: "listCoreV1PodForAllNamespaces", "readAppsV1NamespacedDeploymentScale". */
static struct json *operation_id(const struct operation *op, const struct place *at) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    const struct resource *r = at->resource;
    strbuf_adds(&b, op->id);
    add_camel(r->group, false, &b);
    strbuf_addf(&b, "%c%s", toupper((unsigned char) *r->version), r->version + 1);
    if (op->verb == VERB_DELETECOLLECTION)
        strbuf_adds(&b, "Collection");
    if (at->namespaced)
        strbuf_adds(&b, "Namespaced");
    strbuf_adds(&b, r->kind);
    if (at->sub)
        strbuf_addf(&b, "%c%s", toupper((unsigned char) *at->sub->name), at->sub->name + 1);
    if (at->all_namespaces)
        strbuf_adds(&b, "ForAllNamespaces");
    return json_string(strbuf_str(&b));
}

static struct json *operation_tags(const struct resource *r) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    struct json *tags = json_array();
    add_camel(r->group, true, &b);
    strbuf_addf(&b, "_%s", r->version);
    json_append(&tags, json_string(strbuf_str(&b)));
    return tags;
}

static struct json *operation_description(const struct operation *op, const struct place *at) {
    const char *kind = at->resource->kind;
    return at->sub ? json_stringf("%s %s's %s", op->words, kind, at->sub->name)
                   : json_stringf("%s %s", op->words, kind);
}

static void add_request_body(struct builder *b, const struct operation *op, const char *type, struct json **o) {
    struct json *body = NULL;
    if (op->verb == VERB_PATCH)
        body = patch_body(b);
    else if (op->verb & (VERB_CREATE | VERB_UPDATE))
        add_content(&body, "*/*", reference(b, type));
    else if (op->verb & (VERB_DELETE | VERB_DELETECOLLECTION))
        add_content(&body, "*/*", reference(b, "meta.v1.DeleteOptions"));
    if (body)
        json_set(o, "requestBody", body);
}

static void add_operation(struct builder *b, const struct place *at, const struct operation *op,
                          const struct json *gvk) {
    struct json *o = json_object();
    const char *answer = op->verb == VERB_LIST                              ? at->list
                         : op->verb & (VERB_DELETE | VERB_DELETECOLLECTION) ? "meta.v1.Status"
                                                                            : at->type;
    json_set(&o, "tags", operation_tags(at->resource));
    json_set(&o, "description", operation_description(op, at));
    json_set(&o, "operationId", operation_id(op, at));
    json_set(&o, "parameters", parameters_of(op));
    add_request_body(b, op, at->type, &o);
    for (size_t i = 0; i < ARRAY_LEN(op->codes) && op->codes[i]; i++) {
        struct json *response = json_object();
        json_set(&response, "description",
                 json_string(strcmp(op->codes[i], "200") == 0   ? "OK"
                             : strcmp(op->codes[i], "201") == 0 ? "Created"
                                                                : "Accepted"));
        add_content(&response, "application/json", reference(b, answer));
        json_set_path(&o, response, "responses", op->codes[i]);
    }
    json_set_path(&o, json_string("Unauthorized"), "responses", "401", "description");
    json_set(&o, "x-kubernetes-action", json_string(op->action));
    json_set(&o, "x-kubernetes-group-version-kind", json_ref(gvk));
    json_set_path(&b->paths, o, at->path, op->method);
}

static struct json *gvk_of(const char *group, const char *version, const char *kind) {
    struct json *gvk = json_object();
    json_set(&gvk, "group", json_string(group));
    json_set(&gvk, "kind", json_string(kind));
    json_set(&gvk, "version", json_string(version));
    return gvk;
}

/* The parameters that stand in the path itself. */
static void finish_path(struct builder *b, const char *path, bool namespaced, bool named) {
    if (!json_get(b->paths, path))
        return;
    struct json *list = json_array();
    if (named)
        add_parameter(&list, "name", "path", "string");
    if (namespaced)
        add_parameter(&list, "namespace", "path", "string");
    add_parameter(&list, "pretty", "query", "string");
    json_set(json_edit(&b->paths, path), "parameters", list);
}

static void add_subresource(struct builder *b, const struct resource *r, const struct subresource *s,
                            const char *object_path) {
    _cleanup_strbuf_ struct strbuf path = STRBUF_INIT, type = STRBUF_INIT;
    strbuf_addf(&path, "%s/%s", object_path, s->name);
    strbuf_addf(&type, "%.*s.%s.%s", *s->group ? (int) strcspn(s->group, ".") : 4, *s->group ? s->group : "core",
                s->version, s->kind);
    _cleanup_json_ struct json *gvk = gvk_of(s->group, s->version, s->kind);
    struct place at = {.path = strbuf_str(&path),
                       .resource = r,
                       .sub = s,
                       .type = strbuf_str(&type),
                       .list = strbuf_str(&type),
                       .namespaced = r->namespaced};
    for (size_t i = 0; i < ARRAY_LEN(operations); i++)
        if (s->verbs & operations[i].verb && operations[i].verb != VERB_LIST)
            add_operation(b, &at, &operations[i], gvk);
    finish_path(b, strbuf_str(&path), r->namespaced, true);
}

static void add_resource(struct builder *b, const struct resource *r) {
    _cleanup_strbuf_ struct strbuf collection = STRBUF_INIT, object = STRBUF_INIT, all = STRBUF_INIT,
                                   list = STRBUF_INIT;
    const char *root = *r->group ? "/apis" : "/api";
    strbuf_addf(&all, "%s/%s/%s", root, r->api_version, r->plural);
    strbuf_addf(&collection, "%s/%s/%s%s", root, r->api_version, r->namespaced ? "namespaces/{namespace}/" : "",
                r->plural);
    strbuf_addf(&object, "%s/{name}", strbuf_str(&collection));
    strbuf_addf(&list, "%sList", r->type);
    _cleanup_json_ struct json *gvk = gvk_of(r->group, r->version, r->kind);
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        const struct operation *op = &operations[i];
        struct place at = {.path = strbuf_str(op->on_collection ? &collection : &object),
                           .resource = r,
                           .type = r->type,
                           .list = strbuf_str(&list),
                           .namespaced = r->namespaced};
        if (r->verbs & op->verb)
            add_operation(b, &at, op, gvk);
        if (!(r->verbs & op->verb) || op->verb != VERB_LIST || !r->namespaced)
            continue;
        at.path = strbuf_str(&all);
        at.namespaced = false;
        at.all_namespaces = true;
        add_operation(b, &at, op, gvk);
    }
    finish_path(b, strbuf_str(&all), false, false);
    finish_path(b, strbuf_str(&collection), r->namespaced, false);
    finish_path(b, strbuf_str(&object), r->namespaced, true);
    for (size_t i = 0; i < r->n_subresources; i++)
        add_subresource(b, r, &r->subresources[i], strbuf_str(&object));
}

struct json *openapi_v3_document(const char *group, const char *version) {
    struct builder b = {json_object(), json_object()};
    for (size_t i = 0; i < resource_table_len; i++)
        if (strcmp(resource_table[i].group, group) == 0 && strcmp(resource_table[i].version, version) == 0)
            add_resource(&b, &resource_table[i]);
    if (!json_len(b.paths)) {
        json_unref(b.paths);
        json_unref(b.schemas);
        return NULL;
    }
    struct json *doc = json_object();
    json_set(&doc, "openapi", json_string("3.0.0"));
    json_set_path(&doc, json_string("Podium"), "info", "title");
    json_set_path(&doc, json_string("v1.32"), "info", "version");
    json_set(&doc, "paths", b.paths);
    json_set_path(&doc, b.schemas, "components", "schemas");
    return doc;
}
