/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/static_pods.h"

#include <string.h>

#include "orchestrator/agent/model.h"
#include "orchestrator/agent/status.h"
#include "podium/base/alloc.h"

struct mirror {
    char *namespace, *name, *of; /* of: the static pod's uid */
    bool deleting, named, told;  /* told: its end was asked for */
};

static void mirror_free(void *p) {
    struct mirror *m = p;

    free(m->namespace);
    free(m->name);
    free(m->of);
    free(m);
}

static struct hashmap *mirrors(struct agent *agent) {
    if (!agent->mirrors)
        agent->mirrors = hashmap_new(mirror_free);
    return agent->mirrors;
}

static void look(struct agent *agent) {
    agent->mirrors_dirty = true;
    agent_node_changed(agent); /* wakes the loop */
}

const char *mirror_of(const struct json *pod) {
    return json_str(json_path(pod, "metadata", "annotations", ANNOTATION_MIRROR));
}

static struct agent_pod *static_pod(const struct agent *agent, const char *uid) {
    struct agent_pod *pod = hashmap_get(agent->pods, uid);

    return pod && pod->is_static ? pod : NULL;
}

/* --- mirrors, in --- */

void mirror_applied(struct agent *agent, const struct json *doc) {
    const char *uid = json_str_or(json_path(doc, "metadata", "uid"), "");
    struct mirror *m = hashmap_get(mirrors(agent), uid);

    if (!m) {
        m = xnew0(struct mirror);
        m->namespace = xstrdup(json_str_or(json_path(doc, "metadata", "namespace"), ""));
        m->name = xstrdup(json_str_or(json_path(doc, "metadata", "name"), ""));
        m->of = xstrdup(mirror_of(doc));
        hashmap_put(mirrors(agent), uid, m);
        struct agent_pod *pod = static_pod(agent, m->of);
        if (pod) { /* now there is somebody to tell the status of */
            pod->status_silent = true;
            agent_pod_mark(pod);
        }
    }
    m->deleting = json_str_or(json_path(doc, "metadata", "deletionTimestamp"), "")[0] != 0;
    m->named = true;
    look(agent);
}

bool mirror_removed(struct agent *agent, const char *uid) {
    const struct mirror *m = agent->mirrors ? hashmap_get(agent->mirrors, uid) : NULL;

    if (!m)
        return false;
    struct agent_pod *pod = static_pod(agent, m->of);
    if (pod)
        pod->mirror_asked = false;
    (void) hashmap_remove(agent->mirrors, uid);
    look(agent);
    return true;
}

void mirrors_sync_begin(struct agent *agent) {
    struct hashmap_iter it = {0};

    while (agent->mirrors && hashmap_next(agent->mirrors, &it))
        ((struct mirror *) it.value)->named = false;
}

void mirrors_sync_end(struct agent *agent) {
    _cleanup_strv_ char **gone = strv_new();
    struct hashmap_iter it = {0};

    while (agent->mirrors && hashmap_next(agent->mirrors, &it))
        if (!((struct mirror *) it.value)->named)
            strv_push_dup(&gone, it.key);
    for (char **uid = gone; *uid; uid++)
        (void) mirror_removed(agent, *uid);
    look(agent);
}

void mirrors_connection_changed(struct agent *agent) {
    struct hashmap_iter it = {0};

    while (hashmap_next(agent->pods, &it))
        ((struct agent_pod *) it.value)->mirror_asked = false;
    it = (struct hashmap_iter){0};
    while (agent->mirrors && hashmap_next(agent->mirrors, &it))
        ((struct mirror *) it.value)->told = false;
    look(agent);
}

/* --- out --- */

static const char *uid_of_mirror(const struct agent *agent, const char *static_uid) {
    struct hashmap_iter it = {0};

    while (agent->mirrors && hashmap_next(agent->mirrors, &it)) {
        const struct mirror *m = it.value;
        if (!m->deleting && strcmp(m->of, static_uid) == 0)
            return it.key;
    }
    return NULL;
}

static bool name_is_taken(const struct agent *agent, const struct agent_pod *pod) {
    struct hashmap_iter it = {0};

    while (agent->mirrors && hashmap_next(agent->mirrors, &it)) {
        const struct mirror *m = it.value;
        if (strcmp(m->namespace, pod->namespace) == 0 && strcmp(m->name, pod->name) == 0)
            return true;
    }
    return false;
}

static void end_mirrors(struct agent *agent) {
    struct hashmap_iter it = {0};

    while (agent->mirrors && hashmap_next(agent->mirrors, &it)) {
        struct mirror *m = it.value;
        const struct agent_pod *pod = static_pod(agent, m->of);
        if (m->told || (pod && pod->wanted && !m->deleting))
            continue;
        m->told = true;
        agent->callbacks->pod_finished(agent->userdata, m->namespace, m->name, it.key);
    }
}

static void ask_for_mirror(struct agent *agent, struct agent_pod *pod) {
    _cleanup_json_ struct json *doc = json_ref(pod->desired);

    json_set_path(&doc, json_string(pod->uid), "metadata", "annotations", ANNOTATION_MIRROR);
    pod->mirror_asked = true;
    agent->callbacks->mirror_pod(agent->userdata, doc);
}

void mirrors_update(struct agent *agent) {
    struct hashmap_iter it = {0};

    agent->mirrors_dirty = false;
    if (!agent->callbacks || !agent->callbacks->mirror_pod || !agent->synced)
        return;
    end_mirrors(agent);
    while (hashmap_next(agent->pods, &it)) {
        struct agent_pod *pod = it.value;
        if (pod->is_static && pod->wanted && !pod->mirror_asked && !name_is_taken(agent, pod))
            ask_for_mirror(agent, pod);
    }
}

const char *mirror_told_uid(const struct agent_pod *pod) {
    return pod->is_static ? uid_of_mirror(pod->agent, pod->uid) : pod->uid;
}

struct agent_pod *agent_pod_by_uid(struct agent *agent, const char *uid) {
    const struct mirror *m = agent->mirrors ? hashmap_get(agent->mirrors, uid) : NULL;

    return hashmap_get(agent->pods, m ? m->of : uid);
}

/* --- the pods themselves --- */

int agent_apply_static_pod(struct agent *agent, const struct json *doc, struct error *err) {
    int r = agent_apply_pod(agent, doc, err);

    if (r < 0)
        return r;
    struct agent_pod *pod = hashmap_get(agent->pods, pod_meta(doc, "uid"));
    pod->is_static = true;
    look(agent);
    return 0;
}

static bool is_among(char *const *uids, const char *uid) {
    for (; *uids; uids++)
        if (strcmp(*uids, uid) == 0)
            return true;
    return false;
}

void agent_retain_static_pods(struct agent *agent, char *const *uids) {
    _cleanup_strv_ char **gone = strv_new();
    struct hashmap_iter it = {0};

    while (hashmap_next(agent->pods, &it)) {
        const struct agent_pod *pod = it.value;
        if (pod->is_static && !is_among(uids, pod->uid))
            strv_push_dup(&gone, pod->uid);
    }
    for (char **uid = gone; *uid; uid++)
        agent_remove_pod(agent, *uid);
    look(agent);
}
