/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/spec/field.h"

#include <string.h>

#include "podium/base/alloc.h"

int field_error(struct error *err, const char *where, const char *key, const char *problem) {
    return error_set(err, -EINVAL, "config: %s%s%s: %s", where, *where && *key ? "." : "", key, problem);
}

static const struct json *member(const struct json *o, const char *key) {
    const struct json *v = json_get(o, key);

    return json_is_null(v) ? NULL : v;
}

static int check_string(const struct json *v, const char *where, const char *key, struct error *err) {
    if (!json_is_string(v))
        return field_error(err, where, key, "must be a string");
    if (strlen(json_str(v)) != json_str_len(v))
        return field_error(err, where, key, "must not contain NUL");
    return 0;
}

int field_string(const struct json *o, const char *where, const char *key, char **ret, struct error *err) {
    const struct json *v = member(o, key);
    int r;

    if (!v)
        return 0;
    r = check_string(v, where, key, err);
    if (r < 0 || json_str_len(v) == 0)
        return r;
    free(*ret);
    *ret = xstrdup(json_str(v));
    return 0;
}

int field_strv(const struct json *o, const char *where, const char *key, char ***ret, struct error *err) {
    const struct json *v = member(o, key);
    _cleanup_strv_ char **list = NULL;
    size_t n;

    if (!v)
        return 0;
    if (!json_is_array(v))
        return field_error(err, where, key, "must be an array of strings");
    n = json_len(v);
    list = xcalloc(n + 1, sizeof(*list));
    for (size_t i = 0; i < n; i++) {
        int r = check_string(json_at(v, i), where, key, err);

        if (r < 0)
            return r;
        list[i] = xstrdup(json_str(json_at(v, i)));
    }
    strv_free(*ret);
    *ret = steal(&list);
    return 0;
}

int field_bool(const struct json *o, const char *where, const char *key, bool *ret, struct error *err) {
    const struct json *v = member(o, key);

    if (!v)
        return 0;
    if (json_type(v) != JSON_BOOL)
        return field_error(err, where, key, "must be true or false");
    *ret = json_bool_or(v, false);
    return 0;
}

int field_u64(const struct json *o, const char *where, const char *key, uint64_t max, uint64_t *ret,
              struct error *err) {
    const struct json *v = member(o, key);

    if (!v)
        return 0;
    if (json_type(v) == JSON_DOUBLE && json_double_or(v, 0) > 9.3e18 && max == UINT64_MAX) {
        double d = json_double_or(v, 0);

        *ret = d >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t) d;
        return 0;
    }
    int64_t n = json_int_or(v, -1);
    if (n < 0 || (uint64_t) n > max)
        return field_error(err, where, key, "must be a whole number in range");
    *ret = (uint64_t) n;
    return 0;
}

int field_u32(const struct json *o, const char *where, const char *key, uint32_t *ret, struct error *err) {
    uint64_t n = *ret;
    int r = field_u64(o, where, key, UINT32_MAX, &n, err);

    if (r == 0)
        *ret = (uint32_t) n;
    return r;
}

int field_i64(const struct json *o, const char *where, const char *key, int64_t min, int64_t max, int64_t *ret,
              struct error *err) {
    const struct json *v = member(o, key);

    if (!v)
        return 0;
    if (json_int_or(v, 0) != json_int_or(v, 1))
        return field_error(err, where, key, "must be a whole number");
    int64_t n = json_int_or(v, 0);
    if (n < min || n > max)
        return field_error(err, where, key, "is out of range");
    *ret = n;
    return 0;
}

int field_object(const struct json *o, const char *where, const char *key, const struct json **ret, struct error *err) {
    const struct json *v = member(o, key);

    if (v && !json_is_object(v))
        return field_error(err, where, key, "must be an object");
    *ret = v;
    return 0;
}

int field_array(const struct json *o, const char *where, const char *key, const struct json **ret, struct error *err) {
    const struct json *v = member(o, key);

    if (v && !json_is_array(v))
        return field_error(err, where, key, "must be an array");
    *ret = v;
    return 0;
}

int field_string_map(const struct json *o, const char *where, const char *key, struct json **ret, struct error *err) {
    const struct json *v;
    int r = field_object(o, where, key, &v, err);

    if (r < 0 || !v)
        return r;
    for (size_t i = 0; i < json_len(v); i++)
        if (!json_is_string(json_value_at(v, i)))
            return field_error(err, where, key, "must be an object of strings");
    json_unref(*ret);
    *ret = json_ref(v);
    return 0;
}

static bool is_empty(const struct json *v) {
    switch (json_type(v)) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return !json_bool_or(v, true);
    case JSON_STRING:
        return json_str_len(v) == 0;
    case JSON_ARRAY:
    case JSON_OBJECT:
        return json_len(v) == 0;
    case JSON_INT:
    case JSON_DOUBLE:
    case JSON_SEALED:
        return false;
    }
    return false;
}

int field_refuse(const struct json *o, const char *where, const char *const *keys, struct error *err) {
    for (size_t i = 0; keys[i]; i++)
        if (!is_empty(json_get(o, keys[i])))
            return error_set(err, -EOPNOTSUPP, "config: %s%s%s is not supported", where, *where ? "." : "", keys[i]);
    return 0;
}
