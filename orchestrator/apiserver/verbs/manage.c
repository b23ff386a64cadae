/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/verbs/manage.h"

#include <string.h>

#include "orchestrator/apiserver/status.h"
#include "orchestrator/object/managed/managed.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define MANAGER_BYTES_MAX 128 /* upstream's FieldManagerMaxLength */

static bool is_printable(unsigned char c) {
    return c >= 0x20 && c != 0x7f; /* beyond ASCII everything counts */
}

const char *manage_options_kind(const struct api_request *req) {
    return strcmp(req->verb, "create") == 0   ? "CreateOptions"
           : strcmp(req->verb, "update") == 0 ? "UpdateOptions"
           : strcmp(req->verb, "patch") == 0  ? "PatchOptions"
                                              : "DeleteOptions";
}

static bool is_apply(const struct api_request *req) {
    return strcmp(req->verb, "patch") == 0 && req->patch_type == PATCH_APPLY;
}

static void check_manager(const char *manager, struct field_errors *errors) {
    _cleanup_json_ struct json *value = json_string(manager);
    if (strlen(manager) > MANAGER_BYTES_MAX)
        field_errors_add(errors, "FieldValueTooLong", "fieldManager", NULL, "may not be more than %d bytes",
                         MANAGER_BYTES_MAX);
    for (size_t i = 0; manager[i]; i++)
        if (!is_printable((unsigned char) manager[i]))
            field_errors_add(errors, "FieldValueInvalid", "fieldManager", value,
                             "invalid character U+%04X (at position %zu)", (unsigned char) manager[i], i);
}

bool manage_check_options(struct api_request *req) {
    const char *manager = api_param(req, "fieldManager"), *force = api_param(req, "force");
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    if (is_apply(req) && (!manager || !*manager))
        field_errors_add(&errors, "FieldValueRequired", "fieldManager", NULL, "is required for apply patch");
    if (strcmp(req->verb, "patch") == 0 && !is_apply(req) && force)
        field_errors_add(&errors, "FieldValueForbidden", "force", NULL, "may not be specified for non-apply patch");
    if (manager)
        check_manager(manager, &errors);
    if (errors.n == 0)
        return true;
    (void) api_invalid(req, manage_options_kind(req), "meta.k8s.io", "", &errors);
    return false;
}

/* The parameter, or the name of the program: the user agent up to its first slash. Caller frees. */
static char *manager_of(const struct api_request *req) {
    const char *manager = api_param(req, "fieldManager"), *agent = req->user_agent ? req->user_agent : "";
    if (manager && *manager)
        return xstrdup(manager);
    size_t n = strcspn(agent, "/"), len = 0;
    char *name = xstrndup(agent, n > MANAGER_BYTES_MAX ? MANAGER_BYTES_MAX : n);
    for (const char *p = name; *p; p++)
        if (is_printable((unsigned char) *p))
            name[len++] = *p;
    name[len] = 0;
    return name;
}

static struct managed_writer writer_of(const struct api_request *req, const char *manager) {
    return (struct managed_writer){
        .resource = req->resource,
        .subresource = req->write.through ? req->write.through
                       : req->sub         ? req->sub->name
                                          : NULL,
        .manager = manager,
        .now_usec = now_realtime_usec(),
    };
}

void manage_record(struct api_request *req, const struct json *old, struct json **doc) {
    if (is_apply(req))
        return;
    _cleanup_free_ char *manager = manager_of(req);
    struct managed_writer w = writer_of(req, manager);
    managed_record(&w, old, doc);
}

static void answer_conflicts(struct api_request *req, const struct managed_conflicts *conflicts) {
    (void) api_fail(req, 409, "Conflict", "%s", conflicts->message);
    for (size_t i = 0; i < conflicts->n; i++)
        api_status_add_cause(req, "FieldManagerConflict", conflicts->causes[i].message, conflicts->causes[i].field);
}

bool manage_apply(struct api_request *req, const struct json *old, const struct json *config, struct json **doc) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_(managed_conflicts_finish) struct managed_conflicts conflicts = {0};
    _cleanup_free_ char *manager = manager_of(req);
    struct managed_writer w = writer_of(req, manager);
    int r = managed_apply(&w, old, config, api_param_bool(req, "force"), doc, &conflicts, &err);
    if (r == -EBUSY)
        answer_conflicts(req, &conflicts);
    else if (r == -EPROTO)
        (void) api_fail(req, 500, "", "%s", error_text(&err, r));
    else if (r < 0)
        (void) api_bad_request(req, "%s", error_text(&err, r));
    return r >= 0;
}

bool manage_is_unchanged(const struct json *old, struct json **doc) {
    struct json *was = json_path(old, "metadata", "managedFields"), *now = json_path(*doc, "metadata", "managedFields");
    if (json_equal(*doc, old))
        return true;
    if (!was || !managed_same_but_times(was, now))
        return false;
    _cleanup_json_ struct json *same = json_ref(*doc);
    json_set(json_edit(&same, "metadata"), "managedFields", json_ref(was));
    if (!json_equal(same, old))
        return false;
    json_unref(*doc);
    *doc = steal(&same);
    return true;
}
