/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the rules of pods are parted: one file per subject (kind_container.c, kind_handlers.c, kind_env.c, kind_mounts.c,
 * kind_resources.c, kind_security.c, kind_windows.c). Private to them and kind_pod.c, kind_volume.c. */
#ifndef PODIUM_OBJECT_KIND_POD_H
#define PODIUM_OBJECT_KIND_POD_H

#include "orchestrator/object/kind_rules.h"

/* What the rules of a container need to know of its pod. */
struct pod_context {
    const struct json *spec;
    const struct hashmap *volumes; /* name -> the volume (struct json), of those without a fault; NULL: none */
    bool in_template, host_network, host_users;
};

/* container: the containers' place; object: the container. */
void rules_container_probes(struct field_errors *e, const struct place *container, const struct json *object,
                            const struct pod_context *pod);
void rules_container_env(struct field_errors *e, const struct place *container, const struct json *object);
void rules_container_mounts(struct field_errors *e, const struct place *container, const struct json *object,
                            const struct pod_context *pod);
void rules_container_resources(struct field_errors *e, const struct place *container, const struct json *object,
                               const struct json *spec);
void rules_container_security(struct field_errors *e, const struct place *container, const struct json *object,
                              const struct pod_context *pod);

/* {limits, requests} at a place. */
void rules_resource_lists(struct field_errors *e, const struct place *at, const struct json *resources);
/* A name that a container may ask for. */
void rules_container_resource_name(struct field_errors *e, const struct place *at, const char *name);
/* Only cpu, memory … and names with a domain. False when it complained. */
bool rules_resource_name(struct field_errors *e, const struct place *at, const char *name);
/* Not negative; whole numbers for what can only be counted. */
void rules_resource_value(struct field_errors *e, const struct place *at, const char *name, const struct json *value);
bool resource_is_overcommittable(const char *name);

/* at: the pod's spec. */
void rules_pod_security(struct field_errors *e, const struct place *at, const struct json *spec);
/* spec.os, and what belongs to one operating system only. */
void rules_pod_os(struct field_errors *e, const struct place *at, const struct json *spec);
void rules_windows_options(struct field_errors *e, const struct place *at, const struct json *options);
void rules_host_process(struct field_errors *e, const struct place *at, const struct json *spec);

/* sorted: the field paths that are supported here. */
void rules_field_ref(struct field_errors *e, const struct place *at, const struct json *ref, const char *const *sorted);
/* named: of a volume, where the container has to be named. */
void rules_resource_ref(struct field_errors *e, const struct place *at, const struct json *ref, bool named);
/* A file below a volume: relative, no "..", not beginning with "..". */
void rules_file_path(struct field_errors *e, const struct place *at, const char *path);

/* The volumes; *ret_good: name -> the volume, of those without a fault (NULL: none; hashmap_free). pod_name: NULL when
 * there is none (templates). */
void rules_volumes(struct field_errors *e, const struct place *at, const struct json *spec, const char *pod_name,
                   struct hashmap **ret_good);

#endif
