/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What to do about the image of one container. Source: the kubelet's image manager (pkg/kubelet/images):
 * imagePullPolicy, and a back-off of its own per pod and image, 10 s doubling to 5 min. Pure functions; no clock.
 */
#ifndef PODIUM_AGENT_IMAGES_POLICY_H
#define PODIUM_AGENT_IMAGES_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/json.h"

enum image_policy { IMAGE_ALWAYS, IMAGE_IF_NOT_PRESENT, IMAGE_NEVER };
enum image_step {
    IMAGE_STEP_USE,      /* start with what is here */
    IMAGE_STEP_PULL,     /* ask for it now */
    IMAGE_STEP_WAIT,     /* a pull is on its way */
    IMAGE_STEP_BACK_OFF, /* it failed a short while ago */
    IMAGE_STEP_MISSING,  /* not here, and not to be pulled */
};

struct image_view {
    enum image_policy policy;
    bool present;          /* the store has it */
    bool pulled;           /* a pull for this start of the pod ended well */
    bool pulling;          /* one is on its way */
    uint64_t now, next_at; /* when it may be tried again; 0: at once */
};

enum image_step image_step(const struct image_view *view);
/* Of the container; by the tag when it says none, as the API server's defaulting does: latest means Always. */
enum image_policy image_policy_of(const struct json *container);
/* How long to wait after the n-th failure in a row (n ≥ 1), in microseconds. */
uint64_t image_back_off(unsigned failures);

#endif
