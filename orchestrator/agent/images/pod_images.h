/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The images of one pod: asked for by policy, waited for, backed off from, told about as the kubelet does (events
 * Pulling, Pulled, Failed, BackOff, ErrImageNeverPull, InspectFailed; waiting reasons ErrImagePull, ImagePullBackOff,
 * ErrImageNeverPull, InvalidImageName). All images of a pod are pulled at the same time; its containers start in order,
 * and an image that cannot be had holds its container only (containers.h). Part of the agent (model.h); the loop's
 * thread.
 */
#ifndef PODIUM_AGENT_IMAGES_POD_IMAGES_H
#define PODIUM_AGENT_IMAGES_POD_IMAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/cleanup.h"
#include "podium/base/json.h"

struct agent_pod;
struct image;
struct pod_problem;

/* Asks for the images of all containers that are not here. Pods are marked when that changes, and pod_images_retry_at()
 * says when to look again at the latest. */
void pod_images_ask(struct agent_pod *pod);
/* Asks for, pins and resolves one container's image. -EAGAIN: not here yet, or with the problem. */
int pod_image_take(struct agent_pod *pod, const struct json *container, struct image *ret,
                   struct pod_problem *problem) _must_check_;
/* Whether it is being pulled. */
bool pod_image_is_coming(const struct agent_pod *pod, const char *container);
uint64_t pod_images_retry_at(const struct agent_pod *pod); /* monotonic; UINT64_MAX: when something happens */
/* Container name → {"reason", "message"} of those that wait for their image; NULL when none does. Borrowed. */
const struct json *pod_images_waiting(const struct agent_pod *pod);
/* All that the pod needs is here: a later start asks by policy again. */
void pod_images_started(struct agent_pod *pod);
/* Lets go of pulls the pod waits for. */
void pod_images_forget(struct agent_pod *pod);

#endif
