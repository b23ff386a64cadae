/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values by dotted path, as tables and messages write them. Pure; any thread. */
#ifndef PODIUM_OBJECT_FIELD_PATH_H
#define PODIUM_OBJECT_FIELD_PATH_H

#include "podium/base/json.h"

/* "status.podIPs[0].ip"; names hold no dots. NULL when a part is absent or of another kind. Borrowed from v. */
const struct json *field_path_get(const struct json *v, const char *path);

#endif
