/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes into a volume whose content is the API's: configMap, secret, downwardAPI, projected. */
#ifndef PODIUM_AGENT_VOLUME_CONTENT_H
#define PODIUM_AGENT_VOLUME_CONTENT_H

#include "orchestrator/agent/context.h"
#include "orchestrator/agent/payload.h"

/* Collects the files; *ret_is: whether it is such a volume. refresh: of a running pod, where what cannot be had now
 * (a token to come) is -EAGAIN, so that the files stay as they are. -EAGAIN with the problem (reason FailedMount). */
int volume_content(const struct pod_context *ctx, const struct json *volume, bool refresh, struct payload *out,
                   bool *ret_is, struct pod_problem *problem) _must_check_;
/* Whether a volume shows labels or annotations, which change while the pod runs. */
bool volume_shows_metadata(const struct json *volume);

#endif
