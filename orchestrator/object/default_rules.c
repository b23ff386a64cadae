/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/default_rules.h"

#include <stdint.h>
#include <string.h>

#include "orchestrator/object/schema.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "type_ids.h"

/* --- small words the rules are written in --- */

static bool absent(struct json *const *object, const char *key) {
    return json_is_null(json_get(*object, key));
}

static bool is(struct json *const *object, const char *key, const char *value) {
    return strcmp(json_str_or(json_get(*object, key), ""), value) == 0;
}

static bool empty(struct json *const *object, const char *key) {
    const struct json *v = json_get(*object, key);
    return json_is_null(v) || (json_is_string(v) ? json_str_len(v) == 0 : json_len(v) == 0);
}

static void set_if_absent(struct json **object, const char *key, struct json *take) {
    if (absent(object, key))
        json_set(object, key, take);
    else
        json_unref(take);
}

static struct json *one_string(const char *s) {
    struct json *array = json_array();
    json_append(&array, json_string(s));
    return array;
}

/* --- core --- */

/* "latest" or neither tag nor digest: may have moved since it was pulled. */
static bool image_may_move(const char *image) {
    if (strchr(image, '@'))
        return false;
    const char *slash = strrchr(image, '/');
    const char *tag = strchr(slash ? slash : image, ':');
    return !tag || strcmp(tag, ":latest") == 0;
}

static void default_pull_policy(struct json **object, const char *image_key, const char *policy_key) {
    if (empty(object, policy_key))
        json_set(
            object, policy_key,
            json_string(image_may_move(json_str_or(json_get(*object, image_key), "")) ? "Always" : "IfNotPresent"));
}

static void default_container(struct json **c) {
    default_pull_policy(c, "image", "imagePullPolicy");
}

static void default_image_volume(struct json **v) {
    default_pull_policy(v, "reference", "pullPolicy");
}

static void default_volume(struct json **volume) {
    for (size_t i = 0; i < json_len(*volume); i++)
        if (strcmp(json_key_at(*volume, i), "name") != 0 && !json_is_null(json_value_at(*volume, i)))
            return;
    json_set(volume, "emptyDir", json_object());
}

static bool lacks_requests(const struct json *container) {
    const struct json *limits = json_path(container, "resources", "limits");
    for (size_t i = 0; i < json_len(limits); i++)
        if (json_is_null(json_get(json_path(container, "resources", "requests"), json_key_at(limits, i))))
            return true;
    return false;
}

/* A request that is not given equals the limit. Upstream does this for pods, not for templates. */
static void requests_from_limits(struct json **container) {
    const struct json *limits = json_path(*container, "resources", "limits");
    for (size_t i = 0; i < json_len(limits); i++) {
        const char *key = json_key_at(limits, i);
        if (json_is_null(json_get(json_path(*container, "resources", "requests"), key)))
            json_set_path(container, json_ref(json_value_at(limits, i)), "resources", "requests", key);
        limits = json_path(*container, "resources", "limits");
    }
}

/* podIP is the first of podIPs; of two that differ podIP counts. */
static void default_pod_addresses(struct json **pod) {
    const char *ip = json_get_str(json_get(*pod, "status"), "podIP");
    const char *first = json_get_str(json_at(json_path(*pod, "status", "podIPs"), 0), "ip");
    if (strcmp(ip, first) == 0)
        return;
    if (!*ip) {
        json_set_path(pod, json_string(first), "status", "podIP");
        return;
    }
    struct json *one = json_object(), *list = json_array();
    json_set(&one, "ip", json_string(ip));
    json_append(&list, one);
    json_set_path(pod, list, "status", "podIPs");
}

static void default_pod(struct json **pod) {
    default_pod_addresses(pod);
    static const char *const lists[] = {"containers", "initContainers"};
    if (json_is_null(json_path(*pod, "spec", "enableServiceLinks")))
        json_set_path(pod, json_bool(true), "spec", "enableServiceLinks");
    for (size_t k = 0; k < ARRAY_LEN(lists); k++)
        for (size_t i = 0; i < json_len(json_path(*pod, "spec", lists[k])); i++)
            if (lacks_requests(json_at(json_path(*pod, "spec", lists[k]), i)))
                requests_from_limits(json_edit_at(json_edit(json_edit(pod, "spec"), lists[k]), i));
}

static bool lacks_host_port(const struct json *port) {
    return json_int_or(json_get(port, "containerPort"), 0) && json_int_or(json_get(port, "hostPort"), 0) == 0;
}

/* On the host's network a container port is a host port. */
static void host_ports(struct json **spec, const char *list, size_t container) {
    for (size_t i = 0; i < json_len(json_get(json_at(json_get(*spec, list), container), "ports")); i++) {
        const struct json *port = json_at(json_get(json_at(json_get(*spec, list), container), "ports"), i);
        if (!lacks_host_port(port))
            continue;
        struct json **ports = json_edit(json_edit_at(json_edit(spec, list), container), "ports");
        json_set(json_edit_at(ports, i), "hostPort", json_ref(json_get(port, "containerPort")));
    }
}

static void default_pod_spec(struct json **spec) {
    /* serviceAccount is the old name of serviceAccountName; upstream keeps both equal. */
    if (empty(spec, "serviceAccountName") && !empty(spec, "serviceAccount"))
        json_set(spec, "serviceAccountName", json_ref(json_get(*spec, "serviceAccount")));
    else if (!empty(spec, "serviceAccountName") &&
             !json_equal(json_get(*spec, "serviceAccountName"), json_get(*spec, "serviceAccount")))
        json_set(spec, "serviceAccount", json_ref(json_get(*spec, "serviceAccountName")));
    if (!json_bool_or(json_get(*spec, "hostNetwork"), false))
        return;
    static const char *const lists[] = {"containers", "initContainers"};
    for (size_t k = 0; k < ARRAY_LEN(lists); k++)
        for (size_t i = 0; i < json_len(json_get(*spec, lists[k])); i++)
            host_ports(spec, lists[k], i);
}

static void default_service(struct json **service) {
    if (!is((struct json *[]){json_get(*service, "spec")}, "type", "LoadBalancer"))
        return;
    for (size_t i = 0; i < json_len(json_path(*service, "status", "loadBalancer", "ingress")); i++) {
        const struct json *ingress = json_at(json_path(*service, "status", "loadBalancer", "ingress"), i);
        if (!json_str_len(json_get(ingress, "ip")) || !json_is_null(json_get(ingress, "ipMode")))
            continue;
        struct json **list = json_edit(json_edit(json_edit(service, "status"), "loadBalancer"), "ingress");
        json_set(json_edit_at(list, i), "ipMode", json_string("VIP"));
    }
}

static void default_service_spec(struct json **spec) {
    if (is(spec, "sessionAffinity", "None"))
        json_del(spec, "sessionAffinityConfig");
    else if (is(spec, "sessionAffinity", "ClientIP") &&
             json_is_null(json_path(*spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds")))
        json_set_path(spec, json_int(10800), "sessionAffinityConfig", "clientIP", "timeoutSeconds");
    bool cluster_ip = is(spec, "type", "ClusterIP"), balanced = is(spec, "type", "LoadBalancer");
    bool node_port = is(spec, "type", "NodePort");
    if ((node_port || balanced || (cluster_ip && !empty(spec, "externalIPs"))) && empty(spec, "externalTrafficPolicy"))
        json_set(spec, "externalTrafficPolicy", json_string("Cluster"));
    if (node_port || balanced || cluster_ip)
        set_if_absent(spec, "internalTrafficPolicy", json_string("Cluster"));
    if (balanced)
        set_if_absent(spec, "allocateLoadBalancerNodePorts", json_bool(true));
}

static void default_service_port(struct json **port) {
    const struct json *target = json_get(*port, "targetPort");
    if (json_is_null(target) || (json_is_string(target) ? !json_str_len(target) : json_int_or(target, 1) == 0))
        json_set(port, "targetPort", json_int(json_int_or(json_get(*port, "port"), 0)));
}

static void labels_from_template(struct json **object) {
    const struct json *labels = json_path(*object, "spec", "template", "metadata", "labels");
    if (json_len(labels) && !json_len(json_path(*object, "metadata", "labels")))
        json_set_path(object, json_ref(labels), "metadata", "labels");
}

static void default_replication_controller(struct json **rc) {
    const struct json *labels = json_path(*rc, "spec", "template", "metadata", "labels");
    if (json_len(labels) && !json_len(json_path(*rc, "spec", "selector")))
        json_set_path(rc, json_ref(labels), "spec", "selector");
    labels_from_template(rc);
}

static void default_namespace(struct json **ns) {
    const char *name = json_str_or(json_path(*ns, "metadata", "name"), "");
    const char *label = json_str_or(json_path(*ns, "metadata", "labels", "kubernetes.io/metadata.name"), "");
    if (*name && strcmp(name, label) != 0)
        json_set_path(ns, json_string(name), "metadata", "labels", "kubernetes.io/metadata.name");
}

/* podCIDR is the first of podCIDRs. */
static void default_node_spec(struct json **spec) {
    const struct json *first = json_at(json_get(*spec, "podCIDRs"), 0);
    const char *one = json_get_str(*spec, "podCIDR");
    if (*one && strcmp(one, json_str_or(first, "")) != 0)
        json_set(spec, "podCIDRs", one_string(one));
    else if (!*one && first)
        json_set(spec, "podCIDR", json_ref(first));
}

static void default_node_status(struct json **status) {
    if (absent(status, "allocatable") && !empty(status, "capacity"))
        json_set(status, "allocatable", json_ref(json_get(*status, "capacity")));
}

static void default_limits(struct json **item, const char *key, const char *from) {
    const struct json *source = json_get(*item, from);
    for (size_t i = 0; i < json_len(source); i++) {
        const char *name = json_key_at(source, i);
        if (json_is_null(json_get(json_get(*item, key), name)))
            json_set_path(item, json_ref(json_value_at(source, i)), key, name);
        source = json_get(*item, from);
    }
}

static void default_limit_range_item(struct json **item) {
    if (!is(item, "type", "Container"))
        return;
    default_limits(item, "default", "max");
    default_limits(item, "defaultRequest", "default");
    default_limits(item, "defaultRequest", "min");
}

/* stringData is for writing only: it becomes data. */
static void default_secret(struct json **secret) {
    const struct json *plain = json_get(*secret, "stringData");
    for (size_t i = 0; i < json_len(plain); i++) {
        const struct json *v = json_value_at(plain, i);
        char *encoded = base64_encode(json_str_or(v, ""), json_str_len(v));
        json_set_path(secret, json_string(encoded), "data", json_key_at(plain, i));
        free(encoded);
        plain = json_get(*secret, "stringData");
    }
    if (plain)
        json_del(secret, "stringData");
}

/* --- apps, batch, autoscaling --- */

static void default_rolling(struct json **strategy, const char *key, struct json *take) {
    if (is(strategy, "type", "RollingUpdate") && json_is_null(json_path(*strategy, "rollingUpdate", key)))
        json_set_path(strategy, take, "rollingUpdate", key);
    else
        json_unref(take);
}

static void default_deployment_strategy(struct json **strategy) {
    default_rolling(strategy, "maxUnavailable", json_string("25%"));
    default_rolling(strategy, "maxSurge", json_string("25%"));
}

static void default_daemon_set_strategy(struct json **strategy) {
    default_rolling(strategy, "maxUnavailable", json_int(1));
    default_rolling(strategy, "maxSurge", json_int(0));
}

static void default_stateful_set_spec(struct json **spec) {
    struct json **strategy = json_edit(spec, "updateStrategy");
    if (empty(strategy, "type") && absent(strategy, "rollingUpdate"))
        json_set(strategy, "rollingUpdate", json_object());
    set_if_absent(spec, "persistentVolumeClaimRetentionPolicy", json_object());
    for (size_t i = 0; i < json_len(json_get(*spec, "volumeClaimTemplates")); i++) {
        struct json **claim = json_edit_at(json_edit(spec, "volumeClaimTemplates"), i);
        json_set(claim, "apiVersion", json_string("v1"));
        json_set(claim, "kind", json_string("PersistentVolumeClaim"));
    }
}

static void default_rolling_stateful_set(struct json **rolling) {
    set_if_absent(rolling, "partition", json_int(0));
}

static void set_spec_if_absent(struct json **object, const char *key, struct json *take) {
    if (json_is_null(json_path(*object, "spec", key)))
        json_set_path(object, take, "spec", key);
    else
        json_unref(take);
}

static void default_job(struct json **job) {
    const struct json *spec = json_get(*job, "spec");
    bool per_index = !json_is_null(json_get(spec, "backoffLimitPerIndex"));
    bool failure_policy = !json_is_null(json_get(spec, "podFailurePolicy"));
    if (json_is_null(json_get(spec, "parallelism")))
        set_spec_if_absent(job, "completions", json_int(1));
    set_spec_if_absent(job, "backoffLimit", json_int(per_index ? INT32_MAX : 6));
    set_spec_if_absent(job, "podReplacementPolicy", json_string(failure_policy ? "Failed" : "TerminatingOrFailed"));
    labels_from_template(job);
}

static struct json *cpu_utilization_metric(void) {
    struct json *metric = json_object(), *metrics = json_array();
    json_set(&metric, "type", json_string("Resource"));
    json_set_path(&metric, json_string("cpu"), "resource", "name");
    json_set_path(&metric, json_string("Utilization"), "resource", "target", "type");
    json_set_path(&metric, json_int(80), "resource", "target", "averageUtilization");
    json_append(&metrics, metric);
    return metrics;
}

static void append_policy(struct json **policies, const char *type, int64_t value) {
    struct json *policy = json_object();
    json_set(&policy, "type", json_string(type));
    json_set(&policy, "value", json_int(value));
    json_set(&policy, "periodSeconds", json_int(15));
    json_append(policies, policy);
}

static void default_scaling_rules(struct json **rules, bool up) {
    if (up)
        set_if_absent(rules, "stabilizationWindowSeconds", json_int(0));
    set_if_absent(rules, "selectPolicy", json_string("Max"));
    if (!absent(rules, "policies"))
        return;
    struct json *policies = json_array();
    if (up)
        append_policy(&policies, "Pods", 4);
    append_policy(&policies, "Percent", 100);
    json_set(rules, "policies", policies);
}

static void default_pod_autoscaler_spec(struct json **spec) {
    if (empty(spec, "metrics"))
        json_set(spec, "metrics", cpu_utilization_metric());
    if (absent(spec, "behavior"))
        return;
    struct json **behavior = json_edit(spec, "behavior");
    default_scaling_rules(json_edit(behavior, "scaleUp"), true);
    default_scaling_rules(json_edit(behavior, "scaleDown"), false);
}

/* --- networking, rbac, storage and the rest --- */

static void default_network_policy_spec(struct json **spec) {
    if (!empty(spec, "policyTypes"))
        return;
    struct json *types = one_string("Ingress");
    if (!empty(spec, "egress"))
        json_append(&types, json_string("Egress"));
    json_set(spec, "policyTypes", types);
}

static void default_ingress_class_parameters(struct json **parameters) {
    set_if_absent(parameters, "scope", json_string("Cluster"));
}

static void default_rbac_subject(struct json **subject) {
    if (empty(subject, "apiGroup") && (is(subject, "kind", "User") || is(subject, "kind", "Group")))
        json_set(subject, "apiGroup", json_string("rbac.authorization.k8s.io"));
}

static void default_csi_driver_spec(struct json **spec) {
    if (empty(spec, "volumeLifecycleModes"))
        json_set(spec, "volumeLifecycleModes", one_string("Persistent"));
    set_if_absent(spec, "seLinuxMount", json_bool(false));
}

static void default_named_rule(struct json **rule) {
    set_if_absent(rule, "scope", json_string("*"));
}

static void default_custom_resource_definition(struct json **crd) {
    struct json **spec = json_edit(crd, "spec"), **names = json_edit(spec, "names");
    const char *kind = json_str_or(json_get(*names, "kind"), "");
    if (empty(names, "singular") && *kind) {
        _cleanup_free_ char *singular = xstrdup(kind);
        for (char *p = singular; *p; p++)
            if (*p >= 'A' && *p <= 'Z')
                *p = (char) (*p - 'A' + 'a');
        json_set(names, "singular", json_string(singular));
    }
    if (empty(names, "listKind") && *kind)
        json_set(names, "listKind", json_stringf("%sList", kind));
    if (absent(spec, "conversion"))
        json_set_path(spec, json_string("None"), "conversion", "strategy");
    if (json_len(json_path(*crd, "status", "storedVersions")))
        return;
    for (size_t i = 0; i < json_len(json_path(*crd, "spec", "versions")); i++) {
        const struct json *version = json_at(json_path(*crd, "spec", "versions"), i);
        if (!json_bool_or(json_get(version, "storage"), false))
            continue;
        json_set_path(crd, one_string(json_str_or(json_get(version, "name"), "")), "status", "storedVersions");
        return;
    }
}

const default_rule default_rules[TYPE_COUNT] = {
    [TYPE_admissionregistration_v1_NamedRuleWithOperations] = default_named_rule,
    [TYPE_apiextensions_v1_CustomResourceDefinition] = default_custom_resource_definition,
    [TYPE_apps_v1_DaemonSetUpdateStrategy] = default_daemon_set_strategy,
    [TYPE_apps_v1_DeploymentStrategy] = default_deployment_strategy,
    [TYPE_apps_v1_RollingUpdateStatefulSetStrategy] = default_rolling_stateful_set,
    [TYPE_apps_v1_StatefulSetSpec] = default_stateful_set_spec,
    [TYPE_autoscaling_v2_HorizontalPodAutoscalerSpec] = default_pod_autoscaler_spec,
    [TYPE_batch_v1_Job] = default_job,
    [TYPE_core_v1_Container] = default_container,
    [TYPE_core_v1_EphemeralContainer] = default_container,
    [TYPE_core_v1_ImageVolumeSource] = default_image_volume,
    [TYPE_core_v1_LimitRangeItem] = default_limit_range_item,
    [TYPE_core_v1_Namespace] = default_namespace,
    [TYPE_core_v1_NodeSpec] = default_node_spec,
    [TYPE_core_v1_NodeStatus] = default_node_status,
    [TYPE_core_v1_Pod] = default_pod,
    [TYPE_core_v1_PodSpec] = default_pod_spec,
    [TYPE_core_v1_ReplicationController] = default_replication_controller,
    [TYPE_core_v1_Secret] = default_secret,
    [TYPE_core_v1_Service] = default_service,
    [TYPE_core_v1_ServicePort] = default_service_port,
    [TYPE_core_v1_ServiceSpec] = default_service_spec,
    [TYPE_core_v1_Volume] = default_volume,
    [TYPE_networking_v1_IngressClassParametersReference] = default_ingress_class_parameters,
    [TYPE_networking_v1_NetworkPolicySpec] = default_network_policy_spec,
    [TYPE_rbac_v1_Subject] = default_rbac_subject,
    [TYPE_storage_v1_CSIDriverSpec] = default_csi_driver_spec,
};
const size_t default_rules_len = TYPE_COUNT;
