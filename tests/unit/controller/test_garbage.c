/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/controller/cluster.h"

#include "orchestrator/controller/garbage/controller.h"
#include "orchestrator/controller/garbage/decide.h"

/* owner → child → grandchild, all ConfigMaps; blockOwnerDeletion as given. */
static void family(struct cluster *c, const char *block) {
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'owner','uid':'u1'}}"));
    _cleanup_free_ char *child =
        xasprintf("{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'child','uid':'u2','ownerReferences':[{"
                  "'apiVersion':'v1','kind':'ConfigMap','name':'owner','uid':'u1','blockOwnerDeletion':%s}]}}",
                  block);
    _cleanup_free_ char *grandchild = xasprintf(
        "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'grandchild','uid':'u3','ownerReferences':[{"
        "'apiVersion':'v1','kind':'ConfigMap','name':'child','uid':'u2','blockOwnerDeletion':%s}]}}",
        block);
    json_unref(fake_create(c->fake, child));
    json_unref(fake_create(c->fake, grandchild));
}

static struct json *map(struct cluster *c, const char *name) {
    return fake_get(c->fake, fake_resource("configmaps"), "default", name);
}

static void ignore(void *userdata, const struct client_result *result) {
    assert_true(client_ok(result));
}

static void delete_map(struct cluster *c, const char *name, const char *policy) {
    _cleanup_json_ struct json *options = json_object();
    json_set(&options, "propagationPolicy", json_string(policy));
    struct client_request r = {
        .verb = CLIENT_DELETE, .resource = fake_resource("configmaps"), .ns = "default", .name = name, .body = options};
    (void) client_start(c->env.client, &r, ignore, NULL);
}

static void start(struct cluster *c, const char *block) {
    family(c, block);
    cluster_start(c, &garbage_controller);
    fake_settle(c->loop);
    fake_run_for(c->loop, 120 * USEC_PER_MSEC);
    assert_count(c, "configmaps", 3); /* nothing of a living family goes */
}

static void test_background_deletion_takes_the_whole_tree(void **state) {
    struct cluster *c = *state;
    start(c, "false");
    delete_map(c, "owner", "Background");
    assert_count(c, "configmaps", 0);
}

static void test_foreground_deletion_goes_from_the_leaves_up(void **state) {
    struct cluster *c = *state;
    start(c, "true");
    fake_merge(c->fake, fake_resource("configmaps"), "default", "grandchild", "{'metadata':{'finalizers':['x/hold']}}");
    delete_map(c, "owner", "Foreground");
    assert_count(c, "configmaps", 3); /* the leaf is held, so all wait */
    assert_non_null(json_path(map(c, "child"), "metadata", "deletionTimestamp"));
    assert_non_null(json_path(map(c, "grandchild"), "metadata", "deletionTimestamp"));
    fake_remove(c->fake, fake_resource("configmaps"), "default", "grandchild");
    assert_count(c, "configmaps", 0);
}

static void test_orphaning_cuts_the_children_loose(void **state) {
    struct cluster *c = *state;
    start(c, "true");
    delete_map(c, "owner", "Orphan");
    assert_count(c, "configmaps", 2);
    assert_null(map(c, "owner"));
    assert_int_equal(json_len(json_path(map(c, "child"), "metadata", "ownerReferences")), 0);
    assert_int_equal(json_len(json_path(map(c, "grandchild"), "metadata", "ownerReferences")), 1);
}

static void test_what_has_another_owner_stays_without_the_lost_one(void **state) {
    struct cluster *c = *state;
    start(c, "false");
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'other','uid':'u9'}}"));
    json_unref(fake_create(c->fake,
                           "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'shared','ownerReferences':["
                           "{'apiVersion':'v1','kind':'ConfigMap','name':'owner','uid':'u1'},"
                           "{'apiVersion':'v1','kind':'Secret','name':'other','uid':'u9'}]}}"));
    fake_settle(c->loop);
    delete_map(c, "owner", "Background");
    assert_count(c, "configmaps", 1);
    const struct json *refs = json_path(map(c, "shared"), "metadata", "ownerReferences");
    assert_int_equal(json_len(refs), 1);
    assert_string_equal(json_str(json_get(json_at(refs, 0), "name")), "other");
}

static void test_an_object_born_after_its_owner_died_goes(void **state) {
    struct cluster *c = *state;
    start(c, "false");
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'late','ownerReferences':["
                                    "{'apiVersion':'v1','kind':'ConfigMap','name':'owner','uid':'another-life'}]}}"));
    assert_count(c, "secrets", 0);
    assert_count(c, "configmaps", 3);
}

static void test_owners_that_cannot_be_judged_keep_their_objects(void **state) {
    struct cluster *c = *state;
    start(c, "false");
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'custom','ownerReferences':["
                                    "{'apiVersion':'example.com/v1','kind':'Gizmo','name':'g','uid':'g1'}]}}"));
    fake_fail(c->fake, CLIENT_GET, "configmaps", 500, "InternalError", 1000);
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'unsure','ownerReferences':["
                                    "{'apiVersion':'v1','kind':'ConfigMap','name':'gone','uid':'g2'}]}}"));
    fake_run_for(c->loop, 40 * USEC_PER_MSEC);
    assert_count(c, "secrets", 2);
    fake_heal(c->fake);
    fake_run_for(c->loop, 200 * USEC_PER_MSEC);
    assert_count(c, "secrets", 1);
}

struct plan_case {
    enum owner_state a, b;
    bool dependents;
    const char *meta; /* more metadata */
    enum garbage_action action;
    const char *policy;
};

static void test_decisions(void **state) {
    static const struct plan_case cases[] = {
        {OWNER_SOLID, OWNER_SOLID, false, "", GARBAGE_NOTHING, NULL},
        {OWNER_SOLID, OWNER_ABSENT, false, "", GARBAGE_UNLINK, NULL},
        {OWNER_WAITING, OWNER_SOLID, true, "", GARBAGE_UNLINK, NULL},
        {OWNER_ABSENT, OWNER_ABSENT, true, "", GARBAGE_DELETE, "Background"},
        {OWNER_WAITING, OWNER_ABSENT, true, "", GARBAGE_DELETE, "Foreground"},
        {OWNER_WAITING, OWNER_ABSENT, false, "", GARBAGE_DELETE, "Background"},
        {OWNER_ABSENT, OWNER_ABSENT, true, ",'finalizers':['orphan']", GARBAGE_DELETE, "Orphan"},
        {OWNER_ABSENT, OWNER_ABSENT, true, ",'deletionTimestamp':'x'", GARBAGE_NOTHING, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *text = xasprintf("{'metadata':{'ownerReferences':[{},{}]%s}}", cases[i].meta);
        _cleanup_json_ struct json *o = fake_json(text);
        enum owner_state states[2] = {cases[i].a, cases[i].b};
        struct garbage_plan p = garbage_decide(o, states, cases[i].dependents);
        assert_int_equal(p.action, cases[i].action);
        assert_string_equal(p.policy ? p.policy : "-", cases[i].policy ? cases[i].policy : "-");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_background_deletion_takes_the_whole_tree),
        T(test_foreground_deletion_goes_from_the_leaves_up),
        T(test_orphaning_cuts_the_children_loose),
        T(test_what_has_another_owner_stays_without_the_lost_one),
        T(test_an_object_born_after_its_owner_died_goes),
        T(test_owners_that_cannot_be_judged_keep_their_objects),
        cmocka_unit_test(test_decisions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
