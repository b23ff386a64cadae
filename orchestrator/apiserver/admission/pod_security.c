/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pod Security admission: pods that violate the standard enforced in their namespace are refused; whoever makes pods
 * by a template is warned. What the standards say: podsecurity/. Namespaces themselves: pod_security_namespace.c.
 */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/audit/annotate.h"
#include "orchestrator/apiserver/podsecurity/checks.h"
#include "orchestrator/apiserver/podsecurity/settings.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "podium/base/alloc.h"

#define SECCOMP_CONTAINER_ANNOTATION "container.seccomp.security.alpha.kubernetes.io/"

enum pod_place { POD_NONE, POD_ITSELF, POD_TEMPLATE, POD_IN_SPEC, POD_IN_JOB };

static enum pod_place place_of(const char *key) {
    static const struct {
        const char *key;
        enum pod_place place;
    } kinds[] = {
        {"pods", POD_ITSELF},
        {"podtemplates", POD_TEMPLATE},
        {"replicationcontrollers", POD_IN_SPEC},
        {"replicasets.apps", POD_IN_SPEC},
        {"deployments.apps", POD_IN_SPEC},
        {"statefulsets.apps", POD_IN_SPEC},
        {"daemonsets.apps", POD_IN_SPEC},
        {"jobs.batch", POD_IN_SPEC},
        {"cronjobs.batch", POD_IN_JOB},
    };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i].key, key) == 0)
            return kinds[i].place;
    return POD_NONE;
}

/* What has metadata and spec of a pod; NULL: a workload without a template. */
static const struct json *pod_of(const struct json *doc, enum pod_place place) {
    switch (place) {
    case POD_NONE:
        return NULL;
    case POD_ITSELF:
        return doc;
    case POD_TEMPLATE:
        return json_get(doc, "template");
    case POD_IN_SPEC:
        return json_path(doc, "spec", "template");
    case POD_IN_JOB:
        return json_path(doc, "spec", "jobTemplate", "spec", "template");
    }
    return NULL;
}

/* --- which requests are looked at --- */

/* Subresources that write no pod. Others (ephemeralcontainers, resize) do. */
static bool writes_no_pod(const struct api_request *req, enum pod_place place) {
    static const char *const ignored[] = {"exec", "attach", "binding", "eviction",
                                          "log",  "proxy",  "status",  "portforward"};
    if (place != POD_ITSELF)
        return req->sub || req->write.through;
    for (size_t i = 0; req->sub && i < ARRAY_LEN(ignored); i++)
        if (strcmp(req->sub->name, ignored[i]) == 0)
            return true;
    return false;
}

static bool container_changed(const struct json *container, const struct json *old, const struct json *annotations,
                              const struct json *old_annotations) {
    if (strcmp(json_get_str(container, "image"), json_get_str(old, "image")) != 0)
        return true;
    if (annotations == old_annotations)
        return false;
    _cleanup_free_ char *key = xasprintf(SECCOMP_CONTAINER_ANNOTATION "%s", json_get_str(container, "name"));
    return strcmp(json_get_str(annotations, key), json_get_str(old_annotations, key)) != 0;
}

static const struct json *named(const struct json *list, const char *name) {
    for (size_t i = 0; i < json_len(list); i++)
        if (json_get_is(json_at(list, i), "name", name))
            return json_at(list, i);
    return NULL;
}

/* Of a pod's fields that may change only these matter to a standard: upstream's isSignificantPodUpdate. */
static bool is_significant(const struct json *pod, const struct json *old) {
    static const char *const lists[] = {"containers", "initContainers"};
    const struct json *notes = json_path(pod, "metadata", "annotations");
    const struct json *old_notes = json_path(old, "metadata", "annotations");

    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *all = json_path(pod, "spec", lists[l]), *before = json_path(old, "spec", lists[l]);
        if (json_len(all) != json_len(before))
            return true;
        for (size_t i = 0; i < json_len(all); i++)
            if (container_changed(json_at(all, i), json_at(before, i), notes, old_notes))
                return true;
    }
    const struct json *extra = json_path(pod, "spec", "ephemeralContainers");
    for (size_t i = 0; i < json_len(extra); i++) {
        const struct json *before =
            named(json_path(old, "spec", "ephemeralContainers"), json_get_str(json_at(extra, i), "name"));
        if (!before || container_changed(json_at(extra, i), before, notes, old_notes))
            return true;
    }
    return false;
}

static bool exempt(struct api_request *req, const char *why) {
    api_audit_annotate(req, POD_SECURITY_PREFIX "exempt", why);
    return true;
}

/* --- the decision --- */

static struct json *labels_of_namespace(struct api_request *req) {
    _cleanup_(store_item_unrefp) struct store_item *ns = store_get(req->api->store, "namespaces", "", req->ns);

    return ns ? json_ref(json_path(store_item_doc(ns), "metadata", "labels")) : NULL;
}

struct evaluation {
    struct ps_policy policy;
    struct ps_pod pod;
    struct ps_findings found[PS_MODES];
    bool done[PS_MODES];
};

static void evaluation_finish(struct evaluation *e) {
    for (size_t m = 0; m < PS_MODES; m++)
        ps_findings_finish(&e->found[m]);
}

/* What the pod violates in a mode; the same standard is checked once. */
static const struct ps_findings *evaluate(struct evaluation *e, enum ps_mode mode) {
    for (enum ps_mode m = PS_ENFORCE; m < PS_MODES; m++)
        if (e->done[m] && ps_standard_equal(e->policy.modes[m], e->policy.modes[mode]))
            return &e->found[m];
    ps_check(e->policy.modes[mode], &e->pod, &e->found[mode]);
    e->done[mode] = true;
    return &e->found[mode];
}

/* `…violates PodSecurity "restricted:latest": …` */
static char *verdict(const struct evaluation *e, enum ps_mode mode, const struct ps_findings *f) {
    char text[PS_STANDARD_TEXT_SIZE];

    return xasprintf("%sviolate%s PodSecurity \"%s\": %s", mode == PS_ENFORCE ? "" : "would ",
                     mode == PS_ENFORCE ? "s" : "", ps_standard_text(e->policy.modes[mode], text),
                     strbuf_str(&f->details));
}

static bool judge(struct api_request *req, struct evaluation *e, bool enforce) {
    char text[PS_STANDARD_TEXT_SIZE];
    const struct ps_findings *f;
    bool allowed = true;

    if (enforce) {
        api_audit_annotate(req, POD_SECURITY_PREFIX "enforce-policy",
                           ps_standard_text(e->policy.modes[PS_ENFORCE], text));
        f = evaluate(e, PS_ENFORCE);
        allowed = f->n == 0;
        if (!allowed) {
            _cleanup_free_ char *why = verdict(e, PS_ENFORCE, f);
            (void) api_forbidden(req, json_str_or(json_get(e->pod.metadata, "name"), req->name), "%s", why);
        }
    }
    f = evaluate(e, PS_AUDIT);
    if (f->n) {
        _cleanup_free_ char *why = verdict(e, PS_AUDIT, f);
        api_audit_annotate(req, POD_SECURITY_PREFIX "audit-violations", why);
    }
    f = allowed ? evaluate(e, PS_WARN) : NULL;
    if (f && f->n) {
        _cleanup_free_ char *why = verdict(e, PS_WARN, f);
        api_warn(req, "%s", why);
    }
    return allowed;
}

static void note_errors(struct api_request *req, const struct field_errors *errors) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    strbuf_adds(&text, errors->n > 1 ? "Failed to parse policy: [" : "Failed to parse policy: ");
    for (size_t i = 0; i < errors->n; i++)
        strbuf_addf(&text, "%s%s: %s", i ? ", " : "", errors->items[i].field, errors->items[i].message);
    if (errors->n > 1)
        strbuf_addc(&text, ']');
    api_audit_annotate(req, POD_SECURITY_PREFIX "error", strbuf_str(&text));
}

static bool check_pod(struct api_request *req, const struct json *pod, bool enforce) {
    const struct ps_settings *settings = req->api->pod_security;
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    _cleanup_json_ struct json *labels = labels_of_namespace(req);
    _cleanup_(evaluation_finish) struct evaluation e = {
        .policy = ps_policy_of(labels, &settings->defaults, &errors),
        .pod = {.metadata = json_get(pod, "metadata"),
                .spec = json_get(pod, "spec"),
                .relax_user_namespaces = settings->relax_user_namespaces},
    };

    if (errors.n == 0 && ps_policy_is_privileged(&e.policy)) {
        if (enforce)
            api_audit_annotate(req, POD_SECURITY_PREFIX "enforce-policy", "privileged:latest");
        return true;
    }
    if (!enforce && errors.n == 0 && e.policy.modes[PS_AUDIT].level == PS_PRIVILEGED &&
        e.policy.modes[PS_WARN].level == PS_PRIVILEGED)
        return true;
    if (ps_is_exempt(settings->runtime_classes, json_get_str(e.pod.spec, "runtimeClassName")))
        return exempt(req, "runtimeClass");
    if (errors.n)
        note_errors(req, &errors);
    return judge(req, &e, enforce);
}

bool pod_security_validate(struct api_request *req, const struct json *old, const struct json *doc) {
    const struct ps_settings *settings = req->api->pod_security;
    enum pod_place place = place_of(req->resource->key);

    if (place == POD_NONE)
        return strcmp(req->resource->key, "namespaces") != 0 || pod_security_namespace(req, old, doc);
    const struct json *pod = pod_of(doc, place);
    if (writes_no_pod(req, place) || !pod || (place == POD_ITSELF && old && !is_significant(doc, old)))
        return true;
    if (ps_is_exempt(settings->namespaces, req->ns))
        return exempt(req, "namespace");
    if (req->user && ps_is_exempt(settings->users, req->user->name))
        return exempt(req, "user");
    return check_pod(req, pod, place == POD_ITSELF);
}
