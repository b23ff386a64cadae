/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disk work that may take long (removing trees, measuring them), in a forked child, so that the loop never waits for a
 * disk. The child has nothing of the agent's open, is nice to others, and dies with the agent.
 *
 * Ownership. The task is its starter's; done() comes once, from the loop, with what the child wrote; after it the
 * starter frees the task (also from inside done()). Freeing one that runs kills it.
 */
#ifndef PODIUM_AGENT_CHILD_TASK_H
#define PODIUM_AGENT_CHILD_TASK_H

#include "podium/base/cleanup.h"
#include "podium/base/error.h"

typedef struct sd_event sd_event;
struct child_task;

#define CHILD_TASK_OUTPUT_MAX (1024u * 1024u)

/* work runs in the child, which ends when it returns. */
int child_task_start(sd_event *loop, void (*work)(const char *argument, int out_fd), const char *argument,
                     void (*done)(void *userdata, const char *text), void *userdata, struct child_task **ret,
                     struct error *err) _must_check_;
void child_task_free(struct child_task *task);
DEFINE_CLEANUP(struct child_task *, child_task_free)

#endif
