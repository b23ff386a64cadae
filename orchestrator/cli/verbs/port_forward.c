/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/cli/forward.h"
#include "orchestrator/cli/pods.h"
#include "orchestrator/cli/targets.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "orchestrator/client/http_client.h"
#include "podium/base/alloc.h"

const struct flag flags_port_forward[] = {
    {"address", 0, FLAG_VALUE, NULL, "ADDRESS,…", "where to listen (localhost): addresses, localhost"},
    FLAG_END,
};

/* A port's number behind its name, in the containers of the pod. 0: none. */
static int container_port(const struct json *pod, const char *name) {
    const struct json *containers = json_path(pod, "spec", "containers");

    for (size_t i = 0; i < json_len(containers); i++) {
        const struct json *ports = json_get(json_at(containers, i), "ports");
        for (size_t k = 0; k < json_len(ports); k++)
            if (strcmp(json_str_or(json_get(json_at(ports, k), "name"), ""), name) == 0)
                return (int) json_int_or(json_get(json_at(ports, k), "containerPort"), 0);
    }
    return 0;
}

static int number_of(const char *s, size_t n) {
    char *end, text[8];

    if (n == 0 || n >= sizeof(text))
        return 0;
    memcpy(text, s, n);
    text[n] = 0;
    long v = strtol(text, &end, 10);
    return !*end && v > 0 && v < 65536 ? (int) v : 0;
}

/* The pod's port behind a service's, by number or name; -1: the service has none such. */
static int behind_service(const struct json *service, const struct json *pod, const char *remote, int *service_port) {
    const struct json *ports = json_path(service, "spec", "ports");

    for (size_t i = 0; i < json_len(ports); i++) {
        const struct json *p = json_at(ports, i), *target = json_get(p, "targetPort");
        int number = (int) json_int_or(json_get(p, "port"), 0);
        if (number != number_of(remote, strlen(remote)) && strcmp(json_str_or(json_get(p, "name"), ""), remote) != 0)
            continue;
        *service_port = number;
        if (json_is_string(target))
            return container_port(pod, json_str(target));
        if (strcmp(json_str_or(json_path(service, "spec", "clusterIP"), ""), "None") == 0)
            return number;
        return (int) json_int_or(target, number);
    }
    return -1;
}

/* "8080", "8080:80", ":80", "8080:http" */
static int parse_port(const char *typed, const struct json *service, const struct json *pod, struct forward_port *ret) {
    const char *colon = strchr(typed, ':'), *remote = colon ? colon + 1 : typed;
    int local = colon ? number_of(typed, (size_t) (colon - typed)) : -1, named = 0;

    if (!*remote || (colon && colon != typed && local == 0))
        return cli_fail("\"%s\" is no port: NUMBER, LOCAL:REMOTE or :REMOTE is wanted", typed);
    if (service) {
        ret->remote = behind_service(service, pod, remote, &named);
        if (ret->remote < 0)
            return cli_fail("Service %s does not have a service port %s",
                            json_str_or(json_path(service, "metadata", "name"), ""), remote);
    } else {
        ret->remote = number_of(remote, strlen(remote));
        if (ret->remote == 0)
            ret->remote = container_port(pod, remote);
        named = ret->remote;
    }
    if (ret->remote == 0)
        return cli_fail("pod %s has no port %s", json_str_or(json_path(pod, "metadata", "name"), ""), remote);
    ret->local = local >= 0 ? local : named;
    return 0;
}

static int read_service(struct cli *c, const char *typed, struct json **ret) {
    _cleanup_targets_ struct targets t = TARGETS_INIT;
    char *const words[] = {(char *) typed, NULL};

    if (!strchr(typed, '/'))
        return 0;
    int r = targets_from_words(c, words, &t);
    if (r != 0 || strcmp(t.items[0].resource->plural, "services") != 0)
        return r;
    struct client_request get = target_request(&t.items[0], CLIENT_GET);
    return cli_call(c, &get, NULL, ret) < 0 ? 1 : 0;
}

int cli_verb_port_forward(struct cli *c) {
    char *const *words = c->args.words;
    _cleanup_json_ struct json *pod = NULL, *service = NULL;
    size_t n = strv_len(words);

    if (n < 2)
        return cli_usage(c, "a pod and its ports are wanted: podium port-forward POD [LOCAL:]REMOTE");
    int r = cli_connect(c);
    if (r == 0)
        r = pod_by_typed(c, *words, &pod);
    if (r == 0)
        r = read_service(c, *words, &service);
    if (r != 0)
        return r;
    const char *phase = json_str_or(json_path(pod, "status", "phase"), "Unknown");
    if (strcmp(phase, "Running") != 0)
        return cli_fail("unable to forward port because pod is not running. Current status=%s", phase);
    _cleanup_free_ struct forward_port *ports = xcalloc(n - 1, sizeof(*ports));
    for (size_t i = 0; i < n - 1; i++)
        if (parse_port(words[i + 1], service, pod, &ports[i]) != 0)
            return 1;
    const struct client_request forward = {.verb = CLIENT_GET,
                                           .resource = resource_by_name("pods"),
                                           .ns = json_str(json_path(pod, "metadata", "namespace")),
                                           .name = json_str(json_path(pod, "metadata", "name")),
                                           .subresource = "portforward"};
    _cleanup_free_ char *target = http_request_target(&forward, false);
    const char *address = args_str(&c->args, "address");
    return forward_ports(c, target, address ? address : "localhost", ports, n - 1);
}
