/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `update` changes: a part of linux.resources, from options or from a document, and how it goes into what a
 * container has. Pure: nothing here touches a group.
 */
#ifndef PODIUM_RUNTIME_VERBS_RESOURCES_H
#define PODIUM_RUNTIME_VERBS_RESOURCES_H

#include <stdbool.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

/* The options of `update` that stand for one member each ("memory", "cpu-shares", …), in the order of
 * resources_option_name(): NULL beyond the end. */
const char *resources_option_name(unsigned n);
/* Sets the member of option n. Sizes may carry k, m, g or t (powers of 1024), -1 means no limit. -EINVAL names the
 * option. *ret_ignored: the option is known and does nothing any more (kernel memory). */
int resources_set_option(struct json **change, unsigned n, const char *value, bool *ret_ignored,
                         struct error *err) _must_check_;

/* The resources with the change put over them: members that the change does not name stay; lists are replaced. */
struct json *resources_merge(const struct json *resources, const struct json *change);
/*
 * What has to be written for the change: the change with those neighbours of its members that share a file with them
 * or are needed for their conversion (quota and period, memory and memory+swap). Both from the merged resources, in
 * which an unlimited memory has taken the limit of swap away. -EINVAL when the change is no object.
 */
int resources_to_write(struct json **merged, const struct json *change, struct json **ret,
                       struct error *err) _must_check_;

#endif
