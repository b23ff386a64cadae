/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a handler of a probe or hook points: addresses, URLs, headers. Pure. Source of the behaviour: pkg/probe/http
 * (request.go) and pkg/kubelet/prober of Kubernetes.
 */
#ifndef PODIUM_AGENT_PROBES_TARGET_H
#define PODIUM_AGENT_PROBES_TARGET_H

#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

/* Of a pod's spec: [{name, init, ports, livenessProbe, readinessProbe, startupProbe, lifecycle}], only the containers
 * and members there is something to do for; kept in pod.json, so that an agent without its control plane can go on.
 * The caller unrefs. */
struct json *probe_documents(const struct json *spec);

/* The port of an httpGet or tcpSocket ("port": number or name of one of the container's) or grpc handler. -EINVAL when
 * there is no such port. */
int probe_port(const struct json *container, const struct json *handler, uint16_t *ret, struct error *err) _must_check_;
/* The URL of an httpGet; address: where the pod is, used unless the handler names a host. The caller frees. */
int probe_http_url(const struct json *container, const struct json *http_get, const char *address, char **ret,
                   struct error *err) _must_check_;
/* "host:port", brackets around IPv6. The caller frees. */
char *probe_authority(const char *host, uint16_t port);
/* "Name: value" of httpHeaders; the caller frees the vector. */
char **probe_http_headers(const struct json *http_get);

#endif
