/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A seccomp agent for tests: listener SOCKET LOG ERRNO
 * Takes connections at SOCKET for ever, writes each container process state to LOG (a line each) and answers every
 * call that comes over the listener: with the error number, or as done when that is 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void answer(int fd, int number) {
    struct pollfd p = {.fd = fd, .events = POLLIN};

    for (;;) {
        if (poll(&p, 1, -1) < 0 || !(p.revents & POLLIN))
            _exit(0);
        struct seccomp_notif call;
        struct seccomp_notif_resp reply;
        memset(&call, 0, sizeof(call));
        memset(&reply, 0, sizeof(reply));
        if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
            continue;
        reply.id = call.id;
        reply.error = -number;
        (void) ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &reply);
    }
}

static void serve(int sock, int log, int number) {
    static char text[1 << 20];
    char control[CMSG_SPACE(sizeof(int) * 4)];
    struct iovec iov = {.iov_base = text, .iov_len = sizeof(text) - 2};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(sock, &msg, MSG_WAITALL);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
    int fd;

    if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
        _exit(1);
    memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    text[n++] = '\n';
    if (write(log, text, (size_t) n) != n)
        _exit(1);
    answer(fd, number);
}

int main(int argc, char **argv) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_STREAM, 0);

    if (argc != 4)
        return 1;
    int log = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0644);
    /* the socket appears at its place when it answers */
    snprintf(address.sun_path, sizeof(address.sun_path), "%s~", argv[1]);
    if (log < 0 || bind(sock, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(sock, 8) < 0 ||
        rename(address.sun_path, argv[1]) < 0)
        return 1;
    for (;;) {
        int c = accept(sock, NULL, NULL);

        if (c >= 0 && fork() == 0) {
            close(sock);
            serve(c, log, atoi(argv[3]));
        }
        close(c);
    }
}
