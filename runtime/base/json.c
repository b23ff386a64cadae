/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The value tree: lifetime, readers, copy-on-write writers. Reading text is in json_read.c, writing it in json_write.c.
 */
#include "podium/base/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

/* Objects with more members than this get a hash index: keeps look-ups in hostile or simply large maps O(1). */
#define INDEX_FROM 16u

struct member {
    struct json *key; /* a JSON_STRING, shared between copies of the object */
    struct json *value;
};

struct json {
    _Atomic uint32_t refs;
    uint8_t type;
    uint16_t column;
    uint32_t line;
    union {
        bool b;
        int64_t i;
        double d;
        size_t len; /* string, sealed object: bytes in text[] */
        struct {
            uint32_t n, cap;
            struct json **items;
        } array;
        struct {
            uint32_t n, cap;
            struct member *members;
            uint32_t *index; /* open addressing, member number + 1; NULL up to INDEX_FROM members */
            uint32_t index_mask;
        } object;
    } u;
    char text[];
};

static struct json *new_value(enum json_type type, size_t extra) {
    struct json *v = xmalloc(sizeof(*v) + extra);

    *v = (struct json){.refs = 1, .type = (uint8_t) type};
    return v;
}

struct json *json_ref(const struct json *v) {
    struct json *w = (struct json *) v; /* the count is the only part that changes */

    if (w)
        atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
    return w;
}

bool json_is_shared(const struct json *v) {
    return atomic_load_explicit(&((struct json *) v)->refs, memory_order_acquire) > 1;
}

void json_unref(struct json *v) {
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (v->type == JSON_ARRAY) {
        for (uint32_t i = 0; i < v->u.array.n; i++)
            json_unref(v->u.array.items[i]);
        free(v->u.array.items);
    } else if (v->type == JSON_OBJECT) {
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
        memcpy(v->text, s, n);
    v->text[n] = 0;
    v->u.len = n;
    return v;
}

struct json *json_sealed(const char *s, size_t n) {
    struct json *v = json_string_len(s, n);

    v->type = JSON_SEALED;
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
    return v ? (enum json_type) v->type : JSON_NULL;
}

const char *json_type_name(const struct json *v) {
    static const char *const names[] = {"null", "bool", "number", "number", "string", "array", "object", "object"};

    return names[json_type(v)];
}

bool json_is_object(const struct json *v) {
    return v && v->type == JSON_OBJECT;
}

bool json_is_array(const struct json *v) {
    return v && v->type == JSON_ARRAY;
}

bool json_is_string(const struct json *v) {
    return v && v->type == JSON_STRING;
}

bool json_is_null(const struct json *v) {
    return json_type(v) == JSON_NULL;
}

const char *json_str(const struct json *v) {
    return json_is_string(v) ? v->text : NULL;
}

const char *json_str_or(const struct json *v, const char *otherwise) {
    return json_is_string(v) ? v->text : otherwise;
}

size_t json_str_len(const struct json *v) {
    return json_is_string(v) ? v->u.len : 0;
}

int64_t json_int_or(const struct json *v, int64_t otherwise) {
    if (!v)
        return otherwise;
    if (v->type == JSON_INT)
        return v->u.i;
    if (v->type == JSON_DOUBLE && v->u.d == trunc(v->u.d) && v->u.d >= -0x1p63 && v->u.d < 0x1p63)
        return (int64_t) v->u.d;
    return otherwise;
}

double json_double_or(const struct json *v, double otherwise) {
    if (!v)
        return otherwise;
    if (v->type == JSON_INT)
        return (double) v->u.i;
    return v->type == JSON_DOUBLE ? v->u.d : otherwise;
}

bool json_bool_or(const struct json *v, bool otherwise) {
    return v && v->type == JSON_BOOL ? v->u.b : otherwise;
}

size_t json_len(const struct json *v) {
    if (!v)
        return 0;
    return v->type == JSON_ARRAY ? v->u.array.n : v->type == JSON_OBJECT ? v->u.object.n : 0;
}

struct json *json_at(const struct json *v, size_t i) {
    return json_is_array(v) && i < v->u.array.n ? v->u.array.items[i] : NULL;
}

static bool key_is(const struct json *key, const char *s, size_t n) {
    return key->u.len == n && memcmp(key->text, s, n) == 0;
}

/* The member's number, or UINT32_MAX. */
static uint32_t find_member(const struct json *v, const char *key, size_t n) {
    if (v->u.object.index) {
        for (uint32_t h = (uint32_t) fnv1a(key, n);; h++) {
            uint32_t at = v->u.object.index[h & v->u.object.index_mask];
            if (!at)
                return UINT32_MAX;
            if (key_is(v->u.object.members[at - 1].key, key, n))
                return at - 1;
        }
    }
    for (uint32_t i = 0; i < v->u.object.n; i++)
        if (key_is(v->u.object.members[i].key, key, n))
            return i;
    return UINT32_MAX;
}

struct json *json_get(const struct json *v, const char *key) {
    if (!json_is_object(v))
        return NULL;
    uint32_t i = find_member(v, key, strlen(key));
    return i == UINT32_MAX ? NULL : v->u.object.members[i].value;
}

const char *json_get_str(const struct json *v, const char *key) {
    return json_str_or(json_get(v, key), "");
}

bool json_get_is(const struct json *v, const char *key, const char *text) {
    return strcmp(json_get_str(v, key), text) == 0;
}

const char *json_key_at(const struct json *v, size_t i) {
    return json_is_object(v) && i < v->u.object.n ? v->u.object.members[i].key->text : NULL;
}

struct json *json_key_value_at(const struct json *v, size_t i) {
    return json_is_object(v) && i < v->u.object.n ? v->u.object.members[i].key : NULL;
}

struct json *json_value_at(const struct json *v, size_t i) {
    return json_is_object(v) && i < v->u.object.n ? v->u.object.members[i].value : NULL;
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
    if (!v || v->type != JSON_SEALED)
        return NULL;
    if (ret_len)
        *ret_len = v->u.len;
    return v->text;
}

struct json *json_opened(const struct json *v) {
    struct json *tree = NULL;

    if (!v || v->type != JSON_SEALED)
        return json_ref(v);
    return json_parse(v->text, v->u.len, NULL, &tree, NULL) < 0 ? json_object() : tree;
}

static bool equal_opened(const struct json *a, const struct json *b) {
    _cleanup_json_ struct json *x = json_opened(a), *y = json_opened(b);

    return json_equal(x, y);
}

static bool equal_objects(const struct json *a, const struct json *b) {
    if (a->u.object.n != b->u.object.n)
        return false;
    for (uint32_t i = 0; i < a->u.object.n; i++) {
        const struct member *m = &a->u.object.members[i];
        /* usually both have the same order */
        uint32_t at = i < b->u.object.n && key_is(b->u.object.members[i].key, m->key->text, m->key->u.len)
                          ? i
                          : find_member(b, m->key->text, m->key->u.len);
        if (at == UINT32_MAX || !json_equal(m->value, b->u.object.members[at].value))
            return false;
    }
    return true;
}

bool json_equal(const struct json *a, const struct json *b) {
    if (a == b)
        return true;
    if (json_type(a) != json_type(b)) {
        bool numbers = a && b && (a->type == JSON_INT || a->type == JSON_DOUBLE) &&
                       (b->type == JSON_INT || b->type == JSON_DOUBLE);
        if (json_type(a) == JSON_SEALED || json_type(b) == JSON_SEALED)
            return (json_is_object(a) || json_is_object(b)) && equal_opened(a, b);
        return numbers && json_double_or(a, 0) == json_double_or(b, 0);
    }
    switch (json_type(a)) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return a->u.b == b->u.b;
    case JSON_INT:
        return a->u.i == b->u.i;
    case JSON_DOUBLE:
        return a->u.d == b->u.d;
    case JSON_STRING:
        return key_is(a, b->text, b->u.len);
    case JSON_ARRAY:
        if (a->u.array.n != b->u.array.n)
            return false;
        for (uint32_t i = 0; i < a->u.array.n; i++)
            if (!json_equal(a->u.array.items[i], b->u.array.items[i]))
                return false;
        return true;
    case JSON_OBJECT:
        return equal_objects(a, b);
    case JSON_SEALED:
        return key_is(a, b->text, b->u.len) || equal_opened(a, b);
    }
    return false;
}

static bool measure(const struct json *v, size_t *nodes, size_t nodes_max, unsigned depth) {
    if (++*nodes > nodes_max || depth == 0)
        return false;
    for (uint32_t i = 0; json_is_array(v) && i < v->u.array.n; i++)
        if (!measure(v->u.array.items[i], nodes, nodes_max, depth - 1))
            return false;
    for (uint32_t i = 0; json_is_object(v) && i < v->u.object.n; i++)
        if (!measure(v->u.object.members[i].value, nodes, nodes_max, depth - 1))
            return false;
    return true;
}

bool json_within(const struct json *v, size_t nodes_max, unsigned depth_max) {
    size_t nodes = 0;

    return measure(v, &nodes, nodes_max, depth_max);
}

/* --- writers --- */

static struct json *copy_shallow(const struct json *v) {
    struct json *c;

    if (v->type == JSON_STRING || v->type == JSON_SEALED) {
        c = json_string_len(v->text, v->u.len);
        c->type = v->type;
    } else {
        c = new_value((enum json_type) v->type, 0);
        c->u = v->u;
    }
    if (v->type == JSON_ARRAY) {
        c->u.array.cap = v->u.array.n;
        c->u.array.items = xmemdup(v->u.array.items, sizeof(struct json *) * v->u.array.n);
        for (uint32_t i = 0; i < c->u.array.n; i++)
            json_ref(c->u.array.items[i]);
    } else if (v->type == JSON_OBJECT) {
        c->u.object.cap = v->u.object.n;
        c->u.object.members = xmemdup(v->u.object.members, sizeof(struct member) * v->u.object.n);
        for (uint32_t i = 0; i < c->u.object.n; i++) {
            json_ref(c->u.object.members[i].key);
            json_ref(c->u.object.members[i].value);
        }
        if (v->u.object.index)
            c->u.object.index = xmemdup(v->u.object.index, sizeof(uint32_t) * ((size_t) v->u.object.index_mask + 1));
    }
    c->line = v->line;
    c->column = v->column;
    return c;
}

/* Makes *slot a value of the type that nobody else holds. */
static struct json *own(struct json **slot, enum json_type type) {
    struct json *v = *slot;

    if (json_is_null(v)) {
        struct json *made = new_value(type, 0);
        if (v) {
            made->line = v->line;
            made->column = v->column;
        }
        json_unref(v);
        return *slot = made;
    }
    if (atomic_load_explicit(&v->refs, memory_order_acquire) == 1)
        return v;
    struct json *copy = copy_shallow(v);
    json_unref(v);
    return *slot = copy;
}

static void index_insert(struct json *v, uint32_t i) {
    const struct json *key = v->u.object.members[i].key;
    uint32_t h = (uint32_t) fnv1a(key->text, key->u.len);

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

    if (v->type != JSON_OBJECT) { /* writing into a scalar: the scalar gives way */
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
    uint32_t i = find_member(v, key_take->text, key_take->u.len);

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
    if (!json_is_array(*array) || i >= (*array)->u.array.n)
        return NULL;
    return &own(array, JSON_ARRAY)->u.array.items[i];
}

void json_insert_at(struct json **array, size_t i, struct json *take) {
    struct json *v = own(array, JSON_ARRAY);

    if (v->type != JSON_ARRAY) {
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
    json_insert_at(array, json_is_array(*array) ? (*array)->u.array.n : 0, take);
    return &(*array)->u.array.items[(*array)->u.array.n - 1];
}

void json_remove_at(struct json **array, size_t i) {
    if (!json_is_array(*array) || i >= (*array)->u.array.n)
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
    return v ? v->line : 0;
}

unsigned json_column(const struct json *v) {
    return v ? v->column : 0;
}

void json_set_position(struct json *v, unsigned line, unsigned column) {
    v->line = line;
    v->column = column > UINT16_MAX ? UINT16_MAX : (uint16_t) column;
}
