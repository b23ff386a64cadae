/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An existing container, opened by id for a verb: its locked folder, what is recorded, what it is doing. */
#ifndef PODIUM_RUNTIME_VERBS_CONTAINER_FILE_H
#define PODIUM_RUNTIME_VERBS_CONTAINER_FILE_H

#include "podium/cgroups.h"
#include "runtime/state/state.h"
#include "runtime/verbs/verbs.h"

struct container_file {
    struct state_dir dir;
    struct state state;
    enum state_status status; /* STATE_PAUSED when its cgroup is frozen */
    bool damaged;             /* by container_file_open_damaged(): the document could not be read */
    int pidfd;                /* its first process while it lives, else -1 */
};
#define CONTAINER_FILE_INIT                                                                                            \
    { .dir = STATE_DIR_INIT, .state = STATE_INIT, .pidfd = -1 }

int container_file_open(const struct baton *b, const char *id, struct container_file *ret,
                        struct error *err) _must_check_;
/* The ids that match an extended regular expression, sorted. */
int container_ids_matching(const struct baton *b, const char *pattern, char ***ret, struct error *err) _must_check_;
/* The same for one that is to be deleted whatever its file looks like: what cannot be read is left out. */
int container_file_open_damaged(const struct baton *b, const char *id, struct container_file *ret,
                                struct error *err) _must_check_;
void container_file_finish(struct container_file *f);
/* Opens its cgroup; -ENOENT when it has none. */
int container_file_cgroup(const struct container_file *f, struct cgroup *ret, struct error *err) _must_check_;
/* "TERM", "SIGTERM", "15" -> 15; -EINVAL. */
int signal_number(const char *name);

#endif
