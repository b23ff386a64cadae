/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Eviction: a deletion that asks first. Disruption budgets will be asked here; until they are, every eviction is
 * allowed. */
#include <string.h>

#include "orchestrator/apiserver/body.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/subresources/subresources.h"
#include "orchestrator/apiserver/verbs/deletion.h"
#include "orchestrator/apiserver/verbs/prepare.h"
#include "orchestrator/apiserver/write.h"
#include "podium/base/alloc.h"

static void options_free(void *p) {
    delete_options_finish(p);
    free(p);
}

static enum mutate_action evict(struct api_request *req, const struct json *old, struct json **doc) {
    return deletion_decide(req, req->scratch, old, doc);
}

static enum api_progress evicted(struct api_request *req, struct store_item *item, enum mutate_action action) {
    return api_success(req, 201, NULL, NULL);
}

enum api_progress eviction_serve(struct api_request *req) {
    if (strcmp(req->verb, "create") != 0)
        return api_method_not_supported(req, req->verb);
    if (!body_decode(req, "policy/v1", "Eviction") || !prepare_identity(req, &req->input))
        return API_DONE;
    struct delete_options *o = xnew0(struct delete_options);
    req->scratch = o;
    req->scratch_free = options_free;
    if (!delete_options_from(req, json_get(req->input, "deleteOptions"), o))
        return API_DONE;
    return api_mutate(req, evict, evicted);
}
