/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pods/proxy, services/proxy and nodes/proxy: whom to ask, at which port. The name in the path is NAME, NAME:PORT or
 * SCHEME:NAME:PORT. */
#include <string.h>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/subresources/stream.h"
#include "orchestrator/apiserver/subresources/subresources.h"
#include "podium/base/alloc.h"
#include "podium/base/random.h"

struct place {
    char *scheme, *name, *port; /* "" where absent */
};

static void place_finish(struct place *p) {
    free(p->scheme);
    free(p->name);
    free(p->port);
}

static struct place place_parse(const char *typed) {
    const char *first = strchr(typed, ':'), *second = first ? strchr(first + 1, ':') : NULL;

    if (!first)
        return (struct place){xstrdup(""), xstrdup(typed), xstrdup("")};
    if (!second)
        return (struct place){xstrdup(""), xstrndup(typed, (size_t) (first - typed)), xstrdup(first + 1)};
    return (struct place){xstrndup(typed, (size_t) (first - typed)), xstrndup(first + 1, (size_t) (second - first - 1)),
                          xstrdup(second + 1)};
}

/* The kubelet's port, by which its users may name it although there is none: the node is asked over the link. */
#define KUBELET_PORT 10250

static bool scheme_valid(struct api_request *req, const struct place *p) {
    if (!*p->scheme || strcmp(p->scheme, "http") == 0 || strcmp(p->scheme, "https") == 0)
        return true;
    (void) api_bad_request(req, "invalid %s request \"%s\"", req->resource->singular, req->name);
    return false;
}

static bool is_https(const struct place *p) {
    return strcmp(p->scheme, "https") == 0;
}

static int number_of(const char *s) {
    char *end;
    long n = strtol(s, &end, 10);

    return *s && !*end && n > 0 && n < 65536 ? (int) n : 0;
}

static enum api_progress reply(struct api_request *req, struct api_stream *s, bool tls, int port) {
    s->tls = tls;
    s->ports = xmalloc(sizeof(*s->ports));
    s->ports[0] = port;
    s->n_ports = 1;
    return api_reply_stream(req, s);
}

/* The first port of the pod when none is named. */
static int default_port(struct api_request *req, const char *name) {
    _cleanup_(store_item_unrefp) struct store_item *item = store_get(req->api->store, "pods", req->ns, name);
    const struct json *containers = item ? json_path(store_item_doc(item), "spec", "containers") : NULL;

    for (size_t i = 0; i < json_len(containers); i++) {
        int port =
            (int) json_int_or(json_get(json_at(json_get(json_at(containers, i), "ports"), 0), "containerPort"), 0);
        if (port)
            return port;
    }
    return 80;
}

static int named_port(struct api_request *req, const char *name, const char *port) {
    _cleanup_(store_item_unrefp) struct store_item *item = store_get(req->api->store, "pods", req->ns, name);
    const struct json *containers = item ? json_path(store_item_doc(item), "spec", "containers") : NULL;

    for (size_t i = 0; i < json_len(containers); i++) {
        const struct json *ports = json_get(json_at(containers, i), "ports");
        for (size_t k = 0; k < json_len(ports); k++)
            if (strcmp(json_str_or(json_get(json_at(ports, k), "name"), ""), port) == 0)
                return (int) json_int_or(json_get(json_at(ports, k), "containerPort"), 0);
    }
    return 0;
}

enum api_progress pod_proxy_serve(struct api_request *req) {
    _cleanup_(place_finish) struct place p = place_parse(req->name);

    if (!scheme_valid(req, &p))
        return API_DONE;
    int port = *p.port ? number_of(p.port) : default_port(req, p.name);
    if (port == 0)
        port = named_port(req, p.name, p.port);
    struct api_stream *s = api_stream_of_pod(req, API_STREAM_PROXY, p.name);
    if (!s)
        return API_DONE;
    if (port > 0)
        return reply(req, s, is_https(&p), port);
    api_stream_free(s);
    return api_bad_request(req, "pod %s has no port \"%s\"", p.name, p.port);
}

/* The service's port as typed, by name or number; the only one when nothing is typed. NULL: none. */
static const struct json *service_port(const struct json *service, const char *typed) {
    const struct json *ports = json_path(service, "spec", "ports");

    if (!*typed)
        return json_len(ports) == 1 ? json_at(ports, 0) : NULL;
    for (size_t i = 0; i < json_len(ports); i++) {
        const struct json *p = json_at(ports, i);
        if (strcmp(json_str_or(json_get(p, "name"), ""), typed) == 0 ||
            (number_of(typed) && json_int_or(json_get(p, "port"), 0) == number_of(typed)))
            return p;
    }
    return NULL;
}

static int port_named(const struct json *subset, const char *name) {
    const struct json *ports = json_get(subset, "ports");

    for (size_t i = 0; i < json_len(ports); i++)
        if (strcmp(json_str_or(json_get(json_at(ports, i), "name"), ""), name) == 0)
            return (int) json_int_or(json_get(json_at(ports, i), "port"), 0);
    return 0;
}

/* One of the ready pods behind the port, by chance. Borrowed from endpoints. */
static const char *choose_pod(const struct json *endpoints, const char *port_name, int *port) {
    const struct json *subsets = json_get(endpoints, "subsets");
    const char *chosen = NULL;
    uint64_t seen = 0;

    for (size_t i = 0; i < json_len(subsets); i++) {
        const struct json *subset = json_at(subsets, i), *addresses = json_get(subset, "addresses");
        int number = port_named(subset, port_name);
        for (size_t k = 0; k < json_len(addresses) && number; k++) {
            const struct json *target = json_get(json_at(addresses, k), "targetRef");
            if (strcmp(json_str_or(json_get(target, "kind"), ""), "Pod") != 0 || random_u64() % ++seen != 0)
                continue;
            chosen = json_str(json_get(target, "name"));
            *port = number;
        }
    }
    return chosen;
}

enum api_progress service_proxy_serve(struct api_request *req) {
    _cleanup_(place_finish) struct place p = place_parse(req->name);
    _cleanup_(store_item_unrefp) struct store_item *service = NULL, *endpoints = NULL;
    int port = 0;

    if (!scheme_valid(req, &p))
        return API_DONE;
    service = store_get(req->api->store, "services", req->ns, p.name);
    if (!service)
        return api_not_found(req, p.name);
    const struct json *sp = service_port(store_item_doc(service), p.port);
    endpoints = store_get(req->api->store, "endpoints", req->ns, p.name);
    const char *pod =
        sp && endpoints ? choose_pod(store_item_doc(endpoints), json_str_or(json_get(sp, "name"), ""), &port) : NULL;
    if (!sp)
        return api_fail(req, 503, "ServiceUnavailable", "no service port \"%s\" found for service \"%s\"", p.port,
                        p.name);
    if (!pod)
        return api_fail(req, 503, "ServiceUnavailable", "no endpoints available for service \"%s\"", p.name);
    struct api_stream *s = api_stream_of_pod(req, API_STREAM_PROXY, pod);
    return s ? reply(req, s, is_https(&p), port) : API_DONE;
}

enum api_progress node_proxy_serve(struct api_request *req) {
    _cleanup_(place_finish) struct place p = place_parse(req->name);

    if (!scheme_valid(req, &p))
        return API_DONE;
    if (*p.port && number_of(p.port) != KUBELET_PORT)
        return api_bad_request(req, "a node is asked at port %d only, not \"%s\"", KUBELET_PORT, p.port);
    struct api_stream *s = api_stream_of_node(req, API_STREAM_PROXY, p.name);
    return s ? api_reply_stream(req, s) : API_DONE;
}
