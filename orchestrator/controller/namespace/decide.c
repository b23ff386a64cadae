/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/namespace/decide.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/object/timestamp.h"

#define FINALIZER "kubernetes"

bool namespace_is_ending(const struct json *ns) {
    const struct json *all = json_path(ns, "spec", "finalizers");
    bool held = false;
    for (size_t i = 0; i < json_len(all); i++)
        held |= strcmp(json_str_or(json_at(all, i), ""), FINALIZER) == 0;
    return meta_is_deleting(ns) && held;
}

struct json *namespace_finalized(const struct json *ns) {
    struct json *out = json_ref(ns);
    const struct json *all = json_path(ns, "spec", "finalizers");
    struct json *rest = json_array();
    for (size_t i = 0; i < json_len(all); i++)
        if (strcmp(json_str_or(json_at(all, i), ""), FINALIZER) != 0)
            json_append(&rest, json_ref(json_at(all, i)));
    json_set_path(&out, rest, "spec", "finalizers");
    return out;
}

static void put(struct json **status, const char *type, bool value, const char *reason, const char *message,
                uint64_t now) {
    struct json **list = json_edit(status, "conditions");
    struct json **c = NULL;
    for (size_t i = 0; i < json_len(*list) && !c; i++)
        if (strcmp(json_str_or(json_get(json_at(*list, i), "type"), ""), type) == 0)
            c = json_edit_at(list, i);
    if (!c)
        c = json_append(list, json_object());
    const char *text = value ? "True" : "False";
    if (strcmp(json_str_or(json_get(*c, "status"), ""), text) != 0) {
        char stamp[TIMESTAMP_SIZE];
        timestamp_format(now, stamp);
        json_set(c, "lastTransitionTime", json_string(stamp));
    }
    json_set(c, "type", json_string(type));
    json_set(c, "status", json_string(text));
    json_set(c, "reason", json_string(reason));
    json_set(c, "message", json_string(message));
}

static void describe(struct strbuf *b, const char *intro, const struct json *counts, const char *word) {
    strbuf_adds(b, intro);
    for (size_t i = 0; i < json_len(counts); i++)
        strbuf_addf(b, "%s %s %s %lld resource instances", i ? "," : "", json_key_at(counts, i), word,
                    (long long) json_int_or(json_value_at(counts, i), 0));
}

struct json *namespace_status(const struct json *ns, const struct json *remaining, const struct json *finalizers,
                              const char *failure, uint64_t now) {
    const struct json *old = json_get(ns, "status");
    struct json *status = json_is_object(old) ? json_ref(old) : json_object();
    _cleanup_strbuf_ struct strbuf content = STRBUF_INIT, held = STRBUF_INIT;
    describe(&content, "Some resources are remaining:", remaining, "has");
    describe(&held, "Some content in the namespace has finalizers remaining:", finalizers, "in");
    put(&status, "NamespaceDeletionContentFailure", failure != NULL,
        failure ? "ContentDeletionFailed" : "ContentDeleted",
        failure ? failure : "All content successfully deleted, may be waiting on finalization", now);
    put(&status, "NamespaceContentRemaining", json_len(remaining) > 0,
        json_len(remaining) > 0 ? "SomeResourcesRemain" : "ContentRemoved",
        json_len(remaining) > 0 ? strbuf_str(&content) : "All content successfully removed", now);
    put(&status, "NamespaceFinalizersRemaining", json_len(finalizers) > 0,
        json_len(finalizers) > 0 ? "SomeFinalizersRemain" : "ContentHasNoFinalizers",
        json_len(finalizers) > 0 ? strbuf_str(&held) : "All content-preserving finalizers finished", now);
    return status;
}

static void count_one(struct json **counts, const char *name) {
    json_set(counts, name, json_int(json_int_or(json_get(*counts, name), 0) + 1));
}

void namespace_count(struct json **remaining, struct json **finalizers, const char *resource,
                     const struct json *object) {
    const struct json *all = json_path(object, "metadata", "finalizers");
    count_one(remaining, resource);
    for (size_t i = 0; i < json_len(all); i++)
        count_one(finalizers, json_str_or(json_at(all, i), ""));
}
