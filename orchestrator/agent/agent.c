/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/agent.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#include "orchestrator/agent/dns/node_dns.h"
#include "orchestrator/agent/images/pulls.h"
#include "orchestrator/agent/images/upkeep.h"
#include "orchestrator/agent/disk_usage.h"
#include "orchestrator/agent/disposal.h"
#include "orchestrator/agent/eviction/manager.h"
#include "orchestrator/agent/last_words.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/agent/probes/http.h"
#include "orchestrator/agent/probes/probes.h"
#include "orchestrator/agent/resize.h"
#include "orchestrator/agent/security.h"
#include "orchestrator/agent/services/datapath.h"
#include "orchestrator/agent/services/health.h"
#include "orchestrator/agent/services/table.h"
#include "orchestrator/agent/slice_weights.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/log.h"
#include "podium/base/memory.h"
#include "podium/base/path.h"

#define STEPS_MAX 8 /* actions for one pod before others get their turn */

#define REST_USEC (3 * USEC_PER_SEC) /* after work began: time for what belongs to it */

/* --- the queue --- */

static int on_rest(sd_event_source *source, uint64_t usec, void *userdata) {
    struct agent *agent = userdata;

    eviction_look(agent->eviction);
    memory_give_back();
    return 0;
}

/* Work was done: some seconds later what it took is given back. Under steady work that is once in so many seconds. */
static void rest_later(struct agent *agent) {
    int on = SD_EVENT_OFF;

    if (!agent->rest) {
        (void) sd_event_add_time_relative(agent->loop, &agent->rest, CLOCK_MONOTONIC, REST_USEC, USEC_PER_SEC, on_rest,
                                          agent);
        return;
    }
    if (sd_event_source_get_enabled(agent->rest, &on) < 0 || on != SD_EVENT_OFF)
        return;
    (void) sd_event_source_set_time_relative(agent->rest, REST_USEC);
    (void) sd_event_source_set_enabled(agent->rest, SD_EVENT_ONESHOT);
}

static void wake(struct agent *agent) {
    (void) sd_event_source_set_enabled(agent->defer, SD_EVENT_ONESHOT);
}

void agent_pod_mark(struct agent_pod *pod) {
    if (list_empty(&pod->work))
        list_append(&pod->agent->work, &pod->work);
    wake(pod->agent);
}

void agent_node_changed(struct agent *agent) {
    agent->node_dirty = true;
    wake(agent);
}

static struct plan_view view_of(const struct agent_pod *pod, uint64_t now) {
    const struct agent *agent = pod->agent;
    bool ready = json_bool_or(json_get(pod->state, "networkReady"), false);

    return (struct plan_view){
        .units_known = agent->units_known,
        .synced = pod->is_static ? pod->desired || !pod->wanted : agent->synced,
        .wanted = pod->wanted,
        .deleting = pod->deleting,
        .final = pod->final,
        .refused = pod->refused_reason != NULL,
        .unit_exists = pod->unit_exists,
        .unit_active = pod->unit_exists && pod->unit_state != UNIT_FAILED,
        .start_pending = pod->start_pending,
        .stop_pending = pod->stop_pending,
        .connected = pod->connected,
        .connect_due = now >= pod->connect_at,
        .network_ready = pod->connected && ready,
        .network_known = agent_network_known(pod) && now >= pod->network_at,
        .reload_due = reload_due(pod),
        .retry_due = now >= pod->retry_at,
        .stop_told = pod->stop_told,
        .stop_overdue = pod->stop_deadline > 0 && now >= pod->stop_deadline,
        .released = pod->released,
        .finished = pod->finished,
    };
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    agent_pod_mark(userdata);
    return 0;
}

static void set_timer(struct agent_pod *pod, uint64_t now) {
    const uint64_t times[] = {pod->retry_at,
                              pod->unit_exists && !pod->connected ? pod->connect_at : 0,
                              pod->unit_exists ? pod->stop_deadline : 0,
                              pod->unit_exists ? pod->network_at : 0,
                              pod->expires_at,
                              pod->tokens_at,
                              pod->resize_at};
    uint64_t next = 0;

    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        if (times[i] > now && (next == 0 || times[i] < next))
            next = times[i];
    if (next == 0) {
        if (pod->timer)
            (void) sd_event_source_set_enabled(pod->timer, SD_EVENT_OFF);
        return;
    }
    if (!pod->timer) {
        (void) sd_event_add_time(pod->agent->loop, &pod->timer, CLOCK_MONOTONIC, next, 1000, on_timer, pod);
        return;
    }
    (void) sd_event_source_set_time(pod->timer, next);
    (void) sd_event_source_set_enabled(pod->timer, SD_EVENT_ONESHOT);
}

/* The date of its start says how old it is, once: from then on a clock that is set makes no pod older or younger. */
static void check_deadline(struct agent_pod *pod, uint64_t now) {
    int64_t seconds = json_int_or(json_path(pod->desired, "spec", "activeDeadlineSeconds"), 0);

    if (seconds <= 0 || pod->final)
        return;
    if (pod->age_known == 0) {
        uint64_t real = now_realtime_usec();
        pod->age = real > pod->start_time ? real - pod->start_time : 0;
        pod->age_known = now;
    }
    uint64_t age = pod->age + (now - pod->age_known), life = (uint64_t) seconds * USEC_PER_SEC;
    pod->expires_at = age < life ? now + (life - age) : now;
    if (age >= life)
        agent_pod_refuse(pod, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
}

/* Brings one pod as far as it goes; the pod may be gone afterwards. */
static void work_on(struct agent *agent, struct agent_pod *pod) {
    _cleanup_free_ char *uid = xstrdup(pod->uid);

    check_deadline(pod, now_monotonic_usec());
    if (pod->wanted && (!pod->deleting || pod->unit_exists) && !pod->final && pod->desired)
        tokens_request(pod);
    else
        pod->tokens_at = 0;
    resize_grant(pod);
    for (int i = 0; i < STEPS_MAX; i++) {
        struct plan_view view = view_of(pod, now_monotonic_usec());
        enum plan_action action = plan_pod(&view);
        if (action == PLAN_NOTHING)
            break;
        log_debug("pod %s/%s: %s", pod->namespace, pod->name, plan_action_name(action));
        act(pod, action);
        if (hashmap_get(agent->pods, uid) != pod)
            return;
    }
    if (pod->unit_exists) /* taken up running, and only now named */
        slice_weights_add(pod);
    resize_carry_out(pod);
    agent_probes_update(pod);
    last_words_update(pod);
    if (!pod->finished)
        act_tell_status(pod);
    set_timer(pod, now_monotonic_usec());
}

static int on_defer(sd_event_source *source, void *userdata) {
    struct agent *agent = userdata;

    while (!list_empty(&agent->work)) {
        struct agent_pod *pod = list_entry(agent->work.next, struct agent_pod, work);
        list_remove(&pod->work);
        work_on(agent, pod);
    }
    if (agent->mirrors_dirty)
        mirrors_update(agent);
    if (agent->node_dirty && agent->callbacks && agent->callbacks->node_status) {
        agent->node_dirty = false;
        agent->callbacks->node_status(agent->userdata);
    }
    rest_later(agent);
    return 0;
}

void agent_mark_all(struct agent *agent) {
    struct hashmap_iter it = {0};

    while (hashmap_next(agent->pods, &it))
        agent_pod_mark(it.value);
}

/* --- images --- */

/* An image came or went: pods that wait for one look again now. */
static int on_images(sd_event_source *source, const struct inotify_event *event, void *userdata) {
    struct agent *agent = userdata;
    struct hashmap_iter it = {0};

    if (event->len > 0 && strstr(event->name, ".tmp"))
        return 0;
    while (hashmap_next(agent->pods, &it)) {
        struct agent_pod *pod = it.value;
        if (pod->images_awaited) {
            pod->retry_at = 0;
            agent_pod_mark(pod);
        }
    }
    agent_node_changed(agent);
    return 0;
}

static int watch_images(struct agent *agent, struct error *err) {
    _cleanup_free_ char *dir = path_join(agent->image_dir, "images");
    int r = mkdir_parents(dir, 0755, err);

    if (r < 0)
        return r;
    r = sd_event_add_inotify(agent->loop, &agent->inotify, dir, IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE | IN_ONLYDIR,
                             on_images, agent);
    return r < 0 ? error_set_errno(err, r, "cannot watch %s", dir) : 0;
}

static void on_pulled(void *userdata) {
    struct agent *agent = userdata;

    image_collector_look(agent->collector);
    eviction_look(agent->eviction);
}

static int open_images(struct agent *agent, const struct agent_options *o, struct error *err) {
    const struct image_pulls_options pulls = {.program = agent->podium,
                                              .root = agent->image_dir,
                                              .config_dir = o->config_dir,
                                              .skopeo = o->skopeo,
                                              .parallel = o->parallel_pulls};
    const struct image_collector_options collector = {
        .policy = {.high_percent = o->image_gc_high ? o->image_gc_high : IMAGE_GC_HIGH_DEFAULT,
                   .low_percent = o->image_gc_high ? o->image_gc_low : IMAGE_GC_LOW_DEFAULT,
                   .min_age_usec = o->image_gc_high ? o->image_gc_min_age_usec : IMAGE_GC_MIN_AGE_DEFAULT}};

    agent->images = image_store_open(agent->image_dir, err);
    if (!agent->images)
        return err && err->code < 0 ? err->code : -EIO;
    agent->pulls = image_pulls_new(agent->loop, &pulls);
    image_pulls_set_notify(agent->pulls, on_pulled, agent);
    int r = watch_images(agent, err);
    if (r == 0)
        r = image_collector_new(agent, &collector, &agent->collector, err);
    if (r == 0)
        r = image_folder_new(agent, &agent->image_folder, err);
    return r;
}

/* --- life --- */

static char *find_baton(const char *given) {
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (given)
        return xstrdup(given);
    if (n > 0) {
        self[n] = 0;
        *strrchr(self, '/') = 0;
        char *beside = path_join(self, "baton");
        if (access(beside, X_OK) == 0)
            return beside;
        free(beside);
    }
    return xstrdup("/usr/bin/baton");
}

static void take_options(struct agent *agent, const struct agent_options *o) {
    agent->node_name = xstrdup(o->node_name);
    agent->run_dir = xstrdup(o->run_dir ? o->run_dir : "/run/podium");
    agent->state_dir = xstrdup(o->state_dir ? o->state_dir : "/var/lib/podium");
    agent->image_dir = o->image_dir ? xstrdup(o->image_dir) : path_join(agent->state_dir, "images");
    agent->baton = find_baton(o->baton);
    agent->bridge = xstrdup(o->bridge ? o->bridge : NETNS_BRIDGE_DEFAULT);
    agent->cluster_domain = xstrdup(o->cluster_domain ? o->cluster_domain : "cluster.local");
    agent->controllers = o->controllers;
    agent->no_network = o->no_network;
    agent->max_pods = o->max_pods > 0 ? o->max_pods : 110;
    agent->pod_pids_limit = o->pod_pids_limit;
    agent->memory_qos = o->memory_qos;
    agent->unsafe_sysctls = o->allowed_unsafe_sysctls ? xstrdup(o->allowed_unsafe_sysctls) : NULL;
    agent->podium = o->podium ? xstrdup(o->podium) : NULL;
    agent->units = o->units;
    if (o->node_address)
        (void) snprintf(agent->node_address, sizeof(agent->node_address), "%s", o->node_address);
    else if (netns_source_address(NULL, agent->node_address, NULL) < 0)
        agent->node_address[0] = 0;
}

static int open_eviction(struct agent *agent, const struct agent_options *options, struct error *err) {
    static const struct eviction_settings defaults = {0};
    struct eviction_config config;

    if (options->eviction)
        return eviction_new(agent, options->eviction, &agent->eviction, err);
    int r = eviction_config_parse(&defaults, &config, err);
    return r < 0 ? r : eviction_new(agent, &config, &agent->eviction, err);
}

static int open_parts(struct agent *agent, const struct agent_options *options, struct error *err) {
    int r = open_images(agent, options, err);
    if (r < 0)
        return r;
    r = sd_event_add_defer(agent->loop, &agent->defer, on_defer, agent);
    if (r >= 0) /* after sockets and signals of the same round: one look at a pod takes in all of them */
        r = sd_event_source_set_priority(agent->defer, SD_EVENT_PRIORITY_IDLE);
    if (r >= 0)
        r = sd_event_source_set_enabled(agent->defer, SD_EVENT_OFF);
    if (r < 0)
        return error_set_errno(err, r, "cannot use the event loop");
    agent_follow_units(agent);
    r = open_eviction(agent, options, err);
    return r < 0 ? r : takeup_begin(agent, err);
}

static int on_clock(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    if (clock_jump_seen(fd))
        tokens_clock_changed(userdata);
    return 0;
}

static void watch_clock(struct agent *agent) {
    int fd = clock_jump_fd();

    if (fd >= 0 && sd_event_add_io(agent->loop, &agent->clock, fd, EPOLLIN, on_clock, agent) >= 0)
        (void) sd_event_source_set_io_fd_own(agent->clock, 1);
}

int agent_new(sd_event *loop, const struct agent_options *options, struct agent **ret, struct error *err) {
    _cleanup_(agent_freep) struct agent *agent = xnew0(struct agent);

    agent->loop = sd_event_ref(loop);
    agent->pods = hashmap_new(agent_pod_free);
    agent->by_unit = hashmap_new(NULL);
    agent->slice_weights = hashmap_new(free);
    agent->objects = hashmap_new((void (*)(void *)) json_unref);
    agent->service_table = service_table_new(loop);
    if (!agent->service_table)
        return error_set(err, -EIO, "cannot use the event loop");
    list_init(&agent->work);
    list_init(&agent->logs);
    take_options(agent, options);
    agent->disposal = disposal_new(loop, agent->state_dir);
    agent->disk_usage = disk_usage_new(agent);
    agent->capability_bounds = security_own_bounds();
    node_capacity(agent);
    int r = open_parts(agent, options, err);
    if (r < 0)
        return r;
    if (!agent->no_network) {
        agent->dns = node_dns_new(loop, agent->service_table, agent->bridge, agent->run_dir, agent->cluster_domain);
        agent->datapath = datapath_new(loop, agent->service_table, agent->node_name, agent_network_restore, agent);
        if (!agent->datapath)
            return error_set(err, -EIO, "cannot use the event loop");
        agent->service_health = service_health_new(loop, agent->service_table, agent->node_name);
    }
    r = records_new(agent, &agent->records, err);
    if (r < 0)
        return r;
    watch_clock(agent);
    *ret = steal(&agent);
    return 0;
}

void agent_free(struct agent *agent) {
    if (!agent)
        return;
    if (agent->units)
        unit_manager_set_callbacks(agent->units, NULL, NULL);
    records_free(agent->records);
    hashmap_free(agent->mirrors);
    agent->mirrors = NULL;
    free(agent->unsafe_sysctls);
    hashmap_free(agent->by_unit);
    hashmap_free(agent->slice_weights);
    hashmap_free(agent->pods);
    eviction_free(agent->eviction);
    image_folder_free(agent->image_folder);
    image_collector_free(agent->collector);
    image_pulls_free(agent->pulls);
    hashmap_free(agent->objects);
    node_dns_free(agent->dns);
    datapath_free(agent->datapath);
    service_health_free(agent->service_health);
    service_table_free(agent->service_table);
    hashmap_free(agent->stale);
    http_pool_free(agent->http);
    sd_event_source_disable_unref(agent->defer);
    sd_event_source_disable_unref(agent->inotify);
    sd_event_source_disable_unref(agent->retake);
    sd_event_source_disable_unref(agent->rest);
    sd_event_source_disable_unref(agent->clock);
    disposal_free(agent->disposal);
    disk_usage_free(agent->disk_usage);
    image_store_close(agent->images);
    ipam_close(agent->ipam);
    json_unref(agent->network);
    sd_event_unref(agent->loop);
    free(agent->node_name);
    free(agent->run_dir);
    free(agent->state_dir);
    free(agent->image_dir);
    free(agent->podium);
    free(agent->baton);
    free(agent->bridge);
    free(agent->cluster_domain);
    free(agent);
}
