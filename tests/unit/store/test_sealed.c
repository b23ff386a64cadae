/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Secrets on disk: not to be read there, back after a restart, refused with another key or when touched. */
#include "tests/unit/store/sealed_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "podium/base/fd.h"

#define WORDS "open-sesame-and-many-more-words"

static int write_words(struct store *s, const char *resource, const char *name) {
    _cleanup_json_ struct json *doc = document("a", name, 1);
    struct waiter w = WAITER_INIT;

    json_set_path(&doc, json_string(WORDS), "data", "word");
    const struct store_write write = {STORE_CREATE, resource, "a", name, doc, 0};
    int r = store_submit(s, &write, waiter_done, &w);
    if (r < 0)
        return r;
    waiter_wait(&w, 1);
    return w.result;
}

static bool words_are_in(const struct fixture *f) {
    _cleanup_free_ char *path = path_join(f->path, "data.mdb");
    _cleanup_strbuf_ struct strbuf bytes = STRBUF_INIT;

    assert_int_equal(file_read(path, 1u << 30, &bytes, NULL), 0);
    return memmem(bytes.data, bytes.len, WORDS, strlen(WORDS)) != NULL;
}

static const char *word_of(struct store *s, const char *resource, const char *name, struct store_item **item) {
    *item = store_get(s, resource, "a", name);
    return *item ? json_str(json_path(store_item_doc(*item), "data", "word")) : NULL;
}

static void test_the_disk_does_not_tell(void **state) {
    struct sealed_fixture *f = *state;
    struct stat st;

    assert_int_equal(write_words(f->base.store, "secrets", "s"), 0);
    assert_false(words_are_in(&f->base));
    assert_int_equal(stat(f->key, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    store_close(f->base.store);
    fixture_open(&f->base);
    _cleanup_(store_item_unrefp) struct store_item *i = NULL;
    assert_string_equal(word_of(f->base.store, "secrets", "s", &i), WORDS);
    /* others are as ever: what can be looked at helps whoever repairs a store */
    assert_int_equal(write_words(f->base.store, "configmaps", "c"), 0);
    assert_true(words_are_in(&f->base));
}

static void test_another_key_is_refused(void **state) {
    struct sealed_fixture *f = *state;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strbuf_ struct strbuf kept = STRBUF_INIT;
    struct store *s = NULL;

    assert_int_equal(write_words(f->base.store, "secrets", "s"), 0);
    store_close(f->base.store);
    assert_int_equal(file_read(f->key, 4096, &kept, NULL), 0);
    assert_int_equal(unlink(f->key), 0);
    assert_int_equal(store_open_lmdb(&f->base.options, &s, &err), -ENOKEY);
    assert_non_null(strstr(error_text(&err, -ENOKEY), "is missing, and there are Secrets sealed with the key in it"));
    assert_int_equal(access(f->key, F_OK), -1); /* a new one would only hide that */
    static const char other[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
    assert_int_equal(file_write_atomic(f->key, other, sizeof(other) - 1, 0600, false, NULL), 0);
    error_clear(&err);
    assert_int_equal(store_open_lmdb(&f->base.options, &s, &err), -ENOKEY);
    assert_non_null(strstr(error_text(&err, -ENOKEY), "secrets a/s cannot be decrypted: the key it was sealed with is "
                                                      "not among the store's keys"));
    assert_int_equal(file_write_atomic(f->key, "short\n", 6, 0600, false, NULL), 0);
    error_clear(&err);
    assert_int_equal(store_open_lmdb(&f->base.options, &s, &err), -EBADMSG);
    assert_non_null(strstr(error_text(&err, -EBADMSG), "holds no key"));
    assert_int_equal(file_write_atomic(f->key, kept.data, kept.len, 0600, false, NULL), 0);
    fixture_open(&f->base);
    _cleanup_(store_item_unrefp) struct store_item *i = NULL;
    assert_string_equal(word_of(f->base.store, "secrets", "s", &i), WORDS);
}

static void test_what_was_plain_is_sealed_at_the_next_start(void **state) {
    struct sealed_fixture *f = *state;
    struct fixture plain = {.path = f->base.path, .options = {.no_sync = true}};

    store_close(f->base.store);
    fixture_open(&plain);
    assert_int_equal(write_words(plain.store, "secrets", "s"), 0);
    store_close(plain.store);
    fixture_open(&f->base);
    store_close(f->base.store); /* all that was submitted is written */
    f->base.store = NULL;
    struct store *s = NULL;
    /* without the key the row is no JSON any more */
    plain.options.path = plain.path;
    assert_int_equal(store_open_lmdb(&plain.options, &s, NULL), 0);
    _cleanup_(store_item_unrefp) struct store_item *i = store_get(s, "secrets", "a", "s");
    assert_non_null(i);
    assert_true(store_item_revision(i) > 1);
    size_t n;
    assert_int_equal(store_item_text(i, &n)[0], 1);
    store_item_unref(steal(&i));
    store_close(s);
    fixture_open(&f->base);
    assert_string_equal(word_of(f->base.store, "secrets", "s", &i), WORDS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_disk_does_not_tell, sealed_setup, sealed_teardown),
        cmocka_unit_test_setup_teardown(test_another_key_is_refused, sealed_setup, sealed_teardown),
        cmocka_unit_test_setup_teardown(test_what_was_plain_is_sealed_at_the_next_start, sealed_setup, sealed_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
