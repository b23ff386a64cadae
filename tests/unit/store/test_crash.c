/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A writer process is killed at a random moment, again and again: what it had acknowledged must be there. */
#include "tests/unit/store/store_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "podium/base/random.h"

enum { ROUNDS = 20, OBJECTS = 16 };

/* Acknowledgements travel to the parent over a pipe: object, value (-1: deleted), revision. */
struct ack {
    int object;
    int64_t value;
    uint64_t revision;
};

struct in_flight {
    struct ack ack;
    int pipe;
};

static void acknowledge(void *userdata, int result, struct store_item *item) {
    struct in_flight *i = userdata;

    i->ack.revision = item ? store_item_revision(item) : 0;
    if (result != 0 || write(i->pipe, &i->ack, sizeof(i->ack)) != sizeof(i->ack))
        _exit(3);
    free(i);
}

static void writer(const char *path, int pipe, int64_t value) {
    const struct store_options options = {.path = path};
    struct store *s;
    unsigned seed = (unsigned) random_u64();

    if (store_open_lmdb(&options, &s, NULL) < 0)
        _exit(2);
    for (;; value++) {
        char name[8];
        int object = rand_r(&seed) % OBJECTS;
        snprintf(name, sizeof(name), "n%d", object);
        struct in_flight *i = xnew0(struct in_flight);
        i->pipe = pipe;
        i->ack.object = object;
        i->ack.value = value;
        _cleanup_json_ struct json *doc = document("a", name, value);
        struct store_write w = {STORE_UPDATE, "configmaps", "a", name, doc, 0};
        if (rand_r(&seed) % 4 == 0) {
            w.op = STORE_DELETE;
            w.doc = NULL;
            i->ack.value = -1;
        }
        int r = store_submit(s, &w, acknowledge, i);
        if (r == -ENOENT && w.op == STORE_UPDATE) {
            w.op = STORE_CREATE;
            r = store_submit(s, &w, acknowledge, i);
        }
        if (r < 0)
            free(i);
        if (value % 7 == 0)
            usleep(200); /* batches of different sizes */
    }
}

static void test_acknowledged_writes_survive_kill(void **state) {
    struct fixture f = {0};
    struct ack newest[OBJECTS];
    int64_t value = 0;
    size_t acknowledged = 0;

    fixture_init(&f);
    for (int o = 0; o < OBJECTS; o++)
        newest[o] = (struct ack){o, -1, 0};
    for (int round = 0; round < ROUNDS; round++) {
        int fds[2];
        uint64_t newest_revision = 0;
        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            close(fds[0]);
            writer(f.path, fds[1], value);
        }
        close(fds[1]);
        /* let it acknowledge a few, then anything may be going on */
        struct ack a;
        unsigned before_kill = (unsigned) (random_u64() % 60) + 1;
        while (read(fds[0], &a, sizeof(a)) == sizeof(a)) {
            newest[a.object] = a;
            newest_revision = a.revision;
            acknowledged++;
            if (--before_kill == 0) {
                usleep((useconds_t) (random_u64() % 3000));
                kill(pid, SIGKILL);
            }
        }
        close(fds[0]);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

        fixture_open(&f);
        assert_true(store_revision(f.store) >= newest_revision);
        for (int o = 0; o < OBJECTS; o++) {
            char name[8];
            snprintf(name, sizeof(name), "n%d", o);
            _cleanup_(store_item_unrefp) struct store_item *i = store_get(f.store, "configmaps", "a", name);
            uint64_t revision = i ? store_item_revision(i) : 0;
            /* the acknowledged state, or a later one that was durable but not yet acknowledged */
            if (revision < newest[o].revision)
                assert_true(revision == 0 && (newest[o].value == -1 || store_revision(f.store) > newest_revision));
            if (revision == newest[o].revision && i)
                assert_int_equal(json_int_or(json_get(store_item_doc(i), "value"), -2), newest[o].value);
            newest[o].revision = revision; /* what is there now counts for the next round */
            newest[o].value = i ? json_int_or(json_get(store_item_doc(i), "value"), -2) : -1;
        }
        value += 100000;
        store_close(steal(&f.store));
    }
    assert_true(acknowledged > ROUNDS);
    fixture_finish(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_acknowledged_writes_survive_kill)};

    return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
