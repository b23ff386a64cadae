/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/journal_sync.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"

#define SOCKET "/run/systemd/journal/io.systemd.journal"

/* Varlink: a JSON object and a NUL. The only call ever made, whose answer says nothing but that it is done. */
static const char request[] = "{\"method\":\"io.systemd.Journal.Synchronize\"}";

struct journal_sync {
    sd_event_source *source;
    void (*done)(void *userdata);
    void *userdata;
};

void journal_sync_free(struct journal_sync *s) {
    if (!s)
        return;
    sd_event_source_disable_unref(s->source);
    free(s);
}

static int on_answer(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct journal_sync *s = userdata;

    (void) sd_event_source_set_enabled(s->source, SD_EVENT_OFF);
    s->done(s->userdata);
    return 0;
}

int journal_sync_start(sd_event *loop, void (*done)(void *userdata), void *userdata, struct journal_sync **ret,
                       struct error *err) {
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
        return error_set_errno(err, -errno, "cannot connect to %s", SOCKET);
    if (send(fd, request, sizeof(request), MSG_NOSIGNAL) != (ssize_t) sizeof(request))
        return error_set_errno(err, -errno, "cannot write to %s", SOCKET);
    struct journal_sync *s = xnew0(struct journal_sync);
    *s = (struct journal_sync){.done = done, .userdata = userdata};
    int r = sd_event_add_io(loop, &s->source, fd, EPOLLIN, on_answer, s);
    if (r < 0) {
        free(s);
        return error_set_errno(err, r, "cannot use the event loop");
    }
    (void) sd_event_source_set_io_fd_own(s->source, 1);
    fd = -EBADF;
    *ret = s;
    return 0;
}
