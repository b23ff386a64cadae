/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/turns.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "orchestrator/apiserver/server.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define LANES_MAX 80 /* worker threads are fewer */

/* Microseconds this thread has worked: what other programs take of the processor is nobody's share. */
static uint64_t now_worked_usec(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

/* A user at one worker. */
struct turn_user {
    struct list link;
    char *name;
    struct list waiting;
    uint64_t had; /* microseconds of this worker; comparable among users, see lane.at */
};

struct turn_lane {
    pthread_t worker;
    struct list users;
    struct turn *current; /* whose turn it is */
    uint64_t at;          /* what the last one who got a turn had had: newcomers begin there */
};

struct turns {
    pthread_mutex_t lock;
    struct turn_lane lanes[LANES_MAX];
    size_t n_lanes;
    uint64_t waited, waiting;
};

struct turns *turns_new(void) {
    struct turns *t = xnew0(struct turns);
    (void) pthread_mutex_init(&t->lock, NULL);
    return t;
}

static void user_free(struct turn_user *u) {
    list_remove(&u->link);
    free(u->name);
    free(u);
}

void turns_free(struct turns *t) {
    struct turn_user *u;
    if (!t)
        return;
    for (size_t i = 0; i < t->n_lanes; i++)
        list_foreach(u, &t->lanes[i].users, link) user_free(u);
    (void) pthread_mutex_destroy(&t->lock);
    free(t);
}

/* Names that come often are few, and all of them short work: the text of the limit is looked at only for lists. */
bool turn_wanted(const struct api_request *req) {
    if (!req->resource || !req->verb || req->sub || !req->resource->stored)
        return false;
    bool list = strcmp(req->verb, "list") == 0;
    if (!list && strcmp(req->verb, "deletecollection") != 0)
        return false;
    const char *limit = list ? api_param(req, "limit") : NULL;
    unsigned long n = limit ? strtoul(limit, NULL, 10) : 0;
    if (n > 0 && n <= TURN_OBJECTS && !api_param(req, "labelSelector") && !api_param(req, "fieldSelector"))
        return false;
    return store_count(req->api->store, req->resource->key) > TURN_OBJECTS;
}

static struct turn_lane *lane_of_thread(struct turns *t) {
    pthread_t self = pthread_self();
    for (size_t i = 0; i < t->n_lanes; i++)
        if (pthread_equal(t->lanes[i].worker, self))
            return &t->lanes[i];
    struct turn_lane *lane = &t->lanes[t->n_lanes < LANES_MAX ? t->n_lanes++ : LANES_MAX - 1];
    lane->worker = self;
    list_init(&lane->users);
    return lane;
}

/* Users who wait for nothing are forgotten once the others have had as much. */
static struct turn_user *user_of(struct turn_lane *lane, const char *name) {
    struct turn_user *u, *found = NULL;
    list_foreach(u, &lane->users, link) {
        if (strcmp(u->name, name) == 0)
            found = u;
        else if (list_empty(&u->waiting) && u->had <= lane->at && !(lane->current && lane->current->user == u))
            user_free(u);
    }
    if (!found) {
        found = xnew0(struct turn_user);
        found->name = xstrdup(name);
        list_init(&found->waiting);
        list_append(&lane->users, &found->link);
    }
    if (list_empty(&found->waiting) && found->had < lane->at)
        found->had = lane->at;
    return found;
}

void turn_wait(struct turns *t, struct turn *turn, struct api_request *req) {
    (void) pthread_mutex_lock(&t->lock);
    *turn = (struct turn){.turns = t, .req = req, .lane = lane_of_thread(t)};
    turn->user = user_of(turn->lane, req->user && req->user->name ? req->user->name : "");
    list_append(&turn->user->waiting, &turn->link);
    t->waited++;
    t->waiting++;
    (void) pthread_mutex_unlock(&t->lock);
}

/* Under the lock. Whom to resume, if the lane is free. */
static struct turn *grant(struct turns *t, struct turn_lane *lane) {
    struct turn_user *u, *least = NULL;
    if (lane->current)
        return NULL;
    list_foreach(u, &lane->users, link) if (!list_empty(&u->waiting) && (!least || u->had < least->had)) least = u;
    if (!least)
        return NULL;
    struct turn *next = list_entry(least->waiting.next, struct turn, link);
    list_remove(&next->link);
    next->granted = true;
    lane->current = next;
    lane->at = least->had;
    t->waiting--;
    return next;
}

void turn_offer(struct turn *turn) {
    struct turns *t = turn->turns;
    (void) pthread_mutex_lock(&t->lock);
    struct turn *next = grant(t, turn->lane);
    (void) pthread_mutex_unlock(&t->lock);
    if (next)
        next->req->resume(next->req);
}

void turn_begin(struct turn *turn) {
    turn->begun = now_worked_usec();
}

bool turn_end(struct turn *turn) {
    struct turns *t = turn->turns;
    if (!t)
        return false;
    struct turn *next = NULL;
    (void) pthread_mutex_lock(&t->lock);
    bool waits = !turn->granted;
    if (waits) {
        list_remove(&turn->link);
        t->waiting--;
    } else {
        if (turn->begun && pthread_equal(turn->lane->worker, pthread_self()))
            turn->user->had += now_worked_usec() - turn->begun;
        turn->lane->current = NULL;
        next = grant(t, turn->lane);
    }
    turn->turns = NULL;
    (void) pthread_mutex_unlock(&t->lock);
    if (next)
        next->req->resume(next->req);
    return waits;
}

void turns_counts(struct turns *t, uint64_t *ret_waited, uint64_t *ret_waiting) {
    (void) pthread_mutex_lock(&t->lock);
    *ret_waited = t->waited;
    *ret_waiting = t->waiting;
    (void) pthread_mutex_unlock(&t->lock);
}
