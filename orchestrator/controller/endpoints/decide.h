/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The v1 Endpoints of a Service with a selector, by upstream's pkg/controller/endpoint. Pure. */
#ifndef PODIUM_CONTROLLER_ENDPOINTS_DECIDE_H
#define PODIUM_CONTROLLER_ENDPOINTS_DECIDE_H

#include <stddef.h>

#include "podium/base/json.h"

#define ENDPOINTS_MAX           1000 /* addresses; more are cut off and the annotation says so */
#define ANNOTATION_OVERCAPACITY "endpoints.kubernetes.io/over-capacity"

/* The object to create (have NULL) or to write over `have`; NULL when that is right. pods: those it does not select are
 * passed over. trigger: endpoints.kubernetes.io/last-change-trigger-time, NULL when unknown. New. */
struct json *endpoints_wanted(const struct json *service, struct json *const *pods, size_t n, const char *trigger,
                              const struct json *have);

#endif
