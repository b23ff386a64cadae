/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The documents behind the table of services, read into small structures. Nobody but table.c includes this.
 *
 * Sources: v1 Service, discovery.k8s.io/v1 EndpointSlice; what absent fields mean is as kube-proxy takes them.
 * Only IPv4 is read: slices of another addressType have no endpoints, other addresses are left out.
 */
#ifndef PODIUM_AGENT_SERVICES_DOCUMENTS_H
#define PODIUM_AGENT_SERVICES_DOCUMENTS_H

#include <netinet/in.h>
#include <stdbool.h>

#include "orchestrator/agent/services/table.h"

struct slice_port {
    const char *name;
    enum service_protocol protocol;
    uint16_t port;
};

struct slice_endpoint {
    in_addr_t address;                 /* network byte order */
    const char *hostname, *node, *pod; /* NULL: none */
    bool ready, serving, terminating;
};

/* An EndpointSlice. Shared by reference: services built from it point into its strings. */
struct slice {
    unsigned refs;
    char *namespace, *name, *service; /* service "": the label is missing */
    unsigned named;                   /* the sync that named it last */
    struct slice_port *ports;
    size_t n_ports;
    struct slice_endpoint *endpoints;
    size_t n_endpoints;
    char *strings; /* what the pointers above lead to */
};

/* NULL: unusable. */
struct slice *slice_read(const struct json *object);
struct slice *slice_ref(struct slice *slice);
void slice_unref(struct slice *slice);
DEFINE_CLEANUP(struct slice *, slice_unref)

/* A Service. Shared by reference, too. */
struct service_document {
    unsigned refs;
    unsigned named;         /* the sync that named it last */
    struct service service; /* without backends */
};

/* NULL: unusable. */
struct service_document *service_document_read(const struct json *object);
struct service_document *service_document_ref(struct service_document *document);
void service_document_unref(struct service_document *document);
DEFINE_CLEANUP(struct service_document *, service_document_unref)

#endif
