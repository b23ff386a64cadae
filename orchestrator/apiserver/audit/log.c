/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/audit/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "orchestrator/apiserver/audit/rotate.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/log.h"
#include "podium/base/strbuf.h"

#define BYTES_MAX_DEFAULT (100ull << 20)
#define QUEUE_DEFAULT     (16u << 20)
#define IDENTIFIER        "SYSLOG_IDENTIFIER=podium-audit"

struct audit_log {
    char *path; /* NULL: the journal */
    uint64_t bytes_max, age_max_sec;
    unsigned backups_max;
    size_t queue_bytes;
    bool blocking;
    pthread_mutex_t lock; /* guards queue and stop */
    pthread_cond_t filled, emptied;
    struct strbuf queue;
    bool stop;
    atomic_ullong dropped;
    pthread_t thread;
    /* the thread's own */
    int fd;
    uint64_t size;
    bool failing; /* said already */
};

/* --- the thread's side --- */

static int open_file(struct audit_log *l, struct error *err) {
    struct stat st;
    closep(&l->fd);
    l->fd = open(l->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (l->fd < 0 || fstat(l->fd, &st) < 0)
        return error_set_errno(err, -errno, "cannot open the audit log %s", l->path);
    l->size = (uint64_t) st.st_size;
    return 0;
}

/* The path still names the file that is open. */
static bool in_place(const struct audit_log *l) {
    struct stat a, b;
    return l->fd >= 0 && fstat(l->fd, &a) == 0 && stat(l->path, &b) == 0 && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

static void failed(struct audit_log *l, size_t lines, struct error *err, int r) {
    (void) atomic_fetch_add(&l->dropped, lines);
    if (!l->failing)
        log_error("audit log: events are being lost: %s", error_text(err, r));
    l->failing = true;
}

static size_t count_lines(const char *p, size_t n) {
    size_t lines = 0;
    for (const char *end = p + n; (p = memchr(p, '\n', (size_t) (end - p))); p++)
        lines++;
    return lines;
}

static int write_bytes(struct audit_log *l, const char *p, size_t n, struct error *err) {
    while (n > 0) {
        ssize_t w = write(l->fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return error_set_errno(err, -errno, "cannot write to %s", l->path);
        p += w;
        n -= (size_t) w;
        l->size += (uint64_t) w;
    }
    return 0;
}

/* How many bytes of whole lines still fit into the file; one line at least. */
static size_t fitting(const struct audit_log *l, const char *p, size_t n) {
    uint64_t room = l->bytes_max > l->size ? l->bytes_max - l->size : 0;
    if (n <= room)
        return n;
    const char *end = room ? memrchr(p, '\n', (size_t) room) : NULL;
    if (!end && l->size > 0)
        return 0;
    return end ? (size_t) (end - p) + 1 : (size_t) ((char *) memchr(p, '\n', n) - p) + 1;
}

static void write_file(struct audit_log *l, const char *p, size_t n) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = in_place(l) ? 0 : open_file(l, &err);
    while (r == 0 && n > 0) {
        size_t part = fitting(l, p, n);
        if (part == 0) {
            r = audit_rotate(l->path, now_realtime_usec(), l->age_max_sec, l->backups_max, &err);
            if (r == 0)
                r = open_file(l, &err);
            continue;
        }
        r = write_bytes(l, p, part, &err);
        if (r < 0)
            break;
        p += part;
        n -= part;
    }
    if (r < 0)
        failed(l, count_lines(p, n), &err, r);
    else
        l->failing = false;
}

static void write_journal(struct audit_log *l, const char *p, size_t n) {
    for (const char *end = p + n; p < end;) {
        const char *nl = memchr(p, '\n', (size_t) (end - p));
        _cleanup_free_ char *message = xasprintf("MESSAGE=%.*s", (int) (nl - p), p);
        struct iovec v[] = {{message, strlen(message)},
                            {(void *) IDENTIFIER, strlen(IDENTIFIER)},
                            {(void *) "PRIORITY=6", strlen("PRIORITY=6")}};
        int r = sd_journal_sendv(v, ARRAY_LEN(v));
        if (r < 0)
            failed(l, 1, NULL, r);
        else
            l->failing = false;
        p = nl + 1;
    }
}

static void *run(void *userdata) {
    struct audit_log *l = userdata;
    struct strbuf taken = STRBUF_INIT;
    for (bool stop = false; !stop;) {
        strbuf_reset(&taken);
        (void) pthread_mutex_lock(&l->lock);
        while (l->queue.len == 0 && !l->stop)
            (void) pthread_cond_wait(&l->filled, &l->lock);
        struct strbuf swap = l->queue;
        l->queue = taken;
        taken = swap;
        stop = l->stop && taken.len == 0;
        (void) pthread_cond_broadcast(&l->emptied);
        (void) pthread_mutex_unlock(&l->lock);
        if (taken.len > 0 && l->path)
            write_file(l, taken.data, taken.len);
        else if (taken.len > 0)
            write_journal(l, taken.data, taken.len);
        if (taken.cap > QUEUE_DEFAULT / 16) /* a burst is over */
            strbuf_finish(&taken);
    }
    strbuf_finish(&taken);
    return NULL;
}

/* --- everybody's --- */

void audit_log_put(struct audit_log *l, const char *line, size_t n) {
    (void) pthread_mutex_lock(&l->lock);
    while (l->blocking && l->queue.len > 0 && l->queue.len + n > l->queue_bytes && !l->stop)
        (void) pthread_cond_wait(&l->emptied, &l->lock);
    bool room = l->queue.len + n <= l->queue_bytes || l->queue.len == 0;
    if (room) {
        if (l->queue.len == 0)
            (void) pthread_cond_signal(&l->filled);
        strbuf_add(&l->queue, line, n);
    }
    (void) pthread_mutex_unlock(&l->lock);
    if (!room)
        (void) atomic_fetch_add(&l->dropped, 1);
}

uint64_t audit_log_dropped(const struct audit_log *l) {
    return atomic_load(&l->dropped);
}

static void release(struct audit_log *l) {
    (void) pthread_mutex_destroy(&l->lock);
    (void) pthread_cond_destroy(&l->filled);
    (void) pthread_cond_destroy(&l->emptied);
    strbuf_finish(&l->queue);
    closep(&l->fd);
    free(l->path);
    free(l);
}

int audit_log_new(const struct audit_log_options *o, struct audit_log **ret, struct error *err) {
    struct audit_log *l = xnew0(struct audit_log);
    l->fd = -EBADF;
    l->path = strcmp(o->path, AUDIT_JOURNAL) == 0 ? NULL : xstrdup(o->path);
    l->bytes_max = o->bytes_max ? o->bytes_max : BYTES_MAX_DEFAULT;
    l->age_max_sec = o->age_max_sec;
    l->backups_max = o->backups_max;
    l->queue_bytes = o->queue_bytes ? o->queue_bytes : QUEUE_DEFAULT;
    l->blocking = o->blocking;
    (void) pthread_mutex_init(&l->lock, NULL);
    (void) pthread_cond_init(&l->filled, NULL);
    (void) pthread_cond_init(&l->emptied, NULL);
    int r = l->path ? open_file(l, err) : 0;
    if (r == 0) {
        r = -pthread_create(&l->thread, NULL, run, l);
        if (r < 0)
            r = error_set_errno(err, r, "cannot start the audit log's thread");
        else
            (void) pthread_setname_np(l->thread, "audit");
    }
    if (r < 0) {
        release(l);
        return r;
    }
    *ret = l;
    return 0;
}

void audit_log_free(struct audit_log *l) {
    if (!l)
        return;
    (void) pthread_mutex_lock(&l->lock);
    l->stop = true;
    (void) pthread_cond_signal(&l->filled);
    (void) pthread_mutex_unlock(&l->lock);
    (void) pthread_join(l->thread, NULL);
    release(l);
}
