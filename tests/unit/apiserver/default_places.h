/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of defaults made from the tables. For every place in every kind where a type with such rows may stand, the
 * smallest valid object with that place in it (cases/defaults/seeds.yaml; what is not said there is made of the
 * required fields) is created three times:
 *   - without the fields: each has its default in the answer, and in the stored object;
 *   - with the zero value where Go cannot tell it from absent: the same;
 *   - with another value (cases/defaults/given.yaml, where not just any will do): it stays.
 * A name whose default is the empty text, and which validation wants (the list $required in given.yaml), is
 * given in the first two; a fourth creation without it is refused, for want of it.
 */
#ifndef TESTS_APISERVER_DEFAULT_PLACES_H
#define TESTS_APISERVER_DEFAULT_PLACES_H

#include "tests/unit/apiserver/default_rows.h"

#define STEPS_MAX 16

enum variant { VARIANT_ABSENT, VARIANT_ZERO, VARIANT_GIVEN, VARIANT_REFUSED, N_VARIANTS };

struct place_walk {
    struct fixture *f;
    struct default_rows *rows;
    const struct json *seeds, *given;
    const struct resource *resource;
    const struct type_info *types[STEPS_MAX + 1];
    const struct field_info *steps[STEPS_MAX];
    size_t n;
    signed char reaches[2048]; /* by type id: 0 unknown, 1 yes, -1 no */
    unsigned serial, places;
};

static inline bool has_generated_rows(const struct default_rows *rows, const struct type_info *t) {
    for (size_t i = 0; i < rows->n; i++)
        if (rows->items[i].type == t && !rows->items[i].by_hand && !rows->items[i].not_done)
            return true;
    return false;
}

static inline bool walk_reaches(struct place_walk *w, const struct type_info *t) {
    assert_true(t->id < sizeof(w->reaches));
    if (w->reaches[t->id] == 0) {
        w->reaches[t->id] = has_generated_rows(w->rows, t) ? 1 : -1;
        for (size_t i = 0; i < t->n_fields && w->reaches[t->id] < 0; i++)
            if (field_object(&t->fields[i]) && walk_reaches(w, field_object(&t->fields[i])))
                w->reaches[t->id] = 1;
    }
    return w->reaches[t->id] > 0;
}

/* --- smallest values --- */

static inline struct json *smallest(struct place_walk *w, const struct type_info *t);

static inline struct json *smallest_member(struct place_walk *w, const struct field_info *f) {
    struct json *v = NULL;
    switch (f->type) {
    case FIELD_OBJECT:
    case FIELD_ONE_OF:
        v = smallest(w, field_object(f));
        break;
    case FIELD_BOOL:
        v = json_bool(false);
        break;
    case FIELD_INT32:
    case FIELD_INT64:
    case FIELD_DOUBLE:
    case FIELD_INT_OR_STRING:
        v = json_int(1);
        break;
    case FIELD_QUANTITY:
        v = json_string("1");
        break;
    case FIELD_TIME:
    case FIELD_MICRO_TIME:
        v = json_null();
        break;
    case FIELD_STRING:
    case FIELD_BYTES:
    case FIELD_DURATION:
    case FIELD_RAW:
        v = json_string(field_enum_values(f) && *field_enum_values(f)[0] ? field_enum_values(f)[0] : "x");
        break;
    }
    if (f->container == FIELD_PLAIN)
        return v;
    struct json *list = NULL;
    if (f->container == FIELD_ARRAY)
        json_append(&list, v);
    else
        json_set(&list, "k", v);
    return list;
}

static inline struct json *smallest(struct place_walk *w, const struct type_info *t) {
    const struct json *seed = json_get(w->seeds, t->name);
    if (seed)
        return json_ref(seed);
    struct json *v = json_object();
    for (size_t i = 0; i < t->n_fields; i++)
        if (t->fields[i].required)
            json_set(&v, field_name(&t->fields[i]), smallest_member(w, &t->fields[i]));
    return v;
}

/* The slot of the place the walk is at, made with everything on the way to it. NULL: the seeds say there is none. */
static inline struct json **place_make(struct place_walk *w, struct json **doc) {
    struct json **at = doc;
    for (size_t i = 0; i < w->n; i++) {
        const struct field_info *f = w->steps[i];
        _cleanup_free_ char *key = xasprintf("%s.%s", w->types[i]->name, field_name(f));
        struct json *seed = json_ref(json_get(w->seeds, key));
        const struct json *without = json_get(seed, "$without");
        if (json_get(seed, "$skip")) {
            json_unref(seed);
            return NULL;
        }
        for (size_t k = 0; k < json_len(without); k++)
            (void) json_del(at, json_str(json_at(without, k)));
        bool named = without != NULL;
        (void) json_del(&seed, "$without");
        if (named && json_len(seed) == 0) {
            json_unref(seed);
            seed = NULL;
        }
        if (seed)
            json_set(at, field_name(f), seed);
        struct json **slot = json_edit(at, field_name(f));
        if (f->container == FIELD_PLAIN) {
            if (json_is_null(*slot)) {
                json_unref(*slot);
                *slot = smallest(w, w->types[i + 1]);
            }
            at = slot;
        } else if (f->container == FIELD_ARRAY) {
            if (json_len(*slot) == 0)
                json_append(slot, smallest(w, w->types[i + 1]));
            at = json_edit_at(slot, 0);
        } else {
            return NULL;
        }
    }
    return at;
}

static inline char *place_name(const struct place_walk *w) {
    struct strbuf b = {0};
    strbuf_adds(&b, w->resource->kind);
    for (size_t i = 0; i < w->n; i++)
        strbuf_addf(&b, ".%s%s", field_name(w->steps[i]), w->steps[i]->container == FIELD_ARRAY ? "[0]" : "");
    return strbuf_steal(&b);
}

static inline const struct json *place_get(const struct place_walk *w, const struct json *doc) {
    for (size_t i = 0; i < w->n; i++) {
        doc = json_get(doc, field_name(w->steps[i]));
        if (w->steps[i]->container == FIELD_ARRAY)
            doc = json_at(doc, 0);
    }
    return doc;
}

/* --- the variants --- */

static inline bool row_is_required(const struct place_walk *w, const struct default_row *r) {
    const struct json *required = json_get(w->given, "$required");
    for (size_t i = 0; i < json_len(required); i++)
        if (strcmp(json_str(json_at(required, i)), r->field) == 0)
            return true;
    return false;
}

/* Something that is not the default, for the user to say. */
static inline struct json *other_value(const struct place_walk *w, const struct default_row *r) {
    const struct json *said = json_get(w->given, r->field);
    if (said)
        return json_is_null(said) ? NULL : json_ref(said);
    if (json_type(r->expected) == JSON_BOOL)
        return json_bool(!json_bool_or(r->expected, false));
    if (json_type(r->expected) == JSON_INT)
        return json_int(json_int_or(r->expected, 0) + 1);
    if (r->member->type != FIELD_STRING || r->member->container != FIELD_PLAIN)
        return NULL;
    const char *const *values = field_enum_values(r->member);
    for (size_t i = 0; values && values[i]; i++)
        if (*values[i] && strcmp(values[i], r->value) != 0)
            return json_string(values[i]);
    return json_string("other");
}

static inline struct json *variant_value(const struct place_walk *w, const struct default_row *r, enum variant v) {
    if (v == VARIANT_GIVEN || (v < VARIANT_GIVEN && row_is_required(w, r)))
        return other_value(w, r);
    if (v != VARIANT_ZERO || !r->zero_too)
        return NULL;
    if (r->member->container != FIELD_PLAIN)
        return r->member->container == FIELD_ARRAY ? json_array() : json_object();
    return r->member->type == FIELD_STRING ? json_string("") : json_int(0);
}

/* Go leaves an empty text out where it says omitempty: then absent is the empty text. */
static inline bool is_value(const struct default_row *r, const struct json *got, const struct json *want) {
    bool left_out = r->member->omitempty && !r->member->pointer && json_is_string(want) && !json_str_len(want);
    return json_equal(got, want) || (left_out && json_is_null(got));
}

static inline void check_rows(struct place_walk *w, const struct json *doc, const struct json *sent, enum variant v) {
    const struct json *at = place_get(w, doc), *sent_at = place_get(w, sent);
    for (size_t i = 0; i < w->rows->n; i++) {
        struct default_row *r = &w->rows->items[i];
        if (r->type != w->types[w->n] || r->by_hand || r->not_done)
            continue;
        const char *name = field_name(r->member);
        bool given = v == VARIANT_GIVEN || row_is_required(w, r);
        const struct json *want = given ? json_get(sent_at, name) : r->expected;
        if (given && !want)
            continue;
        r->by_table++;
        if (is_value(r, json_get(at, name), want))
            continue;
        _cleanup_free_ char *got = json_to_text(json_get(at, name)), *wanted = json_to_text(want),
                            *place = place_name(w);
        row_fails(w->rows, "%s at %s, variant %d: %s instead of %s", r->field, place, v, got, wanted);
    }
}

/* Status belongs to its own endpoint: a creation drops what the user says there. */
static inline bool in_status(const struct place_walk *w) {
    return w->n > 0 && strcmp(field_name(w->steps[0]), "status") == 0;
}

/* False: there is nothing to try. */
static inline bool variant_make(struct place_walk *w, enum variant v, struct json **doc) {
    struct json **at = place_make(w, doc);
    bool some = v == VARIANT_ABSENT;
    if (!at)
        return false;
    if (!json_is_object(*at)) {
        json_unref(*at);
        *at = json_object();
    }
    for (size_t i = 0; i < w->rows->n; i++) {
        const struct default_row *r = &w->rows->items[i];
        if (r->type != w->types[w->n] || r->by_hand || r->not_done)
            continue;
        struct json *value = variant_value(w, r, v);
        (void) json_del(at, field_name(r->member));
        if (value)
            json_set(at, field_name(r->member), value);
        some |= value != NULL || (v == VARIANT_REFUSED && row_is_required(w, r));
    }
    return some;
}

static inline void try_variant(struct place_walk *w, enum variant v) {
    _cleanup_json_ struct json *doc = smallest(w, type_by_name(w->resource->type));
    if (!variant_make(w, v, &doc))
        return;
    _cleanup_free_ char *collection = collection_of(w->resource, NULL);
    bool named = json_path(doc, "metadata", "name") != NULL;
    if (!named)
        json_set_path(&doc, json_stringf("t%u", w->serial++), "metadata", "name");
    json_set(&doc, "apiVersion", json_string(resource_api_version(w->resource)));
    json_set(&doc, "kind", json_string(w->resource->kind));
    _cleanup_free_ char *body = json_to_text(doc);
    _cleanup_answer_ struct answer made = ask(w->f, "POST", collection, body);
    bool unnamed = strstr(message_of(&made), ".name: Required value") ||
                   strstr(message_of(&made), "KeyRef.name: Invalid value: \"\"");
    /* A LocalObjectReference may be without a name in some places, not in this. */
    bool elsewhere = strstr(message_of(&made), ".nodePublishSecretRef.name: Required value");
    if (made.code == 422 && ((v == VARIANT_REFUSED && unnamed) || elsewhere))
        return;
    if (made.code != 201 || v == VARIANT_REFUSED) {
        _cleanup_free_ char *place = place_name(w);
        row_fails(w->rows, "%s, variant %d: %ld %s\n  %s", place, v, made.code, message_of(&made), body);
        return;
    }
    check_rows(w, made.body, doc, v);
    if (!w->resource->stored)
        return;
    _cleanup_free_ char *path = xasprintf("%s/%s", collection, json_str(json_path(doc, "metadata", "name")));
    _cleanup_answer_ struct answer stored = ask(w->f, "GET", path, NULL);
    assert_code(stored, 200);
    check_rows(w, stored.body, doc, v);
    if (named)
        answer_finish(&(struct answer[]){ask(w->f, "DELETE", path, NULL)}[0]);
}

static inline void walk_places(struct place_walk *w) {
    const struct type_info *t = w->types[w->n];
    if (!walk_reaches(w, t) || w->n == STEPS_MAX)
        return;
    if (has_generated_rows(w->rows, t)) {
        w->places++;
        for (enum variant v = VARIANT_ABSENT; v < (in_status(w) ? VARIANT_ZERO : N_VARIANTS); v++)
            try_variant(w, v);
    }
    for (size_t i = 0; i < t->n_fields; i++) {
        const struct type_info *below = field_object(&t->fields[i]);
        bool again = !below || below == type_by_name("meta.v1.ObjectMeta");
        for (size_t k = 0; k <= w->n && !again; k++)
            again = w->types[k] == below;
        if (again)
            continue;
        w->steps[w->n++] = &t->fields[i];
        w->types[w->n] = below;
        walk_places(w);
        w->n--;
    }
}

static inline void test_places(struct fixture *f, struct default_rows *rows) {
    _cleanup_json_ struct json *seeds = read_yaml(CASES "seeds.yaml");
    _cleanup_json_ struct json *given = read_yaml(CASES "given.yaml");
    struct place_walk *w = xnew0(struct place_walk);
    *w = (struct place_walk){.f = f, .rows = rows, .seeds = seeds, .given = given};
    size_t n;
    const struct resource *all = resources_all(&n);
    for (size_t i = 0; i < n; i++) {
        w->resource = &all[i];
        w->types[0] = type_by_name(all[i].type);
        if (w->types[0] && (all[i].verbs & VERB_CREATE) && all[i].stored)
            walk_places(w);
    }
    print_message("%u places tried\n", w->places);
    free(w);
}

#endif
