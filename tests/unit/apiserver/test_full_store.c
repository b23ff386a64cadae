/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A store without room: what is refused, and how; what goes on; and answers that rest on writes that then fail. */
#include <pthread.h>
#include <semaphore.h>

#include "tests/unit/apiserver/server_fixture.h"

#define CONFIGMAPS  "/api/v1/namespaces/default/configmaps"
#define LARGE_BYTES 900000

static char *configmap(const char *name, size_t bytes, const char *more) {
    _cleanup_free_ char *filler = xmalloc(bytes + 1);

    memset(filler, 'x', bytes);
    filler[bytes] = 0;
    return xasprintf("{\"metadata\":{\"name\":\"%s\"%s},\"data\":{\"k\":\"%s\"}}", name, more, filler);
}

static struct answer create(struct fixture *f, const char *name, size_t bytes, const char *more) {
    _cleanup_free_ char *body = configmap(name, bytes, more);

    return ask(f, "POST", CONFIGMAPS, body);
}

/* Until not even one of that size fits. */
static void fill(struct fixture *f, size_t bytes) {
    for (unsigned i = 0;; i++) {
        _cleanup_free_ char *name = xasprintf("filler-%zu-%u", bytes, i);
        _cleanup_answer_ struct answer a = create(f, name, bytes, "");
        if (a.code != 201) {
            assert_status(a, 507, "InsufficientStorage",
                          "the store is full: delete objects, or make room on its disk, then try again");
            assert_null(strcasestr(strbuf_str(&a.headers), "Retry-After")); /* clients would try in vain, for long */
            return;
        }
        assert_true(i < 1000);
    }
}

static void a_full_store_refuses_creations_and_nothing_else(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer a = create(f, "held", 10, ",\"finalizers\":[\"example.com/f\"]");
    assert_code(a, 201);
    _cleanup_answer_ struct answer b = create(f, "changing", 10, "");
    assert_code(b, 201);
    fill(f, LARGE_BYTES);
    fill(f, 30000);
    fill(f, 10);
    for (unsigned i = 0; i < 300; i++) { /* as nodes do, to say that they are alive */
        _cleanup_free_ char *patch = xasprintf("{\"data\":{\"n\":\"%u\"}}", i);
        _cleanup_answer_ struct answer c = ask(f, "PATCH", CONFIGMAPS "/changing", patch);
        assert_code(c, 200);
    }
    /* a deletion in two steps, the first of which writes */
    _cleanup_answer_ struct answer d = ask(f, "DELETE", CONFIGMAPS "/held", NULL);
    assert_code(d, 200);
    assert_non_null(json_get_str(json_get(d.body, "metadata"), "deletionTimestamp"));
    _cleanup_answer_ struct answer e = ask(f, "PATCH", CONFIGMAPS "/held", "{\"metadata\":{\"finalizers\":null}}");
    assert_code(e, 200);
    _cleanup_answer_ struct answer g = ask(f, "GET", CONFIGMAPS "/held", NULL);
    assert_code(g, 404);
    _cleanup_answer_ struct answer h = ask(f, "DELETE", CONFIGMAPS "/filler-900000-0", NULL);
    assert_code(h, 200);
    _cleanup_answer_ struct answer i = create(f, "again", 10, "");
    assert_code(i, 201);
}

/* --- answers that rest on what does not come about --- */

/* Holds up the store: it calls this after a write, and waits. */
struct hold {
    sem_t held, go;
    struct store_watch *watch;
};

static void held_up(void *userdata) {
    struct hold *h = userdata;

    (void) sem_post(&h->held);
    while (sem_wait(&h->go) < 0)
        ;
}

static void hold_store(struct fixture *f, struct hold *h) {
    struct store_event e;

    (void) sem_init(&h->held, 0, 0);
    (void) sem_init(&h->go, 0, 0);
    assert_int_equal(store_watch_open(f->store, "secrets", NULL, store_revision(f->store), held_up, h, &h->watch), 0);
    assert_int_equal(store_watch_next(h->watch, &e), 0);
    _cleanup_answer_ struct answer a =
        ask(f, "POST", "/api/v1/namespaces/default/secrets", "{\"metadata\":{\"generateName\":\"held-\"}}");
    assert_code(a, 201);
    while (sem_wait(&h->held) < 0)
        ;
}

static void release_store(struct hold *h) {
    (void) sem_post(&h->go);
    store_watch_close(h->watch);
    (void) sem_destroy(&h->held);
    (void) sem_destroy(&h->go);
}

struct asking {
    struct fixture f; /* with a handle of its own */
    const char *method, *path;
    char *body;
    struct answer answer;
    pthread_t thread;
};

static void *ask_now(void *userdata) {
    struct asking *a = userdata;

    a->answer = ask(&a->f, a->method, a->path, a->body);
    return NULL;
}

static long under_way(struct fixture *f) {
    static const char name[] = "apiserver_current_inflight_requests{request_kind=\"mutating\"} ";
    _cleanup_answer_ struct answer a = ask(f, "GET", "/metrics", NULL);
    const char *p = strstr(strbuf_str(&a.text), name);

    assert_non_null(p);
    return strtol(p + strlen(name), NULL, 10);
}

/* Returns when it waits for the store: the one thread of the socket has begun it before it tells us so. */
static void begin(struct fixture *f, struct asking *a, const char *method, const char *path, char *body) {
    long before = under_way(f);

    *a = (struct asking){.f = *f, .method = method, .path = path, .body = body};
    a->f.curl = curl_easy_init();
    assert_int_equal(pthread_create(&a->thread, NULL, ask_now, a), 0);
    while (under_way(f) == before)
        ;
}

static void end(struct asking *a) {
    assert_int_equal(pthread_join(a->thread, NULL), 0);
    curl_easy_cleanup(a->f.curl);
    free(a->body);
}

/* One object is too large for what room is left. What others were about to be told because of it is asked anew. */
static void answers_that_rest_on_a_failed_write_are_asked_anew(void **state) {
    struct fixture *f = *state;
    struct asking large, same, patch, gone;
    struct hold h;

    fill(f, LARGE_BYTES);
    hold_store(f, &h);
    begin(f, &large, "POST", CONFIGMAPS, configmap("x", LARGE_BYTES, ""));
    begin(f, &same, "POST", CONFIGMAPS, configmap("x", 10, ",\"labels\":{\"small\":\"yes\"}")); /* 409, it seems */
    release_store(&h);
    end(&large);
    end(&same);
    assert_code(large.answer, 507);
    assert_code(same.answer, 201);
    answer_finish(&large.answer);
    answer_finish(&same.answer);

    hold_store(f, &h);
    begin(f, &large, "POST", CONFIGMAPS, configmap("y", LARGE_BYTES, ""));
    begin(f, &patch, "PATCH", CONFIGMAPS "/y", xstrdup("{\"immutable\":\"no\"}")); /* 400 because of what is there */
    begin(f, &gone, "DELETE", CONFIGMAPS "/y", NULL);                              /* built on it */
    release_store(&h);
    end(&large);
    end(&patch);
    end(&gone);
    assert_code(large.answer, 507);
    assert_status(patch.answer, 404, "NotFound", "configmaps \"y\" not found");
    assert_status(gone.answer, 404, "NotFound", "configmaps \"y\" not found");
    answer_finish(&large.answer);
    answer_finish(&patch.answer);
    answer_finish(&gone.answer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_store_refuses_creations_and_nothing_else, fixture_setup_local,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(answers_that_rest_on_a_failed_write_are_asked_anew, fixture_setup_local,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests_name("full_store", tests, NULL, NULL);
}
