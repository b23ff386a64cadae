/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pod's /etc/resolv.conf, from its dnsPolicy and dnsConfig, the cluster's DNS and the node's own resolv.conf. Pure.
 * Source: the kubelet's pkg/kubelet/network/dns (v1.32), its limits and words.
 */
#ifndef PODIUM_AGENT_DNS_POD_RESOLVER_H
#define PODIUM_AGENT_DNS_POD_RESOLVER_H

#include "podium/base/json.h"
#include "podium/base/strbuf.h"

struct pod_resolver_input {
    const struct json *pod;
    const struct json *dns;       /* "dns" of the network document (node_api.h), or NULL */
    const char *cluster_domain;   /* when dns names none */
    const char *host_resolv_conf; /* text */
};

/* Told for each event the pod should have: reason, and message as upstream's. */
typedef void (*pod_resolver_event)(void *userdata, const char *reason, const char *message);

void pod_resolver_text(const struct pod_resolver_input *input, struct strbuf *out, pod_resolver_event event,
                       void *userdata);
/* True when all resolvers of the text are systemd-resolved's stub, which listens on the node's loopback: pods cannot
 * reach it. */
bool resolver_is_local_stub(const char *resolv_conf);

#endif
