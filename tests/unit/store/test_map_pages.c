/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file: it does not stay in the process's memory, neither after writing it nor after reading all of it; and its
 * pages are written before they are used. */
#include "tests/unit/store/store_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "podium/base/fd.h"

#define OBJECTS 6000
#define KB_EACH 2

/* What this process holds of the data file, in kB; -1: it is not mapped. */
static long held_kb(void) {
    FILE *f = fopen("/proc/self/smaps", "re");
    char line[512];
    long kb = -1;
    bool ours = false;

    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        if (strchr(line, '-') && strchr(line, '/'))
            ours = strstr(line, "/data.mdb") != NULL;
        else if (ours && strncmp(line, "Rss:", 4) == 0)
            kb = (kb < 0 ? 0 : kb) + strtol(line + 4, NULL, 10);
    }
    (void) fclose(f);
    return kb;
}

static void test_pages_are_let_go(void **state) {
    struct fixture f = {.options = {.no_sync = true}};
    struct waiter w = WAITER_INIT;
    char text[KB_EACH * 1024 + 1], name[16];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    fixture_init(&f);
    fixture_open(&f);
    for (unsigned i = 0; i < OBJECTS; i++) {
        (void) snprintf(name, sizeof(name), "o%u", i);
        _cleanup_json_ struct json *doc = document("", name, (int64_t) i);
        json_set(&doc, "text", json_string(text));
        struct store_write write = {STORE_CREATE, "configmaps", "", name, doc, 0};
        assert_int_equal(store_submit(f.store, &write, waiter_done, &w), 0);
        if (i % 64 == 63)
            waiter_wait(&w, i);
    }
    waiter_wait(&w, OBJECTS);
    long written = held_kb(), all = OBJECTS * KB_EACH;
    assert_in_range(written, 0, all * 3 / 4);
    store_close(f.store);
    fixture_open(&f);
    assert_int_equal(store_count(f.store, "configmaps"), OBJECTS);
    assert_in_range(held_kb(), 0, all / 4); /* each page that is touched brings some neighbours */
    struct store_item *i = store_get(f.store, "configmaps", "", "o77"); /* all is there all the same */
    assert_string_equal(json_get_str(store_item_doc(i), "text"), text);
    store_item_unref(i);
    fixture_finish(&f);
}

/* Behind the last page the store uses, as LMDB's two meta pages tell. Reading all of the file would not do: what was
 * read counts as data. */
static off_t end_of_use(int fd) {
    uint64_t last, newest = 0;

    for (off_t page = 0; page < 2; page++) {
        assert_int_equal(pread(fd, &last, sizeof(last), page * 4096 + 136), sizeof(last));
        newest = last > newest ? last : newest;
    }
    return (off_t) (newest + 1) * 4096;
}

/* Where a page that was only allocated is a hole to lseek(2), as on ext4, xfs, btrfs and tmpfs: there is none in front
 * of the next writes. */
static void test_pages_are_written_before_they_are_used(void **state) {
    struct fixture f = {.options = {.no_sync = true}};
    char name[16];

    fixture_init(&f);
    fixture_open(&f);
    _cleanup_free_ char *path = xasprintf("%s/data.mdb", f.path);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (int i = 0; i < 200; i++) {
        (void) snprintf(name, sizeof(name), "o%d", i);
        assert_int_equal(put(f.store, STORE_CREATE, "", name, i, 0, NULL), 0);
        off_t end = end_of_use(fd);
        assert_true(lseek(fd, 0, SEEK_END) > end);
        assert_int_equal(lseek(fd, end, SEEK_DATA), end);
    }
    fixture_finish(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pages_are_let_go),
                                       cmocka_unit_test(test_pages_are_written_before_they_are_used)};

    return cmocka_run_group_tests_name("map_pages", tests, NULL, NULL);
}
