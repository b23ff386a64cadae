/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the files of this folder: reading small cgroup files, and the controllers' names. */
#ifndef PODIUM_CGROUPS_FILES_H
#define PODIUM_CGROUPS_FILES_H

#include "podium/base/strbuf.h"
#include "podium/cgroups.h"

/* The controller a file belongs to, by its prefix ("memory.max" -> CGROUP_MEMORY); 0: none ("cgroup.kill"). */
unsigned cgroup_file_controller(const char *file);
/* Reads a file of the group; -ENODEV with the controller's name when it is missing. Reuses out. */
int cgroup_read(const struct cgroup *cg, const char *file, struct strbuf *out, struct error *err) _must_check_;
/* The number of a "key value" line; false when the key is not there. */
bool cgroup_key_value(const char *text, const char *key, uint64_t *ret);
/* Calls the function for each file that an OCI resources section writes, in order, with the value as version 2 has it;
 * the first error ends it. */
typedef int (*cgroup_setting_fn)(void *userdata, const char *file, const char *value, struct error *err);
int cgroup_each_setting(const struct json *resources, cgroup_setting_fn fn, void *userdata,
                        struct error *err) _must_check_;

#endif
