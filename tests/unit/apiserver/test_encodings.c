/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forms of answers over HTTP: protobuf, views, compression; and what deletions answer. */
#include <zlib.h>

#include "orchestrator/object/protobuf.h"
#include "tests/unit/apiserver/server_fixture.h"

#define CM       "/api/v1/namespaces/default/configmaps"
#define PODS     "/api/v1/namespaces/default/pods"
#define PROTOBUF "application/vnd.kubernetes.protobuf"
#define METADATA ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
#define LIST_OF  ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

static void make(struct fixture *f, const char *path, const char *body) {
    _cleanup_answer_ struct answer a = ask(f, "POST", path, body);
    assert_code(a, 201);
}

static bool has_header(const struct answer *a, const char *line) {
    return strcasestr(strbuf_str(&a->headers), line) != NULL;
}

/* The document in a protobuf answer. */
static struct json *unpacked(const struct answer *a) {
    struct json *doc = NULL;
    assert_true(has_header(a, "Content-Type: " PROTOBUF "\r\n"));
    assert_int_equal(protobuf_decode(a->text.data, a->text.len, &doc, NULL), 0);
    return doc;
}

static const char *str_at(const struct json *doc, const char *a, const char *b) {
    return json_str_or(b ? json_path(doc, a, b) : json_get(doc, a), "");
}

static void test_protobuf_answers(void **state) {
    struct fixture *f = *state;
    make(f, CM, "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"v\"}}");
    make(f, CM, "{\"metadata\":{\"name\":\"b\"}}");
    _cleanup_answer_ struct answer one = ask_as(f, "GET", CM "/a", NULL, PROTOBUF ",application/json", NULL);
    _cleanup_answer_ struct answer list = ask_as(f, "GET", CM "?limit=1", NULL, PROTOBUF, NULL);
    _cleanup_answer_ struct answer none = ask_as(f, "GET", CM "/c", NULL, PROTOBUF, NULL);
    assert_code(one, 200);
    _cleanup_json_ struct json *object = unpacked(&one), *objects = unpacked(&list), *status = unpacked(&none);
    assert_string_equal(str_at(object, "kind", NULL), "ConfigMap");
    assert_string_equal(str_at(object, "data", "k"), "v");
    assert_string_equal(str_at(objects, "kind", NULL), "ConfigMapList");
    assert_true(*str_at(objects, "metadata", "continue"));
    assert_int_equal(json_int_or(json_path(objects, "metadata", "remainingItemCount"), 0), 1);
    assert_int_equal(json_len(json_get(objects, "items")), 1);
    assert_string_equal(str_at(json_at(json_get(objects, "items"), 0), "metadata", "name"), "a");
    assert_string_equal(str_at(status, "kind", NULL), "Status");
    assert_string_equal(str_at(status, "reason", NULL), "NotFound");
    /* and the other way: the same bytes as a body */
    _cleanup_answer_ struct answer gone = ask(f, "DELETE", CM "/a", NULL);
    assert_code(gone, 200);
    struct strbuf b = STRBUF_INIT;
    json_del(json_edit(&object, "metadata"), "resourceVersion");
    assert_int_equal(protobuf_encode(object, &b, NULL), 0);
    curl_easy_setopt(f->curl, CURLOPT_POSTFIELDSIZE, (long) b.len);
    _cleanup_answer_ struct answer back = ask_as(f, "POST", CM, PROTOBUF, PROTOBUF, b.data);
    curl_easy_setopt(f->curl, CURLOPT_POSTFIELDSIZE, -1L);
    strbuf_finish(&b);
    assert_code(back, 201);
    _cleanup_json_ struct json *again = unpacked(&back);
    assert_string_equal(str_at(again, "data", "k"), "v");
}

static void test_protobuf_discovery(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer core = ask_as(f, "GET", "/api/v1", NULL, PROTOBUF, NULL);
    _cleanup_answer_ struct answer all =
        ask_as(f, "GET", "/apis", NULL,
               PROTOBUF ";as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io,application/json", NULL);
    _cleanup_json_ struct json *doc = unpacked(&core), *groups = NULL;
    const struct json *resources = json_get(doc, "resources");
    assert_string_equal(str_at(doc, "kind", NULL), "APIResourceList");
    bool found = false;
    for (size_t i = 0; i < json_len(resources); i++)
        if (strcmp(str_at(json_at(resources, i), "name", NULL), "pods") == 0) {
            found = true;
            assert_int_equal(json_len(json_get(json_at(resources, i), "verbs")), 8);
        }
    assert_true(found);
    assert_true(has_header(&all, PROTOBUF ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"));
    assert_int_equal(protobuf_decode(all.text.data, all.text.len, &groups, NULL), 0);
    assert_string_equal(str_at(groups, "kind", NULL), "APIGroupDiscoveryList");
    assert_true(json_len(json_get(groups, "items")) > 10);
}

static void test_metadata(void **state) {
    struct fixture *f = *state;
    make(f, CM, "{\"metadata\":{\"name\":\"a\",\"labels\":{\"x\":\"y\"}},\"data\":{\"k\":\"v\"}}");
    _cleanup_answer_ struct answer list = ask_as(f, "GET", CM "?labelSelector=x", NULL, PROTOBUF LIST_OF, NULL);
    _cleanup_answer_ struct answer one = ask_as(f, "GET", CM "/a", NULL, PROTOBUF METADATA, NULL);
    _cleanup_answer_ struct answer text =
        ask_as(f, "GET", CM "?labelSelector=x", NULL, "application/json" LIST_OF, NULL);
    _cleanup_json_ struct json *objects = unpacked(&list), *object = unpacked(&one);
    const struct json *item = json_at(json_get(objects, "items"), 0);
    assert_string_equal(str_at(objects, "kind", NULL), "PartialObjectMetadataList");
    assert_true(*str_at(objects, "metadata", "resourceVersion"));
    assert_string_equal(str_at(item, "metadata", "name"), "a");
    assert_null(json_get(item, "data"));
    assert_string_equal(str_at(object, "kind", NULL), "PartialObjectMetadata");
    assert_string_equal(str_at(object, "apiVersion", NULL), "meta.k8s.io/v1");
    assert_true(json_equal(json_get(object, "metadata"), json_get(item, "metadata")));
    assert_string_equal(str_at(json_at(json_get(text.body, "items"), 0), "kind", NULL), "PartialObjectMetadata");
    _cleanup_answer_ struct answer wrong = ask_as(f, "GET", CM, NULL, "application/json" METADATA, NULL);
    assert_status(wrong, 406, "NotAcceptable",
                  "you requested PartialObjectMetadata, but the requested object is a list");
    _cleanup_answer_ struct answer also = ask_as(f, "GET", CM "/a", NULL, "application/json" LIST_OF, NULL);
    assert_code(also, 406);
}

static void test_table_options(void **state) {
    struct fixture *f = *state;
    static const char table[] = "application/json;as=Table;v=v1;g=meta.k8s.io";
    make(f, CM, "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"v\"}}");
    _cleanup_answer_ struct answer whole =
        ask_as(f, "GET", CM "?fieldSelector=metadata.name%3Da&includeObject=Object", NULL, table, NULL);
    _cleanup_answer_ struct answer bare = ask_as(f, "GET", CM "?includeObject=None", NULL, table, NULL);
    _cleanup_answer_ struct answer odd = ask_as(f, "GET", CM "?includeObject=Half", NULL, table, NULL);
    const struct json *row = json_at(json_get(whole.body, "rows"), 0);
    assert_string_equal(json_str_or(json_path(row, "object", "data", "k"), ""), "v");
    assert_null(json_get(json_at(json_get(bare.body, "rows"), 0), "object"));
    assert_code(odd, 422);
    assert_non_null(strstr(message_of(&odd), "includeObject: Invalid value: \"Half\""));
}

/* --- compression --- */

static size_t inflated(const struct strbuf *in, char *out, size_t size) {
    z_stream z = {
        .next_in = (Bytef *) in->data, .avail_in = (uInt) in->len, .next_out = (Bytef *) out, .avail_out = (uInt) size};
    assert_int_equal(inflateInit2(&z, 31), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = z.total_out;
    (void) inflateEnd(&z);
    return n;
}

static struct answer ask_compressed(struct fixture *f, const char *path) {
    return ask_as(f, "GET", path, NULL, "application/json\r\nAccept-Encoding: gzip", NULL);
}

static void test_gzip(void **state) {
    struct fixture *f = *state;
    size_t size = 200000;
    _cleanup_strbuf_ struct strbuf body = STRBUF_INIT;
    strbuf_adds(&body, "{\"metadata\":{\"name\":\"big\"},\"data\":{\"k\":\"");
    for (size_t i = 0; i < size; i++)
        strbuf_addc(&body, (char) ('a' + i % 7));
    strbuf_adds(&body, "\"}}");
    make(f, CM, strbuf_str(&body));
    make(f, CM, "{\"metadata\":{\"name\":\"small\"}}");
    _cleanup_answer_ struct answer plain = ask(f, "GET", CM, NULL), one = ask(f, "GET", CM "/big", NULL);
    _cleanup_answer_ struct answer list = ask_compressed(f, CM), big = ask_compressed(f, CM "/big"),
                                   small = ask_compressed(f, CM "/small");
    assert_false(has_header(&plain, "Content-Encoding"));
    assert_false(has_header(&small, "Content-Encoding"));
    assert_true(has_header(&list, "Content-Encoding: gzip\r\n"));
    assert_true(has_header(&list, "Vary: Accept-Encoding\r\n"));
    assert_true(list.text.len < plain.text.len / 10);
    _cleanup_free_ char *text = xmalloc(2 * size);
    assert_int_equal(inflated(&list.text, text, 2 * size), plain.text.len);
    assert_memory_equal(text, plain.text.data, plain.text.len);
    assert_int_equal(inflated(&big.text, text, 2 * size), one.text.len);
    assert_memory_equal(text, one.text.data, one.text.len);
}

/* --- deletions --- */

static void test_delete_answers(void **state) {
    struct fixture *f = *state;
    static const char meta[] = "{\"metadata\":{\"name\":\"x\"}}";
    static const struct {
        const char *path, *body, *kind; /* of the answer */
        const char *group, *resource;   /* of a Status */
    } rows[] = {
        {CM, meta, "Status", "", "configmaps"},
        {"/apis/coordination.k8s.io/v1/namespaces/default/leases", meta, "Status", "coordination.k8s.io", "leases"},
        {"/api/v1/namespaces/default/serviceaccounts", meta, "ServiceAccount", NULL, NULL},
        {"/api/v1/namespaces/default/services", "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"ports\":[{\"port\":80}]}}",
         "Service", NULL, NULL},
        {PODS, "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}", "Pod",
         NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *path = xasprintf("%s/x", rows[i].path);
        make(f, rows[i].path, rows[i].body);
        _cleanup_answer_ struct answer was = ask(f, "GET", path, NULL), gone = ask(f, "DELETE", path, NULL),
                                       none = ask(f, "GET", path, NULL);
        const char *uid = str_at(was.body, "metadata", "uid");
        assert_code(gone, 200);
        assert_code(none, 404);
        assert_string_equal(str_at(gone.body, "kind", NULL), rows[i].kind);
        if (!rows[i].resource) {
            assert_string_equal(str_at(gone.body, "metadata", "uid"), uid);
            continue;
        }
        assert_string_equal(str_at(gone.body, "status", NULL), "Success");
        assert_string_equal(str_at(gone.body, "details", "name"), "x");
        assert_string_equal(str_at(gone.body, "details", "group"), rows[i].group);
        assert_string_equal(str_at(gone.body, "details", "kind"), rows[i].resource);
        assert_string_equal(str_at(gone.body, "details", "uid"), uid);
    }
}

static void test_delete_options(void **state) {
    struct fixture *f = *state;
    make(f, CM, "{\"metadata\":{\"name\":\"x\"}}");
    _cleanup_answer_ struct answer twice =
        ask(f, "DELETE", CM "/x", "{\"orphanDependents\":true,\"propagationPolicy\":\"Orphan\"}");
    _cleanup_answer_ struct answer query =
        ask(f, "DELETE", CM "/x?orphanDependents=true&propagationPolicy=Orphan", NULL);
    _cleanup_answer_ struct answer dry = ask(f, "DELETE", CM "/x", "{\"dryRun\":[\"Some\"]}");
    _cleanup_answer_ struct answer odd = ask_as(f, "DELETE", CM "/x", "text/plain", NULL, "now, please");
    assert_code(twice, 422);
    assert_code(query, 422);
    assert_code(dry, 422);
    assert_status(odd, 415, "UnsupportedMediaType",
                  "the body of the request was in an unknown format - accepted media types include: "
                  "application/json, application/yaml, application/vnd.kubernetes.protobuf");
    _cleanup_answer_ struct answer test = ask(f, "DELETE", CM "/x", "{\"dryRun\":[\"All\"]}");
    assert_code(test, 200);
    _cleanup_answer_ struct answer still = ask(f, "GET", CM "/x", NULL);
    assert_code(still, 200);
}

/* What becomes of dependents can be said anew while the object waits for them. */
static void test_change_of_propagation(void **state) {
    struct fixture *f = *state;
    make(f, CM, "{\"metadata\":{\"name\":\"x\"}}");
    _cleanup_answer_ struct answer waits =
        ask(f, "DELETE", CM "/x", "{\"propagationPolicy\":\"Foreground\",\"orphanDependents\":null}");
    assert_code(waits, 200);
    assert_string_equal(str_at(waits.body, "kind", NULL), "ConfigMap");
    _cleanup_answer_ struct answer again = ask(f, "DELETE", CM "/x", NULL), there = ask(f, "GET", CM "/x", NULL);
    assert_code(again, 200);
    assert_code(there, 200);
    _cleanup_answer_ struct answer lets = ask(f, "DELETE", CM "/x", "{\"propagationPolicy\":\"Background\"}"),
                                   gone = ask(f, "GET", CM "/x", NULL);
    assert_code(lets, 200);
    assert_code(gone, 404);
}

static void test_accepted(void **state) {
    struct fixture *f = *state;
    make(f, CM, "{\"metadata\":{\"name\":\"x\",\"finalizers\":[\"example.com/hold\"]}}");
    _cleanup_answer_ struct answer a = ask(f, "DELETE", CM "/x", "{\"orphanDependents\":false}");
    assert_code(a, 202);
    assert_string_equal(str_at(a.body, "kind", NULL), "ConfigMap");
}

int main(void) {
    (void) curl_global_init(CURL_GLOBAL_ALL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_protobuf_answers, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_protobuf_discovery, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_metadata, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_table_options, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_gzip, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_delete_answers, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_delete_options, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_change_of_propagation, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_accepted, fixture_setup_local, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
