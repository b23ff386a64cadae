/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The link between friends: joining, pushing, telling, streams. */
#include "tests/unit/link/link_fixture.c"

/* --- tests --- */

static void a_node_joins_and_gets_its_object_lease_and_range(void **state) {
    struct env *e = *state;

    start_node(e, &e->nodes[0], "n1", TOKEN);
    await_told(e, &e->nodes[0], "net 10.244.1.0/24 peers 0;");
    start_node(e, &e->nodes[1], "n2", TOKEN);
    await_told(e, &e->nodes[1], "net 10.244.2.0/24");
    await_told(e, &e->nodes[0], "\"10.244.2.0/24\":\"10.0.0.2\"");
    struct json *node = fake_get(e->fake, fake_resource("nodes"), "", "n2");
    assert_string_equal(json_str(json_path(node, "spec", "podCIDR")), "10.244.2.0/24");
    assert_string_equal(json_str(json_path(node, "metadata", "labels", "kubernetes.io/os")), "linux");
    fake_settle(e->loop);
    assert_non_null(fake_get(e->fake, fake_resource("leases"), "kube-node-lease", "n2"));
    assert_int_equal(link_server_connected(e->server), 2);
    /* heartbeats go on: nobody is thrown out */
    fake_run_for(e->loop, 500 * USEC_PER_MSEC);
    assert_int_equal(e->nodes[0].connected, 1);
    assert_true(e->nodes[0].is_connected);
}

static void a_wrong_token_is_refused(void **state) {
    struct env *e = *state;

    start_node(e, &e->nodes[0], "n1", "abcdef.ffffffffffffffff");
    fake_run_for(e->loop, 300 * USEC_PER_MSEC);
    assert_int_equal(e->nodes[0].connected, 0);
    assert_int_equal(fake_count(e->fake, fake_resource("nodes"), NULL), 0);
}

/* value: base64; usage "dHJ1ZQ==" is true. */
static void make_bootstrap_token(struct env *e, const char *id, const char *id64, const char *usage,
                                 const char *groups64) {
    _cleanup_free_ char *text = xasprintf(
        "{'apiVersion':'v1','kind':'Secret','metadata':{'namespace':'kube-system','name':'bootstrap-token-%s'},"
        "'type':'bootstrap.kubernetes.io/token','data':{'token-id':'%s','token-secret':"
        "'MDEyMzQ1Njc4OWFiY2RlZg==','usage-bootstrap-authentication':'%s','auth-extra-groups':'%s'}}",
        id, id64, usage, groups64);

    json_unref(fake_create(e->fake, text));
}

#define JOIN_GROUP64 "c3lzdGVtOmJvb3RzdHJhcHBlcnM6cG9kaXVtOmpvaW4=" /* system:bootstrappers:podium:join */

static void a_bootstrap_token_lets_in(void **state) {
    struct env *e = *state;

    make_bootstrap_token(e, "joiner", "am9pbmVy", "dHJ1ZQ==", JOIN_GROUP64);
    start_node(e, &e->nodes[0], "n1", "joiner.0123456789abcdef");
    await_told(e, &e->nodes[0], "end;");
    assert_int_equal(e->nodes[0].connected, 1);
}

/* Not for nodes, not for authentication, wrong. */
static void a_bootstrap_token_for_something_else_is_refused(void **state) {
    static const char *const tokens[] = {"others.0123456789abcdef", "signer.0123456789abcdef",
                                         "joiner.0123456789abcdee"};
    struct env *e = *state;

    make_bootstrap_token(e, "others", "b3RoZXJz", "dHJ1ZQ==", "");
    make_bootstrap_token(e, "signer", "c2lnbmVy", "", JOIN_GROUP64);
    make_bootstrap_token(e, "joiner", "am9pbmVy", "dHJ1ZQ==", JOIN_GROUP64);
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        start_node(e, &e->nodes[0], "n1", tokens[i]);
        fake_run_for(e->loop, 300 * USEC_PER_MSEC);
        assert_int_equal(e->nodes[0].connected, 0);
        stop_node(&e->nodes[0]);
    }
    assert_int_equal(fake_count(e->fake, fake_resource("nodes"), NULL), 0);
}

static void a_certificate_speaks_for_its_node_only(void **state) {
    struct env *e = *state;
    _cleanup_free_ char *a = NULL, *b = NULL;

    start_node(e, &e->nodes[0], "n1", TOKEN);
    await_told(e, &e->nodes[0], "end;");
    stop_node(&e->nodes[0]);
    a = xasprintf("%s/n1", e->dir);
    b = xasprintf("%s/n2", e->dir);
    assert_int_equal(rename(a, b), 0); /* n1's certificate in the hands of one who says n2 */
    start_node(e, &e->nodes[1], "n2", NULL);
    fake_run_for(e->loop, 300 * USEC_PER_MSEC);
    assert_int_equal(e->nodes[1].connected, 0);
    assert_null(fake_get(e->fake, fake_resource("nodes"), "", "n2"));
}

static void pods_come_after_what_they_need_and_statuses_go_back(void **state) {
    struct env *e = *state;
    struct node *n = &e->nodes[0];

    want.e = e;
    start_node(e, n, "n1", TOKEN);
    await_told(e, n, "end;");
    strbuf_reset(&n->told);
    create_web(e, "n1");
    await_told(e, n, "Secret keys;ConfigMap page;pod web;");
    _cleanup_free_ char *uid =
        xstrdup(json_str(json_path(fake_get(e->fake, fake_resource("pods"), "default", "web"), "metadata", "uid")));
    _cleanup_json_ struct json *status = fake_json("{'phase':'Running'}");
    agent_link_pod_status(n->link, "default", "web", "not-this-one", status);
    fake_run_for(e->loop, 50 * USEC_PER_MSEC);
    assert_false(pod_is_running(NULL));
    agent_link_pod_status(n->link, "default", "web", uid, status);
    assert_true(fake_wait(e->loop, pod_is_running, NULL));

    /* a change of what it needs arrives, a change of something else does not */
    strbuf_reset(&n->told);
    fake_merge(e->fake, fake_resource("configmaps"), "default", "other", "{'data':{'a':'b'}}");
    fake_merge(e->fake, fake_resource("configmaps"), "default", "page", "{'data':{'a':'b'}}");
    await_told(e, n, "ConfigMap page;");
    assert_null(strstr(n->told.data, "other"));
    assert_null(strstr(n->told.data, "pod web")); /* its own status is no news to it */

    /* who wrote what stays behind */
    fake_merge(e->fake, fake_resource("pods"), "default", "web",
               "{'metadata':{'annotations':{'a':'b'},'managedFields':[{'manager':'m'}]}}");
    await_told(e, n, "pod web;");

    agent_link_pod_finished(n->link, "default", "web", uid);
    assert_true(fake_wait(e->loop, pod_is_gone, NULL));
    await_told(e, n, "removed;");
    await_told(e, n, "no Secret default/keys;"); /* secrets do not stay on nodes that do not need them */
}

static void a_node_does_not_speak_for_pods_of_others(void **state) {
    struct env *e = *state;

    want.e = e;
    start_node(e, &e->nodes[0], "n1", TOKEN);
    start_node(e, &e->nodes[1], "n2", TOKEN);
    create_web(e, "n1");
    await_told(e, &e->nodes[0], "pod web;");
    await_told(e, &e->nodes[1], "end;");
    assert_null(strstr(e->nodes[1].told.data, "pod web"));
    _cleanup_json_ struct json *status = fake_json("{'phase':'Running'}");
    const char *uid =
        json_str(json_path(fake_get(e->fake, fake_resource("pods"), "default", "web"), "metadata", "uid"));
    agent_link_pod_status(e->nodes[1].link, "default", "web", uid, status);
    fake_run_for(e->loop, 100 * USEC_PER_MSEC);
    assert_false(pod_is_running(NULL));
}

static void after_a_server_restart_everything_is_told_again(void **state) {
    struct env *e = *state;
    struct node *n = &e->nodes[0];

    start_node(e, n, "n1", TOKEN);
    create_web(e, "n1");
    await_told(e, n, "pod web;");
    stop_server(e);
    strbuf_reset(&n->told);
    start_server(e);
    await_told(e, n, "begin;Secret keys;ConfigMap page;pod web;end;");
    assert_int_equal(n->connected, 2);
}

static void streams_carry_bytes_and_exit_codes(void **state) {
    struct env *e = *state;
    struct remote r = {.out = STRBUF_INIT}, absent = {.out = STRBUF_INIT};
    struct link_stream *s;
    _cleanup_json_ struct json *options = fake_json("{'container':'c'}"), *bad = fake_json("{'container':'absent'}");
    static char big[1000000];

    start_node(e, &e->nodes[0], "n1", TOKEN);
    await_told(e, &e->nodes[0], "end;");
    memset(big, 'x', sizeof(big));
    assert_int_equal(link_server_open_exec(e->server, "n1", options, &remote_ops, &r, &s, NULL), 0);
    assert_true(link_stream_write(s, LINK_STDIN, big, sizeof(big)) >= LINK_STREAM_WINDOW);
    (void) link_stream_write(s, LINK_STDIN_END, "", 0);
    assert_true(fake_wait(e->loop, remote_ended, &r));
    assert_int_equal(r.code, 7);
    assert_int_equal(r.out.len, sizeof(big));
    assert_int_equal(r.acked, sizeof(big));
    assert_int_equal(link_server_open_log(e->server, "n1", bad, &remote_ops, &absent, &s, NULL), 0);
    assert_true(fake_wait(e->loop, remote_ended, &absent));
    assert_int_equal(absent.code, -ENOENT);
    assert_int_equal(link_server_open_log(e->server, "nowhere", bad, &remote_ops, &absent, &s, NULL), -ENOTCONN);
    strbuf_finish(&r.out);
    strbuf_finish(&absent.out);
}

/* As an agent from before these streams: the answer to the call is all that is ever heard of them. */
static void a_stream_the_node_does_not_know_ends(void **state) {
    struct env *e = *state;
    struct remote r = {.out = STRBUF_INIT};
    struct link_stream *s;
    _cleanup_json_ struct json *options = fake_json("{'method':'GET','path':'/pods'}");

    start_node(e, &e->nodes[0], "n1", TOKEN);
    await_told(e, &e->nodes[0], "end;");
    assert_int_equal(link_server_open_query(e->server, "n1", options, &remote_ops, &r, &s, NULL), 0);
    assert_true(fake_wait(e->loop, remote_ended, &r));
    assert_int_equal(r.code, -EOPNOTSUPP);
    assert_int_equal(link_server_connected(e->server), 1);
}

static void a_lost_node_ends_its_streams(void **state) {
    struct env *e = *state;
    struct remote r = {.out = STRBUF_INIT};
    struct link_stream *s;
    _cleanup_json_ struct json *options = fake_json("{'container':'c'}");

    start_node(e, &e->nodes[0], "n1", TOKEN);
    await_told(e, &e->nodes[0], "end;");
    assert_int_equal(link_server_open_exec(e->server, "n1", options, &remote_ops, &r, &s, NULL), 0);
    fake_run_for(e->loop, 50 * USEC_PER_MSEC);
    stop_node(&e->nodes[0]);
    assert_true(fake_wait(e->loop, remote_ended, &r));
    assert_true(r.code < 0);
    assert_int_equal(link_server_connected(e->server), 0);
}

int main(void) {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_node_joins_and_gets_its_object_lease_and_range),
        T(a_wrong_token_is_refused),
        T(a_bootstrap_token_lets_in),
        T(a_bootstrap_token_for_something_else_is_refused),
        T(a_certificate_speaks_for_its_node_only),
        T(pods_come_after_what_they_need_and_statuses_go_back),
        T(a_node_does_not_speak_for_pods_of_others),
        T(after_a_server_restart_everything_is_told_again),
        T(streams_carry_bytes_and_exit_codes),
        T(a_stream_the_node_does_not_know_ends),
        T(a_lost_node_ends_its_streams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
