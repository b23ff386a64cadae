/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Approving and signing: one key at a time does one or the other, so that no two writes meet. */
#include "orchestrator/controller/certificates/controller.h"

#include "orchestrator/controller/certificates/decide.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/task.h"
#include "podium/base/alloc.h"

#define COMPONENT        "certificate-controller"
#define CONCURRENT_SYNCS 4

struct controller {
    const struct resource *resource, *reviews;
    struct informer *requests;
    const struct certificate_authority *authority; /* the environment's */
    struct task_queue tasks;
};

struct sync {
    struct task task;
    struct certificate_facts facts;
    size_t attempt; /* which of the automatic approvals is asked for */
};

static struct controller *controller_of(struct task *t) {
    return t->tasks->userdata;
}

static void sync_finish(struct task *t) {
    certificate_facts_finish(&((struct sync *) t)->facts);
}

/* A conflict: somebody else was faster, and its news bring the key back. */
static void on_written(struct task *t, const struct client_result *result, void *arg) {
    int r = client_errno(result);
    task_done(t, r == -ENOENT || r == -EAGAIN ? 0 : r);
}

static void write_part(struct task *t, const char *subresource, struct json *take) {
    _cleanup_json_ struct json *body = take;
    const struct client_request r = {.verb = CLIENT_UPDATE,
                                     .resource = controller_of(t)->resource,
                                     .name = meta_name(body),
                                     .subresource = subresource,
                                     .body = body};
    task_call(t, &r, on_written, NULL);
}

/* --- signing --- */

static void sign(struct task *t, const struct json *csr, const char *pem) {
    const struct certificate_authority *ca = controller_of(t)->authority;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strv_ char **usages = csr_usages(csr);
    _cleanup_free_ char *text = NULL, *certificate = NULL;
    const char *refusal = csr_refusal(csr, &((struct sync *) t)->facts, &text);
    if (refusal) {
        write_part(t, "status", csr_with_condition(csr, "Failed", "SignerValidationFailure", refusal));
        return;
    }
    int r = ca->sign(ca->userdata, pem, usages, csr_seconds(csr), &certificate, &err);
    if (r < 0)
        task_done(t, r);
    else
        write_part(t, "status", csr_with_certificate(csr, certificate));
}

/* --- approving --- */

static void ask(struct task *t, const struct json *csr);

static void on_review(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    const struct json *csr = informer_get_key(controller_of(t)->requests, t->key);
    const char *message;
    if (!client_ok(result) || !csr || !csr_is_undecided(csr)) {
        task_done(t, client_errno(result));
        return;
    }
    if (!json_bool_or(json_path(result->object, "status", "allowed"), false)) {
        s->attempt++;
        ask(t, csr);
    } else if (csr_auto_approval(csr, &s->facts, s->attempt, &message)) {
        write_part(t, "approval", csr_with_condition(csr, "Approved", "AutoApproved", message));
    } else {
        task_done(t, 0);
    }
}

static void ask(struct task *t, const struct json *csr) {
    struct sync *s = (struct sync *) t;
    const char *message, *permission = csr_auto_approval(csr, &s->facts, s->attempt, &message);
    if (!permission) { /* one that could be, had its user the permission, is looked at again: it may be given late */
        task_done(t, s->attempt > 0 ? -EACCES : 0);
        return;
    }
    _cleanup_json_ struct json *review = csr_access_review(csr, permission);
    const struct client_request r = {.verb = CLIENT_CREATE, .resource = controller_of(t)->reviews, .body = review};
    task_call(t, &r, on_review, NULL);
}

static void sync_begin(struct task *t) {
    struct sync *s = (struct sync *) t;
    const struct controller *c = controller_of(t);
    const struct json *csr = informer_get_key(c->requests, t->key);
    bool wants_signature = csr && csr_wants_signature(csr);
    if (!csr || (!wants_signature && !csr_is_undecided(csr))) {
        task_done(t, 0);
        return;
    }
    _cleanup_free_ char *pem = csr_pem(csr);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = c->authority->read(c->authority->userdata, pem, &s->facts, &err);
    if (r < 0 && wants_signature)
        write_part(t, "status", csr_with_condition(csr, "Failed", "SignerValidationFailure", error_text(&err, r)));
    else if (r < 0)
        task_done(t, 0); /* approved by hand, it will fail */
    else if (wants_signature)
        sign(t, csr, pem);
    else
        ask(t, csr);
}

/* --- life --- */

static void on_request(void *userdata, struct json *old, struct json *csr) {
    struct controller *c = userdata;
    if (csr && (csr_wants_signature(csr) || csr_is_undecided(csr)))
        task_queue_add_object(&c->tasks, csr);
}

static void controller_free(void *p) {
    struct controller *c = p;
    if (c->requests)
        informer_remove_handlers(c->requests, c);
    if (c->requests)
        task_queue_finish(&c->tasks);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    *ret = c;
    c->authority = env->options.authority;
    if (!c->authority)
        return 0;
    c->resource = resource_by_plural("certificates.k8s.io", "v1", "certificatesigningrequests");
    c->reviews = resource_by_plural("authorization.k8s.io", "v1", "subjectaccessreviews");
    c->requests = informer_set_get(env->informers, c->resource);
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct sync), sync_begin, sync_finish,
                    c);
    informer_add_handlers(c->requests, &(struct informer_handlers){.changed = on_request, .userdata = c});
    return 0;
}

const struct controller_ops certificate_controller = {COMPONENT, controller_start, controller_free};
