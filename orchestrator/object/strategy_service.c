/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/strategy_service.h"

#include <string.h>

#include "podium/base/cleanup.h"

static const char *type_of(const struct json *service) {
    return json_str_or(json_path(service, "spec", "type"), "ClusterIP");
}

static bool has_cluster_ip(const struct json *service) {
    return strcmp(type_of(service), "ExternalName") != 0;
}

static bool has_node_ports(const struct json *service) {
    const char *type = type_of(service);
    return strcmp(type, "NodePort") == 0 ||
           (strcmp(type, "LoadBalancer") == 0 &&
            json_bool_or(json_path(service, "spec", "allocateLoadBalancerNodePorts"), true));
}

static bool is_balanced(const struct json *service) {
    return strcmp(type_of(service), "LoadBalancer") == 0;
}

static bool has_health_port(const struct json *service) {
    return is_balanced(service) &&
           strcmp(json_str_or(json_path(service, "spec", "externalTrafficPolicy"), ""), "Local") == 0;
}

/* clusterIP and clusterIPs[0] are one value under two names. */
static void sync_cluster_ips(struct json **spec) {
    const char *ip = json_str_or(json_get(*spec, "clusterIP"), "");
    const struct json *ips = json_get(*spec, "clusterIPs");
    if (*ip && !json_len(ips))
        json_append(json_edit(spec, "clusterIPs"), json_string(ip));
    else if (!*ip && json_len(ips))
        json_set(spec, "clusterIP", json_ref(json_at(ips, 0)));
}

static struct json *family_of(const char *ip) {
    return json_string(strchr(ip, ':') ? "IPv6" : "IPv4");
}

/* Headless and without selector: whoever makes the endpoints knows their families, so both are allowed. */
static bool is_for_all_families(const struct json *spec) {
    return strcmp(json_str_or(json_get(spec, "clusterIP"), ""), "None") == 0 && !json_len(json_get(spec, "selector"));
}

static void default_families(struct json **spec) {
    const struct json *ips = json_get(*spec, "clusterIPs");
    size_t n_ips = json_len(ips), n_families = json_len(json_get(*spec, "ipFamilies"));
    bool all = is_for_all_families(*spec);
    if (json_is_null(json_get(*spec, "ipFamilyPolicy")))
        json_set(spec, "ipFamilyPolicy",
                 json_string(n_ips > 1 || n_families > 1 || (all && !n_families) ? "RequireDualStack" : "SingleStack"));
    if (n_families)
        return;
    if (all) {
        bool single = strcmp(json_str(json_get(*spec, "ipFamilyPolicy")), "SingleStack") == 0;
        json_append(json_edit(spec, "ipFamilies"), json_string("IPv4"));
        if (!single)
            json_append(json_edit(spec, "ipFamilies"), json_string("IPv6"));
        return;
    }
    for (size_t i = 0; i < (n_ips ? n_ips : 1); i++)
        json_append(json_edit(spec, "ipFamilies"),
                    family_of(json_str_or(json_at(json_get(*spec, "clusterIPs"), i), "")));
}

void strategy_service_create(struct json **doc) {
    if (!has_cluster_ip(*doc))
        return;
    struct json **spec = json_edit(doc, "spec");
    sync_cluster_ips(spec);
    default_families(spec);
}

/* Drops a member that the type in `doc` no longer has, if the client merely sent back what it had read. */
static void drop_if_unchanged(struct json **doc, const struct json *old, const char *key) {
    const struct json *v = json_path(*doc, "spec", key);
    if (v && json_equal(v, json_path(old, "spec", key)))
        json_del(json_edit(doc, "spec"), key);
}

static bool same_port(const struct json *a, const struct json *b) {
    return json_equal(json_get(a, "port"), json_get(b, "port")) &&
           strcmp(json_str_or(json_get(a, "protocol"), "TCP"), json_str_or(json_get(b, "protocol"), "TCP")) == 0;
}

static bool node_port_in_use(const struct json *service, int64_t node_port) {
    const struct json *ports = json_path(service, "spec", "ports");
    for (size_t i = 0; i < json_len(ports); i++)
        if (json_int_or(json_get(json_at(ports, i), "nodePort"), 0) == node_port)
            return true;
    return false;
}

static void carry_node_ports(struct json **doc, const struct json *old) {
    for (size_t i = 0; i < json_len(json_path(*doc, "spec", "ports")); i++) {
        const struct json *port = json_at(json_path(*doc, "spec", "ports"), i),
                          *before = json_path(old, "spec", "ports");
        if (json_int_or(json_get(port, "nodePort"), 0))
            continue;
        for (size_t k = 0; k < json_len(before); k++) {
            int64_t node_port = json_int_or(json_get(json_at(before, k), "nodePort"), 0);
            if (!node_port || !same_port(port, json_at(before, k)) || node_port_in_use(*doc, node_port))
                continue;
            json_set(json_edit_at(json_edit(json_edit(doc, "spec"), "ports"), i), "nodePort", json_int(node_port));
            break;
        }
    }
}

static void drop_node_ports(struct json **doc, const struct json *old) {
    for (size_t i = 0; i < json_len(json_path(*doc, "spec", "ports")); i++) {
        int64_t node_port = json_int_or(json_get(json_at(json_path(*doc, "spec", "ports"), i), "nodePort"), 0);
        if (node_port && node_port_in_use(old, node_port))
            json_del(json_edit_at(json_edit(json_edit(doc, "spec"), "ports"), i), "nodePort");
    }
}

static void carry_if_absent(struct json **doc, const struct json *old, const char *key) {
    struct json *was = json_path(old, "spec", key);
    if (was && json_is_null(json_path(*doc, "spec", key)))
        json_set(json_edit(doc, "spec"), key, json_ref(was));
}

/* Who changes one of the two names of the address means both (upstream's NormalizeClusterIPs). */
static void follow_cluster_ip(struct json **doc, const struct json *old) {
    const char *ip = json_str_or(json_path(*doc, "spec", "clusterIP"), "");
    const char *was = json_str_or(json_path(old, "spec", "clusterIP"), "");
    const struct json *ips = json_path(*doc, "spec", "clusterIPs");
    if (!*ip || strcmp(ip, was) == 0 || (json_len(ips) && !json_equal(ips, json_path(old, "spec", "clusterIPs"))))
        return;
    struct json *list = json_array();
    json_append(&list, json_string(ip));
    json_set_path(doc, list, "spec", "clusterIPs");
}

void strategy_service_update(struct json **doc, const struct json *old) {
    static const char *const addresses[] = {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"};
    static const char *const balanced[] = {"allocateLoadBalancerNodePorts", "loadBalancerClass"};
    if (has_cluster_ip(*doc) && has_cluster_ip(old))
        follow_cluster_ip(doc, old);
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        if (has_cluster_ip(*doc) && has_cluster_ip(old))
            carry_if_absent(doc, old, addresses[i]);
        else if (!has_cluster_ip(*doc) && has_cluster_ip(old))
            drop_if_unchanged(doc, old, addresses[i]);
    }
    if (has_node_ports(*doc) && has_node_ports(old))
        carry_node_ports(doc, old);
    else if (has_node_ports(old))
        drop_node_ports(doc, old);
    if (has_health_port(*doc) && has_health_port(old))
        carry_if_absent(doc, old, "healthCheckNodePort");
    else if (has_health_port(old))
        drop_if_unchanged(doc, old, "healthCheckNodePort");
    for (size_t i = 0; is_balanced(old) && !is_balanced(*doc) && i < ARRAY_LEN(balanced); i++)
        drop_if_unchanged(doc, old, balanced[i]);
    bool external =
        is_balanced(*doc) || strcmp(type_of(*doc), "NodePort") == 0 || json_len(json_path(*doc, "spec", "externalIPs"));
    if (!external)
        drop_if_unchanged(doc, old, "externalTrafficPolicy");
    if (is_balanced(old) && !is_balanced(*doc) && json_len(json_path(*doc, "status", "loadBalancer")))
        json_set_path(doc, json_object(), "status", "loadBalancer");
    if (has_cluster_ip(*doc)) {
        sync_cluster_ips(json_edit(doc, "spec"));
        default_families(json_edit(doc, "spec"));
    }
}
