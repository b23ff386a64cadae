/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * metav1.Status answers with upstream's reasons, codes, texts and details (k8s-api wire.md section 11). Each function
 * makes the request's answer and returns API_DONE.
 */
#ifndef PODIUM_APISERVER_STATUS_H
#define PODIUM_APISERVER_STATUS_H

#include "orchestrator/apiserver/request.h"

/* No details beyond the message. */
enum api_progress api_fail(struct api_request *req, unsigned code, const char *reason, const char *fmt, ...)
    _printf_(4, 5);
enum api_progress api_bad_request(struct api_request *req, const char *fmt, ...) _printf_(2, 3);
enum api_progress api_internal_error(struct api_request *req, const char *fmt, ...) _printf_(2, 3);
/* 404 for a path nobody serves. */
enum api_progress api_unknown_path(struct api_request *req);
/* With details of the requested resource: `pods "x" not found`, `pods "x" already exists`. */
enum api_progress api_not_found(struct api_request *req, const char *name);
enum api_progress api_already_exists(struct api_request *req, const char *name);
/* `Operation cannot be fulfilled on pods "x": WHY`. */
enum api_progress api_conflict(struct api_request *req, const char *name, const char *fmt, ...) _printf_(3, 4);
enum api_progress api_conflict_modified(struct api_request *req, const char *name);
/* `pods "x" is forbidden: WHY`. */
enum api_progress api_forbidden(struct api_request *req, const char *name, const char *fmt, ...) _printf_(3, 4);
enum api_progress api_method_not_supported(struct api_request *req, const char *verb);
/* 422 with one cause per error. kind/group: of the object (Scale, Eviction … differ from the resource). */
enum api_progress api_invalid(struct api_request *req, const char *kind, const char *group, const char *name,
                              const struct field_errors *errors);
/* 410 Expired; continue_token (may be NULL) lets a list go on inconsistently. */
enum api_progress api_expired(struct api_request *req, const char *continue_token, const char *fmt, ...) _printf_(3, 4);
/* 504 `Too large resource version: N, current: M`. */
enum api_progress api_revision_too_large(struct api_request *req, uint64_t wanted, uint64_t current);
/* 504: it has taken too long. */
enum api_progress api_timeout(struct api_request *req);
/* The answer to a failed store_submit() (after retries). */
enum api_progress api_store_failure(struct api_request *req, const char *name, int result);
/* 200/201 Status Success with details of the object. uid may be NULL. */
enum api_progress api_success(struct api_request *req, unsigned code, const char *name, const char *uid);

/* A Status object for places that have no request (ERROR events of watches). */
struct json *status_new(unsigned code, const char *reason, const char *message);
/* details of the request's resource: {name, group, kind}. */
struct json *status_details(const struct api_request *req, const char *name);
/* Adds a cause to the answer just made. */
void api_status_add_cause(struct api_request *req, const char *reason, const char *message, const char *field);

#endif
