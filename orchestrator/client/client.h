/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client interface: how every component speaks to the API, in-process or over HTTP, through the same doors
 * (authentication, authorization, admission) as everybody else. Asynchronous on one sd-event loop: all functions and
 * all callbacks belong to the loop's thread. A callback is never called before client_start() has returned.
 */
#ifndef PODIUM_CLIENT_CLIENT_H
#define PODIUM_CLIENT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "orchestrator/object/patch.h"
#include "orchestrator/object/resources.h"
#include "podium/base/error.h"
#include "podium/base/json.h"

struct client;
struct client_call;  /* handle of a request under way; freed when done was called or by client_cancel() */
struct client_watch; /* handle of a watch */

enum client_verb {
    CLIENT_GET,
    CLIENT_LIST,
    CLIENT_CREATE,
    CLIENT_UPDATE,
    CLIENT_PATCH,
    CLIENT_DELETE,
    CLIENT_DELETE_COLLECTION,
};

/* Strings are copied, body is referenced, by the call. Zero-initialise and set what matters. */
struct client_request {
    enum client_verb verb;
    const struct resource *resource;
    const char *ns;          /* NULL or "": cluster scope / all namespaces */
    const char *name;        /* NULL for list and create */
    const char *subresource; /* "status", "binding", "scale" … or NULL */
    struct json *body;       /* object, patch, or DeleteOptions */
    enum patch_type patch_type;
    const char *label_selector, *field_selector;
    const char *resource_version; /* list and watch */
    const char *continue_token;
    unsigned limit;
    const char *field_manager;
    bool dry_run, force;
    bool strict; /* refuse unknown and doubled fields of the body (fieldValidation=Strict): for what people wrote */
    bool allow_bookmarks;
    bool keeps;     /* list and watch: objects are kept for long; in-process the store then holds the same ones */
    bool code_only; /* the caller does not look at the object of a good answer: it may be NULL then */
};

/* code: HTTP status (200…); 0 when no answer came (transport): then text says why. object: the object, list or Status.
 */
struct client_result {
    int code;
    struct json *object;
    const char *reason; /* of a Status: "NotFound", "Conflict", "AlreadyExists" …; "" otherwise */
    const char *message;
};
static inline bool client_ok(const struct client_result *r) {
    return r->code >= 200 && r->code < 300;
}

/* A failed result as -errno: -ENOENT (404), -EEXIST (AlreadyExists), -EAGAIN (Conflict, 429), -EACCES (401, 403),
 * -EINVAL (400, 422), -ENOTCONN (no answer), -EIO (the rest); 0 when it is good. */
int client_errno(const struct client_result *r);

typedef void (*client_done_fn)(void *userdata, const struct client_result *result);
/* type: "ADDED", "MODIFIED", "DELETED", "BOOKMARK", or "ERROR" (object: a Status; the watch has ended and the handle is
 * freed after the callback), or "CLOSED" (ended cleanly; object NULL; handle freed likewise). */
typedef void (*client_event_fn)(void *userdata, const char *type, struct json *object);

struct client_ops {
    struct client_call *(*start)(struct client *c, const struct client_request *r, client_done_fn done, void *userdata);
    void (*cancel)(struct client *c, struct client_call *call);
    struct client_watch *(*watch)(struct client *c, const struct client_request *r, client_event_fn event,
                                  void *userdata);
    void (*watch_cancel)(struct client *c, struct client_watch *w);
    void (*free)(struct client *c);
};
/* Embedded first in every implementation. */
struct client {
    const struct client_ops *ops;
};

struct client_call *client_start(struct client *c, const struct client_request *r, client_done_fn done, void *userdata);
void client_cancel(struct client *c, struct client_call *call); /* done is not called any more */
struct client_watch *client_watch(struct client *c, const struct client_request *r, client_event_fn event,
                                  void *userdata);
void client_watch_cancel(struct client *c, struct client_watch *w);
void client_free(struct client *c);
DEFINE_CLEANUP(struct client *, client_free)

#endif
