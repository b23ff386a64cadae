/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists of field errors, worded as apimachinery's util/validation/field does (wire.md section 11). */
#include <string.h>

#include "orchestrator/object/schema.h"
#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

void field_errors_finish(struct field_errors *e) {
    for (size_t i = 0; i < e->n; i++) {
        free(e->items[i].field);
        free(e->items[i].message);
    }
    free(e->items);
    *e = (struct field_errors) FIELD_ERRORS_INIT;
}

static const char *label_of(const char *reason) {
    static const struct {
        const char *reason, *label;
    } labels[] = {
        {"FieldValueInvalid", "Invalid value"},     {"FieldValueRequired", "Required value"},
        {"FieldValueForbidden", "Forbidden"},       {"FieldValueNotSupported", "Unsupported value"},
        {"FieldValueDuplicate", "Duplicate value"}, {"FieldValueTooLong", "Too long"},
        {"FieldValueTooMany", "Too many"},          {"FieldValueNotFound", "Not found"},
        {"FieldValueTypeInvalid", "Invalid value"}, {"InternalError", "Internal error"},
    };
    for (size_t i = 0; i < ARRAY_LEN(labels); i++)
        if (strcmp(labels[i].reason, reason) == 0)
            return labels[i].label;
    return reason;
}

/* These say what is missing or not allowed, never the value. */
static bool shows_value(const char *reason) {
    return strcmp(reason, "FieldValueRequired") != 0 && strcmp(reason, "FieldValueForbidden") != 0 &&
           strcmp(reason, "FieldValueTooLong") != 0 && strcmp(reason, "InternalError") != 0;
}

void field_errors_add(struct field_errors *e, const char *reason, const char *field, const struct json *value,
                      const char *detail, ...) {
    if (e->n >= FIELD_ERRORS_MAX)
        return;
    _cleanup_strbuf_ struct strbuf message = STRBUF_INIT;
    strbuf_adds(&message, label_of(reason));
    if (value && shows_value(reason)) {
        _cleanup_free_ char *text = json_to_text(value);
        strbuf_addf(&message, ": %s", text);
    }
    if (detail) {
        va_list ap;
        va_start(ap, detail);
        _cleanup_free_ char *text = xvasprintf(detail, ap);
        va_end(ap);
        if (*text)
            strbuf_addf(&message, ": %s", text);
    }
    xgrow(&e->items, e->n, &e->cap);
    e->items[e->n++] =
        (struct field_error){.reason = reason, .field = xstrdup(field), .message = strbuf_steal(&message)};
}

char *field_errors_message(const struct field_errors *e, const char *kind, const char *group, const char *name) {
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    strbuf_addf(&out, "%s%s%s \"%s\" is invalid: ", kind, group && *group ? "." : "", group ? group : "",
                name ? name : "");
    if (e->n > 1)
        strbuf_addc(&out, '[');
    for (size_t i = 0; i < e->n; i++)
        strbuf_addf(&out, "%s%s: %s", i ? ", " : "", e->items[i].field, e->items[i].message);
    if (e->n > 1)
        strbuf_addc(&out, ']');
    return strbuf_steal(&out);
}
