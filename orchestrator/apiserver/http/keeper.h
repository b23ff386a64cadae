/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks after connections that sit suspended: wakes them when a timer of theirs is due (a watch's bookmark, its end) or
 * when their peer has gone, or has sent something, which libmicrohttpd does not notice on a suspended connection. One
 * thread, asleep while nothing is due; times are rounded up to whole seconds, so it wakes at most once a second however
 * many watches there are.
 */
#ifndef PODIUM_APISERVER_KEEPER_H
#define PODIUM_APISERVER_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/list.h"

struct keeper;

/* Embedded in what is looked after. */
struct keeper_entry {
    struct list link;
    uint64_t due; /* monotonic usec */
    int fd;       /* our duplicate of the socket */
    bool input;   /* bytes to be read wake it, too: once, then after each keeper_listen() */
    /* On the keeper's thread, under its lock: only hands over. gone: the peer has hung up. */
    void (*wake)(struct keeper_entry *e, bool gone);
};

int keeper_new(struct keeper **ret, struct error *err) _must_check_;
void keeper_free(struct keeper *k); /* no entry may be left */
/* socket: whose hang-up counts; -1: none. Any thread. */
void keeper_add(struct keeper *k, struct keeper_entry *e, int socket);
void keeper_listen(struct keeper *k, struct keeper_entry *e);
void keeper_set_due(struct keeper *k, struct keeper_entry *e, uint64_t due);
/* After the return, wake is not running and will not be called. */
void keeper_remove(struct keeper *k, struct keeper_entry *e);
/* Wakes everything (shutting down). */
void keeper_wake_all(struct keeper *k);

#endif
