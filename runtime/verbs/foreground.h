/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waiting for a container's process in the foreground: signals are passed on to it, its terminal is relayed. */
#ifndef PODIUM_RUNTIME_VERBS_FOREGROUND_H
#define PODIUM_RUNTIME_VERBS_FOREGROUND_H

#include "runtime/process/container.h"

/* Blocks the signals that foreground_wait() passes on; before the process is made, so that none is lost. */
void foreground_block_signals(void);
/* Gives the process' terminal, if it has one, the size of ours; when our output is no terminal, lines come as the
 * program writes them, without carriage returns, as with runc. Before the program runs where that can be. */
void foreground_prepare(const struct container_process *process);
/* Returns the exit status to end with (0-255), or -errno. */
int foreground_wait(struct container_process *process, struct error *err) _must_check_;

#endif
