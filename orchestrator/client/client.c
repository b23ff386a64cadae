/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/client/client.h"

#include <string.h>

struct client_call *client_start(struct client *c, const struct client_request *r, client_done_fn done,
                                 void *userdata) {
    return c->ops->start(c, r, done, userdata);
}

void client_cancel(struct client *c, struct client_call *call) {
    if (call)
        c->ops->cancel(c, call);
}

struct client_watch *client_watch(struct client *c, const struct client_request *r, client_event_fn event,
                                  void *userdata) {
    return c->ops->watch(c, r, event, userdata);
}

void client_watch_cancel(struct client *c, struct client_watch *w) {
    if (w)
        c->ops->watch_cancel(c, w);
}

void client_free(struct client *c) {
    if (c)
        c->ops->free(c);
}

int client_errno(const struct client_result *r) {
    if (client_ok(r))
        return 0;
    switch (r->code) {
    case 0:
        return -ENOTCONN;
    case 404:
        return -ENOENT;
    case 409:
        return strcmp(r->reason, "AlreadyExists") == 0 ? -EEXIST : -EAGAIN;
    case 429:
        return -EAGAIN;
    case 401:
    case 403:
        return -EACCES;
    case 400:
    case 422:
        return -EINVAL;
    }
    return -EIO;
}
