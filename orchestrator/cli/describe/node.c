/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/cli/describe/describe.h"
#include "orchestrator/cli/print.h"
#include "orchestrator/object/quantity.h"
#include "orchestrator/object/timestamp.h"

static void add_roles(const struct json *labels, struct strbuf *out) {
    static const char prefix[] = "node-role.kubernetes.io/";
    size_t n = 0;
    strbuf_adds(out, "Roles:\t");
    for (size_t i = 0; i < json_len(labels); i++)
        if (strncmp(json_key_at(labels, i), prefix, strlen(prefix)) == 0)
            strbuf_addf(out, "%s%s", n++ ? "," : "", json_key_at(labels, i) + strlen(prefix));
    strbuf_adds(out, n ? "\n" : "<none>\n");
}

static void add_taints(const struct json *spec, struct strbuf *out) {
    const struct json *taints = json_get(spec, "taints");
    strbuf_adds(out, "Taints:");
    for (size_t i = 0; i < json_len(taints); i++) {
        const struct json *t = json_at(taints, i);
        strbuf_addf(out, "\t%s%s%s:%s\n", json_get_str(t, "key"), *json_get_str(t, "value") ? "=" : "",
                    json_get_str(t, "value"), json_get_str(t, "effect"));
    }
    if (json_len(taints) == 0)
        strbuf_adds(out, "\t<none>\n");
    strbuf_addf(out, "Unschedulable:\t%s\n", json_bool_or(json_get(spec, "unschedulable"), false) ? "true" : "false");
}

static void add_conditions(const struct json *list, struct strbuf *out) {
    char beat[40], change[40];
    strbuf_adds(out, "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage\n"
                     "  ----\t------\t-----------------\t------------------\t------\t-------\n");
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *c = json_at(list, i);
        strbuf_addf(out, "  %s\t%s\t%s\t%s\t%s\t%s\n", json_get_str(c, "type"), json_get_str(c, "status"),
                    describe_time(json_get_str(c, "lastHeartbeatTime"), beat),
                    describe_time(json_get_str(c, "lastTransitionTime"), change), json_get_str(c, "reason"),
                    json_get_str(c, "message"));
    }
}

static void add_amounts(const char *title, const struct json *amounts, struct strbuf *out) {
    _cleanup_json_ struct json *sorted = json_sorted(amounts);
    strbuf_addf(out, "%s:\n", title);
    for (size_t i = 0; i < json_len(sorted); i++)
        strbuf_addf(out, "  %s:\t%s\n", json_key_at(sorted, i), json_str_or(json_value_at(sorted, i), ""));
}

static void add_info(const struct json *info, struct strbuf *out) {
    static const struct {
        const char *title, *key;
    } rows[] = {
        {"Machine ID", "machineID"},
        {"System UUID", "systemUUID"},
        {"Boot ID", "bootID"},
        {"Kernel Version", "kernelVersion"},
        {"OS Image", "osImage"},
        {"Operating System", "operatingSystem"},
        {"Architecture", "architecture"},
        {"Container Runtime Version", "containerRuntimeVersion"},
        {"Kubelet Version", "kubeletVersion"},
    };
    strbuf_adds(out, "System Info:\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        strbuf_addf(out, "  %s:\t%s\n", rows[i].title, json_get_str(info, rows[i].key));
}

/* What the containers of a pod ask for, in thousandths of the unit. */
static int64_t asked(const struct json *pod, const char *kind, const char *resource) {
    const struct json *list = json_path(pod, "spec", "containers");
    int64_t sum = 0;
    for (size_t i = 0; i < json_len(list); i++)
        sum += quantity_json_milli(json_path(json_at(list, i), "resources", kind, resource), 0);
    return sum;
}

static void add_share(int64_t milli, int64_t of_milli, bool bytes, struct strbuf *out) {
    _cleanup_free_ char *amount = bytes ? quantity_format_binary(milli / 1000) : quantity_format_milli(milli);
    strbuf_addf(out, "\t%s (%lld%%)", amount,
                (long long) (of_milli > 0 ? milli / (of_milli / 100 ? of_milli / 100 : 1) : 0));
}

static void add_pods(const struct described *d, struct strbuf *out) {
    static const struct {
        const char *kind, *resource;
    } columns[] = {{"requests", "cpu"}, {"limits", "cpu"}, {"requests", "memory"}, {"limits", "memory"}};
    const struct json *allocatable = json_path(d->object, "status", "allocatable");
    int64_t sums[ARRAY_LEN(columns)] = {0};
    size_t n = 0;
    char age[TIMESTAMP_SIZE];
    _cleanup_strbuf_ struct strbuf rows = STRBUF_INIT;
    for (size_t i = 0; i < json_len(d->related); i++) {
        const struct json *pod = json_at(d->related, i);
        const char *phase = json_str_or(json_path(pod, "status", "phase"), "");
        if (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0)
            continue;
        n++;
        strbuf_addf(&rows, "  %s\t%s", json_get_str(json_get(pod, "metadata"), "namespace"),
                    json_get_str(json_get(pod, "metadata"), "name"));
        for (size_t c = 0; c < ARRAY_LEN(columns); c++) {
            int64_t milli = asked(pod, columns[c].kind, columns[c].resource);
            sums[c] += milli;
            add_share(milli, quantity_json_milli(json_get(allocatable, columns[c].resource), 0), c >= 2, &rows);
        }
        strbuf_addf(&rows, "\t%s\n",
                    describe_age(json_get_str(json_get(pod, "metadata"), "creationTimestamp"), d->now_usec, age));
    }
    strbuf_addf(out, "Non-terminated Pods:\t(%zu in total)\n", n);
    if (n > 0)
        strbuf_adds(out, "  Namespace\tName\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge\n"
                         "  ---------\t----\t------------\t----------\t---------------\t-------------\t---\n");
    strbuf_adds(out, strbuf_str(&rows));
    strbuf_adds(out, "Allocated resources:\n  Resource\tRequests\tLimits\n  --------\t--------\t------\n");
    for (size_t c = 0; c < ARRAY_LEN(columns); c += 2) {
        int64_t of = quantity_json_milli(json_get(allocatable, columns[c].resource), 0);
        strbuf_addf(out, "  %s", columns[c].resource);
        add_share(sums[c], of, c >= 2, out);
        add_share(sums[c + 1], of, c >= 2, out);
        strbuf_addc(out, '\n');
    }
}

void describe_node(const struct described *d, struct strbuf *out) {
    const struct json *m = json_get(d->object, "metadata"), *spec = json_get(d->object, "spec");
    const struct json *status = json_get(d->object, "status"), *addresses = json_get(status, "addresses");
    char time[40];
    strbuf_addf(out, "Name:\t%s\n", json_get_str(m, "name"));
    add_roles(json_get(m, "labels"), out);
    describe_map("Labels", json_get(m, "labels"), "=", out);
    describe_map("Annotations", json_get(m, "annotations"), ": ", out);
    strbuf_addf(out, "CreationTimestamp:\t%s\n", describe_time(json_get_str(m, "creationTimestamp"), time));
    add_taints(spec, out);
    add_conditions(json_get(status, "conditions"), out);
    strbuf_adds(out, "Addresses:\n");
    for (size_t i = 0; i < json_len(addresses); i++)
        strbuf_addf(out, "  %s:\t%s\n", json_get_str(json_at(addresses, i), "type"),
                    json_get_str(json_at(addresses, i), "address"));
    add_amounts("Capacity", json_get(status, "capacity"), out);
    add_amounts("Allocatable", json_get(status, "allocatable"), out);
    add_info(json_get(status, "nodeInfo"), out);
    if (*json_get_str(spec, "podCIDR"))
        strbuf_addf(out, "PodCIDR:\t%s\n", json_get_str(spec, "podCIDR"));
    add_pods(d, out);
    describe_events(d, out);
}
