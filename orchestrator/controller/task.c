/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/task.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "podium/base/alloc.h"

struct call {
    struct list link;
    struct task *task;
    struct client_call *call;
    task_answer_fn answer;
    void *arg;
};

static void on_key(void *userdata, const char *key) {
    struct task_queue *q = userdata;
    struct task *t = xcalloc(1, q->size);
    t->tasks = q;
    t->key = xstrdup(key);
    list_init(&t->calls);
    list_append(&q->running, &t->link);
    q->sync(t);
}

static void task_free(struct task *t) {
    struct call *c;
    list_foreach(c, &t->calls, link) {
        list_remove(&c->link);
        client_cancel(t->tasks->client, c->call);
        free(c);
    }
    if (t->tasks->finish)
        t->tasks->finish(t);
    list_remove(&t->link);
    free(t->key);
    free(t);
}

void task_queue_init(struct task_queue *q, sd_event *loop, struct client *c, unsigned concurrency, size_t size,
                     task_fn sync, task_fn finish, void *userdata) {
    *q = (struct task_queue){
        .client = c,
        .size = size,
        .sync = sync,
        .finish = finish,
        .userdata = userdata,
    };
    list_init(&q->running);
    q->queue = workqueue_new(loop, concurrency, on_key, q);
}

void task_queue_finish(struct task_queue *q) {
    if (!q->queue)
        return;
    struct task *t;
    list_foreach(t, &q->running, link) task_free(t);
    workqueue_free(steal(&q->queue));
}

void task_queue_add(struct task_queue *q, const char *ns, const char *name) {
    _cleanup_free_ char *key = xasprintf("%s/%s", ns ? ns : "", name);
    workqueue_add(q->queue, key);
}

void task_queue_add_object(struct task_queue *q, const struct json *object) {
    task_queue_add(q, json_str(json_path(object, "metadata", "namespace")),
                   json_str_or(json_path(object, "metadata", "name"), ""));
}

static void on_result(void *userdata, const struct client_result *result) {
    struct call *c = userdata;
    struct task *t = c->task;
    task_answer_fn answer = c->answer;
    void *arg = c->arg;
    list_remove(&c->link);
    free(c);
    t->pending--;
    answer(t, result, arg);
}

void task_call(struct task *t, const struct client_request *r, task_answer_fn answer, void *arg) {
    struct call *c = xnew0(struct call);
    c->task = t;
    c->answer = answer;
    c->arg = arg;
    list_append(&t->calls, &c->link);
    t->pending++;
    c->call = client_start(t->tasks->client, r, on_result, c);
}

void task_write(struct task *t, const struct resource *resource, const struct json *have, struct json *object,
                task_answer_fn answer, void *arg) {
    struct client_request r = {
        .verb = have ? CLIENT_UPDATE : CLIENT_CREATE,
        .resource = resource,
        .ns = meta_namespace(object),
        .name = have ? meta_name(have) : NULL,
        .body = object,
    };
    task_call(t, &r, answer, arg);
}

void task_delete(struct task *t, const struct resource *resource, const struct json *object, struct json *options_take,
                 task_answer_fn answer, void *arg) {
    _cleanup_json_ struct json *options = options_take;
    json_set_path(&options, json_string(meta_uid(object)), "preconditions", "uid");
    struct client_request r = {
        .verb = CLIENT_DELETE,
        .resource = resource,
        .ns = meta_namespace(object),
        .name = meta_name(object),
        .body = options,
    };
    task_call(t, &r, answer, arg);
}

void task_done(struct task *t, int result) {
    struct workqueue *queue = t->tasks->queue;
    _cleanup_free_ char *key = steal(&t->key);
    task_free(t);
    workqueue_done(queue, key, result);
}

void task_removed(struct task *t, const struct client_result *result, void *arg) {
    int r = client_errno(result);
    task_done(t, r == -ENOENT || r == -EAGAIN ? 0 : r);
}

void task_again_after(struct task *t, uint64_t usec) {
    workqueue_add_after(t->tasks->queue, t->key, usec > 0 ? usec : 1);
}

bool task_namespace_is_ending(const struct client_result *r) {
    if (r->code != 403)
        return false;
    const struct json *causes = json_path(r->object, "details", "causes");
    for (size_t i = 0; i < json_len(causes); i++)
        if (strcmp(json_str_or(json_get(json_at(causes, i), "reason"), ""), "NamespaceTerminating") == 0)
            return true;
    return r->message && strstr(r->message, "because it is being terminated");
}
