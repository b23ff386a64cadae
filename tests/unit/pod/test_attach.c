/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Peers attached to a container: its output copied, its input written, its terminal resized; and what they cannot do.
 */
#include "tests/unit/pod/stage.h"

#include <sys/ioctl.h>

struct attached {
    int out, errors, input;
};

static struct json *wait_event(struct stage *s, const char *name, const char *id, int *fd) {
    for (;;) {
        int got = -1;
        struct json *m = receive(s, 10000, &got);
        if (!m)
            fail_msg("no event %s for %s", name, id);
        if (strcmp(json_str_or(json_get(m, "event"), ""), name) == 0 &&
            strcmp(json_str_or(json_get(m, "id"), ""), id) == 0) {
            if (fd)
                *fd = got;
            else
                closep(&got);
            return m;
        }
        closep(&got);
        json_unref(m);
    }
}

static void attach(struct stage *s, const char *id, bool input, struct attached *ret) {
    _cleanup_free_ char *text =
        xasprintf("{\"op\":\"attach\",\"id\":\"%s\",\"container\":\"a\",\"stdin\":%s,\"stdout\":"
                  "true,\"stderr\":true}",
                  id, input ? "true" : "false");
    int out[2], errors[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
    const int theirs[] = {out[1], errors[1]};
    assert_true(fd_send_message(s->sock, text, strlen(text), theirs, 2) > 0);
    closep(&out[1]);
    closep(&errors[1]);
    *ret = (struct attached){.out = out[0], .errors = errors[0], .input = -1};
    json_unref(wait_event(s, "exec-started", id, &ret->input));
}

static void detach(struct attached *a) {
    closep(&a->out);
    closep(&a->errors);
    closep(&a->input);
    *a = (struct attached){-1, -1, -1};
}

/* Reads until the text came, or the end (text NULL). */
static char *read_until(int fd, const char *text) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char chunk[4096];

    while (!text || !strstr(strbuf_str(&b), text)) {
        if (poll(&p, 1, 10000) <= 0)
            fail_msg("\"%s\" never came; what came: %s", text ? text : "the end", strbuf_str(&b));
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n <= 0)
            break;
        strbuf_add(&b, chunk, (size_t) n);
    }
    return strbuf_steal(&b);
}

static void say(int fd, const char *text) {
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
}

static void start_pod(struct stage *s, const char *policy, const char *script, bool tty, bool input, bool once) {
    stage_new(s);
    struct json *doc = pod_doc(policy, 1), *c = container(s, "a", script, false);
    json_set(&c, "stdin", json_bool(input));
    json_set(&c, "stdinOnce", json_bool(once));
    json_set_path(&c, json_bool(tty), "config", "process", "terminal");
    add(&doc, "containers", c);
    launch(s, doc);
    connect_to(s);
    tell(s, NETWORK);
    wait_for(s, "a", "running", 0);
}

static void expect(int fd, const char *text) {
    _cleanup_free_ char *got = read_until(fd, text);
    assert_non_null(strstr(got, text));
}

static void expect_end(int fd) {
    _cleanup_free_ char *rest = read_until(fd, NULL);
    assert_string_equal(rest, "");
}

/* Two at once; each may write; one goes, the other stays, the input stays open; errors come apart. */
static void test_several(void **state) {
    struct attached one, two;
    struct stage s;

    start_pod(&s, "Never", "while read l; do echo got $l; echo err $l >&2; test $l = end && exit 7; done", false, true,
              false);
    attach(&s, "1", true, &one);
    attach(&s, "2", true, &two);
    say(one.input, "hello\n");
    expect(one.out, "got hello\n");
    expect(two.out, "got hello\n");
    expect(one.errors, "err hello\n");
    expect(two.errors, "err hello\n");
    detach(&one);
    tell(&s, "{\"op\":\"detach\",\"id\":\"1\"}");
    say(two.input, "again\n");
    expect(two.out, "got again\n");
    attach(&s, "3", false, &one); /* only looks */
    assert_int_equal(one.input, -1);
    say(two.input, "end\n");
    expect(one.out, "got end\n");
    _cleanup_json_ struct json *m2 = wait_event(&s, "exec-exit", "2", NULL);
    assert_int_equal(json_int_or(json_get(m2, "exitCode"), -1), 7);
    _cleanup_json_ struct json *m3 = wait_event(&s, "exec-exit", "3", NULL);
    assert_int_equal(json_int_or(json_get(m3, "exitCode"), -1), 7);
    expect(two.out, "got end\n");
    expect_end(two.out);
    expect_end(one.out);
    detach(&one);
    detach(&two);
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    stage_finish(&s);
}

/* stdinOnce: the first peer's end is the end of the input; who comes later gets none. */
static void test_once(void **state) {
    struct attached one, two;
    struct stage s;

    start_pod(&s, "Never", "cat; echo over; while :; do test -e /shared/go && exit 0; sleep 0.02; done", false, true,
              true);
    attach(&s, "1", true, &one);
    attach(&s, "2", true, &two);
    assert_int_equal(two.input, -1);
    say(one.input, "text\n");
    expect(two.out, "text\n");
    closep(&one.input);
    one.input = -1;
    expect(one.out, "over\n");
    _cleanup_free_ char *go = path_join(s.dir, "shared/go");
    assert_int_equal(file_write_atomic(go, "", 0, 0600, false, NULL), 0);
    _cleanup_json_ struct json *m = wait_event(&s, "exec-exit", "1", NULL);
    assert_int_equal(json_int_or(json_get(m, "exitCode"), -1), 0);
    detach(&one);
    detach(&two);
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    stage_finish(&s);
}

static void test_terminal(void **state) {
    struct winsize size = {.ws_row = 33, .ws_col = 123};
    struct attached one;
    struct stage s;

    start_pod(&s, "Never", "tty; while read l; do test $l = size && stty size; test $l = end && exit 5; done", true,
              true, true);
    attach(&s, "1", true, &one);
    assert_true(isatty(one.input));
    assert_int_equal(ioctl(one.input, TIOCSWINSZ, &size), 0);
    say(one.input, "size\n");
    expect(one.out, "33 123");
    detach(&one); /* with a terminal stdinOnce ends nothing */
    attach(&s, "2", true, &one);
    say(one.input, "size\n");
    expect(one.out, "33 123");
    say(one.input, "end\n");
    _cleanup_json_ struct json *m = wait_event(&s, "exec-exit", "2", NULL);
    assert_int_equal(json_int_or(json_get(m, "exitCode"), -1), 5);
    expect(one.out, "end\r\n"); /* the terminal's echo */
    expect_end(one.out);
    detach(&one);
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    stage_finish(&s);
}

/* A peer that does not read holds the container up for a second, then it is dropped. */
static void test_slow_peer(void **state) {
    struct attached slow, good;
    struct stage s;

    start_pod(&s, "Never",
              "while :; do test -e /shared/go && break; sleep 0.02; done; yes 0123456789 | busybox head -c "
              "2000000; echo done",
              false, false, false);
    attach(&s, "slow", false, &slow);
    attach(&s, "good", false, &good);
    _cleanup_free_ char *go = path_join(s.dir, "shared/go");
    assert_int_equal(file_write_atomic(go, "", 0, 0600, false, NULL), 0);
    _cleanup_free_ char *all = read_until(good.out, "done\n");
    assert_int_equal(strlen(all), 2000005);
    _cleanup_json_ struct json *m = wait_event(&s, "exec-exit", "slow", NULL);
    assert_non_null(json_get(m, "error"));
    detach(&slow);
    detach(&good);
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    stage_finish(&s);
}

static void test_refusals(void **state) {
    struct stage s;

    start_pod(&s, "Always", "sleep 1000", false, false, false);
    tell(&s, "{\"op\":\"attach\",\"id\":\"1\",\"container\":\"b\"}");
    _cleanup_json_ struct json *unknown = wait_event(&s, "exec-exit", "1", NULL);
    assert_non_null(json_get(unknown, "error"));
    tell(&s, "{\"op\":\"attach\",\"id\":\"2\",\"container\":\"a\",\"stdout\":true}");
    _cleanup_json_ struct json *missing = wait_event(&s, "exec-exit", "2", NULL);
    assert_non_null(json_get(missing, "error"));
    tell(&s, "{\"op\":\"detach\",\"id\":\"9\"}");
    tell(&s, "{\"op\":\"stop\"}");
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    check_clean(&s);
    stage_finish(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several),   cmocka_unit_test(test_once),     cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_slow_peer), cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
