/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All controllers together, as the control plane runs them. */
#include "tests/unit/controller/cluster.h"

#include "orchestrator/controller/registry.h"

static const char *const web_text =
    "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web','namespace':'team'},"
    "'spec':{'replicas':3,'progressDeadlineSeconds':600,'revisionHistoryLimit':10,'selector':{'matchLabels':{'app':'"
    "web'}},"
    "'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxSurge':1,'maxUnavailable':0}},"
    "'template':{'metadata':{'labels':{'app':'web'}},'spec':{'containers':[{'name':'c','image':'one'}]}}}}";

struct world {
    struct cluster *c;
    struct controllers *all;
};

static int world_setup(void **state) {
    struct world *w = xnew0(struct world);
    void *cluster;
    assert_int_equal(cluster_setup(&cluster), 0);
    w->c = cluster;
    json_unref(fake_create(w->c->fake, "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'team'},"
                                       "'spec':{'finalizers':['kubernetes']},'status':{'phase':'Active'}}"));
    json_unref(fake_create(w->c->fake,
                           "{'apiVersion':'v1','kind':'Node','metadata':{'name':'n1'},'status':{'conditions':[{"
                           "'type':'Ready','status':'True'}]}}"));
    struct controller_options o = {.ca_pem = "PEM"};
    assert_int_equal(controllers_start(w->c->loop, w->c->env.client, w->c->env.informers, &o, &w->all, NULL), 0);
    fake_run_for(w->c->loop, 120 * USEC_PER_MSEC);
    *state = w;
    return 0;
}

static int world_teardown(void **state) {
    struct world *w = *state;
    void *cluster = w->c;
    controllers_free(w->all);
    /* the informers go on without their handlers */
    fake_settle(w->c->loop);
    cluster_teardown(&cluster);
    free(w);
    return 0;
}

static size_t in_team(struct world *w, const char *plural) {
    return fake_count(w->c->fake, fake_resource(plural), "team");
}

static void agents(struct world *w) {
    for (int i = 0; i < 12; i++) {
        fake_settle(w->c->loop);
        pods_run(w->c);
        fake_settle(w->c->loop);
        pods_stop(w->c);
    }
    fake_run_for(w->c->loop, 40 * USEC_PER_MSEC);
}

static void ignore(void *userdata, const struct client_result *result) {
    assert_true(client_ok(result));
}

static void delete_one(struct world *w, const char *plural, const char *ns, const char *name) {
    struct client_request r = {.verb = CLIENT_DELETE, .resource = fake_resource(plural), .ns = ns, .name = name};
    (void) client_start(w->c->env.client, &r, ignore, NULL);
}

static void test_a_deployment_lives_and_dies(void **state) {
    struct world *w = *state;
    assert_int_equal(in_team(w, "serviceaccounts"), 1);
    assert_int_equal(in_team(w, "configmaps"), 1);
    json_unref(fake_create(w->c->fake, web_text));
    agents(w);
    assert_int_equal(in_team(w, "pods"), 3);
    assert_int_equal(
        int_at(fake_get(w->c->fake, fake_resource("deployments"), "team", "web"), "status", "availableReplicas"), 3);
    delete_one(w, "deployments", "team", "web");
    agents(w);
    assert_int_equal(in_team(w, "replicasets"), 0);
    assert_int_equal(in_team(w, "pods"), 0);
}

static void test_a_namespace_ends_with_its_deployment(void **state) {
    struct world *w = *state;
    json_unref(fake_create(w->c->fake, web_text));
    agents(w);
    delete_one(w, "namespaces", NULL, "team");
    agents(w);
    fake_run_for(w->c->loop, 100 * USEC_PER_MSEC);
    assert_null(fake_get(w->c->fake, fake_resource("namespaces"), "", "team"));
    assert_int_equal(
        in_team(w, "pods") + in_team(w, "replicasets") + in_team(w, "deployments") + in_team(w, "serviceaccounts"), 0);
}

static void test_a_quiet_cluster_causes_no_requests(void **state) {
    struct world *w = *state;
    static const char *const plurals[] = {"pods", "replicasets", "deployments", "nodes", "namespaces", "configmaps"};
    static const enum client_verb verbs[] = {CLIENT_GET,    CLIENT_LIST,  CLIENT_CREATE,
                                             CLIENT_UPDATE, CLIENT_PATCH, CLIENT_DELETE};
    unsigned before = 0, after = 0;
    json_unref(fake_create(w->c->fake, web_text));
    agents(w);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < ARRAY_LEN(plurals); i++)
            for (size_t k = 0; k < ARRAY_LEN(verbs); k++)
                *(pass ? &after : &before) += fake_requests(w->c->fake, verbs[k], plurals[i]);
        fake_run_for(w->c->loop, 300 * USEC_PER_MSEC);
    }
    assert_int_equal(before, after);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_deployment_lives_and_dies, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_a_namespace_ends_with_its_deployment, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_a_quiet_cluster_causes_no_requests, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
