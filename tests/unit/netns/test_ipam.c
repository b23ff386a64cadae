/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"
#include "podium/base/path.h"
#include "podium/netns.h"

static int setup(void **state) {
    char template[] = "/tmp/podium-ipam-XXXXXX";

    if (!mkdtemp(template))
        return -1;
    *state = xstrdup(template);
    return 0;
}

static int teardown(void **state) {
    int r = rm_tree(*state, NULL);

    free(*state);
    return r;
}

static void test_first_addresses(void **state) {
    _cleanup_(ipam_closep) struct ipam *ipam = ipam_open(*state, "10.244.1.0/24", NULL);
    char a[NETNS_ADDRESS_SIZE], b[NETNS_ADDRESS_SIZE];

    assert_non_null(ipam);
    ipam_gateway(ipam, a);
    assert_string_equal(a, "10.244.1.1");
    assert_int_equal(ipam_prefix_length(ipam), 24);
    assert_int_equal(ipam_capacity(ipam), 253);
    assert_int_equal(ipam_allocate(ipam, "pod-a", a, NULL), 0);
    assert_string_equal(a, "10.244.1.2");
    assert_int_equal(ipam_allocate(ipam, "pod-b", b, NULL), 0);
    assert_string_equal(b, "10.244.1.3");
    assert_int_equal(ipam_allocate(ipam, "pod-a", b, NULL), 0); /* idempotent */
    assert_string_equal(a, b);
    assert_int_equal(ipam_release(ipam, "pod-a", NULL), 0);
    assert_int_equal(ipam_release(ipam, "pod-a", NULL), 0);
    assert_int_equal(ipam_lookup(ipam, "pod-a", a), -ENOENT);
    assert_int_equal(ipam_allocate(ipam, "pod-c", b, NULL), 0); /* .2 rests */
    assert_string_equal(b, "10.244.1.4");
    assert_int_equal(ipam_used(ipam), 2);
}

static void test_exhaustion_and_wrap(void **state) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_(ipam_closep) struct ipam *ipam = ipam_open(*state, "10.9.8.0/29", NULL);
    char a[NETNS_ADDRESS_SIZE];

    for (int i = 0; i < 5; i++) {
        char owner[16];
        snprintf(owner, sizeof(owner), "p%d", i);
        assert_int_equal(ipam_allocate(ipam, owner, a, NULL), 0);
    }
    assert_string_equal(a, "10.9.8.6");
    assert_int_equal(ipam_allocate(ipam, "late", a, &err), -ENOSPC);
    assert_non_null(strstr(error_text(&err, 0), "10.9.8.0/29"));
    assert_int_equal(ipam_release(ipam, "p3", NULL), 0);
    assert_int_equal(ipam_allocate(ipam, "late", a, NULL), 0);
    assert_string_equal(a, "10.9.8.5");
}

static void test_reopen_keeps_owners_and_cursor(void **state) {
    char a[NETNS_ADDRESS_SIZE];
    struct ipam *ipam = ipam_open(*state, "10.0.0.0/24", NULL);

    assert_int_equal(ipam_allocate(ipam, "x", a, NULL), 0);
    assert_int_equal(ipam_allocate(ipam, "y", a, NULL), 0);
    assert_int_equal(ipam_release(ipam, "y", NULL), 0);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    assert_null(ipam_open(*state, "10.0.0.0/24", &err)); /* locked */
    assert_int_equal(err.code, -EBUSY);
    ipam_close(ipam);
    ipam = ipam_open(*state, "10.0.0.0/24", NULL);
    assert_int_equal(ipam_lookup(ipam, "x", a), 0);
    assert_string_equal(a, "10.0.0.2");
    assert_int_equal(ipam_allocate(ipam, "z", a, NULL), 0);
    assert_string_equal(a, "10.0.0.4"); /* .3 was given out before the restart and rests */
    ipam_close(ipam);
    ipam = ipam_open(*state, "10.5.0.0/24", NULL); /* another range: nothing of the old one counts */
    assert_int_equal(ipam_used(ipam), 0);
    assert_int_equal(ipam_allocate(ipam, "x", a, NULL), 0);
    assert_string_equal(a, "10.5.0.2");
    ipam_close(ipam);
}

static void test_debris_in_the_folder(void **state) {
    _cleanup_free_ char *file = path_join(*state, "10.0.0.7"), *twin1 = path_join(*state, "10.0.0.8");
    _cleanup_free_ char *twin2 = path_join(*state, "10.0.0.9"), *gateway = path_join(*state, "10.0.0.1");
    _cleanup_free_ char *half = path_join(*state, "cursor.new");
    char a[NETNS_ADDRESS_SIZE];

    assert_int_equal(symlink("twin", twin1), 0);
    assert_int_equal(symlink("twin", twin2), 0);
    assert_int_equal(symlink("evil", gateway), 0);
    assert_int_equal(symlink("10.0.0.99", half), 0);
    FILE *f = fopen(file, "we");
    assert_non_null(f);
    fclose(f);
    _cleanup_(ipam_closep) struct ipam *ipam = ipam_open(*state, "10.0.0.0/24", NULL);
    assert_int_equal(ipam_used(ipam), 1);
    assert_int_equal(ipam_lookup(ipam, "evil", a), -ENOENT);
    assert_int_equal(ipam_lookup(ipam, "twin", a), 0);
    assert_int_not_equal(access(file, F_OK), 0);
}

static void test_retain(void **state) {
    _cleanup_(ipam_closep) struct ipam *ipam = ipam_open(*state, "10.0.0.0/24", NULL);
    char a[NETNS_ADDRESS_SIZE];
    char *keep[] = {"b", "unknown", NULL};

    assert_int_equal(ipam_allocate(ipam, "a", a, NULL), 0);
    assert_int_equal(ipam_allocate(ipam, "b", a, NULL), 0);
    assert_int_equal(ipam_allocate(ipam, "c", a, NULL), 0);
    assert_int_equal(ipam_retain(ipam, keep, NULL), 2);
    assert_int_equal(ipam_used(ipam), 1);
    assert_int_equal(ipam_lookup(ipam, "b", a), 0);
    assert_int_equal(ipam_retain(ipam, NULL, NULL), 1);
}

static void test_bad_ranges(void **state) {
    static const char *const bad[] = {"",          "10.0.0.0",     "10.0.0.0/",   "10.0.0.0/31", "10.0.0.0/7",
                                      "10.0.0/24", "10.0.0.0/24x", "10.0.0.0/-8", "a/24",        "10.0.0.256/24"};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    char a[NETNS_ADDRESS_SIZE], big[300];

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_null(ipam_open(*state, bad[i], &err));
        assert_int_equal(err.code, -EINVAL);
    }
    assert_null(ipam_open(*state, "fd00::/64", &err));
    assert_int_equal(err.code, -EAFNOSUPPORT);
    _cleanup_(ipam_closep) struct ipam *ipam = ipam_open(*state, "10.0.0.0/24", NULL);
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = 0;
    assert_int_equal(ipam_allocate(ipam, "", a, NULL), -EINVAL);
    assert_int_equal(ipam_allocate(ipam, big, a, NULL), -EINVAL);
}

/* Against a model: whatever happens, no address has two owners, no owner two addresses, and what the pool says after
 * reopening is what it said before. */
static void test_random_walk(void **state) {
    enum { STEPS = 10000, OWNERS = 60 };
    char model[OWNERS][NETNS_ADDRESS_SIZE] = {{0}};
    unsigned seed = 20240607;
    struct ipam *ipam = ipam_open(*state, "192.168.7.0/26", NULL); /* 61 usable: often nearly full */

    for (int step = 0; step < STEPS; step++) {
        int i = rand_r(&seed) % OWNERS, what = rand_r(&seed) % 100;
        char owner[16], address[NETNS_ADDRESS_SIZE];
        snprintf(owner, sizeof(owner), "owner-%d", i);
        if (what < 55) {
            assert_int_equal(ipam_allocate(ipam, owner, address, NULL), 0);
            if (*model[i])
                assert_string_equal(address, model[i]);
            for (int k = 0; k < OWNERS; k++)
                if (k != i)
                    assert_string_not_equal(address, model[k]);
            assert_string_not_equal(address, "192.168.7.0");
            assert_string_not_equal(address, "192.168.7.1");
            assert_string_not_equal(address, "192.168.7.63");
            memcpy(model[i], address, sizeof(address));
        } else if (what < 97) {
            assert_int_equal(ipam_release(ipam, owner, NULL), 0);
            model[i][0] = 0;
        } else {
            ipam_close(ipam);
            ipam = ipam_open(*state, "192.168.7.0/26", NULL);
            assert_non_null(ipam);
            for (int k = 0; k < OWNERS; k++) {
                snprintf(owner, sizeof(owner), "owner-%d", k);
                assert_int_equal(ipam_lookup(ipam, owner, address), *model[k] ? 0 : -ENOENT);
                if (*model[k])
                    assert_string_equal(address, model[k]);
            }
        }
    }
    ipam_close(ipam);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_first_addresses),
        TEST(test_exhaustion_and_wrap),
        TEST(test_reopen_keeps_owners_and_cursor),
        TEST(test_debris_in_the_folder),
        TEST(test_retain),
        TEST(test_bad_ranges),
        TEST(test_random_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
