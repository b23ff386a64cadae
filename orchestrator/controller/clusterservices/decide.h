/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two Services every cluster has: default/kubernetes, which is the API itself (kube-apiserver keeps it upstream),
 * with its Endpoints and EndpointSlice; and kube-system/kube-dns, whose address each node answers by itself, so it has
 * no selector and no endpoints. Pure.
 */
#ifndef PODIUM_CONTROLLER_CLUSTERSERVICES_DECIDE_H
#define PODIUM_CONTROLLER_CLUSTERSERVICES_DECIDE_H

#include <stdbool.h>

#include "podium/base/json.h"

#define API_NAMESPACE "default"
#define API_SERVICE   "kubernetes"
#define DNS_NAMESPACE "kube-system"
#define DNS_SERVICE   "kube-dns"

/* The object to create (have NULL) or to write over `have`; NULL when it is right. New. */
struct json *api_service_wanted(const char *cluster_ip, int port, const struct json *have);
struct json *api_endpoints_wanted(const char *address, int port, const struct json *have);
struct json *api_slice_wanted(const char *address, int port, const struct json *have);
struct json *dns_service_wanted(const char *cluster_ip, const struct json *have);
/* It has another address, which cannot be changed: it has to go first. */
bool service_is_misplaced(const struct json *have, const char *cluster_ip);

#endif
