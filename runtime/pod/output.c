/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/pod/output.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "runtime/pod/journal.h"

#define PRIORITY_OUTPUT  6 /* info */
#define SPLICE_BYTES     (64u * 1024u)
#define ROUNDS_PER_EVENT 16 /* then others have their turn */
#define FINAL_WAIT_USEC  200000

static void output_free(struct pod_output *o) {
    list_remove(&o->link);
    pod_loop_remove(o->loop, &o->pipe_watch);
    pod_loop_remove(o->loop, &o->journal_watch);
    closep(&o->pipe_fd);
    closep(&o->journal_fd);
    free(o->identifier);
    free(o);
}

/* splice() says EAGAIN for either side. */
static bool is_empty(int pipe_fd) {
    int bytes = 0;

    return ioctl(pipe_fd, FIONREAD, &bytes) == 0 && bytes == 0;
}

/* 1: moved some; 0: nothing there now; -EAGAIN: the journal is full; -ENODATA: end of the pipe. */
static int move_some(struct pod_output *o) {
    char dropped[4096];

    if (o->journal_fd >= 0) {
        ssize_t n = splice(o->pipe_fd, NULL, o->journal_fd, NULL, SPLICE_BYTES, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
        if (n > 0)
            return 1;
        if (n == 0)
            return -ENODATA;
        if (errno == EINTR)
            return 1;
        if (errno == EAGAIN)
            return is_empty(o->pipe_fd) ? 0 : -EAGAIN;
        /* journald was restarted without keeping its streams, or is gone */
        pod_loop_remove(o->loop, &o->journal_watch);
        closep(&o->journal_fd);
        o->journal_fd = pod_journal_stream(o->identifier, PRIORITY_OUTPUT, NULL);
        if (o->journal_fd >= 0) {
            (void) (fd_set_nonblock(o->journal_fd, true) < 0);
            return 1;
        }
    }
    ssize_t n = read(o->pipe_fd, dropped, sizeof(dropped));
    if (n > 0) { /* to the unit's own output, for what that is worth (it cannot always be spliced to) */
        (void) (write(STDERR_FILENO, dropped, (size_t) n) < 0);
        return 1;
    }
    return n == 0 ? -ENODATA : 0;
}

static void on_journal_writable(void *userdata, uint32_t events);

static void on_pipe(void *userdata, uint32_t events) {
    struct pod_output *o = userdata;
    int r = 1;

    for (int i = 0; i < ROUNDS_PER_EVENT && r > 0; i++)
        r = move_some(o);
    if (r == -ENODATA) {
        output_free(o);
    } else if (r == -EAGAIN) { /* wait for the journal, not for the pipe */
        pod_loop_set_events(o->loop, &o->pipe_watch, 0);
        if (o->journal_watch.fd < 0 &&
            pod_loop_add(o->loop, &o->journal_watch, o->journal_fd, EPOLLOUT, on_journal_writable, o, NULL) < 0)
            pod_loop_set_events(o->loop, &o->pipe_watch, EPOLLIN);
    }
}

static void on_journal_writable(void *userdata, uint32_t events) {
    struct pod_output *o = userdata;

    pod_loop_remove(o->loop, &o->journal_watch);
    pod_loop_set_events(o->loop, &o->pipe_watch, EPOLLIN);
}

int pod_output_new(struct pod_loop *loop, struct list *outputs, const char *identifier, struct error *err) {
    _cleanup_close_ int journal = pod_journal_stream(identifier, PRIORITY_OUTPUT, NULL), read_end = -EBADF,
                        write_end = -EBADF;
    int pair[2];

    if (pipe2(pair, O_CLOEXEC) < 0)
        return error_set_errno(err, -errno, "cannot make a pipe");
    read_end = pair[0];
    write_end = pair[1];
    if (journal < 0) /* no journal: the unit's own output */
        journal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    else
        (void) (fd_set_nonblock(journal, true) < 0);
    int r = fd_set_nonblock(read_end, true);
    if (r < 0)
        return error_set_errno(err, r, "cannot set up a pipe");
    struct pod_output *o = xnew0(struct pod_output);
    *o = (struct pod_output){
        .loop = loop,
        .identifier = xstrdup(identifier),
        .pipe_fd = steal_fd(&read_end),
        .journal_fd = steal_fd(&journal),
        .pipe_watch = POD_WATCH_INIT,
        .journal_watch = POD_WATCH_INIT,
    };
    list_append(outputs, &o->link);
    r = pod_loop_add(loop, &o->pipe_watch, o->pipe_fd, EPOLLIN, on_pipe, o, err);
    if (r < 0) {
        output_free(o);
        return r;
    }
    return steal_fd(&write_end);
}

void pod_output_finish_all(struct list *outputs) {
    const struct timeval wait = {.tv_usec = FINAL_WAIT_USEC};
    struct pod_output *o;

    list_foreach(o, outputs, link) {
        (void) (fd_set_nonblock(o->journal_fd, false) < 0);
        (void) setsockopt(o->journal_fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
        while (move_some(o) > 0)
            ;
        output_free(o);
    }
}
