/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/verbs/verbs.h"

/* Any state is new enough unless a revision is named that has not come yet. */
static bool new_enough(struct api_request *req) {
    uint64_t wanted, current = store_revision(req->api->store);
    if (!api_param_revision(req, &wanted))
        return false;
    if (wanted > current)
        (void) api_revision_too_large(req, wanted, current);
    return wanted <= current;
}

enum api_progress verb_get(struct api_request *req) {
    if (!new_enough(req))
        return API_DONE;
    _cleanup_(store_item_unrefp) struct store_item *item =
        store_get(req->api->store, req->resource->key, req->ns, req->name);
    if (!item)
        return api_not_found(req, req->name);
    return api_reply_item(req, 200, item);
}
