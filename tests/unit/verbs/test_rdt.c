/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Classes of resctrl, in a plain folder in its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "runtime/verbs/rdt.h"

static void assert_schemata(const struct spec_rdt *rdt, const char *wanted) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    rdt_schemata(rdt, &text);
    assert_string_equal(strbuf_str(&text), wanted);
}

static void test_schemata(void **state) {
    (void) state;
    char *more[] = {(char *) "L2:0=3", NULL};

    assert_schemata(&(struct spec_rdt){0}, "");
    assert_schemata(&(struct spec_rdt){.l3_cache = (char *) "L3:0=f;1=f"}, "L3:0=f;1=f\n");
    assert_schemata(&(struct spec_rdt){.memory_bandwidth = (char *) "MB:0=20\n"}, "MB:0=20\n");
    /* the bandwidth has its own field: a line of it in the other one is passed over */
    assert_schemata(&(struct spec_rdt){.l3_cache = (char *) "MB:0=7\nL3:0=f\n", .memory_bandwidth = (char *) "MB:0=20"},
                    "L3:0=f\nMB:0=20\n");
    assert_schemata(&(struct spec_rdt){.l3_cache = (char *) "L3:0=f\nMB:0=7"}, "L3:0=f\nMB:0=7\n");
    assert_schemata(&(struct spec_rdt){.schemata = more, .l3_cache = (char *) "L3:0=f"}, "L2:0=3\nL3:0=f\n");
    assert_true(rdt_schemata_match("", ""));
    assert_true(rdt_schemata_match("L3:0=f;1=f\n", "    MB:0= 20;1=100\n    L3:0=f;1=f\n"));
    assert_true(rdt_schemata_match("MB:0=20;1=100\n", "    MB:0= 20;1=100\n    L3:0=f;1=f\n"));
    assert_false(rdt_schemata_match("L3:0=f;1=7\n", "    L3:0=f;1=f\n"));
    assert_false(rdt_schemata_match("L3:0=f\n", "    L3:0=f;1=f\n"));
    assert_false(rdt_schemata_match("L3:0=f\nMB:0=1\n", "L3:0=f\n"));
}

static void touch(int root, const char *path, const char *text) {
    _cleanup_close_ int fd = openat(root, path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static bool exists(int root, const char *path) {
    return faccessat(root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_groups(void **state) {
    (void) state;
    char folder[] = "/tmp/test-rdt-XXXXXX";
    struct rdt_group g = RDT_GROUP_INIT;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    assert_non_null(mkdtemp(folder));
    _cleanup_close_ int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* a shared class has to exist, or to come with its schema */
    struct spec_rdt shared = {.clos_id = (char *) "gold"};
    assert_int_equal(rdt_make(root, &shared, "c1", &g, &err), -ENOENT);
    assert_non_null(strstr(error_text(&err, -1), "linux.intelRdt.closID: the class gold"));
    assert_int_equal(mkdirat(root, "gold", 0755), 0);
    assert_int_equal(mkdirat(root, "gold/mon_groups", 0755), 0);
    touch(root, "gold/tasks", "");
    touch(root, "gold/schemata", "    L3:0=f\n");
    assert_int_equal(rdt_make(root, &shared, "c1", &g, NULL), 0);
    assert_true(g.tasks[0] >= 0 && g.tasks[1] < 0 && !g.made);
    rdt_close(&g);
    shared.l3_cache = (char *) "L3:0=f";
    assert_int_equal(rdt_make(root, &shared, "c1", &g, NULL), 0);
    rdt_close(&g);
    shared.l3_cache = (char *) "L3:0=1";
    assert_int_equal(rdt_make(root, &shared, "c1", &g, &err), -EINVAL);
    assert_non_null(strstr(error_text(&err, -1), "another schema"));
    /* monitoring: a group of its own below; here without its tasks file, so what was made goes again */
    shared.l3_cache = NULL;
    shared.monitoring = true;
    assert_int_equal(rdt_make(root, &shared, "c1", &g, NULL), -ENOENT);
    assert_false(exists(root, "gold/mon_groups/c1"));
    /* removal leaves what is shared */
    assert_int_equal(mkdirat(root, "gold/mon_groups/c1", 0755), 0);
    assert_int_equal(rdt_remove(root, &shared, "c1", NULL), 0);
    assert_false(exists(root, "gold/mon_groups/c1"));
    assert_true(exists(root, "gold"));
    /* the container's own class: made, and removed when that fails half-way (a plain folder has no schemata) */
    struct spec_rdt own = {.l3_cache = (char *) "L3:0=f"};
    assert_int_equal(rdt_make(root, &own, "c2", &g, NULL), -ENOENT);
    assert_false(exists(root, "c2"));
    assert_int_equal(mkdirat(root, "c2", 0755), 0);
    assert_int_equal(rdt_make(root, &own, "c2", &g, NULL), -EEXIST);
    assert_int_equal(rdt_remove(root, &own, "c2", NULL), 0);
    assert_false(exists(root, "c2"));
    assert_int_equal(rdt_remove(root, &own, "c2", NULL), 0);
    assert_int_equal(rm_tree(folder, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_schemata), cmocka_unit_test(test_groups)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
