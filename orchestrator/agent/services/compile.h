/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a service to what the data path needs: a frontend for each address and port, with the endpoints that may be
 * used. Pure. The choice is kube-proxy's (pkg/proxy/topology.go of Kubernetes 1.32): ready endpoints; when there is
 * none, those that are terminating and still serve; with the policy Local only those of this node. Headless and
 * ExternalName services, and those of another proxy, have no frontends.
 */
#ifndef PODIUM_AGENT_SERVICES_COMPILE_H
#define PODIUM_AGENT_SERVICES_COMPILE_H

#include "orchestrator/agent/services/table.h"
#include "podium/netns_services.h"

struct compile_node {
    const char *name;
    char *const *own; /* addresses the node answers itself, as that of its DNS: no frontends; NULL-terminated */
};

struct compiled {
    struct netns_frontends frontends;
    struct netns_endpoint **lists; /* what the frontends point to */
    size_t n_lists;
};
void compiled_finish(struct compiled *compiled);

/* service NULL: nothing. */
void service_compile(const struct service *service, const struct compile_node *node, struct compiled *ret);

/* Connections that must end, or be forgotten, when a service goes from before to after (either may be NULL): those of
 * endpoints that are gone, and datagrams to endpoints that are not chosen any more, or that came before there was
 * one. The caller frees *ret. */
void service_ended(const struct service *before, const struct service *after, const struct compile_node *node,
                   struct netns_connections **ret, size_t *ret_n);

#endif
