/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/clusterservices/decide.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/servicestate.h"

static struct json *named(const char *api_version, const char *kind, const char *ns, const char *name) {
    struct json *o = json_object();
    json_set(&o, "apiVersion", json_string(api_version));
    json_set(&o, "kind", json_string(kind));
    json_set_path(&o, json_string(name), "metadata", "name");
    json_set_path(&o, json_string(ns), "metadata", "namespace");
    return o;
}

static struct json *port(const char *name, const char *protocol, int number, int target) {
    struct json *p = json_object();
    json_set(&p, "name", json_string(name));
    json_set(&p, "port", json_int(number));
    json_set(&p, "protocol", json_string(protocol));
    if (target)
        json_set(&p, "targetPort", json_int(target));
    return p;
}

static struct json *list_of(struct json *take) {
    struct json *list = json_array();
    json_append(&list, take);
    return list;
}

static void set_label(struct json **o, const char *key, const char *value) {
    json_set(json_edit(json_edit(o, "metadata"), "labels"), key, json_string(value));
}

static bool has_label(const struct json *o, const char *key, const char *value) {
    return strcmp(json_str_or(json_get(json_path(o, "metadata", "labels"), key), ""), value) == 0;
}

bool service_is_misplaced(const struct json *have, const char *cluster_ip) {
    return have && strcmp(json_str_or(json_path(have, "spec", "clusterIP"), ""), cluster_ip) != 0;
}

static struct json *service(const char *ns, const char *name, const char *cluster_ip, struct json *take_ports) {
    struct json *o = named("v1", "Service", ns, name);
    json_set_path(&o, json_string("ClusterIP"), "spec", "type");
    json_set_path(&o, json_string(cluster_ip), "spec", "clusterIP");
    json_set_path(&o, take_ports, "spec", "ports");
    return o;
}

struct json *api_service_wanted(const char *cluster_ip, int number, const struct json *have) {
    _cleanup_json_ struct json *ports = list_of(port("https", "TCP", 443, number));
    if (have && json_equal(json_path(have, "spec", "ports"), ports))
        return NULL;
    if (have) {
        struct json *o = json_ref(have);
        json_set_path(&o, json_ref(ports), "spec", "ports");
        return o;
    }
    struct json *o = service(API_NAMESPACE, API_SERVICE, cluster_ip, json_ref(ports));
    set_label(&o, "component", "apiserver");
    set_label(&o, "provider", "kubernetes");
    return o;
}

struct json *api_endpoints_wanted(const char *address, int number, const struct json *have) {
    _cleanup_json_ struct json *subset = json_object();
    struct json *ip = json_object();
    json_set(&ip, "ip", json_string(address));
    json_set(&subset, "addresses", list_of(ip));
    json_set(&subset, "ports", list_of(port("https", "TCP", number, 0)));
    if (have && json_len(json_get(have, "subsets")) == 1 && json_equal(json_at(json_get(have, "subsets"), 0), subset) &&
        has_label(have, LABEL_SKIP_MIRROR, "true"))
        return NULL;
    struct json *o = have ? json_ref(have) : named("v1", "Endpoints", API_NAMESPACE, API_SERVICE);
    set_label(&o, LABEL_SKIP_MIRROR, "true"); /* the slice is kept right here */
    json_set(&o, "subsets", list_of(json_ref(subset)));
    return o;
}

struct json *api_slice_wanted(const char *address, int number, const struct json *have) {
    _cleanup_json_ struct json *endpoint = json_object(), *ports = list_of(port("https", "TCP", number, 0));
    json_set(&endpoint, "addresses", list_of(json_string(address)));
    json_set_path(&endpoint, json_bool(true), "conditions", "ready");
    if (have && json_len(json_get(have, "endpoints")) == 1 &&
        json_equal(json_at(json_get(have, "endpoints"), 0), endpoint) && json_equal(json_get(have, "ports"), ports) &&
        has_label(have, LABEL_SERVICE_NAME, API_SERVICE))
        return NULL;
    struct json *o = have ? json_ref(have) : named("discovery.k8s.io/v1", "EndpointSlice", API_NAMESPACE, API_SERVICE);
    set_label(&o, LABEL_SERVICE_NAME, API_SERVICE);
    json_set(&o, "addressType", json_string("IPv4"));
    json_set(&o, "endpoints", list_of(json_ref(endpoint)));
    json_set(&o, "ports", json_ref(ports));
    return o;
}

struct json *dns_service_wanted(const char *cluster_ip, const struct json *have) {
    if (have) /* may have been changed by somebody who runs a DNS of his own behind it */
        return NULL;
    struct json *ports = list_of(port("dns", "UDP", 53, 53));
    json_append(&ports, port("dns-tcp", "TCP", 53, 53));
    struct json *o = service(DNS_NAMESPACE, DNS_SERVICE, cluster_ip, ports);
    set_label(&o, "k8s-app", "kube-dns");
    set_label(&o, "kubernetes.io/cluster-service", "true");
    return o;
}
