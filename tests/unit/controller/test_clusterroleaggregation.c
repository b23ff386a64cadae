/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/controller/cluster.h"

#include "orchestrator/controller/clusterroleaggregation/controller.h"

#define ROLE(name, label, rest)                                                                                        \
    "{'apiVersion':'rbac.authorization.k8s.io/v1','kind':'ClusterRole','metadata':{'name':'" name "','labels':{"       \
    "'to-" label "':'yes'}}," rest "}"
#define RULES(resource) "'rules':[{'apiGroups':[''],'resources':['" resource "'],'verbs':['get']}]"
#define SELECT(label)                                                                                                  \
    "'aggregationRule':{'clusterRoleSelectors':[{'matchLabels':{'to-" label "':'yes'}}]},'rules':["                    \
    "{'apiGroups':[''],'resources':['stale'],'verbs':['get']}]"

/* The resources a role's rules name, in their order. */
static char *resources_of(struct cluster *c, const char *name) {
    const struct json *role = fake_get(c->fake, fake_resource("clusterroles"), "", name);
    const struct json *rules = json_get(role, "rules");
    struct strbuf b = STRBUF_INIT;
    for (size_t i = 0; i < json_len(rules); i++)
        strbuf_addf(&b, "%s%s", i ? " " : "", json_str(json_at(json_get(json_at(rules, i), "resources"), 0)));
    return strbuf_steal(&b);
}

#define assert_resources(c, name, want)                                                                                \
    do {                                                                                                               \
        _cleanup_free_ char *have = resources_of(c, name);                                                             \
        assert_string_equal(have, want);                                                                               \
    } while (0)

/* By name, each rule once, also through a role that is aggregated itself; and what goes is taken out. */
static void test_filled(void **state) {
    struct cluster *c = *state;
    json_unref(fake_create(c->fake, ROLE("top", "nowhere", SELECT("top"))));
    json_unref(fake_create(c->fake, ROLE("middle", "top", SELECT("middle"))));
    json_unref(fake_create(c->fake, ROLE("b", "middle", RULES("pods"))));
    json_unref(fake_create(c->fake, ROLE("a", "middle", RULES("nodes"))));
    json_unref(fake_create(c->fake, ROLE("twin", "middle", RULES("pods"))));
    json_unref(fake_create(c->fake, ROLE("own", "top", RULES("secrets"))));
    json_unref(fake_create(c->fake, ROLE("other", "nothing", RULES("events"))));
    cluster_start(c, &cluster_role_aggregation_controller);
    fake_settle(c->loop);
    assert_resources(c, "middle", "nodes pods");
    assert_resources(c, "top", "nodes pods secrets");
    assert_resources(c, "other", "events");
    json_unref(fake_create(c->fake, ROLE("late", "middle", RULES("jobs"))));
    fake_settle(c->loop);
    assert_resources(c, "top", "nodes pods jobs secrets");
    fake_remove(c->fake, fake_resource("clusterroles"), "", "a");
    fake_settle(c->loop);
    assert_resources(c, "middle", "pods jobs");
    assert_resources(c, "top", "pods jobs secrets");
}

/* Who writes into such a role finds it overwritten; with nothing chosen nothing is left. */
static void test_overwritten(void **state) {
    struct cluster *c = *state;
    json_unref(fake_create(c->fake, ROLE("top", "nowhere", SELECT("top"))));
    cluster_start(c, &cluster_role_aggregation_controller);
    fake_settle(c->loop);
    assert_resources(c, "top", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_filled, cluster_setup, cluster_teardown),
        cmocka_unit_test_setup_teardown(test_overwritten, cluster_setup, cluster_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
