/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the builders of a pod's configuration know besides the pod: the node, the pod's places on disk, and the
 * ConfigMaps and Secrets at hand. Borrowed by them, never kept.
 */
#ifndef PODIUM_AGENT_CONTEXT_H
#define PODIUM_AGENT_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

struct hashmap;
struct pod_tokens;
struct service_table;

struct pod_context {
    const struct json *pod;
    const char *node_name, *host_ip;
    const char *pod_ip;                   /* "" when it has none yet */
    const char *run_dir;                  /* of the pod, on a tmpfs */
    const char *state_dir;                /* of the pod, on disk: writable layers, emptyDirs */
    const char *seccomp_dir;              /* Localhost profiles */
    const struct json *network;           /* the control plane's network document; NULL when not known */
    const struct hashmap *objects;        /* object_key() → struct json */
    const struct pod_tokens *tokens;      /* tokens.h */
    const struct service_table *services; /* services/table.h; NULL: none known */
    int64_t node_cpu_milli, node_memory;  /* allocatable: what absent limits mean for resourceFieldRef */
    int64_t qos_memory;                   /* container_resources(); 0: no MemoryQoS */
    uint64_t capability_bounds;           /* what can be given at all */
    uint32_t id_base;                     /* the host's id for the pod's 0 (id_range.h); 0: no user namespace */
};

/* Why a pod cannot be started now. */
struct pod_problem {
    const char *reason; /* static: "ErrImageNeverPull", "CreateContainerConfigError", "FailedMount" … */
    char *container;    /* NULL: the whole pod */
    char *message;
    bool wants_object; /* a ConfigMap or Secret may help */
};
void pod_problem_finish(struct pod_problem *p);
/* Fills p, replacing what was there; returns -EAGAIN. */
int pod_problem_set(struct pod_problem *p, const char *reason, const char *container, const char *fmt, ...)
    _printf_(4, 5);

/* "ConfigMap/namespace/name"; the caller frees. */
char *object_key(const char *kind, const char *namespace, const char *name);
/* Borrowed; NULL when not known. The namespace is the pod's. */
const struct json *context_object(const struct pod_context *ctx, const char *kind, const char *name);
/* The bytes of a key of a ConfigMap (data, binaryData) or Secret (data, which is base64); *ret is NUL-terminated and
 * the caller's. -ENOENT without the key, -EINVAL when it is no valid base64. */
int object_value(const struct json *object, const char *key, uint8_t **ret, size_t *ret_n) _must_check_;
/* All keys, sorted; the caller frees. */
char **object_keys(const struct json *object);
const char *pod_meta(const struct json *pod, const char *member); /* metadata.<member>, "" when absent */

#endif
