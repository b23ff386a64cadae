/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "orchestrator/agent/services/health.h"
#include "podium/base/alloc.h"

static sd_event *loop;
static struct service_table *table;
static struct service_health *health;

/* A port nobody has at the moment. */
static uint16_t free_port(void) {
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *) &a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &a, &n), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static int setup(void **state) {
    assert_true(sd_event_new(&loop) >= 0);
    table = service_table_new(loop);
    health = service_health_new(loop, table, "here");
    return 0;
}

static int teardown(void **state) {
    service_health_free(health);
    service_table_free(table);
    loop = sd_event_unref(loop);
    return 0;
}

static void apply(const char *fmt, ...) _printf_(1, 2);
static void apply(const char *fmt, ...) {
    _cleanup_json_ struct json *v = NULL;
    va_list ap;

    va_start(ap, fmt);
    _cleanup_free_ char *text = xvasprintf(fmt, ap);
    va_end(ap);
    assert_int_equal(json_parse(text, strlen(text), NULL, &v, NULL), 0);
    assert_int_equal(service_table_apply(table, v), 0);
    while (sd_event_run(loop, 0) > 0)
        ;
}

static int dial(uint16_t port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (struct sockaddr *) &a, sizeof(a)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* The answer, "" when nobody listens. */
static const char *ask(uint16_t port, char out[512]) {
    int fd = dial(port);
    ssize_t n;
    size_t used = 0;

    out[0] = 0;
    if (fd < 0)
        return out;
    assert_int_equal(send(fd, "GET /healthz HTTP/1.0\r\n\r\n", 25, 0), 25);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 0) == 0)
        assert_true(sd_event_run(loop, 5000000) > 0);
    while ((n = recv(fd, out + used, 511 - used, 0)) > 0)
        used += (size_t) n;
    out[used] = 0;
    close(fd);
    return out;
}

static void apply_service(uint16_t port, const char *policy) {
    apply("{\"kind\":\"Service\",\"metadata\":{\"namespace\":\"ns\",\"name\":\"web\"},\"spec\":{\"type\":"
          "\"LoadBalancer\","
          "\"clusterIP\":\"10.96.0.7\",\"externalTrafficPolicy\":\"%s\",\"healthCheckNodePort\":%u,\"ports\":[{"
          "\"port\":80}]}}",
          policy, port);
}

static void apply_endpoint(const char *node) {
    apply("{\"kind\":\"EndpointSlice\",\"addressType\":\"IPv4\",\"metadata\":{\"namespace\":\"ns\",\"name\":\"web-1\","
          "\"labels\":{\"kubernetes.io/service-name\":\"web\"}},\"ports\":[{\"port\":80}],\"endpoints\":[{"
          "\"addresses\":[\"10.0.0.1\"],\"nodeName\":\"%s\"}]}",
          node);
}

static void test_answers(void **state) {
    uint16_t port = free_port(), other = free_port();
    char out[512];

    apply_endpoint("there");
    apply_service(port, "Local");
    assert_non_null(strstr(ask(port, out), "HTTP/1.1 503 "));
    apply_endpoint("here");
    assert_non_null(strstr(ask(port, out), "HTTP/1.1 200 "));
    assert_non_null(strstr(out, "\"localEndpoints\":1"));
    assert_non_null(strstr(out, "{\"namespace\":\"ns\",\"name\":\"web\"}"));
    apply_service(other, "Local"); /* another port */
    assert_string_equal(ask(port, out), "");
    assert_non_null(strstr(ask(other, out), "HTTP/1.1 200 "));
    apply_service(other, "Cluster");
    assert_string_equal(ask(other, out), "");
}

static void test_silent_visitors(void **state) {
    uint16_t port = free_port();
    char out[512];
    int silent[70];

    apply_service(port, "Local");
    for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
        silent[i] = dial(port);
        assert_true(silent[i] >= 0);
        while (sd_event_run(loop, 0) > 0)
            ;
    }
    close(silent[0]); /* makes room for one */
    while (sd_event_run(loop, 0) > 0)
        ;
    assert_non_null(strstr(ask(port, out), "HTTP/1.1 503 "));
    for (size_t i = 1; i < ARRAY_LEN(silent); i++)
        close(silent[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent_visitors, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
