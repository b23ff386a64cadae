/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which ConfigMaps and Secrets a pod needs on its node: from volumes, environment and pull secrets. Pure. */
#ifndef PODIUM_LINK_POD_REFS_H
#define PODIUM_LINK_POD_REFS_H

#include "podium/base/json.h"

/* Calls add(userdata, "ConfigMap" or "Secret", name) for each mention (repeats possible); the namespace is the pod's.
 */
void pod_references(const struct json *pod, void (*add)(void *userdata, const char *kind, const char *name),
                    void *userdata);

#endif
