/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Services with real packets. Each test runs in a child with its own network and mount namespaces, which is the node;
 * pods are namespaces on its bridge, an outside host one on a second bridge. Every endpoint answers with its number and
 * the address it sees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/error.h"
#include "podium/netns.h"
#include "podium/netns_services.h"

#define BRIDGE  "podtest0"
#define VIP     "10.96.0.7"
#define NODE    "198.51.100.1"
#define CLIENT  "198.51.100.9"
#define OUTSIDE "203.0.113.5"

enum { PODS = 3, WAIT_MSEC = 10000, SILENCE_MSEC = 700 };

/* Assertions inside the child: cmocka's longjmp must not leave it. */
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, error_text(&err, -errno));              \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

static void in_own_namespace(void (*body)(void)) {
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
            _exit(77);
        alarm(120);
        body();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static struct sockaddr_in address_of(const char *text, int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};

    inet_pton(AF_INET, text, &a.sin_addr);
    return a;
}

/* --- servers --- */

static void answer(int fd, int number, const struct sockaddr_in *peer, bool stream) {
    char text[64], ip[NETNS_ADDRESS_SIZE];
    int n = snprintf(text, sizeof(text), "%d %s", number, inet_ntop(AF_INET, &peer->sin_addr, ip, sizeof(ip)));

    (void) sendto(fd, text, (size_t) n, MSG_NOSIGNAL, stream ? NULL : (const struct sockaddr *) peer,
                  stream ? 0 : sizeof(*peer));
}

/* Answers each datagram, and each connection and each message on it. */
static void serve(int listener, int datagrams, int number) {
    struct pollfd p[64] = {{.fd = listener, .events = POLLIN}, {.fd = datagrams, .events = POLLIN}};
    nfds_t n = 2;

    for (;;) {
        struct sockaddr_in peer;
        socklen_t size = sizeof(peer);
        char buffer[64];
        (void) poll(p, n, -1);
        for (nfds_t i = n; i-- > 2;) {
            if (!p[i].revents)
                continue;
            if (recv(p[i].fd, buffer, sizeof(buffer), 0) > 0) {
                (void) getpeername(p[i].fd, (struct sockaddr *) &peer, &size);
                answer(p[i].fd, number, &peer, true);
                continue;
            }
            close(p[i].fd);
            p[i] = p[--n];
        }
        if (p[0].revents && n < ARRAY_LEN(p)) {
            p[n] = (struct pollfd){.fd = accept(listener, (struct sockaddr *) &peer, &size), .events = POLLIN};
            answer(p[n++].fd, number, &peer, true);
        }
        if (p[1].revents && recvfrom(datagrams, buffer, sizeof(buffer), 0, (struct sockaddr *) &peer, &size) >= 0)
            answer(datagrams, number, &peer, false);
    }
}

static void start_server(int netns, int port, int number) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct sockaddr_in any = address_of("0.0.0.0", port);
    int stream = netns_socket(netns, AF_INET, SOCK_STREAM, 0, &err);
    int datagrams = netns_socket(netns, AF_INET, SOCK_DGRAM, 0, &err), one = 1;

    CHECK(setsockopt(stream, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
    CHECK(bind(stream, (struct sockaddr *) &any, sizeof(any)) == 0 && listen(stream, 64) == 0);
    CHECK(bind(datagrams, (struct sockaddr *) &any, sizeof(any)) == 0);
    if (fork() == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(stream, datagrams, number);
    }
    close(stream);
    close(datagrams);
}

/* --- clients --- */

struct reply {
    int from; /* the endpoint's number; or -errno, 0: nothing came */
    char source[NETNS_ADDRESS_SIZE];
};

static struct reply read_reply(int fd, int msec) {
    struct reply reply = {0};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char buffer[64] = {0};

    if (poll(&p, 1, msec) != 1)
        return reply;
    ssize_t n = recv(fd, buffer, sizeof(buffer) - 1, 0);
    if (n < 0)
        reply.from = -errno;
    else if (sscanf(buffer, "%d %45s", &reply.from, reply.source) != 2)
        reply.from = -EPIPE;
    return reply;
}

static int open_within(int netns, int type, const char *to, int port, int msec) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct sockaddr_in there = address_of(to, port);
    struct timeval limit = {.tv_sec = msec / 1000, .tv_usec = msec % 1000 * 1000};
    int fd = netns_socket(netns, AF_INET, type, 0, &err);

    CHECK(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0);
    if (connect(fd, (struct sockaddr *) &there, sizeof(there)) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

static int open_to(int netns, int type, const char *to, int port) {
    return open_within(netns, type, to, port, WAIT_MSEC);
}

static struct reply ask_within(int netns, int type, const char *to, int port, int msec) {
    _cleanup_close_ int fd = open_within(netns, type, to, port, msec);

    if (fd < 0)
        return (struct reply){.from = fd};
    if (type == SOCK_DGRAM && send(fd, "?", 1, 0) < 0)
        return (struct reply){.from = -errno};
    return read_reply(fd, msec);
}

static struct reply ask(int netns, int type, const char *to, int port) {
    return ask_within(netns, type, to, port, WAIT_MSEC);
}

/* Nothing comes back, or nobody is there. */
static bool unanswered(int netns, const char *to, int port) {
    return ask_within(netns, SOCK_STREAM, to, port, SILENCE_MSEC).from <= 0;
}

/* What is sent is not even refused. */
static bool dropped(int netns, const char *to, int port) {
    return ask_within(netns, SOCK_STREAM, to, port, SILENCE_MSEC).from == -EINPROGRESS;
}

/* Bit k set: endpoint k answered one of n connections. */
static unsigned answering(int netns, int type, const char *to, int port, int n) {
    unsigned bits = 0;

    for (int i = 0; i < n; i++) {
        struct reply reply = ask(netns, type, to, port);
        bits |= reply.from > 0 ? 1u << reply.from : 0;
    }
    return bits;
}

/* --- the stage --- */

struct stage {
    int own, pods[PODS], outside;
    struct netns_endpoint endpoints[PODS];
    struct netns_services *services;
};

static in_addr_t ip(const char *text) {
    return address_of(text, 0).sin_addr.s_addr;
}

/* As a program that starts, or starts anew, does. */
static void start(struct stage *s) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    netns_services_free(s->services);
    s->services = netns_services_new();
    for (int i = 0; i < PODS; i++)
        CHECK(netns_services_pod_add(s->services, s->endpoints[i].address, NULL, 0, &err) == 0);
}

static void set_stage(struct stage *s) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    char *cluster[] = {"10.77.0.0/16", "10.96.0.0/16", NULL};
    const struct netns_firewall firewall = {.bridge = BRIDGE, .pod_cidr = "10.77.1.0/24", .cluster_cidrs = cluster};
    const struct netns_attach uplink = {.owner = "outside",
                                        .bridge = "uplink",
                                        .netns_fd = s->outside = netns_create(&err),
                                        .address = CLIENT "/24",
                                        .gateway = NODE};

    s->own = netns_current(&err);
    CHECK(s->own >= 0 && s->outside >= 0);
    CHECK(netns_loopback_up(s->own, &err) == 0);
    CHECK(netns_bridge_ensure(BRIDGE, "10.77.1.1/24", 0, &err) == 0);
    CHECK(netns_bridge_ensure("uplink", NODE "/24", 0, &err) == 0);
    CHECK(netns_attach(&uplink, &err) == 0);
    CHECK(netns_route_ensure("0.0.0.0/0", CLIENT, NULL, &err) == 0); /* somewhere for addresses of services */
    CHECK(netns_forwarding_enable(&err) == 0);
    CHECK(netns_firewall_ensure(&firewall, &err) == 0);
    for (int i = 0; i < PODS; i++) {
        char address[NETNS_CIDR_SIZE], owner[16];
        (void) snprintf(owner, sizeof(owner), "pod-%d", i);
        (void) snprintf(address, sizeof(address), "10.77.1.%d/32", i + 2);
        s->pods[i] = netns_create(&err);
        const struct netns_attach attach = {
            .owner = owner, .netns_fd = s->pods[i], .bridge = BRIDGE, .address = address, .gateway = "10.77.1.1"};
        CHECK(netns_attach(&attach, &err) == 0);
        start_server(s->pods[i], 8080, i + 1);
        *strchr(address, '/') = 0;
        s->endpoints[i] = (struct netns_endpoint){ip(address), 8080};
    }
    start(s);
}

/* Changes the owner's frontend; n 0: none. */
static void change(struct stage *s, const char *owner, const struct netns_frontend *before,
                   const struct netns_frontend *after) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct netns_frontends old = {(struct netns_frontend *) before, 1}, new = {(struct netns_frontend *) after, 1};

    netns_services_change(s->services, owner, before ? &old : NULL, after ? &new : NULL);
    CHECK(netns_services_commit(s->services, &err) == 0);
}

static struct netns_frontend frontend(const struct stage *s, const char *address, int port, size_t n) {
    return (struct netns_frontend){.address = address ? ip(address) : 0,
                                   .protocol = IPPROTO_TCP,
                                   .port = (uint16_t) port,
                                   .endpoints = s->endpoints,
                                   .n_endpoints = n};
}

#define ALL 0xeu /* endpoints 1, 2 and 3 */

static void cluster_address(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct stage s = {0};

    set_stage(&s);
    struct netns_frontend tcp = frontend(&s, VIP, 80, PODS), udp = tcp, two = frontend(&s, VIP, 80, 2);
    udp.protocol = IPPROTO_UDP;
    change(&s, "a", NULL, &tcp);
    change(&s, "b", NULL, &udp); /* the same port of another protocol */
    CHECK(answering(s.pods[0], SOCK_STREAM, VIP, 80, 60) == ALL);
    CHECK(answering(s.own, SOCK_STREAM, VIP, 80, 60) == ALL);
    CHECK(answering(s.pods[0], SOCK_DGRAM, VIP, 80, 60) == ALL);
    CHECK(unanswered(s.pods[0], VIP, 81));
    struct reply reply;
    do { /* pods of one node, by way of the service: the client's address is kept */
        reply = ask(s.pods[0], SOCK_STREAM, VIP, 80);
        CHECK(reply.from > 0);
    } while (reply.from == 1);
    CHECK(strcmp(reply.source, "10.77.1.2") == 0);
    do /* hairpin: its own answer would not come back from its own address */
        reply = ask(s.pods[0], SOCK_STREAM, VIP, 80);
    while (reply.from != 1);
    CHECK(strcmp(reply.source, "10.77.1.1") == 0);
    /* who is neither pod nor node is masqueraded: the answer must come back here */
    reply = ask(s.outside, SOCK_STREAM, VIP, 80);
    CHECK(reply.from > 0 && strcmp(reply.source, "10.77.1.1") == 0);

    change(&s, "a", &tcp, &two);
    CHECK(answering(s.pods[2], SOCK_STREAM, VIP, 80, 40) == (1u << 1 | 1u << 2));
    CHECK(answering(s.pods[2], SOCK_DGRAM, VIP, 80, 60) == ALL);
    change(&s, "a", &two, NULL);
    CHECK(unanswered(s.pods[2], VIP, 80));
    change(&s, "b", &udp, NULL);
    netns_services_free(s.services);
}

static void refused_and_dropped(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct stage s = {0};

    set_stage(&s);
    struct netns_frontend tcp = frontend(&s, VIP, 80, 0), udp = tcp, port = frontend(&s, NULL, 30080, 0);
    udp.protocol = IPPROTO_UDP;
    CHECK(netns_route_remove("0.0.0.0/0", &err) == 0); /* refused also where nothing leads to the address */
    change(&s, "a", NULL, &tcp);
    change(&s, "b", NULL, &udp);
    change(&s, "c", NULL, &port);
    CHECK(ask(s.pods[0], SOCK_STREAM, VIP, 80).from == -ECONNREFUSED);
    CHECK(ask(s.pods[0], SOCK_DGRAM, VIP, 80).from == -ECONNREFUSED);
    CHECK(ask(s.outside, SOCK_STREAM, NODE, 30080).from == -ECONNREFUSED);
    CHECK(ask(s.own, SOCK_STREAM, NODE, 30080).from == -ECONNREFUSED);
    struct netns_frontend silent = tcp, one = frontend(&s, VIP, 80, 1);
    silent.drop = true;
    change(&s, "a", &tcp, &silent);
    CHECK(dropped(s.pods[0], VIP, 80));
    change(&s, "a", &silent, &one);
    CHECK(ask(s.pods[0], SOCK_STREAM, VIP, 80).from == 1);
    netns_services_free(s.services);
}

static void outside_addresses_and_ports(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct stage s = {0};

    set_stage(&s);
    struct netns_frontend port = frontend(&s, NULL, 30080, PODS), external = frontend(&s, OUTSIDE, 80, PODS);
    port.sources = external.sources = NETNS_SOURCES_ANYWHERE;
    change(&s, "a", NULL, &port);
    change(&s, "b", NULL, &external);
    CHECK(answering(s.outside, SOCK_STREAM, NODE, 30080, 60) == ALL);
    CHECK(answering(s.outside, SOCK_STREAM, OUTSIDE, 80, 60) == ALL);
    CHECK(answering(s.pods[1], SOCK_STREAM, "10.77.1.1", 30080, 60) == ALL); /* every address of the node */
    CHECK(ask(s.own, SOCK_STREAM, NODE, 30080).from > 0);
    CHECK(ask(s.own, SOCK_STREAM, "127.0.0.1", 30080).from == -ECONNREFUSED);
    struct reply reply = ask(s.outside, SOCK_STREAM, NODE, 30080);
    CHECK(reply.from > 0 && strcmp(reply.source, "10.77.1.1") == 0);

    struct netns_frontend local = port, none = port;
    local.sources = none.sources = NETNS_SOURCES_LOCAL;
    local.local = &s.endpoints[1];
    local.n_local = 1;
    change(&s, "a", &port, &local);
    CHECK(answering(s.outside, SOCK_STREAM, NODE, 30080, 20) == 1u << 2); /* only what is on this node … */
    reply = ask(s.outside, SOCK_STREAM, NODE, 30080);
    CHECK(strcmp(reply.source, CLIENT) == 0);                         /* … which sees the client itself */
    CHECK(answering(s.pods[0], SOCK_STREAM, NODE, 30080, 60) == ALL); /* pods and the node go to all */
    CHECK(answering(s.own, SOCK_STREAM, NODE, 30080, 60) == ALL);
    change(&s, "a", &local, &none);
    CHECK(dropped(s.outside, NODE, 30080));
    CHECK(ask(s.pods[0], SOCK_STREAM, NODE, 30080).from > 0);
    netns_services_free(s.services);
}

static void affinity(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct stage s = {0};

    set_stage(&s);
    struct netns_frontend all = frontend(&s, VIP, 80, PODS), less = all, port = frontend(&s, NULL, 30080, PODS);
    all.affinity_seconds = less.affinity_seconds = 100;
    port.sources = NETNS_SOURCES_ANYWHERE;
    port.affinity_seconds = 3;
    change(&s, "a", NULL, &all);
    change(&s, "b", NULL, &port);
    int mine[PODS];
    for (int i = 0; i < PODS; i++) {
        mine[i] = ask(s.pods[i], SOCK_STREAM, VIP, 80).from;
        CHECK(mine[i] > 0);
        CHECK(answering(s.pods[i], SOCK_STREAM, VIP, 80, 20) == 1u << mine[i]);
    }
    /* the program starts anew: clients keep their endpoints */
    start(&s);
    change(&s, "a", NULL, &all);
    for (int i = 0; i < PODS; i++)
        CHECK(answering(s.pods[i], SOCK_STREAM, VIP, 80, 10) == 1u << mine[i]);
    /* the endpoint of one goes: this client gets another one and stays there, those of the others stay */
    struct netns_endpoint left[PODS - 1];
    size_t n = 0;
    for (int i = 0; i < PODS; i++)
        if (i + 1 != mine[0])
            left[n++] = s.endpoints[i];
    less.endpoints = left;
    less.n_endpoints = n;
    change(&s, "a", &all, &less);
    for (int i = 0; i < PODS; i++) {
        int now = ask(s.pods[i], SOCK_STREAM, VIP, 80).from;
        CHECK(now > 0 && now != mine[0] && (mine[i] == mine[0] || now == mine[i]));
        CHECK(answering(s.pods[i], SOCK_STREAM, VIP, 80, 10) == 1u << now);
    }
    change(&s, "a", &less, NULL);
    /* a port with a short memory: in time the client comes to all of them */
    netns_services_reset(s.services);
    change(&s, "b", NULL, &port);
    int first = ask(s.outside, SOCK_STREAM, NODE, 30080).from;
    CHECK(first > 0 && answering(s.outside, SOCK_STREAM, NODE, 30080, 5) == 1u << first);
    for (int i = 0, now = first; now == first; i++) {
        CHECK(i < 20);
        (void) poll(NULL, 0, 3300);
        now = ask(s.outside, SOCK_STREAM, NODE, 30080).from;
        CHECK(now > 0);
    }
    netns_services_free(s.services);
}

/* A program that starts anew puts everything in place again, while connections come all the time. */
static void restart_without_a_gap(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct stage s = {0};

    set_stage(&s);
    struct netns_frontend all = frontend(&s, VIP, 80, PODS), old = frontend(&s, "10.96.0.8", 80, 1);
    change(&s, "a", NULL, &all);
    change(&s, "old", NULL, &old);
    int open = open_to(s.pods[0], SOCK_STREAM, VIP, 80);
    int before = read_reply(open, WAIT_MSEC).from;
    CHECK(before > 0);
    pid_t client = fork();
    if (client == 0) {
        for (int i = 0; i < 1000; i++)
            if (ask(s.pods[i % PODS], SOCK_STREAM, VIP, 80).from <= 0)
                _exit(1);
        _exit(0);
    }
    int status = 0;
    for (int i = 0; waitpid(client, &status, WNOHANG) == 0; i++) {
        start(&s);
        change(&s, "a", NULL, &all);
    }
    CHECK(status == 0);
    CHECK(send(open, "?", 1, 0) == 1 && read_reply(open, WAIT_MSEC).from == before);
    CHECK(unanswered(s.pods[0], "10.96.0.8", 80)); /* what is not wanted any more went */
    netns_services_free(s.services);
}

static bool leads_to(void *userdata, const struct netns_connections *c) {
    return c->endpoint.address == *(const in_addr_t *) userdata && c->address == ip(VIP) && c->port == 80;
}

static bool leads_elsewhere(void *userdata, const struct netns_connections *c) {
    return c->endpoint.address != *(const in_addr_t *) userdata;
}

static void removed_endpoints_end_connections(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct stage s = {0};

    set_stage(&s);
    struct netns_frontend tcp = frontend(&s, VIP, 80, 2), udp = tcp, one = frontend(&s, VIP, 80, 1), one_udp = one;
    udp.protocol = one_udp.protocol = IPPROTO_UDP;
    change(&s, "a", NULL, &tcp);
    change(&s, "b", NULL, &udp);
    int streams[3] = {-1, -1, -1}, datagrams[3] = {-1, -1, -1};
    while (streams[1] < 0 || streams[2] < 0 || datagrams[1] < 0 || datagrams[2] < 0) {
        int a = open_to(s.pods[2], SOCK_STREAM, VIP, 80), b = open_to(s.pods[2], SOCK_DGRAM, VIP, 80);
        CHECK(a >= 0 && b >= 0 && send(b, "?", 1, 0) == 1);
        int from_a = read_reply(a, WAIT_MSEC).from, from_b = read_reply(b, WAIT_MSEC).from;
        CHECK(from_a > 0 && from_b > 0);
        if (streams[from_a] < 0)
            streams[from_a] = a;
        if (datagrams[from_b] < 0)
            datagrams[from_b] = b;
    }
    change(&s, "a", &tcp, &one);
    change(&s, "b", &udp, &one_udp);
    const struct netns_connections gone[] = {{IPPROTO_TCP, ip(VIP), 80, s.endpoints[1]},
                                             {IPPROTO_UDP, ip(VIP), 80, s.endpoints[1]}};
    int n = netns_connections_end(s.services, gone, 2, &err);
    CHECK(n >= 2);
    /* a stream to what is gone is reset at the next word; datagrams go to who is left */
    CHECK(send(streams[2], "?", 1, MSG_NOSIGNAL) == 1 && read_reply(streams[2], WAIT_MSEC).from == -ECONNRESET);
    CHECK(send(datagrams[2], "?", 1, 0) == 1 && read_reply(datagrams[2], WAIT_MSEC).from == 1);
    CHECK(send(streams[1], "?", 1, 0) == 1 && read_reply(streams[1], WAIT_MSEC).from == 1);
    CHECK(send(datagrams[1], "?", 1, 0) == 1 && read_reply(datagrams[1], WAIT_MSEC).from == 1);
    CHECK(netns_connections_end(s.services, gone, 2, &err) == 0);
    /* a program that starts asks about each */
    in_addr_t first = s.endpoints[0].address;
    CHECK(netns_connections_end_if(s.services, leads_elsewhere, &first, &err) == 0);
    CHECK(netns_connections_end_if(s.services, leads_to, &first, &err) >= 2);
    CHECK(send(streams[1], "?", 1, MSG_NOSIGNAL) == 1);
    CHECK(read_reply(streams[1], WAIT_MSEC).from == 1); /* picked up again, by the only endpoint there is */
    netns_services_free(s.services);
}

/* Each kind of chain, for each protocol, is made and removed again. */
static void every_kind(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
    struct stage s = {0};

    set_stage(&s);
    for (unsigned i = 0; i < ARRAY_LEN(protocols) * 3 * 2 * 2 * 2; i++) {
        bool by_port = i / 9 % 2, sticky = i / 18 % 2, here = i / 36 % 2;
        struct netns_frontend f = frontend(&s, by_port ? NULL : VIP, 1000, PODS), less = f;
        f.protocol = protocols[i % 3];
        f.sources = (enum netns_sources)(i / 3 % 3);
        f.affinity_seconds = sticky ? 60 : 0;
        f.local = &s.endpoints[2];
        f.n_local = here;
        less = f;
        less.n_endpoints = 1;
        change(&s, "a", NULL, &f);
        change(&s, "a", &f, &less);
        change(&s, "a", &less, NULL);
    }
    CHECK(!netns_services_stale(s.services));
    netns_services_free(s.services);
}

/* Chains, as nft shows them, but for those that are always there. */
static int made_chains(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    char line[128];
    int n = 0;
    FILE *nft = popen("nft list chains inet", "r");

    CHECK(nft);
    while (fgets(line, sizeof(line), nft))
        n += strstr(line, "chain pick-") || strstr(line, "chain outside-") || strstr(line, "chain anywhere-") ||
             strstr(line, "chain local-");
    CHECK(pclose(nft) == 0);
    return n;
}

/* Who starts anew leaves no chain behind that only services of the life before needed. */
static void chains_of_an_earlier_life(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct stage s = {0};

    set_stage(&s);
    struct netns_frontend address = frontend(&s, VIP, 80, PODS), port = frontend(&s, NULL, 30080, PODS), kept = address;
    address.affinity_seconds = 60;
    port.sources = NETNS_SOURCES_LOCAL;
    port.local = &s.endpoints[1];
    port.n_local = 1;
    kept.address = ip("10.96.0.8");
    change(&s, "a", NULL, &address);
    change(&s, "b", NULL, &port);
    change(&s, "c", NULL, &kept);
    CHECK(made_chains() == 7);
    /* one of the same name elsewhere is not ours */
    CHECK(system("nft 'add table inet other; add chain inet other pick-tcp-ip-3-60s'") == 0);
    start(&s);
    change(&s, "c", NULL, &kept);
    CHECK(made_chains() == 2 + 1);
    CHECK(answering(s.pods[0], SOCK_STREAM, "10.96.0.8", 80, 60) == ALL); /* itself, too */
    change(&s, "a", NULL, &address);
    netns_services_reset(s.services);
    change(&s, "c", NULL, &kept);
    CHECK(made_chains() == 2 + 1 && !netns_services_stale(s.services));
    netns_services_free(s.services);
}

static void host_ports(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct stage s = {0};
    const struct netns_host_port any[] = {{0, IPPROTO_TCP, 8000, 8080}, {0, IPPROTO_UDP, 8000, 8080}};
    const struct netns_host_port one[] = {{ip(NODE), IPPROTO_TCP, 8001, 8080}};

    set_stage(&s);
    CHECK(netns_services_pod_add(s.services, s.endpoints[0].address, any, 2, &err) == 0);
    CHECK(netns_services_pod_add(s.services, s.endpoints[1].address, one, 1, &err) == 0);
    CHECK(netns_services_commit(s.services, &err) == 0);
    struct reply reply = ask(s.outside, SOCK_STREAM, NODE, 8000);
    CHECK(reply.from == 1 && strcmp(reply.source, CLIENT) == 0);
    CHECK(ask(s.outside, SOCK_DGRAM, NODE, 8000).from == 1);
    CHECK(ask(s.pods[1], SOCK_STREAM, "10.77.1.1", 8000).from == 1);
    CHECK(ask(s.pods[0], SOCK_STREAM, NODE, 8000).from == 1); /* hairpin */
    CHECK(ask(s.own, SOCK_STREAM, NODE, 8000).from == 1);
    CHECK(ask(s.outside, SOCK_STREAM, NODE, 8001).from == 2);
    CHECK(ask(s.pods[0], SOCK_STREAM, "10.77.1.1", 8001).from == -ECONNREFUSED); /* another address of the node */
    CHECK(netns_services_pod_add(s.services, s.endpoints[2].address, any, 2, &err) == -EADDRINUSE);
    error_clear(&err);
    netns_services_pod_remove(s.services, s.endpoints[0].address);
    CHECK(netns_services_pod_add(s.services, s.endpoints[2].address, any, 2, &err) == 0);
    CHECK(netns_services_commit(s.services, &err) == 0);
    CHECK(ask(s.outside, SOCK_STREAM, NODE, 8000).from == 3);
    netns_services_pod_remove(s.services, s.endpoints[2].address);
    CHECK(netns_services_commit(s.services, &err) == 0);
    CHECK(ask(s.outside, SOCK_STREAM, NODE, 8000).from == -ECONNREFUSED);
    netns_services_free(s.services);
}

/* Two that want the same address: the first has it; when it lets go, everything is to be told again. */
static void contested_address(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct stage s = {0};

    set_stage(&s);
    struct netns_frontend a = frontend(&s, OUTSIDE, 80, 1), b = a;
    b.endpoints = &s.endpoints[1];
    change(&s, "a", NULL, &a);
    change(&s, "b", NULL, &b);
    CHECK(answering(s.pods[2], SOCK_STREAM, OUTSIDE, 80, 10) == 1u << 1);
    CHECK(!netns_services_stale(s.services));
    change(&s, "a", &a, NULL);
    CHECK(netns_services_stale(s.services));
    netns_services_reset(s.services);
    change(&s, "b", NULL, &b);
    CHECK(answering(s.pods[2], SOCK_STREAM, OUTSIDE, 80, 10) == 1u << 2);
    /* somebody emptied the kernel's tables: the next change tells */
    CHECK(netns_firewall_remove(&err) == 0);
    struct netns_frontends none = {NULL, 0}, was = {&b, 1};
    netns_services_change(s.services, "b", &was, &none);
    CHECK(netns_services_commit(s.services, &err) < 0 && netns_services_stale(s.services));
    netns_services_reset(s.services);
    change(&s, "b", NULL, &b);
    CHECK(ask(s.pods[2], SOCK_STREAM, OUTSIDE, 80).from == 2);
    netns_services_free(s.services);
}

#define NAMESPACED(name)                                                                                               \
    static void test_##name(void **state) {                                                                            \
        in_own_namespace(name);                                                                                        \
    }
NAMESPACED(cluster_address)
NAMESPACED(refused_and_dropped)
NAMESPACED(outside_addresses_and_ports)
NAMESPACED(affinity)
NAMESPACED(restart_without_a_gap)
NAMESPACED(removed_endpoints_end_connections)
NAMESPACED(every_kind)
NAMESPACED(chains_of_an_earlier_life)
NAMESPACED(host_ports)
NAMESPACED(contested_address)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cluster_address),
        cmocka_unit_test(test_refused_and_dropped),
        cmocka_unit_test(test_outside_addresses_and_ports),
        cmocka_unit_test(test_affinity),
        cmocka_unit_test(test_restart_without_a_gap),
        cmocka_unit_test(test_removed_endpoints_end_connections),
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_chains_of_an_earlier_life),
        cmocka_unit_test(test_host_ports),
        cmocka_unit_test(test_contested_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
