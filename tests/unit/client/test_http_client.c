/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "orchestrator/client/http_client.h"
#include "orchestrator/client/informer.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

/* A server on a unix socket in the same loop: keeps each request's text and answers with what the test has prepared. */
struct conn {
    struct env *e;
    int fd;
    sd_event_source *io;
    struct strbuf in;
};

struct env {
    sd_event *loop;
    char dir[32], path[64];
    int listener;
    sd_event_source *accept_io;
    struct conn *conns[32];
    size_t n_conns;
    struct client *client;
    char *requests[32];
    size_t n_requests;
    const char *answers[32]; /* NULL: none, the connection stays silent */
    struct conn *last;
    char seen[512];
    int code;
    char message[256];
};

static int on_conn(sd_event_source *s, int fd, uint32_t events, void *userdata) {
    struct conn *c = userdata;
    char buf[4096];
    ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
    if (n <= 0) {
        (void) sd_event_source_set_enabled(s, SD_EVENT_OFF);
        return 0;
    }
    strbuf_add(&c->in, buf, (size_t) n);
    char *head = strstr(c->in.data, "\r\n\r\n");
    const char *length = strstr(c->in.data, "Content-Length: ");
    size_t body = length ? strtoul(length + 16, NULL, 10) : 0;
    if (!head || c->in.len < (size_t) (head + 4 - c->in.data) + body)
        return 0;
    struct env *e = c->e;
    e->last = c;
    const char *answer = e->answers[e->n_requests];
    e->requests[e->n_requests++] = strbuf_steal(&c->in);
    if (answer)
        (void) !send(fd, answer, strlen(answer), MSG_NOSIGNAL); /* a client that went away is part of some tests */
    return 0;
}

static int on_accept(sd_event_source *s, int fd, uint32_t events, void *userdata) {
    struct env *e = userdata;
    struct conn *c = xnew0(struct conn);
    c->e = e;
    c->fd = accept(fd, NULL, NULL);
    e->conns[e->n_conns++] = c;
    return sd_event_add_io(e->loop, &c->io, c->fd, EPOLLIN, on_conn, c);
}

static void conn_close(struct conn *c) {
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->io = sd_event_source_disable_unref(c->io);
}

static int setup(void **state) {
    struct env *e = xnew0(struct env);
    strcpy(e->dir, "/tmp/podium-test-XXXXXX");
    assert_non_null(mkdtemp(e->dir));
    snprintf(e->path, sizeof(e->path), "%s/api", e->dir);
    assert_true(sd_event_new(&e->loop) >= 0);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strcpy(a.sun_path, e->path);
    e->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(e->listener, (struct sockaddr *) &a, sizeof(a)), 0);
    assert_int_equal(listen(e->listener, 8), 0);
    assert_true(sd_event_add_io(e->loop, &e->accept_io, e->listener, EPOLLIN, on_accept, e) >= 0);
    struct http_client_options o = {.unix_socket = e->path, .token = "secret"};
    assert_int_equal(http_client_new(e->loop, &o, &e->client, NULL), 0);
    *state = e;
    return 0;
}

static int teardown(void **state) {
    struct env *e = *state;
    client_free(e->client);
    for (size_t i = 0; i < e->n_conns; i++) {
        conn_close(e->conns[i]);
        strbuf_finish(&e->conns[i]->in);
        free(e->conns[i]);
    }
    for (size_t i = 0; i < e->n_requests; i++)
        free(e->requests[i]);
    sd_event_source_disable_unref(e->accept_io);
    close(e->listener);
    sd_event_unref(e->loop);
    unlink(e->path);
    rmdir(e->dir);
    free(e);
    return 0;
}

static const struct resource *pods(void) {
    return resource_by_plural("", "v1", "pods");
}

static void run_until(struct env *e, const char *seen) {
    uint64_t end = now_monotonic_usec() + 5 * USEC_PER_SEC;
    while (!strstr(e->seen, seen) && now_monotonic_usec() < end)
        (void) sd_event_run(e->loop, 50 * USEC_PER_MSEC);
    if (!strstr(e->seen, seen))
        fail_msg("waited for \"%s\", saw \"%s\"", seen, e->seen);
}

#define POD_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n{\"kind\":\"Pod\",\"metadata\":{\"name\":\"web-1\"}}\n"

static void test_gets_an_object(void **state) {
    struct env *e = *state;
    e->answers[0] = POD_ANSWER;
    struct client_request r = {.verb = CLIENT_GET, .resource = pods(), .ns = "default", .name = "web-1"};
    int code;
    _cleanup_json_ struct json *pod = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    assert_int_equal(client_call_wait(e->loop, e->client, &r, &code, &pod, &err), 0);
    assert_int_equal(code, 200);
    assert_string_equal(json_str(json_path(pod, "metadata", "name")), "web-1");
    assert_non_null(strstr(e->requests[0], "GET /api/v1/namespaces/default/pods/web-1 HTTP/1.1\r\n"));
    assert_non_null(strstr(e->requests[0], "Authorization: Bearer secret\r\n"));
}

static void test_sends_patches_with_their_type(void **state) {
    struct env *e = *state;
    e->answers[0] = POD_ANSWER;
    _cleanup_json_ struct json *patch = json_object();
    json_set_path(&patch, json_string("b"), "metadata", "labels", "a");
    struct client_request r = {.verb = CLIENT_PATCH,
                               .resource = pods(),
                               .ns = "x",
                               .name = "web-1",
                               .subresource = "status",
                               .body = patch,
                               .patch_type = PATCH_MERGE,
                               .field_manager = "me & you"};
    assert_int_equal(client_call_wait(e->loop, e->client, &r, NULL, NULL, NULL), 0);
    assert_non_null(
        strstr(e->requests[0], "PATCH /api/v1/namespaces/x/pods/web-1/status?fieldManager=me%20%26%20you "));
    assert_non_null(strstr(e->requests[0], "Content-Type: application/merge-patch+json\r\n"));
    assert_non_null(strstr(e->requests[0], "\r\n\r\n{\"metadata\":{\"labels\":{\"a\":\"b\"}}}"));
}

static void test_a_refusal_carries_code_reason_and_message(void **state) {
    struct env *e = *state;
    e->answers[0] =
        "HTTP/1.1 404 Not Found\r\nContent-Length: 81\r\n\r\n"
        "{\"kind\":\"Status\",\"code\":404,\"reason\":\"NotFound\",\"message\":\"pods \\\"x\\\" not found\"}";
    struct client_request r = {.verb = CLIENT_DELETE, .resource = pods(), .ns = "default", .name = "x"};
    int code;
    _cleanup_json_ struct json *status = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    assert_int_equal(client_call_wait(e->loop, e->client, &r, &code, &status, &err), -ENOENT);
    assert_int_equal(code, 404);
    assert_string_equal(error_text(&err, 0), "pods \"x\" not found");
    assert_string_equal(json_str(json_get(status, "reason")), "NotFound");
}

static void test_no_server_is_said_so(void **state) {
    struct env *e = *state;
    struct client *c = NULL;
    assert_int_equal(
        http_client_new(e->loop, &(struct http_client_options){.unix_socket = "/nonexistent/api"}, &c, NULL), 0);
    struct client_request r = {.verb = CLIENT_LIST, .resource = pods()};
    int code = 99;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    assert_int_equal(client_call_wait(e->loop, c, &r, &code, NULL, &err), -ENOTCONN);
    assert_int_equal(code, 0);
    assert_non_null(strstr(error_text(&err, 0), "/nonexistent/api"));
    client_free(c);
    assert_int_equal(http_client_new(e->loop, &(struct http_client_options){.server = "ftp://x"}, &c, NULL), -EINVAL);
}

static void test_an_answer_that_is_no_json_is_no_success(void **state) {
    struct env *e = *state;
    e->answers[0] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    e->answers[1] = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 17\r\n\r\nno upstream\nmore\n";
    struct client_request r = {.verb = CLIENT_LIST, .resource = pods()};
    int code;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    assert_true(client_call_wait(e->loop, e->client, &r, &code, NULL, &err) < 0);
    assert_int_equal(code, 0);
    assert_int_equal(client_call_wait(e->loop, e->client, &r, &code, NULL, &err), -EIO);
    assert_int_equal(code, 502);
    assert_string_equal(error_text(&err, 0), "no upstream");
}

static void on_event(void *userdata, const char *type, struct json *object) {
    struct env *e = userdata;
    snprintf(e->seen + strlen(e->seen), sizeof(e->seen) - strlen(e->seen), "%s:%s ", type,
             json_str_or(json_path(object, "metadata", "name"), json_str_or(json_get(object, "reason"), "")));
}

static void say(struct env *e, const char *text) {
    char chunk[512];
    int n = snprintf(chunk, sizeof(chunk), "%zx\r\n%s\r\n", strlen(text), text);
    assert_int_equal(send(e->last->fd, chunk, (size_t) n, MSG_NOSIGNAL), n);
}

#define STREAM "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static void test_a_watch_delivers_lines_as_they_come(void **state) {
    struct env *e = *state;
    e->answers[0] = STREAM "3d\r\n{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n{\"type\":\"\r\n";
    struct client_request r = {.resource = pods(), .resource_version = "5", .allow_bookmarks = true};
    (void) client_watch(e->client, &r, on_event, e);
    run_until(e, "ADDED:a ");
    assert_string_equal(e->seen, "ADDED:a ");
    assert_non_null(strstr(e->requests[0], "GET /api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=5 "));
    say(e, "MODIFIED\",\"object\":{\"metadata\":{\"name\":\"b\"}}}\n");
    run_until(e, "MODIFIED:b ");
    conn_close(e->last);
    run_until(e, "CLOSED");
}

static void test_a_watch_too_old_ends_with_its_status(void **state) {
    struct env *e = *state;
    e->answers[0] =
        "HTTP/1.1 410 Gone\r\nContent-Length: 44\r\n\r\n{\"kind\":\"Status\",\"reason\":\"Expired\",\"c\":410}";
    (void) client_watch(e->client, &(struct client_request){.resource = pods()}, on_event, e);
    run_until(e, "ERROR:Expired ");
    e->seen[0] = 0;
    e->answers[1] = STREAM "3d\r\n{\"type\":\"ERROR\",\"object\":{\"reason\":\"Expired\",\"code\":410}}   \n\r\n";
    (void) client_watch(e->client, &(struct client_request){.resource = pods()}, on_event, e);
    run_until(e, "ERROR:Expired ");
    assert_null(strstr(e->seen, "CLOSED"));
}

struct canceller {
    struct env *e;
    struct client_watch *watch;
};

static void on_event_cancel(void *userdata, const char *type, struct json *object) {
    struct canceller *c = userdata;
    on_event(c->e, type, object);
    client_watch_cancel(c->e->client, c->watch);
}

static void test_a_watch_may_be_cancelled_by_its_handler(void **state) {
    struct env *e = *state;
    struct canceller c = {.e = e};
    e->answers[0] = STREAM "68\r\n{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n"
                           "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"b\"}}}\n\r\n";
    c.watch = client_watch(e->client, &(struct client_request){.resource = pods()}, on_event_cancel, &c);
    run_until(e, "ADDED:a ");
    for (int i = 0; i < 5; i++)
        (void) sd_event_run(e->loop, 10 * USEC_PER_MSEC);
    assert_string_equal(e->seen, "ADDED:a ");
}

static void never(void *userdata, const struct client_result *r) {
    fail_msg("a cancelled call was answered");
}

static void test_a_cancelled_call_is_never_answered(void **state) {
    struct env *e = *state;
    e->answers[0] = POD_ANSWER;
    struct client_request r = {.verb = CLIENT_LIST, .resource = pods()};
    struct client_call *call = client_start(e->client, &r, never, NULL);
    for (int i = 0; i < 3; i++)
        (void) sd_event_run(e->loop, 10 * USEC_PER_MSEC);
    client_cancel(e->client, call);
    for (int i = 0; i < 5; i++)
        (void) sd_event_run(e->loop, 10 * USEC_PER_MSEC);
}

static void free_client(void *userdata, const struct client_result *r) {
    struct env *e = userdata;
    client_free(e->client);
    e->client = NULL;
    strcat(e->seen, "freed");
}

static void test_a_callback_may_free_the_client(void **state) {
    struct env *e = *state;
    e->answers[0] = POD_ANSWER;
    struct client_request r = {.verb = CLIENT_LIST, .resource = pods()};
    (void) client_start(e->client, &r, free_client, e);
    (void) client_start(e->client, &r, never, NULL);
    run_until(e, "freed");
}

static void on_pod(void *userdata, struct json *old, struct json *object) {
    struct env *e = userdata;
    snprintf(e->seen + strlen(e->seen), sizeof(e->seen) - strlen(e->seen), "%s ",
             json_str(json_path(object, "metadata", "name")));
}

static void test_an_informer_works_over_it(void **state) {
    struct env *e = *state;
    e->answers[0] = "HTTP/1.1 200 OK\r\nContent-Length: 105\r\n\r\n{\"kind\":\"PodList\",\"metadata\":"
                    "{\"resourceVersion\":\"7\"},\"items\":[{\"metadata\":{\"name\":\"one\"}}]}              ";
    e->answers[1] = STREAM "3a\r\n{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"two\"}}}    \n\r\n";
    struct informer *i = informer_new(e->loop, e->client, &(struct informer_options){.resource = pods()});
    informer_add_handlers(i, &(struct informer_handlers){.changed = on_pod, .userdata = e});
    run_until(e, "two");
    assert_string_equal(e->seen, "one two ");
    assert_non_null(strstr(e->requests[1], "resourceVersion=7"));
    informer_free(i);
}

static void test_targets(void **state) {
    struct target_case {
        struct client_request r;
        bool watch;
        const char *expect;
    } cases[] = {
        {{.resource = resource_by_plural("apps", "v1", "deployments"), .ns = "a"},
         false,
         "/apis/apps/v1/namespaces/a/deployments"},
        {{.resource = resource_by_plural("", "v1", "nodes"), .ns = "ignored", .name = "n1"}, false, "/api/v1/nodes/n1"},
        {{.resource = pods(),
          .label_selector = "a in (b,c)",
          .limit = 5,
          .continue_token = "x=",
          .resource_version = "3"},
         false,
         "/api/v1/pods?labelSelector=a%20in%20%28b%2Cc%29&continue=x%3D&limit=5"},
        {{.resource = pods(), .ns = "a", .name = "../b"}, false, "/api/v1/namespaces/a/pods/..%2Fb"},
        {{.resource = pods(), .dry_run = true, .force = true, .field_manager = "f"},
         false,
         "/api/v1/pods?fieldManager=f&dryRun=All&force=true"},
        {{.resource = pods(), .field_selector = "spec.nodeName=n"},
         true,
         "/api/v1/pods?watch=true&fieldSelector=spec.nodeName%3Dn"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *got = http_request_target(&cases[i].r, cases[i].watch);
        assert_string_equal(got, cases[i].expect);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_gets_an_object),
        T(test_sends_patches_with_their_type),
        T(test_a_refusal_carries_code_reason_and_message),
        T(test_no_server_is_said_so),
        T(test_an_answer_that_is_no_json_is_no_success),
        T(test_a_watch_delivers_lines_as_they_come),
        T(test_a_watch_too_old_ends_with_its_status),
        T(test_a_watch_may_be_cancelled_by_its_handler),
        T(test_a_cancelled_call_is_never_answered),
        T(test_a_callback_may_free_the_client),
        T(test_an_informer_works_over_it),
        cmocka_unit_test(test_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
