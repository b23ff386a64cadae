/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/pod/journal.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"

#define JOURNAL_STREAM_SOCKET "/run/systemd/journal/stdout"

int pod_journal_stream(const char *identifier, int priority, struct error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = JOURNAL_STREAM_SOCKET};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make a socket");
    if (connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
        return error_set_errno(err, -errno, "cannot connect to the journal");
    (void) shutdown(fd, SHUT_RD);
    /* identifier, unit (journald finds it by cgroup), priority, level prefix, forward to syslog, kmsg, console */
    _cleanup_free_ char *header = xasprintf("%s\n\n%d\n0\n0\n0\n0\n", identifier, priority);
    int r = fd_write_all(fd, header, strlen(header));
    if (r < 0)
        return error_set_errno(err, r, "cannot write to the journal");
    return steal_fd(&fd);
}

int pod_notify(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (!path)
        return 0;
    size_t n = strlen(path);
    if (n < 2 || n >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
        return -EINVAL;
    memcpy(address.sun_path, path, n);
    if (path[0] == '@')
        address.sun_path[0] = 0;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    socklen_t size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n);
    ssize_t k = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *) &address, size);
    return k < 0 ? -errno : 0;
}
