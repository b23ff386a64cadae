/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>

#include "orchestrator/agent/images/upkeep.h"
#include "orchestrator/agent/images/worker.h"
#include "orchestrator/agent/model.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/log.h"

#define PERIOD_USEC (300 * USEC_PER_SEC)

struct image_collector {
    struct agent *agent;
    struct image_collector_options options;
    struct image_worker *worker;
    sd_event_source *timer;
    unsigned failures; /* in a row */
    void (*done)(void *userdata);
    void *userdata;
};

void agent_node_event(struct agent *agent, const char *type, const char *reason, const char *message) {
    _cleanup_json_ struct json *involved = NULL;

    log_msg(type[0] == 'W' ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "%s: %s", reason, message);
    if (!agent->callbacks || !agent->callbacks->event)
        return;
    json_set(&involved, "kind", json_string("Node"));
    json_set(&involved, "apiVersion", json_string("v1"));
    json_set(&involved, "name", json_string(agent->node_name));
    json_set(&involved, "uid", json_string(agent->node_name)); /* as the kubelet: it doesn't know the object's */
    agent->callbacks->event(agent->userdata, involved, type, reason, message);
}

static void on_done(void *userdata, const struct json *ok, int code, const char *text) {
    struct image_collector *c = userdata;

    image_worker_free(steal(&c->worker));
    if (ok) {
        c->failures = 0;
        log_info("collected %lld images, %lld bytes", (long long) json_int_or(json_get(ok, "images"), 0),
                 (long long) json_int_or(json_get(ok, "freed"), 0));
    } else {
        if (code == -ENOSPC)
            agent_node_event(c->agent, "Warning", "FreeDiskSpaceFailed", text);
        if (++c->failures > 1 || code != -ENOSPC)
            agent_node_event(c->agent, "Warning", "ImageGCFailed", text);
    }
    agent_node_changed(c->agent);
    void (*done)(void *userdata) = steal(&c->done);
    if (done)
        done(c->userdata);
}

static const struct image_worker_callbacks callbacks = {.done = on_done};

static bool start(struct image_collector *c, int64_t bytes) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *request = NULL;

    json_set(&request, "op", json_string("collect"));
    json_set(&request, "root", json_string(c->agent->image_dir));
    json_set(&request, "bytes", json_int(bytes));
    json_set(&request, "minAgeSeconds", json_int((int64_t) (c->options.policy.min_age_usec / USEC_PER_SEC)));
    int r = image_worker_start(c->agent->loop, c->agent->podium, request, &callbacks, c, &c->worker, &err);
    if (r < 0)
        agent_node_event(c->agent, "Warning", "ImageGCFailed", error_text(&err, r));
    return r >= 0;
}

bool image_collector_take_all(struct image_collector *c, void (*done)(void *userdata), void *userdata) {
    if (c->worker || !start(c, -1))
        return false;
    c->done = done;
    c->userdata = userdata;
    return true;
}

void image_collector_look(struct image_collector *c) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct image_disk disk = {0};

    if (!c || c->worker)
        return;
    int r = (c->options.disk ? c->options.disk : image_disk_of)(c->agent->image_dir, &disk, &err);
    if (r < 0) {
        agent_node_event(c->agent, "Warning", "ImageGCFailed", error_text(&err, r));
        return;
    }
    uint64_t amount = image_gc_amount(&c->options.policy, &disk);
    if (amount == 0) {
        c->failures = 0;
        return;
    }
    log_info("images: %" PRIu64 " of %" PRIu64 " bytes of disk are free, collecting %" PRIu64, disk.available,
             disk.capacity, amount);
    (void) start(c, (int64_t) amount);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    image_collector_look(userdata);
    (void) sd_event_source_set_time_relative(source, PERIOD_USEC);
    (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

int image_collector_new(struct agent *agent, const struct image_collector_options *options,
                        struct image_collector **ret, struct error *err) {
    struct image_collector *c = xnew0(struct image_collector);

    c->agent = agent;
    c->options = *options;
    int r = sd_event_add_time_relative(agent->loop, &c->timer, CLOCK_MONOTONIC, PERIOD_USEC, 10 * USEC_PER_SEC,
                                       on_timer, c);
    if (r < 0) {
        image_collector_free(c);
        return error_set_errno(err, r, "cannot use the event loop");
    }
    *ret = c;
    return 0;
}

void image_collector_free(struct image_collector *c) {
    if (!c)
        return;
    sd_event_source_disable_unref(c->timer);
    image_worker_free(c->worker);
    free(c);
}
