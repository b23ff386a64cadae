/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/admission/admission.h"

#include <string.h>

#include "podium/base/alloc.h"

/* In the order they run; upstream's names. */
static const struct plugin {
    const char *name;
    bool (*mutate)(struct api_request *req, const struct json *old, struct json **doc);
    bool (*validate)(struct api_request *req, const struct json *old, const struct json *doc);
    bool (*delete)(struct api_request *req, const struct json *old);
} plugins[] = {
    {"NamespaceLifecycle", NULL, namespace_lifecycle_validate, namespace_lifecycle_delete},
    {"LimitRanger", limit_range_mutate, limit_range_validate, NULL},
    {"ServiceAccount", service_account_mutate, service_account_validate, NULL},
    {"PodSecurity", NULL, pod_security_validate, NULL},
    {"TaintNodesByCondition", new_node_mutate, NULL, NULL},
    {"Priority", priority_mutate, priority_validate, priority_delete},
    {"CertificateRequest", certificate_mutate, NULL, NULL},
    {"CertificateApproval", NULL, certificate_approval_validate, NULL},
    {"CertificateSigning", NULL, certificate_signing_validate, NULL},
    {"CertificateSubjectRestriction", NULL, certificate_subject_validate, NULL},
    {"DefaultTolerationSeconds", default_tolerations_mutate, NULL, NULL},
    {"DefaultStorageClass", default_storage_class_mutate, NULL, NULL},
    {"StorageObjectInUseProtection", storage_protection_mutate, NULL, NULL},
    {"PersistentVolumeClaimResize", NULL, claim_resize_validate, NULL},
    {"RuntimeClass", runtime_class_mutate, runtime_class_validate, NULL},
    {"DefaultIngressClass", default_ingress_class_mutate, NULL, NULL},
    {"NodeRestriction", node_restriction_mutate, NULL, node_restriction_delete},
    {"RoleEscalation", role_escalation_mutate, NULL, NULL}, /* upstream: the storage of roles and bindings */
    {"OwnerReferencesPermissionEnforcement", NULL, owner_references_validate, NULL},
    {"ResourceQuota", NULL, resource_quota_validate, NULL}, /* last: what is granted shall be written */
};

bool admission_mutate(struct api_request *req, const struct json *old, struct json **doc) {
    for (size_t i = 0; i < ARRAY_LEN(plugins); i++)
        if (plugins[i].mutate && !plugins[i].mutate(req, old, doc))
            return false;
    return true;
}

bool admission_validate(struct api_request *req, const struct json *old, const struct json *doc) {
    for (size_t i = 0; i < ARRAY_LEN(plugins); i++)
        if (plugins[i].validate && !plugins[i].validate(req, old, doc))
            return false;
    return true;
}

bool admission_delete(struct api_request *req, const struct json *old) {
    for (size_t i = 0; i < ARRAY_LEN(plugins); i++)
        if (plugins[i].delete &&!plugins[i].delete(req, old))
            return false;
    return true;
}

/* Plugins that are off unless named. */
static const struct {
    const char *name;
    unsigned bit;
} optional[] = {{"OwnerReferencesPermissionEnforcement", ADMISSION_OWNER_REFERENCES}};

static int enable(const char *name, unsigned *enabled, struct error *err) {
    for (size_t i = 0; i < ARRAY_LEN(optional); i++)
        if (strcmp(optional[i].name, name) == 0) {
            *enabled |= optional[i].bit;
            return 0;
        }
    for (size_t i = 0; i < ARRAY_LEN(plugins); i++)
        if (strcmp(plugins[i].name, name) == 0)
            return 0; /* always on */
    return error_set(err, -EINVAL, "there is no admission plugin \"%s\"", name);
}

int admission_enable(const char *list, unsigned *ret, struct error *err) {
    int r = 0;
    *ret = 0;
    while (list && *list && r == 0) {
        size_t n = strcspn(list, ",");
        _cleanup_free_ char *name = xstrndup(list, n);
        if (n > 0)
            r = enable(name, ret, err);
        list += n + (list[n] == ',');
    }
    return r;
}

const char *admission_name(const struct json *doc) {
    const char *name = json_str_or(json_path(doc, "metadata", "name"), "");
    return *name ? name : json_str_or(json_path(doc, "metadata", "generateName"), "");
}
