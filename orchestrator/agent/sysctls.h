/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which kernel settings a pod may ask for. Pure. Source: the kubelet's list of safe sysctls (pkg/kubelet/sysctl). */
#ifndef PODIUM_AGENT_SYSCTLS_H
#define PODIUM_AGENT_SYSCTLS_H

#include "podium/base/json.h"

/* Why the pod cannot be admitted, as the kubelet words it: `forbidden sysctl: "kernel.msgmax" not allowlisted`; the
 * caller frees. NULL: it asks for nothing forbidden. */
char *sysctls_forbidden(const struct json *pod, const char *unsafe);
/* unsafe, above: names beside the safe ones that the node's administrator allows, separated by commas, "kernel.msg*"
 * for all that begin so; NULL: none. What is wrong with such a text, as the kubelet sees it: only settings that belong
 * to a namespace can be given to pods. The caller frees; NULL: nothing. */
char *sysctls_unsafe_problem(const char *unsafe);
/* "net/ipv4/tcp_rmem" and "net.ipv4.tcp_rmem" are the same setting; the form with dots between the parts is returned,
 * the caller frees. */
char *sysctl_normal_name(const char *name);

#endif
