/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a burst of writes leaves behind in memory. */
#include <stdio.h>

#include "podium/base/clock.h"
#include "tests/unit/store/store_fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_FREED_KEPT true /* sanitizers hold what was freed for a while */
#else
#define IS_FREED_KEPT false
#endif

enum { OBJECTS = 200, CHANGES = 10, /* fewer events and bytes than a window holds */ BODY = 4000 };
#define WINDOW_AGE (200 * USEC_PER_MSEC)

static struct json *big_document(const char *name, int64_t value) {
    struct json *doc = document("default", name, value);

    for (unsigned i = 0; i < BODY / 40; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", i);
        json_set_path(&doc, json_stringf("%032lld", (long long) value), "data", key);
    }
    return doc;
}

static void write_all(struct fixture *f, enum store_op op, int64_t value) {
    struct waiter w = WAITER_INIT;

    for (unsigned i = 0; i < OBJECTS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "o%u", i);
        _cleanup_json_ struct json *doc = op == STORE_DELETE ? NULL : big_document(name, value);
        const struct store_write write = {
            .op = op, .resource = "configmaps", .ns = "default", .name = name, .doc = doc};
        assert_int_equal(store_submit(f->store, &write, waiter_done, &w), 0);
    }
    waiter_wait(&w, OBJECTS);
    assert_int_equal(w.result, 0);
}

/* A write to another resource, as heartbeats make them. */
static void beat(struct fixture *f, enum store_op op) {
    struct waiter w = WAITER_INIT;
    _cleanup_json_ struct json *doc = document("kube-node-lease", "n", 1);
    const struct store_write write = {.op = op, .resource = "leases", .ns = "kube-node-lease", .name = "n", .doc = doc};

    assert_int_equal(store_submit(f->store, &write, waiter_done, &w), 0);
    waiter_wait(&w, 1);
}

static size_t anonymous_kb(void) {
    size_t kb = 0;
    char line[256];
    FILE *file = fopen("/proc/self/status", "re");

    assert_non_null(file);
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "RssAnon: %zu", &kb) == 1)
            break;
    (void) fclose(file);
    return kb;
}

static void never(void *userdata) {
}

/* Objects that were made, changed and deleted are forgotten after the age of the window, whoever writes next. */
static void test_burst_is_forgotten(void **state) {
    struct fixture f = {.options = {.no_sync = true, .window_age_usec = WINDOW_AGE}};
    struct store_watch *watch = NULL;

    fixture_init(&f);
    fixture_open(&f);
    beat(&f, STORE_CREATE);
    uint64_t before = store_revision(f.store);
    size_t idle = anonymous_kb(), peak = 0;
    write_all(&f, STORE_CREATE, 0);
    for (int64_t i = 1; i <= CHANGES; i++)
        write_all(&f, STORE_UPDATE, i);
    peak = anonymous_kb();
    write_all(&f, STORE_DELETE, 0);

    /* Sixty-four events stay, and pages that are not quite empty. */
    size_t enough = idle + (peak - idle) / 2, now;
    uint64_t give_up = now_monotonic_usec() + 20 * USEC_PER_SEC;
    int r;
    do {
        struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
        nanosleep(&pause, NULL);
        beat(&f, STORE_UPDATE);
        r = store_watch_open(f.store, "configmaps", NULL, before, never, NULL, &watch);
        store_watch_close(steal(&watch));
        now = IS_FREED_KEPT ? 0 : anonymous_kb();
    } while ((r != -ESTALE || now > enough) && now_monotonic_usec() < give_up);
    assert_int_equal(r, -ESTALE); /* whoever was away for so long lists again */
    if (now > enough)
        fail_msg("%zu kB idle, %zu at the peak, %zu afterwards", idle, peak, now);
    fixture_finish(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_burst_is_forgotten)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
