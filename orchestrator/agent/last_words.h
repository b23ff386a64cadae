/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * terminationMessagePolicy FallbackToLogsOnError: the message of a container that failed without leaving one is the end
 * of its output (80 lines, 2048 bytes of them at most), read from the journal once per run.
 */
#ifndef PODIUM_AGENT_LAST_WORDS_H
#define PODIUM_AGENT_LAST_WORDS_H

struct agent_pod;

/* Looks for runs in pod->state that need it; pod->last_words ({containerID: text}) follows, and the pod is marked. */
void last_words_update(struct agent_pod *pod);
/* Gives up what is being read; any time. */
void last_words_forget(struct agent_pod *pod);

#endif
