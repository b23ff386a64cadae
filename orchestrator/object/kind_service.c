/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Services. */
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "podium/base/alloc.h"

static const struct place spec_place = {.name = "spec"};

static bool is_type(const struct json *spec, const char *type) {
    return strcmp(json_str_or(json_get(spec, "type"), ""), type) == 0;
}

static bool is_headless(const struct json *spec) {
    return strcmp(json_str_or(json_get(spec, "clusterIP"), ""), "None") == 0;
}

static void check_service_port(struct field_errors *e, const struct place *at, const struct json *port,
                               const struct json *spec, bool named) {
    struct place number = place_in(at, "port"), target = place_in(at, "targetPort"), node = place_in(at, "nodePort");
    check_member_name(e, at, port, "name", named, name_form_dns1123_label);
    check_port(e, &number, json_get(port, "port"));
    check_required_text(e, at, port, "protocol");
    check_port_or_name(e, &target, json_get(port, "targetPort"));
    check_member_name(e, at, port, "appProtocol", false, name_form_qualified);
    if (json_int_or(json_get(port, "nodePort"), 0) == 0)
        return;
    if (is_type(spec, "ClusterIP"))
        complain_forbidden(e, &node, "may not be used when `type` is 'ClusterIP'");
    else
        check_port(e, &node, json_get(port, "nodePort"));
}

static void check_service_ports(struct field_errors *e, const struct json *spec) {
    struct place list = place_in(&spec_place, "ports");
    const struct json *ports = json_get(spec, "ports");
    _cleanup_(hashmap_freep) struct hashmap *names = NULL, *numbers = NULL, *node_ports = NULL;
    if (!json_len(ports) && !is_headless(spec) && !is_type(spec, "ExternalName"))
        complain_required(e, &list, "");
    for (size_t i = 0; i < json_len(ports); i++) {
        const struct json *port = json_at(ports, i);
        struct place at = place_at(&list, i), name = place_in(&at, "name"), node = place_in(&at, "nodePort");
        const char *protocol = json_str_or(json_get(port, "protocol"), "TCP");
        check_service_port(e, &at, port, spec, json_len(ports) > 1);
        const char *s = json_str_or(json_get(port, "name"), "");
        if (*s && seen_before(&names, s))
            complain_duplicate(e, &name, s);
        _cleanup_free_ char *number =
            xasprintf("%s/%lld", protocol, (long long) json_int_or(json_get(port, "port"), 0));
        if (seen_before(&numbers, number)) {
            _cleanup_free_ char *field = place_text(&at);
            _cleanup_json_ struct json *pair = json_object();
            json_set(&pair, "port", json_ref(json_get(port, "port")));
            json_set(&pair, "protocol", json_string(protocol));
            field_errors_add(e, "FieldValueDuplicate", field, pair, NULL);
        }
        int64_t node_port = json_int_or(json_get(port, "nodePort"), 0);
        _cleanup_free_ char *host = xasprintf("%s/%lld", protocol, (long long) node_port);
        if (node_port && seen_before(&node_ports, host)) {
            _cleanup_free_ char *field = place_text(&node);
            field_errors_add(e, "FieldValueDuplicate", field, json_get(port, "nodePort"), NULL);
        }
    }
}

static void check_external_name_addresses(struct field_errors *e, const struct json *spec) {
    static const char *const fields[] = {"clusterIPs", "ipFamilies", "ipFamilyPolicy"};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct place at = place_in(&spec_place, fields[i]);
        const struct json *v = json_get(spec, fields[i]);
        if (json_len(v) || json_str_len(v))
            complain_forbidden(e, &at, "may not be set for ExternalName services");
    }
}

static void check_families(struct field_errors *e, const struct json *spec) {
    struct place list = place_in(&spec_place, "ipFamilies");
    const struct json *families = json_get(spec, "ipFamilies");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t i = 0; json_len(families) > 1 && i < json_len(families); i++) {
        struct place one = place_at(&list, i);
        if (seen_before(&seen, json_str_or(json_at(families, i), "")))
            complain_duplicate(e, &one, json_str_or(json_at(families, i), ""));
    }
}

/* Each address of the family at its place, one of a family. */
static void check_address_families(struct field_errors *e, const struct json *ips, const struct json *families) {
    struct place list = place_in(&spec_place, "clusterIPs");
    bool six = false, four = false;
    for (size_t i = 0; i < json_len(ips); i++) {
        const char *ip = json_str_or(json_at(ips, i), ""), *family = json_str_or(json_at(families, i), "");
        struct place at = place_at(&list, i);
        bool is_six = name_is_ipv6(ip);
        six = six || is_six;
        four = four || !is_six;
        if (*family && strcmp(ip, "None") != 0 && is_six != (strcmp(family, "IPv6") == 0))
            complain_invalid_text(e, &at, ip, "expected an %s value as indicated by `ipFamilies[%zu]`", family, i);
    }
    if (json_len(ips) > 1 && !(six && four))
        complain_invalid(e, &list, ips, "may specify no more than one IP for each IP family");
}

static void check_cluster_ips(struct field_errors *e, const struct json *spec) {
    struct place list = place_in(&spec_place, "clusterIPs"), first = place_at(&list, 0);
    const struct json *ips = json_get(spec, "clusterIPs");
    const char *one = json_get_str(spec, "clusterIP");
    bool good = true, none = json_len(ips) && strcmp(json_str_or(json_at(ips, 0), ""), "None") == 0;
    if (is_type(spec, "ExternalName")) {
        check_external_name_addresses(e, spec);
        return;
    }
    if (!*one && json_len(ips))
        complain_invalid(e, &list, ips, "must be empty when `clusterIP` is not specified");
    else if (json_len(ips) && strcmp(json_str_or(json_at(ips, 0), ""), one) != 0)
        complain_invalid(e, &list, ips, "first value must match `clusterIP`");
    if (strcmp(one, "None") == 0 && (is_type(spec, "NodePort") || is_type(spec, "LoadBalancer")))
        complain_invalid_text(e, &first, one, "may not be set to 'None' for %s services",
                              json_str(json_get(spec, "type")));
    check_families(e, spec);
    if (none && json_len(ips) > 1) {
        complain_invalid(e, &list, ips, "'None' must be the first and only value");
        good = false;
    }
    for (size_t i = none; i < json_len(ips); i++) {
        struct place at = place_at(&list, i);
        good = check_name(e, &at, json_str_or(json_at(ips, i), ""), name_form_ip) && good;
    }
    if (json_len(ips) > 2)
        complain_invalid(e, &list, ips, "may only hold up to 2 values");
    if (good)
        check_address_families(e, ips, json_get(spec, "ipFamilies"));
}

#define NODE_AGENT_PORT 10250 /* upstream's kubelet's */

static void check_balanced_ports(struct field_errors *e, const struct json *spec) {
    struct place list = place_in(&spec_place, "ports");
    const struct json *ports = json_get(spec, "ports");
    for (size_t i = 0; is_type(spec, "LoadBalancer") && i < json_len(ports); i++) {
        struct place at = place_at(&list, i), number = place_in(&at, "port");
        if (json_int_or(json_get(json_at(ports, i), "port"), 0) == NODE_AGENT_PORT)
            complain_invalid(e, &number, json_get(json_at(ports, i), "port"),
                             "may not expose port 10250 externally since it is used by kubelet");
    }
}

static void check_external(struct field_errors *e, const struct json *spec) {
    struct place name = place_in(&spec_place, "externalName"), ips = place_in(&spec_place, "externalIPs");
    struct place ranges = place_in(&spec_place, "LoadBalancerSourceRanges"), /* upstream's path */
        class = place_in(&spec_place, "loadBalancerClass");
    struct place policy = place_in(&spec_place, "externalTrafficPolicy"),
                 ports = place_in(&spec_place, "allocateLoadBalancerNodePorts");
    struct place health = place_in(&spec_place, "healthCheckNodePort");
    bool balanced = is_type(spec, "LoadBalancer");
    if (is_type(spec, "ExternalName")) {
        _cleanup_free_ char *host = xstrdup(json_str_or(json_get(spec, "externalName"), ""));
        size_t n = strlen(host);
        if (n && host[n - 1] == '.')
            host[n - 1] = 0;
        if (n)
            check_name(e, &name, host, name_form_dns1123_subdomain);
        else
            complain_required(e, &name, "");
    }
    for (size_t i = 0; i < json_len(json_get(spec, "externalIPs")); i++) {
        struct place at = place_at(&ips, i);
        rules_reachable_address(e, &at, json_str_or(json_at(json_get(spec, "externalIPs"), i), ""));
    }
    if (json_len(json_get(spec, "loadBalancerSourceRanges")) && !balanced)
        complain_forbidden(e, &ranges, "may only be used when `type` is 'LoadBalancer'");
    for (size_t i = 0; balanced && i < json_len(json_get(spec, "loadBalancerSourceRanges")); i++) {
        struct place at = place_at(&ranges, i);
        check_name(e, &at, json_str_or(json_at(json_get(spec, "loadBalancerSourceRanges"), i), ""), name_form_cidr);
    }
    if (!json_is_null(json_get(spec, "loadBalancerClass")) && balanced)
        check_name(e, &class, json_get_str(spec, "loadBalancerClass"), name_form_qualified);
    else if (!json_is_null(json_get(spec, "loadBalancerClass")))
        complain_forbidden(e, &class, "may only be used when `type` is 'LoadBalancer'");
    if (!json_is_null(json_get(spec, "allocateLoadBalancerNodePorts")) && !balanced)
        complain_forbidden(e, &ports, "may only be used when `type` is 'LoadBalancer'");
    bool external = balanced || is_type(spec, "NodePort") || json_len(json_get(spec, "externalIPs"));
    if (json_str_len(json_get(spec, "externalTrafficPolicy")) && !external)
        complain_invalid(e, &policy, json_get(spec, "externalTrafficPolicy"),
                         "may only be set for externally-accessible services");
    bool local = strcmp(json_str_or(json_get(spec, "externalTrafficPolicy"), ""), "Local") == 0;
    if (json_int_or(json_get(spec, "healthCheckNodePort"), 0) && !(balanced && local))
        complain_invalid(e, &health, json_get(spec, "healthCheckNodePort"),
                         "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
}

static void check_ingress(struct field_errors *e, const struct place *at, const struct json *ingress) {
    static const char *const modes[] = {"Proxy", "VIP", NULL};
    struct place ip = place_in(at, "ip"), mode = place_in(at, "ipMode"), host = place_in(at, "hostname");
    const char *address = json_get_str(ingress, "ip"), *name = json_get_str(ingress, "hostname"),
               *problems[NAME_PROBLEMS_MAX];
    if (*address)
        check_name(e, &ip, address, name_form_ip);
    if (!json_is_null(json_get(ingress, "ipMode")) && !*address)
        complain_forbidden(e, &mode, "may not be specified when `ip` is not set");
    else if (json_is_null(json_get(ingress, "ipMode")) && *address)
        complain_required(e, &mode, "must be specified when `ip` is set");
    else
        check_one_of(e, at, ingress, "ipMode", false, modes);
    check_member_name(e, at, ingress, "hostname", false, name_form_dns1123_subdomain);
    if (*name && name_form_ip(name, problems) == 0)
        complain_invalid_text(e, &host, name, "must be a DNS name, not an IP address");
}

void rules_service_status(struct field_errors *e, const struct json *object) {
    static const struct place status = {.name = "status"};
    struct place balancer = place_in(&status, "loadBalancer"), list = place_in(&balancer, "ingress");
    const struct json *ingress = json_path(object, "status", "loadBalancer", "ingress");
    if (json_len(ingress) && !is_type(json_get(object, "spec"), "LoadBalancer")) {
        complain_forbidden(e, &list, "may only be used when `spec.type` is 'LoadBalancer'");
        return;
    }
    for (size_t i = 0; i < json_len(ingress); i++) {
        struct place at = place_at(&list, i);
        check_ingress(e, &at, json_at(ingress, i));
    }
}

void rules_service(struct field_errors *e, const struct json *object) {
    static const char *const distributions[] = {"PreferClose", NULL};
    const struct json *spec = json_get(object, "spec");
    struct place selector = place_in(&spec_place, "selector"), config = place_in(&spec_place, "sessionAffinityConfig");
    struct place client = place_in(&config, "clientIP"), timeout = place_in(&client, "timeoutSeconds");
    check_required_text(e, &spec_place, spec, "type");
    check_required_text(e, &spec_place, spec, "sessionAffinity");
    check_labels(e, &selector, json_get(spec, "selector"));
    check_service_ports(e, spec);
    check_cluster_ips(e, spec);
    check_external(e, spec);
    check_balanced_ports(e, spec);
    check_one_of(e, &spec_place, spec, "trafficDistribution", false, distributions);
    const struct json *seconds = json_path(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds");
    if (strcmp(json_str_or(json_get(spec, "sessionAffinity"), ""), "ClientIP") == 0) {
        int64_t v = json_int_or(seconds, 0);
        if (v <= 0 || v > 86400)
            complain_invalid(e, &timeout, seconds, "must be greater than 0 and less than 86400");
    } else if (!json_is_null(json_get(spec, "sessionAffinityConfig"))) {
        complain_forbidden(e, &config, "must not be set when session affinity is None");
    }
}

static bool is_balanced_locally(const struct json *spec) {
    return is_type(spec, "LoadBalancer") &&
           strcmp(json_str_or(json_get(spec, "externalTrafficPolicy"), ""), "Local") == 0;
}

/* The first stays; the second goes only with the policy. Services without an address may change. */
static void check_families_update(struct field_errors *e, const struct json *spec, const struct json *before) {
    struct place list = place_in(&spec_place, "ipFamilies"), first = place_at(&list, 0);
    struct place policy = place_in(&spec_place, "ipFamilyPolicy");
    const struct json *now = json_get(spec, "ipFamilies"), *was = json_get(before, "ipFamilies");
    if (is_headless(spec) || is_headless(before) || !json_len(was) || !json_len(now))
        return;
    if (!json_equal(json_at(now, 0), json_at(was, 0)))
        complain_invalid(e, &first, now, "may not change once set");
    if (json_len(was) > 1 && json_len(now) == 1 && !json_get_is(spec, "ipFamilyPolicy", "SingleStack"))
        complain_invalid(e, &policy, json_get(spec, "ipFamilyPolicy"),
                         "must be set to 'SingleStack' when releasing the secondary ipFamily");
}

static void check_health_port(struct field_errors *e, const struct place *at, const struct json *now,
                              const struct json *before) {
    if (json_int_or(now, 0) != json_int_or(before, 0))
        complain_forbidden(e, at, "field is immutable");
}

void rules_service_update(struct field_errors *e, const struct json *object, const struct json *old) {
    struct place list = place_in(&spec_place, "clusterIPs"), first = place_at(&list, 0);
    struct place health = place_in(&spec_place, "healthCheckNodePort"),
                 class = place_in(&spec_place, "loadBalancerClass");
    const struct json *spec = json_get(object, "spec"), *before = json_get(old, "spec");
    const char *ip = json_str_or(json_get(spec, "clusterIP"), ""),
               *was = json_str_or(json_get(before, "clusterIP"), "");
    if (is_balanced_locally(spec) && is_balanced_locally(before))
        check_health_port(e, &health, json_get(spec, "healthCheckNodePort"), json_get(before, "healthCheckNodePort"));
    if (is_type(spec, "LoadBalancer") && is_type(before, "LoadBalancer") &&
        !json_equal(json_get(spec, "loadBalancerClass"), json_get(before, "loadBalancerClass")))
        complain_invalid(e, &class, json_get(spec, "loadBalancerClass"), "may not change once set");
    if (is_type(spec, "ExternalName") || is_type(before, "ExternalName"))
        return;
    if (*was && strcmp(ip, was) != 0)
        complain_invalid(e, &first, json_get(spec, "clusterIPs"), "may not change once set");
    check_families_update(e, spec, before);
}
