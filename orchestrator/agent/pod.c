/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One pod's place in the agent: made, refused, dropped; what is told of it as events. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/agent/images/pod_images.h"
#include "orchestrator/agent/last_words.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/agent/probes/probes.h"
#include "orchestrator/agent/resize.h"
#include "orchestrator/agent/slice_weights.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/log.h"
#include "podium/base/utf8.h"
#include "podium/runtime.h"

struct agent_pod *agent_pod_new(struct agent *agent, const char *uid, const char *namespace, const char *name) {
    struct agent_pod *pod = xnew0(struct agent_pod);

    pod->agent = agent;
    pod->uid = xstrdup(uid);
    pod->namespace = xstrdup(namespace);
    pod->name = xstrdup(name);
    pod->unit = unit_pod_name(namespace, name, uid);
    pod->run_dir = xasprintf("%s/pods/%s", agent->run_dir, uid);
    pod->state_dir = xasprintf("%s/pods/%s", agent->state_dir, uid);
    pod->grace = POD_GRACE_DEFAULT;
    pod->netns_fd = -1;
    pod->start_time = now_realtime_usec();
    list_init(&pod->work);
    list_init(&pod->execs);
    list_init(&pod->last_words_read);
    hashmap_put(agent->pods, uid, pod);
    hashmap_put(agent->by_unit, pod->unit, pod);
    return pod;
}

void agent_pod_free(void *p) {
    struct agent_pod *pod = p;

    agent_exec_abandon(pod, "the pod is gone");
    agent_probes_free(pod->probes);
    last_words_forget(pod);
    json_unref(pod->last_words);
    list_remove(&pod->work);
    channel_close(pod->channel);
    closep(&pod->netns_fd);
    sd_event_source_disable_unref(pod->timer);
    pod_problem_finish(&pod->problem);
    json_unref(pod->held);
    pod_images_forget(pod);
    tokens_free(pod->tokens);
    json_unref(pod->asked);
    json_unref(pod->allocation);
    json_unref(pod->resize_told);
    json_unref(pod->desired);
    json_unref(pod->state);
    json_unref(pod->image_ids);
    json_unref(pod->probe_docs);
    json_unref(pod->health);
    json_unref(pod->status);
    json_unref(pod->disk);
    free(pod->weighed_slice);
    free(pod->refused_reason);
    free(pod->refused_message);
    free(pod->uid);
    free(pod->namespace);
    free(pod->name);
    free(pod->unit);
    free(pod->run_dir);
    free(pod->state_dir);
    free(pod);
}

void agent_pod_drop(struct agent_pod *pod) {
    _cleanup_free_ char *uid = xstrdup(pod->uid);

    struct agent *agent = pod->agent;
    slice_weights_remove(pod);
    (void) hashmap_remove(agent->by_unit, pod->unit);
    (void) hashmap_remove(agent->pods, uid);
    resize_reconsider(agent);
}

void agent_pod_context(const struct agent_pod *pod, struct pod_context *ret) {
    const struct agent *agent = pod->agent;

    *ret = (struct pod_context){
        .pod = pod->desired,
        .node_name = agent->node_name,
        .host_ip = agent->node_address,
        .pod_ip = pod->ip,
        .run_dir = pod->run_dir,
        .state_dir = pod->state_dir,
        .seccomp_dir = "/var/lib/kubelet/seccomp",
        .network = agent->network,
        .objects = agent->objects,
        .tokens = pod->tokens,
        .services = agent->service_table,
        .node_cpu_milli = agent->cpu_milli,
        .node_memory = agent->memory,
        .qos_memory = agent_keeps_memory(agent) ? node_memory_for_pods(agent) : 0,
        .capability_bounds = agent->capability_bounds,
        .id_base = pod->id_base,
    };
}

/* The list of the spec that names the container. */
static const char *list_of(const struct agent_pod *pod, const char *container) {
    static const char *const lists[] = {"initContainers", "ephemeralContainers"};

    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *list = json_path(pod->desired, "spec", lists[l]);
        for (size_t i = 0; i < json_len(list); i++)
            if (strcmp(json_str_or(json_get(json_at(list, i), "name"), ""), container) == 0)
                return lists[l];
    }
    return "containers";
}

static void tell_event(struct agent_pod *pod, const char *container, const char *type, const char *reason,
                       const char *message, const struct json *annotations) {
    const struct agent *agent = pod->agent;
    _cleanup_json_ struct json *involved = NULL;

    if (!agent->callbacks || !agent->callbacks->event)
        return;
    json_set(&involved, "kind", json_string("Pod"));
    json_set(&involved, "apiVersion", json_string("v1"));
    json_set(&involved, "namespace", json_string(pod->namespace));
    json_set(&involved, "name", json_string(pod->name));
    json_set(&involved, "uid", json_string(mirror_told_uid(pod) ? mirror_told_uid(pod) : pod->uid));
    if (json_path(pod->desired, "metadata", "resourceVersion"))
        json_set(&involved, "resourceVersion", json_ref(json_path(pod->desired, "metadata", "resourceVersion")));
    if (container)
        json_set(&involved, "fieldPath", json_stringf("spec.%s{%s}", list_of(pod, container), container));
    if (annotations)
        json_set(&involved, "annotations", json_ref(annotations));
    agent->callbacks->event(agent->userdata, involved, type, reason, message);
}

void agent_event(struct agent_pod *pod, const char *container, const char *type, const char *reason, const char *fmt,
                 ...) {
    va_list ap;

    va_start(ap, fmt);
    _cleanup_free_ char *raw = xvasprintf(fmt, ap);
    va_end(ap);
    _cleanup_free_ char *message = utf8_valid_text(raw, strlen(raw)); /* it may quote what a program wrote */
    log_debug("pod %s/%s: %s: %s", pod->namespace, pod->name, reason, message);
    tell_event(pod, container, type, reason, message, NULL);
}

void agent_pod_refuse(struct agent_pod *pod, const char *reason, const char *message) {
    if (pod->refused_reason)
        return;
    pod->refused_reason = xstrdup(reason);
    pod->refused_message = xstrdup(message);
    agent_event(pod, NULL, strcmp(reason, "DeadlineExceeded") == 0 ? "Normal" : "Warning", reason, "%s", message);
}

void agent_pod_reject(struct agent_pod *pod, const char *reason, const char *message) {
    if (pod->refused_reason)
        return;
    pod->refused_reason = xstrdup(reason);
    pod->refused_message = xasprintf("Pod was rejected: %s", message);
    pod->rejected = true;
    agent_event(pod, NULL, "Warning", reason, "%s", message);
}

void agent_pod_evict(struct agent_pod *pod, int64_t grace, const char *message, const struct json *annotations,
                     bool disrupted) {
    if (pod->refused_reason)
        return;
    log_warning("pod %s/%s is evicted: %s", pod->namespace, pod->name, message);
    pod->refused_reason = xstrdup("Evicted");
    pod->refused_message = xstrdup(message);
    pod->disrupted = disrupted;
    if (grace < pod->grace)
        pod->grace = grace;
    tell_event(pod, NULL, "Warning", "Evicted", message, annotations);
    agent_pod_mark(pod);
}
