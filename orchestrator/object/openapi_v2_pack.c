/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * OpenAPI v2 in protobuf, by tables of gnostic's messages (OpenAPIv2.proto): which member of the JSON is which field,
 * and how it is written. Members without a row are left out, those that begin with "x-" are vendor extensions.
 */
#include <string.h>

#include "orchestrator/object/openapi_v2.h"
#include "orchestrator/object/protobuf_wire.h"
#include "podium/base/alloc.h"

enum form {
    FORM_STRING,
    FORM_BOOL,
    FORM_STRINGS,    /* repeated */
    FORM_MESSAGE,    /* of `message` */
    FORM_MESSAGES,   /* repeated */
    FORM_NAMED,      /* an object: {1: repeated {1 name, 2 message}} */
    FORM_ANY,        /* {2 yaml} */
    FORM_ANYS,       /* repeated */
    FORM_TYPE,       /* a string: {1: repeated} */
    FORM_ITEMS,      /* {1: repeated message} */
    FORM_ADDITIONAL, /* {1 message} */
};

struct message;
struct member {
    const char *name;
    unsigned number;
    enum form form;
    const struct message *message;
};
struct message {
    const struct member *members; /* by number, up to one without a name */
    unsigned extensions;          /* number of vendor_extension */
    /* The message is chosen by what the object holds, and wrapped in the field numbers that lead to it. */
    void (*write)(const struct json *v, struct strbuf *out);
};

static void write_message(const struct message *m, const struct json *v, struct strbuf *out);
static void write_parameter(const struct json *v, struct strbuf *out);
static void write_response_value(const struct json *v, struct strbuf *out);
static void write_schema_item(const struct json *v, struct strbuf *out);

static const struct message schema;
static const struct member schema_members[] = {
    {"$ref", 1, FORM_STRING, NULL},          {"format", 2, FORM_STRING, NULL},
    {"description", 4, FORM_STRING, NULL},   {"required", 19, FORM_STRINGS, NULL},
    {"enum", 20, FORM_ANYS, NULL},           {"additionalProperties", 21, FORM_ADDITIONAL, &schema},
    {"type", 22, FORM_TYPE, NULL},           {"items", 23, FORM_ITEMS, &schema},
    {"properties", 25, FORM_NAMED, &schema}, {NULL, 0, FORM_STRING, NULL},
};
static const struct message schema = {schema_members, 31, NULL};
static const struct message schema_item = {NULL, 0, write_schema_item};

static const struct member body_members[] = {
    {"description", 1, FORM_STRING, NULL}, {"name", 2, FORM_STRING, NULL},       {"in", 3, FORM_STRING, NULL},
    {"required", 4, FORM_BOOL, NULL},      {"schema", 5, FORM_MESSAGE, &schema}, {NULL, 0, FORM_STRING, NULL},
};
static const struct message body_parameter = {body_members, 6, NULL};

static const struct member query_members[] = {
    {"required", 1, FORM_BOOL, NULL}, {"in", 2, FORM_STRING, NULL},   {"description", 3, FORM_STRING, NULL},
    {"name", 4, FORM_STRING, NULL},   {"type", 6, FORM_STRING, NULL}, {"uniqueItems", 20, FORM_BOOL, NULL},
    {NULL, 0, FORM_STRING, NULL},
};
static const struct message query_parameter = {query_members, 23, NULL};

static const struct member path_members[] = {
    {"required", 1, FORM_BOOL, NULL}, {"in", 2, FORM_STRING, NULL},   {"description", 3, FORM_STRING, NULL},
    {"name", 4, FORM_STRING, NULL},   {"type", 5, FORM_STRING, NULL}, {"uniqueItems", 19, FORM_BOOL, NULL},
    {NULL, 0, FORM_STRING, NULL},
};
static const struct message path_parameter = {path_members, 22, NULL};
static const struct message parameter = {NULL, 0, write_parameter};

static const struct member response_members[] = {
    {"description", 1, FORM_STRING, NULL},
    {"schema", 2, FORM_MESSAGE, &schema_item},
    {NULL, 0, FORM_STRING, NULL},
};
static const struct message response = {response_members, 5, NULL};
static const struct message response_value = {NULL, 0, write_response_value};

static const struct member operation_members[] = {
    {"tags", 1, FORM_STRINGS, NULL},
    {"description", 3, FORM_STRING, NULL},
    {"operationId", 5, FORM_STRING, NULL},
    {"produces", 6, FORM_STRINGS, NULL},
    {"consumes", 7, FORM_STRINGS, NULL},
    {"parameters", 8, FORM_MESSAGES, &parameter},
    {"responses", 9, FORM_NAMED, &response_value},
    {"schemes", 10, FORM_STRINGS, NULL},
    {NULL, 0, FORM_STRING, NULL},
};
static const struct message operation = {operation_members, 13, NULL};

static const struct member item_members[] = {
    {"get", 2, FORM_MESSAGE, &operation},   {"put", 3, FORM_MESSAGE, &operation},
    {"post", 4, FORM_MESSAGE, &operation},  {"delete", 5, FORM_MESSAGE, &operation},
    {"patch", 8, FORM_MESSAGE, &operation}, {"parameters", 9, FORM_MESSAGES, &parameter},
    {NULL, 0, FORM_STRING, NULL},
};
static const struct message path_item = {item_members, 10, NULL};

/* --- values --- */

/* JSON is YAML. */
static void write_any(unsigned number, const struct json *v, struct strbuf *out) {
    _cleanup_free_ char *text = json_to_text(v);
    size_t start = wire_begin(out, number);
    wire_string(out, 2, text);
    wire_end(out, start);
}

static void write_nested(unsigned number, const struct message *m, const struct json *v, struct strbuf *out) {
    size_t start = wire_begin(out, number);
    write_message(m, v, out);
    wire_end(out, start);
}

static void write_named(unsigned number, const struct message *m, const char *name, const struct json *v,
                        struct strbuf *out) {
    size_t start = wire_begin(out, number);
    wire_string(out, 1, name);
    write_nested(2, m, v, out);
    wire_end(out, start);
}

static void write_member(const struct member *f, const struct json *v, struct strbuf *out) {
    size_t start, n = json_is_array(v) ? json_len(v) : 0;
    switch (f->form) {
    case FORM_STRING:
        wire_string(out, f->number, json_str_or(v, ""));
        return;
    case FORM_BOOL:
        wire_number(out, f->number, json_bool_or(v, false));
        return;
    case FORM_STRINGS:
        for (size_t i = 0; i < n; i++)
            wire_string(out, f->number, json_str_or(json_at(v, i), ""));
        return;
    case FORM_MESSAGE:
        write_nested(f->number, f->message, v, out);
        return;
    case FORM_MESSAGES:
        for (size_t i = 0; i < n; i++)
            write_nested(f->number, f->message, json_at(v, i), out);
        return;
    case FORM_ANY:
        write_any(f->number, v, out);
        return;
    case FORM_ANYS:
        for (size_t i = 0; i < n; i++)
            write_any(f->number, json_at(v, i), out);
        return;
    case FORM_NAMED:
        start = wire_begin(out, f->number);
        for (size_t i = 0; i < json_len(v); i++)
            write_named(1, f->message, json_key_at(v, i), json_value_at(v, i), out);
        break;
    case FORM_TYPE:
        start = wire_begin(out, f->number);
        wire_string(out, 1, json_str_or(v, ""));
        break;
    case FORM_ITEMS:
    case FORM_ADDITIONAL:
        start = wire_begin(out, f->number);
        write_nested(1, f->message, v, out);
        break;
    default:
        return;
    }
    wire_end(out, start);
}

/* NamedAny {1 name, 2 Any} */
static void write_extensions(unsigned number, const struct json *v, struct strbuf *out) {
    for (size_t i = 0; i < json_len(v); i++) {
        if (strncmp(json_key_at(v, i), "x-", 2) != 0)
            continue;
        size_t start = wire_begin(out, number);
        wire_string(out, 1, json_key_at(v, i));
        write_any(2, json_value_at(v, i), out);
        wire_end(out, start);
    }
}

static void write_message(const struct message *m, const struct json *v, struct strbuf *out) {
    if (m->write) {
        m->write(v, out);
        return;
    }
    for (const struct member *f = m->members; f->name; f++)
        if (json_get(v, f->name))
            write_member(f, json_get(v, f->name), out);
    write_extensions(m->extensions, v, out);
}

/* ParametersItem {1 Parameter {1 body, 2 NonBodyParameter {3 query, 4 path}}} */
static void write_parameter(const struct json *v, struct strbuf *out) {
    const char *in = json_str_or(json_get(v, "in"), "");
    size_t item = wire_begin(out, 1);
    if (strcmp(in, "body") == 0) {
        write_nested(1, &body_parameter, v, out);
    } else {
        bool path = strcmp(in, "path") == 0;
        size_t other = wire_begin(out, 2);
        write_nested(path ? 4 : 3, path ? &path_parameter : &query_parameter, v, out);
        wire_end(out, other);
    }
    wire_end(out, item);
}

static void write_response_value(const struct json *v, struct strbuf *out) {
    write_nested(1, &response, v, out);
}

static void write_schema_item(const struct json *v, struct strbuf *out) {
    write_nested(1, &schema, v, out);
}

/* Paths {2: NamedPathItem}, Definitions {1: NamedSchema} */
void openapi_v2_pack_path(const char *name, const struct json *item, struct strbuf *out) {
    write_named(2, &path_item, name, item, out);
}

void openapi_v2_pack_definition(const char *name, const struct json *v, struct strbuf *out) {
    write_named(1, &schema, name, v, out);
}
