/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the store does not take: backups whose checksum is right and whose lines are not, writes, keys, folders. */
#include "tests/unit/store/store_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

#include "orchestrator/store/backup.h"
#include "orchestrator/store/seal_keys.h"
#include "podium/base/fd.h"

static int setup(void **state) {
    struct fixture *f = xnew0(struct fixture);

    fixture_init(f);
    f->options.no_sync = true;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_finish(*state);
    free(*state);
    return 0;
}

/* Restores what somebody made by hand: heading, these lines, and an end that fits them. */
static int restore(const char *path, uint64_t newest, const char *const lines[], size_t *ret_n, struct error *err) {
    struct store_options o = {.path = path, .no_sync = true};
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    _cleanup_fclose_ FILE *file = tmpfile();
    size_t n = 1;

    strbuf_addf(&text, "{\"format\":\"%s\",\"version\":%d,\"revision\":%" PRIu64 "}\n", BACKUP_FORMAT, BACKUP_VERSION,
                newest);
    for (; *lines; lines++, n++)
        strbuf_addf(&text, "%s\n", *lines);
    unsigned long sum = crc32(0, (const unsigned char *) text.data, (unsigned) text.len);
    strbuf_addf(&text, "{\"end\":\"%s\",\"lines\":%zu,\"crc32\":\"%08lx\"}\n", BACKUP_FORMAT, n, sum);
    assert_non_null(file);
    assert_int_equal(fwrite(text.data, 1, text.len, file), text.len);
    rewind(file);
    return store_restore_lmdb(&o, file, ret_n, err);
}

#define ROW(revision, name)                                                                                            \
    "{\"revision\":" revision ",\"resource\":\"configmaps\",\"namespace\":\"a\",\"name\":\"" name                      \
    "\",\"object\":{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"a\"}}}"

static void test_backups_made_by_hand(void **state) {
    const struct fixture *f = *state;
    static const struct {
        const char *lines[3], *why;
    } bad[] = {
        {{ROW("3", "a"), ROW("2", "b")}, "line 3 of the backup has a revision out of order"},
        {{ROW("3", "a"), ROW("3", "b")}, "line 3 of the backup has a revision out of order"},
        {{ROW("0", "a")}, "line 2 of the backup has a revision out of order"},
        {{ROW("-1", "a")}, "line 2 of the backup has a revision out of order"},
        {{ROW("11", "a")}, "line 2 of the backup has a revision out of order"},
        {{ROW("\"3\"", "a")}, "line 2 of the backup has a revision out of order"},
        {{"[]"}, "line 2 of the backup is no object"},
        {{"{\"revision\":3,\"resource\":\"configmaps\",\"namespace\":\"a\",\"name\":\"b\"}"}, "is no object"},
        {{"{\"revision\":3,\"resource\":\"configmaps\",\"namespace\":\"a\",\"name\":\"b\",\"object\":[]}"},
         "is no object"},
        {{"{\"revision\":3,\"resource\":7,\"namespace\":\"a\",\"name\":\"b\",\"object\":{}}"}, "is no object"},
        {{ROW("3", "a"), "{"}, "line 3 of the backup: "},
    };
    _cleanup_free_ char *path = xasprintf("%s/restored", f->path), *beside = xasprintf("%s.restoring", path);
    size_t n;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        assert_int_equal(restore(path, 10, bad[i].lines, &n, &err), -EBADMSG);
        if (!strstr(error_text(&err, 0), bad[i].why))
            fail_msg("%s", error_text(&err, 0));
        assert_int_not_equal(access(path, F_OK), 0);
        assert_int_not_equal(access(beside, F_OK), 0);
    }
    /* the same, well made; what an attempt that was killed left beside is no obstacle */
    const char *const good[] = {ROW("3", "a"), ROW("4", "b"), NULL};
    assert_int_equal(mkdir_parents(beside, 0700, NULL), 0);
    assert_int_equal(restore(path, 10, good, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_not_equal(access(beside, F_OK), 0);
}

/* Names no API would have let in, with sizes that do not fit into a row: the store made of them could not be read. */
static void test_backups_with_names_too_long(void **state) {
    const struct fixture *f = *state;
    _cleanup_free_ char *path = xasprintf("%s/restored", f->path), *long_name = xcalloc(1, 70001);
    size_t n;

    memset(long_name, 'n', 70000);
    _cleanup_free_ char *row =
        xasprintf("{\"revision\":3,\"resource\":\"configmaps\",\"namespace\":\"a\",\"name\":\"%s\","
                  "\"object\":{\"metadata\":{}}}",
                  long_name);
    const char *const lines[] = {row, NULL};
    assert_int_equal(restore(path, 10, lines, &n, NULL), -EBADMSG);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void test_backups_come_from_files(void **state) {
    const struct fixture *f = *state;
    _cleanup_free_ char *path = xasprintf("%s/restored", f->path);
    struct store_options o = {.path = path};
    int fds[2];
    size_t n;

    assert_int_equal(pipe(fds), 0);
    _cleanup_fclose_ FILE *file = fdopen(fds[0], "r");
    (void) close(fds[1]);
    assert_int_equal(store_restore_lmdb(&o, file, &n, NULL), -ESPIPE);
}

static void test_writes_that_are_none(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *long_name = xcalloc(1, 70000);
    _cleanup_json_ struct json *no_object = json_array();
    struct waiter w = WAITER_INIT;

    memset(long_name, 'n', 69999);
    fixture_open(f);
    assert_int_equal(put(f->store, STORE_CREATE, "a", long_name, 1, 0, NULL), -E2BIG);
    assert_int_equal(put(f->store, STORE_CREATE, long_name, "a", 1, 0, NULL), -E2BIG);
    const struct store_write without = {STORE_CREATE, "configmaps", "a", "b", NULL, 0},
                             strange = {STORE_CREATE, "configmaps", "a", "b", no_object, 0};
    assert_int_equal(store_submit(f->store, &without, waiter_done, &w), -EINVAL);
    assert_int_equal(store_submit(f->store, &strange, waiter_done, &w), -EINVAL);
    assert_int_equal(store_count(f->store, "configmaps"), 0);
    assert_int_equal(w.done, 0);
}

static void test_a_file_in_the_folders_place(void **state) {
    const struct fixture *f = *state;
    _cleanup_free_ char *path = xasprintf("%s/file", f->path);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    struct store_options o = {.path = path};
    struct store *s = NULL;

    assert_int_equal(file_write_atomic(path, "text", 4, 0600, false, NULL), 0);
    int r = store_open_lmdb(&o, &s, &err);
    assert_true(r < 0);
    assert_null(s);
    assert_non_null(strstr(error_text(&err, r), path));
    assert_int_equal(file_read(path, 100, &text, NULL), 0);
    assert_string_equal(text.data, "text");
}

static void test_keys(void **state) {
    const struct fixture *f = *state;
    _cleanup_free_ char *path = xasprintf("%s/key", f->path);
    _cleanup_(seal_keys_finish) struct seal_keys k = {0}, again = {0};
    static const char *const bad[] = {"", "\n", "00\n",
                                      "zz00000000000000000000000000000000000000000000000000000000000000\n",
                                      "0000000000000000000000000000000000000000000000000000000000000000 \n"};

    for (size_t i = 0; i < SEAL_KEYS_MAX; i++)
        assert_int_equal(seal_keys_add(&k, NULL), 0);
    const struct seal_key newest = k.keys[0];
    assert_int_equal(seal_keys_add(&k, NULL), -E2BIG);
    assert_memory_equal(&k.keys[0], &newest, sizeof(newest));
    assert_int_equal(seal_keys_write(path, &k, NULL), 0);
    assert_int_equal(seal_keys_read(path, &again, NULL), 0);
    assert_memory_equal(&again.keys, &k.keys, sizeof(k.keys));
    /* one line too many */
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    assert_int_equal(file_read(path, 65536, &text, NULL), 0);
    strbuf_add(&text, text.data, 2 * SEAL_KEY_BYTES + 1);
    assert_int_equal(file_write_atomic(path, text.data, text.len, 0600, false, NULL), 0);
    _cleanup_(seal_keys_finish) struct seal_keys none = {0};
    assert_int_equal(seal_keys_read(path, &none, NULL), -EBADMSG);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(file_write_atomic(path, bad[i], strlen(bad[i]), 0600, false, NULL), 0);
        assert_int_equal(seal_keys_read(path, &none, NULL), -EBADMSG);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_backups_made_by_hand), T(test_backups_with_names_too_long), T(test_backups_come_from_files),
        T(test_writes_that_are_none), T(test_a_file_in_the_folders_place), T(test_keys),
    };
    return cmocka_run_group_tests_name("refused", tests, NULL, NULL);
}
