/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An independent client that watches: a thread with an HTTPS connection of its own, from which everything here knows
 * that a pod runs or a node is lost. It looks at the text of events and parses nothing.
 */
#ifndef PODIUM_BENCH_NODES_WATCHER_H
#define PODIUM_BENCH_NODES_WATCHER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "tests/bench/api/load.h"

struct watcher;

/* One event: a line of JSON, NUL-terminated. On the watcher's thread. */
typedef void (*watch_line_fn)(void *userdata, const char *line, size_t n);

/* Events from now on of what is at the path ("/api/v1/pods", perhaps with "?fieldSelector=…"). NULL with a message on
 * stderr. The target must not move. */
struct watcher *watcher_start(const struct target *t, const char *path, watch_line_fn line, void *userdata);
/* The connection ended by itself: what is counted since is not all. */
bool watcher_has_ended(const struct watcher *w);
void watcher_stop(struct watcher *w);

/* The text behind `"key":"` in a line, up to the quote, into buf; false when it is not there. */
bool line_member(const char *line, const char *key, char *buf, size_t size);

#endif
