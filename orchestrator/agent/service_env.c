/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/service_env.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "orchestrator/agent/env.h"
#include "orchestrator/agent/services/table.h"
#include "podium/base/alloc.h"

static const char *protocol_name(enum service_protocol p) {
    return p == SERVICE_UDP ? "udp" : p == SERVICE_SCTP ? "sctp" : "tcp";
}

static char *variable_name(const char *text) {
    char *name = xstrdup(text);

    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : (char) toupper((unsigned char) *c);
    return name;
}

/* The variables of old Docker links. */
static void add_link(const char *name, const char *ip, const struct service_port *port, bool first, char ***env) {
    const char *protocol = protocol_name(port->protocol);
    _cleanup_free_ char *upper = variable_name(protocol);
    _cleanup_free_ char *prefix = xasprintf("%s_PORT_%u_%s", name, (unsigned) port->port, upper);

    if (first)
        env_put(env, xasprintf("%s_PORT=%s://%s:%u", name, protocol, ip, (unsigned) port->port));
    env_put(env, xasprintf("%s=%s://%s:%u", prefix, protocol, ip, (unsigned) port->port));
    env_put(env, xasprintf("%s_PROTO=%s", prefix, protocol));
    env_put(env, xasprintf("%s_PORT=%u", prefix, (unsigned) port->port));
    env_put(env, xasprintf("%s_ADDR=%s", prefix, ip));
}

static void add_service(const char *service, const char *ip, const struct service_port *ports, size_t n, char ***env) {
    _cleanup_free_ char *name = variable_name(service);

    env_put(env, xasprintf("%s_SERVICE_HOST=%s", name, ip));
    env_put(env, xasprintf("%s_SERVICE_PORT=%u", name, (unsigned) ports[0].port));
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *port = variable_name(ports[i].name);
        if (*port)
            env_put(env, xasprintf("%s_SERVICE_PORT_%s=%u", name, port, (unsigned) ports[i].port));
    }
    for (size_t i = 0; i < n; i++)
        add_link(name, ip, &ports[i], i == 0, env);
}

/* The first address of the service range is the API's. */
static bool api_service_address(const struct json *network, char out[INET_ADDRSTRLEN]) {
    _cleanup_free_ char *cidr = xstrdup(json_str_or(json_get(network, "serviceCIDR"), ""));
    struct in_addr address;

    cidr[strcspn(cidr, "/")] = 0;
    if (inet_pton(AF_INET, cidr, &address) != 1)
        return false;
    address.s_addr = htonl(ntohl(address.s_addr) + 1);
    return inet_ntop(AF_INET, &address, out, INET_ADDRSTRLEN) != NULL;
}

void service_env_add(const struct pod_context *ctx, char ***env) {
    const struct service_port api = {.name = (char[]){"https"}, .protocol = SERVICE_TCP, .port = 443};
    const char *namespace = pod_meta(ctx->pod, "namespace");
    char ip[INET_ADDRSTRLEN];

    if (json_bool_or(json_path(ctx->pod, "spec", "enableServiceLinks"), true) && ctx->services)
        for (const struct service *s = service_table_next(ctx->services, NULL); s;
             s = service_table_next(ctx->services, s))
            if (strcmp(s->namespace, namespace) == 0 && s->cluster_ip[0] && !s->headless && s->n_ports > 0)
                add_service(s->name, s->cluster_ip, s->ports, s->n_ports, env);
    /* without asking the table: it is there before the first service is known, and whatever became of it */
    if (api_service_address(ctx->network, ip))
        add_service("kubernetes", ip, &api, 1, env);
}
