/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kubeconfig of a cluster's administrator (client certificate in the group system:masters). */
#ifndef PODIUM_LOCAL_KUBECONFIG_H
#define PODIUM_LOCAL_KUBECONFIG_H

#include "podium/base/error.h"

/* Issues a client certificate from the authority in ca_dir and writes a kubeconfig with everything inside it (0600).
 * server: "https://10.89.0.2:6443". lifetime_sec: of the certificate. */
int kubeconfig_write(const char *path, const char *ca_dir, const char *cluster, const char *server,
                     unsigned long long lifetime_sec, struct error *err) _must_check_;

#endif
