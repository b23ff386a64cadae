/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which kind has which rules, and the rules that the tables alone decide: closed enumerations. kind_*.c hold the rest.
 */
#include "orchestrator/object/validation.h"

#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "orchestrator/object/object_meta.h"
#include "podium/base/alloc.h"
#include "type_ids.h"

static const struct {
    name_form name;
    kind_rule rule;
    kind_update_rule update;
    kind_update_rule status; /* of writes through /status */
    kind_rule create;        /* of creations only */
} kinds[TYPE_COUNT] = {
    [TYPE_admissionregistration_v1_MutatingWebhookConfiguration] = {NULL, rules_webhook_configuration, NULL},
    [TYPE_admissionregistration_v1_ValidatingWebhookConfiguration] = {NULL, rules_webhook_configuration, NULL},
    [TYPE_apiextensions_v1_CustomResourceDefinition] = {NULL, rules_resource_definition,
                                                        rules_resource_definition_update,
                                                        rules_resource_definition_status},
    [TYPE_apiregistration_v1_APIService] = {name_form_path_segment, rules_api_service, NULL},
    [TYPE_apps_v1_ControllerRevision] = {NULL, rules_controller_revision, rules_controller_revision_update},
    [TYPE_apps_v1_DaemonSet] = {NULL, rules_daemon_set, rules_selector_update},
    [TYPE_apps_v1_Deployment] = {NULL, rules_deployment, rules_selector_update, rules_deployment_status},
    [TYPE_apps_v1_ReplicaSet] = {NULL, rules_replica_set, rules_selector_update},
    [TYPE_apps_v1_StatefulSet] = {name_form_dns1123_label, rules_stateful_set, rules_stateful_set_update},
    [TYPE_autoscaling_v1_Scale] = {NULL, rules_scale, NULL},
    [TYPE_autoscaling_v1_HorizontalPodAutoscaler] = {NULL, rules_pod_autoscaler, NULL},
    [TYPE_autoscaling_v2_HorizontalPodAutoscaler] = {NULL, rules_pod_autoscaler, NULL},
    [TYPE_batch_v1_CronJob] = {NULL, rules_cron_job, NULL},
    [TYPE_batch_v1_Job] = {NULL, rules_job, rules_job_update, rules_job_status, rules_job_create},
    [TYPE_certificates_v1_CertificateSigningRequest] = {name_form_path_segment, rules_certificate_request, NULL},
    [TYPE_coordination_v1_Lease] = {NULL, rules_lease, NULL},
    [TYPE_core_v1_Binding] = {NULL, rules_binding, NULL},
    [TYPE_core_v1_ConfigMap] = {NULL, rules_config_map, rules_config_map_update},
    [TYPE_core_v1_Endpoints] = {NULL, rules_endpoints, NULL},
    [TYPE_core_v1_Event] = {NULL, rules_event, NULL},
    [TYPE_core_v1_LimitRange] = {NULL, rules_limit_range, NULL},
    [TYPE_core_v1_Namespace] = {name_form_dns1123_label, rules_namespace, NULL, rules_namespace_status},
    [TYPE_core_v1_Node] = {NULL, rules_node, rules_node_update, rules_node_status},
    [TYPE_core_v1_PersistentVolume] = {NULL, rules_persistent_volume, rules_persistent_volume_update},
    [TYPE_core_v1_PersistentVolumeClaim] = {NULL, rules_persistent_volume_claim, rules_persistent_volume_claim_update},
    [TYPE_core_v1_Pod] = {NULL, rules_pod, rules_pod_update, rules_pod_status_update, rules_pod_create},
    [TYPE_core_v1_PodTemplate] = {NULL, rules_pod_template_object, NULL},
    [TYPE_core_v1_ReplicationController] = {NULL, rules_replication_controller, NULL,
                                            rules_replication_controller_status},
    [TYPE_core_v1_ResourceQuota] = {NULL, rules_resource_quota, rules_resource_quota_update},
    [TYPE_core_v1_Secret] = {NULL, rules_secret, rules_secret_update},
    [TYPE_core_v1_Service] = {name_form_dns1035_label, rules_service, rules_service_update},
    [TYPE_discovery_v1_EndpointSlice] = {NULL, rules_endpoint_slice, rules_endpoint_slice_update},
    [TYPE_events_v1_Event] = {NULL, NULL, rules_events_event_update, NULL, rules_events_event_create},
    [TYPE_networking_v1_Ingress] = {NULL, rules_ingress, NULL, NULL, rules_ingress_create},
    [TYPE_networking_v1_IngressClass] = {NULL, rules_ingress_class, rules_ingress_class_update},
    [TYPE_networking_v1_NetworkPolicy] = {NULL, rules_network_policy, NULL},
    [TYPE_node_v1_RuntimeClass] = {NULL, rules_runtime_class, rules_runtime_class_update},
    [TYPE_policy_v1_PodDisruptionBudget] = {name_form_path_segment, rules_disruption_budget, NULL,
                                            rules_disruption_budget_status},
    [TYPE_rbac_v1_ClusterRole] = {name_form_path_segment, rules_cluster_role, NULL},
    [TYPE_rbac_v1_ClusterRoleBinding] = {name_form_path_segment, rules_role_binding, rules_role_ref_update},
    [TYPE_rbac_v1_Role] = {name_form_path_segment, rules_role, NULL},
    [TYPE_rbac_v1_RoleBinding] = {name_form_path_segment, rules_role_binding, rules_role_ref_update},
    [TYPE_scheduling_v1_PriorityClass] = {NULL, rules_priority_class, rules_priority_class_update},
    [TYPE_storage_v1_StorageClass] = {NULL, rules_storage_class, rules_storage_class_update},
};

/* --- enumerations --- */

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Upstream names these values in the order they are declared in, all others sorted. */
static bool is_told_as_declared(const struct type_info *t, const struct field_info *f) {
    const char *name = field_name(f);
    switch (t->id) {
    case TYPE_core_v1_PodSpec:
        return strcmp(name, "restartPolicy") == 0 || strcmp(name, "dnsPolicy") == 0 ||
               strcmp(name, "preemptionPolicy") == 0;
    case TYPE_core_v1_Container:
    case TYPE_core_v1_EphemeralContainer:
        return strcmp(name, "terminationMessagePolicy") == 0;
    case TYPE_core_v1_Toleration:
        return strcmp(name, "effect") == 0;
    case TYPE_scheduling_v1_PriorityClass:
        return strcmp(name, "preemptionPolicy") == 0;
    }
    return false;
}

static void complain_enum(struct field_errors *e, const struct place *at, const struct type_info *owner,
                          const struct field_info *f, const char *value) {
    const char *sorted[64];
    size_t n = 0;
    for (size_t i = 0; field_enum_values(f)[i] && n + 1 < ARRAY_LEN(sorted); i++)
        if (*field_enum_values(f)[i])
            sorted[n++] = field_enum_values(f)[i];
    /* cppcheck-suppress uninitvar ; the loop above fills n of them */
    if (!is_told_as_declared(owner, f))
        qsort(sorted, n, sizeof(*sorted), by_text);
    sorted[n] = NULL;
    complain_not_supported(e, at, value, sorted);
}

static void check_enum(struct field_errors *e, const struct place *at, const struct type_info *owner,
                       const struct field_info *f, const struct json *v) {
    const char *value = json_str_or(v, "");
    if (!*value)
        return; /* missing: the rule of the kind knows whether it may be */
    for (size_t i = 0; field_enum_values(f)[i]; i++)
        if (strcmp(field_enum_values(f)[i], value) == 0)
            return;
    complain_enum(e, at, owner, f, value);
}

/* Enumerations that upstream words or checks in its own way, and what users do not write. */
static bool has_own_rule(const struct type_info *t, const struct field_info *f) {
    static const bool own[TYPE_COUNT] = {
        [TYPE_apiextensions_v1_CustomResourceConversion] = true,
        [TYPE_apiextensions_v1_CustomResourceDefinitionSpec] = true,
        [TYPE_apps_v1_StatefulSetSpec] = true,
        [TYPE_apps_v1_StatefulSetUpdateStrategy] = true,
        [TYPE_autoscaling_v2_HPAScalingPolicy] = true,
        [TYPE_autoscaling_v2_HPAScalingRules] = true,
        [TYPE_autoscaling_v2_MetricSpec] = true,
        [TYPE_autoscaling_v2_MetricTarget] = true,
        [TYPE_batch_v1_JobSpec] = true,
        [TYPE_batch_v1_PodFailurePolicyOnExitCodesRequirement] = true,
        [TYPE_batch_v1_PodFailurePolicyOnPodConditionsPattern] = true,
        [TYPE_batch_v1_PodFailurePolicyRule] = true,
        [TYPE_core_v1_ContainerResizePolicy] = true,
        [TYPE_core_v1_HostPathVolumeSource] = true,
        [TYPE_core_v1_NodeSelectorRequirement] = true,
        [TYPE_core_v1_Taint] = true,
        [TYPE_core_v1_PodOS] = true,
        [TYPE_core_v1_ResourceQuotaSpec] = true,
        [TYPE_core_v1_ScopedResourceSelectorRequirement] = true,
        [TYPE_core_v1_VolumeMount] = true,
        [TYPE_discovery_v1_EndpointSlice] = true,
        [TYPE_storage_v1_StorageClass] = true,
    };
    return own[t->id] ||
           /* of these, a list each */
           (f->container == FIELD_ARRAY &&
            (t->id == TYPE_core_v1_PersistentVolumeClaimSpec || t->id == TYPE_core_v1_PersistentVolumeSpec)) ||
           (t->id == TYPE_core_v1_TopologySpreadConstraint && strcmp(field_name(f), "whenUnsatisfiable") == 0);
}

static void check_enums(struct field_errors *e, const struct place *at, const struct type_info *t,
                        const struct json *object);

static void check_field_enums(struct field_errors *e, const struct place *at, const struct type_info *owner,
                              const struct field_info *f, const struct json *v) {
    bool closed = f->enum_closed && field_enum_values(f) && f->type == FIELD_STRING && !has_own_rule(owner, f);
    if (!closed && f->type != FIELD_OBJECT)
        return;
    if (f->container == FIELD_PLAIN) {
        if (closed)
            check_enum(e, at, owner, f, v);
        else
            check_enums(e, at, field_object(f), v);
        return;
    }
    for (size_t i = 0; i < json_len(v); i++) {
        bool array = f->container == FIELD_ARRAY;
        struct place one = array ? place_at(at, i) : place_key(at, json_key_at(v, i));
        const struct json *element = array ? json_at(v, i) : json_value_at(v, i);
        if (closed)
            check_enum(e, &one, owner, f, element);
        else
            check_enums(e, &one, field_object(f), element);
    }
}

static void check_enums(struct field_errors *e, const struct place *at, const struct type_info *t,
                        const struct json *object) {
    for (size_t i = 0; json_is_object(object) && i < json_len(object); i++) {
        const char *key = json_key_at(object, i);
        const struct field_info *f = type_field(t, key);
        if (!f || (!at && (strcmp(key, "metadata") == 0 || strcmp(key, "status") == 0)))
            continue;
        struct place place = place_in(at, key);
        check_field_enums(e, &place, t, f, json_value_at(object, i));
    }
}

/* --- entry points --- */

static void check_kind(struct field_errors *e, const struct type_info *t, const struct json *object) {
    check_enums(e, NULL, t, object);
    if (kinds[t->id].rule)
        kinds[t->id].rule(e, object);
}

void validate_create(const struct resource *r, const struct json *object, struct field_errors *errors) {
    const struct type_info *t = type_by_name(r->type);
    if (!t)
        return;
    name_form form = kinds[t->id].name ? kinds[t->id].name : name_form_dns1123_subdomain;
    if (r->stored)
        object_meta_create(errors, json_get(object, "metadata"), r->namespaced, form);
    check_kind(errors, t, object);
    if (kinds[t->id].create)
        kinds[t->id].create(errors, object);
}

void validate_update(const struct resource *r, const char *subresource, const struct json *object,
                     const struct json *old, struct field_errors *errors) {
    const struct type_info *t = type_by_name(r->type);
    if (!t)
        return;
    if (subresource && strcmp(subresource, "scale") == 0) {
        rules_scale(errors, object);
        return;
    }
    object_meta_update(errors, json_get(object, "metadata"), json_get(old, "metadata"));
    if (t->id == TYPE_certificates_v1_CertificateSigningRequest) {
        rules_certificate_request_update(errors, subresource, object, old);
        return;
    }
    if (subresource && strcmp(subresource, "status") == 0) {
        if (t->id == TYPE_core_v1_Service)
            rules_service_status(errors, object);
        if (kinds[t->id].status)
            kinds[t->id].status(errors, object, old);
        return;
    }
    check_kind(errors, t, object);
    if (!subresource && kinds[t->id].update)
        kinds[t->id].update(errors, object, old);
    else if (subresource && strcmp(subresource, "ephemeralcontainers") == 0)
        rules_pod_ephemeral_update(errors, object, old);
    else if (subresource && strcmp(subresource, "resize") == 0)
        rules_pod_resize(errors, object, old);
}
