/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container's output: read from its pipe (or its terminal) and passed on to the container's journal stream and to
 * whoever is attached.
 *
 * Why not hand the journal's socket to the container: programs open /dev/stdout and /dev/stderr by name (nginx, and
 * many images link their log files there), which works for a pipe and fails for a socket (ENXIO). And the journal
 * leaves out empty lines and cuts at NUL bytes, so the bytes are marked on their way (encode.h).
 *
 * Order and flow. The next bytes are read when everybody took those before. When the journal is slow the pipe fills and
 * the container waits, as it would have with the journal's socket; when it is gone for good, output goes to the unit's
 * own. A tap (a peer that is attached) may be slow, too, but one that takes nothing at all for TAP_PATIENCE_USEC is
 * dropped: nobody who attaches can stop a container.
 *
 * An output lives until its source is at its end (nobody holds the other side any more) or the pod ends.
 */
#ifndef PODIUM_POD_OUTPUT_H
#define PODIUM_POD_OUTPUT_H

#include <stdbool.h>

#include "podium/base/list.h"
#include "podium/base/strbuf.h"
#include "runtime/pod/encode.h"
#include "runtime/pod/loop.h"

#define TAP_PATIENCE_USEC 1000000u

/* Where bytes go: what could not be written at once waits here. */
struct pod_sink {
    int fd; /* owned; -1: closed */
    struct strbuf backlog;
    struct pod_watch watch;
    uint64_t blocked_at; /* monotonic: took nothing since then; 0: nothing waits */
};

enum pod_stream { POD_STREAM_STDOUT = 1, POD_STREAM_STDERR = 2 };

/* Which output: of which run of which container. */
struct pod_output_id {
    const char *container;
    int run; /* its restart count */
    enum pod_stream stream;
};

struct pod_output {
    struct list link;
    struct pod_loop *loop;
    char *container;
    int run;
    enum pod_stream stream;
    int source_fd;
    int slave_fd; /* terminals: held open so that the master has no end while the container runs */
    struct pod_watch source_watch;
    struct pod_encoder encoder;
    struct pod_sink journal;
    struct list taps; /* struct pod_tap */
};

/* Makes an output of the list that reads from a pipe; returns the pipe's writing side (O_CLOEXEC), the caller's. */
int pod_output_new(struct pod_loop *loop, struct list *outputs, const struct pod_output_id *id,
                   struct error *err) _must_check_;
/* The same for a terminal's master, which it duplicates. */
int pod_output_new_terminal(struct pod_loop *loop, struct list *outputs, const struct pod_output_id *id, int master_fd,
                            struct error *err) _must_check_;
/* The container ended: its terminal may come to its end, and what it wrote is passed on now as far as that goes. */
void pod_output_container_ended(struct list *outputs, const struct pod_output_id *id);

/* A copy of what comes from now on goes to take_fd (owned from here on, also on failure), which is closed at the end.
 * lost() is called, once, when the peer was dropped for being slow; not when it hung up. -ENOENT: no such output. */
int pod_output_tap(struct list *outputs, const struct pod_output_id *id, int take_fd, void *owner,
                   void (*lost)(void *owner), struct error *err) _must_check_;
/* Closes all taps of the owner. */
void pod_output_untap(struct list *outputs, const void *owner);

/* The taps of this owner go on alone: to the end of the output, or until they are dropped without a word. */
void pod_output_disown(struct list *outputs, const void *owner);

/* Drops taps that ran out of patience; returns when to look again (monotonic), 0: no need. */
uint64_t pod_output_timers(struct list *outputs, uint64_t now);
/* Passes on what is in the pipes, waiting a little for a slow journal, and frees all. */
void pod_output_finish_all(struct list *outputs);

#endif
