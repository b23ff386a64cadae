/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/verbs/prepare.h"

#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/admission/certificates.h"
#include "orchestrator/apiserver/authz/authorize.h"
#include "orchestrator/apiserver/service_pool.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/verbs/manage.h"
#include "orchestrator/object/strategy.h"
#include "orchestrator/object/timestamp.h"
#include "orchestrator/object/validation.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/random.h"

/* apimachinery's maxGeneratedNameLength: 63 less the suffix */
#define GENERATE_BASE_MAX 58
#define GENERATE_SUFFIX   5

static struct json **metadata(struct json **doc) {
    return json_edit(doc, "metadata");
}

static const struct json *meta(const struct json *doc, const char *key) {
    return json_path(doc, "metadata", key);
}

bool document_revision(struct api_request *req, const struct json *doc, uint64_t *ret) {
    const char *s = json_str_or(meta(doc, "resourceVersion"), "");
    char *end = NULL;
    *ret = 0;
    if (!*s)
        return true;
    errno = 0;
    *ret = strtoull(s, &end, 10);
    if (errno == 0 && end && !*end && *s != '-')
        return true;
    (void) api_bad_request(req, "invalid resourceVersion \"%s\"", s);
    return false;
}

bool prepare_identity(struct api_request *req, struct json **doc) {
    const char *ns = json_str_or(meta(*doc, "namespace"), ""), *name = json_str_or(meta(*doc, "name"), "");
    if (*ns && !*req->ns) { /* cluster scope: upstream forgives it */
        json_del(metadata(doc), "namespace");
        ns = "";
    }
    if (*ns && strcmp(ns, req->ns) != 0) {
        (void) api_bad_request(req,
                               "the namespace of the provided object does not match the namespace sent on the request");
        return false;
    }
    if (*req->name && *name && strcmp(name, req->name) != 0) {
        (void) api_bad_request(req, "the name of the object (%s) does not match the name on the URL (%s)", name,
                               req->name);
        return false;
    }
    if (*req->ns && !*ns)
        json_set(metadata(doc), "namespace", json_string(req->ns));
    if (*req->name && !*name)
        json_set(metadata(doc), "name", json_string(req->name));
    return true;
}

static bool generate_name(struct api_request *req, struct json **doc) {
    const char *name = json_str_or(meta(*doc, "name"), ""), *base = json_str_or(meta(*doc, "generateName"), "");
    if (*name || !*base)
        return true;
    char suffix[GENERATE_SUFFIX + 1];
    random_name_suffix(suffix, GENERATE_SUFFIX);
    json_set(metadata(doc), "name", json_stringf("%.*s%s", GENERATE_BASE_MAX, base, suffix));
    return true;
}

static void stamp_new(const struct resource *r, struct json **doc) {
    static const char *const cleared[] = {"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink",
                                          "resourceVersion", "generation"};
    char uid[37], now[TIMESTAMP_SIZE];
    struct json **m = metadata(doc);
    random_uuid(uid);
    timestamp_format(now_realtime_usec(), now);
    for (size_t i = 0; i < ARRAY_LEN(cleared); i++)
        json_del(m, cleared[i]);
    json_set(m, "uid", json_string(uid));
    json_set(m, "creationTimestamp", json_string(now));
    if (r->tracks_generation)
        json_set(m, "generation", json_int(1));
}

static bool report(struct api_request *req, const struct json *doc, const struct field_errors *errors) {
    if (errors->n == 0)
        return true;
    (void) api_invalid(req, req->resource->kind, req->resource->group, json_str_or(meta(doc, "name"), ""), errors);
    return false;
}

bool prepare_may_create(struct api_request *req) {
    const char *verb = req->verb;
    req->verb = "create";
    bool may = authorize_resource(req);
    req->verb = verb;
    return may;
}

bool prepare_create(struct api_request *req, struct json **doc) {
    const struct resource *r = req->resource;
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    if (*json_str_or(meta(*doc, "resourceVersion"), "")) {
        (void) api_bad_request(req, "resourceVersion should not be set on objects to be created");
        return false;
    }
    if (!prepare_identity(req, doc))
        return false;
    schema_default(resource_api_version(r), r->kind, doc);
    manage_record(req, NULL, doc);
    if (!admission_mutate(req, NULL, doc))
        return false;
    (void) generate_name(req, doc);
    stamp_new(r, doc);
    strategy_prepare_create(r, doc);
    certificate_check(req, NULL, *doc, &errors);
    validate_create(r, *doc, &errors);
    if (!report(req, *doc, &errors) || !service_pool_fill(req, doc, &errors) || !report(req, *doc, &errors) ||
        !admission_validate(req, NULL, *doc))
        return false;
    free(req->name);
    req->name = xstrdup(json_str_or(meta(*doc, "name"), ""));
    return true;
}

/* Members of metadata only the server writes: taken from the stored object whatever the body says, or when it does not
 * say; what is left then differs, and validation refuses it. */
static void keep_server_metadata(const struct json *old, struct json **doc) {
    static const struct {
        const char *name;
        enum { KEEP_ALWAYS, KEEP_WHEN_SET, KEEP_WHEN_UNSAID } when;
    } kept[] = {{"uid", KEEP_ALWAYS},
                {"creationTimestamp", KEEP_WHEN_UNSAID},
                {"generation", KEEP_ALWAYS},
                {"deletionTimestamp", KEEP_WHEN_SET},
                {"deletionGracePeriodSeconds", KEEP_WHEN_SET},
                {"resourceVersion", KEEP_ALWAYS}};
    struct json **m = metadata(doc);
    json_del(m, "selfLink");
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        struct json *v = json_path(old, "metadata", kept[i].name);
        bool unsaid = json_is_null(json_get(*m, kept[i].name));
        if (v && (kept[i].when != KEEP_WHEN_UNSAID || unsaid))
            json_set(m, kept[i].name, json_ref(v));
        else if (!v && (kept[i].when == KEEP_ALWAYS || unsaid))
            json_del(m, kept[i].name);
    }
}

static bool uid_fits(struct api_request *req, const struct json *old, const struct json *doc) {
    const char *have = json_str_or(meta(old, "uid"), ""), *want = json_str_or(meta(doc, "uid"), have);
    if (!*want || strcmp(have, want) == 0)
        return true;
    (void) api_conflict(req, req->name, "Precondition failed: UID in precondition: %s, UID in object meta: %s", want,
                        have);
    return false;
}

/* An object marked for deletion goes when nothing holds it any more. */
static bool released(const struct resource *r, const struct json *doc) {
    if (json_is_null(meta(doc, "deletionTimestamp")) || json_len(meta(doc, "finalizers")) > 0 ||
        json_int_or(meta(doc, "deletionGracePeriodSeconds"), 0) > 0)
        return false;
    return strcmp(r->key, "namespaces") != 0 || json_len(json_path(doc, "spec", "finalizers")) == 0;
}

/* Only a changed spec may need an address or a port. */
static bool service_changed(const struct resource *r, const struct json *doc, const struct json *old) {
    return strcmp(r->key, "services") == 0 && !json_equal(json_get(doc, "spec"), json_get(old, "spec"));
}

enum mutate_action prepare_update(struct api_request *req, const struct json *old, struct json **doc) {
    const struct resource *r = req->resource;
    const char *sub = req->sub ? req->sub->name : NULL;
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    if (!prepare_identity(req, doc) || !uid_fits(req, old, *doc))
        return MUTATE_FAILED;
    keep_server_metadata(old, doc);
    schema_default_changed(resource_api_version(r), r->kind, old, doc);
    manage_record(req, old, doc);
    if (!admission_mutate(req, old, doc))
        return MUTATE_FAILED;
    strategy_prepare_update(r, sub, doc, old);
    certificate_check(req, old, *doc, &errors);
    validate_update(r, sub, *doc, old, &errors);
    if (!report(req, *doc, &errors))
        return MUTATE_FAILED;
    if (service_changed(r, *doc, old) && !service_pool_fill(req, doc, &errors))
        return MUTATE_FAILED;
    if (!report(req, *doc, &errors) || !admission_validate(req, old, *doc))
        return MUTATE_FAILED;
    if (released(r, *doc))
        return MUTATE_DELETE;
    return manage_is_unchanged(old, doc) ? MUTATE_KEEP : MUTATE_WRITE;
}
