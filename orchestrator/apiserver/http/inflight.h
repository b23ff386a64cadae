/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many requests may be under way at once: reading and changing ones, in all, and half of that for one user. What
 * is more is told to come back (429), as upstream does with --max-requests-inflight. Watches, commands and the like
 * count until their answer begins. system:masters and components in the process are never turned away.
 *
 * Threads. Any. A connection with a certificate looks its user up once; then a request costs two additions.
 */
#ifndef PODIUM_APISERVER_INFLIGHT_H
#define PODIUM_APISERVER_INFLIGHT_H

#include "orchestrator/apiserver/request.h"

#define INFLIGHT_READING_MAX  2000u
#define INFLIGHT_MUTATING_MAX 1000u

struct inflight;
struct inflight_user;

/* Zeros: the values above. */
struct inflight *inflight_new(unsigned reading_max, unsigned mutating_max);
void inflight_free(struct inflight *f); /* no reference may be left; NULL is fine */

/* One reference. */
struct inflight_user *inflight_user(struct inflight *f, const struct api_user *u); /* u NULL: anonymous */
struct inflight_user *inflight_ref(struct inflight_user *u);
void inflight_unref(struct inflight *f, struct inflight_user *u); /* NULL is fine */

/* False: too many. */
bool inflight_enter(struct inflight *f, struct inflight_user *u, bool mutating);
void inflight_leave(struct inflight *f, struct inflight_user *u, bool mutating);
/* How many were turned away. */
uint64_t inflight_dropped(const struct inflight *f, bool mutating);

#endif
