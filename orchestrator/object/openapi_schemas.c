/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/openapi_schemas.h"

#include <stdarg.h>
#include <string.h>

#include "orchestrator/object/openapi_descriptions.h"
#include "orchestrator/object/resources.h"
#include "orchestrator/object/type_tables.h"

static const char meta_package[] = "io.k8s.apimachinery.pkg.apis.meta.v1";

/* Where the Go packages of the tables live; everything else is io.k8s.api. */
static const struct {
    const char *prefix, *package;
} packages[] = {
    {"meta.", "io.k8s.apimachinery.pkg.apis.meta."},
    {"apiextensions.", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions."},
    {"apiregistration.", "io.k8s.kube-aggregator.pkg.apis.apiregistration."},
    {"metrics.", "io.k8s.metrics.pkg.apis.metrics."},
    {"version.", "io.k8s.apimachinery.pkg.version."},
    {"runtime.", "io.k8s.apimachinery.pkg.runtime."},
};

void openapi_type_name(const char *type, struct strbuf *out) {
    for (size_t i = 0; i < ARRAY_LEN(packages); i++) {
        size_t n = strlen(packages[i].prefix);
        if (strncmp(type, packages[i].prefix, n) == 0) {
            strbuf_addf(out, "%s%s", packages[i].package, type + n);
            return;
        }
    }
    strbuf_addf(out, "io.k8s.api.%s", type);
}

/* An object of string members. */
static struct json *strings(const char *key, ...) __attribute__((sentinel));
static struct json *strings(const char *key, ...) {
    struct json *object = json_object();
    va_list ap;
    va_start(ap, key);
    for (const char *k = key; k; k = va_arg(ap, const char *))
        json_set(&object, k, json_string(va_arg(ap, const char *)));
    va_end(ap);
    return object;
}

static struct json *ref_to(const char *name) {
    struct json *object = json_object();
    json_set(&object, "$ref", json_stringf("#/components/schemas/%s", name));
    return object;
}

/* Types that the tables treat as scalars have schemas of their own upstream. */
static struct json *named_scalar(struct json **schemas, const char *package, const char *name, struct json *take) {
    _cleanup_strbuf_ struct strbuf full = STRBUF_INIT;
    strbuf_addf(&full, "%s.%s", package, name);
    if (json_get(*schemas, strbuf_str(&full)))
        json_unref(take);
    else
        json_set(schemas, strbuf_str(&full), take);
    return ref_to(strbuf_str(&full));
}

static struct json *either(const char *a, const char *b) {
    struct json *list = json_array(), *object = json_object();
    json_append(&list, strings("type", a, NULL));
    json_append(&list, strings("type", b, NULL));
    json_set(&object, "oneOf", list);
    return object;
}

static struct json *int_or_string(struct json **schemas) {
    struct json *schema = either("integer", "string");
    json_set(&schema, "format", json_string("int-or-string"));
    return named_scalar(schemas, "io.k8s.apimachinery.pkg.util.intstr", "IntOrString", schema);
}

static struct json *raw_schema(struct json **schemas, const struct field_info *f) {
    if (strcmp(field_name(f), "fieldsV1") == 0)
        return named_scalar(schemas, meta_package, "FieldsV1", strings("type", "object", NULL));
    return named_scalar(schemas, "io.k8s.apimachinery.pkg.runtime", "RawExtension", json_object());
}

/* One value, without what the container adds. */
static struct json *value_schema(struct json **schemas, const struct field_info *f) {
    switch (f->type) {
    case FIELD_STRING:
        return strings("type", "string", NULL);
    case FIELD_BOOL:
        return strings("type", "boolean", NULL);
    case FIELD_INT32:
        return strings("type", "integer", "format", "int32", NULL);
    case FIELD_INT64:
        return strings("type", "integer", "format", "int64", NULL);
    case FIELD_DOUBLE:
        return strings("type", "number", "format", "double", NULL);
    case FIELD_BYTES:
        return strings("type", "string", "format", "byte", NULL);
    case FIELD_TIME:
        return named_scalar(schemas, meta_package, "Time", strings("type", "string", "format", "date-time", NULL));
    case FIELD_MICRO_TIME:
        return named_scalar(schemas, meta_package, "MicroTime", strings("type", "string", "format", "date-time", NULL));
    case FIELD_DURATION:
        return named_scalar(schemas, meta_package, "Duration", strings("type", "string", NULL));
    case FIELD_QUANTITY:
        return named_scalar(schemas, "io.k8s.apimachinery.pkg.api.resource", "Quantity", either("string", "number"));
    case FIELD_INT_OR_STRING:
        return int_or_string(schemas);
    case FIELD_RAW:
        return raw_schema(schemas, f);
    case FIELD_ONE_OF: /* JSONSchemaPropsOrBool and the like: anything */
        return json_object();
    case FIELD_OBJECT:
        return openapi_reference(schemas, field_object(f));
    }
    return json_object();
}

/* A reference cannot have neighbours: it moves into allOf. */
static struct json *wrapped(struct json *take) {
    struct json *outer = json_object();
    json_append(json_edit(&outer, "allOf"), take);
    return outer;
}

static struct json *contained(struct json **schemas, const struct field_info *f) {
    struct json *element = value_schema(schemas, f);
    if (f->type != FIELD_OBJECT)
        return element;
    element = wrapped(element);
    json_set(&element, "default", json_object());
    return element;
}

static struct json *array_of(struct json *take) {
    struct json *schema = strings("type", "array", NULL);
    json_set(&schema, "items", take);
    return schema;
}

static struct json *map_of(struct json *take) {
    struct json *schema = strings("type", "object", NULL);
    json_set(&schema, "additionalProperties", take);
    return schema;
}

static struct json *string_list(const char *const *list) {
    struct json *array = json_array();
    for (; *list; list++)
        json_append(&array, json_string(*list));
    return array;
}

static struct json *default_schema_value(const struct field_info *f) {
    if (f->type == FIELD_BOOL)
        return json_bool(strcmp(field_default_value(f), "true") == 0);
    if (f->type == FIELD_INT32 || f->type == FIELD_INT64)
        return json_int(strtoll(field_default_value(f), NULL, 10));
    return json_string(field_default_value(f));
}

/* What strategic merge and server-side apply need to know. */
static void add_extensions(struct json **schema, const struct field_info *f) {
    static const char *const list_types[] = {[LIST_ATOMIC] = "atomic", [LIST_SET] = "set", [LIST_MAP] = "map"};
    if (f->container == FIELD_ARRAY)
        json_set(schema, "x-kubernetes-list-type", json_string(list_types[f->list_type]));
    if (field_list_map_keys(f)[0])
        json_set(schema, "x-kubernetes-list-map-keys", string_list(field_list_map_keys(f)));
    if (f->struct_atomic)
        json_set(schema, "x-kubernetes-map-type", json_string("atomic"));
    if (f->patch_merge || f->patch_replace || f->patch_retain_keys)
        json_set(schema, "x-kubernetes-patch-strategy",
                 json_string(f->patch_merge     ? (f->patch_retain_keys ? "merge,retainKeys" : "merge")
                             : f->patch_replace ? "replace"
                                                : "retainKeys"));
    if (field_patch_merge_key(f))
        json_set(schema, "x-kubernetes-patch-merge-key", json_string(field_patch_merge_key(f)));
}

static struct json *field_schema(struct json **schemas, const struct type_info *t, const struct field_info *f) {
    struct json *schema;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    if (f->container == FIELD_ARRAY)
        schema = array_of(contained(schemas, f));
    else if (f->container == FIELD_MAP)
        schema = map_of(contained(schemas, f));
    else if (f->container == FIELD_MAP_OF_ARRAY)
        schema = map_of(array_of(contained(schemas, f)));
    else
        schema = value_schema(schemas, f);
    bool is_ref = json_get(schema, "$ref") != NULL;
    if (is_ref) /* nothing can stand beside a reference, and there is a description at least */
        schema = wrapped(schema);
    openapi_describe_field(t, f, &text);
    json_set(&schema, "description", json_string(strbuf_str(&text)));
    add_extensions(&schema, f);
    if (f->container == FIELD_PLAIN && f->type == FIELD_OBJECT && !f->pointer)
        json_set(&schema, "default", json_object());
    if (f->enum_closed && field_enum_values(f) && f->type == FIELD_STRING) {
        struct json **place = f->container == FIELD_ARRAY ? json_edit(&schema, "items") : &schema;
        json_set(place, "enum", string_list(field_enum_values(f)));
    }
    if (f->container == FIELD_PLAIN && field_default_value(f) && *field_default_value(f) && !is_ref &&
        f->type != FIELD_OBJECT)
        json_set(&schema, "default", default_schema_value(f));
    return schema;
}

static struct json *gvk_of(const struct resource *r, const char *kind) {
    return strings("group", r->group, "kind", kind, "version", r->version, NULL);
}

/* Documents say which group, version and kind they are. */
static void add_gvks(struct json **schema, const char *type) {
    struct json *list = NULL;
    for (size_t i = 0; i < resource_table_len; i++) {
        const struct resource *r = &resource_table[i];
        size_t n = strlen(r->type);
        if (strncmp(r->type, type, n) != 0)
            continue;
        if (!type[n])
            json_append(&list, gvk_of(r, r->kind));
        else if (r->list_kind && strcmp(type + n, "List") == 0)
            json_append(&list, gvk_of(r, r->list_kind));
    }
    if (strcmp(type, "autoscaling.v1.Scale") == 0)
        json_append(&list, strings("group", "autoscaling", "kind", "Scale", "version", "v1", NULL));
    if (strcmp(type, "policy.v1.Eviction") == 0)
        json_append(&list, strings("group", "policy", "kind", "Eviction", "version", "v1", NULL));
    if (strcmp(type, "meta.v1.Status") == 0)
        json_append(&list, strings("group", "", "kind", "Status", "version", "v1", NULL));
    if (strcmp(type, "meta.v1.DeleteOptions") == 0)
        for (size_t i = 0; i < resource_table_len; i++)
            if (i == 0 || strcmp(resource_table[i].api_version, resource_table[i - 1].api_version) != 0)
                json_append(&list, gvk_of(&resource_table[i], "DeleteOptions"));
    if (list)
        json_set(schema, "x-kubernetes-group-version-kind", list);
}

struct json *openapi_reference(struct json **schemas, const struct type_info *t) {
    _cleanup_strbuf_ struct strbuf name = STRBUF_INIT;
    openapi_type_name(t->name, &name);
    if (json_get(*schemas, strbuf_str(&name)))
        return ref_to(strbuf_str(&name));
    json_set(schemas, strbuf_str(&name), json_object()); /* ends the recursion of JSONSchemaProps */
    struct json *schema = strings("type", "object", NULL), *required = NULL, *properties = json_object();
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    openapi_describe_type(t, &text);
    if (text.len > 0)
        json_set(&schema, "description", json_string(strbuf_str(&text)));
    for (size_t i = 0; i < t->n_fields; i++) {
        json_set(&properties, field_name(&t->fields[i]), field_schema(schemas, t, &t->fields[i]));
        if (t->fields[i].required)
            json_append(&required, json_string(field_name(&t->fields[i])));
    }
    if (t->n_fields)
        json_set(&schema, "properties", properties);
    else
        json_unref(properties);
    if (required)
        json_set(&schema, "required", required);
    add_gvks(&schema, t->name);
    json_set(schemas, strbuf_str(&name), schema);
    return ref_to(strbuf_str(&name));
}
