/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Binding: POST pods/NAME/binding, and what follows from the answer. */
#include "orchestrator/scheduler/internal.h"

#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"

struct sched_write *sched_write_new(struct scheduler *s, struct json *pod, const char *node) {
    struct sched_write *w = xnew0(struct sched_write);

    w->scheduler = s;
    w->pod = json_ref(pod);
    w->key = xasprintf("%s/%s", json_str_or(json_path(pod, "metadata", "namespace"), ""),
                       json_str_or(json_path(pod, "metadata", "name"), ""));
    w->node = node ? xstrdup(node) : NULL;
    list_append(&s->writes, &w->link);
    return w;
}

void sched_write_free(struct sched_write *w) {
    client_cancel(w->scheduler->client, w->call);
    list_remove(&w->link);
    json_unref(w->pod);
    free(w->key);
    free(w->node);
    free(w);
}

static const char *meta(const struct json *pod, const char *field) {
    return json_str_or(json_path(pod, "metadata", field), "");
}

static struct json *binding_body(const struct json *pod, const char *node_name) {
    struct json *b = json_object();

    json_set(&b, "apiVersion", json_string("v1"));
    json_set(&b, "kind", json_string("Binding"));
    json_set_path(&b, json_string(meta(pod, "name")), "metadata", "name");
    json_set_path(&b, json_string(meta(pod, "namespace")), "metadata", "namespace");
    json_set_path(&b, json_string(meta(pod, "uid")), "metadata", "uid");
    json_set_path(&b, json_string("v1"), "target", "apiVersion");
    json_set_path(&b, json_string("Node"), "target", "kind");
    json_set_path(&b, json_string(node_name), "target", "name");
    return b;
}

/* The pod goes back to the queue, as the informer now has it: it may be gone, or bound by somebody else. */
static void binding_failed(struct scheduler *s, const struct sched_write *w, const struct client_result *result) {
    const struct node_info *left = sched_cache_forget(s->cache, w->key, meta(w->pod, "uid"));
    const struct json *latest = informer_get(s->pods, meta(w->pod, "namespace"), meta(w->pod, "name"));
    uint64_t now = now_monotonic_usec();

    if (left)
        (void) sched_queue_event(s->queue, EVENT_POD_GONE, left, now);
    if (latest && strcmp(meta(latest, "uid"), meta(w->pod, "uid")) != 0)
        return; /* another pod of that name has a life of its own by now */
    sched_queue_back_off(s->queue, w->key, now);
    if (result->code != 404) /* nobody reads the events of a pod that is gone */
        event_record(s->recorder, w->pod, EVENT_WARNING, "FailedScheduling", "cannot bind to node %s: %s", w->node,
                     result->message ? result->message : "no answer");
    if (result->code == 404)
        sched_queue_remove(s->queue, w->key);
    else
        sched_reconsider(s, meta(w->pod, "namespace"), meta(w->pod, "name"));
}

static void on_bound(void *userdata, const struct client_result *result) {
    struct sched_write *w = userdata;
    struct scheduler *s = w->scheduler;

    w->call = NULL;
    s->n_bindings--;
    if (client_ok(result)) {
        s->scheduled++;
        event_record(s->recorder, w->pod, EVENT_NORMAL, "Scheduled", "Successfully assigned %s to %s", w->key, w->node);
    } else {
        binding_failed(s, w, result);
    }
    sched_write_free(w);
    sched_kick(s);
}

void sched_bind(struct scheduler *s, const struct pod_info *pod, const char *node_name) {
    struct sched_write *w = sched_write_new(s, pod->object, node_name);
    _cleanup_json_ struct json *body = binding_body(pod->object, node_name);
    const struct client_request r = {
        .verb = CLIENT_CREATE,
        .resource = resource_by_plural("", "v1", "pods"),
        .ns = pod->ns,
        .name = pod->name,
        .subresource = "binding",
        .body = body,
        .field_manager = "podium-scheduler",
        .code_only = true,
    };

    s->n_bindings++;
    w->call = client_start(s->client, &r, on_bound, w);
}
