/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ConfigMaps, Secrets, Services, namespaces, and whatever has no description of its own. */
#include <string.h>

#include "orchestrator/cli/describe/describe.h"
#include "orchestrator/cli/print.h"
#include "orchestrator/cli/tabs.h"
#include "orchestrator/manifest/yaml.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"

static const char *text(const struct json *object, const char *key) {
    return json_str_or(json_get(object, key), "");
}

static size_t decoded_size(const char *base64) {
    uint8_t *bytes;
    size_t n = 0;
    if (base64_decode(base64, strlen(base64), &bytes, &n) == 0) {
        explicit_bzero(bytes, n);
        free(bytes);
    }
    return n;
}

void describe_configmap(const struct described *d, struct strbuf *out) {
    _cleanup_json_ struct json *data = json_sorted(json_get(d->object, "data"));
    _cleanup_json_ struct json *binary = json_sorted(json_get(d->object, "binaryData"));
    describe_metadata(d->object, true, out);
    strbuf_adds(out, "\nData\n====\n");
    for (size_t i = 0; i < json_len(data); i++)
        strbuf_addf(out, "%s:\n----\n%s\n\n", json_key_at(data, i), json_str_or(json_value_at(data, i), ""));
    strbuf_adds(out, "\nBinaryData\n====\n");
    for (size_t i = 0; i < json_len(binary); i++)
        strbuf_addf(out, "%s: %zu bytes\n", json_key_at(binary, i),
                    decoded_size(json_str_or(json_value_at(binary, i), "")));
    strbuf_addc(out, '\n');
    describe_events(d, out);
}

void describe_secret(const struct described *d, struct strbuf *out) {
    _cleanup_json_ struct json *data = json_sorted(json_get(d->object, "data"));
    describe_metadata(d->object, true, out);
    strbuf_addf(out, "\nType:\t%s\n\nData\n====\n", text(d->object, "type"));
    for (size_t i = 0; i < json_len(data); i++)
        strbuf_addf(out, "%s:\t%zu bytes\n", json_key_at(data, i),
                    decoded_size(json_str_or(json_value_at(data, i), "")));
}

void describe_namespace(const struct described *d, struct strbuf *out) {
    describe_metadata(d->object, false, out);
    strbuf_addf(out, "Status:\t%s\n", text(json_get(d->object, "status"), "phase"));
    describe_conditions(json_path(d->object, "status", "conditions"), true, out);
    describe_events(d, out);
}

static void add_port(const struct json *p, struct strbuf *out) {
    const struct json *target = json_get(p, "targetPort");
    strbuf_addf(out, "Port:\t%s\t%lld/%s\n", *text(p, "name") ? text(p, "name") : "<unset>",
                (long long) json_int_or(json_get(p, "port"), 0), text(p, "protocol"));
    if (json_is_string(target))
        strbuf_addf(out, "TargetPort:\t%s/%s\n", json_str(target), text(p, "protocol"));
    else
        strbuf_addf(out, "TargetPort:\t%lld/%s\n", (long long) json_int_or(target, 0), text(p, "protocol"));
    if (json_int_or(json_get(p, "nodePort"), 0) > 0)
        strbuf_addf(out, "NodePort:\t%s\t%lld/%s\n", *text(p, "name") ? text(p, "name") : "<unset>",
                    (long long) json_int_or(json_get(p, "nodePort"), 0), text(p, "protocol"));
}

static void add_list(const char *title, const struct json *list, struct strbuf *out) {
    strbuf_addf(out, "%s:\t", title);
    for (size_t i = 0; i < json_len(list); i++)
        strbuf_addf(out, "%s%s", i ? "," : "", json_str_or(json_at(list, i), ""));
    strbuf_adds(out, json_len(list) ? "\n" : "<none>\n");
}

void describe_service(const struct described *d, struct strbuf *out) {
    const struct json *spec = json_get(d->object, "spec"), *ports = json_get(spec, "ports");
    _cleanup_json_ struct json *selector = json_sorted(json_get(spec, "selector"));
    describe_metadata(d->object, true, out);
    strbuf_adds(out, "Selector:\t");
    for (size_t i = 0; i < json_len(selector); i++)
        strbuf_addf(out, "%s%s=%s", i ? "," : "", json_key_at(selector, i),
                    json_str_or(json_value_at(selector, i), ""));
    strbuf_adds(out, json_len(selector) ? "\n" : "<none>\n");
    strbuf_addf(out, "Type:\t%s\nIP Family Policy:\t%s\n", text(spec, "type"), text(spec, "ipFamilyPolicy"));
    add_list("IP Families", json_get(spec, "ipFamilies"), out);
    strbuf_addf(out, "IP:\t%s\n", text(spec, "clusterIP"));
    add_list("IPs", json_get(spec, "clusterIPs"), out);
    for (size_t i = 0; i < json_len(ports); i++)
        add_port(json_at(ports, i), out);
    strbuf_addf(out, "Session Affinity:\t%s\n", text(spec, "sessionAffinity"));
    describe_events(d, out);
}

/* Metadata, then the rest as YAML. */
void describe_generic(const struct described *d, struct strbuf *out) {
    static const char *const shown[] = {"apiVersion", "kind", "metadata"};
    _cleanup_json_ struct json *rest = json_ref(d->object);
    char time[40];
    describe_metadata(d->object, json_path(d->object, "metadata", "namespace") != NULL, out);
    strbuf_addf(out, "API Version:\t%s\nKind:\t%s\nCreated:\t%s\n", text(d->object, "apiVersion"),
                text(d->object, "kind"),
                describe_time(text(json_get(d->object, "metadata"), "creationTimestamp"), time));
    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        json_del(&rest, shown[i]);
    if (json_len(rest) > 0)
        yaml_write(rest, out);
    describe_events(d, out);
}

describe_fn describe_for_kind(const char *kind) {
    static const struct {
        const char *kind;
        describe_fn fn;
    } table[] = {
        {"Pod", describe_pod},
        {"Node", describe_node},
        {"Deployment", describe_deployment},
        {"ReplicaSet", describe_replicaset},
        {"ReplicationController", describe_replicaset},
        {"Service", describe_service},
        {"ConfigMap", describe_configmap},
        {"Secret", describe_secret},
        {"Namespace", describe_namespace},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (strcmp(table[i].kind, kind) == 0)
            return table[i].fn;
    return describe_generic;
}

void describe(const struct described *d, struct strbuf *out) {
    _cleanup_strbuf_ struct strbuf raw = STRBUF_INIT;
    describe_for_kind(text(d->object, "kind"))(d, &raw);
    tabs_align(strbuf_str(&raw), 2, out);
}
