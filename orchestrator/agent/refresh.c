/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What changes while a pod runs reaches the files it sees. */
#include <string.h>

#include "orchestrator/agent/containers.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/agent/volume_content.h"
#include "orchestrator/agent/volumes.h"

void agent_pod_refresh_volumes(struct agent_pod *pod) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct pod_context ctx;

    if (!pod->unit_exists || !pod->desired || pod->final)
        return;
    agent_pod_context(pod, &ctx);
    int r = volumes_refresh(&ctx, &err);
    if (r < 0)
        agent_event(pod, NULL, "Warning", "FailedMount", "%s", error_text(&err, r));
}

void agent_objects_changed(struct agent *agent, const char *kind, const char *namespace, const char *name) {
    struct hashmap_iter it = {0};

    while (hashmap_next(agent->pods, &it)) {
        struct agent_pod *pod = it.value;
        if (kind && strcmp(pod->namespace, namespace) != 0)
            continue;
        if (containers_use_object(pod->desired, kind, name)) {
            pod->stale_env = true;
            pod->retry_at = 0;
            agent_pod_mark(pod);
        }
        if (pod->problem.wants_object) {
            pod->retry_at = 0;
            agent_pod_mark(pod);
        } else {
            agent_pod_refresh_volumes(pod);
        }
    }
}

bool agent_shown_metadata_differs(const struct json *a, const struct json *b) {
    static const char *const members[] = {"labels", "annotations"};
    const struct json *volumes = json_path(b, "spec", "volumes");
    bool differs = false, shown = false;

    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        differs |= !json_equal(json_path(a, "metadata", members[i]), json_path(b, "metadata", members[i]));
    for (size_t i = 0; differs && i < json_len(volumes); i++)
        shown |= volume_shows_metadata(json_at(volumes, i));
    return shown;
}
