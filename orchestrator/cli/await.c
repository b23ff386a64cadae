/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/await.h"

#include <string.h>

#include "orchestrator/client/informer.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

struct awaiting {
    await_fn check;
    await_done_fn done;
    void *userdata;
    size_t open;
    bool late;
};
struct waiter {
    struct awaiting *a;
    const struct target *target;
    struct informer *informer;
    bool is_done;
};

static void look(struct waiter *w, const struct json *object) {
    if (w->is_done || !w->a->check(w->a->userdata, w->target, object))
        return;
    w->is_done = true;
    w->a->open--;
    if (w->a->done)
        w->a->done(w->a->userdata, w->target);
}

static bool is_mine(const struct waiter *w, const struct json *object) {
    return strcmp(json_str_or(json_path(object, "metadata", "name"), ""), w->target->name) == 0;
}

static void on_changed(void *userdata, struct json *old, struct json *object) {
    struct waiter *w = userdata;
    if (is_mine(w, object ? object : old))
        look(w, object);
}

static void on_synced(void *userdata) {
    struct waiter *w = userdata;
    look(w, informer_get(w->informer, w->target->ns, w->target->name));
}

static int on_late(sd_event_source *s, uint64_t usec, void *userdata) {
    struct awaiting *a = userdata;
    a->late = true;
    return 0;
}

static void begin(struct cli *c, struct waiter *w) {
    _cleanup_free_ char *field = xasprintf("metadata.name=%s", w->target->name);
    const struct informer_options o = {.resource = w->target->resource, .ns = w->target->ns, .field_selector = field};
    const struct informer_handlers handlers = {.changed = on_changed, .synced = on_synced, .userdata = w};
    w->informer = informer_new(c->loop, c->client, &o);
    informer_add_handlers(w->informer, &handlers);
}

static int run(struct cli *c, struct awaiting *a, uint64_t timeout_usec) {
    _cleanup_(sd_event_source_disable_unrefp) sd_event_source *timer = NULL;
    int r = 0;
    if (timeout_usec != AWAIT_FOR_EVER)
        r = sd_event_add_time_relative(c->loop, &timer, CLOCK_MONOTONIC, timeout_usec, 1000, on_late, a);
    while (r >= 0 && a->open > 0 && !a->late)
        r = sd_event_run(c->loop, UINT64_MAX);
    return r < 0 ? r : a->open > 0 ? -ETIME : 0;
}

int cli_await(struct cli *c, const struct targets *t, await_fn check, await_done_fn done, void *userdata,
              uint64_t timeout_usec, const struct target **ret_late) {
    struct awaiting a = {.check = check, .done = done, .userdata = userdata, .open = t->n};
    _cleanup_free_ struct waiter *waiters = xcalloc(t->n + 1, sizeof(*waiters));
    for (size_t i = 0; i < t->n; i++) {
        waiters[i] = (struct waiter){.a = &a, .target = &t->items[i]};
        begin(c, &waiters[i]);
    }
    /* "now" needs one answer too: a second is more than a server takes, and nobody waits for it who need not */
    int r = run(c, &a, timeout_usec ? timeout_usec : USEC_PER_SEC);
    for (size_t i = 0; i < t->n; i++) {
        if (!waiters[i].is_done && ret_late && r == -ETIME) {
            *ret_late = waiters[i].target;
            ret_late = NULL;
        }
        informer_free(waiters[i].informer);
    }
    return r;
}
