/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Turns: how a worker thread shares its time among clients.
 *
 * Why. A worker answers one request after another, everything that epoll says is ready in one round. Sixty connections
 * that list ten thousand pods without pause make a round of seconds, and a get that comes meanwhile waits for all of
 * them.
 *
 * How. A request that will take long (a list of more than TURN_OBJECTS objects) waits for its turn: its connection is
 * suspended, and a worker grants one turn at a time, so that each round answers everything short and one of the long.
 * Whose turn is next: that user's who has had the least time of this worker, by measured work (start-time fair
 * queueing); who was idle has saved nothing up. A short request thus waits for one long one at most, and a user with
 * one connection gets as much time as one with a hundred.
 *
 * Threads. turn_wait(), turn_offer(), turn_begin() and turn_end() on the connection's worker; a lock for all, which
 * short requests never take.
 */
#ifndef PODIUM_APISERVER_TURNS_H
#define PODIUM_APISERVER_TURNS_H

#include "orchestrator/apiserver/request.h"
#include "podium/base/list.h"

#define TURN_OBJECTS 250

struct turns;
struct turn_lane;
struct turn_user;

/* Embedded in what waits; zeroed before. */
struct turn {
    struct list link;
    struct turns *turns; /* NULL: has none and waits for none */
    struct turn_lane *lane;
    struct turn_user *user;
    struct api_request *req;
    uint64_t begun; /* what the worker had worked then, microseconds; 0: not yet */
    bool granted;
};

struct turns *turns_new(void);
void turns_free(struct turns *t); /* no turn may be left; NULL is fine */

/* The route is known: this request is one of the long. */
bool turn_wanted(const struct api_request *req);
/* Lines up behind the others of its user; req->resume will be called. */
void turn_wait(struct turns *t, struct turn *turn, struct api_request *req);
/* The connection is suspended: somebody, not necessarily this one, gets the next turn if the worker is free. */
void turn_offer(struct turn *turn);
/* Its work begins. */
void turn_begin(struct turn *turn);
/* It is done, or its client has gone: the next one's turn. True: it was still waiting, and will not be resumed. Also
 * for a turn that never waited. */
bool turn_end(struct turn *turn);

/* How many have waited, and do now. */
void turns_counts(struct turns *t, uint64_t *ret_waited, uint64_t *ret_waiting);

#endif
