/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pod's volumes: emptyDir (on disk, or Memory), hostPath, configMap, secret, downwardAPI and projected.
 *
 * Volumes with content from the API live below the pod's run folder, which is on a tmpfs (so secrets never reach a
 * disk), in the layout programs know from Kubernetes: the files are symlinks to ..data/<file>, ..data a symlink to a
 * folder with a time stamp, replaced by rename: readers see all of the old or all of the new.
 */
#ifndef PODIUM_AGENT_VOLUMES_H
#define PODIUM_AGENT_VOLUMES_H

#include "orchestrator/agent/context.h"

struct volume {
    char *name;
    char *path;     /* on the host: the folder, or the hostPath's own path */
    char *shared;   /* where the supervisor binds the path for mounts to go both ways; NULL: nobody asks for that */
    char *tmpfs;    /* medium Memory: path again, to be mounted by the supervisor */
    uint64_t size;  /* of the tmpfs; 0: default */
    bool read_only; /* content of the API */
    bool host_path;
};

struct volume_set {
    struct volume *items;
    size_t n;
};

/* Prepares all volumes of the pod; idempotent. -EAGAIN with the problem (reason FailedMount). */
int volumes_prepare(const struct pod_context *ctx, struct volume_set *ret, struct pod_problem *problem) _must_check_;
/* Writes the content of configMap, secret, downwardAPI and projected volumes of a running pod again, where it changed.
 */
int volumes_refresh(const struct pod_context *ctx, struct error *err) _must_check_;
void volumes_finish(struct volume_set *set);
const struct volume *volumes_find(const struct volume_set *set, const char *name);

/* A volumeMount as an OCI mount, with the subPath for the supervisor (podium/runtime.h). *ret: the caller's. */
int volume_mount(const struct pod_context *ctx, const struct json *container, const struct json *mount,
                 const struct volume_set *set, struct json **ret, struct pod_problem *problem) _must_check_;

#endif
