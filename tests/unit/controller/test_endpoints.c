/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Endpoints, EndpointSlices, mirrored slices and the cluster's own Services, on a fake API. */
#include "tests/unit/controller/cluster.h"

#include "orchestrator/controller/clusterservices/controller.h"
#include "orchestrator/controller/endpoints/controller.h"
#include "orchestrator/controller/endpoints/decide.h"
#include "orchestrator/controller/endpointslice/controller.h"
#include "orchestrator/controller/slicemirroring/controller.h"

static void service(struct cluster *c, const char *name, const char *spec) {
    _cleanup_free_ char *text = xasprintf(
        "{'apiVersion':'v1','kind':'Service','metadata':{'name':'%s','labels':{'team':'a'}},'spec':%s}", name, spec);
    json_unref(fake_create(c->fake, text));
}

static void pod_with(struct cluster *c, const char *name, const char *ip, bool ready, const char *spec) {
    _cleanup_free_ char *text = xasprintf(
        "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s','labels':{'app':'web'}},'spec':{'nodeName':'n1',"
        "'containers':[{'name':'c','ports':[{'name':'http','containerPort':8080}]}]%s},'status':{'phase':'Running',"
        "'podIP':'%s','conditions':[{'type':'Ready','status':'%s','lastTransitionTime':'2024-01-01T00:00:00Z'}]}}",
        name, spec, ip, ready ? "True" : "False");
    json_unref(fake_create(c->fake, text));
}

static void pod(struct cluster *c, const char *name, const char *ip, bool ready) {
    pod_with(c, name, ip, ready, "");
}

static void set_ready(struct cluster *c, const char *name, bool ready) {
    _cleanup_free_ char *text =
        xasprintf("{'status':{'conditions':[{'type':'Ready','status':'%s','lastTransitionTime':'2024-01-01T00:01:00Z'}"
                  "]}}",
                  ready ? "True" : "False");
    fake_merge(c->fake, fake_resource("pods"), "default", name, text);
}

static const struct json *endpoints(struct cluster *c, const char *name) {
    return fake_get(c->fake, fake_resource("endpoints"), "default", name);
}

static const struct json *subset(struct cluster *c, const char *name, size_t i) {
    return json_at(json_get(endpoints(c, name), "subsets"), i);
}

static const char *address(const struct json *list, size_t i) {
    return json_str_or(json_get(json_at(list, i), "ip"), "");
}

/* The slice of a service; there must be `n` in all. */
static const struct json *slice_of(struct cluster *c, const char *name, size_t n) {
    size_t all;
    const struct json *found = NULL;
    _cleanup_free_ struct json **slices = fake_all(c->fake, fake_resource("endpointslices"), "default", &all);
    assert_int_equal(all, n);
    for (size_t i = 0; i < all; i++)
        if (strcmp(json_str_or(json_get(json_path(slices[i], "metadata", "labels"), "kubernetes.io/service-name"), ""),
                   name) == 0)
            found = slices[i];
    assert_non_null(found);
    return found;
}

static const struct json *endpoint_of(const struct json *slice, const char *ip) {
    const struct json *list = json_get(slice, "endpoints");
    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str_or(json_at(json_get(json_at(list, i), "addresses"), 0), ""), ip) == 0)
            return json_at(list, i);
    return NULL;
}

static void assert_conditions(const struct json *endpoint, bool ready, bool serving, bool terminating) {
    assert_non_null(endpoint);
    assert_int_equal(json_bool_or(json_path(endpoint, "conditions", "ready"), !ready), ready);
    assert_int_equal(json_bool_or(json_path(endpoint, "conditions", "serving"), !serving), serving);
    assert_int_equal(json_bool_or(json_path(endpoint, "conditions", "terminating"), !terminating), terminating);
}

static void node(struct cluster *c) {
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Node','metadata':{'name':'n1','labels':{"
                                    "'topology.kubernetes.io/zone':'z1'}}}"));
}

#define WEB "{'clusterIP':'10.96.0.7','selector':{'app':'web'},'ports':[{'name':'p','port':80,'targetPort':'http'}]}"

static void test_endpoints_follow_pods(void **state) {
    struct cluster *c = *state;
    service(c, "web", WEB);
    pod(c, "one", "10.0.0.1", true);
    pod(c, "two", "10.0.0.2", false);
    cluster_start(c, &endpoints_controller);
    fake_settle(c->loop);
    const struct json *s = subset(c, "web", 0);
    assert_string_equal(address(json_get(s, "addresses"), 0), "10.0.0.1");
    assert_string_equal(address(json_get(s, "notReadyAddresses"), 0), "10.0.0.2");
    assert_int_equal(json_int_or(json_get(json_at(json_get(s, "ports"), 0), "port"), 0), 8080); /* by name */
    assert_string_equal(json_str(json_path(json_at(json_get(s, "addresses"), 0), "targetRef", "name")), "one");
    assert_string_equal(json_str(json_path(endpoints(c, "web"), "metadata", "labels", "team")), "a");
    unsigned writes = fake_requests(c->fake, CLIENT_UPDATE, "endpoints");
    set_ready(c, "two", true);
    fake_settle(c->loop);
    s = subset(c, "web", 0);
    assert_int_equal(json_len(json_get(s, "addresses")), 2);
    assert_int_equal(json_len(json_get(s, "notReadyAddresses")), 0);
    assert_int_equal(fake_requests(c->fake, CLIENT_UPDATE, "endpoints"), writes + 1);
    assert_string_equal(json_str(json_get(json_path(endpoints(c, "web"), "metadata", "annotations"),
                                          "endpoints.kubernetes.io/last-change-trigger-time")),
                        "2024-01-01T00:01:00Z");
    fake_merge(c->fake, fake_resource("pods"), "default", "one", "{'status':{'message':'no news to anybody'}}");
    fake_settle(c->loop);
    assert_int_equal(fake_requests(c->fake, CLIENT_UPDATE, "endpoints"), writes + 1);
    fake_merge(c->fake, fake_resource("pods"), "default", "one",
               "{'metadata':{'deletionTimestamp':'2024-01-01T00:00:00Z'}}");
    fake_merge(c->fake, fake_resource("pods"), "default", "two", "{'metadata':{'labels':{'app':'other'}}}");
    fake_settle(c->loop);
    assert_int_equal(json_len(json_get(endpoints(c, "web"), "subsets")), 0);
    fake_remove(c->fake, fake_resource("services"), "default", "web");
    fake_settle(c->loop);
    assert_null(endpoints(c, "web"));
}

static void test_endpoints_of_headless_and_publishing_services(void **state) {
    struct cluster *c = *state;
    service(c, "set", "{'clusterIP':'None','selector':{'app':'web'},'publishNotReadyAddresses':true}");
    service(c, "alias", "{'type':'ExternalName','externalName':'x.org','selector':{'app':'web'}}");
    service(c, "manual", "{'clusterIP':'10.96.0.8','ports':[{'port':80}]}");
    pod_with(c, "one", "10.0.0.1", false, ",'hostname':'one','subdomain':'set'");
    cluster_start(c, &endpoints_controller);
    fake_settle(c->loop);
    const struct json *s = subset(c, "set", 0);
    assert_string_equal(address(json_get(s, "addresses"), 0), "10.0.0.1"); /* ready or not */
    assert_string_equal(json_str(json_get(json_at(json_get(s, "addresses"), 0), "hostname")), "one");
    assert_null(json_get(s, "ports"));
    assert_string_equal(
        json_str_or(json_get(json_path(endpoints(c, "set"), "metadata", "labels"), "service.kubernetes.io/headless"),
                    "no"),
        "");
    assert_null(endpoints(c, "alias"));
    assert_null(endpoints(c, "manual"));
}

static void test_endpoints_made_before_their_service_stay(void **state) {
    struct cluster *c = *state;
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Endpoints','metadata':{'name':'left'},'subsets':[]}"));
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Endpoints','metadata':{'name':'lock','annotations':{"
                                    "'control-plane.alpha.kubernetes.io/leader':'{}'}},'subsets':[]}"));
    service(c, "web", WEB);
    cluster_start(c, &endpoints_controller);
    fake_settle(c->loop);
    assert_null(endpoints(c, "left")); /* its Service went while nobody looked */
    assert_non_null(endpoints(c, "lock"));
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Endpoints','metadata':{'name':'db'},'subsets':[]}"));
    fake_settle(c->loop);
    assert_non_null(endpoints(c, "db"));
    service(c, "db", "{'clusterIP':'10.96.0.8','ports':[{'port':80}]}");
    fake_settle(c->loop);
    assert_non_null(endpoints(c, "db"));
    fake_remove(c->fake, fake_resource("services"), "default", "db");
    fake_settle(c->loop);
    assert_null(endpoints(c, "db"));
}

static void test_endpoints_are_cut_at_a_thousand(void **state) {
    _cleanup_json_ struct json *s = fake_json("{'metadata':{'name':'web','namespace':'default'},'spec':" WEB "}");
    enum { N = 1100 };
    struct json *pods[N];
    for (int i = 0; i < N; i++) {
        _cleanup_free_ char *text =
            xasprintf("{'metadata':{'name':'p%04d','namespace':'default','uid':'u%d','labels':{'app':'web'}},'spec':{"
                      "'containers':[{'ports':[{'name':'http','containerPort':80}]}]},'status':{'phase':'Running',"
                      "'podIP':'10.1.%d.%d','conditions':[{'type':'Ready','status':'%s'}]}}",
                      i, i, i / 250, i % 250, i < 200 ? "False" : "True");
        pods[i] = fake_json(text);
    }
    _cleanup_json_ struct json *o = endpoints_wanted(s, pods, N, NULL, NULL);
    const struct json *first = json_at(json_get(o, "subsets"), 0);
    assert_int_equal(json_len(json_get(first, "addresses")), 900); /* those that serve go first */
    assert_int_equal(json_len(json_get(first, "notReadyAddresses")), 100);
    assert_string_equal(json_str(json_get(json_path(o, "metadata", "annotations"), ANNOTATION_OVERCAPACITY)),
                        "truncated");
    assert_null(endpoints_wanted(s, pods, N, NULL, o));
    _cleanup_json_ struct json *fewer = endpoints_wanted(s, pods, 900, NULL, o);
    assert_null(json_path(fewer, "metadata", "annotations"));
    for (int i = 0; i < N; i++)
        json_unref(pods[i]);
}

static void test_changes_of_big_services_are_written_together(void **state) {
    struct cluster *c = *state;
    enum { N = 150, CHANGED = 20 };
    node(c);
    service(c, "web", WEB);
    for (int i = 0; i < N; i++) {
        _cleanup_free_ char *name = xasprintf("p%d", i), *ip = xasprintf("10.0.1.%d", i + 1);
        pod(c, name, ip, false);
    }
    cluster_start(c, &endpoints_controller);
    cluster_start(c, &endpointslice_controller);
    fake_settle(c->loop);
    fake_run_for(c->loop, 300 * USEC_PER_MSEC); /* rested */
    unsigned before = fake_requests(c->fake, CLIENT_UPDATE, "endpoints");
    for (int i = 0; i < CHANGED; i++) {
        _cleanup_free_ char *name = xasprintf("p%d", i);
        set_ready(c, name, true);
        fake_settle(c->loop);
        if (i == 0) /* the first of them at once */
            assert_int_equal(fake_requests(c->fake, CLIENT_UPDATE, "endpoints"), before + 1);
    }
    assert_true(fake_requests(c->fake, CLIENT_UPDATE, "endpoints") - before < CHANGED / 2);
    fake_run_for(c->loop, 500 * USEC_PER_MSEC);
    assert_int_equal(json_len(json_get(subset(c, "web", 0), "addresses")), CHANGED);
    size_t n, ready = 0;
    _cleanup_free_ struct json **slices = fake_all(c->fake, fake_resource("endpointslices"), "default", &n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < json_len(json_get(slices[i], "endpoints")); k++)
            ready +=
                json_bool_or(json_path(json_at(json_get(slices[i], "endpoints"), k), "conditions", "ready"), false);
    assert_int_equal(ready, CHANGED);
}

static void test_slices_tell_conditions_and_place(void **state) {
    struct cluster *c = *state;
    node(c);
    service(c, "web", WEB);
    pod(c, "one", "10.0.0.1", true);
    pod(c, "two", "10.0.0.2", false);
    pod_with(c, "strange", "10.0.0.3", true, ",'initContainers':[]");
    fake_merge(c->fake, fake_resource("pods"), "default", "strange", "{'spec':{'containers':[{'name':'c'}]}}");
    cluster_start(c, &endpointslice_controller);
    fake_settle(c->loop);
    const struct json *slice = slice_of(c, "web", 1);
    const struct json *one = endpoint_of(slice, "10.0.0.1");
    assert_conditions(one, true, true, false);
    assert_conditions(endpoint_of(slice, "10.0.0.2"), false, false, false);
    assert_null(endpoint_of(slice, "10.0.0.3")); /* has no port of that name */
    assert_string_equal(json_str(json_get(one, "nodeName")), "n1");
    assert_string_equal(json_str(json_get(one, "zone")), "z1");
    assert_int_equal(json_int_or(json_get(json_at(json_get(slice, "ports"), 0), "port"), 0), 8080);
    assert_string_equal(json_str(json_get(json_at(json_get(slice, "ports"), 0), "name")), "p");
    const struct json *owner = json_at(json_path(slice, "metadata", "ownerReferences"), 0);
    assert_string_equal(json_str(json_get(owner, "kind")), "Service");
    assert_true(json_bool_or(json_get(owner, "blockOwnerDeletion"), false));
    assert_string_equal(json_str(json_path(slice, "metadata", "labels", "team")), "a");
    fake_merge(c->fake, fake_resource("pods"), "default", "one",
               "{'metadata':{'deletionTimestamp':'2024-01-01T00:00:00Z'}}");
    fake_settle(c->loop);
    assert_conditions(endpoint_of(slice_of(c, "web", 1), "10.0.0.1"), false, true, true);
    unsigned writes = fake_requests(c->fake, CLIENT_UPDATE, "endpointslices");
    set_ready(c, "two", true);
    fake_settle(c->loop);
    assert_conditions(endpoint_of(slice_of(c, "web", 1), "10.0.0.2"), true, true, false);
    assert_int_equal(fake_requests(c->fake, CLIENT_UPDATE, "endpointslices"), writes + 1);
}

static void test_slices_are_put_right_when_others_touch_them(void **state) {
    struct cluster *c = *state;
    node(c);
    service(c, "web", WEB);
    pod(c, "one", "10.0.0.1", true);
    cluster_start(c, &endpointslice_controller);
    fake_settle(c->loop);
    const char *name = json_str(json_path(slice_of(c, "web", 1), "metadata", "name"));
    _cleanup_free_ char *first = xstrdup(name);
    fake_merge(c->fake, fake_resource("endpointslices"), "default", first, "{'endpoints':[]}");
    fake_settle(c->loop);
    assert_non_null(endpoint_of(slice_of(c, "web", 1), "10.0.0.1"));
    fake_remove(c->fake, fake_resource("endpointslices"), "default", first);
    fake_settle(c->loop);
    assert_non_null(endpoint_of(slice_of(c, "web", 1), "10.0.0.1"));
}

static void test_slices_go_with_the_selector(void **state) {
    struct cluster *c = *state;
    node(c);
    service(c, "web", WEB);
    pod(c, "one", "10.0.0.1", true);
    cluster_start(c, &endpointslice_controller);
    fake_settle(c->loop);
    fake_merge(c->fake, fake_resource("services"), "default", "web", "{'spec':{'trafficDistribution':'PreferClose'}}");
    fake_settle(c->loop);
    const struct json *hints = json_path(endpoint_of(slice_of(c, "web", 1), "10.0.0.1"), "hints", "forZones");
    assert_string_equal(json_str_or(json_get(json_at(hints, 0), "name"), ""), "z1");
    /* from now on somebody else knows its endpoints: ours would never be right again */
    fake_merge(c->fake, fake_resource("services"), "default", "web", "{'spec':{'selector':null}}");
    assert_count(c, "endpointslices", 0);
}

static void test_pods_wait_for_their_node(void **state) {
    struct cluster *c = *state;
    service(c, "web", WEB);
    pod(c, "one", "10.0.0.1", true);
    cluster_start(c, &endpointslice_controller);
    fake_settle(c->loop);
    assert_null(endpoint_of(slice_of(c, "web", 1), "10.0.0.1"));
    node(c);
    fake_settle(c->loop);
    assert_non_null(endpoint_of(slice_of(c, "web", 1), "10.0.0.1"));
}

static void test_a_conflict_is_tried_again(void **state) {
    struct cluster *c = *state;
    node(c);
    service(c, "web", WEB);
    cluster_start(c, &endpointslice_controller);
    cluster_start(c, &endpoints_controller);
    fake_settle(c->loop);
    fake_fail(c->fake, CLIENT_UPDATE, "endpointslices", 409, "Conflict", 1);
    fake_fail(c->fake, CLIENT_UPDATE, "endpoints", 409, "Conflict", 1);
    pod(c, "one", "10.0.0.1", true);
    fake_run_for(c->loop, 200 * USEC_PER_MSEC);
    assert_non_null(endpoint_of(slice_of(c, "web", 1), "10.0.0.1"));
    assert_int_equal(json_len(json_get(subset(c, "web", 0), "addresses")), 1);
}

static void test_manual_endpoints_are_mirrored(void **state) {
    struct cluster *c = *state;
    service(c, "db", "{'clusterIP':'10.96.0.8','ports':[{'port':80}]}");
    json_unref(fake_create(
        c->fake, "{'apiVersion':'v1','kind':'Endpoints','metadata':{'name':'db','labels':{'l':'m'},"
                 "'annotations':{'a':'b','kubectl.kubernetes.io/last-applied-configuration':'{}'}},'subsets':["
                 "{'addresses':[{'ip':'192.0.2.1'},{'ip':'2001:db8::1'}],'notReadyAddresses':[{'ip':"
                 "'192.0.2.2','hostname':'b'}],'ports':[{'port':5432}]}]}"));
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Endpoints','metadata':{'name':'orphan'},'subsets':["
                                    "{'addresses':[{'ip':'192.0.2.9'}]}]}"));
    cluster_start(c, &slicemirroring_controller);
    cluster_start(c, &endpointslice_controller);
    fake_settle(c->loop);
    size_t n;
    _cleanup_free_ struct json **all = fake_all(c->fake, fake_resource("endpointslices"), "default", &n);
    assert_int_equal(n, 2); /* one for each family, nothing for Endpoints without Service */
    const struct json *four = json_str(json_get(all[0], "addressType"))[3] == '4' ? all[0] : all[1];
    assert_true(json_bool_or(json_path(endpoint_of(four, "192.0.2.1"), "conditions", "ready"), false));
    assert_false(json_bool_or(json_path(endpoint_of(four, "192.0.2.2"), "conditions", "ready"), true));
    assert_string_equal(json_str(json_get(endpoint_of(four, "192.0.2.2"), "hostname")), "b");
    assert_int_equal(json_int_or(json_get(json_at(json_get(four, "ports"), 0), "port"), 0), 5432);
    assert_string_equal(json_str(json_path(four, "metadata", "annotations", "a")), "b");
    assert_int_equal(json_len(json_path(four, "metadata", "annotations")), 1);
    assert_string_equal(json_str(json_path(four, "metadata", "labels", "l")), "m");
    fake_merge(c->fake, fake_resource("endpoints"), "default", "db",
               "{'metadata':{'labels':{'endpointslice.kubernetes.io/skip-mirror':'true'}}}");
    fake_settle(c->loop);
    assert_count(c, "endpointslices", 0);
}

static void test_the_cluster_keeps_its_own_services(void **state) {
    struct cluster *c = *state;
    c->env.options.api_address = "192.0.2.1";
    c->env.options.api_port = 6443;
    c->env.options.api_service_address = "10.96.0.1";
    c->env.options.dns_service_address = "10.96.0.10";
    cluster_start(c, &cluster_services_controller);
    fake_run_for(c->loop, 100 * USEC_PER_MSEC);
    const struct json *api = fake_get(c->fake, fake_resource("services"), "default", "kubernetes");
    assert_string_equal(json_str(json_path(api, "spec", "clusterIP")), "10.96.0.1");
    assert_int_equal(json_int_or(json_get(json_at(json_path(api, "spec", "ports"), 0), "targetPort"), 0), 6443);
    const struct json *dns = fake_get(c->fake, fake_resource("services"), "kube-system", "kube-dns");
    assert_string_equal(json_str(json_path(dns, "spec", "clusterIP")), "10.96.0.10");
    assert_string_equal(address(json_get(subset(c, "kubernetes", 0), "addresses"), 0), "192.0.2.1");
    assert_non_null(endpoint_of(slice_of(c, "kubernetes", 1), "192.0.2.1"));
    fake_remove(c->fake, fake_resource("services"), "default", "kubernetes");
    fake_remove(c->fake, fake_resource("endpoints"), "default", "kubernetes");
    fake_merge(c->fake, fake_resource("endpointslices"), "default", "kubernetes", "{'endpoints':[]}");
    fake_run_for(c->loop, 100 * USEC_PER_MSEC);
    assert_non_null(fake_get(c->fake, fake_resource("services"), "default", "kubernetes"));
    assert_non_null(endpoints(c, "kubernetes"));
    assert_non_null(endpoint_of(slice_of(c, "kubernetes", 1), "192.0.2.1"));
}

/* After a start with another address, port or range. */
static void test_the_cluster_moves_its_own_services(void **state) {
    struct cluster *c = *state;
    service(c, "kubernetes", "{'clusterIP':'10.0.0.1','ports':[{'name':'https','port':443,'targetPort':6443}]}");
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Endpoints','metadata':{'name':'kubernetes'},'subsets':["
                                    "{'addresses':[{'ip':'192.0.2.9'}]}]}"));
    c->env.options.api_address = "192.0.2.1";
    c->env.options.api_port = 7443;
    c->env.options.api_service_address = "10.96.0.1";
    cluster_start(c, &cluster_services_controller);
    fake_run_for(c->loop, 100 * USEC_PER_MSEC);
    const struct json *api = fake_get(c->fake, fake_resource("services"), "default", "kubernetes");
    assert_string_equal(json_str(json_path(api, "spec", "clusterIP")), "10.96.0.1");
    assert_int_equal(json_int_or(json_get(json_at(json_path(api, "spec", "ports"), 0), "targetPort"), 0), 7443);
    assert_string_equal(address(json_get(subset(c, "kubernetes", 0), "addresses"), 0), "192.0.2.1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_endpoints_follow_pods),
        T(test_endpoints_of_headless_and_publishing_services),
        T(test_endpoints_made_before_their_service_stay),
        cmocka_unit_test(test_endpoints_are_cut_at_a_thousand),
        T(test_changes_of_big_services_are_written_together),
        T(test_slices_tell_conditions_and_place),
        T(test_slices_are_put_right_when_others_touch_them),
        T(test_slices_go_with_the_selector),
        T(test_pods_wait_for_their_node),
        T(test_a_conflict_is_tried_again),
        T(test_manual_endpoints_are_mirrored),
        T(test_the_cluster_keeps_its_own_services),
        T(test_the_cluster_moves_its_own_services),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
