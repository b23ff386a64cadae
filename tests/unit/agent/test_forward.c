/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections to ports of pods: here of one with the host's network, so that no namespace is needed. */
#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>

#include "orchestrator/agent/model.h"
#include "podium/base/alloc.h"

struct context {
    struct agent agent;
    struct agent_pod pod;
    struct agent_forward *f;
    int listener, port;
    struct strbuf got;
    char *error;
    int ends, writable;
};

static void on_data(void *userdata, const void *p, size_t n) {
    struct context *x = userdata;
    strbuf_add(&x->got, p, n);
}

static void on_end(void *userdata, const char *error) {
    struct context *x = userdata;
    x->ends++;
    x->error = error ? xstrdup(error) : NULL;
}

static void on_writable(void *userdata) {
    struct context *x = userdata;
    x->writable++;
}

static const struct agent_forward_callbacks callbacks = {.data = on_data, .end = on_end, .writable = on_writable};

static int listen_on(int family, int *port) {
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_port = htons(*port)};
    struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t) *port)};
    struct sockaddr *a = family == AF_INET ? (struct sockaddr *) &v4 : (struct sockaddr *) &v6;
    socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, a, len) < 0 || listen(fd, 8) < 0 || getsockname(fd, a, &len) < 0) {
        if (fd >= 0)
            (void) close(fd);
        return -1;
    }
    *port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
    return fd;
}

static int setup(void **state) {
    struct context *x = xnew0(struct context);
    assert_true(sd_event_new(&x->agent.loop) >= 0);
    x->agent.pods = hashmap_new(NULL);
    x->pod = (struct agent_pod){
        .agent = &x->agent, .uid = (char *) "u", .host_network = true, .connected = true, .netns_fd = -1};
    hashmap_put(x->agent.pods, "u", &x->pod);
    x->listener = listen_on(AF_INET, &x->port);
    assert_true(x->listener >= 0);
    *state = x;
    return 0;
}

static int teardown(void **state) {
    struct context *x = *state;
    agent_forward_close(x->f);
    hashmap_free(x->agent.pods);
    sd_event_unref(x->agent.loop);
    strbuf_finish(&x->got);
    free(x->error);
    if (x->listener >= 0)
        (void) close(x->listener);
    free(x);
    return 0;
}

static void open_it(struct context *x, int port) {
    assert_int_equal(agent_forward_open(&x->agent, "u", port, false, &callbacks, x, &x->f, NULL), 0);
}

static void turn(struct context *x) {
    (void) sd_event_run(x->agent.loop, 10000);
}

static int accept_it(struct context *x) {
    struct pollfd p = {.fd = x->listener, .events = POLLIN};
    for (int i = 0; i < 500 && poll(&p, 1, 0) == 0; i++)
        turn(x);
    return accept4(x->listener, NULL, NULL, SOCK_CLOEXEC);
}

static void test_both_ways_and_half_close(void **state) {
    struct context *x = *state;
    char buf[16];
    open_it(x, x->port);
    (void) agent_forward_write(x->f, "ping", 4); /* before it is connected */
    int fd = accept_it(x);
    agent_forward_write_end(x->f);
    for (int i = 0; i < 50; i++)
        turn(x);
    assert_int_equal(recv(fd, buf, sizeof(buf), MSG_WAITALL), 4); /* and then the end */
    assert_memory_equal(buf, "ping", 4);
    assert_int_equal(x->ends, 0); /* the other half lives on */
    assert_int_equal(write(fd, "pong", 4), 4);
    (void) close(fd);
    for (int i = 0; i < 500 && x->ends == 0; i++)
        turn(x);
    assert_string_equal(strbuf_str(&x->got), "pong");
    assert_int_equal(x->ends, 1);
    assert_null(x->error);
}

static void test_refused(void **state) {
    struct context *x = *state;
    (void) close(x->listener);
    x->listener = -1;
    open_it(x, x->port);
    assert_int_equal(x->ends, 0); /* never from inside the call */
    for (int i = 0; i < 500 && x->ends == 0; i++)
        turn(x);
    assert_int_equal(x->ends, 1);
    assert_non_null(strstr(x->error, "failed to connect to localhost:"));
    assert_non_null(strstr(x->error, "Connection refused"));
}

static void test_second_family(void **state) {
    struct context *x = *state;
    (void) close(x->listener);
    x->listener = listen_on(AF_INET6, &x->port);
    if (x->listener < 0)
        skip(); /* no IPv6 here */
    open_it(x, x->port);
    int fd = accept_it(x);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "six", 3), 3);
    (void) close(fd);
    for (int i = 0; i < 500 && x->ends == 0; i++)
        turn(x);
    assert_string_equal(strbuf_str(&x->got), "six");
    assert_null(x->error);
}

static void test_flow(void **state) {
    struct context *x = *state;
    size_t big = 16u * 1024u * 1024u, taken = 0;
    _cleanup_free_ char *bytes = xcalloc(1, big), *sink = xmalloc(big);
    open_it(x, x->port);
    int fd = accept_it(x);
    for (int i = 0; i < 20; i++)
        turn(x);
    assert_true(agent_forward_write(x->f, bytes, big) > AGENT_EXEC_BUFFER_HIGH); /* nobody reads */
    assert_int_equal(x->writable, 0);
    while (taken < big) {
        ssize_t n = recv(fd, sink, big, MSG_DONTWAIT);
        taken += n > 0 ? (size_t) n : 0;
        (void) sd_event_run(x->agent.loop, 1000);
    }
    for (int i = 0; i < 50 && x->writable == 0; i++)
        turn(x);
    assert_int_equal(x->writable, 1);
    agent_forward_pause(x->f, true);
    assert_int_equal(write(fd, "x", 1), 1);
    for (int i = 0; i < 10; i++)
        turn(x);
    assert_int_equal(x->got.len, 0);
    agent_forward_pause(x->f, false);
    for (int i = 0; i < 500 && x->got.len == 0; i++)
        turn(x);
    assert_int_equal(x->got.len, 1);
    (void) close(fd);
}

static void test_wrong(void **state) {
    struct context *x = *state;
    assert_int_equal(agent_forward_open(&x->agent, "other", 80, false, &callbacks, x, &x->f, NULL), -ENOENT);
    assert_int_equal(agent_forward_open(&x->agent, "u", 0, false, &callbacks, x, &x->f, NULL), -EINVAL);
    assert_int_equal(agent_forward_open(&x->agent, "u", 65536, false, &callbacks, x, &x->f, NULL), -EINVAL);
    x->pod.connected = false;
    assert_int_equal(agent_forward_open(&x->agent, "u", 80, false, &callbacks, x, &x->f, NULL), -ENOENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_ways_and_half_close, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_second_family, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
