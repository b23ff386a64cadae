/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pod Security of namespaces: their labels must be right, and who makes them stricter hears which pods would not be
 * taken any more. */
#include <stdlib.h>
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/podsecurity/checks.h"
#include "orchestrator/apiserver/podsecurity/settings.h"
#include "orchestrator/apiserver/podsecurity/words.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"

/* upstream's bounds */
#define PODS_MAX 3000
#define TIME_MAX (1 * USEC_PER_SEC)

/* --- existing pods --- */

/* Pods that violate the standard in the same way. */
struct group {
    char *name; /* of the first of them in the order of names */
    size_t n;
};

static void group_free(void *p) {
    struct group *g = p;

    free(g->name);
    free(g);
}

static void count(struct hashmap *groups, const char *reasons, const char *name) {
    struct group *g = hashmap_get(groups, reasons);

    if (!g) {
        g = xnew0(struct group);
        g->name = xstrdup(name);
        hashmap_put(groups, reasons, g);
    } else if (strcmp(name, g->name) < 0) {
        free(g->name);
        g->name = xstrdup(name);
    }
    g->n++;
}

static const char *controller_uid(const struct json *pod) {
    const struct json *owners = json_path(pod, "metadata", "ownerReferences");

    for (size_t i = 0; i < json_len(owners); i++)
        if (json_bool_or(json_get(json_at(owners, i), "controller"), false))
            return json_get_str(json_at(owners, i), "uid");
    return NULL;
}

/* One pod of each controller first, then the others, which are probably like it: indexes into the list. Returns how
 * many pods are to be looked at. */
static size_t order_pods(const struct store_list *pods, const struct ps_settings *settings, size_t *order) {
    _cleanup_(hashmap_freep) struct hashmap *seen = hashmap_new(NULL);
    size_t n = 0, n_later = 0;
    size_t *later = xcalloc(pods->n + 1, sizeof(*later));

    for (size_t i = 0; i < pods->n; i++) {
        const struct json *pod = store_item_doc(pods->items[i]);
        const char *uid = controller_uid(pod);
        if (ps_is_exempt(settings->runtime_classes, json_get_str(json_get(pod, "spec"), "runtimeClassName")))
            continue;
        if (uid && hashmap_has(seen, uid)) {
            later[n_later++] = i;
            continue;
        }
        if (uid)
            hashmap_put(seen, uid, (void *) 1);
        order[n++] = i;
    }
    for (size_t i = 0; i < n_later; i++)
        order[n++] = later[i];
    free(later);
    return n;
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static void warn_of_groups(struct api_request *req, const struct hashmap *groups) {
    _cleanup_words_ struct words lines = WORDS_INIT;
    struct hashmap_iter it = {0};

    while (hashmap_next(groups, &it)) {
        const struct group *g = it.value;
        if (g->n == 1)
            words_addf(&lines, "%s: %s", g->name, it.key);
        else
            words_addf(&lines, "%s (and %zu other pod%s): %s", g->name, g->n - 1, g->n == 2 ? "" : "s", it.key);
    }
    if (lines.n > 1)
        qsort(lines.items, lines.n, sizeof(*lines.items), compare_texts);
    for (size_t i = 0; i < lines.n; i++)
        api_warn(req, "%s", lines.items[i]);
}

static void warn_of_pods(struct api_request *req, const char *ns, struct ps_standard standard) {
    const struct ps_settings *settings = req->api->pod_security;
    _cleanup_(hashmap_freep) struct hashmap *groups = hashmap_new(group_free);
    uint64_t until = now_monotonic_usec() + TIME_MAX;
    char text[PS_STANDARD_TEXT_SIZE];
    struct store_list pods;

    if (store_list(req->api->store, "pods", ns, NULL, NULL, 0, 0, &pods) < 0) {
        api_warn(req, "failed to list pods while checking new PodSecurity enforce level");
        return;
    }
    size_t *order = xcalloc(pods.n + 1, sizeof(*order)), checked = 0;
    size_t total = order_pods(&pods, settings, order), limit = total < PODS_MAX ? total : PODS_MAX;
    while (checked < limit) {
        const struct json *doc = store_item_doc(pods.items[order[checked++]]);
        const struct ps_pod pod = {json_get(doc, "metadata"), json_get(doc, "spec"), settings->relax_user_namespaces};
        _cleanup_ps_findings_ struct ps_findings f = PS_FINDINGS_INIT;
        ps_check(standard, &pod, &f);
        if (f.n)
            count(groups, strbuf_str(&f.reasons), json_get_str(pod.metadata, "name"));
        if (now_monotonic_usec() > until)
            break;
    }
    free(order);
    store_list_finish(&pods);
    if (checked < total)
        api_warn(req, "new PodSecurity enforce level only checked against the first %zu of %zu existing pods", checked,
                 total);
    if (hashmap_len(groups))
        api_warn(req, "existing pods in namespace \"%s\" violate the new PodSecurity enforce level \"%s\"", ns,
                 ps_standard_text(standard, text));
    warn_of_groups(req, groups);
}

/* --- the labels --- */

static bool equivalent(const struct ps_policy *a, const struct ps_policy *b) {
    for (size_t m = 0; m < PS_MODES; m++) {
        bool both_privileged = a->modes[m].level == PS_PRIVILEGED && b->modes[m].level == PS_PRIVILEGED;
        if (!both_privileged && !ps_standard_equal(a->modes[m], b->modes[m]))
            return false;
    }
    return true;
}

/* Labels on a namespace that is exempt mean nothing: say so. */
static void warn_of_exemption(struct api_request *req, const char *ns, const struct json *labels,
                              const struct ps_policy *p) {
    _cleanup_words_ struct words said = WORDS_INIT;
    char text[PS_STANDARD_TEXT_SIZE];

    if (ps_policy_is_privileged(p) || equivalent(p, &req->api->pod_security->defaults))
        return;
    for (enum ps_mode m = PS_ENFORCE; m < PS_MODES; m++) {
        _cleanup_free_ char *level = xasprintf(POD_SECURITY_PREFIX "%s", ps_mode_name(m));
        _cleanup_free_ char *version = xasprintf("%s-version", level);
        if (p->modes[m].level != PS_PRIVILEGED && (json_get(labels, level) || json_get(labels, version)))
            words_addf(&said, "%s=%s", ps_mode_name(m), ps_standard_text(p->modes[m], text));
    }
    api_warn(req, "namespace \"%s\" is exempt from Pod Security, and the policy (%s) will be ignored", ns,
             words_joined(&said, ", "));
}

static bool same_errors(const struct field_errors *a, const struct field_errors *b) {
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->items[i].field, b->items[i].field) != 0 || strcmp(a->items[i].message, b->items[i].message) != 0)
            return false;
    return true;
}

bool pod_security_namespace(struct api_request *req, const struct json *old, const struct json *doc) {
    const struct ps_settings *settings = req->api->pod_security;
    const struct json *labels = json_path(doc, "metadata", "labels"),
                      *old_labels = json_path(old, "metadata", "labels");
    const char *ns = json_str_or(json_path(doc, "metadata", "name"), "");
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT, old_errors = FIELD_ERRORS_INIT;

    if (req->sub || (old && !ps_labels_changed(labels, old_labels)))
        return true;
    const struct ps_policy p = ps_policy_of(labels, &settings->defaults, &errors);
    const struct ps_policy before = ps_policy_of(old_labels, &settings->defaults, &old_errors);
    if (errors.n && (!old || !same_errors(&errors, &old_errors))) {
        (void) api_invalid(req, req->resource->kind, req->resource->group, ns, &errors);
        return false;
    }
    const struct ps_standard now = p.modes[PS_ENFORCE], then = before.modes[PS_ENFORCE];
    bool relaxed = now.level == PS_PRIVILEGED || (now.minor == then.minor && now.level <= then.level);
    if (old && relaxed)
        return true;
    if (ps_is_exempt(settings->namespaces, ns))
        warn_of_exemption(req, ns, labels, &p);
    else if (old)
        warn_of_pods(req, ns, now);
    return true;
}
