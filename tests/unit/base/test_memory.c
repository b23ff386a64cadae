/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/json.h"
#include "podium/base/memory.h"
#include "podium/base/strbuf.h"

#define BLOCKS     20000
#define BLOCK_SIZE 200

static long rss_kb(const char *kind) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    assert_int_equal(file_read("/proc/self/status", 65536, &text, NULL), 0);
    const char *line = strstr(strbuf_str(&text), kind);
    assert_non_null(line);
    return strtol(line + strlen(kind), NULL, 10);
}

static int written = 1;
static const char *const relocated[] = {"made", "read-only", "after", "relocation"};

/* What was mapped and freed is given back; what was written, relocated or allocated stays, and everything works on. */
static void test_gives_back(void **state) {
#ifdef __SANITIZE_ADDRESS__
    skip(); /* another allocator, which keeps what is freed */
#endif
    static const char text[] = "{\"a\":[1,2,3],\"b\":\"c\"}";
    _cleanup_free_ char *kept = xstrdup("kept"), **blocks = xcalloc(BLOCKS, sizeof(*blocks));
    _cleanup_json_ struct json *before = NULL, *after = NULL;

    written = 4711;
    assert_int_equal(json_parse(text, strlen(text), NULL, &before, NULL), 0);
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = xcalloc(1, BLOCK_SIZE);
    for (size_t i = 0; i + 1 < BLOCKS; i++) /* the last one holds the heap's end */
        free(blocks[i]);
    long file = rss_kb("RssFile:"), anon = rss_kb("RssAnon:");
    memory_give_back();
    assert_true(rss_kb("RssFile:") < file);
    assert_true(rss_kb("RssAnon:") < anon - BLOCKS * BLOCK_SIZE / 1024 / 2);
    assert_int_equal(written, 4711);
    assert_string_equal(relocated[1], "read-only");
    assert_string_equal(kept, "kept");
    assert_int_equal(json_parse(text, strlen(text), NULL, &after, NULL), 0);
    assert_true(json_equal(before, after));
    free(blocks[BLOCKS - 1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gives_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
