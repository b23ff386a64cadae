/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mapped file does not stay in the process's memory, neither after writing it nor after reading all of it. */
#include "tests/unit/store/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>

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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pages_are_let_go)};

    return cmocka_run_group_tests_name("map_pages", tests, NULL, NULL);
}
