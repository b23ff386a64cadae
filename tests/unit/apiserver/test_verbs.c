/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs over HTTP: what a client sees. */
#include "orchestrator/object/resources.h"
#include "tests/unit/apiserver/server_fixture.h"

#define CM   "/api/v1/namespaces/default/configmaps"
#define PODS "/api/v1/namespaces/default/pods"

static void create_cm(struct fixture *f, const char *name, const char *extra) {
    _cleanup_free_ char *body = xasprintf("{\"metadata\":{\"name\":\"%s\"%s},\"data\":{\"k\":\"v\"}}", name, extra);
    _cleanup_answer_ struct answer a = ask(f, "POST", CM, body);
    assert_code(a, 201);
}

static void test_create_get(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer made = ask(f, "POST", CM,
                                              "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":"
                                              "\"a\",\"uid\":\"mine\",\"generation\":7},\"data\":{\"k\":\"v\"}}");
    assert_code(made, 201);
    assert_string_equal(json_str(json_path(made.body, "metadata", "namespace")), "default");
    assert_int_equal(strlen(json_str_or(json_path(made.body, "metadata", "uid"), "")), 36);
    assert_null(json_path(made.body, "metadata", "generation"));
    _cleanup_answer_ struct answer got = ask(f, "GET", CM "/a", NULL);
    assert_code(got, 200);
    assert_true(json_equal(made.body, got.body));
    assert_string_equal(json_str(json_get(got.body, "kind")), "ConfigMap");
    _cleanup_answer_ struct answer again = ask(f, "POST", CM, "{\"metadata\":{\"name\":\"a\"}}");
    assert_status(again, 409, "AlreadyExists", "configmaps \"a\" already exists");
    assert_string_equal(json_str(json_path(again.body, "details", "kind")), "configmaps");
    _cleanup_answer_ struct answer none = ask(f, "GET", CM "/b", NULL);
    assert_status(none, 404, "NotFound", "configmaps \"b\" not found");
}

static void test_generate_name(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer a = ask(f, "POST", CM, "{\"metadata\":{\"generateName\":\"web-\"}}");
    assert_code(a, 201);
    const char *name = json_str_or(json_path(a.body, "metadata", "name"), "");
    assert_int_equal(strlen(name), 9);
    assert_memory_equal(name, "web-", 4);
}

static void test_bad_bodies(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer syntax = ask(f, "POST", CM, "{\"metadata\":");
    assert_code(syntax, 400);
    assert_string_equal(reason_of(&syntax), "BadRequest");
    _cleanup_answer_ struct answer kind = ask(f, "POST", CM, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\"}");
    assert_code(kind, 400);
    _cleanup_answer_ struct answer version = ask(f, "POST", CM, "{\"apiVersion\":\"apps/v1\",\"kind\":\"ConfigMap\"}");
    assert_status(version, 400, "BadRequest",
                  "the API version in the data (apps/v1) does not match the expected API version (v1)");
    _cleanup_answer_ struct answer ns = ask(f, "POST", CM, "{\"metadata\":{\"name\":\"x\",\"namespace\":\"other\"}}");
    assert_status(ns, 400, "BadRequest",
                  "the namespace of the provided object does not match the namespace sent on the request");
    _cleanup_answer_ struct answer type = ask(f, "POST", CM, "{\"metadata\":{\"name\":\"x\"},\"data\":{\"k\":1}}");
    assert_code(type, 400);
    assert_non_null(strstr(message_of(&type),
                           "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot "
                           "unmarshal number into"));
    _cleanup_answer_ struct answer media = ask_as(f, "POST", CM, "text/plain", NULL, "x");
    assert_code(media, 415);
    _cleanup_answer_ struct answer missing =
        ask(f, "POST", "/api/v1/namespaces/nowhere/configmaps", "{\"metadata\":{\"name\":\"x\"}}");
    assert_status(missing, 404, "NotFound", "namespaces \"nowhere\" not found");
    char *deep = xmalloc(40001);
    memset(deep, '[', 40000);
    deep[40000] = 0;
    _cleanup_answer_ struct answer nested = ask(f, "POST", CM, deep);
    free(deep);
    assert_code(nested, 400);
}

static void test_too_large(void **state) {
    struct fixture *f = *state;
    size_t n = 3 * 1024 * 1024 + 10;
    char *big = xmalloc(n + 1);
    memset(big, ' ', n);
    big[n] = 0;
    _cleanup_answer_ struct answer a = ask(f, "POST", CM, big);
    free(big);
    assert_status(a, 413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728");
}

/* Who wrote 4,000 long keys takes as much room as the keys: then it is the owners that are left out, not the object. */
static void test_too_large_with_owners(void **state) {
    struct fixture *f = *state;
    _cleanup_strbuf_ struct strbuf body = STRBUF_INIT;
    strbuf_adds(&body, "{\"metadata\":{\"name\":\"wide\"},\"data\":{");
    for (int i = 0; i < 4000; i++)
        strbuf_addf(&body, "%s\"%0240d\":\"\"", i ? "," : "", i);
    strbuf_adds(&body, "}}");
    _cleanup_answer_ struct answer made = ask(f, "POST", CM, body.data);
    assert_code(made, 201);
    assert_int_equal(json_len(json_get(made.body, "data")), 4000);
    assert_null(json_path(made.body, "metadata", "managedFields"));
}

static void test_field_validation(void **state) {
    struct fixture *f = *state;
    const char *body = "{\"metadata\":{\"name\":\"fv\"},\"foo\":1,\"data\":{\"k\":\"1\",\"k\":\"2\"}}";
    _cleanup_answer_ struct answer strict = ask(f, "POST", CM "?fieldValidation=Strict", body);
    assert_code(strict, 400);
    assert_non_null(strstr(message_of(&strict), "strict decoding error: "));
    assert_non_null(strstr(message_of(&strict), "unknown field \"foo\""));
    assert_non_null(strstr(message_of(&strict), "duplicate field \"data.k\""));
    _cleanup_answer_ struct answer warn = ask(f, "POST", CM "?dryRun=All", body);
    assert_code(warn, 201);
    assert_non_null(strstr(strbuf_str(&warn.headers), "Warning: 299 - \"unknown field \\\"foo\\\"\""));
    assert_null(json_get(warn.body, "foo"));
    _cleanup_answer_ struct answer ignore = ask(f, "POST", CM "?dryRun=All&fieldValidation=Ignore", body);
    assert_code(ignore, 201);
    assert_null(strstr(strbuf_str(&ignore.headers), "Warning:"));
}

static void test_dry_run(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer a = ask(f, "POST", CM "?dryRun=All", "{\"metadata\":{\"name\":\"dry\"}}");
    assert_code(a, 201);
    _cleanup_answer_ struct answer none = ask(f, "GET", CM "/dry", NULL);
    assert_code(none, 404);
    create_cm(f, "wet", "");
    _cleanup_answer_ struct answer d = ask(f, "DELETE", CM "/wet?dryRun=All", NULL);
    assert_code(d, 200);
    _cleanup_answer_ struct answer p = ask(f, "PATCH", CM "/wet?dryRun=All", "{\"data\":{\"x\":\"y\"}}");
    assert_code(p, 200);
    assert_string_equal(json_str(json_path(p.body, "data", "x")), "y");
    _cleanup_answer_ struct answer still = ask(f, "GET", CM "/wet", NULL);
    assert_code(still, 200);
    assert_null(json_path(still.body, "data", "x"));
    _cleanup_answer_ struct answer bad = ask(f, "DELETE", CM "/wet?dryRun=some", NULL);
    assert_code(bad, 422);
}

static void test_update(void **state) {
    struct fixture *f = *state;
    create_cm(f, "u", "");
    _cleanup_answer_ struct answer got = ask(f, "GET", CM "/u", NULL);
    _cleanup_free_ char *same = json_to_text(got.body);
    _cleanup_answer_ struct answer unchanged = ask(f, "PUT", CM "/u", same);
    assert_code(unchanged, 200);
    assert_true(json_equal(got.body, unchanged.body)); /* no new revision */
    json_set_path(&got.body, json_string("w"), "data", "k");
    _cleanup_free_ char *changed = json_to_text(got.body);
    _cleanup_answer_ struct answer put = ask(f, "PUT", CM "/u", changed);
    assert_code(put, 200);
    assert_string_not_equal(json_str(json_path(put.body, "metadata", "resourceVersion")),
                            json_str(json_path(got.body, "metadata", "resourceVersion")));
    _cleanup_answer_ struct answer stale = ask(f, "PUT", CM "/u", changed);
    assert_status(stale, 409, "Conflict",
                  "Operation cannot be fulfilled on configmaps \"u\": the object has been modified; please apply your "
                  "changes to the latest version and try again");
    _cleanup_answer_ struct answer blind =
        ask(f, "PUT", CM "/u", "{\"metadata\":{\"name\":\"u\"},\"data\":{\"only\":\"me\"}}");
    assert_code(blind, 200);
    assert_string_equal(json_str(json_path(blind.body, "metadata", "uid")),
                        json_str(json_path(got.body, "metadata", "uid")));
    _cleanup_answer_ struct answer name = ask(f, "PUT", CM "/u", "{\"metadata\":{\"name\":\"v\"}}");
    assert_status(name, 400, "BadRequest", "the name of the object (v) does not match the name on the URL (u)");
    _cleanup_answer_ struct answer missing = ask(f, "PUT", CM "/none", "{\"metadata\":{\"name\":\"none\"}}");
    assert_code(missing, 404);
}

static void test_patches(void **state) {
    struct fixture *f = *state;
    create_cm(f, "p", "");
    _cleanup_answer_ struct answer merge = ask(f, "PATCH", CM "/p", "{\"data\":{\"a\":\"1\",\"k\":null}}");
    assert_code(merge, 200);
    assert_null(json_path(merge.body, "data", "k"));
    _cleanup_answer_ struct answer json = ask_as(f, "PATCH", CM "/p", "application/json-patch+json", NULL,
                                                 "[{\"op\":\"add\",\"path\":\"/data/b\",\"value\":\"2\"}]");
    assert_code(json, 200);
    assert_string_equal(json_str(json_path(json.body, "data", "b")), "2");
    _cleanup_answer_ struct answer test = ask_as(f, "PATCH", CM "/p", "application/json-patch+json", NULL,
                                                 "[{\"op\":\"test\",\"path\":\"/data/b\",\"value\":\"3\"}]");
    assert_code(test, 422);
    _cleanup_answer_ struct answer strategic = ask_as(f, "PATCH", CM "/p", "application/strategic-merge-patch+json",
                                                      NULL, "{\"data\":{\"$retainKeys\":[\"a\"],\"a\":\"9\"}}");
    assert_code(strategic, 200);
    _cleanup_answer_ struct answer apply = ask_as(f, "PATCH", CM "/p", "application/apply-patch+yaml", NULL, "{}");
    assert_code(apply, 422); /* an applier says who it is */
    _cleanup_answer_ struct answer type = ask_as(f, "PATCH", CM "/p", "application/apply", NULL, "{}");
    assert_code(type, 415);
    _cleanup_answer_ struct answer stale = ask(f, "PATCH", CM "/p", "{\"metadata\":{\"resourceVersion\":\"1\"}}");
    assert_code(stale, 409);
    _cleanup_answer_ struct answer noop = ask(f, "PATCH", CM "/p", "{}");
    assert_code(noop, 200);
    assert_string_equal(json_str(json_path(noop.body, "metadata", "resourceVersion")),
                        json_str(json_path(strategic.body, "metadata", "resourceVersion")));
    _cleanup_answer_ struct answer missing = ask(f, "PATCH", CM "/none", "{}");
    assert_code(missing, 404);
}

static void test_delete(void **state) {
    struct fixture *f = *state;
    create_cm(f, "d", "");
    _cleanup_answer_ struct answer got = ask(f, "GET", CM "/d", NULL);
    _cleanup_answer_ struct answer wrong = ask(f, "DELETE", CM "/d", "{\"preconditions\":{\"uid\":\"nope\"}}");
    assert_code(wrong, 409);
    assert_non_null(strstr(message_of(&wrong), "Precondition failed: UID in precondition: nope, UID in object meta: "));
    _cleanup_answer_ struct answer gone =
        ask(f, "DELETE", CM "/d",
            "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"propagationPolicy\":\"Background\"}");
    assert_code(gone, 200);
    assert_string_equal(json_str(json_get(gone.body, "status")), "Success");
    assert_string_equal(json_str(json_path(gone.body, "details", "uid")),
                        json_str(json_path(got.body, "metadata", "uid")));
    _cleanup_answer_ struct answer again = ask(f, "DELETE", CM "/d", NULL);
    assert_code(again, 404);
}

static void test_finalizers(void **state) {
    struct fixture *f = *state;
    create_cm(f, "fin", ",\"finalizers\":[\"example.com/hold\"]");
    _cleanup_answer_ struct answer marked = ask(f, "DELETE", CM "/fin", NULL);
    assert_code(marked, 200);
    assert_non_null(json_path(marked.body, "metadata", "deletionTimestamp"));
    _cleanup_answer_ struct answer freed = ask(f, "PATCH", CM "/fin", "{\"metadata\":{\"finalizers\":null}}");
    assert_code(freed, 200);
    _cleanup_answer_ struct answer gone = ask(f, "GET", CM "/fin", NULL);
    assert_code(gone, 404);
    create_cm(f, "orphan", "");
    _cleanup_answer_ struct answer orphan = ask(f, "DELETE", CM "/orphan?propagationPolicy=Orphan", NULL);
    assert_code(orphan, 200);
    assert_string_equal(json_str(json_at(json_path(orphan.body, "metadata", "finalizers"), 0)), "orphan");
    _cleanup_answer_ struct answer bad = ask(f, "DELETE", CM "/orphan?propagationPolicy=Sideways", NULL);
    assert_code(bad, 422);
}

static const char *const pod =
    "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}";

static void test_pod_life(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer made = ask(f, "POST", PODS, pod);
    assert_code(made, 201);
    assert_string_equal(json_str(json_path(made.body, "status", "phase")), "Pending");
    assert_string_equal(json_str(json_path(made.body, "spec", "serviceAccountName")), "default");
    assert_int_equal(json_len(json_path(made.body, "spec", "tolerations")), 2);
    const char *bind = "{\"metadata\":{\"name\":\"p\"},\"target\":{\"kind\":\"Node\",\"name\":\"n1\"}}";
    _cleanup_answer_ struct answer bound = ask(f, "POST", PODS "/p/binding", bind);
    assert_code(bound, 201);
    _cleanup_answer_ struct answer twice = ask(f, "POST", PODS "/p/binding", bind);
    assert_status(twice, 409, "Conflict",
                  "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"n1\"");
    _cleanup_answer_ struct answer status =
        ask(f, "PATCH", PODS "/p/status", "{\"status\":{\"phase\":\"Running\"},\"spec\":{\"nodeName\":\"other\"}}");
    assert_code(status, 200);
    assert_string_equal(json_str(json_path(status.body, "status", "phase")), "Running");
    assert_string_equal(json_str(json_path(status.body, "spec", "nodeName")), "n1");
    _cleanup_answer_ struct answer soft = ask(f, "DELETE", PODS "/p", "{\"gracePeriodSeconds\":20}");
    assert_code(soft, 200);
    assert_int_equal(json_int_or(json_path(soft.body, "metadata", "deletionGracePeriodSeconds"), -1), 20);
    _cleanup_answer_ struct answer longer = ask(f, "DELETE", PODS "/p", "{\"gracePeriodSeconds\":60}");
    assert_code(longer, 200);
    assert_int_equal(json_int_or(json_path(longer.body, "metadata", "deletionGracePeriodSeconds"), -1), 20);
    _cleanup_answer_ struct answer now = ask(f, "DELETE", PODS "/p", "{\"gracePeriodSeconds\":0}");
    assert_code(now, 200);
    _cleanup_answer_ struct answer gone = ask(f, "GET", PODS "/p", NULL);
    assert_code(gone, 404);
}

static void test_pod_unscheduled_delete(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer made = ask(f, "POST", PODS, pod);
    assert_code(made, 201);
    _cleanup_answer_ struct answer evicted =
        ask(f, "POST", PODS "/p/eviction",
            "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":\"p\"}}");
    assert_code(evicted, 201);
    _cleanup_answer_ struct answer gone = ask(f, "GET", PODS "/p", NULL);
    assert_code(gone, 404);
}

static void test_namespace_life(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer made = ask(f, "POST", "/api/v1/namespaces", "{\"metadata\":{\"name\":\"team\"}}");
    assert_code(made, 201);
    _cleanup_answer_ struct answer marked = ask(f, "DELETE", "/api/v1/namespaces/team", NULL);
    assert_code(marked, 200);
    assert_string_equal(json_str(json_path(marked.body, "status", "phase")), "Terminating");
    _cleanup_answer_ struct answer late =
        ask(f, "POST", "/api/v1/namespaces/team/configmaps", "{\"metadata\":{\"name\":\"x\"}}");
    assert_status(late, 403, "Forbidden",
                  "configmaps \"x\" is forbidden: unable to create new content in namespace team because it is being "
                  "terminated");
    assert_string_equal(json_str(json_get(json_at(json_path(late.body, "details", "causes"), 0), "reason")),
                        "NamespaceTerminating");
    _cleanup_answer_ struct answer twice = ask(f, "DELETE", "/api/v1/namespaces/team", NULL);
    assert_code(twice, 409);
    _cleanup_answer_ struct answer fin = ask(f, "PUT", "/api/v1/namespaces/team/finalize",
                                             "{\"metadata\":{\"name\":\"team\"},\"spec\":{\"finalizers\":[]}}");
    assert_code(fin, 200);
    _cleanup_answer_ struct answer gone = ask(f, "GET", "/api/v1/namespaces/team", NULL);
    assert_code(gone, 404);
    _cleanup_answer_ struct answer immortal = ask(f, "DELETE", "/api/v1/namespaces/default", NULL);
    assert_status(immortal, 403, "Forbidden", "namespaces \"default\" is forbidden: this namespace may not be deleted");
}

static void test_scale(void **state) {
    struct fixture *f = *state;
    const char *path = "/apis/apps/v1/namespaces/default/deployments";
    _cleanup_answer_ struct answer made =
        ask(f, "POST", path,
            "{\"metadata\":{\"name\":\"d\"},\"spec\":{\"replicas\":1,\"selector\":{\"matchLabels\":{\"a\":\"b\"}},"
            "\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":[{\"name\":\"c\","
            "\"image\":\"i\"}]}}}}");
    assert_code(made, 201);
    assert_int_equal(json_int_or(json_path(made.body, "metadata", "generation"), 0), 1);
    const char *scale = "/apis/apps/v1/namespaces/default/deployments/d/scale";
    _cleanup_answer_ struct answer up = ask(f, "PATCH", scale, "{\"spec\":{\"replicas\":4}}");
    assert_code(up, 200);
    assert_string_equal(json_str(json_get(up.body, "kind")), "Scale");
    assert_int_equal(json_int_or(json_path(up.body, "spec", "replicas"), 0), 4);
    assert_string_equal(json_str(json_path(up.body, "status", "selector")), "a=b");
    _cleanup_free_ char *body = json_to_text(up.body);
    _cleanup_answer_ struct answer put = ask(f, "PUT", scale, body);
    assert_code(put, 200);
    _cleanup_answer_ struct answer bad = ask(f, "PATCH", scale, "{\"spec\":{\"replicas\":-1}}");
    assert_code(bad, 422);
    _cleanup_answer_ struct answer got = ask(f, "GET", "/apis/apps/v1/namespaces/default/deployments/d", NULL);
    assert_int_equal(json_int_or(json_path(got.body, "spec", "replicas"), 0), 4);
    assert_int_equal(json_int_or(json_path(got.body, "metadata", "generation"), 0), 2);
}

static void test_services(void **state) {
    struct fixture *f = *state;
    const char *path = "/api/v1/namespaces/default/services";
    _cleanup_answer_ struct answer one =
        ask(f, "POST", path,
            "{\"metadata\":{\"name\":\"one\"},\"spec\":{\"type\":\"NodePort\",\"ports\":[{\"port\":80}]}}");
    assert_code(one, 201);
    const char *ip = json_str_or(json_path(one.body, "spec", "clusterIP"), "");
    assert_memory_equal(ip, "10.96.", 6);
    assert_string_equal(json_str(json_at(json_path(one.body, "spec", "clusterIPs"), 0)), ip);
    int64_t port = json_int_or(json_get(json_at(json_path(one.body, "spec", "ports"), 0), "nodePort"), 0);
    assert_in_range(port, 30000, 32767);
    _cleanup_free_ char *same =
        xasprintf("{\"metadata\":{\"name\":\"two\"},\"spec\":{\"clusterIP\":\"%s\",\"ports\":[{\"port\":80}]}}", ip);
    _cleanup_answer_ struct answer two = ask(f, "POST", path, same);
    assert_code(two, 422);
    assert_non_null(strstr(message_of(&two), "provided IP is already allocated"));
    _cleanup_answer_ struct answer gone = ask(f, "DELETE", "/api/v1/namespaces/default/services/one", NULL);
    assert_code(gone, 200);
    _cleanup_answer_ struct answer free_again = ask(f, "POST", path, same); /* given back at once */
    assert_code(free_again, 201);
    assert_string_equal(json_str(json_path(free_again.body, "spec", "clusterIP")), ip);
    _cleanup_answer_ struct answer headless =
        ask(f, "POST", path,
            "{\"metadata\":{\"name\":\"none\"},\"spec\":{\"clusterIP\":\"None\",\"ports\":[{\"port\":80}]}}");
    assert_code(headless, 201);
    assert_string_equal(json_str(json_path(headless.body, "spec", "clusterIP")), "None");
    _cleanup_answer_ struct answer outside =
        ask(f, "POST", path,
            "{\"metadata\":{\"name\":\"far\"},\"spec\":{\"clusterIP\":\"192.168.0.1\",\"ports\":[{\"port\":80}]}}");
    assert_code(outside, 422);
    _cleanup_answer_ struct answer grown =
        ask(f, "PATCH", "/api/v1/namespaces/default/services/two", "{\"spec\":{\"type\":\"NodePort\"}}");
    assert_code(grown, 200);
    assert_in_range(json_int_or(json_get(json_at(json_path(grown.body, "spec", "ports"), 0), "nodePort"), 0), 30000,
                    32767);
}

static void test_list_and_collection(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++) {
        _cleanup_free_ char *name = xasprintf("l%d", i);
        create_cm(f, name, i < 3 ? ",\"labels\":{\"set\":\"one\"}" : ",\"labels\":{\"set\":\"two\"}");
    }
    _cleanup_answer_ struct answer page = ask(f, "GET", CM "?limit=2&labelSelector=set%3Done", NULL);
    assert_code(page, 200);
    assert_int_equal(json_len(json_get(page.body, "items")), 2);
    assert_null(json_get(json_at(json_get(page.body, "items"), 0), "kind"));
    const char *token = json_str(json_path(page.body, "metadata", "continue"));
    assert_non_null(token);
    create_cm(f, "l9", ",\"labels\":{\"set\":\"one\"}"); /* behind the snapshot */
    char *escaped = curl_easy_escape(f->curl, token, 0);
    _cleanup_free_ char *next = xasprintf(CM "?limit=2&labelSelector=set%%3Done&continue=%s", escaped);
    curl_free(escaped);
    _cleanup_answer_ struct answer rest = ask(f, "GET", next, NULL);
    assert_code(rest, 200);
    assert_int_equal(json_len(json_get(rest.body, "items")), 1);
    assert_null(json_path(rest.body, "metadata", "continue"));
    assert_string_equal(json_str(json_path(rest.body, "metadata", "resourceVersion")),
                        json_str(json_path(page.body, "metadata", "resourceVersion")));
    _cleanup_answer_ struct answer field = ask(f, "GET", CM "?fieldSelector=metadata.name%3Dl4", NULL);
    assert_int_equal(json_len(json_get(field.body, "items")), 1);
    _cleanup_answer_ struct answer bad = ask(f, "GET", CM "?fieldSelector=spec.x%3D1", NULL);
    assert_code(bad, 400);
    _cleanup_answer_ struct answer bad2 = ask(f, "GET", CM "?labelSelector=a%3D%3D%3Db", NULL);
    assert_code(bad2, 400);
    _cleanup_answer_ struct answer future = ask(f, "GET", CM "?resourceVersion=99999", NULL);
    assert_code(future, 504);
    _cleanup_answer_ struct answer cut = ask(f, "DELETE", CM "?labelSelector=set%3Done", NULL);
    assert_code(cut, 200);
    assert_int_equal(json_len(json_get(cut.body, "items")), 4);
    _cleanup_answer_ struct answer left = ask(f, "GET", CM "?labelSelector=set", NULL);
    assert_int_equal(json_len(json_get(left.body, "items")), 2);
    _cleanup_answer_ struct answer empty = ask(f, "GET", "/api/v1/nodes", NULL);
    assert_true(json_is_array(json_get(empty.body, "items")));
}

static void test_large_collection(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 150; i++) { /* more than two batches */
        _cleanup_free_ char *name = xasprintf("many-%d", i);
        create_cm(f, name, i == 70 ? ",\"finalizers\":[\"example.com/hold\"]" : "");
    }
    _cleanup_answer_ struct answer dry = ask(f, "DELETE", CM "?dryRun=All", NULL);
    assert_code(dry, 200);
    _cleanup_answer_ struct answer cut = ask(f, "DELETE", CM, NULL);
    assert_code(cut, 200);
    assert_string_equal(json_str(json_get(cut.body, "kind")), "ConfigMapList");
    assert_int_equal(json_len(json_get(cut.body, "items")), 150);
    _cleanup_answer_ struct answer left = ask(f, "GET", CM, NULL);
    assert_int_equal(json_len(json_get(left.body, "items")), 1);
    assert_non_null(json_path(json_at(json_get(left.body, "items"), 0), "metadata", "deletionTimestamp"));
}

static void test_create_by_put(void **state) {
    struct fixture *f = *state;
    const char *path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l";
    const char *body =
        "{\"metadata\":{\"name\":\"l\"},\"spec\":{\"holderIdentity\":\"me\",\"leaseDurationSeconds\":9}}";
    const struct resource *leases = resource_by_plural("coordination.k8s.io", "v1", "leases");
    _cleanup_answer_ struct answer made = ask(f, "PUT", path, body);
    assert_code(made, leases->create_on_put ? 201 : 404);
    const struct resource *events = resource_by_plural("", "v1", "events");
    assert_true(events->create_on_put);
    _cleanup_answer_ struct answer event = ask(
        f, "PUT", "/api/v1/namespaces/default/events/e",
        "{\"metadata\":{\"name\":\"e\"},\"involvedObject\":{\"kind\":\"Pod\",\"name\":\"p\",\"namespace\":\"default\"},"
        "\"reason\":\"Tested\",\"type\":\"Normal\"}");
    assert_code(event, 201);
}

/* One object in two versions: each URL shows its own. */
static void test_versions(void **state) {
    struct fixture *f = *state;
    const char *v1 = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
    const char *v2 = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
    _cleanup_free_ char *one = xasprintf("%s/h", v1), *two = xasprintf("%s/h", v2);
    _cleanup_answer_ struct answer made = ask(f, "POST", v1,
                                              "{\"metadata\":{\"name\":\"h\"},\"spec\":{\"maxReplicas\":3,"
                                              "\"scaleTargetRef\":{\"kind\":\"D\",\"name\":\"x\"}}}");
    assert_code(made, 201);
    assert_string_equal(json_str(json_get(made.body, "apiVersion")), "autoscaling/v1");
    _cleanup_answer_ struct answer got = ask(f, "GET", two, NULL);
    assert_string_equal(json_str(json_get(got.body, "apiVersion")), "autoscaling/v2");
    assert_string_equal(json_str(json_path(json_at(json_path(got.body, "spec", "metrics"), 0), "resource", "name")),
                        "cpu");
    _cleanup_answer_ struct answer patched = ask(f, "PATCH", one, "{\"spec\":{\"maxReplicas\":5}}");
    assert_code(patched, 200);
    assert_string_equal(json_str(json_get(patched.body, "apiVersion")), "autoscaling/v1");
    assert_int_equal(json_int_or(json_path(patched.body, "spec", "maxReplicas"), 0), 5);
    _cleanup_answer_ struct answer list = ask(f, "GET", v2, NULL);
    assert_int_equal(json_len(json_get(list.body, "items")), 1);
    _cleanup_answer_ struct answer gone = ask(f, "DELETE", one, NULL);
    assert_code(gone, 200);
}

static void test_cluster_scope(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer node =
        ask(f, "POST", "/api/v1/nodes", "{\"metadata\":{\"name\":\"n\",\"namespace\":\"x\"}}");
    assert_code(node, 201);
    assert_null(json_path(node.body, "metadata", "namespace"));
    _cleanup_answer_ struct answer none = ask(f, "GET", "/api/v1/componentstatuses", NULL);
    assert_code(none, 200);
    assert_int_equal(json_len(json_get(none.body, "items")), 0);
}

static void test_validation(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer name = ask(f, "POST", CM, "{\"metadata\":{\"name\":\"Bad_Name\"}}");
    assert_code(name, 422);
    assert_string_equal(reason_of(&name), "Invalid");
    assert_non_null(
        strstr(message_of(&name), "ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\": "));
    const struct json *cause = json_at(json_path(name.body, "details", "causes"), 0);
    assert_string_equal(json_str(json_get(cause, "reason")), "FieldValueInvalid");
    assert_string_equal(json_str(json_get(cause, "field")), "metadata.name");
    assert_string_equal(json_str(json_path(name.body, "details", "kind")), "ConfigMap");
    _cleanup_answer_ struct answer pods =
        ask(f, "POST", PODS, "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[]}}");
    assert_code(pods, 422);
    assert_non_null(strstr(message_of(&pods), "spec.containers: Required value"));
    _cleanup_answer_ struct answer selector =
        ask(f, "POST", "/apis/apps/v1/namespaces/default/deployments", "{\"metadata\":{\"name\":\"d\"}}");
    assert_code(selector, 422);
    assert_non_null(strstr(message_of(&selector), "Deployment.apps \"d\" is invalid: ["));
}

static void test_paths(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer unknown = ask(f, "GET", "/api/v1/foos", NULL);
    assert_status(unknown, 404, "NotFound", "the server could not find the requested resource");
    _cleanup_answer_ struct answer scope = ask(f, "GET", "/api/v1/namespaces/default/nodes", NULL);
    assert_code(scope, 404);
    _cleanup_answer_ struct answer method = ask(f, "POST", "/version", "{}");
    assert_code(method, 405);
    _cleanup_answer_ struct answer table =
        ask_as(f, "GET", "/api/v1/namespaces", NULL, "application/json;as=Table;v=v1;g=meta.k8s.io", NULL);
    assert_string_equal(json_str(json_get(table.body, "kind")), "Table");
    assert_int_equal(json_len(json_get(table.body, "rows")), 4);
    _cleanup_answer_ struct answer meta = ask_as(f, "GET", "/api/v1/namespaces/default", NULL,
                                                 "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", NULL);
    assert_string_equal(json_str(json_get(meta.body, "kind")), "PartialObjectMetadata");
    _cleanup_answer_ struct answer odd = ask_as(f, "GET", "/api/v1/namespaces", NULL, "text/html", NULL);
    assert_code(odd, 406);
    _cleanup_answer_ struct answer yaml =
        ask_as(f, "GET", "/api/v1/namespaces/default", NULL, "application/yaml", NULL);
    assert_non_null(strstr(strbuf_str(&yaml.text), "\nkind: Namespace\n"));
    _cleanup_answer_ struct answer yaml_in =
        ask_as(f, "POST", CM, "application/yaml", NULL, "metadata:\n  name: from-yaml\ndata: {a: b}\n");
    assert_code(yaml_in, 201);
    _cleanup_answer_ struct answer discovery =
        ask_as(f, "GET", "/apis", NULL, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", NULL);
    assert_string_equal(json_str(json_get(discovery.body, "kind")), "APIGroupDiscoveryList");
    assert_non_null(strstr(strbuf_str(&discovery.headers), "as=APIGroupDiscoveryList"));
    _cleanup_answer_ struct answer legacy = ask(f, "GET", "/api/v1", NULL);
    assert_string_equal(json_str(json_get(legacy.body, "kind")), "APIResourceList");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_get, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_generate_name, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_bad_bodies, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_too_large, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_too_large_with_owners, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_field_validation, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_dry_run, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_update, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_patches, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_delete, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_finalizers, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_pod_life, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_pod_unscheduled_delete, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_namespace_life, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_scale, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_services, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_list_and_collection, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_large_collection, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_create_by_put, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_versions, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_cluster_scope, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_validation, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_paths, fixture_setup_local, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
