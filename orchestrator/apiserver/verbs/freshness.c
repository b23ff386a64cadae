/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/verbs/freshness.h"

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "podium/base/clock.h"

enum api_progress freshness_wait(struct api_request *req, uint64_t wanted, api_step_fn again) {
    uint64_t now = now_monotonic_usec();
    if (!req->patience)
        req->patience = now + FRESHNESS_SECONDS * USEC_PER_SEC;
    if (now >= req->patience || !req->wake_at || !req->wake_at(req, now + USEC_PER_SEC))
        return api_revision_too_large(req, wanted, store_revision(req->api->store));
    req->next = again;
    return API_PENDING;
}
