/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host as the fault tests see it: how it was, what is left, and what the containers say. */
#ifndef PODIUM_TESTS_FAULTS_SURROUNDINGS_H
#define PODIUM_TESTS_FAULTS_SURROUNDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/faults/inject.h"

struct surroundings;

/* Remembers how things are now. Ends the program when that is not possible. */
struct surroundings *surroundings_new(const char *program, const char *dir, const char *group);

/* Commands are the runtime's, in words: B the folder of bundles, P the pid file, S the console socket, ID the
 * container. Returns the exit status. */
int surroundings_call(struct surroundings *w, const char *command);
/* The same with a fault. */
void surroundings_try(struct surroundings *w, const char *command, const struct inject_plan *plan, int timeout_msec,
                      struct inject_result *ret);
/* What the last command wrote to standard error, until the next call. */
const char *surroundings_errors(struct surroundings *w);
/* The container's state as the runtime tells, "" when it knows none. */
void surroundings_state(struct surroundings *w, char *ret, size_t n);

/* Waits until all processes have ended or wait for ever, and returns what the container wrote. The caller frees. */
char *surroundings_output(struct surroundings *w, bool terminal);
bool surroundings_compare(struct surroundings *w, const char *wanted, bool terminal, char *ret_difference, size_t n);

/* Whether everything is as in the beginning; *ret_what tells what is not. */
bool surroundings_clean(struct surroundings *w, const char **ret_what);
/* delete --force, then the same. */
bool surroundings_delete(struct surroundings *w, const char **ret_what);
/* By force, after a finding: the next case must not suffer from it. */
void surroundings_reset(struct surroundings *w);

#endif
