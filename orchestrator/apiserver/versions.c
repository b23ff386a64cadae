/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/versions.h"

#include <string.h>

/* Only the labels are changed for now: shapes that differ keep the members of the version they were written in. */
static struct json *relabel(const struct resource *to, const struct json *doc) {
    struct json *d = json_ref(doc);
    if (strcmp(json_str_or(json_get(d, "apiVersion"), ""), resource_api_version(to)) != 0)
        json_set(&d, "apiVersion", json_string(resource_api_version(to)));
    return d;
}

struct json *version_shown(const struct resource *r, struct store_item *item) {
    const struct json *doc = store_item_doc(item);
    return r->storage_version ? json_ref(doc) : relabel(r, doc);
}

struct json *version_stored(const struct resource *r, struct json *doc) {
    return r->storage_version ? json_ref(doc) : relabel(resource_storage(r), doc);
}
