/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /etc/hosts, /etc/hostname and /etc/resolv.conf of a pod, in <run_dir>/etc. Source: the kubelet's hosts file and
 * pkg/kubelet/network/dns.
 */
#ifndef PODIUM_AGENT_POD_FILES_H
#define PODIUM_AGENT_POD_FILES_H

#include "orchestrator/agent/context.h"
#include "orchestrator/agent/dns/pod_resolver.h"
#include "podium/base/strbuf.h"

/* The host name a pod sees: spec.hostname or its name, at most 63 bytes; "" with hostNetwork. The caller frees. */
char *pod_hostname(const struct json *pod);
void pod_hosts_text(const struct pod_context *ctx, const char *cluster_domain, struct strbuf *out);
/* What the kernel is told: the host name, or with setHostnameAsFQDN and a subdomain the whole name; "" with
 * hostNetwork. -EINVAL when it is too long for the kernel. The caller frees *ret. */
int pod_uts_name(const struct json *pod, const char *cluster_domain, char **ret, struct error *err) _must_check_;
/* dns: the "dns" member of the network document, or NULL; event: see pod_resolver.h. */
int pod_files_write(const struct pod_context *ctx, const struct json *dns, const char *cluster_domain,
                    const char *uts_name, pod_resolver_event event, void *userdata, struct error *err) _must_check_;

#endif
