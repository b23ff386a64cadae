/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When probes are due, what their outcomes mean, where they point. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "orchestrator/agent/probes/grpc.h"
#include "orchestrator/agent/probes/target.h"
#include "orchestrator/agent/probes/worker.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define SEC  USEC_PER_SEC
#define MSEC USEC_PER_MSEC

static struct json *parse(const char *text) {
    struct json *v = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (json_parse(text, strlen(text), NULL, &v, &err) < 0)
        fail_msg("%s in %s", error_text(&err, -1), text);
    return v;
}

static struct probe_worker worker(enum probe_kind kind, const char *probe) {
    _cleanup_json_ struct json *doc = parse(probe);
    struct probe_worker w;

    probe_worker_init(&w, kind, doc);
    return w;
}

static const struct probe_container up = {
    .id = "one", .running = true, .hooked = true, .started = true, .started_at = 100 * SEC};

/* The probe that is due, ended with this outcome after 5 ms. */
static enum probe_verdict run(struct probe_worker *w, const struct probe_container *c, enum probe_outcome outcome,
                              uint64_t *at) {
    *at = probe_worker_see(w, c);
    assert_true(*at > 0);
    probe_worker_began(w, *at);
    assert_int_equal(probe_worker_see(w, c), 0); /* one at a time */
    return probe_worker_ended(w, outcome, *at + 5 * MSEC);
}

static void times(void **state) {
    struct probe_worker w = worker(PROBE_LIVENESS, "{\"initialDelaySeconds\":7,\"periodSeconds\":3}");
    uint64_t at;

    assert_true(w.passed);
    assert_int_equal(run(&w, &up, PROBE_SUCCESS, &at), PROBE_PASSED);
    assert_int_equal(at / MSEC, 107000);
    assert_int_equal(run(&w, &up, PROBE_SUCCESS, &at), PROBE_PASSED);
    assert_int_equal(at / MSEC, 110000);
    /* one that took longer than its period: the next follows at once, what was missed is not made up for */
    at = probe_worker_see(&w, &up);
    probe_worker_began(&w, at);
    (void) probe_worker_ended(&w, PROBE_SUCCESS, at + 8 * SEC);
    at = probe_worker_see(&w, &up);
    assert_int_equal(at / MSEC, 116000);
    probe_worker_began(&w, 121 * SEC);
    (void) probe_worker_ended(&w, PROBE_SUCCESS, 121 * SEC);
    assert_int_equal(probe_worker_see(&w, &up) / MSEC, 124000);
}

static void thresholds(void **state) {
    struct probe_worker w =
        worker(PROBE_READINESS, "{\"successThreshold\":2,\"failureThreshold\":3,\"periodSeconds\":1}");
    uint64_t at;

    assert_false(w.passed);
    assert_int_equal(run(&w, &up, PROBE_SUCCESS, &at), PROBE_COUNTED);
    assert_int_equal(run(&w, &up, PROBE_FAILURE, &at), PROBE_COUNTED);
    assert_int_equal(run(&w, &up, PROBE_SUCCESS, &at), PROBE_COUNTED);
    assert_int_equal(run(&w, &up, PROBE_SUCCESS, &at), PROBE_PASSED);
    assert_true(w.passed);
    assert_int_equal(run(&w, &up, PROBE_FAILURE, &at), PROBE_COUNTED);
    assert_int_equal(run(&w, &up, PROBE_REFUSED, &at), PROBE_COUNTED);
    assert_true(w.passed);
    assert_int_equal(run(&w, &up, PROBE_FAILURE, &at), PROBE_FAILED);
    assert_false(w.passed);
    assert_true(probe_worker_see(&w, &up) > 0); /* readiness goes on */
}

/* A failed liveness probe rests until the next run; that one begins anew. */
static void on_hold(void **state) {
    struct probe_worker w = worker(PROBE_LIVENESS, "{\"failureThreshold\":1}");
    struct probe_container next = up;
    uint64_t at;

    assert_int_equal(run(&w, &up, PROBE_REFUSED, &at), PROBE_FAILED);
    assert_int_equal(probe_worker_see(&w, &up), 0);
    next.running = false;
    assert_int_equal(probe_worker_see(&w, &next), 0);
    next = up;
    next.id = "two";
    next.started_at = 200 * SEC;
    assert_int_equal(run(&w, &next, PROBE_SUCCESS, &at), PROBE_PASSED);
    assert_int_equal(at / SEC, 210); /* not in its first moment: it has to start */
}

static void gates(void **state) {
    struct probe_worker s = worker(PROBE_STARTUP, "{}"), l = worker(PROBE_LIVENESS, "{}"),
                        r = worker(PROBE_READINESS, "{}");
    struct probe_container c = up;
    uint64_t at;

    c.started = false;
    assert_int_equal(probe_worker_see(&l, &c), 0);
    assert_int_equal(probe_worker_see(&r, &c), 0);
    c.hooked = false;
    assert_int_equal(probe_worker_see(&s, &c), 0);
    c.hooked = true;
    assert_int_equal(run(&s, &c, PROBE_SUCCESS, &at), PROBE_PASSED);
    c.started = true;
    assert_int_equal(probe_worker_see(&s, &c), 0);
    assert_true(probe_worker_see(&l, &c) > 0);
    assert_true(probe_worker_see(&r, &c) > 0);
    c.stopping = true; /* a pod that ends is not restarted, but may become unready */
    assert_int_equal(probe_worker_see(&l, &c), 0);
    assert_true(probe_worker_see(&r, &c) > 0);
    c.running = false;
    assert_int_equal(probe_worker_see(&r, &c), 0);
}

/* Nobody listens yet: asked again soon, uncounted, for one period; then it counts. */
static void warm_up(void **state) {
    struct probe_worker w = worker(PROBE_READINESS, "{\"periodSeconds\":10,\"failureThreshold\":1}");
    uint64_t at, last = 0;
    int n = 0;

    while (run(&w, &up, PROBE_REFUSED, &at) == PROBE_UNCOUNTED) {
        if (n == 1)
            assert_true(at < 100 * SEC + 50 * MSEC);
        assert_true(at <= 110 * SEC + 1);
        last = at;
        n++;
    }
    assert_in_range(n, 10, 25);
    assert_true(last < at);
    assert_int_equal(at / SEC, 110);
    assert_true(probe_worker_see(&w, &up) >= 120 * SEC);

    w = worker(PROBE_READINESS, "{\"periodSeconds\":10}");
    assert_int_equal(run(&w, &up, PROBE_REFUSED, &at), PROBE_UNCOUNTED);
    assert_int_equal(run(&w, &up, PROBE_SUCCESS, &at), PROBE_PASSED);
    assert_true(at < 100 * SEC + 100 * MSEC);
    assert_true(probe_worker_see(&w, &up) > 109 * SEC);
    assert_int_equal(run(&w, &up, PROBE_REFUSED, &at), PROBE_COUNTED); /* it listened once: now it is a failure */
}

static void resumed(void **state) {
    struct probe_worker w = worker(PROBE_READINESS, "{}");
    uint64_t at;

    probe_worker_resume(&w, "one", true);
    assert_int_equal(run(&w, &up, PROBE_REFUSED, &at), PROBE_COUNTED);
    assert_true(w.passed);
    probe_worker_resume(&w, "zero", true);
    assert_true(probe_worker_see(&w, &up) > 0);
    assert_false(w.passed); /* that was another run */
}

static void urls(void **state) {
    static const struct {
        const char *handler, *address, *url;
    } cases[] = {
        {"{\"port\":80}", "10.1.0.2", "http://10.1.0.2:80/"},
        {"{\"port\":\"web\",\"path\":\"/a b?c=d\",\"scheme\":\"HTTPS\"}", "10.1.0.2",
         "https://10.1.0.2:8443/a%20b?c=d"},
        {"{\"port\":\"81\",\"path\":\"x\",\"host\":\"example.org\"}", "10.1.0.2", "http://example.org:81/x"},
        {"{\"port\":80,\"path\":\"/../\\u00e9#f\"}", "fd00::2", "http://[fd00::2]:80/../%C3%A9"},
        {"{\"port\":\"none\"}", "10.1.0.2", NULL},
        {"{\"port\":70000}", "10.1.0.2", NULL},
    };
    _cleanup_json_ struct json *container = parse("{\"ports\":[{\"name\":\"web\",\"containerPort\":8443}]}");

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *handler = parse(cases[i].handler);
        _cleanup_free_ char *url = NULL;
        int r = probe_http_url(container, handler, cases[i].address, &url, NULL);
        if (cases[i].url) {
            assert_int_equal(r, 0);
            assert_string_equal(url, cases[i].url);
        } else {
            assert_int_equal(r, -EINVAL);
        }
    }
    _cleanup_json_ struct json *get =
        parse("{\"httpHeaders\":[{\"name\":\"Host\",\"value\":\"a.b\"},{\"name\":\"X\",\"value\":\"1\\r\\nY: 2\"}]}");
    _cleanup_strv_ char **headers = probe_http_headers(get);
    assert_int_equal(strv_len(headers), 1);
    assert_string_equal(headers[0], "Host: a.b");
}

static void documents(void **state) {
    _cleanup_json_ struct json *spec =
        parse("{\"initContainers\":[{\"name\":\"i\",\"startupProbe\":{}}],\"containers\":[{\"name\":\"plain\","
              "\"image\":\"x\",\"lifecycle\":{\"preStop\":{\"exec\":{}}}},{\"name\":\"hooked\",\"image\":\"x\","
              "\"lifecycle\":{\"preStop\":{\"httpGet\":{\"port\":1}}}}]}");
    _cleanup_json_ struct json *docs = probe_documents(spec);

    assert_int_equal(json_len(docs), 2);
    assert_true(json_bool_or(json_get(json_at(docs, 0), "init"), false));
    assert_string_equal(json_str(json_get(json_at(docs, 1), "name")), "hooked");
    assert_int_equal(json_int_or(json_path(json_at(docs, 1), "lifecycle", "preStop", "httpGet", "port"), 0), 1);
    assert_null(json_get(json_at(docs, 1), "image"));
}

static void grpc_messages(void **state) {
    static const struct {
        const char *bytes;
        size_t n;
        int status;
    } answers[] = {
        {"\0\0\0\0\2\10\1", 7, 1},
        {"\0\0\0\0\2\10\2", 7, 2},
        {"\0\0\0\0\0", 5, 0},
        {"\0\0\0\0\2\10", 6, -EBADMSG},
        {"\1\0\0\0\2\10\1", 7, -EBADMSG},
        {"\0\0\0\0\6\22\2xx\10\1", 11, 1},
        {"\0\0\0\0\2\22\7", 7, -EBADMSG},
        {"", 0, -EBADMSG},
    };
    _cleanup_strbuf_ struct strbuf request = STRBUF_INIT, empty = STRBUF_INIT;

    grpc_health_request("ab", &request);
    assert_int_equal(request.len, 9);
    assert_memory_equal(request.data, "\0\0\0\0\4\12\2ab", 9);
    grpc_health_request("", &empty);
    assert_int_equal(empty.len, 5);
    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        assert_int_equal(grpc_health_answer(answers[i].bytes, answers[i].n), answers[i].status);
    assert_string_equal(grpc_health_name(2), "NOT_SERVING");
    assert_string_equal(grpc_health_name(77), "UNKNOWN");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times), cmocka_unit_test(thresholds), cmocka_unit_test(on_hold),
        cmocka_unit_test(gates), cmocka_unit_test(warm_up),    cmocka_unit_test(resumed),
        cmocka_unit_test(urls),  cmocka_unit_test(documents),  cmocka_unit_test(grpc_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
