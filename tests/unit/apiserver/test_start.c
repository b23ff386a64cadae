/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests that are there before the server is: with socket activation clients connect while it still starts. */
#include "tests/unit/apiserver/server_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "podium/base/fd.h"

static int listen_on(const char *path) {
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    strcpy(sun.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *) &sun, sizeof(sun)), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static void send_request(int fd, const char *text) {
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static void assert_answer(int fd, const char *begins) {
    struct strbuf text = STRBUF_INIT;

    assert_int_equal(fd_read_all(fd, 1 << 20, &text, NULL), 0);
    if (strncmp(strbuf_str(&text), begins, strlen(begins)) != 0)
        fail_msg("%s", strbuf_str(&text));
    strbuf_finish(&text);
}

#define WRITE(name)                                                                                                    \
    "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: "            \
    "application/json\r\nContent-Length: 28\r\n\r\n{\"metadata\":{\"name\":\"" name "\"}}"

/* Under ThreadSanitizer this shows whatever the start writes after the doors are open. */
static void test_requests_before_the_start(void **state) {
    struct fixture f = {0};
    strcpy(f.dir, "/tmp/podium-api-XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    _cleanup_free_ char *db = fixture_path(&f, "store"), *sock = fixture_path(&f, "sock");
    const struct store_options so = {.path = db, .map_bytes = 64u << 20, .no_sync = true};
    assert_int_equal(store_open_lmdb(&so, &f.store, NULL), 0);
    int listening = listen_on(sock);
    const struct apiserver_options o = {.store = f.store, .port = -2, .unix_socket = sock, .unix_fd = listening};
    _cleanup_close_ int reader = unix_connect(sock, NULL), writer = unix_connect(sock, NULL);
    send_request(reader, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    send_request(writer, WRITE("abcd"));
    assert_int_equal(apiserver_new(&o, &f.api, NULL), 0);
    assert_int_equal(apiserver_start(f.api, NULL), 0);
    assert_answer(reader, "HTTP/1.1 200 ");
    assert_answer(writer, "HTTP/1.1 201 ");
    fixture_finish(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests_before_the_start)};
    return cmocka_run_group_tests_name("start", tests, NULL, NULL);
}
