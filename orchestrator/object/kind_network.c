/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Endpoints, EndpointSlices, Ingresses, NetworkPolicies. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "podium/base/alloc.h"

#define TOPOLOGY_LABELS_MAX 16u
#define ZONE_HINTS_MAX      8u
#define SLICE_PORTS_MAX     20000u
#define CONTROLLER_NAME_MAX 250u
#define INGRESS_CLASS       "kubernetes.io/ingress.class"

static const struct place spec_place = {.name = "spec"};

/* --- endpoints --- */

#define UNSPECIFIED "may not be unspecified"

static const char *special_v4(uint32_t a) {
    if (a == 0)
        return UNSPECIFIED;
    if (a >> 24 == 127)
        return "may not be in the loopback range (127.0.0.0/8, ::1/128)";
    if (a >> 16 == 0xa9fe)
        return "may not be in the link-local range (169.254.0.0/16, fe80::/10)";
    return a >> 8 == 0xe00000 ? "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)" : NULL;
}

static const char *special_v6(const struct in6_addr *a) {
    if (IN6_IS_ADDR_UNSPECIFIED(a))
        return special_v4(0);
    if (IN6_IS_ADDR_LOOPBACK(a))
        return special_v4(INADDR_LOOPBACK);
    if (IN6_IS_ADDR_LINKLOCAL(a))
        return special_v4(0xa9fe0000);
    return IN6_IS_ADDR_MC_LINKLOCAL(a) ? special_v4(0xe0000001) : NULL;
}

void rules_reachable_address(struct field_errors *e, const struct place *at, const char *ip) {
    struct in6_addr six;
    struct in_addr four;
    const char *problem = NULL;
    if (!check_name(e, at, ip, name_form_ip))
        return;
    if (inet_pton(AF_INET, ip, &four) == 1)
        problem = special_v4(ntohl(four.s_addr));
    else if (inet_pton(AF_INET6, ip, &six) == 1)
        problem = special_v6(&six);
    if (problem && strncmp(problem, UNSPECIFIED, strlen(UNSPECIFIED)) == 0)
        complain_invalid_text(e, at, ip, UNSPECIFIED " (%s)", ip);
    else if (problem)
        complain_invalid_text(e, at, ip, "%s", problem);
}

static void check_endpoint_address(struct field_errors *e, const struct place *at, const struct json *address) {
    struct place ip = place_in(at, "ip");
    rules_reachable_address(e, &ip, json_str_or(json_get(address, "ip"), ""));
    check_member_name(e, at, address, "hostname", false, name_form_dns1123_label);
    check_member_name(e, at, address, "nodeName", false, name_form_dns1123_subdomain);
}

static void check_endpoint_port(struct field_errors *e, const struct place *at, const struct json *port, bool named) {
    struct place number = place_in(at, "port");
    check_member_name(e, at, port, "name", named, name_form_dns1123_label);
    check_port(e, &number, json_get(port, "port"));
    check_required_text(e, at, port, "protocol");
}

void rules_endpoints(struct field_errors *e, const struct json *object) {
    static const char *const lists[] = {"addresses", "notReadyAddresses"};
    static const struct place subsets = {.name = "subsets"};
    for (size_t i = 0; i < json_len(json_get(object, "subsets")); i++) {
        const struct json *subset = json_at(json_get(object, "subsets"), i), *ports = json_get(subset, "ports");
        struct place at = place_at(&subsets, i), port_list = place_in(&at, "ports");
        if (!json_len(json_get(subset, "addresses")) && !json_len(json_get(subset, "notReadyAddresses")))
            complain_required(e, &at, "must specify `addresses` or `notReadyAddresses`");
        for (size_t l = 0; l < ARRAY_LEN(lists); l++)
            for (size_t k = 0; k < json_len(json_get(subset, lists[l])); k++) {
                struct place list = place_in(&at, lists[l]), one = place_at(&list, k);
                check_endpoint_address(e, &one, json_at(json_get(subset, lists[l]), k));
            }
        for (size_t k = 0; k < json_len(ports); k++) {
            struct place one = place_at(&port_list, k);
            check_endpoint_port(e, &one, json_at(ports, k), json_len(ports) > 1);
        }
    }
}

static void check_slice_address(struct field_errors *e, const struct place *at, const char *address, const char *type) {
    bool six = strcmp(type, "IPv6") == 0;
    if (strcmp(type, "FQDN") == 0)
        check_name(e, at, address, name_form_dns1123_subdomain);
    else if (name_is_ipv6(address) != six)
        complain_invalid_text(e, at, address, "must be a valid %s address", six ? "IPv6" : "IPv4");
    else
        rules_reachable_address(e, at, address);
}

static void check_topology_and_hints(struct field_errors *e, const struct place *at, const struct json *endpoint) {
    struct place topology = place_in(at, "deprecatedTopology"), hints = place_in(at, "hints");
    struct place zones = place_in(&hints, "forZones");
    const struct json *labels = json_get(endpoint, "deprecatedTopology"),
                      *list = json_path(endpoint, "hints", "forZones");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    if (json_len(labels) > TOPOLOGY_LABELS_MAX)
        complain_too_many(e, &topology, json_len(labels), TOPOLOGY_LABELS_MAX);
    check_labels(e, &topology, labels);
    if (json_len(list) > ZONE_HINTS_MAX)
        complain_too_many(e, &zones, json_len(list), ZONE_HINTS_MAX);
    for (size_t i = 0; i < json_len(list); i++) {
        const char *name = json_get_str(json_at(list, i), "name");
        struct place one = place_at(&zones, i), name_place = place_in(&one, "name");
        if (seen_before(&seen, name))
            complain_duplicate(e, &name_place, name);
        check_name(e, &name_place, name, name_form_label_value);
    }
}

static void check_slice_endpoint(struct field_errors *e, const struct place *at, const struct json *endpoint,
                                 const char *type) {
    struct place list = place_in(at, "addresses");
    const struct json *addresses = json_get(endpoint, "addresses");
    if (!json_len(addresses))
        complain_required(e, &list, "must contain at least 1 address");
    else if (json_len(addresses) > 100)
        complain_too_many(e, &list, json_len(addresses), 100);
    for (size_t i = 0; *type && i < json_len(addresses); i++) {
        struct place one = place_at(&list, i);
        check_slice_address(e, &one, json_str_or(json_at(addresses, i), ""), type);
    }
    check_member_name(e, at, endpoint, "hostname", false, name_form_dns1123_label);
    check_member_name(e, at, endpoint, "nodeName", false, name_form_dns1123_subdomain);
    check_topology_and_hints(e, at, endpoint);
}

void rules_endpoint_slice(struct field_errors *e, const struct json *object) {
    static const char *const types[] = {"FQDN", "IPv4", "IPv6", NULL};
    static const struct place endpoints = {.name = "endpoints"}, ports = {.name = "ports"};
    const struct json *list = json_get(object, "endpoints");
    const char *type = json_str_or(json_get(object, "addressType"), "");
    _cleanup_(hashmap_freep) struct hashmap *names = NULL;
    check_one_of(e, NULL, object, "addressType", true, types);
    if (json_len(list) > 1000)
        complain_too_many(e, &endpoints, json_len(list), 1000);
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&endpoints, i);
        check_slice_endpoint(e, &one, json_at(list, i), type);
    }
    if (json_len(json_get(object, "ports")) > SLICE_PORTS_MAX)
        complain_too_many(e, &ports, json_len(json_get(object, "ports")), SLICE_PORTS_MAX);
    for (size_t i = 0; i < json_len(json_get(object, "ports")); i++) {
        const struct json *port = json_at(json_get(object, "ports"), i);
        struct place one = place_at(&ports, i), name = place_in(&one, "name");
        check_member_name(e, &one, port, "name", false, name_form_dns1123_label);
        check_required_text(e, &one, port, "protocol");
        check_member_name(e, &one, port, "appProtocol", false, name_form_qualified);
        if (seen_before(&names, json_str_or(json_get(port, "name"), "")))
            complain_duplicate(e, &name, json_str_or(json_get(port, "name"), ""));
    }
}

void rules_endpoint_slice_update(struct field_errors *e, const struct json *object, const struct json *old) {
    static const struct place at = {.name = "addressType"};
    check_immutable(e, &at, json_get(object, "addressType"), json_get(old, "addressType"));
}

/* --- ingress --- */

static void check_host(struct field_errors *e, const struct place *at, const char *host) {
    const char *problems[NAME_PROBLEMS_MAX];
    if (name_form_ip(host, problems) == 0)
        complain_invalid_text(e, at, host, "must be a DNS name, not an IP address");
    else
        check_name(e, at, host, strchr(host, '*') ? name_form_wildcard_subdomain : name_form_dns1123_subdomain);
}

static void check_backend(struct field_errors *e, const struct place *at, const struct json *backend) {
    struct place service_place = place_in(at, "service"), port_place = place_in(&service_place, "port");
    struct place number = place_in(&port_place, "number");
    const struct json *service = json_get(backend, "service"), *port = json_get(service, "port");
    bool named = json_str_len(json_get(port, "name")) > 0, numbered = json_int_or(json_get(port, "number"), 0) != 0;
    if (!json_is_null(service) && !json_is_null(json_get(backend, "resource"))) {
        complain_invalid_text(e, at, "", "cannot set both resource and service backends");
        return;
    }
    if (!json_is_null(json_get(backend, "resource")))
        return;
    if (json_is_null(service)) {
        complain_required(e, at, "resource or service backend is required");
        return;
    }
    check_member_name(e, &service_place, service, "name", true, name_form_dns1035_label);
    if (named && numbered)
        complain_invalid_text(e, &port_place, "", "cannot set both port name & port number");
    else if (named)
        check_member_name(e, &port_place, port, "name", true, name_form_port);
    else if (numbered)
        check_port(e, &number, json_get(port, "number"));
    else
        complain_required(e, &port_place, "port name or number is required");
}

static void check_path(struct field_errors *e, const struct place *at, const struct json *path) {
    static const char *const bad[] = {"//", "/./", "/../", "%2f", "%2F"}, *const bad_ends[] = {"/..", "/."};
    struct place place = place_in(at, "path"), backend = place_in(at, "backend"), type_place = place_in(at, "pathType");
    const char *s = json_str_or(json_get(path, "path"), ""), *type = json_str_or(json_get(path, "pathType"), "");
    size_t n = strlen(s);
    if (!*type)
        complain_required(e, &type_place, "pathType must be specified");
    bool strict = strcmp(type, "Exact") == 0 || strcmp(type, "Prefix") == 0;
    if ((strict || *s) && *s != '/')
        complain_invalid_text(e, &place, s, "must be an absolute path");
    for (size_t i = 0; strict && i < ARRAY_LEN(bad); i++)
        if (strstr(s, bad[i]))
            complain_invalid_text(e, &place, s, "must not contain '%s'", bad[i]);
    for (size_t i = 0; strict && i < ARRAY_LEN(bad_ends); i++)
        if (n >= strlen(bad_ends[i]) && strcmp(s + n - strlen(bad_ends[i]), bad_ends[i]) == 0)
            complain_invalid_text(e, &place, s, "cannot end with '%s'", bad_ends[i]);
    check_backend(e, &backend, json_get(path, "backend"));
}

void rules_ingress(struct field_errors *e, const struct json *object) {
    const struct json *spec = json_get(object, "spec"), *rules = json_get(spec, "rules");
    struct place list = place_in(&spec_place, "rules"), fallback = place_in(&spec_place, "defaultBackend");
    struct place tls = place_in(&spec_place, "tls");
    if (!json_len(rules) && json_is_null(json_get(spec, "defaultBackend")))
        complain_invalid(e, &spec_place, rules, "either `defaultBackend` or `rules` must be specified");
    if (!json_is_null(json_get(spec, "defaultBackend")))
        check_backend(e, &fallback, json_get(spec, "defaultBackend"));
    check_member_name(e, &spec_place, spec, "ingressClassName", false, name_form_dns1123_subdomain);
    for (size_t i = 0; i < json_len(rules); i++) {
        const struct json *rule = json_at(rules, i), *paths = json_path(rule, "http", "paths");
        struct place one = place_at(&list, i), host = place_in(&one, "host"), http = place_in(&one, "http");
        struct place path_list = place_in(&http, "paths");
        if (json_str_len(json_get(rule, "host")))
            check_host(e, &host, json_str(json_get(rule, "host")));
        if (!json_is_null(json_get(rule, "http")) && !json_len(paths))
            complain_required(e, &path_list, "");
        for (size_t k = 0; k < json_len(paths); k++) {
            struct place path = place_at(&path_list, k);
            check_path(e, &path, json_at(paths, k));
        }
    }
    for (size_t i = 0; i < json_len(json_get(spec, "tls")); i++) {
        const struct json *entry = json_at(json_get(spec, "tls"), i), *hosts = json_get(entry, "hosts");
        struct place one = place_at(&tls, i), host_list = place_in(&one, "hosts");
        for (size_t k = 0; k < json_len(hosts); k++) {
            struct place host = place_at(&host_list, k);
            check_host(e, &host, json_str_or(json_at(hosts, k), ""));
        }
        check_member_name(e, &one, entry, "secretName", false, name_form_dns1123_subdomain);
    }
}

/* The annotation came before the field and may only say the same. */
void rules_ingress_create(struct field_errors *e, const struct json *object) {
    static const struct place metadata = {.name = "metadata"};
    struct place annotations = place_in(&metadata, "annotations"), at = place_in(&annotations, INGRESS_CLASS);
    const struct json *said = json_path(object, "metadata", "annotations", INGRESS_CLASS);
    const struct json *class = json_path(object, "spec", "ingressClassName");
    if (said && !json_is_null(class) && !json_equal(said, class))
        complain_invalid(e, &at, said, "must match `ingressClassName` when both are specified");
}

static void check_class_scope(struct field_errors *e, const struct place *at, const struct json *parameters) {
    static const char *const scopes[] = {"Cluster", "Namespace", NULL};
    struct place ns = place_in(at, "namespace");
    const struct json *name = json_get(parameters, "namespace");
    check_one_of(e, at, parameters, "scope", true, scopes);
    if (json_get_is(parameters, "scope", "Namespace") && json_is_null(name))
        complain_required(e, &ns, "`parameters.scope` is set to 'Namespace'");
    else if (json_get_is(parameters, "scope", "Namespace"))
        check_name(e, &ns, json_str_or(name, ""), name_form_dns1123_label);
    else if (json_get_is(parameters, "scope", "Cluster") && !json_is_null(name))
        complain_forbidden(e, &ns, "`parameters.scope` is set to 'Cluster'");
}

void rules_ingress_class(struct field_errors *e, const struct json *object) {
    static const char *const names[] = {"kind", "name"};
    const struct json *spec = json_get(object, "spec"), *parameters = json_get(spec, "parameters");
    struct place controller = place_in(&spec_place, "controller"), at = place_in(&spec_place, "parameters");
    if (json_str_len(json_get(spec, "controller")) > CONTROLLER_NAME_MAX)
        complain_too_long(e, &controller, CONTROLLER_NAME_MAX);
    if (check_required_text(e, &spec_place, spec, "controller"))
        check_domain_path(e, &controller, json_get_str(spec, "controller"));
    if (json_is_null(parameters))
        return;
    check_member_name(e, &at, parameters, "apiGroup", false, name_form_dns1123_subdomain);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct place place = place_in(&at, names[i]);
        _cleanup_free_ char *missing = xasprintf("%s is required", names[i]);
        if (*json_get_str(parameters, names[i]))
            check_name(e, &place, json_get_str(parameters, names[i]), name_form_path_segment);
        else
            complain_required(e, &place, missing);
    }
    check_class_scope(e, &at, parameters);
}

void rules_ingress_class_update(struct field_errors *e, const struct json *object, const struct json *old) {
    struct place at = place_in(&spec_place, "controller");
    check_immutable(e, &at, json_path(object, "spec", "controller"), json_path(old, "spec", "controller"));
}

/* --- network policy --- */

/* The address and the length of "10.0.0.0/8"; false when it is none. */
static bool parse_cidr(const char *s, int *ret_family, uint8_t address[16], long *ret_length) {
    const char *slash = strchr(s, '/');
    _cleanup_free_ char *ip = xstrndup(s, slash ? (size_t) (slash - s) : 0);
    *ret_family = strchr(ip, ':') ? AF_INET6 : AF_INET;
    if (!slash || inet_pton(*ret_family, ip, address) != 1)
        return false;
    *ret_length = strtol(slash + 1, NULL, 10);
    return *ret_length >= 0 && *ret_length <= (*ret_family == AF_INET ? 32 : 128);
}

static bool is_strict_subset(const char *part, const char *whole) {
    uint8_t a[16], b[16];
    int part_family, whole_family;
    long part_length, whole_length;
    if (!parse_cidr(part, &part_family, a, &part_length) || !parse_cidr(whole, &whole_family, b, &whole_length))
        return true; /* that they are none is said already */
    if (part_family != whole_family || part_length <= whole_length)
        return false;
    for (long bit = 0; bit < whole_length; bit++)
        if ((a[bit / 8] ^ b[bit / 8]) & (0x80 >> bit % 8))
            return false;
    return true;
}

static void check_policy_port(struct field_errors *e, const struct place *at, const struct json *port) {
    struct place number = place_in(at, "port"), end = place_in(at, "endPort");
    const struct json *first = json_get(port, "port"), *last = json_get(port, "endPort");
    if (!json_is_null(first))
        check_port_or_name(e, &number, first);
    if (json_is_null(last))
        return;
    check_port(e, &end, last);
    if (json_is_null(first))
        complain_required(e, &number, "must be specified when `endPort` is specified");
    else if (json_is_string(first))
        complain_invalid(e, &end, last, "may not be specified when `port` is non-numeric");
    else if (json_int_or(last, 0) < json_int_or(first, 0))
        complain_invalid(e, &end, last, "must be greater than or equal to `port`");
}

static void check_peer(struct field_errors *e, const struct place *at, const struct json *peer) {
    static const char *const selectors[] = {"podSelector", "namespaceSelector"};
    struct place block = place_in(at, "ipBlock"), cidr = place_in(&block, "cidr"), except = place_in(&block, "except");
    const struct json *range = json_get(peer, "ipBlock"), *holes = json_get(range, "except");
    bool selects = false;
    for (size_t i = 0; i < ARRAY_LEN(selectors); i++) {
        struct place place = place_in(at, selectors[i]);
        selects = selects || !json_is_null(json_get(peer, selectors[i]));
        check_label_selector(e, &place, json_get(peer, selectors[i]));
    }
    if (!selects && json_is_null(range))
        complain_required(e, at, "must specify a peer");
    else if (selects && !json_is_null(range))
        complain_forbidden(e, at, "may not specify both ipBlock and another peer");
    if (json_is_null(range))
        return;
    if (check_required_text(e, &block, range, "cidr"))
        check_name(e, &cidr, json_str(json_get(range, "cidr")), name_form_cidr);
    for (size_t i = 0; i < json_len(holes); i++) {
        struct place one = place_at(&except, i);
        const char *hole = json_str_or(json_at(holes, i), "");
        check_name(e, &one, hole, name_form_cidr);
        if (!is_strict_subset(hole, json_get_str(range, "cidr")))
            complain_invalid_text(e, &one, hole, "must be a strict subset of `cidr`");
    }
}

static void check_policy_rules(struct field_errors *e, const struct json *spec, const char *key, const char *peers) {
    struct place list = place_in(&spec_place, key);
    for (size_t i = 0; i < json_len(json_get(spec, key)); i++) {
        const struct json *rule = json_at(json_get(spec, key), i);
        struct place one = place_at(&list, i), ports = place_in(&one, "ports"), from = place_in(&one, peers);
        for (size_t k = 0; k < json_len(json_get(rule, "ports")); k++) {
            struct place port = place_at(&ports, k);
            check_policy_port(e, &port, json_at(json_get(rule, "ports"), k));
        }
        for (size_t k = 0; k < json_len(json_get(rule, peers)); k++) {
            struct place peer = place_at(&from, k);
            check_peer(e, &peer, json_at(json_get(rule, peers), k));
        }
    }
}

void rules_network_policy(struct field_errors *e, const struct json *object) {
    const struct json *spec = json_get(object, "spec");
    struct place selector = place_in(&spec_place, "podSelector"), types = place_in(&spec_place, "policyTypes");
    check_label_selector(e, &selector, json_get(spec, "podSelector"));
    check_policy_rules(e, spec, "ingress", "from");
    check_policy_rules(e, spec, "egress", "to");
    if (json_len(json_get(spec, "policyTypes")) > 2)
        complain_invalid(e, &types, json_get(spec, "policyTypes"), "may not specify more than two policyTypes");
}
