/* SPDX-License-Identifier: GPL-2.0-or-later */
/* POST /podium/v1/rotate-key: who may, and that everything goes on. */
#include "tests/unit/apiserver/server_fixture.h"

#include "podium/base/fd.h"

#define SECRETS "/api/v1/namespaces/default/secrets"
#define ROTATE  "/podium/v1/rotate-key"

/* The fixture with a store that has a key. */
static int setup(void **state) {
    struct fixture *f = xnew0(struct fixture);
    _cleanup_free_ char *db = NULL, *key = NULL, *sock = NULL;

    strcpy(f->dir, "/tmp/podium-api-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    db = fixture_path(f, "store");
    key = fixture_path(f, "key");
    sock = fixture_path(f, "sock");
    const struct store_options so = {.path = db, .map_bytes = 64u << 20, .no_sync = true, .key_file = key};
    assert_int_equal(store_open_lmdb(&so, &f->store, NULL), 0);
    const struct apiserver_options o = {.store = f->store, .port = -2, .unix_socket = sock};
    assert_int_equal(apiserver_new(&o, &f->api, NULL), 0);
    fixture_start(f);
    *state = f;
    return 0;
}

static char *key_of(const struct fixture *f) {
    _cleanup_free_ char *path = fixture_path(f, "key");
    struct strbuf text = STRBUF_INIT;
    assert_int_equal(file_read(path, 4096, &text, NULL), 0);
    return strbuf_steal(&text);
}

static void test_rotate(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *before = key_of(f);
    _cleanup_answer_ struct answer made =
        ask(f, "POST", SECRETS, "{\"metadata\":{\"name\":\"s\"},\"data\":{\"a\":\"Yg==\"}}");
    assert_code(made, 201);
    _cleanup_answer_ struct answer done = ask(f, "POST", ROTATE, "");
    assert_code(done, 200);
    assert_string_equal(message_of(&done), "a new key is in use; Secrets written anew: 1");
    _cleanup_free_ char *after = key_of(f);
    assert_string_not_equal(before, after);
    assert_int_equal(strlen(before), strlen(after));
    _cleanup_answer_ struct answer read = ask(f, "GET", SECRETS "/s", NULL);
    assert_code(read, 200);
    assert_string_equal(json_str(json_path(read.body, "data", "a")), "Yg==");
    _cleanup_answer_ struct answer get = ask(f, "GET", ROTATE, NULL);
    assert_code(get, 405);
}

static void test_not_for_everybody(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *url = xasprintf("https://127.0.0.1:%d" ROTATE, apiserver_port(f->api));
    _cleanup_free_ char *ca = fixture_path(f, "ca.crt"), *crt = fixture_path(f, "guest.crt"),
                        *key = fixture_path(f, "guest.key");
    for (int shown = 0; shown < 2; shown++) {
        CURL *c = curl_easy_init();
        curl_easy_setopt(c, CURLOPT_CAINFO, ca);
        if (shown) {
            curl_easy_setopt(c, CURLOPT_SSLCERT, crt);
            curl_easy_setopt(c, CURLOPT_SSLKEY, key);
        }
        _cleanup_answer_ struct answer a = request_on(c, url, "POST", NULL, NULL, "");
        curl_easy_cleanup(c);
        assert_true(a.code == (shown ? 403 : 401) || (!shown && a.code == 403));
    }
    _cleanup_answer_ struct answer plain = ask(f, "POST", ROTATE, ""); /* this store has no key */
    assert_code(plain, 500);
    assert_non_null(strstr(message_of(&plain), "the store is not encrypted"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rotate, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_not_for_everybody, fixture_setup_tcp, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
