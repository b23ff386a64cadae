/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding the program, the environment and the working folder, as seen from inside the container. */
#ifndef PODIUM_RUNTIME_PROCESS_COMMAND_H
#define PODIUM_RUNTIME_PROCESS_COMMAND_H

#include <sys/types.h>

#include "podium/base/error.h"
#include "runtime/spec/spec.h"

/* The path to execute: argv[0] itself when it has a slash, else the first executable in PATH of env. Checked with the
 * caller's rights. -ENOENT, -EACCES with the text people know from other runtimes. The caller frees. */
int command_find(const char *name, char *const *env, char **ret, struct error *err) _must_check_;
/* The environment to execute with: env, and HOME from /etc/passwd of the container if env has none. A vector of
 * borrowed strings (but for HOME); the process is about to execve, so nothing is freed. */
char **command_environment(char *const *env, uid_t uid);
/* Changes to the working folder, which is made if it does not exist and make says so; refuses one outside of the root.
 */
int command_change_folder(const char *cwd, bool make, struct error *err) _must_check_;

#endif
