/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The audit log of a running server: what stands in its lines. */
#include "server_fixture.h"

#include "orchestrator/apiserver/local_client.h"
#include "podium/base/fd.h"

/* A server whose audit log is DIR/audit.log, by this policy (NULL: the default). */
static void start(struct fixture *f, const char *policy) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    *f = (struct fixture){0};
    assert_int_equal(fixture_store(f, 0), 0);
    _cleanup_free_ char *sock = fixture_path(f, "sock"), *log = fixture_path(f, "audit.log"),
                        *file = fixture_path(f, "policy.yaml");
    struct apiserver_options o = {.store = f->store,
                                  .port = -2,
                                  .unix_socket = sock,
                                  .audit = {.log = log, .policy_file = policy ? file : NULL, .blocking = true}};
    if (policy)
        assert_int_equal(file_write_atomic(file, policy, strlen(policy), 0600, false, NULL), 0);
    if (apiserver_new(&o, &f->api, &err) < 0)
        fail_msg("%s", error_text(&err, 0));
    fixture_start(f);
}

struct events {
    struct json *list;
    struct strbuf text;
};

/* Ends the server: everything has been written then. */
static struct events finish(struct fixture *f) {
    struct events e = {.list = json_array()};
    _cleanup_free_ char *log = fixture_path(f, "audit.log");
    curl_easy_cleanup(steal(&f->curl));
    apiserver_free(steal(&f->api));
    assert_int_equal(file_read(log, 16u << 20, &e.text, NULL), 0);
    for (const char *p = strbuf_str(&e.text), *nl; (nl = strchr(p, '\n')); p = nl + 1) {
        struct json *event;
        assert_int_equal(json_parse(p, (size_t) (nl - p), NULL, &event, NULL), 0);
        json_append(&e.list, event);
    }
    fixture_finish(f);
    return e;
}

static void events_free(struct events *e) {
    json_unref(e->list);
    strbuf_finish(&e->text);
}

/* The nth event at this stage of requests with this URI. */
static const struct json *event(const struct events *e, const char *stage, const char *uri, unsigned n) {
    for (size_t i = 0; i < json_len(e->list); i++)
        if (json_get_is(json_at(e->list, i), "stage", stage) && json_get_is(json_at(e->list, i), "requestURI", uri) &&
            n-- == 0)
            return json_at(e->list, i);
    return NULL;
}

#define CONFIGMAPS "/api/v1/namespaces/default/configmaps"
#define SECRETS    "/api/v1/namespaces/default/secrets"

/* Pod Security leaves its decision, and what would have been violated. */
static void what_pods_violate(void **state) {
    struct fixture f;
    start(&f, NULL);
    _cleanup_answer_ struct answer ns =
        ask(&f, "POST", "/api/v1/namespaces",
            "{\"metadata\":{\"name\":\"n\",\"labels\":{\"pod-security.kubernetes.io/audit\":\"baseline\"}}}");
    assert_code(ns, 201);
    _cleanup_answer_ struct answer pod = ask(&f, "POST", "/api/v1/namespaces/n/pods",
                                             "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"hostPID\":true,"
                                             "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}");
    assert_code(pod, 201);
    struct events e = finish(&f);
    const struct json *notes = json_get(event(&e, "ResponseComplete", "/api/v1/namespaces/n/pods", 0), "annotations");
    assert_string_equal(json_get_str(notes, "pod-security.kubernetes.io/enforce-policy"), "privileged:latest");
    assert_string_equal(json_get_str(notes, "pod-security.kubernetes.io/audit-violations"),
                        "would violate PodSecurity \"baseline:latest\": host namespaces (hostPID=true)");
    events_free(&e);
}

static void who_what_and_what_came_of_it(void **state) {
    struct fixture f;
    start(&f, NULL);
    _cleanup_answer_ struct answer a = ask(&f, "POST", SECRETS "?fieldManager=me",
                                           "{\"metadata\":{\"name\":\"s\"},\"stringData\":{\"k\":\"hidden-word\"}}");
    _cleanup_answer_ struct answer b = ask(&f, "GET", SECRETS "/none", NULL);
    assert_code(a, 201);
    assert_code(b, 404);
    assert_non_null(strcasestr(strbuf_str(&a.headers), "\r\nAudit-Id: "));
    struct events e = finish(&f);
    const struct json *received = event(&e, "RequestReceived", SECRETS "?fieldManager=me", 0),
                      *done = event(&e, "ResponseComplete", SECRETS "?fieldManager=me", 0),
                      *failed = event(&e, "ResponseComplete", SECRETS "/none", 0);
    assert_non_null(received);
    assert_non_null(done);
    assert_string_equal(json_get_str(done, "kind"), "Event");
    assert_string_equal(json_get_str(done, "apiVersion"), "audit.k8s.io/v1");
    assert_string_equal(json_get_str(done, "level"), "Metadata");
    assert_string_equal(json_get_str(done, "verb"), "create");
    assert_string_equal(json_get_str(done, "auditID"), json_get_str(received, "auditID"));
    assert_non_null(strstr(strbuf_str(&a.headers), json_get_str(done, "auditID")));
    assert_string_equal(json_get_str(json_get(done, "user"), "username"), "system:admin");
    assert_string_equal(json_str(json_at(json_path(done, "user", "groups"), 0)), "system:masters");
    assert_string_equal(json_str(json_at(json_get(done, "sourceIPs"), 0)), "127.0.0.1");
    assert_string_equal(json_get_str(json_get(done, "objectRef"), "resource"), "secrets");
    assert_string_equal(json_get_str(json_get(done, "objectRef"), "namespace"), "default");
    assert_string_equal(json_get_str(json_get(done, "objectRef"), "name"), "s");
    assert_string_equal(json_get_str(json_get(done, "objectRef"), "apiVersion"), "v1");
    assert_int_equal(json_int_or(json_path(done, "responseStatus", "code"), 0), 201);
    assert_int_equal(strlen(json_get_str(done, "stageTimestamp")), strlen("2006-01-02T15:04:05.000000Z"));
    assert_string_equal(json_get_str(json_get(done, "annotations"), "authorization.k8s.io/decision"), "allow");
    assert_null(json_get(received, "responseStatus"));
    assert_null(strstr(strbuf_str(&e.text), "hidden-word"));
    assert_non_null(failed);
    assert_int_equal(json_int_or(json_path(failed, "responseStatus", "code"), 0), 404);
    assert_string_equal(json_get_str(json_get(failed, "responseStatus"), "reason"), "NotFound");
    events_free(&e);
}

static void bodies_by_rule(void **state) {
    struct fixture f;
    start(&f, "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n"
              "- {level: None, nonResourceURLs: ['/version']}\n"
              "- {level: Metadata, resources: [{resources: [secrets]}]}\n"
              "- {level: Request, verbs: [delete]}\n"
              "- {level: RequestResponse, omitManagedFields: true}\n");
    _cleanup_answer_ struct answer a =
        ask(&f, "POST", CONFIGMAPS, "{\"metadata\":{\"name\":\"c\"},\"data\":{\"k\":\"told-word\"}}");
    _cleanup_answer_ struct answer b =
        ask(&f, "POST", SECRETS, "{\"metadata\":{\"name\":\"s\"},\"stringData\":{\"k\":\"hidden-word\"}}");
    _cleanup_answer_ struct answer p = ask(&f, "PATCH", CONFIGMAPS "/c", "{\"data\":{\"k\":\"new-word\"}}");
    _cleanup_answer_ struct answer l = ask(&f, "GET", CONFIGMAPS, NULL);
    _cleanup_answer_ struct answer d = ask(&f, "DELETE", CONFIGMAPS "/c", "{\"kind\":\"DeleteOptions\"}");
    _cleanup_answer_ struct answer v = ask(&f, "GET", "/version", NULL);
    assert_code(a, 201);
    assert_code(b, 201);
    assert_code(p, 200);
    assert_code(l, 200);
    assert_code(d, 200);
    assert_code(v, 200);
    assert_non_null(json_path(a.body, "metadata", "managedFields"));
    struct events e = finish(&f);
    const struct json *made = event(&e, "ResponseComplete", CONFIGMAPS, 0),
                      *listed = event(&e, "ResponseComplete", CONFIGMAPS, 1),
                      *patched = event(&e, "ResponseComplete", CONFIGMAPS "/c", 0),
                      *deleted = event(&e, "ResponseComplete", CONFIGMAPS "/c", 1);
    assert_null(event(&e, "RequestReceived", CONFIGMAPS, 0));
    assert_null(event(&e, "ResponseComplete", "/version", 0));
    assert_string_equal(json_str(json_path(made, "requestObject", "data", "k")), "told-word");
    assert_string_equal(json_str(json_path(made, "responseObject", "data", "k")), "told-word");
    assert_non_null(json_path(made, "responseObject", "metadata", "uid"));
    assert_null(json_path(made, "responseObject", "metadata", "managedFields"));
    assert_string_equal(json_str(json_path(patched, "requestObject", "data", "k")), "new-word");
    assert_string_equal(json_get_str(json_get(listed, "responseObject"), "kind"), "ConfigMapList");
    assert_null(json_path(json_at(json_path(listed, "responseObject", "items"), 0), "metadata", "managedFields"));
    assert_string_equal(json_get_str(json_get(deleted, "requestObject"), "kind"), "DeleteOptions");
    assert_null(json_get(deleted, "responseObject"));
    assert_null(strstr(strbuf_str(&e.text), "hidden-word"));
    events_free(&e);
}

static void impersonated_and_unknown_users(void **state) {
    struct fixture f;
    start(&f, NULL);
    struct curl_slist *h = curl_slist_append(NULL, "Impersonate-User: eve");
    _cleanup_free_ char *sock = fixture_path(&f, "sock");
    h = curl_slist_append(h, "Audit-ID: my-own-name");
    h = curl_slist_append(h, "X-Forwarded-For: 192.0.2.1, 192.0.2.2");
    curl_easy_setopt(f.curl, CURLOPT_UNIX_SOCKET_PATH, sock);
    curl_easy_setopt(f.curl, CURLOPT_URL, "http://api" CONFIGMAPS);
    curl_easy_setopt(f.curl, CURLOPT_HTTPHEADER, h);
    struct strbuf text = STRBUF_INIT;
    curl_easy_setopt(f.curl, CURLOPT_WRITEFUNCTION, fixture_write);
    curl_easy_setopt(f.curl, CURLOPT_WRITEDATA, &text);
    assert_int_equal(curl_easy_perform(f.curl), CURLE_OK);
    curl_slist_free_all(h);
    strbuf_finish(&text);
    h = curl_slist_append(NULL, "Authorization: Bearer wrong");
    curl_easy_setopt(f.curl, CURLOPT_URL, "http://api" SECRETS);
    curl_easy_setopt(f.curl, CURLOPT_HTTPHEADER, h);
    assert_int_equal(curl_easy_perform(f.curl), CURLE_OK);
    curl_slist_free_all(h);
    strbuf_finish(&text);
    struct events e = finish(&f);
    const struct json *as = event(&e, "ResponseComplete", CONFIGMAPS, 0),
                      *bad = event(&e, "ResponseComplete", SECRETS, 0);
    assert_string_equal(json_get_str(json_get(as, "user"), "username"), "system:admin");
    assert_string_equal(json_get_str(json_get(as, "impersonatedUser"), "username"), "eve");
    assert_string_equal(json_get_str(as, "auditID"), "my-own-name");
    assert_string_equal(json_get_str(json_get(as, "annotations"), "authorization.k8s.io/decision"), "forbid");
    assert_int_equal(json_int_or(json_path(as, "responseStatus", "code"), 0), 403);
    assert_int_equal(json_len(json_get(as, "sourceIPs")), 3);
    assert_string_equal(json_str(json_at(json_get(as, "sourceIPs"), 0)), "192.0.2.1");
    assert_int_equal(json_int_or(json_path(bad, "responseStatus", "code"), 0), 401);
    assert_int_equal(json_len(json_get(bad, "user")), 0);
    events_free(&e);
}

static void a_watch_has_a_beginning_and_an_end(void **state) {
    struct fixture f;
    start(&f, NULL);
    _cleanup_answer_ struct answer w = ask(&f, "GET", CONFIGMAPS "?watch=1&timeoutSeconds=1", NULL);
    assert_int_equal(w.code, 200);
    assert_non_null(strcasestr(strbuf_str(&w.headers), "\r\nAudit-Id: "));
    struct events e = finish(&f);
    const char *uri = CONFIGMAPS "?watch=1&timeoutSeconds=1";
    const struct json *begun = event(&e, "ResponseStarted", uri, 0), *ended = event(&e, "ResponseComplete", uri, 0);
    assert_non_null(begun);
    assert_non_null(ended);
    assert_string_equal(json_get_str(begun, "verb"), "watch");
    assert_int_equal(json_int_or(json_path(begun, "responseStatus", "code"), 0), 200);
    assert_true(strcmp(json_get_str(begun, "stageTimestamp"), json_get_str(ended, "stageTimestamp")) < 0);
    events_free(&e);
}

static void answered(void *userdata, const struct client_result *r) {
    assert_int_equal(r->code, 201);
    *(bool *) userdata = true;
}

static void components_in_the_process_are_audited_too(void **state) {
    struct fixture f;
    start(&f, NULL);
    sd_event *loop = NULL;
    struct client *c = NULL;
    bool done = false;
    char *groups[] = {(char[]){"system:masters"}, NULL};
    _cleanup_json_ struct json *body = json_object();
    json_set_path(&body, json_string("inside"), "metadata", "name");
    assert_true(sd_event_new(&loop) >= 0);
    assert_int_equal(local_client_new(loop, f.api, "system:podium", groups, &c, NULL), 0);
    struct client_request r = {
        .verb = CLIENT_CREATE, .resource = resource_by_plural("", "v1", "configmaps"), .ns = "default", .body = body};
    (void) c->ops->start(c, &r, answered, &done);
    while (!done)
        assert_true(sd_event_run(loop, UINT64_MAX) >= 0);
    c->ops->free(c);
    (void) sd_event_unref(loop);
    struct events e = finish(&f);
    const struct json *made = event(&e, "ResponseComplete", CONFIGMAPS "?fieldValidation=Ignore", 0);
    assert_non_null(made);
    assert_string_equal(json_get_str(json_get(made, "user"), "username"), "system:podium");
    assert_int_equal(json_int_or(json_path(made, "responseStatus", "code"), 0), 201);
    events_free(&e);
}

static void no_log_no_header(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer a = ask(f, "GET", CONFIGMAPS, NULL);
    assert_code(a, 200);
    assert_null(strcasestr(strbuf_str(&a.headers), "audit"));
}

static void it_is_in_the_metrics(void **state) {
    struct fixture f;
    start(&f, NULL);
    _cleanup_answer_ struct answer a = ask(&f, "GET", "/metrics", NULL);
    assert_non_null(strstr(strbuf_str(&a.text), "apiserver_audit_error_total{plugin=\"log\"} 0\n"));
    assert_non_null(strstr(strbuf_str(&a.text), "apiserver_audit_level_total{level=\"Metadata\"} 1\n"));
    struct events e = finish(&f);
    events_free(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_pods_violate),
        cmocka_unit_test(who_what_and_what_came_of_it),
        cmocka_unit_test(bodies_by_rule),
        cmocka_unit_test(impersonated_and_unknown_users),
        cmocka_unit_test(a_watch_has_a_beginning_and_an_end),
        cmocka_unit_test(components_in_the_process_are_audited_too),
        cmocka_unit_test_setup_teardown(no_log_no_header, fixture_setup_local, fixture_teardown),
        cmocka_unit_test(it_is_in_the_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
