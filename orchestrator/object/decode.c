/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * schema_decode: what Go's JSON decoder (sigs.k8s.io/json) and a round trip through the Go types do to a document.
 *
 * The walk never writes to its input. A value that has to change comes back as a new one and only then the containers
 * above it are copied, so that a clean document (the common case) costs one look-up per member and no allocation; paths
 * are kept as a chain of stack frames and become text only when there is something to report.
 */
#include <string.h>

#include "orchestrator/object/quantity.h"
#include "orchestrator/object/schema.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/strbuf.h"

#define UNKNOWN_FIELDS_MAX 100u /* as upstream's strict decoder: a hostile document must not become a bigger answer */

struct step {
    const struct step *up;
    const char *name; /* a field or a map key; NULL: an element of an array */
    size_t index;
    const struct field_info *field; /* set when name is a field: Go's messages name fields only */
};

struct decoder {
    const struct type_info *root;
    const struct json *known; /* decoded already: what the root's members share with it is left alone */
    char ***unknown;
    size_t n_unknown;
    struct error *err;
};

/* What became of a value. */
enum outcome { OUTCOME_KEEP, OUTCOME_REPLACE, OUTCOME_DROP };

static int decode_object(struct decoder *d, const struct type_info *t, const struct step *at, const struct json *v,
                         struct json **ret);

/* --- reports --- */

static void step_text(const struct step *s, bool fields_only, struct strbuf *out) {
    if (!s)
        return;
    step_text(s->up, fields_only, out);
    if (fields_only ? s->field != NULL : s->name != NULL)
        strbuf_addf(out, "%s%s", out->len ? "." : "", s->name);
    else if (!fields_only)
        strbuf_addf(out, "[%zu]", s->index);
}

static void report_unknown(struct decoder *d, const struct step *s) {
    if (!d->unknown || d->n_unknown >= UNKNOWN_FIELDS_MAX)
        return;
    _cleanup_strbuf_ struct strbuf path = STRBUF_INIT;
    step_text(s, false, &path);
    if (!*d->unknown)
        *d->unknown = strv_new();
    strv_push(d->unknown, xasprintf("unknown field \"%s\"", strbuf_str(&path)));
    d->n_unknown++;
}

static const char *short_name(const struct type_info *t) {
    return strrchr(t->name, '.') + 1;
}

/* "v1.PodSpec": how Go prints the type, package (here always the version) and name. */
static const char *go_struct_name(const struct type_info *t) {
    const char *dot = strchr(t->name, '.');
    return dot && strchr(dot + 1, '.') ? dot + 1 : t->name;
}

static void go_type_name(const struct field_info *f, enum field_container container, struct strbuf *out) {
    static const char *const names[] = {
        [FIELD_STRING] = "string",
        [FIELD_BOOL] = "bool",
        [FIELD_INT32] = "int32",
        [FIELD_INT64] = "int64",
        [FIELD_DOUBLE] = "float64",
        [FIELD_BYTES] = "[]uint8",
        [FIELD_TIME] = "v1.Time",
        [FIELD_MICRO_TIME] = "v1.MicroTime",
        [FIELD_DURATION] = "v1.Duration",
        [FIELD_QUANTITY] = "resource.Quantity",
        [FIELD_INT_OR_STRING] = "intstr.IntOrString",
        [FIELD_RAW] = "runtime.RawExtension",
        [FIELD_OBJECT] = NULL,
        [FIELD_ONE_OF] = NULL,
    };
    if (container == FIELD_ARRAY)
        strbuf_adds(out, "[]");
    else if (container == FIELD_MAP)
        strbuf_adds(out, "map[string]");
    else if (container == FIELD_MAP_OF_ARRAY)
        strbuf_adds(out, "map[string][]");
    strbuf_adds(out, names[f->type] ? names[f->type] : go_struct_name(field_object(f)));
}

/* The type that has the innermost field of the path. */
static const struct type_info *owner_of(const struct decoder *d, const struct step *s) {
    while (s && !s->field)
        s = s->up;
    if (!s)
        return d->root;
    for (s = s->up; s; s = s->up)
        if (s->field)
            return field_object(s->field);
    return d->root;
}

static int type_error(struct decoder *d, const struct step *s, const char *what, const char *go_type) {
    _cleanup_strbuf_ struct strbuf path = STRBUF_INIT;
    step_text(s, true, &path);
    if (!path.len)
        return error_set(d->err, -EINVAL, "json: cannot unmarshal %s into Go value of type %s", what, go_type);
    return error_set(d->err, -EINVAL, "json: cannot unmarshal %s into Go struct field %s.%s of type %s", what,
                     short_name(owner_of(d, s)), strbuf_str(&path), go_type);
}

static int wrong_type(struct decoder *d, const struct field_info *f, enum field_container container,
                      const struct step *s, const struct json *v) {
    _cleanup_strbuf_ struct strbuf type = STRBUF_INIT;
    go_type_name(f, container, &type);
    return type_error(d, s, json_type_name(v), strbuf_str(&type));
}

/* --- scalars --- */

static int decode_integer(struct decoder *d, const struct field_info *f, const struct step *s, const struct json *v) {
    const char *type = f->type == FIELD_INT64 ? "int64" : "int32";
    if (json_type(v) != JSON_INT && json_type(v) != JSON_DOUBLE)
        return type_error(d, s, json_type_name(v), type);
    int64_t i = json_int_or(v, 0);
    if (json_type(v) == JSON_INT && (f->type == FIELD_INT64 || (i >= INT32_MIN && i <= INT32_MAX)))
        return OUTCOME_KEEP;
    _cleanup_free_ char *text = json_to_text(v);
    _cleanup_free_ char *what = xasprintf("number %s", text);
    return type_error(d, s, what, type);
}

static int decode_int_or_string(struct decoder *d, const struct step *s, const struct json *v) {
    static const struct field_info as_int = {.type = FIELD_INT32};
    return json_is_string(v) ? OUTCOME_KEEP : decode_integer(d, &as_int, s, v);
}

static int decode_quantity(struct decoder *d, const struct json *v, struct json **ret) {
    _cleanup_free_ char *number = NULL, *canonical = NULL;
    const char *text = json_str(v);
    if (!text && (json_type(v) == JSON_INT || json_type(v) == JSON_DOUBLE))
        text = number = json_to_text(v);
    canonical = text ? quantity_canonical(text) : NULL;
    if (!canonical)
        return error_set(d->err, -EINVAL,
                         "quantities must match the regular expression "
                         "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
    if (!number && strcmp(canonical, text) == 0)
        return OUTCOME_KEEP;
    *ret = json_string(canonical);
    return OUTCOME_REPLACE;
}

static int decode_time(struct decoder *d, const struct field_info *f, const struct step *s, const struct json *v,
                       struct json **ret) {
    const char *text = json_str(v);
    if (!text)
        return type_error(d, s, json_type_name(v), "string");
    if (strcmp(text, "0001-01-01T00:00:00Z") == 0) /* Go's zero time: not set */
        return OUTCOME_DROP;
    uint64_t usec;
    int r = timestamp_parse(text, &usec);
    if (r == -ERANGE)
        return OUTCOME_KEEP;
    if (r < 0) {
        const char *layout = f->type == FIELD_TIME ? "2006-01-02T15:04:05Z07:00" : "2006-01-02T15:04:05.000000Z07:00";
        return error_set(d->err, -EINVAL, "parsing time \"%s\" as \"%s\": cannot parse \"%s\" as \"2006\"", text,
                         layout, text);
    }
    char canonical[TIMESTAMP_SIZE];
    if (f->type == FIELD_TIME)
        timestamp_format(usec, canonical);
    else
        timestamp_format_micro(usec, canonical);
    if (strcmp(canonical, text) == 0)
        return OUTCOME_KEEP;
    *ret = json_string(canonical);
    return OUTCOME_REPLACE;
}

static int decode_duration(struct decoder *d, const struct step *s, const struct json *v, struct json **ret) {
    const char *text = json_str(v);
    int64_t ns;
    if (!text)
        return type_error(d, s, json_type_name(v), "string");
    if (duration_parse_go(text, &ns) < 0)
        return error_set(d->err, -EINVAL, "time: invalid duration \"%s\"", text);
    char canonical[TIMESTAMP_SIZE];
    duration_format_go(ns, canonical);
    if (strcmp(canonical, text) == 0)
        return OUTCOME_KEEP;
    *ret = json_string(canonical);
    return OUTCOME_REPLACE;
}

/* Go ignores line breaks inside base64; we store without. */
static int decode_bytes(struct decoder *d, const struct step *s, const struct json *v, struct json **ret) {
    const char *text = json_str(v);
    if (!text)
        return type_error(d, s, json_type_name(v), "[]uint8");
    _cleanup_strbuf_ struct strbuf clean = STRBUF_INIT;
    size_t n = json_str_len(v);
    if (memchr(text, '\n', n) || memchr(text, '\r', n)) {
        for (size_t i = 0; i < n; i++)
            if (text[i] != '\n' && text[i] != '\r')
                strbuf_addc(&clean, text[i]);
        text = strbuf_str(&clean);
        n = clean.len;
    }
    _cleanup_free_ uint8_t *bytes = NULL;
    size_t n_bytes;
    if (base64_decode(text, n, &bytes, &n_bytes) < 0) {
        size_t bad = 0;
        while (bad < n &&
               (strchr("+/", text[bad]) || (text[bad] >= '0' && text[bad] <= '9') ||
                (text[bad] >= 'A' && text[bad] <= 'Z') || (text[bad] >= 'a' && text[bad] <= 'z')) &&
               text[bad])
            bad++;
        return error_set(d->err, -EINVAL, "illegal base64 data at input byte %zu", bad);
    }
    if (n == json_str_len(v))
        return OUTCOME_KEEP;
    *ret = json_string_len(text, n);
    return OUTCOME_REPLACE;
}

static int decode_array_of(struct decoder *d, const struct field_info *f, const struct field_info *element,
                           enum field_container shown_as, const struct step *s, const struct json *v,
                           struct json **ret);

static int decode_one_of(struct decoder *d, const struct field_info *f, const struct step *s, const struct json *v,
                         struct json **ret) {
    if (f->one_of == ONE_OF_BOOL && json_type(v) == JSON_BOOL)
        return OUTCOME_KEEP;
    if (json_is_array(v) && f->one_of != ONE_OF_BOOL) {
        struct field_info element = {.name_at = f->name_at,
                                     .type = f->one_of == ONE_OF_STRING_ARRAY ? FIELD_STRING : FIELD_OBJECT,
                                     .object_number = f->object_number};
        return decode_array_of(d, f, &element, FIELD_ARRAY, s, v, ret);
    }
    return decode_object(d, field_object(f), s, v, ret);
}

/* One value of the field's type, whatever container holds it; never null here. */
static int decode_scalar(struct decoder *d, const struct field_info *f, const struct step *s, const struct json *v,
                         struct json **ret) {
    switch (f->type) {
    case FIELD_STRING:
        return json_is_string(v) ? OUTCOME_KEEP : wrong_type(d, f, FIELD_PLAIN, s, v);
    case FIELD_BOOL:
        return json_type(v) == JSON_BOOL ? OUTCOME_KEEP : wrong_type(d, f, FIELD_PLAIN, s, v);
    case FIELD_INT32:
    case FIELD_INT64:
        return decode_integer(d, f, s, v);
    case FIELD_DOUBLE:
        return json_type(v) == JSON_INT || json_type(v) == JSON_DOUBLE ? OUTCOME_KEEP
                                                                       : wrong_type(d, f, FIELD_PLAIN, s, v);
    case FIELD_BYTES:
        return decode_bytes(d, s, v, ret);
    case FIELD_TIME:
    case FIELD_MICRO_TIME:
        return decode_time(d, f, s, v, ret);
    case FIELD_DURATION:
        return decode_duration(d, s, v, ret);
    case FIELD_QUANTITY:
        return decode_quantity(d, v, ret);
    case FIELD_INT_OR_STRING:
        return decode_int_or_string(d, s, v);
    case FIELD_RAW:
        return OUTCOME_KEEP;
    case FIELD_OBJECT:
        return decode_object(d, field_object(f), s, v, ret);
    case FIELD_ONE_OF:
        return decode_one_of(d, f, s, v, ret);
    }
    return OUTCOME_KEEP;
}

/* --- containers --- */

/* Go leaves the zero value where an element is null. */
static struct json *zero_element(const struct field_info *f) {
    switch (f->type) {
    case FIELD_STRING:
    case FIELD_BYTES:
        return json_string("");
    case FIELD_BOOL:
        return json_bool(false);
    case FIELD_INT32:
    case FIELD_INT64:
    case FIELD_DOUBLE:
    case FIELD_INT_OR_STRING:
        return json_int(0);
    case FIELD_QUANTITY:
        return json_string("0");
    case FIELD_DURATION:
        return json_string("0s");
    case FIELD_OBJECT:
    case FIELD_ONE_OF:
        return json_object();
    case FIELD_TIME:
    case FIELD_MICRO_TIME:
    case FIELD_RAW:
        return json_null();
    }
    return json_null();
}

static int decode_element(struct decoder *d, const struct field_info *element, const struct step *s,
                          const struct json *v, struct json **ret) {
    int r = OUTCOME_DROP;
    if (!json_is_null(v))
        r = decode_scalar(d, element, s, v, ret);
    else if (element->type == FIELD_RAW)
        r = OUTCOME_KEEP;
    if (r == OUTCOME_DROP) {
        *ret = zero_element(element);
        r = OUTCOME_REPLACE;
    }
    return r;
}

static int decode_array_of(struct decoder *d, const struct field_info *f, const struct field_info *element,
                           enum field_container shown_as, const struct step *s, const struct json *v,
                           struct json **ret) {
    if (!json_is_array(v))
        return wrong_type(d, f, shown_as, s, v);
    _cleanup_json_ struct json *copy = NULL;
    for (size_t i = 0; i < json_len(v); i++) {
        struct step at = {.up = s, .index = i};
        struct json *changed = NULL;
        int r = decode_element(d, element, &at, json_at(v, i), &changed);
        if (r < 0)
            return r;
        if (r != OUTCOME_REPLACE)
            continue;
        if (!copy)
            copy = json_ref(v);
        struct json **slot = json_edit_at(&copy, i);
        json_unref(*slot);
        *slot = changed;
    }
    if (!copy)
        return OUTCOME_KEEP;
    *ret = steal(&copy);
    return OUTCOME_REPLACE;
}

static int decode_map(struct decoder *d, const struct field_info *f, const struct step *s, const struct json *v,
                      struct json **ret) {
    if (!json_is_object(v))
        return wrong_type(d, f, f->container, s, v);
    _cleanup_json_ struct json *copy = NULL;
    for (size_t i = 0; i < json_len(v); i++) {
        struct step at = {.up = s, .name = json_key_at(v, i)};
        const struct json *value = json_value_at(v, i);
        struct json *changed = NULL;
        int r;
        if (f->container == FIELD_MAP)
            r = decode_element(d, f, &at, value, &changed);
        else if (json_is_null(value))
            continue;
        else
            r = decode_array_of(d, f, f, FIELD_ARRAY, &at, value, &changed);
        if (r < 0)
            return r;
        if (r != OUTCOME_REPLACE)
            continue;
        if (!copy)
            copy = json_ref(v);
        json_set(&copy, at.name, changed);
    }
    if (!copy)
        return OUTCOME_KEEP;
    *ret = steal(&copy);
    return OUTCOME_REPLACE;
}

/* Go does not write empty values of omitempty fields that are no pointers, so they do not survive a round trip. */
static bool is_lost(const struct field_info *f, const struct json *v) {
    if (!f->omitempty || f->pointer)
        return false;
    if (f->container != FIELD_PLAIN)
        return json_len(v) == 0;
    switch (f->type) {
    case FIELD_STRING:
    case FIELD_BYTES:
        return json_str_len(v) == 0;
    case FIELD_BOOL:
        return !json_bool_or(v, true);
    case FIELD_INT32:
    case FIELD_INT64:
    case FIELD_DOUBLE:
        return json_double_or(v, 1) == 0;
    case FIELD_TIME:
    case FIELD_MICRO_TIME:
    case FIELD_DURATION:
    case FIELD_QUANTITY:
    case FIELD_INT_OR_STRING:
    case FIELD_RAW:
    case FIELD_OBJECT:
    case FIELD_ONE_OF:
        return false;
    }
    return false;
}

static int decode_field(struct decoder *d, const struct field_info *f, const struct step *s, const struct json *v,
                        struct json **ret) {
    if (json_is_null(v))
        return OUTCOME_DROP;
    int r;
    if (f->container == FIELD_PLAIN)
        r = decode_scalar(d, f, s, v, ret);
    else if (f->container == FIELD_ARRAY)
        r = decode_array_of(d, f, f, FIELD_ARRAY, s, v, ret);
    else
        r = decode_map(d, f, s, v, ret);
    if (r == OUTCOME_KEEP && is_lost(f, v))
        return OUTCOME_DROP;
    return r;
}

/* The members before `upto`, in a new object: what a change starts from. */
static struct json *begin_copy(const struct json *v, size_t upto) {
    struct json *copy = json_object();
    json_set_position(copy, json_line(v), json_column(v));
    for (size_t i = 0; i < upto; i++)
        json_set(&copy, json_key_at(v, i), json_ref(json_value_at(v, i)));
    return copy;
}

static int decode_object(struct decoder *d, const struct type_info *t, const struct step *at, const struct json *v,
                         struct json **ret) {
    if (!json_is_object(v))
        return type_error(d, at, json_type_name(v), go_struct_name(t));
    _cleanup_json_ struct json *copy = NULL;
    for (size_t i = 0; i < json_len(v); i++) {
        const char *key = json_key_at(v, i);
        const struct json *value = json_value_at(v, i);
        const struct field_info *f = type_field(t, key);
        struct step step = {.up = at, .name = key, .field = f};
        struct json *changed = NULL;
        int r = OUTCOME_DROP;
        if (!at && d->known && value == json_get(d->known, key))
            r = OUTCOME_KEEP;
        else if (f)
            r = decode_field(d, f, &step, value, &changed);
        else
            report_unknown(d, &step);
        if (r < 0)
            return r;
        if (r != OUTCOME_KEEP && !copy)
            copy = begin_copy(v, i);
        if (copy && r != OUTCOME_DROP)
            json_set(&copy, key, r == OUTCOME_REPLACE ? changed : json_ref(value));
    }
    if (!copy)
        return OUTCOME_KEEP;
    *ret = steal(&copy);
    return OUTCOME_REPLACE;
}

int schema_decode(const struct type_info *t, struct json **doc, char ***unknown, struct error *err) {
    return schema_decode_changed(t, NULL, doc, unknown, err);
}

int schema_decode_changed(const struct type_info *t, const struct json *known, struct json **doc, char ***unknown,
                          struct error *err) {
    struct decoder d = {.root = t, .known = known, .unknown = unknown, .err = err};
    struct json *changed = NULL;
    int r = decode_object(&d, t, NULL, *doc, &changed);
    if (r < 0)
        return r;
    if (r == OUTCOME_REPLACE) {
        json_unref(*doc);
        *doc = changed;
    }
    return 0;
}
