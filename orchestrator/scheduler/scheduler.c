/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From informers into cache and queue; from the queue through the cycle to the writes. */
#include "orchestrator/scheduler/internal.h"

#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/random.h"

enum {
    BINDINGS_MAX = 1024,
    CYCLES_PER_TURN = 64, /* about 2 ms in a big cluster; then the loop looks after others */
};
#define TIMER_ACCURACY_USEC (20 * USEC_PER_MSEC)

/* --- deciding --- */

static void unschedulable(struct scheduler *s, const struct pod_info *pod, size_t n_nodes) {
    _cleanup_free_ char *message = sched_refusal_message(&s->scratch.refusals, n_nodes);
    struct json *latest = informer_get(s->pods, pod->ns, pod->name);
    _cleanup_json_ struct json *object = json_ref(latest ? latest : pod->object);

    sched_queue_unschedulable(s->queue, pod->key, s->scratch.refusals.plugins, now_monotonic_usec());
    event_record(s->recorder, object, EVENT_WARNING, "FailedScheduling", "%s", message);
    sched_set_condition(s, object, "Unschedulable", message);
}

static void schedule_one(struct scheduler *s, const struct pod_info *pod) {
    struct sched_request q = {
        .pod = pod,
        .start = s->start,
        .percentage = s->percentage,
        .random = random_u64(),
    };
    struct sched_choice choice;

    q.nodes = sched_cache_nodes(s->cache, &q.n_nodes);
    sched_cycle(&q, &s->scratch, &choice);
    s->start = choice.next_start;
    s->attempts++;
    if (!choice.node) {
        unschedulable(s, pod, q.n_nodes);
        return;
    }
    const char *node = choice.node->name;
    sched_cache_assume(s->cache, pod, node);
    sched_bind(s, pod, node);
}

static bool ready(const struct scheduler *s) {
    return informer_synced(s->pods) && informer_synced(s->nodes) && s->n_bindings < s->bindings_max;
}

static int on_work(sd_event_source *source, void *userdata) {
    struct scheduler *s = userdata;
    const struct pod_info *pod;

    for (int i = 0; i < CYCLES_PER_TURN && ready(s); i++) {
        pod = sched_queue_pop(s->queue, now_monotonic_usec());
        if (!pod)
            break;
        schedule_one(s, pod);
    }
    sched_kick(s);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    sched_kick(userdata);
    return 0;
}

/* Sees to it that on_work runs when there is something to try, and only then. */
void sched_kick(struct scheduler *s) {
    uint64_t next = sched_queue_next_time(s->queue);
    bool now = ready(s) && next <= now_monotonic_usec();

    (void) sd_event_source_set_enabled(s->work, now ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
    if (now || next == UINT64_MAX || !ready(s)) {
        (void) sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        return;
    }
    (void) sd_event_source_set_time(s->timer, next);
    (void) sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

/* --- pods --- */

static void room_grew(struct scheduler *s, const struct node_info *node) {
    if (node)
        (void) sched_queue_event(s->queue, EVENT_POD_GONE, node, now_monotonic_usec());
}

static void drop_pod(struct scheduler *s, const char *key) {
    sched_queue_remove(s->queue, key);
    room_grew(s, sched_cache_remove_pod(s->cache, key));
}

static void gated(struct scheduler *s, const struct pod_info *pod) {
    sched_queue_remove(s->queue, pod->key);
    sched_set_condition(s, pod->object, "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates");
}

/* Level-triggered: whatever the pod is now decides where it belongs. */
static void consider(struct scheduler *s, struct json *object) {
    _cleanup_(pod_info_freep) struct pod_info *pod = pod_info_new(object);

    if (pod->terminal) {
        drop_pod(s, pod->key);
    } else if (*pod->node_name) {
        sched_queue_remove(s->queue, pod->key);
        room_grew(s, sched_cache_set_pod(s->cache, pod));
    } else if (strcmp(pod->scheduler_name, s->name) != 0 || pod->deleting) {
        sched_queue_remove(s->queue, pod->key); /* if it is assumed, its binding will tell */
    } else if (pod->gated) {
        gated(s, pod);
    } else if (!sched_cache_is_assumed(s->cache, pod->key)) {
        sched_queue_put(s->queue, steal(&pod), now_monotonic_usec());
    }
}

static void on_pod(void *userdata, struct json *old, struct json *object) {
    struct scheduler *s = userdata;

    if (object) {
        consider(s, object);
    } else {
        _cleanup_free_ char *key = xasprintf("%s/%s", json_str_or(json_path(old, "metadata", "namespace"), ""),
                                             json_str_or(json_path(old, "metadata", "name"), ""));
        drop_pod(s, key);
    }
    sched_kick(s);
}

void sched_reconsider(struct scheduler *s, const char *ns, const char *name) {
    struct json *latest = informer_get(s->pods, ns, name);

    if (latest) {
        consider(s, latest);
    } else {
        _cleanup_free_ char *key = xasprintf("%s/%s", ns, name);
        drop_pod(s, key);
    }
    sched_kick(s);
}

/* --- nodes --- */

static void on_node(void *userdata, struct json *old, struct json *object) {
    struct scheduler *s = userdata;
    const char *name = json_str_or(json_path(object ? object : old, "metadata", "name"), "");

    if (object) {
        unsigned changed = sched_cache_set_node(s->cache, object);
        if (changed)
            (void) sched_queue_event(s->queue, changed, sched_cache_node(s->cache, name), now_monotonic_usec());
    } else {
        sched_cache_remove_node(s->cache, name);
    }
    sched_kick(s);
}

static void on_synced(void *userdata) {
    sched_kick(userdata);
}

/* --- beginning and end --- */

static int add_sources(struct scheduler *s, sd_event *loop) {
    int r = sd_event_add_defer(loop, &s->work, on_work, s);

    if (r >= 0)
        r = sd_event_source_set_enabled(s->work, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_time(loop, &s->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC, on_timer, s);
    if (r >= 0)
        r = sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
    if (r >= 0)
        (void) sd_event_source_set_description(s->work, "scheduler");
    return r < 0 ? r : 0;
}

int scheduler_new(sd_event *loop, struct client *client, struct informer_set *informers,
                  const struct scheduler_options *options, struct scheduler **ret, struct error *err) {
    _cleanup_(scheduler_freep) struct scheduler *s = xnew0(struct scheduler);
    static const struct scheduler_options defaults;

    *ret = NULL;
    if (!options)
        options = &defaults;
    list_init(&s->writes);
    s->client = client;
    s->name = xstrdup(options->name ? options->name : "default-scheduler");
    s->percentage = options->percentage;
    s->bindings_max = options->bindings_max ? options->bindings_max : BINDINGS_MAX;
    s->cache = sched_cache_new();
    s->queue = sched_queue_new();
    s->recorder = event_recorder_new(loop, client, s->name);
    int r = add_sources(s, loop);
    if (r < 0)
        return error_set_errno(err, r, "cannot set up the scheduler");
    /* nodes first: with both in sync already, pods then find them */
    s->nodes = informer_set_get(informers, resource_by_plural("", "v1", "nodes"));
    s->pods = informer_set_get(informers, resource_by_plural("", "v1", "pods"));
    informer_add_handlers(s->nodes, &(struct informer_handlers){on_node, on_synced, s});
    informer_add_handlers(s->pods, &(struct informer_handlers){on_pod, on_synced, s});
    *ret = steal(&s);
    return 0;
}

void scheduler_free(struct scheduler *s) {
    struct sched_write *w;

    if (!s)
        return;
    if (s->pods)
        informer_remove_handlers(s->pods, s);
    if (s->nodes)
        informer_remove_handlers(s->nodes, s);
    list_foreach(w, &s->writes, link) sched_write_free(w);
    event_recorder_free(s->recorder);
    sd_event_source_disable_unref(s->work);
    sd_event_source_disable_unref(s->timer);
    sched_queue_free(s->queue);
    sched_cache_free(s->cache);
    sched_scratch_finish(&s->scratch);
    free(s->name);
    free(s);
}

struct scheduler_stats scheduler_stats(const struct scheduler *s) {
    struct sched_queue_sizes sizes = sched_queue_sizes(s->queue);
    struct scheduler_stats stats = {
        .pods = sched_cache_pods(s->cache),
        .active = sizes.active,
        .back_off = sizes.back_off,
        .unschedulable = sizes.unschedulable,
        .binding = s->n_bindings,
        .scheduled = s->scheduled,
        .attempts = s->attempts,
    };

    (void) sched_cache_nodes(s->cache, &stats.nodes);
    return stats;
}
