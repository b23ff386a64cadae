/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/services/documents.h"

#include <arpa/inet.h>
#include <string.h>

#include "podium/base/alloc.h"

#define AFFINITY_SECONDS_DEFAULT 10800 /* ClientIPConfig.timeoutSeconds */

static const char *meta(const struct json *object, const char *member) {
    return json_str_or(json_path(object, "metadata", member), "");
}

static enum service_protocol protocol_of(const struct json *port) {
    const char *text = json_str_or(json_get(port, "protocol"), "TCP");

    return strcmp(text, "UDP") == 0 ? SERVICE_UDP : strcmp(text, "SCTP") == 0 ? SERVICE_SCTP : SERVICE_TCP;
}

/* 0 for what is no port */
static uint16_t port_of(const struct json *value) {
    int64_t port = json_int_or(value, 0);

    return port > 0 && port <= UINT16_MAX ? (uint16_t) port : 0;
}

/* --- slices --- */

/* Texts of one slice. Offsets plus one in place of pointers, as the buffer moves while it grows. */
struct pool {
    struct strbuf text;
};

static const char *pool_add(struct pool *pool, const char *text) {
    size_t at = pool->text.len;

    if (!text)
        return NULL;
    strbuf_add(&pool->text, text, strlen(text) + 1);
    return (const char *) (at + 1);
}

static const char *pool_get(const char *strings, const char *offset) {
    return offset ? strings + ((size_t) offset - 1) : NULL;
}

static void read_ports(struct slice *slice, const struct json *ports, struct pool *pool) {
    slice->ports = xcalloc(json_len(ports) + 1, sizeof(*slice->ports));
    for (size_t i = 0; i < json_len(ports); i++) {
        const struct json *port = json_at(ports, i);
        struct slice_port *p = &slice->ports[slice->n_ports];
        p->port = port_of(json_get(port, "port"));
        if (p->port == 0)
            continue;
        p->protocol = protocol_of(port);
        p->name = pool_add(pool, json_str_or(json_get(port, "name"), ""));
        slice->n_ports++;
    }
}

/* Nodes repeat: each name once. */
static const char *pool_add_node(const struct slice *slice, struct pool *pool, const char *node) {
    for (size_t i = slice->n_endpoints; node && i-- > 0;)
        if (slice->endpoints[i].node && strcmp(pool_get(pool->text.data, slice->endpoints[i].node), node) == 0)
            return slice->endpoints[i].node;
    return pool_add(pool, node);
}

static void read_endpoints(struct slice *slice, const struct json *endpoints, struct pool *pool) {
    slice->endpoints = xcalloc(json_len(endpoints) + 1, sizeof(*slice->endpoints));
    for (size_t i = 0; i < json_len(endpoints); i++) {
        const struct json *endpoint = json_at(endpoints, i), *conditions = json_get(endpoint, "conditions");
        const struct json *target = json_get(endpoint, "targetRef");
        struct slice_endpoint *e = &slice->endpoints[slice->n_endpoints];
        struct in_addr address;
        /* all addresses of an endpoint are the same one to its users, says the API: the first is used */
        if (inet_pton(AF_INET, json_str_or(json_at(json_get(endpoint, "addresses"), 0), ""), &address) != 1)
            continue;
        e->address = address.s_addr;
        e->ready = json_bool_or(json_get(conditions, "ready"), true);
        e->serving = json_bool_or(json_get(conditions, "serving"), e->ready);
        e->terminating = json_bool_or(json_get(conditions, "terminating"), false);
        e->node = pool_add_node(slice, pool, json_str(json_get(endpoint, "nodeName")));
        e->hostname = pool_add(pool, json_str(json_get(endpoint, "hostname")));
        if (strcmp(json_str_or(json_get(target, "kind"), ""), "Pod") == 0)
            e->pod = pool_add(pool, json_str(json_get(target, "name")));
        slice->n_endpoints++;
    }
}

struct slice *slice_read(const struct json *object) {
    const char *namespace = meta(object, "namespace"), *name = meta(object, "name");
    struct pool pool = {STRBUF_INIT};

    if (!*namespace || !*name)
        return NULL;
    struct slice *slice = xnew0(struct slice);
    slice->refs = 1;
    slice->namespace = xstrdup(namespace);
    slice->name = xstrdup(name);
    slice->service =
        xstrdup(json_str_or(json_get(json_path(object, "metadata", "labels"), "kubernetes.io/service-name"), ""));
    read_ports(slice, json_get(object, "ports"), &pool);
    if (strcmp(json_str_or(json_get(object, "addressType"), "IPv4"), "IPv4") == 0)
        read_endpoints(slice, json_get(object, "endpoints"), &pool);
    slice->strings = strbuf_steal(&pool.text);
    for (size_t i = 0; i < slice->n_ports; i++)
        slice->ports[i].name = pool_get(slice->strings, slice->ports[i].name);
    for (size_t i = 0; i < slice->n_endpoints; i++) {
        struct slice_endpoint *e = &slice->endpoints[i];
        e->hostname = pool_get(slice->strings, e->hostname);
        e->node = pool_get(slice->strings, e->node);
        e->pod = pool_get(slice->strings, e->pod);
    }
    return slice;
}

struct slice *slice_ref(struct slice *slice) {
    slice->refs++;
    return slice;
}

void slice_unref(struct slice *slice) {
    if (!slice || --slice->refs > 0)
        return;
    free(slice->namespace);
    free(slice->name);
    free(slice->service);
    free(slice->ports);
    free(slice->endpoints);
    free(slice->strings);
    free(slice);
}

/* --- services --- */

static enum service_type type_of(const struct json *spec) {
    static const char *const names[] = {
        [SERVICE_CLUSTER_IP] = "ClusterIP",
        [SERVICE_NODE_PORT] = "NodePort",
        [SERVICE_LOAD_BALANCER] = "LoadBalancer",
        [SERVICE_EXTERNAL_NAME] = "ExternalName",
    };
    const char *text = json_str_or(json_get(spec, "type"), "");

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(text, names[i]) == 0)
            return (enum service_type) i;
    return SERVICE_CLUSTER_IP;
}

static bool is_address(const char *text) {
    struct in_addr address;

    return inet_pton(AF_INET, text, &address) == 1;
}

static void add_address(struct service *service, const char *text) {
    if (!is_address(text))
        return;
    for (char **have = service->external_ips; *have; have++)
        if (strcmp(*have, text) == 0)
            return;
    strv_push_dup(&service->external_ips, text);
}

static void read_external_ips(struct service *service, const struct json *object) {
    const struct json *ips = json_path(object, "spec", "externalIPs");
    const struct json *ingress = json_path(object, "status", "loadBalancer", "ingress");

    service->external_ips = strv_new();
    for (size_t i = 0; i < json_len(ips); i++)
        add_address(service, json_str_or(json_at(ips, i), ""));
    /* a balancer that is a proxy must be gone through: traffic to it is left alone */
    for (size_t i = 0; service->type == SERVICE_LOAD_BALANCER && i < json_len(ingress); i++)
        if (strcmp(json_str_or(json_get(json_at(ingress, i), "ipMode"), "VIP"), "VIP") == 0)
            add_address(service, json_str_or(json_get(json_at(ingress, i), "ip"), ""));
}

static void read_service_ports(struct service *service, const struct json *ports) {
    service->ports = xcalloc(json_len(ports) + 1, sizeof(*service->ports));
    for (size_t i = 0; i < json_len(ports); i++) {
        const struct json *port = json_at(ports, i);
        struct service_port *p = &service->ports[service->n_ports];
        p->port = port_of(json_get(port, "port"));
        if (p->port == 0)
            continue;
        p->protocol = protocol_of(port);
        p->name = xstrdup(json_str_or(json_get(port, "name"), ""));
        if (service->type == SERVICE_NODE_PORT || service->type == SERVICE_LOAD_BALANCER)
            p->node_port = port_of(json_get(port, "nodePort"));
        service->n_ports++;
    }
}

static bool is_local(const struct json *spec, const char *policy) {
    return strcmp(json_str_or(json_get(spec, policy), ""), "Local") == 0;
}

static void read_spec(struct service *service, const struct json *spec) {
    const char *ip = json_str_or(json_get(spec, "clusterIP"), "");

    service->publish_not_ready = json_bool_or(json_get(spec, "publishNotReadyAddresses"), false);
    if (service->type == SERVICE_EXTERNAL_NAME) {
        const char *external_name = json_str(json_get(spec, "externalName"));
        service->external_name = external_name ? xstrdup(external_name) : NULL;
        return;
    }
    service->headless = strcmp(ip, "None") == 0;
    if (is_address(ip))
        (void) snprintf(service->cluster_ip, sizeof(service->cluster_ip), "%s", ip);
    service->client_ip_affinity = strcmp(json_str_or(json_get(spec, "sessionAffinity"), ""), "ClientIP") == 0;
    int64_t seconds =
        json_int_or(json_path(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds"), AFFINITY_SECONDS_DEFAULT);
    if (service->client_ip_affinity)
        service->affinity_seconds = seconds > 0 && seconds <= 86400 ? (unsigned) seconds : AFFINITY_SECONDS_DEFAULT;
    service->external_local = is_local(spec, "externalTrafficPolicy");
    service->internal_local = is_local(spec, "internalTrafficPolicy");
    if (service->external_local && service->type == SERVICE_LOAD_BALANCER)
        service->health_check_port = port_of(json_get(spec, "healthCheckNodePort"));
}

struct service_document *service_document_read(const struct json *object) {
    const char *namespace = meta(object, "namespace"), *name = meta(object, "name");
    const struct json *spec = json_get(object, "spec");

    if (!*namespace || !*name || !json_is_object(spec))
        return NULL;
    struct service_document *document = xnew0(struct service_document);
    struct service *service = &document->service;
    document->refs = 1;
    service->namespace = xstrdup(namespace);
    service->name = xstrdup(name);
    service->type = type_of(spec);
    read_service_ports(service, json_get(spec, "ports"));
    read_external_ips(service, object);
    read_spec(service, spec);
    service->other_proxy =
        json_get(json_path(object, "metadata", "labels"), "service.kubernetes.io/service-proxy-name");
    return document;
}

struct service_document *service_document_ref(struct service_document *document) {
    document->refs++;
    return document;
}

void service_document_unref(struct service_document *document) {
    if (!document || --document->refs > 0)
        return;
    struct service *service = &document->service;
    for (size_t i = 0; i < service->n_ports; i++)
        free(service->ports[i].name);
    free(service->ports);
    strv_free(service->external_ips);
    free(service->namespace);
    free(service->name);
    free(service->external_name);
    free(document);
}
