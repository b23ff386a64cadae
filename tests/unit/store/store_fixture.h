/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the store's tests share: a store in a folder of its own, blocking writes, small documents. */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "orchestrator/store/store.h"
#include "podium/base/alloc.h"
#include "podium/base/path.h"

struct fixture {
    char *path;
    struct store *store;
    struct store_options options;
};

static _unused_ void fixture_open(struct fixture *f) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    f->options.path = f->path;
    int r = store_open_lmdb(&f->options, &f->store, &err);
    if (r < 0)
        fail_msg("%s", error_text(&err, r));
}

static _unused_ void fixture_init(struct fixture *f) {
    char template[] = "/tmp/podium-store-XXXXXX";

    assert_non_null(mkdtemp(template));
    f->path = xstrdup(template);
}

static _unused_ void fixture_finish(struct fixture *f) {
    store_close(f->store);
    assert_int_equal(rm_tree(f->path, NULL), 0);
    free(f->path);
}

/* --- waiting for one or many writes --- */
struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned done;
    int result; /* of the last */
    uint64_t revision;
};
#define WAITER_INIT                                                                                                    \
    { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0 }

static _unused_ void waiter_done(void *userdata, int result, struct store_item *item) {
    struct waiter *w = userdata;

    pthread_mutex_lock(&w->lock);
    w->done++;
    w->result = result;
    w->revision = item ? store_item_revision(item) : 0;
    pthread_cond_broadcast(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

static _unused_ void waiter_wait(struct waiter *w, unsigned n) {
    pthread_mutex_lock(&w->lock);
    while (w->done < n)
        pthread_cond_wait(&w->cond, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

static _unused_ struct json *document(const char *ns, const char *name, int64_t value) {
    struct json *doc = json_object();

    json_set(&doc, "apiVersion", json_string("v1"));
    json_set(&doc, "kind", json_string("ConfigMap"));
    json_set_path(&doc, json_string(name), "metadata", "name");
    if (*ns)
        json_set_path(&doc, json_string(ns), "metadata", "namespace");
    json_set_path(&doc, json_int(value), "value");
    return doc;
}

static _unused_ int submit(struct store *s, enum store_op op, const char *ns, const char *name, int64_t value,
                           uint64_t expect, struct waiter *w) {
    _cleanup_json_ struct json *doc = op == STORE_DELETE ? NULL : document(ns, name, value);
    struct store_write write = {op, "configmaps", ns, name, doc, expect};

    return store_submit(s, &write, waiter_done, w);
}

/* One write, waited for: 0 or the error, immediate or not. */
static _unused_ int put(struct store *s, enum store_op op, const char *ns, const char *name, int64_t value,
                        uint64_t expect, uint64_t *ret_revision) {
    struct waiter w = WAITER_INIT;
    int r = submit(s, op, ns, name, value, expect, &w);

    if (r < 0)
        return r;
    waiter_wait(&w, 1);
    if (ret_revision)
        *ret_revision = w.revision;
    return w.result;
}

/* The stored value, or -1 when absent. */
static _unused_ int64_t value_of(struct store *s, const char *ns, const char *name) {
    _cleanup_(store_item_unrefp) struct store_item *i = store_get(s, "configmaps", ns, name);

    return i ? json_int_or(json_get(store_item_doc(i), "value"), -2) : -1;
}

#endif
