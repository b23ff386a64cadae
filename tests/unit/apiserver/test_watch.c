/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Watches over HTTP: events, selectors, bookmarks, ends; many at once; clients that go away. */
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "orchestrator/object/protobuf.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "tests/unit/apiserver/server_fixture.h"

#define CM "/api/v1/namespaces/default/configmaps"

static int setup(void **state) {
    return fixture_set_up(state, false, 16);
}

/* A watch read by a thread of its own. */
struct watcher {
    pthread_t thread;
    CURL *curl;
    char *url, *sock;
    const char *accept;
    pthread_mutex_t lock;
    struct strbuf text;
    long code;
    CURLcode result;
    bool stop;
};

static size_t collect(char *p, size_t size, size_t n, void *userdata) {
    struct watcher *w = userdata;
    (void) pthread_mutex_lock(&w->lock);
    strbuf_add(&w->text, p, size * n);
    (void) pthread_mutex_unlock(&w->lock);
    return size * n;
}

static int progress(void *userdata, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    struct watcher *w = userdata;
    (void) pthread_mutex_lock(&w->lock);
    bool stop = w->stop;
    (void) pthread_mutex_unlock(&w->lock);
    return stop;
}

static void *watch_main(void *userdata) {
    struct watcher *w = userdata;
    struct curl_slist *h = NULL;
    if (w->accept) {
        _cleanup_free_ char *a = xasprintf("Accept: %s", w->accept);
        h = curl_slist_append(h, a);
        curl_easy_setopt(w->curl, CURLOPT_HTTPHEADER, h);
    }
    curl_easy_setopt(w->curl, CURLOPT_URL, w->url);
    curl_easy_setopt(w->curl, CURLOPT_UNIX_SOCKET_PATH, w->sock);
    curl_easy_setopt(w->curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(w->curl, CURLOPT_WRITEDATA, w);
    curl_easy_setopt(w->curl, CURLOPT_XFERINFOFUNCTION, progress);
    curl_easy_setopt(w->curl, CURLOPT_XFERINFODATA, w);
    curl_easy_setopt(w->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(w->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(w->curl, CURLOPT_TIMEOUT, 20L);
    w->result = curl_easy_perform(w->curl);
    curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &w->code);
    curl_slist_free_all(h);
    return NULL;
}

static void watch_start(struct fixture *f, struct watcher *w, const char *path, const char *accept) {
    *w = (struct watcher){.curl = curl_easy_init(), .accept = accept};
    w->url = xasprintf("http://api%s", path);
    w->sock = fixture_path(f, "sock");
    (void) pthread_mutex_init(&w->lock, NULL);
    assert_int_equal(pthread_create(&w->thread, NULL, watch_main, w), 0);
}

static void watch_join(struct watcher *w) {
    (void) pthread_join(w->thread, NULL);
    curl_easy_cleanup(w->curl);
    w->curl = NULL;
}

static void watch_hang_up(struct watcher *w) {
    (void) pthread_mutex_lock(&w->lock);
    w->stop = true;
    (void) pthread_mutex_unlock(&w->lock);
}

static void watch_stop(struct watcher *w) {
    watch_hang_up(w);
    if (w->curl)
        watch_join(w);
    strbuf_finish(&w->text);
    free(w->url);
    free(w->sock);
    (void) pthread_mutex_destroy(&w->lock);
}

/* The n-th event (from 0), waited for up to ten seconds; NULL when it does not come. */
static struct json *event_at(struct watcher *w, size_t n) {
    for (uint64_t until = now_monotonic_usec() + 10 * USEC_PER_SEC; now_monotonic_usec() < until; usleep(2000)) {
        struct json *event = NULL;
        size_t i = 0;
        (void) pthread_mutex_lock(&w->lock);
        for (const char *p = strbuf_str(&w->text), *e; (e = strchr(p, '\n')); p = e + 1, i++)
            if (i == n && json_parse(p, (size_t) (e - p), NULL, &event, NULL) < 0)
                event = NULL;
        (void) pthread_mutex_unlock(&w->lock);
        if (event)
            return event;
    }
    print_message("got: %s\n", strbuf_str(&w->text));
    return NULL;
}

static void expect(struct watcher *w, size_t n, const char *type, const char *name) {
    _cleanup_json_ struct json *e = event_at(w, n);
    assert_non_null(e);
    assert_string_equal(json_str_or(json_get(e, "type"), ""), type);
    if (name)
        assert_string_equal(json_str_or(json_path(e, "object", "metadata", "name"), ""), name);
}

static void put(struct fixture *f, const char *name, const char *label, const char *value) {
    _cleanup_free_ char *path = xasprintf(CM "/%s", name);
    _cleanup_free_ char *patch = xasprintf(
        "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"l\":\"%s\"}},\"data\":{\"k\":\"%s\"}}", name, label, value);
    _cleanup_answer_ struct answer a = ask(f, "PATCH", path, patch);
    if (a.code == 200)
        return;
    _cleanup_answer_ struct answer b = ask(f, "POST", CM, patch);
    assert_code(b, 201);
}

static void test_events(void **state) {
    struct fixture *f = *state;
    struct watcher w;
    put(f, "a", "x", "1");
    watch_start(f, &w, CM "?watch=true", NULL);
    expect(&w, 0, "ADDED", "a");
    put(f, "a", "x", "2");
    expect(&w, 1, "MODIFIED", "a");
    put(f, "b", "x", "1");
    expect(&w, 2, "ADDED", "b");
    _cleanup_answer_ struct answer d = ask(f, "DELETE", CM "/a", NULL);
    assert_code(d, 200);
    expect(&w, 3, "DELETED", "a");
    _cleanup_json_ struct json *e = event_at(&w, 3);
    assert_string_equal(json_str(json_path(e, "object", "data", "k")), "2");
    watch_stop(&w);
}

static void test_selector_transitions(void **state) {
    struct fixture *f = *state;
    struct watcher w;
    put(f, "a", "out", "1");
    watch_start(f, &w, CM "?watch=1&labelSelector=l%3Din&allowWatchBookmarks=false", NULL);
    usleep(100000);
    put(f, "a", "in", "2"); /* enters */
    expect(&w, 0, "ADDED", "a");
    put(f, "a", "in", "3");
    expect(&w, 1, "MODIFIED", "a");
    put(f, "a", "out", "4"); /* leaves: the last matching state with the new revision */
    expect(&w, 2, "DELETED", "a");
    _cleanup_json_ struct json *e = event_at(&w, 2);
    assert_string_equal(json_str(json_path(e, "object", "data", "k")), "3");
    _cleanup_answer_ struct answer now = ask(f, "GET", CM "/a", NULL);
    assert_string_equal(json_str(json_path(e, "object", "metadata", "resourceVersion")),
                        json_str(json_path(now.body, "metadata", "resourceVersion")));
    watch_stop(&w);
}

static void test_end_and_bookmarks(void **state) {
    struct fixture *f = *state;
    struct watcher w;
    watch_start(f, &w, CM "?watch=1&timeoutSeconds=2&allowWatchBookmarks=true", NULL);
    expect(&w, 0, "BOOKMARK", NULL); /* after a second */
    watch_join(&w);
    assert_int_equal(w.result, CURLE_OK); /* a clean end */
    assert_int_equal(w.code, 200);
    _cleanup_json_ struct json *e = event_at(&w, 0);
    assert_string_equal(json_str(json_path(e, "object", "kind")), "ConfigMap");
    assert_non_null(json_str(json_path(e, "object", "metadata", "resourceVersion")));
    watch_stop(&w);
}

static void test_initial_events(void **state) {
    struct fixture *f = *state;
    struct watcher w;
    put(f, "a", "x", "1");
    watch_start(f, &w, CM "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
                NULL);
    expect(&w, 0, "ADDED", "a");
    expect(&w, 1, "BOOKMARK", NULL);
    _cleanup_json_ struct json *e = event_at(&w, 1);
    assert_string_equal(json_str_or(json_path(e, "object", "metadata", "annotations", "k8s.io/initial-events-end"), ""),
                        "true");
    watch_stop(&w);
    _cleanup_answer_ struct answer bad = ask(f, "GET", CM "?watch=1&sendInitialEvents=true", NULL);
    assert_code(bad, 422);
    _cleanup_answer_ struct answer list = ask(f, "GET", CM "?sendInitialEvents=true", NULL);
    assert_code(list, 422);
}

static void test_too_old(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 40; i++) { /* the window holds 16 */
        char v[16];
        (void) snprintf(v, sizeof(v), "%d", i);
        put(f, "a", "x", v);
    }
    _cleanup_answer_ struct answer old = ask(f, "GET", CM "?watch=1&resourceVersion=1", NULL);
    assert_code(old, 410);
    assert_string_equal(reason_of(&old), "Expired");
    _cleanup_answer_ struct answer future = ask(f, "GET", CM "?watch=1&resourceVersion=100000", NULL);
    assert_code(future, 504);
    _cleanup_answer_ struct answer html = ask_as(f, "GET", CM "?watch=1", NULL, "text/html", NULL);
    assert_status(html, 406, "NotAcceptable",
                  "only the following media types are accepted: application/json;stream=watch, "
                  "application/vnd.kubernetes.protobuf;stream=watch");
}

/* A reader too slow for the window gets an ERROR event in the stream, and the stream ends. */
static void test_slow_reader(void **state) {
    struct fixture *f = *state;
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    struct timeval t = {.tv_sec = 10};
    _cleanup_free_ char *sock = fixture_path(f, "sock");
    _cleanup_strbuf_ struct strbuf got = STRBUF_INIT;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    static const char head[] = "GET " CM "?watch=1 HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n";
    char *big = xmalloc(200001), buf[65536];
    strcpy(sun.sun_path, sock);
    (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    assert_int_equal(connect(fd, (struct sockaddr *) &sun, sizeof(sun)), 0);
    assert_int_equal(fd_write_all(fd, head, sizeof(head) - 1), 0);
    assert_true(recv(fd, buf, 12, MSG_WAITALL) == 12); /* it is open */
    for (int i = 0; i < 40; i++) {
        memset(big, 'a' + i % 26, 200000);
        big[200000] = 0;
        put(f, "big", "x", big);
    }
    free(big);
    for (ssize_t n; (n = read(fd, buf, sizeof(buf))) > 0;)
        strbuf_add(&got, buf, (size_t) n);
    const char *error = strstr(strbuf_str(&got), "{\"type\":\"ERROR\"");
    assert_non_null(error);
    assert_non_null(strstr(error, "\"reason\":\"Expired\""));
    assert_non_null(strstr(error, "\"code\":410"));
}

static void test_expired_continue(void **state) {
    struct fixture *f = *state;
    put(f, "a", "x", "1");
    put(f, "b", "x", "1");
    put(f, "c", "x", "1");
    _cleanup_answer_ struct answer page = ask(f, "GET", CM "?limit=1", NULL);
    assert_int_equal(json_int_or(json_path(page.body, "metadata", "remainingItemCount"), 0), 2);
    for (int i = 0; i < 40; i++) {
        char v[16];
        (void) snprintf(v, sizeof(v), "%d", i);
        put(f, "a", "x", v);
    }
    char *t = curl_easy_escape(f->curl, json_str(json_path(page.body, "metadata", "continue")), 0);
    _cleanup_free_ char *path = xasprintf(CM "?limit=1&continue=%s", t);
    curl_free(t);
    _cleanup_answer_ struct answer gone = ask(f, "GET", path, NULL);
    assert_code(gone, 410);
    assert_string_equal(reason_of(&gone), "Expired");
    t = curl_easy_escape(f->curl, json_str(json_path(gone.body, "metadata", "continue")), 0);
    _cleanup_free_ char *on = xasprintf(CM "?limit=1&continue=%s", t);
    curl_free(t);
    _cleanup_answer_ struct answer rest = ask(f, "GET", on, NULL);
    assert_code(rest, 200);
    assert_string_equal(json_str(json_path(json_at(json_get(rest.body, "items"), 0), "metadata", "name")), "b");
}

static void test_table_watch(void **state) {
    struct fixture *f = *state;
    struct watcher w;
    put(f, "a", "x", "1");
    watch_start(f, &w, CM "?watch=1", "application/json;as=Table;v=v1;g=meta.k8s.io");
    _cleanup_json_ struct json *first = event_at(&w, 0);
    assert_string_equal(json_str(json_path(first, "object", "kind")), "Table");
    assert_true(json_len(json_path(first, "object", "columnDefinitions")) > 0);
    put(f, "a", "x", "2");
    _cleanup_json_ struct json *second = event_at(&w, 1);
    assert_int_equal(json_len(json_path(second, "object", "rows")), 1);
    assert_true(json_is_null(json_path(second, "object", "columnDefinitions")));
    watch_stop(&w);
}

/* --- protobuf: frames --- */

#define PROTOBUF "application/vnd.kubernetes.protobuf"

/* The n-th frame (from 0): {type, object}; NULL while it isn't there. */
static struct json *frame_in(const struct strbuf *text, size_t n) {
    const uint8_t *p = (const uint8_t *) strbuf_str(text), *end = p + text->len;
    for (size_t i = 0;; i++) {
        if (end - p < 4)
            return NULL;
        size_t len = (size_t) p[0] << 24 | (size_t) p[1] << 16 | (size_t) p[2] << 8 | p[3];
        if ((size_t) (end - p) - 4 < len)
            return NULL;
        p += 4;
        if (i < n) {
            p += len;
            continue;
        }
        struct json *event = json_object(), *object = NULL;
        const uint8_t *magic = memmem(p, len, "k8s\0", 4);
        assert_true(len > 2 && p[0] == 0x0a); /* WatchEvent.type */
        assert_non_null(magic);
        json_set(&event, "type", json_string_len((const char *) p + 2, p[1]));
        assert_int_equal(protobuf_decode(magic, (size_t) (p + len - magic), &object, NULL), 0);
        json_set(&event, "object", object);
        return event;
    }
}

static struct json *frame_at(struct watcher *w, size_t n) {
    for (uint64_t until = now_monotonic_usec() + 10 * USEC_PER_SEC; now_monotonic_usec() < until; usleep(2000)) {
        (void) pthread_mutex_lock(&w->lock);
        struct json *event = frame_in(&w->text, n);
        (void) pthread_mutex_unlock(&w->lock);
        if (event)
            return event;
    }
    return NULL;
}

static void expect_frame(struct watcher *w, size_t n, const char *type, const char *kind, const char *name) {
    _cleanup_json_ struct json *e = frame_at(w, n);
    assert_non_null(e);
    assert_string_equal(json_str(json_get(e, "type")), type);
    assert_string_equal(json_str(json_path(e, "object", "kind")), kind);
    if (name)
        assert_string_equal(json_str_or(json_path(e, "object", "metadata", "name"), ""), name);
}

/* What Go's informers do: everything that is there, the bookmark that says so, then changes. */
static void test_protobuf_watch(void **state) {
    struct fixture *f = *state;
    struct watcher w[2];
    put(f, "a", "x", "1");
    put(f, "b", "x", "1");
    for (size_t i = 0; i < 2; i++) {
        watch_start(f, &w[i],
                    CM "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
                    i ? PROTOBUF ";stream=watch,application/json" : PROTOBUF);
        expect_frame(&w[i], 0, "ADDED", "ConfigMap", "a");
        expect_frame(&w[i], 1, "ADDED", "ConfigMap", "b");
        expect_frame(&w[i], 2, "BOOKMARK", "ConfigMap", NULL);
    }
    _cleanup_json_ struct json *mark = frame_at(&w[0], 2);
    assert_string_equal(
        json_str_or(json_path(mark, "object", "metadata", "annotations", "k8s.io/initial-events-end"), ""), "true");
    put(f, "a", "x", "2");
    _cleanup_answer_ struct answer now = ask(f, "GET", CM "/a", NULL);
    for (size_t i = 0; i < 2; i++) { /* the same bytes, made once */
        size_t at = 3;
        _cleanup_json_ struct json *e = frame_at(&w[i], at);
        while (strcmp(json_str(json_get(e, "type")), "BOOKMARK") == 0) { /* a second has passed */
            json_unref(e);
            e = frame_at(&w[i], ++at);
        }
        assert_string_equal(json_str(json_get(e, "type")), "MODIFIED");
        assert_string_equal(json_str(json_path(e, "object", "data", "k")), "2");
        assert_string_equal(json_str(json_path(e, "object", "metadata", "resourceVersion")),
                            json_str(json_path(now.body, "metadata", "resourceVersion")));
        assert_int_equal(w[i].code == 0 || w[i].code == 200, 1);
        watch_stop(&w[i]);
    }
}

static void test_protobuf_metadata_watch(void **state) {
    struct fixture *f = *state;
    struct watcher w;
    put(f, "a", "in", "1");
    watch_start(f, &w, CM "?watch=1&labelSelector=l%3Din",
                PROTOBUF ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json");
    expect_frame(&w, 0, "ADDED", "PartialObjectMetadata", "a");
    _cleanup_json_ struct json *e = frame_at(&w, 0);
    assert_string_equal(json_str(json_path(e, "object", "apiVersion")), "meta.k8s.io/v1");
    assert_null(json_path(e, "object", "data"));
    put(f, "a", "out", "2");
    expect_frame(&w, 1, "DELETED", "PartialObjectMetadata", "a");
    watch_stop(&w);
}

static void test_protobuf_too_old(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 40; i++) {
        char v[16];
        (void) snprintf(v, sizeof(v), "%d", i);
        put(f, "a", "x", v);
    }
    _cleanup_answer_ struct answer old = ask_as(f, "GET", CM "?watch=1&resourceVersion=1", NULL, PROTOBUF, NULL);
    _cleanup_json_ struct json *status = NULL;
    assert_int_equal(old.code, 410);
    assert_int_equal(protobuf_decode(old.text.data, old.text.len, &status, NULL), 0);
    assert_string_equal(json_str(json_get(status, "kind")), "Status");
    assert_string_equal(json_str(json_get(status, "reason")), "Expired");
}

static void test_many_watchers(void **state) {
    struct fixture *f = *state;
    struct watcher w[40];
    for (size_t i = 0; i < ARRAY_LEN(w); i++)
        watch_start(f, &w[i], CM "?watch=1", NULL);
    usleep(200000);
    for (int i = 0; i < 8; i++) {
        char v[16];
        (void) snprintf(v, sizeof(v), "%d", i);
        put(f, "a", "x", v);
    }
    for (size_t i = 0; i < ARRAY_LEN(w); i++)
        expect(&w[i], 7, "MODIFIED", "a");
    for (size_t i = 0; i < ARRAY_LEN(w); i += 2) /* half of them hang up; the rest go down with the server */
        watch_hang_up(&w[i]);
    for (size_t i = 0; i < ARRAY_LEN(w); i += 2)
        watch_stop(&w[i]);
    put(f, "a", "x", "last");
    for (size_t i = 1; i < ARRAY_LEN(w); i += 2)
        expect(&w[i], 8, "MODIFIED", "a");
    uint64_t begin = now_monotonic_usec();
    apiserver_free(steal(&f->api));
    assert_true(now_monotonic_usec() - begin < 2 * USEC_PER_SEC);
    for (size_t i = 1; i < ARRAY_LEN(w); i += 2)
        watch_stop(&w[i]);
}

int main(void) {
    (void) curl_global_init(CURL_GLOBAL_ALL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_events, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_selector_transitions, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_end_and_bookmarks, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_initial_events, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_too_old, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_slow_reader, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_expired_continue, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_protobuf_watch, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_protobuf_metadata_watch, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_protobuf_too_old, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_table_watch, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_many_watchers, setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
