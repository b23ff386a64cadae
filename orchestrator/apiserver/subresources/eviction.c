/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Eviction: a deletion that asks the pod's disruption budget first. The budget's status counts down before the pod
 * goes, so that of many evictions at one time no more succeed than it allows; the disruption controller counts up again
 * when it sees the pod going. Source of the behaviour: upstream's pkg/registry/core/pod/storage/eviction.go.
 */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/body.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/subresources/subresources.h"
#include "orchestrator/apiserver/verbs/deletion.h"
#include "orchestrator/apiserver/verbs/prepare.h"
#include "orchestrator/apiserver/versions.h"
#include "orchestrator/apiserver/write.h"
#include "orchestrator/object/selector.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define DISRUPTED_PODS_MAX 2000
#define BUSY_SECONDS       10

struct eviction {
    struct delete_options options;
    const struct resource *pods;
    char *pod;
};

static void eviction_free(void *p) {
    struct eviction *e = p;

    delete_options_finish(&e->options);
    free(e->pod);
    free(e);
}

/* --- the deletion --- */

static enum mutate_action evict(struct api_request *req, const struct json *old, struct json **doc) {
    struct eviction *e = req->scratch;

    return deletion_decide(req, &e->options, old, doc);
}

static enum api_progress evicted(struct api_request *req, struct store_item *item, enum mutate_action action) {
    return api_success(req, 201, NULL, NULL);
}

/* --- the budget --- */

static bool covers(const struct json *pdb, const struct json *pod) {
    _cleanup_(selector_freep) struct selector *selector = NULL;
    const struct json *spec = json_path(pdb, "spec", "selector");

    return json_is_object(spec) && selector_from_object(spec, &selector, NULL) == 0 &&
           selector_matches(selector, json_path(pod, "metadata", "labels"));
}

/* The one budget of the pod (caller unrefs), NULL when there is none; *ret_n: how many there are. */
static struct json *find_budget(struct api_request *req, const struct resource *budgets, const struct json *pod,
                                size_t *ret_n) {
    struct json *found = NULL;
    struct store_list all;

    *ret_n = 0;
    if (store_list(req->api->store, budgets->key, req->ns, NULL, NULL, 0, 0, &all) < 0)
        return NULL;
    for (size_t i = 0; i < all.n; i++) {
        _cleanup_json_ struct json *pdb = version_shown(budgets, all.items[i]);
        if (!covers(pdb, pod))
            continue;
        ++*ret_n;
        json_unref(found);
        found = json_ref(pdb);
    }
    store_list_finish(&all);
    return found;
}

static const char *ready_status(const struct json *pod) {
    const struct json *all = json_path(pod, "status", "conditions");

    for (size_t i = 0; i < json_len(all); i++)
        if (strcmp(json_str_or(json_get(json_at(all, i), "type"), ""), "Ready") == 0)
            return json_str_or(json_get(json_at(all, i), "status"), "");
    return "";
}

/* Pods that serve nobody go without being counted. */
static bool goes_freely(const struct json *pod) {
    const char *phase = json_str_or(json_path(pod, "status", "phase"), "");

    return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0 || strcmp(phase, "Pending") == 0 ||
           !json_is_null(json_path(pod, "metadata", "deletionTimestamp"));
}

/* A pod that is not ready is no loss to a budget whose healthy pods suffice, or which says so. */
static bool unhealthy_may_go(const struct json *pdb, const struct json *pod) {
    const char *policy = json_str_or(json_path(pdb, "spec", "unhealthyPodEvictionPolicy"), "IfHealthyBudget");
    int64_t healthy = json_int_or(json_path(pdb, "status", "currentHealthy"), 0);
    int64_t desired = json_int_or(json_path(pdb, "status", "desiredHealthy"), 0);

    if (strcmp(ready_status(pod), "True") == 0)
        return false;
    return strcmp(policy, "AlwaysAllow") == 0 || (healthy >= desired && desired > 0);
}

static enum mutate_action refuse(struct api_request *req, unsigned retry_seconds, const char *why) {
    (void) api_fail(req, 429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.");
    api_status_add_cause(req, "DisruptionBudget", why, NULL);
    if (retry_seconds > 0) {
        json_set_path(&req->out.object, json_int(retry_seconds), "details", "retryAfterSeconds");
        req->out.retry_after = retry_seconds;
    }
    return MUTATE_FAILED;
}

static enum mutate_action count_down(struct api_request *req, const struct json *old, struct json **doc) {
    const struct eviction *e = req->scratch;
    const struct json *status = json_get(old, "status");
    int64_t allowed = json_int_or(json_get(status, "disruptionsAllowed"), 0);
    char now[TIMESTAMP_SIZE];

    if (!old) /* gone meanwhile: nothing to ask */
        return MUTATE_KEEP;
    if (json_int_or(json_get(status, "observedGeneration"), 0) <
        json_int_or(json_path(old, "metadata", "generation"), 0)) {
        _cleanup_free_ char *why =
            xasprintf("The disruption budget %s is still being processed by the server.", req->name);
        return refuse(req, BUSY_SECONDS, why);
    }
    if (json_len(json_get(status, "disruptedPods")) > DISRUPTED_PODS_MAX) {
        (void) api_forbidden(req, req->name,
                             "DisruptedPods map too big - too many evictions not confirmed by PDB "
                             "controller");
        return MUTATE_FAILED;
    }
    if (allowed <= 0) {
        _cleanup_free_ char *why = xasprintf("The disruption budget %s needs %lld healthy pods and has %lld currently",
                                             req->name, (long long) json_int_or(json_get(status, "desiredHealthy"), 0),
                                             (long long) json_int_or(json_get(status, "currentHealthy"), 0));
        return refuse(req, 0, why);
    }
    timestamp_format(now_realtime_usec(), now);
    *doc = json_ref(old);
    json_set_path(doc, json_int(allowed - 1), "status", "disruptionsAllowed");
    json_set_path(doc, json_string(now), "status", "disruptedPods", e->pod);
    return MUTATE_WRITE;
}

static void turn_to(struct api_request *req, const struct resource *resource, const char *name) {
    char *copy = xstrdup(name);

    req->resource = resource;
    free(req->name);
    req->name = copy;
}

static enum api_progress counted(struct api_request *req, struct store_item *item, enum mutate_action action) {
    struct eviction *e = req->scratch;

    turn_to(req, e->pods, e->pod);
    return api_mutate(req, evict, evicted);
}

static enum api_progress ask_budget(struct api_request *req) {
    const struct resource *budgets = resource_by_plural("policy", "v1", "poddisruptionbudgets");
    _cleanup_(store_item_unrefp) struct store_item *item =
        store_get(req->api->store, req->resource->key, req->ns, req->name);
    size_t n;

    if (!item)
        return api_not_found(req, req->name);
    const struct json *pod = store_item_doc(item);
    if (!node_restriction_evict(req, pod))
        return API_DONE;
    if (goes_freely(pod))
        return api_mutate(req, evict, evicted);
    _cleanup_json_ struct json *pdb = find_budget(req, budgets, pod, &n);
    if (n > 1)
        return api_internal_error(req, "This pod has more than one PodDisruptionBudget, which the eviction subresource "
                                       "does not support.");
    if (!pdb || unhealthy_may_go(pdb, pod))
        return api_mutate(req, evict, evicted);
    turn_to(req, budgets, json_str_or(json_path(pdb, "metadata", "name"), ""));
    return api_mutate(req, count_down, counted);
}

enum api_progress eviction_serve(struct api_request *req) {
    if (strcmp(req->verb, "create") != 0)
        return api_method_not_supported(req, req->verb);
    if (!body_decode(req, "policy/v1", "Eviction") || !prepare_identity(req, &req->input))
        return API_DONE;
    struct eviction *e = xnew0(struct eviction);
    e->pods = req->resource;
    e->pod = xstrdup(req->name);
    req->scratch = e;
    req->scratch_free = eviction_free;
    if (!delete_options_from(req, json_get(req->input, "deleteOptions"), &e->options))
        return API_DONE;
    return ask_budget(req);
}
