/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Services with the endpoints of their slices, in kubectl's layout. */
#include <string.h>

#include "orchestrator/cli/describe/describe.h"
#include "orchestrator/cli/print.h"

#define SHOWN_MAX 3

static long long number(const struct json *object, const char *key) {
    return (long long) json_int_or(json_get(object, key), 0);
}

static void add_list(const char *title, const struct json *list, struct strbuf *out) {
    strbuf_addf(out, "%s:\t", title);
    for (size_t i = 0; i < json_len(list); i++)
        strbuf_addf(out, "%s%s", i ? "," : "", json_str_or(json_at(list, i), ""));
    strbuf_adds(out, json_len(list) ? "\n" : "<none>\n");
}

static void add_text(const char *title, const struct json *spec, const char *key, struct strbuf *out) {
    if (*json_get_str(spec, key))
        strbuf_addf(out, "%s:\t%s\n", title, json_get_str(spec, key));
}

static void add_selector(const struct json *spec, struct strbuf *out) {
    _cleanup_json_ struct json *selector = json_sorted(json_get(spec, "selector"));
    strbuf_adds(out, "Selector:\t");
    for (size_t i = 0; i < json_len(selector); i++)
        strbuf_addf(out, "%s%s=%s", i ? "," : "", json_key_at(selector, i),
                    json_str_or(json_value_at(selector, i), ""));
    strbuf_adds(out, json_len(selector) ? "\n" : "<none>\n");
}

/* The ready endpoints of one slice at one port; *count: all, of which SHOWN_MAX are shown. */
static void add_ready(const struct json *slice, const struct json *port, size_t *count, struct strbuf *out) {
    const struct json *endpoints = json_get(slice, "endpoints");
    for (size_t i = 0; i < json_len(endpoints); i++) {
        const struct json *e = json_at(endpoints, i);
        if (!json_bool_or(json_path(e, "conditions", "ready"), true) || (*count)++ >= SHOWN_MAX)
            continue;
        const char *ip = json_str_or(json_at(json_get(e, "addresses"), 0), "");
        bool v6 = strchr(ip, ':') != NULL;
        strbuf_addf(out, "%s%s%s%s:%lld", *count > 1 ? "," : "", v6 ? "[" : "", ip, v6 ? "]" : "",
                    number(port, "port"));
    }
}

static void add_endpoints(const struct json *slices, const char *port_name, struct strbuf *out) {
    size_t count = 0;
    strbuf_adds(out, "Endpoints:\t");
    for (size_t i = 0; i < json_len(slices); i++) {
        const struct json *ports = json_get(json_at(slices, i), "ports");
        for (size_t k = 0; k < json_len(ports); k++)
            if (strcmp(json_get_str(json_at(ports, k), "name"), port_name) == 0)
                add_ready(json_at(slices, i), json_at(ports, k), &count, out);
    }
    if (count > SHOWN_MAX)
        strbuf_addf(out, " + %zu more...", count - SHOWN_MAX);
    strbuf_addc(out, '\n');
}

static void add_port(const struct json *p, const struct json *slices, struct strbuf *out) {
    const struct json *target = json_get(p, "targetPort");
    const char *name = *json_get_str(p, "name") ? json_get_str(p, "name") : "<unset>";
    strbuf_addf(out, "Port:\t%s\t%lld/%s\n", name, number(p, "port"), json_get_str(p, "protocol"));
    if (json_is_string(target))
        strbuf_addf(out, "TargetPort:\t%s/%s\n", json_str(target), json_get_str(p, "protocol"));
    else
        strbuf_addf(out, "TargetPort:\t%lld/%s\n", number(p, "targetPort"), json_get_str(p, "protocol"));
    if (number(p, "nodePort") > 0)
        strbuf_addf(out, "NodePort:\t%s\t%lld/%s\n", name, number(p, "nodePort"), json_get_str(p, "protocol"));
    if (slices)
        add_endpoints(slices, json_get_str(p, "name"), out);
}

static void add_ingress(const struct json *object, struct strbuf *out) {
    const struct json *ingress = json_path(object, "status", "loadBalancer", "ingress");
    for (size_t i = 0; i < json_len(ingress); i++) {
        const struct json *one = json_at(ingress, i);
        strbuf_addf(out, "%s%s", i ? ", " : "LoadBalancer Ingress:\t",
                    *json_get_str(one, "ip") ? json_get_str(one, "ip") : json_get_str(one, "hostname"));
        if (*json_get_str(one, "ipMode"))
            strbuf_addf(out, " (%s)", json_get_str(one, "ipMode"));
    }
    if (json_len(ingress))
        strbuf_addc(out, '\n');
}

void describe_service(const struct described *d, struct strbuf *out) {
    const struct json *spec = json_get(d->object, "spec"), *ports = json_get(spec, "ports");
    describe_metadata(d->object, true, out);
    add_selector(spec, out);
    strbuf_addf(out, "Type:\t%s\n", json_get_str(spec, "type"));
    add_text("IP Family Policy", spec, "ipFamilyPolicy", out);
    add_list("IP Families", json_get(spec, "ipFamilies"), out);
    strbuf_addf(out, "IP:\t%s\n", json_get_str(spec, "clusterIP"));
    add_list("IPs", json_get(spec, "clusterIPs"), out);
    if (json_len(json_get(spec, "externalIPs")))
        add_list("External IPs", json_get(spec, "externalIPs"), out);
    add_text("Desired LoadBalancer IP", spec, "loadBalancerIP", out);
    add_text("External Name", spec, "externalName", out);
    add_ingress(d->object, out);
    for (size_t i = 0; i < json_len(ports); i++)
        add_port(json_at(ports, i), d->related, out);
    add_text("Session Affinity", spec, "sessionAffinity", out);
    add_text("External Traffic Policy", spec, "externalTrafficPolicy", out);
    add_text("Internal Traffic Policy", spec, "internalTrafficPolicy", out);
    if (number(spec, "healthCheckNodePort"))
        strbuf_addf(out, "HealthCheck NodePort:\t%lld\n", number(spec, "healthCheckNodePort"));
    if (json_len(json_get(spec, "loadBalancerSourceRanges")))
        add_list("LoadBalancer Source Ranges", json_get(spec, "loadBalancerSourceRanges"), out);
    add_text("Traffic Distribution", spec, "trafficDistribution", out);
    describe_events(d, out);
}
