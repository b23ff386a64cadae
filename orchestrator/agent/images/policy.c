/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/images/policy.h"

#include <string.h>

#include "podium/base/clock.h"

#define BACK_OFF_FIRST_USEC (10 * USEC_PER_SEC)
#define BACK_OFF_MAX_USEC   (300 * USEC_PER_SEC)

enum image_step image_step(const struct image_view *v) {
    if (v->pulling)
        return IMAGE_STEP_WAIT;
    if (v->present && (v->pulled || v->policy != IMAGE_ALWAYS))
        return IMAGE_STEP_USE;
    if (v->policy == IMAGE_NEVER)
        return IMAGE_STEP_MISSING;
    return v->now < v->next_at ? IMAGE_STEP_BACK_OFF : IMAGE_STEP_PULL;
}

static bool is_latest(const char *image) {
    const char *slash = strrchr(image, '/'), *name = slash ? slash + 1 : image;
    const char *tag = strchr(name, ':');

    return !strchr(name, '@') && (!tag || strcmp(tag, ":latest") == 0);
}

enum image_policy image_policy_of(const struct json *container) {
    const char *policy = json_str_or(json_get(container, "imagePullPolicy"), "");

    if (strcmp(policy, "Always") == 0)
        return IMAGE_ALWAYS;
    if (strcmp(policy, "Never") == 0)
        return IMAGE_NEVER;
    if (strcmp(policy, "IfNotPresent") == 0)
        return IMAGE_IF_NOT_PRESENT;
    return is_latest(json_str_or(json_get(container, "image"), "")) ? IMAGE_ALWAYS : IMAGE_IF_NOT_PRESENT;
}

uint64_t image_back_off(unsigned failures) {
    uint64_t wait = BACK_OFF_FIRST_USEC;

    for (unsigned i = 1; i < failures && wait < BACK_OFF_MAX_USEC; i++)
        wait *= 2;
    return wait < BACK_OFF_MAX_USEC ? wait : BACK_OFF_MAX_USEC;
}
