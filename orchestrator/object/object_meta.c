/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/object_meta.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

#define ANNOTATIONS_BYTES_MAX (256u * 1024u)
#define MANAGER_BYTES_MAX     128u

static const struct place metadata_place = {.name = "metadata"};

void object_meta_annotations(struct field_errors *e, const struct place *at, const struct json *annotations) {
    size_t total = 0;
    for (size_t i = 0; i < json_len(annotations); i++) {
        const char *key = json_key_at(annotations, i), *problems[NAME_PROBLEMS_MAX];
        _cleanup_free_ char *lower = xstrdup(key);
        for (char *p = lower; *p; p++)
            *p = (char) tolower((unsigned char) *p);
        size_t n = name_form_qualified(lower, problems);
        for (size_t k = 0; k < n; k++)
            complain_invalid_text(e, at, key, "%s", problems[k]);
        total += strlen(key) + json_str_len(json_value_at(annotations, i));
    }
    if (total > ANNOTATIONS_BYTES_MAX)
        complain_too_long(e, at, ANNOTATIONS_BYTES_MAX);
}

static void check_owner(struct field_errors *e, const struct place *at, const struct json *owner) {
    static const struct {
        const char *key, *text;
    } members[] = {{"apiVersion", "version must not be empty"},
                   {"kind", "must not be empty"},
                   {"name", "must not be empty"},
                   {"uid", "must not be empty"}};
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        struct place place = place_in(at, members[i].key);
        if (!json_str_len(json_get(owner, members[i].key)))
            complain_invalid_text(e, &place, "", "%s", members[i].text);
    }
    if (strcmp(json_str_or(json_get(owner, "apiVersion"), ""), "v1") == 0 &&
        strcmp(json_str_or(json_get(owner, "kind"), ""), "Event") == 0)
        complain_invalid(e, at, owner, "/v1, Kind=Event is disallowed from being an owner");
}

static void check_owners(struct field_errors *e, const struct json *owners) {
    struct place at = place_in(&metadata_place, "ownerReferences");
    const struct json *controller = NULL;
    for (size_t i = 0; i < json_len(owners); i++) {
        const struct json *owner = json_at(owners, i);
        check_owner(e, &at, owner);
        if (!json_bool_or(json_get(owner, "controller"), false))
            continue;
        if (controller)
            complain_invalid(
                e, &at, owners,
                "Only one reference can have Controller set to true. Found \"true\" in references for %s/%s and %s/%s",
                json_get_str(controller, "kind"), json_get_str(controller, "name"), json_get_str(owner, "kind"),
                json_get_str(owner, "name"));
        else
            controller = owner;
    }
}

static void check_finalizers(struct field_errors *e, const struct json *finalizers) {
    struct place at = place_in(&metadata_place, "finalizers");
    bool orphan = false, foreground = false;
    for (size_t i = 0; i < json_len(finalizers); i++) {
        const char *name = json_str_or(json_at(finalizers, i), "");
        orphan = orphan || strcmp(name, "orphan") == 0;
        foreground = foreground || strcmp(name, "foregroundDeletion") == 0;
        struct place one = place_at(&at, i);
        check_name(e, &at, name, name_form_qualified);
        if (!strchr(name, '/') && strcmp(name, "orphan") != 0 && strcmp(name, "foregroundDeletion") != 0 &&
            strcmp(name, "kubernetes") != 0)
            complain_invalid_text(e, &one, name, "name is neither a standard finalizer name nor is it fully qualified");
    }
    if (orphan && foreground)
        complain_invalid(e, &at, finalizers, "finalizer orphan and foregroundDeletion cannot be both set");
}

static void check_managed_fields(struct field_errors *e, const struct json *entries) {
    struct place list = place_in(&metadata_place, "managedFields");
    for (size_t i = 0; i < json_len(entries); i++) {
        const struct json *entry = json_at(entries, i);
        struct place at = place_at(&list, i), operation = place_in(&at, "operation"),
                     type = place_in(&at, "fieldsType");
        struct place manager = place_in(&at, "manager");
        const char *op = json_str_or(json_get(entry, "operation"), ""),
                   *t = json_str_or(json_get(entry, "fieldsType"), "");
        if (strcmp(op, "Apply") != 0 && strcmp(op, "Update") != 0)
            complain_invalid_text(e, &operation, op, "must be `Apply` or `Update`");
        if (*t && strcmp(t, "FieldsV1") != 0)
            complain_invalid_text(e, &type, t, "must be `FieldsV1`");
        if (json_str_len(json_get(entry, "manager")) > MANAGER_BYTES_MAX)
            complain_too_long(e, &manager, MANAGER_BYTES_MAX);
    }
}

static void check_shared(struct field_errors *e, const struct json *metadata) {
    struct place labels = place_in(&metadata_place, "labels"), annotations = place_in(&metadata_place, "annotations");
    static const char *const generation[] = {"generation", NULL};
    check_non_negative(e, &metadata_place, metadata, generation);
    check_labels(e, &labels, json_get(metadata, "labels"));
    object_meta_annotations(e, &annotations, json_get(metadata, "annotations"));
    check_owners(e, json_get(metadata, "ownerReferences"));
    check_finalizers(e, json_get(metadata, "finalizers"));
    check_managed_fields(e, json_get(metadata, "managedFields"));
}

/* A prefix ends where the name goes on: its last dash stands for that. */
static void check_generate_name(struct field_errors *e, const char *prefix, name_form form) {
    struct place at = place_in(&metadata_place, "generateName");
    _cleanup_free_ char *masked = xstrdup(prefix);
    size_t n = strlen(masked);
    const char *problems[NAME_PROBLEMS_MAX];
    if (n > 1 && masked[n - 1] == '-')
        memcpy(masked + n - 2, "a", 2);
    size_t n_problems = form(masked, problems);
    for (size_t i = 0; i < n_problems; i++)
        complain_invalid_text(e, &at, prefix, "%s", problems[i]);
}

void object_meta_create(struct field_errors *e, const struct json *metadata, bool namespaced, name_form form) {
    struct place name_place = place_in(&metadata_place, "name"), ns_place = place_in(&metadata_place, "namespace");
    const char *name = json_str_or(json_get(metadata, "name"), ""),
               *ns = json_str_or(json_get(metadata, "namespace"), "");
    const char *prefix = json_str_or(json_get(metadata, "generateName"), "");
    if (*prefix)
        check_generate_name(e, prefix, form);
    if (!*name)
        complain_required(e, &name_place, "name or generateName is required");
    else
        check_name(e, &name_place, name, form);
    if (namespaced && !*ns)
        complain_required(e, &ns_place, "");
    else if (namespaced)
        check_name(e, &ns_place, ns, name_form_dns1123_label);
    else if (*ns)
        complain_forbidden(e, &ns_place, "not allowed on this type");
    check_shared(e, metadata);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static void check_new_finalizers(struct field_errors *e, const struct json *metadata, const struct json *old) {
    struct place at = place_in(&metadata_place, "finalizers");
    _cleanup_strbuf_ struct strbuf list = STRBUF_INIT;
    _cleanup_(hashmap_freep) struct hashmap *had = NULL;
    _cleanup_strv_ char **added = strv_new();
    const struct json *finalizers = json_get(metadata, "finalizers"), *before = json_get(old, "finalizers");
    for (size_t i = 0; i < json_len(before); i++)
        (void) seen_before(&had, json_str_or(json_at(before, i), ""));
    for (size_t i = 0; i < json_len(finalizers); i++)
        if (!seen_before(&had, json_str_or(json_at(finalizers, i), "")))
            strv_push_dup(&added, json_str_or(json_at(finalizers, i), ""));
    qsort(added, strv_len(added), sizeof(*added), by_text);
    for (size_t i = 0; added[i]; i++)
        strbuf_addf(&list, "%s\"%s\"", i ? ", " : "", added[i]);
    if (*added)
        complain_forbidden(
            e, &at, "no new finalizers can be added if the object is being deleted, found new finalizers []string{%s}",
            strbuf_str(&list));
}

void object_meta_update(struct field_errors *e, const struct json *metadata, const struct json *old) {
    static const char *const fixed[] = {
        "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"};
    struct place generation = place_in(&metadata_place, "generation");
    if (!json_is_null(json_get(old, "deletionTimestamp")))
        check_new_finalizers(e, metadata, old);
    if (json_int_or(json_get(metadata, "generation"), 0) < json_int_or(json_get(old, "generation"), 0))
        complain_invalid(e, &generation, json_get(metadata, "generation"), "must not be decremented");
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        struct place at = place_in(&metadata_place, fixed[i]);
        check_immutable(e, &at, json_get(metadata, fixed[i]), json_get(old, fixed[i]));
    }
    check_shared(e, metadata);
}
