/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/cli/describe/describe.h"
#include "orchestrator/object/timestamp.h"

static void add_status(const struct described *d, const struct json *status, struct strbuf *out) {
    const char *deleted = json_str(json_path(d->object, "metadata", "deletionTimestamp"));
    char age[TIMESTAMP_SIZE];
    if (deleted) {
        strbuf_addf(out, "Status:\tTerminating (lasts %s)\n", describe_age(deleted, d->now_usec, age));
        strbuf_addf(out, "Termination Grace Period:\t%llds\n",
                    (long long) json_int_or(json_path(d->object, "metadata", "deletionGracePeriodSeconds"), 0));
    } else {
        strbuf_addf(out, "Status:\t%s\n", json_get_str(status, "phase"));
    }
    if (*json_get_str(status, "reason"))
        strbuf_addf(out, "Reason:\t%s\n", json_get_str(status, "reason"));
    if (*json_get_str(status, "message"))
        strbuf_addf(out, "Message:\t%s\n", json_get_str(status, "message"));
    strbuf_addf(out, "IP:\t%s\nIPs:%s\n", json_get_str(status, "podIP"),
                json_len(json_get(status, "podIPs")) ? "" : "\t<none>");
    for (size_t i = 0; i < json_len(json_get(status, "podIPs")); i++)
        strbuf_addf(out, "  IP:\t%s\n", json_get_str(json_at(json_get(status, "podIPs"), i), "ip"));
}

static void add_owner(const struct json *object, struct strbuf *out) {
    const struct json *owners = json_path(object, "metadata", "ownerReferences");
    for (size_t i = 0; i < json_len(owners); i++)
        if (json_bool_or(json_get(json_at(owners, i), "controller"), false))
            strbuf_addf(out, "Controlled By:\t%s/%s\n", json_get_str(json_at(owners, i), "kind"),
                        json_get_str(json_at(owners, i), "name"));
}

static void add_tolerations(const struct json *list, struct strbuf *out) {
    strbuf_adds(out, "Tolerations:");
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *t = json_at(list, i);
        strbuf_addf(out, "\t%s", json_get_str(t, "key"));
        if (*json_get_str(t, "value"))
            strbuf_addf(out, "=%s", json_get_str(t, "value"));
        if (*json_get_str(t, "effect"))
            strbuf_addf(out, ":%s", json_get_str(t, "effect"));
        if (strcmp(json_get_str(t, "operator"), "Exists") == 0)
            strbuf_adds(out, " op=Exists");
        if (json_get(t, "tolerationSeconds"))
            strbuf_addf(out, " for %llds", (long long) json_int_or(json_get(t, "tolerationSeconds"), 0));
        strbuf_addc(out, '\n');
    }
    if (json_len(list) == 0)
        strbuf_adds(out, "\t<none>\n");
}

void describe_pod(const struct described *d, struct strbuf *out) {
    const struct json *m = json_get(d->object, "metadata"), *spec = json_get(d->object, "spec");
    const struct json *status = json_get(d->object, "status");
    char time[40];
    strbuf_addf(out, "Name:\t%s\nNamespace:\t%s\n", json_get_str(m, "name"), json_get_str(m, "namespace"));
    strbuf_addf(out, "Priority:\t%lld\n", (long long) json_int_or(json_get(spec, "priority"), 0));
    if (*json_get_str(spec, "serviceAccountName"))
        strbuf_addf(out, "Service Account:\t%s\n", json_get_str(spec, "serviceAccountName"));
    if (*json_get_str(spec, "nodeName"))
        strbuf_addf(out, "Node:\t%s/%s\n", json_get_str(spec, "nodeName"), json_get_str(status, "hostIP"));
    else
        strbuf_adds(out, "Node:\t<none>\n");
    if (*json_get_str(status, "startTime"))
        strbuf_addf(out, "Start Time:\t%s\n", describe_time(json_get_str(status, "startTime"), time));
    describe_map("Labels", json_get(m, "labels"), "=", out);
    describe_map("Annotations", json_get(m, "annotations"), ": ", out);
    add_status(d, status, out);
    add_owner(d->object, out);
    describe_containers("Init Containers", json_get(spec, "initContainers"), json_get(status, "initContainerStatuses"),
                        "", out);
    describe_containers("Containers", json_get(spec, "containers"), json_get(status, "containerStatuses"), "", out);
    describe_conditions(json_get(status, "conditions"), false, out);
    describe_volumes(json_get(spec, "volumes"), "", out);
    strbuf_addf(out, "QoS Class:\t%s\n", json_get_str(status, "qosClass"));
    describe_map("Node-Selectors", json_get(spec, "nodeSelector"), "=", out);
    add_tolerations(json_get(spec, "tolerations"), out);
    describe_events(d, out);
}
