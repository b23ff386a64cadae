/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A store file with a flipped bit, a torn page or a missing end: refused, or every object of it as it was; never served
 * wrong, never a crash, never a hang. What lives on goes on to live: after some writes it still has every object.
 */
#include "tests/unit/store/store_fixture.h"

#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "podium/base/fd.h"
#include "podium/base/random.h"

enum { OBJECTS = 300, PAGE = 4096, FLIPS = 150, TEARS = 40 };
enum { REFUSED = 10, INTACT, LOST };

struct image {
    struct fixture f;
    char *data; /* the path of the file */
    char *bytes;
    size_t size;
    unsigned seed;
};

static int64_t value_at(int i) {
    return i * 7919;
}

/* A file with a history: big and small objects, updates, holes of deletions. */
static int setup(void **state) {
    struct image *image = xnew0(struct image);
    struct fixture *f = &image->f;
    struct stat st;
    f->options.map_bytes = 16u << 20;
    f->options.no_sync = true;
    fixture_init(f);
    fixture_open(f);
    for (int i = 0; i < 2 * OBJECTS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(put(f->store, STORE_CREATE, "a", name, -i, 0, NULL), 0);
    }
    for (int i = 0; i < 2 * OBJECTS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(put(f->store, i < OBJECTS ? STORE_UPDATE : STORE_DELETE, "a", name, value_at(i), 0, NULL), 0);
    }
    store_close(steal(&f->store));
    image->data = path_join(f->path, "data.mdb");
    _cleanup_close_ int fd = open(image->data, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    image->size = (size_t) st.st_size;
    image->bytes = xmalloc(image->size);
    assert_int_equal(pread(fd, image->bytes, image->size, 0), st.st_size);
    /* what lies behind the last used page is of no interest */
    while (image->size > PAGE && image->bytes[image->size - 1] == 0)
        image->size--;
    image->size = (image->size + PAGE - 1) / PAGE * PAGE;
    image->seed = (unsigned) random_u64();
    print_message("seed %u, %zu pages\n", image->seed, image->size / PAGE);
    *state = image;
    return 0;
}

static int teardown(void **state) {
    struct image *image = *state;
    assert_int_equal(rm_tree(image->f.path, NULL), 0);
    free(image->f.path);
    free(image->data);
    free(image->bytes);
    free(image);
    return 0;
}

static bool all_there(struct store *s, int extra) {
    for (int i = 0; i < OBJECTS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%d", i);
        if (value_of(s, "a", name) != value_at(i))
            return false;
    }
    return store_count(s, "configmaps") == (size_t) OBJECTS + (size_t) extra;
}

/* In a process of its own, since LMDB may stumble over anything. */
static void look(struct image *image) {
    struct store_options o = image->f.options;
    struct store *s;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    o.path = image->f.path;
    alarm(20);
    if (store_open_lmdb(&o, &s, &err) < 0)
        _exit(strstr(error_text(&err, 0), image->f.path) ? REFUSED : LOST);
    if (!all_there(s, 0))
        _exit(LOST);
    int extra = 0;
    for (; extra < 80; extra++) {
        char name[16];
        snprintf(name, sizeof(name), "x%d", extra);
        if (put(s, STORE_CREATE, "b", name, extra, 0, NULL) != 0)
            _exit(REFUSED); /* what was not acknowledged is nobody's loss */
    }
    store_close(s);
    if (store_open_lmdb(&o, &s, &err) < 0)
        _exit(LOST);
    bool there = all_there(s, extra);
    store_close(s);
    _exit(there ? INTACT : LOST);
}

static int outcome(struct image *image, const char *bytes, size_t size) {
    _cleanup_close_ int fd = open(image->data, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, 0), (ssize_t) size);
    closep(&fd);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        look(image);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct tally {
    unsigned refused, intact, wrong;
};

static void count(struct tally *t, int outcome, const char *what, size_t at) {
    t->refused += outcome == REFUSED;
    t->intact += outcome == INTACT;
    if (outcome == REFUSED || outcome == INTACT)
        return;
    print_message("%s at page %zu, byte %zu: %s %d\n", what, at / PAGE, at % PAGE,
                  outcome < 0 ? "killed by signal" : "exit status", outcome < 0 ? -outcome : outcome);
    t->wrong++;
}

static void test_flipped_bits(void **state) {
    struct image *image = *state;
    struct tally t = {0};
    for (int i = 0; i < FLIPS; i++) {
        /* every second time near a page's start, where its structure is */
        size_t page = (size_t) rand_r(&image->seed) % (image->size / PAGE);
        size_t at = page * PAGE + (size_t) rand_r(&image->seed) % (i % 2 ? PAGE : 64);
        char bit = (char) (1 << rand_r(&image->seed) % 8);
        image->bytes[at] = (char) (image->bytes[at] ^ bit);
        count(&t, outcome(image, image->bytes, image->size), "bit flipped", at);
        image->bytes[at] = (char) (image->bytes[at] ^ bit);
    }
    print_message("%u refused, %u intact, %u wrong\n", t.refused, t.intact, t.wrong);
    assert_int_equal(t.wrong, 0);
    assert_true(t.refused > 0);
}

static void test_torn_pages(void **state) {
    struct image *image = *state;
    struct tally t = {0};
    char saved[PAGE];
    for (int i = 0; i < TEARS; i++) {
        size_t page = (size_t) rand_r(&image->seed) % (image->size / PAGE), at = page * PAGE;
        memcpy(saved, image->bytes + at, PAGE);
        size_t from = i % 3 == 0 ? 0 : (size_t) (1 + rand_r(&image->seed) % 7) * 512;
        if (i % 2) /* the sectors never came; or are those of another page */
            memset(image->bytes + at + from, 0, PAGE - from);
        else
            memcpy(image->bytes + at + from, image->bytes + (at + 3 * PAGE) % image->size + from, PAGE - from);
        count(&t, outcome(image, image->bytes, image->size), "torn", at + from);
        memcpy(image->bytes + at, saved, PAGE);
    }
    for (int i = 0; i < TEARS / 2; i++) {
        size_t size = (size_t) rand_r(&image->seed) % image->size;
        count(&t, outcome(image, image->bytes, size), "cut off", size);
    }
    print_message("%u refused, %u intact, %u wrong\n", t.refused, t.intact, t.wrong);
    assert_int_equal(t.wrong, 0);
    assert_true(t.refused > 0);
}

/* The other side: whatever has happened to a file by our own doing, it is intact. Values of all sizes, from several in
 * a page to many pages each, a map that gets full, and an end without notice. */
static void churn(struct fixture *f, unsigned *seed, unsigned writes) {
    for (unsigned i = 0; i < writes; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%d", rand_r(seed) % 60);
        size_t size = 1u << rand_r(seed) % 17;
        _cleanup_free_ char *text = xmalloc(size + 1);
        memset(text, 'x', size);
        text[size] = 0;
        _cleanup_json_ struct json *doc = document("a", name, i);
        json_set_path(&doc, json_string(text), "text");
        struct waiter w = WAITER_INIT;
        struct store_write write = {rand_r(seed) % 3 ? STORE_UPDATE : STORE_DELETE, "configmaps", "a", name, doc, 0};
        int r = store_submit(f->store, &write, waiter_done, &w);
        if (r == -ENOENT && write.op == STORE_UPDATE) {
            write.op = STORE_CREATE;
            r = store_submit(f->store, &write, waiter_done, &w);
        }
        if (r == 0)
            waiter_wait(&w, 1);
        assert_true(r == 0 ? w.result == 0 || w.result == -ENOSPC : r == -ENOENT);
    }
}

/* A first start that ended between making the file and the first transaction leaves nothing but meta pages. */
static void test_a_file_without_a_transaction_is_empty(void **state) {
    struct fixture f = {.options = {.map_bytes = 2u << 20}};
    MDB_env *env;

    fixture_init(&f);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, f.path, 0, 0600), 0);
    mdb_env_close(env);
    fixture_open(&f);
    fixture_finish(&f);
}

static void test_own_files_are_intact(void **state) {
    struct fixture f = {.options = {.map_bytes = 2u << 20, .no_sync = true}};
    unsigned seed = (unsigned) random_u64();

    print_message("seed %u\n", seed);
    fixture_init(&f);
    for (int life = 0; life < 60; life++) {
        fixture_open(&f);
        if (life % 3 == 2) { /* its last breath in a child */
            store_close(steal(&f.store));
            pid_t pid = fork();
            assert_true(pid >= 0);
            if (pid == 0) {
                fixture_open(&f);
                churn(&f, &seed, 1 + (unsigned) rand_r(&seed) % 60);
                _exit(0);
            }
            int status;
            assert_int_equal(waitpid(pid, &status, 0), pid);
            assert_int_equal(status, 0);
            (void) rand_r(&seed);
            continue;
        }
        churn(&f, &seed, 1 + (unsigned) rand_r(&seed) % 120);
        store_close(steal(&f.store));
    }
    fixture_open(&f);
    fixture_finish(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_flipped_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn_pages, setup, teardown),
        cmocka_unit_test(test_own_files_are_intact),
        cmocka_unit_test(test_a_file_without_a_transaction_is_empty),
    };

    return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
