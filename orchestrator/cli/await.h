/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting for objects to become something: by watches, so that it ends with the event and asks nothing in between.
 */
#ifndef PODIUM_CLI_AWAIT_H
#define PODIUM_CLI_AWAIT_H

#include "orchestrator/cli/targets.h"

#define AWAIT_FOR_EVER UINT64_MAX

/* object: NULL while the target does not exist. True when nothing more is to be waited for. Called for what is there
 * and after each change. */
typedef bool (*await_fn)(void *userdata, const struct target *t, const struct json *object);
/* Called once for each target that is done; may be NULL. */
typedef void (*await_done_fn)(void *userdata, const struct target *t);

/* 0 when all are done; -ETIME when time is up, with *ret_late (may be NULL) the first that is not done. Every target
 * has a name. timeout 0: only what is there now counts. */
int cli_await(struct cli *c, const struct targets *t, await_fn check, await_done_fn done, void *userdata,
              uint64_t timeout_usec, const struct target **ret_late) _must_check_;

#endif
