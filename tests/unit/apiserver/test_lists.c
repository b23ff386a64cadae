/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Large lists: whatever way they are sent, they are byte for byte what encoding them as a whole gives; and they show
 * one state. */
#include "tests/unit/apiserver/server_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <zlib.h>

#include "orchestrator/apiserver/http/encode.h"
#include "orchestrator/apiserver/http/gzip.h"
#include "orchestrator/apiserver/http/list_runs.h"
#include "orchestrator/object/protobuf.h"
#include "orchestrator/object/resources.h"
#include "orchestrator/store/store.h"

#define MAPS    "/api/v1/namespaces/default/configmaps"
#define OBJECTS 400

static void put(struct fixture *f, const char *method, unsigned i, unsigned value) {
    _cleanup_free_ char *path = strcmp(method, "POST") == 0 ? xstrdup(MAPS) : xasprintf(MAPS "/m%03u", i);
    _cleanup_free_ char *body =
        xasprintf("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"m%03u\","
                  "\"labels\":{\"third\":\"%u\",\"quote\":\"x\"}},\"data\":{\"n\":\"%u\",\"text\":\"\\\"a\\\\"
                  "\\n0123456789012345678901234567890123456789012345678901234567890123456789"
                  "0123456789012345678901234567890123456789012345678901234567890123456789\"}}",
                  i, i % 3, value);
    _cleanup_answer_ struct answer a = ask(f, method, path, body);
    assert_true(a.code == 200 || a.code == 201);
}

static int setup(void **state) {
    int r = fixture_setup_local(state);
    for (unsigned i = 0; r == 0 && i < OBJECTS; i++)
        put(*state, "POST", i, i);
    return r;
}

/* What the whole list is in this form, made in one piece from the store. */
static void expect(struct fixture *f, const char *accept, struct strbuf *out) {
    struct encoded e;
    struct api_user admin = {.name = (char *) "system:admin", .groups = (char *[]){(char *) "system:masters", NULL}};
    struct api_request *req = api_request_new(f->api);
    req->method = xstrdup("GET");
    req->path = xstrdup(MAPS);
    req->accept = xstrdup(accept);
    req->user = &admin;
    api_request_run(req);
    assert_int_equal(req->out.kind, API_OUT_LIST);
    encode_response(req, &e);
    assert_int_equal(e.code, 200);
    *out = e.text;
    e.text = (struct strbuf) STRBUF_INIT;
    encoded_finish(&e);
    api_request_free(req);
}

static void inflate_all(const struct strbuf *in, struct strbuf *out) {
    z_stream z = {.next_in = (Bytef *) in->data, .avail_in = (uInt) in->len};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    strbuf_reserve(out, 8u << 20);
    z.next_out = (Bytef *) out->data;
    z.avail_out = 8u << 20;
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END); /* checks length and CRC, too */
    assert_int_equal(z.avail_in, 0);
    out->len = z.total_out;
    out->data[out->len] = 0;
    (void) inflateEnd(&z);
}

static const char *const forms[] = {
    "application/json",
    "application/vnd.kubernetes.protobuf",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadataList;v=v1beta1;g=meta.k8s.io",
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
};

static void assert_same(const struct strbuf *got, const struct strbuf *want) {
    assert_int_equal(got->len, want->len);
    assert_memory_equal(got->data, want->data, want->len);
}

static void assert_all_forms(struct fixture *f) {
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        _cleanup_strbuf_ struct strbuf want = STRBUF_INIT, plain = STRBUF_INIT;
        _cleanup_free_ char *gzip = xasprintf("%s\r\nAccept-Encoding: gzip", forms[i]);
        expect(f, forms[i], &want);
        _cleanup_answer_ struct answer whole = ask_as(f, "GET", MAPS, NULL, forms[i], NULL),
                                       small = ask_as(f, "GET", MAPS, NULL, gzip, NULL);
        assert_code(whole, 200);
        assert_code(small, 200);
        assert_same(&whole.text, &want);
        assert_null(strstr(strbuf_str(&whole.headers), "gzip"));
        assert_non_null(strstr(strbuf_str(&small.headers), "Content-Encoding: gzip\r\n"));
        assert_non_null(strstr(strbuf_str(&small.headers), "Vary: Accept-Encoding\r\n"));
        assert_non_null(strstr(strbuf_str(&small.headers), strstr(forms[i], "protobuf")
                                                               ? "Content-Type: application/vnd.kubernetes.protobuf\r\n"
                                                               : "Content-Type: application/json\r\n"));
        inflate_all(&small.text, &plain);
        assert_same(&plain, &want);
    }
}

static void test_bytes(void **state) {
    struct fixture *f = *state;
    assert_all_forms(f);
    assert_all_forms(f); /* from what is kept now */
    for (unsigned i = 0; i < OBJECTS; i += 57)
        put(f, "PUT", i, 1000 + i);
    for (unsigned i = 3; i < OBJECTS; i += 91) {
        _cleanup_free_ char *path = xasprintf(MAPS "/m%03u", i);
        _cleanup_answer_ struct answer gone = ask(f, "DELETE", path, NULL);
        assert_code(gone, 200);
    }
    put(f, "POST", OBJECTS + 5, 7);
    assert_all_forms(f);
}

/* Pages and selections are made of the same runs, and must not be taken for each other. */
static void test_parts(void **state) {
    struct fixture *f = *state;
    static const char *const queries[] = {"?limit=300", "?labelSelector=third%3D1", "?labelSelector=third%21%3D1,quote",
                                          "?fieldSelector=metadata.name%21%3Dm007", "?limit=300&resourceVersion=0"};
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
            _cleanup_free_ char *path = xasprintf(MAPS "%s", queries[i]), *pretty = xasprintf("%s&pretty=true", path);
            _cleanup_answer_ struct answer whole = ask(f, "GET", pretty, NULL), pieces = ask(f, "GET", path, NULL),
                                           packed = ask_as(f, "GET", path, NULL, forms[1], NULL),
                                           small = ask_as(
                                               f, "GET", path, NULL,
                                               "application/vnd.kubernetes.protobuf\r\nAccept-Encoding: gzip", NULL);
            _cleanup_strbuf_ struct strbuf plain = STRBUF_INIT;
            _cleanup_json_ struct json *unpacked = NULL;
            assert_true(json_len(json_get(whole.body, "items")) > 100);
            assert_true(json_equal(whole.body, pieces.body));
            assert_int_equal(protobuf_decode(packed.text.data, packed.text.len, &unpacked, NULL), 0);
            assert_int_equal(json_len(json_get(unpacked, "items")), json_len(json_get(whole.body, "items")));
            assert_true(json_equal(json_path(json_at(json_get(unpacked, "items"), 99), "data"),
                                   json_path(json_at(json_get(whole.body, "items"), 99), "data")));
            if (!strstr(strbuf_str(&small.headers), "gzip"))
                continue; /* small enough without */
            inflate_all(&small.text, &plain);
            assert_same(&plain, &packed.text);
        }
}

static bool has_document(struct store_item *i) {
    _cleanup_json_ struct json *a = store_item_read(i), *b = store_item_read(i);
    return a == b;
}

/* Going through everything leaves nothing behind: documents are several times as large as what is stored. */
static void test_reading_leaves_no_documents(void **state) {
    struct fixture *f = *state;
    static const char *const accepts[] = {
        "application/json", "application/vnd.kubernetes.protobuf", "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "application/yaml"};
    struct store_list l;
    assert_int_equal(store_list(f->store, "configmaps", "default", NULL, NULL, 0, 0, &l), 0);
    assert_false(has_document(l.items[0])); /* the newest few hundred have theirs */
    for (size_t i = 0; i < ARRAY_LEN(accepts); i++) {
        static const char *const queries[] = {"", "?labelSelector=quote%3Dx", "?fieldSelector=metadata.name%21%3Dx",
                                              "?watch=1&timeoutSeconds=1&resourceVersion=0"};
        for (size_t k = 0; k < ARRAY_LEN(queries); k++) {
            _cleanup_free_ char *path = xasprintf(MAPS "%s", queries[k]);
            if (k == 3 && i != 1 && i != 2) /* each takes its second */
                continue;
            _cleanup_answer_ struct answer a = ask_as(f, "GET", path, NULL, accepts[i], NULL);
            assert_code(a, 200);
            assert_true(a.text.len > 30000);
            assert_false(has_document(l.items[0]));
        }
    }
    _cleanup_answer_ struct answer one = ask_as(f, "GET", MAPS "/m000", NULL, accepts[2], NULL);
    assert_code(one, 200);
    assert_false(has_document(l.items[0]));
    store_list_finish(&l);
}

/* --- one state --- */

struct writer {
    struct fixture fixture; /* the same server, a connection of its own */
    atomic_bool stop;
};

/* Rounds over all objects in order, each round writing its number: at every revision the values fall by at most one,
 * once. */
static void *write_rounds(void *userdata) {
    struct writer *w = userdata;
    for (unsigned round = 1; !atomic_load(&w->stop); round++)
        for (unsigned i = 0; i < OBJECTS && !atomic_load(&w->stop); i++)
            put(&w->fixture, "PUT", i, 5000 + round);
    return NULL;
}

static unsigned value_of(const struct json *item) {
    return (unsigned) strtoul(json_get_str(json_get(item, "data"), "n"), NULL, 10);
}

static void assert_one_state(const struct json *const *pages, size_t n) {
    const char *revision = json_get_str(json_get(pages[0], "metadata"), "resourceVersion");
    unsigned last = 0, falls = 0;
    size_t seen = 0;
    for (size_t p = 0; p < n; p++) {
        const struct json *items = json_get(pages[p], "items");
        assert_string_equal(json_get_str(json_get(pages[p], "metadata"), "resourceVersion"), revision);
        for (size_t i = 0; i < json_len(items); i++, seen++) {
            const struct json *item = json_at(items, i);
            unsigned value = value_of(item);
            assert_true(strtoull(json_get_str(json_get(item, "metadata"), "resourceVersion"), NULL, 10) <=
                        strtoull(revision, NULL, 10));
            assert_true(seen == 0 || value == last || value + 1 == last);
            falls += seen > 0 && value != last;
            last = value;
        }
    }
    assert_int_equal(seen, OBJECTS);
    assert_true(falls <= 1);
}

static struct json *list_body(struct fixture *f, const char *path, const char *accept) {
    _cleanup_answer_ struct answer a = ask_as(f, "GET", path, NULL, accept, NULL);
    struct json *doc = NULL;
    assert_code(a, 200);
    if (a.body)
        return json_ref(a.body);
    assert_int_equal(protobuf_decode(a.text.data, a.text.len, &doc, NULL), 0);
    return doc;
}

static void test_one_state(void **state) {
    struct fixture *f = *state;
    struct writer w = {.fixture = *f};
    pthread_t t;
    for (unsigned i = 0; i < OBJECTS; i++)
        put(f, "PUT", i, 5000);
    w.fixture.curl = curl_easy_init();
    assert_int_equal(pthread_create(&t, NULL, write_rounds, &w), 0);
    for (int k = 0; k < 40; k++) {
        _cleanup_json_ struct json *all = list_body(f, MAPS, forms[k % 2]);
        assert_one_state((const struct json *const[]){all}, 1);
        _cleanup_json_ struct json *first = list_body(f, MAPS "?limit=250", forms[k % 2]);
        _cleanup_free_ char *next =
            xasprintf(MAPS "?limit=250&continue=%s", json_get_str(json_get(first, "metadata"), "continue"));
        _cleanup_json_ struct json *second = list_body(f, next, forms[k % 2]);
        assert_one_state((const struct json *const[]){first, second}, 2);
    }
    atomic_store(&w.stop, true);
    assert_int_equal(pthread_join(t, NULL), 0);
    curl_easy_cleanup(w.fixture.curl);
}

/* --- clients that go --- */

static size_t refuse(char *p, size_t size, size_t n, void *userdata) {
    return 0;
}

static void test_client_goes(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *sock = fixture_path(f, "sock");
    for (int k = 0; k < 20; k++) { /* items and runs of an answer half sent are let go: the sanitizer counts them */
        CURL *c = curl_easy_init();
        struct curl_slist *h =
            curl_slist_append(NULL, k % 2 ? "Accept: application/vnd.kubernetes.protobuf" : "Accept: */*");
        curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, sock);
        curl_easy_setopt(c, CURLOPT_URL, "http://api" MAPS);
        curl_easy_setopt(c, CURLOPT_HTTPHEADER, h);
        curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, refuse);
        assert_int_equal(curl_easy_perform(c), CURLE_WRITE_ERROR);
        curl_easy_cleanup(c);
        curl_slist_free_all(h);
    }
    _cleanup_answer_ struct answer a = ask(f, "GET", MAPS, NULL);
    assert_int_equal(json_len(json_get(a.body, "items")), OBJECTS);
}

/* --- runs --- */

static void test_runs(void **state) {
    struct fixture *f = *state;
    const struct run_form packed = {.resource = resource_by_plural("", "v1", "configmaps"), .media = ACCEPT_PROTOBUF},
                          small = {.resource = packed.resource, .media = ACCEPT_PROTOBUF, .gzip = true};
    struct store_list l;
    assert_int_equal(store_list(f->store, "configmaps", "default", NULL, NULL, 0, 0, &l), 0);
    struct list_runs *c = list_runs_new();
    size_t n = list_run_length(l.items, l.n), at = 0;
    assert_in_range(n, 1, RUN_ITEMS_MAX);
    struct list_run *one = list_runs_get(c, &packed, l.items, n), *again = list_runs_get(c, &packed, l.items, n),
                    *other = list_runs_get(c, &small, l.items, n);
    assert_ptr_equal(one, again);
    assert_ptr_not_equal(one, other);
    assert_int_equal(other->plain_len, one->len);
    if (n > 1) {
        struct list_run *shorter = list_runs_get(c, &packed, l.items, n - 1);
        assert_ptr_not_equal(one, shorter);
        list_run_unref(shorter);
    }
    /* more than it keeps: each item a run of its own, in ever new company */
    for (int k = 0; k < 12; k++)
        for (at = 0; at + 130 < l.n; at += 1)
            list_run_unref(list_runs_get(c, &packed, l.items + at, 10 + (size_t) k));
    again = list_runs_get(c, &packed, l.items, n);
    assert_int_equal(again->len, one->len);
    assert_memory_equal(again->bytes, one->bytes, one->len);
    list_run_unref(again);
    list_run_unref(one);
    list_runs_free(c);
    assert_true(other->len > 0); /* in use, it outlives the cache */
    list_run_unref(one);
    list_run_unref(other);
    store_list_finish(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_parts, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_reading_leaves_no_documents, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_one_state, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_client_goes, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_runs, setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
