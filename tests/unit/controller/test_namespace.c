/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/controller/cluster.h"

#include "orchestrator/controller/namespace/controller.h"
#include "orchestrator/controller/serviceaccount/controller.h"

#define TEAM                                                                                                           \
    "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'team'},'spec':{'finalizers':['kubernetes']},"           \
    "'status':{'phase':'Active'}}"

static void ignore(void *userdata, const struct client_result *result) {
    assert_true(client_ok(result));
}

static void delete_team(struct cluster *c) {
    struct client_request r = {.verb = CLIENT_DELETE, .resource = fake_resource("namespaces"), .name = "team"};
    (void) client_start(c->env.client, &r, ignore, NULL);
}

static struct json *team(struct cluster *c) {
    return fake_get(c->fake, fake_resource("namespaces"), "", "team");
}

static bool team_is_gone(void *userdata) {
    return !team(userdata);
}

static void test_a_deleted_namespace_takes_its_content_along(void **state) {
    struct cluster *c = *state;
    json_unref(fake_create(c->fake, TEAM));
    json_unref(
        fake_create(c->fake, "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'a','namespace':'team'}}"));
    json_unref(fake_create(c->fake,
                           "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'a','namespace':'team'}}"));
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Event','metadata':{'name':'a','namespace':'team'}}"));
    json_unref(
        fake_create(c->fake, "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'a','namespace':'default'}}"));
    cluster_start(c, &namespace_controller);
    fake_settle(c->loop);
    assert_int_equal(fake_count(c->fake, fake_resource("configmaps"), "team"), 1);
    delete_team(c);
    assert_true(fake_wait(c->loop, team_is_gone, c));
    assert_int_equal(fake_count(c->fake, fake_resource("configmaps"), "team"), 0);
    assert_int_equal(fake_count(c->fake, fake_resource("deployments"), "team"), 0);
    assert_int_equal(fake_count(c->fake, fake_resource("configmaps"), "default"), 1);
}

static const char *condition(struct cluster *c, const char *type, const char *field) {
    const struct json *all = json_path(team(c), "status", "conditions");
    for (size_t i = 0; i < json_len(all); i++)
        if (strcmp(json_str(json_get(json_at(all, i), "type")), type) == 0)
            return json_str_or(json_get(json_at(all, i), field), "");
    return "absent";
}

static void test_it_waits_for_pods_and_finalizers_and_says_so(void **state) {
    struct cluster *c = *state;
    json_unref(fake_create(c->fake, TEAM));
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p','namespace':'team'},"
                                    "'spec':{'nodeName':'n'}}"));
    json_unref(fake_create(c->fake,
                           "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'held','namespace':'team',"
                           "'finalizers':['example.com/hold']}}"));
    cluster_start(c, &namespace_controller);
    fake_settle(c->loop);
    delete_team(c);
    fake_run_for(c->loop, 60 * USEC_PER_MSEC);
    assert_string_equal(condition(c, "NamespaceContentRemaining", "status"), "True");
    assert_non_null(strstr(condition(c, "NamespaceContentRemaining", "message"), "pods has 1 resource instances"));
    assert_non_null(strstr(condition(c, "NamespaceFinalizersRemaining", "message"), "example.com/hold in 1"));
    pods_stop(c);
    fake_run_for(c->loop, 60 * USEC_PER_MSEC);
    assert_non_null(team(c));
    fake_remove(c->fake, fake_resource("configmaps"), "team", "held");
    assert_true(fake_wait(c->loop, team_is_gone, c));
}

static void test_a_failing_deletion_is_reported_and_tried_again(void **state) {
    struct cluster *c = *state;
    json_unref(fake_create(c->fake, TEAM));
    fake_fail(c->fake, CLIENT_DELETE_COLLECTION, "secrets", 500, "InternalError", 1);
    cluster_start(c, &namespace_controller);
    fake_settle(c->loop);
    delete_team(c);
    fake_run_for(c->loop, 60 * USEC_PER_MSEC);
    assert_string_equal(condition(c, "NamespaceDeletionContentFailure", "status"), "True");
    assert_true(fake_wait(c->loop, team_is_gone, c));
}

static void test_every_namespace_gets_its_account_and_ca(void **state) {
    struct cluster *c = *state;
    c->env.options.ca_pem = "PEM";
    json_unref(fake_create(c->fake, TEAM));
    cluster_start(c, &serviceaccount_controller);
    fake_settle(c->loop);
    assert_non_null(fake_get(c->fake, fake_resource("serviceaccounts"), "team", "default"));
    struct json *map = fake_get(c->fake, fake_resource("configmaps"), "team", "kube-root-ca.crt");
    assert_string_equal(json_str(json_path(map, "data", "ca.crt")), "PEM");
    fake_remove(c->fake, fake_resource("serviceaccounts"), "team", "default");
    fake_merge(c->fake, fake_resource("configmaps"), "team", "kube-root-ca.crt", "{'data':{'ca.crt':'other','x':'y'}}");
    fake_settle(c->loop);
    assert_non_null(fake_get(c->fake, fake_resource("serviceaccounts"), "team", "default"));
    map = fake_get(c->fake, fake_resource("configmaps"), "team", "kube-root-ca.crt");
    assert_string_equal(json_str(json_path(map, "data", "ca.crt")), "PEM");
    assert_null(json_path(map, "data", "x"));
}

static void test_nothing_is_put_into_an_ending_namespace(void **state) {
    struct cluster *c = *state;
    c->env.options.ca_pem = "PEM";
    json_unref(fake_create(c->fake, TEAM));
    fake_merge(c->fake, fake_resource("namespaces"), "", "team",
               "{'metadata':{'deletionTimestamp':'2024-01-01T00:00:00Z'}}");
    cluster_start(c, &serviceaccount_controller);
    fake_settle(c->loop);
    assert_int_equal(fake_count(c->fake, fake_resource("serviceaccounts"), "team"), 0);
    assert_int_equal(fake_count(c->fake, fake_resource("configmaps"), "team"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_a_deleted_namespace_takes_its_content_along),    T(test_it_waits_for_pods_and_finalizers_and_says_so),
        T(test_a_failing_deletion_is_reported_and_tried_again), T(test_every_namespace_gets_its_account_and_ca),
        T(test_nothing_is_put_into_an_ending_namespace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
