/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In-place resize: a pod that asks for other resources than it was granted gets them, if the node has them, while it
 * runs. What is decided: allocation.h. Level-triggered, on the loop's thread; nothing of it needs to be remembered over
 * a restart of the agent but the allocation in pod.json.
 */
#ifndef PODIUM_AGENT_RESIZE_H
#define PODIUM_AGENT_RESIZE_H

#include "podium/base/json.h"

struct agent;
struct agent_pod;

/* The document as it came: makes pod->asked and pod->desired. */
void resize_take_document(struct agent_pod *pod, const struct json *doc);
/* Grants what the pod asks for, or says why not (pod->resize). Before the plan. */
void resize_grant(struct agent_pod *pod);
/* Brings what runs to what was granted: tells the supervisor and systemd. After the plan. */
void resize_carry_out(struct agent_pod *pod);
/* The supervisor is gone, or another: what it was told counts no more. */
void resize_forget_told(struct agent_pod *pod);
/* The unit starts with what was granted by now. */
void resize_unit_started(struct agent_pod *pod);
/* Room has come: pods that wait for some are looked at again. */
void resize_reconsider(struct agent *agent);
/* "Deferred", "Infeasible", "InProgress"; NULL: what it asks for it has. Static. */
const char *resize_status(const struct agent_pod *pod);
/* A container of pod.json gets the number of its allocation; whether it has an older one. */
void resize_number(const struct agent_pod *pod, const char *container, struct json **doc);
bool resize_is_old(const struct agent_pod *pod, const char *container, const struct json *doc);

#endif
