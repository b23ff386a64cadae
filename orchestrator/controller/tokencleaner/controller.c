/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/tokencleaner/controller.h"

#include <string.h>

#include "orchestrator/controller/date.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/task.h"
#include "orchestrator/object/bootstrap_token.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define COMPONENT  "token-cleaner"
#define INDEX      "bootstrap-token"
#define SLACK_USEC USEC_PER_SEC

struct controller {
    const struct resource *resource;
    struct informer *secrets;
    struct date next;
    struct task_queue tasks;
};

/* 0: never, or no token. */
static uint64_t expires(const struct json *secret) {
    _cleanup_(bootstrap_token_finish) struct bootstrap_token t = {0};
    return secret && strcmp(meta_namespace(secret), BOOTSTRAP_TOKEN_NAMESPACE) == 0 && bootstrap_token_read(secret, &t)
               ? t.expires
               : 0;
}

static void sync_begin(struct task *t) {
    const struct controller *c = t->tasks->userdata;
    const struct json *secret = informer_get_key(c->secrets, t->key);
    uint64_t end = expires(secret);
    if (end == 0 || end > now_realtime_usec())
        task_done(t, 0);
    else
        task_delete(t, c->resource, secret, NULL, task_removed, NULL);
}

static void look_at(struct controller *c, const struct json *secret) {
    uint64_t end = expires(secret);
    if (end > now_realtime_usec())
        date_expect(&c->next, end);
    else if (end != 0)
        task_queue_add_object(&c->tasks, secret);
}

static void look_at_all(void *userdata) {
    struct controller *c = userdata;
    size_t n;
    _cleanup_free_ struct json **all = informer_list(c->secrets, INDEX, "", &n);
    for (size_t i = 0; i < n; i++)
        look_at(c, all[i]);
}

static void on_secret(void *userdata, struct json *old, struct json *secret) {
    if (secret && json_get_is(secret, "type", BOOTSTRAP_TOKEN_TYPE))
        look_at(userdata, secret);
}

static void index_tokens(const struct json *secret, char ***keys) {
    if (json_get_is(secret, "type", BOOTSTRAP_TOKEN_TYPE))
        strv_push_dup(keys, "");
}

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->secrets, c);
    date_finish(&c->next);
    task_queue_finish(&c->tasks);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    date_init(&c->next, env->loop, SLACK_USEC, look_at_all, c);
    c->resource = resource_by_plural("", "v1", "secrets");
    c->secrets = informer_set_get(env->informers, c->resource);
    informer_add_index(c->secrets, INDEX, index_tokens);
    task_queue_init(&c->tasks, env->loop, env->client, 2, sizeof(struct task), sync_begin, NULL, c);
    informer_add_handlers(c->secrets, &(struct informer_handlers){.changed = on_secret, .userdata = c});
    *ret = c;
    return 0;
}

const struct controller_ops token_cleaner_controller = {COMPONENT, controller_start, controller_free};
