/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happens to images once they are in: names, lookup, sharing, pins, removal, crashes, other processes. */
#include "tests/unit/images/image_fixture.h"

#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/wait.h>

static void import_one(struct fixture *f, const char *folder, const char *name, const struct layer *layers, size_t n) {
    _cleanup_free_ char *dir = layout_make(f, folder, name, layers, n);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = import_path(f, dir, NULL, &err);

    if (r < 0)
        fail_msg("%s", error_text(&err, r));
}

static char *digest_of(struct fixture *f, const char *reference) {
    _cleanup_(image_finish) struct image image = {0};

    assert_int_equal(image_resolve(f->store, reference, &image, NULL), 0);
    return steal(&image.digest);
}

static int resolve_code(struct fixture *f, const char *reference) {
    _cleanup_(image_finish) struct image image = {0};

    return image_resolve(f->store, reference, &image, NULL);
}

static bool layer_is_there(struct fixture *f, const struct layer *l) {
    _cleanup_free_ char *path = xasprintf("%s/store/layers/%s", f->dir, l->diff_id + 7);
    return access(path, F_OK) == 0;
}

static void test_lookup(void **state) {
    struct fixture *f = *state;
    struct layer l = LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "1"});
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_(image_finish) struct image image = {0};

    import_one(f, "a", "docker.io/library/nginx:latest", &l, 1);
    _cleanup_free_ char *digest = digest_of(f, "nginx");
    _cleanup_free_ char *full = xasprintf("nginx@%s", digest), *other = xasprintf("apache@%s", digest);
    _cleanup_free_ char *tagged = xasprintf("docker.io/nginx:whatever@%s", digest), *some = xstrndup(digest + 7, 12);
    assert_int_equal(resolve_code(f, "nginx:latest"), 0);
    assert_int_equal(resolve_code(f, "docker.io/library/nginx:latest"), 0);
    assert_int_equal(resolve_code(f, full), 0);
    assert_int_equal(resolve_code(f, tagged), 0);
    assert_int_equal(resolve_code(f, digest), 0);
    assert_int_equal(resolve_code(f, some), 0);
    some[11] = 0;
    assert_int_equal(resolve_code(f, some), -ENOENT); /* too short for a digest, and no such name */
    assert_int_equal(resolve_code(f, other), -ENOENT);
    assert_int_equal(resolve_code(f, "nginx:1.25"), -ENOENT);
    assert_int_equal(resolve_code(f, "quay.io/library/nginx"), -ENOENT);
    assert_int_equal(image_resolve(f->store, "NGINX", &image, &err), -EINVAL);
    assert_int_equal(image_resolve(f->store, "web:1", &image, &err), -ENOENT);
    assert_string_equal(error_text(&err, 0),
                        "image web:1 is not on this node; import it with: podium image import FILE");
    layer_finish(&l);
}

static void test_name_moves_to_the_newer_image(void **state) {
    struct fixture *f = *state;
    struct layer a = LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "1"}), b = LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "2"});
    _cleanup_(image_list_finish) struct image_list list = {0};

    import_one(f, "a", "web:1", &a, 1);
    _cleanup_free_ char *old = digest_of(f, "web:1"), *by_digest = xasprintf("web@%s", old);
    import_one(f, "b", "web:1", &b, 1);
    _cleanup_free_ char *new = digest_of(f, "web:1");
    assert_string_not_equal(old, new);
    assert_int_equal(resolve_code(f, by_digest), 0); /* still there for pods that name it by digest */
    assert_int_equal(image_list(f->store, &list, NULL), 0);
    assert_int_equal(list.n, 2);
    assert_string_equal(list.items[0].digest, new);
    assert_int_equal(strv_len(list.items[1].names), 0);
    assert_int_equal(image_remove(f->store, old, NULL), 0);
    assert_false(layer_is_there(f, &a));
    assert_true(layer_is_there(f, &b));
    layer_finish(&a);
    layer_finish(&b);
}

static void test_shared_layers_and_removal(void **state) {
    struct fixture *f = *state;
    struct layer base = LAYER(ARCHIVE_FILTER_GZIP, {'f', "base", "b"});
    struct layer one[2] = {base, LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "1"})};
    struct layer two[2] = {base, LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "2"})};

    import_one(f, "one", "one:1", one, 2);
    import_one(f, "two", "two:1", two, 2);
    import_one(f, "two-again", "two:also", two, 2);
    assert_int_equal(count_names(f, "layers"), 3);
    assert_int_equal(count_names(f, "images"), 2);
    assert_int_equal(image_remove(f->store, "one:1", NULL), 0);
    assert_true(layer_is_there(f, &base));
    assert_false(layer_is_there(f, &one[1]));
    assert_int_equal(image_remove(f->store, "two:1", NULL), 0); /* takes one of two names off */
    assert_int_equal(resolve_code(f, "two:1"), -ENOENT);
    assert_int_equal(resolve_code(f, "two:also"), 0);
    assert_int_equal(image_remove(f->store, "two:also", NULL), 0);
    assert_store_is_empty(f);
    assert_int_equal(image_remove(f->store, "two:also", NULL), -ENOENT);
    layer_finish(&base);
    layer_finish(&one[1]);
    layer_finish(&two[1]);
}

static void test_pins_keep_layers(void **state) {
    struct fixture *f = *state;
    struct layer layers[2] = {LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "1"}), LAYER(ARCHIVE_FILTER_GZIP, {'f', "b", "2"})};
    struct layer other = LAYER(ARCHIVE_FILTER_GZIP, {'f', "c", "3"});
    _cleanup_(image_finish) struct image image = {0}, second = {0}, again = {0};

    import_one(f, "a", "web:1", layers, 2);
    import_one(f, "b", "side:1", &other, 1);
    assert_int_equal(image_resolve_pinned(f->store, "web:1", "uid-1", &image, NULL), 0);
    assert_int_equal(image_resolve_pinned(f->store, "web:1", "uid-2", &again, NULL), 0);
    assert_int_equal(image_resolve_pinned(f->store, "side:1", "uid-1", &second, NULL), 0); /* adds up */
    assert_int_equal(image_remove(f->store, "web:1", NULL), 0);
    assert_int_equal(image_remove(f->store, "side:1", NULL), 0);
    assert_int_equal(resolve_code(f, "web:1"), -ENOENT);
    assert_int_equal(image_collect(f->store, NULL), 0);
    assert_int_equal(count_names(f, "layers"), 3);
    assert_int_equal(image_unpin(f->store, "uid-1", NULL), 0);
    assert_false(layer_is_there(f, &other));
    assert_true(layer_is_there(f, &layers[0]) && layer_is_there(f, &layers[1]));
    assert_int_equal(image_pin(f->store, "uid-3", &second, NULL), -ENOENT); /* removed meanwhile */
    assert_int_equal(image_unpin(f->store, "uid-2", NULL), 0);
    assert_store_is_empty(f);
    assert_int_equal(image_unpin(f->store, "uid-2", NULL), 0);
    assert_int_equal(image_pin(f->store, "../x", &image, NULL), -EINVAL);
    layer_finish(&layers[0]);
    layer_finish(&layers[1]);
    layer_finish(&other);
}

static void test_pins_after_a_restart(void **state) {
    struct fixture *f = *state;
    struct layer l = LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "1"});
    _cleanup_(image_finish) struct image image = {0};
    char *alive[] = {"uid-2", NULL};

    import_one(f, "a", "web:1", &l, 1);
    assert_int_equal(image_resolve(f->store, "web:1", &image, NULL), 0);
    assert_int_equal(image_pin(f->store, "uid-1", &image, NULL), 0);
    assert_int_equal(image_pin(f->store, "uid-2", &image, NULL), 0);
    assert_int_equal(image_remove(f->store, "web:1", NULL), 0);
    assert_int_equal(image_pins_retain(f->store, alive, NULL), 0);
    assert_true(layer_is_there(f, &l));
    /* imported again while only a pin held it: taken as it is, and no longer an orphan */
    import_one(f, "again", "web:1", &l, 1);
    assert_int_equal(image_pins_retain(f->store, NULL, NULL), 0);
    assert_true(layer_is_there(f, &l));
    assert_int_equal(image_remove(f->store, "web:1", NULL), 0);
    assert_store_is_empty(f);
    layer_finish(&l);
}

static void test_crash_leftovers_are_swept(void **state) {
    struct fixture *f = *state;
    struct layer l = LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "1"});
    _cleanup_free_ char *root = path_join(f->dir, "store"), *busy = path_join(root, "tmp/busy");

    import_one(f, "a", "web:1", &l, 1);
    write_file(root, "tmp/dead/0123/file", "x", 1);
    write_file(root, "tmp/busy/0123/file", "x", 1);
    write_file(root, "images/torn.json.abc.tmp", "{", 1);
    /* a layer moved in, but no record written */
    write_file(root, "layers/00000000000000000000000000000000000000000000000000000000000000aa/file", "x", 1);
    write_file(root, "images/00000000000000000000000000000000000000000000000000000000000000aa.json", "{broken", 7);
    int fd = open(busy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0); /* an import going on */
    struct image_store *second = image_store_open(root, NULL);
    assert_non_null(second);
    assert_int_equal(count_names(f, "tmp"), 1);
    assert_int_equal(image_collect(second, NULL), 1);
    assert_int_equal(count_names(f, "layers"), 1);
    close(fd);
    image_store_close(second);
    second = image_store_open(root, NULL);
    assert_int_equal(count_names(f, "tmp"), 0);
    assert_int_equal(count_names(f, "images"), 2); /* the broken record is left for a person to look at */
    image_store_close(second);
    assert_int_equal(resolve_code(f, "web:1"), 0);
    layer_finish(&l);
}

/* Processes importing and removing the same images at once: whatever is found must be whole. */
static void test_processes_at_once(void **state) {
    struct fixture *f = *state;
    enum { PROCESSES = 4, ROUNDS = 12 };
    struct layer layers[2] = {LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "1"}), LAYER(ARCHIVE_FILTER_GZIP, {'f', "b", "2"})};
    _cleanup_free_ char *root = path_join(f->dir, "store");
    _cleanup_free_ char *one = layout_make(f, "one", "one:1", layers, 2);
    _cleanup_free_ char *two = layout_make(f, "two", "two:1", layers, 1);
    pid_t pids[PROCESSES];
    int removed;

    for (int p = 0; p < PROCESSES; p++) {
        pids[p] = fork();
        if (pids[p] != 0)
            continue;
        struct image_store *store = image_store_open(root, NULL);
        for (int i = 0; i < ROUNDS; i++) {
            struct image image = {0};
            char owner[16];
            snprintf(owner, sizeof(owner), "p%d-%d", p, i);
            if (image_import(store, (p + i) % 2 ? one : two, NULL, NULL, NULL, NULL, NULL) < 0)
                _exit(1);
            int r = image_resolve_pinned(store, i % 2 ? "one:1" : "two:1", owner, &image, NULL);
            for (size_t k = 0; r == 0 && k < strv_len(image.layer_dirs); k++)
                if (access(image.layer_dirs[k], F_OK) < 0)
                    _exit(2);
            if (r < 0 && r != -ENOENT)
                _exit(3);
            r = image_remove(store, i % 3 ? "one:1" : "two:1", NULL);
            if (r < 0 && r != -ENOENT)
                _exit(4);
            for (size_t k = 0; k < strv_len(image.layer_dirs); k++)
                if (access(image.layer_dirs[k], F_OK) < 0)
                    _exit(5); /* pinned, and yet removed */
            image_finish(&image);
            if (image_unpin(store, owner, NULL) < 0)
                _exit(6);
        }
        _exit(0);
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status;
        assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
        assert_int_equal(status, 0);
    }
    removed = image_remove(f->store, "one:1", NULL);
    assert_true(removed == 0 || removed == -ENOENT);
    removed = image_remove(f->store, "two:1", NULL);
    assert_true(removed == 0 || removed == -ENOENT);
    (void) image_collect(f->store, NULL);
    assert_store_is_empty(f);
    layer_finish(&layers[0]);
    layer_finish(&layers[1]);
}

/* The kernel's word on whiteouts: what overlayfs shows of the layers is what the image means. */
static void mount_and_look(struct fixture *f) {
    _cleanup_(image_finish) struct image image = {0};
    _cleanup_strbuf_ struct strbuf options = STRBUF_INIT;
    _cleanup_free_ char *at = path_join(f->dir, "mnt");

    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        _exit(77);
    if (image_resolve(f->store, "web:1", &image, NULL) < 0 || mkdir(at, 0755) < 0)
        _exit(1);
    strbuf_adds(&options, "lowerdir=");
    for (size_t i = 0; image.layer_dirs[i]; i++)
        strbuf_addf(&options, "%s%s", i ? ":" : "", image.layer_dirs[i]);
    if (mount("overlay", at, "overlay", MS_RDONLY, options.data) < 0)
        _exit(errno == ENODEV ? 77 : 2);
    static const struct {
        const char *name;
        bool there;
    } cases[] = {{"keep", true}, {"gone", false}, {"dir/old", false}, {"dir/new", true}, {"tree", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *path = path_join(at, cases[i].name);
        if ((access(path, F_OK) == 0) != cases[i].there)
            _exit(10 + (int) i);
    }
    _exit(0);
}

static void test_overlayfs_agrees(void **state) {
    struct fixture *f = *state;
    struct layer layers[2] = {
        LAYER(ARCHIVE_FILTER_GZIP, {'f', "keep", "k"}, {'f', "gone", "g"}, {'d', "dir"}, {'f', "dir/old", "o"},
              {'d', "tree"}, {'f', "tree/x", "x"}),
        LAYER(ARCHIVE_FILTER_GZIP, {'f', ".wh.gone", ""}, {'d', "dir"}, {'f', "dir/.wh..wh..opq", ""},
              {'f', "dir/new", "n"}, {'f', ".wh.tree", ""}),
    };
    int status;

    import_one(f, "a", "web:1", layers, 2);
    pid_t pid = fork();
    if (pid == 0)
        mount_and_look(f);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    layer_finish(&layers[0]);
    layer_finish(&layers[1]);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_lookup),
        TEST(test_name_moves_to_the_newer_image),
        TEST(test_shared_layers_and_removal),
        TEST(test_pins_keep_layers),
        TEST(test_pins_after_a_restart),
        TEST(test_crash_leftovers_are_swept),
        TEST(test_processes_at_once),
        TEST(test_overlayfs_agrees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
