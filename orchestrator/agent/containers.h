/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The containers of a pod as its pod.json has them (podium/runtime.h): built, taken over as they are, or held back.
 *
 * As upstream, what one container lacks (its image, a ConfigMap or Secret or key that its environment names, a user
 * that is not root) holds that container only: it is in pod.json with the reason, the supervisor starts the others, and
 * it comes when what it lacks is there. What the pod as a whole lacks (volumes, an address) is no subject of this file.
 *
 * The environment of every start is made of the ConfigMaps and Secrets as they are then: pod.json is written anew when
 * one changes that a container names, also while that container runs; its next start reads it. One that was removed
 * holds the container when it ends. Images are not looked at again for that: the next start has the image the container
 * had, whatever its pull policy says, as long as the pod's supervisor lives.
 *
 * Part of the agent (model.h); the loop's thread.
 */
#ifndef PODIUM_AGENT_CONTAINERS_H
#define PODIUM_AGENT_CONTAINERS_H

#include <stdbool.h>

#include "podium/base/json.h"

struct agent_pod;
struct pod_context;
struct volume_set;

struct containers_input {
    struct agent_pod *pod;
    const struct pod_context *ctx;
    const struct volume_set *volumes;
    const char *hostname;
    const struct json *before; /* the pod.json of the supervisor that runs; NULL: none does */
};

/* Sets initContainers and containers of the document. Images are asked for. pod->held and pod->images_awaited then say
 * what is held back, and pod->image_ids which images are used. */
void containers_build(const struct containers_input *in, struct json **doc);
/* Adds the ephemeral containers of the pod that the document has not and that can be had; the others go to pod->held
 * and pod->images_awaited. */
void containers_add_ephemeral(const struct containers_input *in, struct json **doc);
/* Whether a supervisor with this document would start anything now. */
bool containers_can_begin(const struct json *doc);
/* Whether there is a container that is held. */
bool containers_held(const struct json *doc);
/* Whether an environment in the pod is made from this object; kind NULL: from any. */
bool containers_use_object(const struct json *pod, const char *kind, const char *name);

#endif
