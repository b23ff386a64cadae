/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One request on its way through the server, whatever door it came by.
 *
 * What it is. Input (filled by the transport), route (filled by the router), and output (filled by the verb). The
 * transport calls api_request_start() and, each time its `resume` was called, api_request_step(), until one of them
 * returns API_DONE; then it encodes `out` and frees the request.
 *
 * Invariants. Exactly one thread works on a request at a time. A step that returns API_PENDING has arranged that
 * `resume` will be called exactly once, from any thread, possibly before the step has returned.
 *
 * Ownership. Strings are the request's. `user` is borrowed from the transport unless user_owned.
 */
#ifndef PODIUM_APISERVER_REQUEST_H
#define PODIUM_APISERVER_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "orchestrator/apiserver/apiserver.h"
#include "orchestrator/object/patch.h"
#include "orchestrator/object/resources.h"
#include "orchestrator/object/schema.h"
#include "orchestrator/store/store.h"
#include "podium/base/json.h"
#include "podium/base/strbuf.h"

struct api_request;
struct api_watch;
struct api_stream;
struct store_backup;
struct authz_memo;
struct quota_grant;
struct route;
struct audit_record;

enum api_progress { API_DONE, API_PENDING };
typedef enum api_progress (*api_step_fn)(struct api_request *req);

struct api_param {
    char *key, *value;
};

enum api_output {
    API_OUT_NONE,
    API_OUT_OBJECT, /* `object`, or `item` whose stored text can go out as it is */
    API_OUT_LIST,   /* `items` and what belongs to a list's metadata */
    API_OUT_TEXT,   /* `text` of type `content_type` */
    API_OUT_WATCH,  /* `watch` */
    API_OUT_STREAM, /* `stream`: bytes from a node (logs), or an upgrade (exec, attach) */
    API_OUT_BACKUP, /* `backup`: the store as text, made as it is sent */
};

struct api_response {
    enum api_output kind;
    unsigned code;
    struct json *object;
    struct store_item *item;
    struct store_item **items; /* references */
    size_t n_items;
    uint64_t revision;
    char *continue_token; /* NULL: none */
    int64_t remaining;    /* -1: not known */
    struct strbuf text;
    const char *content_type;
    char *etag, *location;
    bool immutable; /* may be cached for ever (hashed OpenAPI documents) */
    struct api_watch *watch;
    struct api_stream *stream;
    struct store_backup *backup;
    char **warnings;
    unsigned retry_after;
};

/* What a mutating verb wants done with the object; see write.h. */
enum mutate_action { MUTATE_FAILED, MUTATE_WRITE, MUTATE_CREATE, MUTATE_DELETE, MUTATE_KEEP };
typedef enum mutate_action (*mutate_fn)(struct api_request *req, const struct json *old, struct json **doc);
typedef enum api_progress (*written_fn)(struct api_request *req, struct store_item *item, enum mutate_action action);

struct api_request {
    struct apiserver *api;

    /* input */
    char *method, *path;
    struct api_param *params;
    size_t n_params, cap_params;
    char *content_type, *accept, *user_agent, *if_none_match;
    const struct api_user *user;
    bool user_owned;
    struct authz_memo *memo; /* the user's (authz/authorize.h), borrowed; NULL: none */
    struct api_user *as;     /* whom the caller wants to be (authz/impersonate.h); NULL: himself, or done already */
    struct strbuf body;
    struct json *body_doc;      /* in-process callers: the decoded body; `body` is empty then */
    bool watch_allowed;         /* the transport can carry a watch */
    bool keeps;                 /* in-process callers: documents are kept, as long as they are the store's */
    struct audit_record *audit; /* NULL: not audited (audit/annotate.h) */

    /* route */
    const struct route *route;
    const char *verb; /* "get", "list", "watch", "create" …; for paths the method in lower case */
    const struct resource *resource;
    const struct subresource *sub;
    char *group, *version, *plural, *subname; /* as in the path */
    char *ns, *name;                          /* "" when absent */
    bool dry_run;

    /* progress */
    api_step_fn next;
    void (*resume)(struct api_request *req);
    void *transport;
    atomic_int waiting; /* the transport's */
    /* Arranges that `resume` is called at about this time (monotonic, whole seconds), or earlier when the server stops;
     * the step then returns API_PENDING. False, and NULL: the transport cannot wait. */
    bool (*wake_at)(struct api_request *req, uint64_t usec);
    uint64_t patience; /* monotonic: how long is waited for a state to come (verbs/freshness.h); 0: it is not */

    /* a write under way */
    struct {
        mutate_fn fn;
        written_fn done;
        enum mutate_action action;
        unsigned attempts;
        api_step_fn again;   /* see api_settle() */
        bool conditional;    /* the client named a revision: a stale one is its problem */
        const char *through; /* the subresource managedFields tell of, where the rules are the object's: "scale" */
        int result;
        uint64_t failures; /* of the store, before `old` was looked at */
        bool shown;        /* nothing is to be written, and out.object is the answer */
        struct store_item *old, *item;
        struct json *old_doc; /* of `old`, in the version of the request; NULL without */
    } write;
    struct quota_grant *quota; /* what the write was granted of quotas, until it ends; NULL: nothing */
    struct json *input;        /* decoded body of the verb */
    enum patch_type patch_type;
    void *scratch; /* the verb's own state */
    void (*scratch_free)(void *scratch);

    struct api_response out;
};

struct api_request *api_request_new(struct apiserver *api);
void api_request_free(struct api_request *req);
DEFINE_CLEANUP(struct api_request *, api_request_free)
/* Takes both strings. */
void api_request_add_param(struct api_request *req, char *key, char *value);

/* From now on the request is this user's, who is taken. */
void api_request_set_user(struct api_request *req, struct api_user *take);

/* Routes, authorizes and runs the verb (method, path, params and user set). */
enum api_progress api_request_start(struct api_request *req);
/* Goes on after `resume`. */
enum api_progress api_request_step(struct api_request *req);
/* For callers in threads that may block (start-up, tests): runs to the end. */
void api_request_run(struct api_request *req);

/* The first value of a parameter, NULL when absent. */
const char *api_param(const struct api_request *req, const char *key);
/* Everything but "false", "0" and absence is true, also nothing at all, as in Go's conversion of query parameters. */
bool api_param_bool(const struct api_request *req, const char *key);
/* The parameter resourceVersion; 0 when absent or empty. False: answered (400). */
bool api_param_revision(struct api_request *req, uint64_t *ret);
void api_param_set(struct api_request *req, const char *key, const char *value); /* NULL value: nothing happens */

/* Adds a Warning header, unless it is there: verbs that start over say the same again. */
void api_warn(struct api_request *req, const char *fmt, ...) _printf_(2, 3);

/* Finished answers. All return API_DONE so that verbs can end with them. */
enum api_progress api_reply_object(struct api_request *req, unsigned code, struct json *take);
enum api_progress api_reply_item(struct api_request *req, unsigned code, struct store_item *item);
enum api_progress api_reply_text(struct api_request *req, unsigned code, const char *content_type, char *take);
/* Takes the bytes, which need be no text. */
enum api_progress api_reply_bytes(struct api_request *req, unsigned code, const char *content_type,
                                  struct strbuf *take);

#endif
