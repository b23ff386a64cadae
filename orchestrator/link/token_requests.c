/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/link/token_requests.h"

#include <string.h>

#include "orchestrator/link/peer.h"
#include "podium/base/alloc.h"

struct token_request {
    struct list link;
    struct link_peer *peer;
    sd_bus_message *call;
    struct client_call *request;
};

static void request_free(struct token_request *t) {
    list_remove(&t->link);
    sd_bus_message_unref(t->call);
    free(t);
}

/* Whether one of the pod's volumes asks for a token for this audience ("": the API's). */
static bool pod_asks_for(const struct json *pod, const char *audience) {
    const struct json *volumes = json_path(pod, "spec", "volumes");

    for (size_t i = 0; i < json_len(volumes); i++) {
        const struct json *sources = json_path(json_at(volumes, i), "projected", "sources");
        for (size_t k = 0; k < json_len(sources); k++) {
            const struct json *token = json_get(json_at(sources, k), "serviceAccountToken");
            if (token && strcmp(json_get_str(token, "audience"), audience) == 0)
                return true;
        }
    }
    return false;
}

static struct json *make_body(const struct json *pod, const char *audience, int64_t seconds) {
    const struct json *meta = json_get(pod, "metadata");
    struct json *body = json_object(), *ref = json_object();

    json_set(&ref, "apiVersion", json_string("v1"));
    json_set(&ref, "kind", json_string("Pod"));
    json_set(&ref, "name", json_ref(json_get(meta, "name")));
    json_set(&ref, "uid", json_ref(json_get(meta, "uid")));
    json_set(&body, "apiVersion", json_string("authentication.k8s.io/v1"));
    json_set(&body, "kind", json_string("TokenRequest"));
    json_set_path(&body, ref, "spec", "boundObjectRef");
    json_set_path(&body, json_int(seconds), "spec", "expirationSeconds");
    if (*audience)
        json_append(json_edit(json_edit(&body, "spec"), "audiences"), json_string(audience));
    return body;
}

static void on_done(void *userdata, const struct client_result *result) {
    struct token_request *t = userdata;
    const struct json *status = json_get(result->object, "status");

    if (client_ok(result))
        (void) sd_bus_reply_method_return(t->call, "ss", json_get_str(status, "token"),
                                          json_get_str(status, "expirationTimestamp"));
    else
        (void) sd_bus_reply_method_errorf(t->call, SD_BUS_ERROR_FAILED, "%s", result->message);
    bus_pump_sent(t->peer->pump);
    request_free(t);
}

int token_request_handle(struct link_peer *p, sd_bus_message *call, sd_bus_error *e) {
    const char *ns, *name, *uid, *audience;
    int64_t seconds;

    int r = sd_bus_message_read(call, "ssssx", &ns, &name, &uid, &audience, &seconds);
    if (r < 0)
        return r;
    const struct json *pod = informer_get(p->server->pods, ns, name);
    if (!pod || strcmp(json_get_str(json_get(pod, "metadata"), "uid"), uid) != 0 ||
        strcmp(json_get_str(json_get(pod, "spec"), "nodeName"), p->node) != 0)
        return sd_bus_error_setf(e, SD_BUS_ERROR_ACCESS_DENIED, "pod %s/%s is not bound to this node", ns, name);
    if (!pod_asks_for(pod, audience))
        return sd_bus_error_setf(e, SD_BUS_ERROR_ACCESS_DENIED, "pod %s/%s asks for no token for audience \"%s\"", ns,
                                 name, audience);
    _cleanup_json_ struct json *body = make_body(pod, audience, seconds);
    const struct client_request request = {
        .verb = CLIENT_CREATE,
        .resource = resource_by_plural("", "v1", "serviceaccounts"),
        .subresource = "token",
        .ns = ns,
        .name = json_get_str(json_get(pod, "spec"), "serviceAccountName"),
        .body = body,
        .field_manager = "podium-agent",
    };
    struct token_request *t = xnew0(struct token_request);
    t->peer = p;
    t->call = sd_bus_message_ref(call);
    list_append(&p->tokens, &t->link);
    t->request = client_start(p->server->client, &request, on_done, t);
    return 1; /* answered when it is there */
}

void token_requests_cancel(struct link_peer *p) {
    struct token_request *t;

    list_foreach(t, &p->tokens, link) {
        client_cancel(p->server->client, t->request);
        request_free(t);
    }
}
