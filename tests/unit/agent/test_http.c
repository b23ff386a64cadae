/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of probes against a server that says what the path asks for. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "orchestrator/agent/probes/http.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

struct stage {
    sd_event *loop;
    struct http_pool *pool;
    pid_t server;
    uint16_t port, closed_port;
    struct answer {
        bool done, away;
        int error;
        long code;
        size_t n_body;
        char body[64], text[256];
    } answer;
};

static uint16_t port_of(int fd) {
    struct sockaddr_in a;
    socklen_t n = sizeof(a);

    assert_int_equal(getsockname(fd, (struct sockaddr *) &a, &n), 0);
    return ntohs(a.sin_port);
}

static int listener(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *) &a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

/* /away redirects to another host, /here to /ok, /loop to itself, /large never ends, /silent says nothing, /echo gives
 * back the request; everything else is 200 for /ok and 404. */
static void serve(int fd, const char *request) {
    static const char block[8192];
    char target[64] = "";

    (void) sscanf(request, "%*s /%63s", target);
    if (strcmp(target, "silent") == 0) {
        sleep(60);
    } else if (strcmp(target, "large") == 0) {
        dprintf(fd, "HTTP/1.1 200 OK\r\n\r\n");
        while (write(fd, block, sizeof(block)) > 0)
            ;
    } else if (strcmp(target, "echo") == 0) {
        dprintf(fd, "HTTP/1.1 200 OK\r\n\r\n%s", request);
    } else if (strcmp(target, "away") == 0) {
        dprintf(fd, "HTTP/1.1 302 Found\r\nLocation: http://localhost:1/\r\nContent-Length: 4\r\n\r\naway");
    } else if (strcmp(target, "here") == 0 || strcmp(target, "loop") == 0) {
        dprintf(fd, "HTTP/1.1 302 Found\r\nLocation: /%s\r\nContent-Length: 0\r\n\r\n",
                strcmp(target, "here") == 0 ? "ok" : "loop");
    } else if (strcmp(target, "nothing") != 0) {
        bool ok = strcmp(target, "ok") == 0;
        dprintf(fd, "HTTP/1.1 %s\r\nContent-Length: 4\r\n\r\nbody", ok ? "200 OK" : "404 Not Found");
    }
}

static void run_server(int listen_fd) {
    char request[4096];

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void) signal(SIGPIPE, SIG_IGN);
    (void) signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int fd = accept(listen_fd, NULL, NULL);
        if (fork() == 0) {
            (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
            ssize_t n = read(fd, request, sizeof(request) - 1);
            if (n > 0) {
                request[n] = 0;
                serve(fd, request);
            }
            _exit(0);
        }
        (void) close(fd);
    }
}

static int set_up(void **state) {
    struct stage *s = xnew0(struct stage);
    int fd = listener(), closed = listener();

    s->port = port_of(fd);
    s->closed_port = port_of(closed);
    (void) close(closed);
    s->server = fork();
    if (s->server == 0)
        run_server(fd);
    (void) close(fd);
    (void) signal(SIGPIPE, SIG_IGN);
    assert_true(sd_event_new(&s->loop) >= 0);
    assert_int_equal(http_pool_new(s->loop, &s->pool, NULL), 0);
    *state = s;
    return 0;
}

static int tear_down(void **state) {
    struct stage *s = *state;

    http_pool_free(s->pool);
    sd_event_unref(s->loop);
    (void) kill(s->server, SIGKILL);
    (void) waitpid(s->server, NULL, 0);
    free(s);
    return 0;
}

static void on_done(void *userdata, const struct http_answer *a) {
    struct answer *out = userdata;

    *out = (struct answer){
        .done = true, .away = a->redirected_away, .error = a->error, .code = a->code, .n_body = a->n_body};
    (void) snprintf(out->body, sizeof(out->body), "%s", a->body);
    (void) snprintf(out->text, sizeof(out->text), "%s", a->text ? a->text : "");
}

static const struct answer *ask(struct stage *s, struct http_options o, uint16_t port, const char *path) {
    _cleanup_free_ char *url = xasprintf("http://127.0.0.1:%u%s", port, path);
    struct http_request *q = NULL;
    uint64_t until = now_monotonic_usec() + 20 * USEC_PER_SEC;

    s->answer.done = false;
    o.url = url;
    assert_int_equal(http_request_start(s->pool, &o, on_done, &s->answer, &q, NULL), 0);
    while (!s->answer.done) {
        assert_true(now_monotonic_usec() < until);
        assert_true(sd_event_run(s->loop, USEC_PER_SEC) >= 0);
    }
    return &s->answer;
}

static const struct http_options probe = {.mode = HTTP_PROBE, .timeout_usec = 10 * USEC_PER_SEC, .user_agent = "u"};

static void answers(void **state) {
    struct stage *s = *state;
    const struct answer *a = ask(s, probe, s->port, "/ok");

    assert_int_equal(a->error, 0);
    assert_int_equal(a->code, 200);
    assert_string_equal(a->body, "body");
    assert_int_equal(ask(s, probe, s->port, "/other")->code, 404);
    a = ask(s, probe, s->port, "/large"); /* what would never end is not read to its end */
    assert_int_equal(a->error, 0);
    assert_int_equal(a->code, 200);
    assert_int_equal(a->n_body, HTTP_BODY_MAX);
    a = ask(s, probe, s->port, "/nothing");
    assert_true(a->error < 0);
    assert_non_null(strstr(a->text, "EOF"));
}

static void redirects(void **state) {
    struct stage *s = *state;
    const struct answer *a = ask(s, probe, s->port, "/away");

    assert_true(a->away);
    assert_int_equal(a->code, 302);
    assert_string_equal(a->body, "away");
    a = ask(s, probe, s->port, "/here");
    assert_false(a->away);
    assert_int_equal(a->code, 200);
    a = ask(s, probe, s->port, "/loop");
    assert_true(a->error < 0);
    assert_non_null(strstr(a->text, "stopped after 10 redirects"));
}

static void headers(void **state) {
    struct stage *s = *state;
    struct http_options o = probe;
    char *mine[] = {(char *) "Host: a.example", (char *) "X-Empty: ", NULL};

    o.headers = mine;
    o.user_agent = "agent/1";
    (void) ask(s, o, s->port, "/echo");
    assert_non_null(strstr(s->answer.body, "GET /echo HTTP/1.1\r\nHost: a.example\r\nUser-Agent: "));
}

static void failures(void **state) {
    struct stage *s = *state;
    struct http_options quick = {.mode = HTTP_PROBE, .timeout_usec = 200 * USEC_PER_MSEC};
    _cleanup_free_ char *refused =
        xasprintf("Get \"http://127.0.0.1:%u/x\": dial tcp 127.0.0.1:%u: connect: connection refused", s->closed_port,
                  s->closed_port);
    const struct answer *a = ask(s, probe, s->closed_port, "/x");

    assert_int_equal(a->error, -ECONNREFUSED);
    assert_string_equal(a->text, refused);
    a = ask(s, quick, s->port, "/silent");
    assert_int_equal(a->error, -ETIMEDOUT);
    assert_non_null(strstr(a->text, "Client.Timeout exceeded"));
}

static void connections(void **state) {
    struct stage *s = *state;
    const struct http_options tcp = {.mode = HTTP_TCP, .timeout_usec = 5 * USEC_PER_SEC};

    assert_int_equal(ask(s, tcp, s->port, "")->error, 0);
    assert_int_equal(ask(s, tcp, s->closed_port, "")->error, -ECONNREFUSED);
    assert_true(strncmp(s->answer.text, "dial tcp 127.0.0.1:", 19) == 0);
    /* a server that speaks something else is no gRPC server, and no harm */
    const struct http_options grpc = {
        .mode = HTTP_GRPC, .timeout_usec = 5 * USEC_PER_SEC, .body = "\0\0\0\0\0", .n_body = 5};
    assert_true(ask(s, grpc, s->port, "/ok")->error < 0);
}

static void cancelled(void **state) {
    struct stage *s = *state;
    _cleanup_free_ char *url = xasprintf("http://127.0.0.1:%u/silent", s->port);
    struct http_options o = probe;
    struct http_request *q = NULL;

    o.url = url;
    s->answer.done = false;
    assert_int_equal(http_request_start(s->pool, &o, on_done, &s->answer, &q, NULL), 0);
    for (int i = 0; i < 5; i++)
        assert_true(sd_event_run(s->loop, 10 * USEC_PER_MSEC) >= 0);
    http_request_cancel(q);
    assert_int_equal(http_request_start(s->pool, &o, on_done, &s->answer, &q, NULL), 0); /* left to the pool's end */
    assert_true(sd_event_run(s->loop, 10 * USEC_PER_MSEC) >= 0);
    assert_false(s->answer.done);
}

/* Three that end at once; the first to be told ends something. */
struct ending {
    struct stage *stage;
    struct http_request *requests[3];
    bool pool;
    int told;
};

static void on_first_end(void *userdata, const struct http_answer *a) {
    struct ending *e = userdata;

    assert_int_equal(a->error, -ECONNREFUSED);
    if (e->told++ > 0)
        return;
    if (e->pool)
        http_pool_free(steal(&e->stage->pool));
    else
        http_request_cancel(e->requests[2]);
}

static void end_from_within(struct stage *s, bool pool, int expect_told) {
    struct ending e = {.stage = s, .pool = pool};
    _cleanup_free_ char *url = xasprintf("http://127.0.0.1:%u/", s->closed_port);
    const struct http_options o = {.mode = HTTP_TCP, .url = url, .timeout_usec = 5 * USEC_PER_SEC};

    for (size_t i = 0; i < ARRAY_LEN(e.requests); i++)
        assert_int_equal(http_request_start(s->pool, &o, on_first_end, &e, &e.requests[i], NULL), 0);
    while (e.told < expect_told)
        assert_true(sd_event_run(s->loop, USEC_PER_SEC) >= 0);
    for (int i = 0; i < 5; i++)
        assert_true(sd_event_run(s->loop, 10 * USEC_PER_MSEC) >= 0);
    assert_int_equal(e.told, expect_told);
}

static void ended_from_within_an_answer(void **state) {
    struct stage *s = *state;

    end_from_within(s, false, 2);
    end_from_within(s, true, 1);
    assert_int_equal(http_pool_new(s->loop, &s->pool, NULL), 0);
}

/* Waits until something happens to the one socket it inherited that is connecting, apart from those it knows. */
_Noreturn static void hold_socket(int listening, const int *fillers, size_t n) {
    struct tcp_info info;

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void) close(listening);
    for (size_t i = 0; i < n; i++)
        (void) close(fillers[i]);
    for (int fd = 3; fd < 256; fd++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof(info)}) == 0 &&
            info.tcpi_state == TCP_SYN_SENT)
            _exit(poll(&p, 1, 20000) == 1 ? 0 : 1);
    }
    _exit(2); /* there is none */
}

/* A connection that was given up and is still held by another process (each child of the agent has it for a moment,
 * from its fork until it closes what it inherited) must be off the loop: what the kernel tells of it later would lead
 * the loop to what is freed. libcurl closes such a socket before it says so. */
static void given_up_while_a_child_holds_it(void **state) {
    struct stage *s = *state;
    int fd = listener(), fillers[4], status;
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port_of(fd))};
    _cleanup_free_ char *url = xasprintf("http://127.0.0.1:%u/ok", port_of(fd));
    const struct http_options o = {.mode = HTTP_TCP, .url = url, .timeout_usec = 800 * USEC_PER_MSEC};
    struct http_request *q = NULL;

    assert_int_equal(listen(fd, 0), 0); /* full with one: connecting takes as long as we like */
    for (size_t i = 0; i < ARRAY_LEN(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void) connect(fillers[i], (const struct sockaddr *) &to, sizeof(to));
    }
    s->answer.done = false;
    assert_int_equal(http_request_start(s->pool, &o, on_done, &s->answer, &q, NULL), 0);
    for (int i = 0; i < 5; i++) /* it begins to connect */
        assert_true(sd_event_run(s->loop, 10 * USEC_PER_MSEC) >= 0);
    pid_t child = fork();
    if (child == 0)
        hold_socket(fd, fillers, ARRAY_LEN(fillers));
    while (!s->answer.done)
        assert_true(sd_event_run(s->loop, USEC_PER_SEC) >= 0);
    assert_int_equal(s->answer.error, -ETIMEDOUT);
    for (size_t i = 0; i < ARRAY_LEN(fillers); i++)
        (void) close(fillers[i]);
    (void) close(fd); /* from now on the kernel refuses what the child holds */
    while (waitpid(child, &status, WNOHANG) == 0)
        assert_true(sd_event_run(s->loop, 50 * USEC_PER_MSEC) >= 0);
    assert_int_equal(status, 0);
    (void) sd_event_run(s->loop, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(redirects),
        cmocka_unit_test(headers),
        cmocka_unit_test(failures),
        cmocka_unit_test(connections),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(ended_from_within_an_answer),
        cmocka_unit_test(given_up_while_a_child_holds_it),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
