/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/admission/admission.h"

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

const char *admission_name(const struct json *doc) {
    const char *name = json_str_or(json_path(doc, "metadata", "name"), "");
    return *name ? name : json_str_or(json_path(doc, "metadata", "generateName"), "");
}
