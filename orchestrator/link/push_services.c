/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/link/push_services.h"

#include "orchestrator/link/peer.h"
#include "podium/base/alloc.h"

static void take(struct json **to, const struct json *from, const char *key) {
    struct json *v = json_get(from, key);

    if (v)
        json_set(to, key, json_ref(v));
}

struct json *push_services_trim(const struct json *object) {
    static const char *const top[] = {"apiVersion", "kind", "spec", "addressType", "ports", "endpoints"};
    static const char *const named[] = {"name", "namespace", "uid"};
    static const char *const labels[] = {"kubernetes.io/service-name", "service.kubernetes.io/service-proxy-name",
                                         "service.kubernetes.io/headless"};
    const struct json *meta = json_get(object, "metadata"), *balancer = json_path(object, "status", "loadBalancer");
    struct json *small = json_object(), *small_meta = json_object(), *routing = NULL;

    for (size_t i = 0; i < ARRAY_LEN(named); i++)
        take(&small_meta, meta, named[i]);
    for (size_t i = 0; i < ARRAY_LEN(labels); i++)
        take(&routing, json_get(meta, "labels"), labels[i]);
    if (routing)
        json_set(&small_meta, "labels", routing);
    for (size_t i = 0; i < ARRAY_LEN(top); i++)
        take(&small, object, top[i]);
    json_set(&small, "metadata", small_meta);
    if (json_len(balancer) > 0)
        json_set_path(&small, json_ref(balancer), "status", "loadBalancer");
    return small;
}

static void send_all(struct link_server *s, const char *text) {
    struct link_peer *p;

    list_foreach(p, &s->peers, link) {
        if (p->synced)
            link_peer_call(p, "ApplyObject", "s", text);
    }
}

static void send_removal(struct link_server *s, const struct json *object) {
    const struct json *meta = json_get(object, "metadata");
    struct link_peer *p;

    list_foreach(p, &s->peers, link) {
        if (p->synced)
            link_peer_call(p, "RemoveObject", "sss", json_str_or(json_get(object, "kind"), ""),
                           json_str_or(json_get(meta, "namespace"), ""), json_str_or(json_get(meta, "name"), ""));
    }
}

static void on_changed(void *userdata, struct json *old, struct json *object) {
    struct link_server *s = userdata;
    _cleanup_json_ struct json *now = object ? push_services_trim(object) : NULL;
    _cleanup_json_ struct json *before = old && object ? push_services_trim(old) : NULL;

    if (!object) {
        send_removal(s, old);
    } else if (!json_equal(before, now)) {
        _cleanup_free_ char *text = json_to_text(now); /* one for all peers */
        send_all(s, text);
    }
}

static void send_list(struct link_peer *p, const struct informer *informer) {
    size_t n;
    _cleanup_free_ struct json **all = informer_list(informer, NULL, NULL, &n);

    for (size_t i = 0; i < n; i++) {
        _cleanup_json_ struct json *small = push_services_trim(all[i]);
        _cleanup_free_ char *text = json_to_text(small);
        link_peer_call(p, "ApplyObject", "s", text);
    }
}

void push_services_full(struct link_peer *p) {
    send_list(p, p->server->services);
    send_list(p, p->server->slices);
}

bool push_services_synced(const struct link_server *s) {
    return informer_synced(s->services) && informer_synced(s->slices);
}

void push_services_register(struct link_server *s, struct informer_set *informers, void (*synced)(void *userdata)) {
    const struct informer_handlers handlers = {.changed = on_changed, .synced = synced, .userdata = s};

    s->services = informer_set_get(informers, resource_by_plural("", "v1", "services"));
    s->slices = informer_set_get(informers, resource_by_plural("discovery.k8s.io", "v1", "endpointslices"));
    informer_add_handlers(s->services, &handlers);
    informer_add_handlers(s->slices, &handlers);
}

void push_services_remove(struct link_server *s) {
    if (s->services)
        informer_remove_handlers(s->services, s);
    if (s->slices)
        informer_remove_handlers(s->slices, s);
}
