/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each call on files fails in turn while images come, get names, are held and go: an image is there as a whole or not
 * at all, what was asked for can be asked for again, and in the end nothing is left. */
#include "tests/unit/images/image_fixture.h"

#include "tests/unit/failing_calls.h"

#define SECOND_NAME "docker.io/library/other:2"

static bool content_is_whole(const struct image *image) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    struct stat st;

    if (strv_len(image->layer_dirs) != 2)
        return false;
    _cleanup_free_ char *top = path_join(image->layer_dirs[0], "etc/motd"),
                        *white = path_join(image->layer_dirs[0], "old"),
                        *bottom = path_join(image->layer_dirs[1], "bin/sh"),
                        *link = path_join(image->layer_dirs[1], "bin/ash");
    return file_read(top, 100, &text, NULL) == 0 && strcmp(strbuf_str(&text), "hello") == 0 && lstat(white, &st) == 0 &&
           S_ISCHR(st.st_mode) && lstat(bottom, &st) == 0 && st.st_uid == 7 && (st.st_mode & 07777) == 0755 &&
           st.st_nlink == 2 && lstat(link, &st) == 0;
}

/* 1: there and whole, 0: not there; a part is never there */
static int is_here(const struct fixture *f, const char *name) {
    _cleanup_(image_finish) struct image image = {0};

    if (image_resolve(f->store, name, &image, NULL) < 0)
        return 0;
    assert_held(content_is_whole(&image));
    return 1;
}

/* What the store's folders hold, in one text. */
static char *listing(const struct fixture *f) {
    static const char *const folders[] = {"layers", "images", "tmp", "pins"};
    struct strbuf out = STRBUF_INIT;

    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        _cleanup_free_ char *path = xasprintf("%s/store/%s", f->dir, folders[i]);
        struct dirent **names;
        int n = scandir(path, &names, NULL, alphasort);
        assert_true(n >= 0);
        for (int k = 0; k < n; k++) {
            if (names[k]->d_name[0] != '.' && !strstr(names[k]->d_name, ".orphan"))
                strbuf_addf(&out, "%s/%s ", folders[i], names[k]->d_name);
            free(names[k]);
        }
        free(names);
    }
    return strbuf_steal(&out);
}

static void assert_nothing_more(const struct fixture *f, const char *before) {
    _cleanup_free_ char *now = listing(f);

    if (strcmp(now, before) != 0)
        fail_msg("call %u (%s) failed: before there was %s, now %s", failing.at, failing.what ? failing.what : "none",
                 before, now);
}

/* As after a start: nothing is known but what the files say. */
static void reopen(struct fixture *f) {
    _cleanup_free_ char *root = path_join(f->dir, "store");

    image_store_close(f->store);
    f->store = image_store_open(root, NULL);
    assert_non_null(f->store);
}

/* What is held by nobody goes with the image or, after a failure, with the next collection and the next start. */
static void collect_all(struct fixture *f, const char *before) {
    assert_true(image_collect(f->store, NULL) >= 0);
    reopen(f);
    assert_nothing_more(f, before);
}

static void remove_all(struct fixture *f, const char *digest, const char *before) {
    assert_held(image_remove(f->store, digest, NULL) == 0);
    collect_all(f, before);
}

static char *make_layout(const struct fixture *f, const char *name) {
    _cleanup_free_ char *tag = xasprintf("%s:1", name);
    struct layer layers[] = {
        LAYER(ARCHIVE_FILTER_GZIP, {'d', "bin"}, {'f', "only", tag}, {'f', "bin/sh", "sh", 0755, 7},
              {'h', "bin/ash", "bin/sh"}, {'f', "old", "x"}),
        LAYER(ARCHIVE_FILTER_GZIP, {'d', "etc"}, {'f', "etc/motd", "hello"}, {'l', "etc/alias", "motd"},
              {'p', "etc/pipe"}, {'f', "only", tag}, {'f', ".wh.old"}, {'f', "etc/.wh..wh..opq"}),
    };
    char *path = layout_make(f, name, tag, layers, 2);

    layer_finish(&layers[0]), layer_finish(&layers[1]);
    return path;
}

/* Two images that are nobody's concern here: one is kept, one was removed while a pod runs from it. */
static char *others(struct fixture *f, struct image *ret_held) {
    _cleanup_free_ char *kept = make_layout(f, "kept"), *held = make_layout(f, "held");

    assert_int_equal(import_path(f, kept, NULL, NULL), 0);
    assert_int_equal(import_path(f, held, NULL, NULL), 0);
    assert_int_equal(image_resolve_pinned(f->store, "held:1", "holder", ret_held, NULL), 0);
    assert_int_equal(image_remove(f->store, "held:1", NULL), 0);
    return listing(f);
}

static void assert_others(const struct fixture *f, const struct image *held) {
    assert_held(is_here(f, "kept:1"));
    assert_held(content_is_whole(held));
}

/* An image is whole, or it is not there. */
static void test_importing(void **state) {
    struct fixture *f = *state;
    _cleanup_(image_finish) struct image held = {0};
    _cleanup_free_ char *path = make_layout(f, "box"), *before = others(f, &held);

    FAILING_EACH(ENOSPC) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        _cleanup_free_ char *digest = NULL;
        failing_begin();
        int r = image_import(f->store, path, NULL, NULL, NULL, &digest, &err);
        failing_end();
        assert_held(r < 0 ? err.code == r && error_text(&err, 0)[0] : r == 0);
        assert_held(is_here(f, "box:1") || r < 0);
        if (r < 0) /* again, as its caller would */
            assert_held(image_import(f->store, path, NULL, NULL, NULL, &digest, NULL) == 0);
        assert_held(is_here(f, "box:1"));
        assert_others(f, &held);
        remove_all(f, digest, before);
    }
}

/* The same image again, with another name: it keeps what it was called before. */
static void test_a_second_name(void **state) {
    struct fixture *f = *state;
    _cleanup_(image_finish) struct image held = {0};
    _cleanup_free_ char *path = make_layout(f, "box"), *before = others(f, &held);

    FAILING_EACH(EIO) {
        _cleanup_free_ char *digest = NULL;
        assert_int_equal(image_import(f->store, path, NULL, NULL, NULL, &digest, NULL), 0);
        reopen(f);
        failing_begin();
        int r = image_import(f->store, path, SECOND_NAME, NULL, NULL, NULL, NULL);
        failing_end();
        assert_held(is_here(f, "box:1"));
        assert_held(r < 0 || is_here(f, SECOND_NAME));
        assert_others(f, &held);
        remove_all(f, digest, before);
    }
    FAILING_EACH(EMFILE) {
        const struct image_label label = {SECOND_NAME, "docker.io/library/other", NULL};
        _cleanup_free_ char *digest = NULL;
        assert_int_equal(image_import(f->store, path, NULL, NULL, NULL, &digest, NULL), 0);
        reopen(f);
        failing_begin();
        int r = image_add_label(f->store, digest, &label, NULL);
        failing_end();
        assert_held(is_here(f, "box:1"));
        assert_held(r < 0 || is_here(f, SECOND_NAME));
        assert_others(f, &held);
        remove_all(f, digest, before);
    }
}

static void test_removing(void **state) {
    struct fixture *f = *state;
    _cleanup_(image_finish) struct image held = {0};
    _cleanup_free_ char *path = make_layout(f, "box"), *before = others(f, &held);

    FAILING_EACH(EIO) {
        _cleanup_free_ char *digest = NULL;
        assert_int_equal(image_import(f->store, path, NULL, NULL, NULL, &digest, NULL), 0);
        reopen(f);
        failing_begin();
        int r = image_remove(f->store, "box:1", NULL);
        failing_end();
        /* it is gone as an image, or still there as a whole */
        if (r < 0 && is_here(f, "box:1"))
            remove_all(f, digest, before);
        assert_held(!is_here(f, "box:1"));
        assert_others(f, &held);
        collect_all(f, before);
    }
}

/* What a pod runs from stays while it does, whoever removes the image meanwhile. */
static void test_holding(void **state) {
    struct fixture *f = *state;
    _cleanup_(image_finish) struct image held = {0};
    _cleanup_free_ char *path = make_layout(f, "box"), *before = others(f, &held);

    FAILING_EACH(EIO) {
        _cleanup_free_ char *digest = NULL;
        _cleanup_(image_finish) struct image image = {0};
        assert_int_equal(image_import(f->store, path, NULL, NULL, NULL, &digest, NULL), 0);
        reopen(f);
        failing_begin();
        int r = image_resolve_pinned(f->store, "box:1", "pod-uid", &image, NULL);
        failing_end();
        assert_int_equal(image_remove(f->store, digest, NULL), 0);
        if (r == 0)
            assert_held(content_is_whole(&image));
        assert_held(image_unpin(f->store, "pod-uid", NULL) == 0);
        assert_others(f, &held);
        collect_all(f, before);
    }
    FAILING_EACH(EIO) {
        _cleanup_free_ char *digest = NULL;
        _cleanup_(image_finish) struct image one = {0}, other = {0};
        assert_int_equal(image_import(f->store, path, NULL, NULL, NULL, &digest, NULL), 0);
        assert_int_equal(image_resolve_pinned(f->store, "box:1", "first", &one, NULL), 0);
        assert_int_equal(image_resolve_pinned(f->store, "box:1", "second", &other, NULL), 0);
        assert_int_equal(image_remove(f->store, digest, NULL), 0);
        reopen(f);
        failing_begin();
        int r = image_unpin(f->store, "first", NULL);
        failing_end();
        assert_held(content_is_whole(&other));
        if (r < 0)
            assert_held(image_unpin(f->store, "first", NULL) == 0);
        failing_begin();
        char *owners[] = {"holder", NULL};
        r = image_pins_retain(f->store, owners, NULL);
        failing_end();
        if (r < 0)
            assert_held(image_pins_retain(f->store, owners, NULL) == 0);
        assert_others(f, &held);
        collect_all(f, before);
    }
}

/* What cannot be read is not taken for absent: no image loses layers, no pod what it runs from. */
static void test_collecting(void **state) {
    struct fixture *f = *state;
    _cleanup_(image_finish) struct image held = {0};
    _cleanup_free_ char *before = others(f, &held);

    FAILING_EACH(EMFILE) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        reopen(f);
        failing_begin();
        int r = image_collect(f->store, &err);
        failing_end();
        assert_held(r == 0 || (r < 0 && err.code == r));
        assert_others(f, &held);
        collect_all(f, before);
    }
}

static void test_opening(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *path = make_layout(f, "box"), *root = path_join(f->dir, "store");

    assert_int_equal(image_import(f->store, path, NULL, NULL, NULL, NULL, NULL), 0);
    FAILING_EACH(EMFILE) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        image_store_close(f->store);
        failing_begin();
        f->store = image_store_open(root, &err);
        if (f->store)
            image_store_close(f->store);
        failing_end();
        assert_held(f->store || (err.code == -EMFILE && error_text(&err, 0)[0]));
        f->store = image_store_open(root, NULL);
        assert_held(f->store && is_here(f, "box:1"));
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_importing), T(test_a_second_name), T(test_removing),
        T(test_holding),   T(test_collecting),    T(test_opening),
    };

    return cmocka_run_group_tests_name("images when calls fail", tests, NULL, NULL);
}
