/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/probes/probes.h"

#include <string.h>

#include "orchestrator/agent/model.h"
#include "orchestrator/agent/probes/attempt.h"
#include "orchestrator/agent/probes/http.h"
#include "orchestrator/agent/probes/target.h"
#include "orchestrator/agent/probes/worker.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/limits.h"
#include "podium/base/log.h"
#include "podium/base/path.h"

#define ACCURACY_USEC      (100 * USEC_PER_MSEC) /* wake-ups of several pods are joined within it */
#define ACCURACY_FINE_USEC (5 * USEC_PER_MSEC)   /* for what is due within a moment: a container just started */
#define FINE_WITHIN_USEC   (500 * USEC_PER_MSEC)
#define HOOK_AGENT         "kube-lifecycle/1.32"
#define HOOK_AGAIN_USEC    (20 * USEC_PER_MSEC)
#define HOOK_PATIENT_USEC  (2 * USEC_PER_SEC)

struct probe_run {
    struct pod_probes *owner;
    const struct json *document, *probe;
    struct probe_worker worker;
    struct probe_attempt *attempt; /* under way */
};

struct hook_run {
    struct list link;
    struct pod_probes *owner;
    struct json *event;
    struct http_request *request;
    sd_event_source *timer; /* to try once more */
    uint64_t patient_until;
};

struct pod_probes {
    struct agent_pod *pod;
    sd_event_source *timer;
    struct probe_run *runs;
    size_t n;
    struct list hooks;
};

static void hook_free(struct hook_run *h) {
    list_remove(&h->link);
    http_request_cancel(h->request);
    sd_event_source_disable_unref(h->timer);
    json_unref(h->event);
    free(h);
}

void agent_probes_free(struct pod_probes *p) {
    struct hook_run *h;

    if (!p)
        return;
    list_foreach(h, &p->hooks, link) hook_free(h);
    for (size_t i = 0; i < p->n; i++)
        probe_attempt_cancel(p->runs[i].attempt);
    sd_event_source_disable_unref(p->timer);
    free(p->runs);
    free(p);
}

/* --- health --- */

static void keep_health(const struct agent_pod *pod) {
    _cleanup_free_ char *path = path_join(pod->run_dir, POD_FILE_HEALTH), *text = json_to_text(pod->health);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = file_write_atomic(path, text, strlen(text), 0600, false, &err);

    if (r < 0)
        log_warning("pod %s/%s: %s", pod->namespace, pod->name, error_text(&err, r));
}

static void set_ready(struct probe_run *run) {
    struct agent_pod *pod = run->owner->pod;
    const char *name = json_get_str(run->document, "name");
    const struct json *old = json_get(pod->health, name);
    struct json *o = NULL;

    json_set(&o, "containerID", json_string(run->worker.id));
    json_set(&o, "ready", json_bool(run->worker.passed));
    if (json_equal(old, o)) {
        json_unref(o);
        return;
    }
    json_set(&pod->health, name, o);
    keep_health(pod);
    agent_pod_mark(pod);
}

static void take_up_health(struct pod_probes *p) {
    struct agent_pod *pod = p->pod;
    _cleanup_free_ char *path = path_join(pod->run_dir, POD_FILE_HEALTH);

    if (!pod->health && json_parse_file(path, CONFIG_JSON_BYTES_MAX, &pod->health, NULL) < 0)
        pod->health = json_object();
    for (size_t i = 0; i < p->n; i++) {
        const struct json *o = json_get(pod->health, json_get_str(p->runs[i].document, "name"));
        if (o && p->runs[i].worker.kind == PROBE_READINESS)
            probe_worker_resume(&p->runs[i].worker, json_get_str(o, "containerID"),
                                json_bool_or(json_get(o, "ready"), false));
    }
}

/* --- results --- */

static void tell_started(struct probe_run *run) {
    struct agent_pod *pod = run->owner->pod;
    struct json *op = json_object();
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    json_set(&op, "op", json_string("started"));
    json_set(&op, "container", json_ref(json_get(run->document, "name")));
    json_set(&op, "containerID", json_string(run->worker.id));
    int r = channel_send(pod->channel, op, NULL, 0, &err);
    if (r < 0)
        log_warning("pod %s/%s: %s", pod->namespace, pod->name, error_text(&err, r));
}

static void restart(struct probe_run *run) {
    struct agent_pod *pod = run->owner->pod;
    const char *name = json_get_str(run->document, "name"), *policy = "Always";
    const char *kind = run->worker.kind == PROBE_LIVENESS ? "liveness" : "startup";
    int64_t grace = json_int_or(json_get(run->probe, "terminationGracePeriodSeconds"), pod->grace);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct json *op = json_object();

    if (pod->desired && !json_bool_or(json_get(run->document, "init"), false))
        policy = json_str_or(json_path(pod->desired, "spec", "restartPolicy"), "Always");
    _cleanup_free_ char *message = xasprintf("Container %s failed %s probe%s", name, kind,
                                             strcmp(policy, "Never") == 0 ? "" : ", will be restarted");
    json_set(&op, "op", json_string("restart"));
    json_set(&op, "container", json_string(name));
    json_set(&op, "message", json_string(message));
    json_set(&op, "gracePeriodSeconds", json_int(grace));
    int r = channel_send(pod->channel, op, NULL, 0, &err);
    if (r < 0) {
        log_warning("pod %s/%s: %s", pod->namespace, pod->name, error_text(&err, r));
        probe_worker_released(&run->worker);
        return;
    }
    agent_event(pod, name, "Normal", "Killing", "%s", message);
}

static void tell(const struct probe_run *run, const struct probe_result *result) {
    struct agent_pod *pod = run->owner->pod;
    const char *name = json_get_str(run->document, "name"), *kind = probe_kind_name(run->worker.kind);

    if (result->errored)
        agent_event(pod, name, "Warning", "Unhealthy", "%s probe errored and resulted in unknown state: %s", kind,
                    result->text);
    else if (result->outcome != PROBE_SUCCESS)
        agent_event(pod, name, "Warning", "Unhealthy", "%s probe failed: %s", kind, result->text);
    else if (result->warning)
        agent_event(pod, name, "Warning", "ProbeWarning", "%s probe warning: %s", kind, result->text);
}

static void on_result(void *userdata, const struct probe_result *result) {
    struct probe_run *run = userdata;
    struct agent_pod *pod = run->owner->pod;

    run->attempt = NULL;
    if (!pod->connected) { /* the pod ended under it */
        probe_worker_cancelled(&run->worker);
        return;
    }
    enum probe_verdict verdict = probe_worker_ended(&run->worker, result->outcome, now_monotonic_usec());
    if (verdict != PROBE_UNCOUNTED)
        tell(run, result);
    switch (run->worker.kind) {
    case PROBE_READINESS:
        if (verdict == PROBE_PASSED || verdict == PROBE_FAILED)
            set_ready(run);
        break;
    case PROBE_STARTUP:
        if (verdict == PROBE_PASSED)
            tell_started(run);
        /* fall through */
    case PROBE_LIVENESS:
        if (verdict == PROBE_FAILED)
            restart(run);
        break;
    }
    agent_probes_update(pod);
}

/* --- running them --- */

static const struct json *state_of(const struct agent_pod *pod, const char *name) {
    const struct json *list = json_get(pod->state, "containers");

    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_get_str(json_at(list, i), "name"), name) == 0)
            return json_at(list, i);
    return NULL;
}

static bool is_stopping(const struct agent_pod *pod) {
    return pod->deleting || pod->refused_reason || pod->stop_told ||
           json_bool_or(json_get(pod->state, "stopping"), false);
}

static struct probe_container view_of(const struct probe_run *run) {
    const struct agent_pod *pod = run->owner->pod;
    const struct json *c = state_of(pod, json_get_str(run->document, "name"));
    uint64_t started = (uint64_t) json_int_or(json_get(c, "startedAt"), 0), real = now_realtime_usec(),
             mono = now_monotonic_usec(), age = real > started ? real - started : 0;

    return (struct probe_container){
        .id = json_get_str(c, "containerID"),
        .running = pod->connected && strcmp(json_get_str(c, "state"), "running") == 0,
        .hooked = json_bool_or(json_get(c, "postStartDone"), true),
        .started = json_bool_or(json_get(c, "started"), false),
        .stopping = is_stopping(pod),
        .started_at = mono > age ? mono - age : 1,
    };
}

static void begin(struct probe_run *run) {
    struct agent_pod *pod = run->owner->pod;
    const struct probe_request request = {
        .pod = pod, .document = run->document, .probe = run->probe, .done = on_result, .userdata = run};

    probe_worker_began(&run->worker, now_monotonic_usec());
    probe_attempt_start(&request, &run->attempt);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    agent_probes_update(((struct pod_probes *) userdata)->pod);
    return 0;
}

static void set_timer(struct pod_probes *p, uint64_t next, uint64_t now) {
    if (next == 0) {
        if (p->timer)
            (void) sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
        return;
    }
    uint64_t accuracy = next < now + FINE_WITHIN_USEC ? ACCURACY_FINE_USEC : ACCURACY_USEC;
    if (!p->timer) {
        if (sd_event_add_time(p->pod->agent->loop, &p->timer, CLOCK_MONOTONIC, next, accuracy, on_timer, p) < 0) {
            log_error("pod %s/%s: no timer for its probes", p->pod->namespace, p->pod->name);
            return;
        }
        /* after answers: of many probes due at once a few are under way at a time, which needs less memory */
        (void) sd_event_source_set_priority(p->timer, SD_EVENT_PRIORITY_NORMAL + 10);
    }
    (void) sd_event_source_set_time(p->timer, next);
    (void) sd_event_source_set_time_accuracy(p->timer, accuracy);
    (void) sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

void agent_probes_update(struct agent_pod *pod) {
    struct pod_probes *p = pod->probes;
    uint64_t now = now_monotonic_usec(), next = 0;

    for (size_t i = 0; p && i < p->n; i++) {
        struct probe_run *run = &p->runs[i];
        const struct probe_container seen = view_of(run);
        if (run->attempt && (!seen.running || strcmp(run->worker.id, seen.id) != 0)) {
            probe_attempt_cancel(steal(&run->attempt)); /* the run it asks about is over */
            probe_worker_cancelled(&run->worker);
        }
        uint64_t due = probe_worker_see(&run->worker, &seen);
        if (due > 0 && due <= now)
            begin(run);
        else if (due > 0 && (next == 0 || due < next))
            next = due;
    }
    if (p)
        set_timer(p, next, now);
}

void agent_probes_new(struct agent_pod *pod) {
    struct pod_probes *p;

    agent_probes_free(steal(&pod->probes));
    if (json_len(pod->probe_docs) == 0)
        return;
    p = xnew0(struct pod_probes);
    p->pod = pod;
    list_init(&p->hooks);
    p->runs = xcalloc(json_len(pod->probe_docs) * PROBE_KINDS, sizeof(*p->runs));
    for (size_t i = 0; i < json_len(pod->probe_docs); i++)
        for (int kind = 0; kind < PROBE_KINDS; kind++) {
            const struct json *doc = json_at(pod->probe_docs, i), *probe = json_get(doc, probe_kind_member(kind));
            if (!probe)
                continue;
            struct probe_run *run = &p->runs[p->n++];
            *run = (struct probe_run){.owner = p, .document = doc, .probe = probe};
            probe_worker_init(&run->worker, kind, probe);
        }
    pod->probes = p;
    take_up_health(p);
}

/* --- hooks --- */

static void answer(struct agent_pod *pod, const struct json *event, const char *error) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct json *op = json_ref(event);

    if (!pod->channel) {
        json_unref(op);
        return;
    }
    json_del(&op, "event");
    json_set(&op, "op", json_string("hook-done"));
    if (error)
        json_set(&op, "error", json_string(error));
    int r = channel_send(pod->channel, op, NULL, 0, &err);
    if (r < 0)
        log_warning("pod %s/%s: %s", pod->namespace, pod->name, error_text(&err, r));
}

static int start_hook(struct hook_run *h, struct error *err);
static void hook_failed(struct hook_run *h, const char *why);

static int on_again(sd_event_source *source, uint64_t usec, void *userdata) {
    struct hook_run *h = userdata;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = start_hook(h, &err);

    if (r < 0)
        hook_failed(h, error_text(&err, r));
    return 0;
}

/* A postStart hook comes so soon after the start that the program it asks, mostly the container's own, does not listen
 * yet. False when it cannot be. */
static bool try_again_soon(struct hook_run *h) {
    sd_event *loop = h->owner->pod->agent->loop;

    h->timer = sd_event_source_disable_unref(h->timer);
    return sd_event_add_time_relative(loop, &h->timer, CLOCK_MONOTONIC, HOOK_AGAIN_USEC, 0, on_again, h) >= 0;
}

/* Whatever the server answers, it has been told: only when it cannot be reached the hook has failed (as upstream). */
static void on_hook_done(void *userdata, const struct http_answer *a) {
    struct hook_run *h = userdata;

    h->request = NULL;
    if (a->error == -ECONNREFUSED && strcmp(json_get_str(h->event, "hook"), "postStart") == 0 &&
        now_monotonic_usec() < h->patient_until && try_again_soon(h))
        return;
    answer(h->owner->pod, h->event, a->error < 0 ? a->text : NULL);
    hook_free(h);
}

static void hook_failed(struct hook_run *h, const char *why) {
    answer(h->owner->pod, h->event, why);
    hook_free(h);
}

static int start_hook(struct hook_run *h, struct error *err) {
    struct agent_pod *pod = h->owner->pod;
    const struct json *get = NULL, *doc = NULL;
    _cleanup_free_ char *url = NULL;

    for (size_t i = 0; i < json_len(pod->probe_docs); i++)
        if (strcmp(json_get_str(json_at(pod->probe_docs, i), "name"), json_get_str(h->event, "container")) == 0)
            doc = json_at(pod->probe_docs, i);
    get = json_path(doc, "lifecycle", json_get_str(h->event, "hook"), "httpGet");
    if (!get)
        return error_set(err, -EINVAL, "no such hook");
    int r = probe_http_url(doc, get, pod->ip, &url, err);
    if (r < 0)
        return r;
    _cleanup_strv_ char **headers = probe_http_headers(get);
    const struct http_options o = {.mode = HTTP_HOOK, .url = url, .headers = headers, .user_agent = HOOK_AGENT};
    struct http_pool *pool = agent_http_pool(pod->agent, err);
    return pool ? http_request_start(pool, &o, on_hook_done, h, &h->request, err) : -ENOMEM;
}

static void tell_hook_failed(struct agent_pod *pod, const struct json *event) {
    const char *name = json_get_str(event, "container");
    bool start = strcmp(json_get_str(event, "hook"), "postStart") == 0;

    /* not why: the text may hold what the hook's server answered, or secrets of its command (as upstream) */
    agent_event(pod, name, "Warning", start ? "FailedPostStartHook" : "FailedPreStopHook", "%s",
                start ? "PostStartHook failed" : "PreStopHook failed");
    if (start)
        agent_event(pod, name, "Normal", "Killing", "FailedPostStartHook");
}

void agent_probes_hook(struct agent_pod *pod, const struct json *event) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (strcmp(json_get_str(event, "event"), "hook-failed") == 0) {
        tell_hook_failed(pod, event);
        return;
    }
    if (!pod->probes) {
        answer(pod, event, "the agent knows no such hook");
        return;
    }
    struct hook_run *h = xnew0(struct hook_run);
    *h = (struct hook_run){
        .owner = pod->probes, .event = json_ref(event), .patient_until = now_monotonic_usec() + HOOK_PATIENT_USEC};
    list_append(&pod->probes->hooks, &h->link);
    int r = start_hook(h, &err);
    if (r < 0)
        hook_failed(h, error_text(&err, r));
}

void agent_probes_abandon(struct agent_pod *pod) {
    struct pod_probes *p = pod->probes;
    struct hook_run *h;

    if (!p)
        return;
    list_foreach(h, &p->hooks, link) hook_free(h);
    for (size_t i = 0; i < p->n; i++) {
        probe_attempt_cancel(steal(&p->runs[i].attempt));
        probe_worker_cancelled(&p->runs[i].worker);
    }
    set_timer(p, 0, 0);
}
