/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the control plane wants (node_api.h, the inward half). */
#include <dirent.h>
#include <string.h>

#include "orchestrator/agent/disk_usage.h"
#include "orchestrator/agent/disposal.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/agent/resize.h"
#include "orchestrator/agent/resources.h"
#include "orchestrator/agent/services/table.h"
#include "orchestrator/agent/status.h"
#include "orchestrator/agent/sysctls.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/log.h"
#include "podium/base/path.h"
#include "podium/cgroups.h"
#include "podium/runtime.h"

void agent_sync_begin(struct agent *agent) {
    struct hashmap_iter it = {0};

    mirrors_sync_begin(agent);
    while (hashmap_next(agent->pods, &it))
        ((struct agent_pod *) it.value)->named = false;
    hashmap_free(agent->stale);
    agent->stale = hashmap_new(NULL);
    it = (struct hashmap_iter){0};
    while (hashmap_next(agent->objects, &it))
        hashmap_put(agent->stale, it.key, agent);
    service_table_sync_begin(agent->service_table);
}

/* Writable layers and emptyDirs of pods that are gone. */
static void sweep_state(const struct agent *agent) {
    _cleanup_free_ char *path = path_join(agent->state_dir, "pods");
    _cleanup_closedir_ DIR *d = opendir(path);
    struct dirent *e;

    while (d && (e = readdir(d))) {
        _cleanup_free_ char *gone = path_join(path, e->d_name);
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        if (e->d_name[0] == '.' || hashmap_has(agent->pods, e->d_name))
            continue;
        int r = disposal_take(agent->disposal, gone, &err);
        if (r < 0)
            log_warning("%s", error_text(&err, r));
    }
}

void agent_retain(struct agent *agent) {
    _cleanup_free_ char **uids = xcalloc(hashmap_len(agent->pods) + 1, sizeof(*uids));
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct hashmap_iter it = {0};
    size_t n = 0;

    while (hashmap_next(agent->pods, &it))
        uids[n++] = ((struct agent_pod *) it.value)->uid;
    sweep_state(agent);
    int r = image_pins_retain(agent->images, uids, &err);
    if (r >= 0 && agent->ipam && !agent->no_network) {
        r = ipam_retain(agent->ipam, uids, &err);
        if (r >= 0)
            r = netns_attached_retain(agent->bridge, uids, &err);
    }
    if (r < 0)
        log_warning("cannot give back what pods of earlier left: %s", error_text(&err, r));
}

void agent_sync_end(struct agent *agent) {
    struct hashmap_iter it = {0};
    bool first = !agent->synced;

    if (!agent->stale)
        return;
    bool gone = false;
    while (hashmap_next(agent->stale, &it))
        gone |= hashmap_remove(agent->objects, it.key);
    hashmap_free(steal(&agent->stale));
    if (gone)
        agent_objects_changed(agent, NULL, NULL, NULL);
    service_table_sync_end(agent->service_table);
    it = (struct hashmap_iter){0};
    while (hashmap_next(agent->pods, &it)) {
        struct agent_pod *pod = it.value;
        if (!pod->named && !pod->is_static)
            pod->wanted = false;
    }
    mirrors_sync_end(agent);
    agent->synced = true;
    records_pods_changed(agent->records);
    records_services_changed(agent->records);
    if (first)
        agent_retain(agent);
    agent_mark_all(agent);
}

/* What is left of it by the date of the deletion is asked for only when nothing is known from before: by clocks that
 * differ, or one that was set, it would be far too short. */
static int64_t grace_of(const struct json *pod, bool deleting, bool by_date) {
    int64_t grace = json_int_or(json_path(pod, "spec", "terminationGracePeriodSeconds"), POD_GRACE_DEFAULT);
    uint64_t end = 0, now = now_realtime_usec();

    if (!deleting)
        return grace;
    grace = json_int_or(json_path(pod, "metadata", "deletionGracePeriodSeconds"), grace);
    /* what is left of it: the agent may have been away */
    if (grace > 0 && by_date && timestamp_parse(json_str(json_path(pod, "metadata", "deletionTimestamp")), &end) == 0) {
        end += USEC_PER_SEC; /* it is cut to whole seconds: what was cut off is the container's, too */
        int64_t left = end > now ? (int64_t) ((end - now + USEC_PER_SEC - 1) / USEC_PER_SEC) : 1;
        if (left < grace)
            grace = left;
    }
    return grace < 0 ? 0 : grace;
}

static void check_sysctls(struct agent_pod *pod) {
    _cleanup_free_ char *why = sysctls_forbidden(pod->desired, pod->agent->unsafe_sysctls);

    if (why)
        agent_pod_reject(pod, "SysctlForbidden", why);
}

static void check_controllers(struct agent_pod *pod) {
    static const struct {
        unsigned controller;
        const char *resource;
    } needs[] = {{CGROUP_CPU, "cpu"}, {CGROUP_MEMORY, "memory"}};

    for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
        if (!(pod->agent->controllers_missing & needs[i].controller) || !pod_asks_for(pod->desired, needs[i].resource))
            continue;
        _cleanup_free_ char *message = xasprintf("the limit on %s cannot be set: this node has no %s cgroup controller",
                                                 needs[i].resource, needs[i].resource);
        if (pod->agent->controllers == AGENT_CONTROLLERS_REQUIRED)
            agent_pod_refuse(pod, "CgroupControllerMissing", message);
        else
            agent_event(pod, NULL, "Warning", "CgroupControllerMissing", "%s", message);
    }
}

static int64_t given_grace(const struct json *pod) {
    return json_int_or(json_path(pod, "metadata", "deletionGracePeriodSeconds"), -1);
}

static void take_document(struct agent_pod *pod, const struct json *doc) {
    uint64_t start = 0;
    bool first = !pod->desired, was_deleting = pod->deleting;
    int64_t grace_before = pod->grace, given_before = given_grace(pod->desired);

    if (json_len(json_path(pod->desired, "spec", "ephemeralContainers")) !=
        json_len(json_path(doc, "spec", "ephemeralContainers")))
        pod->retry_at = 0; /* a new one does not wait for what earlier ones wait for */
    bool stale_volumes = first || agent_shown_metadata_differs(pod->desired, doc);
    resize_take_document(pod, doc);
    if (stale_volumes)
        agent_pod_refresh_volumes(pod);
    pod->host_network = json_bool_or(json_path(doc, "spec", "hostNetwork"), false);
    pod->deleting = json_str_or(json_path(doc, "metadata", "deletionTimestamp"), "")[0] != 0;
    if (first || !pod->deleting || !was_deleting || given_grace(doc) != given_before)
        pod->grace = grace_of(doc, pod->deleting, first);
    if (pod->deleting && was_deleting && pod->grace < grace_before && pod->connected)
        pod->stop_told = false; /* a shorter grace is told again */
    if (!first)
        return;
    if (timestamp_parse(json_str_or(json_path(doc, "status", "startTime"), ""), &start) == 0)
        pod->start_time = start;
    pod->final = !pod->unit_exists && status_is_final(doc, pod->state);
    const char *phase = json_str_or(json_path(doc, "status", "phase"), "");
    if (!pod->unit_exists && (strcmp(phase, "Failed") == 0 || strcmp(phase, "Succeeded") == 0)) {
        /* it ended in an earlier life of this agent: what the API holds is all that is known, or (an evicted one, whose
         * containers would else be started again) all that counts */
        pod->final = pod->ended_before = true;
        pod->released = !pod->state;
        pod->status = json_ref(json_get(doc, "status"));
    }
}

static const char *ready_status(const struct json *status) {
    const struct json *list = json_get(status, "conditions");

    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str_or(json_get(json_at(list, i), "type"), ""), "Ready") == 0)
            return json_str_or(json_get(json_at(list, i), "status"), "");
    return "";
}

/* The control plane says of a ready pod that it is not: it had given the node up, or the document is older than what
 * was told. Telling it again settles both. */
static bool was_made_unready(const struct agent_pod *pod) {
    return strcmp(ready_status(pod->status), "True") == 0 &&
           strcmp(ready_status(json_get(pod->desired, "status")), "False") == 0;
}

/* A proposal that comes to nothing new here, because it was taken back or is as it was, must be answered, too. */
static bool resize_is_news_there(const struct agent_pod *pod) {
    const struct json *there = json_path(pod->asked, "status", "resize"), *here = json_get(pod->status, "resize");

    return strcmp(json_str_or(there, ""), json_str_or(here, "")) != 0;
}

int agent_apply_pod(struct agent *agent, const struct json *doc, struct error *err) {
    const char *uid = pod_meta(doc, "uid"), *namespace = pod_meta(doc, "namespace"), *name = pod_meta(doc, "name");

    if (file_name_is_unsafe(uid) || !*namespace || !*name || !json_is_object(json_get(doc, "spec")))
        return error_set(err, -EINVAL, "no usable pod: metadata.uid, namespace, name and spec are needed");
    if (mirror_of(doc)) {
        mirror_applied(agent, doc);
        return 0;
    }
    records_pods_changed(agent->records);
    struct agent_pod *pod = hashmap_get(agent->pods, uid);
    if (!pod)
        pod = agent_pod_new(agent, uid, namespace, name);
    bool first = !pod->desired;
    take_document(pod, doc);
    if (!first && (was_made_unready(pod) || resize_is_news_there(pod)))
        pod->status_silent = true;
    pod->wanted = pod->named = true;
    if (first && !pod->unit_exists && !pod->final) {
        check_sysctls(pod);
        check_controllers(pod);
    }
    if (first)
        disk_usage_watch(agent->disk_usage, pod);
    if (pod->finished && agent->callbacks && agent->callbacks->pod_finished)
        pod->finished = false; /* its end was not heard: tell it again */
    agent_pod_mark(pod);
    return 0;
}

void agent_remove_pod(struct agent *agent, const char *uid) {
    struct agent_pod *pod = hashmap_get(agent->pods, uid);

    if (mirror_removed(agent, uid) || !pod)
        return;
    records_pods_changed(agent->records);
    pod->wanted = pod->finished = false;
    agent_pod_mark(pod);
}

static char *key_of(const struct json *object) {
    return object_key(json_str_or(json_get(object, "kind"), ""), pod_meta(object, "namespace"),
                      pod_meta(object, "name"));
}

static bool is_of_services(const char *kind) {
    return strcmp(kind, "Service") == 0 || strcmp(kind, "EndpointSlice") == 0;
}

void agent_apply_object(struct agent *agent, const struct json *object) {
    if (is_of_services(json_str_or(json_get(object, "kind"), ""))) {
        records_services_changed(agent->records);
        if (service_table_apply(agent->service_table, object) < 0)
            log_warning("an unusable %s was pushed", json_str(json_get(object, "kind")));
        return;
    }
    _cleanup_free_ char *key = key_of(object);
    const struct json *before = hashmap_get(agent->objects, key);
    bool same = before && json_equal(json_get(before, "data"), json_get(object, "data")) &&
                json_equal(json_get(before, "binaryData"), json_get(object, "binaryData"));

    if (agent->stale)
        (void) hashmap_remove(agent->stale, key);
    hashmap_put(agent->objects, key, json_ref(object));
    if (same)
        return;
    records_pods_changed(agent->records);
    agent_objects_changed(agent, json_str_or(json_get(object, "kind"), ""), pod_meta(object, "namespace"),
                          pod_meta(object, "name"));
}

void agent_remove_object(struct agent *agent, const char *kind, const char *namespace, const char *name) {
    if (is_of_services(kind)) {
        records_services_changed(agent->records);
        service_table_remove(agent->service_table, kind, namespace, name);
        return;
    }
    _cleanup_free_ char *key = object_key(kind, namespace, name);

    if (hashmap_remove(agent->objects, key))
        agent_objects_changed(agent, kind, namespace,
                              name); /* optional ones are gone from volumes, others stay as they were */
}

void agent_set_callbacks(struct agent *agent, const struct agent_callbacks *callbacks, void *userdata) {
    struct hashmap_iter it = {0};

    agent->callbacks = callbacks;
    agent->userdata = userdata;
    tokens_connection_changed(agent);
    mirrors_connection_changed(agent);
    while (hashmap_next(agent->pods, &it))
        ((struct agent_pod *) it.value)->status_silent = true;
    agent_mark_all(agent);
    agent_node_changed(agent);
}

struct json *agent_list_pods(struct agent *agent) {
    struct json *list = json_array();
    struct hashmap_iter it = {0};

    while (hashmap_next(agent->pods, &it)) {
        const struct agent_pod *pod = it.value;
        struct json *o = json_object();
        json_set(&o, "namespace", json_string(pod->namespace));
        json_set(&o, "name", json_string(pod->name));
        json_set(&o, "uid", json_string(pod->uid));
        json_set(&o, "phase", json_string(json_str_or(json_get(pod->status, "phase"), "Unknown")));
        json_set(&o, "unit", json_string(pod->unit));
        json_append(&list, o);
    }
    return list;
}
