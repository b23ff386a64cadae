/* SPDX-License-Identifier: GPL-2.0-or-later */
/* EndpointSlices for Endpoints that people or programs write by hand, by upstream's
 * pkg/controller/endpointslicemirroring. Pure. */
#ifndef PODIUM_CONTROLLER_SLICEMIRRORING_DECIDE_H
#define PODIUM_CONTROLLER_SLICEMIRRORING_DECIDE_H

#include "orchestrator/controller/slices.h"

#define SLICEMIRRORING_MANAGER "endpointslicemirroring-controller.k8s.io"
#define SLICEMIRRORING_MAX     1000 /* --mirroring-max-endpoints-per-subset; what a subset has beyond is left out */

/* The Endpoints want to be mirrored, and their Service (NULL: none) has no controller that makes its slices. */
bool slicemirroring_wanted(const struct json *endpoints, const struct json *service);
/* Groups for slices_decide(); NULL when there is no address. */
struct json *slicemirroring_groups(const struct json *endpoints);
/* Labels and annotations of the slices; the latter NULL when there are none. New. */
struct json *slicemirroring_labels(const struct json *endpoints);
struct json *slicemirroring_annotations(const struct json *endpoints);

#endif
