/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Logs and exec through the nodes' door, with a node that is a table of functions. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "orchestrator/apiserver/spdy/headers.h"
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
    bool instant; /* commands end before anybody has said anything */
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

static void exec_end(struct node_stream *s) {
    struct node_stream_end end = {.exit_status = s->x->exit_status};
    (void) sd_event_source_disable_unref(s->tick);
    s->h->data(s->userdata, NODE_STDERR, "bye", 3);
    s->h->end(s->userdata, &end);
    free(s);
}

static int query_tick(sd_event_source *source, void *userdata) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    static const struct node_stream_end end = {0};
    struct node_stream *s = userdata;
    (void) sd_event_source_disable_unref(s->tick);
    s->h->data(s->userdata, NODE_STDOUT, answer, strlen(answer));
    s->h->end(s->userdata, &end);
    free(s);
    return 0;
}

static struct node_stream *open_query(void *carrier, const struct node_query_request *r,
                                      const struct node_stream_handlers *h, void *userdata) {
    struct node_stream *s = xnew0(struct node_stream);
    struct context *x = carrier;
    *s = (struct node_stream){.x = x, .h = h, .userdata = userdata};
    strbuf_addf(&x->seen, "query %s %s %s;", r->node, r->method, r->path);
    (void) sd_event_add_defer(x->loop, &s->tick, query_tick, s);
    return s;
}

static int instant_end(sd_event_source *source, void *userdata) {
    exec_end(userdata);
    return 0;
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
    if (x->instant)
        (void) sd_event_add_defer(x->loop, &s->tick, instant_end, s);
    return s;
}

static struct node_stream *open_forward(void *carrier, const struct node_forward_request *r,
                                        const struct node_stream_handlers *h, void *userdata) {
    struct node_stream *s = xnew0(struct node_stream);
    struct context *x = carrier;
    *s = (struct node_stream){.x = x, .h = h, .userdata = userdata};
    strbuf_addf(&x->seen, "forward %s %d;", r->pod.name, r->port);
    return s;
}

/* cat, until it gets "!" */
static void exec_write(struct node_stream *s, const void *p, size_t n) {
    strbuf_add(&s->x->stdin_, p, n);
    s->h->taken(s->userdata, n);
    s->h->data(s->userdata, NODE_STDOUT, p, n);
    if (n == 1 && *(const char *) p == '!')
        exec_end(s);
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
                                    .open_forward = open_forward,
                                    .open_query = open_query,
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

/* Sends the request and waits for the answer's head, into got. */
static int connect_upgrade(struct context *x, const char *target, const char *headers, struct strbuf *got) {
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    _cleanup_free_ char *sock = fixture_path(&x->f, "sock");
    _cleanup_free_ char *head =
        xasprintf("GET " PODS "/p/%s HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\n%s\r\n", target, headers);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(sun.sun_path, sock);
    struct timeval t = {.tv_sec = 10};
    (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    if (connect(fd, (struct sockaddr *) &sun, sizeof(sun)) < 0 || fd_write_all(fd, head, strlen(head)) < 0)
        return -1;
    for (char c; got && !strstr(strbuf_str(got), "\r\n\r\n") && read(fd, &c, 1) == 1;)
        strbuf_addc(got, c);
    return fd;
}

#define WEBSOCKET(protocol)                                                                                            \
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"               \
    "Sec-WebSocket-Protocol: " protocol "\r\n"

static int connect_exec(struct context *x, const char *query, struct strbuf *got) {
    _cleanup_free_ char *target = xasprintf("exec?%s", query);
    return connect_upgrade(x, target, WEBSOCKET("v5.channel.k8s.io"), got);
}

/* A masked binary frame with a mask of zeroes. */
static void send_frame(int fd, const void *p, size_t n) {
    uint8_t f[128] = {0x82, (uint8_t) (0x80 | n)};
    memcpy(f + 6, p, n);
    (void) !fd_write_all(fd, f, n + 6);
}

static void run_exec(struct blocking *b) {
    char buf[512];
    int fd = connect_exec(b->x, b->path, &b->got);
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
    _cleanup_strbuf_ struct strbuf got = STRBUF_INIT;
    int fd = connect_exec(b->x, b->path, &got);
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

/* --- a client that does not listen at once --- */

static void read_rest(int fd, struct strbuf *got) {
    char buf[512];
    for (ssize_t n; (n = read(fd, buf, sizeof(buf))) > 0;)
        strbuf_add(got, buf, (size_t) n);
    (void) close(fd);
}

static void send_pong(int fd, const char *payload, size_t n) {
    uint8_t f[16] = {0x8a, (uint8_t) (0x80 | n)};
    memcpy(f + 6, payload, n);
    (void) !fd_write_all(fd, f, n + 6);
}

/* Reads a ping of one byte, nothing else being there before it; -1: something else. */
static int read_ping(int fd) {
    uint8_t f[3];
    return read(fd, f, 3) == 3 && f[0] == 0x89 && f[1] == 1 ? f[2] : -1;
}

/* Says what is there within 50 ms: nothing yet, when the server waits. */
static bool silent(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 50) == 0;
}

/* As kubectl without stdin: nothing but answers to pings. */
static void run_exec_pongs(struct blocking *b) {
    int fd = connect_exec(b->x, b->path, &b->got), first = read_ping(fd);
    strbuf_adds(&b->got, first >= 0 && silent(fd) ? "held;" : "early;");
    send_pong(fd, &(char){(char) first}, 1);
    int second = read_ping(fd);
    strbuf_adds(&b->got, second >= 0 && second != first && silent(fd) ? "held;" : "early;");
    send_pong(fd, &(char){(char) first}, 1); /* the same again is no proof */
    strbuf_adds(&b->got, silent(fd) ? "held;" : "early;");
    send_pong(fd, &(char){(char) second}, 1);
    read_rest(fd, &b->got);
}

static void run_exec_volunteer(struct blocking *b) {
    int fd = connect_exec(b->x, b->path, &b->got);
    strbuf_adds(&b->got, read_ping(fd) >= 0 ? "held;" : "early;");
    send_pong(fd, "", 0);
    read_rest(fd, &b->got);
}

/* No answer at all: bounded waiting. */
static void run_exec_mute(struct blocking *b) {
    int fd = connect_exec(b->x, b->path, &b->got);
    strbuf_adds(&b->got, read_ping(fd) >= 0 && silent(fd) ? "held;" : "early;");
    read_rest(fd, &b->got);
}

static void check_held(struct context *x, void (*run)(struct blocking *b), const char *held) {
    struct blocking b = {.x = x, .run = run, .path = "command=echo&stdout=1&stderr=1"};
    x->instant = true;
    begin(&b);
    finish(&b);
    const char *behind = strstr(strbuf_str(&b.got), "\r\n\r\n");
    assert_non_null(behind);
    assert_memory_equal(behind + 4, held, strlen(held));
    assert_non_null(find(&b.got, "\x82\4\2bye", 6));
    assert_non_null(find(&b.got, "{\"metadata\":{},\"status\":\"Success\"}", 34));
    assert_non_null(find(&b.got, "\x88\2\3\xe8", 4));
    strbuf_finish(&b.got);
}

static void test_output_waits_for_the_client(void **state) {
    check_held(*state, run_exec_pongs, "held;held;held;");
    check_held(*state, run_exec_volunteer, "held;");
    check_held(*state, run_exec_mute, "held;");
}

/* Before v5 nothing says that the input has ended: the command ends by itself. Here: when it gets "!". */
static void run_exec_base64(struct blocking *b) {
    int fd = connect_upgrade(b->x, b->path, WEBSOCKET("v4.base64.channel.k8s.io"), &b->got);
    send_frame(fd, "0aGVsbG8=", 9);
    send_frame(fd, "0???", 4); /* no base64: dropped */
    send_frame(fd, "4eyJXaWR0aCI6ODAsIkhlaWdodCI6MjR9", 33);
    send_frame(fd, "0IQ==", 5);
    read_rest(fd, &b->got);
}

static void test_exec_base64(void **state) {
    struct context *x = *state;
    struct blocking b = {.x = x, .run = run_exec_base64, .path = "exec?command=cat&stdin=1&stdout=1&stderr=1"};
    begin(&b);
    finish(&b);
    assert_string_equal(strbuf_str(&x->seen), "exec c cat in 1 out 1 err 1 tty 0;resize 80 24;");
    assert_string_equal(strbuf_str(&x->stdin_), "hello!");
    assert_non_null(find(&b.got,
                         "\x81\x09"
                         "1aGVsbG8=",
                         11)); /* text frames */
    assert_non_null(find(&b.got,
                         "\x81\x05"
                         "2Ynll",
                         7));
    assert_non_null(find(&b.got, "3eyJtZXRhZGF0YSI6e30sInN0YXR1cyI6IlN1Y2Nlc3MifQ==", 49)); /* a Status */
    strbuf_finish(&b.got);
}

static void run_exec_first(struct blocking *b) {
    int fd = connect_upgrade(b->x, b->path, WEBSOCKET("channel.k8s.io"), &b->got);
    send_frame(fd, "\0!", 2);
    read_rest(fd, &b->got);
}

static void test_exec_first_protocol(void **state) {
    struct context *x = *state;
    struct blocking b = {.x = x, .run = run_exec_first, .path = "exec?command=cat&stdin=1&stdout=1"};
    x->exit_status = 4;
    begin(&b);
    finish(&b);
    assert_non_null(find(&b.got, "\3command terminated with non-zero exit code: exit status 4", 58)); /* no Status */
    strbuf_finish(&b.got);
}

static void test_attach_ends_well(void **state) {
    struct context *x = *state;
    struct blocking b = {.x = x, .run = run_exec_base64, .path = "attach?stdin=1&stdout=1"};
    x->exit_status = 4;
    begin(&b);
    finish(&b);
    assert_non_null(find(&b.got, "3eyJtZXRhZGF0YSI6e30sInN0YXR1cyI6IlN1Y2Nlc3MifQ==", 49));
    strbuf_finish(&b.got);
}

static void run_refused(struct blocking *b) {
    int fd = connect_upgrade(b->x, b->path, "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v9.channel.k8s.io\r\n",
                             &b->got);
    char c;
    while (!strstr(strbuf_str(&b->got), "server accepts") && read(fd, &c, 1) == 1)
        strbuf_addc(&b->got, c);
    (void) close(fd);
}

static void test_unknown_protocols(void **state) {
    struct context *x = *state;
    struct blocking b = {.x = x, .run = run_refused, .path = "exec?command=cat&stdout=1"};
    begin(&b);
    finish(&b);
    assert_non_null(strstr(strbuf_str(&b.got), "HTTP/1.1 403"));
    assert_non_null(strstr(strbuf_str(&b.got), "client supports [v9.channel.k8s.io], server accepts"));
    assert_string_equal(strbuf_str(&x->seen), "");
    strbuf_finish(&b.got);
}

static void run_forward(struct blocking *b) {
    int fd = connect_upgrade(b->x, b->path, WEBSOCKET("v4.channel.k8s.io"), &b->got);
    send_frame(fd, "\0abc", 4);
    send_frame(fd, "\2!", 2);
    send_frame(fd, "\1x", 2); /* an error channel, and one that is not there: dropped */
    send_frame(fd, "\10x", 2);
    send_frame(fd, "\0!", 2);
    read_rest(fd, &b->got);
}

static void test_forward_channels(void **state) {
    struct context *x = *state;
    struct blocking b = {.x = x, .run = run_forward, .path = "portforward?ports=80&ports=8080"};
    begin(&b);
    finish(&b);
    assert_string_equal(strbuf_str(&x->seen), "forward p 80;forward p 8080;");
    assert_string_equal(strbuf_str(&x->stdin_), "abc!!");
    assert_non_null(find(&b.got, "\x82\3\0\x50\0\x82\3\1\x50\0\x82\3\2\x90\x1f\x82\3\3\x90\x1f", 20)); /* ports first */
    assert_non_null(find(&b.got, "\x82\4\0abc", 6));
    assert_non_null(find(&b.got, "\x82\2\2!", 4));
    assert_non_null(find(&b.got, "\x88\2\3\xe8", 4));
    strbuf_finish(&b.got);
    _cleanup_answer_ struct answer bad = ask(&x->f, "GET", PODS "/p/portforward?ports=0", NULL);
    assert_code(bad, 400);
}

/* --- SPDY, written by hand --- */

static void u32(struct strbuf *b, uint32_t v) {
    const uint8_t bytes[] = {(uint8_t) (v >> 24), (uint8_t) (v >> 16), (uint8_t) (v >> 8), (uint8_t) v};
    strbuf_add(b, bytes, 4);
}

static void add_syn(struct strbuf *b, struct spdy_packer *packer, uint32_t id, const char *type) {
    char *pairs[] = {(char *) "streamtype", (char *) type, (char *) "port", (char *) "80", (char *) "requestid",
                     (char *) "7",          NULL};
    _cleanup_strbuf_ struct strbuf p = STRBUF_INIT;
    spdy_pack(packer, &(struct spdy_headers){pairs}, &p);
    u32(b, 0x80030001u);
    u32(b, (uint32_t) p.len + 10);
    u32(b, id);
    u32(b, 0);
    strbuf_add(b, "\0\0", 2);
    strbuf_add(b, p.data, p.len);
}

static void add_data(struct strbuf *b, uint32_t id, const char *text, bool fin) {
    u32(b, id);
    u32(b, (fin ? 1u << 24 : 0) | (uint32_t) strlen(text));
    strbuf_adds(b, text);
}

static void run_spdy_exec(struct blocking *b) {
    _cleanup_strbuf_ struct strbuf f = STRBUF_INIT;
    struct spdy_packer *packer = spdy_packer_new();
    int fd = connect_upgrade(b->x, b->path,
                             "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: "
                             "v5.channel.k8s.io\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n",
                             &b->got);
    const char *types[] = {"error", "stdin", "stdout", "stderr", "resize"};
    for (uint32_t i = 0; i < ARRAY_LEN(types); i++)
        add_syn(&f, packer, 2 * i + 1, types[i]);
    add_data(&f, 9, "{\"Width\":80,\"Hei", false);
    add_data(&f, 9, "ght\":24}\n", false);
    add_data(&f, 3, "hello", false);
    add_data(&f, 3, "", true);
    (void) !fd_write_all(fd, f.data, f.len);
    read_rest(fd, &b->got);
    spdy_packer_free(packer);
}

static void test_spdy_exec(void **state) {
    struct context *x = *state;
    struct blocking b = {.x = x, .run = run_spdy_exec, .path = "exec?command=cat&stdin=1&stdout=1&stderr=1"};
    x->exit_status = 3;
    begin(&b);
    finish(&b);
    assert_non_null(strstr(strbuf_str(&b.got), "X-Stream-Protocol-Version: v4.channel.k8s.io"));
    assert_string_equal(strbuf_str(&x->seen), "exec c cat in 1 out 1 err 1 tty 0;resize 80 24;");
    assert_string_equal(strbuf_str(&x->stdin_), "hello");
    assert_non_null(find(&b.got, "\0\0\0\5\0\0\0\5hello", 13));
    assert_non_null(find(&b.got, "\0\0\0\7\0\0\0\3bye", 11));
    assert_non_null(find(&b.got, "{\"reason\":\"ExitCode\",\"message\":\"3\"}", 35));
    assert_non_null(find(&b.got, "\0\0\0\1\1\0\0\0", 8)); /* the error stream ends */
    strbuf_finish(&b.got);
}

static void run_spdy_forward(struct blocking *b) {
    _cleanup_strbuf_ struct strbuf f = STRBUF_INIT;
    struct spdy_packer *packer = spdy_packer_new();
    int fd = connect_upgrade(b->x, b->path, WEBSOCKET("SPDY/3.1+portforward.k8s.io"), &b->got);
    add_syn(&f, packer, 1, "error");
    add_data(&f, 1, "", true);
    send_frame(fd, f.data, f.len);
    strbuf_reset(&f);
    add_syn(&f, packer, 3, "data");
    add_data(&f, 3, "ping", false);
    add_data(&f, 3, "!", false);
    send_frame(fd, f.data, f.len);
    while (!find(&b->got, "\0\0\0\3\1\0\0\0", 8)) {
        char buf[512];
        ssize_t n = read(fd, buf, sizeof(buf));
        if (n <= 0)
            break;
        strbuf_add(&b->got, buf, (size_t) n);
    }
    (void) close(fd);
    spdy_packer_free(packer);
}

static void test_spdy_forward(void **state) {
    struct context *x = *state;
    struct blocking b = {.x = x, .run = run_spdy_forward, .path = "portforward"};
    begin(&b);
    finish(&b);
    assert_non_null(strstr(strbuf_str(&b.got), "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io"));
    assert_string_equal(strbuf_str(&x->seen), "forward p 80;");
    assert_string_equal(strbuf_str(&x->stdin_), "ping!");
    assert_non_null(find(&b.got, "\0\0\0\3\0\0\0\4ping", 12));
    assert_non_null(find(&b.got, "\0\0\0\3\1\0\0\0", 8));
    strbuf_finish(&b.got);
}

/* --- proxying: the node echoes the request as if it were the answer --- */

static void run_proxy(struct blocking *b) {
    static const char again[] = "GET /api/v1/secrets HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer secret\r\n\r\n";
    int fd = connect_upgrade(b->x, b->path, "X-Own: 1\r\nTE: trailers\r\nUpgrade: echo\r\n", &b->got);
    (void) !fd_write_all(fd, again, strlen(again)); /* for the API server, as the client believes */
    read_rest(fd, &b->got);
}

static void test_proxy_passes_one_request(void **state) {
    struct context *x = *state;
    struct blocking b = {.x = x, .run = run_proxy, .path = "proxy/a%20b/?y=%26&z="};
    begin(&b);
    finish(&b);
    assert_string_equal(strbuf_str(&x->seen), "forward p 80;");
    const char *request = strbuf_str(&x->stdin_);
    assert_non_null(strstr(request, "GET /a%20b/?y=%26&z= HTTP/1.1\r\n"));
    assert_non_null(strstr(request, "\r\nX-Own: 1\r\n"));
    assert_non_null(strstr(request, "\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"));
    assert_null(strstr(request, "TE: "));
    assert_null(strstr(request, "secret")); /* no 101: what the client sends next is not the pod's */
    assert_string_equal(strbuf_str(&b.got), request);
    assert_int_equal(x->cancelled, 1);
    strbuf_finish(&b.got);
    _cleanup_answer_ struct answer scheme = ask(&x->f, "GET", PODS "/ftp:p:443/proxy/", NULL);
    assert_code(scheme, 400);
    _cleanup_answer_ struct answer port = ask(&x->f, "GET", PODS "/p:none/proxy/", NULL);
    assert_code(port, 400);
    _cleanup_answer_ struct answer service = ask(&x->f, "GET", "/api/v1/namespaces/default/services/none/proxy/", NULL);
    assert_code(service, 404);
}

/* A pod that does not speak TLS: it gets the first message and says the same. */
static void test_proxy_tls(void **state) {
    struct context *x = *state;
    struct blocking b = {.x = x, .run = run_get, .path = PODS "/https:p:443/proxy/who"};
    begin(&b);
    finish(&b);
    assert_string_equal(strbuf_str(&x->seen), "forward p 443;");
    assert_true(x->stdin_.len > 100 && x->stdin_.data[0] == 22); /* a handshake record */
    assert_null(memmem(x->stdin_.data, x->stdin_.len, "who", 3));
    assert_code(b.answer, 503);
    assert_non_null(strstr(message_of(&b.answer), "error trying to reach port 443 of pod p: tls: "));
    assert_int_equal(x->cancelled, 1);
    answer_finish(&b.answer);
}

static void test_proxy_to_node(void **state) {
    struct context *x = *state;
    _cleanup_answer_ struct answer n = ask(&x->f, "POST", "/api/v1/nodes", "{\"metadata\":{\"name\":\"n1\"}}");
    assert_code(n, 201);
    struct blocking b = {.x = x, .run = run_get, .path = "/api/v1/nodes/https:n1:10250/proxy/stats/summary?a=b"};
    begin(&b);
    finish(&b);
    assert_string_equal(strbuf_str(&x->seen), "query n1 GET /stats/summary?a=b;");
    assert_code(b.answer, 200);
    assert_string_equal(strbuf_str(&b.answer.text), "ok");
    answer_finish(&b.answer);
    _cleanup_answer_ struct answer port = ask(&x->f, "GET", "/api/v1/nodes/n1:80/proxy/", NULL);
    assert_code(port, 400);
    _cleanup_answer_ struct answer none = ask(&x->f, "GET", "/api/v1/nodes/none/proxy/", NULL);
    assert_code(none, 404);
}

/* The server goes down with a command and a follower attached. */
static void test_shutdown(void **state) {
    struct context *x = *state;
    struct blocking b = {.x = x, .run = run_impatient};
    int fd = connect_exec(x, "command=sleep&stdout=1", NULL);
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
        cmocka_unit_test_setup_teardown(test_output_waits_for_the_client, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exec_hangup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exec_base64, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exec_first_protocol, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attach_ends_well, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_protocols, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forward_channels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spdy_exec, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spdy_forward, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy_passes_one_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy_tls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy_to_node, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shutdown, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
