/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/tokensecret/controller.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/task.h"
#include "orchestrator/controller/tokensecret/decide.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define COMPONENT        "tokens-controller"
#define CONCURRENT_SYNCS 4
#define INDEX_ACCOUNT    "token-account" /* "namespace/name" of the account a Secret is for */

struct controller {
    const struct resource *secret_resource, *account_resource;
    struct informer *secrets, *accounts;
    const char *ca_pem; /* the environment's */
    struct task_queue tasks;
};

static void on_written(struct task *t, const struct client_result *result, void *arg) {
    int r = client_errno(result);

    task_done(t, r == -ENOENT || task_namespace_is_ending(result) ? 0 : r);
}

static void write_secret(struct task *t, const struct json *secret, const struct json *account, const char *token) {
    const struct controller *c = t->tasks->userdata;
    _cleanup_json_ struct json *body = token_secret_filled(secret, account, c->ca_pem, token);
    const struct client_request r = {.verb = CLIENT_UPDATE,
                                     .resource = c->secret_resource,
                                     .ns = meta_namespace(secret),
                                     .name = meta_name(secret),
                                     .body = body};
    task_call(t, &r, on_written, NULL);
}

static const struct json *account_of(const struct controller *c, const struct json *secret) {
    return informer_get(c->accounts, meta_namespace(secret), token_secret_account(secret));
}

static void on_token(struct task *t, const struct client_result *result, void *arg) {
    const struct controller *c = t->tasks->userdata;
    const struct json *secret = informer_get_key(c->secrets, t->key);
    const struct json *account = secret && token_secret_account(secret) ? account_of(c, secret) : NULL;
    const char *token = json_str(json_path(result->object, "status", "token"));

    if (!client_ok(result) || !token)
        task_done(t, client_ok(result) ? -EPROTO : client_errno(result));
    else if (!account || token_secret_decide(secret, account, c->ca_pem) != TOKEN_SECRET_ASK)
        task_done(t, 0); /* it has changed: its news bring the key back */
    else
        write_secret(t, secret, account, token);
}

static void ask(struct task *t, const struct json *secret) {
    const struct controller *c = t->tasks->userdata;
    _cleanup_json_ struct json *body = token_secret_request(secret);
    const struct client_request r = {.verb = CLIENT_CREATE,
                                     .resource = c->account_resource,
                                     .subresource = "token",
                                     .ns = meta_namespace(secret),
                                     .name = token_secret_account(secret),
                                     .body = body};
    task_call(t, &r, on_token, NULL);
}

static void remove_secret(struct task *t, const struct json *secret) {
    const struct controller *c = t->tasks->userdata;

    task_delete(t, c->secret_resource, secret, NULL, on_written, NULL);
}

/* What the API itself says of the account. */
static void on_account_seen(struct task *t, const struct client_result *result, void *arg) {
    const struct controller *c = t->tasks->userdata;
    const struct json *secret = informer_get_key(c->secrets, t->key);
    const struct json *account = client_ok(result) ? result->object : NULL;

    if (!account && client_errno(result) != -ENOENT) {
        task_done(t, client_errno(result));
    } else if (!secret || !token_secret_account(secret)) {
        task_done(t, 0);
    } else if (token_secret_decide(secret, account, c->ca_pem) == TOKEN_SECRET_REMOVE) {
        remove_secret(t, secret);
    } else { /* the informer of accounts is behind that of Secrets */
        task_again_after(t, 50 * USEC_PER_MSEC);
        task_done(t, 0);
    }
}

/* Informers of different kinds keep no common order: before a Secret is removed, the API is asked. */
static void make_sure(struct task *t, const struct json *secret) {
    const struct controller *c = t->tasks->userdata;
    const struct client_request r = {.verb = CLIENT_GET,
                                     .resource = c->account_resource,
                                     .ns = meta_namespace(secret),
                                     .name = token_secret_account(secret)};
    task_call(t, &r, on_account_seen, NULL);
}

static void sync_begin(struct task *t) {
    const struct controller *c = t->tasks->userdata;

    if (!informer_synced(c->secrets) || !informer_synced(c->accounts)) {
        task_again_after(t, 50 * USEC_PER_MSEC);
        task_done(t, 0);
        return;
    }
    const struct json *secret = informer_get_key(c->secrets, t->key);
    const struct json *account = secret && token_secret_account(secret) ? account_of(c, secret) : NULL;
    switch (secret ? token_secret_decide(secret, account, c->ca_pem) : TOKEN_SECRET_NOTHING) {
    case TOKEN_SECRET_REMOVE:
        make_sure(t, secret);
        break;
    case TOKEN_SECRET_ASK:
        ask(t, secret);
        break;
    case TOKEN_SECRET_WRITE:
        write_secret(t, secret, account, NULL);
        break;
    case TOKEN_SECRET_NOTHING:
        task_done(t, 0);
        break;
    }
}

static void on_secret(void *userdata, struct json *old, struct json *secret) {
    struct controller *c = userdata;

    if (secret && token_secret_account(secret))
        task_queue_add_object(&c->tasks, secret);
}

static void on_account(void *userdata, struct json *old, struct json *account) {
    struct controller *c = userdata;
    const struct json *any = account ? account : old;
    _cleanup_free_ char *key = xasprintf("%s/%s", meta_namespace(any), meta_name(any));
    size_t n;

    if (old && account && strcmp(meta_uid(old), meta_uid(account)) == 0)
        return;
    _cleanup_free_ struct json **secrets = informer_list(c->secrets, INDEX_ACCOUNT, key, &n);
    for (size_t i = 0; i < n; i++)
        task_queue_add_object(&c->tasks, secrets[i]);
}

static void index_by_account(const struct json *secret, char ***keys) {
    const char *name = token_secret_account(secret);

    if (name)
        strv_push(keys, xasprintf("%s/%s", meta_namespace(secret), name));
}

static void controller_free(void *p) {
    struct controller *c = p;

    informer_remove_handlers(c->secrets, c);
    informer_remove_handlers(c->accounts, c);
    task_queue_finish(&c->tasks);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);

    c->secret_resource = resource_by_plural("", "v1", "secrets");
    c->account_resource = resource_by_plural("", "v1", "serviceaccounts");
    c->secrets = informer_set_get(env->informers, c->secret_resource);
    c->accounts = informer_set_get(env->informers, c->account_resource);
    c->ca_pem = env->options.ca_pem;
    informer_add_index(c->secrets, INDEX_ACCOUNT, index_by_account);
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct task), sync_begin, NULL, c);
    informer_add_handlers(c->secrets, &(struct informer_handlers){.changed = on_secret, .userdata = c});
    informer_add_handlers(c->accounts, &(struct informer_handlers){.changed = on_account, .userdata = c});
    *ret = c;
    return 0;
}

const struct controller_ops tokensecret_controller = {COMPONENT, controller_start, controller_free};
