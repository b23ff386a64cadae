/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each call on files fails in turn while a manifest directory is looked at: an object whose file cannot be read at the
 * moment is not one that was taken away, which would be deleted from the cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "orchestrator/manifest/scan_dir.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "tests/unit/failing_calls.h"

static void nothing(void *userdata, const char *path) {
}
static void no_target(void *userdata, const char *folder, const char *name) {
}
static bool settled(void *userdata, const char *path) {
    return false;
}
static const struct scan_hooks hooks = {
    .folder = nothing, .target = no_target, .unsettled = settled, .moving = nothing};

static void put(const char *dir, const char *name) {
    _cleanup_free_ char *path = path_join(dir, name),
                        *text = xasprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x%zu}\n", strlen(name));

    assert_int_equal(file_write_atomic(path, text, strlen(text), 0644, false, NULL), 0);
}

static size_t count(const struct scan_dir *s, size_t *ret_problems) {
    struct manifest_set set = {0};

    scan_dir_collect(s, &set);
    size_t n = set.n_objects;
    *ret_problems = set.n_problems;
    manifest_set_finish(&set);
    return n;
}

static void test_nothing_is_taken_away(void **state) {
    char dir[] = "/tmp/podium-scan-XXXXXX";
    assert_non_null(mkdtemp(dir));
    _cleanup_free_ char *inner = path_join(dir, "inner"), *link = path_join(dir, "link"),
                        *elsewhere = path_join(dir, ".hidden");

    assert_int_equal(mkdir_parents(inner, 0755, NULL), 0);
    assert_int_equal(mkdir_parents(elsewhere, 0755, NULL), 0);
    put(dir, "a.yaml");
    put(inner, "bb.yaml");
    put(elsewhere, "ccc.yaml");
    assert_int_equal(symlink(".hidden", link), 0);
    FAILING_EACH(EIO) {
        _cleanup_(scan_dir_freep) struct scan_dir *s = scan_dir_new(dir, &hooks);
        size_t problems;
        (void) scan_dir_run(s);
        assert_held(count(s, &problems) == 3 && problems == 0);
        put(dir, "a.yaml"); /* written anew: it is read again */
        failing_begin();
        (void) scan_dir_run(s);
        failing_end();
        assert_held(count(s, &problems) == 3);
        assert_held((problems > 0) == (failing.what != NULL));
        (void) scan_dir_run(s);
        assert_held(count(s, &problems) == 3 && problems == 0);
    }
    assert_int_equal(rm_tree(dir, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_is_taken_away)};

    return cmocka_run_group_tests_name("a manifest directory when calls fail", tests, NULL, NULL);
}
