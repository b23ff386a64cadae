/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ConfigMaps, Secrets, namespaces, and whatever has no description of its own. */
#include <string.h>

#include "orchestrator/cli/describe/describe.h"
#include "orchestrator/cli/print.h"
#include "orchestrator/cli/tabs.h"
#include "orchestrator/manifest/yaml.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"

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
    strbuf_addf(out, "\nType:\t%s\n\nData\n====\n", json_get_str(d->object, "type"));
    for (size_t i = 0; i < json_len(data); i++)
        strbuf_addf(out, "%s:\t%zu bytes\n", json_key_at(data, i),
                    decoded_size(json_str_or(json_value_at(data, i), "")));
}

void describe_namespace(const struct described *d, struct strbuf *out) {
    describe_metadata(d->object, false, out);
    strbuf_addf(out, "Status:\t%s\n", json_get_str(json_get(d->object, "status"), "phase"));
    describe_conditions(json_path(d->object, "status", "conditions"), true, out);
    describe_events(d, out);
}

/* Metadata, then the rest as YAML. */
void describe_generic(const struct described *d, struct strbuf *out) {
    static const char *const shown[] = {"apiVersion", "kind", "metadata"};
    _cleanup_json_ struct json *rest = json_ref(d->object);
    char time[40];
    describe_metadata(d->object, json_path(d->object, "metadata", "namespace") != NULL, out);
    strbuf_addf(out, "API Version:\t%s\nKind:\t%s\nCreated:\t%s\n", json_get_str(d->object, "apiVersion"),
                json_get_str(d->object, "kind"),
                describe_time(json_get_str(json_get(d->object, "metadata"), "creationTimestamp"), time));
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
    describe_for_kind(json_get_str(d->object, "kind"))(d, &raw);
    tabs_align(strbuf_str(&raw), 2, out);
}
