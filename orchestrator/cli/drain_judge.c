/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/drain_judge.h"

#include <string.h>

#define MIRROR_ANNOTATION "kubernetes.io/config.mirror"

static const struct json *controller_of(const struct json *pod) {
    const struct json *owners = json_path(pod, "metadata", "ownerReferences");
    for (size_t i = 0; i < json_len(owners); i++)
        if (json_bool_or(json_get(json_at(owners, i), "controller"), false))
            return json_at(owners, i);
    return NULL;
}

static bool has_emptydir(const struct json *pod) {
    const struct json *volumes = json_path(pod, "spec", "volumes");
    for (size_t i = 0; i < json_len(volumes); i++)
        if (json_get(json_at(volumes, i), "emptyDir"))
            return true;
    return false;
}

static bool has_ended(const struct json *pod) {
    const char *phase = json_str_or(json_path(pod, "status", "phase"), "");
    return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
}

enum drain_verdict drain_judge(const struct json *pod, const struct drain_rules *rules) {
    const struct json *owner = controller_of(pod);
    if (json_path(pod, "metadata", "annotations", MIRROR_ANNOTATION))
        return DRAIN_STAY_MIRROR;
    if (has_ended(pod))
        return DRAIN_GO;
    if (owner && strcmp(json_str_or(json_get(owner, "kind"), ""), "DaemonSet") == 0)
        return rules->ignore_daemonsets ? DRAIN_STAY_DAEMON : DRAIN_ERROR_DAEMON;
    if (has_emptydir(pod) && !rules->delete_emptydir_data)
        return DRAIN_ERROR_LOCAL_STORAGE;
    if (!owner)
        return rules->force ? DRAIN_GO_UNREPLICATED : DRAIN_ERROR_UNREPLICATED;
    return has_emptydir(pod) ? DRAIN_GO_LOCAL_STORAGE : DRAIN_GO;
}

const char *drain_explain(enum drain_verdict v) {
    switch (v) {
    case DRAIN_GO:
    case DRAIN_STAY_MIRROR:
        return "";
    case DRAIN_GO_UNREPLICATED:
        return "deleting Pods that declare no controller";
    case DRAIN_GO_LOCAL_STORAGE:
        return "deleting Pods with local storage";
    case DRAIN_STAY_DAEMON:
        return "ignoring DaemonSet-managed Pods";
    case DRAIN_ERROR_DAEMON:
        return "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)";
    case DRAIN_ERROR_LOCAL_STORAGE:
        return "cannot delete Pods with local storage (use --delete-emptydir-data to override)";
    case DRAIN_ERROR_UNREPLICATED:
        return "cannot delete Pods that declare no controller (use --force to override)";
    }
    return "";
}
