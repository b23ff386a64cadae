/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/verbs/deletion.h"

#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/body.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/manifest/yaml.h"
#include "orchestrator/object/protobuf.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define POD_GRACE_DEFAULT 30

void delete_options_finish(struct delete_options *o) {
    free(o->uid);
    *o = (struct delete_options){.grace = -1};
}

static const struct {
    const char *name;
    enum propagation value;
} propagations[] = {
    {"Background", PROPAGATE_BACKGROUND},
    {"Foreground", PROPAGATE_FOREGROUND},
    {"Orphan", PROPAGATE_ORPHAN},
};

static bool propagation_from(struct api_request *req, const char *s, enum propagation *ret) {
    for (size_t i = 0; i < ARRAY_LEN(propagations); i++) {
        if (strcmp(propagations[i].name, s) != 0)
            continue;
        *ret = propagations[i].value;
        return true;
    }
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    _cleanup_json_ struct json *value = json_string(s);
    field_errors_add(&errors, "FieldValueNotSupported", "propagationPolicy", value,
                     "supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"");
    (void) api_invalid(req, "DeleteOptions", "meta.k8s.io", "", &errors);
    return false;
}

/* Two ways to say the same, and both were used. */
static bool said_twice(struct api_request *req, const char *policy) {
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    _cleanup_json_ struct json *value = json_string(policy);
    field_errors_add(&errors, "FieldValueInvalid", "propagationPolicy", value,
                     "orphanDependents and deletionPropagation cannot be both set");
    (void) api_invalid(req, "DeleteOptions", "meta.k8s.io", "", &errors);
    return false;
}

static bool dry_run_from(struct api_request *req, const struct json *list) {
    for (size_t i = 0; i < json_len(list); i++) {
        if (strcmp(json_str_or(json_at(list, i), ""), "All") == 0)
            continue;
        _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
        field_errors_add(&errors, "FieldValueNotSupported", "dryRun", list, "supported values: \"All\"");
        (void) api_invalid(req, "DeleteOptions", "meta.k8s.io", "", &errors);
        return false;
    }
    if (json_len(list) > 0)
        req->dry_run = true;
    return true;
}

static void orphan_dependents(struct delete_options *o, bool orphan) {
    o->propagation = orphan ? PROPAGATE_ORPHAN : PROPAGATE_BACKGROUND;
    o->orphan_false = !orphan;
}

bool delete_options_from(struct api_request *req, const struct json *doc, struct delete_options *ret) {
    *ret = (struct delete_options){.grace = -1};
    const struct json *grace = json_get(doc, "gracePeriodSeconds"), *orphan = json_get(doc, "orphanDependents");
    const char *policy = json_str(json_get(doc, "propagationPolicy"));
    const char *uid = json_str(json_path(doc, "preconditions", "uid"));
    const char *revision = json_str(json_path(doc, "preconditions", "resourceVersion"));
    if (!json_is_null(grace)) {
        ret->grace = json_int_or(grace, 0);
        if (ret->grace < 0)
            ret->grace = 1; /* upstream's reading of nonsense */
    }
    if (!json_is_null(orphan))
        orphan_dependents(ret, json_bool_or(orphan, false));
    if (policy && *policy && !json_is_null(orphan))
        return said_twice(req, policy);
    if (policy && *policy && !propagation_from(req, policy, &ret->propagation))
        return false;
    ret->uid = uid ? xstrdup(uid) : NULL;
    ret->revision = revision ? strtoull(revision, NULL, 10) : 0;
    return dry_run_from(req, json_get(doc, "dryRun"));
}

static bool options_from_query(struct api_request *req, struct delete_options *ret) {
    const char *grace = api_param(req, "gracePeriodSeconds"), *policy = api_param(req, "propagationPolicy");
    *ret = (struct delete_options){.grace = -1};
    if (grace && *grace) {
        char *end;
        ret->grace = strtoll(grace, &end, 10);
        if (*end) {
            (void) api_bad_request(req, "invalid gracePeriodSeconds \"%s\"", grace);
            return false;
        }
        if (ret->grace < 0)
            ret->grace = 1;
    }
    if (policy && *policy && api_param(req, "orphanDependents"))
        return said_twice(req, policy);
    if (api_param(req, "orphanDependents"))
        orphan_dependents(ret, api_param_bool(req, "orphanDependents"));
    return !policy || !*policy || propagation_from(req, policy, &ret->propagation);
}

/* Clients write DeleteOptions with the API version of the object's group, or with none: only the members count. */
static int parse_options(struct api_request *req, struct json **ret, struct error *err) {
    _cleanup_free_ char *type = media_type(req->content_type);
    if (strcmp(type, "application/vnd.kubernetes.protobuf") == 0)
        return protobuf_decode(strbuf_str(&req->body), req->body.len, ret, err);
    if (strcmp(type, "application/yaml") == 0)
        return yaml_parse_one("body", strbuf_str(&req->body), req->body.len, ret, err);
    if (*type && strcmp(type, "application/json") != 0)
        return -ENOTSUP;
    return json_parse(strbuf_str(&req->body), req->body.len, NULL, ret, err);
}

bool delete_options_read(struct api_request *req, struct delete_options *ret) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *doc = json_ref(req->body_doc);
    if (!doc && req->body.len == 0)
        return options_from_query(req, ret);
    int r = doc ? 0 : parse_options(req, &doc, &err);
    if (r == -ENOTSUP)
        return body_unsupported(req);
    if (r >= 0) {
        json_del(&doc, "apiVersion");
        json_del(&doc, "kind");
        r = schema_decode(type_by_name("meta.v1.DeleteOptions"), &doc, NULL, &err);
    }
    if (r < 0) {
        (void) api_bad_request(req, "DeleteOptions cannot be read: %s", error_text(&err, r));
        return false;
    }
    return delete_options_from(req, doc, ret);
}

static bool preconditions_hold(struct api_request *req, const struct delete_options *o, const struct json *old) {
    const char *uid = json_str_or(json_path(old, "metadata", "uid"), "");
    if (o->uid && strcmp(o->uid, uid) != 0) {
        (void) api_conflict(req, req->name, "Precondition failed: UID in precondition: %s, UID in object meta: %s",
                            o->uid, uid);
        return false;
    }
    if (o->revision && o->revision != store_item_revision(req->write.old)) {
        (void) api_conflict(req, req->name,
                            "Precondition failed: ResourceVersion in precondition: %llu, ResourceVersion in object "
                            "meta: %llu",
                            (unsigned long long) o->revision, (unsigned long long) store_item_revision(req->write.old));
        return false;
    }
    return true;
}

static int64_t grace_of(const struct resource *r, const struct delete_options *o, const struct json *doc) {
    if (strcmp(r->key, "pods") != 0)
        return 0;
    const char *phase = json_str_or(json_path(doc, "status", "phase"), "");
    if (!*json_str_or(json_path(doc, "spec", "nodeName"), "") || strcmp(phase, "Succeeded") == 0 ||
        strcmp(phase, "Failed") == 0)
        return 0;
    if (o->grace >= 0)
        return o->grace;
    return json_int_or(json_path(doc, "spec", "terminationGracePeriodSeconds"), POD_GRACE_DEFAULT);
}

static void set_finalizer(struct json **doc, const char *name, bool wanted) {
    struct json **m = json_edit(doc, "metadata");
    const struct json *list = json_get(*m, "finalizers");
    _cleanup_json_ struct json *out = json_array();
    bool found = false;
    for (size_t i = 0; i < json_len(list); i++) {
        struct json *f = json_at(list, i);
        bool same = strcmp(json_str_or(f, ""), name) == 0;
        found |= same;
        if (!same || wanted)
            json_append(&out, json_ref(f));
    }
    if (wanted && !found)
        json_append(&out, json_string(name));
    if (json_len(out) > 0)
        json_set(m, "finalizers", steal(&out));
    else
        json_del(m, "finalizers");
}

/* The two finalizers by which the garbage collector learns the policy. */
static void apply_propagation(const struct resource *r, const struct delete_options *o, struct json **doc) {
    enum propagation p = o->propagation;
    if (p == PROPAGATE_DEFAULT && strcmp(r->key, "replicationcontrollers") == 0 &&
        json_is_null(json_path(*doc, "metadata", "deletionTimestamp")))
        p = PROPAGATE_ORPHAN; /* the old default of v1 */
    if (p == PROPAGATE_DEFAULT)
        return;
    set_finalizer(doc, "orphan", p == PROPAGATE_ORPHAN);
    set_finalizer(doc, "foregroundDeletion", p == PROPAGATE_FOREGROUND);
}

static void mark_deleting(struct json **doc, int64_t grace) {
    struct json **m = json_edit(doc, "metadata");
    char when[TIMESTAMP_SIZE];
    timestamp_format(now_realtime_usec() + (uint64_t) grace * USEC_PER_SEC, when);
    json_set(m, "deletionTimestamp", json_string(when));
    json_set(m, "deletionGracePeriodSeconds", json_int(grace));
    int64_t generation = json_int_or(json_get(*m, "generation"), 0);
    if (generation > 0)
        json_set(m, "generation", json_int(generation + 1));
}

/* A second delete may shorten the grace period and say anew what becomes of dependents. */
static enum mutate_action decide_again(const struct delete_options *o, int64_t grace, bool changed, struct json **doc) {
    int64_t had = json_int_or(json_path(*doc, "metadata", "deletionGracePeriodSeconds"), 0);
    bool held = json_len(json_path(*doc, "metadata", "finalizers")) > 0;
    bool shorter = o->grace >= 0 && grace < had;
    if (!shorter)
        return had == 0 && !held ? MUTATE_DELETE : changed ? MUTATE_WRITE : MUTATE_KEEP;
    if (grace == 0 && !held)
        return MUTATE_DELETE;
    uint64_t at = 0;
    char when[TIMESTAMP_SIZE];
    if (timestamp_parse(json_str_or(json_path(*doc, "metadata", "deletionTimestamp"), ""), &at) < 0)
        at = now_realtime_usec();
    timestamp_format(at - (uint64_t) (had - grace) * USEC_PER_SEC, when);
    json_set_path(doc, json_string(when), "metadata", "deletionTimestamp");
    json_set_path(doc, json_int(grace), "metadata", "deletionGracePeriodSeconds");
    return MUTATE_WRITE;
}

static enum mutate_action decide_namespace(struct api_request *req, struct json **doc) {
    if (!json_is_null(json_path(*doc, "metadata", "deletionTimestamp"))) {
        if (json_len(json_path(*doc, "spec", "finalizers")) == 0)
            return json_len(json_path(*doc, "metadata", "finalizers")) == 0 ? MUTATE_DELETE : MUTATE_KEEP;
        (void) api_conflict(req, req->name,
                            "The system is ensuring all content is removed from this namespace.  Upon completion, this "
                            "namespace will automatically be purged by the system.");
        return MUTATE_FAILED;
    }
    if (json_len(json_path(*doc, "spec", "finalizers")) == 0 &&
        json_len(json_path(*doc, "metadata", "finalizers")) == 0)
        return MUTATE_DELETE;
    mark_deleting(doc, 0);
    json_del(json_edit(doc, "metadata"), "deletionGracePeriodSeconds");
    json_set_path(doc, json_string("Terminating"), "status", "phase");
    return MUTATE_WRITE;
}

enum mutate_action deletion_decide(struct api_request *req, const struct delete_options *o, const struct json *old,
                                   struct json **doc) {
    const struct resource *r = req->resource;
    if (!old) {
        (void) api_not_found(req, req->name);
        return MUTATE_FAILED;
    }
    req->write.conditional = o->revision != 0;
    if (!preconditions_hold(req, o, old) || !admission_delete(req, old))
        return MUTATE_FAILED;
    *doc = json_ref(old);
    if (strcmp(r->key, "namespaces") == 0)
        return decide_namespace(req, doc);
    int64_t grace = grace_of(r, o, *doc);
    apply_propagation(r, o, doc);
    if (!json_is_null(json_path(*doc, "metadata", "deletionTimestamp")))
        return decide_again(
            o, grace, !json_equal(json_path(*doc, "metadata", "finalizers"), json_path(old, "metadata", "finalizers")),
            doc);
    bool held = json_len(json_path(*doc, "metadata", "finalizers")) > 0;
    if (held || grace > 0 || strcmp(r->key, "pods") == 0) /* pods: also the last state says that it was deleted */
        mark_deleting(doc, grace);
    return held || grace > 0 ? MUTATE_WRITE : MUTATE_DELETE;
}
