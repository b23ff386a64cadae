/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which state a read shows: every row of upstream's tables of resourceVersion and resourceVersionMatch. */
#include "tests/unit/apiserver/server_fixture.h"

#define CM "/api/v1/namespaces/default/configmaps"

/* Five revisions of one object and five others: old is a state in the window, now the newest, future is not there yet,
 * gone has left the window. */
struct reads {
    struct fixture f;
    unsigned long long old, now;
};

static void put(struct fixture *f, const char *name, const char *value) {
    _cleanup_free_ char *path = xasprintf(CM "/%s", name);
    _cleanup_free_ char *body = xasprintf("{\"metadata\":{\"name\":\"%s\"},\"data\":{\"k\":\"%s\"}}", name, value);
    _cleanup_answer_ struct answer a = ask(f, "PUT", path, body);
    if (a.code == 200)
        return;
    _cleanup_answer_ struct answer b = ask(f, "POST", CM, body);
    assert_code(b, 201);
}

static unsigned long long revision(struct fixture *f) {
    _cleanup_answer_ struct answer a = ask(f, "GET", CM, NULL);
    return strtoull(json_str_or(json_path(a.body, "metadata", "resourceVersion"), "0"), NULL, 10);
}

static int setup(void **state) {
    struct reads *r = xnew0(struct reads);
    fixture_new(&r->f, false, 16);
    fixture_start(&r->f);
    for (int i = 0; i < 30; i++) { /* more than the window holds */
        char value[16];
        (void) snprintf(value, sizeof(value), "%d", i);
        put(&r->f, "a", value);
    }
    put(&r->f, "b", "1");
    put(&r->f, "a", "old");
    r->old = revision(&r->f);
    put(&r->f, "a", "new");
    put(&r->f, "c", "1");
    r->now = revision(&r->f);
    *state = r;
    return 0;
}

static int teardown(void **state) {
    struct reads *r = *state;
    fixture_finish(&r->f);
    free(r);
    return 0;
}

enum when { NONE, ZERO, OLD, FUTURE, GONE, NONSENSE };

static const char *version_of(const struct reads *r, enum when when, char text[32]) {
    static const char *const fixed[] = {[NONE] = NULL, [ZERO] = "0", [GONE] = "1", [NONSENSE] = "later"};
    if (when == OLD || when == FUTURE)
        (void) snprintf(text, 32, "%llu", when == OLD ? r->old : r->now + 1000);
    else if (fixed[when])
        (void) snprintf(text, 32, "%s", fixed[when]);
    return fixed[when] || when == OLD || when == FUTURE ? text : NULL;
}

static const struct {
    const char *match;
    bool limit;
    enum when when;
    long code;
    const char *shown; /* of object a */
} lists[] = {
    /* no match: newest, any, not older than */
    {NULL, false, NONE, 200, "new"},
    {NULL, false, ZERO, 200, "new"},
    {NULL, false, OLD, 200, "new"},
    {NULL, false, GONE, 200, "new"},
    {NULL, false, FUTURE, 504, NULL},
    {NULL, false, NONSENSE, 400, NULL},
    /* … with a limit, a revision is exact */
    {NULL, true, NONE, 200, "new"},
    {NULL, true, ZERO, 200, "new"},
    {NULL, true, OLD, 200, "old"},
    {NULL, true, GONE, 410, NULL},
    {NULL, true, FUTURE, 504, NULL},
    {"Exact", false, NONE, 422, NULL},
    {"Exact", false, ZERO, 422, NULL},
    {"Exact", false, OLD, 200, "old"},
    {"Exact", true, OLD, 200, "old"},
    {"Exact", false, GONE, 410, NULL},
    {"Exact", false, FUTURE, 504, NULL},
    {"NotOlderThan", false, NONE, 422, NULL},
    {"NotOlderThan", false, ZERO, 200, "new"},
    {"NotOlderThan", false, OLD, 200, "new"},
    {"NotOlderThan", true, ZERO, 200, "new"},
    {"NotOlderThan", true, OLD, 200, "new"},
    {"NotOlderThan", true, FUTURE, 504, NULL},
    {"Sideways", false, OLD, 422, NULL},
};

static void test_lists(void **state) {
    struct reads *r = *state;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        char text[32];
        const char *version = version_of(r, lists[i].when, text);
        _cleanup_free_ char *path =
            xasprintf(CM "?x=y%s%s%s%s%s", lists[i].limit ? "&limit=1" : "", version ? "&resourceVersion=" : "",
                      version ? version : "", lists[i].match ? "&resourceVersionMatch=" : "",
                      lists[i].match ? lists[i].match : "");
        _cleanup_answer_ struct answer a = ask(&r->f, "GET", path, NULL);
        const char *shown = json_str(json_path(json_at(json_get(a.body, "items"), 0), "data", "k"));
        if (a.code != lists[i].code || (lists[i].shown && (!shown || strcmp(shown, lists[i].shown) != 0)))
            fail_msg("%s: %ld %s", path, a.code, shown ? shown : strbuf_str(&a.text));
        if (a.code == 200 && strcmp(lists[i].shown, "old") == 0)
            assert_string_equal(json_str(json_path(a.body, "metadata", "resourceVersion")), text);
    }
}

/* Pages that belong together show one state, whatever is written meanwhile; a revision cannot be given twice. */
static void test_continuation(void **state) {
    struct reads *r = *state;
    _cleanup_answer_ struct answer first = ask(&r->f, "GET", CM "?limit=2", NULL);
    assert_int_equal(json_len(json_get(first.body, "items")), 2);
    assert_int_equal(json_int_or(json_path(first.body, "metadata", "remainingItemCount"), 0), 1);
    put(&r->f, "d", "late");
    char *t = curl_easy_escape(r->f.curl, json_str(json_path(first.body, "metadata", "continue")), 0);
    _cleanup_free_ char *rest = xasprintf(CM "?limit=2&continue=%s", t);
    _cleanup_free_ char *zero = xasprintf("%s&resourceVersion=0", rest), *one = xasprintf("%s&resourceVersion=1", rest),
                        *match = xasprintf("%s&resourceVersionMatch=NotOlderThan&resourceVersion=1", rest);
    curl_free(t);
    _cleanup_answer_ struct answer second = ask(&r->f, "GET", rest, NULL), also = ask(&r->f, "GET", zero, NULL),
                                   twice = ask(&r->f, "GET", one, NULL), wrong = ask(&r->f, "GET", match, NULL);
    assert_int_equal(json_len(json_get(second.body, "items")), 1); /* c, not d */
    assert_string_equal(json_str(json_path(json_at(json_get(second.body, "items"), 0), "metadata", "name")), "c");
    assert_null(json_path(second.body, "metadata", "continue"));
    assert_string_equal(json_str(json_path(second.body, "metadata", "resourceVersion")),
                        json_str(json_path(first.body, "metadata", "resourceVersion")));
    assert_true(json_equal(json_get(also.body, "items"), json_get(second.body, "items")));
    assert_status(twice, 400, "BadRequest", "specifying resource version is not allowed when using continue");
    assert_code(wrong, 422);
    _cleanup_answer_ struct answer odd = ask(&r->f, "GET", CM "?limit=2&continue=none", NULL);
    assert_code(odd, 400);
    /* with selectors nobody knows how many are left */
    _cleanup_answer_ struct answer selected = ask(&r->f, "GET", CM "?limit=1&labelSelector=!x", NULL);
    assert_non_null(json_path(selected.body, "metadata", "continue"));
    assert_null(json_path(selected.body, "metadata", "remainingItemCount"));
}

static void test_gets(void **state) {
    static const struct {
        enum when when;
        long code;
    } rows[] = {{NONE, 200}, {ZERO, 200}, {OLD, 200}, {GONE, 200}, {FUTURE, 504}, {NONSENSE, 400}};
    struct reads *r = *state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[32];
        const char *version = version_of(r, rows[i].when, text);
        _cleanup_free_ char *path = xasprintf(CM "/a?resourceVersion=%s", version ? version : "");
        _cleanup_answer_ struct answer a = ask(&r->f, "GET", path, NULL);
        assert_code(a, rows[i].code);
        if (a.code == 504) {
            assert_string_equal(
                json_str_or(json_path(json_at(json_path(a.body, "details", "causes"), 0), "reason"), ""),
                "ResourceVersionTooLarge");
            assert_non_null(strcasestr(strbuf_str(&a.headers), "Retry-After: 1"));
        }
    }
}

static const struct {
    const char *query;
    enum when when;
    long code;
    const char *first, *second; /* types of events; NULL: none */
} watches[] = {
    {"", NONE, 200, "ADDED", "ADDED"},
    {"", ZERO, 200, "ADDED", "ADDED"},
    {"", OLD, 200, "MODIFIED", "ADDED"},
    {"", GONE, 410, NULL, NULL},
    {"", NONSENSE, 400, NULL, NULL},
    {"&resourceVersionMatch=NotOlderThan", OLD, 422, NULL, NULL},
    {"&sendInitialEvents=true", NONE, 422, NULL, NULL},
    {"&sendInitialEvents=true&resourceVersionMatch=Exact", OLD, 422, NULL, NULL},
    {"&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", OLD, 200, "ADDED", "ADDED"},
    {"&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", GONE, 200, "ADDED", "ADDED"},
    {"&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", FUTURE, 504, NULL, NULL},
    {"&sendInitialEvents=false&resourceVersionMatch=NotOlderThan", NONE, 200, NULL, NULL},
    {"&sendInitialEvents=false&resourceVersionMatch=NotOlderThan", ZERO, 200, NULL, NULL},
    {"&sendInitialEvents=false&resourceVersionMatch=NotOlderThan", OLD, 200, "MODIFIED", "ADDED"},
    {"&sendInitialEvents=false&resourceVersionMatch=NotOlderThan", GONE, 410, NULL, NULL},
    /* who takes no bookmarks gets none */
    {"&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&fieldSelector=metadata.name%3Da", NONE, 200, "ADDED",
     NULL},
    {"&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&fieldSelector=metadata.name%3Da"
     "&allowWatchBookmarks=true",
     NONE, 200, "ADDED", "BOOKMARK"},
    {"&timeoutSeconds=soon", NONE, 400, NULL, NULL},
};

/* The types of the first two lines. */
static void first_types(const struct answer *a, char types[2][16]) {
    const char *p = strbuf_str(&a->text);
    for (size_t i = 0; i < 2; i++) {
        types[i][0] = 0;
        if (sscanf(p, "{\"type\":\"%15[A-Z]\"", types[i]) != 1)
            continue;
        p = strchr(p, '\n') ? strchr(p, '\n') + 1 : "";
    }
}

static void test_watches(void **state) {
    struct reads *r = *state;
    for (size_t i = 0; i < ARRAY_LEN(watches); i++) {
        char text[32], types[2][16];
        const char *version = version_of(r, watches[i].when, text);
        bool own_time = strstr(watches[i].query, "timeoutSeconds") != NULL;
        _cleanup_free_ char *path =
            xasprintf(CM "?watch=%s%s%s%s", own_time ? "true" : "true&timeoutSeconds=1",
                      version ? "&resourceVersion=" : "", version ? version : "", watches[i].query);
        _cleanup_answer_ struct answer a = ask(&r->f, "GET", path, NULL);
        assert_code(a, watches[i].code);
        if (a.code != 200)
            continue;
        first_types(&a, types);
        if (strcmp(types[0], watches[i].first ? watches[i].first : "") != 0 ||
            strcmp(types[1], watches[i].second ? watches[i].second : "") != 0)
            fail_msg("%s:\n%s", path, strbuf_str(&a.text));
    }
}

/* Go's reading of booleans in queries: what is not "false" or "0" is true. */
static void test_booleans(void **state) {
    static const char *const values[] = {"=1", "=true", "=TRUE", "=yes", "=", ""};
    struct reads *r = *state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        _cleanup_free_ char *path = xasprintf(CM "?timeoutSeconds=1&resourceVersion=1&watch%s", values[i]);
        _cleanup_answer_ struct answer a = ask(&r->f, "GET", path, NULL);
        assert_code(a, 410); /* a list would be fine with it */
    }
    _cleanup_answer_ struct answer no = ask(&r->f, "GET", CM "?watch=false", NULL),
                                   zero = ask(&r->f, "GET", CM "?watch=0", NULL);
    assert_string_equal(json_str_or(json_get(no.body, "kind"), ""), "ConfigMapList");
    assert_string_equal(json_str_or(json_get(zero.body, "kind"), ""), "ConfigMapList");
}

int main(void) {
    (void) curl_global_init(CURL_GLOBAL_ALL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_continuation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watches, setup, teardown),
        cmocka_unit_test_setup_teardown(test_booleans, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
