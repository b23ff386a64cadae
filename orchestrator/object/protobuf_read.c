/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Protobuf to documents. Every length is checked against what is left; nesting is bounded like that of JSON. */
#include <string.h>

#include "orchestrator/object/protobuf.h"
#include "orchestrator/object/timestamp.h"
#include "orchestrator/object/type_tables.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/limits.h"

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct span {
    const uint8_t *p, *end;
};

/* One field as it stands in the bytes. */
struct item {
    unsigned number;
    enum wire wire;
    uint64_t value;    /* varint, fixed */
    struct span bytes; /* length-delimited */
};

struct reader {
    struct error *err;
    unsigned depth;
};

static int read_message(struct reader *r, const struct proto_entry *entries, size_t n, struct span in,
                        struct json **object);

static int malformed(struct reader *r, const char *what) {
    return error_set(r->err, -EINVAL, "malformed protobuf: %s", what);
}

/* --- the wire --- */

static int read_varint(struct span *in, uint64_t *ret) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (in->p == in->end)
            return -EINVAL;
        uint8_t byte = *in->p++;
        v |= (uint64_t) (byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret = v;
            return 0;
        }
    }
    return -EINVAL;
}

static int read_fixed(struct span *in, size_t n, uint64_t *ret) {
    if ((size_t) (in->end - in->p) < n)
        return -EINVAL;
    *ret = 0;
    for (size_t i = n; i-- > 0;)
        *ret = *ret << 8 | in->p[i];
    in->p += n;
    return 0;
}

/* 1: an item; 0: the end. */
static int next_item(struct reader *r, struct span *in, struct item *ret) {
    uint64_t tag, n;
    if (in->p == in->end)
        return 0;
    if (read_varint(in, &tag) < 0 || tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3)
        return malformed(r, "bad tag");
    *ret = (struct item){.number = (unsigned) (tag >> 3), .wire = (enum wire)(tag & 7)};
    switch (tag & 7) {
    case WIRE_VARINT:
        return read_varint(in, &ret->value) < 0 ? malformed(r, "bad varint") : 1;
    case WIRE_FIXED64:
        return read_fixed(in, 8, &ret->value) < 0 ? malformed(r, "truncated") : 1;
    case WIRE_FIXED32:
        return read_fixed(in, 4, &ret->value) < 0 ? malformed(r, "truncated") : 1;
    case WIRE_BYTES:
        if (read_varint(in, &n) < 0 || n > (uint64_t) (in->end - in->p))
            return malformed(r, "truncated");
        ret->bytes = (struct span){in->p, in->p + n};
        in->p += n;
        return 1;
    default:
        return malformed(r, "unknown wire type");
    }
}

static bool is_utf8(struct span s) {
    while (s.p < s.end) {
        uint8_t c = *s.p++;
        if (c < 0x80)
            continue;
        unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        if (c < 0xc2 || c > 0xf4 || (size_t) (s.end - s.p) < more)
            return false;
        /* The second byte excludes overlong forms, surrogates and what lies beyond U+10FFFF. */
        uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80, high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        if (s.p[0] < low || s.p[0] > high)
            return false;
        for (unsigned i = 1; i < more; i++)
            if (s.p[i] < 0x80 || s.p[i] > 0xbf)
                return false;
        s.p += more;
    }
    return true;
}

static int text_of(struct reader *r, struct span s, struct json **ret) {
    if (!is_utf8(s))
        return malformed(r, "a string is not UTF-8");
    *ret = json_string_len((const char *) s.p, (size_t) (s.end - s.p));
    return 0;
}

/* --- messages of apimachinery that are scalars in JSON --- */

/* {1 seconds, 2 nanos}; empty: not set. */
static int read_time(struct reader *r, bool micro, struct span in, struct json **ret) {
    struct item item;
    int64_t seconds = 0, nanos = 0;
    int k;
    while ((k = next_item(r, &in, &item)) > 0) {
        if (item.number == 1 && item.wire == WIRE_VARINT)
            seconds = (int64_t) item.value;
        else if (item.number == 2 && item.wire == WIRE_VARINT)
            nanos = (int32_t) item.value;
    }
    if (k < 0)
        return k;
    if ((seconds == 0 && nanos == 0) || seconds < 0 || seconds > 253402300799 || nanos < 0 || nanos > 999999999) {
        *ret = json_null();
        return 0;
    }
    char text[TIMESTAMP_SIZE];
    uint64_t usec = (uint64_t) seconds * 1000000 + (uint64_t) nanos / 1000;
    if (micro)
        timestamp_format_micro(usec, text);
    else
        timestamp_format(usec, text);
    *ret = json_string(text);
    return 0;
}

/* The bytes of field 1: Quantity, RawExtension, JSON, FieldsV1. */
static int read_wrapped(struct reader *r, struct span in, struct span *ret) {
    struct item item;
    int k;
    *ret = (struct span){in.end, in.end};
    while ((k = next_item(r, &in, &item)) > 0)
        if (item.number == 1 && item.wire == WIRE_BYTES)
            *ret = item.bytes;
    return k;
}

static int read_raw(struct reader *r, struct span in, struct json **ret) {
    struct span raw;
    int k = read_wrapped(r, in, &raw);
    if (k < 0)
        return k;
    if (raw.p == raw.end) {
        *ret = json_null();
        return 0;
    }
    struct json_parse_options options = {.depth_max = r->depth < JSON_DEPTH_MAX ? JSON_DEPTH_MAX - r->depth : 1};
    return json_parse((const char *) raw.p, (size_t) (raw.end - raw.p), &options, ret, r->err);
}

static int read_int_or_string(struct reader *r, struct span in, struct json **ret) {
    struct item item;
    struct span text = {in.end, in.end};
    int64_t type = 0, number = 0;
    int k;
    while ((k = next_item(r, &in, &item)) > 0) {
        if (item.number == 1 && item.wire == WIRE_VARINT)
            type = (int64_t) item.value;
        else if (item.number == 2 && item.wire == WIRE_VARINT)
            number = (int32_t) item.value;
        else if (item.number == 3 && item.wire == WIRE_BYTES)
            text = item.bytes;
    }
    if (k < 0)
        return k;
    if (type == 1)
        return text_of(r, text, ret);
    *ret = json_int(number);
    return 0;
}

static int read_duration(struct reader *r, struct span in, struct json **ret) {
    struct item item;
    int64_t ns = 0;
    int k;
    while ((k = next_item(r, &in, &item)) > 0)
        if (item.number == 1 && item.wire == WIRE_VARINT)
            ns = (int64_t) item.value;
    if (k < 0)
        return k;
    char text[TIMESTAMP_SIZE];
    duration_format_go(ns, text);
    *ret = json_string(text);
    return 0;
}

/* --- fields --- */

static int read_object(struct reader *r, const struct type_info *t, struct span in, struct json **object) {
    if (r->depth >= JSON_DEPTH_MAX)
        return error_set(r->err, -EINVAL, "protobuf nests deeper than %u", JSON_DEPTH_MAX);
    if (!json_is_object(*object)) {
        json_unref(*object);
        *object = json_object();
    }
    r->depth++;
    int k = read_message(r, t->proto, t->n_proto, in, object);
    r->depth--;
    return k;
}

/* JSONSchemaPropsOrArray {1 schema, 2 schemas}, …OrBool {1 allows, 2 schema}, …OrStringArray {1 schema, 2 strings}. */
static int read_one_of(struct reader *r, const struct field_info *f, struct span in, struct json **ret) {
    _cleanup_json_ struct json *object = NULL, *array = NULL;
    bool allows = false;
    struct item item;
    int k;
    while ((k = next_item(r, &in, &item)) > 0) {
        if (f->one_of == ONE_OF_BOOL && item.number == 1 && item.wire == WIRE_VARINT)
            allows = item.value != 0;
        else if (item.wire == WIRE_BYTES && item.number == (f->one_of == ONE_OF_BOOL ? 2 : 1))
            k = read_object(r, field_object(f), item.bytes, &object);
        else if (item.wire == WIRE_BYTES && item.number == 2) {
            struct json *element = NULL;
            k = f->one_of == ONE_OF_OBJECT_ARRAY ? read_object(r, field_object(f), item.bytes, &element)
                                                 : text_of(r, item.bytes, &element);
            if (element)
                json_append(&array, element);
        }
        if (k < 0)
            return k;
    }
    if (k < 0)
        return k;
    *ret = object                             ? steal(&object)
           : array                            ? steal(&array)
           : f->one_of == ONE_OF_BOOL         ? json_bool(allows)
           : f->one_of == ONE_OF_STRING_ARRAY ? json_array()
                                              : json_object();
    return 0;
}

static enum wire wire_of(const struct field_info *f) {
    switch (f->type) {
    case FIELD_BOOL:
    case FIELD_INT32:
    case FIELD_INT64:
        return WIRE_VARINT;
    case FIELD_DOUBLE:
        return WIRE_FIXED64;
    case FIELD_STRING:
    case FIELD_BYTES:
    case FIELD_TIME:
    case FIELD_MICRO_TIME:
    case FIELD_DURATION:
    case FIELD_QUANTITY:
    case FIELD_INT_OR_STRING:
    case FIELD_RAW:
    case FIELD_OBJECT:
    case FIELD_ONE_OF:
        return WIRE_BYTES;
    }
    return WIRE_BYTES;
}

static struct json *number_of(const struct field_info *f, uint64_t v) {
    double d;
    if (f->type == FIELD_BOOL)
        return json_bool(v != 0);
    if (f->type == FIELD_INT32)
        return json_int((int32_t) v);
    if (f->type == FIELD_INT64)
        return json_int((int64_t) v);
    memcpy(&d, &v, sizeof(d));
    return json_double(d);
}

/* One value of the field's type. *ret: NULL, or for an object what was there before. */
static int read_value(struct reader *r, const struct field_info *f, const struct item *item, struct json **ret) {
    struct span wrapped;
    int k = 0;
    if (item->wire != wire_of(f))
        return malformed(r, field_name(f));
    switch (f->type) {
    case FIELD_BOOL:
    case FIELD_INT32:
    case FIELD_INT64:
    case FIELD_DOUBLE:
        *ret = number_of(f, item->value);
        return 0;
    case FIELD_STRING:
        return text_of(r, item->bytes, ret);
    case FIELD_BYTES: {
        _cleanup_free_ char *text = base64_encode(item->bytes.p, (size_t) (item->bytes.end - item->bytes.p));
        *ret = json_string(text);
        return 0;
    }
    case FIELD_TIME:
    case FIELD_MICRO_TIME:
        return read_time(r, f->type == FIELD_MICRO_TIME, item->bytes, ret);
    case FIELD_DURATION:
        return read_duration(r, item->bytes, ret);
    case FIELD_QUANTITY:
        k = read_wrapped(r, item->bytes, &wrapped);
        return k < 0 ? k : text_of(r, wrapped, ret);
    case FIELD_INT_OR_STRING:
        return read_int_or_string(r, item->bytes, ret);
    case FIELD_RAW:
        return read_raw(r, item->bytes, ret);
    case FIELD_OBJECT:
        return read_object(r, field_object(f), item->bytes, ret);
    case FIELD_ONE_OF:
        return read_one_of(r, f, item->bytes, ret);
    }
    return 0;
}

/* Go writes scalars that are not pointers even when they are zero; in JSON they are left out. */
static bool is_unset(const struct field_info *f, const struct json *v) {
    if (json_is_null(v))
        return true;
    if (f->pointer || !f->omitempty)
        return false;
    if (json_is_string(v))
        return json_str_len(v) == 0 && f->type != FIELD_INT_OR_STRING;
    return (f->type == FIELD_BOOL && !json_bool_or(v, true)) ||
           ((f->type == FIELD_INT32 || f->type == FIELD_INT64 || f->type == FIELD_DOUBLE) && json_double_or(v, 1) == 0);
}

static int read_plain(struct reader *r, const struct field_info *f, const struct item *item, struct json **object) {
    struct json *value = f->type == FIELD_OBJECT ? json_ref(json_get(*object, field_name(f))) : NULL;
    int k = read_value(r, f, item, &value);
    if (k < 0 || is_unset(f, value))
        json_unref(value);
    else
        json_set(object, field_name(f), value);
    return k;
}

static int read_repeated(struct reader *r, const struct field_info *f, const struct item *item, struct json **array) {
    struct item one = {.wire = wire_of(f)};
    if (item->wire == one.wire || item->wire != WIRE_BYTES) {
        struct json *element = NULL;
        int k = read_value(r, f, item, &element);
        if (element)
            json_append(array, element);
        return k;
    }
    for (struct span packed = item->bytes; packed.p < packed.end;) {
        int k = one.wire == WIRE_VARINT ? read_varint(&packed, &one.value) : read_fixed(&packed, 8, &one.value);
        if (k < 0)
            return malformed(r, field_name(f));
        json_append(array, number_of(f, one.value));
    }
    return 0;
}

/* {1 items}, the message around a list inside a map. */
static int read_items(struct reader *r, const struct field_info *f, struct span in, struct json **ret) {
    struct item item;
    int k;
    json_unref(*ret);
    *ret = json_array();
    while ((k = next_item(r, &in, &item)) > 0)
        if (item.number == 1 && (k = read_repeated(r, f, &item, ret)) < 0)
            return k;
    return k;
}

static struct json *zero_of(const struct field_info *f) {
    if (f->container == FIELD_MAP_OF_ARRAY)
        return json_array();
    if (f->type == FIELD_OBJECT || f->type == FIELD_ONE_OF)
        return json_object();
    if (f->type == FIELD_TIME || f->type == FIELD_MICRO_TIME || f->type == FIELD_RAW)
        return json_null();
    return wire_of(f) == WIRE_BYTES ? json_string("") : number_of(f, 0);
}

static int read_entry(struct reader *r, const struct field_info *f, struct span in, struct json **map) {
    _cleanup_json_ struct json *key = NULL, *value = NULL;
    struct item item;
    int k;
    while ((k = next_item(r, &in, &item)) > 0) {
        if (item.number == 1 && item.wire == WIRE_BYTES) {
            json_unref(steal(&key));
            k = text_of(r, item.bytes, &key);
        } else if (item.number == 2 && f->container == FIELD_MAP_OF_ARRAY && item.wire == WIRE_BYTES) {
            k = read_items(r, f, item.bytes, &value);
        } else if (item.number == 2) {
            json_unref(steal(&value));
            k = read_value(r, f, &item, &value);
        }
        if (k < 0)
            return k;
    }
    if (k < 0)
        return k;
    json_set(map, json_str_or(key, ""), value ? steal(&value) : zero_of(f));
    return 0;
}

static int read_field(struct reader *r, const struct field_info *f, const struct item *item, struct json **object) {
    if (proto_is_wrapped_list(f))
        return item->wire == WIRE_BYTES ? read_items(r, f, item->bytes, json_edit(object, field_name(f)))
                                        : malformed(r, field_name(f));
    switch (f->container) {
    case FIELD_PLAIN:
        return read_plain(r, f, item, object);
    case FIELD_ARRAY:
        return read_repeated(r, f, item, json_edit(object, field_name(f)));
    case FIELD_MAP:
    case FIELD_MAP_OF_ARRAY:
        return item->wire == WIRE_BYTES ? read_entry(r, f, item->bytes, json_edit(object, field_name(f)))
                                        : malformed(r, field_name(f));
    }
    return 0;
}

static const struct proto_entry *find_entry(const struct proto_entry *entries, size_t n, unsigned number) {
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (entries[mid].number == number)
            return &entries[mid];
        if (entries[mid].number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static int read_message(struct reader *r, const struct proto_entry *entries, size_t n, struct span in,
                        struct json **object) {
    struct item item;
    int k;
    while ((k = next_item(r, &in, &item)) > 0) {
        const struct proto_entry *e = find_entry(entries, n, item.number);
        if (!e)
            continue; /* a field of a later version */
        if (e->field_number)
            k = read_field(r, &field_table[e->field_number - 1], &item, object);
        else if (item.wire == WIRE_BYTES)
            k = read_message(r, &proto_table[e->nested_at], e->n_nested, item.bytes, object);
        else
            k = malformed(r, "embedded message expected");
        if (k < 0)
            return k;
    }
    return k;
}

/* --- runtime.Unknown --- */

struct envelope {
    struct span api_version, kind, raw, content_type;
};

static int read_envelope(struct reader *r, struct span in, struct envelope *ret) {
    struct item item;
    struct span meta = {in.end, in.end};
    int k;
    *ret = (struct envelope){meta, meta, meta, meta};
    while ((k = next_item(r, &in, &item)) > 0) {
        struct span *const to[] = {NULL, &meta, &ret->raw, NULL, &ret->content_type};
        if (item.wire == WIRE_BYTES && item.number < ARRAY_LEN(to) && to[item.number])
            *to[item.number] = item.bytes;
    }
    while (k == 0 && (k = next_item(r, &meta, &item)) > 0) {
        if (item.wire == WIRE_BYTES && item.number == 1)
            ret->api_version = item.bytes;
        else if (item.wire == WIRE_BYTES && item.number == 2)
            ret->kind = item.bytes;
        k = 0;
    }
    return k;
}

int protobuf_decode(const void *p, size_t n, struct json **ret, struct error *err) {
    struct reader r = {.err = err};
    struct envelope e;
    if (n < 4 || memcmp(p, "k8s\0", 4) != 0)
        return malformed(&r, "it does not begin with the Kubernetes magic number");
    int k = read_envelope(&r, (struct span){(const uint8_t *) p + 4, (const uint8_t *) p + n}, &e);
    if (k < 0)
        return k;
    static const char json[] = "application/json";
    size_t raw_len = (size_t) (e.raw.end - e.raw.p);
    if ((size_t) (e.content_type.end - e.content_type.p) == strlen(json) &&
        memcmp(e.content_type.p, json, strlen(json)) == 0)
        return json_parse((const char *) e.raw.p, raw_len, NULL, ret, err);
    _cleanup_json_ struct json *doc = json_object(), *api_version = NULL, *kind = NULL;
    if ((k = text_of(&r, e.api_version, &api_version)) < 0 || (k = text_of(&r, e.kind, &kind)) < 0)
        return k;
    const struct type_info *t = type_of_kind(json_str(api_version), json_str(kind));
    if (!t || !t->n_proto)
        return error_set(err, -EPROTONOSUPPORT, "no protobuf form for kind \"%s\" in version \"%s\"", json_str(kind),
                         json_str(api_version));
    json_set(&doc, "kind", steal(&kind));
    json_set(&doc, "apiVersion", steal(&api_version));
    k = read_message(&r, t->proto, t->n_proto, e.raw, &doc);
    if (k < 0)
        return k;
    *ret = steal(&doc);
    return 0;
}
