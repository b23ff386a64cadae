/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/status.h"

#include <stdarg.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/limits.h"

struct json *status_new(unsigned code, const char *reason, const char *message) {
    struct json *s = json_object();
    json_set(&s, "kind", json_string("Status"));
    json_set(&s, "apiVersion", json_string("v1"));
    json_set(&s, "metadata", json_object());
    json_set(&s, "status", json_string(code < 400 ? "Success" : "Failure"));
    if (message)
        json_set(&s, "message", json_string(message));
    if (reason)
        json_set(&s, "reason", json_string(reason));
    json_set(&s, "code", json_int(code));
    return s;
}

struct json *status_details(const struct api_request *req, const char *name) {
    struct json *d = json_object();
    if (name && *name)
        json_set(&d, "name", json_string(name));
    if (req->resource) {
        if (*req->resource->group)
            json_set(&d, "group", json_string(req->resource->group));
        json_set(&d, "kind", json_string(req->resource->plural));
    }
    return d;
}

static enum api_progress reply(struct api_request *req, unsigned code, const char *reason, const char *message,
                               struct json *details) {
    struct json *s = status_new(code, reason, message);
    if (details) {
        json_del(&s, "code");
        json_set(&s, "details", details);
        json_set(&s, "code", json_int(code));
    }
    return api_reply_object(req, code, s);
}

enum api_progress api_fail(struct api_request *req, unsigned code, const char *reason, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    _cleanup_free_ char *text = xvasprintf(fmt, ap);
    va_end(ap);
    return reply(req, code, reason, text, NULL);
}

enum api_progress api_bad_request(struct api_request *req, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    _cleanup_free_ char *text = xvasprintf(fmt, ap);
    va_end(ap);
    return reply(req, 400, "BadRequest", text, NULL);
}

enum api_progress api_internal_error(struct api_request *req, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    _cleanup_free_ char *text = xvasprintf(fmt, ap);
    va_end(ap);
    _cleanup_free_ char *message = xasprintf("Internal error occurred: %s", text);
    reply(req, 500, "InternalError", message, json_object());
    api_status_add_cause(req, NULL, text, NULL);
    return API_DONE;
}

enum api_progress api_unknown_path(struct api_request *req) {
    return reply(req, 404, "NotFound", "the server could not find the requested resource", json_object());
}

enum api_progress api_not_found(struct api_request *req, const char *name) {
    _cleanup_free_ char *text = xasprintf("%s \"%s\" not found", resource_display_name(req->resource), name);
    return reply(req, 404, "NotFound", text, status_details(req, name));
}

enum api_progress api_already_exists(struct api_request *req, const char *name) {
    _cleanup_free_ char *text = xasprintf("%s \"%s\" already exists", resource_display_name(req->resource), name);
    return reply(req, 409, "AlreadyExists", text, status_details(req, name));
}

enum api_progress api_conflict(struct api_request *req, const char *name, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    _cleanup_free_ char *why = xvasprintf(fmt, ap);
    va_end(ap);
    bool binding = req->sub && strcmp(req->sub->name, "binding") == 0; /* the one subresource upstream names */
    _cleanup_free_ char *text = xasprintf("Operation cannot be fulfilled on %s%s \"%s\": %s",
                                          resource_display_name(req->resource), binding ? "/binding" : "", name, why);
    return reply(req, 409, "Conflict", text, status_details(req, name));
}

enum api_progress api_conflict_modified(struct api_request *req, const char *name) {
    return api_conflict(req, name,
                        "the object has been modified; please apply your changes to the latest version and try again");
}

enum api_progress api_forbidden(struct api_request *req, const char *name, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    _cleanup_free_ char *why = xvasprintf(fmt, ap);
    va_end(ap);
    _cleanup_free_ char *text = NULL;
    if (!req->resource)
        text = xasprintf("forbidden: %s", why);
    else if (name && *name)
        text = xasprintf("%s \"%s\" is forbidden: %s", resource_display_name(req->resource), name, why);
    else
        text = xasprintf("%s is forbidden: %s", resource_display_name(req->resource), why);
    return reply(req, 403, "Forbidden", text, status_details(req, name));
}

enum api_progress api_method_not_supported(struct api_request *req, const char *verb) {
    _cleanup_free_ char *text =
        xasprintf("%s is not supported on resources of kind \"%s%s%s\"", verb, resource_display_name(req->resource),
                  req->sub ? "/" : "", req->sub ? req->sub->name : "");
    return reply(req, 405, "MethodNotAllowed", text, status_details(req, NULL));
}

void api_status_add_cause(struct api_request *req, const char *reason, const char *message, const char *field) {
    struct json *c = json_object();
    if (reason)
        json_set(&c, "reason", json_string(reason));
    if (message)
        json_set(&c, "message", json_string(message));
    if (field)
        json_set(&c, "field", json_string(field));
    json_append(json_edit(json_edit(&req->out.object, "details"), "causes"), c);
}

enum api_progress api_invalid(struct api_request *req, const char *kind, const char *group, const char *name,
                              const struct field_errors *errors) {
    _cleanup_free_ char *text = field_errors_message(errors, kind, group, name);
    struct json *d = json_object();
    if (name && *name)
        json_set(&d, "name", json_string(name));
    if (group && *group)
        json_set(&d, "group", json_string(group));
    json_set(&d, "kind", json_string(kind));
    reply(req, 422, "Invalid", text, d);
    for (size_t i = 0; i < errors->n; i++)
        api_status_add_cause(req, errors->items[i].reason, errors->items[i].message, errors->items[i].field);
    return API_DONE;
}

enum api_progress api_expired(struct api_request *req, const char *continue_token, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    _cleanup_free_ char *text = xvasprintf(fmt, ap);
    va_end(ap);
    reply(req, 410, "Expired", text, NULL);
    if (continue_token)
        json_set_path(&req->out.object, json_string(continue_token), "metadata", "continue");
    return API_DONE;
}

enum api_progress api_revision_too_large(struct api_request *req, uint64_t wanted, uint64_t current) {
    _cleanup_free_ char *text = xasprintf("Timeout: Too large resource version: %llu, current: %llu",
                                          (unsigned long long) wanted, (unsigned long long) current);
    struct json *d = json_object();
    json_set(&d, "retryAfterSeconds", json_int(1));
    reply(req, 504, "Timeout", text, d);
    api_status_add_cause(req, "ResourceVersionTooLarge", "Too large resource version", NULL);
    req->out.retry_after = 1;
    return API_DONE;
}

enum api_progress api_timeout(struct api_request *req) {
    return reply(req, 504, "Timeout", "Timeout: request did not complete within the allotted timeout", json_object());
}

enum api_progress api_store_failure(struct api_request *req, const char *name, int result) {
    switch (result) {
    case -EEXIST:
        return api_already_exists(req, name);
    case -ENOENT:
        return api_not_found(req, name);
    case -ESTALE:
        return api_conflict_modified(req, name);
    case -E2BIG:
        return api_fail(req, 413, "RequestEntityTooLarge", "Request entity too large: limit is %u",
                        OBJECT_STORED_BYTES_MAX);
    case -ENOSPC:
        return api_fail(req, 507, "InsufficientStorage",
                        "the store is full: delete objects, or make room on its disk, then try again");
    case -ECANCELED:
        req->out.retry_after = 1;
        return api_fail(req, 503, "ServiceUnavailable",
                        "writes fail at the moment, and this one depends on them: please try again later");
    default:
        return api_internal_error(req, "the store could not write: %s", error_text(NULL, result));
    }
}

enum api_progress api_success(struct api_request *req, unsigned code, const char *name, const char *uid) {
    struct json *s = json_object();
    json_set(&s, "kind", json_string("Status"));
    json_set(&s, "apiVersion", json_string("v1"));
    json_set(&s, "metadata", json_object());
    json_set(&s, "status", json_string("Success"));
    if (name) {
        struct json *d = status_details(req, name);
        if (uid)
            json_set(&d, "uid", json_string(uid));
        json_set(&s, "details", d);
    } else {
        json_set(&s, "code", json_int(code));
    }
    return api_reply_object(req, code, s);
}
