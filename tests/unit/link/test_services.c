/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Services and EndpointSlices reach every node, cut down to what it needs, and only when that changes. */
#include "tests/unit/link/link_fixture.c"

#include "orchestrator/link/push_services.h"

#define SERVICE                                                                                                        \
    "{'apiVersion':'v1','kind':'Service','metadata':{'name':'web','namespace':'default','labels':{'app':'x'},"         \
    "'managedFields':[{'manager':'m'}]},'spec':{'clusterIP':'10.96.0.7'},'status':{'loadBalancer':{}}}"
#define SLICE                                                                                                          \
    "{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice','metadata':{'name':'web-1','namespace':'default',"     \
    "'labels':{'kubernetes.io/service-name':'web','app':'x'},'ownerReferences':[{'uid':'u'}]},'addressType':'IPv4',"   \
    "'endpoints':[{'addresses':['10.244.1.2']}],'ports':[{'port':80}]}"

static void every_node_is_told_of_every_service(void **state) {
    struct env *e = *state;
    struct node *a = &e->nodes[0], *b = &e->nodes[1];

    json_unref(fake_create(e->fake, SERVICE));
    json_unref(fake_create(e->fake, SLICE));
    start_node(e, a, "n1", TOKEN);
    await_told(e, a, "end;");
    /* inside the first full set: what is not named there would be forgotten */
    const char *begin = strstr(a->told.data, "begin;"), *end = strstr(a->told.data, "end;");
    const char *service = strstr(a->told.data, "Service web;"), *slice = strstr(a->told.data, "EndpointSlice web-1;");
    assert_true(begin && service && slice && begin < service && begin < slice && service < end && slice < end);
    start_node(e, b, "n2", TOKEN);
    await_told(e, b, "end;");
    strbuf_reset(&a->told);
    strbuf_reset(&b->told);
    fake_merge(e->fake, fake_resource("endpointslices"), "default", "web-1", "{'endpoints':[]}");
    await_told(e, a, "EndpointSlice web-1;");
    await_told(e, b, "EndpointSlice web-1;");
    fake_remove(e->fake, fake_resource("endpointslices"), "default", "web-1");
    fake_remove(e->fake, fake_resource("services"), "default", "web");
    await_told(e, a, "no EndpointSlice default/web-1;");
    await_told(e, b, "no Service default/web;");
}

static void bookkeeping_is_no_news(void **state) {
    struct env *e = *state;
    struct node *n = &e->nodes[0];

    json_unref(fake_create(e->fake, SERVICE));
    json_unref(fake_create(e->fake, SLICE));
    start_node(e, n, "n1", TOKEN);
    await_told(e, n, "end;");
    await_told(e, n, "net ");
    strbuf_reset(&n->told);
    fake_merge(e->fake, fake_resource("services"), "default", "web", "{'metadata':{'annotations':{'note':'a'}}}");
    fake_merge(e->fake, fake_resource("endpointslices"), "default", "web-1", "{'metadata':{'labels':{'app':'y'}}}");
    fake_merge(e->fake, fake_resource("services"), "default", "web", "{'spec':{'clusterIP':'10.96.0.8'}}");
    await_told(e, n, "Service web;");
    fake_run_for(e->loop, 50 * USEC_PER_MSEC);
    assert_string_equal(n->told.data, "Service web;");
}

static void documents_are_cut_down(void **state) {
    _cleanup_json_ struct json *service = fake_json(SERVICE), *slice = fake_json(SLICE);
    _cleanup_json_ struct json *a = push_services_trim(service), *b = push_services_trim(slice);
    _cleanup_json_ struct json *short_service = fake_json(
        "{'apiVersion':'v1','kind':'Service','metadata':{'name':'web','namespace':'default'},'spec':{'clusterIP':"
        "'10.96.0.7'}}");
    _cleanup_json_ struct json *short_slice = fake_json(
        "{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice','metadata':{'name':'web-1','namespace':'default',"
        "'labels':{'kubernetes.io/service-name':'web'}},'addressType':'IPv4','endpoints':[{'addresses':['10.244.1.2']}]"
        ",'ports':[{'port':80}]}");

    assert_true(json_equal(a, short_service));
    assert_true(json_equal(b, short_slice));
    json_set_path(&service, fake_json("[{'ip':'192.0.2.1'}]"), "status", "loadBalancer", "ingress");
    _cleanup_json_ struct json *balanced = push_services_trim(service);
    assert_int_equal(json_len(json_path(balanced, "status", "loadBalancer", "ingress")), 1);
}

int main(void) {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_node_is_told_of_every_service),
        T(bookkeeping_is_no_news),
        cmocka_unit_test(documents_are_cut_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
