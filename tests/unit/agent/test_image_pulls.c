/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pulls shared, limited, ended; a script stands for the image worker. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include <systemd/sd-event.h>

#include "orchestrator/agent/images/pulls.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

struct asked {
    struct image_wait *wait;
    int done;
    char *error, *digest, *progress;
};

struct fixture {
    char *dir, *worker;
    sd_event *loop;
    struct image_pulls *pulls;
    unsigned notified;
};

static void on_progress(void *userdata, const char *text) {
    struct asked *a = userdata;
    free(a->progress);
    a->progress = xstrdup(text);
}

static void on_done(void *userdata, const struct image_pulled *pulled) {
    struct asked *a = userdata;
    a->done++;
    a->error = pulled->error ? xstrdup(pulled->error) : NULL;
    a->digest = pulled->digest ? xstrdup(pulled->digest) : NULL;
    image_wait_free(steal(&a->wait));
}

static const struct image_wait_callbacks callbacks = {on_progress, on_done};

static void asked_finish(struct asked *a) {
    image_wait_free(a->wait);
    free(a->error);
    free(a->digest);
    free(a->progress);
}

static void notify(void *userdata) {
    ((struct fixture *) userdata)->notified++;
}

/* Starts and ends go to a file; "hang" hangs with a child until killed, "die" dies, "no" fails. */
static const char script[] =
    "#!/bin/sh\n"
    "read -r request; here=${0%/*}; echo start >>$here/log\n"
    "echo '{\"progress\":{\"what\":\"downloading\",\"bytes\":1500000,\"bytesAll\":3000000}}'\n"
    "case $request in\n"
    "*sweep*) echo swept >>$here/log; echo '{\"ok\":{}}'; exit;;\n"
    "*hang*) sleep 1000 & echo $! >$here/new; mv $here/new $here/child; wait;;\n"
    "*die*) kill -KILL $$;;\n"
    "*no:1*) echo '{\"error\":{\"code\":-2,\"text\":\"not there\"}}'; exit 1;;\n"
    "*) sleep 0.2; echo '{\"ok\":{\"digest\":\"sha256:1\",\"sizeBytes\":5,\"isNew\":true}}';;\n"
    "esac\n"
    "echo end >>$here/log\n";

static int setup(void **state) {
    char template[] = "/tmp/podium-pulls-XXXXXX";
    struct fixture *f = xnew0(struct fixture);

    f->dir = xstrdup(mkdtemp(template));
    f->worker = path_join(f->dir, "worker");
    assert_int_equal(file_write_atomic(f->worker, script, strlen(script), 0755, false, NULL), 0);
    assert_true(sd_event_new(&f->loop) >= 0);
    const struct image_pulls_options o = {.program = f->worker, .root = f->dir, .parallel = 2};
    f->pulls = image_pulls_new(f->loop, &o);
    image_pulls_set_notify(f->pulls, notify, f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    image_pulls_free(f->pulls);
    sd_event_unref(f->loop);
    int r = rm_tree(f->dir, NULL);
    free(f->dir);
    free(f->worker);
    free(f);
    return r;
}

static char *text_of(const struct fixture *f, const char *name) {
    _cleanup_free_ char *path = path_join(f->dir, name);
    struct strbuf text = STRBUF_INIT;
    (void) !file_read(path, 65536, &text, NULL);
    return strbuf_steal(&text);
}

static size_t count(const struct fixture *f, const char *word) {
    _cleanup_free_ char *log = text_of(f, "log");
    size_t n = 0;
    for (const char *p = log; (p = strstr(p, word)); p++)
        n++;
    return n;
}

#define WAIT(f, condition)                                                                                             \
    for (uint64_t _end = now_monotonic_usec() + 20 * USEC_PER_SEC; !(condition);) {                                    \
        if (now_monotonic_usec() > _end)                                                                               \
            fail_msg("waited in vain: %s", #condition);                                                                \
        assert_true(sd_event_run((f)->loop, 20000) >= 0);                                                              \
    }

static void ask(struct fixture *f, struct asked *a, const char *reference, const struct json *credentials) {
    a->wait = image_pulls_ask(f->pulls, reference, credentials, &callbacks, a);
}

static void test_sharing(void **state) {
    struct fixture *f = *state;
    _cleanup_(asked_finish) struct asked a = {0}, b = {0}, c = {0};
    _cleanup_json_ struct json *credentials = json_array(), *pair = json_object();

    json_set(&pair, "username", json_string("maestro"));
    json_append(&credentials, json_ref(pair));
    ask(f, &a, "x:1", NULL);
    ask(f, &b, "x:1", NULL);
    ask(f, &c, "x:1", credentials); /* somebody else's right to see it */
    assert_int_equal(a.done, 0);
    WAIT(f, a.done && b.done && c.done);
    assert_string_equal(a.digest, "sha256:1");
    assert_string_equal(b.digest, "sha256:1");
    assert_string_equal(a.progress, "downloading 1.5 of 3.0 MB");
    assert_int_equal(count(f, "start"), 2);
    assert_int_equal(f->notified, 2);
}

static void test_a_few_at_a_time(void **state) {
    struct fixture *f = *state;
    struct asked a[5] = {0};

    for (size_t i = 0; i < ARRAY_LEN(a); i++) {
        _cleanup_free_ char *name = xasprintf("x%zu:1", i);
        ask(f, &a[i], name, NULL);
    }
    for (size_t i = 0; i < ARRAY_LEN(a); i++)
        WAIT(f, a[i].done);
    _cleanup_free_ char *log = text_of(f, "log");
    int running = 0;
    for (char *rest = log, *line; (line = strsep(&rest, "\n")) && *line;) {
        running += strcmp(line, "start") == 0 ? 1 : -1;
        assert_true(running <= 2);
    }
    for (size_t i = 0; i < ARRAY_LEN(a); i++)
        asked_finish(&a[i]);
}

static void test_failures(void **state) {
    struct fixture *f = *state;
    _cleanup_(asked_finish) struct asked no = {0}, die = {0};

    ask(f, &no, "no:1", NULL);
    ask(f, &die, "die:1", NULL);
    WAIT(f, no.done && die.done);
    assert_string_equal(no.error, "not there");
    assert_string_equal(die.error, "the image worker ended unexpectedly (signal 9)");
    assert_int_equal(f->notified, 0);
}

static bool alive(const char *pid) {
    _cleanup_free_ char *path = xasprintf("/proc/%.*s", (int) strcspn(pid, "\n"), pid);
    return access(path, F_OK) == 0;
}

/* Nobody waits any more: the worker and its children end, what they left is swept, the next has its turn. */
static void test_abandoned(void **state) {
    struct fixture *f = *state;
    _cleanup_(asked_finish) struct asked hang = {0}, hang2 = {0}, other = {0}, queued = {0};

    ask(f, &hang, "hang:1", NULL);
    ask(f, &hang2, "hang:1", NULL);
    WAIT(f, hang.progress && access(f->worker, F_OK) == 0);
    _cleanup_free_ char *child_path = path_join(f->dir, "child");
    WAIT(f, access(child_path, F_OK) == 0);
    image_wait_free(steal(&hang.wait));
    ask(f, &queued, "never:1", NULL);
    image_wait_free(steal(&queued.wait)); /* before its turn came */
    (void) sd_event_run(f->loop, 50000);
    _cleanup_free_ char *child = text_of(f, "child");
    assert_true(alive(child)); /* one still waits */
    image_wait_free(steal(&hang2.wait));
    WAIT(f, !alive(child));
    WAIT(f, count(f, "swept") == 1);
    ask(f, &other, "x:1", NULL);
    WAIT(f, other.done);
    assert_int_equal(hang.done + hang2.done + queued.done, 0);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_sharing),
        TEST(test_a_few_at_a_time),
        TEST(test_failures),
        TEST(test_abandoned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
