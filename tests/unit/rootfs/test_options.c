/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mount.h>

#include "podium/base/alloc.h"
#include "runtime/rootfs/options.h"

static struct mount_options parse(const char *const *words) {
    struct mount_options o;

    mount_options_parse((char *const *) words, &o);
    return o;
}

static void test_attributes(void **state) {
    (void) state;
    static const char *const words[] = {"ro", "nosuid", "nodev", "noexec", "noatime", NULL};
    _cleanup_(mount_options_finish) struct mount_options o = parse(words);

    assert_true(o.attr_set ==
                (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOATIME));
    assert_int_equal(o.n_data, 0);
    assert_false(o.bind);
}

static void test_the_last_word_wins(void **state) {
    (void) state;
    static const char *const words[] = {"ro", "rw", "nodev", "dev", "noatime", "strictatime", NULL};
    _cleanup_(mount_options_finish) struct mount_options o = parse(words);

    assert_true(o.attr_set == MOUNT_ATTR_STRICTATIME);
    assert_true(o.attr_clear & MOUNT_ATTR_RDONLY);
    assert_true(o.attr_clear & MOUNT_ATTR_NODEV);
}

static void test_recursive_and_propagation(void **state) {
    (void) state;
    static const char *const words[] = {"rbind", "rro", "rslave", NULL};
    _cleanup_(mount_options_finish) struct mount_options o = parse(words);

    assert_true(o.bind && o.recursive);
    assert_true(o.attr_set == 0);
    assert_true(o.attr_set_all == MOUNT_ATTR_RDONLY);
    assert_true(o.propagation == MS_SLAVE && o.propagation_recursive);
}

static void test_the_rest_is_for_the_file_system(void **state) {
    (void) state;
    static const char *const words[] = {"size=1m", "mode=755", "newinstance", "defaults", "", "rw", NULL};
    _cleanup_(mount_options_finish) struct mount_options o = parse(words);

    assert_int_equal(o.n_data, 3);
    assert_string_equal(o.data[0], "size=1m");
    assert_string_equal(o.data[2], "newinstance");
}

/* What asks for nothing, or for what is so anyway, must not make a bind mount fail. */
static void test_words_without_meaning(void **state) {
    (void) state;
    static const char *const words[] = {"silent", "loud", "noiversion", "async", NULL};
    _cleanup_(mount_options_finish) struct mount_options o = parse(words);

    assert_int_equal(o.n_data, 1);
    assert_true(mount_option_is_usual(o.data[0]));
    assert_true(mount_option_is_usual("nolazytime") && mount_option_is_usual("nomand"));
    assert_false(mount_option_is_usual("sync") || mount_option_is_usual("size=1m") || mount_option_is_usual("asynch"));
}

static void test_what_is_ours_does_not_reach_the_file_system(void **state) {
    (void) state;
    static const char *const words[] = {"tmpcopyup", "ridmap", "mode=1", NULL};
    static const char *const one[] = {"idmap", NULL};
    _cleanup_(mount_options_finish) struct mount_options o = parse(words), p = parse(one);

    assert_true(o.copy_up && o.idmap && o.idmap_recursive);
    assert_int_equal(o.n_data, 1);
    assert_true(p.idmap && !p.idmap_recursive && !p.copy_up);
    assert_int_equal(p.n_data, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_the_last_word_wins),
        cmocka_unit_test(test_recursive_and_propagation),
        cmocka_unit_test(test_words_without_meaning),
        cmocka_unit_test(test_the_rest_is_for_the_file_system),
        cmocka_unit_test(test_what_is_ours_does_not_reach_the_file_system),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
