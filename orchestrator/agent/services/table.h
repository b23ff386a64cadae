/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The services of the cluster as this node knows them: v1 Services merged with their discovery.k8s.io/v1
 * EndpointSlices, as the control plane pushed them. The data path (nftables) and the node's DNS both read this table,
 * so they never disagree.
 *
 * What it is. A table of immutable struct service, rebuilt per service when its Service or one of its slices changed.
 * Slices are found by the label kubernetes.io/service-name. A slice without its Service, or a Service without slices,
 * is kept and waits for the other: a Service without slices is a service without backends, a slice alone is nothing
 * yet. Documents may come in any order. An address that is in several slices is one backend: ready if one says so, with
 * the first port given for each of the service's ports (found by name and protocol).
 *
 * Listeners are told of each rebuilt service, and once more when all changes that came in one turn of the loop were
 * told, so that the data path commits one transaction for many changes.
 *
 * Threads: the loop's. Ownership: the table owns the services; a pointer is good until the next apply or remove.
 */
#ifndef PODIUM_AGENT_SERVICES_TABLE_H
#define PODIUM_AGENT_SERVICES_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/cleanup.h"
#include "podium/base/json.h"
#include "podium/netns.h"

typedef struct sd_event sd_event;
struct service_table;

enum service_type { SERVICE_CLUSTER_IP, SERVICE_NODE_PORT, SERVICE_LOAD_BALANCER, SERVICE_EXTERNAL_NAME };
enum service_protocol { SERVICE_TCP, SERVICE_UDP, SERVICE_SCTP };

struct service_port {
    char *name; /* "" when it has none */
    enum service_protocol protocol;
    uint16_t port, node_port; /* node_port 0: none */
};

struct service_backend {
    char ip[NETNS_ADDRESS_SIZE];
    char *hostname; /* NULL: none given */
    char *node;     /* NULL: not of this cluster */
    char *pod;      /* NULL: no pod */
    bool ready, serving, terminating;
    uint16_t *ports; /* parallel to the service's ports; 0: does not serve that one */
};

struct service {
    char *namespace, *name;
    enum service_type type;
    bool headless;                       /* clusterIP "None" */
    char cluster_ip[NETNS_ADDRESS_SIZE]; /* "": none */
    char *external_name;                 /* NULL: none */
    char **external_ips;                 /* NULL-terminated: spec.externalIPs and status.loadBalancer.ingress */
    struct service_port *ports;
    size_t n_ports;
    bool client_ip_affinity;
    unsigned affinity_seconds;
    bool external_local, internal_local; /* traffic policies */
    bool publish_not_ready;
    bool other_proxy;           /* labelled service.kubernetes.io/service-proxy-name: no data path here, but DNS */
    uint16_t health_check_port; /* 0: none */
    struct service_backend *backends; /* by address; one entry for each address */
    size_t n_backends;
};

struct service_listener {
    /* old NULL: new; service NULL: gone */
    void (*changed)(void *userdata, const struct service *old, const struct service *service);
    void (*settled)(void *userdata); /* all changes of this turn were told; may be NULL */
    void *userdata;
};

/* NULL when the loop cannot be used. */
struct service_table *service_table_new(sd_event *loop);
void service_table_free(struct service_table *table);
DEFINE_CLEANUP(struct service_table *, service_table_free)

/* listener: copied; told of every service there is, soon. */
void service_table_listen(struct service_table *table, const struct service_listener *listener);
/* A Service or EndpointSlice; other kinds and unusable documents are ignored (-EINVAL). */
int service_table_apply(struct service_table *table, const struct json *object);
void service_table_remove(struct service_table *table, const char *kind, const char *namespace, const char *name);
/* A full resync, as agent_sync_begin() and agent_sync_end(): what is not applied in between goes at the end. The end is
 * followed by settled() in any case. */
void service_table_sync_begin(struct service_table *table);
void service_table_sync_end(struct service_table *table);
/* Since the first sync ended; before, the table may be incomplete. */
bool service_table_synced(const struct service_table *table);

const struct service *service_table_get(const struct service_table *table, const char *namespace, const char *name);
/* The service with this cluster address, for reverse look-ups; NULL: none. */
const struct service *service_table_by_address(const struct service_table *table, const char *ip);
/* The headless (or any) service having a backend of this address with a host name; NULL: none. *ret_backend borrowed.
 */
const struct service *service_table_by_backend(const struct service_table *table, const char *ip,
                                               const struct service_backend **ret_backend);
/* The next service after `previous` (NULL: the first), in no order; NULL: the end. Nothing may change meanwhile. */
const struct service *service_table_next(const struct service_table *table, const struct service *previous);

#endif
