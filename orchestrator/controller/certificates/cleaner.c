/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Old requests go. Upstream looks at all of them once an hour; here one timer is set for the first that ends. */
#include "orchestrator/controller/certificates/controller.h"

#include <string.h>

#include "orchestrator/controller/certificates/decide.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/task.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/clock.h"

#define COMPONENT        "certificate-cleaner-controller"
#define CONCURRENT_SYNCS 2
#define SLACK_USEC       (10 * USEC_PER_SEC)

struct controller {
    sd_event *loop;
    const struct resource *resource;
    struct informer *requests;
    const struct certificate_authority *authority; /* may be NULL: certificates are not looked into */
    uint64_t armed;                                /* when the timer rings, real time; 0: it does not */
    sd_event_source *timer;
    struct task_queue tasks;
};

static int64_t certificate_end(const struct controller *c, const struct json *csr) {
    const char *text = json_str_or(json_path(csr, "status", "certificate"), "");
    _cleanup_free_ uint8_t *pem = NULL;
    int64_t end = 0;
    size_t n;
    if (!*text || !c->authority || base64_decode(text, strlen(text), &pem, &n) < 0)
        return 0;
    return c->authority->expiry(c->authority->userdata, (char *) pem, &end, NULL) < 0 ? 0 : end;
}

static void on_removed(struct task *t, const struct client_result *result, void *arg) {
    int r = client_errno(result);
    task_done(t, r == -ENOENT || r == -EAGAIN ? 0 : r);
}

static void sync_begin(struct task *t) {
    const struct controller *c = t->tasks->userdata;
    const struct json *csr = informer_get_key(c->requests, t->key);
    if (!csr || csr_end(csr, certificate_end(c, csr)) > now_realtime_usec())
        task_done(t, 0);
    else
        task_delete(t, c->resource, csr, NULL, on_removed, NULL);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata);

static void arm(struct controller *c, uint64_t when) {
    if (when == UINT64_MAX || (c->armed && c->armed <= when))
        return;
    c->armed = when;
    c->timer = sd_event_source_disable_unref(c->timer);
    /* real time: what the conditions carry */
    if (sd_event_add_time(c->loop, &c->timer, CLOCK_REALTIME, when, SLACK_USEC, on_timer, c) < 0)
        abort();
}

static void look_at(struct controller *c, const struct json *csr) {
    uint64_t end = csr_end(csr, certificate_end(c, csr));
    if (end <= now_realtime_usec())
        task_queue_add_object(&c->tasks, csr);
    else
        arm(c, end);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
    struct controller *c = userdata;
    size_t n;
    _cleanup_free_ struct json **all = informer_list(c->requests, NULL, NULL, &n);
    c->armed = 0;
    for (size_t i = 0; i < n; i++)
        look_at(c, all[i]);
    return 0;
}

static void on_request(void *userdata, struct json *old, struct json *csr) {
    if (csr)
        look_at(userdata, csr);
}

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->requests, c);
    sd_event_source_disable_unref(c->timer);
    task_queue_finish(&c->tasks);
    sd_event_unref(c->loop);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    c->loop = sd_event_ref(env->loop);
    c->authority = env->options.authority;
    c->resource = resource_by_plural("certificates.k8s.io", "v1", "certificatesigningrequests");
    c->requests = informer_set_get(env->informers, c->resource);
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct task), sync_begin, NULL, c);
    informer_add_handlers(c->requests, &(struct informer_handlers){.changed = on_request, .userdata = c});
    *ret = c;
    return 0;
}

const struct controller_ops certificate_cleaner_controller = {COMPONENT, controller_start, controller_free};
