/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which kernel settings a pod may ask for. Pure. Source: the kubelet's list of safe sysctls (pkg/kubelet/sysctl). */
#ifndef PODIUM_AGENT_SYSCTLS_H
#define PODIUM_AGENT_SYSCTLS_H

#include "podium/base/json.h"

/* Why the pod cannot be admitted, as the kubelet words it: `forbidden sysctl: "kernel.msgmax" not allowlisted`; the
 * caller frees. NULL: it asks for nothing forbidden. */
char *sysctls_forbidden(const struct json *pod);
/* "net/ipv4/tcp_rmem" and "net.ipv4.tcp_rmem" are the same setting; the form with dots between the parts is returned,
 * the caller frees. */
char *sysctl_normal_name(const char *name);

#endif
