/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/namespaces/links.h"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/sys.h"

#define ANSWER_BYTES 32768 /* what the kernel puts into one datagram of a dump at most */

struct address {
    struct ifaddrmsg head;
    uint32_t flags; /* IFA_F_* */
    unsigned char local[16], peer[16], broadcast[4];
    bool has_local, has_peer, has_broadcast;
};

struct link {
    char *here_name, *there_name;
    bool was_up;
    struct address *addresses;
    size_t n_addresses;
};

struct netlink {
    int fd;
    uint32_t sequence; /* of the last request: an answer to one before, which was given up, is passed over */
};

struct links {
    struct netlink here, there; /* of the two namespaces */
    int here_ns, there_ns;      /* the namespaces */
    struct link *links;
    size_t n;
};

/* --- requests --- */

struct request {
    struct nlmsghdr head;
    char body[512];
};

static void request_begin(struct request *q, uint16_t type, uint16_t flags, const void *body, size_t n) {
    *q = (struct request){.head = {.nlmsg_len = (uint32_t) NLMSG_LENGTH(n),
                                   .nlmsg_type = type,
                                   .nlmsg_flags = (uint16_t) (NLM_F_REQUEST | flags)}};
    memcpy(q->body, body, n);
}

static void request_add(struct request *q, unsigned short type, const void *p, size_t n) {
    struct rtattr *a = (struct rtattr *) ((char *) q + NLMSG_ALIGN(q->head.nlmsg_len));

    a->rta_type = type;
    a->rta_len = (unsigned short) RTA_LENGTH(n);
    memcpy(RTA_DATA(a), p, n);
    q->head.nlmsg_len = (uint32_t) (NLMSG_ALIGN(q->head.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

/* Calls `take` for each answer that is not the end. -errno: the kernel's. */
static int request_run(struct netlink *nl, struct request *q, void (*take)(const struct nlmsghdr *m, void *userdata),
                       void *userdata) {
    _cleanup_free_ char *buffer = xmalloc(ANSWER_BYTES);
    const bool dump = (q->head.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;

    q->head.nlmsg_seq = ++nl->sequence;
    if (send(nl->fd, q, q->head.nlmsg_len, 0) < 0)
        return -errno;
    for (;;) {
        ssize_t n = recv(nl->fd, buffer, ANSWER_BYTES, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        unsigned left = (unsigned) n;
        for (struct nlmsghdr *m = (struct nlmsghdr *) buffer; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
            if (m->nlmsg_seq != nl->sequence)
                continue;
            if (m->nlmsg_type == NLMSG_ERROR)
                return ((struct nlmsgerr *) NLMSG_DATA(m))->error;
            if (m->nlmsg_type == NLMSG_DONE)
                return 0;
            if (take)
                take(m, userdata);
            if (!dump && !(q->head.nlmsg_flags & NLM_F_ACK))
                return 0;
        }
    }
}

static void take_link(const struct nlmsghdr *m, void *userdata) {
    if (m->nlmsg_type == RTM_NEWLINK)
        *(struct ifinfomsg *) userdata = *(struct ifinfomsg *) NLMSG_DATA(m);
}

static int find_link(struct netlink *nl, const char *name, struct ifinfomsg *ret) {
    struct ifinfomsg any = {.ifi_family = AF_UNSPEC};
    struct request q;

    *ret = any;
    request_begin(&q, RTM_GETLINK, 0, &any, sizeof(any));
    request_add(&q, IFLA_IFNAME, name, strlen(name) + 1);
    int r = request_run(nl, &q, take_link, ret);
    return r < 0 ? r : ret->ifi_index > 0 ? 0 : -ENODEV;
}

struct collection {
    int index;
    struct link *link;
    size_t cap;
};

static bool copy_attribute(const struct rtattr *a, void *to, size_t max) {
    size_t n = RTA_PAYLOAD(a);

    memcpy(to, RTA_DATA(a), n < max ? n : max);
    return true;
}

static void take_address(const struct nlmsghdr *m, void *userdata) {
    struct collection *c = userdata;
    const struct ifaddrmsg *head = NLMSG_DATA(m);
    struct address found = {.head = *head, .flags = head->ifa_flags};
    unsigned left = (unsigned) IFA_PAYLOAD(m);

    if (m->nlmsg_type != RTM_NEWADDR || (int) head->ifa_index != c->index)
        return;
    for (struct rtattr *a = IFA_RTA(head); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        if (a->rta_type == IFA_LOCAL)
            found.has_local = copy_attribute(a, found.local, sizeof(found.local));
        else if (a->rta_type == IFA_ADDRESS)
            found.has_peer = copy_attribute(a, found.peer, sizeof(found.peer));
        else if (a->rta_type == IFA_BROADCAST)
            found.has_broadcast = copy_attribute(a, found.broadcast, sizeof(found.broadcast));
        else if (a->rta_type == IFA_FLAGS)
            (void) copy_attribute(a, &found.flags, sizeof(found.flags));
    }
    if (head->ifa_scope != RT_SCOPE_UNIVERSE || !(found.flags & IFA_F_PERMANENT))
        return;
    xgrow(&c->link->addresses, c->link->n_addresses, &c->cap);
    c->link->addresses[c->link->n_addresses++] = found;
}

static int read_addresses(struct netlink *nl, int index, struct link *link) {
    struct collection c = {.index = index, .link = link};
    struct ifaddrmsg any = {.ifa_family = AF_UNSPEC};
    struct request q;

    request_begin(&q, RTM_GETADDR, NLM_F_DUMP, &any, sizeof(any));
    return request_run(nl, &q, take_address, &c);
}

static int write_address(struct netlink *nl, int index, const struct address *a) {
    const size_t n = a->head.ifa_family == AF_INET ? 4 : 16;
    /* the rest is state of the kernel's, not a wish of the user's */
    uint32_t flags = a->flags & (IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN);
    struct ifaddrmsg head = a->head;
    struct request q;

    head.ifa_index = (unsigned) index;
    head.ifa_flags = 0;
    request_begin(&q, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &head, sizeof(head));
    if (a->has_local)
        request_add(&q, IFA_LOCAL, a->local, n);
    if (a->has_peer)
        request_add(&q, IFA_ADDRESS, a->peer, n);
    if (a->has_broadcast)
        request_add(&q, IFA_BROADCAST, a->broadcast, sizeof(a->broadcast));
    request_add(&q, IFA_FLAGS, &flags, sizeof(flags));
    return request_run(nl, &q, NULL, NULL);
}

static int set_up(struct netlink *nl, int index) {
    struct ifinfomsg head = {.ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct request q;

    request_begin(&q, RTM_NEWLINK, NLM_F_ACK, &head, sizeof(head));
    return request_run(nl, &q, NULL, NULL);
}

/* --- moving --- */

/* Moves one device to a namespace and gives it a name there; its addresses are lost on the way. */
static int send_link(struct netlink *nl, int index, int ns_fd, const char *name) {
    struct ifinfomsg down = {.ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_change = IFF_UP};
    struct ifinfomsg head = {.ifi_family = AF_UNSPEC, .ifi_index = index};
    struct request q;

    request_begin(&q, RTM_NEWLINK, NLM_F_ACK, &down, sizeof(down));
    int r = request_run(nl, &q, NULL, NULL);
    if (r < 0)
        return r;
    request_begin(&q, RTM_NEWLINK, NLM_F_ACK, &head, sizeof(head));
    request_add(&q, IFLA_NET_NS_FD, &ns_fd, sizeof(ns_fd));
    request_add(&q, IFLA_IFNAME, name, strlen(name) + 1);
    return request_run(nl, &q, NULL, NULL);
}

static int receive_link(struct netlink *nl, const char *name, const struct link *link, bool up) {
    struct ifinfomsg info;
    int r = find_link(nl, name, &info);

    for (size_t i = 0; r == 0 && i < link->n_addresses; i++)
        r = write_address(nl, info.ifi_index, &link->addresses[i]);
    return r == 0 && up ? set_up(nl, info.ifi_index) : r;
}

static void return_link(struct links *l, const struct link *link) {
    struct ifinfomsg info;
    int r = find_link(&l->there, link->there_name, &info);

    if (r < 0) /* the kernel moves first and then gives the name, which may have failed */
        r = find_link(&l->there, link->here_name, &info);

    if (r == 0)
        r = send_link(&l->there, info.ifi_index, l->here_ns, link->here_name);
    if (r == 0)
        r = receive_link(&l->here, link->here_name, link, link->was_up);
    (void) r; /* the error that brought us here is the one to tell */
}

static void forget_last(struct links *l) {
    struct link *link = &l->links[--l->n];

    free(link->here_name);
    free(link->there_name);
    free(link->addresses);
    *link = (struct link){0};
}

/* It may be here, maybe down (which loses it its IPv6 addresses), or there already, whatever the answer was. */
static void take_back(struct links *l) {
    struct link *link = &l->links[l->n - 1];
    struct ifinfomsg info;

    if (find_link(&l->here, link->here_name, &info) < 0) {
        return_link(l, link);
    } else {
        int r = receive_link(&l->here, link->here_name, link, link->was_up);
        (void) r; /* the error that brought us here is the one to tell */
    }
    forget_last(l);
}

static int move_link(struct links *l, const struct spec_net_device *d, struct error *err) {
    struct link *link = &l->links[l->n];
    struct ifinfomsg info, other;
    int r = find_link(&l->here, d->host_name, &info);

    if (r < 0)
        return error_set_errno(err, r, "config: linux.netDevices: %s", d->host_name);
    if (info.ifi_flags & IFF_LOOPBACK)
        return error_set(err, -EINVAL, "config: linux.netDevices: %s: the loopback device stays", d->host_name);
    r = find_link(&l->there, d->name, &other);
    if (r < 0 && r != -ENODEV)
        return error_set_errno(err, r, "config: linux.netDevices: cannot look for %s in the container", d->name);
    if (r == 0)
        return error_set(err, -EEXIST, "config: linux.netDevices: %s: the container has a device %s", d->host_name,
                         d->name);
    *link = (struct link){
        .here_name = xstrdup(d->host_name), .there_name = xstrdup(d->name), .was_up = info.ifi_flags & IFF_UP};
    l->n++;
    if ((r = read_addresses(&l->here, info.ifi_index, link)) < 0) {
        forget_last(l);
        return error_set_errno(err, r, "config: linux.netDevices: cannot read the addresses of %s", d->host_name);
    }
    if ((r = send_link(&l->here, info.ifi_index, l->there_ns, d->name)) < 0) {
        take_back(l);
        return error_set_errno(err, r, "config: linux.netDevices: cannot move %s to the container as %s", d->host_name,
                               d->name);
    }
    r = receive_link(&l->there, d->name, link, true);
    return r < 0 ? error_set_errno(err, r, "config: linux.netDevices: cannot set up %s in the container", d->name) : 0;
}

static int open_socket(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    return fd < 0 ? -errno : fd;
}

/* In another process, for one that cannot come back from the other namespace must not go on. It has our rights, which a
 * socket remembers: one of the container's own could not send anything back to us. */
static int open_socket_there(int ns_fd) {
    struct clone_args args = {.exit_signal = SIGCHLD};
    int pair[2], fd = -EBADF, r;
    size_t n_fds = 1;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    pid_t pid = sys_clone3(&args);
    if (pid == 0) {
        r = setns(ns_fd, CLONE_NEWNET) < 0 ? -errno : 0;
        fd = r < 0 ? r : open_socket();
        r = fd < 0 ? fd : 0;
        _exit(fd_send_message(pair[1], &r, sizeof(r), &fd, fd < 0 ? 0 : 1) < 0);
    }
    (void) close(pair[1]);
    ssize_t n = pid < 0 ? pid : fd_recv_message(pair[0], &r, sizeof(r), &fd, &n_fds);
    (void) close(pair[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    if (n < 0)
        return (int) n;
    if (n != (ssize_t) sizeof(r))
        return -EPROTO;
    return r < 0 ? r : n_fds == 1 ? fd : -EPROTO;
}

static int open_both(pid_t pid, struct links *l, struct error *err) {
    struct stat here, there;
    char path[64];

    (void) snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) pid);
    l->here_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    l->there_ns = open(path, O_RDONLY | O_CLOEXEC);
    if (l->here_ns < 0 || l->there_ns < 0 || fstat(l->here_ns, &here) < 0 || fstat(l->there_ns, &there) < 0)
        return error_set_errno(err, -errno, "cannot open the network namespace");
    if (here.st_dev == there.st_dev && here.st_ino == there.st_ino)
        return error_set(err, -EINVAL, "config: linux.netDevices: the container shares our network namespace");
    l->here.fd = open_socket();
    if (l->here.fd < 0)
        return error_set_errno(err, l->here.fd, "cannot make a netlink socket");
    l->there.fd = open_socket_there(l->there_ns);
    return l->there.fd < 0
               ? error_set_errno(err, l->there.fd, "cannot make a netlink socket in the container's network")
               : 0;
}

int links_move(pid_t pid, const struct spec *spec, struct links **ret, struct error *err) {
    struct links *l;
    int r;

    *ret = NULL;
    if (spec->n_net_devices == 0)
        return 0;
    l = xnew0(struct links);
    l->here.fd = l->there.fd = l->here_ns = l->there_ns = -EBADF;
    l->links = xcalloc(spec->n_net_devices, sizeof(*l->links));
    r = open_both(pid, l, err);
    for (size_t i = 0; r == 0 && i < spec->n_net_devices; i++)
        r = move_link(l, &spec->net_devices[i], err);
    if (r < 0)
        links_return(l);
    else
        *ret = l;
    return r;
}

void links_return(struct links *l) {
    for (size_t i = l ? l->n : 0; i-- > 0;)
        return_link(l, &l->links[i]);
    links_free(l);
}

void links_free(struct links *l) {
    if (!l)
        return;
    closep(&l->here.fd);
    closep(&l->there.fd);
    closep(&l->here_ns);
    closep(&l->there_ns);
    for (size_t i = 0; i < l->n; i++) {
        free(l->links[i].here_name);
        free(l->links[i].there_name);
        free(l->links[i].addresses);
    }
    free(l->links);
    free(l);
}
