/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Backups: one state, whole or refused, restored under the revisions it had. */
#include "tests/unit/store/store_fixture.h"

#include <stdio.h>
#include <unistd.h>

#include "orchestrator/store/backup.h"

#define OBJECTS 1200 /* more than one batch */
#define NOON    1800000000000000ull

static int setup(void **state) {
    struct fixture *f = xnew0(struct fixture);
    char name[16];

    fixture_init(f);
    f->options.no_sync = true;
    fixture_open(f);
    for (int i = 0; i < OBJECTS; i++) {
        (void) snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(put(f->store, STORE_CREATE, "a", name, i, 0, NULL), 0);
    }
    assert_int_equal(put(f->store, STORE_UPDATE, "a", "n7", 7007, 0, NULL), 0);
    assert_int_equal(put(f->store, STORE_DELETE, "a", "n8", 0, 0, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_finish(*state);
    free(*state);
    return 0;
}

/* The backup in pieces of `piece` bytes. */
static struct strbuf backup_text(struct fixture *f, size_t piece) {
    _cleanup_(store_backup_freep) struct store_backup *b = store_backup_new(f->store, NOON);
    struct strbuf text = STRBUF_INIT;
    char *bytes = xcalloc(1, piece);
    size_t n;

    /* what is written after the beginning is not in it */
    int r = put(f->store, STORE_CREATE, "b", "later", 1, 0, NULL);
    assert_true(r == 0 || r == -EEXIST);
    while ((n = store_backup_read(b, bytes, piece)) > 0)
        strbuf_add(&text, bytes, n);
    free(bytes);
    return text;
}

static int restore(struct fixture *f, const char *text, size_t len, char **ret_path, size_t *ret_n, struct error *err) {
    struct store_options o = {.no_sync = true};
    FILE *file = tmpfile();

    *ret_path = xasprintf("%s/restored", f->path);
    o.path = *ret_path;
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    rewind(file);
    int r = store_restore_lmdb(&o, file, ret_n, err);
    (void) fclose(file);
    return r;
}

static void test_restored_is_what_was(void **state) {
    struct fixture *f = *state;
    _cleanup_strbuf_ struct strbuf text = backup_text(f, 777);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_free_ char *path = NULL;
    size_t n = 0;

    int r = restore(f, text.data, text.len, &path, &n, &err);
    if (r < 0)
        fail_msg("%s", error_text(&err, r));
    assert_int_equal(n, OBJECTS - 1);
    struct fixture g = {.path = path};
    fixture_open(&g);
    assert_int_equal(store_count(g.store, "configmaps"), OBJECTS - 1);
    assert_int_equal(value_of(g.store, "a", "n7"), 7007);
    assert_int_equal(value_of(g.store, "a", "n8"), -1);
    assert_int_equal(value_of(g.store, "b", "later"), -1);
    _cleanup_(store_item_unrefp) struct store_item *was = store_get(f->store, "configmaps", "a", "n7");
    _cleanup_(store_item_unrefp) struct store_item *is = store_get(g.store, "configmaps", "a", "n7");
    assert_int_equal(store_item_revision(is), store_item_revision(was));
    assert_true(json_equal(store_item_doc(is), store_item_doc(was)));
    /* no revision is used twice, though the backup knows nothing of what came after it */
    uint64_t revision;
    assert_int_equal(put(g.store, STORE_CREATE, "a", "new", 1, 0, &revision), 0);
    assert_int_equal(revision, OBJECTS + 2 + RESTORE_REVISION_GAP + 1);
    store_close(g.store);
    assert_int_equal(rm_tree(path, NULL), 0);
}

static void refused(struct fixture *f, const char *text, size_t len, int code, const char *why) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_free_ char *path = NULL, *beside = NULL;
    size_t n;

    assert_int_equal(restore(f, text, len, &path, &n, &err), code);
    assert_non_null(strstr(error_text(&err, code), why));
    beside = xasprintf("%s.restoring", path);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_not_equal(access(beside, F_OK), 0);
}

static void test_damage_is_refused(void **state) {
    struct fixture *f = *state;
    _cleanup_strbuf_ struct strbuf text = backup_text(f, 65536);
    char *digit = strstr(text.data, "7007");

    refused(f, text.data, text.len - 1, -EBADMSG, "cut short");
    refused(f, text.data, text.len / 2, -EBADMSG, "cut short");
    refused(f, text.data, 0, -EBADMSG, "no backup");
    refused(f, "{\"format\":\"podium-backup\",\"version\":99,\"revision\":1}\n", 53, -EPROTONOSUPPORT, "99");
    *digit = '8';
    refused(f, text.data, text.len, -EBADMSG, "checksum");
}

static void test_never_over_a_store(void **state) {
    struct fixture *f = *state;
    _cleanup_strbuf_ struct strbuf text = backup_text(f, 65536);
    struct store_options o = {.path = f->path};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    FILE *file = tmpfile();
    size_t n;

    assert_int_equal(fwrite(text.data, 1, text.len, file), text.len);
    rewind(file);
    assert_int_equal(store_restore_lmdb(&o, file, &n, &err), -EEXIST);
    (void) fclose(file);
    assert_int_equal(value_of(f->store, "b", "later"), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_restored_is_what_was, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_never_over_a_store, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
