/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pods/resize of a real server. */
#include "tests/unit/apiserver/server_fixture.h"

#define PODS "/api/v1/namespaces/default/pods"

static const char *cpu_of(const struct answer *a) {
    return json_str_or(json_path(json_at(json_path(a->body, "spec", "containers"), 0), "resources", "requests", "cpu"),
                       "");
}

static void test_resize(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer made =
        ask(f, "POST", PODS,
            "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"resources\":{"
            "\"requests\":{\"cpu\":\"100m\"}}}]}}");
    assert_code(made, 201);
    _cleanup_answer_ struct answer shown = ask(f, "GET", PODS "/p/resize", NULL);
    assert_code(shown, 200);
    assert_string_equal(json_get_str(shown.body, "kind"), "Pod");
    /* kubectl patch --subresource resize; the image is none of its business */
    _cleanup_answer_ struct answer patched =
        ask_as(f, "PATCH", PODS "/p/resize", "application/strategic-merge-patch+json", NULL,
               "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"j\",\"resources\":{\"requests\":{\"cpu\":"
               "\"200m\"}}}]}}");
    assert_code(patched, 200);
    assert_string_equal(cpu_of(&patched), "200m");
    assert_string_equal(json_str_or(json_path(patched.body, "status", "resize"), ""), "Proposed");
    assert_string_equal(json_get_str(json_at(json_path(patched.body, "spec", "containers"), 0), "image"), "i");
    _cleanup_answer_ struct answer stored = ask(f, "GET", PODS "/p", NULL);
    assert_string_equal(cpu_of(&stored), "200m");

    _cleanup_answer_ struct answer removed =
        ask(f, "PATCH", PODS "/p/resize", "{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{}}]}}");
    assert_status(
        removed, 422, "Invalid",
        "Pod \"p\" is invalid: [spec: Invalid value: \"Burstable\": Pod QOS Class may not change as a result "
        "of resizing, spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed]");
    /* by PUT, and not through the pod itself */
    struct json *body = json_ref(stored.body);
    json_set_path(json_edit_at(json_edit(json_edit(&body, "spec"), "containers"), 0), json_string("300m"), "resources",
                  "requests", "cpu");
    _cleanup_free_ char *text = json_to_text(body);
    json_unref(body);
    _cleanup_answer_ struct answer plain = ask(f, "PUT", PODS "/p", text);
    assert_code(plain, 422);
    _cleanup_answer_ struct answer put = ask(f, "PUT", PODS "/p/resize", text);
    assert_code(put, 200);
    assert_string_equal(cpu_of(&put), "300m");
}

/* What a node reports of it is kept; a node that reports nothing cannot do it. */
static void test_reported(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer made = ask(
        f, "POST", PODS,
        "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"nodeName\":\"n\",\"containers\":[{\"name\":\"c\",\"image\":\"i\","
        "\"resources\":{\"requests\":{\"cpu\":\"100m\"}}}]}}");
    assert_code(made, 201);
    static const char size[] = "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"resources\":{\"requests\":"
                               "{\"cpu\":\"200m\"}}}]}}";
    static const char running[] =
        "{\"status\":{\"phase\":\"Running\",\"resize\":\"InProgress\",\"containerStatuses\":[{"
        "\"name\":\"c\",\"image\":\"i\",\"imageID\":\"x\",\"ready\":true,\"restartCount\":0,%s"
        "\"state\":{\"running\":{\"startedAt\":\"2026-01-01T00:00:00Z\"}}}]}}";
    _cleanup_free_ char *silent = xasprintf(running, ""),
                        *telling = xasprintf(running, "\"allocatedResources\":{\"cpu\":\"100m\"},\"resources\":{"
                                                      "\"requests\":{\"cpu\":\"100m\"}},");
    _cleanup_answer_ struct answer old_node = ask(f, "PATCH", PODS "/p/status", silent);
    assert_code(old_node, 200);
    _cleanup_answer_ struct answer refused = ask(f, "PATCH", PODS "/p/resize", size);
    assert_status(refused, 422, "Invalid",
                  "Pod \"p\" is invalid: spec: Forbidden: Pod running on node without support for resize");
    _cleanup_answer_ struct answer node = ask(f, "PATCH", PODS "/p/status", telling);
    assert_code(node, 200);
    const struct json *c = json_at(json_path(node.body, "status", "containerStatuses"), 0);
    assert_string_equal(json_str_or(json_path(node.body, "status", "resize"), ""), "InProgress");
    assert_string_equal(json_str_or(json_path(c, "allocatedResources", "cpu"), ""), "100m");
    assert_string_equal(json_str_or(json_path(c, "resources", "requests", "cpu"), ""), "100m");
    _cleanup_answer_ struct answer taken = ask(f, "PATCH", PODS "/p/resize", size);
    assert_code(taken, 200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_resize, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_reported, fixture_setup_local, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
