/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The group of a container as a transient scope of systemd, for hosts where systemd owns the hierarchy.
 *
 * What it is. systemd makes the group (Delegate=yes), knows its limits as properties of the unit, and removes it when
 * the last process has ended. Device rules are not handed over: our own filter is attached to the group
 * (cgroup_device_filter()), and systemd leaves filters alone that it has not made.
 *
 * Invariants. A connection lives only while a call here runs (cgroups/bus.h). A scope needs a process to begin with:
 * the caller gives one and lets it live until others are inside.
 *
 * Errors. -ENOTSUP no systemd to talk to; -EEXIST the unit is there already; -EIO the job failed;
 * -ETIMEDOUT after 30 s. Threads: any; no shared state.
 *
 * Source: org.freedesktop.systemd1(5); "slice:prefix:name" and the annotations org.systemd.property.* as runc's
 * docs/systemd.md has them.
 */
#ifndef PODIUM_CGROUPS_SCOPE_H
#define PODIUM_CGROUPS_SCOPE_H

#include <sys/types.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

/* "slice:prefix:name" as the names of the slice and the unit; the caller frees both. NULL: of the id. An empty slice is
 * system.slice; a name that ends in .slice is refused (no process can be in a slice). -EINVAL. */
int cgroup_scope_names(const char *cgroups_path, const char *id, char **ret_slice, char **ret_unit,
                       struct error *err) _must_check_;

/* The unit properties of a resources section and of the annotations, for a list of {"name", "type", "value"}: type is
 * D-Bus's (s b i u x t as ay); -1 of type t is "infinity". What systemd has no property for is left out: it is written
 * to the group. Pure. -EINVAL names the annotation. */
int cgroup_scope_properties(const struct json *resources, const struct json *annotations, struct json **ret,
                            struct error *err) _must_check_;

/* Starts the scope with one process in it and waits until that is there. */
int cgroup_scope_start(const char *unit, const char *slice, const char *description, pid_t pid,
                       const struct json *properties, struct error *err) _must_check_;
/* Changes properties of a running scope. */
int cgroup_scope_set(const char *unit, const struct json *properties, struct error *err) _must_check_;
/* Stops it and forgets its failure; success when it is gone already. */
int cgroup_scope_stop(const char *unit, struct error *err) _must_check_;

#endif
