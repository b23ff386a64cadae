/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/places.h"

#include <stdarg.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

struct place place_in(const struct place *up, const char *name) {
    return (struct place){.up = up, .name = name};
}

struct place place_at(const struct place *up, size_t index) {
    return (struct place){.up = up, .index = index};
}

struct place place_key(const struct place *up, const char *key) {
    return (struct place){.up = up, .name = key, .is_key = true};
}

static void append_place(const struct place *at, struct strbuf *out) {
    if (!at)
        return;
    append_place(at->up, out);
    if (!at->name)
        strbuf_addf(out, "[%zu]", at->index);
    else if (at->is_key)
        strbuf_addf(out, "[%s]", at->name);
    else
        strbuf_addf(out, "%s%s", out->len ? "." : "", at->name);
}

char *place_text(const struct place *at) {
    struct strbuf out = STRBUF_INIT;
    append_place(at, &out);
    return strbuf_steal(&out);
}

/* --- complaints --- */

static void complain(struct field_errors *e, const char *reason, const struct place *at, const struct json *value,
                     const char *fmt, va_list ap) __attribute__((format(printf, 5, 0)));
static void complain(struct field_errors *e, const char *reason, const struct place *at, const struct json *value,
                     const char *fmt, va_list ap) {
    _cleanup_free_ char *field = place_text(at), *detail = xvasprintf(fmt, ap);
    field_errors_add(e, reason, field, value, "%s", detail);
}

static void complain_value(struct field_errors *e, const char *reason, const struct place *at, const char *value,
                           const char *detail) {
    _cleanup_free_ char *field = place_text(at);
    _cleanup_json_ struct json *v = value ? json_string(value) : NULL;
    field_errors_add(e, reason, field, v, "%s", detail);
}

void complain_required(struct field_errors *e, const struct place *at, const char *detail) {
    complain_value(e, "FieldValueRequired", at, NULL, detail);
}

void complain_invalid(struct field_errors *e, const struct place *at, const struct json *value, const char *fmt, ...) {
    _cleanup_json_ struct json *shown = value ? json_ref(value) : json_null();
    va_list ap;
    va_start(ap, fmt);
    complain(e, "FieldValueInvalid", at, shown, fmt, ap);
    va_end(ap);
}

void complain_invalid_text(struct field_errors *e, const struct place *at, const char *value, const char *fmt, ...) {
    _cleanup_json_ struct json *shown = json_string(value);
    va_list ap;
    va_start(ap, fmt);
    complain(e, "FieldValueInvalid", at, shown, fmt, ap);
    va_end(ap);
}

void complain_invalid_bare(struct field_errors *e, const struct place *at, const char *detail) {
    complain_value(e, "FieldValueInvalid", at, NULL, detail);
}

void complain_invalid_amount(struct field_errors *e, const struct place *at, const struct json *value,
                             const char *detail) {
    bool text = json_is_string(value);
    _cleanup_free_ char *shown =
        xasprintf("intstr.IntOrString{Type:%d, IntVal:%lld, StrVal:\"%s\"}: %s", text,
                  text ? 0 : (long long) json_int_or(value, 0), text ? json_str(value) : "", detail);
    complain_value(e, "FieldValueInvalid", at, NULL, shown);
}

void complain_forbidden(struct field_errors *e, const struct place *at, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    complain(e, "FieldValueForbidden", at, NULL, fmt, ap);
    va_end(ap);
}

void complain_duplicate(struct field_errors *e, const struct place *at, const char *value) {
    complain_value(e, "FieldValueDuplicate", at, value, "");
}

void complain_not_found(struct field_errors *e, const struct place *at, const char *value) {
    complain_value(e, "FieldValueNotFound", at, value, "");
}

void complain_not_supported(struct field_errors *e, const struct place *at, const char *value,
                            const char *const *sorted) {
    _cleanup_strbuf_ struct strbuf list = STRBUF_INIT;
    strbuf_adds(&list, "supported values: ");
    for (size_t i = 0; sorted[i]; i++)
        strbuf_addf(&list, "%s\"%s\"", i ? ", " : "", sorted[i]);
    complain_value(e, "FieldValueNotSupported", at, value, strbuf_str(&list));
}

void complain_too_long(struct field_errors *e, const struct place *at, size_t max) {
    _cleanup_free_ char *detail = xasprintf("may not be more than %zu bytes", max);
    complain_value(e, "FieldValueTooLong", at, NULL, detail);
}

void complain_too_many(struct field_errors *e, const struct place *at, size_t have, size_t max) {
    _cleanup_free_ char *field = place_text(at);
    _cleanup_json_ struct json *n = json_int((int64_t) have);
    field_errors_add(e, "FieldValueTooMany", field, n, "must have at most %zu item%s", max, max == 1 ? "" : "s");
}

/* --- checks --- */

bool check_name(struct field_errors *e, const struct place *at, const char *value, name_form form) {
    const char *problems[NAME_PROBLEMS_MAX];
    size_t n = form(value, problems);
    for (size_t i = 0; i < n; i++)
        complain_invalid_text(e, at, value, "%s", problems[i]);
    return n == 0;
}

bool check_joined_name(struct field_errors *e, const struct place *at, const char *value, name_form form) {
    const char *problems[NAME_PROBLEMS_MAX];
    _cleanup_strbuf_ struct strbuf all = STRBUF_INIT;
    size_t n = form(value, problems);
    for (size_t i = 0; i < n; i++)
        strbuf_addf(&all, "%s%s", i ? ";" : "", problems[i]);
    if (n)
        complain_invalid_text(e, at, value, "%s", strbuf_str(&all));
    return n == 0;
}

bool check_required_text(struct field_errors *e, const struct place *at, const struct json *object, const char *key) {
    struct place place = place_in(at, key);
    if (json_str_len(json_get(object, key)))
        return true;
    complain_required(e, &place, "");
    return false;
}

bool check_member_name(struct field_errors *e, const struct place *at, const struct json *object, const char *key,
                       bool required, name_form form) {
    struct place place = place_in(at, key);
    const char *value = json_str_or(json_get(object, key), "");
    if (*value)
        return check_name(e, &place, value, form);
    if (required)
        complain_required(e, &place, "");
    return !required;
}

void check_range(struct field_errors *e, const struct place *at, const struct json *value, int64_t min, int64_t max) {
    int64_t v = json_int_or(value, min);
    if (v < min || v > max)
        complain_invalid(e, at, value, "must be between %lld and %lld, inclusive", (long long) min, (long long) max);
}

void check_port(struct field_errors *e, const struct place *at, const struct json *value) {
    _cleanup_json_ struct json *shown = value ? json_ref(value) : json_int(0);
    check_range(e, at, shown, 1, 65535);
}

void check_port_or_name(struct field_errors *e, const struct place *at, const struct json *value) {
    if (json_is_string(value))
        check_name(e, at, json_str(value), name_form_port);
    else
        check_port(e, at, value);
}

void check_non_negative(struct field_errors *e, const struct place *at, const struct json *object,
                        const char *const *keys) {
    for (; *keys; keys++) {
        struct place place = place_in(at, *keys);
        if (json_int_or(json_get(object, *keys), 0) < 0)
            complain_invalid(e, &place, json_get(object, *keys), "must be greater than or equal to 0");
    }
}

void check_one_of(struct field_errors *e, const struct place *at, const struct json *object, const char *key,
                  bool required, const char *const *sorted) {
    struct place place = place_in(at, key);
    const char *value = json_str_or(json_get(object, key), "");
    if (!*value) {
        if (required)
            complain_required(e, &place, "");
        return;
    }
    for (size_t i = 0; sorted[i]; i++)
        if (strcmp(sorted[i], value) == 0)
            return;
    complain_not_supported(e, &place, value, sorted);
}

void check_domain_path(struct field_errors *e, const struct place *at, const char *value) {
    const char *slash = strchr(value, '/');
    if (!slash || slash == value || !slash[1]) {
        complain_invalid_text(e, at, value, "must be a domain-prefixed path (such as \"acme.io/foo\")");
        return;
    }
    _cleanup_free_ char *domain = xstrndup(value, (size_t) (slash - value));
    check_name(e, at, domain, name_form_dns1123_subdomain);
    if (strspn(slash + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-._~%!$&'()*+,;=:") !=
        strlen(slash + 1))
        complain_invalid_text(e, at, slash + 1,
                              "Invalid path (regex used for validation is "
                              "'[A-Za-z0-9/\\-._~%%!$&'()*+,;=:]+')");
}

void check_immutable(struct field_errors *e, const struct place *at, const struct json *value, const struct json *old) {
    if (json_is_null(value) && json_is_null(old))
        return;
    if (!json_equal(value, old))
        complain_invalid(e, at, value, "field is immutable");
}

bool has_back_steps(const char *path) {
    for (const char *p = path; *p; p += strcspn(p, "/") + (p[strcspn(p, "/")] == '/'))
        if (strcspn(p, "/") == 2 && strncmp(p, "..", 2) == 0)
            return true;
    return false;
}

void check_no_back_steps(struct field_errors *e, const struct place *at, const char *path) {
    if (has_back_steps(path))
        complain_invalid_text(e, at, path, "must not contain '..'");
}

void check_relative_path(struct field_errors *e, const struct place *at, const char *path) {
    if (*path == '/')
        complain_invalid_text(e, at, path, "must be a relative path");
    check_no_back_steps(e, at, path);
}

bool seen_before(struct hashmap **set, const char *name) {
    if (!*set)
        *set = hashmap_new(NULL);
    if (hashmap_has(*set, name))
        return true;
    hashmap_put(*set, name, *set); /* any value: only the key counts */
    return false;
}

void check_labels(struct field_errors *e, const struct place *at, const struct json *labels) {
    for (size_t i = 0; i < json_len(labels); i++) {
        check_name(e, at, json_key_at(labels, i), name_form_qualified);
        check_name(e, at, json_str_or(json_value_at(labels, i), ""), name_form_label_value);
    }
}

static void check_requirement(struct field_errors *e, const struct place *at, const struct json *requirement) {
    struct place operator= place_in(at, "operator"), values = place_in(at, "values"), key = place_in(at, "key");
    const char *op = json_str_or(json_get(requirement, "operator"), "");
    size_t n = json_len(json_get(requirement, "values"));
    if (strcmp(op, "In") == 0 || strcmp(op, "NotIn") == 0) {
        if (!n)
            complain_required(e, &values, "must be specified when `operator` is 'In' or 'NotIn'");
    } else if (strcmp(op, "Exists") == 0 || strcmp(op, "DoesNotExist") == 0) {
        if (n)
            complain_forbidden(e, &values, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    } else {
        complain_invalid_text(e, &operator, op, "not a valid selector operator");
    }
    check_name(e, &key, json_str_or(json_get(requirement, "key"), ""), name_form_qualified);
    for (size_t i = 0; i < n; i++) {
        struct place value = place_at(&values, i);
        check_name(e, &value, json_str_or(json_at(json_get(requirement, "values"), i), ""), name_form_label_value);
    }
}

void check_label_selector(struct field_errors *e, const struct place *at, const struct json *selector) {
    struct place labels = place_in(at, "matchLabels"), expressions = place_in(at, "matchExpressions");
    check_labels(e, &labels, json_get(selector, "matchLabels"));
    const struct json *list = json_get(selector, "matchExpressions");
    for (size_t i = 0; i < json_len(list); i++) {
        struct place place = place_at(&expressions, i);
        check_requirement(e, &place, json_at(list, i));
    }
}
