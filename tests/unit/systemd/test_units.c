/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include <systemd/sd-event.h>

#include "orchestrator/systemd/units.h"
#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

#define UID "0f1e2d3c-0000-4000-8000-000000000000"

static void test_names(void **state) {
    _cleanup_free_ char *plain = unit_pod_name("default", "web-1.x", UID);
    assert_string_equal(plain, "podium-pod-default-web-1.x-0f1e2d3c.service");

    _cleanup_free_ char *odd = unit_pod_name("a/b", "c@d", UID);
    assert_string_equal(odd, "podium-pod-a\\x2fb-c\\x40d-0f1e2d3c.service");

    char namespace[64], name[254];
    memset(namespace, 'n', 63);
    memset(name, 'p', 253);
    namespace[63] = name[253] = 0;
    _cleanup_free_ char *longest = unit_pod_name(namespace, name, UID);
    assert_true(strlen(longest) <= 255);
    assert_non_null(strstr(longest, "-0f1e2d3c.service"));
    /* the same names with another uid never collide */
    _cleanup_free_ char *other = unit_pod_name(namespace, name, "1" UID);
    assert_string_not_equal(longest, other);
}

static void test_slices(void **state) {
    bool seen[UNIT_SUB_SLICES] = {false};
    size_t n = 0;

    for (int i = 0; i < 400; i++) {
        _cleanup_free_ char *uid = xasprintf("%d-uid", i);
        _cleanup_free_ char *slice = unit_pod_slice("BestEffort", uid);
        unsigned k;
        assert_int_equal(sscanf(slice, "podium-besteffort-%x.slice", &k), 1);
        assert_true(k < UNIT_SUB_SLICES);
        seen[k] = true;
    }
    for (size_t i = 0; i < UNIT_SUB_SLICES; i++)
        n += seen[i];
    assert_int_equal(n, UNIT_SUB_SLICES);
}

static void note(void *userdata, const char *what, const char *name, int n) {
    strbuf_addf(userdata, "%s %s %d;", what, name, n);
}
static void on_started(void *u, const char *name, int result, const char *text) {
    note(u, "started", name, result);
}
static void on_stopped(void *u, const char *name, int result, const char *text) {
    note(u, "stopped", name, result);
}
static void on_changed(void *u, const char *name, enum unit_state state) {
    note(u, "changed", name, state);
}
static void on_removed(void *u, const char *name) {
    note(u, "removed", name, 0);
}
static void on_listed(void *u, const char *const *names, const enum unit_state *states, size_t n, int r,
                      const char *text) {
    strbuf_addf(u, "listed %zu;", n);
    for (size_t i = 0; i < n; i++)
        note(u, "  unit", names[i], states[i]);
}

static const struct unit_callbacks callbacks = {on_started, on_stopped, on_changed, on_removed, on_listed};

static void test_fake(void **state) {
    sd_event *loop = NULL;
    struct unit_manager *m = NULL;
    _cleanup_strbuf_ struct strbuf log = STRBUF_INIT;
    static const char *const argv[] = {"/bin/true", NULL};
    struct unit_request q = {.name = "podium-pod-a.service", .exec_start = argv};

    assert_true(sd_event_new(&loop) >= 0);
    struct unit_fake_options options = {.loop = loop};
    assert_int_equal(unit_manager_new_fake(&options, &m, NULL), 0);
    unit_manager_set_callbacks(m, &callbacks, &log);
    assert_int_equal(unit_start(m, &q, NULL), 0);
    assert_int_equal(log.len, 0); /* never from inside the call */
    assert_true(sd_event_run(loop, 0) >= 0);
    assert_string_equal(strbuf_str(&log), "changed podium-pod-a.service 2;started podium-pod-a.service 0;");
    strbuf_reset(&log);
    assert_int_equal(unit_start(m, &q, NULL), 0);
    assert_int_equal(unit_list(m, NULL), 0);
    assert_true(sd_event_run(loop, 0) >= 0);
    assert_string_equal(strbuf_str(&log), "started podium-pod-a.service -17;listed 1;  unit podium-pod-a.service 2;");
    strbuf_reset(&log);
    assert_int_equal(unit_stop(m, q.name, NULL), 0);
    assert_true(sd_event_run(loop, 0) >= 0);
    assert_string_equal(strbuf_str(&log), "changed podium-pod-a.service 0;stopped podium-pod-a.service 0;"
                                          "removed podium-pod-a.service 0;");
    assert_false(unit_fake_has(m, q.name));
    q.exec_start = (const char *const[]){"relative", NULL};
    assert_int_equal(unit_start(m, &q, NULL), -EINVAL);
    unit_manager_free(m);
    sd_event_unref(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_slices),
                                       cmocka_unit_test(test_fake)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
