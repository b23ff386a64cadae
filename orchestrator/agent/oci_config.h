/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container of a pod as an OCI runtime configuration: image defaults, the container's own settings, the pod's rights
 * and files, put together. No I/O but reading the image's passwd and group files.
 */
#ifndef PODIUM_AGENT_OCI_CONFIG_H
#define PODIUM_AGENT_OCI_CONFIG_H

#include "orchestrator/agent/context.h"
#include "orchestrator/images/images.h"

struct volume_set;

struct oci_config_input {
    const struct pod_context *ctx;
    const struct json *container; /* of the pod's spec */
    const struct image *image;
    const struct volume_set *volumes;
    const char *hostname; /* "" with hostNetwork */
};

/* The member of pod.json's containers: {name, config, rootfs, seccompDefault, stopSignal, hooks …}. -EAGAIN with the
 * problem. The caller unrefs. */
int oci_config_build(const struct oci_config_input *in, struct json **ret, struct pod_problem *problem) _must_check_;

#endif
