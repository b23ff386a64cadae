/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "runtime/process/container.h"
#include "runtime/verbs/container_file.h"
#include "runtime/verbs/verbs.h"

static int start(const struct baton *b, struct container_file *f, struct error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int r;

    if (f->status != STATE_CREATED)
        return error_set(err, -EINVAL, "cannot start a container that is %s", state_status_name(f->status));
    (void) snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" STATE_START_SOCKET, f->dir.fd);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
        return error_set_errno(err, -errno, "cannot reach the container's process");
    /* before the answer: from the connection on it is no longer waiting */
    if (unlinkat(f->dir.fd, STATE_START_SOCKET, 0) < 0)
        return error_set_errno(err, -errno, "cannot remove the start socket");
    _cleanup_json_ struct json *now = state_document(&f->dir, &f->state, STATE_CREATED);
    _cleanup_json_ struct json *listener =
        container_listener(json_path(f->state.config, "linux", "seccomp"), f->state.pid, now);
    if ((r = container_start_connect(fd, f->pidfd, listener, err)) < 0)
        return r;
    if (json_len(json_path(f->state.config, "hooks", "poststart")) == 0)
        return 0;
    _cleanup_(spec_freep) struct spec *spec = NULL;
    _cleanup_(error_clear) struct error hook_error = ERROR_INIT;
    _cleanup_json_ struct json *doc = state_document(&f->dir, &f->state, STATE_RUNNING);
    if ((r = spec_parse(f->state.config, &spec, err)) < 0)
        return r;
    r = container_run_hooks(spec, SPEC_HOOK_POSTSTART, doc, &hook_error);
    if (r < 0)
        baton_warn(b, error_text(&hook_error, r));
    return 0;
}

int verb_start(const struct baton *b, int argc, char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_(container_file_finish) struct container_file f = CONTAINER_FILE_INIT;
    int r;

    if (argc != 2)
        return baton_usage(b, "start ID", "exactly one container id is needed");
    if ((r = container_file_open(b, argv[1], &f, &err)) < 0 || (r = start(b, &f, &err)) < 0)
        return baton_fail(b, &err, r);
    return 0;
}
