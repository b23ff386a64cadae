/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/manifest/expand.h"

#include <string.h>

#include "orchestrator/manifest/yaml.h"
#include "podium/base/alloc.h"
#include "podium/base/limits.h"

static int fail(const char *name, const struct json *at, struct error *err, const char *text) {
    return error_set(err, -EINVAL, "%s:%u:%u: %s", name, json_line(at), json_column(at), text);
}

static bool is_list(const struct json *doc) {
    const char *kind = json_str_or(json_get(doc, "kind"), "");
    size_t n = strlen(kind);
    return n >= 4 && strcmp(kind + n - 4, "List") == 0 && (n == 4 || json_is_array(json_get(doc, "items")));
}

static int check_string(const char *name, const struct json *doc, const char *field, struct error *err) {
    const struct json *v = json_get(doc, field);
    if (json_is_string(v) && json_str_len(v) > 0)
        return 0;
    return error_set(err, -EINVAL, "%s:%u:%u: %s%s", name, json_line(v ?: doc), json_column(v ?: doc), field,
                     v ? " must be a string and not empty" : " is missing");
}

static int check_object(const char *name, const struct json *doc, struct error *err) {
    if (!json_is_object(doc))
        return fail(name, doc, err, "a Kubernetes object (a mapping with apiVersion and kind) is expected");
    int k = check_string(name, doc, "apiVersion", err);
    if (k >= 0)
        k = check_string(name, doc, "kind", err);
    const struct json *metadata = json_get(doc, "metadata");
    if (k >= 0 && !json_is_object(metadata))
        k = fail(name, metadata ?: doc, err, metadata ? "metadata must be a mapping" : "metadata is missing");
    if (k >= 0 && !json_get(metadata, "generateName"))
        k = check_string(name, metadata, "name", err);
    return k;
}

/* An item of a PodList is a Pod of the same version. */
static struct json *with_type_of_list(struct json *item, const struct json *list) {
    struct json *copy = json_ref(item);
    const char *kind = json_str(json_get(list, "kind"));
    size_t n = strlen(kind) - 4;
    if (n == 0 || !json_is_object(item))
        return copy;
    if (!json_get(item, "kind"))
        json_set(&copy, "kind", json_string_len(kind, n));
    if (!json_get(item, "apiVersion"))
        json_set(&copy, "apiVersion", json_ref(json_get(list, "apiVersion")));
    return copy;
}

static int expand_into(const char *name, const struct json *doc, struct json **objects, struct error *err) {
    if (!is_list(doc)) {
        int k = check_object(name, doc, err);
        if (k >= 0)
            json_append(objects, json_ref(doc));
        return k;
    }
    const struct json *items = json_get(doc, "items");
    if (items && !json_is_array(items) && !json_is_null(items))
        return fail(name, items, err, "items must be a list");
    for (size_t i = 0; i < json_len(items); i++) {
        _cleanup_json_ struct json *item = with_type_of_list(json_at(items, i), doc);
        int k = expand_into(name, item, objects, err);
        if (k < 0)
            return k;
    }
    return 0;
}

int manifest_expand(const char *name, struct json *const *docs, size_t n, struct json ***ret_objects, size_t *ret_n,
                    struct error *err) {
    _cleanup_json_ struct json *objects = json_array();
    for (size_t i = 0; i < n; i++) {
        int k = expand_into(name ? name : "yaml", docs[i], &objects, err);
        if (k < 0)
            return k;
    }
    *ret_n = json_len(objects);
    *ret_objects = xcalloc(*ret_n + 1, sizeof(struct json *));
    for (size_t i = 0; i < *ret_n; i++)
        (*ret_objects)[i] = json_ref(json_at(objects, i));
    return 0;
}

int manifest_parse(const char *name, const char *p, size_t n, struct json ***ret_objects, size_t *ret_n,
                   struct error *err) {
    struct json **docs = NULL;
    size_t n_docs = 0;
    int k = yaml_parse_documents(name, p, n, &docs, &n_docs, err);
    if (k >= 0)
        k = manifest_expand(name, docs, n_docs, ret_objects, ret_n, err);
    yaml_documents_free(docs, n_docs);
    return k;
}
