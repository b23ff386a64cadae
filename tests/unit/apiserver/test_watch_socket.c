/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Watches over WebSocket: a client that blocks, in a thread, while this one runs the loop. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-event.h>

#include "orchestrator/apiserver/subresources/node_ops.h"
#include "orchestrator/object/protobuf.h"
#include "podium/base/fd.h"
#include "tests/unit/apiserver/server_fixture.h"

#define CM "/api/v1/namespaces/default/configmaps"

struct client {
    struct fixture f;
    sd_event *loop;
    pthread_t thread;
    const char *query, *accept;
    struct strbuf got;
    int fd;
    atomic_bool finished;
};

static const struct node_ops ops = {0}; /* nobody asks for a node */

static int setup(void **state) {
    struct client *c = xnew0(struct client);
    fixture_new(&c->f, false, 16);
    assert_true(sd_event_new(&c->loop) >= 0);
    assert_int_equal(apiserver_set_node_ops(c->f.api, c->loop, &ops, c, NULL), 0);
    fixture_start(&c->f);
    *state = c;
    return 0;
}

static int teardown(void **state) {
    struct client *c = *state;
    fixture_finish(&c->f);
    sd_event_unref(c->loop);
    strbuf_finish(&c->got);
    free(c);
    return 0;
}

static bool read_some(struct client *c) {
    char buf[4096];
    ssize_t n = read(c->fd, buf, sizeof(buf));
    if (n > 0)
        strbuf_add(&c->got, buf, (size_t) n);
    return n > 0;
}

static void read_until(struct client *c, const char *what) {
    while (!memmem(strbuf_str(&c->got), c->got.len, what, strlen(what)) && read_some(c))
        ;
}

static void connect_watch(struct client *c) {
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    struct timeval t = {.tv_sec = 10};
    _cleanup_free_ char *sock = fixture_path(&c->f, "sock");
    _cleanup_free_ char *head =
        xasprintf("GET " CM "%s HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAccept: %s\r\n\r\n",
                  c->query, c->accept);
    strcpy(sun.sun_path, sock);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void) setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    (void) connect(c->fd, (struct sockaddr *) &sun, sizeof(sun));
    (void) !fd_write_all(c->fd, head, strlen(head)); /* else nothing comes back */
}

static void put(struct client *c, const char *value) {
    _cleanup_free_ char *body = xasprintf("{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"%s\"}}", value);
    _cleanup_answer_ struct answer a = ask(&c->f, "PATCH", CM "/a", body);
    if (a.code != 200) {
        _cleanup_answer_ struct answer b = ask(&c->f, "POST", CM, body);
    }
}

static void *client_main(void *userdata) {
    struct client *c = userdata;
    put(c, "first");
    connect_watch(c);
    read_until(c, "ADDED");
    put(c, "second");
    read_until(c, "second");
    while (read_some(c)) /* the end comes by timeoutSeconds */
        ;
    (void) close(c->fd);
    atomic_store(&c->finished, true);
    return NULL;
}

static void run(struct client *c, const char *query, const char *accept) {
    c->query = query;
    c->accept = accept;
    assert_int_equal(pthread_create(&c->thread, NULL, client_main, c), 0);
    for (int i = 0; i < 3000 && !atomic_load(&c->finished); i++)
        (void) sd_event_run(c->loop, 10000);
    assert_true(atomic_load(&c->finished));
    (void) pthread_join(c->thread, NULL);
    assert_non_null(strstr(strbuf_str(&c->got), "101 Switching Protocols"));
    assert_non_null(strstr(strbuf_str(&c->got), "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

/* The n-th message behind the head of the answer: its first byte in *ret_type. */
static const uint8_t *message_at(const struct client *c, size_t n, uint8_t *ret_type, size_t *ret_len) {
    const uint8_t *p = (const uint8_t *) strstr(strbuf_str(&c->got), "\r\n\r\n") + 4,
                  *end = (const uint8_t *) c->got.data + c->got.len;
    for (size_t i = 0; end - p >= 2; i++) {
        size_t len = p[1], head = 2;
        if (len == 126) {
            len = (size_t) p[2] << 8 | p[3];
            head = 4;
        }
        *ret_type = p[0];
        *ret_len = len;
        if (i == n)
            return p + head;
        p += head + len;
    }
    return NULL;
}

static void test_text(void **state) {
    struct client *c = *state;
    static const char *const types[] = {"ADDED", "MODIFIED"}, *const values[] = {"first", "second"};
    uint8_t type = 0;
    size_t len = 0;
    run(c, "?watch=1&timeoutSeconds=1", "application/json");
    for (size_t i = 0; i < 2; i++) {
        _cleanup_json_ struct json *e = NULL;
        const uint8_t *m = message_at(c, i, &type, &len);
        assert_non_null(m);
        assert_int_equal(type, 0x81); /* text, whole */
        assert_int_equal(json_parse((const char *) m, len, NULL, &e, NULL), 0);
        assert_string_equal(json_str(json_get(e, "type")), types[i]);
        assert_string_equal(json_str(json_path(e, "object", "data", "k")), values[i]);
    }
    assert_non_null(message_at(c, 2, &type, &len));
    assert_int_equal(type, 0x88); /* a proper end */
}

static void test_bytes(void **state) {
    struct client *c = *state;
    uint8_t type = 0;
    size_t len = 0;
    run(c, "?watch=1&timeoutSeconds=1", "application/vnd.kubernetes.protobuf");
    const uint8_t *m = message_at(c, 1, &type, &len);
    assert_non_null(m);
    assert_int_equal(type, 0x82);
    assert_memory_equal(m, "\x0a\x08MODIFIED\x12", 11); /* a WatchEvent, no length in front */
    const uint8_t *object = memmem(m, len, "k8s\0", 4);
    assert_non_null(object);
    _cleanup_json_ struct json *doc = NULL;
    assert_int_equal(protobuf_decode(object, (size_t) (m + len - object), &doc, NULL), 0);
    assert_string_equal(json_str(json_path(doc, "data", "k")), "second");
}

/* Refusals come before the upgrade. */
static void test_refused(void **state) {
    struct client *c = *state;
    _cleanup_answer_ struct answer a = ask_as(&c->f, "GET", CM "?watch=1&resourceVersion=no", NULL,
                                              "application/json\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                                              NULL);
    assert_code(a, 400);
}

/* A client that goes away takes its watch with it: the server ends without leaks with both still there. */
static void test_server_ends(void **state) {
    struct client *c = *state;
    c->query = "?watch=1";
    c->accept = "application/json";
    connect_watch(c);
    for (int i = 0; i < 20; i++)
        (void) sd_event_run(c->loop, 5000);
    (void) close(c->fd);
    connect_watch(c);
    for (int i = 0; i < 20; i++)
        (void) sd_event_run(c->loop, 5000);
    apiserver_free(steal(&c->f.api));
    (void) close(c->fd);
}

int main(void) {
    (void) curl_global_init(CURL_GLOBAL_ALL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_server_ends, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
