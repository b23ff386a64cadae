/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A node gets tokens for pods bound to it, for what they ask for, and nothing else. */
#include "tests/unit/link/link_fixture.c"

static char *create_pod(struct env *e, const char *name, const char *node) {
    _cleanup_free_ char *text = xasprintf(
        "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s','namespace':'default'},'spec':{'nodeName':'%s',"
        "'serviceAccountName':'robot','containers':[{'name':'c'}],'volumes':[{'name':'v','projected':{'sources':["
        "{'serviceAccountToken':{'path':'a','audience':'vault'}},{'serviceAccountToken':{'path':'b'}}]}}]}}",
        name, node);
    _cleanup_json_ struct json *pod = fake_create(e->fake, text);

    return xstrdup(json_str(json_path(pod, "metadata", "uid")));
}

static void account(struct env *e) {
    json_unref(fake_create(e->fake, "{'apiVersion':'v1','kind':'ServiceAccount','metadata':{'name':'robot',"
                                    "'namespace':'default'}}"));
    fake_settle(e->loop);
}

static void a_node_gets_tokens_for_its_pods(void **state) {
    struct env *e = *state;
    struct node *n = &e->nodes[0];

    account(e);
    start_node(e, n, "n1", TOKEN);
    _cleanup_free_ char *uid = create_pod(e, "web", "n1");
    await_told(e, n, "pod web;");
    assert_int_equal(agent_link_request_token(n->link, "default", "web", uid, "vault", 600), 0);
    await_told(e, n, "token vault: robot/web/vault/600;");
    assert_int_equal(agent_link_request_token(n->link, "default", "web", uid, "", 3607), 0);
    await_told(e, n, "token : robot/web//3607;");
}

static void and_for_nothing_else(void **state) {
    struct env *e = *state;
    struct node *n = &e->nodes[0];

    account(e);
    start_node(e, n, "n1", TOKEN);
    start_node(e, &e->nodes[1], "n2", TOKEN);
    _cleanup_free_ char *own = create_pod(e, "web", "n1"), *other = create_pod(e, "db", "n2");
    await_told(e, n, "pod web;");
    await_told(e, &e->nodes[1], "pod db;");
    assert_int_equal(agent_link_request_token(n->link, "default", "db", other, "vault", 600), 0);
    await_told(e, n, "token vault: pod default/db is not bound to this node;");
    assert_int_equal(agent_link_request_token(n->link, "default", "web", other, "vault", 600), 0);
    await_told(e, n, "token vault: pod default/web is not bound to this node;");
    assert_int_equal(agent_link_request_token(n->link, "default", "web", own, "bank", 600), 0);
    await_told(e, n, "token bank: pod default/web asks for no token for audience \"bank\";");
}

static void an_account_that_is_gone_is_told(void **state) {
    struct env *e = *state;
    struct node *n = &e->nodes[0];

    start_node(e, n, "n1", TOKEN);
    _cleanup_free_ char *uid = create_pod(e, "web", "n1");
    await_told(e, n, "pod web;");
    assert_int_equal(agent_link_request_token(n->link, "default", "web", uid, "", 600), 0);
    await_told(e, n, "token : not found;");
}

static void nobody_to_ask_is_an_error(void **state) {
    struct env *e = *state;
    struct node *n = &e->nodes[0];

    start_node(e, n, "n1", TOKEN);
    stop_server(e);
    for (int i = 0; i < 100 && n->is_connected; i++)
        fake_run_for(e->loop, 20 * USEC_PER_MSEC);
    assert_int_equal(agent_link_request_token(n->link, "default", "web", "x", "", 600), -ENOTCONN);
    start_server(e);
}

int main(void) {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_node_gets_tokens_for_its_pods),
        T(and_for_nothing_else),
        T(an_account_that_is_gone_is_told),
        T(nobody_to_ask_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
