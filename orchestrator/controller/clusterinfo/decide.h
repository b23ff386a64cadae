/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the cluster says of itself: kube-public/cluster-info, a kubeconfig without a user whose text is signed with each
 * bootstrap token (as kubeadm and upstream's bootstrapsigner keep it, for `kubeadm join` and its like), and
 * kube-system/extension-apiserver-authentication, the authority of client certificates for servers beside the API
 * server. Pure.
 */
#ifndef PODIUM_CONTROLLER_CLUSTERINFO_DECIDE_H
#define PODIUM_CONTROLLER_CLUSTERINFO_DECIDE_H

#include <stddef.h>
#include <stdint.h>

#include "podium/base/json.h"

#define CLUSTER_INFO_NAMESPACE   "kube-public"
#define CLUSTER_INFO             "cluster-info"
#define AUTHENTICATION_NAMESPACE "kube-system"
#define AUTHENTICATION           "extension-apiserver-authentication"

/* The ConfigMap to create (have NULL) or to write over `have`; NULL when it is right. New. */
struct json *authentication_wanted(const struct json *have, const char *ca_pem);
/* Likewise. A kubeconfig that is there stays what somebody made of it. tokens: all Secrets that may be bootstrap
 * tokens; now in microseconds. */
struct json *cluster_info_wanted(const struct json *have, const char *ca_pem, const char *address, int port,
                                 struct json *const *tokens, size_t n_tokens, uint64_t now);
/* A JSON Web Signature (RFC 7515, HS256, "kid": id) of text with the text left out ("HEADER..SIGNATURE"). The caller
 * frees. */
char *detached_signature(const char *text, const char *id, const char *secret);

#endif
