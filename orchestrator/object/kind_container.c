/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Containers of a pod. */
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "orchestrator/object/quantity.h"
#include "podium/base/alloc.h"

/* What the rules of a container need to know of its pod. */
struct pod_context {
    const struct hashmap *volumes; /* their names; NULL: none */
    bool in_template, host_network;
};

/* --- handlers and probes --- */

static void check_http_get(struct field_errors *e, const struct place *at, const struct json *get) {
    struct place port = place_in(at, "port"), headers = place_in(at, "httpHeaders");
    check_required_text(e, at, get, "path");
    check_port_or_name(e, &port, json_get(get, "port"));
    for (size_t i = 0; i < json_len(json_get(get, "httpHeaders")); i++) {
        struct place header = place_at(&headers, i), name = place_in(&header, "name");
        check_name(e, &name, json_str_or(json_get(json_at(json_get(get, "httpHeaders"), i), "name"), ""),
                   name_form_http_header);
    }
}

/* exec, httpGet, tcpSocket, grpc, sleep: exactly one. */
static void check_handler(struct field_errors *e, const struct place *at, const struct json *handler) {
    static const char *const kinds[] = {"exec", "httpGet", "tcpSocket", "grpc", "sleep"};
    unsigned n = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct json *v = json_get(handler, kinds[i]);
        struct place place = place_in(at, kinds[i]), command = place_in(&place, "command"),
                     port = place_in(&place, "port");
        if (json_is_null(v))
            continue;
        if (n++)
            complain_forbidden(e, &place, "may not specify more than 1 handler type");
        else if (i == 0 && !json_len(json_get(v, "command")))
            complain_required(e, &command, "");
        else if (i == 1)
            check_http_get(e, &place, v);
        else if (i == 2)
            check_port_or_name(e, &port, json_get(v, "port"));
        else if (i == 3)
            check_port(e, &port, json_get(v, "port"));
    }
    if (!n)
        complain_required(e, at, "must specify a handler type");
}

static void check_probe(struct field_errors *e, const struct place *container, const struct json *object,
                        const char *kind) {
    static const char *const counts[] = {"initialDelaySeconds", "timeoutSeconds",   "periodSeconds",
                                         "successThreshold",    "failureThreshold", NULL};
    const struct json *probe = json_get(object, kind);
    struct place at = place_in(container, kind), grace = place_in(&at, "terminationGracePeriodSeconds");
    struct place success = place_in(&at, "successThreshold");
    bool readiness = strcmp(kind, "readinessProbe") == 0;
    if (!probe)
        return;
    check_handler(e, &at, probe);
    check_non_negative(e, &at, probe, counts);
    const struct json *grace_value = json_get(probe, "terminationGracePeriodSeconds");
    if (!json_is_null(grace_value) && readiness)
        complain_invalid(e, &grace, grace_value, "must not be set for readinessProbes");
    else if (json_int_or(grace_value, 1) <= 0)
        complain_invalid(e, &grace, grace_value, "must be greater than 0");
    if (!readiness && json_int_or(json_get(probe, "successThreshold"), 1) != 1)
        complain_invalid(e, &success, json_get(probe, "successThreshold"), "must be 1");
}

static void check_lifecycle(struct field_errors *e, const struct place *container, const struct json *object) {
    static const char *const hooks[] = {"postStart", "preStop"};
    struct place at = place_in(container, "lifecycle");
    for (size_t i = 0; i < ARRAY_LEN(hooks); i++) {
        struct place hook = place_in(&at, hooks[i]);
        const struct json *v = json_path(object, "lifecycle", hooks[i]);
        if (!json_is_null(v))
            check_handler(e, &hook, v);
    }
}

/* --- ports, environment, mounts --- */

static void check_ports(struct field_errors *e, const struct place *container, const struct json *object,
                        bool host_network) {
    struct place list = place_in(container, "ports");
    const struct json *ports = json_get(object, "ports");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t i = 0; i < json_len(ports); i++) {
        const struct json *port = json_at(ports, i), *number = json_get(port, "containerPort");
        struct place at = place_at(&list, i), name_place = place_in(&at, "name"),
                     port_place = place_in(&at, "containerPort");
        struct place host_place = place_in(&at, "hostPort");
        const char *name = json_str_or(json_get(port, "name"), "");
        if (*name && check_name(e, &name_place, name, name_form_port) && seen_before(&seen, name))
            complain_duplicate(e, &name_place, name);
        if (json_int_or(number, 0) == 0)
            complain_required(e, &port_place, "");
        else
            check_port(e, &port_place, number);
        if (json_int_or(json_get(port, "hostPort"), 0))
            check_port(e, &host_place, json_get(port, "hostPort"));
        if (host_network && json_int_or(json_get(port, "hostPort"), 0) != json_int_or(number, 0))
            complain_invalid(e, &port_place, number, "must match `hostPort` when `hostNetwork` is true");
    }
}

static void check_key_ref(struct field_errors *e, const struct place *at, const struct json *ref) {
    check_member_name(e, at, ref, "name", true, name_form_dns1123_subdomain);
    check_member_name(e, at, ref, "key", true, name_form_config_map_key);
}

static void check_resource_ref(struct field_errors *e, const struct place *at, const struct json *ref) {
    static const char *const resources[] = {"limits.cpu",
                                            "limits.ephemeral-storage",
                                            "limits.memory",
                                            "requests.cpu",
                                            "requests.ephemeral-storage",
                                            "requests.memory",
                                            NULL};
    struct place resource = place_in(at, "resource");
    const char *name = json_str_or(json_get(ref, "resource"), "");
    if (!*name) {
        complain_required(e, &resource, "");
        return;
    }
    if (strncmp(name, "limits.hugepages-", 17) == 0 || strncmp(name, "requests.hugepages-", 19) == 0)
        return;
    check_one_of(e, at, ref, "resource", true, resources);
}

static void check_value_from(struct field_errors *e, const struct place *env, const struct json *var) {
    static const char *const paths[] = {
        "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
        "status.hostIP", "status.hostIPs",     "status.podIP", "status.podIPs", NULL};
    static const char *const kinds[] = {"fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"};
    const struct json *from = json_get(var, "valueFrom");
    struct place at = place_in(env, "valueFrom");
    unsigned n = 0;
    if (json_is_null(from))
        return;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct json *ref = json_get(from, kinds[i]);
        struct place place = place_in(&at, kinds[i]);
        if (json_is_null(ref))
            continue;
        n++;
        if (i == 0)
            rules_field_ref(e, &place, ref, paths);
        else if (i == 1)
            check_resource_ref(e, &place, ref);
        else
            check_key_ref(e, &place, ref);
    }
    if (!n)
        complain_invalid_text(
            e, &at, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
    else if (json_str_len(json_get(var, "value")))
        complain_invalid_text(e, &at, "", "may not be specified when `value` is not empty");
    else if (n > 1)
        complain_invalid_text(e, &at, "", "may not have more than one field specified at a time");
}

static void check_env(struct field_errors *e, const struct place *container, const struct json *object) {
    struct place list = place_in(container, "env"), from_list = place_in(container, "envFrom");
    for (size_t i = 0; i < json_len(json_get(object, "env")); i++) {
        const struct json *var = json_at(json_get(object, "env"), i);
        struct place at = place_at(&list, i);
        check_member_name(e, &at, var, "name", true, name_form_env_var);
        check_value_from(e, &at, var);
    }
    for (size_t i = 0; i < json_len(json_get(object, "envFrom")); i++) {
        const struct json *from = json_at(json_get(object, "envFrom"), i);
        const struct json *map = json_get(from, "configMapRef"), *secret = json_get(from, "secretRef");
        struct place at = place_at(&from_list, i), map_place = place_in(&at, "configMapRef");
        struct place secret_place = place_in(&at, "secretRef");
        check_member_name(e, &at, from, "prefix", false, name_form_env_var);
        if (!map && !secret)
            complain_invalid_text(e, &at, "", "must specify one of: `configMapRef` or `secretRef`");
        if (map && secret)
            complain_invalid_text(e, &at, "", "may not have more than one field specified at a time");
        if (map)
            check_member_name(e, &map_place, map, "name", true, name_form_dns1123_subdomain);
        if (secret)
            check_member_name(e, &secret_place, secret, "name", true, name_form_dns1123_subdomain);
    }
}

static void check_recursive_read_only(struct field_errors *e, const struct place *at, const struct json *mount) {
    static const char *const modes[] = {"Disabled", "Enabled", "IfPossible", NULL};
    struct place place = place_in(at, "recursiveReadOnly");
    const char *mode = json_str(json_get(mount, "recursiveReadOnly"));
    const char *propagation = json_str_or(json_get(mount, "mountPropagation"), "None");
    bool known = false;
    if (!mode || strcmp(mode, "Disabled") == 0)
        return;
    for (size_t i = 0; modes[i]; i++)
        known |= strcmp(modes[i], mode) == 0;
    if (!known) {
        complain_not_supported(e, &place, mode, modes);
        return;
    }
    if (!json_bool_or(json_get(mount, "readOnly"), false))
        complain_forbidden(e, &place, "may only be specified when readOnly is true");
    if (strcmp(propagation, "None") != 0)
        complain_forbidden(e, &place, "may only be specified when mountPropagation is None or not specified");
}

static void check_mount(struct field_errors *e, const struct place *at, const struct json *mount,
                        const struct hashmap *volumes, bool privileged) {
    struct place name = place_in(at, "name"), path = place_in(at, "subPath"), expr = place_in(at, "subPathExpr");
    struct place propagation = place_in(at, "mountPropagation");
    const char *sub_path = json_str_or(json_get(mount, "subPath"), "");
    const char *sub_expr = json_str_or(json_get(mount, "subPathExpr"), "");
    if (check_required_text(e, at, mount, "name") &&
        !(volumes && hashmap_has(volumes, json_str(json_get(mount, "name")))))
        complain_not_found(e, &name, json_str(json_get(mount, "name")));
    check_required_text(e, at, mount, "mountPath");
    check_relative_path(e, &path, sub_path);
    if (*sub_path && *sub_expr)
        complain_invalid_text(e, &expr, sub_expr, "subPathExpr and subPath are mutually exclusive");
    check_relative_path(e, &expr, sub_expr);
    if (strcmp(json_str_or(json_get(mount, "mountPropagation"), ""), "Bidirectional") == 0 && !privileged)
        complain_forbidden(e, &propagation,
                           "Bidirectional mount propagation is available only to privileged containers");
    check_recursive_read_only(e, at, mount);
}

static void check_mounts(struct field_errors *e, const struct place *container, const struct json *object,
                         const struct hashmap *volumes) {
    struct place list = place_in(container, "volumeMounts");
    const struct json *mounts = json_get(object, "volumeMounts");
    bool privileged = json_bool_or(json_path(object, "securityContext", "privileged"), false);
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t i = 0; i < json_len(mounts); i++) {
        const struct json *mount = json_at(mounts, i);
        const char *path = json_str_or(json_get(mount, "mountPath"), "");
        struct place at = place_at(&list, i), path_place = place_in(&at, "mountPath");
        check_mount(e, &at, mount, volumes, privileged);
        if (*path && seen_before(&seen, path))
            complain_invalid_text(e, &path_place, path, "must be unique");
    }
}

/* --- resources, security --- */

static bool is_standard_resource(const char *name) {
    return strcmp(name, "cpu") == 0 || strcmp(name, "memory") == 0 || strcmp(name, "ephemeral-storage") == 0 ||
           strncmp(name, "hugepages-", 10) == 0;
}

/* May be promised to more containers than there is. */
static bool is_overcommittable(const char *name) {
    return strncmp(name, "hugepages-", 10) != 0 && (is_standard_resource(name) || strstr(name, "kubernetes.io/"));
}

static void check_resource(struct field_errors *e, const struct place *list, const char *name,
                           const struct json *value) {
    struct place at = place_key(list, name);
    int64_t milli = quantity_json_milli(value, 0);
    if (check_name(e, list, name, name_form_qualified) && !strchr(name, '/') && !is_standard_resource(name))
        complain_invalid_text(e, list, name, "must be a standard resource for containers");
    if (milli < 0)
        complain_invalid(e, &at, value, "must be greater than or equal to 0");
    if (!is_overcommittable(name) && milli % 1000)
        complain_invalid(e, &at, value, "must be an integer");
}

static void check_resources(struct field_errors *e, const struct place *container, const struct json *object) {
    struct place at = place_in(container, "resources"), requests = place_in(&at, "requests"),
                 limits = place_in(&at, "limits");
    const struct json *wanted = json_path(object, "resources", "requests"),
                      *most = json_path(object, "resources", "limits");
    for (size_t i = 0; i < json_len(most); i++)
        check_resource(e, &limits, json_key_at(most, i), json_value_at(most, i));
    for (size_t i = 0; i < json_len(wanted); i++) {
        const char *name = json_key_at(wanted, i), *have = json_str_or(json_value_at(wanted, i), "0");
        const struct json *limit = json_get(most, name);
        check_resource(e, &requests, name, json_value_at(wanted, i));
        if (limit && is_overcommittable(name) && quantity_compare(have, json_str_or(limit, "0")) > 0)
            complain_invalid_text(e, &requests, have, "must be less than or equal to %s limit of %s", name,
                                  json_str_or(limit, "0"));
        else if (limit && !is_overcommittable(name) && quantity_compare(have, json_str_or(limit, "0")) != 0)
            complain_invalid_text(e, &requests, have, "must be equal to %s limit of %s", name, json_str_or(limit, "0"));
        else if (!limit && !is_overcommittable(name))
            complain_required(e, &limits, "Limit must be set for non overcommitable resources");
    }
}

static void check_security(struct field_errors *e, const struct place *container, const struct json *object) {
    struct place at = place_in(container, "securityContext"), user = place_in(&at, "runAsUser");
    struct place group = place_in(&at, "runAsGroup");
    const struct json *security = json_get(object, "securityContext"),
                      *added = json_path(security, "capabilities", "add");
    check_range(e, &user, json_get(security, "runAsUser"), 0, INT32_MAX);
    check_range(e, &group, json_get(security, "runAsGroup"), 0, INT32_MAX);
    if (json_bool_or(json_get(security, "allowPrivilegeEscalation"), true))
        return;
    if (json_bool_or(json_get(security, "privileged"), false))
        complain_invalid(e, &at, security, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    for (size_t i = 0; i < json_len(added); i++)
        if (strcmp(json_str_or(json_at(added, i), ""), "CAP_SYS_ADMIN") == 0)
            complain_invalid(e, &at, security,
                             "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
}

/* --- all together --- */

static void check_image(struct field_errors *e, const struct place *at, const struct json *container,
                        bool in_template) {
    struct place image = place_in(at, "image");
    const char *s = json_str_or(json_get(container, "image"), "");
    size_t n = strlen(s);
    if (!n)
        complain_required(e, &image, "");
    else if (!in_template && (strchr(" \t\r\n", s[0]) || strchr(" \t\r\n", s[n - 1])))
        complain_invalid_text(e, &image, s, "must not have leading or trailing whitespace");
}

static void check_container(struct field_errors *e, const struct place *at, const struct json *container,
                            const struct pod_context *pod) {
    static const char *const required[] = {"terminationMessagePolicy", "imagePullPolicy"};
    static const char *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};
    check_image(e, at, container, pod->in_template);
    check_lifecycle(e, at, container);
    for (size_t i = 0; i < ARRAY_LEN(probes); i++)
        check_probe(e, at, container, probes[i]);
    for (size_t i = 0; i < ARRAY_LEN(required); i++)
        check_required_text(e, at, container, required[i]);
    check_ports(e, at, container, pod->host_network);
    check_env(e, at, container);
    check_mounts(e, at, container, pod->volumes);
    check_resources(e, at, container);
    check_security(e, at, container);
}

/* Init containers run to their end, except those that are restarted for ever (sidecars). */
static void check_init_container(struct field_errors *e, const struct place *at, const struct json *container) {
    static const char *const running[] = {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"};
    static const char *const always[] = {"Always", NULL};
    check_one_of(e, at, container, "restartPolicy", false, always);
    bool sidecar = strcmp(json_str_or(json_get(container, "restartPolicy"), ""), "Always") == 0;
    for (size_t i = 0; !sidecar && i < ARRAY_LEN(running); i++) {
        struct place place = place_in(at, running[i]);
        if (!json_is_null(json_get(container, running[i])))
            complain_forbidden(e, &place, "may not be set for init containers without restartPolicy=Always");
    }
}

static bool has_container(const struct json *spec, const char *name) {
    static const char *const lists[] = {"containers", "initContainers"};
    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        for (size_t i = 0; i < json_len(json_get(spec, lists[l])); i++)
            if (strcmp(json_str_or(json_get(json_at(json_get(spec, lists[l]), i), "name"), ""), name) == 0)
                return true;
    return false;
}

static void forbid(struct field_errors *e, const struct place *at, const struct json *object, const char *const *fields,
                   size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct place place = place_in(at, fields[i]);
        if (json_len(json_get(object, fields[i])) || json_str_len(json_get(object, fields[i])))
            complain_forbidden(e, &place, "cannot be set for an Ephemeral Container");
    }
}

static void check_ephemeral_container(struct field_errors *e, const struct place *at, const struct json *container,
                                      const struct json *spec) {
    static const char *const fields[] = {"ports",     "livenessProbe", "readinessProbe", "startupProbe",
                                         "lifecycle", "resources",     "resizePolicy",   "restartPolicy"};
    static const char *const sub_paths[] = {"subPath", "subPathExpr"};
    const char *target = json_str_or(json_get(container, "targetContainerName"), "");
    struct place mounts = place_in(at, "volumeMounts"), target_place = place_in(at, "targetContainerName");
    forbid(e, at, container, fields, ARRAY_LEN(fields));
    for (size_t i = 0; i < json_len(json_get(container, "volumeMounts")); i++) {
        struct place mount = place_at(&mounts, i);
        forbid(e, &mount, json_at(json_get(container, "volumeMounts"), i), sub_paths, ARRAY_LEN(sub_paths));
    }
    if (*target && !has_container(spec, target))
        complain_not_found(e, &target_place, target);
}

/* One port of the host for one container. */
static void check_host_ports(struct field_errors *e, const struct place *at, const struct json *containers) {
    struct place list = place_in(at, "containers");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t i = 0; i < json_len(containers); i++) {
        const struct json *ports = json_get(json_at(containers, i), "ports");
        for (size_t k = 0; k < json_len(ports); k++) {
            const struct json *port = json_at(ports, k);
            int64_t number = json_int_or(json_get(port, "hostPort"), 0);
            if (!number)
                continue;
            _cleanup_free_ char *text = xasprintf("%s/%s/%lld", json_str_or(json_get(port, "protocol"), "TCP"),
                                                  json_str_or(json_get(port, "hostIP"), ""), (long long) number);
            struct place container = place_at(&list, i), all = place_in(&container, "ports"), one = place_at(&all, k);
            struct place host = place_in(&one, "hostPort");
            if (seen_before(&seen, text))
                complain_duplicate(e, &host, text);
        }
    }
}

static void check_containers(struct field_errors *e, const struct place *at, const struct json *spec,
                             const struct pod_context *pod) {
    static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        struct place list = place_in(at, lists[l]);
        for (size_t i = 0; i < json_len(json_get(spec, lists[l])); i++) {
            const struct json *container = json_at(json_get(spec, lists[l]), i);
            struct place place = place_at(&list, i), name = place_in(&place, "name"),
                         policy = place_in(&place, "restartPolicy");
            if (check_member_name(e, &place, container, "name", true, name_form_dns1123_label) &&
                seen_before(&seen, json_str(json_get(container, "name"))))
                complain_duplicate(e, &name, json_str(json_get(container, "name")));
            check_container(e, &place, container, pod);
            if (l < 2)
                rules_resize_policy(e, &place, container, spec);
            if (l == 0 && !json_is_null(json_get(container, "restartPolicy")))
                complain_forbidden(e, &policy, "may not be set for non-init containers");
            else if (l == 1)
                check_init_container(e, &place, container);
            else if (l == 2)
                check_ephemeral_container(e, &place, container, spec);
        }
    }
}

void rules_containers(struct field_errors *e, const struct place *at, const struct json *spec, bool in_template) {
    _cleanup_(hashmap_freep) struct hashmap *volumes = NULL;
    struct place containers = place_in(at, "containers");
    for (size_t i = 0; i < json_len(json_get(spec, "volumes")); i++)
        (void) seen_before(&volumes, json_str_or(json_get(json_at(json_get(spec, "volumes"), i), "name"), ""));
    struct pod_context pod = {.volumes = volumes,
                              .in_template = in_template,
                              .host_network = json_bool_or(json_get(spec, "hostNetwork"), false)};
    if (!json_len(json_get(spec, "containers")))
        complain_required(e, &containers, "");
    check_containers(e, at, spec, &pod);
    check_host_ports(e, at, json_get(spec, "containers"));
}
