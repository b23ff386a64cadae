/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The status document of a pod, as the kubelet makes it: a pure function of the pod's document, the supervisor's state
 * and what the agent knows besides. Source: pkg/kubelet/kubelet_pods.go (generateAPIPodStatus) and pkg/kubelet/status.
 */
#ifndef PODIUM_AGENT_STATUS_H
#define PODIUM_AGENT_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/json.h"

struct status_input {
    const struct json *pod;
    const struct json *state;     /* the supervisor's, NULL before it ran */
    const struct json *previous;  /* the status told last (or of the document): times of unchanged conditions */
    bool running;                 /* the unit is there */
    uint64_t now, start_time;     /* real time */
    const char *host_ip, *pod_ip; /* "" when unknown */
    const char *waiting_reason;   /* why the pod cannot start, NULL: no reason */
    const char *waiting_message;
    const struct json *waiting_images;            /* container name → {reason, message}; may be NULL */
    const struct json *held;                      /* the same, of those the supervisor does not know; may be NULL */
    const struct json *health;                    /* of containers with readiness probes (probes.h); may be NULL */
    const struct json *last_words;                /* run's ID → end of its output (last_words.h); may be NULL */
    const struct json *image_ids;                 /* object: container name → image ID; may be NULL */
    const char *resize;                           /* resize_status() */
    const struct json *allocation;                /* allocation.h; may be NULL */
    const char *refused_reason, *refused_message; /* the node will never run it; NULL */
    bool rejected;                                /* refused before it began: nothing is said of containers */
    bool disrupted;                               /* because of the node, not of the pod: DisruptionTarget */
};

/* The caller unrefs. */
struct json *status_make(const struct status_input *in);
/* Whether no container will ever run again, by the pod's restart policy and the supervisor's state. */
bool status_is_final(const struct json *pod, const struct json *state);

#endif
