/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/strategy.h"

#include <string.h>

#include "orchestrator/object/quantity.h"
#include "orchestrator/object/schema.h"
#include "orchestrator/object/strategy_service.h"

static bool is_kind(const struct resource *r, const char *type) {
    return strcmp(r->type, type) == 0;
}

/* Makes a member equal to that of another object, absent included. */
static void carry(struct json **doc, const struct json *from, const char *key) {
    struct json *v = json_get(from, key);
    if (v == json_get(*doc, key))
        return;
    if (v)
        json_set(doc, key, json_ref(v));
    else
        json_del(doc, key);
}

static void carry_in(struct json **doc, const struct json *old, const char *parent, const char *key) {
    const struct json *from = json_get(old, parent);
    if (json_get(from, key) != json_get(json_get(*doc, parent), key))
        carry(json_edit(doc, parent), from, key);
}

/* --- quality of service --- */

struct qos_sums {
    int64_t cpu_request, cpu_limit, memory_request, memory_limit;
    bool some, all_limited;
};

static void add_container(struct qos_sums *s, const struct json *container) {
    const struct json *requests = json_path(container, "resources", "requests");
    const struct json *limits = json_path(container, "resources", "limits");
    int64_t cpu_request = quantity_json_milli(json_get(requests, "cpu"), 0);
    int64_t memory_request = quantity_json(json_get(requests, "memory"), 0);
    int64_t cpu_limit = quantity_json_milli(json_get(limits, "cpu"), 0);
    int64_t memory_limit = quantity_json(json_get(limits, "memory"), 0);
    s->some = s->some || cpu_request || memory_request || cpu_limit || memory_limit;
    s->all_limited = s->all_limited && cpu_limit && memory_limit;
    s->cpu_request += cpu_request;
    s->cpu_limit += cpu_limit;
    s->memory_request += memory_request;
    s->memory_limit += memory_limit;
}

const char *pod_qos_class(const struct json *pod_spec) {
    static const char *const lists[] = {"containers", "initContainers"};
    struct qos_sums s = {.all_limited = true};
    for (size_t k = 0; k < ARRAY_LEN(lists); k++)
        for (size_t i = 0; i < json_len(json_get(pod_spec, lists[k])); i++)
            add_container(&s, json_at(json_get(pod_spec, lists[k]), i));
    if (!s.some)
        return "BestEffort";
    return s.all_limited && s.cpu_request == s.cpu_limit && s.memory_request == s.memory_limit ? "Guaranteed"
                                                                                               : "Burstable";
}

/* --- create --- */

static void create_pod(struct json **doc) {
    struct json *status = json_object();
    json_set(&status, "phase", json_string("Pending"));
    json_set(&status, "qosClass", json_string(pod_qos_class(json_get(*doc, "spec"))));
    if (json_len(json_path(*doc, "spec", "schedulingGates"))) {
        struct json *condition = json_object();
        json_set(&condition, "type", json_string("PodScheduled"));
        json_set(&condition, "status", json_string("False"));
        json_set(&condition, "reason", json_string("SchedulingGated"));
        json_set(&condition, "message", json_string("Scheduling is blocked due to non-empty scheduling gates"));
        json_append(json_edit(&status, "conditions"), condition);
    }
    json_set(doc, "status", status);
}

static void create_namespace(struct json **doc) {
    const struct json *finalizers = json_path(*doc, "spec", "finalizers");
    for (size_t i = 0; i < json_len(finalizers); i++)
        if (strcmp(json_str_or(json_at(finalizers, i), ""), "kubernetes") == 0)
            return;
    json_append(json_edit(json_edit(doc, "spec"), "finalizers"), json_string("kubernetes"));
}

/* Without manualSelector a job finds its pods by its own uid. */
static void create_job(struct json **doc) {
    const char *uid = json_str(json_path(*doc, "metadata", "uid"));
    const char *name = json_str_or(json_path(*doc, "metadata", "name"), "");
    if (!uid || json_bool_or(json_path(*doc, "spec", "manualSelector"), false))
        return;
    struct json *labels = json_ref(json_path(*doc, "spec", "template", "metadata", "labels"));
    json_set(&labels, "controller-uid", json_string(uid));
    json_set(&labels, "job-name", json_string(name));
    json_set(&labels, "batch.kubernetes.io/controller-uid", json_string(uid));
    json_set(&labels, "batch.kubernetes.io/job-name", json_string(name));
    json_set_path(doc, json_string(uid), "spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid");
    json_set_path(doc, labels, "spec", "template", "metadata", "labels");
}

void strategy_prepare_create(const struct resource *r, struct json **doc) {
    struct json **metadata = json_edit(doc, "metadata");
    json_del(metadata, "deletionTimestamp");
    json_del(metadata, "deletionGracePeriodSeconds");
    json_del(metadata, "selfLink");
    json_del(metadata, "generation");
    if (r->tracks_generation)
        json_set(metadata, "generation", json_int(1));
    /* A node registers itself together with its status. */
    if (resource_subresource(r, "status") && !is_kind(r, "core.v1.Node"))
        json_del(doc, "status");
    if (is_kind(r, "core.v1.Pod"))
        create_pod(doc);
    else if (is_kind(r, "core.v1.Namespace"))
        create_namespace(doc);
    else if (is_kind(r, "core.v1.Service"))
        strategy_service_create(doc);
    else if (is_kind(r, "batch.v1.Job"))
        create_job(doc);
    schema_default(r->api_version, r->kind, doc);
}

/* --- certificate signing requests --- */

/* Approval is nobody's business but the approval's: what was decided comes back as it was. */
static void keep_decisions(struct json **doc, const struct json *old) {
    const struct json *list = json_path(*doc, "status", "conditions"), *before = json_path(old, "status", "conditions");
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *c = json_at(list, i);
        if (!json_get_is(c, "type", "Approved") && !json_get_is(c, "type", "Denied"))
            continue;
        for (size_t k = 0; k < json_len(before); k++) {
            struct json *was = json_at(before, k);
            if (!json_get_is(was, "type", json_get_str(c, "type")))
                continue;
            struct json **slot = json_edit_at(json_edit(json_edit(doc, "status"), "conditions"), i);
            json_unref(*slot);
            *slot = json_ref(was);
            list = json_path(*doc, "status", "conditions");
            break;
        }
    }
}

static void update_certificate_request(const char *subresource, struct json **doc, const struct json *old) {
    carry(doc, old, "spec");
    if (strcmp(subresource, "approval") == 0)
        carry_in(doc, old, "status", "certificate");
    else
        keep_decisions(doc, old);
}

/* --- update --- */

static bool is_envelope(const char *key) {
    return strcmp(key, "apiVersion") == 0 || strcmp(key, "kind") == 0 || strcmp(key, "metadata") == 0;
}

/* Everything but metadata and `except` comes from the old object. */
static void keep_all_but(struct json **doc, const struct json *old, const char *except) {
    for (size_t i = json_len(*doc); i-- > 0;) {
        const char *key = json_key_at(*doc, i);
        if (!is_envelope(key) && strcmp(key, except) != 0 && !json_get(old, key))
            json_del(doc, key);
    }
    for (size_t i = 0; i < json_len(old); i++) {
        const char *key = json_key_at(old, i);
        if (!is_envelope(key) && strcmp(key, except) != 0)
            carry(doc, old, key);
    }
}

static bool differs_beyond_metadata(const struct json *a, const struct json *b) {
    for (size_t i = 0; i < json_len(a); i++) {
        const char *key = json_key_at(a, i);
        if (!is_envelope(key) && strcmp(key, "status") != 0 && !json_equal(json_value_at(a, i), json_get(b, key)))
            return true;
    }
    for (size_t i = 0; i < json_len(b); i++)
        if (strcmp(json_key_at(b, i), "status") != 0 && !json_get(a, json_key_at(b, i)))
            return true;
    return false;
}

/* What no update may change: identity, and a deletion that has begun. */
static void keep_system_metadata(struct json **doc, const struct json *old) {
    static const char *const filled[] = {"uid", "creationTimestamp"};
    static const char *const deletion[] = {"deletionTimestamp", "deletionGracePeriodSeconds"};
    const struct json *from = json_get(old, "metadata");
    struct json **metadata = json_edit(doc, "metadata");
    for (size_t i = 0; i < ARRAY_LEN(filled); i++)
        if (json_is_null(json_get(*metadata, filled[i])))
            carry(metadata, from, filled[i]);
    for (size_t i = 0; i < ARRAY_LEN(deletion); i++)
        if (!json_is_null(json_get(from, deletion[i])) || json_is_null(json_get(*metadata, deletion[i])))
            carry(metadata, from, deletion[i]);
    json_del(metadata, "selfLink");
    carry(metadata, from, "generation");
}

static void bump_generation(const struct resource *r, struct json **doc, const struct json *old) {
    bool changed = differs_beyond_metadata(*doc, old) ||
                   /* the annotations of a deployment go to its replica sets */
                   (is_kind(r, "apps.v1.Deployment") &&
                    !json_equal(json_path(*doc, "metadata", "annotations"), json_path(old, "metadata", "annotations")));
    if (r->tracks_generation && changed)
        json_set_path(doc, json_int(json_int_or(json_path(old, "metadata", "generation"), 0) + 1), "metadata",
                      "generation");
}

static void update_main(const struct resource *r, struct json **doc, const struct json *old) {
    if (resource_subresource(r, "status"))
        carry(doc, old, "status");
    if (is_kind(r, "core.v1.Namespace"))
        carry(doc, old, "spec"); /* finalizers, by /finalize only */
    else if (is_kind(r, "certificates.v1.CertificateSigningRequest"))
        carry(doc, old, "spec"); /* what was signed or approved stays what was asked for */
    else if (is_kind(r, "core.v1.Pod"))
        carry_in(doc, old, "spec", "ephemeralContainers"); /* by /ephemeralcontainers only */
    else if (is_kind(r, "core.v1.Service"))
        strategy_service_update(doc, old);
    schema_default(r->api_version, r->kind, doc);
    bump_generation(r, doc, old);
}

static void update_status(const struct resource *r, struct json **doc, const struct json *old) {
    keep_all_but(doc, old, "status");
    if (is_kind(r, "apps.v1.Deployment"))
        carry_in(doc, old, "metadata", "labels");
    if (is_kind(r, "core.v1.Pod")) {
        carry_in(doc, old, "metadata", "ownerReferences");
        if (json_is_null(json_path(*doc, "status", "qosClass")))
            carry_in(doc, old, "status", "qosClass");
    }
}

/* Of a pod only the named parts of its spec. */
static void update_pod_part(struct json **doc, const struct json *old, const char *part) {
    struct json *spec = json_ref(json_get(old, "spec"));
    struct json *wanted = json_path(*doc, "spec", part);
    if (wanted)
        json_set(&spec, part, json_ref(wanted));
    else
        json_del(&spec, part);
    keep_all_but(doc, old, "spec");
    json_set(doc, "spec", spec);
}

static const struct json *container_named(const struct json *spec, const char *name) {
    const struct json *all = json_get(spec, "containers");
    for (size_t i = 0; i < json_len(all); i++)
        if (json_get_is(json_at(all, i), "name", name))
            return json_at(all, i);
    return NULL;
}

/* Of a pod only the resources of its containers, and how a change of them is done. A change is proposed to its node. */
static void update_pod_size(struct json **doc, const struct json *old) {
    static const char *const parts[] = {"resources", "resizePolicy"};
    _cleanup_json_ struct json *wanted = json_ref(json_get(*doc, "spec"));
    const struct json *before = json_path(old, "spec", "containers");
    bool proposed = false;
    keep_all_but(doc, old, "");
    for (size_t i = 0; i < json_len(before); i++) {
        const struct json *was = json_at(before, i), *now = container_named(wanted, json_get_str(was, "name"));
        for (size_t k = 0; now && k < ARRAY_LEN(parts); k++) {
            if (json_equal(json_get(now, parts[k]), json_get(was, parts[k])))
                continue;
            carry(json_edit_at(json_edit(json_edit(doc, "spec"), "containers"), i), now, parts[k]);
            proposed |= k == 0;
        }
    }
    if (proposed)
        json_set_path(doc, json_string("Proposed"), "status", "resize");
}

void strategy_prepare_update(const struct resource *r, const char *subresource, struct json **doc,
                             const struct json *old) {
    keep_system_metadata(doc, old);
    if (!subresource) {
        update_main(r, doc, old);
        return;
    }
    if (is_kind(r, "certificates.v1.CertificateSigningRequest"))
        update_certificate_request(subresource, doc, old);
    else if (strcmp(subresource, "finalize") == 0)
        keep_all_but(doc, old, "spec");
    else if (strcmp(subresource, "ephemeralcontainers") == 0)
        update_pod_part(doc, old, "ephemeralContainers");
    else if (strcmp(subresource, "resize") == 0)
        update_pod_size(doc, old);
    else
        update_status(r, doc, old);
    schema_default(r->api_version, r->kind, doc);
}
