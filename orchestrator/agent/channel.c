/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/channel.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-event.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/log.h"
#include "podium/runtime.h"

struct channel {
    int fd;
    sd_event_source *source;
    const struct channel_callbacks *callbacks;
    void *userdata;
    int *dead; /* set while dispatching: tells the dispatcher that the channel was closed under it */
};

static void dispatch(struct channel *c, const struct json *m, int *fd) {
    const char *event = json_str_or(json_get(m, "event"), "");

    if (strcmp(event, "state") == 0) {
        c->callbacks->state(c->userdata, m);
    } else if (strcmp(event, "sandbox") == 0) {
        if (*fd >= 0)
            c->callbacks->sandbox(c->userdata, steal_fd(fd));
    } else if (strcmp(event, "exec-started") == 0) {
        c->callbacks->exec_started(c->userdata, json_str_or(json_get(m, "id"), ""), steal_fd(fd));
    } else if (strcmp(event, "exec-exit") == 0) {
        c->callbacks->exec_exit(c->userdata, json_str_or(json_get(m, "id"), ""),
                                (int) json_int_or(json_get(m, "exitCode"), -1), json_str(json_get(m, "error")));
    } else if (strcmp(event, "hook") == 0 || strcmp(event, "hook-failed") == 0) {
        c->callbacks->hook(c->userdata, m);
    } else if (strcmp(event, "error") == 0) {
        log_warning("supervisor: %s: %s", json_str_or(json_get(m, "op"), ""), json_str_or(json_get(m, "message"), ""));
    }
}

static void receive(struct channel *c, int *dead) {
    _cleanup_free_ char *text = xmalloc(POD_MESSAGE_MAX);

    while (!*dead) {
        _cleanup_json_ struct json *m = NULL;
        int fds[4] = {-1, -1, -1, -1};
        size_t n_fds = ARRAY_LEN(fds);
        ssize_t n = fd_recv_message(c->fd, text, POD_MESSAGE_MAX, fds, &n_fds);

        if (n == -EAGAIN || n == -EINTR)
            return;
        if (n <= 0) {
            c->source = sd_event_source_disable_unref(c->source);
            c->callbacks->closed(c->userdata);
            return;
        }
        if (json_parse(text, (size_t) n, NULL, &m, NULL) == 0)
            dispatch(c, m, &fds[0]);
        for (size_t i = 0; i < ARRAY_LEN(fds); i++)
            closep(&fds[i]);
    }
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct channel *c = userdata;
    int dead = 0;

    c->dead = &dead;
    receive(c, &dead);
    if (!dead)
        c->dead = NULL;
    return 0;
}

int channel_open(sd_event *loop, const char *dir, const struct channel_callbacks *callbacks, void *userdata,
                 struct channel **ret, struct error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (at < 0 || fd < 0)
        return error_set_errno(err, -errno, "cannot open %s", dir);
    /* by descriptor: the folder's path may be longer than a socket address */
    (void) snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" POD_FILE_CONTROL, at);
    if (connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
        return error_set_errno(err, -errno, "cannot connect to the supervisor in %s", dir);
    struct channel *c = xnew0(struct channel);
    *c = (struct channel){.fd = fd, .callbacks = callbacks, .userdata = userdata};
    int r = sd_event_add_io(loop, &c->source, fd, EPOLLIN, on_readable, c);
    if (r < 0) {
        free(c);
        return error_set_errno(err, r, "cannot watch the supervisor");
    }
    (void) steal_fd(&fd);
    *ret = c;
    return 0;
}

void channel_close(struct channel *c) {
    if (!c)
        return;
    if (c->dead)
        *c->dead = 1;
    sd_event_source_disable_unref(c->source);
    closep(&c->fd);
    free(c);
}

int channel_send(struct channel *c, struct json *take, const int *fds, size_t n_fds, struct error *err) {
    _cleanup_free_ char *text = json_to_text(take);
    json_unref(take);
    ssize_t n = fd_send_message(c->fd, text, strlen(text), fds, n_fds);

    return n < 0 ? error_set_errno(err, (int) n, "cannot tell the supervisor") : 0;
}
