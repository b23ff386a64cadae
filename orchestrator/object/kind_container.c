/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Containers of a pod: names, images, ports, and which rules hold for which of the three lists. */
#include <string.h>

#include "orchestrator/object/kind_pod.h"
#include "podium/base/alloc.h"

/* --- ports --- */

static void check_ports(struct field_errors *e, const struct place *container, const struct json *object) {
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
    }
}

/* --- images and kinds of containers --- */

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
    check_image(e, at, container, pod->in_template);
    for (size_t i = 0; i < ARRAY_LEN(required); i++)
        check_required_text(e, at, container, required[i]);
    check_ports(e, at, container);
    rules_container_env(e, at, container);
    rules_container_mounts(e, at, container, pod);
    rules_container_resources(e, at, container, pod->spec);
    rules_container_security(e, at, container, pod);
}

/* Init containers run to their end, except those that are restarted for ever (sidecars). */
static void check_init_container(struct field_errors *e, const struct place *at, const struct json *container,
                                 const struct pod_context *pod) {
    static const char *const running[] = {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"};
    static const char *const always[] = {"Always", NULL};
    check_one_of(e, at, container, "restartPolicy", false, always);
    bool sidecar = strcmp(json_str_or(json_get(container, "restartPolicy"), ""), "Always") == 0;
    if (sidecar)
        rules_container_probes(e, at, container, pod);
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
            if (l == 0)
                rules_container_probes(e, &place, container, pod);
            if (l == 0 && !json_is_null(json_get(container, "restartPolicy")))
                complain_forbidden(e, &policy, "may not be set for non-init containers");
            else if (l == 1)
                check_init_container(e, &place, container, pod);
            else if (l == 2)
                check_ephemeral_container(e, &place, container, spec);
        }
    }
}

/* On the host's network a port is the host's. Templates may leave that to the pods made of them. */
static void check_host_network(struct field_errors *e, const struct place *at, const struct json *containers,
                               bool in_template) {
    struct place list = place_in(at, "containers");
    for (size_t i = 0; i < json_len(containers); i++) {
        const struct json *ports = json_get(json_at(containers, i), "ports");
        for (size_t k = 0; k < json_len(ports); k++) {
            struct place container = place_at(&list, i), all = place_in(&container, "ports"), one = place_at(&all, k);
            struct place place = place_in(&one, "hostPort");
            int64_t host = json_int_or(json_get(json_at(ports, k), "hostPort"), 0);
            _cleanup_json_ struct json *shown = json_int(host);
            if ((host || !in_template) && host != json_int_or(json_get(json_at(ports, k), "containerPort"), 0))
                complain_invalid(e, &place, shown, "must match `containerPort` when `hostNetwork` is true");
        }
    }
}

void rules_containers(struct field_errors *e, const struct place *at, const struct json *spec,
                      const struct hashmap *volumes, bool in_template) {
    struct place containers = place_in(at, "containers");
    struct pod_context pod = {.spec = spec,
                              .volumes = volumes,
                              .in_template = in_template,
                              .host_network = json_bool_or(json_get(spec, "hostNetwork"), false),
                              .host_users = json_bool_or(json_get(spec, "hostUsers"), true)};
    if (!json_len(json_get(spec, "containers")))
        complain_required(e, &containers, "");
    check_containers(e, at, spec, &pod);
    check_host_ports(e, at, json_get(spec, "containers"));
    if (pod.host_network)
        check_host_network(e, at, json_get(spec, "containers"), in_template);
}
