/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/controller/cluster.h"

#include "orchestrator/controller/tokensecret/controller.h"
#include "podium/base/base64.h"

#define SECRET                                                                                                         \
    "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'s','namespace':'default','annotations':{"                  \
    "'kubernetes.io/service-account.name':'robot'}},'type':'kubernetes.io/service-account-token'}"
#define PLAIN                                                                                                          \
    "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'plain','namespace':'default','annotations':{"              \
    "'kubernetes.io/service-account.name':'robot'}},'type':'Opaque'}"
#define ACCOUNT "{'apiVersion':'v1','kind':'ServiceAccount','metadata':{'name':'robot','namespace':'default'}}"

static const struct json *secret(struct cluster *c, const char *name) {
    return fake_get(c->fake, fake_resource("secrets"), "default", name);
}

static char *value(struct cluster *c, const char *key) {
    const char *text = json_str_or(json_path(secret(c, "s"), "data", key), "");
    uint8_t *bytes = NULL;
    size_t n;

    assert_int_equal(base64_decode(text, strlen(text), &bytes, &n), 0);
    return (char *) bytes;
}

static void test_filled_and_removed(void **state) {
    struct cluster *c = *state;

    c->env.options.ca_pem = "PEM";
    json_unref(fake_create(c->fake, ACCOUNT));
    json_unref(fake_create(c->fake, SECRET));
    json_unref(fake_create(c->fake, PLAIN));
    cluster_start(c, &tokensecret_controller);
    fake_run_for(c->loop, 200 * USEC_PER_MSEC);
    _cleanup_free_ char *token = value(c, "token"), *ca = value(c, "ca.crt"), *ns = value(c, "namespace");
    assert_string_equal(token, "robot/s//4294967296");
    assert_string_equal(ca, "PEM");
    assert_string_equal(ns, "default");
    assert_null(json_get(secret(c, "plain"), "data"));
    fake_remove(c->fake, fake_resource("serviceaccounts"), "default", "robot");
    fake_run_for(c->loop, 200 * USEC_PER_MSEC);
    assert_null(secret(c, "s"));
    assert_non_null(secret(c, "plain"));
}

static void test_without_account(void **state) {
    struct cluster *c = *state;

    json_unref(fake_create(c->fake, SECRET));
    cluster_start(c, &tokensecret_controller);
    fake_run_for(c->loop, 200 * USEC_PER_MSEC);
    assert_null(secret(c, "s"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_filled_and_removed, cluster_setup, cluster_teardown),
        cmocka_unit_test_setup_teardown(test_without_account, cluster_setup, cluster_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
