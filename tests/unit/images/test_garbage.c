/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which images go when the disk fills up. */
#include "tests/unit/images/image_fixture.h"

#include "orchestrator/images/archives.h"
#include "orchestrator/images/garbage.h"
#include "podium/base/clock.h"

#define NOW (1000000 * USEC_PER_SEC)

static void import_one(struct fixture *f, const char *name, const struct layer *layers, size_t n) {
    _cleanup_free_ char *dir = layout_make(f, name, name, layers, n);

    assert_int_equal(import_path(f, dir, NULL, NULL), 0);
}

/* Says when the image was used last. */
static char *used_at(struct fixture *f, const char *name, uint64_t usec) {
    _cleanup_(image_finish) struct image image = {0};

    assert_int_equal(image_resolve(f->store, name, &image, NULL), 0);
    _cleanup_free_ char *path = xasprintf("%s/store/used/%s", f->dir, image.digest + 7);
    _cleanup_free_ char *record = xasprintf("%s/store/images/%s.json", f->dir, image.digest + 7);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t) (usec / USEC_PER_SEC)}};
    _cleanup_json_ struct json *doc = NULL;
    store_mark_used(f->store, image.digest);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(json_parse_file(record, 1 << 20, &doc, NULL), 0);
    json_set(&doc, "importedAt", json_int(1));
    _cleanup_free_ char *text = json_to_text(doc);
    assert_int_equal(file_write_atomic(record, text, strlen(text), 0644, false, NULL), 0);
    return steal(&image.digest);
}

static bool is_here(struct fixture *f, const char *name) {
    _cleanup_(image_finish) struct image image = {0};
    return image_resolve(f->store, name, &image, NULL) == 0;
}

static void test_amount(void **state) {
    const struct image_gc_policy p = {.high_percent = 85, .low_percent = 80};

    assert_int_equal(image_gc_amount(&p, &(struct image_disk){.capacity = 1000, .available = 160}), 0);
    assert_int_equal(image_gc_amount(&p, &(struct image_disk){.capacity = 1000, .available = 150}), 50);
    assert_int_equal(image_gc_amount(&p, &(struct image_disk){.capacity = 1000, .available = 0}), 200);
    assert_int_equal(image_gc_amount(&p, &(struct image_disk){0}), 0);
    const struct image_gc_policy never = {.high_percent = 100, .low_percent = 80};
    assert_int_equal(image_gc_amount(&never, &(struct image_disk){.capacity = 1000, .available = 0}), 0);
}

static void test_least_recently_used_first(void **state) {
    struct fixture *f = *state;
    struct layer base = LAYER(ARCHIVE_FILTER_GZIP, {'f', "base", "0123456789"});
    struct layer a = LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "01234"}),
                 b = LAYER(ARCHIVE_FILTER_GZIP, {'f', "b", "01234"});
    struct layer c = LAYER(ARCHIVE_FILTER_GZIP, {'f', "c", "01234"}),
                 d = LAYER(ARCHIVE_FILTER_GZIP, {'f', "d", "01234"});
    const struct image_gc_policy policy = {.min_age_usec = 100 * USEC_PER_SEC};
    struct image_gc_result result;
    _cleanup_(image_finish) struct image held = {0};
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    import_one(f, "a:1", (struct layer[]){base, a}, 2);
    import_one(f, "b:1", (struct layer[]){base, b}, 2);
    import_one(f, "kept:1", &c, 1);
    import_one(f, "held:1", &d, 1);
    assert_int_equal(image_resolve_pinned(f->store, "held:1", "pod", &held, NULL), 0);
    _cleanup_free_ char *da = used_at(f, "a:1", NOW - 200 * USEC_PER_SEC),
                        *db = used_at(f, "b:1", NOW - 300 * USEC_PER_SEC);
    _cleanup_free_ char *dc = used_at(f, "kept:1", 1), *dd = used_at(f, "held:1", 1);
    char *keep[] = {dc, NULL};
    /* b's own layer is enough; the base below it is a's, too */
    assert_int_equal(image_gc(f->store, &policy, 5, NOW, keep, &result, &err), 0);
    assert_int_equal(result.images, 1);
    assert_int_equal(result.freed, 5);
    assert_false(is_here(f, "b:1"));
    assert_true(is_here(f, "a:1"));
    /* a is too young now */
    assert_int_equal(image_gc(f->store, &policy, 5, NOW - 150 * USEC_PER_SEC, keep, &result, &err), -ENOSPC);
    assert_true(is_here(f, "a:1"));
    /* everything that may go, and it isn't enough */
    assert_int_equal(image_gc(f->store, &policy, 100, NOW, keep, &result, &err), -ENOSPC);
    assert_string_equal(error_text(&err, 0), "Failed to garbage collect required amount of images. Attempted to free "
                                             "100 bytes, but only found 15 bytes eligible to free.");
    assert_false(is_here(f, "a:1"));
    assert_true(is_here(f, "kept:1"));
    assert_true(is_here(f, "held:1"));
    /* given back, it was used until now */
    assert_int_equal(image_unpin(f->store, "pod", NULL), 0);
    uint64_t now = now_realtime_usec();
    assert_int_equal(image_gc(f->store, &policy, 1, now, keep, &result, &err), -ENOSPC);
    assert_int_equal(image_gc(f->store, &policy, 1, now + 101 * USEC_PER_SEC, keep, &result, &err), 0);
    assert_false(is_here(f, "held:1"));
    layer_finish(&base), layer_finish(&a), layer_finish(&b), layer_finish(&c), layer_finish(&d);
}

static void test_labels(void **state) {
    struct fixture *f = *state;
    struct layer l = LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "1"});
    char index[IMAGE_DIGEST_SIZE];
    _cleanup_(image_finish) struct image image = {0};

    store_digest("x", 1, index);
    import_one(f, "a:1", &l, 1);
    _cleanup_free_ char *repo_digest = xasprintf("quay.io/choir@%s", index),
                        *wrong = xasprintf("quay.io/other@%s", index);
    const struct image_label label = {"quay.io/choir:2", "quay.io/choir", repo_digest};
    assert_int_equal(image_resolve(f->store, "a:1", &image, NULL), 0);
    assert_int_equal(image_add_label(f->store, image.digest, &label, NULL), 0);
    assert_int_equal(image_add_label(f->store, index, &label, NULL), -ENOENT);
    assert_true(is_here(f, "quay.io/choir:2"));
    assert_true(is_here(f, repo_digest)); /* the digest of an index it was pulled by */
    assert_false(is_here(f, wrong));
    assert_true(is_here(f, "a:1"));
    layer_finish(&l);
}

static void test_archives(void **state) {
    struct fixture *f = *state;
    _cleanup_json_ struct json *none = image_archives_load(f->dir), *doc = json_object();
    _cleanup_strv_ char **digests = NULL;
    char digest[IMAGE_DIGEST_SIZE];
    struct json *list = json_array();

    assert_int_equal(json_len(none), 0);
    store_digest("x", 1, digest);
    json_append(&list, json_string(digest));
    json_append(&list, json_string("not a digest"));
    json_set_path(&doc, list, "a.tar", "digests");
    json_set_path(&doc, json_string("why"), "b.tar", "error");
    assert_int_equal(image_archives_save(f->dir, doc, NULL), 0);
    _cleanup_json_ struct json *again = image_archives_load(f->dir);
    assert_true(json_equal(doc, again));
    digests = image_archives_digests(again);
    assert_int_equal(strv_len(digests), 1);
    assert_string_equal(digests[0], digest);
    write_file(f->dir, "archives.json", "[", 1);
    _cleanup_json_ struct json *broken = image_archives_load(f->dir);
    assert_int_equal(json_len(broken), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_amount),
        TEST(test_least_recently_used_first),
        TEST(test_labels),
        TEST(test_archives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
