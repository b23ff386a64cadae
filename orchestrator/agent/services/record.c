/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/services/record.h"

#include <string.h>

static const char *protocol_name(enum service_protocol p) {
    return p == SERVICE_UDP ? "UDP" : p == SERVICE_SCTP ? "SCTP" : "TCP";
}

static struct json *service_ports(const struct service *s) {
    struct json *list = json_array();

    for (size_t i = 0; i < s->n_ports; i++) {
        struct json *port = json_object();
        json_set(&port, "name", json_string(s->ports[i].name));
        json_set(&port, "protocol", json_string(protocol_name(s->ports[i].protocol)));
        json_set(&port, "port", json_int(s->ports[i].port));
        if (s->ports[i].node_port)
            json_set(&port, "nodePort", json_int(s->ports[i].node_port));
        json_append(&list, port);
    }
    return list;
}

static struct json *service_spec(const struct service *s) {
    static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"};
    struct json *spec = json_object();

    json_set(&spec, "type", json_string(types[s->type]));
    if (s->headless || *s->cluster_ip)
        json_set(&spec, "clusterIP", json_string(s->headless ? "None" : s->cluster_ip));
    if (s->external_name)
        json_set(&spec, "externalName", json_string(s->external_name));
    for (char *const *ip = s->external_ips; ip && *ip; ip++)
        json_append(json_edit(&spec, "externalIPs"), json_string(*ip));
    json_set(&spec, "ports", service_ports(s));
    if (s->client_ip_affinity) {
        json_set(&spec, "sessionAffinity", json_string("ClientIP"));
        json_set_path(&spec, json_int(s->affinity_seconds), "sessionAffinityConfig", "clientIP", "timeoutSeconds");
    }
    json_set(&spec, "externalTrafficPolicy", json_string(s->external_local ? "Local" : "Cluster"));
    json_set(&spec, "internalTrafficPolicy", json_string(s->internal_local ? "Local" : "Cluster"));
    json_set(&spec, "publishNotReadyAddresses", json_bool(s->publish_not_ready));
    if (s->health_check_port)
        json_set(&spec, "healthCheckNodePort", json_int(s->health_check_port));
    return spec;
}

static struct json *head(const char *kind, const char *namespace, struct json *take_name) {
    struct json *doc = json_object();

    json_set(&doc, "kind", json_string(kind));
    json_set_path(&doc, take_name, "metadata", "name");
    json_set_path(&doc, json_string(namespace), "metadata", "namespace");
    return doc;
}

static struct json *endpoint(const struct service_backend *b) {
    struct json *e = json_object();

    json_append(json_edit(&e, "addresses"), json_string(b->ip));
    json_set_path(&e, json_bool(b->ready), "conditions", "ready");
    json_set_path(&e, json_bool(b->serving), "conditions", "serving");
    json_set_path(&e, json_bool(b->terminating), "conditions", "terminating");
    if (b->hostname)
        json_set(&e, "hostname", json_string(b->hostname));
    if (b->node)
        json_set(&e, "nodeName", json_string(b->node));
    if (b->pod) {
        json_set_path(&e, json_string("Pod"), "targetRef", "kind");
        json_set_path(&e, json_string(b->pod), "targetRef", "name");
    }
    return e;
}

static bool serve_alike(const struct service *s, const struct service_backend *a, const struct service_backend *b) {
    return s->n_ports == 0 || memcmp(a->ports, b->ports, s->n_ports * sizeof(*a->ports)) == 0;
}

/* The slice of all backends that serve the ports of backend `first`; NULL when an earlier one stands for it. */
static struct json *slice_of(const struct service *s, size_t first) {
    struct json *ports = json_array(), *endpoints = json_array();
    const struct service_backend *like = &s->backends[first];

    for (size_t i = 0; i < first; i++)
        if (serve_alike(s, &s->backends[i], like)) {
            json_unref(ports);
            json_unref(endpoints);
            return NULL;
        }
    for (size_t i = first; i < s->n_backends; i++)
        if (serve_alike(s, &s->backends[i], like))
            json_append(&endpoints, endpoint(&s->backends[i]));
    for (size_t i = 0; i < s->n_ports; i++) {
        if (!like->ports[i])
            continue;
        struct json *port = json_object();
        json_set(&port, "name", json_string(s->ports[i].name));
        json_set(&port, "protocol", json_string(protocol_name(s->ports[i].protocol)));
        json_set(&port, "port", json_int(like->ports[i]));
        json_append(&ports, port);
    }
    struct json *doc = head("EndpointSlice", s->namespace, json_stringf("%s-recorded-%zu", s->name, first));
    json_set_path(&doc, json_string(s->name), "metadata", "labels", "kubernetes.io/service-name");
    json_set(&doc, "addressType", json_string("IPv4"));
    json_set(&doc, "ports", ports);
    json_set(&doc, "endpoints", endpoints);
    return doc;
}

void service_record(const struct service *s, struct json **list) {
    struct json *doc = head("Service", s->namespace, json_string(s->name));

    json_set(&doc, "spec", service_spec(s));
    if (s->other_proxy) /* whose it is does not matter */
        json_set_path(&doc, json_string("other"), "metadata", "labels", "service.kubernetes.io/service-proxy-name");
    json_append(list, doc);
    for (size_t i = 0; i < s->n_backends; i++) {
        struct json *slice = slice_of(s, i);
        if (slice)
            json_append(list, slice);
    }
}
