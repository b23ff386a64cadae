/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux.intelRdt: the container's class of service in the resctrl file system (shares of the processor's cache and
 * memory bandwidth) and its monitoring group there.
 *
 * A group named by closID is shared: it stays when the container goes. One without closID is the container's own, has
 * its name, and goes with it, as does the monitoring group. The process writes itself into them as its first act
 * (container_params.tasks_fds), so what it starts is in there, too.
 *
 * Errors: -ENOTSUP when resctrl is not mounted (or the processor has nothing of it); -ENOENT, -EEXIST, -EINVAL about
 * the group, naming the field.
 * Sources: config-linux.md, "IntelRdt"; Documentation/filesystems/resctrl.rst.
 */
#ifndef PODIUM_RUNTIME_VERBS_RDT_H
#define PODIUM_RUNTIME_VERBS_RDT_H

#include <stdbool.h>

#include "podium/base/error.h"
#include "podium/base/strbuf.h"
#include "runtime/spec/spec.h"

struct rdt_group {
    int tasks[2]; /* the group's tasks file and the monitoring group's, -1: none */
    bool made, monitor_made;
};
#define RDT_GROUP_INIT                                                                                                 \
    { {-1, -1}, false, false }

/* The root of resctrl, as a descriptor. */
int rdt_open_root(struct error *err) _must_check_;
/* Makes or checks the group of a container that is being created; nothing remains after an error. */
int rdt_make(int root_fd, const struct spec_rdt *rdt, const char *id, struct rdt_group *ret,
             struct error *err) _must_check_;
/* The same files for one more process of a container. */
int rdt_open(int root_fd, const struct spec_rdt *rdt, const char *id, struct rdt_group *ret,
             struct error *err) _must_check_;
/* Removes what rdt_make() made for a container that then failed. */
void rdt_undo(int root_fd, const struct spec_rdt *rdt, const char *id, const struct rdt_group *group);
/* Removes what is the container's own; absent is fine. */
int rdt_remove(int root_fd, const struct spec_rdt *rdt, const char *id, struct error *err) _must_check_;
void rdt_close(struct rdt_group *group);

/* The lines for the schemata file; "" when nothing is set. A memory bandwidth goes before one in the cache's schema. */
void rdt_schemata(const struct spec_rdt *rdt, struct strbuf *out);
/* Whether each wanted line is among those of the file, whatever the spaces. */
bool rdt_schemata_match(const char *wanted, const char *file);

#endif
