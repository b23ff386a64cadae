/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/process/channel.h"

#include <stddef.h>
#include <string.h>

#include "podium/base/fd.h"

int channel_send(int sock, enum channel_kind kind, int code, const char *text, int fd) {
    struct channel_message m;
    size_t n = text ? strnlen(text, CHANNEL_TEXT_MAX - 1) : 0;

    m.kind = kind;
    m.code = code;
    if (n > 0)
        memcpy(m.text, text, n);
    ssize_t k = fd_send_message(sock, &m, offsetof(struct channel_message, text) + n, &fd, fd >= 0 ? 1 : 0);
    return k < 0 ? (int) k : 0;
}

int channel_receive(int sock, struct channel_message *m, int *ret_fd) {
    int fd = -1;
    size_t n_fds = 1;
    ssize_t n = fd_recv_message(sock, m, sizeof(*m) - 1, &fd, &n_fds);

    if (n < 0 && n != -ECONNRESET)
        return (int) n;
    if (n_fds == 1 && ret_fd)
        *ret_fd = fd;
    else if (n_fds == 1)
        (void) close(fd);
    if (n <= 0) { /* or a peer that ended with our GO unread */
        m->code = (int) n;
        return CHANNEL_END;
    }
    if ((size_t) n < offsetof(struct channel_message, text))
        return -EPROTO;
    ((char *) m)[n] = 0;
    return (int) m->kind;
}

int channel_wait_go(int sock, struct error *err) {
    struct channel_message m;
    int r = channel_receive(sock, &m, NULL);

    if (r == CHANNEL_GO)
        return 0;
    return r < 0 ? error_set_errno(err, r, "cannot hear from the parent")
                 : error_set(err, -EPIPE, "the parent went away");
}
