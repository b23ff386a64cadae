/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/openapi_v2.h"

#include <string.h>

#include "orchestrator/object/openapi.h"
#include "orchestrator/object/protobuf_wire.h"
#include "orchestrator/object/resources.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

#define V3_PREFIX "#/components/schemas/"
#define V2_PREFIX "#/definitions/"

struct builder {
    bool protobuf;
    struct strbuf paths, definitions;
    struct hashmap *seen; /* names of definitions written */
};

/* --- v3 to v2 --- */

static struct json *schema_of(const struct json *v3);

static struct json *schemas_of(const struct json *v3) {
    struct json *v2 = json_object();
    for (size_t i = 0; i < json_len(v3); i++)
        json_set(&v2, json_key_at(v3, i), schema_of(json_value_at(v3, i)));
    return v2;
}

static struct json *reference_of(const struct json *v3) {
    const char *ref = json_str_or(v3, "");
    return json_stringf(V2_PREFIX "%s",
                        strncmp(ref, V3_PREFIX, strlen(V3_PREFIX)) == 0 ? ref + strlen(V3_PREFIX) : ref);
}

/* References may have neighbours in v2, alternatives and defaults are unknown to it (as upstream writes it). */
static struct json *schema_of(const struct json *v3) {
    struct json *v2 = json_object();
    for (size_t i = 0; i < json_len(v3); i++) {
        const char *key = json_key_at(v3, i);
        const struct json *value = json_value_at(v3, i);
        if (strcmp(key, "allOf") == 0)
            json_set(&v2, "$ref", reference_of(json_get(json_at(value, 0), "$ref")));
        else if (strcmp(key, "$ref") == 0)
            json_set(&v2, "$ref", reference_of(value));
        else if (strcmp(key, "oneOf") == 0)
            json_set(&v2, "type", json_string("string"));
        else if (strcmp(key, "properties") == 0)
            json_set(&v2, key, schemas_of(value));
        else if (strcmp(key, "items") == 0 || strcmp(key, "additionalProperties") == 0)
            json_set(&v2, key, schema_of(value));
        else if (strcmp(key, "default") != 0)
            json_set(&v2, key, json_ref(value));
    }
    return v2;
}

static struct json *parameter_of(const struct json *v3) {
    struct json *v2 = json_object();
    for (size_t i = 0; i < json_len(v3); i++) {
        const struct json *value = json_value_at(v3, i);
        if (strcmp(json_key_at(v3, i), "schema") != 0) {
            json_set(&v2, json_key_at(v3, i), json_ref(value));
            continue;
        }
        for (size_t k = 0; k < json_len(value); k++)
            json_set(&v2, json_key_at(value, k), json_ref(json_value_at(value, k)));
    }
    return v2;
}

static struct json *parameters_of(const struct json *v3) {
    struct json *v2 = json_array();
    for (size_t i = 0; i < json_len(v3); i++)
        json_append(&v2, parameter_of(json_at(v3, i)));
    return v2;
}

static struct json *body_of(const struct json *content) {
    struct json *body = json_object();
    json_set(&body, "name", json_string("body"));
    json_set(&body, "in", json_string("body"));
    json_set(&body, "required", json_bool(true));
    json_set(&body, "schema", schema_of(json_get(json_value_at(content, 0), "schema")));
    return body;
}

static struct json *keys_of(const struct json *object) {
    struct json *keys = json_array();
    for (size_t i = 0; i < json_len(object); i++)
        json_append(&keys, json_string(json_key_at(object, i)));
    return keys;
}

static struct json *produced(void) {
    static const char *const types[] = {"application/json", "application/yaml", "application/vnd.kubernetes.protobuf"};
    struct json *list = json_array();
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        json_append(&list, json_string(types[i]));
    return list;
}

static struct json *responses_of(const struct json *v3) {
    struct json *v2 = json_object();
    for (size_t i = 0; i < json_len(v3); i++) {
        const struct json *response = json_value_at(v3, i), *content = json_get(response, "content");
        struct json *r = json_object();
        json_set(&r, "description", json_ref(json_get(response, "description")));
        if (json_len(content) > 0)
            json_set(&r, "schema", schema_of(json_get(json_value_at(content, 0), "schema")));
        json_set(&v2, json_key_at(v3, i), r);
    }
    return v2;
}

static struct json *operation_of(const struct json *v3) {
    const struct json *content = json_path(v3, "requestBody", "content");
    struct json *v2 = json_object(), *parameters = parameters_of(json_get(v3, "parameters"));
    if (json_len(content) > 0)
        json_append(&parameters, body_of(content));
    for (size_t i = 0; i < json_len(v3); i++) {
        const char *key = json_key_at(v3, i);
        if (strcmp(key, "parameters") == 0)
            json_set(&v2, key, json_ref(parameters));
        else if (strcmp(key, "responses") == 0)
            json_set(&v2, key, responses_of(json_value_at(v3, i)));
        else if (strcmp(key, "requestBody") == 0)
            json_set(&v2, "consumes", keys_of(content));
        else
            json_set(&v2, key, json_ref(json_value_at(v3, i)));
    }
    json_set(&v2, "produces", produced());
    json_append(json_edit(&v2, "schemes"), json_string("https"));
    json_unref(parameters);
    return v2;
}

static struct json *path_of(const struct json *v3) {
    struct json *v2 = json_object();
    for (size_t i = 0; i < json_len(v3); i++) {
        const char *key = json_key_at(v3, i);
        const struct json *value = json_value_at(v3, i);
        json_set(&v2, key, strcmp(key, "parameters") == 0 ? parameters_of(value) : operation_of(value));
    }
    return v2;
}

/* --- writing --- */

static void add_member(struct strbuf *b, const char *name, const struct json *value) {
    if (b->len > 0)
        strbuf_addc(b, ',');
    json_write_string(name, strlen(name), b);
    strbuf_addc(b, ':');
    json_write(value, 0, b);
}

static void add_path(struct builder *b, const char *name, const struct json *v3) {
    _cleanup_json_ struct json *item = path_of(v3);
    if (b->protobuf)
        openapi_v2_pack_path(name, item, &b->paths);
    else
        add_member(&b->paths, name, item);
}

static void add_definition(struct builder *b, const char *name, const struct json *v3) {
    if (hashmap_has(b->seen, name))
        return;
    hashmap_put(b->seen, name, b);
    _cleanup_json_ struct json *schema = schema_of(v3);
    if (b->protobuf)
        openapi_v2_pack_definition(name, schema, &b->definitions);
    else
        add_member(&b->definitions, name, schema);
}

static void add_group_version(struct builder *b, const struct resource *r) {
    _cleanup_json_ struct json *doc = openapi_v3_document(r->group, r->version);
    const struct json *paths = json_get(doc, "paths"), *schemas = json_path(doc, "components", "schemas");
    for (size_t i = 0; i < json_len(paths); i++)
        add_path(b, json_key_at(paths, i), json_value_at(paths, i));
    for (size_t i = 0; i < json_len(schemas); i++)
        add_definition(b, json_key_at(schemas, i), json_value_at(schemas, i));
}

static void assemble_json(const struct builder *b, const char *version, struct strbuf *out) {
    strbuf_adds(out, "{\"swagger\":\"2.0\",\"info\":{\"title\":\"Kubernetes\",\"version\":");
    json_write_string(version, strlen(version), out);
    strbuf_addf(out, "},\"paths\":{");
    strbuf_add(out, b->paths.data, b->paths.len);
    strbuf_adds(out, "},\"definitions\":{");
    strbuf_add(out, b->definitions.data, b->definitions.len);
    strbuf_adds(out, "}}\n");
}

/* Document {1 swagger, 2 info {1 title, 2 version}, 8 paths, 9 definitions} */
static void assemble_protobuf(const struct builder *b, const char *version, struct strbuf *out) {
    wire_string(out, 1, "2.0");
    size_t info = wire_begin(out, 2);
    wire_string(out, 1, "Kubernetes");
    wire_string(out, 2, version);
    wire_end(out, info);
    wire_bytes(out, 8, b->paths.data, b->paths.len);
    wire_bytes(out, 9, b->definitions.data, b->definitions.len);
}

void openapi_v2_write(const char *version, bool protobuf, struct strbuf *out) {
    size_t n;
    const struct resource *all = resources_all(&n);
    struct builder b = {.protobuf = protobuf, .seen = hashmap_new(NULL)};
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(all[i].api_version, all[i - 1].api_version) != 0)
            add_group_version(&b, &all[i]);
    if (protobuf)
        assemble_protobuf(&b, version, out);
    else
        assemble_json(&b, version, out);
    strbuf_finish(&b.paths);
    strbuf_finish(&b.definitions);
    hashmap_free(b.seen);
}
