/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Logs and exec through the nodes' door, with a node that is a table of functions. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "orchestrator/apiserver/subresources/node_ops.h"
#include "podium/base/fd.h"
#include "tests/unit/apiserver/server_fixture.h"

#define PODS "/api/v1/namespaces/default/pods"

struct node_stream {
    struct context *x;
    const struct node_stream_handlers *h;
    void *userdata;
    sd_event_source *tick;
    bool logs, follow;
    int step;
};

struct context {
    struct fixture f;
    sd_event *loop;
    struct strbuf seen;   /* what the node was asked */
    struct strbuf stdin_; /* what it was sent */
    int cancelled, fail_logs, exit_status;
    size_t credit;
};

/* --- the node --- */

static int log_tick(sd_event_source *source, void *userdata) {
    struct node_stream *s = userdata;
    struct node_stream_end end = {.error = s->x->fail_logs, .message = s->x->fail_logs ? "no logs yet" : NULL};
    if (!s->x->fail_logs && s->step++ < 2) {
        const char *line = s->step == 1 ? "first\n" : "second\n";
        s->h->data(s->userdata, NODE_STDOUT, line, strlen(line));
        return 0;
    }
    if (s->follow) {
        (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return 0;
    }
    (void) sd_event_source_disable_unref(s->tick);
    s->h->end(s->userdata, &end);
    free(s);
    return 0;
}

static struct node_stream *open_logs(void *carrier, const struct node_logs_request *r,
                                     const struct node_stream_handlers *h, void *userdata) {
    struct node_stream *s = xnew0(struct node_stream);
    struct context *x = carrier;
    *s = (struct node_stream){.x = x, .h = h, .userdata = userdata, .logs = true, .follow = r->follow};
    strbuf_addf(&x->seen, "logs %s %s/%s %s tail %lld follow %d;", r->pod.node, r->pod.ns, r->pod.name,
                r->pod.container, (long long) r->tail_lines, r->follow);
    (void) sd_event_add_defer(x->loop, &s->tick, log_tick, s);
    (void) sd_event_source_set_enabled(s->tick, SD_EVENT_ON);
    return s;
}

static struct node_stream *open_exec(void *carrier, const struct node_exec_request *r,
                                     const struct node_stream_handlers *h, void *userdata) {
    struct node_stream *s = xnew0(struct node_stream);
    struct context *x = carrier;
    *s = (struct node_stream){.x = x, .h = h, .userdata = userdata};
    strbuf_addf(&x->seen, "exec %s", r->pod.container);
    for (size_t i = 0; r->argv && r->argv[i]; i++)
        strbuf_addf(&x->seen, " %s", r->argv[i]);
    strbuf_addf(&x->seen, " in %d out %d err %d tty %d;", r->in, r->out, r->err, r->tty);
    return s;
}

static void exec_write(struct node_stream *s, const void *p, size_t n) {
    strbuf_add(&s->x->stdin_, p, n);
    s->h->taken(s->userdata, n);
    s->h->data(s->userdata, NODE_STDOUT, p, n); /* cat */
}

static void exec_end(struct node_stream *s) {
    struct node_stream_end end = {.exit_status = s->x->exit_status};
    s->h->data(s->userdata, NODE_STDERR, "bye", 3);
    s->h->end(s->userdata, &end);
    free(s);
}

static void exec_resize(struct node_stream *s, unsigned columns, unsigned rows) {
    strbuf_addf(&s->x->seen, "resize %u %u;", columns, rows);
}

static void stream_resume(struct node_stream *s, size_t n) {
    s->x->credit += n;
}

static void stream_cancel(struct node_stream *s) {
    s->x->cancelled++;
    (void) sd_event_source_disable_unref(s->tick);
    free(s);
}

static const struct node_ops ops = {.open_logs = open_logs,
                                    .open_exec = open_exec,
                                    .write = exec_write,
                                    .write_end = exec_end,
                                    .resize = exec_resize,
                                    .resume = stream_resume,
                                    .cancel = stream_cancel};

/* --- the client: threads that block, while this one runs the loop --- */

struct blocking {
    pthread_t thread;
    struct context *x;
    void (*run)(struct blocking *b);
    const char *path;
    struct answer answer;
    struct strbuf got;
    atomic_bool finished;
};

static void *blocking_main(void *userdata) {
    struct blocking *b = userdata;
    b->run(b);
    atomic_store(&b->finished, true);
    return NULL;
}

static void begin(struct blocking *b) {
    assert_int_equal(pthread_create(&b->thread, NULL, blocking_main, b), 0);
}

static void finish(struct blocking *b) {
    for (int i = 0; i < 1000 && !atomic_load(&b->finished); i++)
        (void) sd_event_run(b->x->loop, 10000);
    assert_true(atomic_load(&b->finished));
    (void) pthread_join(b->thread, NULL);
}

static void run_get(struct blocking *b) {
    b->answer = ask(&b->x->f, "GET", b->path, NULL);
}

static int setup(void **state) {
    struct context *x = xnew0(struct context);
    fixture_new(&x->f, false, 0);
    assert_true(sd_event_new(&x->loop) >= 0);
    assert_int_equal(apiserver_set_node_ops(x->f.api, x->loop, &ops, x, NULL), 0);
    fixture_start(&x->f);
    _cleanup_answer_ struct answer p = ask(&x->f, "POST", PODS,
                                           "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"nodeName\":\"n1\","
                                           "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}");
    assert_code(p, 201);
    *state = x;
    return 0;
}

static int teardown(void **state) {
    struct context *x = *state;
    fixture_finish(&x->f);
    sd_event_unref(x->loop);
    strbuf_finish(&x->seen);
    strbuf_finish(&x->stdin_);
    free(x);
    return 0;
}

static void test_logs(void **state) {
    struct context *x = *state;
    struct blocking b = {.x = x, .run = run_get, .path = PODS "/p/log?tailLines=7"};
    begin(&b);
    finish(&b);
    assert_int_equal(b.answer.code, 200);
    assert_string_equal(strbuf_str(&b.answer.text), "first\nsecond\n");
    assert_string_equal(strbuf_str(&x->seen), "logs n1 default/p c tail 7 follow 0;");
    assert_non_null(strstr(strbuf_str(&b.answer.headers), "text/plain"));
    answer_finish(&b.answer);
}

static void test_log_errors(void **state) {
    struct context *x = *state;
    x->fail_logs = -EINVAL;
    struct blocking b = {.x = x, .run = run_get, .path = PODS "/p/log"};
    begin(&b);
    finish(&b);
    assert_status(b.answer, 400, "BadRequest", "no logs yet");
    answer_finish(&b.answer);
    _cleanup_answer_ struct answer none = ask(&x->f, "GET", PODS "/q/log", NULL);
    assert_code(none, 404);
    _cleanup_answer_ struct answer container = ask(&x->f, "GET", PODS "/p/log?container=z", NULL);
    assert_status(container, 400, "BadRequest", "container z is not valid for pod p");
    _cleanup_answer_ struct answer plain = ask(&x->f, "GET", PODS "/p/exec?command=ls&stdout=1", NULL);
    assert_code(plain, 400);
}

/* A follower that goes away is noticed although the log is silent. */
static void run_impatient(struct blocking *b) {
    curl_easy_setopt(b->x->f.curl, CURLOPT_TIMEOUT_MS, 300L);
    _cleanup_free_ char *sock = fixture_path(&b->x->f, "sock");
    CURL *c = b->x->f.curl;
    curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, sock);
    curl_easy_setopt(c, CURLOPT_URL, "http://api" PODS "/p/log?follow=true");
    curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, NULL);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, fixture_write);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &b->got);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, NULL);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, NULL);
    (void) curl_easy_perform(c);
}

static void test_follow_hangup(void **state) {
    struct context *x = *state;
    struct blocking b = {.x = x, .run = run_impatient};
    begin(&b);
    finish(&b);
    assert_string_equal(strbuf_str(&b.got), "first\nsecond\n");
    for (int i = 0; i < 300 && x->cancelled == 0; i++)
        (void) sd_event_run(x->loop, 10000);
    assert_int_equal(x->cancelled, 1);
    assert_int_equal(x->credit, 13);
    strbuf_finish(&b.got);
}

/* --- exec: a hand-made WebSocket --- */

static int connect_exec(struct context *x, const char *query) {
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    _cleanup_free_ char *sock = fixture_path(&x->f, "sock");
    _cleanup_free_ char *head =
        xasprintf("GET " PODS "/p/exec?%s HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: "
                  "websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                  "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n",
                  query);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(sun.sun_path, sock);
    struct timeval t = {.tv_sec = 10};
    (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    if (connect(fd, (struct sockaddr *) &sun, sizeof(sun)) < 0 || fd_write_all(fd, head, strlen(head)) < 0)
        return -1;
    return fd;
}

/* A masked binary frame with a mask of zeroes. */
static void send_frame(int fd, const void *p, size_t n) {
    uint8_t f[128] = {0x82, (uint8_t) (0x80 | n)};
    memcpy(f + 6, p, n);
    (void) !fd_write_all(fd, f, n + 6);
}

static void run_exec(struct blocking *b) {
    char buf[512];
    int fd = connect_exec(b->x, b->path);
    send_frame(fd, "\0hello", 6);
    send_frame(fd, "\4{\"Width\":80,\"Height\":24}", 25);
    send_frame(fd, "\377\0", 2); /* v5: end of stdin */
    for (ssize_t n; (n = read(fd, buf, sizeof(buf))) > 0;)
        strbuf_add(&b->got, buf, (size_t) n);
    (void) close(fd);
}

static const char *find(const struct strbuf *b, const char *needle, size_t n) {
    return memmem(strbuf_str(b), b->len, needle, n);
}

static void test_exec(void **state) {
    struct context *x = *state;
    struct blocking b = {.x = x, .run = run_exec, .path = "command=cat&command=-v&stdin=1&stdout=1&stderr=1"};
    x->exit_status = 3;
    begin(&b);
    finish(&b);
    assert_string_equal(strbuf_str(&x->seen), "exec c cat -v in 1 out 1 err 1 tty 0;resize 80 24;");
    assert_string_equal(strbuf_str(&x->stdin_), "hello");
    assert_non_null(strstr(strbuf_str(&b.got), "HTTP/1.1 101"));
    assert_non_null(strstr(strbuf_str(&b.got), "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")); /* RFC 6455 */
    assert_non_null(strstr(strbuf_str(&b.got), "Sec-WebSocket-Protocol: v5.channel.k8s.io"));
    assert_non_null(find(&b.got, "\x82\6\1hello", 8));
    assert_non_null(find(&b.got, "\x82\4\2bye", 6));
    assert_non_null(find(&b.got, "{\"reason\":\"ExitCode\",\"message\":\"3\"}", 35));
    assert_non_null(find(&b.got, "\x88\2\3\xe8", 4)); /* close, 1000 */
    strbuf_finish(&b.got);
}

static void run_exec_hangup(struct blocking *b) {
    int fd = connect_exec(b->x, b->path);
    char buf[64];
    (void) !read(fd, buf, sizeof(buf));
    (void) close(fd);
}

static void test_exec_hangup(void **state) {
    struct context *x = *state;
    struct blocking b = {.x = x, .run = run_exec_hangup, .path = "command=sleep&stdout=1"};
    begin(&b);
    finish(&b);
    for (int i = 0; i < 300 && x->cancelled == 0; i++)
        (void) sd_event_run(x->loop, 10000);
    assert_int_equal(x->cancelled, 1);
}

/* The server goes down with a command and a follower attached. */
static void test_shutdown(void **state) {
    struct context *x = *state;
    struct blocking b = {.x = x, .run = run_impatient};
    int fd = connect_exec(x, "command=sleep&stdout=1");
    for (int i = 0; i < 50 && !strstr(strbuf_str(&x->seen), "exec"); i++)
        (void) sd_event_run(x->loop, 10000);
    begin(&b);
    for (int i = 0; i < 50 && !strstr(strbuf_str(&x->seen), "logs"); i++)
        (void) sd_event_run(x->loop, 10000);
    apiserver_free(steal(&x->f.api));
    assert_int_equal(x->cancelled, 2);
    finish(&b);
    strbuf_finish(&b.got);
    (void) close(fd);
}

int main(void) {
    (void) curl_global_init(CURL_GLOBAL_ALL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_logs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_follow_hangup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exec, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exec_hangup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shutdown, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
