/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses and node ports of Services: none twice, none lost, upstream's refusals. */
#include "orchestrator/apiserver/request.h"
#include "tests/unit/apiserver/server_fixture.h"

#include <pthread.h>

#include "podium/base/hashmap.h"

static int open_api(struct fixture *f, const char *cidr) {
    struct apiserver_options o = {.store = f->store, .port = -2, .service_cidr = cidr};
    return apiserver_new(&o, &f->api, NULL);
}

/* A small range: 14 addresses. */
static int setup(void **state) {
    struct fixture *f = xnew0(struct fixture);
    assert_int_equal(fixture_store(f, 0), 0);
    assert_int_equal(open_api(f, "10.96.0.0/28"), 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    fixture_finish(f);
    free(f);
    return 0;
}

struct outcome {
    unsigned code;
    struct json *object;
};

static void outcome_finish(struct outcome *o) {
    json_unref(o->object);
}
#define _cleanup_outcome_ _cleanup_(outcome_finish)

static struct json *quoted(const char *text) {
    _cleanup_free_ char *copy = plain(text);
    struct json *doc = NULL;
    assert_int_equal(json_parse(copy, strlen(copy), NULL, &doc, NULL), 0);
    return doc;
}

static struct outcome run(struct fixture *f, const char *verb, const char *name, const char *body, bool dry_run) {
    char *groups[] = {(char[]){"system:masters"}, NULL};
    struct api_user user = {.name = (char[]){"test"}, .groups = groups};
    struct api_request *req = api_request_new(f->api);
    req->resource = resource_by_plural("", "v1", "services");
    req->verb = verb;
    req->user = &user;
    req->ns = xstrdup("default");
    req->name = xstrdup(name);
    req->dry_run = dry_run;
    req->body_doc = body ? quoted(body) : NULL;
    api_request_run(req);
    struct outcome o = {req->out.code, NULL};
    if (req->out.item)
        o.object = json_ref(store_item_doc(req->out.item));
    else
        o.object = json_ref(req->out.object);
    api_request_free(req);
    return o;
}

static struct outcome create(struct fixture *f, const char *name, const char *spec) {
    _cleanup_free_ char *body =
        xasprintf("{'apiVersion':'v1','kind':'Service','metadata':{'name':'%s'},'spec':%s}", name, spec);
    return run(f, "create", "", body, false);
}

static void delete (struct fixture *f, const char *name) {
    _cleanup_outcome_ struct outcome o = run(f, "delete", name, NULL, false);
    assert_int_equal(o.code, 200);
}

static const char *ip_of(const struct outcome *o) {
    return json_str_or(json_path(o->object, "spec", "clusterIP"), "");
}

static int64_t node_port_of(const struct outcome *o, size_t i) {
    return json_int_or(json_get(json_at(json_path(o->object, "spec", "ports"), i), "nodePort"), 0);
}

static void assert_message(const struct outcome *o, unsigned code, const char *part) {
    const char *message = json_str_or(json_get(o->object, "message"), "");
    if (o->code != code || !strstr(message, part))
        fail_msg("%u \"%s\" is not %u with \"%s\"", o->code, message, code, part);
}

#define WEB "{'ports':[{'port':80}]}"

static void test_addresses_are_each_given_once_until_none_is_left(void **state) {
    struct fixture *f = *state;
    _cleanup_(hashmap_freep) struct hashmap *seen = hashmap_new(NULL);
    for (int i = 0; i < 12; i++) { /* 14 less the API's and the DNS's */
        _cleanup_free_ char *name = xasprintf("s%d", i);
        _cleanup_outcome_ struct outcome o = create(f, name, WEB);
        assert_int_equal(o.code, 201);
        assert_false(hashmap_has(seen, ip_of(&o)));
        hashmap_put(seen, ip_of(&o), NULL);
    }
    assert_false(hashmap_has(seen, "10.96.0.1"));
    assert_false(hashmap_has(seen, "10.96.0.10"));
    _cleanup_outcome_ struct outcome full = create(f, "more", WEB);
    assert_message(&full, 500, "Internal error occurred: failed to allocate a serviceIP: range is full");
    delete (f, "s3");
    _cleanup_outcome_ struct outcome again = create(f, "more", WEB);
    assert_int_equal(again.code, 201);
    _cleanup_outcome_ struct outcome dns = create(f, "dns", "{'clusterIP':'10.96.0.10','ports':[{'port':53}]}");
    assert_int_equal(dns.code, 201); /* who asks for it gets it */
}

static void test_what_is_asked_for_is_checked(void **state) {
    static const struct {
        const char *spec;
        unsigned code;
        const char *message;
    } cases[] = {
        {"{'clusterIP':'10.96.0.5','ports':[{'port':80}]}", 422,
         "spec.clusterIPs: Invalid value: [\"10.96.0.5\"]: failed to allocate IP 10.96.0.5: provided IP is "
         "already allocated"},
        {"{'clusterIP':'10.97.0.5','ports':[{'port':80}]}", 422,
         "failed to allocate IP 10.97.0.5: the provided IP (10.97.0.5) is not in the valid range. The range of valid "
         "IPs is 10.96.0.0/28"},
        {"{'clusterIP':'10.96.0.0','ports':[{'port':80}]}", 422, "not in the valid range"},
        {"{'clusterIP':'10.96.0.15','ports':[{'port':80}]}", 422, "not in the valid range"},
        {"{'type':'NodePort','ports':[{'port':80,'nodePort':30080}]}", 422,
         "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated"},
        {"{'type':'NodePort','ports':[{'port':80,'protocol':'UDP','nodePort':30080}]}", 422,
         "provided port is already allocated"},
        {"{'type':'NodePort','ports':[{'port':80,'nodePort':80}]}", 422,
         "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports "
         "is 30000-32767"},
        {"{'ipFamilies':['IPv6'],'ports':[{'port':80}]}", 422,
         "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"},
        {"{'ipFamilyPolicy':'RequireDualStack','ports':[{'port':80}]}", 422,
         "this cluster is not configured for dual-stack services"},
        {"{'ports':[{'port':80,'nodePort':30081}]}", 422, "may not be used when `type` is 'ClusterIP'"},
    };
    struct fixture *f = *state;
    _cleanup_outcome_ struct outcome first =
        create(f, "first", "{'type':'NodePort','clusterIP':'10.96.0.5','ports':[{'port':80,'nodePort':30080}]}");
    assert_int_equal(first.code, 201);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        _cleanup_outcome_ struct outcome o = create(f, "second", cases[i].spec);
        assert_message(&o, cases[i].code, cases[i].message);
    }
    /* none of the refused kept anything */
    delete (f, "first");
    _cleanup_outcome_ struct outcome o =
        create(f, "second", "{'type':'NodePort','clusterIP':'10.96.0.5','ports':[{'port':80,'nodePort':30080}]}");
    assert_int_equal(o.code, 201);
}

static void test_a_refused_service_keeps_nothing(void **state) {
    struct fixture *f = *state;
    _cleanup_outcome_ struct outcome taken =
        create(f, "a", "{'type':'NodePort','clusterIP':'10.96.0.2','ports':[{'port':1,'nodePort':30001}]}");
    /* the first port is granted before the second is refused */
    _cleanup_outcome_ struct outcome refused =
        create(f, "b",
               "{'type':'NodePort','clusterIP':'10.96.0.4','ports':[{'name':'x','port':1,'nodePort':30002},{'name':'y',"
               "'port':2,'nodePort':30001}]}");
    assert_message(&refused, 422, "spec.ports[1].nodePort");
    _cleanup_outcome_ struct outcome o =
        create(f, "c", "{'type':'NodePort','clusterIP':'10.96.0.3','ports':[{'port':1,'nodePort':30002}]}");
    assert_int_equal(o.code, 201);
    /* the name is taken, but it asked for an address that is free: the answer is about the name, and it stays free */
    _cleanup_outcome_ struct outcome twice = create(f, "c", "{'clusterIP':'10.96.0.7','ports':[{'port':1}]}");
    assert_int_equal(twice.code, 409);
    _cleanup_outcome_ struct outcome d = create(f, "d", "{'clusterIP':'10.96.0.7','ports':[{'port':1}]}");
    assert_int_equal(d.code, 201);
}

static void test_a_dry_run_takes_nothing(void **state) {
    struct fixture *f = *state;
    const char *body = "{'apiVersion':'v1','kind':'Service','metadata':{'name':'dry'},'spec':{'type':'NodePort',"
                       "'clusterIP':'10.96.0.5','ports':[{'port':80,'nodePort':30080}]}}";
    for (int i = 0; i < 2; i++) {
        _cleanup_outcome_ struct outcome o = run(f, "create", "", body, true);
        assert_int_equal(o.code, 201);
        assert_string_equal(ip_of(&o), "10.96.0.5");
    }
    _cleanup_outcome_ struct outcome o =
        create(f, "wet", "{'type':'NodePort','clusterIP':'10.96.0.5','ports':[{'port':80,'nodePort':30080}]}");
    assert_int_equal(o.code, 201);
}

static void test_ports_of_several_protocols_share_a_number(void **state) {
    struct fixture *f = *state;
    _cleanup_outcome_ struct outcome o =
        create(f, "dns",
               "{'type':'NodePort','ports':[{'name':'a','port':53,'protocol':'UDP'},{'name':'b','port':53},"
               "{'name':'c','port':54}]}");
    assert_int_equal(o.code, 201);
    assert_in_range(node_port_of(&o, 0), 30086, 32767); /* the low ones are for people */
    assert_int_equal(node_port_of(&o, 0), node_port_of(&o, 1));
    assert_int_not_equal(node_port_of(&o, 0), node_port_of(&o, 2));
}

static void test_balanced_services(void **state) {
    struct fixture *f = *state;
    _cleanup_outcome_ struct outcome o =
        create(f, "lb", "{'type':'LoadBalancer','externalTrafficPolicy':'Local','ports':[{'port':80}]}");
    assert_int_equal(o.code, 201);
    assert_true(node_port_of(&o, 0) >= 30000);
    int64_t health = json_int_or(json_path(o.object, "spec", "healthCheckNodePort"), 0);
    assert_true(health >= 30000 && health != node_port_of(&o, 0));
    assert_true(json_bool_or(json_path(o.object, "spec", "allocateLoadBalancerNodePorts"), false));
    _cleanup_free_ char *same =
        xasprintf("{'type':'NodePort','ports':[{'port':1,'nodePort':%lld}]}", (long long) health);
    _cleanup_outcome_ struct outcome refused = create(f, "np", same);
    assert_message(&refused, 422, "already allocated");
    _cleanup_outcome_ struct outcome none =
        create(f, "none", "{'type':'LoadBalancer','allocateLoadBalancerNodePorts':false,'ports':[{'port':80}]}");
    assert_int_equal(none.code, 201);
    assert_int_equal(node_port_of(&none, 0), 0);
}

static void patch(struct fixture *f, struct outcome *o, const char *spec) {
    _cleanup_free_ char *body =
        xasprintf("{'apiVersion':'v1','kind':'Service','metadata':{'name':'web'},'spec':%s}", spec);
    outcome_finish(o);
    *o = run(f, "update", "web", body, false);
}

/* PUT of what a client knows, without what the server added. */
static void test_type_changes(void **state) {
    struct fixture *f = *state;
    _cleanup_outcome_ struct outcome o = create(f, "web", "{'clusterIP':'10.96.0.3','ports':[{'port':80}]}");
    const char *ip = "10.96.0.3";
    patch(f, &o, "{'type':'NodePort','ports':[{'port':80}]}");
    assert_int_equal(o.code, 200);
    assert_string_equal(ip_of(&o), ip);
    int64_t port = node_port_of(&o, 0);
    assert_true(port >= 30000);
    patch(f, &o, "{'type':'NodePort','ports':[{'port':80,'targetPort':8080}]}");
    assert_int_equal(node_port_of(&o, 0), port); /* carried over */
    patch(f, &o, "{'type':'ClusterIP','clusterIP':'10.96.0.9','ports':[{'port':80}]}");
    assert_message(&o, 422, "spec.clusterIPs[0]: Invalid value: [\"10.96.0.9\"]: may not change once set");
    patch(f, &o, "{'type':'ClusterIP','clusterIP':'None','ports':[{'port':80}]}");
    assert_message(&o, 422, "may not change once set");
    patch(f, &o, WEB);
    assert_int_equal(o.code, 200);
    assert_int_equal(node_port_of(&o, 0), 0);
    _cleanup_free_ char *freed =
        xasprintf("{'type':'NodePort','ports':[{'port':1,'nodePort':%lld}]}", (long long) port);
    _cleanup_outcome_ struct outcome other = create(f, "other", freed);
    assert_int_equal(other.code, 201);
    patch(f, &o, "{'type':'ExternalName','externalName':'example.com'}");
    assert_int_equal(o.code, 200);
    assert_string_equal(ip_of(&o), "");
    _cleanup_free_ char *address = xasprintf("{'clusterIP':'%s','ports':[{'port':1}]}", ip);
    _cleanup_outcome_ struct outcome heir = create(f, "heir", address);
    assert_int_equal(heir.code, 201);
    patch(f, &o, WEB);
    assert_int_equal(o.code, 200);
    assert_true(strlen(ip_of(&o)) > 0 && strcmp(ip_of(&o), ip) != 0);
}

static void test_a_restarted_server_knows_what_is_taken(void **state) {
    struct fixture *f = *state;
    _cleanup_outcome_ struct outcome first =
        create(f, "first", "{'type':'NodePort','clusterIP':'10.96.0.5','ports':[{'port':80,'nodePort':30080}]}");
    assert_int_equal(first.code, 201);
    apiserver_free(steal(&f->api));
    assert_int_equal(open_api(f, "10.96.0.0/28"), 0);
    _cleanup_outcome_ struct outcome ip = create(f, "second", "{'clusterIP':'10.96.0.5','ports':[{'port':80}]}");
    assert_message(&ip, 422, "provided IP is already allocated");
    _cleanup_outcome_ struct outcome port =
        create(f, "second", "{'type':'NodePort','ports':[{'port':80,'nodePort':30080}]}");
    assert_message(&port, 422, "provided port is already allocated");
}

/* --- many at once --- */

enum { THREADS = 4, EACH = 60 };

struct worker {
    pthread_t thread;
    struct fixture *f;
    int number, made;
};

/* Creates and deletes, so that addresses come back while others are given; the last ones stay. */
static void *work(void *arg) {
    struct worker *w = arg;
    for (int i = 0; i < EACH; i++) {
        _cleanup_free_ char *name = xasprintf("w%d-%d", w->number, i);
        _cleanup_outcome_ struct outcome o = create(w->f, name, "{'type':'NodePort','ports':[{'port':80}]}");
        w->made += o.code == 201;
        if (i % 3)
            delete (w->f, name);
    }
    return NULL;
}

static void test_many_threads_get_different_ones(void **state) {
    struct fixture *f = *state;
    struct worker workers[THREADS];
    apiserver_free(steal(&f->api));
    assert_int_equal(open_api(f, "10.96.0.0/24"), 0);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.f = f, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].made, EACH);
    }
    _cleanup_(hashmap_freep) struct hashmap *seen = hashmap_new(NULL);
    _cleanup_(store_list_finish) struct store_list all = {0};
    assert_int_equal(store_list(f->store, "services", NULL, NULL, NULL, 0, 0, &all), 0);
    assert_int_equal(all.n, THREADS * EACH / 3);
    for (size_t i = 0; i < all.n; i++) {
        const struct json *spec = json_get(store_item_doc(all.items[i]), "spec");
        _cleanup_free_ char *port =
            xasprintf("%lld", (long long) json_int_or(json_get(json_at(json_get(spec, "ports"), 0), "nodePort"), 0));
        assert_false(hashmap_has(seen, json_str(json_get(spec, "clusterIP"))));
        assert_false(hashmap_has(seen, port));
        hashmap_put(seen, json_str(json_get(spec, "clusterIP")), NULL);
        hashmap_put(seen, port, NULL);
    }
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_addresses_are_each_given_once_until_none_is_left),
        T(test_what_is_asked_for_is_checked),
        T(test_a_refused_service_keeps_nothing),
        T(test_a_dry_run_takes_nothing),
        T(test_ports_of_several_protocols_share_a_number),
        T(test_balanced_services),
        T(test_type_changes),
        T(test_a_restarted_server_knows_what_is_taken),
        T(test_many_threads_get_different_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
