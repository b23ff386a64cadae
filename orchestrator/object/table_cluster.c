/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cells of nodes, events, access control, quotas, metrics and API machinery. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/field_path.h"
#include "orchestrator/object/quantity.h"
#include "orchestrator/object/selector.h"
#include "orchestrator/object/table_cells.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* --- nodes --- */

static struct json *node_status(const struct json *o, uint64_t now_usec) {
    const struct json *condition = table_condition(json_path(o, "status", "conditions"), "Ready");
    const char *word = !condition                                            ? "Unknown"
                       : strcmp(table_str(condition, "status"), "True") == 0 ? "Ready"
                                                                             : "NotReady";
    bool closed = json_bool_or(json_path(o, "spec", "unschedulable"), false);
    return json_stringf("%s%s", word, closed ? ",SchedulingDisabled" : "");
}

static struct json *node_roles(const struct json *o, uint64_t now_usec) {
    static const char prefix[] = "node-role.kubernetes.io/";
    const struct json *labels = json_path(o, "metadata", "labels");
    _cleanup_free_ const char **roles = xcalloc(json_len(labels) + 1, sizeof(*roles));
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    size_t n = 0;
    for (size_t i = 0; i < json_len(labels); i++) {
        const char *key = json_key_at(labels, i), *value = json_str_or(json_value_at(labels, i), "");
        if (strncmp(key, prefix, strlen(prefix)) == 0 && key[strlen(prefix)] != '\0')
            roles[n++] = key + strlen(prefix);
        else if (strcmp(key, "kubernetes.io/role") == 0 && *value)
            roles[n++] = value;
    }
    qsort(roles, n, sizeof(*roles), compare_strings);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(roles[i], roles[i - 1]) != 0)
            table_join(&b, ",", roles[i]);
    return table_text(&b, "<none>");
}

static struct json *node_address(const struct json *o, const char *type) {
    const struct json *addresses = json_path(o, "status", "addresses");
    for (size_t i = 0; i < json_len(addresses); i++)
        if (strcmp(table_str(json_at(addresses, i), "type"), type) == 0)
            return json_string(table_str(json_at(addresses, i), "address"));
    return json_string("<none>");
}

static struct json *node_internal_ip(const struct json *o, uint64_t now_usec) {
    return node_address(o, "InternalIP");
}

static struct json *node_external_ip(const struct json *o, uint64_t now_usec) {
    return node_address(o, "ExternalIP");
}

static struct json *node_info(const struct json *o, const char *member) {
    const char *text = json_str_or(json_path(o, "status", "nodeInfo", member), "");
    return json_string(*text ? text : "<unknown>");
}

static struct json *node_os_image(const struct json *o, uint64_t now_usec) {
    return node_info(o, "osImage");
}

static struct json *node_kernel(const struct json *o, uint64_t now_usec) {
    return node_info(o, "kernelVersion");
}

static struct json *node_runtime(const struct json *o, uint64_t now_usec) {
    return node_info(o, "containerRuntimeVersion");
}

/* --- events --- */

static struct json *event_age(const struct json *o, const char *const *paths, size_t n, uint64_t now_usec) {
    for (size_t i = 0; i < n; i++)
        if (*table_str(o, paths[i]))
            return table_age(field_path_get(o, paths[i]), now_usec);
    return json_string("<unknown>");
}

static struct json *event_last_seen(const struct json *o, uint64_t now_usec) {
    static const char *const paths[] = {"series.lastObservedTime",  "lastTimestamp",
                                        "deprecatedLastTimestamp",  "firstTimestamp",
                                        "deprecatedFirstTimestamp", "eventTime"};
    return event_age(o, paths, ARRAY_LEN(paths), now_usec);
}

static struct json *event_first_seen(const struct json *o, uint64_t now_usec) {
    static const char *const paths[] = {"firstTimestamp", "deprecatedFirstTimestamp", "eventTime"};
    return event_age(o, paths, ARRAY_LEN(paths), now_usec);
}

/* The object an event is about, in the core or in the events.k8s.io form. */
static const struct json *event_subject(const struct json *o) {
    const struct json *subject = json_get(o, "involvedObject");
    return subject ? subject : json_get(o, "regarding");
}

static struct json *event_object(const struct json *o, uint64_t now_usec) {
    const struct json *subject = event_subject(o);
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    for (const char *p = table_str(subject, "kind"); *p; p++)
        strbuf_addc(&b, (char) tolower((unsigned char) *p));
    strbuf_addf(&b, "/%s", table_str(subject, "name"));
    return table_text(&b, "");
}

static struct json *event_subobject(const struct json *o, uint64_t now_usec) {
    return json_string(table_str(event_subject(o), "fieldPath"));
}

/* The first of several paths that holds text. */
static const char *first_of(const struct json *o, const char *a, const char *b, const char *c) {
    return *table_str(o, a) ? table_str(o, a) : *table_str(o, b) ? table_str(o, b) : table_str(o, c);
}

static struct json *event_source(const struct json *o, uint64_t now_usec) {
    const char *component = first_of(o, "source.component", "reportingComponent", "reportingController");
    const char *host = first_of(o, "source.host", "reportingInstance", "deprecatedSource.host");
    return json_stringf("%s%s%s", component, *host ? ", " : "", host);
}

static struct json *event_message(const struct json *o, uint64_t now_usec) {
    const char *text = first_of(o, "message", "note", "message");
    text += strspn(text, " \t\r\n");
    size_t n = strlen(text);
    while (n > 0 && strchr(" \t\r\n", text[n - 1]) != NULL)
        n--;
    return json_string_len(text, n);
}

static struct json *event_count(const struct json *o, uint64_t now_usec) {
    int64_t plain = json_int_or(json_get(o, "count"), json_int_or(json_get(o, "deprecatedCount"), 0));
    int64_t count = json_int_or(json_path(o, "series", "count"), plain);
    return json_int(count ? count : 1);
}

/* --- access control --- */

static struct json *binding_role(const struct json *o, uint64_t now_usec) {
    return json_stringf("%s/%s", table_str(o, "roleRef.kind"), table_str(o, "roleRef.name"));
}

static struct json *subjects(const struct json *o, const char *kind, bool with_namespace) {
    const struct json *list = json_get(o, "subjects");
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *s = json_at(list, i);
        if (strcmp(table_str(s, "kind"), kind) != 0)
            continue;
        strbuf_addf(&b, "%s%s%s%s", b.len ? ", " : "", with_namespace ? table_str(s, "namespace") : "",
                    with_namespace ? "/" : "", table_str(s, "name"));
    }
    return table_text(&b, "");
}

static struct json *binding_users(const struct json *o, uint64_t now_usec) {
    return subjects(o, "User", false);
}

static struct json *binding_groups(const struct json *o, uint64_t now_usec) {
    return subjects(o, "Group", false);
}

static struct json *binding_accounts(const struct json *o, uint64_t now_usec) {
    return subjects(o, "ServiceAccount", true);
}

static struct json *csr_duration(const struct json *o, uint64_t now_usec) {
    const struct json *seconds = json_path(o, "spec", "expirationSeconds");
    char text[TIMESTAMP_SIZE];
    if (json_is_null(seconds))
        return json_string("<none>");
    duration_human(json_int_or(seconds, 0), text);
    return json_string(text);
}

static struct json *csr_condition(const struct json *o, uint64_t now_usec) {
    const struct json *conditions = json_path(o, "status", "conditions");
    const char *word = table_condition(conditions, "Denied")     ? "Denied"
                       : table_condition(conditions, "Approved") ? "Approved"
                                                                 : "Pending";
    return json_stringf("%s%s%s", word, table_condition(conditions, "Failed") ? ",Failed" : "",
                        *table_str(o, "status.certificate") ? ",Issued" : "");
}

/* --- quotas, component states --- */

static struct json *quota(const struct json *o, bool limits) {
    const struct json *hard = json_path(o, "status", "hard"), *used = json_path(o, "status", "used");
    _cleanup_free_ const char **keys = xcalloc(json_len(hard) + 1, sizeof(*keys));
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    size_t n = 0;
    for (size_t i = 0; i < json_len(hard); i++)
        if ((strncmp(json_key_at(hard, i), "limits.", 7) == 0) == limits)
            keys[n++] = json_key_at(hard, i);
    qsort(keys, n, sizeof(*keys), compare_strings);
    for (size_t i = 0; i < n; i++)
        strbuf_addf(&b, "%s%s: %s/%s", i ? ", " : "", keys[i], json_str_or(json_get(used, keys[i]), "0"),
                    json_str_or(json_get(hard, keys[i]), "0"));
    return table_text(&b, "");
}

static struct json *quota_requests(const struct json *o, uint64_t now_usec) {
    return quota(o, false);
}

static struct json *quota_limits(const struct json *o, uint64_t now_usec) {
    return quota(o, true);
}

static struct json *component_status(const struct json *o, uint64_t now_usec) {
    const struct json *condition = table_condition(json_get(o, "conditions"), "Healthy");
    return json_string(!condition                                            ? "Unknown"
                       : strcmp(table_str(condition, "status"), "True") == 0 ? "Healthy"
                                                                             : "Unhealthy");
}

static struct json *component_message(const struct json *o, uint64_t now_usec) {
    return json_string(table_str(table_condition(json_get(o, "conditions"), "Healthy"), "message"));
}

static struct json *component_error(const struct json *o, uint64_t now_usec) {
    return json_string(table_str(table_condition(json_get(o, "conditions"), "Healthy"), "error"));
}

/* --- API machinery --- */

static struct json *policy_param_kind(const struct json *o, uint64_t now_usec) {
    const struct json *kind = json_path(o, "spec", "paramKind");
    if (json_is_null(kind))
        return json_string("<unset>");
    return json_stringf("%s/%s", table_str(kind, "apiVersion"), table_str(kind, "kind"));
}

static struct json *policy_param_ref(const struct json *o, uint64_t now_usec) {
    const struct json *ref = json_path(o, "spec", "paramRef");
    const char *namespace = table_str(ref, "namespace"), *name = table_str(ref, "name");
    if (json_is_null(ref))
        return json_string("<unset>");
    if (*name)
        return json_stringf("%s/%s", *namespace ? namespace : "*", name);
    _cleanup_(selector_freep) struct selector *s = NULL;
    if (selector_from_object(json_get(ref, "selector"), &s, NULL) < 0)
        return json_string("<error>");
    _cleanup_free_ char *text = selector_to_text(s);
    return json_string(text);
}

static struct json *schema_missing_level(const struct json *o, uint64_t now_usec) {
    const struct json *condition = table_condition(json_path(o, "status", "conditions"), "Dangling");
    return json_string(condition ? table_str(condition, "status") : "?");
}

static struct json *scalar_or_none(const struct json *o, const char *path) {
    const struct json *v = field_path_get(o, path);
    return json_is_null(v) ? json_string("<none>") : json_ref(v);
}

static struct json *level_queues(const struct json *o, uint64_t now_usec) {
    return scalar_or_none(o, "spec.limited.limitResponse.queuing.queues");
}

static struct json *level_hand_size(const struct json *o, uint64_t now_usec) {
    return scalar_or_none(o, "spec.limited.limitResponse.queuing.handSize");
}

static struct json *level_queue_length(const struct json *o, uint64_t now_usec) {
    return scalar_or_none(o, "spec.limited.limitResponse.queuing.queueLengthLimit");
}

static struct json *api_service(const struct json *o, uint64_t now_usec) {
    const struct json *service = json_path(o, "spec", "service");
    if (json_is_null(service))
        return json_string("Local");
    return json_stringf("%s/%s", table_str(service, "namespace"), table_str(service, "name"));
}

static struct json *api_service_available(const struct json *o, uint64_t now_usec) {
    const struct json *condition = table_condition(json_path(o, "status", "conditions"), "Available");
    const char *word = condition ? table_str(condition, "status") : "Unknown";
    if (!condition || strcmp(word, "True") == 0)
        return json_string(word);
    return json_stringf("%s (%s)", word, table_str(condition, "reason"));
}

/* --- metrics --- */

static struct json *node_cpu(const struct json *o, uint64_t now_usec) {
    return json_string(table_str(o, "usage.cpu"));
}

static struct json *node_memory(const struct json *o, uint64_t now_usec) {
    return json_string(table_str(o, "usage.memory"));
}

static struct json *pod_cpu(const struct json *o, uint64_t now_usec) {
    const struct json *containers = json_get(o, "containers");
    int64_t sum = 0;
    for (size_t i = 0; i < json_len(containers); i++)
        sum += quantity_json_milli(json_path(json_at(containers, i), "usage", "cpu"), 0);
    _cleanup_free_ char *text = quantity_format_milli(sum);
    return json_string(text);
}

static struct json *pod_memory(const struct json *o, uint64_t now_usec) {
    const struct json *containers = json_get(o, "containers");
    int64_t sum = 0;
    for (size_t i = 0; i < json_len(containers); i++)
        sum += quantity_json(json_path(json_at(containers, i), "usage", "memory"), 0);
    _cleanup_free_ char *text = quantity_format_binary(sum);
    return json_string(text);
}

static struct json *window(const struct json *o, uint64_t now_usec) {
    return json_string(table_str(o, "window"));
}

const struct table_cell table_cluster_cells[] = {
    {"Node", "Status", node_status},
    {"Node", "Roles", node_roles},
    {"Node", "Internal-IP", node_internal_ip},
    {"Node", "External-IP", node_external_ip},
    {"Node", "OS-Image", node_os_image},
    {"Node", "Kernel-Version", node_kernel},
    {"Node", "Container-Runtime", node_runtime},
    {"Event", "Last Seen", event_last_seen},
    {"Event", "First Seen", event_first_seen},
    {"Event", "Object", event_object},
    {"Event", "Subobject", event_subobject},
    {"Event", "Source", event_source},
    {"Event", "Message", event_message},
    {"Event", "Count", event_count},
    {"RoleBinding", "Role", binding_role},
    {"RoleBinding", "Users", binding_users},
    {"RoleBinding", "Groups", binding_groups},
    {"RoleBinding", "ServiceAccounts", binding_accounts},
    {"ClusterRoleBinding", "Role", binding_role},
    {"ClusterRoleBinding", "Users", binding_users},
    {"ClusterRoleBinding", "Groups", binding_groups},
    {"ClusterRoleBinding", "ServiceAccounts", binding_accounts},
    {"CertificateSigningRequest", "RequestedDuration", csr_duration},
    {"CertificateSigningRequest", "Condition", csr_condition},
    {"ResourceQuota", "Request", quota_requests},
    {"ResourceQuota", "Limit", quota_limits},
    {"ComponentStatus", "Status", component_status},
    {"ComponentStatus", "Message", component_message},
    {"ComponentStatus", "Error", component_error},
    {"ValidatingAdmissionPolicy", "ParamKind", policy_param_kind},
    {"ValidatingAdmissionPolicyBinding", "ParamRef", policy_param_ref},
    {"FlowSchema", "MissingPL", schema_missing_level},
    {"PriorityLevelConfiguration", "Queues", level_queues},
    {"PriorityLevelConfiguration", "HandSize", level_hand_size},
    {"PriorityLevelConfiguration", "QueueLengthLimit", level_queue_length},
    {"APIService", "Service", api_service},
    {"APIService", "Available", api_service_available},
    {"NodeMetrics", "cpu", node_cpu},
    {"NodeMetrics", "memory", node_memory},
    {"NodeMetrics", "Window", window},
    {"PodMetrics", "cpu", pod_cpu},
    {"PodMetrics", "memory", pod_memory},
    {"PodMetrics", "Window", window},
    {NULL, NULL, NULL},
};
