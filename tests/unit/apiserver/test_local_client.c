/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The in-process client: same doors as HTTP, on an event loop. */
#include "orchestrator/apiserver/local_client.h"
#include "orchestrator/client/informer.h"
#include "tests/unit/apiserver/server_fixture.h"

struct context {
    struct fixture f;
    sd_event *loop;
    struct client *client;
    const struct resource *cm;
    int pending, code;
    struct json *object;
    char reason[64];
    struct strbuf events;
    unsigned conflicts;
};

static int setup(void **state) {
    struct context *x = xnew0(struct context);
    char *masters[] = {(char[]){"system:masters"}, NULL};
    fixture_new(&x->f, false, 0);
    assert_true(sd_event_new(&x->loop) >= 0);
    assert_int_equal(local_client_new(x->loop, x->f.api, "system:test", masters, &x->client, NULL), 0);
    x->cm = resource_by_plural("", "v1", "configmaps");
    *state = x;
    return 0;
}

static int teardown(void **state) {
    struct context *x = *state;
    client_free(x->client);
    sd_event_unref(x->loop);
    json_unref(x->object);
    strbuf_finish(&x->events);
    fixture_finish(&x->f);
    free(x);
    return 0;
}

static void done(void *userdata, const struct client_result *r) {
    struct context *x = userdata;
    x->pending--;
    x->code = r->code;
    if (r->code == 409)
        x->conflicts++;
    (void) snprintf(x->reason, sizeof(x->reason), "%s", r->reason);
    json_unref(x->object);
    x->object = json_ref(r->object);
}

static void run(struct context *x) {
    for (int i = 0; i < 2000 && x->pending > 0; i++)
        assert_true(sd_event_run(x->loop, 10000) >= 0);
    assert_int_equal(x->pending, 0);
}

static int call(struct context *x, struct client_request r) {
    x->pending = 1;
    assert_non_null(client_start(x->client, &r, done, x));
    assert_int_equal(x->pending, 1); /* never from within */
    run(x);
    return x->code;
}

static struct json *config_map(const char *name) {
    struct json *o = json_object();
    json_set_path(&o, json_string(name), "metadata", "name");
    json_set_path(&o, json_string("v"), "data", "k");
    return o;
}

static int create(struct context *x, const char *name) {
    _cleanup_json_ struct json *o = config_map(name);
    return call(x, (struct client_request){.verb = CLIENT_CREATE, .resource = x->cm, .ns = "default", .body = o});
}

static void test_verbs(void **state) {
    struct context *x = *state;
    assert_int_equal(create(x, "a"), 201);
    assert_int_equal(create(x, "a"), 409);
    assert_string_equal(x->reason, "AlreadyExists");
    assert_int_equal(
        call(x, (struct client_request){.verb = CLIENT_GET, .resource = x->cm, .ns = "default", .name = "a"}), 200);
    assert_string_equal(json_str(json_path(x->object, "data", "k")), "v");
    _cleanup_json_ struct json *patch = json_object();
    json_set_path(&patch, json_string("w"), "data", "k");
    assert_int_equal(call(x, (struct client_request){.verb = CLIENT_PATCH,
                                                     .resource = x->cm,
                                                     .ns = "default",
                                                     .name = "a",
                                                     .body = patch,
                                                     .patch_type = PATCH_MERGE}),
                     200);
    assert_string_equal(json_str(json_path(x->object, "data", "k")), "w");
    assert_int_equal(call(x, (struct client_request){.verb = CLIENT_LIST, .resource = x->cm}), 200);
    assert_int_equal(json_len(json_get(x->object, "items")), 1);
    assert_int_equal(
        call(x, (struct client_request){.verb = CLIENT_DELETE, .resource = x->cm, .ns = "default", .name = "a"}), 200);
    assert_int_equal(
        call(x, (struct client_request){.verb = CLIENT_GET, .resource = x->cm, .ns = "default", .name = "a"}), 404);
    assert_string_equal(x->reason, "NotFound");
    assert_int_equal(
        call(x,
             (struct client_request){
                 .verb = CLIENT_GET, .resource = x->cm, .ns = "default", .name = "a", .subresource = "nonsense"}),
        404);
}

/* Who only wants to know whether it went well is given no object, but all of a refusal. */
static void test_code_only(void **state) {
    struct context *x = *state;
    _cleanup_json_ struct json *o = config_map("a");
    const struct client_request r = {
        .verb = CLIENT_CREATE, .resource = x->cm, .ns = "default", .body = o, .code_only = true};

    assert_int_equal(call(x, r), 201);
    assert_null(x->object);
    assert_int_equal(call(x, r), 409);
    assert_string_equal(x->reason, "AlreadyExists");
}

/* Requests begin in the order they were started, without waiting for each other: the last write is what stays. */
static void test_order(void **state) {
    struct context *x = *state;
    struct client_request r = {.verb = CLIENT_PATCH, .resource = x->cm, .ns = "default", .name = "a"};

    r.patch_type = PATCH_MERGE;
    assert_int_equal(create(x, "a"), 201);
    for (x->pending = 0; x->pending < 100; x->pending++) {
        _cleanup_json_ struct json *patch = json_object();
        _cleanup_free_ char *value = xasprintf("%d", x->pending);
        json_set_path(&patch, json_string(value), "data", "k");
        r.body = patch;
        assert_non_null(client_start(x->client, &r, done, x));
    }
    run(x);
    r.verb = CLIENT_GET;
    r.body = NULL;
    assert_int_equal(call(x, r), 200);
    assert_string_equal(json_str(json_path(x->object, "data", "k")), "99");
}

static void not_called(void *userdata, const struct client_result *r) {
    fail_msg("the callback of a freed client was called");
}

/* A client that is freed tells nobody, but what was asked of it has happened. */
static void test_free_under_way(void **state) {
    struct context *x = *state;
    struct client *other = NULL;
    char *masters[] = {(char[]){"system:masters"}, NULL};

    assert_int_equal(local_client_new(x->loop, x->f.api, "system:other", masters, &other, NULL), 0);
    for (int i = 0; i < 20; i++) {
        _cleanup_free_ char *name = xasprintf("m%d", i);
        _cleanup_json_ struct json *o = config_map(name);
        struct client_request r = {.verb = CLIENT_CREATE, .resource = x->cm, .ns = "default", .body = o};
        struct client_call *c = client_start(other, &r, not_called, x);
        if (i % 2)
            client_cancel(other, c);
    }
    client_free(other);
    assert_int_equal(call(x, (struct client_request){.verb = CLIENT_LIST, .resource = x->cm}), 200);
    assert_int_equal(json_len(json_get(x->object, "items")), 20);
}

/* Patches of one object that are all under way at once build on each other: none is lost, none conflicts. */
static void test_concurrent_patches(void **state) {
    struct context *x = *state;
    enum { N = 50 };
    assert_int_equal(create(x, "shared"), 201);
    x->pending = N;
    for (int i = 0; i < N; i++) {
        _cleanup_json_ struct json *patch = json_object();
        _cleanup_free_ char *key = xasprintf("key-%d", i);
        json_set_path(&patch, json_string("1"), "data", key);
        struct client_request r = {.verb = CLIENT_PATCH,
                                   .resource = x->cm,
                                   .ns = "default",
                                   .name = "shared",
                                   .body = patch,
                                   .patch_type = PATCH_MERGE};
        (void) client_start(x->client, &r, done, x);
    }
    run(x);
    assert_int_equal(x->conflicts, 0);
    assert_int_equal(
        call(x, (struct client_request){.verb = CLIENT_GET, .resource = x->cm, .ns = "default", .name = "shared"}),
        200);
    assert_int_equal(json_len(json_get(x->object, "data")), N + 1);
}

static void test_cancel(void **state) {
    struct context *x = *state;
    _cleanup_json_ struct json *o = config_map("c");
    struct client_request r = {.verb = CLIENT_CREATE, .resource = x->cm, .ns = "default", .body = o};
    struct client_request g = {.verb = CLIENT_GET, .resource = x->cm, .ns = "default", .name = "c"};
    x->pending = 2;
    client_cancel(x->client, client_start(x->client, &r, done, x));
    client_cancel(x->client, client_start(x->client, &g, done, x));
    for (int i = 0; i < 5; i++)
        (void) sd_event_run(x->loop, 10000);
    assert_int_equal(x->pending, 2);
    x->pending = 0;
    for (int i = 0; i < 20; i++) /* freed by teardown while under way */
        (void) client_start(
            x->client, &(struct client_request){.verb = CLIENT_CREATE, .resource = x->cm, .ns = "default", .body = o},
            done, x);
}

static void event(void *userdata, const char *type, struct json *object) {
    struct context *x = userdata;
    strbuf_addf(&x->events, "%s %s%s%s;", type, json_str_or(json_path(object, "metadata", "name"), ""),
                json_get(object, "code") ? "code " : "",
                json_get(object, "code") ? json_str_or(json_get(object, "reason"), "") : "");
}

static void run_until(struct context *x, const char *events) {
    for (int i = 0; i < 500 && strcmp(strbuf_str(&x->events), events) != 0; i++)
        assert_true(sd_event_run(x->loop, 10000) >= 0);
    assert_string_equal(strbuf_str(&x->events), events);
}

static void test_watch(void **state) {
    struct context *x = *state;
    assert_int_equal(create(x, "a"), 201);
    struct client_request r = {.resource = x->cm};
    struct client_watch *w = client_watch(x->client, &r, event, x);
    assert_int_equal(x->events.len, 0);
    run_until(x, "ADDED a;");
    assert_int_equal(create(x, "b"), 201);
    run_until(x, "ADDED a;ADDED b;");
    assert_int_equal(
        call(x, (struct client_request){.verb = CLIENT_DELETE, .resource = x->cm, .ns = "default", .name = "a"}), 200);
    run_until(x, "ADDED a;ADDED b;DELETED a;");
    client_watch_cancel(x->client, w);
    strbuf_reset(&x->events);
    assert_int_equal(create(x, "d"), 201);
    (void) sd_event_run(x->loop, 10000);
    assert_int_equal(x->events.len, 0);
    r.resource_version = "999999";
    (void) client_watch(x->client, &r, event, x);
    run_until(x, "ERROR code Timeout;");
}

static bool is_stored_document(struct context *x, const struct informer *i, const char *name) {
    _cleanup_(store_item_unrefp) struct store_item *item = store_get(x->f.store, "configmaps", "default", name);
    return informer_get(i, "default", name) && informer_get(i, "default", name) == store_item_doc(item);
}

/* One document for the store and all informers, whether it came by a list or by an event. */
static void test_documents_are_shared(void **state) {
    struct context *x = *state;
    struct informer *i[2];
    assert_int_equal(create(x, "listed"), 201);
    for (int k = 0; k < 2; k++)
        i[k] = informer_new(x->loop, x->client, &(struct informer_options){.resource = x->cm});
    while (!informer_synced(i[0]) || !informer_synced(i[1]))
        assert_true(sd_event_run(x->loop, 10000) >= 0);
    assert_int_equal(create(x, "watched"), 201);
    for (int k = 0; k < 2; k++) {
        while (!informer_get(i[k], "default", "watched"))
            assert_true(sd_event_run(x->loop, 10000) >= 0);
        assert_true(is_stored_document(x, i[k], "listed"));
        assert_true(is_stored_document(x, i[k], "watched"));
        assert_string_equal(json_get_str(informer_get(i[k], "default", "listed"), "kind"), "ConfigMap");
    }
    for (int k = 0; k < 2; k++)
        informer_free(i[k]);
}

static void test_authorization(void **state) {
    struct context *x = *state;
    struct client *guest = NULL, *admin = x->client;
    assert_int_equal(local_client_new(x->loop, x->f.api, "guest", NULL, &guest, NULL), 0);
    x->client = guest;
    assert_int_equal(create(x, "a"), 403);
    assert_string_equal(x->reason, "Forbidden");
    strbuf_reset(&x->events);
    struct client_request r = {.resource = x->cm};
    (void) client_watch(guest, &r, event, x);
    run_until(x, "ERROR code Forbidden;");
    x->client = admin;
    client_free(guest);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_verbs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_concurrent_patches, setup, teardown),
        cmocka_unit_test_setup_teardown(test_code_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_documents_are_shared, setup, teardown),
        cmocka_unit_test_setup_teardown(test_authorization, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
