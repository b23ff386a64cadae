/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pull policies and their back-off. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "orchestrator/agent/images/policy.h"
#include "podium/base/clock.h"

static void test_steps(void **state) {
    static const struct {
        struct image_view view;
        enum image_step step;
    } cases[] = {
        {{.policy = IMAGE_IF_NOT_PRESENT, .present = true}, IMAGE_STEP_USE},
        {{.policy = IMAGE_IF_NOT_PRESENT}, IMAGE_STEP_PULL},
        {{.policy = IMAGE_NEVER, .present = true}, IMAGE_STEP_USE},
        {{.policy = IMAGE_NEVER}, IMAGE_STEP_MISSING},
        {{.policy = IMAGE_ALWAYS, .present = true}, IMAGE_STEP_PULL},
        {{.policy = IMAGE_ALWAYS, .present = true, .pulled = true}, IMAGE_STEP_USE},
        {{.policy = IMAGE_ALWAYS, .pulled = true}, IMAGE_STEP_PULL}, /* removed again before its use */
        {{.policy = IMAGE_ALWAYS, .present = true, .pulling = true}, IMAGE_STEP_WAIT},
        {{.policy = IMAGE_IF_NOT_PRESENT, .now = 5, .next_at = 6}, IMAGE_STEP_BACK_OFF},
        {{.policy = IMAGE_IF_NOT_PRESENT, .now = 6, .next_at = 6}, IMAGE_STEP_PULL},
        /* imported by hand meanwhile: no need to wait */
        {{.policy = IMAGE_IF_NOT_PRESENT, .present = true, .now = 5, .next_at = 6}, IMAGE_STEP_USE},
        {{.policy = IMAGE_ALWAYS, .present = true, .now = 5, .next_at = 6}, IMAGE_STEP_BACK_OFF},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(image_step(&cases[i].view), cases[i].step);
}

static void test_default_policy(void **state) {
    static const struct {
        const char *container;
        enum image_policy policy;
    } cases[] = {
        {"{\"image\":\"nginx\"}", IMAGE_ALWAYS},
        {"{\"image\":\"nginx:latest\"}", IMAGE_ALWAYS},
        {"{\"image\":\"nginx:1\"}", IMAGE_IF_NOT_PRESENT},
        {"{\"image\":\"registry:5000/nginx\"}", IMAGE_ALWAYS},
        {"{\"image\":\"registry:5000/nginx:1\"}", IMAGE_IF_NOT_PRESENT},
        {"{\"image\":\"nginx@sha256:00\"}", IMAGE_IF_NOT_PRESENT},
        {"{\"image\":\"nginx\",\"imagePullPolicy\":\"Never\"}", IMAGE_NEVER},
        {"{\"image\":\"nginx:1\",\"imagePullPolicy\":\"Always\"}", IMAGE_ALWAYS},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_json_ struct json *c = NULL;
        size_t n = 0;
        while (cases[i].container[n])
            n++;
        assert_int_equal(json_parse(cases[i].container, n, NULL, &c, NULL), 0);
        assert_int_equal(image_policy_of(c), cases[i].policy);
    }
}

static void test_back_off(void **state) {
    assert_int_equal(image_back_off(1), 10 * USEC_PER_SEC);
    assert_int_equal(image_back_off(2), 20 * USEC_PER_SEC);
    assert_int_equal(image_back_off(5), 160 * USEC_PER_SEC);
    assert_int_equal(image_back_off(6), 300 * USEC_PER_SEC);
    assert_int_equal(image_back_off(1000), 300 * USEC_PER_SEC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_default_policy),
        cmocka_unit_test(test_back_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
