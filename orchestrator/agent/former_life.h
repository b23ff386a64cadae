/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a pod did before the node went down. Supervisors keep their records below the run folder, which a boot empties;
 * what is known then is what was told: the pod's status.
 *
 * As the kubelet does after a boot: restarts are counted on, what ended for good is not done again (also a container
 * that ran when the node went down, with restartPolicy Never), and what ran counts as ended with exit code 255, reason
 * Unknown, since nobody saw its end. Pure.
 */
#ifndef PODIUM_AGENT_FORMER_LIFE_H
#define PODIUM_AGENT_FORMER_LIFE_H

#include <stdint.h>

#include "podium/base/json.h"

/* The state.json (podium/runtime.h) from which a supervisor goes on, by the status in the pod's document; NULL when
 * none of its containers ever ran. now: real time, microseconds. */
struct json *former_life(const struct json *pod, uint64_t now);

#endif
