/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The images of one pod: asked for by policy, waited for, backed off from, told about as the kubelet does (events
 * Pulling, Pulled, Failed, BackOff, ErrImageNeverPull, InspectFailed; waiting reasons ErrImagePull, ImagePullBackOff,
 * ErrImageNeverPull, InvalidImageName). All images of a pod are pulled at the same time, before any of its containers
 * starts. Part of the agent (model.h); the loop's thread.
 */
#ifndef PODIUM_AGENT_IMAGES_POD_IMAGES_H
#define PODIUM_AGENT_IMAGES_POD_IMAGES_H

#include <stdint.h>

#include "podium/base/cleanup.h"
#include "podium/base/json.h"

struct agent_pod;
struct image;

/* 0: every container's image is here and pod_image_take() will find it. -EAGAIN: not yet; pods are marked when that
 * changes, and pod_images_retry_at() says when to look again at the latest. */
int pod_images_ensure(struct agent_pod *pod) _must_check_;
/* The same for one container (an ephemeral one of a running pod). */
int pod_image_ensure(struct agent_pod *pod, const struct json *container) _must_check_;
/* Pins and resolves a container's image; -EAGAIN when it went away since, as pod_images_ensure(). */
int pod_image_take(struct agent_pod *pod, const struct json *container, struct image *ret) _must_check_;
uint64_t pod_images_retry_at(const struct agent_pod *pod); /* monotonic; UINT64_MAX: when something happens */
/* Container name → {"reason", "message"} of those that wait for their image; NULL when none does. Borrowed. */
const struct json *pod_images_waiting(const struct agent_pod *pod);
/* The pod was started with what is here: a later start asks by policy again. */
void pod_images_started(struct agent_pod *pod);
/* Lets go of pulls the pod waits for. */
void pod_images_forget(struct agent_pod *pod);

#endif
