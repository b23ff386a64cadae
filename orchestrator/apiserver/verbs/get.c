/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/verbs/freshness.h"
#include "orchestrator/apiserver/verbs/verbs.h"

enum api_progress verb_get(struct api_request *req) {
    uint64_t wanted;
    if (!api_param_revision(req, &wanted))
        return API_DONE;
    if (wanted > store_revision(req->api->store))
        return freshness_wait(req, wanted, verb_get);
    _cleanup_(store_item_unrefp) struct store_item *item =
        store_get(req->api->store, req->resource->key, req->ns, req->name);
    if (!item)
        return api_not_found(req, req->name);
    return api_reply_item(req, 200, item);
}
