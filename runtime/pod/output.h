/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container's output: a pipe whose bytes the kernel moves (splice) to the container's journal stream.
 *
 * Why not hand the journal's socket to the container: programs open /dev/stdout and /dev/stderr by name (nginx, and
 * many images link their log files there), which works for a pipe and fails for a socket (ENXIO). No byte of the output
 * is copied through the supervisor. When the journal is slow the pipe fills and the container waits, as it would have
 * with the socket; when it is gone for good, output is read and dropped rather than blocking the container.
 *
 * An output lives until its pipe is at its end (nobody holds the writing side any more) or the pod ends.
 */
#ifndef PODIUM_POD_OUTPUT_H
#define PODIUM_POD_OUTPUT_H

#include "podium/base/list.h"
#include "runtime/pod/loop.h"

struct pod_output {
    struct list link;
    struct pod_loop *loop;
    char *identifier;
    int pipe_fd, journal_fd;
    struct pod_watch pipe_watch, journal_watch;
};

/* Makes an output of the list; returns the pipe's writing side (O_CLOEXEC), the caller's. */
int pod_output_new(struct pod_loop *loop, struct list *outputs, const char *identifier, struct error *err) _must_check_;
/* Passes on what is in the pipes, waiting a little for a slow journal, and frees all. */
void pod_output_finish_all(struct list *outputs);

#endif
