/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ReplicaSet of a template: its name, revision and annotations. */
#include <stdlib.h>
#include <string.h>

#include "orchestrator/controller/deployment/view.h"
#include "orchestrator/controller/ownership.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

#define NAME_MAX_BYTES    253
#define HISTORY_MAX_BYTES 2000 /* of the revision-history annotation, as upstream */

/* Annotations of the Deployment that say something about the Deployment itself. */
static const char *const not_copied[] = {
    "kubectl.kubernetes.io/last-applied-configuration",
    ANNOTATION_REVISION,
    ANNOTATION_REVISION_HISTORY,
    ANNOTATION_DESIRED,
    ANNOTATION_MAX,
    "deprecated.deployment.rollback.to",
};

/* --- hash --- */

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Hash of a document that does not depend on the order of members, and skips nulls and the hash label. */
static uint64_t hash_value(const struct json *v, uint64_t seed) {
    uint64_t h = (seed + (uint64_t) json_type(v)) * 0x100000001b3ull;
    if (json_is_object(v)) {
        size_t n = json_len(v), used = 0;
        _cleanup_free_ const char **keys = xcalloc(n + 1, sizeof(*keys));
        for (size_t i = 0; i < n; i++)
            if (!json_is_null(json_value_at(v, i)) && strcmp(json_key_at(v, i), LABEL_TEMPLATE_HASH) != 0)
                keys[used++] = json_key_at(v, i);
        qsort(keys, used, sizeof(*keys), by_text);
        for (size_t i = 0; i < used; i++)
            h = hash_value(json_get(v, keys[i]), h ^ fnv1a(keys[i], strlen(keys[i])));
    } else if (json_is_array(v)) {
        for (size_t i = 0; i < json_len(v); i++)
            h = hash_value(json_at(v, i), h);
    } else if (json_is_string(v)) {
        h ^= fnv1a(json_str(v), json_str_len(v));
    } else {
        _cleanup_free_ char *text = json_to_text(v);
        h ^= fnv1a(text, strlen(text));
    }
    h ^= h >> 29;
    return h * 0xbf58476d1ce4e5b9ull;
}

char *deployment_template_hash(const struct json *template, int64_t collisions) {
    static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789"; /* no vowels: no words */
    uint64_t h = hash_value(template, 0xcbf29ce484222325ull + (uint64_t) collisions * 0x9e3779b97f4a7c15ull);
    char text[11] = {0};
    for (size_t i = 0; i < 10; i++) {
        text[i] = alphabet[h % (sizeof(alphabet) - 1)];
        h /= sizeof(alphabet) - 1;
    }
    return xstrdup(text);
}

bool deployment_templates_equal(const struct json *a, const struct json *b) {
    _cleanup_json_ struct json *x = json_ref(a), *y = json_ref(b);
    struct json **both[] = {&x, &y};
    for (size_t i = 0; i < 2; i++)
        if (json_get(json_path(*both[i], "metadata", "labels"), LABEL_TEMPLATE_HASH))
            json_del(json_edit(json_edit(both[i], "metadata"), "labels"), LABEL_TEMPLATE_HASH);
    return json_equal(x, y);
}

/* --- revisions and annotations --- */

static const struct json *annotations(const struct json *object) {
    return json_path(object, "metadata", "annotations");
}

int64_t set_annotation(const struct json *rs, const char *name) {
    const char *text = json_str(json_get(annotations(rs), name));
    return text ? strtoll(text, NULL, 10) : -1;
}

int64_t revision_of(const struct json *object) {
    int64_t r = set_annotation(object, ANNOTATION_REVISION);
    return r < 0 ? 0 : r;
}

static void annotate(struct json **object, const char *name, struct json *take_value) {
    json_set_path(object, take_value, "metadata", "annotations", name);
}

void set_scale_annotations(const struct view *v, struct json **rs) {
    int64_t max = v->replicas + v->surge;
    if (set_annotation(*rs, ANNOTATION_DESIRED) != v->replicas)
        annotate(rs, ANNOTATION_DESIRED, json_stringf("%lld", (long long) v->replicas));
    if (set_annotation(*rs, ANNOTATION_MAX) != max)
        annotate(rs, ANNOTATION_MAX, json_stringf("%lld", (long long) max));
}

static bool is_copied(const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(not_copied); i++)
        if (strcmp(not_copied[i], name) == 0)
            return false;
    return true;
}

static void copy_annotations(const struct json *d, struct json **rs) {
    const struct json *from = annotations(d);
    for (size_t i = 0; i < json_len(from); i++) {
        const char *name = json_key_at(from, i);
        if (is_copied(name) && !json_equal(json_get(annotations(*rs), name), json_value_at(from, i)))
            annotate(rs, name, json_ref(json_value_at(from, i)));
    }
}

/* A template that is rolled out again gets the next revision and remembers its former ones. */
static void raise_revision(struct json **rs, int64_t revision) {
    int64_t before = revision_of(*rs);
    if (before >= revision)
        return;
    annotate(rs, ANNOTATION_REVISION, json_stringf("%lld", (long long) revision));
    if (before == 0)
        return;
    const char *history = json_str_or(json_get(annotations(*rs), ANNOTATION_REVISION_HISTORY), "");
    while (strlen(history) > HISTORY_MAX_BYTES && strchr(history, ',')) /* the oldest are dropped */
        history = strchr(history, ',') + 1;
    annotate(rs, ANNOTATION_REVISION_HISTORY,
             *history ? json_stringf("%s,%lld", history, (long long) before)
                      : json_stringf("%lld", (long long) before));
}

static int64_t next_revision(const struct view *v) {
    int64_t most = 0;
    for (size_t i = 0; i < v->n; i++)
        if (&v->sets[i] != v->current && revision_of(v->sets[i].object) > most)
            most = revision_of(v->sets[i].object);
    return most + 1;
}

static char *revision_change(const struct view *v, const struct json *rs) {
    const char *want = json_str_or(json_get(annotations(rs), ANNOTATION_REVISION), "");
    const char *have = json_str_or(json_get(annotations(v->d), ANNOTATION_REVISION), "");
    return strcmp(want, have) == 0 || !*want ? NULL : xstrdup(want);
}

struct json *revision_update(const struct view *v, const struct set_view *s, char **ret_revision) {
    struct json *rs = json_ref(s->object);
    if (s == v->current) {
        copy_annotations(v->d, &rs);
        raise_revision(&rs, next_revision(v));
        const struct json *min_ready = json_path(v->d, "spec", "minReadySeconds");
        if (json_int_or(min_ready, 0) != json_int_or(json_path(rs, "spec", "minReadySeconds"), 0))
            json_set_path(&rs, json_int(json_int_or(min_ready, 0)), "spec", "minReadySeconds");
        *ret_revision = revision_change(v, rs);
    }
    if (s->marked)
        set_scale_annotations(v, &rs);
    if (s->spec != s->was)
        json_set_path(&rs, json_int(s->spec), "spec", "replicas");
    if (json_equal(rs, s->object)) {
        json_unref(rs);
        return NULL;
    }
    return rs;
}

/* --- the new ReplicaSet --- */

struct json *revision_new_set(const struct view *v) {
    const struct json *template = json_path(v->d, "spec", "template");
    _cleanup_free_ char *hash =
        deployment_template_hash(template, json_int_or(json_path(v->d, "status", "collisionCount"), 0));
    struct json *rs = json_object();
    json_set(&rs, "apiVersion", json_string("apps/v1"));
    json_set(&rs, "kind", json_string("ReplicaSet"));
    json_set_path(&rs, json_stringf("%.*s-%s", (int) (NAME_MAX_BYTES - strlen(hash) - 1), meta_name(v->d), hash),
                  "metadata", "name");
    json_set_path(&rs, json_string(meta_namespace(v->d)), "metadata", "namespace");
    struct json *refs = json_array();
    json_append(&refs, owner_reference(v->d));
    json_set_path(&rs, refs, "metadata", "ownerReferences");

    struct json *labelled = json_ref(template);
    json_set_path(&labelled, json_string(hash), "metadata", "labels", LABEL_TEMPLATE_HASH);
    json_set_path(&rs, json_ref(json_path(labelled, "metadata", "labels")), "metadata", "labels");
    json_set_path(&rs, labelled, "spec", "template");
    struct json *selector = json_ref(json_path(v->d, "spec", "selector"));
    json_set_path(&selector, json_string(hash), "matchLabels", LABEL_TEMPLATE_HASH);
    json_set_path(&rs, selector, "spec", "selector");
    json_set_path(&rs, json_int(scale_new_target(v)), "spec", "replicas");
    int64_t min_ready = json_int_or(json_path(v->d, "spec", "minReadySeconds"), 0);
    if (min_ready > 0)
        json_set_path(&rs, json_int(min_ready), "spec", "minReadySeconds");

    copy_annotations(v->d, &rs);
    raise_revision(&rs, next_revision(v));
    set_scale_annotations(v, &rs);
    return rs;
}
