/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Renames a log to NAME-2006-01-02T15-04-05.000.EXT and removes those of earlier days: log.h says which. */
#ifndef PODIUM_APISERVER_AUDIT_ROTATE_H
#define PODIUM_APISERVER_AUDIT_ROTATE_H

#include <stdint.h>

#include "podium/base/error.h"

/* now: real time, microseconds, in UTC in the name. Errors are those of the rename; what cannot be removed stays. */
int audit_rotate(const char *path, uint64_t now_usec, uint64_t age_max_sec, unsigned backups_max,
                 struct error *err) _must_check_;

#endif
