/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/process/listener.h"

#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>

#include "podium/base/fd.h"
#include "runtime/process/channel.h"
#include "runtime/spec/spec.h"

struct json *listener_describe(const struct json *section, pid_t pid, const struct json *state) {
    const struct json *path = json_get(section, "listenerPath");
    const char *metadata = json_str(json_get(section, "listenerMetadata"));

    if (json_str_len(path) == 0)
        return NULL;
    struct json *doc = NULL, *fds = json_array(), *own_state = json_ref(state);
    json_append(&fds, json_string("seccompFd"));
    json_set(&own_state, "pid", json_int(pid)); /* of `create`: not known when the state was written down */
    json_set(&doc, "path", json_ref(path));
    json_set_path(&doc, json_string(SPEC_OCI_VERSION), "message", "ociVersion");
    json_set_path(&doc, fds, "message", "fds");
    json_set_path(&doc, json_int(pid), "message", "pid");
    if (metadata)
        json_set_path(&doc, json_string(metadata), "message", "metadata");
    json_set_path(&doc, own_state, "message", "state");
    return doc;
}

int listener_announce(int sync_fd, int fd, struct error *err) {
    struct channel_message answer, m = {.kind = CHANNEL_LISTENER, .code = fd};
    const size_t head = offsetof(struct channel_message, text);

    if (write(sync_fd, &m, head) != (ssize_t) head || read(sync_fd, &answer, sizeof(answer)) < (ssize_t) head ||
        answer.kind != CHANNEL_GO)
        return error_set(err, -EPIPE, "nobody took the listener of the seccomp filter");
    return 0;
}

static int hand_over(const struct json *listener, int pidfd, int number, struct error *err) {
    const char *path = json_get_str(listener, "path");
    _cleanup_close_ int fd = pidfd_getfd(pidfd, number, 0);

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot take the listener of the seccomp filter");
    _cleanup_close_ int sock = unix_connect(path, err);
    if (sock < 0)
        return error_prefix(err, sock, "config: linux.seccomp.listenerPath");
    _cleanup_free_ char *text = json_to_text(json_get(listener, "message"));
    ssize_t sent = fd_send_message(sock, text, strlen(text), &fd, 1);
    int r = sent < 0 ? (int) sent : fd_write_all(sock, text + sent, strlen(text) - (size_t) sent);
    return r < 0 ? error_set_errno(err, r, "cannot send to the seccomp listener %s", path) : 0;
}

int listener_receive(int sock, struct channel_message *m, int *ret_fd, int pidfd, const struct json *listener) {
    for (;;) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        int kind = channel_receive(sock, m, ret_fd), r;

        if (kind != CHANNEL_LISTENER)
            return kind;
        r = hand_over(listener, pidfd, m->code, &err);
        if (r == 0)
            r = channel_send(sock, CHANNEL_GO, 0, NULL, -1);
        if (r == 0)
            continue;
        m->code = r;
        (void) snprintf(m->text, sizeof(m->text), "%s", error_text(&err, r));
        return CHANNEL_FAILED;
    }
}
