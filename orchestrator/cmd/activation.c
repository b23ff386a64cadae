/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cmd/activation.h"

#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "podium/base/fd.h"
#include "podium/base/log.h"

static bool is_unix(int fd, const char *path) {
    return path && sd_is_socket_unix(fd, SOCK_STREAM, 1, path, 0) > 0;
}

static bool is_port(int fd, int port) {
    return port > 0 && sd_is_socket_inet(fd, AF_UNSPEC, SOCK_STREAM, 1, (uint16_t) port) > 0;
}

void activation_take(const struct server_options *o, struct activation *ret) {
    int n = sd_listen_fds(1);

    *ret = (struct activation){0};
    for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++) {
        int *place = is_port(fd, o->port)          ? &ret->api
                     : is_port(fd, o->link_port)   ? &ret->link
                     : is_unix(fd, o->socket)      ? &ret->api_unix
                     : is_unix(fd, o->link_socket) ? &ret->link_unix
                                                   : NULL;
        if (!place || *place > 0) {
            log_warning("a socket of podium-server.socket is not one of --port, --link-port, --socket, --link-socket");
            (void) close(fd);
            continue;
        }
        (void) fd_set_nonblock(fd, true);
        *place = fd;
    }
}
