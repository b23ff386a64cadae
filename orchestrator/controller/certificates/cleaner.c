/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Old requests go. Upstream looks at all of them once an hour; here one timer is set for the first that ends. */
#include "orchestrator/controller/certificates/controller.h"

#include <string.h>

#include "orchestrator/controller/certificates/decide.h"
#include "orchestrator/controller/date.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/task.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/clock.h"

#define COMPONENT        "certificate-cleaner-controller"
#define CONCURRENT_SYNCS 2
#define SLACK_USEC       (10 * USEC_PER_SEC)

struct controller {
    const struct resource *resource;
    struct informer *requests;
    const struct certificate_authority *authority; /* may be NULL: certificates are not looked into */
    struct date next;
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

static void sync_begin(struct task *t) {
    const struct controller *c = t->tasks->userdata;
    const struct json *csr = informer_get_key(c->requests, t->key);
    if (!csr || csr_end(csr, certificate_end(c, csr)) > now_realtime_usec())
        task_done(t, 0);
    else
        task_delete(t, c->resource, csr, NULL, task_removed, NULL);
}

static void look_at(struct controller *c, const struct json *csr) {
    uint64_t end = csr_end(csr, certificate_end(c, csr));
    if (end <= now_realtime_usec())
        task_queue_add_object(&c->tasks, csr);
    else
        date_expect(&c->next, end);
}

static void look_at_all(void *userdata) {
    struct controller *c = userdata;
    size_t n;
    _cleanup_free_ struct json **all = informer_list(c->requests, NULL, NULL, &n);
    for (size_t i = 0; i < n; i++)
        look_at(c, all[i]);
}

static void on_request(void *userdata, struct json *old, struct json *csr) {
    if (csr)
        look_at(userdata, csr);
}

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->requests, c);
    date_finish(&c->next);
    task_queue_finish(&c->tasks);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    date_init(&c->next, env->loop, SLACK_USEC, look_at_all, c);
    c->authority = env->options.authority;
    c->resource = resource_by_plural("certificates.k8s.io", "v1", "certificatesigningrequests");
    c->requests = informer_set_get(env->informers, c->resource);
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct task), sync_begin, NULL, c);
    informer_add_handlers(c->requests, &(struct informer_handlers){.changed = on_request, .userdata = c});
    *ret = c;
    return 0;
}

const struct controller_ops certificate_cleaner_controller = {COMPONENT, controller_start, controller_free};
