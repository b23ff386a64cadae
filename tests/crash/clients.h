/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clients of a server that is killed again and again: writers and watchers, each a thread, over its unix socket. They
 * take notes for the judges: writers of operations (history.h), watchers of events. Each object carries its value
 * twice and a filler made from it, so that a torn one is seen as such.
 */
#ifndef TESTS_CRASH_CLIENTS_H
#define TESTS_CRASH_CLIENTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/crash/history.h"

enum { OBJECTS = 6, WRITERS = 4, WATCHERS = 3 };

/* An event, or the state of one object in a list. */
struct sight {
    enum { SIGHT_LIST, SIGHT_LISTED, SIGHT_EVENT, SIGHT_END } what;
    int object;
    int64_t value; /* 0: deleted */
    uint64_t revision;
};

struct stage {
    const char *socket;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned life; /* of the server; clients that lost it wait for the next */
    bool up, over;
    atomic_uint acknowledged, torn, refused_otherwise;
};
void stage_set(struct stage *s, bool up, bool over);

struct client {
    struct stage *stage;
    pthread_t thread;
    unsigned seed;
    int64_t next_value;
    struct op *ops; /* writers */
    size_t n_ops, cap_ops;
    struct sight *sights; /* watchers */
    size_t n_sights, cap_sights;
    unsigned turned_away; /* 410 */
};
void *writer_main(void *client);
void *watcher_main(void *client);
/* One get of each object, noted. Once the others are done. */
void read_all(struct client *c);

#endif
