/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/pod/output.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/runtime.h"
#include "runtime/pod/journal.h"

#define CHUNK_BYTES      (64u * 1024u)
#define ROUNDS_PER_EVENT 16 /* then others have their turn */
#define FINAL_WAIT_SEC   2  /* without progress, for who is slow when the pod ends */

struct pod_tap {
    struct list link;
    struct pod_output *output;
    struct pod_sink sink;
    void *owner;
    void (*lost)(void *owner);
};

/* --- sinks --- */

static void sink_close(struct pod_loop *loop, struct pod_sink *s) {
    pod_loop_remove(loop, &s->watch);
    closep(&s->fd);
    s->fd = -1;
    strbuf_finish(&s->backlog);
    s->blocked_at = 0;
}

/* Writes what waits: 0 when nothing is left, -EAGAIN, or the error of a sink that is gone. */
static int sink_flush(struct pod_sink *s) {
    while (s->backlog.len > 0) {
        ssize_t n = write(s->fd, s->backlog.data, s->backlog.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        strbuf_consume(&s->backlog, (size_t) n);
        s->blocked_at = now_monotonic_usec();
    }
    strbuf_finish(&s->backlog);
    s->blocked_at = 0;
    return 0;
}

/* Writes all, keeping what does not fit. Nothing waits when this is called. */
static int sink_put(struct pod_sink *s, const char *p, size_t n) {
    while (n > 0) {
        ssize_t k = write(s->fd, p, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0 && errno != EAGAIN)
            return -errno;
        if (k < 0) {
            strbuf_add(&s->backlog, p, n);
            s->blocked_at = now_monotonic_usec();
            return -EAGAIN;
        }
        p += k;
        n -= (size_t) k;
    }
    return 0;
}

/* --- the journal --- */

/* The run is told by the syslog facility, which a stream is given once and every entry of it carries. */
static int open_journal(const struct pod_output *o) {
    int fd = pod_journal_stream(o->container, POD_LOG_PRIORITY | POD_LOG_FACILITY(o->run) << 3, NULL);

    if (fd >= 0)
        (void) (fd_set_nonblock(fd, true) < 0);
    return fd;
}

/* journald was restarted without keeping its streams, or is gone: a new stream, else the unit's own output, for what
 * that is worth. */
static void journal_again(struct pod_output *o, const char *p, size_t n) {
    struct strbuf left = o->journal.backlog;

    o->journal.backlog = (struct strbuf) STRBUF_INIT;
    sink_close(o->loop, &o->journal);
    o->journal.fd = open_journal(o);
    strbuf_add(&left, p, n);
    if (o->journal.fd < 0)
        (void) (write(STDERR_FILENO, left.data, left.len) < 0);
    else if (sink_put(&o->journal, left.data, left.len) == -EPIPE)
        sink_close(o->loop, &o->journal);
    strbuf_finish(&left);
}

static void journal_put(struct pod_output *o, const char *p, size_t n) {
    _cleanup_strbuf_ struct strbuf encoded = STRBUF_INIT;

    if (pod_encode(&o->encoder, p, n, &encoded)) {
        p = encoded.data;
        n = encoded.len;
    }
    int r = o->journal.fd >= 0 ? sink_put(&o->journal, p, n) : -EPIPE;
    if (r < 0 && r != -EAGAIN)
        journal_again(o, p, n);
}

/* The source is at its end: what a last line without newline needs. */
static void journal_end(struct pod_output *o) {
    _cleanup_strbuf_ struct strbuf last = STRBUF_INIT;

    pod_encode_end(&o->encoder, &last);
    if (last.len > 0 && o->journal.fd >= 0 && o->journal.backlog.len == 0)
        (void) (sink_put(&o->journal, last.data, last.len) < 0);
}

/* --- taps --- */

static void tap_free(struct pod_tap *t) {
    list_remove(&t->link);
    sink_close(t->output->loop, &t->sink);
    free(t);
}

static void taps_put(struct pod_output *o, const char *p, size_t n) {
    struct pod_tap *t;

    list_foreach(t, &o->taps, link) {
        int r = sink_put(&t->sink, p, n);
        if (r < 0 && r != -EAGAIN)
            tap_free(t);
    }
}

/* --- from source to sinks --- */

static void output_free(struct pod_output *o) {
    struct pod_tap *t;

    list_foreach(t, &o->taps, link) tap_free(t);
    list_remove(&o->link);
    pod_loop_remove(o->loop, &o->source_watch);
    closep(&o->source_fd);
    closep(&o->slave_fd);
    sink_close(o->loop, &o->journal);
    free(o->container);
    free(o);
}

static bool is_blocked(const struct pod_output *o) {
    struct pod_tap *t;

    if (o->journal.backlog.len > 0)
        return true;
    list_foreach(t, &o->taps, link) {
        if (t->sink.backlog.len > 0)
            return true;
    }
    return false;
}

/* 1: moved some; 0: nothing there now; -ENODATA: the source is at its end. */
static int move_some(struct pod_output *o, char *chunk) {
    ssize_t n = read(o->source_fd, chunk, CHUNK_BYTES);

    /* A terminal that nobody has open any more gives EIO. The kernel looks for bytes before it looks for that: what was
     * written in between is there the second time. */
    if (n < 0 && errno == EIO)
        n = read(o->source_fd, chunk, CHUNK_BYTES);
    if (n < 0 && errno == EINTR)
        return 1;
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0) {
        journal_end(o);
        return -ENODATA;
    }
    journal_put(o, chunk, (size_t) n);
    taps_put(o, chunk, (size_t) n);
    return 1;
}

static void on_source(void *userdata, uint32_t events);
static void on_journal(void *userdata, uint32_t events);
static void on_tap(void *userdata, uint32_t events);

/* Watches the source, or those who must take something first. Not both: a source at its end would wake us for ever. */
static void watch_what_matters(struct pod_output *o) {
    bool blocked = is_blocked(o);
    struct pod_tap *t;

    if (blocked)
        pod_loop_remove(o->loop, &o->source_watch);
    else if (o->source_watch.fd < 0)
        (void) (pod_loop_add(o->loop, &o->source_watch, o->source_fd, EPOLLIN, on_source, o, NULL) < 0);
    if (o->journal.backlog.len == 0)
        pod_loop_remove(o->loop, &o->journal.watch);
    else if (o->journal.watch.fd < 0)
        (void) (pod_loop_add(o->loop, &o->journal.watch, o->journal.fd, EPOLLOUT, on_journal, o, NULL) < 0);
    list_foreach(t, &o->taps, link)
        pod_loop_set_events(o->loop, &t->sink.watch, t->sink.backlog.len > 0 ? EPOLLOUT : 0);
}

static void on_source(void *userdata, uint32_t events) {
    struct pod_output *o = userdata;
    char *chunk = xmalloc(CHUNK_BYTES);
    int r = 1;

    for (int i = 0; i < ROUNDS_PER_EVENT && r > 0 && !is_blocked(o); i++)
        r = move_some(o, chunk);
    free(chunk);
    if (r == -ENODATA && !is_blocked(o))
        output_free(o);
    else
        watch_what_matters(o);
}

static void on_journal(void *userdata, uint32_t events) {
    struct pod_output *o = userdata;
    int r = sink_flush(&o->journal);

    if (r < 0 && r != -EAGAIN)
        journal_again(o, "", 0);
    watch_what_matters(o);
}

static void on_tap(void *userdata, uint32_t events) {
    struct pod_tap *t = userdata;
    struct pod_output *o = t->output;

    if ((events & (EPOLLERR | EPOLLHUP)) || ((events & EPOLLOUT) && sink_flush(&t->sink) == -EPIPE))
        tap_free(t);
    watch_what_matters(o);
}

uint64_t pod_output_timers(struct list *outputs, uint64_t now) {
    uint64_t wake_at = 0;
    struct pod_output *o;
    struct pod_tap *t;

    list_foreach(o, outputs, link) {
        bool dropped = false;
        list_foreach(t, &o->taps, link) {
            uint64_t until = t->sink.blocked_at + TAP_PATIENCE_USEC;
            if (t->sink.blocked_at == 0)
                continue;
            if (now < until) {
                wake_at = wake_at == 0 || until < wake_at ? until : wake_at;
                continue;
            }
            void *owner = t->owner;
            void (*lost)(void *owner) = t->lost;
            tap_free(t);
            if (owner)
                lost(owner);
            dropped = true;
            break; /* the owner may have taken others of its taps away: the next round sees the rest */
        }
        if (dropped) {
            watch_what_matters(o);
            wake_at = now;
        }
    }
    return wake_at;
}

/* --- making and finding --- */

static struct pod_output *output_new(struct pod_loop *loop, struct list *outputs, const struct pod_output_id *id,
                                     int take_source_fd) {
    struct pod_output *o = xnew0(struct pod_output);

    *o = (struct pod_output){
        .loop = loop,
        .container = xstrdup(id->container),
        .run = id->run,
        .stream = id->stream,
        .source_fd = take_source_fd,
        .slave_fd = -1,
        .source_watch = POD_WATCH_INIT,
        .journal = {.fd = -1, .watch = POD_WATCH_INIT},
    };
    list_init(&o->taps);
    list_append(outputs, &o->link);
    o->journal.fd = open_journal(o);
    if (o->journal.fd < 0) /* no journal: the unit's own output */
        o->journal.fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    return o;
}

/* The source must be as non-blocking as we are. */
static int start(struct pod_output *o, struct error *err) {
    int r = fd_set_nonblock(o->source_fd, true);

    if (r < 0)
        r = error_set_errno(err, r, "cannot set up the output");
    else
        r = pod_loop_add(o->loop, &o->source_watch, o->source_fd, EPOLLIN, on_source, o, err);
    if (r < 0)
        output_free(o);
    return r;
}

int pod_output_new(struct pod_loop *loop, struct list *outputs, const struct pod_output_id *id, struct error *err) {
    int pair[2];

    if (pipe2(pair, O_CLOEXEC) < 0)
        return error_set_errno(err, -errno, "cannot make a pipe");
    _cleanup_close_ int write_end = pair[1];
    int r = start(output_new(loop, outputs, id, pair[0]), err);
    return r < 0 ? r : steal_fd(&write_end);
}

int pod_output_new_terminal(struct pod_loop *loop, struct list *outputs, const struct pod_output_id *id, int master_fd,
                            struct error *err) {
    int copy = fcntl(master_fd, F_DUPFD_CLOEXEC, 3);

    if (copy < 0)
        return error_set_errno(err, -errno, "cannot duplicate a descriptor");
    struct pod_output *o = output_new(loop, outputs, id, copy);
    o->slave_fd = ioctl(master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return start(o, err);
}

static struct pod_output *find(struct list *outputs, const struct pod_output_id *id) {
    struct pod_output *o;

    list_foreach(o, outputs, link) {
        if (o->run == id->run && o->stream == id->stream && strcmp(o->container, id->container) == 0)
            return o;
    }
    return NULL;
}

void pod_output_container_ended(struct list *outputs, const struct pod_output_id *id) {
    struct pod_output *o = find(outputs, id);

    if (!o)
        return;
    closep(&o->slave_fd);
    o->slave_fd = -1;
    on_source(o, 0); /* what it wrote is on its way before its end is told */
}

int pod_output_tap(struct list *outputs, const struct pod_output_id *id, int take_fd, void *owner,
                   void (*lost)(void *owner), struct error *err) {
    _cleanup_close_ int fd = take_fd;
    struct pod_output *o = find(outputs, id);

    if (!o)
        return error_set(err, -ENOENT, "the output was closed");
    int r = fd_set_nonblock(fd, true);
    if (r < 0)
        return error_set_errno(err, r, "cannot use the descriptor");
    struct pod_tap *t = xnew0(struct pod_tap);
    *t = (struct pod_tap){.output = o, .sink = {.fd = fd, .watch = POD_WATCH_INIT}, .owner = owner, .lost = lost};
    r = pod_loop_add(o->loop, &t->sink.watch, fd, 0, on_tap, t, err); /* its hang-up comes unasked */
    if (r < 0) {
        free(t);
        return r;
    }
    list_append(&o->taps, &t->link);
    (void) steal_fd(&fd);
    return 0;
}

void pod_output_untap(struct list *outputs, const void *owner) {
    struct pod_output *o;
    struct pod_tap *t;

    list_foreach(o, outputs, link) {
        bool changed = false;
        list_foreach(t, &o->taps, link) {
            if (t->owner != owner)
                continue;
            tap_free(t);
            changed = true;
        }
        if (changed)
            watch_what_matters(o);
    }
}

void pod_output_disown(struct list *outputs, const void *owner) {
    struct pod_output *o;
    struct pod_tap *t;

    list_foreach(o, outputs, link) {
        list_foreach(t, &o->taps, link) {
            if (t->owner == owner)
                t->owner = NULL;
        }
    }
}

/* Writes what waits, with some patience. */
static int sink_drain(struct pod_sink *s) {
    struct pollfd p = {.fd = s->fd, .events = POLLOUT};
    int r;

    while ((r = sink_flush(s)) == -EAGAIN)
        if (poll(&p, 1, FINAL_WAIT_SEC * 1000) <= 0)
            break;
    return r;
}

static void finish(struct pod_output *o) {
    struct pod_tap *t;
    char *chunk = xmalloc(CHUNK_BYTES);
    int r = 1;

    closep(&o->slave_fd);
    o->slave_fd = -1;
    while (r > 0) {
        list_foreach(t, &o->taps, link) {
            if (sink_drain(&t->sink) < 0)
                tap_free(t);
        }
        if (o->journal.backlog.len > 0 && sink_drain(&o->journal) < 0)
            break;
        r = move_some(o, chunk);
    }
    free(chunk);
    output_free(o);
}

void pod_output_finish_all(struct list *outputs) {
    struct pod_output *o;

    list_foreach(o, outputs, link) finish(o);
}
