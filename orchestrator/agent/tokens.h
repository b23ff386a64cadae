/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tokens of pods' service accounts on the node: asked for over the link when a pod first comes, kept in memory, renewed
 * at 80 % of their life or after 24 hours, as the kubelet does.
 *
 * Decision. The node asks rather than being sent tokens along with pods: at a resync nothing is made twice, what is
 * due for renewal is known here, and the question goes out while the pod waits its turn anyway, so that a start waits
 * for one round trip on a connection that is open (below a millisecond on a local cluster).
 *
 * Without a connection to the control plane nobody can be asked: a pod then starts without its token file (the API it
 * would be for is away, too) and gets it when the connection is back. A pod whose token was refused does not start.
 *
 * Threads. The loop's.
 */
#ifndef PODIUM_AGENT_TOKENS_H
#define PODIUM_AGENT_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

#define TOKEN_SECONDS_DEFAULT 3600 /* of a serviceAccountToken source without expirationSeconds */

struct agent;
struct agent_pod;
struct pod_tokens;

enum token_state {
    TOKEN_NONE,    /* nobody to ask */
    TOKEN_WAITING, /* asked for */
    TOKEN_REFUSED, /* *ret_text: why */
    TOKEN_THERE,   /* *ret_text: the token */
};

/* tokens may be NULL. The text is borrowed until the next change. */
enum token_state tokens_get(const struct pod_tokens *tokens, const char *audience, int64_t seconds,
                            const char **ret_text);
void tokens_free(struct pod_tokens *tokens); /* NULL is fine */

/* Asks for those of the pod's tokens that are neither there nor asked for. */
void tokens_request(struct agent_pod *pod);
/* True while an answer is to come without which the pod cannot start. */
bool tokens_awaited(const struct agent_pod *pod);
/* Forgets refusals, so that the next tokens_request() asks again. */
void tokens_retry(struct agent_pod *pod);
/* The connection is new or gone: nobody will answer what was asked. */
void tokens_connection_changed(struct agent *agent);
/* Somebody set the clock: tokens that are over by it, or not good yet, are asked for anew. */
void tokens_clock_changed(struct agent *agent);

#endif
