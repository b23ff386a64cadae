/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/versions.h"

#include "orchestrator/object/storage_version.h"

struct json *version_shown(const struct resource *r, struct store_item *item) {
    struct json *doc = store_item_read(item);
    if (!r->storage_version)
        storage_version_decode(r, &doc);
    return doc;
}

struct json *version_stored(const struct resource *r, struct json *doc) {
    struct json *stored = json_ref(doc);
    if (!r->storage_version)
        storage_version_encode(r, &stored);
    return stored;
}
