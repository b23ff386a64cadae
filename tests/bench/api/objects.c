/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/api/objects.h"

#include <inttypes.h>

#define NODES 100

void object_config_map(const char *name, uint64_t i, struct strbuf *out) {
    static const char filler[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    strbuf_addf(out,
                "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s-%" PRIu64 "\"},\"data\":{",
                name, i);
    for (int k = 0; k < 10; k++)
        strbuf_addf(out, "%s\"key-%d\":\"%s\"", k ? "," : "", k, filler);
    strbuf_adds(out, "}}");
}

static void pod_metadata(const char *name, uint64_t i, struct strbuf *out) {
    strbuf_addf(out,
                "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s-7d4b9c6f8-%06" PRIu64
                "\",\"labels\":{\"app\":\"web-%" PRIu64 "\",\"pod-template-hash\":\"7d4b9c6f8\",\"tier\":\"%s\"}",
                name, i, i % 50, i % 2 ? "front" : "back");
}

void object_pod(const char *name, uint64_t i, struct strbuf *out) {
    pod_metadata(name, i, out);
    strbuf_addf(out,
                "},\"spec\":{\"schedulerName\":\"nobody\",\"automountServiceAccountToken\":false,\"containers\":["
                "{\"name\":\"web\",\"image\":\"registry.example/team/web:1.%" PRIu64 "\","
                "\"ports\":[{\"containerPort\":8080,\"protocol\":\"TCP\"}],"
                "\"env\":[{\"name\":\"MODE\",\"value\":\"production\"}],"
                "\"resources\":{\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"}}}]}}",
                i % 100);
}

void object_large_pod(const char *name, uint64_t i, struct strbuf *out) {
    pod_metadata(name, i, out);
    strbuf_addf(
        out,
        ",\"annotations\":{\"checksum/config\":\"1f0c9bd5a52e4c0e8b4fd6f4a9a4f3c7e0f6ad4b7a6f4b%04" PRIu64
        "\"}},\"spec\":{\"nodeName\":\"node-%" PRIu64 "\",\"automountServiceAccountToken\":false,"
        "\"containers\":[{\"name\":\"web\",\"image\":\"registry.example/team/web:1.%" PRIu64 "\","
        "\"ports\":[{\"name\":\"http\",\"containerPort\":8080,\"protocol\":\"TCP\"}],"
        "\"env\":[{\"name\":\"MODE\",\"value\":\"production\"}],"
        "\"resources\":{\"limits\":{\"cpu\":\"500m\",\"memory\":\"256Mi\"},\"requests\":{\"cpu\":\"100m\",\"memory\":"
        "\"128Mi\"}},"
        "\"volumeMounts\":[{\"name\":\"config\",\"mountPath\":\"/etc/web\",\"readOnly\":true}]}],"
        "\"volumes\":[{\"name\":\"config\",\"configMap\":{\"name\":\"web-%" PRIu64 "\"}}]}}",
        i % 10000, i % NODES, i % 100, i % 50);
}

void object_node(uint64_t i, struct strbuf *out) {
    strbuf_addf(out,
                "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"node-%" PRIu64 "\"},"
                "\"status\":{\"capacity\":{\"cpu\":\"64\",\"memory\":\"256Gi\",\"pods\":\"1100\"}}}",
                i);
}

void http_request(const char *method, const char *path, const char *headers, const struct strbuf *body,
                  struct strbuf *out) {
    strbuf_addf(out, "%s %s HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench/1\r\n%s", method, path, headers);
    if (body)
        strbuf_addf(out, "Content-Length: %zu\r\n", body->len);
    strbuf_adds(out, "\r\n");
    if (body)
        strbuf_add(out, body->data, body->len);
}
