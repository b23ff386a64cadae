/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The value tree: lifetime, readers, copy-on-write writers. Reading text is in json_read.c, writing it in json_write.c.
 */
#include "runtime/base/json_value.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>

#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

/* Bytes of a value of its own; more: of a string, with its NUL. */
static size_t value_size(enum json_type type, size_t more) {
    switch (type) {
    case JSON_NULL:
    case JSON_BOOL:
    case JSON_INT:
    case JSON_DOUBLE:
        return offsetof(struct json, u) + sizeof(int64_t);
    case JSON_STRING:
    case JSON_SEALED:
        return offsetof(struct json, u.s.text) + more;
    case JSON_ARRAY:
        return offsetof(struct json, u) + sizeof(((struct json *) NULL)->u.array);
    case JSON_OBJECT:
        break;
    }
    return sizeof(struct json);
}

static struct json *new_value(enum json_type type, size_t more) {
    size_t size = value_size(type, more);
    struct json *v = xmalloc(size);

    v->head = (uint32_t) type;
    atomic_init(&v->refs, 1);
    v->line = 0;
    memset((char *) v + offsetof(struct json, u), 0,
           (more ? offsetof(struct json, u.s.text) : size) - offsetof(struct json, u));
    return v;
}

struct json *json_ref(const struct json *v) {
    struct json *w = (struct json *) v; /* the count is the only part that changes */

    if (!w)
        return NULL;
    if (is_packed(w))
        json_block_ref(block_of(w));
    else
        atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
    return w;
}

bool json_is_shared(const struct json *v) {
    _Atomic uint32_t *refs = is_packed(v) ? &block_of(v)->refs : &((struct json *) v)->refs;

    return atomic_load_explicit(refs, memory_order_acquire) > 1;
}

void json_unref(struct json *v) {
    if (v && is_packed(v)) {
        json_block_unref(block_of(v));
        return;
    }
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (type_of(v) == JSON_ARRAY) {
        for (uint32_t i = 0; i < v->u.array.n; i++)
            json_unref(v->u.array.items[i]);
        free(v->u.array.items);
    } else if (type_of(v) == JSON_OBJECT) {
        for (uint32_t i = 0; i < v->u.object.n; i++) {
            json_unref(v->u.object.members[i].key);
            json_unref(v->u.object.members[i].value);
        }
        free(v->u.object.members);
        free(v->u.object.index);
    }
    free(v);
}

/* --- constructors --- */

struct json *json_null(void) {
    return new_value(JSON_NULL, 0);
}

struct json *json_bool(bool b) {
    struct json *v = new_value(JSON_BOOL, 0);

    v->u.b = b;
    return v;
}

struct json *json_int(int64_t i) {
    struct json *v = new_value(JSON_INT, 0);

    v->u.i = i;
    return v;
}

struct json *json_double(double d) {
    struct json *v = new_value(JSON_DOUBLE, 0);

    v->u.d = isfinite(d) ? d : 0; /* JSON has no other numbers */
    return v;
}

struct json *json_string_len(const char *s, size_t n) {
    struct json *v = new_value(JSON_STRING, n + 1);

    if (n)
        memcpy(v->u.s.text, s, n);
    v->u.s.text[n] = 0;
    v->u.s.len = n;
    return v;
}

struct json *json_sealed(const char *s, size_t n) {
    struct json *v = json_string_len(s, n);

    v->head = JSON_SEALED;
    return v;
}

struct json *json_string(const char *s) {
    return s ? json_string_len(s, strlen(s)) : json_null();
}

struct json *json_stringf(const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    _cleanup_free_ char *s = xvasprintf(fmt, ap);
    va_end(ap);
    return json_string(s);
}

struct json *json_array(void) {
    return new_value(JSON_ARRAY, 0);
}

struct json *json_object(void) {
    return new_value(JSON_OBJECT, 0);
}

/* --- readers --- */

enum json_type json_type(const struct json *v) {
    return v ? type_of(v) : JSON_NULL;
}

const char *json_type_name(const struct json *v) {
    static const char *const names[] = {"null", "bool", "number", "number", "string", "array", "object", "object"};

    return names[json_type(v)];
}

bool json_is_object(const struct json *v) {
    return v && type_of(v) == JSON_OBJECT;
}

bool json_is_array(const struct json *v) {
    return v && type_of(v) == JSON_ARRAY;
}

bool json_is_string(const struct json *v) {
    return v && type_of(v) == JSON_STRING;
}

bool json_is_null(const struct json *v) {
    return json_type(v) == JSON_NULL;
}

const char *json_str(const struct json *v) {
    return json_is_string(v) ? string_text(v) : NULL;
}

const char *json_str_or(const struct json *v, const char *otherwise) {
    return json_is_string(v) ? string_text(v) : otherwise;
}

size_t json_str_len(const struct json *v) {
    return json_is_string(v) ? string_len(v) : 0;
}

int64_t json_int_or(const struct json *v, int64_t otherwise) {
    if (json_type(v) == JSON_INT)
        return int_value(v);
    if (json_type(v) != JSON_DOUBLE)
        return otherwise;
    double d = double_value(v);
    return d == trunc(d) && d >= -0x1p63 && d < 0x1p63 ? (int64_t) d : otherwise;
}

double json_double_or(const struct json *v, double otherwise) {
    if (json_type(v) == JSON_INT)
        return (double) int_value(v);
    return json_type(v) == JSON_DOUBLE ? double_value(v) : otherwise;
}

bool json_bool_or(const struct json *v, bool otherwise) {
    return json_type(v) == JSON_BOOL ? bool_value(v) : otherwise;
}

size_t json_len(const struct json *v) {
    return json_is_array(v) || json_is_object(v) ? count_of(v) : 0;
}

struct json *json_at(const struct json *v, size_t i) {
    return json_is_array(v) && i < count_of(v) ? array_item(v, (uint32_t) i) : NULL;
}

static bool key_is(const struct json *key, const char *s, size_t n) {
    return string_len(key) == n && memcmp(string_text(key), s, n) == 0;
}

static const uint32_t *member_index(const struct json *v, uint32_t *ret_mask) {
    if (!is_packed(v)) {
        *ret_mask = v->u.object.index_mask;
        return v->u.object.index;
    }
    uint32_t n = count_of(v);
    if (n <= INDEX_FROM)
        return NULL;
    *ret_mask = packed_index_size(n) - 1;
    return words_of(v) + 2 + 2 * (size_t) n;
}

/* The member's number, or UINT32_MAX. */
static uint32_t find_member(const struct json *v, const char *key, size_t n) {
    uint32_t mask;
    const uint32_t *index = member_index(v, &mask);

    if (index) {
        for (uint32_t h = (uint32_t) fnv1a(key, n);; h++) {
            uint32_t at = index[h & mask];
            if (!at)
                return UINT32_MAX;
            if (key_is(member_key(v, at - 1), key, n))
                return at - 1;
        }
    }
    for (uint32_t i = 0, count = count_of(v); i < count; i++)
        if (key_is(member_key(v, i), key, n))
            return i;
    return UINT32_MAX;
}

struct json *json_get(const struct json *v, const char *key) {
    if (!json_is_object(v))
        return NULL;
    uint32_t i = find_member(v, key, strlen(key));
    return i == UINT32_MAX ? NULL : member_value(v, i);
}

const char *json_get_str(const struct json *v, const char *key) {
    return json_str_or(json_get(v, key), "");
}

bool json_get_is(const struct json *v, const char *key, const char *text) {
    return strcmp(json_get_str(v, key), text) == 0;
}

const char *json_key_at(const struct json *v, size_t i) {
    return json_is_object(v) && i < count_of(v) ? string_text(member_key(v, (uint32_t) i)) : NULL;
}

struct json *json_key_value_at(const struct json *v, size_t i) {
    return json_is_object(v) && i < count_of(v) ? member_key(v, (uint32_t) i) : NULL;
}

struct json *json_value_at(const struct json *v, size_t i) {
    return json_is_object(v) && i < count_of(v) ? member_value(v, (uint32_t) i) : NULL;
}

struct json *json_path_(const struct json *v, ...) {
    va_list ap;
    const char *key;

    va_start(ap, v);
    while (v && (key = va_arg(ap, const char *)))
        v = json_get(v, key);
    va_end(ap);
    return (struct json *) v;
}

/* --- sealed objects --- */

const char *json_sealed_text(const struct json *v, size_t *ret_len) {
    if (!v || type_of(v) != JSON_SEALED)
        return NULL;
    if (ret_len)
        *ret_len = string_len(v);
    return string_text(v);
}

struct json *json_opened(const struct json *v) {
    struct json *tree = NULL;

    if (!v || type_of(v) != JSON_SEALED)
        return json_ref(v);
    return json_parse(string_text(v), string_len(v), NULL, &tree, NULL) < 0 ? json_object() : tree;
}

static bool equal_opened(const struct json *a, const struct json *b) {
    _cleanup_json_ struct json *x = json_opened(a), *y = json_opened(b);

    return json_equal(x, y);
}

static bool equal_objects(const struct json *a, const struct json *b) {
    uint32_t n = count_of(a);

    if (n != count_of(b))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const struct json *key = member_key(a, i);
        /* usually both have the same order */
        uint32_t at = key_is(member_key(b, i), string_text(key), string_len(key))
                          ? i
                          : find_member(b, string_text(key), string_len(key));
        if (at == UINT32_MAX || !json_equal(member_value(a, i), member_value(b, at)))
            return false;
    }
    return true;
}

static bool equal_arrays(const struct json *a, const struct json *b) {
    uint32_t n = count_of(a);

    if (n != count_of(b))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!json_equal(array_item(a, i), array_item(b, i)))
            return false;
    return true;
}

bool json_equal(const struct json *a, const struct json *b) {
    if (a == b)
        return true;
    if (json_type(a) != json_type(b)) {
        bool numbers = (json_type(a) == JSON_INT || json_type(a) == JSON_DOUBLE) &&
                       (json_type(b) == JSON_INT || json_type(b) == JSON_DOUBLE);
        if (json_type(a) == JSON_SEALED || json_type(b) == JSON_SEALED)
            return (json_is_object(a) || json_is_object(b)) && equal_opened(a, b);
        return numbers && json_double_or(a, 0) == json_double_or(b, 0);
    }
    switch (json_type(a)) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return bool_value(a) == bool_value(b);
    case JSON_INT:
        return int_value(a) == int_value(b);
    case JSON_DOUBLE:
        return double_value(a) == double_value(b);
    case JSON_STRING:
        return key_is(a, string_text(b), string_len(b));
    case JSON_ARRAY:
        return equal_arrays(a, b);
    case JSON_OBJECT:
        return equal_objects(a, b);
    case JSON_SEALED:
        return key_is(a, string_text(b), string_len(b)) || equal_opened(a, b);
    }
    return false;
}

static bool measure(const struct json *v, size_t *nodes, size_t nodes_max, unsigned depth) {
    if (++*nodes > nodes_max || depth == 0)
        return false;
    for (uint32_t i = 0; json_is_array(v) && i < count_of(v); i++)
        if (!measure(array_item(v, i), nodes, nodes_max, depth - 1))
            return false;
    for (uint32_t i = 0; json_is_object(v) && i < count_of(v); i++)
        if (!measure(member_value(v, i), nodes, nodes_max, depth - 1))
            return false;
    return true;
}

bool json_within(const struct json *v, size_t nodes_max, unsigned depth_max) {
    size_t nodes = 0;

    return measure(v, &nodes, nodes_max, depth_max);
}

/* --- writers --- */

static struct json *copy_array(const struct json *v) {
    uint32_t n = count_of(v);
    struct json *c = new_value(JSON_ARRAY, 0);

    c->u.array.n = c->u.array.cap = n;
    c->u.array.items = n ? xreallocarray(NULL, n, sizeof(struct json *)) : NULL;
    for (uint32_t i = 0; i < n; i++)
        c->u.array.items[i] = json_ref(array_item(v, i));
    return c;
}

static void index_rebuild(struct json *v);

static struct json *copy_object(const struct json *v) {
    uint32_t n = count_of(v);
    struct json *c = new_value(JSON_OBJECT, 0);

    c->u.object.n = c->u.object.cap = n;
    c->u.object.members = n ? xreallocarray(NULL, n, sizeof(struct member)) : NULL;
    for (uint32_t i = 0; i < n; i++)
        c->u.object.members[i] = (struct member){json_ref(member_key(v, i)), json_ref(member_value(v, i))};
    if (!is_packed(v) && v->u.object.index) {
        c->u.object.index = xmemdup(v->u.object.index, sizeof(uint32_t) * ((size_t) v->u.object.index_mask + 1));
        c->u.object.index_mask = v->u.object.index_mask;
    } else {
        index_rebuild(c);
    }
    return c;
}

static struct json *copy_scalar(const struct json *v) {
    switch (type_of(v)) {
    case JSON_BOOL:
        return json_bool(bool_value(v));
    case JSON_INT:
        return json_int(int_value(v));
    case JSON_DOUBLE:
        return json_double(double_value(v));
    case JSON_STRING:
        return json_string_len(string_text(v), string_len(v));
    case JSON_SEALED:
        return json_sealed(string_text(v), string_len(v));
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return json_null();
}

static struct json *copy_shallow(const struct json *v) {
    struct json *c = json_is_array(v) ? copy_array(v) : json_is_object(v) ? copy_object(v) : copy_scalar(v);

    if (!is_packed(v))
        json_set_position(c, v->line, v->head >> 16);
    return c;
}

/* Makes *slot a value of the type that nobody else holds. */
static struct json *own(struct json **slot, enum json_type type) {
    struct json *v = *slot;

    if (json_is_null(v)) {
        struct json *made = new_value(type, 0);
        if (v && !is_packed(v))
            json_set_position(made, v->line, v->head >> 16);
        json_unref(v);
        return *slot = made;
    }
    if (!is_packed(v) && !json_is_shared(v))
        return v;
    struct json *copy = copy_shallow(v);
    json_unref(v);
    return *slot = copy;
}

static void index_insert(struct json *v, uint32_t i) {
    const struct json *key = v->u.object.members[i].key;
    uint32_t h = (uint32_t) fnv1a(string_text(key), string_len(key));

    while (v->u.object.index[h & v->u.object.index_mask])
        h++;
    v->u.object.index[h & v->u.object.index_mask] = i + 1;
}

static void index_rebuild(struct json *v) {
    free(v->u.object.index);
    v->u.object.index = NULL;
    if (v->u.object.n <= INDEX_FROM)
        return;
    uint32_t size = 64;
    while (size < v->u.object.n * 3)
        size *= 2;
    v->u.object.index = xcalloc(size, sizeof(uint32_t));
    v->u.object.index_mask = size - 1;
    for (uint32_t i = 0; i < v->u.object.n; i++)
        index_insert(v, i);
}

/* Appends a member known to be absent; takes both references. */
static struct json **add_member(struct json *v, struct json *key, struct json *value) {
    xgrow(&v->u.object.members, v->u.object.n, &v->u.object.cap);
    v->u.object.members[v->u.object.n] = (struct member){key, value};
    v->u.object.n++;
    if (v->u.object.index ? v->u.object.n * 2 > v->u.object.index_mask : v->u.object.n > INDEX_FROM)
        index_rebuild(v);
    else if (v->u.object.index)
        index_insert(v, v->u.object.n - 1);
    return &v->u.object.members[v->u.object.n - 1].value;
}

struct json **json_edit(struct json **object, const char *key) {
    struct json *v = own(object, JSON_OBJECT);

    if (type_of(v) != JSON_OBJECT) { /* writing into a scalar: the scalar gives way */
        json_unref(v);
        *object = v = json_object();
    }
    size_t n = strlen(key);
    uint32_t i = find_member(v, key, n);
    if (i != UINT32_MAX)
        return &v->u.object.members[i].value;
    return add_member(v, json_string_len(key, n), json_null());
}

struct json **json_set(struct json **object, const char *key, struct json *take) {
    struct json **slot = json_edit(object, key);

    json_unref(*slot);
    *slot = take ? take : json_null();
    return slot;
}

void json_set_key(struct json **object, struct json *key_take, struct json *take) {
    struct json *v = own(object, JSON_OBJECT);
    uint32_t i = find_member(v, string_text(key_take), string_len(key_take));

    if (i == UINT32_MAX) {
        add_member(v, key_take, take);
        return;
    }
    json_unref(key_take);
    json_unref(v->u.object.members[i].value);
    v->u.object.members[i].value = take;
}

bool json_del(struct json **object, const char *key) {
    if (!json_is_object(*object) || find_member(*object, key, strlen(key)) == UINT32_MAX)
        return false;
    struct json *v = own(object, JSON_OBJECT);
    uint32_t i = find_member(v, key, strlen(key));
    json_unref(v->u.object.members[i].key);
    json_unref(v->u.object.members[i].value);
    v->u.object.n--;
    memmove(&v->u.object.members[i], &v->u.object.members[i + 1], sizeof(struct member) * (v->u.object.n - i));
    index_rebuild(v);
    return true;
}

struct json **json_edit_at(struct json **array, size_t i) {
    if (!json_is_array(*array) || i >= count_of(*array))
        return NULL;
    return &own(array, JSON_ARRAY)->u.array.items[i];
}

void json_insert_at(struct json **array, size_t i, struct json *take) {
    struct json *v = own(array, JSON_ARRAY);

    if (type_of(v) != JSON_ARRAY) {
        json_unref(v);
        *array = v = json_array();
    }
    if (i > v->u.array.n)
        i = v->u.array.n;
    xgrow(&v->u.array.items, v->u.array.n, &v->u.array.cap);
    memmove(&v->u.array.items[i + 1], &v->u.array.items[i], sizeof(struct json *) * (v->u.array.n - i));
    v->u.array.items[i] = take ? take : json_null();
    v->u.array.n++;
}

struct json **json_append(struct json **array, struct json *take) {
    json_insert_at(array, json_is_array(*array) ? count_of(*array) : 0, take);
    return &(*array)->u.array.items[(*array)->u.array.n - 1];
}

void json_remove_at(struct json **array, size_t i) {
    if (!json_is_array(*array) || i >= count_of(*array))
        return;
    struct json *v = own(array, JSON_ARRAY);
    json_unref(v->u.array.items[i]);
    v->u.array.n--;
    memmove(&v->u.array.items[i], &v->u.array.items[i + 1], sizeof(struct json *) * (v->u.array.n - i));
}

void json_set_path_(struct json **root, struct json *take, ...) {
    va_list ap;
    const char *key;

    va_start(ap, take);
    while ((key = va_arg(ap, const char *)))
        root = json_edit(root, key);
    va_end(ap);
    json_unref(*root);
    *root = take ? take : json_null();
}

/* --- positions --- */

unsigned json_line(const struct json *v) {
    return v && !is_packed(v) ? v->line : 0;
}

unsigned json_column(const struct json *v) {
    return v && !is_packed(v) ? v->head >> 16 : 0;
}

void json_set_position(struct json *v, unsigned line, unsigned column) {
    v->line = line;
    v->head = (v->head & UINT16_MAX) | (column > UINT16_MAX ? UINT16_MAX : column) << 16;
}
