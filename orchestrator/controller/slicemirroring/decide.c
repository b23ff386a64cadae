/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/slicemirroring/decide.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/servicestate.h"

/* Endpoints that are nothing but a lock (leader election of old clients). */
#define ANNOTATION_LEADER       "control-plane.alpha.kubernetes.io/leader"
#define ANNOTATION_LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

bool slicemirroring_wanted(const struct json *endpoints, const struct json *service) {
    const struct json *meta = json_get(endpoints, "metadata");
    return endpoints && service && !meta_is_deleting(endpoints) &&
           strcmp(json_str_or(json_get(json_get(meta, "labels"), LABEL_SKIP_MIRROR), ""), "true") != 0 &&
           !json_get(json_get(meta, "annotations"), ANNOTATION_LEADER) &&
           json_len(json_path(service, "spec", "selector")) == 0;
}

static void copy(struct json **to, const struct json *from, const char *key) {
    struct json *v = json_get(from, key);
    if (!json_is_null(v))
        json_set(to, key, json_ref(v));
}

static struct json *slice_ports(const struct json *subset) {
    const struct json *ports = json_get(subset, "ports");
    struct json *list = json_array();
    for (size_t i = 0; i < json_len(ports); i++) {
        const struct json *port = json_at(ports, i);
        struct json **p = json_append(&list, json_object());
        json_set(p, "name", json_string(json_str_or(json_get(port, "name"), "")));
        copy(p, port, "port");
        json_set(p, "protocol", json_string(json_str_or(json_get(port, "protocol"), "TCP")));
        copy(p, port, "appProtocol");
    }
    return list;
}

static struct json *endpoint(const struct json *address, bool ready) {
    struct json *e = json_object(), *ips = json_array();
    json_append(&ips, json_ref(json_get(address, "ip")));
    json_set(&e, "addresses", ips);
    json_set_path(&e, json_bool(ready), "conditions", "ready");
    copy(&e, address, "hostname");
    copy(&e, address, "targetRef");
    copy(&e, address, "nodeName");
    return e;
}

struct json *slicemirroring_groups(const struct json *endpoints) {
    static const char *const lists[] = {"addresses", "notReadyAddresses"};
    const struct json *subsets = json_get(endpoints, "subsets");
    struct json *groups = NULL;
    for (size_t i = 0; i < json_len(subsets); i++) {
        _cleanup_json_ struct json *ports = slice_ports(json_at(subsets, i));
        size_t room = SLICEMIRRORING_MAX;
        for (size_t l = 0; l < 2; l++) {
            const struct json *list = json_get(json_at(subsets, i), lists[l]);
            for (size_t k = 0; k < json_len(list) && room > 0; k++) {
                const char *ip = json_str(json_get(json_at(list, k), "ip"));
                if (!ip)
                    continue;
                slice_group_add(&groups, strchr(ip, ':') ? "IPv6" : "IPv4", ports, endpoint(json_at(list, k), l == 0));
                room--;
            }
        }
    }
    return groups;
}

struct json *slicemirroring_labels(const struct json *endpoints) {
    struct json *labels = json_ref(json_path(endpoints, "metadata", "labels"));
    json_set(&labels, LABEL_SERVICE_NAME, json_string(meta_name(endpoints)));
    json_set(&labels, LABEL_SLICE_MANAGED_BY, json_string(SLICEMIRRORING_MANAGER));
    return labels;
}

struct json *slicemirroring_annotations(const struct json *endpoints) {
    const struct json *all = json_path(endpoints, "metadata", "annotations");
    struct json *kept = NULL;
    for (size_t i = 0; i < json_len(all); i++) {
        const char *key = json_key_at(all, i);
        if (strcmp(key, ANNOTATION_LAST_APPLIED) != 0 && strcmp(key, ANNOTATION_TRIGGER) != 0)
            json_set(&kept, key, json_ref(json_value_at(all, i)));
    }
    return kept;
}
