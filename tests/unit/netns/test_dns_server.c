/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The DNS server over real sockets: each test in a child with its own network namespace, with resolvers it plays itself
 * on 127.0.0.2, 127.0.0.3 … port 53. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "netns/dns/server.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "podium/netns.h"
#include "podium/netns_dns.h"

#define TRY_MSEC 300

static void check_failed(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    _exit(1);
}
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            check_failed(__FILE__, __LINE__, #condition);                                                              \
    } while (0)

struct fixture {
    sd_event *loop;
    struct dns_server *server;
    char dir[64], conf[80];
    unsigned lookups;
};

static struct sockaddr_in at(const char *ip) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(53)};

    inet_pton(AF_INET, ip, &a.sin_addr);
    return a;
}

/* "NAME.zone": N addresses for "nN.zone", aliases for "outside.zone"; nothing else exists. */
static bool lookup(void *userdata, const char *name, unsigned type, struct dns_answer *ret) {
    struct fixture *f = userdata;
    size_t n = strlen(name);

    if (n < 5 || strcmp(name + n - 5, ".zone") != 0)
        return false;
    f->lookups++;
    if (strcmp(name, "outside.zone") == 0) {
        dns_answer_add(ret, DNS_ANSWER, DNS_CNAME, 5)->target = xstrdup("www.example");
        ret->onward = xstrdup("www.example");
    } else if (name[0] == 'n') {
        for (unsigned long i = strtoul(name + 1, NULL, 10); i > 0; i--)
            ns_put32(0x0a000000ul + i, dns_answer_add(ret, DNS_ANSWER, DNS_A, 5)->address);
    } else {
        ret->rcode = DNS_NXDOMAIN;
    }
    return true;
}

static void write_conf(struct fixture *f, const char *text) {
    CHECK(file_write_atomic(f->conf, text, strlen(text), 0644, false, NULL) == 0);
}

static void start(struct fixture *f, const char *conf) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct dns_server_options options = {
        .address = "127.0.0.10", .zone = {lookup, f}, .resolv_conf = f->conf, .try_msec = TRY_MSEC, .idle_msec = 400};

    (void) snprintf(f->dir, sizeof(f->dir), "/tmp/dns-test.XXXXXX");
    CHECK(mkdtemp(f->dir));
    (void) snprintf(f->conf, sizeof(f->conf), "%s/resolv.conf", f->dir);
    write_conf(f, conf);
    CHECK(sd_event_new(&f->loop) >= 0);
    int r = dns_server_new(f->loop, &options, &f->server, &err);
    if (r < 0)
        check_failed(__FILE__, __LINE__, error_text(&err, r));
}

static void stop(struct fixture *f) {
    dns_server_free(f->server);
    sd_event_unref(f->loop);
    CHECK(rm_tree(f->dir, NULL) == 0);
}

/* Turns of the loop until the descriptor can be read; false after the time. */
static bool run_until_readable(struct fixture *f, int fd, unsigned msec) {
    uint64_t end = now_monotonic_usec() + msec * USEC_PER_MSEC;

    while (now_monotonic_usec() < end) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        CHECK(sd_event_run(f->loop, 5 * USEC_PER_MSEC) >= 0);
        if (poll(&p, 1, 0) == 1)
            return true;
    }
    return false;
}

static size_t query_for(const char *name, unsigned type, uint16_t id, unsigned edns, uint8_t out[300]) {
    const uint8_t head[12] = {(uint8_t) (id >> 8), (uint8_t) id, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns ? 1 : 0};
    memcpy(out, head, 12);
    int n = 12 + ns_name_compress(name, out + 12, 256, NULL, NULL);
    ns_put16(type, out + n);
    ns_put16(1, out + n + 2);
    n += 4;
    if (edns) {
        const uint8_t opt[11] = {0, 0, 41, (uint8_t) (edns >> 8), (uint8_t) edns};
        memcpy(out + n, opt, 11);
        n += 11;
    }
    return (size_t) n;
}

static int client_socket(int type) {
    const struct sockaddr_in server = at("127.0.0.10");
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0 && connect(fd, (const struct sockaddr *) &server, sizeof(server)) == 0);
    return fd;
}

static void send_query(int fd, const char *name, uint16_t id, unsigned edns) {
    uint8_t query[300];
    size_t n = query_for(name, ns_t_a, id, edns, query);

    CHECK(send(fd, query, n, 0) == (ssize_t) n);
}

struct reply {
    uint8_t bytes[65535];
    size_t n;
};

static unsigned answers(const struct reply *r) {
    return ns_get16(r->bytes + 6);
}
static unsigned rcode(const struct reply *r) {
    return r->bytes[3] & 15;
}
static bool truncated(const struct reply *r) {
    return r->bytes[2] & 2;
}

static void receive(struct fixture *f, int fd, struct reply *r) {
    CHECK(run_until_readable(f, fd, 5000));
    ssize_t n = recv(fd, r->bytes, sizeof(r->bytes), 0);
    CHECK(n >= 12);
    r->n = (size_t) n;
}

static void ask(struct fixture *f, const char *name, unsigned edns, struct reply *r) {
    int fd = client_socket(SOCK_DGRAM);

    send_query(fd, name, 0x1234, edns);
    receive(f, fd, r);
    CHECK(ns_get16(r->bytes) == 0x1234);
    close(fd);
}

/* --- resolvers, played by the test --- */

static int resolver(const char *ip, int type) {
    const struct sockaddr_in a = at(ip);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;

    CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
    CHECK(fd >= 0 && bind(fd, (const struct sockaddr *) &a, sizeof(a)) == 0);
    CHECK(type != SOCK_STREAM || listen(fd, 8) == 0);
    return fd;
}

/* The query as an answer with one address, flags as given. */
static size_t answer_to(uint8_t *p, size_t n, uint8_t flags, uint8_t code, uint8_t last) {
    static const uint8_t a[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2};

    p[2] |= 0x80 | flags;
    p[3] = 0x80 | code;
    if (code != 0)
        return n;
    CHECK(ns_get16(p + 10) == 0);
    ns_put16(1, p + 6);
    memcpy(p + n, a, sizeof(a));
    p[n + sizeof(a)] = last;
    return n + sizeof(a) + 1;
}

/* Takes one query; the peer it came from goes to *peer. */
static size_t take_query(struct fixture *f, int fd, uint8_t *p, struct sockaddr_in *peer) {
    socklen_t size = sizeof(*peer);

    CHECK(run_until_readable(f, fd, 5000));
    ssize_t n = recvfrom(fd, p, 512, 0, (struct sockaddr *) peer, &size);
    CHECK(n > 12);
    return (size_t) n;
}

static void give(int fd, const uint8_t *p, size_t n, const struct sockaddr_in *peer) {
    CHECK(sendto(fd, p, n, 0, (const struct sockaddr *) peer, sizeof(*peer)) == (ssize_t) n);
}

static void in_own_namespace(void (*body)(struct fixture *f)) {
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct fixture f = {0};
        if (unshare(CLONE_NEWNET) < 0)
            _exit(77);
        int own = netns_current(NULL);
        CHECK(own >= 0 && netns_loopback_up(own, NULL) == 0);
        close(own);
        alarm(60);
        body(&f);
        stop(&f);
        exit(0); /* exit(): a leak checker has its say */
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- the tests --- */

static void zone(struct fixture *f) {
    static struct reply r;

    start(f, "");
    ask(f, "n3.zone", 0, &r);
    CHECK(rcode(&r) == 0 && answers(&r) == 3 && !truncated(&r));
    ask(f, "missing.zone", 0, &r);
    CHECK(rcode(&r) == DNS_NXDOMAIN);
    ask(f, "n100.zone", 0, &r);
    CHECK(truncated(&r) && r.n <= 512 && answers(&r) > 20);
    ask(f, "n100.zone", 4096, &r);
    CHECK(truncated(&r) && r.n <= 1232 && r.n > 1200);
    ask(f, "n50.zone", 4096, &r);
    CHECK(!truncated(&r) && answers(&r) == 50);
    /* no resolver, no answer for the rest, at once */
    ask(f, "www.example", 0, &r);
    CHECK(rcode(&r) == DNS_SERVFAIL);
    CHECK(f->lookups == 5);
}

static void shuffled(struct fixture *f) {
    static struct reply r;
    unsigned firsts = 0;

    start(f, "");
    for (int i = 0; i < 100; i++) {
        ask(f, "n4.zone", 0, &r);
        CHECK(answers(&r) == 4);
        firsts |= 1u << r.bytes[12 + 9 + 4 + 15]; /* the last byte of the first address */
    }
    CHECK(firsts == 0x1e); /* each of the four came first at some time */
}

static void garbage(struct fixture *f) {
    static struct reply r;
    uint8_t bytes[2500];

    start(f, "");
    int fd = client_socket(SOCK_DGRAM);
    for (unsigned i = 0; i < 200; i++) {
        memset(bytes, (int) (i * 37), sizeof(bytes));
        bytes[2] |= 0x80; /* answers: must not be answered */
        CHECK(send(fd, bytes, i % 2 ? i : 2100 + i, 0) > -1);
    }
    CHECK(!run_until_readable(f, fd, 50));
    send_query(fd, "n1.zone", 7, 0);
    receive(f, fd, &r);
    CHECK(ns_get16(r.bytes) == 7 && answers(&r) == 1);
    close(fd);
}

static size_t tcp_frame(const char *name, uint16_t id, uint8_t *out) {
    size_t n = query_for(name, ns_t_a, id, 0, out + 2);

    ns_put16((unsigned) n, out);
    return n + 2;
}

static void receive_tcp(struct fixture *f, int fd, struct reply *r) {
    uint8_t length[2];

    CHECK(run_until_readable(f, fd, 5000));
    CHECK(recv(fd, length, 2, MSG_WAITALL) == 2);
    r->n = ns_get16(length);
    for (size_t got = 0; got < r->n;) {
        CHECK(run_until_readable(f, fd, 5000));
        ssize_t n = recv(fd, r->bytes + got, r->n - got, 0);
        CHECK(n > 0);
        got += (size_t) n;
    }
}

static void over_tcp(struct fixture *f) {
    static struct reply r;
    uint8_t frames[1024];
    size_t n = 0;

    start(f, "");
    int fd = client_socket(SOCK_STREAM);
    /* three queries at once, the last in two pieces */
    n += tcp_frame("n1.zone", 1, frames);
    n += tcp_frame("n100.zone", 2, frames + n);
    n += tcp_frame("missing.zone", 3, frames + n);
    CHECK(send(fd, frames, n - 5, 0) == (ssize_t) n - 5);
    receive_tcp(f, fd, &r);
    CHECK(ns_get16(r.bytes) == 1 && answers(&r) == 1);
    receive_tcp(f, fd, &r);
    CHECK(ns_get16(r.bytes) == 2 && answers(&r) == 100 && !truncated(&r));
    CHECK(!run_until_readable(f, fd, 30));
    CHECK(send(fd, frames + n - 5, 5, 0) == 5);
    receive_tcp(f, fd, &r);
    CHECK(ns_get16(r.bytes) == 3 && rcode(&r) == DNS_NXDOMAIN);
    /* silent for too long: closed */
    CHECK(run_until_readable(f, fd, 2000));
    CHECK(recv(fd, frames, sizeof(frames), 0) == 0);
    close(fd);
    /* a client that says it is done gets its answer first */
    fd = client_socket(SOCK_STREAM);
    n = tcp_frame("n1.zone", 9, frames);
    CHECK(send(fd, frames, n, 0) == (ssize_t) n && shutdown(fd, SHUT_WR) == 0);
    receive_tcp(f, fd, &r);
    CHECK(ns_get16(r.bytes) == 9);
    CHECK(run_until_readable(f, fd, 1000) && recv(fd, frames, sizeof(frames), 0) == 0);
    close(fd);
    /* one that sends what is too long is left */
    fd = client_socket(SOCK_STREAM);
    CHECK(send(fd, "\xff\xff", 2, 0) == 2);
    CHECK(run_until_readable(f, fd, 300) && recv(fd, frames, sizeof(frames), 0) == 0);
    close(fd);
}

static void many_connections(struct fixture *f) {
    static struct reply r;
    int fds[CONNECTIONS_MAX + 8];
    uint8_t frame[300];

    start(f, "");
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = client_socket(SOCK_STREAM);
        for (int k = 0; k < 3; k++)
            CHECK(sd_event_run(f->loop, 0) >= 0);
    }
    /* the ones silent for longest made room */
    for (size_t i = 0; i < 8; i++)
        CHECK(run_until_readable(f, fds[i], 1000) && recv(fds[i], frame, 1, 0) == 0);
    size_t n = tcp_frame("n1.zone", 5, frame);
    CHECK(send(fds[ARRAY_LEN(fds) - 1], frame, n, 0) == (ssize_t) n);
    receive_tcp(f, fds[ARRAY_LEN(fds) - 1], &r);
    CHECK(ns_get16(r.bytes) == 5);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
}

static void forwarded(struct fixture *f) {
    static struct reply r;
    uint8_t query[1024];
    struct sockaddr_in peer, second;
    int fake = resolver("127.0.0.2", SOCK_DGRAM);

    start(f, "nameserver 127.0.0.2\n");
    int fd = client_socket(SOCK_DGRAM), other = client_socket(SOCK_DGRAM);
    send_query(fd, "WWW.Example", 0xabcd, 0);
    size_t n = take_query(f, fake, query, &peer);
    CHECK(memcmp(query + 12, "\3www\7example", 12) == 0);
    /* whoever asks the same meanwhile waits for the same reply */
    send_query(other, "www.exAMPLE", 0x1111, 0);
    CHECK(!run_until_readable(f, fake, 50));
    /* replies that are none to this question are not believed */
    query[0] ^= 1;
    uint8_t forged[1024];
    memcpy(forged, query, n);
    give(fake, forged, answer_to(forged, n, 0, 0, 66), &peer);
    query[0] ^= 1;
    CHECK(!run_until_readable(f, fd, 30));
    n = answer_to(query, n, 0, 0, 7);
    give(fake, query, n, &peer);
    receive(f, fd, &r);
    CHECK(ns_get16(r.bytes) == 0xabcd && answers(&r) == 1 && r.bytes[r.n - 1] == 7);
    CHECK(memcmp(r.bytes + 12, "\3WWW\7Example", 12) == 0);
    receive(f, other, &r);
    CHECK(ns_get16(r.bytes) == 0x1111 && memcmp(r.bytes + 12, "\3www\7exAMPLE", 12) == 0);
    /* known for a while */
    ask(f, "www.example", 0, &r);
    CHECK(r.bytes[r.n - 1] == 7);
    CHECK(dns_server_statistics(f->server)->cache_hits == 1 && dns_server_statistics(f->server)->forwarded == 1);
    /* every question has its own source port and id */
    uint8_t again[1024];
    send_query(fd, "a.example", 1, 0);
    (void) take_query(f, fake, again, &second);
    CHECK(second.sin_port != peer.sin_port || memcmp(again, query, 2) != 0);
    /* a client gone meanwhile harms nothing */
    close(fd);
    n = query_for("a.example", ns_t_a, (uint16_t) ns_get16(again), 0, again);
    give(fake, again, answer_to(again, n, 0, 0, 1), &second);
    CHECK(!run_until_readable(f, other, 30));
    close(other);
    close(fake);
}

static void resolvers_that_fail(struct fixture *f) {
    static struct reply r;
    uint8_t query[1024];
    struct sockaddr_in peer;
    int silent = resolver("127.0.0.2", SOCK_DGRAM), good = resolver("127.0.0.3", SOCK_DGRAM);
    int fd;

    start(f, "nameserver 127.0.0.2\nnameserver 127.0.0.3\nnameserver 127.0.0.4\n");
    fd = client_socket(SOCK_DGRAM);
    uint64_t begin = now_monotonic_usec();
    send_query(fd, "a.example", 1, 0);
    (void) take_query(f, silent, query, &peer); /* lost */
    size_t n = take_query(f, good, query, &peer);
    CHECK(now_monotonic_usec() - begin >= TRY_MSEC * USEC_PER_MSEC);
    give(good, query, answer_to(query, n, 0, 0, 3), &peer);
    receive(f, fd, &r);
    CHECK(r.bytes[r.n - 1] == 3);
    /* the one that was silent is asked last for a while */
    send_query(fd, "b.example", 2, 0);
    n = take_query(f, good, query, &peer);
    /* SERVFAIL: the next may know; 127.0.0.4 refuses (nobody there), the silent one is asked again */
    give(good, query, answer_to(query, n, 0, DNS_SERVFAIL, 0), &peer);
    n = take_query(f, silent, query, &peer);
    give(silent, query, answer_to(query, n, 0, DNS_NXDOMAIN, 0), &peer);
    receive(f, fd, &r);
    CHECK(ns_get16(r.bytes) == 2 && rcode(&r) == DNS_NXDOMAIN);
    /* nobody answers: SERVFAIL in time for a client that waits five seconds */
    send_query(fd, "c.example", 3, 0);
    receive(f, fd, &r);
    CHECK(ns_get16(r.bytes) == 3 && rcode(&r) == DNS_SERVFAIL);
    close(fd);
    close(silent);
    close(good);
}

static void one_lost_packet(struct fixture *f) {
    static struct reply r;
    uint8_t query[1024];
    struct sockaddr_in peer;
    int fake = resolver("127.0.0.2", SOCK_DGRAM), fd;

    start(f, "nameserver 127.0.0.2\n");
    fd = client_socket(SOCK_DGRAM);
    send_query(fd, "a.example", 1, 0);
    (void) take_query(f, fake, query, &peer); /* lost */
    size_t n = take_query(f, fake, query, &peer);
    give(fake, query, answer_to(query, n, 0, 0, 3), &peer);
    receive(f, fd, &r);
    CHECK(rcode(&r) == 0 && answers(&r) == 1);
    close(fd);
    close(fake);
}

static void long_replies(struct fixture *f) {
    static struct reply r;
    uint8_t query[1024], frame[1024];
    struct sockaddr_in peer;
    int udp = resolver("127.0.0.2", SOCK_DGRAM), tcp = resolver("127.0.0.2", SOCK_STREAM);

    start(f, "nameserver 127.0.0.2\n");
    /* over UDP the client is told to come again over TCP */
    int fd = client_socket(SOCK_DGRAM);
    send_query(fd, "long.example", 1, 0);
    size_t n = take_query(f, udp, query, &peer);
    give(udp, query, answer_to(query, n, 0x02, 0, 1), &peer);
    receive(f, fd, &r);
    CHECK(truncated(&r));
    close(fd);
    /* over TCP it gets it all, by TCP */
    fd = client_socket(SOCK_STREAM);
    n = tcp_frame("long.example", 2, frame);
    CHECK(send(fd, frame, n, 0) == (ssize_t) n);
    n = take_query(f, udp, query, &peer);
    give(udp, query, answer_to(query, n, 0x02, 0, 1), &peer);
    CHECK(run_until_readable(f, tcp, 5000));
    int peer_fd = accept(tcp, NULL, NULL);
    CHECK(peer_fd >= 0 && run_until_readable(f, peer_fd, 5000));
    ssize_t got = recv(peer_fd, frame, sizeof(frame), 0);
    CHECK(got > 2 && ns_get16(frame) == (unsigned) got - 2);
    n = answer_to(frame + 2, (size_t) got - 2, 0, 0, 9);
    ns_put16((unsigned) n, frame);
    CHECK(send(peer_fd, frame, 20, 0) == 20); /* in pieces */
    CHECK(!run_until_readable(f, fd, 20));
    CHECK(send(peer_fd, frame + 20, n + 2 - 20, 0) == (ssize_t) n + 2 - 20);
    receive_tcp(f, fd, &r);
    CHECK(ns_get16(r.bytes) == 2 && !truncated(&r) && answers(&r) == 1 && r.bytes[r.n - 1] == 9);
    close(peer_fd);
    close(fd);
    close(udp);
    close(tcp);
}

static void aliases_lead_outside(struct fixture *f) {
    static struct reply r;
    uint8_t query[1024];
    struct sockaddr_in peer;
    int fake = resolver("127.0.0.2", SOCK_DGRAM), fd;

    start(f, "nameserver 127.0.0.2\n");
    fd = client_socket(SOCK_DGRAM);
    send_query(fd, "outside.zone", 4, 0);
    size_t n = take_query(f, fake, query, &peer);
    CHECK(memcmp(query + 12, "\3www\7example", 12) == 0);
    give(fake, query, answer_to(query, n, 0, 0, 5), &peer);
    receive(f, fd, &r);
    CHECK(ns_get16(r.bytes) == 4 && answers(&r) == 2 && r.bytes[r.n - 1] == 5);
    /* again, from what is known */
    ask(f, "outside.zone", 0, &r);
    CHECK(answers(&r) == 2 && r.bytes[r.n - 1] == 5);
    /* its resolvers silent: SERVFAIL, not half an answer */
    write_conf(f, "nameserver 127.0.0.9\n");
    CHECK(!run_until_readable(f, fd, 50));
    ask(f, "outside.zone", 0, &r);
    CHECK(rcode(&r) == DNS_SERVFAIL && answers(&r) == 0);
    close(fd);
    close(fake);
}

static void resolv_conf_changes(struct fixture *f) {
    static struct reply r;
    uint8_t query[1024];
    struct sockaddr_in peer;
    char target[128];
    int fake = resolver("127.0.0.2", SOCK_DGRAM), fd;

    /* our own address is no resolver: it would ask itself for ever */
    start(f, "nameserver 127.0.0.10\n");
    ask(f, "a.example", 0, &r);
    CHECK(rcode(&r) == DNS_SERVFAIL && dns_server_statistics(f->server)->queries == 1);
    /* replaced by a link into another folder, as systemd-resolved does; then the link's target changes */
    (void) snprintf(target, sizeof(target), "%s/run", f->dir);
    CHECK(mkdir(target, 0755) == 0);
    (void) snprintf(target, sizeof(target), "%s/run/stub.conf", f->dir);
    CHECK(file_write_atomic(target, "", 0, 0644, false, NULL) == 0);
    CHECK(unlink(f->conf) == 0 && symlink("run/stub.conf", f->conf) == 0);
    fd = client_socket(SOCK_DGRAM);
    CHECK(!run_until_readable(f, fd, 50));
    CHECK(file_write_atomic(target, "nameserver 127.0.0.2\n", 21, 0644, false, NULL) == 0);
    CHECK(!run_until_readable(f, fd, 50));
    send_query(fd, "a.example", 6, 0);
    size_t n = take_query(f, fake, query, &peer);
    give(fake, query, answer_to(query, n, 0, 0, 5), &peer);
    receive(f, fd, &r);
    CHECK(answers(&r) == 1);
    close(fd);
    close(fake);
}

/* Two servers that are each other's resolver: the query comes back, and waits for itself. */
static void loops_end(struct fixture *f) {
    static struct reply r;
    struct dns_server *other;
    struct dns_server_options options = {
        .address = "127.0.0.11", .zone = {lookup, f}, .resolv_conf = f->conf, .try_msec = TRY_MSEC};

    start(f, "nameserver 127.0.0.11\nnameserver 127.0.0.10\n");
    CHECK(dns_server_new(f->loop, &options, &other, NULL) == 0);
    ask(f, "loop.example", 0, &r);
    CHECK(rcode(&r) == DNS_SERVFAIL);
    CHECK(dns_server_statistics(f->server)->queries + dns_server_statistics(other)->queries < 12);
    dns_server_free(other);
}

/* Many clients wait for resolvers that are silent: bounded, and the zone is answered all the while. */
static void floods(struct fixture *f) {
    static struct reply r;
    int silent = resolver("127.0.0.2", SOCK_DGRAM), fd;
    char name[32];

    start(f, "nameserver 127.0.0.2\n");
    fd = client_socket(SOCK_DGRAM);
    for (unsigned i = 0; i < DNS_FLIGHTS_MAX + 20; i++) {
        (void) snprintf(name, sizeof(name), "x%u.example", i);
        send_query(fd, name, (uint16_t) i, 0);
        if (i % 16 == 15)
            CHECK(sd_event_run(f->loop, 0) >= 0);
    }
    receive(f, fd, &r);
    CHECK(rcode(&r) == DNS_SERVFAIL);
    ask(f, "n1.zone", 0, &r);
    CHECK(answers(&r) == 1);
    close(fd);
    close(silent);
}

/* A new server with the old one's sockets answers what came in between. */
static void sockets_are_handed_on(struct fixture *f) {
    static struct reply r;
    struct dns_server_options options = {.address = "127.0.0.10", .zone = {lookup, f}, .resolv_conf = f->conf};
    int sockets[2], other[2];

    start(f, "");
    dns_server_sockets(f->server, sockets);
    for (int i = 0; i < 2; i++)
        sockets[i] = fcntl(sockets[i], F_DUPFD_CLOEXEC, 3);
    dns_server_free(f->server);
    int udp = client_socket(SOCK_DGRAM), tcp = client_socket(SOCK_STREAM);
    uint8_t frame[300];
    send_query(udp, "n1.zone", 1, 0);
    size_t n = tcp_frame("n2.zone", 2, frame);
    CHECK(send(tcp, frame, n, 0) == (ssize_t) n);
    options.take_sockets = sockets;
    CHECK(dns_server_new(f->loop, &options, &f->server, NULL) == 0);
    dns_server_sockets(f->server, other);
    CHECK(other[0] == sockets[0] && other[1] == sockets[1]);
    receive(f, udp, &r);
    CHECK(ns_get16(r.bytes) == 1 && answers(&r) == 1);
    receive_tcp(f, tcp, &r);
    CHECK(ns_get16(r.bytes) == 2 && answers(&r) == 2);
    close(udp);
    close(tcp);
    /* unfit ones are closed, not used */
    dns_server_free(f->server);
    other[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    other[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    options.take_sockets = other;
    CHECK(dns_server_new(f->loop, &options, &f->server, NULL) == 0);
    ask(f, "n3.zone", 0, &r);
    CHECK(answers(&r) == 3);
}

/* More queries in one connection than are asked outside at a time: the rest waits its turn. */
static void many_queries_over_tcp(struct fixture *f) {
    static struct reply r;
    uint8_t query[1024], frames[4096];
    struct sockaddr_in peer;
    char name[32];
    size_t n = 0;
    int fake = resolver("127.0.0.2", SOCK_DGRAM), fd;

    start(f, "nameserver 127.0.0.2\n");
    fd = client_socket(SOCK_STREAM);
    for (uint16_t i = 0; i < 40; i++) {
        (void) snprintf(name, sizeof(name), "m%u.example", i);
        n += tcp_frame(name, i, frames + n);
    }
    CHECK(send(fd, frames, n, 0) == (ssize_t) n);
    uint64_t seen = 0;
    for (int i = 0; i < 40; i++) {
        size_t k = take_query(f, fake, query, &peer);
        give(fake, query, answer_to(query, k, 0, 0, 1), &peer);
        receive_tcp(f, fd, &r);
        CHECK(answers(&r) == 1);
        seen |= 1ull << ns_get16(r.bytes);
    }
    CHECK(seen == (1ull << 40) - 1);
    /* a client that leaves before its answers come */
    n = tcp_frame("left.example", 1, frames);
    CHECK(send(fd, frames, n, 0) == (ssize_t) n);
    n = take_query(f, fake, query, &peer);
    struct linger now = {1, 0};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
    close(fd);
    CHECK(!run_until_readable(f, fake, 30));
    give(fake, query, answer_to(query, n, 0, 0, 1), &peer);
    ask(f, "n1.zone", 0, &r);
    CHECK(answers(&r) == 1);
    close(fake);
}

#define TEST(name)                                                                                                     \
    static void test_##name(void **state) {                                                                            \
        in_own_namespace(name);                                                                                        \
    }
TEST(zone)
TEST(shuffled)
TEST(garbage)
TEST(over_tcp)
TEST(many_connections)
TEST(forwarded)
TEST(resolvers_that_fail)
TEST(one_lost_packet)
TEST(long_replies)
TEST(aliases_lead_outside)
TEST(resolv_conf_changes)
TEST(loops_end)
TEST(floods)
TEST(many_queries_over_tcp)
TEST(sockets_are_handed_on)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zone),
        cmocka_unit_test(test_shuffled),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_over_tcp),
        cmocka_unit_test(test_many_connections),
        cmocka_unit_test(test_forwarded),
        cmocka_unit_test(test_resolvers_that_fail),
        cmocka_unit_test(test_one_lost_packet),
        cmocka_unit_test(test_long_replies),
        cmocka_unit_test(test_aliases_lead_outside),
        cmocka_unit_test(test_resolv_conf_changes),
        cmocka_unit_test(test_loops_end),
        cmocka_unit_test(test_floods),
        cmocka_unit_test(test_many_queries_over_tcp),
        cmocka_unit_test(test_sockets_are_handed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
