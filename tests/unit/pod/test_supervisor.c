/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The supervisor's life of a pod: order, restarts, ends, hooks, execs. */
#include "tests/unit/pod/stage.h"

static void test_order_and_stop(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 10);
    add(&doc, "initContainers", container(&s, "first", "echo first >> /shared/order", false));
    add(&doc, "initContainers",
        container(&s, "side",
                  "trap 'echo side-ends >> /shared/order; exit 0' TERM; echo side >> /shared/order; while :; do sleep "
                  "0.05; done",
                  true));
    add(&doc, "initContainers", container(&s, "second", "sleep 0.2; echo second >> /shared/order", false));
    add(&doc, "containers",
        container(&s, "main",
                  "trap 'sleep 0.3; echo main-ends >> /shared/order; exit 0' TERM; echo main $(hostname) >> "
                  "/shared/order; while :; do sleep 0.05; done",
                  false));
    launch(&s, doc);
    connect_to(&s);
    assert_string_equal(state_of(&s, "main"), "waiting");
    assert_string_equal(json_str(json_get(of(s.state, "main"), "reason")), "PodInitializing");
    tell(&s, NETWORK);
    wait_for(&s, "main", "running", 0);
    usleep(200000);
    _cleanup_free_ char *order = shared_text(&s, "order");
    assert_string_equal(order, "first\nside\nsecond\nmain pod-host\n");
    assert_int_equal(kill(s.pid, SIGTERM), 0); /* as systemd does */
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    _cleanup_free_ char *ended = shared_text(&s, "order");
    assert_string_equal(ended, "first\nside\nsecond\nmain pod-host\nmain-ends\nside-ends\n");
    _cleanup_json_ struct json *final = final_state(&s);
    assert_true(json_bool_or(json_get(final, "finished"), false));
    assert_string_equal(json_str(json_get(of(final, "main"), "reason")), "Completed");
    check_clean(&s);
    stage_finish(&s);
}

static void test_restart(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 1);
    /* leaves a file in its writable layer, which must be gone after the restart */
    add(&doc, "containers",
        container(&s, "a", "test -e /mark && echo dirty > /shared/dirty; echo > /mark; sleep 1000", false));
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    wait_for(&s, "a", "running", 0);
    uint64_t before = now_monotonic_usec();
    assert_int_equal(kill((pid_t) json_int_or(json_get(of(s.state, "a"), "pid"), 0), SIGKILL), 0);
    wait_for(&s, "a", "running", 1); /* the first time at once */
    assert_true(now_monotonic_usec() - before < 2 * USEC_PER_SEC);
    const struct json *last = json_get(of(s.state, "a"), "last");
    assert_int_equal(json_int_or(json_get(last, "exitCode"), 0), 137);
    assert_int_equal(json_int_or(json_get(last, "signal"), 0), 9);
    assert_string_equal(json_str(json_get(last, "reason")), "Error");
    assert_int_equal(kill((pid_t) json_int_or(json_get(of(s.state, "a"), "pid"), 0), SIGKILL), 0);
    wait_for(&s, "a", "waiting", 1);
    assert_string_equal(json_str(json_get(of(s.state, "a"), "reason")), "CrashLoopBackOff");
    assert_true(json_int_or(json_get(of(s.state, "a"), "retryAt"), 0) >
                (int64_t) (now_realtime_usec() + 8 * USEC_PER_SEC));
    tell(&s, "{\"op\":\"stop\"}"); /* in back-off nothing runs: at once */
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    _cleanup_free_ char *dirty = xasprintf("%s/shared/dirty", s.dir);
    assert_int_equal(access(dirty, F_OK), -1);
    check_clean(&s);
    stage_finish(&s);
}

static void test_grace(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 600);
    add(&doc, "containers", container(&s, "stubborn", "trap '' TERM; while :; do sleep 1; done", false));
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    wait_for(&s, "stubborn", "running", 0);
    uint64_t before = now_monotonic_usec();
    tell(&s, "{\"op\":\"stop\",\"gracePeriodSeconds\":600}");
    tell(&s, "{\"op\":\"stop\",\"gracePeriodSeconds\":1}"); /* a second word can only shorten it */
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    uint64_t took = now_monotonic_usec() - before;
    assert_true(took > 900 * USEC_PER_MSEC && took < 4 * USEC_PER_SEC);
    _cleanup_json_ struct json *final = final_state(&s);
    assert_int_equal(json_int_or(json_get(of(final, "stubborn"), "exitCode"), 0), 137);
    check_clean(&s);
    stage_finish(&s);
}

static void test_never(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Never", 5);
    add(&doc, "initContainers", container(&s, "side", "trap 'exit 0' TERM; while :; do sleep 0.05; done", true));
    add(&doc, "containers", container(&s, "job", "exit 7", false));
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    assert_int_equal(wait_exit(&s), POD_EXIT_OK); /* all by itself, the sidecar told to go */
    _cleanup_json_ struct json *final = final_state(&s);
    assert_int_equal(json_int_or(json_get(of(final, "job"), "exitCode"), 0), 7);
    assert_string_equal(json_str(json_get(of(final, "side"), "state")), "terminated");
    check_clean(&s);
    stage_finish(&s);
}

static void exec_in(struct stage *s, const char *command, bool tty, int out_fd) {
    _cleanup_free_ char *text = xasprintf("{\"op\":\"exec\",\"id\":\"e\",\"container\":\"a\",\"args\":[\"/bin/sh\",\"-"
                                          "c\",\"%s\"],\"tty\":%s,\"stdout\":%s}",
                                          command, tty ? "true" : "false", tty ? "false" : "true");
    assert_true(fd_send_message(s->sock, text, strlen(text), &out_fd, tty ? 0 : 1) > 0);
}

static int wait_exec_exit(struct stage *s, int *console) {
    for (;;) {
        int fd = -1;
        _cleanup_json_ struct json *m = receive(s, 5000, &fd);
        assert_non_null(m);
        if (fd >= 0 && console)
            *console = fd;
        if (strcmp(json_str_or(json_get(m, "event"), ""), "exec-exit") == 0)
            return (int) json_int_or(json_get(m, "exitCode"), -1);
    }
}

static void test_exec(void **state) {
    struct stage s;
    char text[256] = "";
    int fds[2], console = -1;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 1);
    add(&doc, "containers", container(&s, "a", "echo here > /tmp/x; sleep 1000", false));
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    wait_for(&s, "a", "running", 0);
    usleep(100000);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    exec_in(&s, "cat /tmp/x; hostname; exit 3", false, fds[1]);
    closep(&fds[1]);
    assert_int_equal(wait_exec_exit(&s, NULL), 3);
    assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
    assert_string_equal(text, "here\npod-host\n");
    closep(&fds[0]);

    exec_in(&s, "tty && echo yes", true, -1);
    assert_int_equal(wait_exec_exit(&s, &console), 0);
    assert_true(console >= 0);
    memset(text, 0, sizeof(text));
    size_t n = 0;
    ssize_t k;
    while (n < sizeof(text) - 1 && (k = read(console, text + n, sizeof(text) - 1 - n)) > 0)
        n += (size_t) k;
    assert_non_null(strstr(text, "/dev/pts/"));
    assert_non_null(strstr(text, "yes"));
    closep(&console);

    tell(&s, "{\"op\":\"exec\",\"id\":\"e\",\"container\":\"nobody\",\"args\":[\"x\"]}");
    assert_int_equal(wait_exec_exit(&s, NULL), -1);
    tell(&s, "{\"op\":\"dance\"}");
    _cleanup_json_ struct json *answer = receive(&s, 2000, NULL);
    assert_string_equal(json_str_or(json_get(answer, "event"), ""), "error");
    stage_finish(&s);
}

static void test_agent_comes_and_goes(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 1);
    add(&doc, "containers", container(&s, "a", "sleep 1000", false));
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    wait_for(&s, "a", "running", 0);
    pid_t pid = (pid_t) json_int_or(json_get(of(s.state, "a"), "pid"), 0);
    closep(&s.sock); /* the agent is gone; healing goes on without it */
    assert_int_equal(kill(pid, SIGKILL), 0);
    usleep(500000);
    connect_to(&s);
    assert_string_equal(state_of(&s, "a"), "running");
    assert_int_equal(json_int_or(json_get(of(s.state, "a"), "restartCount"), 0), 1);
    assert_true(json_int_or(json_get(of(s.state, "a"), "pid"), 0) != pid);
    _cleanup_json_ struct json *file = final_state(&s);
    assert_true(json_equal(json_get(file, "containers"), json_get(s.state, "containers")));
    stage_finish(&s);
}

static void test_failures_leave_nothing(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Never", 1);
    struct json *c = container(&s, "a", "x", false);
    json_set_path(&c, json_array(), "config", "process", "args");
    json_append(json_edit(json_edit(json_edit(&c, "config"), "process"), "args"), json_string("/no/such/program"));
    add(&doc, "containers", c);
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    _cleanup_json_ struct json *final = final_state(&s);
    assert_string_equal(json_str(json_get(of(final, "a"), "reason")), "StartError");
    assert_int_equal(json_int_or(json_get(of(final, "a"), "exitCode"), 0), 128);
    assert_non_null(strstr(json_str(json_get(of(final, "a"), "message")), "/no/such/program"));
    check_clean(&s);

    /* a sandbox that cannot be made */
    doc = pod_doc("Never", 1);
    add(&doc, "containers", container(&s, "a", "true", false));
    json_set_path(&doc, json_string("1"), "sysctls", "net.no.such.thing");
    closep(&s.sock);
    launch(&s, doc);
    assert_int_equal(wait_exit(&s), POD_EXIT_SANDBOX);
    _cleanup_json_ struct json *failed = final_state(&s);
    assert_non_null(strstr(json_str_or(json_get(failed, "error"), ""), "net.no.such.thing"));
    check_clean(&s);
    stage_finish(&s);
}

static void test_hooks_and_sharing(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 5);
    json_set(&doc, "shareProcessNamespace", json_bool(true));
    struct json *a =
        container(&s, "a", "echo a-$$ >> /shared/pids; trap 'exit 0' TERM; while :; do sleep 0.05; done", false);
    struct json *post = json_array(), *pre = json_array();
    static const char *const words[2][3] = {{"/bin/sh", "-c", "sleep 0.3; echo post >> /shared/hooks"},
                                            {"/bin/sh", "-c", "echo pre >> /shared/hooks"}};
    for (size_t i = 0; i < 3; i++) {
        json_append(&post, json_string(words[0][i]));
        json_append(&pre, json_string(words[1][i]));
    }
    json_set_path(&a, post, "postStart", "exec");
    json_set_path(&a, pre, "preStop", "exec");
    add(&doc, "containers", a);
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    wait_for(&s, "a", "running", 0);
    assert_false(json_bool_or(json_get(of(s.state, "a"), "started"), true)); /* the hook still sleeps */
    while (!json_bool_or(json_get(of(s.state, "a"), "started"), false)) {
        _cleanup_json_ struct json *m = receive(&s, 5000, NULL);
        assert_non_null(m);
    }
    tell(&s, "{\"op\":\"stop\"}");
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    _cleanup_free_ char *hooks = shared_text(&s, "hooks"), *pids = shared_text(&s, "pids");
    assert_string_equal(hooks, "post\npre\n");
    assert_string_not_equal(pids, "a-1\n"); /* somebody else is PID 1 there */
    check_clean(&s);
    stage_finish(&s);
}

/* The next event of this name. */
static struct json *event(struct stage *s, const char *name) {
    for (;;) {
        struct json *m = receive(s, 10000, NULL);
        assert_non_null(m);
        if (strcmp(json_str_or(json_get(m, "event"), ""), name) == 0)
            return m;
        json_unref(m);
    }
}

static void answer(struct stage *s, const struct json *hook, const char *error) {
    struct json *m = json_ref(hook);

    json_set(&m, "op", json_string("hook-done"));
    if (error)
        json_set(&m, "error", json_string(error));
    _cleanup_free_ char *text = json_to_text(m);
    tell(s, text);
    json_unref(m);
}

static struct json *hooked_container(struct stage *s, const char *script) {
    struct json *c = container(s, "a", script, false);
    _cleanup_free_ char *words = xasprintf("%s/words/a", s->dir);
    struct json *mounts = json_object(), *options = json_array();

    json_set_path(&c, json_bool(true), "postStart", "http");
    json_set_path(&c, json_bool(true), "preStop", "http");
    json_set(&c, "startupProbe", json_bool(true));
    json_set(&c, "terminationMessageFile", json_string(words));
    json_append(&options, json_string("bind"));
    json_set(&mounts, "destination", json_string("/dev/words"));
    json_set(&mounts, "type", json_string("bind"));
    json_set(&mounts, "source", json_string(words));
    json_set(&mounts, "options", options);
    json_append(json_edit(json_edit(&c, "config"), "mounts"), mounts);
    return c;
}

static void wait_for_text(const struct stage *s, const char *file) {
    _cleanup_free_ char *words = path_join(s->dir, file);
    uint64_t until = now_monotonic_usec() + 15 * USEC_PER_SEC;
    struct stat st;

    while (stat(words, &st) < 0 || st.st_size == 0) {
        assert_true(now_monotonic_usec() < until);
        usleep(5000);
    }
}

/* Hooks the agent runs: asked for, asked again of the next agent, their outcome obeyed. Last words are kept. */
static void test_hooks_of_the_agent(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 2);
    add(&doc, "containers",
        hooked_container(
            &s, "trap 'echo bye; printf \"last \\377 words\" > /dev/words; exit 3' TERM; echo listens > /dev/words; "
                "while :; do sleep 0.05; done"));
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    _cleanup_json_ struct json *asked = event(&s, "hook");
    assert_string_equal(json_str(json_get(asked, "hook")), "postStart");
    closep(&s.sock); /* this agent ends; the next is asked */
    connect_to(&s);
    _cleanup_json_ struct json *again = event(&s, "hook");
    assert_string_equal(json_str(json_get(again, "containerID")), json_str(json_get(asked, "containerID")));
    answer(&s, again, NULL);
    while (!json_bool_or(json_get(of(s.state, "a"), "postStartDone"), false))
        json_unref(event(&s, "state"));
    assert_false(json_bool_or(json_get(of(s.state, "a"), "started"), true)); /* the startup probe is missing */
    _cleanup_free_ char *started = xasprintf("{\"op\":\"started\",\"container\":\"a\",\"containerID\":\"%s\"}",
                                             json_str(json_get(of(s.state, "a"), "containerID")));
    tell(&s, started);
    while (!json_bool_or(json_get(of(s.state, "a"), "started"), false))
        json_unref(event(&s, "state"));

    /* restarted for its probe: preStop first, then the signal; the next run's postStart fails: that run ends, too */
    wait_for_text(&s, "words/a"); /* else the signal comes before its trap */
    tell(&s, "{\"op\":\"restart\",\"container\":\"a\",\"message\":\"probe\"}");
    _cleanup_json_ struct json *pre = event(&s, "hook");
    assert_string_equal(json_str(json_get(pre, "hook")), "preStop");
    answer(&s, pre, NULL);
    _cleanup_json_ struct json *post = event(&s, "hook"); /* asked before the state is told */
    wait_for(&s, "a", "running", 1);
    assert_string_equal(json_str(json_path(of(s.state, "a"), "last", "message")), "last \xEF\xBF\xBD words");
    assert_int_equal(json_int_or(json_path(of(s.state, "a"), "last", "exitCode"), 0), 3);
    answer(&s, post, "refused");
    _cleanup_json_ struct json *failed = event(&s, "hook-failed");
    assert_string_equal(json_str(json_get(failed, "message")), "refused");
    assert_string_equal(json_str(json_get(failed, "hook")), "postStart");

    /* nobody answers its preStop: the grace ends, then it still has its two seconds, in which it ends by itself */
    wait_for(&s, "a", "waiting", 1);
    tell(&s, "{\"op\":\"stop\"}");
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    stage_finish(&s);
}

/* A preStop hook that never ends takes the grace, not the program's own two seconds. */
static void test_hook_without_end(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 1);
    struct json *c = container(
        &s, "a",
        "trap 'sleep 0.3; echo ended > /shared/end; exit 0' TERM; echo > /shared/listens; while :; do sleep 0.05; done",
        false);
    json_set_path(&c, json_bool(true), "preStop", "http");
    add(&doc, "containers", c);
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    wait_for(&s, "a", "running", 0);
    wait_for_text(&s, "shared/listens");
    tell(&s, "{\"op\":\"stop\"}");
    _cleanup_json_ struct json *failed = event(&s, "hook-failed");
    assert_string_equal(json_str(json_get(failed, "hook")), "preStop");
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    _cleanup_free_ char *end = shared_text(&s, "end");
    assert_string_equal(end, "ended\n");
    check_clean(&s);
    stage_finish(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_stop),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_grace),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_exec),
        cmocka_unit_test(test_agent_comes_and_goes),
        cmocka_unit_test(test_failures_leave_nothing),
        cmocka_unit_test(test_hooks_and_sharing),
        cmocka_unit_test(test_hooks_of_the_agent),
        cmocka_unit_test(test_hook_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
