/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file a container leaves its last words in: made anew and writable by anybody before each run, bound into the
 * container by its OCI configuration, read when it ended. Source: terminationMessagePath of the Kubernetes API.
 */
#ifndef PODIUM_POD_TERMINATION_H
#define PODIUM_POD_TERMINATION_H

#include <stddef.h>

#include "podium/base/error.h"

/* An empty file, mode 0666; one of an earlier run is replaced, so that nothing of that run can write to it. */
int termination_file_make(const char *path, struct error *err) _must_check_;
/* At most `max` bytes of the file, as valid UTF-8 (other bytes become U+FFFD, and NULs); NULL when it is empty, gone or
 * not a regular file. The caller frees. */
char *termination_file_read(const char *path, size_t max);

#endif
