/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Acting as somebody else: the headers Impersonate-User, -Group, -Uid and -Extra-KEY (kubectl --as, --as-group,
 * --as-uid). Every part that is asked for needs the verb "impersonate" of its own, as upstream: on users, groups and
 * serviceaccounts, and on uids and userextras/KEY of authentication.k8s.io. Afterwards the request is that user's in
 * everything that follows, and the caller's own rights are of no use to it.
 */
#ifndef PODIUM_APISERVER_IMPERSONATE_H
#define PODIUM_APISERVER_IMPERSONATE_H

#include "orchestrator/apiserver/request.h"

/* Keeps what a header asks for; other headers are none of its business. Copies. */
void impersonate_header(struct api_request *req, const char *key, const char *value);

/* Once the caller is known: nothing without such headers. False: answered (401, 403, or 500 where only groups, a uid or
 * extras were named, as upstream). */
bool impersonate(struct api_request *req);

#endif
