/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cells of services, endpoints and ingresses. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/field_path.h"
#include "orchestrator/object/table_cells.h"
#include "podium/base/alloc.h"

#define SHOWN_MAX 3u /* of a list; the rest is counted */

static void add_all(struct strbuf *b, const struct json *strings) {
    for (size_t i = 0; i < json_len(strings); i++)
        table_join(b, ",", json_str_or(json_at(strings, i), ""));
}

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Addresses a load balancer gave, sorted, each once. */
static void add_load_balancer(struct strbuf *b, const struct json *o) {
    const struct json *ingress = field_path_get(o, "status.loadBalancer.ingress");
    size_t n = json_len(ingress);
    _cleanup_free_ const char **addresses = xcalloc(n + 1, sizeof(*addresses));
    for (size_t i = 0; i < n; i++) {
        const char *ip = table_str(json_at(ingress, i), "ip");
        addresses[i] = *ip ? ip : table_str(json_at(ingress, i), "hostname");
    }
    qsort(addresses, n, sizeof(*addresses), compare_strings);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(addresses[i], addresses[i - 1]) != 0)
            table_join(b, ",", addresses[i]);
}

static struct json *cluster_ip(const struct json *o, uint64_t now_usec) {
    const char *first = table_str(o, "spec.clusterIPs[0]"), *single = table_str(o, "spec.clusterIP");
    return json_string(*first ? first : *single ? single : "<none>");
}

static struct json *external_ip(const struct json *o, uint64_t now_usec) {
    const char *type = table_str(o, "spec.type");
    const struct json *ips = json_path(o, "spec", "externalIPs");
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    if (strcmp(type, "ExternalName") == 0)
        return json_string(table_str(o, "spec.externalName"));
    bool balanced = strcmp(type, "LoadBalancer") == 0;
    if (balanced)
        add_load_balancer(&b, o);
    else if (strcmp(type, "ClusterIP") != 0 && strcmp(type, "NodePort") != 0)
        return json_string("<unknown>");
    add_all(&b, ips);
    return table_text(&b, balanced ? "<pending>" : "<none>");
}

static struct json *service_ports(const struct json *o, uint64_t now_usec) {
    const struct json *ports = json_path(o, "spec", "ports");
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    for (size_t i = 0; i < json_len(ports); i++) {
        const struct json *port = json_at(ports, i);
        int64_t node_port = json_int_or(json_get(port, "nodePort"), 0);
        strbuf_addf(&b, "%s%" PRId64, i ? "," : "", json_int_or(json_get(port, "port"), 0));
        if (node_port > 0)
            strbuf_addf(&b, ":%" PRId64, node_port);
        strbuf_addf(&b, "/%s", table_str(port, "protocol"));
    }
    return table_text(&b, "<none>");
}

static struct json *service_selector(const struct json *o, uint64_t now_usec) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    table_add_map(&b, json_path(o, "spec", "selector"));
    return table_text(&b, "<none>");
}

static struct json *more(struct strbuf *b, size_t count, const char *empty) {
    if (count > SHOWN_MAX)
        strbuf_addf(b, " + %zu more...", count - SHOWN_MAX);
    return table_text(b, empty);
}

static struct json *ingress_hosts(const struct json *o, uint64_t now_usec) {
    const struct json *rules = json_path(o, "spec", "rules");
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    size_t count = 0;
    for (size_t i = 0; i < json_len(rules); i++) {
        const char *host = table_str(json_at(rules, i), "host");
        if (*host && count++ < SHOWN_MAX)
            table_join(&b, ",", host);
    }
    return more(&b, count, "*");
}

static struct json *ingress_address(const struct json *o, uint64_t now_usec) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    add_load_balancer(&b, o);
    return table_text(&b, "");
}

static struct json *ingress_ports(const struct json *o, uint64_t now_usec) {
    return json_string(json_len(json_path(o, "spec", "tls")) > 0 ? "80, 443" : "80");
}

static struct json *ingress_class_parameters(const struct json *o, uint64_t now_usec) {
    const struct json *p = json_path(o, "spec", "parameters");
    const char *group = table_str(p, "apiGroup");
    if (json_is_null(p))
        return json_string("<none>");
    return json_stringf("%s%s%s/%s", table_str(p, "kind"), *group ? "." : "", group, table_str(p, "name"));
}

/* Up to three of "ip:port" over all subsets. */
static struct json *endpoints(const struct json *o, uint64_t now_usec) {
    const struct json *subsets = json_get(o, "subsets");
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    size_t count = 0;
    for (size_t i = 0; i < json_len(subsets); i++) {
        const struct json *ports = json_get(json_at(subsets, i), "ports");
        const struct json *addresses = json_get(json_at(subsets, i), "addresses");
        for (size_t k = 0; k < json_len(addresses); k++) {
            const char *ip = table_str(json_at(addresses, k), "ip");
            if (json_len(ports) == 0 && count++ < SHOWN_MAX)
                table_join(&b, ",", ip);
            for (size_t p = 0; p < json_len(ports); p++)
                if (count++ < SHOWN_MAX)
                    strbuf_addf(&b, "%s%s:%" PRId64, b.len ? "," : "", ip,
                                json_int_or(json_get(json_at(ports, p), "port"), 0));
        }
    }
    return more(&b, count, "<none>");
}

static struct json *slice_ports(const struct json *o, uint64_t now_usec) {
    const struct json *ports = json_get(o, "ports");
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    for (size_t i = 0; i < json_len(ports) && i < SHOWN_MAX; i++) {
        const struct json *port = json_get(json_at(ports, i), "port");
        const char *name = table_str(json_at(ports, i), "name");
        if (json_is_null(port))
            table_join(&b, ",", *name ? name : "*");
        else
            strbuf_addf(&b, "%s%" PRId64, b.len ? "," : "", json_int_or(port, 0));
    }
    return more(&b, json_len(ports), "<unset>");
}

static struct json *slice_endpoints(const struct json *o, uint64_t now_usec) {
    const struct json *list = json_get(o, "endpoints");
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    size_t count = 0;
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *addresses = json_get(json_at(list, i), "addresses");
        for (size_t k = 0; k < json_len(addresses); k++)
            if (count++ < SHOWN_MAX)
                table_join(&b, ",", json_str_or(json_at(addresses, k), ""));
    }
    return more(&b, count, "<unset>");
}

const struct table_cell table_network_cells[] = {
    {"Service", "Cluster-IP", cluster_ip},
    {"Service", "External-IP", external_ip},
    {"Service", "Port(s)", service_ports},
    {"Service", "Selector", service_selector},
    {"Ingress", "Hosts", ingress_hosts},
    {"Ingress", "Address", ingress_address},
    {"Ingress", "Ports", ingress_ports},
    {"IngressClass", "Parameters", ingress_class_parameters},
    {"Endpoints", "Endpoints", endpoints},
    {"EndpointSlice", "Ports", slice_ports},
    {"EndpointSlice", "Endpoints", slice_endpoints},
    {NULL, NULL, NULL},
};
