/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /etc/hosts, /etc/hostname and /etc/resolv.conf of a pod, in <run_dir>/etc. Source: the kubelet's hosts file and
 * pkg/kubelet/network/dns.
 */
#ifndef PODIUM_AGENT_POD_FILES_H
#define PODIUM_AGENT_POD_FILES_H

#include "orchestrator/agent/context.h"
#include "podium/base/strbuf.h"

/* The host name a pod sees: spec.hostname or its name, at most 63 bytes; "" with hostNetwork. The caller frees. */
char *pod_hostname(const struct json *pod);
void pod_hosts_text(const struct pod_context *ctx, const char *cluster_domain, struct strbuf *out);
/* dns: the "dns" member of the network document, or NULL; host_resolv_conf: the node's own text. */
void pod_resolv_conf_text(const struct pod_context *ctx, const struct json *dns, const char *cluster_domain,
                          const char *host_resolv_conf, struct strbuf *out);
int pod_files_write(const struct pod_context *ctx, const struct json *dns, const char *cluster_domain,
                    struct error *err) _must_check_;

#endif
