/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/nodes/watcher.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "tests/bench/api/objects.h"

struct watcher {
    struct connection c;
    watch_line_fn line;
    void *userdata;
    struct strbuf partial;
    pthread_t thread;
    int wake;
    atomic_bool ended, stop, answered;
};

static void take(void *userdata, struct connection *c, const char *p, size_t n) {
    struct watcher *w = userdata;
    const char *end = p + n, *nl;

    while ((nl = memchr(p, '\n', (size_t) (end - p)))) {
        strbuf_add(&w->partial, p, (size_t) (nl - p));
        w->line(w->userdata, strbuf_str(&w->partial), w->partial.len);
        strbuf_reset(&w->partial);
        p = nl + 1;
    }
    strbuf_add(&w->partial, p, (size_t) (end - p));
}

/* False: the connection has ended. */
static bool read_all(struct watcher *w) {
    char buf[16384];

    for (;;) {
        ssize_t n = connection_receive(&w->c, buf, sizeof(buf));
        if (n == 0)
            return true;
        if (n < 0 || answer_take(&w->c, buf, (size_t) n, take, w) != 0)
            return false;
        if (w->c.body && w->c.status != 200)
            return false;
        if (w->c.body)
            atomic_store(&w->answered, true);
    }
}

static void *work(void *userdata) {
    struct watcher *w = userdata;
    struct pollfd p[2] = {{.fd = w->c.fd, .events = POLLIN}, {.fd = w->wake, .events = POLLIN}};

    while (!atomic_load(&w->stop)) {
        if (!read_all(w)) {
            fprintf(stderr, "a watch has ended (status %d)\n", w->c.status);
            atomic_store(&w->ended, true);
            break;
        }
        (void) poll(p, 2, -1);
    }
    return NULL;
}

struct watcher *watcher_start(const struct target *t, const char *path, watch_line_fn line, void *userdata) {
    struct watcher *w = xnew0(struct watcher);
    _cleanup_strbuf_ struct strbuf request = STRBUF_INIT;
    _cleanup_free_ char *whole =
        xasprintf("%s%cwatch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", path,
                  strchr(path, '?') ? '&' : '?');

    w->line = line;
    w->userdata = userdata;
    w->wake = eventfd(0, EFD_CLOEXEC);
    http_request("GET", whole, "", NULL, &request);
    if (!connection_open(&w->c, t) || !connection_send(&w->c, request.data, request.len) ||
        fcntl(w->c.fd, F_SETFL, O_NONBLOCK) < 0 || pthread_create(&w->thread, NULL, work, w) != 0) {
        connection_close(&w->c);
        (void) close(w->wake);
        free(w);
        return NULL;
    }
    while (!atomic_load(&w->answered) && !atomic_load(&w->ended))
        (void) usleep(1000);
    return w;
}

bool watcher_has_ended(const struct watcher *w) {
    return atomic_load(&w->ended);
}

void watcher_stop(struct watcher *w) {
    if (!w)
        return;
    atomic_store(&w->stop, true);
    (void) eventfd_write(w->wake, 1);
    (void) pthread_join(w->thread, NULL);
    connection_close(&w->c);
    strbuf_finish(&w->partial);
    (void) close(w->wake);
    free(w);
}

bool line_member(const char *line, const char *key, char *buf, size_t size) {
    char pattern[64];

    int k = snprintf(pattern, sizeof(pattern), "\"%s\":\"", key);
    const char *at = strstr(line, pattern), *end = at ? strchr(at + k, '"') : NULL;
    if (!end || (size_t) (end - at - k) >= size)
        return false;
    memcpy(buf, at + k, (size_t) (end - at - k));
    buf[end - at - k] = 0;
    return true;
}
