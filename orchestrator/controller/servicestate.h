/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a Service selects, and what of a pod its Endpoints and EndpointSlices show: the part the two controllers have in
 * common (upstream's pkg/controller/util/endpoint and k8s.io/endpointslice/util). Pure; any thread.
 */
#ifndef PODIUM_CONTROLLER_SERVICESTATE_H
#define PODIUM_CONTROLLER_SERVICESTATE_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/json.h"

#define LABEL_SERVICE_NAME     "kubernetes.io/service-name"
#define LABEL_SLICE_MANAGED_BY "endpointslice.kubernetes.io/managed-by"
#define LABEL_SKIP_MIRROR      "endpointslice.kubernetes.io/skip-mirror"
#define LABEL_HEADLESS         "service.kubernetes.io/headless"
#define ANNOTATION_TRIGGER     "endpoints.kubernetes.io/last-change-trigger-time"

/* It has a selector and is of a type whose addresses are those of pods. */
bool service_has_endpoints(const struct json *service);
bool service_is_headless(const struct json *service); /* no cluster address: "None", or not given one */
/* Both are of one namespace. */
bool service_selects(const struct json *service, const struct json *pod);

/* The pod has an address of the service's family and has not finished. Pods that are being deleted only with
 * `terminating`. */
bool pod_is_endpoint(const struct json *pod, bool terminating);
/* Its first IPv4 address; NULL: none. */
const char *pod_ipv4(const struct json *pod);
/* The host name it is known by in the DNS of this service (hostname and subdomain); NULL: none. */
const char *pod_service_hostname(const struct json *pod, const struct json *service);
/* Whether anything the service's endpoints show differs between two states of a pod. */
bool pod_endpoint_differs(const struct json *a, const struct json *b);
/* {kind, namespace, name, uid}. New. */
struct json *pod_target_ref(const struct json *pod);

/* The ports of the service as this pod serves them: [{name, port, protocol, appProtocol}], without those whose named
 * target it does not have. The name is "" where there is none; with `short_names` then left out. New. */
struct json *pod_service_ports(const struct json *pod, const struct json *service, bool short_names);
/* True when pod_service_ports() is the same for every pod. */
bool service_ports_are_fixed(const struct json *service);

#endif
