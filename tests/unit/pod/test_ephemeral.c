/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Containers that come while the pod runs, or are held back. */
#include "tests/unit/pod/stage.h"

static struct json *debugger(struct stage *s, const char *name, const char *target, const char *script) {
    struct json *c = container(s, name, script, false);

    if (target)
        json_set(&c, "target", json_string(target));
    return c;
}

static void write_spec(struct stage *s, const struct json *doc) {
    _cleanup_free_ char *spec = path_join(s->dir, POD_FILE_SPEC), *text = json_to_text(doc);
    assert_int_equal(file_write_atomic(spec, text, strlen(text), 0600, false, NULL), 0);
}

static void exec_true(struct stage *s, const char *container, int expected) {
    _cleanup_free_ char *op =
        xasprintf("{\"op\":\"exec\",\"id\":\"x\",\"container\":\"%s\",\"args\":[\"/bin/true\"]}", container);
    tell(s, op);
    for (;;) {
        _cleanup_json_ struct json *m = receive(s, 10000, NULL);
        assert_non_null(m);
        if (strcmp(json_str_or(json_get(m, "event"), ""), "exec-exit") == 0) {
            assert_int_equal(json_int_or(json_get(m, "exitCode"), -1), expected);
            return;
        }
    }
}

/* One shares the target's processes, ends, and stays ended; a second has its own. What ran before goes on as it was:
 * watched, restarted, reachable. */
static void test_debug_containers(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 1);
    add(&doc, "containers", container(&s, "main", "sleep 4711", false));
    launch(&s, json_ref(doc));
    connect_to(&s);
    tell(&s, NETWORK);
    wait_for(&s, "main", "running", 0);
    add(&doc, "ephemeralContainers", debugger(&s, "dbg", "main", "cat /proc/*/cmdline > /shared/seen; exit 3"));
    write_spec(&s, doc);
    tell(&s, "{\"op\":\"reload\"}");
    wait_for(&s, "dbg", "terminated", 0);
    assert_int_equal(json_int_or(json_get(of(s.state, "dbg"), "exitCode"), 0), 3);
    assert_true(json_bool_or(json_get(of(s.state, "dbg"), "ephemeral"), false));
    _cleanup_free_ char *path = xasprintf("%s/shared/seen", s.dir);
    _cleanup_strbuf_ struct strbuf seen = STRBUF_INIT;
    assert_int_equal(file_read(path, 65536, &seen, NULL), 0);
    assert_non_null(memmem(strbuf_str(&seen), seen.len, "4711", 4));

    add(&doc, "ephemeralContainers", debugger(&s, "other", NULL, "echo $$ > /shared/pid; sleep 1000"));
    write_spec(&s, doc);
    tell(&s, "{\"op\":\"reload\"}");
    tell(&s, "{\"op\":\"reload\"}"); /* nothing new */
    wait_for(&s, "other", "running", 0);
    exec_true(&s, "other", 0);
    exec_true(&s, "main", 0);
    assert_int_equal(kill((pid_t) json_int_or(json_get(of(s.state, "main"), "pid"), 0), SIGKILL), 0);
    wait_for(&s, "main", "running", 1);
    assert_string_equal(state_of(&s, "dbg"), "terminated");
    assert_string_equal(state_of(&s, "other"), "running");
    assert_int_equal(kill((pid_t) json_int_or(json_get(of(s.state, "other"), "pid"), 0), SIGKILL), 0);
    wait_for(&s, "other", "terminated", 0);

    add(&doc, "ephemeralContainers", debugger(&s, "late", "dbg", "true"));
    write_spec(&s, doc);
    tell(&s, "{\"op\":\"reload\"}");
    wait_for(&s, "late", "terminated", 0);
    assert_string_equal(json_str(json_get(of(s.state, "late"), "message")), "the target container dbg is not running");
    tell(&s, "{\"op\":\"stop\"}");
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    check_clean(&s);
    json_unref(doc);
    stage_finish(&s);
}

/* They hold nothing up: the pod is complete when its containers are. */
static void test_do_not_hold_the_pod(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Never", 1);
    add(&doc, "containers", container(&s, "main", "while :; do test -e /shared/go && exit 0; sleep 0.02; done", false));
    add(&doc, "ephemeralContainers",
        debugger(&s, "dbg", NULL, "echo > /shared/go; trap 'exit 0' TERM; while :; do sleep 0.05; done"));
    launch(&s, doc);
    connect_to(&s);
    tell(&s, NETWORK);
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    _cleanup_json_ struct json *final = final_state(&s);
    assert_int_equal(json_int_or(json_get(of(final, "main"), "exitCode"), -1), 0);
    assert_string_equal(json_str(json_get(of(final, "dbg"), "state")), "terminated");
    check_clean(&s);
    stage_finish(&s);
}

static void put(struct json **doc, size_t i, struct json *take) {
    struct json **slot = json_edit_at(json_edit(doc, "containers"), i);

    json_unref(*slot);
    *slot = take;
}

/* One of two cannot be started: the other runs. It comes, goes on when it is held again, and is not restarted then;
 * what is run in it has what it was started with. */
static void test_held(void **state) {
    struct stage s;

    stage_new(&s);
    struct json *doc = pod_doc("Always", 1), *held = NULL;
    json_set_path(&held, json_string("CreateContainerConfigError"), "held", "reason");
    json_set_path(&held, json_string("configmap \"x\" not found"), "held", "message");
    json_set(&held, "name", json_string("b"));
    add(&doc, "containers", container(&s, "a", "sleep 1000", false));
    add(&doc, "containers", json_ref(held));
    launch(&s, json_ref(doc));
    connect_to(&s);
    tell(&s, NETWORK);
    wait_for(&s, "a", "running", 0);
    assert_string_equal(state_of(&s, "b"), "waiting");
    assert_string_equal(json_str(json_get(of(s.state, "b"), "message")), "configmap \"x\" not found");

    put(&doc, 1, container(&s, "b", "sleep 1000", false));
    write_spec(&s, doc);
    tell(&s, "{\"op\":\"reload\"}");
    wait_for(&s, "b", "running", 0);
    put(&doc, 1, json_ref(held));
    write_spec(&s, doc);
    exec_true(&s, "b", 0);
    assert_int_equal(kill((pid_t) json_int_or(json_get(of(s.state, "b"), "pid"), 0), SIGKILL), 0);
    wait_for(&s, "b", "waiting", 0);
    assert_string_equal(json_str(json_get(of(s.state, "b"), "reason")), "CreateContainerConfigError");
    assert_int_equal(json_int_or(json_path(of(s.state, "b"), "last", "exitCode"), 0), 137);
    put(&doc, 1, container(&s, "b", "sleep 1000", false));
    write_spec(&s, doc);
    tell(&s, "{\"op\":\"reload\"}");
    wait_for(&s, "b", "running", 1);
    tell(&s, "{\"op\":\"stop\"}");
    assert_int_equal(wait_exit(&s), POD_EXIT_OK);
    check_clean(&s);
    json_unref(held);
    json_unref(doc);
    stage_finish(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_debug_containers),
        cmocka_unit_test(test_do_not_hold_the_pod),
        cmocka_unit_test(test_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
