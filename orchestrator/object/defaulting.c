/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * schema_default: fills a decoded document as upstream's defaulting and encoding would. One walk over the type tables:
 * at each object first the unconditional defaults, then the rule of its type, then what Go writes although it is
 * empty, then everything below. Objects nothing is added to stay shared with whoever holds them.
 */
#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/default_rules.h"
#include "orchestrator/object/quantity.h"
#include "orchestrator/object/schema.h"
#include "type_ids.h"

static void default_object(const struct type_info *t, const struct json *known, struct json **object, bool bare);

static struct json *parse_default(const struct field_info *f) {
    switch (f->type) {
    case FIELD_BOOL:
        return json_bool(strcmp(field_default_value(f), "true") == 0);
    case FIELD_INT32:
    case FIELD_INT64:
    case FIELD_INT_OR_STRING:
        return json_int(strtoll(field_default_value(f), NULL, 10));
    case FIELD_DOUBLE:
        return json_double(strtod(field_default_value(f), NULL));
    case FIELD_OBJECT:
        return json_object();
    case FIELD_STRING:
    case FIELD_BYTES:
    case FIELD_TIME:
    case FIELD_MICRO_TIME:
    case FIELD_DURATION:
    case FIELD_QUANTITY:
    case FIELD_RAW:
    case FIELD_ONE_OF:
        return json_string(field_default_value(f));
    }
    return json_null();
}

/* The value Go writes for a field that is not set; NULL when it writes nothing. */
static struct json *written_zero(const struct field_info *f) {
    if (f->omitempty && (f->pointer || f->container != FIELD_PLAIN))
        return NULL;
    if (f->pointer || f->container != FIELD_PLAIN)
        return json_null();
    switch (f->type) {
    case FIELD_OBJECT:
        return json_object();
    case FIELD_TIME:
    case FIELD_MICRO_TIME:
    case FIELD_RAW:
        return json_null();
    case FIELD_QUANTITY:
        return json_string("0");
    case FIELD_INT_OR_STRING:
        return json_int(0);
    case FIELD_DURATION:
        return json_string("0s");
    case FIELD_STRING:
    case FIELD_BYTES:
        return f->omitempty ? NULL : json_string("");
    case FIELD_BOOL:
        return f->omitempty ? NULL : json_bool(false);
    case FIELD_INT32:
    case FIELD_INT64:
    case FIELD_DOUBLE:
        return f->omitempty ? NULL : json_int(0);
    case FIELD_ONE_OF:
        return NULL;
    }
    return NULL;
}

static void unconditional_defaults(const struct type_info *t, struct json **object) {
    for (size_t i = 0; i < t->n_fields; i++) {
        const struct field_info *f = &t->fields[i];
        /* An empty default of a field that Go leaves out when empty says nothing. */
        if (!field_default_value(f) || (!*field_default_value(f) && f->omitempty && !f->pointer))
            continue;
        const struct json *have = json_get(*object, field_name(f));
        if (json_is_null(have) || (!f->pointer && f->type == FIELD_STRING && !json_str_len(have)) ||
            (!f->pointer && f->type == FIELD_INT32 && json_int_or(have, 1) == 0))
            json_set(object, field_name(f), parse_default(f));
    }
}

static void write_zeros(const struct type_info *t, struct json **object) {
    for (size_t i = 0; i < t->n_fields; i++) {
        const struct field_info *f = &t->fields[i];
        if ((f->omitempty && f->pointer) || json_get(*object, field_name(f)))
            continue;
        struct json *zero = written_zero(f);
        if (zero)
            json_set(object, field_name(f), zero);
    }
}

/* ResourceList: nothing finer than a thousandth is kept, rounded up. */
static void round_quantities(struct json **map) {
    for (size_t i = 0; i < json_len(*map); i++) {
        const char *text = json_str(json_value_at(*map, i));
        size_t n = text ? strlen(text) : 0;
        int64_t milli;
        if (n < 2 || (text[n - 1] != 'n' && text[n - 1] != 'u') || quantity_parse_milli(text, &milli, NULL) < 0)
            continue;
        char *rounded = quantity_format_milli(milli);
        json_set(map, json_key_at(*map, i), json_string(rounded));
        free(rounded);
    }
}

static void default_value(const struct field_info *f, struct json **value, bool bare) {
    if (f->container == FIELD_MAP && f->type == FIELD_QUANTITY)
        round_quantities(value);
    if (f->type != FIELD_OBJECT)
        return; /* FIELD_ONE_OF occurs in JSONSchemaProps only, which has no defaults */
    if (f->container == FIELD_PLAIN) {
        if (json_is_object(*value))
            default_object(field_object(f), NULL, value, bare);
        return;
    }
    for (size_t i = 0; i < json_len(*value); i++) {
        const struct json *was = f->container == FIELD_ARRAY ? json_at(*value, i) : json_value_at(*value, i);
        if (!json_is_object(was))
            continue;
        struct json *element = json_ref(was);
        default_object(field_object(f), NULL, &element, bare);
        if (element == was) {
            json_unref(element);
        } else if (f->container == FIELD_ARRAY) {
            struct json **slot = json_edit_at(value, i);
            json_unref(*slot);
            *slot = element;
        } else {
            json_set(value, json_key_at(*value, i), element);
        }
    }
}

/* known: what this was made of, with its defaults; members that are the same there are left alone. bare: a JobSpec
 * inside a CronJob, which upstream leaves without the defaults of a Job. */
static void default_object(const struct type_info *t, const struct json *known, struct json **object, bool bare) {
    if (!bare) {
        unconditional_defaults(t, object);
        if (t->id < default_rules_len && default_rules[t->id])
            default_rules[t->id](object);
    }
    write_zeros(t, object);
    for (size_t i = 0; i < json_len(*object); i++) {
        const struct field_info *f = type_field(t, json_key_at(*object, i));
        const struct json *was = json_value_at(*object, i);
        if (!f || (f->type != FIELD_OBJECT && f->type != FIELD_QUANTITY) || json_is_null(was) ||
            (known && was == json_get(known, field_name(f))))
            continue;
        struct json *value = json_ref(was);
        default_value(f, &value,
                      t->id == TYPE_batch_v1_JobTemplateSpec && field_object(f)->id == TYPE_batch_v1_JobSpec);
        if (value == was)
            json_unref(value);
        else
            json_set(object, field_name(f), value);
    }
}

void schema_default(const char *api_version, const char *kind, struct json **doc) {
    schema_default_changed(api_version, kind, NULL, doc);
}

void schema_default_changed(const char *api_version, const char *kind, const struct json *known, struct json **doc) {
    const struct type_info *t = type_of_kind(api_version, kind);
    if (t && json_is_object(*doc))
        default_object(t, known, doc, false);
}
