/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/services/datapath.h"

#include <arpa/inet.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "orchestrator/agent/services/compile.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/base/log.h"
#include "podium/base/memory.h"
#include "podium/netns_services.h"

#define RETRY_FIRST_USEC (1ull * USEC_PER_SEC)
#define RETRY_MAX_USEC   (60ull * USEC_PER_SEC)
#define REST_USEC        (3ull * USEC_PER_SEC)
#define HOST_PORTS_MAX   256u

struct datapath {
    struct service_table *table;
    struct netns_services *services;
    char *node_name;
    char **own; /* addresses the node answers itself */
    datapath_restore restore;
    void *userdata;
    bool filled, filling, ended_forgotten;
    sd_event_source *retry, *rest;
    uint64_t retry_usec;
    struct netns_connections *ended;
    size_t n_ended, cap_ended;
};

static struct compile_node node_of(const struct datapath *d) {
    return (struct compile_node){d->node_name, d->own};
}

static void owner_name(const struct service *service, char **ret) {
    *ret = xasprintf("%s/%s", service->namespace, service->name);
}

/* --- transactions --- */

static int fill(struct datapath *d, struct error *err) {
    const struct compile_node node = node_of(d);
    const struct service *service = NULL;

    netns_services_reset(d->services);
    while ((service = service_table_next(d->table, service))) {
        _cleanup_(compiled_finish) struct compiled compiled = {0};
        _cleanup_free_ char *owner = NULL;
        service_compile(service, &node, &compiled);
        owner_name(service, &owner);
        netns_services_change(d->services, owner, NULL, &compiled.frontends);
    }
    d->filling = true;
    d->restore(d->userdata);
    d->filling = false;
    int r = netns_services_commit(d->services, err);
    d->filled = r == 0;
    return r;
}

/* --- connections --- */

static void frontend_key(char *out, size_t size, uint8_t protocol, in_addr_t address, uint16_t port) {
    (void) snprintf(out, size, "%u %x %u", protocol, address, port);
}

/* Led to an address that is none of the service's endpoints any more, ready or not. */
static bool is_gone(void *userdata, const struct netns_connections *c) {
    const struct hashmap *services = userdata;
    struct in_addr address = {.s_addr = c->endpoint.address};
    char key[32], ip[NETNS_ADDRESS_SIZE];

    frontend_key(key, sizeof(key), c->protocol, c->address, c->port);
    const struct service *service = hashmap_get(services, key);
    if (!service) {
        frontend_key(key, sizeof(key), c->protocol, 0, c->port);
        service = hashmap_get(services, key);
    }
    (void) inet_ntop(AF_INET, &address, ip, sizeof(ip));
    for (size_t i = 0; service && i < service->n_backends; i++)
        if (strcmp(service->backends[i].ip, ip) == 0)
            return false;
    return service != NULL;
}

/* What ended while there was no agent. */
static void end_forgotten(struct datapath *d) {
    _cleanup_(hashmap_freep) struct hashmap *services = hashmap_new(NULL);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    const struct compile_node node = node_of(d);
    const struct service *service = NULL;

    while ((service = service_table_next(d->table, service))) {
        _cleanup_(compiled_finish) struct compiled compiled = {0};
        service_compile(service, &node, &compiled);
        for (size_t i = 0; i < compiled.frontends.n; i++) {
            const struct netns_frontend *f = &compiled.frontends.items[i];
            char key[32];
            frontend_key(key, sizeof(key), f->protocol, f->address, f->port);
            hashmap_put(services, key, (void *) service);
        }
    }
    int r = netns_connections_end_if(d->services, is_gone, services, &err);
    if (r < 0)
        log_warning("%s", error_text(&err, r));
}

static void end_connections(struct datapath *d) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    if (!d->ended_forgotten)
        end_forgotten(d);
    d->ended_forgotten = true;
    int r = netns_connections_end(d->services, d->ended, d->n_ended, &err);

    if (r < 0)
        log_warning("%s", error_text(&err, r));
    d->n_ended = 0;
}

static void commit(struct datapath *d) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    bool again = d->filled && !netns_services_stale(d->services);
    (void) sd_event_source_set_time_relative(d->rest, REST_USEC);
    (void) sd_event_source_set_enabled(d->rest, SD_EVENT_ONESHOT);
    int r = again ? netns_services_commit(d->services, &err) : fill(d, &err);

    if (r < 0 && again) {
        log_warning("%s; putting all services in place again", error_text(&err, r));
        error_clear(&err);
        r = fill(d, &err);
    }
    if (r == 0) {
        d->retry_usec = RETRY_FIRST_USEC;
        (void) sd_event_source_set_enabled(d->retry, SD_EVENT_OFF);
        end_connections(d);
        return;
    }
    log_error("services do not work as they should, trying again in %llu s: %s",
              (unsigned long long) (d->retry_usec / USEC_PER_SEC), error_text(&err, r));
    (void) sd_event_source_set_time_relative(d->retry, d->retry_usec);
    (void) sd_event_source_set_enabled(d->retry, SD_EVENT_ONESHOT);
    d->retry_usec = d->retry_usec * 2 < RETRY_MAX_USEC ? d->retry_usec * 2 : RETRY_MAX_USEC;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
    commit(userdata);
    return 0;
}

static int on_rest(sd_event_source *source, uint64_t usec, void *userdata) {
    netns_services_rest(((struct datapath *) userdata)->services);
    memory_give_back();
    return 0;
}

/* --- the table --- */

static void note_ended(struct datapath *d, const struct service *old, const struct service *service) {
    const struct compile_node node = node_of(d);
    _cleanup_free_ struct netns_connections *ended = NULL;
    size_t n = 0;

    service_ended(old, service, &node, &ended, &n);
    for (size_t i = 0; i < n; i++) {
        xgrow(&d->ended, d->n_ended, &d->cap_ended);
        d->ended[d->n_ended++] = ended[i];
    }
}

static void on_changed(void *userdata, const struct service *old, const struct service *service) {
    struct datapath *d = userdata;
    const struct compile_node node = node_of(d);
    _cleanup_(compiled_finish) struct compiled before = {0}, after = {0};
    _cleanup_free_ char *owner = NULL;

    if (!d->filled)
        return; /* all of the table is taken then */
    note_ended(d, old, service);
    service_compile(old, &node, &before);
    service_compile(service, &node, &after);
    owner_name(service ? service : old, &owner);
    netns_services_change(d->services, owner, &before.frontends, &after.frontends);
}

static void on_settled(void *userdata) {
    struct datapath *d = userdata;

    if (service_table_synced(d->table))
        commit(d);
}

void datapath_set_network(struct datapath *datapath, const struct json *network) {
    const struct json *servers = json_path(network, "dns", "servers");
    char **own = strv_new();
    bool same = true;

    for (size_t i = 0; i < json_len(servers); i++)
        strv_push_dup(&own, json_str_or(json_at(servers, i), ""));
    same = strv_len(own) == strv_len(datapath->own);
    for (size_t i = 0; same && own[i]; i++)
        same = strcmp(own[i], datapath->own[i]) == 0;
    strv_free(datapath->own);
    datapath->own = own;
    if (same || !datapath->filled)
        return;
    datapath->filled = false;
    commit(datapath);
}

/* --- pods --- */

static in_addr_t address_of(const char *text) {
    struct in_addr address;

    return inet_pton(AF_INET, text, &address) == 1 ? address.s_addr : 0;
}

static size_t read_ports(const struct json *containers, struct netns_host_port *ports, size_t n) {
    for (size_t c = 0; c < json_len(containers); c++) {
        const struct json *list = json_get(json_at(containers, c), "ports");
        for (size_t i = 0; i < json_len(list) && n < HOST_PORTS_MAX; i++) {
            const struct json *port = json_at(list, i);
            const char *protocol = json_str_or(json_get(port, "protocol"), "TCP");
            int64_t host = json_int_or(json_get(port, "hostPort"), 0);
            int64_t inside = json_int_or(json_get(port, "containerPort"), 0);
            if (host <= 0 || host > UINT16_MAX || inside <= 0 || inside > UINT16_MAX)
                continue;
            ports[n++] = (struct netns_host_port){
                .address = address_of(json_str_or(json_get(port, "hostIP"), "")),
                .protocol = strcmp(protocol, "UDP") == 0    ? IPPROTO_UDP
                            : strcmp(protocol, "SCTP") == 0 ? IPPROTO_SCTP
                                                            : IPPROTO_TCP,
                .port = (uint16_t) host,
                .pod_port = (uint16_t) inside,
            };
        }
    }
    return n;
}

int datapath_pod_add(struct datapath *datapath, const char *ip, const struct json *pod, struct error *err) {
    struct netns_host_port ports[HOST_PORTS_MAX];
    const struct json *spec = json_get(pod, "spec");
    size_t n = read_ports(json_get(spec, "containers"), ports, 0);

    n = read_ports(json_get(spec, "initContainers"), ports, n); /* sidecars */
    if (!datapath->filled && !datapath->filling)
        return 0;
    int r = netns_services_pod_add(datapath->services, address_of(ip), ports, n, err);
    if (r == 0 && !datapath->filling)
        commit(datapath);
    return r;
}

void datapath_pod_remove(struct datapath *datapath, const char *ip) {
    if (!datapath->filled || !*ip)
        return;
    netns_services_pod_remove(datapath->services, address_of(ip));
    commit(datapath);
}

/* --- life --- */

struct datapath *datapath_new(sd_event *loop, struct service_table *table, const char *node_name,
                              datapath_restore restore, void *userdata) {
    struct datapath *d = xnew0(struct datapath);
    const struct service_listener listener = {on_changed, on_settled, d};

    d->table = table;
    d->services = netns_services_new();
    d->node_name = xstrdup(node_name);
    d->own = strv_new();
    d->restore = restore;
    d->userdata = userdata;
    d->retry_usec = RETRY_FIRST_USEC;
    if (sd_event_add_time_relative(loop, &d->retry, CLOCK_MONOTONIC, 0, 0, on_retry, d) < 0 ||
        sd_event_source_set_enabled(d->retry, SD_EVENT_OFF) < 0 ||
        sd_event_add_time_relative(loop, &d->rest, CLOCK_MONOTONIC, 0, 0, on_rest, d) < 0 ||
        sd_event_source_set_enabled(d->rest, SD_EVENT_OFF) < 0) {
        datapath_free(d);
        return NULL;
    }
    service_table_listen(table, &listener);
    return d;
}

void datapath_free(struct datapath *datapath) {
    if (!datapath)
        return;
    sd_event_source_disable_unref(datapath->retry);
    sd_event_source_disable_unref(datapath->rest);
    netns_services_free(datapath->services);
    strv_free(datapath->own);
    free(datapath->node_name);
    free(datapath->ended);
    free(datapath);
}
