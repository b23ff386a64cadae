/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/servicestate.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/podstate.h"

/* --- services --- */

static const struct json *selector_of(const struct json *service) {
    return json_path(service, "spec", "selector");
}

bool service_has_endpoints(const struct json *service) {
    return json_len(selector_of(service)) > 0 &&
           strcmp(json_str_or(json_path(service, "spec", "type"), ""), "ExternalName") != 0;
}

bool service_is_headless(const struct json *service) {
    const char *ip = json_str_or(json_path(service, "spec", "clusterIP"), "");
    return !*ip || strcmp(ip, "None") == 0;
}

bool service_selects(const struct json *service, const struct json *pod) {
    const struct json *terms = selector_of(service), *labels = json_path(pod, "metadata", "labels");
    for (size_t i = 0; i < json_len(terms); i++) {
        const char *have = json_str(json_get(labels, json_key_at(terms, i)));
        if (!have || strcmp(have, json_str_or(json_value_at(terms, i), "")) != 0)
            return false;
    }
    return json_len(terms) > 0;
}

/* --- pods --- */

const char *pod_ipv4(const struct json *pod) {
    const struct json *status = json_get(pod, "status"), *ips = json_get(status, "podIPs");
    const char *ip = json_str_or(json_get(status, "podIP"), "");
    if (*ip && !strchr(ip, ':'))
        return ip;
    for (size_t i = 0; i < json_len(ips); i++) {
        ip = json_str_or(json_get(json_at(ips, i), "ip"), "");
        if (*ip && !strchr(ip, ':'))
            return ip;
    }
    return NULL;
}

bool pod_is_endpoint(const struct json *pod, bool terminating) {
    return !pod_is_finished(pod) && pod_ipv4(pod) && (terminating || !meta_is_deleting(pod));
}

const char *pod_service_hostname(const struct json *pod, const struct json *service) {
    const char *host = json_str_or(json_path(pod, "spec", "hostname"), "");
    bool known = *host && strcmp(json_str_or(json_path(pod, "spec", "subdomain"), ""), meta_name(service)) == 0;
    return known ? host : NULL;
}

bool pod_endpoint_differs(const struct json *a, const struct json *b) {
    const char *x = pod_ipv4(a), *y = pod_ipv4(b);
    return strcmp(x ? x : "", y ? y : "") != 0 || strcmp(meta_uid(a), meta_uid(b)) != 0 ||
           strcmp(pod_node(a), pod_node(b)) != 0 || meta_is_deleting(a) != meta_is_deleting(b) ||
           pod_is_finished(a) != pod_is_finished(b) || pod_is_ready(a) != pod_is_ready(b);
}

struct json *pod_target_ref(const struct json *pod) {
    struct json *ref = json_object();
    json_set(&ref, "kind", json_string("Pod"));
    json_set(&ref, "namespace", json_ref(json_path(pod, "metadata", "namespace")));
    json_set(&ref, "name", json_ref(json_path(pod, "metadata", "name")));
    json_set(&ref, "uid", json_ref(json_path(pod, "metadata", "uid")));
    return ref;
}

/* --- ports --- */

static int64_t port_in(const struct json *container, const char *name, const char *protocol) {
    const struct json *ports = json_get(container, "ports");
    for (size_t i = 0; i < json_len(ports); i++) {
        const struct json *p = json_at(ports, i);
        if (strcmp(json_str_or(json_get(p, "name"), ""), name) == 0 &&
            strcmp(json_str_or(json_get(p, "protocol"), "TCP"), protocol) == 0)
            return json_int_or(json_get(p, "containerPort"), 0);
    }
    return 0;
}

/* Containers, then sidecars. 0: the pod has no such port. */
static int64_t named_port(const struct json *pod, const char *name, const char *protocol) {
    const struct json *containers = json_path(pod, "spec", "containers");
    const struct json *init = json_path(pod, "spec", "initContainers");
    int64_t port = 0;
    for (size_t i = 0; i < json_len(containers) && port == 0; i++)
        port = port_in(json_at(containers, i), name, protocol);
    for (size_t i = 0; i < json_len(init) && port == 0; i++)
        if (strcmp(json_str_or(json_get(json_at(init, i), "restartPolicy"), ""), "Always") == 0)
            port = port_in(json_at(init, i), name, protocol);
    return port;
}

static int64_t target_port(const struct json *pod, const struct json *port) {
    const struct json *target = json_get(port, "targetPort");
    if (json_is_string(target))
        return named_port(pod, json_str(target), json_str_or(json_get(port, "protocol"), "TCP"));
    int64_t number = json_int_or(target, 0);
    return number ? number : json_int_or(json_get(port, "port"), 0);
}

struct json *pod_service_ports(const struct json *pod, const struct json *service, bool short_names) {
    const struct json *ports = json_path(service, "spec", "ports");
    struct json *list = json_array();
    for (size_t i = 0; i < json_len(ports); i++) {
        const struct json *port = json_at(ports, i), *app = json_get(port, "appProtocol");
        const char *name = json_str_or(json_get(port, "name"), "");
        int64_t number = target_port(pod, port);
        if (number == 0)
            continue;
        struct json **p = json_append(&list, json_object());
        if (*name || !short_names)
            json_set(p, "name", json_string(name));
        json_set(p, "port", json_int(number));
        json_set(p, "protocol", json_string(json_str_or(json_get(port, "protocol"), "TCP")));
        if (!json_is_null(app))
            json_set(p, "appProtocol", json_ref(app));
    }
    return list;
}

bool service_ports_are_fixed(const struct json *service) {
    const struct json *ports = json_path(service, "spec", "ports");
    for (size_t i = 0; i < json_len(ports); i++)
        if (json_is_string(json_get(json_at(ports, i), "targetPort")))
            return false;
    return true;
}
