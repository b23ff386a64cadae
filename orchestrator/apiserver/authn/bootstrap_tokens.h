/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bootstrap tokens (object/bootstrap_token.h) as a way to authenticate: whoever shows one is system:bootstrap:ID in
 * system:bootstrappers and the groups its Secret names. The Secret is looked up each time: what is deleted, expired or
 * not meant for this is worth nothing at once. Any thread. */
#ifndef PODIUM_APISERVER_BOOTSTRAP_TOKENS_H
#define PODIUM_APISERVER_BOOTSTRAP_TOKENS_H

#include "orchestrator/apiserver/apiserver.h"

/* 1: *ret filled; 0: it is none; -EACCES: of that form, but not (or no longer) good. */
int bootstrap_token_authenticate(struct store *store, const char *token, uint64_t now_usec, struct api_user *ret);

#endif
