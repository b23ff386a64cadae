/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pod.json as the supervisor keeps it: only what it needs between starts. The OCI configurations, by far the largest
 * part, are read from the file again at each start, and from the file as it was then at each exec, so that an idle
 * supervisor stays small.
 *
 * Ownership: all strings belong to the config. Errors: -EINVAL with the member's path.
 */
#ifndef PODIUM_POD_CONFIG_H
#define PODIUM_POD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/json.h"
#include "runtime/spec/spec.h"

enum pod_restart { POD_RESTART_ALWAYS, POD_RESTART_ON_FAILURE, POD_RESTART_NEVER };

struct pod_hook {
    char **args;       /* NULL: none */
    int sleep_seconds; /* -1: none */
    bool http;         /* the agent runs it */
};

/* Why a container cannot be started by now, though others can. */
struct pod_hold {
    char *reason; /* NULL: it can be started */
    char *message;
    bool in_order; /* it is about to come: those after it in the list wait for it */
};

struct pod_container_config {
    char *name;
    struct pod_hold hold;
    bool init, sidecar; /* a sidecar is an init container, too */
    bool ephemeral;     /* comes later, runs once */
    char *target;       /* ephemeral: the container whose processes it shares; NULL: none */
    int stop_signal;
    bool input, input_once; /* stdin, stdinOnce of the API */
    struct pod_hook post_start, pre_stop;
    bool startup_probe;     /* started only when the agent says so */
    char *termination_file; /* on the host, bound into the container; NULL: none */
};

struct pod_tmpfs {
    char *path;
    uint64_t size; /* 0: the kernel's default */
    unsigned mode;
    int64_t gid; /* -1: root's */
};

struct pod_shared_mount {
    char *source, *path;
};

struct pod_sysctl {
    char *name, *value;
};

struct pod_config {
    char *uid, *namespace, *name;
    char *hostname, *domainname; /* NULL: not set */
    bool host_network, host_ipc, host_pid, share_process_namespace;
    uint32_t userns_base, userns_size; /* the pod's id 0 is the host's userns_base; size 0: no user namespace */
    enum pod_restart restart;
    int64_t grace_seconds;
    struct pod_tmpfs *tmpfs;
    size_t n_tmpfs;
    struct pod_shared_mount *shared_mounts;
    size_t n_shared_mounts;
    struct pod_sysctl *sysctls;
    size_t n_sysctls;
    struct pod_container_config *containers; /* init containers, containers, ephemeral ones; in the order of the file */
    size_t n_containers, n_init;
};

int pod_config_parse(const struct json *doc, struct pod_config **ret, struct error *err) _must_check_;
void pod_container_config_finish(struct pod_container_config *c);
void pod_config_free(struct pod_config *config);
DEFINE_CLEANUP(struct pod_config *, pod_config_free)

/* What one start or exec needs; read from the file. */
struct pod_launch {
    struct spec *spec;
    struct overlay_root *overlay; /* NULL: the spec's own root */
    struct json *config;          /* the OCI document */
    int64_t allocation;           /* number of the resources that config has */
    bool seccomp_default;         /* the default profile is wanted; see pod_run_seccomp() */
};
/* Container number i of the pod.json that fd is open on; the offset does not matter. -EAGAIN: it is held. */
int pod_launch_load(int fd, size_t i, struct pod_launch *ret, struct error *err) _must_check_;
void pod_launch_finish(struct pod_launch *launch);

#endif
