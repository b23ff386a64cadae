/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Documents to protobuf, byte for byte as Go's generated code writes them: fields by number, scalars and messages that
 * are no pointers even when empty, repeated numbers unpacked, maps sorted by key.
 */
#include <string.h>

#include "orchestrator/object/protobuf.h"
#include "orchestrator/object/protobuf_wire.h"
#include "orchestrator/object/timestamp.h"
#include "orchestrator/object/type_tables.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"

static void write_message(const struct type_info *t, const struct json *object, struct strbuf *out);

static void write_time(const struct json *v, bool micro, struct strbuf *out) {
    uint64_t usec;
    const char *text = json_str(v);
    if (!text || timestamp_parse(text, &usec) < 0)
        return; /* not set: an empty message */
    wire_number(out, 1, (int64_t) (usec / 1000000));
    wire_number(out, 2, micro ? (int64_t) (usec % 1000000) * 1000 : 0);
}

static void write_raw(const struct json *v, struct strbuf *out) {
    if (json_is_null(v))
        return;
    _cleanup_free_ char *text = json_to_text(v);
    wire_bytes(out, 1, text, strlen(text));
}

static void write_int_or_string(const struct json *v, struct strbuf *out) {
    wire_number(out, 1, json_is_string(v));
    wire_number(out, 2, (int32_t) json_int_or(v, 0));
    wire_bytes(out, 3, json_str_or(v, ""), json_str_len(v));
}

static void write_strings(const struct json *array, unsigned number, struct strbuf *out) {
    for (size_t i = 0; i < json_len(array); i++)
        wire_bytes(out, number, json_str_or(json_at(array, i), ""), json_str_len(json_at(array, i)));
}

static void write_one_of(const struct field_info *f, const struct json *v, struct strbuf *out) {
    bool is_bool = f->one_of == ONE_OF_BOOL;
    if (is_bool)
        wire_number(out, 1, json_is_object(v) || json_bool_or(v, false));
    if (json_is_object(v)) {
        size_t start = wire_begin(out, is_bool ? 2 : 1);
        write_message(field_object(f), v, out);
        wire_end(out, start);
    } else if (f->one_of == ONE_OF_STRING_ARRAY) {
        write_strings(v, 2, out);
    }
    for (size_t i = 0; f->one_of == ONE_OF_OBJECT_ARRAY && i < json_len(json_is_array(v) ? v : NULL); i++) {
        size_t start = wire_begin(out, 2);
        write_message(field_object(f), json_at(v, i), out);
        wire_end(out, start);
    }
}

static void write_base64(unsigned number, const struct json *v, struct strbuf *out) {
    _cleanup_free_ uint8_t *bytes = NULL;
    size_t n = 0;
    if (!json_is_string(v) || base64_decode(json_str(v), json_str_len(v), &bytes, &n) < 0)
        n = 0;
    wire_bytes(out, number, bytes ? (const char *) bytes : "", n);
}

static void write_double(unsigned number, const struct json *v, struct strbuf *out) {
    double d = json_double_or(v, 0);
    uint64_t bits;
    memcpy(&bits, &d, sizeof(bits));
    wire_tag(out, number, 1);
    for (unsigned i = 0; i < 8; i++)
        strbuf_addc(out, (char) (bits >> (8 * i)));
}

/* The value under a field number; absent (NULL or null): its zero. */
static void write_value(const struct field_info *f, unsigned number, const struct json *v, struct strbuf *out) {
    size_t start;
    int64_t ns = 0;
    switch (f->type) {
    case FIELD_STRING:
        wire_bytes(out, number, json_str_or(v, ""), json_str_len(v));
        return;
    case FIELD_BOOL:
        wire_number(out, number, json_bool_or(v, false));
        return;
    case FIELD_INT32:
    case FIELD_INT64:
        wire_number(out, number, json_int_or(v, 0));
        return;
    case FIELD_DOUBLE:
        write_double(number, v, out);
        return;
    case FIELD_BYTES:
        write_base64(number, v, out);
        return;
    case FIELD_TIME:
    case FIELD_MICRO_TIME:
        start = wire_begin(out, number);
        write_time(v, f->type == FIELD_MICRO_TIME, out);
        break;
    case FIELD_DURATION:
        start = wire_begin(out, number);
        if (json_is_string(v) && duration_parse_go(json_str(v), &ns) < 0)
            ns = 0;
        wire_number(out, 1, ns);
        break;
    case FIELD_QUANTITY:
        start = wire_begin(out, number);
        wire_bytes(out, 1, json_str_or(v, "0"), strlen(json_str_or(v, "0")));
        break;
    case FIELD_INT_OR_STRING:
        start = wire_begin(out, number);
        write_int_or_string(v, out);
        break;
    case FIELD_RAW:
        start = wire_begin(out, number);
        write_raw(v, out);
        break;
    case FIELD_OBJECT:
        start = wire_begin(out, number);
        write_message(field_object(f), v, out);
        break;
    case FIELD_ONE_OF:
        start = wire_begin(out, number);
        write_one_of(f, v, out);
        break;
    default:
        return;
    }
    wire_end(out, start);
}

struct map_entry {
    const char *key;
    const struct json *value;
};

static int by_key(const void *a, const void *b) {
    return strcmp(((const struct map_entry *) a)->key, ((const struct map_entry *) b)->key);
}

static void write_map(const struct field_info *f, unsigned number, const struct json *map, struct strbuf *out) {
    size_t n = json_is_object(map) ? json_len(map) : 0;
    if (!n)
        return;
    _cleanup_free_ struct map_entry *entries = xcalloc(n, sizeof(*entries));
    for (size_t i = 0; i < n; i++)
        entries[i] = (struct map_entry){json_key_at(map, i), json_value_at(map, i)};
    qsort(entries, n, sizeof(*entries), by_key);
    for (size_t i = 0; i < n; i++) {
        size_t start = wire_begin(out, number);
        wire_bytes(out, 1, entries[i].key, strlen(entries[i].key));
        if (f->container == FIELD_MAP) {
            write_value(f, 2, entries[i].value, out);
        } else {
            size_t items = wire_begin(out, 2);
            write_strings(entries[i].value, 1, out);
            wire_end(out, items);
        }
        wire_end(out, start);
    }
}

/* Upstream's Verbs: the list is a message of its own, so that it can be there and empty. */
static void write_wrapped_list(unsigned number, const struct json *v, struct strbuf *out) {
    size_t start = wire_begin(out, number);
    write_strings(v, 1, out);
    wire_end(out, start);
}

static void write_field(const struct field_info *f, unsigned number, const struct json *v, struct strbuf *out) {
    if (proto_is_wrapped_list(f)) {
        if (!json_is_null(v))
            write_wrapped_list(number, v, out);
        return;
    }
    switch (f->container) {
    case FIELD_PLAIN:
        if (json_is_null(v) && (f->pointer || f->type == FIELD_BYTES))
            return;
        write_value(f, number, v, out);
        return;
    case FIELD_ARRAY:
        for (size_t i = 0; json_is_array(v) && i < json_len(v); i++)
            write_value(f, number, json_at(v, i), out);
        return;
    case FIELD_MAP:
    case FIELD_MAP_OF_ARRAY:
        write_map(f, number, v, out);
        return;
    }
}

/* values: of the type's fields, by their place in it. */
static void write_entries(const struct type_info *t, const struct proto_entry *entries, size_t n,
                          const struct json *const *values, struct strbuf *out) {
    for (size_t i = 0; i < n; i++) {
        const struct proto_entry *e = &entries[i];
        if (e->field_number) {
            const struct field_info *f = &field_table[e->field_number - 1];
            write_field(f, e->number, values[f - t->fields], out);
            continue;
        }
        size_t start = wire_begin(out, e->number);
        write_entries(t, &proto_table[e->nested_at], e->n_nested, values, out);
        wire_end(out, start);
    }
}

/* The members are looked up once each: an object has fewer of them than its type has fields. */
static void write_message(const struct type_info *t, const struct json *object, struct strbuf *out) {
    const struct json *values[TYPE_FIELDS_MAX];
    memset(values, 0, t->n_fields * sizeof(values[0]));
    for (size_t i = 0; json_is_object(object) && i < json_len(object); i++) {
        const struct field_info *f = type_field(t, json_key_at(object, i));
        if (f)
            values[f - t->fields] = json_value_at(object, i);
    }
    write_entries(t, t->proto, t->n_proto, values, out);
}

/* --- envelopes --- */

static void write_type(const char *api_version, const char *kind, struct strbuf *out) {
    strbuf_add(out, "k8s\0", 4);
    size_t start = wire_begin(out, 1);
    wire_bytes(out, 1, api_version, strlen(api_version));
    wire_bytes(out, 2, kind, strlen(kind));
    wire_end(out, start);
}

static void write_tail(struct strbuf *out) {
    wire_bytes(out, 3, "", 0); /* contentEncoding, contentType: Go writes them although they are empty */
    wire_bytes(out, 4, "", 0);
}

static const struct type_info *type_with_form(const char *api_version, const char *kind) {
    const struct type_info *t = type_of_kind(api_version, kind);
    return t && t->n_proto ? t : NULL;
}

static int no_form(const char *api_version, const char *kind, struct error *err) {
    return error_set(err, -EPROTONOSUPPORT, "no protobuf form for kind \"%s\" in version \"%s\"", kind, api_version);
}

static int check_room(const struct strbuf *out, struct error *err) {
    return out->overflow ? error_set(err, -E2BIG, "the encoded object is too large") : 0;
}

int protobuf_encode(const struct json *doc, struct strbuf *out, struct error *err) {
    const char *api_version = json_str_or(json_get(doc, "apiVersion"), ""),
               *kind = json_str_or(json_get(doc, "kind"), "");
    const struct type_info *t = type_with_form(api_version, kind);
    if (!t)
        return no_form(api_version, kind, err);
    write_type(api_version, kind, out);
    size_t start = wire_begin(out, 2);
    write_message(t, doc, out);
    wire_end(out, start);
    write_tail(out);
    return check_room(out, err);
}

bool protobuf_has_form(const char *api_version, const char *kind) {
    return type_with_form(api_version, kind) != NULL;
}

int protobuf_encode_message(const char *api_version, const char *kind, const struct json *doc, struct strbuf *out,
                            struct error *err) {
    const struct type_info *t = type_with_form(api_version, kind);
    if (!t)
        return no_form(api_version, kind, err);
    write_message(t, doc, out);
    return check_room(out, err);
}

void protobuf_envelope(const char *api_version, const char *kind, const void *message, size_t n, struct strbuf *out) {
    write_type(api_version, kind, out);
    wire_bytes(out, 2, message, n);
    write_tail(out);
}

void protobuf_event(const char *type, const char *api_version, const char *kind, const void *message, size_t n,
                    struct strbuf *out) {
    wire_string(out, 1, type);
    size_t object = wire_begin(out, 2), raw = wire_begin(out, 1);
    protobuf_envelope(api_version, kind, message, n, out);
    wire_end(out, raw);
    wire_end(out, object);
}

void protobuf_frame_event(const char *type, const char *api_version, const char *kind, const void *message, size_t n,
                          struct strbuf *out) {
    size_t at = out->len;
    strbuf_add(out, "\0\0\0\0", 4);
    protobuf_event(type, api_version, kind, message, n, out);
    size_t length = out->len - at - 4;
    for (unsigned i = 0; i < 4 && !out->overflow; i++)
        out->data[at + i] = (char) (length >> (24 - 8 * i));
}

/* --- lists --- */

void protobuf_list_begin(struct protobuf_list *l, const char *api_version, const char *kind,
                         const struct json *metadata, struct strbuf *out) {
    const struct type_info *t = type_by_name("meta.v1.ListMeta");
    write_type(api_version, kind, out);
    *l = (struct protobuf_list){out, wire_begin(out, 2)};
    size_t start = wire_begin(out, 1);
    write_message(t, metadata, out);
    wire_end(out, start);
}

void protobuf_list_message(struct protobuf_list *l, const void *message, size_t n) {
    wire_bytes(l->out, 2, message, n);
}

void protobuf_list_document(struct protobuf_list *l, const char *api_version, const char *kind,
                            const struct json *doc) {
    const struct type_info *t = type_with_form(api_version, kind);
    if (!t)
        return;
    size_t start = wire_begin(l->out, 2);
    write_message(t, doc, l->out);
    wire_end(l->out, start);
}

void protobuf_list_end(struct protobuf_list *l) {
    wire_end(l->out, l->start);
    write_tail(l->out);
}

void protobuf_list_head(const char *api_version, const char *kind, const struct json *metadata, size_t items_bytes,
                        struct strbuf *out) {
    _cleanup_strbuf_ struct strbuf m = STRBUF_INIT;
    size_t start = wire_begin(&m, 1);

    write_message(type_by_name("meta.v1.ListMeta"), metadata, &m);
    wire_end(&m, start);
    write_type(api_version, kind, out);
    wire_tag(out, 2, 2);
    wire_varint(out, m.len + items_bytes);
    strbuf_add(out, m.data, m.len);
}

void protobuf_list_tail(struct strbuf *out) {
    write_tail(out);
}
