/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network namespaces by descriptor. Only the calling thread moves. */
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "netns/netlink.h"
#include "podium/base/log.h"
#include "podium/netns.h"

int netns_current(struct error *err) {
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    return fd < 0 ? error_set_errno(err, -errno, "cannot open the network namespace of this thread") : fd;
}

/* Going on in somebody else's namespace would configure the wrong network: there is no better answer than to end. */
static void come_back(int fd) {
    if (setns(fd, CLONE_NEWNET) == 0)
        return;
    log_error("cannot return to the own network namespace: %m");
    abort();
}

int netns_create(struct error *err) {
    _cleanup_close_ int own = netns_current(err);

    if (own < 0)
        return own;
    if (unshare(CLONE_NEWNET) < 0)
        return errno == EPERM
                   ? error_set(err, -EPERM, "cannot make a network namespace: the capability CAP_SYS_ADMIN is needed")
                   : error_set_errno(err, -errno, "cannot make a network namespace");
    int fd = netns_current(err);
    come_back(own);
    return fd;
}

int netns_run(int netns_fd, int (*fn)(void *userdata, struct error *err), void *userdata, struct error *err) {
    _cleanup_close_ int own = netns_current(err);

    if (own < 0)
        return own;
    if (setns(netns_fd, CLONE_NEWNET) < 0)
        return error_set_errno(err, -errno, "cannot enter the network namespace");
    int r = fn(userdata, err);
    come_back(own);
    return r;
}

struct socket_request {
    int domain, type, protocol;
};

static int make_socket(void *userdata, struct error *err) {
    const struct socket_request *request = userdata;
    int fd = socket(request->domain, request->type | SOCK_CLOEXEC, request->protocol);

    return fd < 0 ? error_set_errno(err, -errno, "cannot make a socket") : fd;
}

int netns_socket(int netns_fd, int domain, int type, int protocol, struct error *err) {
    struct socket_request request = {.domain = domain, .type = type, .protocol = protocol};

    return netns_run(netns_fd, make_socket, &request, err);
}

static int loopback_up(void *userdata, struct error *err) {
    _cleanup_nlsock_ struct nl_sock *sock = NULL;
    int r = netlink_open(&sock, err);

    return r < 0 ? r : netlink_link_up(sock, 1, 0, err); /* lo is 1 in every namespace (LOOPBACK_IFINDEX) */
}

int netns_loopback_up(int netns_fd, struct error *err) {
    return netns_run(netns_fd, loopback_up, NULL, err);
}
