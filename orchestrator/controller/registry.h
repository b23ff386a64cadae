/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All controllers of the control plane, started and ended together. They share the loop, one client and the set of
 * informers, and know nothing of each other.
 */
#ifndef PODIUM_CONTROLLER_REGISTRY_H
#define PODIUM_CONTROLLER_REGISTRY_H

#include <stdint.h>
#include <systemd/sd-event.h>

#include "orchestrator/client/client.h"
#include "orchestrator/client/informer.h"

/* Zero means upstream's default, given behind each. Times in microseconds. */
struct controller_options {
    uint64_t node_monitor_grace;   /* heartbeat older than this: the node is Unknown (40 s) */
    uint64_t pod_eviction_timeout; /* what a pod without tolerations of the two node taints gets (300 s) */
    unsigned terminated_pods_max;  /* finished pods kept before the oldest go (12500) */
    uint64_t event_ttl;            /* events that did not happen again for this long are deleted (1 h) */
    const char *ca_pem;            /* text of kube-root-ca.crt; NULL: no such ConfigMaps are made */
    /* Where the API is reached, and its Service's and the DNS Service's addresses; NULL: the Service is not kept. */
    const char *api_address;
    int api_port;
    const char *api_service_address, *dns_service_address;
    /* Signs CertificateSigningRequests (authority.h); must outlive the controllers. NULL: nobody does. */
    const struct certificate_authority *authority;
};

struct controllers;

/* The loop, client and informers must outlive the controllers; the informers' loop must not run between
 * controllers_free() and the informers' end only if other users remain, who are safe: handlers are removed. Texts are
 * copied. */
int controllers_start(sd_event *loop, struct client *client, struct informer_set *informers,
                      const struct controller_options *options, struct controllers **ret,
                      struct error *err) _must_check_;
void controllers_free(struct controllers *c);
DEFINE_CLEANUP(struct controllers *, controllers_free)

#endif
