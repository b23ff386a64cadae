/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/link/mirror_pods.h"

#include <string.h>

#include "orchestrator/link/peer.h"
#include "podium/base/alloc.h"
#include "podium/base/log.h"

#define ANNOTATION_MIRROR "kubernetes.io/config.mirror"

static bool ends_in_node(const char *name, const char *node) {
    size_t n = strlen(name), k = strlen(node);

    return n > k + 1 && name[n - k - 1] == '-' && strcmp(name + n - k, node) == 0;
}

static bool is_mirror_of(const struct json *pod, const char *node) {
    return strcmp(json_str_or(json_get(pod, "kind"), ""), "Pod") == 0 &&
           strcmp(json_str_or(json_path(pod, "spec", "nodeName"), ""), node) == 0 &&
           ends_in_node(json_str_or(json_path(pod, "metadata", "name"), ""), node) &&
           *json_str_or(json_path(pod, "metadata", "annotations", ANNOTATION_MIRROR), "") &&
           *json_str_or(json_path(pod, "metadata", "namespace"), "");
}

/* What a client would send: the server gives uid and version, the node tells the status by itself. */
static struct json *make_body(const struct link_peer *p, const struct json *pod) {
    static const char *const given[] = {"uid", "resourceVersion", "creationTimestamp", "managedFields"};
    const struct json *node = informer_get(p->server->nodes, "", p->node);
    struct json *body = json_ref(pod), *ref = json_object(), *refs = json_array();

    json_del(&body, "status");
    for (size_t i = 0; i < ARRAY_LEN(given); i++)
        if (json_path(body, "metadata", given[i]))
            json_del(json_edit(&body, "metadata"), given[i]);
    json_set(&ref, "apiVersion", json_string("v1"));
    json_set(&ref, "kind", json_string("Node"));
    json_set(&ref, "name", json_string(p->node));
    json_set(&ref, "uid", json_string(json_str_or(json_path(node, "metadata", "uid"), "")));
    json_set(&ref, "controller", json_bool(true));
    json_append(&refs, ref);
    json_set_path(&body, refs, "metadata", "ownerReferences");
    return body;
}

static void on_created(void *userdata, const struct client_result *result) {
    if (!client_ok(result) && client_errno(result) != -EEXIST)
        log_warning("a mirror pod could not be made: %s", result->message);
}

int mirror_pod_handle(struct link_peer *p, sd_bus_message *call, sd_bus_error *e) {
    _cleanup_json_ struct json *pod = NULL;
    const char *text;

    int r = sd_bus_message_read(call, "s", &text);
    if (r < 0)
        return r;
    if (json_parse(text, strlen(text), NULL, &pod, NULL) < 0 || !is_mirror_of(pod, p->node))
        return sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS, "no mirror of a static pod of node %s", p->node);
    if (!informer_get(p->server->nodes, "", p->node))
        return sd_bus_error_setf(e, SD_BUS_ERROR_FAILED, "node %s is not known yet", p->node);
    _cleanup_json_ struct json *body = make_body(p, pod);
    const struct client_request request = {
        .verb = CLIENT_CREATE,
        .resource = resource_by_plural("", "v1", "pods"),
        .ns = json_str(json_path(body, "metadata", "namespace")),
        .body = body,
        .field_manager = "podium-agent",
    };
    (void) client_start(p->server->client, &request, on_created, NULL);
    return sd_bus_reply_method_return(call, "");
}
