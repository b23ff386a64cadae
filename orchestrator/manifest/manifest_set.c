/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/manifest/manifest_set.h"

#include <string.h>

#include "orchestrator/object/resources.h"
#include "podium/base/alloc.h"

void manifest_set_finish(struct manifest_set *set) {
    for (size_t i = 0; i < set->n_objects; i++) {
        json_unref(set->objects[i].doc);
        free(set->objects[i].id);
        free(set->objects[i].file);
    }
    for (size_t i = 0; i < set->n_problems; i++) {
        free(set->problems[i].file);
        free(set->problems[i].text);
    }
    free(set->objects);
    free(set->problems);
    *set = (struct manifest_set) MANIFEST_SET_INIT;
}

void manifest_set_add_problem(struct manifest_set *set, const char *file, const char *text) {
    xgrow(&set->problems, set->n_problems, &set->cap_problems);
    set->problems[set->n_problems++] = (struct manifest_problem){xstrdup(file), xstrdup(text)};
}

const struct manifest_object *manifest_set_find(const struct manifest_set *set, const char *id) {
    for (size_t i = 0; i < set->n_objects; i++)
        if (strcmp(set->objects[i].id, id) == 0)
            return &set->objects[i];
    return NULL;
}

/* Where an object without a namespace goes; "" for cluster-scoped kinds. Kinds not known here (custom ones) keep what
 * they say. */
static const char *namespace_of(const struct json *doc) {
    const struct resource *r =
        resource_by_api_version(json_str(json_get(doc, "apiVersion")), json_str(json_get(doc, "kind")));
    const char *given = json_str_or(json_path(doc, "metadata", "namespace"), "");
    if (r && !r->namespaced)
        return "";
    return r && *given == '\0' ? "default" : given;
}

char *manifest_id(const struct json *doc) {
    const char *api_version = json_str_or(json_get(doc, "apiVersion"), ""), *slash = strchr(api_version, '/');
    return xasprintf("%.*s/%s/%s/%s", slash ? (int) (slash - api_version) : 0, api_version,
                     json_str_or(json_get(doc, "kind"), ""), namespace_of(doc),
                     json_str_or(json_path(doc, "metadata", "name"), ""));
}

void manifest_set_add(struct manifest_set *set, const char *file, const struct json *doc) {
    _cleanup_free_ char *id = manifest_id(doc), *text = NULL;
    const struct manifest_object *first = manifest_set_find(set, id);
    if (!json_is_string(json_path(doc, "metadata", "name")))
        text = xasprintf("%s:%u:%u: metadata.name is missing: generateName would make a new object at each change",
                         file, json_line(doc), json_column(doc));
    else if (first)
        text = xasprintf("%s:%u:%u: %s \"%s\" is already defined in %s:%u", file, json_line(doc), json_column(doc),
                         json_str_or(json_get(doc, "kind"), ""), json_str(json_path(doc, "metadata", "name")),
                         first->file, first->line);
    if (text) {
        manifest_set_add_problem(set, file, text);
        return;
    }
    struct json *copy = json_ref(doc);
    const char *namespace = namespace_of(doc);
    if (*namespace != '\0' && !json_path(doc, "metadata", "namespace"))
        json_set(json_edit(&copy, "metadata"), "namespace", json_string(namespace));
    xgrow(&set->objects, set->n_objects, &set->cap_objects);
    set->objects[set->n_objects++] = (struct manifest_object){copy, steal(&id), xstrdup(file), json_line(doc)};
}
