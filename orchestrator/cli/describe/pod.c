/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/cli/describe/describe.h"
#include "orchestrator/object/timestamp.h"

static const char *text(const struct json *object, const char *key) {
    return json_str_or(json_get(object, key), "");
}

static void add_status(const struct described *d, const struct json *status, struct strbuf *out) {
    const char *deleted = json_str(json_path(d->object, "metadata", "deletionTimestamp"));
    char age[TIMESTAMP_SIZE];
    if (deleted) {
        strbuf_addf(out, "Status:\tTerminating (lasts %s)\n", describe_age(deleted, d->now_usec, age));
        strbuf_addf(out, "Termination Grace Period:\t%llds\n",
                    (long long) json_int_or(json_path(d->object, "metadata", "deletionGracePeriodSeconds"), 0));
    } else {
        strbuf_addf(out, "Status:\t%s\n", text(status, "phase"));
    }
    if (*text(status, "reason"))
        strbuf_addf(out, "Reason:\t%s\n", text(status, "reason"));
    if (*text(status, "message"))
        strbuf_addf(out, "Message:\t%s\n", text(status, "message"));
    strbuf_addf(out, "IP:\t%s\nIPs:%s\n", text(status, "podIP"),
                json_len(json_get(status, "podIPs")) ? "" : "\t<none>");
    for (size_t i = 0; i < json_len(json_get(status, "podIPs")); i++)
        strbuf_addf(out, "  IP:\t%s\n", text(json_at(json_get(status, "podIPs"), i), "ip"));
}

static void add_owner(const struct json *object, struct strbuf *out) {
    const struct json *owners = json_path(object, "metadata", "ownerReferences");
    for (size_t i = 0; i < json_len(owners); i++)
        if (json_bool_or(json_get(json_at(owners, i), "controller"), false))
            strbuf_addf(out, "Controlled By:\t%s/%s\n", text(json_at(owners, i), "kind"),
                        text(json_at(owners, i), "name"));
}

static void add_tolerations(const struct json *list, struct strbuf *out) {
    strbuf_adds(out, "Tolerations:");
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *t = json_at(list, i);
        strbuf_addf(out, "\t%s", text(t, "key"));
        if (*text(t, "value"))
            strbuf_addf(out, "=%s", text(t, "value"));
        if (*text(t, "effect"))
            strbuf_addf(out, ":%s", text(t, "effect"));
        if (strcmp(text(t, "operator"), "Exists") == 0)
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
    strbuf_addf(out, "Name:\t%s\nNamespace:\t%s\n", text(m, "name"), text(m, "namespace"));
    strbuf_addf(out, "Priority:\t%lld\n", (long long) json_int_or(json_get(spec, "priority"), 0));
    if (*text(spec, "serviceAccountName"))
        strbuf_addf(out, "Service Account:\t%s\n", text(spec, "serviceAccountName"));
    if (*text(spec, "nodeName"))
        strbuf_addf(out, "Node:\t%s/%s\n", text(spec, "nodeName"), text(status, "hostIP"));
    else
        strbuf_adds(out, "Node:\t<none>\n");
    if (*text(status, "startTime"))
        strbuf_addf(out, "Start Time:\t%s\n", describe_time(text(status, "startTime"), time));
    describe_map("Labels", json_get(m, "labels"), "=", out);
    describe_map("Annotations", json_get(m, "annotations"), ": ", out);
    add_status(d, status, out);
    add_owner(d->object, out);
    describe_containers("Init Containers", json_get(spec, "initContainers"), json_get(status, "initContainerStatuses"),
                        "", out);
    describe_containers("Containers", json_get(spec, "containers"), json_get(status, "containerStatuses"), "", out);
    describe_conditions(json_get(status, "conditions"), false, out);
    describe_volumes(json_get(spec, "volumes"), "", out);
    strbuf_addf(out, "QoS Class:\t%s\n", text(status, "qosClass"));
    describe_map("Node-Selectors", json_get(spec, "nodeSelector"), "=", out);
    add_tolerations(json_get(spec, "tolerations"), out);
    describe_events(d, out);
}
