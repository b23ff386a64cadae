/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ResourceQuota: what is counted, what is refused and how it is said, exactly, however many ask at once. */
#include "orchestrator/apiserver/request.h"
#include "tests/unit/apiserver/server_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define PODS     "/api/v1/namespaces/default/pods"
#define QUOTAS   "/api/v1/namespaces/default/resourcequotas"
#define CLAIMS   "/api/v1/namespaces/default/persistentvolumeclaims"
#define SERVICES "/api/v1/namespaces/default/services"

static void expect(struct fixture *f, const char *method, const char *path, const char *quoted, long code) {
    _cleanup_answer_ struct answer a = say(f, method, path, quoted);
    assert_code(a, code);
}

static void refuse(struct fixture *f, const char *method, const char *path, const char *quoted, const char *message) {
    _cleanup_answer_ struct answer a = say(f, method, path, quoted);
    assert_status(a, 403, "Forbidden", message);
}

static void quota(struct fixture *f, const char *name, const char *spec) {
    _cleanup_free_ char *body =
        xasprintf("{'apiVersion':'v1','kind':'ResourceQuota','metadata':{'name':'%s'},'spec':%s}", name, spec);
    expect(f, "POST", QUOTAS, body, 201);
}

/* more: members of the spec before the containers, with a comma at the end; resources: of the container. */
static char *pod(const char *name, const char *more, const char *resources) {
    return xasprintf("{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s'},'spec':{%s'containers':[{'name':'c',"
                     "'image':'i','resources':%s}]}}",
                     name, more, resources);
}

static void make_pod(struct fixture *f, const char *name, const char *more, const char *resources, const char *why) {
    _cleanup_free_ char *body = pod(name, more, resources);
    if (why)
        refuse(f, "POST", PODS, body, why);
    else
        expect(f, "POST", PODS, body, 201);
}

static void test_pods_are_counted_and_given_back(void **state) {
    struct fixture *f = *state;
    make_pod(f, "before", "", "{}", NULL);
    quota(f, "few", "{'hard':{'pods':'2'}}");
    make_pod(f, "a", "", "{}", NULL);
    make_pod(f, "b", "", "{}",
             "pods \"b\" is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2");
    expect(f, "POST", PODS "?dryRun=All",
           "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'b'},'spec':{'containers':"
           "[{'name':'c','image':'i'}]}}",
           403);
    expect(f, "DELETE", PODS "/before", NULL, 200);
    /* a pod that is done is nobody's burden; one whose name is taken costs nothing, nor does a dry run */
    expect(f, "PATCH", PODS "/a/status", "{'status':{'phase':'Succeeded'}}", 200);
    make_pod(f, "b", "", "{}", NULL);
    _cleanup_free_ char *again = pod("b", "", "{}");
    expect(f, "POST", PODS, again, 409);
    _cleanup_free_ char *c = pod("c", "", "{}");
    expect(f, "POST", PODS "?dryRun=All", c, 201);
    expect(f, "POST", PODS, c, 201);
    make_pod(f, "d", "", "{}",
             "pods \"d\" is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2");
    /* a larger quota counts at once */
    expect(f, "PATCH", QUOTAS "/few", "{'spec':{'hard':{'pods':'3'}}}", 200);
    make_pod(f, "d", "", "{}", NULL);
    expect(f, "DELETE", QUOTAS "/few", NULL, 200);
    make_pod(f, "e", "", "{}", NULL);
}

static void test_compute_resources(void **state) {
    struct fixture *f = *state;
    quota(f, "compute", "{'hard':{'requests.cpu':'1','limits.memory':'1Gi','requests.example.com/gpu':'1'}}");
    make_pod(f, "silent", "", "{}",
             "pods \"silent\" is forbidden: failed quota: compute: must specify limits.memory for: c; requests.cpu "
             "for: c");
    make_pod(f, "a", "", "{'requests':{'cpu':'600m'},'limits':{'memory':'512Mi'}}", NULL);
    make_pod(
        f, "b", "", "{'requests':{'cpu':'500m'},'limits':{'memory':'768Mi'}}",
        "pods \"b\" is forbidden: exceeded quota: compute, requested: limits.memory=768Mi,requests.cpu=500m, used: "
        "limits.memory=512Mi,requests.cpu=600m, limited: limits.memory=1Gi,requests.cpu=1");
    make_pod(f, "gpus", "", "{'requests':{'cpu':'1m'},'limits':{'memory':'1Mi','example.com/gpu':'2'}}",
             "pods \"gpus\" is forbidden: exceeded quota: compute, requested: requests.example.com/gpu=2, used: "
             "requests.example.com/gpu=0, limited: requests.example.com/gpu=1");
    make_pod(f, "init",
             "'initContainers':[{'name':'i','image':'i','resources':{'requests':{'cpu':'401m'},'limits':"
             "{'memory':'1Mi'}}}],",
             "{'requests':{'cpu':'1m'},'limits':{'memory':'1Mi'}}",
             "pods \"init\" is forbidden: exceeded quota: compute, requested: requests.cpu=401m, used: "
             "requests.cpu=600m, limited: requests.cpu=1");
    make_pod(f, "c", "", "{'requests':{'cpu':'400m'},'limits':{'memory':'512Mi'}}", NULL);
}

static void test_scopes(void **state) {
    struct fixture *f = *state;
    quota(f, "best", "{'hard':{'pods':'0'},'scopes':['BestEffort']}");
    quota(f, "ends", "{'hard':{'pods':'0'},'scopes':['Terminating']}");
    quota(f, "far",
          "{'hard':{'pods':'0'},'scopeSelector':{'matchExpressions':[{'scopeName':"
          "'CrossNamespacePodAffinity','operator':'Exists'}]}}");
    quota(f, "high",
          "{'hard':{'pods':'0'},'scopeSelector':{'matchExpressions':[{'scopeName':'PriorityClass',"
          "'operator':'In','values':['high']}]}}");
    expect(f, "POST", "/apis/scheduling.k8s.io/v1/priorityclasses",
           "{'apiVersion':'scheduling.k8s.io/v1','kind':'PriorityClass','metadata':{'name':'high'},'value':5}", 201);
    static const char some[] = "{'requests':{'cpu':'1m'}}";
    make_pod(f, "p", "", "{}",
             "pods \"p\" is forbidden: exceeded quota: best, requested: pods=1, used: pods=0, limited: pods=0");
    make_pod(f, "p", "'activeDeadlineSeconds':5,", some,
             "pods \"p\" is forbidden: exceeded quota: ends, requested: pods=1, used: pods=0, limited: pods=0");
    make_pod(f, "p",
             "'affinity':{'podAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[{'topologyKey':'k',"
             "'namespaces':['x'],'labelSelector':{}}]}},",
             some, "pods \"p\" is forbidden: exceeded quota: far, requested: pods=1, used: pods=0, limited: pods=0");
    make_pod(f, "p", "'priorityClassName':'high',", some,
             "pods \"p\" is forbidden: exceeded quota: high, requested: pods=1, used: pods=0, limited: pods=0");
    make_pod(f, "p", "", some, NULL);
    /* scopes are of pods: nothing else is held */
    expect(f, "POST", "/api/v1/namespaces/default/configmaps",
           "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'c'}}", 201);
}

static void test_every_kind_can_be_counted(void **state) {
    struct fixture *f = *state;
    quota(f, "kinds",
          "{'hard':{'configmaps':'1','count/deployments.apps':'0','resourcequotas':'1','count/secrets':'0',"
          "'count/leases.coordination.k8s.io':'0'}}");
    static const char map[] = "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'generateName':'c-'}}";
    expect(f, "POST", "/api/v1/namespaces/default/configmaps", map, 201);
    expect(f, "POST", "/api/v1/namespaces/default/configmaps", map, 403);
    refuse(f, "POST", "/api/v1/namespaces/default/secrets",
           "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'s'}}",
           "secrets \"s\" is forbidden: exceeded quota: kinds, requested: count/secrets=1, used: count/secrets=0, "
           "limited: count/secrets=0");
    refuse(f, "POST", QUOTAS, "{'apiVersion':'v1','kind':'ResourceQuota','metadata':{'name':'two'}}",
           "resourcequotas \"two\" is forbidden: exceeded quota: kinds, requested: resourcequotas=1, used: "
           "resourcequotas=1, limited: resourcequotas=1");
    refuse(f, "POST", "/apis/coordination.k8s.io/v1/namespaces/default/leases",
           "{'apiVersion':'coordination.k8s.io/v1','kind':'Lease','metadata':{'name':'l'},'spec':{}}",
           "leases.coordination.k8s.io \"l\" is forbidden: exceeded quota: kinds, requested: "
           "count/leases.coordination.k8s.io=1, used: count/leases.coordination.k8s.io=0, limited: "
           "count/leases.coordination.k8s.io=0");
    /* by apply and by PUT as by POST */
    _cleanup_answer_ struct answer a =
        ask_as(f, "PATCH", "/api/v1/namespaces/default/secrets/s?fieldManager=m", "application/apply-patch+yaml", NULL,
               "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\"}}");
    assert_code(a, 403);
    expect(f, "PUT", "/apis/coordination.k8s.io/v1/namespaces/default/leases/l",
           "{'apiVersion':'coordination.k8s.io/v1','kind':'Lease','metadata':{'name':'l'},'spec':{}}", 403);
}

static void test_services(void **state) {
    struct fixture *f = *state;
    quota(f, "net", "{'hard':{'services':'2','services.nodeports':'1','services.loadbalancers':'0'}}");
    expect(f, "POST", SERVICES,
           "{'apiVersion':'v1','kind':'Service','metadata':{'name':'a'},'spec':{'ports':[{'port':80}]}}", 201);
    refuse(f, "PATCH", SERVICES "/a", "{'spec':{'type':'LoadBalancer'}}",
           "services \"a\" is forbidden: exceeded quota: net, requested: services.loadbalancers=1, used: "
           "services.loadbalancers=0, limited: services.loadbalancers=0");
    expect(f, "PATCH", SERVICES "/a", "{'spec':{'type':'NodePort'}}", 200);
    refuse(f, "PATCH", SERVICES "/a", "{'spec':{'ports':[{'name':'x','port':80},{'name':'y','port':81}]}}",
           "services \"a\" is forbidden: exceeded quota: net, requested: services.nodeports=1, used: "
           "services.nodeports=1, limited: services.nodeports=1");
    expect(f, "PATCH", SERVICES "/a", "{'spec':{'type':'ClusterIP'}}", 200);
    expect(
        f, "POST", SERVICES,
        "{'apiVersion':'v1','kind':'Service','metadata':{'name':'b'},'spec':{'type':'NodePort','ports':[{'port':80}]}}",
        201);
}

static void test_claims(void **state) {
    struct fixture *f = *state;
    quota(f, "disk",
          "{'hard':{'requests.storage':'3Gi','gold.storageclass.storage.k8s.io/requests.storage':'1Gi',"
          "'gold.storageclass.storage.k8s.io/persistentvolumeclaims':'1'}}");
    static const char claim[] = "{'apiVersion':'v1','kind':'PersistentVolumeClaim','metadata':{'name':'%s'},'spec':{"
                                "'accessModes':['ReadWriteOnce'],%s'resources':{'requests':{'storage':'%s'}}}}";
    _cleanup_free_ char *big = xasprintf(claim, "big", "'storageClassName':'gold',", "2Gi");
    _cleanup_free_ char *gold = xasprintf(claim, "gold", "'storageClassName':'gold',", "1Gi");
    _cleanup_free_ char *more = xasprintf(claim, "more", "'storageClassName':'gold',", "1");
    _cleanup_free_ char *other = xasprintf(claim, "other", "", "2049Mi");
    refuse(f, "POST", CLAIMS, big,
           "persistentvolumeclaims \"big\" is forbidden: exceeded quota: disk, requested: "
           "gold.storageclass.storage.k8s.io/requests.storage=2Gi, used: "
           "gold.storageclass.storage.k8s.io/requests.storage=0, limited: "
           "gold.storageclass.storage.k8s.io/requests.storage=1Gi");
    expect(f, "POST", CLAIMS, gold, 201);
    expect(f, "POST", CLAIMS, more, 403);
    refuse(f, "POST", CLAIMS, other,
           "persistentvolumeclaims \"other\" is forbidden: exceeded quota: disk, requested: requests.storage=2049Mi, "
           "used: requests.storage=1Gi, limited: requests.storage=3Gi");
}

static void test_resize_is_counted(void **state) {
    struct fixture *f = *state;
    static const char size[] =
        "{'spec':{'containers':[{'name':'c','image':'i','resources':{'requests':{'cpu':'%s'}}}]}}";
    _cleanup_free_ char *small = xasprintf(size, "900m"), *large = xasprintf(size, "1100m");
    _cleanup_free_ char *limited = xasprintf(size, "950m");
    quota(f, "q", "{'hard':{'requests.cpu':'1'}}");
    make_pod(f, "p", "", "{'requests':{'cpu':'500m'}}", NULL);
    refuse(
        f, "PATCH", PODS "/p/resize", large,
        "pods \"p\" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=500m, limited: "
        "requests.cpu=1");
    expect(f, "PATCH", PODS "/p/resize", small, 200);
    make_pod(f, "other", "", "{'requests':{'cpu':'101m'}}",
             "pods \"other\" is forbidden: exceeded quota: q, requested: requests.cpu=101m, used: requests.cpu=900m, "
             "limited: requests.cpu=1");
    expect(
        f, "POST", "/api/v1/namespaces/default/limitranges",
        "{'apiVersion':'v1','kind':'LimitRange','metadata':{'name':'r'},'spec':{'limits':[{'type':'Container','min':{"
        "'memory':'1'},'maxLimitRequestRatio':{'cpu':'1'}}]}}",
        201);
    refuse(
        f, "PATCH", PODS "/p/resize", limited,
        "pods \"p\" is forbidden: [minimum memory usage per Container is 1.  No request is specified, cpu max limit to "
        "request ratio per Container is 1, but no limit is specified or limit is 0]");
}

/* Far more happens elsewhere than a watch can be behind: usage is read anew, and is right. */
static void test_what_was_missed_is_counted(void **state) {
    struct fixture *f = *state;
    quota(f, "q", "{'hard':{'pods':'3'}}");
    make_pod(f, "a", "", "{}", NULL);
    make_pod(f, "b", "", "{}", NULL);
    expect(f, "POST", "/api/v1/namespaces", "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'busy'}}", 201);
    for (int i = 0; i < 40; i++) {
        _cleanup_free_ char *name = xasprintf("n%d", i), *body = pod(name, "", "{}");
        expect(f, "POST", "/api/v1/namespaces/busy/pods", body, 201);
    }
    make_pod(f, "c", "", "{}", NULL);
    make_pod(f, "d", "", "{}",
             "pods \"d\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3");
    /* as after a time without the quota */
    expect(f, "DELETE", QUOTAS "/q", NULL, 200);
    make_pod(f, "d", "", "{}", NULL);
    expect(f, "DELETE", PODS "/a", NULL, 200);
    expect(f, "DELETE", PODS "/b", NULL, 200);
    quota(f, "q", "{'hard':{'pods':'3'}}");
    make_pod(f, "e", "", "{}", NULL);
    make_pod(f, "g", "", "{}",
             "pods \"g\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3");
}

static int setup_short_memory(void **state) {
    return fixture_set_up(state, false, 16);
}

/* --- many at once --- */

#define THREADS 64
#define ROUNDS  6
#define ROOM    37

struct crowd {
    struct fixture *f;
    pthread_barrier_t start;
    atomic_uint made, refused, other, next;
};

static unsigned run(struct fixture *f, const char *verb, const char *name, struct json *take) {
    char *groups[] = {(char[]){"system:masters"}, NULL};
    struct api_user user = {.name = (char[]){"test"}, .groups = groups};
    struct api_request *req = api_request_new(f->api);
    req->user = &user;
    req->method = xstrdup(strcmp(verb, "create") == 0 ? "POST" : "DELETE");
    req->path = xasprintf("/api/v1/namespaces/crowd/pods%s%s", *name ? "/" : "", name);
    req->body_doc = take;
    api_request_run(req);
    unsigned code = req->out.code;
    api_request_free(req);
    return code;
}

static void *push(void *arg) {
    struct crowd *c = arg;
    (void) pthread_barrier_wait(&c->start);
    for (size_t i = 0; i < ROUNDS; i++) {
        _cleanup_free_ char *quoted = pod("x", "", "{'requests':{'cpu':'10m'}}"), *text = plain(quoted);
        struct json *doc = NULL;
        assert_int_equal(json_parse(text, strlen(text), NULL, &doc, NULL), 0);
        /* every fourth name is wanted by several: all but one fail only in the store */
        unsigned n = atomic_fetch_add(&c->next, 1);
        json_set_path(&doc, json_stringf("p%u", n % 4 ? n : n / 64), "metadata", "name");
        unsigned code = run(c->f, "create", "", doc);
        atomic_fetch_add(code == 201 ? &c->made : code == 403 ? &c->refused : &c->other, 1);
    }
    return NULL;
}

static void crowd_run(struct crowd *c) {
    pthread_t threads[THREADS];
    (void) pthread_barrier_init(&c->start, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push, c), 0);
    for (size_t i = 0; i < THREADS; i++)
        (void) pthread_join(threads[i], NULL);
    (void) pthread_barrier_destroy(&c->start);
}

static size_t pods_there(struct fixture *f) {
    struct store_list all;
    assert_int_equal(store_list(f->store, "pods", "crowd", NULL, NULL, 0, 0, &all), 0);
    size_t n = all.n;
    store_list_finish(&all);
    return n;
}

static void test_64_clients_at_once_get_exactly_what_there_is(void **state) {
    struct fixture *f = *state;
    struct crowd c = {.f = f};
    expect(f, "POST", "/api/v1/namespaces", "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'crowd'}}", 201);
    expect(f, "POST", "/api/v1/namespaces/crowd/resourcequotas",
           "{'apiVersion':'v1','kind':'ResourceQuota','metadata':{'name':'q'},'spec':{'hard':{'requests.cpu':'370m'}}}",
           201);
    crowd_run(&c);
    assert_int_equal(atomic_load(&c.made), ROOM);
    assert_int_equal(pods_there(f), ROOM);
    assert_true(atomic_load(&c.refused) > 0);
    /* what failed in the store (names taken) has cost nothing: room for one is room for one */
    struct store_list all;
    assert_int_equal(store_list(f->store, "pods", "crowd", NULL, NULL, 1, 0, &all), 0);
    assert_int_equal(run(f, "delete", store_item_name(all.items[0]), NULL), 200);
    store_list_finish(&all);
    atomic_store(&c.made, 0);
    atomic_fetch_add(&c.next, 1000);
    crowd_run(&c);
    assert_int_equal(atomic_load(&c.made), 1);
    assert_int_equal(pods_there(f), ROOM);
}

#define F(t) cmocka_unit_test_setup_teardown(t, fixture_setup_local, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        F(test_pods_are_counted_and_given_back),
        F(test_compute_resources),
        F(test_scopes),
        F(test_every_kind_can_be_counted),
        F(test_services),
        F(test_claims),
        F(test_resize_is_counted),
        cmocka_unit_test_setup_teardown(test_what_was_missed_is_counted, setup_short_memory, fixture_teardown),
        F(test_64_clients_at_once_get_exactly_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
