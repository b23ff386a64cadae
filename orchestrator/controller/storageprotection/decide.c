/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/storageprotection/decide.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/podstate.h"
#include "podium/base/alloc.h"

void pod_claim_keys(const struct json *pod, char ***keys) {
    const struct json *volumes = json_path(pod, "spec", "volumes");
    for (size_t i = 0; i < json_len(volumes); i++) {
        const struct json *v = json_at(volumes, i);
        const char *claim = json_get_str(json_get(v, "persistentVolumeClaim"), "claimName");
        if (*claim)
            strv_push(keys, xasprintf("%s/%s", meta_namespace(pod), claim));
        else if (!json_is_null(json_get(v, "ephemeral")))
            strv_push(keys, xasprintf("%s/%s-%s", meta_namespace(pod), meta_name(pod), json_get_str(v, "name")));
    }
}

bool pod_holds_claims(const struct json *pod) {
    return *pod_node(pod) && !pod_is_finished(pod);
}

static struct json *with_finalizer(const struct json *object, const char *name, bool wanted) {
    const struct json *have = json_path(object, "metadata", "finalizers");
    struct json *list = json_array(), *doc;
    if (meta_has_finalizer(object, name) == wanted) {
        json_unref(list);
        return NULL;
    }
    for (size_t i = 0; i < json_len(have); i++)
        if (strcmp(json_str_or(json_at(have, i), ""), name) != 0)
            json_append(&list, json_ref(json_at(have, i)));
    if (wanted)
        json_append(&list, json_string(name));
    doc = json_ref(object);
    json_set_path(&doc, list, "metadata", "finalizers");
    return doc;
}

/* What is not being deleted is protected; what is, as long as it is in use. Nothing is protected anew on its way out.
 */
static struct json *protect(const struct json *object, const char *name, bool used) {
    bool deleting = meta_is_deleting(object);
    if (deleting && used)
        return NULL;
    return with_finalizer(object, name, !deleting);
}

struct json *claim_protected(const struct json *claim, struct json *const *users, size_t n_users) {
    bool used = false;
    for (size_t i = 0; i < n_users; i++)
        used |= pod_holds_claims(users[i]);
    return protect(claim, CLAIM_FINALIZER, used);
}

struct json *volume_protected(const struct json *volume) {
    return protect(volume, VOLUME_FINALIZER,
                   strcmp(json_str_or(json_path(volume, "status", "phase"), ""), "Bound") == 0);
}
