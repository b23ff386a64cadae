/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/endpointslice/decide.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/podstate.h"
#include "orchestrator/controller/servicestate.h"

#define LABEL_ZONE "topology.kubernetes.io/zone"

/* trafficDistribution PreferClose: an endpoint is for its own zone. */
static void set_hint(struct json **e, const struct json *service, const struct json *zone) {
    if (strcmp(json_str_or(json_path(service, "spec", "trafficDistribution"), ""), "PreferClose") != 0)
        return;
    struct json *zones = json_array(), *one = json_object();
    json_set(&one, "name", json_ref(zone));
    json_append(&zones, one);
    json_set_path(e, zones, "hints", "forZones");
}

static struct json *endpoint(const struct json *service, const struct json *pod, const struct json *node) {
    bool serving = pod_is_ready(pod), terminating = meta_is_deleting(pod);
    bool publish = json_bool_or(json_path(service, "spec", "publishNotReadyAddresses"), false);
    struct json *e = json_object(), *addresses = json_array(), *conditions = json_object();
    const char *host = pod_service_hostname(pod, service);
    const struct json *zone = json_get(json_path(node, "metadata", "labels"), LABEL_ZONE);
    json_append(&addresses, json_string(pod_ipv4(pod)));
    json_set(&e, "addresses", addresses);
    json_set(&conditions, "ready", json_bool(publish || (serving && !terminating)));
    json_set(&conditions, "serving", json_bool(serving));
    json_set(&conditions, "terminating", json_bool(terminating));
    json_set(&e, "conditions", conditions);
    if (host)
        json_set(&e, "hostname", json_string(host));
    json_set(&e, "targetRef", pod_target_ref(pod));
    if (*pod_node(pod))
        json_set(&e, "nodeName", json_ref(json_path(pod, "spec", "nodeName")));
    if (json_str_len(zone))
        json_set(&e, "zone", json_ref(zone));
    if (json_str_len(zone) && (publish || (serving && !terminating)))
        set_hint(&e, service, zone);
    return e;
}

struct json *endpointslice_groups(const struct json *service, struct json *const *pods, size_t n,
                                  const struct endpointslice_nodes *nodes, bool *ret_missing) {
    bool publish = json_bool_or(json_path(service, "spec", "publishNotReadyAddresses"), false);
    bool no_ports = json_len(json_path(service, "spec", "ports")) == 0;
    _cleanup_json_ struct json *fixed =
        service_ports_are_fixed(service) ? pod_service_ports(NULL, service, false) : NULL;
    struct json *groups = NULL;
    *ret_missing = false;
    for (size_t i = 0; i < n; i++) {
        if (!service_selects(service, pods[i]) || !pod_is_endpoint(pods[i], true))
            continue;
        const struct json *node = *pod_node(pods[i]) ? nodes->get(nodes->userdata, pod_node(pods[i])) : NULL;
        if (*pod_node(pods[i]) && !node && !publish) {
            *ret_missing = true;
            continue;
        }
        _cleanup_json_ struct json *ports = fixed ? json_ref(fixed) : pod_service_ports(pods[i], service, false);
        if (json_len(ports) > 0 || no_ports)
            slice_group_add(&groups, "IPv4", ports, endpoint(service, pods[i], node));
    }
    return groups;
}

struct json *endpointslice_labels(const struct json *service) {
    static const char *const reserved[] = {LABEL_SERVICE_NAME, LABEL_SLICE_MANAGED_BY, LABEL_HEADLESS};
    struct json *labels = json_ref(json_path(service, "metadata", "labels"));
    for (size_t i = 0; labels && i < sizeof(reserved) / sizeof(*reserved); i++)
        json_del(&labels, reserved[i]);
    json_set(&labels, LABEL_SERVICE_NAME, json_string(meta_name(service)));
    json_set(&labels, LABEL_SLICE_MANAGED_BY, json_string(ENDPOINTSLICE_MANAGER));
    if (service_is_headless(service))
        json_set(&labels, LABEL_HEADLESS, json_string(""));
    return labels;
}
